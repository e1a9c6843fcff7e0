// xreasoner tokenize MODEL: text to token ids and back, a JSON value a line.
#include "shared/cli/commands.h"
#include "shared/cli/options.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/image/preprocess.h"
#include "shared/text/chat_render.h"
#include "shared/text/decoder.h"
#include "shared/text/encoder.h"

#include <stdio.h>
#include <string.h>

enum { MAX_LINE = 64 << 20 };

typedef struct Job {
    bool decode, chat, special, skip_special;
    XrTokenizer *tokenizer;
    XrEncoder *encoder;
    XrChatTemplate chat_template;
    XrChatTokens rendered;
    const char *model;
    XrImageProcessor processor;
    bool has_processor;
    XrIds ids;
    XrBuffer text, out;
} Job;

static void write_ids(Job *job, const XrIds *ids) {
    xr_buffer_byte(&job->out, '[');
    for (size_t i = 0; i < ids->count; i++) {
        xr_buffer_format(&job->out, i ? ", %d" : "%d", ids->data[i]);
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
    write_ids(job, &job->ids);
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

// How many tokens a picture takes depends on its size, which only its file tells.
static bool measure_image(Job *job, XrChatPart *part, XrError *err) {
    XrImage image;
    XrImageGrid grid;
    if (!job->has_processor) {
        XrBuffer notice = {0};
        job->has_processor = xr_image_processor_load(&job->processor, job->model, &notice, err);
        if (job->has_processor && notice.length) fputs(notice.data, stderr);
        xr_buffer_free(&notice);
        if (!job->has_processor) return false;
    }
    if (!xr_image_read(&image, part->text, NULL, err)) return false;
    bool ok = xr_image_grid(&job->processor, image.height, image.width, part->text, &grid, err);
    if (ok) part->image_tokens = xr_grid_tokens(&grid, &job->processor);
    xr_image_free(&image);
    return ok;
}

// A line is an array of messages, or an object that holds it with the options of rendering. Without
// them the start of an answer follows, unless the conversation ends with an answer.
static bool render_line(Job *job, const XrJson *line, XrError *err) {
    XrChat chat = {0};
    XrChatOptions options = {0};
    const cJSON *messages = line->root;
    if (cJSON_IsObject(messages)) messages = cJSON_GetObjectItemCaseSensitive(messages, "messages");
    bool ok = xr_chat_add_json(&chat, line, messages, err);
    if (ok) {
        const char *last = chat.messages[chat.count - 1].role;
        options.add_generation_prompt = strcmp(last, "assistant") != 0;
    }
    if (ok && cJSON_IsObject(line->root)) {
        ok = xr_json_get_bool(line, line->root, "add_generation_prompt",
                              &options.add_generation_prompt, err) &&
             xr_json_get_bool(line, line->root, "add_vision_id", &options.add_vision_id, err);
    }
    for (int i = 0; ok && i < chat.image_count; i++) {
        ok = measure_image(job, xr_chat_image(&chat, i), err) || xr_fail_in(err, "%s", line->name);
    }
    if (ok) {
        ok = xr_chat_render(&job->chat_template, job->encoder, &chat, options, &job->rendered,
                            err) ||
             xr_fail_in(err, "%s", line->name);
    }
    if (ok) write_ids(job, &job->rendered.ids);
    xr_chat_free(&chat);
    return ok;
}

static bool run_line(Job *job, const XrBuffer *text, int64_t number, XrError *err) {
    char name[48];
    XrJson line;
    snprintf(name, sizeof name, "standard input, line %lld", (long long)number);
    if (!xr_json_parse(&line, name, text->data, text->length, &XR_JSON_LARGE, err)) return false;
    job->ids.count = 0;
    xr_buffer_clear(&job->out);
    bool ok = job->decode ? decode_line(job, &line, err)
              : job->chat ? render_line(job, &line, err)
                          : encode_line(job, &line, err);
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

static bool open_model(Job *job, const char *model, XrError *err) {
    XrBuffer notice = {0};
    job->model = model;
    job->tokenizer = xr_tokenizer_load(model, err);
    if (!job->tokenizer) return false;
    job->encoder = xr_encoder_create(job->tokenizer);
    bool ok = xr_chat_template_load(&job->chat_template, model, &notice, err);
    if (ok && job->chat && notice.length) fputs(notice.data, stderr);
    xr_buffer_free(&notice);
    return ok;
}

int xr_command_tokenize(int argc, char **argv) {
    Job job = {0};
    const XrOption options[] = {
        {.name = "decode",
         .kind = XR_OPT_FLAG,
         .value = &job.decode,
         .help = "arrays of ids in, strings out"},
        {.name = "chat",
         .kind = XR_OPT_FLAG,
         .value = &job.chat,
         .help = "arrays of messages in, rendered by the model's chat template"},
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
        .usage = "xreasoner tokenize MODEL [--decode] [--chat] [--special] [--skip-special]",
        .description = "Reads a JSON string from each line of standard input and writes its token "
                       "ids as a JSON\narray. Text is never read as control tokens unless "
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
    if (job.decode && job.chat) {
        fputs("xreasoner tokenize: --decode and --chat exclude each other\n", stderr);
        return 2;
    }
    XrError err = {0};
    bool ok = open_model(&job, model, &err) && run_lines(&job, &err);
    if (!ok) fprintf(stderr, "xreasoner tokenize: %s\n", err.message);
    xr_encoder_free(job.encoder);
    xr_tokenizer_free(job.tokenizer);
    xr_chat_template_free(&job.chat_template);
    xr_chat_tokens_free(&job.rendered);
    xr_ids_free(&job.ids);
    xr_buffer_free(&job.text);
    xr_buffer_free(&job.out);
    return ok ? 0 : 1;
}
