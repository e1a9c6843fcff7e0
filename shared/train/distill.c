#include "shared/train/distill.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/train/lost_rows.h"
#include "shared/train/reward.h"
#include "shared/train/run_folder.h"
#include "shared/train/run_model.h"
#include "shared/train/samples.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Where the run stands: progress.json, replaced after each round of questions.
typedef struct Position {
    int64_t questions; // done
    int64_t samples_bytes, distilled_bytes;
    int64_t responses, tokens, kept, wrong, truncated, forced;
    int64_t verdicts[XR_VERDICTS];
} Position;

typedef struct Distill {
    const XrDistillOptions *options;
    const XrRunConfig *config;
    XrRunFolder folder;
    XrLineFile samples, distilled;
    XrChatModel *model;
    XrSampler sampler;
    XrVerifier *verifier;
    XrRewardSettings rewards;
    XrQuestions questions;
    Position at;
    double started;
    XrProgress progress;
} Distill;

// ---- position ----

typedef struct Key {
    const char *name;
    int64_t *value;
} Key;

enum { KEYS = 9 };

static void list_keys(Position *p, Key out[KEYS + XR_VERDICTS]) {
    const Key keys[KEYS] = {{"questions", &p->questions},
                            {"samples_bytes", &p->samples_bytes},
                            {"distilled_bytes", &p->distilled_bytes},
                            {"responses", &p->responses},
                            {"tokens", &p->tokens},
                            {"kept", &p->kept},
                            {"dropped_wrong", &p->wrong},
                            {"dropped_truncated", &p->truncated},
                            {"forced_exits", &p->forced}};
    memcpy(out, keys, sizeof keys);
    for (int i = 0; i < XR_VERDICTS; i++) {
        out[KEYS + i] = (Key){xr_verdict_name((XrVerdict)i), &p->verdicts[i]};
    }
}

static void add_keys(XrBuffer *out, Position *p) {
    Key keys[KEYS + XR_VERDICTS];
    list_keys(p, keys);
    for (int i = 0; i < KEYS + XR_VERDICTS; i++) {
        xr_buffer_format(out, "%s\"%s%s\": %" PRId64, i ? ", " : "", i < KEYS ? "" : "verdict/",
                         keys[i].name, *keys[i].value);
    }
}

static bool save(Distill *d, XrError *err) {
    XrBuffer text = {0};
    bool ok = xr_line_file_sync(&d->samples, &d->at.samples_bytes, err) &&
              xr_line_file_sync(&d->distilled, &d->at.distilled_bytes, err);
    xr_buffer_text(&text, "{");
    add_keys(&text, &d->at);
    for (int i = 0; i < d->questions.sources; i++) {
        xr_buffer_format(&text, ", \"data/%d\": \"%016" PRIx64 "\"", i, d->questions.hashes[i]);
    }
    xr_buffer_text(&text, "}\n");
    char *path = xr_path_join(d->folder.path, "progress.json");
    ok = ok && xr_file_write(path, text.data, text.length, err);
    free(path);
    xr_buffer_free(&text);
    return ok;
}

static bool same_data(const Distill *d, const XrJson *json, XrError *err) {
    for (int i = 0; i < d->questions.sources; i++) {
        char key[32], now[20];
        const char *then = NULL;
        snprintf(key, sizeof key, "data/%d", i);
        snprintf(now, sizeof now, "%016" PRIx64, d->questions.hashes[i]);
        if (!xr_json_get_text(json, json->root, key, &then, err)) return false;
        if (then && strcmp(then, now) == 0) continue;
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: has changed since the run began; put the old file back, or start "
                       "another run",
                       d->questions.paths[i]);
    }
    return true;
}

