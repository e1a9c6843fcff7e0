// What the commands that take RUN.json have in common: arguments, --print-config, overrides.
#ifndef XR_CLI_RUN_COMMAND_H
#define XR_CLI_RUN_COMMAND_H

#include "shared/cli/device.h"
#include "shared/train/run_config.h"

typedef struct XrRunArguments {
    bool resume, print_config;
    int64_t seed; // seed -1: the configuration's
    XrDevice device;
} XrRunArguments;

// Parses "RUN.json [key=value...] [options]" of a command (an XR_RUN_x bit); `more` are options of
// its own, `more_count` of them. Returns true where the run should start, with `config` filled (to
// be freed in any case); otherwise *code is the exit code.
bool xr_run_command_parse(int command, const char *usage, const char *description,
                          const XrOption *more, int more_count, int argc, char **argv,
                          XrRunArguments *out, XrRunConfig *config, int *code);

#endif
