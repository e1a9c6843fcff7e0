// xreasoner demo: the whole recipe on the tiny world.
#include "shared/base/interrupt.h"
#include "shared/base/memory.h"
#include "shared/cli/commands.h"
#include "shared/cli/device.h"
#include "shared/demo/demo.h"

#include <stdio.h>

int xr_command_demo(int argc, char **argv) {
    const char *out = "demo";
    int64_t seed = 1;
    XrDevice device = XR_DEVICE_DEFAULT;
    const XrOption options[] = {
        {"out", XR_OPT_TEXT, &out, "DIR", "folder to write, made if missing", NULL, 0, 0},
        XR_DEVICE_OPTION_ROWS(&device),
        {"seed", XR_OPT_INT, &seed, "N", "of data, training and evaluation", NULL, 0, 9e15},
    };
    const XrCommandLine line = {
        "xreasoner demo [options]",
        "The whole recipe on the tiny world of docs/tiny-world.md, from the base model in this\n"
        "program: fine-tuning with and without reasoning, policy optimisation, specialisation, all "
        "on text;\nevaluation in text and pictures; and DIR/report.html, which holds the "
        "X-Reasoner paper's findings\nagainst what was measured. A demo that was interrupted goes "
        "on where it was.",
        options,
        (int)XR_COUNT(options),
        0,
        0};
    int count;
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, NULL, &count);
    if (parsed != XR_PARSED) return parsed == XR_PARSED_HELP ? 0 : 2;
    XrError err = {0};
    XrBackend *backend = xr_device_open(&device, &err);
    XrDemoOptions demo = {backend, out, (uint64_t)seed, xr_demo_size()};
    xr_interrupt_watch_job();
    bool ok = backend && xr_demo_run(&demo, &err);
    xr_backend_free(backend);
    if (ok)
        printf("\n%s/report.html\n", out);
    else
        fprintf(stderr, "xreasoner: %s\n", err.message);
    return ok ? 0 : 1;
}
