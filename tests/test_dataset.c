// Published data formats: what becomes of rows, and of rows that are not as they should be.
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/dataset/example.h"
#include "shared/train/pack.h"

#include <stdlib.h>

static char *write_data(const char *text, size_t bytes) {
    static int count;
    char name[32];
    XrError err;
    snprintf(name, sizeof name, "data-%d.json", count++);
    char *path = xr_path_join(xr_test_scratch(), name);
    assert_true(xr_file_write(path, text, bytes, &err));
    return path;
}

// The first row of `text` in a format ("auto": the one that fits), as "role: text|role: text".
static void show(const char *text, const char *format_name, XrExample *example, XrBuffer *out) {
    char *path = write_data(text, strlen(text));
    XrRows rows;
    XrJson json;
    XrError err = {0};
    XrChat chat = {0};
    if (!xr_rows_open(&rows, path, &err)) fail_msg("%s", err.message);
    assert_true(xr_rows_parse(&rows, 0, &json, &err));
    const XrFormat *format = xr_format_find(format_name, json.root, path, &err);
    if (!format) fail_msg("%s", err.message);
    xr_buffer_clear(out);
    xr_buffer_format(out, "%s", format->name);
    xr_json_free(&json);
    if (!xr_example_read(example, &rows, 0, format, &err)) fail_msg("%s", err.message);
    bool response = !example->question || example->response;
    if (!xr_example_take_chat(&chat, example, "Q: {{ question }}", response, &err)) {
        fail_msg("%s", err.message);
    }
    for (int i = 0; i < chat.count; i++) {
        xr_buffer_format(out, "|%s: ", chat.messages[i].role);
        for (int k = 0; k < chat.messages[i].part_count; k++) {
            const XrChatPart *part = &chat.messages[i].parts[k];
            xr_buffer_format(out, part->image ? "[%s]" : "%s", part->text);
        }
    }
    xr_chat_free(&chat);
    xr_rows_close(&rows);
    free(path);
}

typedef struct Case {
    const char *name, *row, *format, *expected, *gold, *id;
} Case;