// Of an interrupted run; one that was stopped before its first round starts from the beginning.
static bool load(Distill *d, XrError *err) {
    char *path = xr_path_join(d->folder.path, "progress.json");
    XrJson json;
    bool there = xr_path_exists(path), ok = true;
    if (there) ok = xr_json_read_file(&json, path, &XR_JSON_SMALL, err);
    free(path);
    if (!there || !ok) return ok;
    Key keys[KEYS + XR_VERDICTS];
    list_keys(&d->at, keys);
    for (int i = 0; ok && i < KEYS + XR_VERDICTS; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", i < KEYS ? "" : "verdict/", keys[i].name);
        ok = xr_json_need_int(&json, json.root, name, keys[i].value, err);
        if (ok && *keys[i].value < 0) {
            ok = xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" is negative", json.name, name);
        }
    }
    ok = ok && same_data(d, &json, err);
    xr_json_free(&json);
    return ok;
}

// ---- answers ----

static void add_word(XrBuffer *line, const char *key, const char *text) {
    xr_buffer_format(line, ", \"%s\": ", key);
    xr_buffer_json(line, text, strlen(text));
}

// The conversation and where it comes from.
static bool keep(Distill *d, const XrQuestion *q, const XrRollout *r, XrError *err) {
    XrBuffer line = {0};
    xr_buffer_format(&line,
                     "{\"messages\": [%s, {\"role\": \"assistant\", \"content\": ", q->messages);
    xr_buffer_json(&line, r->text, r->text_bytes);
    xr_buffer_text(&line, "}]");
    add_word(&line, "id", q->id);
    add_word(&line, "file", d->questions.paths[q->source]);
    xr_buffer_format(&line, ", \"row\": %" PRId64 ", \"sample\": %d, \"seed\": %" PRId64, q->row,
                     r->sample, d->config->seed);
    add_word(&line, "model", d->config->model_name_or_path);
    add_word(&line, "gold", q->gold);
    add_word(&line, "extracted", r->extracted);
    add_word(&line, "finish_reason", r->finish);
    xr_buffer_byte(&line, '}');
    bool ok = xr_line_file_append(&d->distilled, line.data, line.length, err);
    xr_buffer_free(&line);
    return ok;
}

static bool judge(Distill *d, const XrQuestion *q, XrRollout *r, XrError *err) {
    Position *at = &d->at;
    xr_reward_judge(d->verifier, d->rewards.kind, q, r);
    xr_reward_settle(&d->rewards, r);
    xr_reward_count(at->verdicts, r);
    bool right = r->score > 0 && !r->truncated;
    at->responses++;
    at->tokens += r->count;
    at->forced += strcmp(r->finish, "forced_exit") == 0;
    at->truncated += r->truncated;
    at->wrong += !right && !r->truncated;
    at->kept += right;
    return !right || keep(d, q, r, err);
}

// Questions of one round: enough to keep the engine busy.
static int round_size(const Distill *d) {
    int64_t wanted = 8 * d->config->max_batch_sequences / d->config->num_generations;
    wanted = XR_MIN(XR_MAX(wanted, 16), 4096);
    return (int)XR_MIN(wanted, d->questions.count - d->at.questions);
}

static bool run_round(Distill *d, XrError *err) {
    int count = round_size(d);
    XrRolloutGroup *groups = xr_calloc((size_t)count, sizeof *groups);
    for (int i = 0; i < count; i++) {
        groups[i].number = (uint64_t)(d->at.questions + i);
        groups[i].question = &d->questions.items[d->at.questions + i];
    }
    d->sampler.done = d->at.questions;
    bool ok = xr_sampler_run(&d->sampler, groups, count, (int)d->config->num_generations, err);
    for (int g = 0; ok && g < count; g++) {
        for (int i = 0; ok && i < groups[g].count; i++) {
            ok = judge(d, groups[g].question, &groups[g].rollouts[i], err);
        }
        ok = ok && xr_samples_write(&d->samples, d->model->tokenizer, &groups[g], 0, err);
    }
    for (int g = 0; g < count; g++) xr_rollout_group_free(&groups[g]);
    free(groups);
    d->at.questions += count;
    return ok && save(d, err);
}

