#include "shared/xreasoner.h"

#include "shared/base/memory.h"
#include "shared/engine/engine.h"
#include "shared/prompt/prompt.h"
#include "shared/verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct xreasoner {
    XrBackend *backend;
    XrChatModel *chat_model;
    XrEngine *engine;
    uint64_t requests;
};

static int report(const XrError *err, char *error, size_t error_bytes) {
    if (error && error_bytes) snprintf(error, error_bytes, "%s", err->message);
    return 0;
}

const char *xreasoner_version(void) {
    return XR_VERSION;
}

static bool weight_type(const char *dtype, XrWeightType *out, XrError *err) {
    *out = XR_WEIGHTS_AS_STORED;
    if (!dtype) return true;
    if (strcmp(dtype, "f32") == 0)
        *out = XR_WEIGHTS_F32;
    else if (strcmp(dtype, "bf16") == 0)
        *out = XR_WEIGHTS_BF16;
    else
        return xr_fail(err, XR_ERR_INPUT, "dtype \"%s\" must be f32 or bf16", dtype);
    return true;
}

xreasoner *xreasoner_open(const char *folder, const xreasoner_options *options, char *error,
                          size_t error_bytes) {
    static const xreasoner_options defaults;
    const xreasoner_options *o = options ? options : &defaults;
    XrChatModelOptions model = {.min_pixels = o->min_pixels, .max_pixels = o->max_pixels};
    XrEngineConfig engine = {.max_sequences = 1, .cache_bytes = o->cache_bytes};
    XrError err = {0};
    XrBuffer notice = {0};
    xreasoner *x = xr_calloc(1, sizeof *x);
    x->backend = xr_backend_open(o->device ? o->device : "cpu", o->threads, &err);
    bool ok =
        x->backend && weight_type(o->dtype, &model.weights, &err) &&
        xr_chat_model_open(&x->chat_model, x->backend, folder, &model, &notice, &err) &&
        xr_engine_create(&x->engine, x->chat_model->model, x->chat_model->tokenizer, &engine, &err);
    xr_buffer_free(&notice);
    if (ok) return x;
    report(&err, error, error_bytes);
    xreasoner_close(x);
    return NULL;
}

void xreasoner_close(xreasoner *x) {
    if (!x) return;
    xr_engine_free(x->engine);
    xr_chat_model_close(x->chat_model);
    xr_backend_free(x->backend);
    free(x);
}

xreasoner_sampling xreasoner_default_sampling(const xreasoner *x) {
    XrSampling sampling = xr_sampling_of(&x->chat_model->generation);
    XrRequest request = xr_request_default();
    return (xreasoner_sampling){
        .temperature = sampling.temperature,
        .top_k = sampling.top_k,
        .top_p = sampling.top_p,
        .repetition_penalty = sampling.repetition_penalty,
        .max_new_tokens = request.max_new_tokens,
        .think_budget = -1,
    };
}

typedef struct Stream {
    XrEngine *engine;
    xreasoner_on_text *on_text;
    void *context;
} Stream;

static void pass_text(void *context, const XrPiece *piece) {
    const Stream *s = context;
    if (!piece->text_bytes) return;
    if (!s->on_text(s->context, piece->text, piece->text_bytes)) {
        xr_engine_cancel(s->engine, piece->request);
    }
}

static void add_messages(XrChat *chat, const xreasoner_message *messages, int count) {
    for (int i = 0; i < count; i++) {
        const xreasoner_message *m = &messages[i];
        xr_chat_add_message(chat, m->role);
        for (int j = 0; j < m->image_count; j++) xr_chat_add_image(chat, m->images[j], 0);
        if (m->text) xr_chat_add_text(chat, m->text, strlen(m->text));
    }
}

static XrRequest make_request(xreasoner *x, const XrPrompt *prompt, const xreasoner_sampling *s,
                              const int32_t stop_ids[XR_MAX_EOS]) {
    XrRequest r = xr_request_default();
    r.id = x->requests++;
    r.prompt = prompt->tokens.ids.data;
    r.prompt_count = (int64_t)prompt->tokens.ids.count;
    r.pixels = prompt->pixels.values;
    r.grids = prompt->pixels.grids;
    r.picture_count = (int)prompt->pixels.count;
    r.sampling = (XrSampling){(float)s->temperature, s->top_k, (float)s->top_p,
                              (float)s->repetition_penalty, s->seed};
    r.max_new_tokens = s->max_new_tokens;
    r.think.budget = s->think_budget;
    r.suppress = x->chat_model->unspoken;
    r.suppress_count = x->chat_model->unspoken_count;
    r.stop_ids = stop_ids;
    r.stop_id_count = x->chat_model->generation.eos_count;
    return r;
}

