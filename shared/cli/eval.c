// xreasoner eval: answers to benchmarks, judged and counted; stored answers judged again; runs
// compared; the filter of questions that need no picture.
#include "shared/base/file.h"
#include "shared/base/interrupt.h"
#include "shared/base/memory.h"
#include "shared/cli/commands.h"
#include "shared/cli/run_command.h"
#include "shared/eval/benchmark.h"
#include "shared/eval/compare.h"
#include "shared/eval/run.h"
#include "shared/eval/text_solvable.h"
#include "shared/train/run_folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int say(bool ok, const XrError *err) {
    if (!ok) fprintf(stderr, "xreasoner: %s\n", err->message);
    return ok ? 0 : 1;
}

static void print_free(XrBuffer *text) {
    if (text->length) printf("%s", text->data);
    xr_buffer_free(text);
}

static bool has_option(int argc, char **argv, const char *name) {
    for (int i = 0; i < argc; i++) {
        size_t length = strlen(name);
        if (strncmp(argv[i], name, length) == 0 && (!argv[i][length] || argv[i][length] == '=')) {
            return true;
        }
    }
    return false;
}

static int list_benchmarks(void) {
    int count;
    const XrBenchmark *b = xr_benchmarks(&count);
    for (int i = 0; i < count; i++) {
        printf("%-18s %-26s %6" PRId64 "  %s (%s)\n", b[i].name, b[i].title, b[i].expected,
               b[i].source, b[i].licence);
    }
    return 0;
}

// ---- eval --text-solvable RUN_DIR... --out FILE ----

static int text_solvable(int argc, char **argv) {
    const char *out = NULL, *by = "all";
    bool flag;
    const XrOption options[] = {
        {"text-solvable", XR_OPT_FLAG, &flag, NULL, "this command", NULL, 0, 0},
        {"out", XR_OPT_TEXT, &out, "FILE", "where the items to keep are written", NULL, 0, 0},
        {"solved-by", XR_OPT_TEXT, &by, "W", "drop what all models solve, or any of them",
         "all|any", 0, 0},
    };
    const XrCommandLine line = {
        "xreasoner eval --text-solvable RUN_DIR... --out FILE [--solved-by all|any]",
        "Reads runs that were made with without_images=true, one a model, and writes the items "
        "that "
        "are\nnot solved consistently (in all samples) without their pictures, for the key items.",
        options,
        XR_COUNT(options),
        1,
        -1};
    const char **folders = xr_calloc((size_t)argc + 1, sizeof *folders);
    int count;
    XrError err = {0};
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, folders, &count);
    int code = parsed == XR_PARSED_HELP ? 0 : 2;
    if (parsed == XR_PARSED && !out) {
        fprintf(stderr, "xreasoner: --out FILE is missing\n");
    } else if (parsed == XR_PARSED) {
        code = say(xr_text_solvable(folders, count, strcmp(by, "any") == 0, out, &err), &err);
    }
    free(folders);
    return code;
}

// ---- eval --compare RUN_DIR... ----

static int compare(int argc, char **argv) {
    bool flag;
    const XrOption options[] = {{"compare", XR_OPT_FLAG, &flag, NULL, "this command", NULL, 0, 0}};
    const XrCommandLine line = {
        "xreasoner eval --compare RUN_DIR...",
        "Compares runs item by item, as a whole and by subject: each minus each before it, with "
        "and without\nforced exit. Bootstrap over questions; McNemar's exact test where each has "
        "one sample.",
        options,
        XR_COUNT(options),
        1,
        -1};
    const char **folders = xr_calloc((size_t)argc + 1, sizeof *folders);
    int count;
    XrError err = {0};
    XrBuffer text = {0};
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, folders, &count);
    int code = parsed == XR_PARSED_HELP ? 0 : 2;
    if (parsed == XR_PARSED) code = say(xr_comparisons_text(&text, folders, count, &err), &err);
    print_free(&text);
    free(folders);
    return code;
}

// ---- eval --rescore DIR ----

