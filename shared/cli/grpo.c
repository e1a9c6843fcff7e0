// xreasoner grpo: reinforcement learning with verifiable rewards.
#include "shared/train/grpo.h"
#include "shared/base/interrupt.h"
#include "shared/cli/commands.h"
#include "shared/cli/run_command.h"

#include <stdio.h>

int xr_command_grpo(int argc, char **argv) {
    XrRunArguments arguments;
    XrRunConfig config;
    const char *replay = NULL;
    const XrOption more[] = {{"replay", XR_OPT_TEXT, &replay, "samples.jsonl",
                              "train on recorded rollouts instead of sampling", NULL, 0, 0}};
    int code;
    bool run = xr_run_command_parse(
        XR_RUN_GRPO, "xreasoner grpo RUN.json [key=value...] [options]",
        "Reinforcement learning (GRPO) on questions in text, rewarded by the verifier. Writes a "
        "run's folder:\nconfig.json, metrics.jsonl, samples.jsonl, checkpoint-N/, model/, "
        "summary.json. docs/grpo.md\nexplains formats and keys.",
        more, 1, argc, argv, &arguments, &config, &code);
    if (run) {
        XrError err = {0};
        XrBackend *b = xr_device_open(&arguments.device, &err);
        XrComm *comm = xr_comm_single();
        XrGrpoOptions options = {.config = &config,
                                 .backend = b,
                                 .comm = comm,
                                 .resume = arguments.resume,
                                 .replay = replay};
        xr_interrupt_watch_job();
        code = b && xr_grpo_run(&options, &err) ? 0 : 1;
        if (code) fprintf(stderr, "xreasoner: %s\n", err.message);
        xr_comm_free(comm);
        xr_backend_free(b);
    }
    xr_run_config_free(&config);
    return code;
}
