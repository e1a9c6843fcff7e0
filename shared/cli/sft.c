// xreasoner sft: supervised fine-tuning.
#include "shared/base/interrupt.h"
#include "shared/cli/commands.h"
#include "shared/cli/run_command.h"
#include "shared/train/sft.h"

#include <stdio.h>

int xr_command_sft(int argc, char **argv) {
    XrRunArguments arguments;
    XrRunConfig config;
    int code;
    bool run = xr_run_command_parse(
        XR_RUN_SFT, "xreasoner sft RUN.json [key=value...] [options]",
        "Supervised fine-tuning on conversations and solved questions. Writes a run's folder: "
        "config.json,\nmetrics.jsonl, checkpoint-N/, model/, summary.json. docs/training.md "
        "explains "
        "formats and keys.",
        NULL, 0, argc, argv, &arguments, &config, &code);
    if (run) {
        XrError err = {0};
        XrBackend *b = xr_device_open(&arguments.device, &err);
        XrComm *comm = xr_comm_single();
        XrSftOptions options = {&config, b, comm, arguments.resume};
        xr_interrupt_watch_job();
        code = b && xr_sft_run(&options, &err) ? 0 : 1;
        if (code) fprintf(stderr, "xreasoner: %s\n", err.message);
        xr_comm_free(comm);
        xr_backend_free(b);
    }
    xr_run_config_free(&config);
    return code;
}
