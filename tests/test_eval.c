// xreasoner eval end to end on hand-made items and pictures: what is asked, counted, judged, left
// out, and that nothing depends on batches, threads or order.
#include "tests/support/backends.h"
#include "tests/support/eval.h"
#include "tests/support/processes.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"

#include <math.h>
#include <stdlib.h>

static char *model_of(const char *name) {
    XrBuffer text = {0};
    char folder[64];
    snprintf(folder, sizeof folder, "golden/models/%s", name);
    xr_buffer_format(&text, "model_name_or_path=%s", xr_test_source(folder));
    return text.data;
}

static char *dataset_of(const char *path) {
    XrBuffer text = {0};
    xr_buffer_format(&text,
                     "eval_dataset=[{\"path\": \"%s\", \"format\": \"jsonl\", \"images\": \"%s\"}]",
                     path, xr_test_source("golden/images"));
    return text.data;
}

// Questions with no, one and two pictures, options and none, of two subjects.
static void add_items(XrBuffer *out, bool reversed) {
    for (int k = 0; k < 12; k++) {
        int i = reversed ? 11 - k : k;
        xr_buffer_format(out, "{\"id\": \"q%d\", \"subject\": \"%s\", \"question\": \"", i,
                         i % 2 ? "odd" : "even");
        for (int w = 0; w <= i % 5; w++) xr_buffer_format(out, "What is %d and %d? ", i, w);
        if (i % 3 == 1) xr_buffer_text(out, "\", \"images\": [\"a.png\"], \"answer\": \"A\"");
        if (i % 3 == 2) {
            xr_buffer_text(out, "<image 1> or <image 2>\", \"images\": [\"b.png\", \"d.png\"], "
                                "\"answer\": \"B\"");
        }
        if (i % 3 == 0) xr_buffer_format(out, "\", \"answer\": \"%d\"", i);
        if (i % 3) xr_buffer_text(out, ", \"options\": [\"a cat\", \"a dog\", \"neither\"]");
        xr_buffer_text(out, "}\n");
    }
}

static char *items_file(const char *name, bool reversed) {
    XrBuffer text = {0};
    add_items(&text, reversed);
    char *path = xr_test_write(name, text.data);
    xr_buffer_free(&text);
    return path;
}

enum { SETTINGS = 7 };
static const char *const COMMON[SETTINGS] = {
    "prompt_template=plain", "temperature=1.2", "num_generations=3", "max_completion_length=30",
    "kv_cache_mb=64",        "seed=5",          "max_pixels=50176"};

