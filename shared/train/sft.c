#include "shared/train/sft.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/train/checkpoint.h"
#include "shared/train/export.h"
#include "shared/base/interrupt.h"
#include "shared/train/lost_rows.h"
#include "shared/train/metrics.h"
#include "shared/train/pack.h"
#include "shared/train/pass.h"
#include "shared/train/progress.h"
#include "shared/train/run_model.h"
#include "shared/train/run_folder.h"
#include "shared/train/schedule.h"
#include "shared/train/sft_data.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// A run in progress.
typedef struct Sft {
    const XrSftOptions *options;
    const XrRunConfig *config;
    XrRunFolder folder;
    XrLineFile metrics;
    XrChatModel *chat_model;
    XrSftData data, eval;
    XrTrainState state;
    XrTrainPass pass;
    XrCheckpointInfo info; // the position: what a checkpoint would say now
    XrPackSettings pack;
    XrPackPlan plan; // of epoch info.epoch
    XrSchedule schedule;
    int64_t total_steps;
    double started;
} Sft;

// ---- one micro-batch ----

// A micro-batch on the host.
typedef struct Micro {
    XrSftSequence *sequences;
    XrTrainSequence *packed;
    int32_t *rows, *targets;
    int64_t count, tokens, target_count;
} Micro;

static void micro_free(Micro *m) {
    for (int64_t i = 0; i < m->count; i++) xr_sft_sequence_free(&m->sequences[i]);
    free(m->sequences);
    free(m->packed);
    free(m->rows);
    free(m->targets);
}

// Rows order[begin, end) of the data, and the rows of the packed batch that have a target.
static bool micro_read(Micro *m, const XrSftData *data, const int64_t *order, int64_t count,
                       XrError *err) {
    *m = (Micro){.sequences = xr_calloc((size_t)count, sizeof *m->sequences),
                 .packed = xr_calloc((size_t)count, sizeof *m->packed)};
    for (int64_t i = 0; i < count; i++) m->target_count += data->targets[order[i]];
    m->rows = xr_malloc(((size_t)m->target_count + 1) * sizeof *m->rows);
    m->targets = xr_malloc(((size_t)m->target_count + 1) * sizeof *m->targets);
    int64_t used = 0;
    for (int64_t i = 0; i < count; i++) {
        XrSftSequence *s = &m->sequences[i];
        if (!xr_sft_data_sequence(data, order[i], s, err)) return false;
        m->count = i + 1;
        m->packed[i] = (XrTrainSequence){s->ids.data, (int64_t)s->ids.count, &s->pixels};
        XR_REQUIRE(m->packed[i].count == data->tokens[order[i]], "row %lld has %lld tokens, not %d",
                   (long long)order[i], (long long)m->packed[i].count, data->tokens[order[i]]);
        for (int64_t t = 1; t < m->packed[i].count; t++) {
            if (!s->target[t]) continue;
            m->rows[used] = (int32_t)(m->tokens + t - 1);
            m->targets[used++] = s->ids.data[t];
        }
        m->tokens += m->packed[i].count;
    }
    return true;
}

// Sums over the targets of an optimiser step.
typedef struct Sums {
    double loss, entropy; // of -log p, of the distributions' entropies
    double correct;       // targets that are the most probable token
    double targets, tokens;
    double data_seconds; // this rank's, of rendering and packing rows
} Sums;

static void add_sums(XrTrainPass *pass, const Micro *m, Sums *sums) {
    XrBackend *b = pass->state->model->backend;
    float *values = xr_malloc(sizeof *values * ((size_t)pass->rows + 1));
    xr_download(b, values, &pass->logprob);
    for (int64_t i = 0; i < pass->rows; i++) sums->loss -= values[i];
    xr_download(b, values, &pass->entropy);
    for (int64_t i = 0; i < pass->rows; i++) sums->entropy += values[i];
    free(values);
    int32_t *best = xr_malloc(sizeof *best * ((size_t)pass->rows + 1));
    xr_download(b, best, &pass->best);
    for (int64_t i = 0; i < pass->rows; i++) sums->correct += best[i] == m->targets[i];
    free(best);
    sums->targets += (double)m->target_count;
    sums->tokens += (double)m->tokens;
}

