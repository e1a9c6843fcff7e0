#include "shared/eval/run.h"

#include "shared/base/memory.h"
#include "shared/eval/answerer.h"
#include "shared/eval/journal.h"
#include "shared/eval/outcome.h"
#include "shared/eval/responses.h"
#include "shared/train/progress.h"
#include "shared/train/run_folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Eval {
    const XrRunConfig *config;
    XrRunFolder folder;
    XrSuite suite;
    XrAsking asking;
    XrAnswerer *answerer; // NULL: stored responses are judged
    XrAskedList list;
    XrJournal journal;
    XrJudge *judge;
    XrLeftOuts left_out;
    XrProgress progress;
    int64_t done, tokens; // questions, and tokens of this process
    double started;
} Eval;

// ---- answers ----

static bool answered(void *context, const XrAsked *asked, const XrGenerated *generated, int count,
                     XrError *err) {
    Eval *e = context;
    char note[64] = "";
    for (int i = 0; i < count; i++) e->tokens += XR_MAX(generated[i].tokens, 0);
    if (!xr_journal_add(&e->journal, e->judge, asked, generated, count,
                        e->asking.starts_in_thinking, err)) {
        return false;
    }
    e->done++;
    double seconds = xr_seconds() - e->started;
    if (e->tokens) snprintf(note, sizeof note, "%.1f tokens/s", (double)e->tokens / seconds);
    xr_progress_update(&e->progress, e->done, note);
    return true;
}

static void left_out(void *context, const XrAsked *asked, const char *reason) {
    Eval *e = context;
    xr_left_out_add(&e->left_out, asked->at, reason);
    e->done++;
}

// Where no item can be asked: what is wrong with the first.
static bool nothing_to_ask(const XrSuite *suite, XrError *err) {
    int64_t count = 0;
    const char *first = NULL;
    for (int s = 0; s < suite->count; s++) {
        const XrSuiteSet *set = &suite->sets[s];
        for (int64_t i = 0; i < set->items.count; i++) {
            if (!set->chosen[i]) continue;
            if (!first) first = set->items.items[i].problem_text;
            count++;
        }
    }
    if (first) {
        return xr_fail(err, XR_ERR_INPUT, "none of %" PRId64 " items can be asked; %s", count,
                       first);
    }
    return xr_fail(
        err, XR_ERR_INPUT,
        "no items are left by \"skip\", \"limit\", \"max_items\" and \"items\"; take more");
}

static bool answer(Eval *e, XrError *err) {
    if (!e->list.count) return nothing_to_ask(&e->suite, err);
    const XrAnswerSink sink = {e, answered, left_out};
    int first;
    for (int64_t i = 0; i < e->list.count; i++) {
        e->done +=
            xr_asked_missing(&e->list.items[i], (int)e->config->num_generations, &first) == 0;
    }
    e->progress = xr_progress_begin("eval", "questions", e->done, e->list.count);
    bool ok = e->answerer ? e->answerer->run(e->answerer, &e->list, &sink, err)
                          : xr_responses_run(e->config, &e->suite, &e->list, &sink, err);
    xr_progress_end(&e->progress);
    if (!ok && err->status == XR_ERR_INTERRUPTED) {
        xr_fail(err, XR_ERR_INTERRUPTED, "interrupted; --resume goes on from there");
    }
    if (ok && e->list.count && !e->journal.answers.count) {
        const XrLeftOut *l = e->left_out.count ? &e->left_out.items[0] : NULL;
        ok = xr_fail(err, XR_ERR_INPUT, "none of %" PRId64 " questions has an answer; %s: %s",
                     e->list.count, l ? xr_suite_item(&e->suite, l->at)->id : "the file",
                     l ? l->reason : "names none of the items");
    }
    return ok;
}

// ---- the whole run ----

static bool check_config(const XrRunConfig *c, XrError *err) {
    if (c->temperature == 0 && c->num_generations > 1 && !c->responses) {
        return xr_fail(
            err, XR_ERR_INPUT,
            "\"num_generations\" is %" PRId64
            ", but at \"temperature\" 0 all samples of a question are the same; raise it",
            c->num_generations);
    }
    if (c->compare_forced_exit && c->think_budget < 0) {
        return xr_fail(err, XR_ERR_INPUT,
                       "\"compare_forced_exit\" needs \"think_budget\": say after how many tokens "
                       "thinking is closed");
    }
    if (c->endpoint && strncmp(c->endpoint, "http://", 7) != 0 &&
        strncmp(c->endpoint, "https://", 8) != 0) {
        return xr_fail(err, XR_ERR_INPUT,
                       "\"endpoint\" is \"%s\", but must be a URL such as http://host:port/v1",
                       c->endpoint);
    }
    if (c->endpoint && (c->think_budget >= 0 || c->compare_forced_exit)) {
        return xr_fail(err, XR_ERR_UNSUPPORTED,
                       "\"think_budget\": the protocol of an endpoint has no forced exit; use a "
                       "model folder, or leave it out");
    }
    if (c->endpoint && c->responses) {
        return xr_fail(err, XR_ERR_INPUT, "\"endpoint\" and \"responses\" exclude each other");
    }
    return true;
}

