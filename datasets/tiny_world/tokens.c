#include "datasets/tiny_world/tokens.h"

#include "datasets/tiny_world/tasks.h"
#include "shared/base/error.h"
#include "shared/base/memory.h"
#include "shared/text/pretokenize.h"

#include <string.h>

enum {
    BYTES = 256,
    MOST_WORDS = 128,
    MOST_WORD_BYTES = 16,
    MOST_MERGES = 512,
};

static const char *const ADDED[] = {
    "<|endoftext|>",      "<|im_start|>",     "<|im_end|>",     "<|object_ref_start|>",
    "<|object_ref_end|>", "<|box_start|>",    "<|box_end|>",    "<|quad_start|>",
    "<|quad_end|>",       "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>",      "<|video_pad|>",    "<tool_call>",    "</tool_call>",
    "<|fim_prefix|>",     "<|fim_middle|>",   "<|fim_suffix|>", "<|fim_pad|>",
    "<|repo_name|>",      "<|file_sep|>",
};
enum { SPECIAL_ADDED = 14 }; // the first of them are left out of decoded text

// Pieces that the pre-tokenizer cuts the world's texts into, beside objects and numbers.
static const char *const WORDS[] = {
    "user",    "assistant", "system", "seen",  "list",   "values", "value",
    "next",    "total",     "level",  "think", " think", "<think", "</",
    "<answer", "answer",    ">\n\n",  " wait", " check",
};

static const char CHAT_TEMPLATE[] =
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content "
    "or 'image_url' in content %}{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|>"
    "<|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video "
    "{{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

typedef struct Word {
    int count; // of ids; 1 when the word has become a token
    int16_t ids[MOST_WORD_BYTES];
} Word;

typedef struct Trainer {
    Word words[MOST_WORDS];
    int word_count;
    int16_t merges[MOST_MERGES][2]; // merge i makes token BYTES + i
    int merge_count;
} Trainer;

static void add_word(Trainer *t, const char *text) {
    size_t bytes = strlen(text);
    XR_REQUIRE(t->word_count < MOST_WORDS && bytes <= MOST_WORD_BYTES, "tiny world: word \"%s\"",
               text);
    Word *word = &t->words[t->word_count++];
    word->count = (int)bytes;
    for (size_t i = 0; i < bytes; i++) word->ids[i] = (unsigned char)text[i];
}

static void add_words(Trainer *t) {
    XrBuffer text = {0};
    for (size_t i = 0; i < XR_COUNT(WORDS); i++) add_word(t, WORDS[i]);
    for (int number = 0; number < XR_WORLD_STATES; number++) {
        for (const char *sign = "+~="; *sign; sign++) {
            xr_buffer_clear(&text);
            xr_buffer_format(&text, "%c%s", *sign, xr_world_number(number));
            add_word(t, text.data);
        }
    }
    for (int i = 0; i < XR_WORLD_DOMAINS * XR_WORLD_KINDS; i++) {
        XrWorldDomain domain = (XrWorldDomain)(i / XR_WORLD_KINDS);
        xr_buffer_clear(&text);
        xr_buffer_format(&text, " %s", xr_world_kind(domain, i % XR_WORLD_KINDS)->name);
        add_word(t, text.data);
    }
    xr_buffer_free(&text);
}

static int pair_count(const Trainer *t, int left, int right) {
    int count = 0;
    for (int w = 0; w < t->word_count; w++) {
        const Word *word = &t->words[w];
        for (int i = 0; i + 1 < word->count; i++) {
            count += word->ids[i] == left && word->ids[i + 1] == right;
        }
    }
    return count;
}

// The pair that occurs most often in the words, the first of equals; false when every word is one
// token.
static bool best_pair(const Trainer *t, int16_t best[2]) {
    int most = 0;
    for (int w = 0; w < t->word_count; w++) {
        const Word *word = &t->words[w];
        for (int i = 0; i + 1 < word->count; i++) {
            int count = pair_count(t, word->ids[i], word->ids[i + 1]);
            if (count <= most) continue;
            most = count;
            memcpy(best, word->ids + i, 2 * sizeof *best);
        }
    }
    return most > 0;
}

static void merge_pair(Word *word, const int16_t pair[2], int merged) {
    int to = 0;
    for (int i = 0; i < word->count; to++) {
        bool here = i + 1 < word->count && word->ids[i] == pair[0] && word->ids[i + 1] == pair[1];
        word->ids[to] = here ? (int16_t)merged : word->ids[i];
        i += here ? 2 : 1;
    }
    word->count = to;
}

static const Trainer *train(Trainer *t) {
    *t = (Trainer){0};
    add_words(t);
    int16_t pair[2];
    while (best_pair(t, pair)) {
        XR_REQUIRE(t->merge_count < MOST_MERGES, "tiny world: more than %d merges", MOST_MERGES);
        memcpy(t->merges[t->merge_count], pair, sizeof pair);
        int merged = BYTES + t->merge_count++;
        for (int w = 0; w < t->word_count; w++) merge_pair(&t->words[w], pair, merged);
    }
    return t;
}

