// Loading tokenizer.json files that are damaged, hostile, or of a kind that is not implemented.
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/text/encoder.h"
#include "shared/text/tokenizer.h"

#include <stdlib.h>

static XrBuffer small;

static int set_up(void **state) {
    XrError err;
    return xr_file_read(xr_test_source("golden/tokenizer/small.json"), 1 << 20, &small, &err) ? 0
                                                                                              : -1;
}

static int tear_down(void **state) {
    xr_buffer_free(&small);
    return 0;
}

static void refuses(const char *text, size_t bytes, const char *wanted) {
    XrError err = {0};
    XrTokenizer *t = xr_tokenizer_parse("dir/tokenizer.json", text, bytes, &err);
    if (t) fail_msg("loaded, where \"%s\" was expected", wanted);
    if (!strstr(err.message, wanted) || !strstr(err.message, "dir/tokenizer.json")) {
        fail_msg("\"%s\" lacks \"%s\"", err.message, wanted);
    }
}

// The small tokenizer with the first `from` (which it must hold) replaced by `to`.
static char *edited(const char *from, const char *to, size_t *bytes) {
    XrBuffer out = {0};
    const char *hit = strstr(small.data, from);
    if (!hit) fail_msg("the small tokenizer has no %s", from);
    assert_non_null(hit);
    xr_buffer_append(&out, small.data, (size_t)(hit - small.data));
    xr_buffer_text(&out, to);
    xr_buffer_text(&out, hit + strlen(from));
    *bytes = out.length;
    return out.data;
}

typedef struct Edit {
    const char *from, *to, *wanted;
} Edit;

static void check_edits(const Edit *edits, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t bytes;
        char *text = edited(edits[i].from, edits[i].to, &bytes);
        refuses(text, bytes, edits[i].wanted);
        free(text);
    }
}

static void names_what_is_not_implemented(void **state) {
    static const Edit EDITS[] = {
        {"{\"type\":\"NFC\"}", "{\"type\":\"NFKC\"}", "\"normalizer\" is not implemented"},
        {"{\"type\":\"NFC\"}", "[]", "\"normalizer\""},
        {"{\"type\":\"NFC\"}",
         "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Lowercase\"}]}",
         "\"normalizer\""},
        {"\"type\":\"Sequence\"", "\"type\":\"Whitespace\"", "\"pre_tokenizer\" is not"},
        {"\"behavior\":\"Isolated\"", "\"behavior\":\"Removed\"", "pretokenizers[0]\""},
        {"\"invert\":false", "\"invert\":true", "pretokenizers[0]\""},
        {"\\\\p{N}| ?", "\\\\p{N}{1,3}| ?", "pretokenizers[0].pattern\""},
        {"\"Regex\":", "\"String\":", "pretokenizers[0].pattern\""},
        {"\"add_prefix_space\":false", "\"add_prefix_space\":true", "pretokenizers[1]\""},
        {"\"use_regex\":false", "\"use_regex\":true", "pretokenizers[1]\""},
        {"\"post_processor\":{\"type\":\"ByteLevel\"",
         "\"post_processor\":{\"type\":\"TemplateProcessing\"", "\"post_processor\""},
        {"\"decoder\":{\"type\":\"ByteLevel\"", "\"decoder\":{\"type\":\"Metaspace\"",
         "\"decoder\""},
        {"\"type\":\"BPE\"", "\"type\":\"Unigram\"", "\"model.type\""},
        {"\"dropout\":null", "\"dropout\":0.1", "\"model.dropout\""},
        {"\"byte_fallback\":false", "\"byte_fallback\":true", "\"model.byte_fallback\""},
        {"\"continuing_subword_prefix\":null", "\"continuing_subword_prefix\":\"##\"",
         "continuing_subword_prefix"},
        {"\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"</w>\"", "end_of_word_suffix"},
        {"\"lstrip\":false", "\"lstrip\":true", "\"lstrip\" set"},
        {"\"rstrip\":false", "\"rstrip\":true", "\"rstrip\" set"},
        {"\"single_word\":false", "\"single_word\":true", "\"single_word\" set"},
    };
    check_edits(EDITS, sizeof EDITS / sizeof *EDITS);
}

