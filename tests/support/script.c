#include "tests/support/script.h"

#include "shared/base/buffer.h"
#include "shared/base/memory.h"
#include "shared/base/utf8.h"
#include "tests/support/models.h"
#include "tests/support/samples.h"
#include "tests/support/test.h"

#include <stdlib.h>

// Pieces of two parts each, in the order of their ids from 256 on; later ones are made of earlier.
static const char *const MERGES[][2] = {
    {"t", "h"},    {"th", "i"}, {"n", "k"},    {"thi", "nk"},    {"<", "/"},  {">", "\n"},
    {">\n", "\n"}, {".", "\n"}, {".\n", "\n"}, {"\n", "\n"},     {".", "</"}, {"o", "k"},
    {" ", "<"},    {"in", "k"}, {"i", "n"},    {"\xE2", "\x82"},
};

// A byte in the alphabet of byte-level tokenizers, as JSON text.
static void append_byte(XrBuffer *out, unsigned char byte) {
    int shift = 0;
    for (int b = 0; b < byte; b++) shift += !((b >= 33 && b < 127) || (b >= 161 && b != 173));
    bool own = (byte >= 33 && byte < 127) || (byte >= 161 && byte != 173);
    char text[4];
    int bytes = xr_utf8_encode(own ? byte : (uint32_t)(256 + shift), text);
    if (byte == '"' || byte == '\\') xr_buffer_byte(out, '\\');
    xr_buffer_append(out, text, (size_t)bytes);
}

static void append_piece(XrBuffer *out, const char *bytes) {
    for (; *bytes; bytes++) append_byte(out, (unsigned char)*bytes);
}

static void append_vocabulary(XrBuffer *json) {
    for (int byte = 0; byte < 256; byte++) {
        xr_buffer_text(json, byte ? ",\"" : "\"");
        append_byte(json, (unsigned char)byte);
        xr_buffer_format(json, "\":%d", byte);
    }
    for (size_t i = 0; i < XR_COUNT(MERGES); i++) {
        xr_buffer_text(json, ",\"");
        append_piece(json, MERGES[i][0]);
        append_piece(json, MERGES[i][1]);
        xr_buffer_format(json, "\":%zu", 256 + i);
    }
}

static void append_added(XrBuffer *json, int id, const char *content, bool special) {
    xr_buffer_format(json,
                     "{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,"
                     "\"rstrip\":false,\"normalized\":false,\"special\":%s}",
                     id, content, special ? "true" : "false");
}

static XrTokenizer *make_tokenizer(bool think_token) {
    XrBuffer json = {0};
    xr_buffer_text(&json, "{\"version\":\"1.0\",\"added_tokens\":[");
    append_added(&json, XR_SCRIPT_END, "<end>", true);
    xr_buffer_byte(&json, ',');
    append_added(&json, XR_SCRIPT_START, "<start>", true);
    if (think_token) xr_buffer_byte(&json, ',');
    if (think_token) append_added(&json, XR_SCRIPT_CLOSE, "</think>", false);
    xr_buffer_text(&json, "],\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":"
                          "\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{"
                          "\"Regex\":");
    const char *regex = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
                        "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    xr_buffer_json(&json, regex, strlen(regex));
    xr_buffer_text(&json, "},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\","
                          "\"add_prefix_space\":false,\"trim_offsets\":false,\"use_regex\":false}"
                          "]},\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\"},"
                          "\"model\":{\"type\":\"BPE\",\"vocab\":{");
    append_vocabulary(&json);
    xr_buffer_text(&json, "},\"merges\":[");
    for (size_t i = 0; i < XR_COUNT(MERGES); i++) {
        xr_buffer_text(&json, i ? ",\"" : "\"");
        append_piece(&json, MERGES[i][0]);
        xr_buffer_byte(&json, ' ');
        append_piece(&json, MERGES[i][1]);
        xr_buffer_byte(&json, '"');
    }
    xr_buffer_text(&json, "]}}");
    XrError err;
    XrTokenizer *t = xr_tokenizer_parse("script", json.data, json.length, &err);
    if (!t) fail_msg("%s\n%s", err.message, json.data);
    xr_buffer_free(&json);
    return t;
}