static const Case CASES[] = {
    {"messages",
     "{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", "
     "\"content\": "
     "\"u\"}, {\"role\": \"assistant\", \"content\": \"a\"}]}",
     "auto", "messages|system: s|user: u|assistant: a", NULL, NULL},
    {"pair of texts", "{\"prompt\": \"p\", \"completion\": \"c\", \"id\": 7}", "auto",
     "prompt_completion|user: p|assistant: c", NULL, "7"},
    {"pair of messages",
     "{\"prompt\": [{\"role\": \"user\", \"content\": \"p\"}], \"completion\": [{\"role\": "
     "\"assistant\", \"content\": \"c\"}]}",
     "auto", "prompt_completion|user: p|assistant: c", NULL, NULL},
    {"openthoughts",
     "{\"system\": \"long\", \"conversations\": [{\"from\": \"user\", \"value\": \"2+2?\"}, "
     "{\"from\": \"assistant\", \"value\": \"<|begin_of_thought|>\\n\\nadd\\n\\n"
     "<|end_of_thought|>\\n\\n<|begin_of_solution|>\\n\\n4\\n\\n<|end_of_solution|>\"}]}",
     "auto", "openthoughts|user: Q: 2+2?|assistant: <think>\nadd\n</think>\n<answer> 4 </answer>",
     NULL, NULL},
    {"sharegpt without markers",
     "{\"system\": \"s\", \"conversations\": [{\"from\": \"human\", \"value\": \"u\"}, {\"from\": "
     "\"gpt\", \"value\": \"a\"}]}",
     "auto", "openthoughts|system: s|user: u|assistant: a", NULL, NULL},
    {"openthoughts, a user who speaks of markers",
     "{\"conversations\": [{\"from\": \"user\", \"value\": \"What is <|begin_of_thought|>?\"}, "
     "{\"from\": \"assistant\", \"value\": \"A mark.\"}]}",
     "auto", "openthoughts|user: What is <|begin_of_thought|>?|assistant: A mark.", NULL, NULL},
    {"openthoughts, two answers",
     "{\"system\": \"s\", \"conversations\": [{\"from\": \"user\", \"value\": \"u\"}, {\"from\": "
     "\"assistant\", \"value\": \"a\"}, {\"from\": \"user\", \"value\": \"v\"}, {\"from\": "
     "\"assistant\", \"value\": \"<|begin_of_thought|>t<|end_of_thought|>"
     "<|begin_of_solution|>b<|end_of_solution|>\\n\"}]}",
     "auto",
     "openthoughts|user: u|assistant: a|user: v|assistant: <think>\nt\n</think>\n<answer> b "
     "</answer>",
     NULL, NULL},
    {"gsm8k",
     "{\"question\": \"How many?\", \"answer\": \"48/2=<<48/2=24>>24 clips.\\nSo 72.\\n#### 72\"}",
     "auto",
     "gsm8k|user: Q: How many?|assistant: <think>\n48/2=24 clips.\nSo 72.\n</think>\n<answer> 72 "
     "</answer>",
     "72", NULL},
    {"gsm8k, a note without end", "{\"question\": \"q\", \"answer\": \"a << b\\n#### 1,000\"}",
     "auto", "gsm8k|user: Q: q|assistant: <think>\na << b\n</think>\n<answer> 1,000 </answer>",
     "1,000", NULL},
    {"orz",
     "[[{\"from\": \"human\", \"value\": \"q\"}, {\"from\": \"assistant\", \"ground_truth\": "
     "{\"value\": \"x^2\", \"pass_at_n\": 0.5}}]]",
     "auto", "orz|user: Q: q", "x^2", NULL},
    {"orz_eval", "{\"prompt\": [{\"from\": \"user\", \"value\": \"q\"}], \"final_answer\": 12.5}",
     "auto", "orz_eval|user: Q: q", "12.5", NULL},
    {"question_answer", "{\"problem\": \"q\", \"answer\": 42, \"unique_id\": \"test/1\"}", "auto",
     "question_answer|user: Q: q|assistant: <answer> 42 </answer>", "42", "test/1"},
    {"question_answer, letters",
     "{\"question\": \"q\", \"options\": {\"A\": \"x\", \"B\": \"y\"}, \"answer\": \"y\", "
     "\"answer_idx\": \"B\"}",
     "auto", "question_answer|user: Q: q\nA: x\nB: y|assistant: <answer> B </answer>", "B", NULL},
    {"question_answer, pictures",
     "{\"question\": \"q\", \"images\": [\"/a.png\", \"/b.png\"], \"label\": \"A\"}", "auto",
     "question_answer|user: [/a.png][/b.png]Q: q|assistant: <answer> A </answer>", "A", NULL},
};

static void converts(void **state) {
    const Case *c = *state;
    XrExample example;
    XrBuffer out = {0};
    show(c->row, c->format, &example, &out);
    assert_string_equal(out.data, c->expected);
    if (c->gold) assert_string_equal(example.gold, c->gold);
    if (c->id) assert_string_equal(example.id, c->id);
    assert_int_equal(c->gold != NULL, example.gold != NULL);
    xr_example_free(&example);
    xr_buffer_free(&out);
}

// Pictures are looked for beside the data.
static void places_pictures(void **state) {
    XrExample example;
    XrBuffer out = {0}, expected = {0};
    show("{\"question\": \"q\", \"image\": \"p/a.png\", \"label\": \"A\"}", "auto", &example, &out);
    xr_buffer_format(&expected, "question_answer|user: [%s/p/a.png]Q: q|", xr_test_scratch());
    assert_memory_equal(out.data, expected.data, expected.length);
    xr_example_free(&example);
    xr_buffer_clear(&expected);
    show("{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": "
         "\"a.png\"}, {\"type\": \"text\", \"text\": \"t\"}]}]}",
         "auto", &example, &out);
    xr_buffer_format(&expected, "messages|user: [%s/a.png]t", xr_test_scratch());
    assert_string_equal(out.data, expected.data);
    xr_example_free(&example);
    xr_buffer_free(&out);
    xr_buffer_free(&expected);
}

// ---- hostile rows ----

static void expect_bad(const char *text, size_t bytes, const char *format_name, const char *part) {
    char *path = write_data(text, bytes);
    XrRows rows = {0};
    XrJson json;
    XrError err = {0};
    XrExample example = {0};
    bool ok = xr_rows_open(&rows, path, &err);
    for (int64_t i = 0; ok && i < rows.count; i++) {
        const XrFormat *format = NULL;
        ok = xr_rows_parse(&rows, i, &json, &err);
        if (ok) {
            format = xr_format_find(format_name, json.root, path, &err);
            xr_json_free(&json);
        }
        ok = format && xr_example_read(&example, &rows, i, format, &err);
        if (ok) xr_example_free(&example);
    }
    if (ok) fail_msg("%.60s: was taken", text);
    if (!strstr(err.message, part)) fail_msg("\"%s\" lacks \"%s\"", err.message, part);
    if (!strstr(err.message, path)) fail_msg("\"%s\" does not name the file", err.message);
    xr_rows_close(&rows);
    free(path);
}

