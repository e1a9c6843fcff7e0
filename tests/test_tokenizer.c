// The tokenizer against Hugging Face tokenizers (golden/make_tokenizer.py).
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/base/thread.h"
#include "shared/base/utf8.h"
#include "shared/text/decoder.h"
#include "shared/text/encoder.h"
#include "shared/text/pretokenize.h"
#include "shared/text/unicode.h"

#include <stdlib.h>
#include <utf8proc.h>
#include <xxhash.h> // defines: XXH3_64bits_update

static XrJson golden;

static int set_up(void **state) {
    XrError err;
    return xr_json_read_file(&golden, xr_test_source("golden/tokenizer/texts.json"), &XR_JSON_LARGE,
                             &err)
               ? 0
               : -1;
}

static int tear_down(void **state) {
    xr_json_free(&golden);
    return 0;
}

static const cJSON *get(const cJSON *object, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!value) fail_msg("golden data lack %s", key);
    return value;
}

static XrTokenizer *load(const char *name) {
    XrError err = {0};
    char path[128];
    snprintf(path, sizeof path, "golden/tokenizer/%s.json", name);
    const char *file =
        strcmp(name, "real") == 0 ? xr_test_data("qwen2.5-vl") : xr_test_source(path);
    XrTokenizer *t = xr_tokenizer_load(file, &err);
    if (!t) fail_msg("%s", err.message);
    return t;
}

static void encode(XrEncoder *encoder, const char *text, size_t bytes, XrEncodeMode mode,
                   XrIds *ids) {
    XrError err = {0};
    if (!xr_encode(encoder, text, bytes, mode, ids, &err)) fail_msg("%s", err.message);
}

// The hash that the golden data have: of each text's ids, followed by -1.
typedef struct Hash {
    XXH3_state_t *state;
} Hash;

static Hash hash_new(void) {
    Hash hash = {XXH3_createState()};
    XXH3_64bits_reset(hash.state);
    return hash;
}

static void hash_ids(Hash hash, const XrIds *ids) {
    const int32_t end = -1;
    if (ids->count) XXH3_64bits_update(hash.state, ids->data, ids->count * sizeof *ids->data);
    XXH3_64bits_update(hash.state, &end, sizeof end);
}

static void hash_check(Hash hash, const cJSON *wanted, const char *name, size_t index) {
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)XXH3_64bits_digest(hash.state));
    XXH3_freeState(hash.state);
    if (strcmp(text, wanted->valuestring) != 0) fail_msg("%s: other ids in %zu", name, index);
}

// A text of the golden data: a string, or [two characters, how many in all].
static void golden_text(const cJSON *value, XrBuffer *out) {
    xr_buffer_clear(out);
    XrBuffer scratch = {0};
    size_t bytes;
    if (cJSON_IsString(value)) {
        const char *text = xr_json_string(&golden, value, &scratch, &bytes);
        xr_buffer_append(out, text, bytes);
    } else {
        const char *pair = value->child->valuestring;
        uint32_t c;
        size_t first = (size_t)xr_utf8_decode(pair, strlen(pair), &c);
        for (int i = 0; i < value->child->next->valueint; i++) {
            if (i % 2)
                xr_buffer_text(out, pair + first);
            else
                xr_buffer_append(out, pair, first);
        }
    }
    xr_buffer_free(&scratch);
}

static void check_texts(const char *name) {
    XrTokenizer *t = load(name);
    XrEncoder *encoder = xr_encoder_create(t);
    const cJSON *value, *hashes = get(get(golden.root, "cases"), name)->child;
    XrBuffer text = {0};
    XrIds ids = {0};
    size_t index = 0;
    cJSON_ArrayForEach(value, get(golden.root, "texts")) {
        golden_text(value, &text);
        const char *const keys[] = {"plain", "special"};
        for (int mode = 0; mode < 2; mode++) {
            Hash hash = hash_new();
            ids.count = 0;
            encode(encoder, text.data, text.length, (XrEncodeMode)mode, &ids);
            hash_ids(hash, &ids);
            hash_check(hash, get(hashes, keys[mode]), name, index);
        }
        index++;
        hashes = hashes->next;
    }
    assert_true(index > 600 && !hashes);
    xr_ids_free(&ids);
    xr_buffer_free(&text);
    xr_encoder_free(encoder);
    xr_tokenizer_free(t);
}