static bool run_rounds(Distill *d, XrError *err) {
    d->progress = xr_progress_begin("distill", "questions", d->at.questions, d->questions.count);
    d->sampler.progress = &d->progress;
    bool ok = true;
    while (ok && d->at.questions < d->questions.count) {
        char note[64];
        ok = run_round(d, err);
        snprintf(note, sizeof note, "%" PRId64 " of %" PRId64 " answers kept", d->at.kept,
                 d->at.responses);
        if (ok) xr_progress_update(&d->progress, d->at.questions, note);
    }
    xr_progress_end(&d->progress);
    if (!ok && err->status == XR_ERR_INTERRUPTED) {
        xr_fail(err, XR_ERR_INTERRUPTED, "interrupted; --resume goes on from there");
    }
    return ok;
}

// ---- the whole run ----

static bool check_config(const XrRunConfig *c, XrError *err) {
    if (c->temperature == 0 && c->num_generations > 1) {
        return xr_fail(err, XR_ERR_INPUT,
                       "\"num_generations\" is %" PRId64
                       ", but at \"temperature\" 0 all samples of "
                       "a prompt are the same; raise it",
                       c->num_generations);
    }
    return c->train_dataset.count ||
           xr_fail(err, XR_ERR_INPUT, "\"train_dataset\" is missing: say where the questions are");
}

static bool open_lines(const Distill *d, XrLineFile *out, const char *name, int64_t keep_bytes,
                       XrError *err) {
    char *path = xr_path_join(d->folder.path, name);
    bool ok = xr_line_file_open(out, path, keep_bytes, err);
    free(path);
    return ok;
}

static bool open_all(Distill *d, XrError *err) {
    const XrRunConfig *c = d->config;
    XrLineFile lost = {0};
    d->rewards = xr_reward_settings_of(c);
    d->verifier = xr_verifier_create(NULL);
    if (!xr_run_model_open(&d->model, d->options->backend, c, false, err) ||
        !xr_sampler_create(&d->sampler, d->model, c, err) ||
        !xr_lost_rows_open(&lost, d->folder.path, err)) {
        return false;
    }
    bool ok = xr_questions_open(&d->questions, d->model, c, &c->train_dataset,
                                xr_engine_context(d->sampler.engine), &lost, err);
    xr_line_file_close(&lost);
    if (!ok) return false;
    xr_questions_say("train_dataset", &d->questions);
    return (!d->options->resume || load(d, err)) &&
           open_lines(d, &d->samples, "samples.jsonl", d->at.samples_bytes, err) &&
           open_lines(d, &d->distilled, "distilled.jsonl", d->at.distilled_bytes, err);
}

static bool finish(Distill *d, XrError *err) {
    const XrQuestions *q = &d->questions;
    XrBuffer text = {0};
    xr_buffer_format(&text,
                     "{\"command\": \"distill\", \"rows_read\": %" PRId64
                     ", \"rows_without_gold\": %" PRId64 ", \"prompts_too_long\": %" PRId64
                     ", \"rows_invalid\": %" PRId64 ", ",
                     q->read, q->without_gold, q->overlong, q->invalid);
    add_keys(&text, &d->at);
    xr_buffer_format(&text, ", \"time/wall\": %.3f}\n", xr_seconds() - d->started);
    bool ok = xr_run_folder_finish(&d->folder, &text, err);
    xr_buffer_free(&text);
    return ok;
}

static void close_all(Distill *d) {
    xr_sampler_free(&d->sampler);
    xr_verifier_free(d->verifier);
    xr_questions_close(&d->questions);
    xr_chat_model_close(d->model);
    xr_line_file_close(&d->samples);
    xr_line_file_close(&d->distilled);
    xr_run_folder_close(&d->folder);
}

bool xr_distill_run(const XrDistillOptions *options, XrError *err) {
    Distill d = {.options = options, .config = options->config, .started = xr_seconds()};
    if (!check_config(options->config, err) ||
        !xr_run_folder_open(&d.folder, options->config, options->resume, err)) {
        return false;
    }
    bool ok = open_all(&d, err) && run_rounds(&d, err) && finish(&d, err);
    close_all(&d);
    return ok;
}
