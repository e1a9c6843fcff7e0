// The tokenizer on real text, a document (a line) at a time on one thread: the responses of
// MMLU-Pro and the training set of GSM8K with the tokenizer of Qwen2.5, from the data folder.
#include "shared/bench/bench.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/text/decoder.h"
#include "shared/text/encoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 64 << 20 };

typedef struct Job {
    char *model;
    XrTokenizer *tokenizer;
    XrEncoder *encoder;
    XrBuffer text, decoded;
    XrIds ids;
} Job;

static void finish(void *state) {
    Job *job = state;
    xr_encoder_free(job->encoder);
    xr_tokenizer_free(job->tokenizer);
    xr_buffer_free(&job->text);
    xr_buffer_free(&job->decoded);
    xr_ids_free(&job->ids);
    free(job->model);
    free(job);
}

static bool add_file(Job *job, const char *folder, const char *name, XrError *err) {
    char *path = xr_path_join(folder, name);
    XrBuffer file = {0};
    bool ok = xr_file_read(path, MAX_FILE, &file, err);
    if (ok) xr_buffer_append(&job->text, file.data, file.length);
    xr_buffer_free(&file);
    free(path);
    return ok;
}

// What is timed includes no cache left over from the run before.
static void run_encode(void *state) {
    Job *job = state;
    XrError err;
    const char *at = job->text.data, *end = at + job->text.length;
    xr_encoder_free(job->encoder);
    job->encoder = xr_encoder_create(job->tokenizer);
    job->ids.count = 0;
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        const char *next = line ? line + 1 : end;
        XR_REQUIRE(
            xr_encode(job->encoder, at, (size_t)(next - at), XR_ENCODE_CONTROL, &job->ids, &err),
            "bench: %s", err.message);
        at = next;
    }
}

static void run_decode(void *state) {
    Job *job = state;
    XrError err;
    xr_buffer_clear(&job->decoded);
    XR_REQUIRE(xr_decode(job->tokenizer, job->ids.data, job->ids.count, false, &job->decoded, &err),
               "bench: %s", err.message);
}

static void run_load(void *state) {
    Job *job = state;
    XrError err;
    xr_tokenizer_free(job->tokenizer);
    job->tokenizer = xr_tokenizer_load(job->model, &err);
    XR_REQUIRE(job->tokenizer, "bench: %s", err.message);
}

static Job *open_job(const XrBenchCase *self, XrError *err) {
    Job *job = xr_calloc(1, sizeof *job);
    job->model = xr_path_join(self->path, "qwen2.5-vl");
    job->tokenizer = xr_tokenizer_load(job->model, err);
    if (job->tokenizer && add_file(job, self->path, "mmlu-pro/responses-sample.jsonl", err) &&
        add_file(job, self->path, "gsm8k/train.jsonl", err)) {
        return job;
    }
    finish(job);
    return NULL;
}

static void *start_text(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Job *job = open_job(self, err);
    if (!job) return NULL;
    run_encode(job);
    *work = (XrBenchWork){.units = (double)job->text.length / 1e6, .unit = "MB"};
    return job;
}

static void *start_load(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    *work = (XrBenchWork){.units = 1, .unit = "loads"};
    return open_job(self, err);
}

void xr_bench_text(XrBenchList *list, const char *data) {
    xr_bench_add(list, &(XrBenchCase){.name = "tokenizer/encode",
                                      .path = data,
                                      .start = start_text,
                                      .run = run_encode,
                                      .finish = finish});
    xr_bench_add(list, &(XrBenchCase){.name = "tokenizer/decode",
                                      .path = data,
                                      .start = start_text,
                                      .run = run_decode,
                                      .finish = finish});
    xr_bench_add(list, &(XrBenchCase){.name = "tokenizer/load",
                                      .path = data,
                                      .start = start_load,
                                      .run = run_load,
                                      .finish = finish});
}