// Every target weighs the same in the loss, *context.
static bool equal_shares(void *context, XrTrainPass *pass, int64_t first, int64_t count,
                         XrError *err) {
    const double *share = context;
    float *gradient = xr_malloc(sizeof *gradient * (size_t)count);
    for (int64_t i = 0; i < count; i++) gradient[i] = (float)-*share;
    XrTensor dlogprob = xr_rows(&pass->dlogprob, first, count);
    xr_upload(pass->state->model->backend, &dlogprob, gradient);
    free(gradient);
    return true;
}

// Forward, and with `share` (what one target weighs in the loss) not 0, backward.
static bool run_micro(Sft *s, const XrSftData *data, const int64_t *order, int64_t count,
                      double share, Sums *sums, XrError *err) {
    Micro m;
    double started = xr_seconds();
    bool ok = micro_read(&m, data, order, count, err);
    sums->data_seconds += xr_seconds() - started;
    XrTrainBatch batch = {m.packed, (int)m.count, m.rows, m.targets, m.target_count, 1, true};
    if (ok && share > 0)
        ok = xr_train_pass_learn(&s->pass, &batch, equal_shares, &share, err);
    else if (ok)
        ok = xr_train_pass_evaluate(&s->pass, &batch, err);
    if (ok) add_sums(&s->pass, &m, sums);
    micro_free(&m);
    return ok;
}

static bool sum_over_ranks(Sft *s, Sums *sums, XrError *err) {
    double values[] = {sums->loss, sums->entropy, sums->correct, sums->targets, sums->tokens};
    if (!s->options->comm->sum_f64(s->options->comm, values, XR_COUNT(values), err)) return false;
    *sums = (Sums){values[0], values[1], values[2], values[3], values[4], sums->data_seconds};
    return true;
}

// ---- one optimiser step ----

static int64_t targets_of(const XrSftData *data, const XrPackPlan *plan, int64_t first,
                          int64_t end) {
    int64_t targets = 0;
    for (int64_t i = plan->begin[first]; i < plan->begin[end]; i++) {
        targets += data->targets[plan->order[i]];
    }
    return targets;
}

// Micro-batches of the step are dealt out to the ranks in turn.
static bool run_step(Sft *s, Sums *sums, double *grad_norm, double rate, XrError *err) {
    const XrComm *comm = s->options->comm;
    int64_t first = s->info.epoch_step * s->pack.accumulate;
    int64_t end = XR_MIN(first + s->pack.accumulate, s->plan.micro_batches);
    double share = 1 / (double)targets_of(&s->data, &s->plan, first, end);
    for (int64_t m = first; m < end; m++) {
        if ((m - first) % comm->size != comm->rank) continue;
        const int64_t *order = s->plan.order + s->plan.begin[m];
        int64_t rows = s->plan.begin[m + 1] - s->plan.begin[m];
        if (!run_micro(s, &s->data, order, rows, share, sums, err)) return false;
    }
    XrAdamWSettings adamw = {s->config->adam_beta1, s->config->adam_beta2, s->config->adam_epsilon,
                             s->config->weight_decay, s->config->max_grad_norm};
    return sum_over_ranks(s, sums, err) && xr_train_step(&s->state, &adamw, rate, grad_norm, err);
}

static bool log_step(Sft *s, const Sums *sums, double grad_norm, double rate, double seconds,
                     XrError *err) {
    if (s->options->comm->rank != 0) return true;
    if (s->info.step % s->config->logging_steps != 0 && s->info.step != s->total_steps) return true;
    XrMetrics m = {0};
    double part = (double)s->info.epoch_step / (double)s->plan.steps;
    xr_metrics_begin(&m, s->info.step);
    xr_metrics_real(&m, "loss", sums->loss / sums->targets);
    xr_metrics_real(&m, "grad_norm", grad_norm);
    xr_metrics_real(&m, "learning_rate", rate);
    xr_metrics_real(&m, "epoch", (double)s->info.epoch + part);
    xr_metrics_real(&m, "entropy", sums->entropy / sums->targets);
    xr_metrics_real(&m, "mean_token_accuracy", sums->correct / sums->targets);
    xr_metrics_whole(&m, "num_tokens", s->info.num_tokens);
    xr_metrics_whole(&m, "num_target_tokens", (int64_t)sums->targets);
    xr_metrics_whole(&m, "skipped_steps", s->state.skipped);
    xr_metrics_real(&m, "tokens_per_second", sums->tokens / seconds);
    xr_metrics_real(&m, "time/data", sums->data_seconds);
    xr_metrics_real(&m, "time/step", seconds);
    bool ok = xr_metrics_write(&m, &s->metrics, err);
    xr_metrics_free(&m);
    return ok;
}

