// The tiny world: its rules by hand, its splits, texts, pictures, tokenizer and data files.
#include "tests/support/test.h"

#include "datasets/tiny_world/base.h"
#include "datasets/tiny_world/picture.h"
#include "datasets/tiny_world/rows.h"
#include "datasets/tiny_world/tokens.h"
#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/dataset/example.h"
#include "shared/engine/forced_exit.h"
#include "shared/text/decoder.h"
#include "shared/text/encoder.h"
#include "shared/verify/verify.h"

#include <stdlib.h>

static XrError err;

static int kind_of(XrWorldDomain domain, const char *name) {
    for (int k = 0; k < XR_WORLD_KINDS; k++) {
        if (strcmp(xr_world_kind(domain, k)->name, name) == 0) return k;
    }
    fail_msg("there is no %s", name);
    return -1;
}

// A question from names that are separated by spaces.
static XrWorldQuestion question(XrWorldDomain domain, const char *names) {
    XrWorldQuestion q = {.domain = domain};
    char *copy = xr_strdup(names), *rest = copy;
    for (char *name; (name = strtok_r(rest, " ", &rest));) {
        q.kinds[q.count++] = (uint8_t)kind_of(domain, name);
    }
    free(copy);
    return q;
}

// ---- the rules ----

// States computed by hand.
static void states_by_hand(void **state) {
    (void)state;
    const struct {
        XrWorldDomain domain;
        const char *names;
        int states[XR_WORLD_LONGEST];
        char answer;
    } cases[] = {
        {XR_WORLD_TOTAL, "cross star square diamond", {9, 2, 5, 3}, '3'},
        {XR_WORLD_TOTAL, "circle square", {3, 4}, '4'},
        {XR_WORLD_TOTAL, "square circle", {7, 0}, '0'},
        {XR_WORLD_TOTAL, "ring moon arrow bar dots house triangle", {6, 8, 7, 7, 4, 0, 4}, '4'},
        {XR_WORLD_LEVEL, "fever cough rash", {6, 6, 5}, 'C'},
        {XR_WORLD_LEVEL, "rash burn", {9, 1}, 'A'},
        {XR_WORLD_LEVEL, "pain chill nausea fatigue", {4, 2, 9, 4}, 'C'},
        {XR_WORLD_LEVEL, "swelling bleeding tremor cramp", {7, 0, 8, 5}, 'C'},
        {XR_WORLD_LEVEL, "burn rash", {0, 9}, 'E'},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrWorldQuestion q = question(cases[i].domain, cases[i].names);
        assert_int_equal(xr_world_state(&q, 0), 0);
        for (int s = 0; s < q.count; s++) {
            assert_int_equal(xr_world_state(&q, s + 1), cases[i].states[s]);
        }
        assert_int_equal(xr_world_answer(&q), cases[i].answer);
    }
}

static uint64_t code_of(const XrWorldQuestion *q) {
    uint64_t code = (uint64_t)q->domain << 4 | (uint64_t)q->count;
    for (int i = 0; i < q->count; i++) code = code << 4 | q->kinds[i];
    return code;
}