static void texts_small(void **state) {
    check_texts("small");
}
static void texts_legacy_merges(void **state) {
    check_texts("legacy");
}
static void texts_qwen3_tokens(void **state) {
    check_texts("qwen3");
}
static void texts_ignore_merges(void **state) {
    check_texts("ignore_merges");
}
static void texts_normalized_added_tokens(void **state) {
    check_texts("normalized");
}
static void texts_ids_with_gaps(void **state) {
    check_texts("gaps");
}
static void texts_real(void **state) {
    check_texts("real");
}

static void check_examples(const char *name, const char *key) {
    XrTokenizer *t = load(name);
    XrEncoder *encoder = xr_encoder_create(t);
    XrBuffer text = {0};
    XrIds ids = {0};
    const cJSON *example, *id;
    cJSON_ArrayForEach(example, get(golden.root, "examples")) {
        golden_text(get(example, "text"), &text);
        ids.count = 0;
        encode(encoder, text.data, text.length, XR_ENCODE_CONTROL, &ids);
        size_t i = 0;
        cJSON_ArrayForEach(id, get(example, key)) {
            if (i >= ids.count || ids.data[i] != id->valueint) {
                fail_msg("\"%s\": another id at %zu", text.data ? text.data : "", i);
            }
            i++;
        }
        assert_int_equal(i, ids.count);
    }
    xr_ids_free(&ids);
    xr_buffer_free(&text);
    xr_encoder_free(encoder);
    xr_tokenizer_free(t);
}

static void examples_id_by_id(void **state) {
    check_examples("small", "ids");
}
static void examples_real(void **state) {
    check_examples("real", "real");
}

// ---- every code point ----

// What is checked of a text: its ids, or the lengths of its pieces.
typedef void Numbers(XrEncoder *encoder, const XrBuffer *text, XrIds *out);

static void text_ids(XrEncoder *encoder, const XrBuffer *text, XrIds *out) {
    encode(encoder, text->data, text->length, XR_ENCODE_TEXT, out);
}

static void text_pieces(XrEncoder *encoder, const XrBuffer *text, XrIds *out) {
    XrBuffer normal = {0};
    xr_unicode_nfc(text->data, text->length, &normal);
    for (size_t at = 0; at < normal.length;) {
        size_t end = xr_pretoken_end(xr_unicode_classes(), normal.data, normal.length, at);
        xr_ids_append(out, &(int32_t){(int32_t)(end - at)}, 1);
        at = end;
    }
    xr_buffer_free(&normal);
}

// A code point in the contexts that golden/make_tokenizer.py puts it in.
static void block_text(uint32_t c, XrBuffer *out) {
    static const char PATTERN[] = "XaXb 1X2 X \nX\n 'X 'XeXX|a\u0301X\u0327\u0345X|eX\u0301"
                                  "|\u1100X|!X!";
    char x[4];
    size_t bytes = (size_t)xr_utf8_encode(c, x);
    xr_buffer_clear(out);
    for (const char *p = PATTERN; *p; p++) {
        if (*p == 'X')
            xr_buffer_append(out, x, bytes);
        else
            xr_buffer_byte(out, *p);
    }
}

// Planes 4 to 13 have no characters, 15 and 16 private ones: slow checks of memory take a block of
// each.
static bool left_out(uint32_t first) {
#ifdef __SANITIZE_ADDRESS__
    return first >= 0x40000 && first % 0x10000;
#else
    (void)first;
    return false;
#endif
}

