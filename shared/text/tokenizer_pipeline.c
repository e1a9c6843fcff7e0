// Whether the steps that a tokenizer.json describes are the ones that this program takes: NFC (or
// no normaliser), Qwen2's regular expression, the byte alphabet, plain BPE, and nothing added
// around. Truncation and padding are settings of calls, not of the text's encoding, and play no
// part here.
#include "shared/text/pretokenize.h"
#include "shared/text/tokenizer_internal.h"

#include <string.h>

static const cJSON *get(const cJSON *object, const char *key) {
    const cJSON *value =
        cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
    return cJSON_IsNull(value) ? NULL : value;
}

static bool has_text(const cJSON *object, const char *key, const char *wanted) {
    const cJSON *value = get(object, key);
    return cJSON_IsString(value) && strcmp(value->valuestring, wanted) == 0;
}

static bool refuse(const XrTokenizer *t, const char *part, const char *wanted, XrError *err) {
    return xr_fail(err, XR_ERR_UNSUPPORTED,
                   "%s: \"%s\" is not implemented as the file has it (implemented: %s)", t->name,
                   part, wanted);
}

// The only element of a sequence of one, or the step itself.
static const cJSON *single(const cJSON *step, const char *list) {
    const cJSON *items = has_text(step, "type", "Sequence") ? get(step, list) : NULL;
    bool alone = items && cJSON_IsArray(items) && items->child && !items->child->next;
    return alone ? items->child : step;
}

static bool check_normalizer(XrTokenizer *t, const cJSON *root, XrError *err) {
    const cJSON *step = single(get(root, "normalizer"), "normalizers");
    t->nfc = step != NULL;
    return !step || has_text(step, "type", "NFC") || refuse(t, "normalizer", "NFC, or none", err);
}

static bool check_pretokenizer(XrTokenizer *t, const cJSON *root, XrError *err) {
    static const char PART[] = "pre_tokenizer";
    const cJSON *sequence = get(root, PART);
    const cJSON *steps = get(sequence, "pretokenizers");
    const cJSON *split = cJSON_IsArray(steps) ? steps->child : NULL;
    const cJSON *level = split ? split->next : NULL;
    if (!has_text(sequence, "type", "Sequence") || !level || level->next) {
        return refuse(t, PART, "a Sequence of Split and ByteLevel", err);
    }
    if (!has_text(split, "type", "Split") || !has_text(split, "behavior", "Isolated") ||
        !cJSON_IsFalse(get(split, "invert"))) {
        return refuse(t, "pre_tokenizer.pretokenizers[0]", "Split, behavior Isolated, invert false",
                      err);
    }
    if (!has_text(get(split, "pattern"), "Regex", XR_PRETOKEN_REGEX)) {
        return refuse(t, "pre_tokenizer.pretokenizers[0].pattern", "Qwen2's regular expression",
                      err);
    }
    if (!has_text(level, "type", "ByteLevel") || !cJSON_IsFalse(get(level, "add_prefix_space")) ||
        !cJSON_IsFalse(get(level, "use_regex"))) {
        return refuse(t, "pre_tokenizer.pretokenizers[1]",
                      "ByteLevel, add_prefix_space false, use_regex false", err);
    }
    return true;
}

static bool check_model(XrTokenizer *t, const cJSON *root, XrError *err) {
    const cJSON *model = get(root, "model"), *dropout = get(model, "dropout");
    const cJSON *fallback = get(model, "byte_fallback"), *ignore = get(model, "ignore_merges");
    if (!cJSON_IsObject(model)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"model\" is missing or no object", t->name);
    }
    if (get(model, "type") && !has_text(model, "type", "BPE")) {
        return refuse(t, "model.type", "BPE", err);
    }
    if (dropout && !(cJSON_IsNumber(dropout) && dropout->valuedouble == 0)) {
        return refuse(t, "model.dropout", "null", err);
    }
    if (fallback && !cJSON_IsFalse(fallback)) {
        return refuse(t, "model.byte_fallback", "false", err);
    }
    if (ignore && !cJSON_IsBool(ignore)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"model.ignore_merges\" must be true or false",
                       t->name);
    }
    t->ignore_merges = cJSON_IsTrue(ignore);
    if (get(model, "continuing_subword_prefix") &&
        !has_text(model, "continuing_subword_prefix", "")) {
        return refuse(t, "model.continuing_subword_prefix", "none", err);
    }
    if (get(model, "end_of_word_suffix") && !has_text(model, "end_of_word_suffix", "")) {
        return refuse(t, "model.end_of_word_suffix", "none", err);
    }
    return true; // unk_token and fuse_unk: never met, since every byte has a token
}

bool xr_tokenizer_check_pipeline(XrTokenizer *t, const XrJson *json, XrError *err) {
    const cJSON *root = json->root;
    if (!check_normalizer(t, root, err) || !check_pretokenizer(t, root, err)) return false;
    const cJSON *after = single(get(root, "post_processor"), "processors");
    if (after && !has_text(after, "type", "ByteLevel")) {
        return refuse(t, "post_processor", "ByteLevel, or none", err);
    }
    const cJSON *decoder = single(get(root, "decoder"), "decoders");
    if (!has_text(decoder, "type", "ByteLevel")) return refuse(t, "decoder", "ByteLevel", err);
    return check_model(t, root, err);
}