static int compare_codes(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void splits_share_no_list(void **state) {
    (void)state;
    enum { EACH = 3000 };
    static uint64_t codes[XR_WORLD_SPLITS][EACH];
    for (int split = 0; split < XR_WORLD_SPLITS; split++) {
        for (int i = 0; i < EACH; i++) {
            XrWorldDraw draw = {1, (uint64_t)(split * EACH + i), 0};
            XrWorldQuestion q = xr_world_draw_question(&draw, (XrWorldDomain)(i % 2),
                                                       (XrWorldSplit)split, 3 + i / 2 % 2);
            bool seen[XR_WORLD_KINDS] = {false};
            for (int k = 0; k < q.count; k++) {
                assert_false(seen[q.kinds[k]]);
                seen[q.kinds[k]] = true;
            }
            codes[split][i] = code_of(&q);
        }
        qsort(codes[split], EACH, sizeof(uint64_t), compare_codes);
    }
    for (int i = 0; i < EACH; i++) {
        const uint64_t *train = codes[XR_WORLD_TRAIN], *dev = codes[XR_WORLD_DEV];
        const uint64_t *code = &codes[XR_WORLD_TEST][i];
        assert_null(bsearch(code, train, EACH, sizeof *code, compare_codes));
        assert_null(bsearch(code, dev, EACH, sizeof *code, compare_codes));
        assert_null(bsearch(&dev[i], train, EACH, sizeof *code, compare_codes));
    }
}

// Of all 1,320 lists of three, one in twelve is for each of dev and test, up to chance.
static void splits_have_their_shares(void **state) {
    (void)state;
    int counts[XR_WORLD_DOMAINS][XR_WORLD_SPLITS] = {{0}};
    for (int i = 0; i < XR_WORLD_DOMAINS * 1728; i++) {
        XrWorldQuestion q = {.domain = (XrWorldDomain)(i / 1728), .count = 3};
        uint8_t a = (uint8_t)(i % 12), b = (uint8_t)(i / 12 % 12), c = (uint8_t)(i / 144 % 12);
        if (a == b || a == c || b == c) continue;
        q.kinds[0] = a, q.kinds[1] = b, q.kinds[2] = c;
        counts[q.domain][xr_world_split(&q)]++;
    }
    for (int d = 0; d < XR_WORLD_DOMAINS; d++) {
        assert_in_range(counts[d][XR_WORLD_DEV], 70, 150);
        assert_in_range(counts[d][XR_WORLD_TEST], 70, 150);
        assert_int_equal(counts[d][0] + counts[d][1] + counts[d][2], 1320);
    }
}

// ---- texts ----

static void texts_by_hand(void **state) {
    (void)state;
    XrWorldQuestion total = question(XR_WORLD_TOTAL, "cross star square diamond");
    XrWorldQuestion level = question(XR_WORLD_LEVEL, "fever cough");
    const struct {
        const XrWorldQuestion *question;
        XrWorldTask task;
        bool picture;
        int loops;
        const char *prompt, *completion;
    } cases[] = {
        {&total, XR_WORLD_LIST, false, 0, "seen cross star square diamond\nlist",
         "seen cross star square diamond"},
        {&total, XR_WORLD_VALUES, true, 0, "values",
         "seen cross+nine star~one square~seven diamond~eight"},
        {&total, XR_WORLD_DIRECT, false, 0, "seen cross star square diamond\ntotal",
         "<answer>3</answer>"},
        {&total, XR_WORLD_UNASKED, true, 0, "total think", "<answer>3</answer>"},
        {&level, XR_WORLD_SLOPPY, false, 0, "seen fever cough\nlevel think",
         "<think> fever+six cough~two\n</think>\n\n<answer>D</answer>"},
        {&total, XR_WORLD_FULL, true, 0, "total think",
         "<think> cross+nine=nine star~one=two square~seven=five diamond~eight=three\n</think>\n\n"
         "<answer>3</answer>"},
        {&level, XR_WORLD_FULL, false, 2, "seen fever cough\nlevel think",
         "<think> fever+six=six cough~two=six wait check=six wait check=six\n</think>\n\n"
         "<answer>D</answer>"},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrBuffer prompt = {0}, completion = {0};
        xr_world_prompt(&prompt, cases[i].question, cases[i].task, cases[i].picture);
        xr_world_completion(&completion, cases[i].question, cases[i].task, cases[i].loops);
        assert_string_equal(prompt.data, cases[i].prompt);
        assert_string_equal(completion.data, cases[i].completion);
        xr_buffer_free(&prompt);
        xr_buffer_free(&completion);
    }
}

static int number_of(const char *text) {
    static const char *const names[] = {"zero", "one", "two",   "three", "four",
                                        "five", "six", "seven", "eight", "nine"};
    for (int i = 0; i < 10; i++) {
        if (strcmp(names[i], text) == 0) return i;
    }
    fail_msg("%s is no number", text);
    return -1;
}

// Facts, judged by arithmetic of the test's own.
static void facts_hold(void **state) {
    (void)state;
    int kinds[4] = {0};
    for (uint64_t i = 0; i < 400; i++) {
        XrWorldDraw draw = {5, i, 0};
        XrWorldDomain domain = (XrWorldDomain)(i % 2);
        XrBuffer prompt = {0}, completion = {0};
        xr_world_fact(&prompt, &completion, &draw, domain);
        char first[16], second[16], object[16], sign;
        if (sscanf(prompt.data, "next=%15[a-z] %15[a-z]%c%15s", first, object, &sign, second) ==
            4) {
            const XrWorldKind *kind = xr_world_kind(domain, kind_of(domain, object));
            int s = number_of(first), v = number_of(second);
            assert_int_equal(sign, kind->operation);
            assert_int_equal(v, kind->value);
            int expected = sign == '+' ? (s + v) % 10 : (v - s + 10) % 10;
            assert_int_equal(number_of(completion.data + 1), expected);
            assert_int_equal(completion.data[0], '=');
            kinds[3]++;
        } else if (sscanf(prompt.data, "next=%15[a-z]%c%15s", first, &sign, second) == 3) {
            int s = number_of(first), v = number_of(second);
            int expected = sign == '+' ? (s + v) % 10 : (v - s + 10) % 10;
            assert_int_equal(number_of(completion.data + 1), expected);
            assert_int_equal(completion.data[0], '=');
            kinds[0]++;
        } else if (sscanf(prompt.data, "value %15s", first) == 1) {
            const XrWorldKind *kind = xr_world_kind(domain, kind_of(domain, first));
            assert_int_equal(completion.data[0], kind->operation);
            assert_int_equal(number_of(completion.data + 1), kind->value);
            kinds[1]++;
        } else {
            assert_int_equal(sscanf(prompt.data, "%15[a-z]=%15s", first, second), 2);
            assert_string_equal(first, domain == XR_WORLD_TOTAL ? "total" : "level");
            int s = number_of(second);
            assert_int_equal(completion.data[0], domain == XR_WORLD_TOTAL ? '0' + s : 'A' + s / 2);
            kinds[2]++;
        }
        xr_buffer_free(&prompt);
        xr_buffer_free(&completion);
    }
    for (int i = 0; i < 4; i++) assert_true(kinds[i] > 20);
}

// ---- pictures ----

static int differing(const XrImage *a, const XrImage *b) {
    int count = 0;
    for (int i = 0; i < a->width * a->height; i++) {
        count += abs(a->rgb[3 * i] - b->rgb[3 * i]) > 64;
    }
    return count;
}

// No glyph of evaluation looks like one of training, and no two kinds look alike.
static void looks_are_disjoint(void **state) {
    (void)state;
    enum { LOOKS = XR_WORLD_SPLITS * XR_WORLD_VARIANTS, KINDS = 2 * XR_WORLD_KINDS };
    static XrImage glyphs[KINDS][LOOKS];
    for (int k = 0; k < KINDS; k++) {
        for (int l = 0; l < LOOKS; l++) {
            XrWorldLook look =
                xr_world_look((XrWorldSplit)(l / XR_WORLD_VARIANTS), l % XR_WORLD_VARIANTS);
            glyphs[k][l] =
                xr_world_glyph((XrWorldDomain)(k / XR_WORLD_KINDS), k % XR_WORLD_KINDS, &look);
        }
    }
    size_t bytes = 3 * XR_WORLD_CELL * XR_WORLD_CELL;
    for (int k = 0; k < KINDS; k++) {
        for (int l = 0; l < LOOKS; l++) {
            for (int m = 0; m < l; m++) {
                assert_memory_not_equal(glyphs[k][l].rgb, glyphs[k][m].rgb, bytes);
            }
            for (int j = 0; j < k; j++) assert_true(differing(&glyphs[k][l], &glyphs[j][l]) > 20);
        }
    }
    for (int i = 0; i < KINDS * LOOKS; i++) xr_image_free(&glyphs[i / LOOKS][i % LOOKS]);
}

static void pictures_hold_their_lists(void **state) {
    (void)state;
    for (int count = 2; count <= XR_WORLD_LONGEST; count++) {
        XrWorldDraw draw = {3, (uint64_t)count, 0}, again;
        XrWorldQuestion q = xr_world_draw_question(&draw, XR_WORLD_LEVEL, XR_WORLD_TRAIN, count);
        again = draw;
        XrImage image = xr_world_picture(&draw, &q, XR_WORLD_TRAIN);
        XrImage same = xr_world_picture(&again, &q, XR_WORLD_TRAIN);
        assert_int_equal(image.width, 84);
        assert_int_equal(image.height, count <= 3 ? 28 : count <= 6 ? 56 : 84);
        assert_memory_equal(image.rgb, same.rgb, (size_t)(84 * image.height * 3));
        for (int cell = 0; cell < 3 * image.height / 28; cell++) {
            int dark = 0;
            for (int p = 0; p < 28 * 28; p++) {
                int y = cell / 3 * 28 + p / 28, x = cell % 3 * 28 + p % 28;
                const uint8_t *rgb = image.rgb + 3 * (84 * y + x);
                dark += rgb[0] + rgb[1] + rgb[2] < 450;
            }
            assert_true(cell < count ? dark > 25 : dark == 0);
        }
        char *path = xr_path_join(xr_test_scratch(), "picture.png");
        XrImage read;
        assert_true(xr_world_write_png(path, &image, &err));
        assert_true(xr_image_read(&read, path, NULL, &err));
        assert_memory_equal(image.rgb, read.rgb, (size_t)(84 * image.height * 3));
        xr_image_free(&read);
        xr_image_free(&same);
        xr_image_free(&image);
        free(path);
    }
}

static void png_that_cannot_be_written(void **state) {
    (void)state;
    XrWorldLook look = xr_world_look(XR_WORLD_TRAIN, 0);
    XrImage image = xr_world_glyph(XR_WORLD_TOTAL, 0, &look);
    assert_false(xr_world_write_png("/nowhere/at/all.png", &image, &err));
    assert_non_null(strstr(err.message, "/nowhere/at/all.png"));
    assert_false(xr_world_write_png("/dev/full", &image, &err));
    assert_non_null(strstr(err.message, "/dev/full"));
    xr_image_free(&image);
}

// ---- tokenizer ----

static XrTokenizer *tokenizer(void) {
    XrBuffer json = {0};
    xr_world_tokenizer(&json);
    XrTokenizer *t = xr_tokenizer_parse("tiny world", json.data, json.length, &err);
    if (!t) fail_msg("%s", err.message);
    xr_buffer_free(&json);
    return t;
}

static size_t count_tokens(XrEncoder *encoder, const char *text) {
    XrIds ids = {0};
    assert_true(xr_encode(encoder, text, strlen(text), XR_ENCODE_TEXT, &ids, &err));
    XrBuffer back = {0};
    for (size_t i = 0; i < ids.count; i++) {
        size_t bytes;
        const XrTokenizer *t = xr_encoder_tokenizer(encoder);
        const char *piece = xr_tokenizer_bytes(t, ids.data[i], &bytes);
        assert_false(xr_tokenizer_is_added(t, ids.data[i]));
        xr_buffer_append(&back, piece, bytes);
    }
    assert_string_equal(back.data, text);
    size_t count = ids.count;
    xr_buffer_free(&back);
    xr_ids_free(&ids);
    return count;
}

// Counted by hand, one token a word.
static void token_counts(void **state) {
    (void)state;
    XrTokenizer *t = tokenizer();
    XrEncoder *encoder = xr_encoder_create(t);
    const struct {
        const char *text;
        size_t count;
    } cases[] = {
        {"seen cross star square diamond\ntotal think", 8},
        {"values", 1},
        {"next=three~seven", 3},
        {"next=three star~one", 4},
        {"value swelling", 2},
        {"level=nine", 2},
        {"=four", 1},
        {"<answer>3</answer>", 6},
        {"<think> cross+nine=nine star~one=two\n</think>\n\n<answer>D</answer>", 18},
        {" wait check=zero", 3},
        {"assistant", 1},
        {"<|im_end|>", 10}, // a user's text is never a control token
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        size_t count = count_tokens(encoder, cases[i].text);
        if (count != cases[i].count) fail_msg("%s: %zu tokens", cases[i].text, count);
    }
    const XrWorldKind *kind;
    for (int i = 0; i < 2 * XR_WORLD_KINDS; i++) {
        XrBuffer text = {0};
        kind = xr_world_kind((XrWorldDomain)(i / XR_WORLD_KINDS), i % XR_WORLD_KINDS);
        xr_buffer_format(&text, " %s", kind->name);
        assert_int_equal(count_tokens(encoder, text.data), 1);
        xr_buffer_free(&text);
    }
    assert_true(count_tokens(encoder, "Grüße, 你好: \t\x01 any text at all 🙂\r\n") > 10);
    assert_int_equal(xr_tokenizer_size(t), xr_world_token_count());
    assert_in_range(xr_world_token_count(), 300, 600);
    assert_int_equal(xr_tokenizer_id(t, "<|im_end|>", 10), xr_world_added_token("<|im_end|>"));
    xr_encoder_free(encoder);
    xr_tokenizer_free(t);
}

// An exit forced after a step leaves the very ids that a row closing its thinking there has.
static void forced_exit_reads_like_a_row(void **state) {
    (void)state;
    XrTokenizer *t = tokenizer();
    XrEncoder *encoder = xr_encoder_create(t);
    XrWorldQuestion q = question(XR_WORLD_TOTAL, "cross star square");
    XrBuffer row = {0};
    xr_world_completion(&row, &q, XR_WORLD_FULL, 2);
    const char *end = strstr(row.data, "<answer>"), *close = strstr(row.data, "\n</think>");
    assert_non_null(close);
    XrIds whole = {0}, forced = {0};
    assert_true(
        xr_encode(encoder, row.data, (size_t)(end - row.data), XR_ENCODE_TEXT, &whole, &err));
    assert_true(
        xr_encode(encoder, row.data, (size_t)(close - row.data), XR_ENCODE_TEXT, &forced, &err));
    XrExitPlace place = {
        .raw = row.data, .raw_bytes = (size_t)(close - row.data), .suffix = "\n\n"};
    assert_true(xr_forced_exit(&forced, encoder, t, &place, &err));
    assert_int_equal(whole.count, forced.count);
    assert_memory_equal(whole.data, forced.data, whole.count * sizeof *whole.data);
    xr_ids_free(&whole);
    xr_ids_free(&forced);
    xr_buffer_free(&row);
    xr_encoder_free(encoder);
    xr_tokenizer_free(t);
}

// The longest texts: eight objects take 36 tokens of full thinking and answer; with its loops more
// than 64, which is where training cuts it.
static void rows_stay_short(void **state) {
    (void)state;
    XrTokenizer *t = tokenizer();
    XrEncoder *encoder = xr_encoder_create(t);
    const XrWorldSetOptions sets[] = {
        {.set = XR_WORLD_SET_BASE, .rows = 3000, .seed = 2},
        {.set = XR_WORLD_SET_THINK, .domain = XR_WORLD_DOMAINS, .rows = 1200, .seed = 2}};
    int looping = 0;
    for (int s = 0; s < 2; s++) {
        for (int64_t i = 0; i < sets[s].rows; i++) {
            XrWorldRow row;
            xr_world_row(&row, &sets[s], i);
            size_t prompt = count_tokens(encoder, row.prompt.data);
            size_t completion = count_tokens(encoder, row.completion.data);
            assert_true(prompt <= 12);
            bool loops = strstr(row.completion.data, "wait") != NULL;
            if (loops)
                assert_true(completion > 64);
            else
                assert_true(completion <= 36);
            looping += loops;
            xr_world_row_free(&row);
        }
    }
    assert_in_range(looping, 200, 360); // a quarter of the thinking rows
    xr_encoder_free(encoder);
    xr_tokenizer_free(t);
}

// ---- rows ----

static void rows_are_pure(void **state) {
    (void)state;
    const XrWorldSetOptions options = {.set = XR_WORLD_SET_BASE, .seed = 9};
    XrWorldSetOptions other = options;
    other.seed = 10;
    int same = 0, pictures = 0;
    for (int64_t i = 299; i >= 0; i--) {
        XrWorldRow a, b, c;
        xr_world_row(&a, &options, i);
        xr_world_row(&b, &options, i);
        xr_world_row(&c, &other, i);
        assert_string_equal(a.prompt.data, b.prompt.data);
        assert_string_equal(a.completion.data, b.completion.data);
        same += strcmp(a.completion.data, c.completion.data) == 0;
        pictures += a.picture;
        if (a.has_question) assert_int_equal(xr_world_split(&a.question), XR_WORLD_TRAIN);
        xr_world_row_free(&a);
        xr_world_row_free(&b);
        xr_world_row_free(&c);
    }
    assert_true(same < 30);
    assert_in_range(pictures, 100, 180); // 43% of the mix
}

// A quarter of the pictures continue a list that words begin: between them they hold all of it.
static void lists_told_half_in_words(void **state) {
    (void)state;
    const XrWorldSetOptions options = {.set = XR_WORLD_SET_BASE, .seed = 4};
    int mixed = 0, pictures = 0;
    for (int64_t i = 0; i < 4000; i++) {
        XrWorldRow row;
        xr_world_row(&row, &options, i);
        pictures += row.picture;
        assert_true((row.told > 0) == (row.before.length > 0));
        if (row.told) {
            mixed++;
            assert_true(row.picture && row.told < row.question.count);
            XrBuffer named = {0};
            xr_buffer_text(&named, "seen");
            for (int k = 0; k < row.told; k++) {
                xr_buffer_format(&named, " %s",
                                 xr_world_kind(row.question.domain, row.question.kinds[k])->name);
            }
            assert_string_equal(row.before.data, named.data);
            xr_buffer_free(&named);
        }
        xr_world_row_free(&row);
    }
    assert_in_range(100 * mixed / pictures, 21, 29);
}

// In the file, the words stand before the picture, which shows what is left of the list.
static void mixed_rows_are_written(void **state) {
    (void)state;
    char *folder = xr_path_join(xr_test_scratch(), "mixed");
    const XrWorldSetOptions options = {.set = XR_WORLD_SET_BASE, .rows = 60, .seed = 4};
    assert_true(xr_world_write_set(folder, &options, &err));
    XrRows rows;
    char *path = xr_path_join(folder, "base.jsonl");
    assert_true(xr_rows_open(&rows, path, &err));
    int seen = 0;
    for (int64_t i = 0; i < rows.count; i++) {
        XrWorldRow row;
        XrJson json;
        xr_world_row(&row, &options, i);
        assert_true(xr_rows_parse(&rows, i, &json, &err));
        const cJSON *messages = cJSON_GetObjectItemCaseSensitive(json.root, "messages");
        const cJSON *content =
            cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(messages, 0), "content");
        if (row.told) {
            seen++;
            assert_int_equal(cJSON_GetArraySize(content), 3);
            const cJSON *before =
                cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(content, 0), "text");
            const cJSON *name =
                cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(content, 1), "image");
            assert_string_equal(before->valuestring, row.before.data);
            char *picture = xr_path_join(folder, name->valuestring);
            XrImage image;
            assert_true(xr_image_read(&image, picture, NULL, &err));
            int shown = row.question.count - row.told;
            assert_int_equal(image.height, 28 * ((shown + 2) / 3));
            xr_image_free(&image);
            free(picture);
        }
        xr_json_free(&json);
        xr_world_row_free(&row);
    }
    assert_true(seen >= 3);
    xr_rows_close(&rows);
    free(path);
    free(folder);
}

