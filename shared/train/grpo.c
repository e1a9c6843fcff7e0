#include "shared/train/grpo.h"

#include "shared/base/file.h"
#include "shared/base/interrupt.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/train/checkpoint.h"
#include "shared/train/export.h"
#include "shared/train/grpo_batch.h"
#include "shared/train/grpo_metrics.h"
#include "shared/train/lost_rows.h"
#include "shared/train/policy.h"
#include "shared/train/run_folder.h"
#include "shared/train/run_model.h"
#include "shared/train/samples.h"
#include "shared/train/schedule.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// A run in progress.
typedef struct Grpo {
    const XrGrpoOptions *options;
    const XrRunConfig *config;
    XrRunFolder folder;
    XrLineFile metrics, samples;
    XrChatModel *chat_model;
    XrModel *reference_model; // NULL where beta is 0
    XrTrainState state;
    XrTrainState reference; // its `model` alone
    XrPolicy policy, reference_policy;
    XrPolicyLoss loss;
    XrQuestions questions, eval;
    XrReplay replay;
    XrGrpoSource source;
    XrCheckpointInfo info; // the position: what a checkpoint would say now
    XrSchedule schedule;
    int64_t total_steps;
    int64_t saved;                          // step of the newest checkpoint; -1: none
    int64_t responses, truncated, replaced; // so far
    int64_t forced_exits, verdicts[XR_VERDICTS];
    double started;
    XrProgress progress;
} Grpo;

// ---- checkpoints ----

// What the trainer adds to a checkpoint, and to summary.json but for the cursor.
typedef struct Count {
    char name[40];
    int64_t *value;
} Count;

enum { COUNTS = 5 + XR_VERDICTS };

static void list_counts(Grpo *s, Count out[COUNTS]) {
    const Count counts[] = {{"cursor", &s->source.cursor},
                            {"responses", &s->responses},
                            {"responses_truncated", &s->truncated},
                            {"forced_exits", &s->forced_exits},
                            {"groups_replaced", &s->replaced}};
    memcpy(out, counts, sizeof counts);
    for (int i = 0; i < XR_VERDICTS; i++) {
        Count *c = &out[XR_COUNT(counts) + (size_t)i];
        snprintf(c->name, sizeof c->name, "verdict/%s", xr_verdict_name((XrVerdict)i));
        c->value = &s->verdicts[i];
    }
}

// From counts[first] on, without braces.
static void add_counts(Grpo *s, int first, XrBuffer *out) {
    Count counts[COUNTS];
    list_counts(s, counts);
    for (int i = first; i < COUNTS; i++) {
        xr_buffer_format(out, "%s\"%s\": %" PRId64, i > first ? ", " : "", counts[i].name,
                         *counts[i].value);
    }
}

static void write_extra(Grpo *s) {
    xr_buffer_clear(&s->info.extra);
    xr_buffer_byte(&s->info.extra, '{');
    add_counts(s, 0, &s->info.extra);
    xr_buffer_byte(&s->info.extra, '}');
}

static bool read_extra(Grpo *s, XrError *err) {
    XrJson json;
    const char *name = s->folder.checkpoint;
    if (!xr_json_parse(&json, name, s->info.extra.data, s->info.extra.length, &XR_JSON_SMALL,
                       err)) {
        return false;
    }
    Count counts[COUNTS];
    list_counts(s, counts);
    bool ok = true;
    for (int i = 0; ok && i < COUNTS; i++) {
        ok = xr_json_need_int(&json, json.root, counts[i].name, counts[i].value, err);
        if (ok && *counts[i].value < 0) {
            ok = xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" is negative; the checkpoint is damaged",
                         name, counts[i].name);
        }
    }
    xr_json_free(&json);
    return ok;
}

// Unless there is one of this step already.
static bool save(Grpo *s, XrError *err) {
    if (s->saved == s->info.step) return true;
    write_extra(s);
    bool ok =
        xr_line_file_sync(&s->metrics, &s->info.metrics_bytes, err) &&
        xr_line_file_sync(&s->samples, &s->info.samples_bytes, err) &&
        xr_checkpoint_write(s->folder.path, &s->info, &s->state, s->config->save_total_limit, err);
    if (ok) s->saved = s->info.step;
    return ok;
}

// ---- one batch ----

static bool any_without_logprobs(const XrPolicyItem *items, int count) {
    for (int i = 0; i < count; i++) {
        if (!items[i].rollout->logprobs) return true;
    }
    return false;
}