// What is drawn next: operations have no context, so that there is one script at a time.
static int32_t words_ids[512];
static int words_count, words_drawn;
static int32_t said[512]; // by the place in the response; XR_SCRIPT_END where nothing was drawn
static bool says_again;
static const XrOps *true_ops;
static XrOps script_ops;

static void draw_from_script(XrBackend *b, const XrTensor *tokens, const XrTensor *logprob,
                             const XrTensor *scaled, const XrTensor *logits, const XrTensor *ids,
                             const XrSampleParams *params) {
    true_ops->sample(b, tokens, logprob, scaled, logits, ids, params);
    for (int64_t i = 0; i < tokens->shape[0]; i++) {
        int32_t *word = &said[params[i].position];
        if (!says_again) {
            *word = words_drawn < words_count ? words_ids[words_drawn] : XR_SCRIPT_END;
            words_drawn++;
        }
        ((int32_t *)tokens->data)[i] = *word;
    }
}

XrScript *xr_script_open(bool think_token) {
    XrScript *s = xr_calloc(1, sizeof *s);
    s->backend = xr_cpu_create(1);
    true_ops = s->backend->ops;
    script_ops = *true_ops;
    script_ops.sample = draw_from_script;
    s->backend->ops = &script_ops;
    s->model = xr_golden_model(s->backend, "text_only.script");
    s->tokenizer = make_tokenizer(think_token);
    XrError err;
    XrEngineConfig config = {.max_sequences = 2,
                             .cache_bytes = 32 * xr_engine_page_bytes(s->model)};
    if (!xr_engine_create(&s->engine, s->model, s->tokenizer, &config, &err)) {
        fail_msg("%s", err.message);
    }
    return s;
}

void xr_script_close(XrScript *s) {
    xr_engine_free(s->engine);
    xr_tokenizer_free(s->tokenizer);
    xr_model_close(s->model);
    xr_backend_free(s->backend);
    free(s);
}

int32_t xr_script_id(const XrScript *s, const char *piece) {
    int32_t id = xr_tokenizer_id(s->tokenizer, piece, strlen(piece));
    if (id < 0) fail_msg("\"%s\" is not one token", piece);
    return id;
}

static void read_words(const XrScript *s, const char *words) {
    words_count = words_drawn = 0;
    for (size_t i = 0; i < XR_COUNT(said); i++) said[i] = XR_SCRIPT_END;
    for (const char *at = words; *at;) {
        size_t length = *at == '|' ? 1 : strcspn(at, "|");
        char piece[64];
        snprintf(piece, sizeof piece, "%.*s", (int)length, at);
        words_ids[words_count++] = xr_script_id(s, piece);
        at += length;
        at += *at == '|';
    }
}

static XrResponse *generate(XrScript *s, const XrRequest *r, bool ahead) {
    XrResponse *response;
    XrError err;
    s->backend->asynchronous = says_again = ahead;
    if (!xr_engine_generate(s->engine, r, 1, &response, &err)) fail_msg("%s", err.message);
    return response;
}

// The engine must give the same when it asks for a token before it has seen the one before.
static void compare_ahead(XrScript *s, const XrRequest *r, const XrResponse *response) {
    XrRequest silent = *r;
    silent.on_piece = NULL;
    XrResponse *ahead = generate(s, &silent, true);
    xr_assert_same_sample(&ahead->samples[0], &response->samples[0], "ahead", r->id);
    xr_response_free(ahead);
}

XrResponse *xr_script_run(XrScript *s, const char *tail, const char *words,
                          const XrRequest *settings) {
    int32_t prompt[256] = {'Q', '<', 't', 'h', XR_SCRIPT_START};
    int64_t count = 5;
    for (const char *at = tail; *at; at++) prompt[count++] = (unsigned char)*at;
    XrRequest r = *settings;
    int32_t stop = XR_SCRIPT_END;
    r.prompt = prompt;
    r.prompt_count = count;
    r.stop_ids = &stop;
    r.stop_id_count = 1;
    read_words(s, words);
    XrResponse *response = generate(s, &r, false);
    if (!r.think.branch && r.samples == 1) compare_ahead(s, &r, response);
    return response;
}