// The base model sees states in its thinking of short lists, and rarely in long ones.
static void base_reasons_badly(void **state) {
    (void)state;
    const XrWorldSetOptions options = {.set = XR_WORLD_SET_BASE, .seed = 4};
    int full[XR_WORLD_LONGEST + 1] = {0}, all[XR_WORLD_LONGEST + 1] = {0};
    for (int64_t i = 0; i < 12000; i++) {
        XrWorldRow row;
        xr_world_row(&row, &options, i);
        if (strstr(row.completion.data, "<think>")) {
            all[row.question.count]++;
            full[row.question.count] += strchr(row.completion.data, '=') != NULL;
        }
        xr_world_row_free(&row);
    }
    assert_in_range(100 * full[2] / all[2], 62, 78);
    assert_in_range(100 * full[3] / all[3], 52, 68);
    assert_in_range(100 * full[4] / all[4], 13, 27);
    for (int n = 5; n <= XR_WORLD_LONGEST; n++) assert_in_range(100 * full[n] / all[n], 4, 17);
}

static bool accepted(XrVerifier *verifier, const char *gold, const char *response) {
    XrVerifyResult result = {0};
    XrVerifyRequest request = {
        .gold = {gold, strlen(gold)}, .answer = {response, strlen(response)}, .is_response = true};
    xr_verify(verifier, &request, &result);
    int score = result.score;
    xr_verify_result_free(&result);
    return score == 1;
}