// Loss on the rows of eval_dataset, packed as in training.
static bool evaluate(Sft *s, XrError *err) {
    Sums sums = {0};
    double started = xr_seconds();
    XrPackPlan plan = xr_pack_plan(s->eval.tokens, s->eval.counts.used, &s->pack, false, 0, 0);
    bool ok = true;
    for (int64_t m = 0; ok && m < plan.micro_batches; m++) {
        if (m % s->options->comm->size != s->options->comm->rank) continue;
        ok = run_micro(s, &s->eval, plan.order + plan.begin[m], plan.begin[m + 1] - plan.begin[m],
                       0, &sums, err);
    }
    xr_pack_plan_free(&plan);
    if (!ok || !sum_over_ranks(s, &sums, err)) return false;
    if (s->options->comm->rank != 0) return true;
    XrMetrics m = {0};
    xr_metrics_begin(&m, s->info.step);
    xr_metrics_real(&m, "eval/loss", sums.loss / sums.targets);
    xr_metrics_real(&m, "eval/entropy", sums.entropy / sums.targets);
    xr_metrics_real(&m, "eval/mean_token_accuracy", sums.correct / sums.targets);
    xr_metrics_whole(&m, "eval/num_target_tokens", (int64_t)sums.targets);
    xr_metrics_real(&m, "time/eval", xr_seconds() - started);
    ok = xr_metrics_write(&m, &s->metrics, err);
    xr_metrics_free(&m);
    return ok;
}

// ---- the whole run ----

static void make_plan(Sft *s, int64_t epoch, XrPackPlan *out) {
    *out = xr_pack_plan(s->data.tokens, s->data.counts.used, &s->pack, s->config->shuffle,
                        (uint64_t)s->config->seed, (uint64_t)epoch);
}

// Steps by max_steps, or by epochs: the packing of each decides how many it has; a last part of an
// epoch takes that part of its steps, rounded up.
static int64_t count_steps(Sft *s) {
    if (s->config->max_steps > 0) return s->config->max_steps;
    double epochs = s->config->num_train_epochs;
    int64_t steps = 0;
    for (int64_t epoch = 0; (double)epoch < epochs; epoch++) {
        XrPackPlan plan;
        make_plan(s, epoch, &plan);
        double part = fmin(1, epochs - (double)epoch);
        steps += (int64_t)ceil(part * (double)plan.steps);
        xr_pack_plan_free(&plan);
    }
    return steps;
}

static bool save(Sft *s, XrError *err) {
    return xr_line_file_sync(&s->metrics, &s->info.metrics_bytes, err) &&
           xr_checkpoint_write(s->folder.path, &s->info, &s->state, s->config->save_total_limit,
                               err);
}

static void advance(Sft *s, const Sums *sums) {
    s->info.step++;
    s->info.num_tokens += (int64_t)sums->tokens;
    s->info.epoch_step++;
}

static void begin_next_epoch(Sft *s) {
    if (s->info.epoch_step < s->plan.steps) return;
    s->info.epoch++;
    s->info.epoch_step = 0;
    xr_pack_plan_free(&s->plan);
    make_plan(s, s->info.epoch, &s->plan);
}

static bool is_due(int64_t step, int64_t every, int64_t total) {
    return (every > 0 && step % every == 0) || step == total;
}

static void show(XrProgress *progress, const Sft *s, const Sums *sums, double norm,
                 double seconds) {
    XrBuffer note = {0};
    xr_buffer_format(&note, "loss %.4f, gradient norm %.3g, %.0f tokens/s",
                     sums->loss / sums->targets, norm, sums->tokens / seconds);
    if (s->state.skipped) xr_buffer_format(&note, ", %" PRId64 " steps skipped", s->state.skipped);
    xr_progress_update(progress, s->info.step, note.data);
    xr_buffer_free(&note);
}

