#include "shared/cli/run_command.h"

#include "shared/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_OPTIONS = 16 };

// RUN.json first, then overrides; a lone override is fine when all keys come that way.
static bool read_config(XrRunConfig *config, const char *const *arguments, int count, int64_t seed,
                        XrError *err) {
    for (int i = 0; i < count; i++) {
        bool assignment =
            strchr(arguments[i], '=') != NULL && (i > 0 || access(arguments[i], F_OK));
        bool ok = assignment ? xr_run_config_set(config, arguments[i], err)
                  : i == 0
                      ? xr_run_config_read(config, arguments[i], err)
                      : xr_fail(err, XR_ERR_INPUT,
                                "\"%s\": after RUN.json come overrides, key=value", arguments[i]);
        if (!ok) return false;
    }
    if (seed >= 0) config->seed = seed;
    return true;
}

bool xr_run_command_parse(int command, const char *usage, const char *description,
                          const XrOption *more, int more_count, int argc, char **argv,
                          XrRunArguments *out, XrRunConfig *config, int *code) {
    *out = (XrRunArguments){.device = XR_DEVICE_DEFAULT, .seed = -1};
    xr_run_config_init(config, command);
    XrOption options[MOST_OPTIONS] = {
        {"resume", XR_OPT_FLAG, &out->resume, NULL, "go on from the newest checkpoint", NULL, 0, 0},
        {"print-config", XR_OPT_FLAG, &out->print_config, NULL,
         "show every key with its value and meaning, and do nothing", NULL, 0, 0},
        XR_DEVICE_OPTION_ROWS(&out->device),
        {"seed", XR_OPT_INT, &out->seed, "N", "the key seed", NULL, 0, 9e15},
    };
    int count = 3 + XR_DEVICE_OPTIONS;
    XR_REQUIRE(count + more_count <= MOST_OPTIONS, "%d options of a command", count + more_count);
    for (int i = 0; i < more_count; i++) options[count++] = more[i];
    const XrCommandLine line = {usage, description, options, count, 0, -1};
    const char **arguments = xr_calloc((size_t)argc + 1, sizeof *arguments);
    int given;
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, arguments, &given);
    XrError err = {0};
    *code = parsed == XR_PARSED_HELP ? 0 : 2;
    bool run = false;
    if (parsed == XR_PARSED && given == 0 && !out->print_config) {
        fprintf(stderr, "xreasoner: RUN.json is missing\nusage: %s\n", usage);
    } else if (parsed == XR_PARSED) {
        run = read_config(config, arguments, given, out->seed, &err);
        if (!run) fprintf(stderr, "xreasoner: %s\n", err.message);
        *code = 1;
    }
    if (run && out->print_config) {
        xr_run_config_help(config, stdout);
        *code = 0;
        run = false;
    }
    free(arguments);
    return run;
}