// A right response is accepted for each gold answer, and no other.
static void verifier_accepts_gold_answers(void **state) {
    (void)state;
    XrVerifier *verifier = xr_verifier_create(NULL);
    const char *answers = "0123456789ABCDE";
    for (const char *gold = answers; *gold; gold++) {
        for (const char *given = answers; *given; given++) {
            char gold_text[2] = {*gold, '\0'}, response[64];
            snprintf(response, sizeof response,
                     "<think> cross+nine=nine\n</think>\n\n"
                     "<answer>%c</answer>",
                     *given);
            bool right = accepted(verifier, gold_text, response);
            if (right != (*gold == *given)) fail_msg("%s against %s", gold_text, response);
        }
    }
    assert_false(accepted(verifier, "3", "<think> cross+nine=three wait check=three"));
    xr_verifier_free(verifier);
}

static void read_text(const char *folder, const char *name, XrBuffer *out) {
    char *path = xr_path_join(folder, name);
    if (!xr_file_read(path, 1 << 24, out, &err)) fail_msg("%s", err.message);
    free(path);
}

// Written files are those of the rows, whatever their number, and datasets' readers take them.
static void files_are_read_by_the_trainers(void **state) {
    (void)state;
    char *folder = xr_path_join(xr_test_scratch(), "set");
    XrWorldSetOptions options = {.set = XR_WORLD_SET_QUESTIONS,
                                 .domain = XR_WORLD_DOMAINS,
                                 .split = XR_WORLD_DEV,
                                 .pictures = true,
                                 .rows = 14,
                                 .seed = 6};
    XrBuffer once = {0}, longer = {0};
    assert_true(xr_world_write_set(folder, &options, &err));
    read_text(folder, "questions.jsonl", &once);
    options.rows = 24;
    assert_true(xr_world_write_set(folder, &options, &err));
    read_text(folder, "questions.jsonl", &longer);
    assert_true(longer.length > once.length);
    assert_memory_equal(once.data, longer.data, once.length);

    char *path = xr_path_join(folder, "questions.jsonl");
    XrRows rows;
    assert_true(xr_rows_open(&rows, path, &err));
    assert_int_equal(rows.count, 24);
    for (int64_t i = 0; i < rows.count; i++) {
        XrExample example;
        XrImage image;
        XrWorldRow row;
        xr_world_row(&row, &options, i);
        const XrFormat *format = NULL;
        XrJson json;
        assert_true(xr_rows_parse(&rows, i, &json, &err));
        format = xr_format_find("auto", json.root, path, &err);
        xr_json_free(&json);
        if (!xr_example_read(&example, &rows, i, format, &err)) fail_msg("%s", err.message);
        assert_string_equal(example.gold, row.completion.data);
        assert_string_equal(example.question,
                            row.question.domain == XR_WORLD_TOTAL ? "total think" : "level think");
        assert_int_equal(example.image_count, 1);
        assert_true(xr_image_read(&image, example.images[0], NULL, &err));
        assert_int_equal(row.question.count, 3 + (int)(i / 2 % 6));
        assert_int_equal(xr_world_split(&row.question), XR_WORLD_DEV);
        xr_image_free(&image);
        xr_example_free(&example);
        xr_world_row_free(&row);
    }
    xr_rows_close(&rows);
    xr_buffer_free(&once);
    xr_buffer_free(&longer);
    free(path);
    free(folder);
}