// What answers depend on besides the question: key by key, and what tells the model from others.
static bool settings_of(const Eval *e, XrBuffer *out, XrError *err) {
    const XrRunConfig *c = e->config;
    if (c->responses) {
        xr_buffer_text(out, "responses");
        return true;
    }
    xr_buffer_format(out,
                     "dtype %s seed %" PRId64 " max_completion_length %" PRId64
                     " temperature %.9g top_p %.9g top_k %" PRId64
                     " repetition_penalty %.9g think_budget %" PRId64 " answer_budget %" PRId64
                     " min_pixels %" PRId64 " max_pixels %" PRId64 " thinking %d\n",
                     c->dtype, c->seed, c->max_completion_length, c->temperature, c->top_p,
                     c->top_k, c->repetition_penalty, c->think_budget, c->answer_budget,
                     c->min_pixels, c->max_pixels, e->asking.starts_in_thinking);
    return e->answerer->identify(e->answerer, out, err);
}

static bool open_answerer(Eval *e, XrBackend *backend, XrError *err) {
    const XrRunConfig *c = e->config;
    if (c->responses) return true;
    e->answerer = c->endpoint ? xr_endpoint_answerer_open(c, err)
                              : xr_engine_answerer_open(c, &e->asking, backend, err);
    return e->answerer != NULL;
}

// Questions before which fewer worked examples stand than were asked for.
static int64_t short_of_examples(const Eval *e) {
    int64_t count = 0;
    for (int64_t i = 0; i < e->list.count; i++) {
        count += e->list.items[i].shots < e->config->num_fewshot;
    }
    return count;
}

static bool open_all(Eval *e, const XrEvalOptions *options, XrError *err) {
    const XrRunConfig *c = e->config;
    XrBuffer settings = {0};
    bool ok = xr_suite_open(&e->suite, c, err) && xr_asking_open(&e->asking, c, err) &&
              open_answerer(e, options->backend, err) && settings_of(e, &settings, err);
    if (ok) {
        xr_asked_list(&e->list, &e->asking, &e->suite, &settings);
        int64_t lacking = short_of_examples(e);
        if (lacking) {
            fprintf(stderr,
                    "%" PRId64 " of %" PRId64 " questions have fewer than %" PRId64
                    " worked examples: fewshot_dataset has no more of their subject\n",
                    lacking, e->list.count, c->num_fewshot);
        }
        e->judge = xr_judge_create(NULL, err);
        ok = e->judge && xr_journal_open(&e->journal, e->folder.path, options->resume, &e->suite,
                                         &e->list, c, err);
    }
    xr_buffer_free(&settings);
    return ok;
}

static bool finish(Eval *e, XrBuffer *tables, XrError *err) {
    char more[160];
    double seconds = xr_seconds() - e->started;
    snprintf(more, sizeof more,
             "\"short_of_examples\": %" PRId64 ", \"time/wall\": %.3f, \"tokens_per_second\": %.3f",
             short_of_examples(e), seconds, (double)e->tokens / seconds);
    return xr_outcome_write(e->folder.path, e->config, &e->suite, &e->journal.answers, &e->left_out,
                            e->judge, more, tables, err);
}

static void close_all(Eval *e) {
    if (e->journal.list) xr_journal_close(&e->journal);
    xr_judge_free(e->judge);
    xr_asked_list_free(&e->list);
    if (e->answerer) e->answerer->close(e->answerer);
    xr_asking_close(&e->asking);
    xr_suite_close(&e->suite);
    xr_left_out_free(&e->left_out);
    xr_run_folder_close(&e->folder);
}

bool xr_eval_run(const XrEvalOptions *options, XrBuffer *tables, XrError *err) {
    Eval e = {.config = options->config, .started = xr_seconds()};
    if (!check_config(e.config, err) ||
        !xr_run_folder_open(&e.folder, e.config, options->resume, err)) {
        return false;
    }
    bool ok = open_all(&e, options, err);
    e.started = xr_seconds(); // opening a large model is no part of its speed
    ok = ok && answer(&e, err) && xr_journal_settle(&e.journal, err) && finish(&e, tables, err);
    close_all(&e);
    return ok;
}
