#include "shared/verify/batch.h"

#include "shared/base/memory.h"
#include "shared/base/thread.h"

#include <pthread.h>
#include <stdlib.h>

enum { GRAIN = 4 };

// What one thread works with: a verifier of its own, or a worker process that has one.
typedef struct Seat {
    XrVerifier *verifier;
    const XrVerifyOptions *options;
    XrWorker *worker;
    XrBuffer request, reply;
    XrVerifyResult result;                // in the worker's process
    XrSpan texts[XR_VERIFY_MOST_OPTIONS]; // in the worker's process
} Seat;

struct XrVerifyPool {
    XrVerifyPoolOptions options;
    XrThreads *threads;
    Seat *seats; // one a thread
};

// ---- requests and results as bytes, between processes of one program ----

typedef struct RequestHead {
    size_t gold, answer, question;
    size_t options[XR_VERIFY_MOST_OPTIONS];
    int option_count;
    bool is_response;
    XrVerifyKind kind;
} RequestHead;

typedef struct ResultHead {
    XrVerifyResult result; // its buffers mean nothing
    size_t extracted, explanation;
} ResultHead;

static void append_span(XrBuffer *out, XrSpan text) {
    if (text.bytes) xr_buffer_append(out, text.data, text.bytes);
}

static void pack_request(const XrVerifyRequest *request, XrBuffer *out) {
    RequestHead head = {.gold = request->gold.bytes,
                        .answer = request->answer.bytes,
                        .question = request->question.bytes,
                        .option_count = request->option_count,
                        .is_response = request->is_response,
                        .kind = request->kind};
    for (int i = 0; i < request->option_count; i++) head.options[i] = request->options[i].bytes;
    xr_buffer_clear(out);
    xr_buffer_append(out, &head, sizeof head);
    append_span(out, request->gold);
    append_span(out, request->answer);
    append_span(out, request->question);
    for (int i = 0; i < request->option_count; i++) append_span(out, request->options[i]);
}

static XrSpan next_span(XrSpan *rest, size_t bytes) {
    XrSpan text = xr_span_cut(*rest, 0, bytes);
    *rest = xr_span_cut(*rest, bytes, rest->bytes);
    return text;
}

static void unpack_request(XrSpan bytes, XrSpan *texts, XrVerifyRequest *out) {
    RequestHead head;
    memcpy(&head, bytes.data, sizeof head);
    XrSpan rest = xr_span_cut(bytes, sizeof head, bytes.bytes);
    out->gold = next_span(&rest, head.gold);
    out->answer = next_span(&rest, head.answer);
    out->question = next_span(&rest, head.question);
    for (int i = 0; i < head.option_count; i++) texts[i] = next_span(&rest, head.options[i]);
    out->options = texts;
    out->option_count = head.option_count;
    out->is_response = head.is_response;
    out->kind = head.kind;
}

static void pack_result(const XrVerifyResult *result, XrBuffer *out) {
    ResultHead head = {.result = *result,
                       .extracted = result->extracted.length,
                       .explanation = result->explanation.length};
    xr_buffer_append(out, &head, sizeof head);
    append_span(out, xr_span(result->extracted.data, result->extracted.length));
    append_span(out, xr_span(result->explanation.data, result->explanation.length));
}

static void unpack_result(const XrBuffer *bytes, XrVerifyResult *out) {
    ResultHead head;
    memcpy(&head, bytes->data, sizeof head);
    XrBuffer extracted = out->extracted, explanation = out->explanation;
    XrSpan rest = xr_span_cut(xr_span(bytes->data, bytes->length), sizeof head, bytes->length);
    *out = head.result;
    out->extracted = extracted;
    out->explanation = explanation;
    xr_buffer_clear(&out->extracted);
    xr_buffer_clear(&out->explanation);
    append_span(&out->extracted, next_span(&rest, head.extracted));
    append_span(&out->explanation, next_span(&rest, head.explanation));
}

// ---- judging ----

// The worker's body: its verifier is made on the first request, in the worker's own process.
static void serve(void *context, XrSpan bytes, XrBuffer *reply) {
    Seat *seat = context;
    XrVerifyRequest request;
    if (!seat->verifier) seat->verifier = xr_verifier_create(seat->options);
    unpack_request(bytes, seat->texts, &request);
    xr_verify(seat->verifier, &request, &seat->result);
    pack_result(&seat->result, reply);
}

