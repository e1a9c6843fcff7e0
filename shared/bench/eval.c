// Evaluation beside the engine alone, on a model's folder: questions answered greedily, 64 at a
// time, by `xreasoner eval` with all it does (prompts, judging, every answer on the disk), and the
// same prompts, tokens and batch in the engine. Both open the model. Wanted: at least 0.9 of the
// rate.
#include "shared/bench/bench.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/engine/engine.h"
#include "shared/eval/asked.h"
#include "shared/eval/run.h"
#include "shared/prompt/prompt.h"
#include "shared/train/run_folder.h"
#include "shared/train/run_model.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 64, QUESTIONS = 2 * BATCH, TOKENS = 48 };

typedef struct Job {
    XrBackend *backend;
    XrRunConfig config;
    XrSuite suite;
    XrAsking asking;
    XrAskedList list;
    char folder[64]; // temporary
    int64_t tokens;  // of the last run of the engine
} Job;

static void finish(void *state) {
    Job *job = state;
    xr_asked_list_free(&job->list);
    xr_asking_close(&job->asking);
    xr_suite_close(&job->suite);
    xr_run_config_free(&job->config);
    xr_remove_folder(job->folder);
    free(job);
}

static bool add_all(Job *job, XrEngine *engine, const XrChatModel *model, XrPrompt *prompts,
                    XrError *err) {
    for (int64_t i = 0; i < job->list.count; i++) {
        XrChat chat;
        xr_asking_chat(&job->asking, job->list.items[i].item, &chat);
        bool ok = xr_prompt_from_chat(&prompts[i], model, &chat,
                                      (XrChatOptions){.add_generation_prompt = true}, err);
        xr_chat_free(&chat);
        XrRequest request = xr_request_default();
        int32_t stop[XR_MAX_EOS];
        for (int k = 0; k < model->generation.eos_count; k++) {
            stop[request.stop_id_count++] = (int32_t)model->generation.eos[k];
        }
        request.stop_ids = stop;
        request.id = job->list.items[i].number;
        request.prompt = prompts[i].tokens.ids.data;
        request.prompt_count = (int64_t)prompts[i].tokens.ids.count;
        request.sampling.temperature = 0;
        request.max_new_tokens = TOKENS;
        if (!ok || !xr_engine_add(engine, &request, err)) return false;
    }
    return true;
}

static void run_engine(void *state) {
    Job *job = state;
    XrEngineConfig settings = {.max_sequences = BATCH};
    XrPrompt *prompts = xr_calloc(QUESTIONS, sizeof *prompts);
    XrChatModel *model;
    XrEngine *engine;
    XrError err;
    XR_REQUIRE(xr_run_model_open(&model, job->backend, &job->config, false, &err) &&
                   xr_engine_create(&engine, model->model, model->tokenizer, &settings, &err) &&
                   add_all(job, engine, model, prompts, &err),
               "bench: %s", err.message);
    while (xr_engine_step(engine)) continue;
    job->tokens = 0;
    for (XrResponse *r; (r = xr_engine_take(engine)); xr_response_free(r)) {
        job->tokens += r->samples[0].count;
    }
    xr_engine_free(engine);
    for (int64_t i = 0; i < QUESTIONS; i++) xr_prompt_free(&prompts[i]);
    free(prompts);
    xr_chat_model_close(model);
}

static void run_eval(void *state) {
    Job *job = state;
    XrBuffer tables = {0};
    XrError err;
    XrEvalOptions options = {&job->config, job->backend, false};
    XR_REQUIRE(xr_eval_run(&options, &tables, &err), "bench: %s", err.message);
    xr_buffer_free(&tables);
    xr_remove_folder(job->config.output_dir);
}

// Word problems with one to four sentences: the tiny world's tokens are short, and its context too.
static bool write_questions(const char *path, XrError *err) {
    XrBuffer text = {0};
    for (int i = 0; i < QUESTIONS; i++) {
        xr_buffer_format(&text, "{\"id\": \"%d\", \"answer\": \"%d\", \"question\": \"", i, 7 * i);
        for (int k = 0; k <= i * 5 % 4; k++) {
            xr_buffer_format(&text, "Box %d holds %d apples and %d pears. ", k, i % 10 + k, 3 * k);
        }
        xr_buffer_text(&text, "How many are there?\"}\n");
    }
    bool ok = xr_file_write(path, text.data, text.length, err);
    xr_buffer_free(&text);
    return ok;
}

static bool configure(Job *job, const char *model, XrError *err) {
    char *questions = xr_path_join(job->folder, "questions.jsonl");
    char *output = xr_path_join(job->folder, "run");
    XrBuffer sets[5] = {{0}};
    xr_buffer_format(&sets[0], "model_name_or_path=%s", model);
    xr_buffer_format(&sets[1], "output_dir=%s", output);
    xr_buffer_format(&sets[2], "eval_dataset=[{\"path\": \"%s\", \"format\": \"jsonl\"}]",
                     questions);
    xr_buffer_format(&sets[3], "max_completion_length=%d", TOKENS);
    xr_buffer_text(&sets[4], "prompt_template=plain");
    xr_run_config_init(&job->config, XR_RUN_EVAL);
    bool ok = write_questions(questions, err);
    for (size_t i = 0; i < XR_COUNT(sets); i++) {
        ok = ok && xr_run_config_set(&job->config, sets[i].data, err);
        xr_buffer_free(&sets[i]);
    }
    job->config.max_batch_sequences = BATCH;
    free(questions);
    free(output);
    return ok;
}

static void *start(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Job *job = xr_calloc(1, sizeof *job);
    const XrBuffer settings = {0};
    job->backend = b;
    snprintf(job->folder, sizeof job->folder, "/tmp/xreasoner-bench-XXXXXX");
    bool ok = mkdtemp(job->folder) || xr_fail(err, XR_ERR_IO, "%s: cannot be made", job->folder);
    ok = ok && configure(job, self->path, err) && xr_suite_open(&job->suite, &job->config, err) &&
         xr_asking_open(&job->asking, &job->config, err);
    if (!ok) {
        finish(job);
        return NULL;
    }
    xr_asked_list(&job->list, &job->asking, &job->suite, &settings);
    run_engine(job); // counts the tokens, which are the same in both cases
    *work = (XrBenchWork){.units = (double)job->tokens, .unit = "tokens"};
    return job;
}

void xr_bench_eval(XrBenchList *list, const char *folder) {
    XrBenchCase item = {.path = folder, .start = start, .finish = finish};
    snprintf(item.name, sizeof item.name, "eval/engine-%d", BATCH);
    item.run = run_engine;
    xr_bench_add(list, &item);
    snprintf(item.name, sizeof item.name, "eval/run-%d", BATCH);
    item.run = run_eval;
    xr_bench_add(list, &item);
}