// Moves what the sample holds into the answer.
static void take_answer(xreasoner_answer *answer, XrResponse *response) {
    XrSample *s = &response->samples[0];
    *answer = (xreasoner_answer){
        .text = s->text,
        .count = s->count,
        .ids = s->ids,
        .logprobs = s->logprobs,
        .forced = s->forced,
        .finish_reason = xr_finish_name(s->finish),
        .prompt_count = response->prompt_count,
    };
    s->text = NULL;
    s->ids = NULL;
    s->logprobs = NULL;
    s->forced = NULL;
}

int xreasoner_chat(xreasoner *x, const xreasoner_message *messages, int count,
                   const xreasoner_sampling *sampling, xreasoner_on_text *on_text, void *context,
                   xreasoner_answer *answer, char *error, size_t error_bytes) {
    *answer = (xreasoner_answer){0};
    XrError err = {0};
    XrChat chat = {0};
    XrPrompt prompt = {0};
    XrResponse *response = NULL;
    Stream stream = {x->engine, on_text, context};
    add_messages(&chat, messages, count);
    bool ok = xr_prompt_from_chat(&prompt, x->chat_model, &chat,
                                  (XrChatOptions){.add_generation_prompt = true}, &err);
    if (ok) {
        int32_t stop_ids[XR_MAX_EOS];
        const XrGenerationConfig *g = &x->chat_model->generation;
        for (int i = 0; i < g->eos_count; i++) stop_ids[i] = (int32_t)g->eos[i];
        XrRequest request = make_request(x, &prompt, sampling, stop_ids);
        if (on_text) {
            request.on_piece = pass_text;
            request.context = &stream;
        }
        ok = xr_engine_generate(x->engine, &request, 1, &response, &err);
    }
    if (ok && response->error.status != XR_OK) {
        err = response->error;
        ok = false;
    }
    if (ok) take_answer(answer, response);
    if (response) xr_response_free(response);
    xr_prompt_free(&prompt);
    xr_chat_free(&chat);
    return ok ? 1 : report(&err, error, error_bytes);
}

void xreasoner_answer_free(xreasoner_answer *answer) {
    free(answer->text);
    free(answer->ids);
    free(answer->logprobs);
    free(answer->forced);
    *answer = (xreasoner_answer){0};
}

int64_t xreasoner_tokenize(xreasoner *x, const char *text, size_t bytes, int32_t *ids,
                           int64_t capacity, char *error, size_t error_bytes) {
    XrIds list = {0};
    XrError err = {0};
    int64_t count = -1;
    if (xr_encode(x->chat_model->encoder, text, bytes, XR_ENCODE_TEXT, &list, &err)) {
        count = (int64_t)list.count;
        int64_t fits = XR_MIN(count, capacity);
        if (fits > 0) memcpy(ids, list.data, sizeof *ids * (size_t)fits);
    } else {
        report(&err, error, error_bytes);
    }
    xr_ids_free(&list);
    return count;
}

int xreasoner_verify(const char *gold, const char *answer, int is_response, const char *kind,
                     const char **verdict) {
    XrVerifyKind wanted = XR_VERIFY_AUTO;
    if (kind && !xr_verify_kind_find(kind, &wanted)) {
        if (verdict) *verdict = xr_verdict_name(XR_VERDICT_UNKNOWN);
        return 0;
    }
    XrVerifier *verifier = xr_verifier_create(NULL);
    XrVerifyRequest request = {.gold = {gold, strlen(gold)},
                               .answer = {answer, strlen(answer)},
                               .is_response = is_response,
                               .kind = wanted};
    XrVerifyResult result = {0};
    xr_verify(verifier, &request, &result);
    if (verdict) *verdict = xr_verdict_name(result.verdict);
    int score = result.score;
    xr_verify_result_free(&result);
    xr_verifier_free(verifier);
    return score;
}
