// What a user waits for besides the prompt itself: opening a model's folder, its tokenizer and an
// engine, and running one token; then closing all of it.
#include "shared/bench/bench.h"

#include "shared/base/memory.h"
#include "shared/engine/engine.h"
#include "shared/prompt/chat_model.h"

#include <stdlib.h>

typedef struct Startup {
    XrBackend *backend;
    const char *folder;
} Startup;

static void first_token(const Startup *s) {
    XrChatModelOptions options = {.weights = XR_WEIGHTS_AS_STORED};
    XrEngineConfig config = {.max_sequences = 1};
    XrBuffer notice = {0};
    XrChatModel *model;
    XrEngine *engine = NULL;
    XrError err = {0};
    int32_t prompt = 0;
    bool ok = xr_chat_model_open(&model, s->backend, s->folder, &options, &notice, &err) &&
              xr_engine_create(&engine, model->model, model->tokenizer, &config, &err);
    XrRequest request = xr_request_default();
    request.prompt = &prompt;
    request.prompt_count = 1;
    request.max_new_tokens = 1;
    XR_REQUIRE(ok && xr_engine_add(engine, &request, &err), "%s", err.message);
    while (xr_engine_step(engine)) continue;
    xr_response_free(xr_engine_take(engine));
    xr_engine_free(engine);
    xr_chat_model_close(model);
    xr_buffer_free(&notice);
}

static void *start(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    XrChatModelOptions options = {.weights = XR_WEIGHTS_AS_STORED};
    XrBuffer notice = {0};
    XrChatModel *model;
    // Whether the folder can be opened at all.
    bool ok = xr_chat_model_open(&model, b, self->path, &options, &notice, err);
    xr_buffer_free(&notice);
    if (!ok) return NULL;
    xr_chat_model_close(model);
    Startup *s = xr_malloc(sizeof *s);
    *s = (Startup){b, self->path};
    *work = (XrBenchWork){.units = 1, .unit = "starts"};
    return s;
}

static void run(void *state) {
    first_token(state);
}

void xr_bench_startup(XrBenchList *list, const char *folder) {
    XrBenchCase item = {
        .name = "model/startup", .path = folder, .start = start, .run = run, .finish = free};
    xr_bench_add(list, &item);
}
