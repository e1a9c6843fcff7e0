#include "shared/demo/train.h"

#include "datasets/tiny_world/rows.h"
#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/train/grpo.h"
#include "shared/train/metrics.h"
#include "shared/train/run_folder.h"
#include "shared/train/sft.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 8, BATCH_STEPS = 2 }; // of a question; optimiser steps of a batch of rollouts

static const struct {
    const char *name, *title;
    const char *from; // folder of the model in the demo's
    XrWorldSet set;   // questions: policy optimisation
    XrWorldDomain domain;
} RUNS[XR_DEMO_RUNS] = {
    {"answer", "SFT without reasoning, text of total", "base", XR_WORLD_SET_ANSWER, XR_WORLD_TOTAL},
    {"sft", "SFT with reasoning, text of total", "base", XR_WORLD_SET_THINK, XR_WORLD_TOTAL},
    {"rl", "RL from the base model, text of total", "base", XR_WORLD_SET_QUESTIONS, XR_WORLD_TOTAL},
    {"sft-rl", "RL from the SFT model, text of total", "sft/model", XR_WORLD_SET_QUESTIONS,
     XR_WORLD_TOTAL},
    {"special-sft", "SFT with reasoning on text of level, from sft-rl", "sft-rl/model",
     XR_WORLD_SET_THINK, XR_WORLD_LEVEL},
    {"special", "RL on text of level, from special-sft", "special-sft/model",
     XR_WORLD_SET_QUESTIONS, XR_WORLD_LEVEL},
};

const char *xr_demo_run_name(XrDemoRun run) {
    return RUNS[run].name;
}

const char *xr_demo_run_title(XrDemoRun run) {
    return RUNS[run].title;
}

bool xr_demo_run_is_rl(XrDemoRun run) {
    return RUNS[run].set == XR_WORLD_SET_QUESTIONS;
}

static int64_t batches_of(const XrDemoSize *size, XrDemoRun run) {
    return RUNS[run].domain == XR_WORLD_TOTAL ? size->rl_batches : size->special_rl_batches;
}

static int64_t sft_steps_of(const XrDemoSize *size, XrDemoRun run) {
    return RUNS[run].domain == XR_WORLD_TOTAL ? size->sft_steps : size->special_steps;
}

// ---- data ----

// The run's data file; the caller frees it.
static char *data_path(const XrDemoOptions *options, XrDemoRun run) {
    XrBuffer path = {0};
    const char *set = xr_world_set_name(RUNS[run].set);
    xr_buffer_format(&path, "%s/data/%s-%s/%s.jsonl", options->out, set,
                     xr_world_domain_name(RUNS[run].domain), set);
    return path.data;
}

static bool write_data(const XrDemoOptions *options, XrDemoRun run, const char *path,
                       XrError *err) {
    const XrDemoSize *size = &options->size;
    if (xr_path_exists(path)) return true;
    XrWorldSetOptions set = {
        .set = RUNS[run].set,
        .domain = RUNS[run].domain,
        .split = XR_WORLD_TRAIN,
        .rows = xr_demo_run_is_rl(run) ? batches_of(size, run) * size->questions
                                       : sft_steps_of(size, run) * size->sft_rows,
        .seed = options->seed,
    };
    char *folder = xr_strdup(path);
    *strrchr(folder, '/') = '\0';
    bool ok = xr_world_write_set(folder, &set, err);
    free(folder);
    return ok;
}

// ---- configuration ----

// Values that all runs of a kind share. docs/tiny-world.md compares rates of SFT on the
// development split: higher ones cost pictures.
static const char *const SFT_KEYS[] = {
    "learning_rate=1e-4", "lr_scheduler_type=cosine",
    "weight_decay=0",     "max_grad_norm=1",
    "packing=false",      "max_length=64",
    "save_steps=50",      "save_total_limit=1",
    "logging_steps=5",    "gradient_accumulation_steps=1",
};
static const char *const RL_KEYS[] = {
    "learning_rate=2e-4",
    "lr_scheduler_type=constant",
    "warmup_ratio=0",
    "weight_decay=0",
    "adam_beta2=0.95",
    "max_grad_norm=0.5",
    "beta=0",
    "epsilon=0.2",
    "epsilon_high=0.28",
    "loss_type=dapo",
    "max_completion_length=72",
    "gradient_accumulation_steps=1",
    "save_steps=10",
    "save_total_limit=1",
    "kv_cache_mb=256",
};

static bool set_key(XrRunConfig *config, XrError *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool set_key(XrRunConfig *config, XrError *err, const char *format, ...) {
    char text[4096];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (length < 0 || (size_t)length >= sizeof text) {
        return xr_fail(err, XR_ERR_INPUT, "the path is too long: %s", text);
    }
    return xr_run_config_set(config, text, err);
}

static bool set_keys(XrRunConfig *config, const char *const *keys, size_t count, XrError *err) {
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) ok = xr_run_config_set(config, keys[i], err);
    return ok;
}