// A row of OpenThoughts with this answer.
#define THOUGHT(answer)                                                                            \
    "{\"conversations\": [{\"from\": \"user\", \"value\": \"u\"}, {\"from\": \"assistant\", "      \
    "\"value\": \"" answer "\"}]}"

static const struct {
    const char *text, *format, *part;
} REFUSED[] = {
    {"", "auto", "no rows"},
    {" \n\t\n", "auto", "no rows"},
    {"[]", "auto", "no rows"},
    {"{\"a\": 1}", "auto", "none of the formats"},
    {"[]\n", "auto", "the file holds no rows"},
    {"12\n", "auto", "none of the formats"},
    {"null\n", "auto", "none of the formats"},
    {"{\"prompt\": \"p\"", "auto", ":1"},
    {"{\"prompt\": \"p\", \"completion\": \"c\"}\n{\"prompt\": \"p\", \"comple", "auto", ":2"},
    {"[{\"prompt\": \"p\", \"completion\": \"c\"},\n {\"prompt\": ]\n", "auto", ":2"},
    {"[{\"prompt\": \"p\", \"completion\": \"c\"}", "auto", "not well formed"},
    {"[1,,2]", "messages", "not well formed"},
    {"[{\"messages\": []}] x", "auto", "something follows"},
    {"{\"prompt\": 3, \"completion\": \"c\"}", "auto", "texts or messages"},
    {"{\"messages\": []}", "no_such_format", "no format \"no_such_format\""},
    {"{\"messages\": [{\"role\": 3}]}", "auto", "messages[0]"},
    {"{\"messages\": [3]}", "messages", "messages[0]"},
    {"{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"asistant\", "
     "\"content\": \"a\"}]}",
     "messages", "messages[1]: role \"asistant\": must be"},
    {"{\"prompt\": \"q\", \"completion\": [{\"role\": \"model\", \"content\": \"a\"}]}", "auto",
     "messages[0]: role \"model\": must be"},
    {"{\"messages\": 3}", "messages", "messages"},
    {"{}", "messages", "messages"},
    {"{}", "prompt_completion", "texts or messages"},
    {"{}", "openthoughts", "conversations"},
    {"{\"conversations\": []}", "openthoughts", "conversations"},
    {"{\"conversations\": [{\"from\": \"user\"}]}", "openthoughts", "conversations"},
    {"{\"conversations\": [7]}", "openthoughts", "conversations"},
    {THOUGHT("<|begin_of_thought|> no end"), "auto", "nothing outside"},
    {THOUGHT("<|begin_of_thought|>t<|end_of_thought|>"), "auto", "nothing outside"},
    {THOUGHT("<|begin_of_solution|>s<|end_of_solution|>"), "auto", "nothing outside"},
    {THOUGHT("<|begin_of_thought|>t<|end_of_thought|><|begin_of_solution|>s"), "auto",
     "nothing outside"},
    {THOUGHT("Well, <|begin_of_thought|>t<|end_of_thought|><|begin_of_solution|>s"
             "<|end_of_solution|>"),
     "auto", "nothing outside"},
    {THOUGHT("<|begin_of_thought|>t<|end_of_thought|> lost <|begin_of_solution|>s"
             "<|end_of_solution|>"),
     "auto", "nothing outside"},
    {THOUGHT("<|begin_of_thought|>t<|end_of_thought|><|begin_of_solution|>s"
             "<|end_of_solution|> lost"),
     "auto", "nothing outside"},
    {"{}", "gsm8k", "answer"},
    {"{\"question\": \"q\", \"answer\": \"no number\"}", "gsm8k", "####"},
    {"{\"question\": 1, \"answer\": \"x\\n#### 2\"}", "gsm8k", "question"},
    {"[[1, 2]]", "orz", ":1"},
    {"[[]]", "orz", ":1"},
    {"{}", "orz", ":1"},
    {"7\n", "orz", ":1"},
    {"{\"prompt\": []}", "orz_eval", "prompt"},
    {"{\"prompt\": [{\"value\": \"q\"}]}", "orz_eval", "final_answer"},
    {"{\"question\": \"q\"}", "question_answer", "answer"},
    {"{\"question\": [], \"answer\": 1}", "question_answer", "question"},
    {"{\"question\": \"q\", \"answer\": {}}", "question_answer", "answer"},
    {"{\"question\": \"q\", \"answer\": 1, \"options\": [1]}", "question_answer", "options"},
    {"{\"question\": \"q\", \"answer\": 1, \"options\": {\"B\": \"b\"}}", "question_answer",
     "options"},
    {"{\"question\": \"q\", \"answer\": 1, \"images\": [2]}", "question_answer", "images"},
    {"{\"question\": \"q\\u0000r\", \"answer\": 1}", "question_answer", "U+0000"},
    {"{\"prompt\": \"\xff\", \"completion\": \"c\"}", "auto", "UTF-8"},
    {"{\"messages\": 3}", "messages", "format \"messages\""},
    {"PAR1\x15\x04", "auto", "Parquet"},
    {"\x1f\x8b\x08", "auto", "gunzip"},
    {"\x28\xb5\x2f\xfd$", "auto", "unzstd"},
};