// An evaluation of the items; `more` ends with NULL.
static char *run(const char *name, const char *items, const char *const *more) {
    const char *all[48];
    int count = 0;
    char *model = model_of("gqa2_tied"), *data = dataset_of(items), *folder = xr_test_path(name);
    all[count++] = model;
    all[count++] = data;
    for (int i = 0; i < SETTINGS; i++) all[count++] = COMMON[i];
    for (int i = 0; more[i]; i++) all[count++] = more[i];
    all[count] = NULL;
    xr_test_eval(folder, all, 0);
    free(model);
    free(data);
    return folder;
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

// ---- the same answers however they are made ----

static void batches_threads_and_order_do_not_matter(void **state) {
    char *items = items_file("order.jsonl", false), *reversed = items_file("order2.jsonl", true);
    char *one = run("one", items, ARGUMENTS("max_batch_sequences=1", "--threads=1"));
    char *many = run("many", items, ARGUMENTS("max_batch_sequences=40", "--threads=3"));
    char *back = run("back", reversed, ARGUMENTS("max_batch_sequences=5", "--threads=2"));
    xr_test_same_answers(one, many);
    xr_test_same_answers(one, back);
    cJSON *a = xr_test_summary(one), *b = xr_test_summary(back);
    assert_true(cJSON_Compare(xr_test_at(a, "results/0/accuracy"),
                              xr_test_at(b, "results/0/accuracy"), true));
    cJSON *lines = xr_test_lines(one, "samples.jsonl");
    assert_int_equal(cJSON_GetArraySize(lines), 36);
    int pictures = 0;
    const cJSON *line;
    cJSON_ArrayForEach(line, lines) {
        char *text = cJSON_PrintUnformatted(xr_test_at(line, "messages"));
        for (const char *at = text; (at = strstr(at, "\"image\":\"")); at++) pictures++;
        free(text);
    }
    assert_int_equal(pictures, 3 * (4 + 2 * 4));
    cJSON_Delete(lines);
    cJSON_Delete(a);
    cJSON_Delete(b);
    free(items);
    free(reversed);
    free(one);
    free(many);
    free(back);
}

#ifdef XR_TEST_MODELS_ON_CUDA
// Sampled texts, with pictures, by another order of summation: in this many words of a small model
// no draw is so close to a border that it falls otherwise.
static void same_answers_on_cuda(void **state) {
    xr_backend_free(xr_test_backend("cuda")); // skips where there is no GPU
    char *items = items_file("device.jsonl", false);
    char *cpu = run("on-cpu", items, ARGUMENTS("dtype=f32", "num_generations=1"));
    char *cuda =
        run("on-cuda", items, ARGUMENTS("dtype=f32", "num_generations=1", "--device=cuda"));
    xr_test_same_answers(cpu, cuda);
    free(items);
    free(cpu);
    free(cuda);
}
#endif

// The answers of `mode` in a run that compared equal those of a run of that mode alone, in
// everything but the key.
static void same_in_mode(const char *both, const char *alone, const char *mode) {
    cJSON *b = xr_test_lines(both, "samples.jsonl"), *a = xr_test_lines(alone, "samples.jsonl");
    static const char *const keys[] = {"token_ids", "response", "forced",  "finish_reason",
                                       "score",     "verdict",  "endless", "extracted"};
    int found = 0, shared = 0;
    const cJSON *x, *y;
    cJSON_ArrayForEach(x, b) {
        const char *its = xr_test_string(x, "mode");
        if (strcmp(its, mode) != 0 && strcmp(its, "both") != 0) continue;
        shared += strcmp(its, "both") == 0;
        cJSON_ArrayForEach(y, a) {
            bool same = strcmp(xr_test_string(x, "id"), xr_test_string(y, "id")) == 0 &&
                        xr_test_number(x, "sample") == xr_test_number(y, "sample");
            if (!same) continue;
            found++;
            for (size_t k = 0; k < XR_COUNT(keys); k++) {
                if (!cJSON_Compare(xr_test_at(x, keys[k]), xr_test_at(y, keys[k]), true)) {
                    fail_msg("\"%s\" of %s differs", keys[k], xr_test_string(x, "id"));
                }
            }
        }
    }
    assert_int_equal(found, 36);
    assert_true(shared < 36);
    cJSON_Delete(a);
    cJSON_Delete(b);
}

static void forced_exit_beside_none(void **state) {
    char *items = items_file("exit.jsonl", false);
    char *file = xr_test_write("template.txt", "<think> </think> {{ question }} {{ options }}");
    XrBuffer template = {0};
    xr_buffer_format(&template, "prompt_template=%s", file);
    char *both =
        run("both", items, ARGUMENTS("compare_forced_exit=true", "think_budget=8", template.data));
    char *none = run("none", items, ARGUMENTS(template.data));
    char *budget = run("budget", items, ARGUMENTS("think_budget=8", template.data));
    same_in_mode(both, none, "free");
    same_in_mode(both, budget, "budget");
    cJSON *summary = xr_test_summary(both);
    assert_int_equal(cJSON_GetArraySize(xr_test_at(summary, "results")), 2);
    assert_string_equal(xr_test_string(summary, "results/0/mode"), "free");
    assert_string_equal(xr_test_string(summary, "results/1/mode"), "budget");
    assert_true(xr_test_number(summary, "results/0/forced") == 0);
    assert_true(xr_test_number(summary, "results/1/forced") > 0);
    assert_true(xr_test_number(summary, "results/0/endless") > 0);
    assert_true(xr_test_number(summary, "results/1/endless") == 0);
    cJSON_Delete(summary);
    xr_buffer_free(&template);
    free(file);
    free(items);
    free(both);
    free(none);
    free(budget);
}

// ---- worked examples ----

// Examples of the question's own subject, never a question's own text, rendered as turns; where
// there are too few that is counted.
static void worked_examples(void **state) {
    char *items = xr_test_write("few.jsonl",
                                "{\"id\": \"1\", \"subject\": \"m\", \"question\": \"Half of 8?\", "
                                "\"answer\": \"4\"}\n"
                                "{\"id\": \"2\", \"subject\": \"m\", \"question\": \"Half of 4?\", "
                                "\"answer\": \"2\"}\n"
                                "{\"id\": \"3\", \"subject\": \"other\", \"question\": \"Which?\", "
                                "\"answer\": \"B\", \"options\": [\"x\", \"y\"]}\n");
    char *shots = xr_test_write("shots.jsonl",
                                "{\"id\": \"1\", \"subject\": \"m\", \"question\": \"Half of 4?\", "
                                "\"answer\": \"2\", \"solution\": \"4/2\"}\n"
                                "{\"id\": \"2\", \"subject\": \"l\", \"question\": \"A?\", "
                                "\"answer\": \"A\", \"options\": [\"x\", \"y\"]}\n"
                                "{\"id\": \"3\", \"subject\": \"m\", \"question\": \"Half of 6?\", "
                                "\"answer\": \"3\"}\n"
                                "{\"id\": \"4\", \"question\": \"no answer?\"}\n");
    char *template = xr_test_write("few.txt", "{{question}}|<answer>");
    XrBuffer fewshot = {0}, prompt = {0};
    xr_buffer_format(&fewshot, "fewshot_dataset=[{\"path\": \"%s\", \"format\": \"jsonl\"}]",
                     shots);
    xr_buffer_format(&prompt, "prompt_template=%s", template);
    char *folder = run("few", items,
                       ARGUMENTS(fewshot.data, "num_fewshot=2", prompt.data, "num_generations=1"));
    xr_test_log_has("1 of 3 questions have fewer than 2 worked examples");
    static const char *const wanted[][5] = {
        {"Half of 4?|<answer>", "<think>\n4/2\n</think>\n<answer> 2 </answer>",
         "Half of 6?|<answer>", "<answer> 3 </answer>", "Half of 8?|<answer>"},
        {"Half of 6?|<answer>", "<answer> 3 </answer>", "Half of 4?|<answer>"},
        {"Half of 4?|<answer>", "<think>\n4/2\n</think>\n<answer> 2 </answer>",
         "A?\nA: x\nB: y|<answer>", "<answer> A: x </answer>", "Which?\nA: x\nB: y|<answer>"}};
    cJSON *lines = xr_test_lines(folder, "samples.jsonl"), *summary = xr_test_summary(folder);
    assert_int_equal(xr_test_number(summary, "short_of_examples"), 1);
    assert_int_equal(cJSON_GetArraySize(lines), 3);
    const cJSON *line, *message;
    cJSON_ArrayForEach(line, lines) {
        int item = xr_test_string(line, "id")[0] - '1', at = 0;
        cJSON_ArrayForEach(message, xr_test_at(line, "messages")) {
            assert_string_equal(xr_test_string(message, "role"), at % 2 ? "assistant" : "user");
            assert_string_equal(xr_test_string(message, "content"), wanted[item][at]);
            at++;
        }
        assert_int_equal(at, item == 1 ? 3 : 5);
    }
    cJSON_Delete(lines);
    cJSON_Delete(summary);
    xr_buffer_free(&fewshot);
    xr_buffer_free(&prompt);
    free(items);
    free(shots);
    free(template);
    free(folder);
}

// ---- nothing is dropped silently ----

static void counts_what_is_left_out(void **state) {
    XrBuffer text = {0};
    add_items(&text, false);
    xr_buffer_text(&text, "{\"id\": \"broken\", \"question\": \n");
    xr_buffer_text(&text, "{\"id\": \"gone\", \"question\": \"?\", \"images\": [\"no.png\"], "
                          "\"answer\": \"1\"}\n");
    xr_buffer_text(&text, "{\"id\": \"q3\", \"question\": \"again?\", \"answer\": \"1\"}\n");
    xr_buffer_text(&text, "{\"id\": \"letter\", \"question\": \"?\", \"answer\": \"D\", "
                          "\"options\": [\"x\", \"y\"]}\n");
    xr_buffer_text(&text, "{\"id\": \"long\", \"question\": \"");
    for (int i = 0; i < 9000; i++) xr_buffer_text(&text, "w ");
    xr_buffer_text(&text, "\", \"answer\": \"1\"}\n");
    char *items = xr_test_write("left.jsonl", text.data);
    char *folder = run("left", items, ARGUMENTS("num_generations=1"));
    cJSON *summary = xr_test_summary(folder), *lines = xr_test_lines(folder, "left_out.jsonl");
    assert_int_equal(xr_test_number(summary, "results/0/items"), 16); // the duplicate is no item
    assert_int_equal(xr_test_number(summary, "results/0/answered"), 12);
    static const char *const problems[] = {"malformed", "missing_picture", "wrong_gold",
                                           "duplicate", "unanswered"};
    for (size_t i = 0; i < XR_COUNT(problems); i++) {
        char key[64];
        snprintf(key, sizeof key, "results/0/left_out/%s", problems[i]);
        assert_int_equal(xr_test_number(summary, key), 1);
    }
    assert_int_equal(cJSON_GetArraySize(lines), 5);
    bool named = false;
    const cJSON *line;
    cJSON_ArrayForEach(line, lines) {
        if (strcmp(xr_test_string(line, "problem"), "unanswered") != 0) continue;
        assert_string_equal(xr_test_string(line, "id"), "long");
        named = strstr(xr_test_string(line, "text"), "tokens") != NULL;
    }
    assert_true(named);
    xr_test_log_has("4 of 16 items have no answer");
    cJSON_Delete(summary);
    cJSON_Delete(lines);
    xr_buffer_free(&text);
    free(items);
    free(folder);
}

// ---- stored responses: every number by hand ----

// Four questions, five samples each; question 3 has three samples, question 4 none. A picture that
// is not there is no reason not to judge what was said about it.
static const char ITEMS[] =
    "{\"id\": \"1\", \"subject\": \"s\", \"question\": \"Half?\", \"answer\": \"1/2\", "
    "\"image\": \"nowhere.png\"}\n"
    "{\"id\": \"2\", \"subject\": \"s\", \"question\": \"Three?\", \"answer\": \"3\"}\n"
    "{\"id\": \"3\", \"subject\": \"t\", \"question\": \"Which?\", \"answer\": \"B\", "
    "\"options\": [\"cat\", \"dog\"]}\n"
    "{\"id\": \"4\", \"subject\": \"t\", \"question\": \"Five?\", \"answer\": \"5\"}\n";

// 1: 0.5, 1/2 and \frac12 are one class of three against two. 2: two classes of two; the first
// founded wins, and is wrong. 3: a tie of one and one after an answer that nobody reads.
static const char RESPONSES[] =
    "{\"id\": \"1\", \"sample\": 0, \"response\": \"<answer>2</answer>\"}\n"
    "{\"id\": \"1\", \"sample\": 1, \"response\": \"<answer>0.5</answer>\"}\n"
    "{\"id\": \"1\", \"sample\": 2, \"response\": \"<answer>2</answer>\"}\n"
    "{\"id\": \"1\", \"sample\": 3, \"response\": \"<answer>1/2</answer>\"}\n"
    "{\"id\": \"1\", \"sample\": 4, \"response\": \"<answer>\\\\frac{1}{2}</answer>\"}\n"
    "{\"id\": 2, \"sample\": 0, \"response\": \"<answer>4</answer>\"}\n"
    "{\"id\": 2, \"sample\": 1, \"response\": \"<answer>3</answer>\"}\n"
    "{\"id\": 2, \"sample\": 2, \"response\": \"<answer>3.0</answer>\"}\n"
    "{\"id\": 2, \"sample\": 3, \"response\": \"<answer>4</answer>\"}\n"
    "{\"id\": 2, \"sample\": 4, \"response\": \"\"}\n"
    "{\"id\": \"3\", \"sample\": 0, \"response\": \"\"}\n"
    "{\"id\": \"3\", \"sample\": 1, \"response\": \"<answer>B: dog</answer>\"}\n"
    "{\"id\": \"3\", \"sample\": 2, \"response\": \"<think>on and on\", \"truncated\": true}\n"
    "{\"id\": \"nobody\", \"response\": \"x\"}\n";

static char *judged(const char *name, const char *items, const char *responses, const char *more) {
    char *folder = xr_test_path(name), *data = dataset_of(items);
    XrBuffer argument = {0};
    xr_buffer_format(&argument, "responses=%s", responses);
    xr_test_eval(folder, ARGUMENTS(data, argument.data, "num_generations=5", more), 0);
    xr_buffer_free(&argument);
    free(data);
    return folder;
}

static void near(const cJSON *summary, const char *path, double wanted) {
    double got = xr_test_number(summary, path);
    if (fabs(got - wanted) > 1e-12) fail_msg("%s is %.17g, not %.17g", path, got, wanted);
}

static void stored_responses_by_hand(void **state) {
    char *items = xr_test_write("hand.jsonl", ITEMS);
    char *responses = xr_test_write("said.jsonl", RESPONSES);
    char *folder = judged("hand", items, responses, NULL);
    xr_test_log_has("1 responses are to no item");
    cJSON *s = xr_test_summary(folder);
    near(s, "results/0/items", 4);
    near(s, "results/0/answered", 3);
    near(s, "results/0/answers", 13);
    near(s, "results/0/left_out/unanswered", 1);
    near(s, "results/0/missing_samples", 2);
    near(s, "results/0/accuracy/value", (3 / 5.0 + 2 / 5.0 + 1 / 5.0) / 4);
    near(s, "results/0/pass@1/value", (3 / 5.0 + 2 / 5.0 + 1 / 5.0) / 4);
    near(s, "results/0/pass@2/value", (9 / 10.0 + 7 / 10.0 + 4 / 10.0) / 4);
    near(s, "results/0/pass@5/value", 3 / 4.0);
    near(s, "results/0/majority/value", 2 / 4.0);
    near(s, "results/0/majority_ties", 1);
    near(s, "results/0/majority_no_votes", 1);
    near(s, "results/0/verdicts/empty", 3);
    near(s, "results/0/truncated", 1);
    near(s, "results/0/endless", 1);
    near(s, "results/0/subjects/0/accuracy/value", (3 / 5.0 + 2 / 5.0) / 2);
    near(s, "results/0/subjects/1/accuracy/value", 1 / 5.0 / 2);
    char *answered = judged("answered", items, responses, "denominator=answered");
    cJSON *a = xr_test_summary(answered);
    near(a, "results/0/items", 3);
    near(a, "results/0/accuracy/value", (3 / 5.0 + 2 / 5.0 + 1 / 5.0) / 3);
    cJSON_Delete(s);
    cJSON_Delete(a);
    free(items);
    free(responses);
    free(folder);
    free(answered);
}

// What other programs write: a byte order mark, CRLF, further keys, other names of the keys, lists
// of samples, numbers, no numbering, lines that are none. 1 has two right samples, 2 one, 3 one.
static void odd_files_of_responses(void **state) {
    char *items = xr_test_write("odd.jsonl", ITEMS);
    char *responses = xr_test_write(
        "odd-said.jsonl",
        "\xef\xbb\xbf{\"id\": 1, \"response\": \"<answer>0.5</answer>\", \"extra\": {\"a\": "
        "[1]}}\r\n"
        "{\"question_id\": 2, \"model_outputs\": [\"3\", 4, null], \"truncated\": null}\r\n\r\n"
        "{broken\n"
        "{\"pid\": \"3\", \"output\": \"B\", \"tokens\": 12.0}\n"
        "{\"id\": 1, \"response\": 0.5}\n"
        "{\"id\": \"4\", \"said\": \"5\"}\n"
        "{\"response\": \"5\"}\n"
        "{\"id\": \"4\", \"resp");
    char *folder = judged("odd", items, responses, NULL);
    xr_test_log_has("5 responses cannot be read and are left out");
    xr_test_log_has("the response to \"2\" is no text");
    cJSON *s = xr_test_summary(folder);
    near(s, "results/0/answered", 3);
    near(s, "results/0/answers", 5);
    near(s, "results/0/accuracy/value",
         (2 / 2.0 + 1 / 2.0 + 1 / 2.0) / 4); // no item has more than two
    near(s, "results/0/left_out/unanswered", 1);
    cJSON_Delete(s);
    free(folder);
    free(responses);
    static const struct {
        const char *text, *said;
    } refused[] = {
        {"{\"id\": 1, \"text\": \"5\"}", "missing or null; the line has id, text"},
        {"{\"id\": 1, \"response\": [1, 2, 3, 4, 5, 6]}", "response number 6 to item \"1\""},
        {"{\"id\": 1, \"sample\": 1, \"response\": \"5\"}\n{\"id\": 1, \"sample\": 1, "
         "\"response\": \"5\"}",
         "a second response to item \"1\", sample 1"},
        {"no\njson", "no response can be read: "},
    };
    for (size_t i = 0; i < XR_COUNT(refused); i++) {
        char name[32], last[32];
        snprintf(name, sizeof name, "refused-said-%zu", i);
        snprintf(last, sizeof last, "refused-run-%zu", i);
        char *file = xr_test_write(name, refused[i].text), *data = dataset_of(items);
        char *out = xr_test_path(last);
        XrBuffer argument = {0};
        xr_buffer_format(&argument, "responses=%s", file);
        xr_test_eval(out, ARGUMENTS(data, argument.data, "num_generations=5"), 1);
        xr_test_log_has(refused[i].said);
        xr_buffer_free(&argument);
        free(file);
        free(data);
        free(out);
    }
    free(items);
}

// A run without a question has no result that might be taken for a model's.
static void nothing_can_be_asked(void **state) {
    (void)state;
    char *model = model_of("gqa2_tied"), *out = xr_test_path("nothing");
    char *bad = xr_test_write("bad.jsonl", "{\"id\": 1, \"question\":\n{\"id\": 2}\n");
    char *good = items_file("good.jsonl", false);
    char *others = xr_test_write("others.jsonl", "{\"dataset\": \"gsm8k\", \"id\": \"1\"}\n");
    char *bad_data = dataset_of(bad), *good_data = dataset_of(good);
    XrBuffer kept = {0};
    xr_buffer_format(&kept, "items=%s", others);
    xr_test_eval(out, ARGUMENTS(model, bad_data), 1);
    xr_test_log_has("none of 2 items can be asked; ");
    xr_test_log_has("bad.jsonl:1: column 21: not valid JSON");
    xr_test_eval(out, ARGUMENTS(model, good_data, kept.data), 1);
    xr_test_log_has("no items are left by ");
    xr_buffer_free(&kept);
    free(good_data);
    free(bad_data);
    free(others);
    free(good);
    free(bad);
    free(out);
    free(model);
}

// ---- judging again ----

static void rescore(const char *folder, const char *more, int code) {
    pid_t child = xr_test_start(ARGUMENTS("eval", "--rescore", folder, more));
    assert_int_equal(xr_test_wait(child), code);
}

static void judged_again(void **state) {
    char *items = xr_test_write("again.jsonl", ITEMS);
    char *responses = xr_test_write("again-said.jsonl", RESPONSES);
    char *folder = judged("again", items, responses, NULL);
    XrBuffer before = {0}, after = {0};
    xr_test_read(&before, folder, "samples.jsonl");
    rescore(folder, NULL, 0);
    xr_test_read(&after, folder, "samples.jsonl");
    assert_string_equal(before.data, after.data);
    cJSON *changes = xr_test_lines(folder, "rescored.jsonl");
    assert_int_equal(cJSON_GetArraySize(changes), 0);
    cJSON_Delete(changes);

    XrBuffer corrected = {0}; // the published answer to question 2 was wrong
    xr_buffer_text(&corrected, ITEMS);
    strstr(corrected.data, "\"answer\": \"3\"")[11] = '4';
    free(xr_test_write("again.jsonl", corrected.data));
    rescore(folder, NULL, 0);
    changes = xr_test_lines(folder, "rescored.jsonl");
    assert_int_equal(cJSON_GetArraySize(changes), 4);
    cJSON *s = xr_test_summary(folder);
    near(s, "changed", 4);
    near(s, "results/0/majority/value", 3 / 4.0);

    char *keep = xr_test_write("keep.jsonl", "{\"id\": \"2\"}\n{\"id\": \"4\"}\n");
    XrBuffer only = {0};
    xr_buffer_format(&only, "items=%s", keep);
    rescore(folder, only.data, 0);
    cJSON *kept = xr_test_summary(folder), *lines = xr_test_lines(folder, "samples.jsonl");
    near(kept, "results/0/items", 2);
    near(kept, "results/0/accuracy/value", 2 / 5.0 / 2);
    assert_int_equal(cJSON_GetArraySize(lines), 13); // the other answers are still there
    cJSON_Delete(kept);
    cJSON_Delete(lines);
    cJSON_Delete(s);
    cJSON_Delete(changes);
    xr_buffer_free(&before);
    xr_buffer_free(&after);
    xr_buffer_free(&corrected);
    xr_buffer_free(&only);
    free(keep);
    free(items);
    free(responses);
    free(folder);
}

// ---- questions that need no picture ----

static void text_solvable_items_go(void **state) {
    char *items = xr_test_write("blind.jsonl", ITEMS);
    // First model: always right on 1 and 2. Second: on 2 and 3, and once wrong on 1.
    static const char *const said[2][3] = {{"0.5", "3", "A"}, {"1/2", "3", "B"}};
    char *folders[2];
    for (int m = 0; m < 2; m++) {
        XrBuffer text = {0};
        for (int q = 0; q < 3; q++) {
            for (int s = 0; s < 3; s++) {
                bool slip = m == 1 && q == 0 && s == 2;
                xr_buffer_format(&text,
                                 "{\"id\": \"%d\", \"sample\": %d, \"response\": "
                                 "\"<answer>%s</answer>\"}\n",
                                 q + 1, s, slip ? "7" : said[m][q]);
            }
        }
        char *responses = xr_test_write(m ? "m1.jsonl" : "m0.jsonl", text.data);
        folders[m] = judged(m ? "m1" : "m0", items, responses, "without_images=true");
        xr_buffer_free(&text);
        free(responses);
    }
    char *out = xr_test_path("kept.jsonl");
    for (int any = 0; any < 2; any++) {
        pid_t child = xr_test_start(ARGUMENTS("eval", "--text-solvable", folders[0], folders[1],
                                              "--out", out, "--solved-by", any ? "any" : "all"));
        assert_int_equal(xr_test_wait(child), 0);
        cJSON *kept = xr_test_lines(xr_test_scratch(), "kept.jsonl");
        XrBuffer ids = {0};
        const cJSON *line;
        cJSON_ArrayForEach(line, kept) xr_buffer_text(&ids, xr_test_string(line, "id"));
        assert_string_equal(ids.data, any ? "4" : "134");
        xr_buffer_free(&ids);
        cJSON_Delete(kept);
    }
    free(out);
    free(items);
    free(folders[0]);
    free(folders[1]);
}

// ---- the page ----

static char *gsm8k(const char *name, const char *second) {
    char *items =
        xr_test_write("gsm8k.jsonl", "{\"question\": \"1+2?\", \"answer\": \"#### 3\"}\n"
                                     "{\"question\": \"2+2?\", \"answer\": \"#### 4\"}\n");
    XrBuffer data = {0}, said = {0}, which = {0};
    xr_buffer_format(
        &data, "eval_dataset=[{\"path\": \"%s\", \"format\": \"gsm8k\", \"limit\": 2}]", items);
    xr_buffer_format(&said,
                     "{\"id\": \"0\", \"response\": \"</script><b>3\"}\n"
                     "{\"id\": \"1\", \"response\": \"<answer>%s</answer>\"}\n",
                     second);
    char *file = xr_test_write("gsm8k-said.jsonl", said.data), *folder = xr_test_path(name);
    xr_buffer_format(&which, "responses=%s", file);
    xr_test_eval(folder, ARGUMENTS(data.data, which.data), 0);
    xr_buffer_free(&data);
    xr_buffer_free(&said);
    xr_buffer_free(&which);
    free(items);
    free(file);
    return folder;
}

static void page_shows_evaluations(void **state) {
    char *right = gsm8k("right", "4"), *wrong = gsm8k("wrong", "5"),
         *out = xr_test_path("page.html");
    pid_t child = xr_test_start(ARGUMENTS("report", right, wrong, "--out", out));
    assert_int_equal(xr_test_wait(child), 0);
    XrBuffer page = {0};
    xr_test_read(&page, xr_test_scratch(), "page.html");
    static const char *const parts[] = {"<h3>GSM8K</h3>", "paper: X-Reasoner",
                                        "88.2",           "Paired comparison",
                                        "0 / 1",          "id=\"answers\""};
    for (size_t i = 0; i < XR_COUNT(parts); i++) {
        if (!strstr(page.data, parts[i])) fail_msg("the page lacks %s", parts[i]);
    }
    assert_null(strstr(page.data, "src="));
    assert_null(strstr(page.data, "href="));
    char *begin = strstr(page.data, "id=\"answers\">") + 13, *end = strstr(begin, "</script>");
    *end = '\0'; // no answer may end the element early
    cJSON *answers = cJSON_Parse(begin);
    assert_int_equal(cJSON_GetArraySize(answers), 4);
    assert_string_equal(xr_test_string(answers, "0/a"), "&lt;/script&gt;&lt;b&gt;3");
    cJSON_Delete(answers);
    xr_buffer_free(&page);
    free(right);
    free(wrong);
    free(out);
}

// ---- what is refused ----

static void refuses(void **state) {
    char *items = items_file("refused.jsonl", false), *data = dataset_of(items);
    char *model = model_of("gqa2_tied"), *text_model = model_of("text_only");
    char *folder = xr_test_path("refused");
    char *misspelt = xr_test_write("misspelt.txt", "{{ question }} {{x}} {{ questoin }}");
    XrBuffer place = {0};
    xr_buffer_format(&place, "prompt_template=%s", misspelt);
    const struct {
        const char *arguments[6], *part;
    } cases[] = {
        {{model, data, "num_generation=2"}, "did you mean \"num_generations\""},
        {{model, data, "num_generations=2"}, "\"temperature\" 0"},
        {{model, data, "compare_forced_exit=true"}, "think_budget"},
        {{model, data, "learning_rate=1"}, "not a key of eval"},
        {{model}, "eval_dataset"},
        {{model, "eval_dataset=[{\"path\": \"x\", \"format\": \"gsm8\"}]"}, "gsm8k"},
        {{model, "eval_dataset=/nowhere.jsonl"}, "which benchmark"},
        {{model, data, "num_fewshot=2"}, "fewshot_dataset"},
        {{model, data, "prompt_template=/nowhere"}, "reasoning, direct, plain or a file"},
        {{model, data, place.data}, "\"{{ questoin }}\" is no place of a template"},
        {{model, data, "endpoint=localhost:80"}, "must be a URL such as"},
        {{model, data, "endpoint=http://x", "think_budget=3"}, "think_budget"},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrBuffer name = {0};
        xr_buffer_format(&name, "%s-%zu", folder, i);
        xr_test_eval(name.data, cases[i].arguments, 1);
        xr_test_log_has(cases[i].part);
        xr_buffer_free(&name);
    }
    // A model for text alone answers what has no pictures, and says what it could not be asked.
    xr_test_eval(folder,
                 ARGUMENTS(text_model, data, "prompt_template=plain", "kv_cache_mb=64",
                           "max_completion_length=5"),
                 0);
    xr_test_log_has("8 without a response");
    xr_buffer_free(&place);
    free(misspelt);
    free(items);
    free(data);
    free(model);
    free(text_model);
    free(folder);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_threads_and_order_do_not_matter),
#ifdef XR_TEST_MODELS_ON_CUDA
        cmocka_unit_test(same_answers_on_cuda),
#endif
        cmocka_unit_test(forced_exit_beside_none),
        cmocka_unit_test(worked_examples),
        cmocka_unit_test(counts_what_is_left_out),
        cmocka_unit_test(nothing_can_be_asked),
        cmocka_unit_test(stored_responses_by_hand),
        cmocka_unit_test(odd_files_of_responses),
        cmocka_unit_test(judged_again),
        cmocka_unit_test(text_solvable_items_go),
        cmocka_unit_test(page_shows_evaluations),
        cmocka_unit_test(refuses),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
