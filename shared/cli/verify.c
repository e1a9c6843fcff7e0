// xreasoner verify: pairs of gold answer and answer in, verdicts out, a JSON object a line.
#include "shared/cli/commands.h"
#include "shared/cli/options.h"
#include "shared/cli/verify_input.h"

#include "shared/base/memory.h"
#include "shared/verify/batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

// A batch ends when it is full, when its texts are many, or when no more input is ready.
enum {
    MAX_LINE = 64 << 20,
    BATCH_LINES = 512,
    BATCH_BYTES = 16 << 20,
    VERDICTS = XR_VERDICT_EMPTY + 1
};

typedef struct Job {
    XrVerifyPool *pool;
    XrVerifyKind kind;
    bool explain;
    XrLineSource source;
    XrVerifyLine *lines;       // BATCH_LINES
    XrVerifyRequest *requests; // those of the lines that could be read
    XrVerifyResult *results;
    char **failures; // the message of a line that could not be read, else NULL
    int count;       // lines in the batch
    size_t bytes;
    XrBuffer out;
    int64_t verdicts[VERDICTS], malformed;
} Job;

// ---- output ----

static void write_explanation(XrBuffer *out, const XrVerifyResult *result) {
    const XrBuffer *text = &result->explanation;
    xr_buffer_format(out, ", \"kind\": \"%s\", \"explanation\": [",
                     xr_verify_kind_name(result->kind));
    for (size_t at = 0; at < text->length;) {
        const char *newline = memchr(text->data + at, '\n', text->length - at);
        size_t end = newline ? (size_t)(newline - text->data) : text->length;
        if (at) xr_buffer_text(out, ", ");
        xr_buffer_json(out, text->data + at, end - at);
        at = end + 1;
    }
    xr_buffer_byte(out, ']');
}

static void write_result(Job *job, const XrVerifyResult *result) {
    XrBuffer *out = &job->out;
    xr_buffer_format(out, "{\"score\": %d, \"verdict\": \"%s\", \"extracted\": ", result->score,
                     xr_verdict_name(result->verdict));
    xr_buffer_json(out, result->extracted.data ? result->extracted.data : "",
                   result->extracted.length);
    xr_buffer_format(out, ", \"method\": \"%s\", \"microseconds\": %.1f",
                     xr_extract_method_name(result->method), result->microseconds);
    if (job->explain) write_explanation(out, result);
    xr_buffer_text(out, "}\n");
    job->verdicts[result->verdict]++;
}

static void write_failure(Job *job, const char *message) {
    xr_buffer_text(&job->out, "{\"score\": null, \"verdict\": null, \"error\": ");
    xr_buffer_json(&job->out, message, strlen(message));
    xr_buffer_text(&job->out, "}\n");
    fprintf(stderr, "xreasoner verify: %s\n", message);
    job->malformed++;
}

// Judges the batch, writes its results in the lines' order, and empties it.
static void finish_batch(Job *job) {
    int64_t good = 0;
    for (int i = 0; i < job->count; i++) {
        if (!job->failures[i]) job->requests[good++] = job->lines[i].request;
    }
    xr_verify_batch(job->pool, job->requests, job->results, good);
    good = 0;
    xr_buffer_clear(&job->out);
    for (int i = 0; i < job->count; i++) {
        if (job->failures[i])
            write_failure(job, job->failures[i]);
        else
            write_result(job, &job->results[good++]);
        free(job->failures[i]);
        job->failures[i] = NULL;
    }
    fwrite(job->out.data, 1, job->out.length, stdout);
    fflush(stdout);
    job->count = 0;
    job->bytes = 0;
}

// ---- input ----

static void add_line(Job *job, XrLineStatus status, XrSpan text) {
    char name[48];
    XrError err;
    snprintf(name, sizeof name, "standard input, line %lld", (long long)job->source.number);
    bool ok;
    if (status == XR_LINE_TOO_LONG) {
        ok = xr_fail(&err, XR_ERR_LIMIT, "%s: longer than %d MiB", name, MAX_LINE >> 20);
    } else {
        ok = xr_verify_line_parse(&job->lines[job->count], name, text, job->kind, &err);
    }
    job->failures[job->count++] = ok ? NULL : xr_strdup(err.message);
    job->bytes += text.bytes;
}