// The run's own configuration locks its folder; overrides choose what is judged and counted.
static bool rescore_run(const char *folder, const char *const *overrides, int count, XrError *err) {
    char *path = xr_path_join(folder, "config.json");
    XrRunConfig stored, config;
    XrRunFolder lock;
    xr_run_config_init(&stored, XR_RUN_EVAL);
    xr_run_config_init(&config, XR_RUN_EVAL);
    bool ok = xr_run_config_read(&stored, path, err) && xr_run_config_read(&config, path, err);
    for (int i = 0; ok && i < count; i++) ok = xr_run_config_set(&config, overrides[i], err);
    if (ok) {
        free(stored.output_dir);
        stored.output_dir = xr_strdup(folder);
        ok = xr_run_folder_open(&lock, &stored, true, err);
    }
    if (ok) {
        XrBuffer tables = {0};
        ok = xr_eval_rescore(folder, &config, &tables, err);
        print_free(&tables);
        xr_run_folder_close(&lock);
    }
    xr_run_config_free(&stored);
    xr_run_config_free(&config);
    free(path);
    return ok;
}

static int rescore(int argc, char **argv) {
    const char *folder = NULL;
    const XrOption options[] = {
        {"rescore", XR_OPT_TEXT, &folder, "DIR", "a run's folder", NULL, 0, 0}};
    const XrCommandLine line = {
        "xreasoner eval --rescore DIR [key=value...]",
        "Judges the stored answers of a run again, without a model. items= and denominator= choose "
        "what\nthe tables are of; eval_dataset= says where the files are now.",
        options,
        1,
        0,
        -1};
    const char **overrides = xr_calloc((size_t)argc + 1, sizeof *overrides);
    int count;
    XrError err = {0};
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, overrides, &count);
    int code = parsed == XR_PARSED_HELP ? 0 : 2;
    if (parsed == XR_PARSED) code = say(rescore_run(folder, overrides, count, &err), &err);
    free(overrides);
    return code;
}

// ---- eval RUN.json ----

static int run(int argc, char **argv) {
    XrRunArguments arguments;
    XrRunConfig config;
    const char *endpoint = NULL;
    bool unused;
    const XrOption more[] = {
        {"endpoint", XR_OPT_TEXT, &endpoint, "URL",
         "ask an OpenAI-compatible server (http://host:port/v1) instead of a model folder", NULL, 0,
         0},
        {"rescore", XR_OPT_TEXT, &endpoint, "DIR", "judge the answers of a run again", NULL, 0, 0},
        {"text-solvable", XR_OPT_FLAG, &unused, NULL,
         "from runs without pictures, the items that need them", NULL, 0, 0},
        {"compare", XR_OPT_FLAG, &unused, NULL, "compare runs item by item", NULL, 0, 0},
        {"benchmarks", XR_OPT_FLAG, &unused, NULL, "list the benchmarks", NULL, 0, 0},
    };
    int code;
    bool ready = xr_run_command_parse(
        XR_RUN_EVAL, "xreasoner eval RUN.json [key=value...] [options]",
        "Answers benchmarks with a model or a server, or takes stored responses, judges the "
        "answers "
        "and\nprints tables. Writes a run's folder: config.json, samples.jsonl, left_out.jsonl, "
        "summary.json.\ndocs/evaluation.md explains benchmarks, keys and files.",
        more, XR_COUNT(more), argc, argv, &arguments, &config, &code);
    if (ready) {
        XrError err = {0};
        XrBuffer tables = {0};
        XrBackend *b = xr_device_open(&arguments.device, &err);
        XrEvalOptions options = {&config, b, arguments.resume};
        if (endpoint) {
            free(config.endpoint);
            config.endpoint = xr_strdup(endpoint);
        }
        xr_interrupt_watch_job();
        code = say(b && xr_eval_run(&options, &tables, &err), &err);
        print_free(&tables);
        xr_backend_free(b);
    }
    xr_run_config_free(&config);
    return code;
}

int xr_command_eval(int argc, char **argv) {
    if (has_option(argc, argv, "--benchmarks")) return list_benchmarks();
    if (has_option(argc, argv, "--text-solvable")) return text_solvable(argc, argv);
    if (has_option(argc, argv, "--compare")) return compare(argc, argv);
    if (has_option(argc, argv, "--rescore")) return rescore(argc, argv);
    return run(argc, argv);
}