static bool train(Sft *s, XrError *err) {
    XrProgress progress = xr_progress_begin("sft", "steps", s->info.step, s->total_steps);
    bool ok = true, evaluated = s->eval.source_count > 0;
    while (ok && s->info.step < s->total_steps) {
        Sums sums = {0};
        double norm = 0, started = xr_seconds();
        double rate = xr_schedule_rate(&s->schedule, s->info.step, s->info.epoch);
        ok = run_step(s, &sums, &norm, rate, err);
        if (!ok) break;
        double seconds = xr_seconds() - started;
        advance(s, &sums);
        ok = log_step(s, &sums, norm, rate, seconds, err);
        show(&progress, s, &sums, norm, seconds);
        if (ok && evaluated && is_due(s->info.step, s->config->eval_steps, s->total_steps)) {
            ok = evaluate(s, err);
        }
        begin_next_epoch(s);
        bool stop = xr_interrupted() && s->info.step < s->total_steps;
        bool due = s->config->save_steps > 0 &&
                   is_due(s->info.step, s->config->save_steps, s->total_steps);
        if (ok && (due || stop)) ok = save(s, err);
        if (ok && stop) {
            ok = xr_fail(err, XR_ERR_INTERRUPTED,
                         "interrupted after step %" PRId64 "; --resume goes on from there",
                         s->info.step);
        }
    }
    xr_progress_end(&progress);
    return ok;
}

// What the run depends on beside its configuration.
static bool add_fingerprints(Sft *s, XrError *err) {
    for (int i = 0; i < s->data.source_count; i++) {
        xr_checkpoint_add_file(&s->info, s->data.sources[i].rows.path,
                               s->data.sources[i].rows.hash);
    }
    for (int i = 0; i < s->eval.source_count; i++) {
        xr_checkpoint_add_file(&s->info, s->eval.sources[i].rows.path,
                               s->eval.sources[i].rows.hash);
    }
    return xr_run_model_fingerprint(&s->info, s->chat_model, err);
}

static XrSftDataSettings data_settings(const XrRunConfig *c) {
    XrOverlong overlong = strcmp(c->overlong, "drop") == 0    ? XR_OVERLONG_DROP
                          : strcmp(c->overlong, "error") == 0 ? XR_OVERLONG_ERROR
                                                              : XR_OVERLONG_TRUNCATE;
    return (XrSftDataSettings){c->max_length, overlong, c->prompt_template,
                               strcmp(c->invalid_rows, "drop") == 0};
}

static void say_counts(const char *what, const XrSftCounts *n) {
    fprintf(stderr,
            "%s: %" PRId64 " rows, %" PRId64 " used (%" PRId64 " truncated), %" PRId64
            " dropped for their length, %" PRId64 " without a target, %" PRId64 " invalid; %" PRId64
            " tokens, %" PRId64 " of them targets\n",
            what, n->read, n->used, n->truncated, n->dropped, n->without_target, n->invalid,
            n->tokens, n->targets);
}

static bool open_data(Sft *s, XrError *err) {
    const XrRunConfig *c = s->config;
    XrSftDataSettings settings = data_settings(c);
    XrLineFile lost = {0};
    if (c->train_dataset.count == 0) {
        return xr_fail(err, XR_ERR_INPUT, "\"train_dataset\" is missing: say what is learnt from");
    }
    bool evaluated = c->eval_dataset.count > 0;
    bool ok = (s->options->comm->rank != 0 || xr_lost_rows_open(&lost, s->folder.path, err)) &&
              xr_sft_data_open(&s->data, s->chat_model, &c->train_dataset, &settings, &lost, err) &&
              (!evaluated ||
               xr_sft_data_open(&s->eval, s->chat_model, &c->eval_dataset, &settings, &lost, err));
    xr_line_file_close(&lost);
    if (ok) say_counts("train_dataset", &s->data.counts);
    if (ok && evaluated) say_counts("eval_dataset", &s->eval.counts);
    return ok;
}

