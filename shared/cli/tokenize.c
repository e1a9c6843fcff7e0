// xreasoner tokenize MODEL: text to token ids and back, a JSON value a line.
#include "shared/cli/commands.h"
#include "shared/cli/options.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/text/decoder.h"
#include "shared/text/encoder.h"

#include <stdio.h>

enum { MAX_LINE = 64 << 20 };

typedef struct Job {
    bool decode, special, skip_special;
    XrTokenizer *tokenizer;
    XrEncoder *encoder;
    XrIds ids;
    XrBuffer text, out;
} Job;

static void write_ids(Job *job) {
    xr_buffer_byte(&job->out, '[');
    for (size_t i = 0; i < job->ids.count; i++) {
        xr_buffer_format(&job->out, i ? ", %d" : "%d", job->ids.data[i]);
    }
    xr_buffer_byte(&job->out, ']');
}

static bool encode_line(Job *job, const XrJson *line, XrError *err) {
    if (!cJSON_IsString(line->root)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: a JSON string is needed", line->name);
    }
    size_t bytes;
    const char *text = xr_json_string(line, line->root, &job->text, &bytes);
    XrEncodeMode mode = job->special ? XR_ENCODE_CONTROL : XR_ENCODE_TEXT;
    if (!xr_encode(job->encoder, text, bytes, mode, &job->ids, err)) {
        return xr_fail_in(err, "%s", line->name);
    }
    write_ids(job);
    return true;
}

static bool decode_line(Job *job, const XrJson *line, XrError *err) {
    const cJSON *value;
    if (!cJSON_IsArray(line->root)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: a JSON array of ids is needed", line->name);
    }
    cJSON_ArrayForEach(value, line->root) {
        int64_t id;
        if (!xr_json_whole(value, &id) || id != (int32_t)id) {
            return xr_fail(err, XR_ERR_INPUT, "%s: element %zu is not a token id", line->name,
                           job->ids.count);
        }
        xr_ids_append(&job->ids, &(int32_t){(int32_t)id}, 1);
    }
    xr_buffer_clear(&job->text);
    if (!xr_decode(job->tokenizer, job->ids.data, job->ids.count, job->skip_special, &job->text,
                   err)) {
        return xr_fail_in(err, "%s", line->name);
    }
    xr_buffer_json(&job->out, job->text.data, job->text.length);
    return true;
}

static bool run_line(Job *job, const XrBuffer *text, int64_t number, XrError *err) {
    char name[48];
    XrJson line;
    snprintf(name, sizeof name, "standard input, line %lld", (long long)number);
    if (!xr_json_parse(&line, name, text->data, text->length, &XR_JSON_LARGE, err)) return false;
    job->ids.count = 0;
    xr_buffer_clear(&job->out);
    bool ok = job->decode ? decode_line(job, &line, err) : encode_line(job, &line, err);
    xr_json_free(&line);
    if (!ok) return false;
    xr_buffer_byte(&job->out, '\n');
    fwrite(job->out.data, 1, job->out.length, stdout);
    return true;
}

static bool run_lines(Job *job, XrError *err) {
    XrBuffer line = {0};
    int64_t number = 0;
    int got;
    bool ok = true;
    while (ok && (got = xr_read_line(stdin, MAX_LINE, &line, err)) > 0) {
        ok = run_line(job, &line, ++number, err);
    }
    xr_buffer_free(&line);
    if (ok && got < 0) return xr_fail_in(err, "standard input, line %lld", (long long)number + 1);
    return ok;
}

int xr_command_tokenize(int argc, char **argv) {
    Job job = {0};
    const XrOption options[] = {
        {.name = "decode",
         .kind = XR_OPT_FLAG,
         .value = &job.decode,
         .help = "arrays of ids in, strings out"},
        {.name = "special",
         .kind = XR_OPT_FLAG,
         .value = &job.special,
         .help = "find control tokens in text, as tokenizers' encode does"},
        {.name = "skip-special",
         .kind = XR_OPT_FLAG,
         .value = &job.skip_special,
         .help = "with --decode, leave special tokens out"},
    };
    const XrCommandLine line = {
        .usage = "xreasoner tokenize MODEL [--decode] [--special] [--skip-special]",
        .description = "Reads a JSON string from each line of standard input and writes its token "
                       "ids as a JSON array. Text is never read as control tokens unless "
                       "--special is given.",
        .options = options,
        .option_count = XR_COUNT(options),
        .least_arguments = 1,
        .most_arguments = 1,
    };
    const char *model;
    int count;
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, &model, &count);
    if (parsed != XR_PARSED) return parsed == XR_PARSED_HELP ? 0 : 2;
    XrError err;
    job.tokenizer = xr_tokenizer_load(model, &err);
    bool ok = job.tokenizer != NULL;
    if (ok) {
        job.encoder = xr_encoder_create(job.tokenizer);
        ok = run_lines(&job, &err);
    }
    if (!ok) fprintf(stderr, "xreasoner tokenize: %s\n", err.message);
    xr_encoder_free(job.encoder);
    xr_tokenizer_free(job.tokenizer);
    xr_ids_free(&job.ids);
    xr_buffer_free(&job.text);
    xr_buffer_free(&job.out);
    return ok ? 0 : 1;
}