static void check_blocks(const char *tokenizer, const char *blocks, Numbers *numbers) {
    XrTokenizer *t = load(tokenizer);
    XrEncoder *encoder = xr_encoder_create(t);
    XrBuffer text = {0};
    XrIds ids = {0};
    const cJSON *wanted;
    uint32_t first = 0;
    cJSON_ArrayForEach(wanted, get(get(golden.root, "blocks"), blocks)) {
        if (left_out(first)) {
            first += 0x1000;
            continue;
        }
        Hash hash = hash_new();
        for (uint32_t c = first; c < first + 0x1000; c++) {
            if (c >= 0xD800 && c < 0xE000) continue;
            block_text(c, &text);
            ids.count = 0;
            numbers(encoder, &text, &ids);
            hash_ids(hash, &ids);
        }
        hash_check(hash, wanted, "block of code points", first);
        first += 0x1000;
    }
    assert_int_equal(first, 0x110000);
    xr_ids_free(&ids);
    xr_buffer_free(&text);
    xr_encoder_free(encoder);
    xr_tokenizer_free(t);
}

static void every_code_point_pieces(void **state) {
    check_blocks("small", "pieces", text_pieces);
}

static void texts_pieces(void **state) {
    const cJSON *value, *wanted = get(golden.root, "pieces")->child;
    XrBuffer text = {0};
    XrIds ids = {0};
    size_t index = 0;
    cJSON_ArrayForEach(value, get(golden.root, "texts")) {
        Hash hash = hash_new();
        golden_text(value, &text);
        ids.count = 0;
        text_pieces(NULL, &text, &ids);
        hash_ids(hash, &ids);
        hash_check(hash, wanted, "pieces", index++);
        wanted = wanted->next;
    }
    xr_ids_free(&ids);
    xr_buffer_free(&text);
}

static void every_code_point_small(void **state) {
    check_blocks("small", "small", text_ids);
}
static void every_code_point_real(void **state) {
    check_blocks("real", "real", text_ids);
}

// ---- real data ----