// A byte in the alphabet of byte-level tokenizers: those that print stand for themselves, the
// others for U+0100 and up, in order.
static void add_byte(XrBuffer *out, int byte) {
    int character = byte, next = 0x100;
    for (int b = 0; b <= byte; b++) {
        bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
        if (b == byte && !prints) character = next;
        next += !prints;
    }
    if (character < 0x80) {
        xr_buffer_byte(out, (char)character);
    } else {
        xr_buffer_byte(out, (char)(0xC0 | character >> 6));
        xr_buffer_byte(out, (char)(0x80 | (character & 0x3F)));
    }
}

static void add_token(XrBuffer *out, const Trainer *t, int id) {
    if (id < BYTES) {
        add_byte(out, id);
        return;
    }
    add_token(out, t, t->merges[id - BYTES][0]);
    add_token(out, t, t->merges[id - BYTES][1]);
}

static void add_quoted(XrBuffer *out, const Trainer *t, int id) {
    XrBuffer token = {0};
    add_token(&token, t, id);
    xr_buffer_json(out, token.data, token.length);
    xr_buffer_free(&token);
}

static void add_added(XrBuffer *out, const Trainer *t) {
    for (size_t i = 0; i < XR_COUNT(ADDED); i++) {
        xr_buffer_format(out,
                         "%s\n    {\"id\": %d, \"content\": \"%s\", \"single_word\": false, "
                         "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, "
                         "\"special\": %s}",
                         i ? "," : "", BYTES + t->merge_count + (int)i, ADDED[i],
                         i < SPECIAL_ADDED ? "true" : "false");
    }
}

static void add_pipeline(XrBuffer *out) {
    xr_buffer_text(out, "\n  ],\n  \"normalizer\": {\"type\": \"NFC\"},\n  \"pre_tokenizer\": {"
                        "\"type\": \"Sequence\", \"pretokenizers\": [\n    {\"type\": \"Split\", "
                        "\"pattern\": {\"Regex\": ");
    xr_buffer_json(out, XR_PRETOKEN_REGEX, strlen(XR_PRETOKEN_REGEX));
    xr_buffer_text(out,
                   "}, \"behavior\": \"Isolated\", \"invert\": false},\n    "
                   "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
                   "\"use_regex\": false}\n  ]},\n"
                   "  \"post_processor\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                   "\"trim_offsets\": false, \"use_regex\": false},\n"
                   "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
                   "\"trim_offsets\": true, \"use_regex\": true},\n");
}

void xr_world_tokenizer(XrBuffer *out) {
    Trainer trainer;
    const Trainer *t = train(&trainer);
    xr_buffer_text(out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,"
                        "\n  \"added_tokens\": [");
    add_added(out, t);
    add_pipeline(out);
    xr_buffer_text(out, "  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, "
                        "\"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, "
                        "\"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": false,"
                        "\n    \"vocab\": {");
    for (int id = 0; id < BYTES + t->merge_count; id++) {
        xr_buffer_text(out, id ? ",\n      " : "\n      ");
        add_quoted(out, t, id);
        xr_buffer_format(out, ": %d", id);
    }
    xr_buffer_text(out, "\n    },\n    \"merges\": [");
    for (int i = 0; i < t->merge_count; i++) {
        xr_buffer_text(out, i ? ",\n      [" : "\n      [");
        add_quoted(out, t, t->merges[i][0]);
        xr_buffer_text(out, ", ");
        add_quoted(out, t, t->merges[i][1]);
        xr_buffer_text(out, "]");
    }
    xr_buffer_text(out, "\n    ]\n  }\n}\n");
}

void xr_world_tokenizer_config(XrBuffer *out) {
    xr_buffer_text(out, "{\n  \"add_bos_token\": false,\n  \"add_prefix_space\": false,\n"
                        "  \"bos_token\": null,\n  \"eos_token\": \"<|im_end|>\",\n"
                        "  \"pad_token\": \"<|endoftext|>\",\n  \"unk_token\": null,\n"
                        "  \"model_max_length\": 512,\n  \"errors\": \"replace\",\n"
                        "  \"split_special_tokens\": false,\n"
                        "  \"clean_up_tokenization_spaces\": false,\n"
                        "  \"tokenizer_class\": \"Qwen2Tokenizer\",\n  \"chat_template\": ");
    xr_buffer_json(out, CHAT_TEMPLATE, strlen(CHAT_TEMPLATE));
    xr_buffer_text(out, "\n}\n");
}

int32_t xr_world_token_count(void) {
    Trainer trainer;
    return BYTES + train(&trainer)->merge_count + (int32_t)XR_COUNT(ADDED);
}

int32_t xr_world_added_token(const char *content) {
    int32_t first = xr_world_token_count() - (int32_t)XR_COUNT(ADDED);
    for (size_t i = 0; i < XR_COUNT(ADDED); i++) {
        if (strcmp(ADDED[i], content) == 0) return first + (int32_t)i;
    }
    XR_BUG("tiny world: \"%s\" is no added token", content);
}
