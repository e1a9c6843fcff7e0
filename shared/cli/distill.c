// xreasoner distill: a teacher's verified answers as training data.
#include "shared/train/distill.h"
#include "shared/base/interrupt.h"
#include "shared/cli/commands.h"
#include "shared/cli/run_command.h"

#include <stdio.h>

int xr_command_distill(int argc, char **argv) {
    XrRunArguments arguments;
    XrRunConfig config;
    int code;
    bool run = xr_run_command_parse(
        XR_RUN_DISTILL, "xreasoner distill RUN.json [key=value...] [options]",
        "Samples answers to questions from a teacher and keeps those that the verifier accepts. "
        "Writes\ndistilled.jsonl (conversations for sft, each with its source), samples.jsonl "
        "(all answers),\nconfig.json, summary.json. docs/grpo.md explains formats and keys.",
        NULL, 0, argc, argv, &arguments, &config, &code);
    if (run) {
        XrError err = {0};
        XrBackend *b = xr_device_open(&arguments.device, &err);
        XrDistillOptions options = {&config, b, arguments.resume};
        xr_interrupt_watch_job();
        code = b && xr_distill_run(&options, &err) ? 0 : 1;
        if (code) fprintf(stderr, "xreasoner: %s\n", err.message);
        xr_backend_free(b);
    }
    xr_run_config_free(&config);
    return code;
}