static void refuses(void **state) {
    for (size_t i = 0; i < XR_COUNT(REFUSED); i++) {
        expect_bad(REFUSED[i].text, strlen(REFUSED[i].text), REFUSED[i].format, REFUSED[i].part);
    }
}

static void refuses_too_many(void **state) {
    XrBuffer text = {0};
    xr_buffer_text(&text, "{\"question\": \"q\", \"answer\": 1, \"options\": [\"o\"");
    for (int i = 0; i < 26; i++) xr_buffer_text(&text, ", \"o\"");
    xr_buffer_text(&text, "]}");
    expect_bad(text.data, text.length, "question_answer", "at most 26");
    xr_buffer_clear(&text);
    xr_buffer_text(&text, "{\"question\": \"q\", \"answer\": 1, \"images\": [\"o\"");
    for (int i = 0; i < 16; i++) xr_buffer_text(&text, ", \"o\"");
    xr_buffer_text(&text, "]}");
    expect_bad(text.data, text.length, "question_answer", "at most 16");
    xr_buffer_clear(&text);
    for (int i = 0; i < 100000; i++) xr_buffer_byte(&text, '[');
    expect_bad(text.data, text.length, "auto", "");
    xr_buffer_free(&text);
}

// ---- rows of a file ----

static void expect_rows(const char *text, int count, const int *lines) {
    char *path = write_data(text, strlen(text));
    XrRows rows;
    XrError err = {0};
    if (!xr_rows_open(&rows, path, &err)) fail_msg("%s", err.message);
    assert_int_equal(rows.count, count);
    for (int i = 0; i < count; i++) {
        XrJson json;
        assert_int_equal(rows.line[i], lines[i]);
        if (!xr_rows_parse(&rows, i, &json, &err)) fail_msg("%s", err.message);
        xr_json_free(&json);
    }
    xr_rows_close(&rows);
    free(path);
}

static void finds_rows(void **state) {
    expect_rows("{\"a\": 1}", 1, (int[]){1});
    expect_rows("{\"a\": 1}\r\n\r\n{\"a\": \"}{\"}\r\n", 2, (int[]){1, 3});
    expect_rows("\xEF\xBB\xBF{\"a\": 1}\n{\"b\": 2}\n", 2, (int[]){1, 2});
    expect_rows("[{\"a\": \"x,]\\\"\"}, {\"b\": [1, 2]}]", 2, (int[]){1, 1});
    expect_rows("[\n  {\"a\": 1},\n  {\"b\":\n 2}\n]\n", 2, (int[]){2, 3});
    expect_rows("\n\n [1,\n2\n,3]", 3, (int[]){3, 4, 5});
    expect_rows("[1, 2]\n[3, 4]\n", 2, (int[]){1, 2}); // JSON Lines of arrays
    expect_rows("[[1, 2],\n[3, 4]]\n", 2, (int[]){1, 2});
    expect_rows("[[1, 2]]\n", 1, (int[]){1});
    expect_rows("[{\"a\": 1}, {\"b\": 2}] \r\n\n", 2,
                (int[]){1, 1}); // as json.dump and jq -c write it
}