static int64_t capacity_of(const Sft *s) {
    int64_t most = xr_pack_most_tokens(s->data.tokens, s->data.counts.used, &s->pack);
    if (!s->eval.source_count) return most;
    return XR_MAX(most, xr_pack_most_tokens(s->eval.tokens, s->eval.counts.used, &s->pack));
}

static bool open_training(Sft *s, XrError *err) {
    const XrRunConfig *c = s->config;
    s->pack = (XrPackSettings){c->packing, c->per_device_train_batch_size, c->max_length,
                               c->gradient_accumulation_steps * s->options->comm->size};
    XrKeep keep = c->gradient_checkpointing ? XR_KEEP_INPUTS : XR_KEEP_ALL;
    if (!xr_train_state_create(&s->state, s->chat_model->model, s->options->comm,
                               xr_run_state_options(c, s->folder.path), err) ||
        !xr_train_pass_create(&s->pass, &s->state, capacity_of(s), keep, err) ||
        !add_fingerprints(s, err)) {
        return false;
    }
    if (s->folder.checkpoint &&
        !xr_checkpoint_read(s->folder.checkpoint, &s->info, &s->state, err)) {
        return false;
    }
    s->total_steps = count_steps(s);
    s->schedule = xr_schedule_create(c, s->total_steps);
    make_plan(s, s->info.epoch, &s->plan);
    char *path = xr_path_join(s->folder.path, "metrics.jsonl");
    bool ok = s->options->comm->rank != 0 ||
              xr_line_file_open(&s->metrics, path, s->info.metrics_bytes, err);
    free(path);
    return ok;
}

static bool write_summary(const Sft *s, XrError *err) {
    const XrSftCounts *n = &s->data.counts;
    XrBuffer text = {0};
    xr_buffer_format(&text,
                     "{\"command\": \"sft\", \"steps\": %" PRId64 ", \"skipped_steps\": %" PRId64
                     ", \"num_tokens\": %" PRId64 ", \"rows_read\": %" PRId64
                     ", \"rows_used\": %" PRId64 ", \"rows_truncated\": %" PRId64
                     ", \"rows_dropped\": %" PRId64 ", \"rows_without_target\": %" PRId64
                     ", \"rows_invalid\": %" PRId64 ", \"tokens_an_epoch\": %" PRId64
                     ", \"targets_an_epoch\": %" PRId64 ", \"time/wall\": %.3f}\n",
                     s->info.step, s->state.skipped, s->info.num_tokens, n->read, n->used,
                     n->truncated, n->dropped, n->without_target, n->invalid, n->tokens, n->targets,
                     xr_seconds() - s->started);
    bool ok = xr_run_folder_finish(&s->folder, &text, err);
    xr_buffer_free(&text);
    return ok;
}

static bool finish(Sft *s, XrError *err) {
    char *path = xr_path_join(s->folder.path, "model");
    bool ok = xr_train_export(&s->state, path, s->config->save_dtype, err) &&
              (s->options->comm->rank != 0 || write_summary(s, err));
    free(path);
    return ok;
}

static void close_all(Sft *s) {
    xr_pack_plan_free(&s->plan);
    xr_train_pass_free(&s->pass);
    xr_train_state_free(&s->state);
    xr_sft_data_close(&s->data);
    xr_sft_data_close(&s->eval);
    xr_chat_model_close(s->chat_model);
    xr_line_file_close(&s->metrics);
    xr_checkpoint_info_free(&s->info);
    xr_run_folder_close(&s->folder);
}

bool xr_sft_run(const XrSftOptions *options, XrError *err) {
    Sft s = {.options = options, .config = options->config, .started = xr_seconds()};
    if (!xr_run_folder_open(&s.folder, options->config, options->resume, err)) return false;
    bool ok = true;
    if (options->resume && xr_run_folder_finished(&s.folder)) {
        fprintf(stderr, "%s: the run is finished\n", s.folder.path);
    } else {
        if (options->resume) xr_run_folder_say_resumed(&s.folder);
        ok = xr_run_model_open(&s.chat_model, options->backend, s.config, true, err) &&
             open_data(&s, err) && open_training(&s, err) && train(&s, err) && finish(&s, err);
    }
    close_all(&s);
    return ok;
}