// Log-probabilities that the loss needs and nobody has recorded.
static bool evaluate_policies(Grpo *s, const XrPolicyItem *items, int count, double *seconds,
                              XrError *err) {
    double started = xr_seconds();
    bool ok = !any_without_logprobs(items, count) ||
              xr_policy_evaluate(&s->policy, items, count, false, err);
    ok = ok &&
         (!s->reference_model || xr_policy_evaluate(&s->reference_policy, items, count, true, err));
    *seconds = xr_seconds() - started;
    return ok;
}

static bool write_metrics(Grpo *s, const XrGrpoBatch *batch, const XrGrpoStep *step, XrError *err) {
    if (s->options->comm->rank != 0) return true;
    if (s->info.step % s->config->logging_steps != 0 && s->info.step != s->total_steps) return true;
    XrMetrics m = {0};
    xr_metrics_begin(&m, s->info.step);
    xr_grpo_metrics(&m, batch, step, s->reference_model != NULL, s->config->dual_clip > 0);
    bool ok = xr_metrics_write(&m, &s->metrics, err);
    xr_metrics_free(&m);
    return ok;
}

static void show(Grpo *s, const XrGrpoBatch *batch, const XrGrpoStep *step) {
    XrBuffer note = {0};
    xr_buffer_format(&note, "reward %.3f, loss %.4f, %.0f tokens a response", batch->rewards.reward,
                     step->policy.sums.loss, (double)batch->tokens / (double)batch->responses);
    if (s->state.skipped) xr_buffer_format(&note, ", %" PRId64 " steps skipped", s->state.skipped);
    xr_progress_update(&s->progress, s->info.step, note.data);
    xr_buffer_free(&note);
}

static bool run_step(Grpo *s, const XrGrpoBatch *batch, const XrPolicyItem *items, int count,
                     XrGrpoStep *step, XrError *err) {
    const XrRunConfig *c = s->config;
    XrAdamWSettings adamw = {c->adam_beta1, c->adam_beta2, c->adam_epsilon, c->weight_decay,
                             c->max_grad_norm};
    double started = xr_seconds();
    step->learning_rate = xr_schedule_rate(&s->schedule, s->info.step, (int64_t)step->epoch);
    if (!xr_policy_accumulate(&s->policy, &s->loss, items, count, &step->policy, err) ||
        !xr_train_step(&s->state, &adamw, step->learning_rate, &step->grad_norm, err)) {
        return false;
    }
    step->update_seconds = xr_seconds() - started;
    step->skipped = s->state.skipped;
    step->num_tokens = s->info.num_tokens;
    s->info.step++;
    show(s, batch, step);
    return write_metrics(s, batch, step, err);
}

// All optimiser steps that a batch is for.
static bool run_steps(Grpo *s, const XrGrpoBatch *batch, double epoch, XrError *err) {
    XrPolicyItem *items;
    int count = xr_policy_items(&s->policy, batch->groups, batch->count, &items);
    int64_t parts = s->config->steps_per_generation;
    int64_t steps = parts * s->config->num_iterations;
    double reference = 0;
    bool ok = evaluate_policies(s, items, count, &reference, err);
    for (int64_t i = 0; ok && i < steps && s->info.step < s->total_steps; i++) {
        int64_t begin = count * (i % parts) / parts, end = count * (i % parts + 1) / parts;
        XrGrpoStep step = {.first = i == 0, .epoch = epoch, .reference_seconds = reference};
        ok = run_step(s, batch, items + begin, (int)(end - begin), &step, err);
    }
    free(items);
    return ok;
}

static bool write_samples(Grpo *s, const XrGrpoBatch *batch, XrError *err) {
    bool ok = true;
    for (int g = 0; ok && g < batch->count; g++) {
        ok = xr_samples_write(&s->samples, s->chat_model->tokenizer, &batch->groups[g],
                              s->info.step + 1, err);
    }
    return ok;
}

