// xreasoner world: the tiny world's data, its untrained model, and how well a model knows it.
#include "datasets/tiny_world/base.h"
#include "datasets/tiny_world/evaluate.h"
#include "datasets/tiny_world/rows.h"
#include "shared/base/memory.h"
#include "shared/cli/commands.h"
#include "shared/cli/device.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// What was asked for. Numbers that were not given are -1, texts NULL.
typedef struct Wish {
    const char *what;
    const char *out, *domain, *split;
    bool pictures;
    int64_t rows, seed, think_budget;
    XrDevice device;
} Wish;

enum { DEFAULT_ROWS = 1000, DEFAULT_ITEMS = 100 };

static int usage(const char *message, const char *what) {
    fprintf(stderr, "xreasoner world %s: %s; see xreasoner world --help\n", what, message);
    return 2;
}

static int fail(const XrError *err) {
    fprintf(stderr, "xreasoner: %s\n", err->message);
    return 1;
}

static int write_model(const Wish *w) {
    XrError err;
    if (!w->out) return usage("--out DIR is missing", w->what);
    if (w->domain || w->split || w->pictures || w->rows >= 0 || w->think_budget >= 0) {
        return usage("takes --out and --seed alone", w->what);
    }
    uint64_t seed = w->seed < 0 ? 0 : (uint64_t)w->seed;
    return xr_world_write_model(w->out, seed, &err) ? 0 : fail(&err);
}

static int write_set(const Wish *w, XrWorldSet set) {
    XrWorldSetOptions options = {.set = set, .domain = XR_WORLD_DOMAINS, .split = XR_WORLD_TRAIN};
    if (!w->out) return usage("--out DIR is missing", w->what);
    if (set == XR_WORLD_SET_BASE && (w->domain || w->pictures)) {
        return usage("has always both domains, in text and pictures: no --domain, no --pictures",
                     w->what);
    }
    if (set != XR_WORLD_SET_QUESTIONS && w->split) {
        return usage("is always of the train split: no --split", w->what);
    }
    if (w->think_budget >= 0) return usage("--think-budget is for evaluate", w->what);
    for (int d = 0; w->domain && d < XR_WORLD_DOMAINS; d++) {
        if (!strcmp(w->domain, xr_world_domain_name((XrWorldDomain)d))) options.domain = d;
    }
    for (int s = 0; w->split && s < XR_WORLD_SPLITS; s++) {
        if (!strcmp(w->split, xr_world_split_name((XrWorldSplit)s))) options.split = s;
    }
    options.pictures = w->pictures;
    options.rows = w->rows < 0 ? DEFAULT_ROWS : w->rows;
    options.seed = w->seed < 0 ? 0 : (uint64_t)w->seed;
    XrError err;
    if (!xr_world_write_set(w->out, &options, &err)) return fail(&err);
    printf("%" PRId64 " rows in %s/%s.jsonl\n", options.rows, w->out, xr_world_set_name(set));
    return 0;
}

static int evaluate(const Wish *w, const char *folder) {
    XrWorldExam exam = {.split = XR_WORLD_DEV, .think_budget = w->think_budget};
    if (!folder) return usage("the folder of a MODEL is missing", w->what);
    if (w->out || w->domain || w->pictures) {
        return usage("covers both domains, in text and pictures: no --out, --domain, --pictures",
                     w->what);
    }
    for (int s = 0; w->split && s < XR_WORLD_SPLITS; s++) {
        if (!strcmp(w->split, xr_world_split_name((XrWorldSplit)s))) exam.split = s;
    }
    exam.items = w->rows < 0 ? DEFAULT_ITEMS : w->rows;
    exam.seed = w->seed < 0 ? 0 : (uint64_t)w->seed;
    XrError err;
    XrBackend *backend = xr_device_open(&w->device, &err);
    XrBuffer table = {0};
    bool ok = backend && xr_world_evaluate(&table, backend, folder, &exam, &err);
    if (ok) fputs(table.data, stdout);
    xr_buffer_free(&table);
    xr_backend_free(backend);
    return ok ? 0 : fail(&err);
}

int xr_command_world(int argc, char **argv) {
    Wish w = {.device = XR_DEVICE_DEFAULT, .rows = -1, .seed = -1, .think_budget = -1};
    const XrOption options[] = {
        {"out", XR_OPT_TEXT, &w.out, "DIR", "folder to write, made if missing", NULL, 0, 0},
        {"rows", XR_OPT_INT, &w.rows, "N",
         "rows to write (1000), or items of each cell to evaluate (100)", NULL, 1, 1e8},
        {"seed", XR_OPT_INT, &w.seed, "N", "of all that is drawn (0)", NULL, 0, 9e15},
        {"domain", XR_OPT_TEXT, &w.domain, "NAME", "of think, answer and questions (both)",
         "total|level", 0, 0},
        {"split", XR_OPT_TEXT, &w.split, "NAME",
         "of questions (train) and of what evaluate asks (dev)", "train|dev|test", 0, 0},
        {"pictures", XR_OPT_FLAG, &w.pictures, NULL,
         "think, answer, questions: pictures in place of the lists", NULL, 0, 0},
        {"think-budget", XR_OPT_INT, &w.think_budget, "N",
         "evaluate: tokens after which open thinking is closed (never)", NULL, 0, 1e6},
        XR_DEVICE_OPTION_ROWS(&w.device),
    };
    const XrCommandLine line = {
        "xreasoner world model|base|think|answer|questions|evaluate [MODEL] [options]",
        "The tiny world of docs/tiny-world.md.\n"
        "  model      an untrained model with the world's tokenizer, in --out\n"
        "  base       conversations of all tasks, to make a base model with sft\n"
        "  think      conversations with step-by-step thinking, some of it in loops\n"
        "  answer     the same questions answered at once\n"
        "  questions  questions with gold answers, for grpo and eval\n"
        "  evaluate   a table of what MODEL can read, knows and answers; --device is for this",
        options,
        (int)XR_COUNT(options),
        1,
        2};
    const char *arguments[2] = {NULL, NULL};
    int count;
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, arguments, &count);
    if (parsed != XR_PARSED) return parsed == XR_PARSED_HELP ? 0 : 2;
    w.what = arguments[0];
    if (!strcmp(w.what, "evaluate")) return evaluate(&w, count == 2 ? arguments[1] : NULL);
    if (count == 2) return usage("takes no second argument", w.what);
    if (strcmp(w.device.name, "cpu") != 0) return usage("--device is for evaluate", w.what);
    if (!strcmp(w.what, "model")) return write_model(&w);
    for (int set = 0; set < XR_WORLD_SETS; set++) {
        if (!strcmp(w.what, xr_world_set_name((XrWorldSet)set))) return write_set(&w, set);
    }
    return usage("there is no such part of the world", w.what);
}
