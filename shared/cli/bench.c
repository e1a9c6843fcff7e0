// xreasoner bench [FILTER]: times operations and whole jobs.
#include "shared/cli/commands.h"
#include "shared/cli/device.h"

#include "shared/base/memory.h"
#include "shared/bench/bench.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Arguments {
    const char *filter, *model;
    XrDevice device;
    bool json, list;
} Arguments;

// A filter is a pattern with * and ?, or the start of a name.
static bool matches(const char *filter, const char *name) {
    if (!filter) return true;
    char pattern[256];
    snprintf(pattern, sizeof pattern, "%s*", filter);
    return fnmatch(pattern, name, 0) == 0;
}

static int select_cases(XrBenchList *list, const char *filter) {
    int kept = 0;
    for (int i = 0; i < list->count; i++) {
        if (matches(filter, list->items[i].name)) list->items[kept++] = list->items[i];
    }
    list->count = kept;
    return kept;
}

static int run_cases(const XrBenchList *list, const Arguments *args) {
    XrError err = {0};
    XrBackend *b = xr_device_open(&args->device, &err);
    if (!b) {
        fprintf(stderr, "xreasoner bench: %s\n", err.message);
        return 1;
    }
    XrBenchYardstick yardstick = xr_bench_yardstick(b);
    xr_bench_print_head(stdout, args->json, &yardstick, b);
    int code = 0;
    for (int i = 0; i < list->count && code == 0; i++) {
        XrBenchResult result;
        if (xr_bench_run(&list->items[i], b, &result, &err)) {
            xr_bench_print(stdout, args->json, &list->items[i], &result, &yardstick);
            fflush(stdout);
        } else if (err.status == XR_ERR_MEMORY) {
            fprintf(stderr, "xreasoner bench: left out: %s\n", err.message);
        } else {
            fprintf(stderr, "xreasoner bench: %s\n", err.message);
            code = 1;
        }
    }
    xr_backend_free(b);
    return code;
}

// On a GPU: what it computes. Whole texts, pictures from their files, and judging are the
// processor's work on any device.
static void add_cases(XrBenchList *list, const Arguments *args) {
    bool gpu = strcmp(args->device.name, "cpu") != 0;
    const char *data = getenv("XR_DATA_DIR");
    xr_bench_linear(list, gpu);
    xr_bench_attention(list, gpu);
    xr_bench_logprob(list, gpu);
    xr_bench_memory(list);
    if (gpu) {
        xr_bench_train_step(list, false);
        xr_bench_vision(list, false);
        xr_bench_decode(list, false);
        xr_bench_batches(list, false);
    }
    if (!gpu) xr_bench_verify(list);
    if (!gpu && data && *data) {
        xr_bench_text(list, data);
        xr_bench_benchmark(list, data);
        xr_bench_image(list, data);
    }
    if (!args->model) return;
    xr_bench_model(list, args->model);
    xr_bench_startup(list, args->model);
    xr_bench_eval(list, args->model);
    xr_bench_train(list, args->model);
}

int xr_command_bench(int argc, char **argv) {
    Arguments args = {.device = XR_DEVICE_DEFAULT};
    const XrOption options[] = {
        {.name = "model",
         .kind = XR_OPT_TEXT,
         .value = &args.model,
         .value_name = "FOLDER",
         .help = "also time whole jobs on this model"},
        XR_DEVICE_OPTION_ROWS(&args.device),
        {.name = "json", .kind = XR_OPT_FLAG, .value = &args.json, .help = "a JSON object a line"},
        {.name = "list", .kind = XR_OPT_FLAG, .value = &args.list, .help = "name the cases only"},
    };
    const XrCommandLine line = {
        .usage = "xreasoner bench [FILTER] [options]",
        .description =
            "Times operations, and with --model whole jobs, whose names begin with FILTER or "
            "match\n"
            "it (with * and ?). Beside each result stand the parts of the processor's best rates,\n"
            "measured first, that it reaches, and the most memory that the program held (MB; on a\n"
            "GPU what the case held there). Cases that do not fit into memory are left out.\n"
            "Cases tokenizer/*, image/* and benchmark/* need the folder of real data that the\n"
            "environment variable XR_DATA_DIR names.",
        .options = options,
        .option_count = (int)XR_COUNT(options),
        .least_arguments = 0,
        .most_arguments = 1,
    };
    int count = 0;
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, &args.filter, &count);
    if (parsed != XR_PARSED) return parsed == XR_PARSED_HELP ? 0 : 2;
    XrBenchList list = {0};
    add_cases(&list, &args);
    int code = 0;
    if (select_cases(&list, args.filter) == 0) {
        fprintf(stderr, "xreasoner bench: no case matches %s; --list names them%s\n", args.filter,
                args.model ? "" : " (model/* need --model)");
        code = 1;
    } else if (args.list) {
        for (int i = 0; i < list.count; i++) printf("%s\n", list.items[i].name);
    } else {
        code = run_cases(&list, &args);
    }
    xr_bench_list_free(&list);
    return code;
}