// Greedy answers to all of eval_dataset.
static bool evaluate(Grpo *s, XrError *err) {
    enum { AT_A_TIME = 256 };
    XrGrpoBatch all = {0};
    XrSampler greedy = s->source.sampler;
    greedy.request.sampling.temperature = 0;
    double correct = 0;
    bool ok = true;
    for (int64_t first = 0; ok && first < s->eval.count; first += AT_A_TIME) {
        XrRolloutGroup groups[AT_A_TIME] = {0};
        int count = (int)XR_MIN(AT_A_TIME, s->eval.count - first);
        for (int i = 0; i < count; i++) {
            groups[i].number = (uint64_t)(first + i);
            groups[i].question = &s->eval.items[first + i];
        }
        ok = xr_grpo_sample(&s->source, &greedy, groups, count, 1, &all, err);
        for (int i = 0; i < count; i++) {
            for (int k = 0; ok && k < groups[i].count; k++) {
                const XrRollout *r = &groups[i].rollouts[k];
                correct += r->score;
                all.responses++;
                all.tokens += r->count;
                all.truncated += r->truncated;
            }
            xr_rollout_group_free(&groups[i]);
        }
    }
    if (!ok || s->options->comm->rank != 0) return ok;
    XrMetrics m = {0};
    xr_metrics_begin(&m, s->info.step);
    xr_grpo_eval_metrics(&m, &all, correct / (double)all.responses);
    ok = xr_metrics_write(&m, &s->metrics, err);
    xr_metrics_free(&m);
    return ok;
}

// Whether the steps from `before` to now have passed a multiple of `every`, or reached the end.
static bool is_due(const Grpo *s, int64_t before, int64_t every) {
    return (every > 0 && s->info.step / every > before / every) || s->info.step == s->total_steps;
}

static bool run_batch(Grpo *s, XrError *err) {
    XrGrpoBatch batch;
    int64_t before = s->info.step;
    double epoch = xr_grpo_source_epoch(&s->source);
    s->source.sampler.done = before;
    if (!xr_grpo_batch_next(&s->source, &batch, err)) return false;
    s->responses += batch.responses;
    s->truncated += batch.truncated;
    s->replaced += batch.replaced;
    s->forced_exits += batch.forced_responses;
    for (int i = 0; i < XR_VERDICTS; i++) s->verdicts[i] += batch.verdicts[i];
    s->info.num_tokens += batch.prompt_tokens + batch.tokens;
    bool ok = write_samples(s, &batch, err) && run_steps(s, &batch, epoch, err);
    xr_grpo_batch_free(&s->source, &batch);
    if (ok && s->eval.count && is_due(s, before, s->config->eval_steps)) ok = evaluate(s, err);
    if (ok && s->config->save_steps && is_due(s, before, s->config->save_steps)) ok = save(s, err);
    return ok;
}

static bool show_policy(const Grpo *s, XrError *err) {
    const XrGrpoOptions *o = s->options;
    return !o->watch || o->watch(o->context, s->info.step, s->chat_model, err);
}

static bool train(Grpo *s, XrError *err) {
    s->progress = xr_progress_begin("grpo", "steps", s->info.step, s->total_steps);
    bool ok = show_policy(s, err);
    while (ok && s->info.step < s->total_steps) {
        ok = run_batch(s, err) && show_policy(s, err);
        bool stopped = !ok && err->status == XR_ERR_INTERRUPTED;
        if ((!ok && !stopped) || !xr_interrupted() || s->info.step == s->total_steps) continue;
        XrError failure = {0};
        ok = false;
        if (save(s, &failure)) {
            xr_fail(err, XR_ERR_INTERRUPTED,
                    "interrupted after step %" PRId64 "; --resume goes on from there",
                    s->info.step);
        } else {
            *err = failure;
        }
    }
    xr_progress_end(&s->progress);
    return ok;
}

// ---- the whole run ----

static bool check_config(const XrRunConfig *c, bool replay, XrError *err) {
    int64_t responses =
        c->per_device_train_batch_size * c->gradient_accumulation_steps * c->steps_per_generation;
    if (c->temperature <= 0) {
        return xr_fail(err, XR_ERR_INPUT,
                       "\"temperature\" is 0, but all samples of a prompt would then be the same; "
                       "set it above 0");
    }
    if (c->dual_clip > 0 && c->dual_clip <= 1) {
        return xr_fail(err, XR_ERR_INPUT, "\"dual_clip\" is %g, but must be 0 (off) or above 1",
                       c->dual_clip);
    }
    if (!replay && responses % c->num_generations != 0) {
        return xr_fail(err, XR_ERR_INPUT,
                       "a batch of rollouts has per_device_train_batch_size x "
                       "gradient_accumulation_steps x steps_per_generation = %" PRId64
                       " responses, which num_generations (%" PRId64
                       ") must divide; change one of them",
                       responses, c->num_generations);
    }
    if (!replay && c->train_dataset.count == 0) {
        return xr_fail(err, XR_ERR_INPUT,
                       "\"train_dataset\" is missing: say where the questions are");
    }
    return true;
}