static void real_files(void **state) {
    const struct {
        const char *name, *format;
        int64_t rows;
    } files[] = {{"gsm8k/train.jsonl", "gsm8k", 7473}, {"gsm8k/test.jsonl", "gsm8k", 1319}};
    for (size_t i = 0; i < XR_COUNT(files); i++) {
        XrRows rows;
        XrError err = {0};
        int count;
        const XrFormat *formats = xr_formats(&count), *format = NULL;
        for (int k = 0; k < count; k++) {
            if (strcmp(formats[k].name, files[i].format) == 0) format = &formats[k];
        }
        if (!xr_rows_open(&rows, xr_test_data(files[i].name), &err)) fail_msg("%s", err.message);
        assert_int_equal(rows.count, files[i].rows);
        for (int64_t row = 0; row < rows.count; row++) {
            XrExample example;
            if (!xr_example_read(&example, &rows, row, format, &err)) fail_msg("%s", err.message);
            assert_true(strlen(example.gold) > 0 && !strstr(example.response, "<<"));
            xr_example_free(&example);
        }
        xr_rows_close(&rows);
    }
}

// ---- packing ----

static void check_plan(const XrPackPlan *plan, const int32_t *tokens, int64_t count,
                       const XrPackSettings *s) {
    bool *seen = xr_calloc((size_t)count, sizeof *seen);
    int64_t most = xr_pack_most_tokens(tokens, count, s);
    assert_int_equal(plan->begin[0], 0);
    assert_int_equal(plan->begin[plan->micro_batches], count);
    assert_int_equal(plan->steps, (plan->micro_batches + s->accumulate - 1) / s->accumulate);
    for (int64_t m = 0; m < plan->micro_batches; m++) {
        int64_t used = 0, rows = plan->begin[m + 1] - plan->begin[m];
        assert_true(rows > 0 && (s->packing || rows <= s->sequences));
        for (int64_t i = plan->begin[m]; i < plan->begin[m + 1]; i++) {
            assert_false(seen[plan->order[i]]);
            seen[plan->order[i]] = true;
            used += tokens[plan->order[i]];
        }
        assert_true(used <= most && (!s->packing || used <= s->sequences * s->max_length));
        // Full: the next row would not have fitted.
        bool last = m + 1 == plan->micro_batches;
        int64_t next = last ? 0 : tokens[plan->order[plan->begin[m + 1]]];
        if (!last && s->packing) assert_true(used + next > s->sequences * s->max_length);
        if (!last && !s->packing) assert_int_equal(rows, s->sequences);
    }
    free(seen);
}

static void packs(void **state) {
    enum { ROWS = 257 };
    int32_t tokens[ROWS];
    for (int i = 0; i < ROWS; i++) tokens[i] = 1 + i * 37 % 100;
    for (int sequences = 1; sequences <= 8; sequences++) {
        for (int packing = 0; packing < 2; packing++) {
            XrPackSettings s = {packing, sequences, 100, 3};
            XrPackPlan plain = xr_pack_plan(tokens, ROWS, &s, false, 1, 0);
            XrPackPlan a = xr_pack_plan(tokens, ROWS, &s, true, 1, 0);
            XrPackPlan b = xr_pack_plan(tokens, ROWS, &s, true, 1, 1);
            XrPackPlan again = xr_pack_plan(tokens, ROWS, &s, true, 1, 1);
            check_plan(&plain, tokens, ROWS, &s);
            check_plan(&a, tokens, ROWS, &s);
            for (int i = 0; i < ROWS; i++) assert_int_equal(plain.order[i], i);
            assert_memory_not_equal(a.order, b.order, sizeof *a.order * ROWS);
            assert_memory_equal(again.order, b.order, sizeof *b.order * ROWS);
            xr_pack_plan_free(&plain);
            xr_pack_plan_free(&a);
            xr_pack_plan_free(&b);
            xr_pack_plan_free(&again);
        }
    }
}

int main(int argc, char **argv) {
    struct CMUnitTest tests[XR_COUNT(CASES) + 6] = {
        cmocka_unit_test(places_pictures),  cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_too_many), cmocka_unit_test(finds_rows),
        cmocka_unit_test(real_files),       cmocka_unit_test(packs),
    };
    for (size_t i = 0; i < XR_COUNT(CASES); i++) {
        tests[6 + i] = (struct CMUnitTest){CASES[i].name, converts, NULL, NULL, (void *)&CASES[i]};
    }
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