static void judge_apart(Seat *seat, const XrVerifyRequest *request, XrVerifyResult *result) {
    pack_request(request, &seat->request);
    if (xr_worker_run(seat->worker, xr_span(seat->request.data, seat->request.length),
                      &seat->reply)) {
        unpack_result(&seat->reply, result);
        return;
    }
    xr_buffer_clear(&result->extracted);
    xr_buffer_clear(&result->explanation);
    *result = (XrVerifyResult){.verdict = XR_VERDICT_OVER_LIMIT,
                               .kind = request->kind,
                               .extracted = result->extracted,
                               .explanation = result->explanation};
    if (seat->options->explain) {
        xr_buffer_text(&result->explanation,
                       "worker: the pair ended its process (crash or limit)\n");
    }
}

typedef struct Batch {
    XrVerifyPool *pool;
    const XrVerifyRequest *requests;
    XrVerifyResult *results;
} Batch;

static void judge_piece(void *context, int64_t begin, int64_t end, int thread) {
    Batch *batch = context;
    Seat *seat = &batch->pool->seats[thread];
    for (int64_t i = begin; i < end; i++) {
        if (seat->worker)
            judge_apart(seat, &batch->requests[i], &batch->results[i]);
        else
            xr_verify(seat->verifier, &batch->requests[i], &batch->results[i]);
    }
}

void xr_verify_batch(XrVerifyPool *pool, const XrVerifyRequest *requests, XrVerifyResult *results,
                     int64_t count) {
    Batch batch = {pool, requests, results};
    xr_parallel(pool->threads, count, GRAIN, judge_piece, &batch);
}

// ---- the pool ----

XrVerifyPool *xr_verify_pool_create(const XrVerifyPoolOptions *options, XrError *err) {
    XrVerifyPool *pool = xr_calloc(1, sizeof *pool);
    if (options) pool->options = *options;
    pool->threads = xr_threads_create(pool->options.threads);
    int count = xr_threads_count(pool->threads);
    pool->seats = xr_calloc((size_t)count, sizeof *pool->seats);
    for (int i = 0; i < count; i++) {
        Seat *seat = &pool->seats[i];
        seat->options = &pool->options.verify;
        if (!pool->options.isolate) {
            seat->verifier = xr_verifier_create(seat->options);
            continue;
        }
        seat->worker = xr_worker_create(serve, seat, &pool->options.limits, err);
        if (seat->worker) continue;
        xr_verify_pool_free(pool);
        return NULL;
    }
    return pool;
}

// One piece for each thread: none takes a second one before all have taken theirs.
static void end_thread(void *context, int64_t begin, int64_t end, int thread) {
    xr_math_thread_end();
    pthread_barrier_wait(context);
}

// Frees what the arithmetic library keeps for each thread.
static void end_threads(XrVerifyPool *pool) {
    pthread_barrier_t all_here;
    int count = xr_threads_count(pool->threads);
    pthread_barrier_init(&all_here, NULL, (unsigned)count);
    xr_parallel(pool->threads, count, 1, end_thread, &all_here);
    pthread_barrier_destroy(&all_here);
}

void xr_verify_pool_free(XrVerifyPool *pool) {
    if (!pool) return;
    for (int i = 0; i < xr_threads_count(pool->threads); i++) {
        Seat *seat = &pool->seats[i];
        xr_verifier_free(seat->verifier);
        xr_worker_free(seat->worker);
        xr_buffer_free(&seat->request);
        xr_buffer_free(&seat->reply);
    }
    if (!pool->options.isolate) end_threads(pool);
    free(pool->seats);
    xr_threads_free(pool->threads);
    free(pool);
}

int64_t xr_verify_pool_lost(const XrVerifyPool *pool) {
    int64_t lost = 0;
    for (int i = 0; i < xr_threads_count(pool->threads); i++) {
        if (pool->seats[i].worker) lost += xr_worker_lost(pool->seats[i].worker);
    }
    return lost;
}