static bool run(Job *job, XrError *err) {
    for (;;) {
        XrSpan text = {"", 0};
        XrLineStatus status = xr_next_line(&job->source, MAX_LINE, job->count == 0, &text);
        if (status == XR_LINE_READ || status == XR_LINE_TOO_LONG) add_line(job, status, text);
        bool full = job->count == BATCH_LINES || job->bytes >= BATCH_BYTES;
        bool pause = status != XR_LINE_READ && status != XR_LINE_TOO_LONG;
        if (job->count && (full || pause)) finish_batch(job);
        if (ferror(stdout)) return xr_fail(err, XR_ERR_IO, "standard output: %s", strerror(errno));
        if (status == XR_LINE_END) return true;
        if (status == XR_LINE_FAILED) {
            return xr_fail(err, XR_ERR_IO, "standard input: %s", strerror(errno));
        }
    }
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void print_summary(const Job *job, double seconds) {
    int64_t pairs = 0;
    for (int i = 0; i < VERDICTS; i++) pairs += job->verdicts[i];
    fprintf(stderr, "xreasoner verify: %lld pairs", (long long)pairs);
    for (int i = 0; i < VERDICTS; i++) {
        if (!job->verdicts[i]) continue;
        fprintf(stderr, ", %lld %s", (long long)job->verdicts[i], xr_verdict_name((XrVerdict)i));
    }
    fprintf(stderr, "; %lld malformed lines, %lld workers lost, %.2f s\n",
            (long long)job->malformed, (long long)xr_verify_pool_lost(job->pool), seconds);
}

static int run_job(Job *job, const XrVerifyPoolOptions *options) {
    XrError err;
    double began = seconds_now();
    job->pool = xr_verify_pool_create(options, &err);
    bool ok = job->pool != NULL;
    if (ok) {
        job->lines = xr_calloc(BATCH_LINES, sizeof *job->lines);
        job->requests = xr_calloc(BATCH_LINES, sizeof *job->requests);
        job->results = xr_calloc(BATCH_LINES, sizeof *job->results);
        job->failures = xr_calloc(BATCH_LINES, sizeof *job->failures);
        ok = run(job, &err);
        print_summary(job, seconds_now() - began);
    }
    if (!ok) fprintf(stderr, "xreasoner verify: %s\n", err.message);
    for (int i = 0; job->lines && i < BATCH_LINES; i++) {
        xr_verify_line_free(&job->lines[i]);
        xr_verify_result_free(&job->results[i]);
    }
    free(job->lines);
    free(job->requests);
    free(job->results);
    free(job->failures);
    xr_buffer_free(&job->out);
    xr_line_source_free(&job->source);
    xr_verify_pool_free(job->pool);
    return ok && !job->malformed ? 0 : 1;
}

int xr_command_verify(int argc, char **argv) {
    Job job = {.source = {.descriptor = STDIN_FILENO}};
    XrVerifyPoolOptions pool = {.isolate = true};
    XrVerifyOptions *verify = &pool.verify;
    const char *kind = "auto";
    int64_t threads = 0, seed = 0;
    bool together = false;
    const XrOption options[] = {
        {"kind", XR_OPT_TEXT, &kind, "KIND", "what the pairs are, where a line does not say",
         "auto|math|choice|text", 0, 0},
        {"explain", XR_OPT_FLAG, &verify->explain, NULL, "say how each verdict came about", NULL, 0,
         0},
        {"tolerance", XR_OPT_DOUBLE, &verify->math.relative_tolerance, "X",
         "numbers within this relative distance are equal", NULL, 0, 1},
        {"strict-decimals", XR_OPT_FLAG, &verify->math.strict_decimals, NULL,
         "an answer must show every digit of a decimal gold answer", NULL, 0, 0},
        {"count-thinking", XR_OPT_FLAG, &verify->count_thinking, NULL,
         "look inside thinking where nothing is stated outside", NULL, 0, 0},
        {"in-thinking", XR_OPT_FLAG, &verify->starts_in_thinking, NULL,
         "responses start inside thinking that the prompt opened", NULL, 0, 0},
        {"open-answer", XR_OPT_FLAG, &verify->open_answer, NULL,
         "an <answer> may end with the response", NULL, 0, 0},
        {"milliseconds", XR_OPT_DOUBLE, &verify->math.max_milliseconds, "X",
         "the most time for one comparison (default 20)", NULL, 0.1, 60000},
        {"together", XR_OPT_FLAG, &together, NULL, "judge in this process, without workers", NULL,
         0, 0},
        {"threads", XR_OPT_INT, &threads, "N", "threads (default: one for each processor)", NULL, 0,
         256},
        {"seed", XR_OPT_INT, &seed, "N", "of the random points", NULL, 0, 9e15},
    };
    const XrCommandLine line = {
        .usage = "xreasoner verify [options] < PAIRS.jsonl > VERDICTS.jsonl",
        .description =
            "Reads {\"gold\": …, \"answer\": …} from each line of standard input, or \"response\" "
            "for a\n"
            "text that the answer is to be taken from; \"kind\", \"options\" and \"question\" may "
            "follow.\n"
            "Writes {\"score\", \"verdict\", \"extracted\", \"method\", \"microseconds\"} for each "
            "line, in\n"
            "order. A line that cannot be read gets an \"error\", and the exit code is then 1.",
        .options = options,
        .option_count = XR_COUNT(options),
    };
    int count;
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, NULL, &count);
    if (parsed != XR_PARSED) return parsed == XR_PARSED_HELP ? 0 : 2;
    xr_verify_kind_find(kind, &job.kind);
    job.explain = verify->explain;
    verify->math.seed = (uint64_t)seed;
    pool.threads = (int)threads;
    pool.isolate = !together;
    return run_job(&job, &pool);
}