// The normal form by another library.
static void assert_round_trip(const XrTokenizer *t, const XrIds *ids, const char *text,
                              size_t bytes, XrBuffer *out) {
    XrError err = {0};
    uint8_t *normal = NULL;
    ssize_t length = utf8proc_map((const uint8_t *)text, (ssize_t)bytes, &normal,
                                  UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    xr_buffer_clear(out);
    assert_true(xr_decode(t, ids->data, ids->count, false, out, &err));
    assert_int_equal(out->length, length);
    if (length) assert_memory_equal(out->data, normal, (size_t)length);
    free(normal);
}

static void check_file(const XrTokenizer *t, XrEncoder *encoder, const cJSON *wanted) {
    XrError err = {0};
    XrBuffer file = {0}, decoded = {0};
    XrIds ids = {0};
    assert_true(xr_file_read(xr_test_data(wanted->string), 1 << 30, &file, &err));
    Hash hash = hash_new();
    for (size_t at = 0; at <= file.length;) {
        const char *line = file.data + at;
        const char *end = memchr(line, '\n', file.length - at);
        size_t bytes = end ? (size_t)(end - line) : file.length - at;
        ids.count = 0;
        encode(encoder, line, bytes, XR_ENCODE_CONTROL, &ids);
        hash_ids(hash, &ids);
        assert_round_trip(t, &ids, line, bytes, &decoded);
        at += bytes + 1;
    }
    hash_check(hash, wanted, wanted->string, 0);
    xr_buffer_free(&file);
    xr_buffer_free(&decoded);
    xr_ids_free(&ids);
}

static void real_data(void **state) {
    XrTokenizer *t = load("real");
    XrEncoder *encoder = xr_encoder_create(t);
    const cJSON *wanted;
    cJSON_ArrayForEach(wanted, get(golden.root, "data")) check_file(t, encoder, wanted);
    xr_encoder_free(encoder);
    xr_tokenizer_free(t);
}

// ---- decoding ----

static void ids_of_json(const cJSON *array, XrIds *ids) {
    const cJSON *value;
    ids->count = 0;
    cJSON_ArrayForEach(value, array) xr_ids_append(ids, &(int32_t){value->valueint}, 1);
}

static void decodes_as_tokenizers(void **state) {
    XrTokenizer *t = load("small");
    XrError err = {0};
    XrIds ids = {0};
    XrBuffer text = {0}, out = {0};
    const cJSON *test;
    cJSON_ArrayForEach(test, get(golden.root, "decoded")) {
        ids_of_json(get(test, "ids"), &ids);
        for (int skip = 0; skip < 2; skip++) {
            golden_text(get(test, skip ? "skipped" : "text"), &text);
            xr_buffer_clear(&out);
            assert_true(xr_decode(t, ids.data, ids.count, skip, &out, &err));
            assert_int_equal(out.length, text.length);
            if (text.length) assert_memory_equal(out.data, text.data, text.length);
        }
    }
    xr_ids_free(&ids);
    xr_buffer_free(&text);
    xr_buffer_free(&out);
    xr_tokenizer_free(t);
}

static void streams_whole_characters(void **state) {
    XrTokenizer *t = load("small");
    XrError err = {0};
    XrIds ids = {0};
    XrBuffer whole = {0}, out = {0};
    const cJSON *test;
    cJSON_ArrayForEach(test, get(golden.root, "decoded")) {
        ids_of_json(get(test, "ids"), &ids);
        xr_buffer_clear(&whole);
        xr_buffer_clear(&out);
        assert_true(xr_decode(t, ids.data, ids.count, true, &whole, &err));
        XrDecodeStream stream = xr_decode_stream(t, true);
        for (size_t i = 0; i < ids.count; i++) {
            assert_true(xr_decode_stream_push(&stream, ids.data[i], &out, &err));
            assert_int_equal(xr_utf8_valid_prefix(out.data, out.length), out.length);
            assert_true(out.length <= whole.length);
        }
        xr_decode_stream_end(&stream, &out);
        assert_int_equal(out.length, whole.length);
        if (out.length) assert_memory_equal(out.data, whole.data, out.length);
    }
    xr_ids_free(&ids);
    xr_buffer_free(&whole);
    xr_buffer_free(&out);
    xr_tokenizer_free(t);
}

static void streams_a_character_with_its_last_byte(void **state) {
    XrTokenizer *t = load("small");
    XrError err = {0};
    XrBuffer out = {0};
    XrDecodeStream stream = xr_decode_stream(t, false);
    static const char TEXT[] = "\xF0\x9F\x91\x8D\xE4\xB8"; // a whole character, and a part of one
    static const size_t LENGTHS[] = {0, 0, 0, 4, 4, 4};
    for (size_t i = 0; i < sizeof TEXT - 1; i++) {
        assert_true(xr_decode_stream_push(&stream, xr_tokenizer_id(t, TEXT + i, 1), &out, &err));
        assert_int_equal(out.length, LENGTHS[i]);
    }
    xr_decode_stream_end(&stream, &out);
    assert_string_equal(out.data, "\U0001F44D\uFFFD");
    assert_false(xr_decode_stream_push(&stream, xr_tokenizer_size(t), &out, &err));
    assert_false(xr_decode_stream_push(&stream, -1, &out, &err));
    assert_false(xr_decode(t, (int32_t[]){1, 99999}, 2, false, &out, &err));
    assert_non_null(strstr(err.message, "token 1: 99999 is not the id"));
    xr_buffer_free(&out);
    xr_tokenizer_free(t);
}

// ---- what a token is ----

static void knows_its_tokens(void **state) {
    XrTokenizer *t = load("normalized");
    size_t bytes;
    int32_t end = xr_tokenizer_id(t, "<|im_end|>", 10);
    assert_true(end > 0 && xr_tokenizer_is_added(t, end) && xr_tokenizer_is_special(t, end));
    assert_memory_equal(xr_tokenizer_bytes(t, end, &bytes), "<|im_end|>", 10);
    assert_int_equal(bytes, 10);
    int32_t call = xr_tokenizer_id(t, "<tool_call>", 11);
    assert_true(xr_tokenizer_is_added(t, call) && !xr_tokenizer_is_special(t, call));
    int32_t space = xr_tokenizer_id(t, " ", 1);
    assert_false(xr_tokenizer_is_added(t, space));
    assert_memory_equal(xr_tokenizer_bytes(t, space, &bytes), " ", 1);
    assert_int_equal(xr_tokenizer_id(t, "no such token", 13), -1);
    assert_int_equal(xr_tokenizer_id(t, "", 0), -1);
    assert_null(xr_tokenizer_bytes(t, xr_tokenizer_size(t), &bytes));
    assert_null(xr_tokenizer_bytes(t, -1, &bytes));
    assert_int_equal(xr_tokenizer_eos(t), end);
    assert_int_equal(xr_tokenizer_pad(t), xr_tokenizer_id(t, "<|endoftext|>", 13));
    xr_tokenizer_free(t);
    t = load("gaps");
    assert_int_equal(xr_tokenizer_eos(t), -1);
    assert_null(xr_tokenizer_bytes(t, 0, &bytes)); // a gap
    xr_tokenizer_free(t);
}

static void names_come_from_the_configuration(void **state) {
    XrError err = {0};
    XrBuffer text = {0};
    char folder[300], path[400];
    snprintf(folder, sizeof folder, "%s/names", xr_test_scratch());
    assert_true(xr_make_folders(folder, &err));
    assert_true(xr_file_read(xr_test_source("golden/tokenizer/small.json"), 1 << 20, &text, &err));
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    assert_true(xr_file_write(path, text.data, text.length, &err));
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    static const char CONFIG[] = "{\"eos_token\": \"<|file_sep|>\", \"pad_token\": {\"content\": "
                                 "\"<|vision_pad|>\"}}";
    assert_true(xr_file_write(path, CONFIG, strlen(CONFIG), &err));
    XrTokenizer *t = xr_tokenizer_load(folder, &err);
    assert_non_null(t);
    assert_int_equal(xr_tokenizer_eos(t), xr_tokenizer_id(t, "<|file_sep|>", 12));
    assert_int_equal(xr_tokenizer_pad(t), xr_tokenizer_id(t, "<|vision_pad|>", 14));
    xr_tokenizer_free(t);
    static const char WRONG[] = "{\"eos_token\": \"<|nope|>\"}";
    assert_true(xr_file_write(path, WRONG, strlen(WRONG), &err));
    assert_null(xr_tokenizer_load(folder, &err));
    assert_non_null(strstr(err.message, "<|nope|>"));
    static const char SAME[] =
        "{\"added_tokens_decoder\": {\"498\": {\"content\": \"<|im_end|>\"}}}";
    static const char OTHER[] = "{\"added_tokens_decoder\": {\"600\": {\"content\": \"<new>\"}}}";
    assert_true(xr_file_write(path, SAME, strlen(SAME), &err));
    t = xr_tokenizer_load(folder, &err);
    assert_non_null(t);
    xr_tokenizer_free(t);
    assert_true(xr_file_write(path, OTHER, strlen(OTHER), &err));
    assert_null(xr_tokenizer_load(folder, &err));
    assert_non_null(strstr(err.message, "\"added_tokens_decoder\" has a token 600"));
    xr_buffer_free(&text);
}

static void wrong_utf8_is_an_error_with_its_place(void **state) {
    XrTokenizer *t = load("small");
    XrEncoder *encoder = xr_encoder_create(t);
    XrIds ids = {0};
    XrError err = {0};
    static const struct {
        const char *text;
        const char *place;
    } rows[] = {
        {"\xFF", "byte 0"},         {"abc\x80", "byte 3"},   {"0123456789\xC3", "byte 10"},
        {"\xED\xA0\x80", "byte 0"}, {"a\xC0\x80", "byte 1"}, {"\u4e2d\xF4\x90\x80\x80", "byte 3"}};
    for (size_t i = 0; i < XR_COUNT(rows); i++) {
        encode(encoder, "kept", 4, XR_ENCODE_TEXT, &ids);
        size_t before = ids.count;
        assert_false(
            xr_encode(encoder, rows[i].text, strlen(rows[i].text), XR_ENCODE_TEXT, &ids, &err));
        assert_int_equal(ids.count, before);
        assert_non_null(strstr(err.message, rows[i].place));
    }
    xr_ids_free(&ids);
    xr_encoder_free(encoder);
    xr_tokenizer_free(t);
}

// A megabyte of one thing. Anything quadratic would take hours.
static void long_runs(void **state) {
    static const char *const UNITS[] = {
        "a",   " ", "1", "\n",    "\U0001F44D",   "\u4e2d", "\u0301", "\u0301\u0327",
        " \n", "'", "<", "<|im_", "e\u0301\u0323"};
    XrTokenizer *t = load("small");
    XrEncoder *encoder = xr_encoder_create(t);
    XrBuffer text = {0}, out = {0};
    XrIds ids = {0};
    XrError err = {0};
    for (size_t i = 0; i < XR_COUNT(UNITS); i++) {
        xr_buffer_clear(&text);
        while (text.length < 1 << 20) xr_buffer_text(&text, UNITS[i]);
        ids.count = 0;
        encode(encoder, text.data, text.length, XR_ENCODE_CONTROL, &ids);
        xr_buffer_clear(&out);
        assert_true(xr_decode(t, ids.data, ids.count, false, &out, &err));
        assert_true(out.length > text.length / 2);
    }
    xr_buffer_free(&text);
    xr_buffer_free(&out);
    xr_ids_free(&ids);
    xr_encoder_free(encoder);
    xr_tokenizer_free(t);
}

// ---- threads ----

typedef struct Job {
    const XrTokenizer *tokenizer;
    uint64_t hashes[64];
} Job;

static void encode_some(void *context, int64_t begin, int64_t end, int thread) {
    Job *job = context;
    for (int64_t i = begin; i < end; i++) {
        XrEncoder *encoder = xr_encoder_create(job->tokenizer);
        XrIds ids = {0};
        XrError err;
        char text[64];
        for (int k = 0; k < 50; k++) {
            snprintf(text, sizeof text, "Thinking %d about e\u0301 \u4e2d %lld's", k,
                     (long long)i % 8);
            xr_encode(encoder, text, strlen(text), XR_ENCODE_CONTROL, &ids, &err);
        }
        job->hashes[i] = XXH3_64bits(ids.data, ids.count * sizeof *ids.data);
        xr_ids_free(&ids);
        xr_encoder_free(encoder);
    }
}

static void threads_share_a_tokenizer(void **state) {
    Job job = {.tokenizer = load("small")};
    XrThreads *threads = xr_threads_create(8);
    xr_parallel(threads, 64, 1, encode_some, &job);
    for (int i = 8; i < 64; i++) assert_true(job.hashes[i] == job.hashes[i % 8]);
    assert_true(job.hashes[0] != job.hashes[1]);
    xr_threads_free(threads);
    xr_tokenizer_free((XrTokenizer *)job.tokenizer);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_small),
        cmocka_unit_test(texts_legacy_merges),
        cmocka_unit_test(texts_qwen3_tokens),
        cmocka_unit_test(texts_ignore_merges),
        cmocka_unit_test(texts_normalized_added_tokens),
        cmocka_unit_test(texts_ids_with_gaps),
        cmocka_unit_test(texts_real),
        cmocka_unit_test(examples_id_by_id),
        cmocka_unit_test(examples_real),
        cmocka_unit_test(texts_pieces),
        cmocka_unit_test(every_code_point_pieces),
        cmocka_unit_test(every_code_point_small),
        cmocka_unit_test(every_code_point_real),
        cmocka_unit_test(real_data),
        cmocka_unit_test(decodes_as_tokenizers),
        cmocka_unit_test(streams_whole_characters),
        cmocka_unit_test(streams_a_character_with_its_last_byte),
        cmocka_unit_test(knows_its_tokens),
        cmocka_unit_test(names_come_from_the_configuration),
        cmocka_unit_test(wrong_utf8_is_an_error_with_its_place),
        cmocka_unit_test(long_runs),
        cmocka_unit_test(threads_share_a_tokenizer),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