static void names_what_is_malformed(void **state) {
    static const Edit EDITS[] = {
        {"\"model\":", "\"mode\":", "\"model\" is missing"},
        {"\"vocab\":", "\"vocabulary\":", "\"model.vocab\" is missing"},
        {"\"merges\":", "\"merge\":", "\"model.merges\" is missing"},
        {"\"vocab\":{\"!\":0", "\"vocab\":{\"!\":\"0\"", "the id of token \"!\""},
        {"\"vocab\":{\"!\":0", "\"vocab\":{\"!\":-1", "the id of token \"!\""},
        {"\"vocab\":{\"!\":0", "\"vocab\":{\"!\":0.5", "the id of token \"!\""},
        {"\"vocab\":{\"!\":0", "\"vocab\":{\"!\":1e300", "the id of token \"!\""},
        {"\"vocab\":{\"!\":0", "\"vocab\":{\"!\":4194304", "the id of token \"!\""},
        {"\"vocab\":{\"!\":0", "\"vocab\":{\"!\":1", "id 1 to"},
        {"\"vocab\":{\"!\":0", "\"vocab\":{\"!\":9999,\"!\":0", "holds \"!\" twice"},
        {"\"vocab\":{\"!\":0", "\"vocab\":{\"!!\":0", "no token for byte 0x21"},
        {"\"merges\":[[", "\"merges\":[[\"q!z\",\"a\"],[", "model.merges[0] joins \"q!z\""},
        {"\"merges\":[[", "\"merges\":[[\"!\",\"!\"],[", "makes a token that is not in"},
        {"\"merges\":[[", "\"merges\":[[\"!\",\"\"],[", "model.merges[0] joins \"\""},
        {"\"merges\":[[", "\"merges\":[\"a b c\",[", "model.merges[0] must be"},
        {"\"merges\":[[", "\"merges\":[\"ab\",[", "model.merges[0] must be"},
        {"\"merges\":[[", "\"merges\":[7,[", "model.merges[0] must be"},
        {"\"merges\":[[", "\"merges\":[[\"a\",\"b\",\"c\"],[", "model.merges[0] must be"},
        {"\"merges\":[[", "\"merges\":[[1,2],[", "model.merges[0] must be"},
        {"\"merges\":[[", "\"merges\":[[\"\\u4e2d\",\"a\"],[", "model.merges[0] joins"},
        {"\"added_tokens\":[", "\"added_tokens\":[{\"id\":1},", "no \"content\""},
        {"\"added_tokens\":[", "\"added_tokens\":[5,", "no \"content\""},
        {"\"added_tokens\":[", "\"added_tokens\":[{\"id\":9000,\"content\":\"\"},",
         "1 to 1024 bytes"},
        {"\"added_tokens\":[", "\"added_tokens\":[{\"content\":\"<x>\"},",
         "the id of token \"<x>\""},
        {"\"added_tokens\":[", "\"added_tokens\":[{\"id\":1,\"content\":\"<x>\"},",
         "the id of another token of model.vocab"},
        {"\"added_tokens\":[", "\"added_tokens\":[{\"id\":9000,\"content\":\"e\"},",
         "another id in model.vocab"},
        {"\"added_tokens\":[", "\"added_tokens\":[{\"id\":9000,\"content\":\"<|im_end|>\"},",
         "occurs twice"},
        {"\"special\":true", "\"special\":1", "\"special\" must be true or false"},
        {"\"added_tokens\":[", "\"added_tokens\":{},\"x\":[", "\"added_tokens\" must be an array"},
        {"\"ignore_merges\":false", "\"ignore_merges\":\"no\"", "must be true or false"},
    };
    check_edits(EDITS, sizeof EDITS / sizeof *EDITS);
}

static void accepts_what_changes_nothing(void **state) {
    static const Edit EDITS[] = {
        {"{\"type\":\"NFC\"}", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]}", ""},
        {"{\"type\":\"NFC\"}", "null", ""},
        {"\"truncation\":null", "\"truncation\":{\"max_length\":3}", ""},
        {"\"dropout\":null", "\"dropout\":0.0", ""},
        {"\"unk_token\":null", "\"unk_token\":\"!\"", ""},
        {"\"merges\":[[", "\"merges\":[\"#version: 0.2\",[", ""},
        {"\"vocab\":{\"!\":0", "\"vocab\":{\"\\u4e2d<|>\":900,\"!\":0", ""}, // not byte-level
    };
    for (size_t i = 0; i < sizeof EDITS / sizeof *EDITS; i++) {
        size_t bytes;
        XrError err = {0};
        char *text = edited(EDITS[i].from, EDITS[i].to, &bytes);
        XrTokenizer *t = xr_tokenizer_parse("x", text, bytes, &err);
        if (!t) fail_msg("%s: %s", EDITS[i].to, err.message);
        xr_tokenizer_free(t);
        free(text);
    }
}

