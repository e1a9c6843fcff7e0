// All of MMLU-Pro without a model, on one thread: reading the file, making the conversations and
// their tokens, judging a real response to each question (those of Llama-3.1-8B in turn) by our
// verifier and by the official rule. From the folder of data.
#include "shared/bench/bench.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/dataset/rows.h"
#include "shared/eval/judge.h"
#include "shared/eval/prompts.h"
#include "shared/text/chat_render.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct Job {
    char *path;
    const XrBenchmark *benchmark;
    XrBenchmarkItems items;
    char **responses;
    int64_t response_count;
    XrTokenizer *tokenizer;
    XrEncoder *encoder;
    XrChatTemplate chat_template;
    XrJudge *judge;
    int64_t tokens, right;
} Job;

static void finish(void *state) {
    Job *job = state;
    for (int64_t i = 0; i < job->response_count; i++) free(job->responses[i]);
    free(job->responses);
    xr_benchmark_items_free(&job->items);
    xr_encoder_free(job->encoder);
    xr_tokenizer_free(job->tokenizer);
    xr_chat_template_free(&job->chat_template);
    xr_judge_free(job->judge);
    free(job->path);
    free(job);
}

static void run_load(void *state) {
    Job *job = state;
    XrError err;
    xr_benchmark_items_free(&job->items);
    XR_REQUIRE(xr_benchmark_load(&job->items, job->benchmark, job->path, NULL, &err), "bench: %s",
               err.message);
}

static void run_render(void *state) {
    Job *job = state;
    XrItemPromptOptions options = {.kind = XR_PROMPT_REASONING};
    XrChatTokens tokens = {0};
    XrError err;
    job->tokens = 0;
    for (int64_t i = 0; i < job->items.count; i++) {
        XrChat chat = {0};
        xr_item_prompt(&chat, &job->items.items[i], &options);
        XR_REQUIRE(xr_chat_render(&job->chat_template, job->encoder, &chat,
                                  (XrChatOptions){true, false}, &tokens, &err),
                   "bench: %s", err.message);
        job->tokens += (int64_t)tokens.ids.count;
        xr_chat_free(&chat);
    }
    xr_chat_tokens_free(&tokens);
}

static void run_judge(void *state) {
    Job *job = state;
    XrVerifyResult ours = {0};
    XrOfficialResult official = {0};
    job->right = 0;
    for (int64_t i = 0; i < job->items.count; i++) {
        const XrItem *item = &job->items.items[i];
        XrSpan response = xr_span_of(job->responses[i % job->response_count]);
        xr_item_judge(job->judge, item, response, &ours);
        xr_item_judge_official(job->judge, item, response, &official);
        job->right += ours.score + official.right;
    }
    xr_verify_result_free(&ours);
    xr_official_result_free(&official);
}

static void run_all(void *state) {
    run_load(state);
    run_render(state);
    run_judge(state);
}

static bool read_responses(Job *job, const char *data, XrError *err) {
    XrRows rows;
    char *path = xr_path_join(data, "mmlu-pro/responses-sample.jsonl");
    bool ok = xr_rows_open(&rows, path, err);
    free(path);
    if (!ok) return false;
    job->responses = xr_calloc((size_t)rows.count, sizeof *job->responses);
    for (int64_t i = 0; i < rows.count && ok; i++) {
        XrJson row;
        const char *text = "";
        ok = xr_rows_parse(&rows, i, &row, err);
        if (!ok) break;
        ok = xr_json_get_text(&row, row.root, "response", &text, err);
        job->responses[job->response_count++] = xr_strdup(text);
        xr_json_free(&row);
    }
    xr_rows_close(&rows);
    return ok;
}

static bool open_job(Job *job, const char *data, XrError *err) {
    char *model = xr_path_join(data, "qwen2.5-vl");
    XrBuffer notice = {0};
    job->path = xr_path_join(data, "mmlu-pro/test.jsonl");
    job->benchmark = xr_benchmark_find("mmlu_pro", err);
    job->tokenizer = xr_tokenizer_load(model, err);
    job->judge = xr_judge_create(&(XrJudgeOptions){.isolate = true}, err);
    bool ok = job->tokenizer && job->judge &&
              xr_chat_template_load(&job->chat_template, model, &notice, err) &&
              read_responses(job, data, err) &&
              xr_benchmark_load(&job->items, job->benchmark, job->path, NULL, err);
    if (ok) job->encoder = xr_encoder_create(job->tokenizer);
    xr_buffer_free(&notice);
    free(model);
    return ok;
}

static void *start(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Job *job = xr_calloc(1, sizeof *job);
    if (!open_job(job, self->path, err)) {
        finish(job);
        return NULL;
    }
    *work = (XrBenchWork){.units = (double)job->items.count, .unit = "items"};
    return job;
}

void xr_bench_benchmark(XrBenchList *list, const char *data) {
    static const struct {
        const char *name;
        void (*run)(void *);
    } cases[] = {{"benchmark/mmlu-pro/load", run_load},
                 {"benchmark/mmlu-pro/render", run_render},
                 {"benchmark/mmlu-pro/judge", run_judge},
                 {"benchmark/mmlu-pro", run_all}};
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrBenchCase item = {.path = data, .start = start, .run = cases[i].run, .finish = finish};
        snprintf(item.name, sizeof item.name, "%s", cases[i].name);
        xr_bench_add(list, &item);
    }
}