static bool configure(XrRunConfig *config, const XrDemoOptions *options, XrDemoRun run,
                      const char *data, XrError *err) {
    const XrDemoSize *size = &options->size;
    bool rl = xr_demo_run_is_rl(run);
    if (!set_key(config, err, "model_name_or_path=%s/%s", options->out, RUNS[run].from) ||
        !set_key(config, err, "output_dir=%s/%s", options->out, RUNS[run].name) ||
        !set_key(config, err, "train_dataset=[{\"path\": \"%s\"}]", data) ||
        !set_key(config, err, "seed=%" PRIu64, options->seed) ||
        !set_key(config, err, "prompt_template=none") ||
        !set_key(config, err, "gradient_checkpointing=false") ||
        !set_keys(config, rl ? RL_KEYS : SFT_KEYS, rl ? XR_COUNT(RL_KEYS) : XR_COUNT(SFT_KEYS),
                  err)) {
        return false;
    }
    if (!rl) {
        return set_key(config, err, "max_steps=%" PRId64, sft_steps_of(size, run)) &&
               set_key(config, err, "per_device_train_batch_size=%" PRId64, size->sft_rows);
    }
    return set_key(config, err, "max_steps=%" PRId64, BATCH_STEPS * batches_of(size, run)) &&
           set_key(config, err, "num_generations=%d", SAMPLES) &&
           set_key(config, err, "steps_per_generation=%d", BATCH_STEPS) &&
           set_key(config, err, "per_device_train_batch_size=%" PRId64,
                   size->questions * SAMPLES / BATCH_STEPS);
}

// ---- the learning curve ----

typedef struct Curve {
    const XrDemoOptions *options;
    XrLineFile file;
    XrWorldMark *marks; // [curve_items]
    int64_t last;       // step of the run
    int64_t noted;      // the newest step in the file; -1: none
} Curve;

static bool ask_cell(Curve *curve, XrEngine *engine, const XrChatModel *policy, int cell,
                     XrMetrics *out, XrError *err) {
    int64_t items = curve->options->size.curve_items;
    XrWorldPaper paper = {.task = XR_WORLD_FULL,
                          .domain = (XrWorldDomain)(cell / 2),
                          .picture = cell % 2 == 1,
                          .split = XR_WORLD_DEV,
                          .items = items,
                          .seed = curve->options->seed,
                          .think_budget = -1};
    if (!xr_world_sit(curve->marks, NULL, engine, policy, &paper, err)) return false;
    xr_metrics_real(out, xr_demo_cell_name(cell), xr_demo_cell(curve->marks, items).right);
    return true;
}

static bool watch(void *context, int64_t step, const XrChatModel *policy, XrError *err) {
    Curve *curve = context;
    int64_t every = BATCH_STEPS * curve->options->size.curve_every;
    if (step <= curve->noted || (step % every != 0 && step != curve->last)) return true;
    XrEngine *engine;
    XrEngineConfig config = {.max_sequences = 64, .cache_bytes = (size_t)256 << 20};
    if (!xr_engine_create(&engine, policy->model, policy->tokenizer, &config, err)) return false;
    XrMetrics line = {0};
    xr_metrics_begin(&line, step);
    bool ok = true;
    for (int cell = 0; ok && cell < XR_DEMO_CELLS; cell++) {
        ok = ask_cell(curve, engine, policy, cell, &line, err);
    }
    ok = ok && xr_metrics_write(&line, &curve->file, err);
    xr_metrics_free(&line);
    xr_engine_free(engine);
    return ok;
}

// ---- a run ----

static char *path_in(const XrDemoOptions *options, XrDemoRun run, const char *name) {
    XrBuffer path = {0};
    xr_buffer_format(&path, "%s/%s/%s", options->out, RUNS[run].name, name);
    return path.data;
}

// Goes on after the whole lines that an interrupted run has left.
static bool open_curve(Curve *curve, const char *path, XrError *err) {
    XrBuffer before = {0};
    curve->noted = -1;
    if (xr_path_exists(path) && !xr_file_read(path, 1 << 24, &before, err)) return false;
    int64_t keep = 0, step;
    for (char *line = before.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        if (sscanf(line, "{\"step\": %" SCNd64, &step) == 1) curve->noted = step;
        keep = end + 1 - before.data;
    }
    xr_buffer_free(&before);
    return xr_line_file_open(&curve->file, path, keep, err);
}

static bool train_rl(const XrDemoOptions *options, XrGrpoOptions *grpo, XrDemoRun run,
                     XrError *err) {
    Curve curve = {.options = options, .last = grpo->config->max_steps};
    char *path = path_in(options, run, XR_DEMO_CURVE), *folder = path_in(options, run, "");
    bool ok = xr_make_folders(folder, err) && open_curve(&curve, path, err);
    if (ok) {
        curve.marks = xr_calloc((size_t)options->size.curve_items, sizeof *curve.marks);
        grpo->watch = watch;
        grpo->context = &curve;
        ok = xr_grpo_run(grpo, err);
        free(curve.marks);
        xr_line_file_close(&curve.file);
    }
    free(folder);
    free(path);
    return ok;
}

static bool train(const XrDemoOptions *options, XrDemoRun run, const char *data, XrError *err) {
    XrRunConfig config;
    bool rl = xr_demo_run_is_rl(run);
    xr_run_config_init(&config, rl ? XR_RUN_GRPO : XR_RUN_SFT);
    char *begun = path_in(options, run, "config.json");
    XrComm *comm = xr_comm_single();
    bool resume = xr_path_exists(begun);
    bool ok = configure(&config, options, run, data, err);
    if (ok && rl) {
        XrGrpoOptions grpo = {
            .config = &config, .backend = options->backend, .comm = comm, .resume = resume};
        ok = train_rl(options, &grpo, run, err);
    } else if (ok) {
        XrSftOptions sft = {&config, options->backend, comm, resume};
        ok = xr_sft_run(&sft, err);
    }
    xr_comm_free(comm);
    free(begun);
    xr_run_config_free(&config);
    return ok;
}

bool xr_demo_train(const XrDemoOptions *options, XrDemoRun run, XrError *err) {
    char *done = path_in(options, run, "summary.json"), *data = data_path(options, run);
    bool ok = xr_path_exists(done) ||
              (write_data(options, run, data, err) && train(options, run, data, err));
    if (!ok) xr_fail_in(err, "%s", RUNS[run].name);
    free(data);
    free(done);
    return ok;
}