static bool open_sampler(Grpo *s, XrError *err) {
    XrGrpoSource *source = &s->source;
    const XrRunConfig *c = s->config;
    source->verifier = xr_verifier_create(NULL);
    if (!xr_sampler_create(&source->sampler, s->chat_model, c, err)) return false;
    source->sampler.progress = &s->progress;
    return true;
}

static void add_fingerprints(Grpo *s, const XrQuestions *q) {
    for (int i = 0; i < q->sources; i++) {
        xr_checkpoint_add_file(&s->info, q->paths[i], q->hashes[i]);
    }
}

static bool open_questions(Grpo *s, XrLineFile *lost, XrError *err) {
    const XrRunConfig *c = s->config;
    int64_t context = xr_engine_context(s->source.sampler.engine);
    const XrQuestions *q = &s->questions;
    if (!xr_questions_open(&s->questions, s->chat_model, c, &c->train_dataset, context, lost,
                           err)) {
        return false;
    }
    xr_questions_say("train_dataset", q);
    add_fingerprints(s, q);
    s->source.questions = q;
    s->source.prompts = (int)(c->per_device_train_batch_size * c->gradient_accumulation_steps *
                              c->steps_per_generation / c->num_generations);
    return true;
}

static bool open_replay(Grpo *s, XrError *err) {
    int64_t context = s->chat_model->model->config.max_positions;
    int64_t vocab = s->chat_model->model->config.vocab;
    if (!xr_replay_open(&s->replay, s->options->replay, vocab, err)) return false;
    if (s->replay.longest > context) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: a prompt and its response have %" PRId64
                       " tokens, but the model's context is %" PRId64,
                       s->options->replay, s->replay.longest, context);
    }
    xr_checkpoint_add_file(&s->info, s->options->replay, s->replay.hash);
    s->source.replay = &s->replay;
    return true;
}

static bool open_sampled(Grpo *s, XrLineFile *lost, XrError *err) {
    const XrRunConfig *c = s->config;
    bool evaluated = c->eval_dataset.count > 0;
    int64_t context = s->chat_model->model->config.max_positions;
    bool sampling = !s->options->replay || evaluated;
    if (sampling && !open_sampler(s, err)) return false;
    if (!s->options->replay && !open_questions(s, lost, err)) return false;
    if (evaluated &&
        !xr_questions_open(&s->eval, s->chat_model, c, &c->eval_dataset, context, lost, err)) {
        return false;
    }
    if (evaluated) xr_questions_say("eval_dataset", &s->eval);
    add_fingerprints(s, &s->eval);
    return true;
}

static bool open_data(Grpo *s, XrError *err) {
    XrLineFile lost = {0};
    s->source.config = s->config;
    s->source.settings = xr_reward_settings_of(s->config);
    bool ok = (s->options->comm->rank != 0 || xr_lost_rows_open(&lost, s->folder.path, err)) &&
              open_sampled(s, &lost, err) && (!s->options->replay || open_replay(s, err));
    xr_line_file_close(&lost);
    return ok;
}

// By max_steps, or by epochs of the questions; recorded rollouts are gone through once.
static int64_t count_steps(const Grpo *s) {
    const XrRunConfig *c = s->config;
    int64_t of_batch = c->steps_per_generation * c->num_iterations;
    if (s->source.replay) {
        int64_t all = s->replay.batches * of_batch;
        return c->max_steps > 0 ? XR_MIN(c->max_steps, all) : all;
    }
    if (c->max_steps > 0) return c->max_steps;
    double prompts = c->num_train_epochs * (double)s->questions.count;
    return (int64_t)ceil(prompts / (double)s->source.prompts) * of_batch;
}

static bool open_policies(Grpo *s, XrError *err) {
    const XrRunConfig *c = s->config;
    s->loss = xr_policy_loss_of(c);
    s->policy =
        xr_policy_create(&s->state, c, c->gradient_checkpointing ? XR_KEEP_INPUTS : XR_KEEP_ALL);
    if (s->loss.objective.kl == XR_KL_NONE) return true;
    // In the policy's type, so that both say the same before the first step.
    XrWeightType type = c->bf16 ? XR_WEIGHTS_BF16 : XR_WEIGHTS_AS_STORED;
    if (!xr_model_open(&s->reference_model, s->options->backend, c->model_name_or_path, type, false,
                       err)) {
        return false;
    }
    s->reference_model->activations = s->chat_model->model->activations;
    s->reference = (XrTrainState){.model = s->reference_model, .comm = s->options->comm};
    s->reference_policy = xr_policy_create(&s->reference, c, XR_KEEP_NOTHING);
    return true;
}