static void without_normalizer_nothing_is_composed(void **state) {
    size_t bytes;
    XrError err = {0};
    char *text = edited("{\"type\":\"NFC\"}", "null", &bytes);
    XrTokenizer *t = xr_tokenizer_parse("x", text, bytes, &err);
    assert_non_null(t);
    XrEncoder *encoder = xr_encoder_create(t);
    XrIds ids = {0};
    assert_true(xr_encode(encoder, "e\u0301", 3, XR_ENCODE_TEXT, &ids, &err));
    assert_int_equal(ids.data[0], xr_tokenizer_id(t, "e", 1));
    xr_ids_free(&ids);
    xr_encoder_free(encoder);
    xr_tokenizer_free(t);
    free(text);
}

static void survives_every_truncation(void **state) {
    for (size_t bytes = 0; bytes < small.length; bytes += bytes < 4000 ? 61 : 997) {
        refuses(small.data, bytes, "");
    }
    refuses("[]", 2, "must be a JSON object");
    refuses("{}", 2, "\"pre_tokenizer\"");
    refuses("null", 4, "must be a JSON object");
}

// Each byte in turn becomes another one: loaded or refused, but never worse.
static void survives_changed_bytes(void **state) {
    char *text = malloc(small.length + 1);
    memcpy(text, small.data, small.length + 1);
    static const char OTHERS[] = {'"', '{', ']', '0', '-', '\\', 'e', ' '};
    for (size_t i = 0; i < small.length; i += 13) {
        XrError err = {0};
        text[i] = OTHERS[i % sizeof OTHERS];
        xr_tokenizer_free(xr_tokenizer_parse("x", text, small.length, &err));
        text[i] = small.data[i];
    }
    free(text);
}

static void survives_bombs(void **state) {
    XrBuffer text = {0};
    for (int i = 0; i < 100000; i++) xr_buffer_byte(&text, '[');
    refuses(text.data, text.length, "too deeply");
    // A million tokens that are no words of the byte alphabet, and the bytes missing.
    xr_buffer_clear(&text);
    const char *model = strstr(small.data, "\"vocab\":{");
    assert_non_null(model);
    xr_buffer_append(&text, small.data, (size_t)(model - small.data));
    xr_buffer_text(&text, "\"vocab\":{");
    for (int i = 0; i < 1000000; i++)
        xr_buffer_format(&text, "%s\"\u4e2d%d\":%d", i ? "," : "", i, i);
    xr_buffer_text(&text, "},\"merges\":[]}}");
    refuses(text.data, text.length, "no token for byte 0x00");
    // An added token of a thousand bytes is the longest.
    xr_buffer_clear(&text);
    xr_buffer_text(&text, "\"added_tokens\":[{\"id\":9000,\"content\":\"");
    for (int i = 0; i < 1025; i++) xr_buffer_byte(&text, '<');
    xr_buffer_text(&text, "\"},");
    size_t bytes;
    char *file = edited("\"added_tokens\":[", text.data, &bytes);
    refuses(file, bytes, "1 to 1024 bytes");
    free(file);
    xr_buffer_free(&text);
}

static void names_files_that_cannot_be_read(void **state) {
    XrError err = {0};
    assert_null(xr_tokenizer_load("/nowhere/at/all", &err));
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    assert_null(xr_tokenizer_load(xr_test_scratch(), &err));
    assert_non_null(strstr(err.message, "tokenizer.json"));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_is_not_implemented),
        cmocka_unit_test(names_what_is_malformed),
        cmocka_unit_test(accepts_what_changes_nothing),
        cmocka_unit_test(without_normalizer_nothing_is_composed),
        cmocka_unit_test(survives_every_truncation),
        cmocka_unit_test(survives_changed_bytes),
        cmocka_unit_test(survives_bombs),
        cmocka_unit_test(names_files_that_cannot_be_read),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
