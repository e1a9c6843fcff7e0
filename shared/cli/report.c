// xreasoner report: one page about one run or several.
#include "shared/cli/commands.h"
#include "shared/cli/options.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/report/page.h"

#include <stdio.h>
#include <stdlib.h>

int xr_command_report(int argc, char **argv) {
    const char *out = NULL;
    int64_t samples = -1;
    const XrOption options[] = {
        {"out", XR_OPT_TEXT, &out, "FILE.html",
         "where the page is written (default: report.html in the first run's folder)", NULL, 0, 0},
        {"samples", XR_OPT_INT, &samples, "N",
         "show the last N samples of each run (default: 100; of an evaluation 2000)", NULL, 0, 1e6},
    };
    const XrCommandLine line = {
        "xreasoner report RUN_DIR... [--out FILE.html]",
        "Writes one self-contained page about the runs in the given folders: curves, last values,\n"
        "counts, where configurations differ, and samples with injected tokens marked.",
        options,
        XR_COUNT(options),
        1,
        -1};
    const char **folders = xr_calloc((size_t)argc + 1, sizeof *folders);
    int count;
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, folders, &count);
    int code = parsed == XR_PARSED_HELP ? 0 : 2;
    if (parsed == XR_PARSED) {
        XrError err = {0};
        char *path = out ? xr_strdup(out) : xr_path_join(folders[0], "report.html");
        bool ok = xr_report_write(path, folders, count, (int)samples, &err);
        if (ok)
            printf("%s\n", path);
        else
            fprintf(stderr, "xreasoner: %s\n", err.message);
        code = ok ? 0 : 1;
        free(path);
    }
    free(folders);
    return code;
}