static bool open_lines(const Grpo *s, XrLineFile *out, const char *name, int64_t keep,
                       XrError *err) {
    char *path = xr_path_join(s->folder.path, name);
    bool ok = s->options->comm->rank != 0 || xr_line_file_open(out, path, keep, err);
    free(path);
    return ok;
}

// The state comes before the engine, whose weights it moves.
static bool open_training(Grpo *s, XrError *err) {
    const XrRunConfig *c = s->config;
    if (!xr_run_model_open(&s->chat_model, s->options->backend, c, true, err) ||
        !xr_train_state_create(&s->state, s->chat_model->model, s->options->comm,
                               xr_run_state_options(c, s->folder.path), err) ||
        !open_policies(s, err) || !open_data(s, err) ||
        !xr_run_model_fingerprint(&s->info, s->chat_model, err)) {
        return false;
    }
    if (s->folder.checkpoint &&
        !(xr_checkpoint_read(s->folder.checkpoint, &s->info, &s->state, err) &&
          read_extra(s, err))) {
        return false;
    }
    if (s->folder.checkpoint) s->saved = s->info.step;
    s->total_steps = count_steps(s);
    s->schedule = xr_schedule_create(c, s->total_steps);
    return open_lines(s, &s->metrics, "metrics.jsonl", s->info.metrics_bytes, err) &&
           open_lines(s, &s->samples, "samples.jsonl", s->info.samples_bytes, err);
}

static bool write_summary(Grpo *s, XrError *err) {
    const XrQuestions *q = &s->questions;
    XrBuffer text = {0};
    xr_buffer_format(&text,
                     "{\"command\": \"grpo\", \"steps\": %" PRId64 ", \"skipped_steps\": %" PRId64
                     ", \"num_tokens\": %" PRId64 ", \"rows_read\": %" PRId64
                     ", \"questions\": %" PRId64 ", \"rows_without_gold\": %" PRId64
                     ", \"prompts_too_long\": %" PRId64 ", \"rows_invalid\": %" PRId64 ", ",
                     s->info.step, s->state.skipped, s->info.num_tokens, q->read, q->count,
                     q->without_gold, q->overlong, q->invalid);
    add_counts(s, 1, &text);
    xr_buffer_format(&text, ", \"time/wall\": %.3f}\n", xr_seconds() - s->started);
    bool ok = xr_run_folder_finish(&s->folder, &text, err);
    xr_buffer_free(&text);
    return ok;
}

static bool finish(Grpo *s, XrError *err) {
    char *path = xr_path_join(s->folder.path, "model");
    bool ok = xr_train_export(&s->state, path, s->config->save_dtype, err) &&
              (s->options->comm->rank != 0 || write_summary(s, err));
    free(path);
    return ok;
}

static void close_all(Grpo *s) {
    xr_policy_free(&s->policy);
    xr_policy_free(&s->reference_policy);
    xr_grpo_source_close(&s->source);
    xr_questions_close(&s->questions);
    xr_questions_close(&s->eval);
    xr_replay_close(&s->replay);
    xr_train_state_free(&s->state);
    xr_chat_model_close(s->chat_model);
    xr_model_close(s->reference_model);
    xr_line_file_close(&s->metrics);
    xr_line_file_close(&s->samples);
    xr_checkpoint_info_free(&s->info);
    xr_run_folder_close(&s->folder);
}

bool xr_grpo_run(const XrGrpoOptions *options, XrError *err) {
    Grpo s = {.options = options, .config = options->config, .started = xr_seconds(), .saved = -1};
    if (!check_config(options->config, options->replay != NULL, err) ||
        !xr_run_folder_open(&s.folder, options->config, options->resume, err)) {
        return false;
    }
    bool ok = true;
    if (options->resume && xr_run_folder_finished(&s.folder)) {
        fprintf(stderr, "%s: the run is finished\n", s.folder.path);
    } else {
        if (options->resume) xr_run_folder_say_resumed(&s.folder);
        ok = open_training(&s, err) && train(&s, err) && finish(&s, err);
    }
    close_all(&s);
    return ok;
}