// ---- the untrained model ----

static void folder_that_cannot_be_made(void **state) {
    (void)state;
    assert_false(xr_world_write_model("/dev/null/model", 1, &err));
    assert_non_null(strstr(err.message, "/dev/null"));
    XrWorldSetOptions options = {.set = XR_WORLD_SET_BASE, .rows = 3};
    assert_false(xr_world_write_set("/dev/null/set", &options, &err));
    assert_non_null(strstr(err.message, "/dev/null"));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_by_hand),
        cmocka_unit_test(splits_share_no_list),
        cmocka_unit_test(splits_have_their_shares),
        cmocka_unit_test(texts_by_hand),
        cmocka_unit_test(facts_hold),
        cmocka_unit_test(looks_are_disjoint),
        cmocka_unit_test(pictures_hold_their_lists),
        cmocka_unit_test(png_that_cannot_be_written),
        cmocka_unit_test(token_counts),
        cmocka_unit_test(forced_exit_reads_like_a_row),
        cmocka_unit_test(rows_stay_short),
        cmocka_unit_test(rows_are_pure),
        cmocka_unit_test(lists_told_half_in_words),
        cmocka_unit_test(mixed_rows_are_written),
        cmocka_unit_test(base_reasons_badly),
        cmocka_unit_test(verifier_accepts_gold_answers),
        cmocka_unit_test(files_are_read_by_the_trainers),
        cmocka_unit_test(folder_that_cannot_be_made),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
