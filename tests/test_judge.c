// Prompts made of items, our verdicts on responses, and the official rules on made responses whose
// outcome follows from their text.
#include "tests/support/test.h"
#include "tests/support/verify.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/eval/difflib.h"
#include "shared/eval/official.h"
#include "shared/eval/prompts.h"
#include "shared/eval/python_text.h"

#include <stdlib.h>

static XrBenchmarkItems items;

static void load(const char *benchmark, const char *rows) {
    XrError err = {0};
    XrBenchmarkLoadOptions options = {.images = "/p", .without_pictures = true};
    char *path = xr_path_join(xr_test_scratch(), "items.jsonl");
    assert_true(xr_file_write(path, rows, strlen(rows), &err));
    if (!xr_benchmark_load(&items, xr_benchmark_find(benchmark, &err), path, &options, &err)) {
        fail_msg("%s", err.message);
    }
    free(path);
}

static void done(void) {
    xr_benchmark_items_free(&items);
}

// ---- prompts ----

// "ROLE: text[PICTURE]text" of each message, lines between.
static char *shown(const XrChat *chat) {
    XrBuffer out = {0};
    for (int m = 0; m < chat->count; m++) {
        xr_buffer_format(&out, "%s%s: ", m ? "\n--\n" : "", chat->messages[m].role);
        for (int p = 0; p < chat->messages[m].part_count; p++) {
            const XrChatPart *part = &chat->messages[m].parts[p];
            xr_buffer_format(&out, part->image ? "[%s]" : "%s", part->text);
        }
    }
    return out.data;
}

static void check_prompt(const XrItem *item, XrItemPromptOptions options, const char *expected) {
    XrChat chat = {0};
    xr_item_prompt(&chat, item, &options);
    char *text = shown(&chat);
    assert_string_equal(text, expected);
    free(text);
    xr_chat_free(&chat);
}

static const char TWO_ROWS[] =
    "{\"question\":\"Is it <image 1> flat?\",\"options\":[\"Yes\",\"<image 2>\"],\"answer\":\"B\","
    "\"images\":[\"a.png\",\"b.png\"],\"solution\":\"It is not.\",\"subject\":\"s\"}\n"
    "{\"question\":\"2+2?\",\"answer\":\"4\",\"solution\":\"Count.\",\"subject\":\"t\"}\n";

static void prompts_of_the_paper(void **state) {
    load("jsonl", TWO_ROWS);
    check_prompt(
        &items.items[0], (XrItemPromptOptions){.kind = XR_PROMPT_REASONING},
        "user: You should provide your thoughts within <think> </think> tags, then answer with "
        "just "
        "one of the options below within <answer> </answer> tags (For example, if the question is "
        "\n'Is the earth flat?\n A: Yes \nB: No', you should answer with <think>...</think> "
        "<answer>B: No </answer>). Here is the question: Is it [/p/a.png] flat? Options:\n\nA: "
        "Yes\nB: "
        "[/p/b.png]");
    XrChat chat = {0};
    xr_item_prompt(&chat, &items.items[1], &(XrItemPromptOptions){.kind = XR_PROMPT_REASONING});
    char *text = shown(&chat);
    assert_non_null(strstr(text, "user: A conversation between User and Assistant."));
    assert_non_null(strstr(text, "\n\nHere is the question: 2+2? Options:\n\n"));
    free(text);
    xr_chat_free(&chat);
    done();
}

static void prompts_of_other_kinds(void **state) {
    load("jsonl", TWO_ROWS);
    const XrItem *item = &items.items[0], *open = &items.items[1];
    check_prompt(item, (XrItemPromptOptions){.kind = XR_PROMPT_PLAIN, .system = "Be brief."},
                 "system: Be brief.\n--\nuser: Is it [/p/a.png] flat?\nA: Yes\nB: [/p/b.png]");
    check_prompt(
        item, (XrItemPromptOptions){.kind = XR_PROMPT_DIRECT, .without_pictures = true},
        "user: Is it  flat?\nA: Yes\nB: \n\nAnswer with the letter of the right option alone.");
    check_prompt(open, (XrItemPromptOptions){.kind = XR_PROMPT_DIRECT},
                 "user: 2+2?\n\nGive the answer alone, without any reasoning.");
    check_prompt(item,
                 (XrItemPromptOptions){.kind = XR_PROMPT_TEMPLATE,
                                       .template_text = "{ {{ options }} } Q: {{ question }}{{"},
                 "user: { A: Yes\nB: [/p/b.png] } Q: Is it [/p/a.png] flat?{{");
    XrPromptKind kind;
    assert_true(xr_prompt_kind_find("direct", &kind));
    assert_int_equal(kind, XR_PROMPT_DIRECT);
    assert_false(xr_prompt_kind_find("template", &kind));
    done();
}

static void prompts_with_examples(void **state) {
    load("jsonl",
         "{\"question\":\"1+1?\",\"answer\":\"2\",\"solution\":\"Count.\",\"subject\":\"t\"}\n"
         "{\"question\":\"Best?\",\"options\":[\"x\",\"y\"],\"answer\":\"B\",\"subject\":\"s\"}\n"
         "{\"question\":\"broken\",\"subject\":\"t\"}\n"
         "{\"question\":\"2+2?\",\"answer\":\"4\",\"subject\":\"t\"}\n"
         "{\"question\":\"3+3?\",\"answer\":\"6\",\"subject\":\"t\"}\n");
    const XrItem *shots[4];
    assert_int_equal(xr_item_pick_shots(&items, &items.items[3], 4, shots), 2);
    assert_ptr_equal(shots[0], &items.items[0]);
    assert_ptr_equal(shots[1], &items.items[4]);
    assert_int_equal(xr_item_pick_shots(&items, &items.items[1], 2, shots), 2);
    shots[0] = &items.items[1];
    check_prompt(
        &items.items[3],
        (XrItemPromptOptions){.kind = XR_PROMPT_DIRECT, .shots = shots, .shot_count = 1},
        "user: Best?\nA: x\nB: y\n\nAnswer with the letter of the right option alone.\n--\n"
        "assistant: B\n--\nuser: 2+2?\n\nGive the answer alone, without any reasoning.");
    shots[1] = &items.items[0];
    XrChat chat = {0};
    xr_item_prompt(
        &chat, &items.items[3],
        &(XrItemPromptOptions){.kind = XR_PROMPT_REASONING, .shots = shots, .shot_count = 2});
    assert_int_equal(chat.count, 5);
    assert_string_equal(chat.messages[1].parts[0].text, "<answer> B: y </answer>");
    assert_string_equal(chat.messages[3].parts[0].text,
                        "<think>\nCount.\n</think>\n<answer> 2 </answer>");
    xr_chat_free(&chat);
    done();
}

// ---- our verdicts ----

static void check_ours(int64_t index, const char *response, int score, const char *extracted) {
    XrVerifyResult result = {0};
    xr_item_judge(xr_test_judge, &items.items[index], xr_span_of(response), &result);
    if (result.score != score) {
        fail_msg("%s: %s, \"%s\"", response, xr_verdict_name(result.verdict),
                 result.extracted.data);
    }
    if (extracted) assert_string_equal(result.extracted.data, extracted);
    xr_verify_result_free(&result);
}

static void verdicts_on_items(void **state) {
    load("jsonl",
         "{\"question\":\"Best?\",\"options\":[\"x ray\",\"<image 1>\"],\"answer\":\"B\"}\n"
         "{\"question\":\"Where?\",\"answer\":[\"Tampa\",\"Florida\"],\"kind\":\"text\"}\n"
         "{\"question\":\"How much?\",\"answer\":[\"24/7\",\"3.429\"]}\n");
    check_ours(0, "<think>A?</think> <answer>B</answer>", 1, "B");
    check_ours(0, "<answer>A: x ray</answer>", 0, NULL);
    check_ours(0, "<answer>x ray</answer>", 0, NULL);
    check_ours(0, "<think>B", 0, "");
    check_ours(1, "<answer>Florida.</answer>", 1, NULL);
    check_ours(1, "<answer>Georgia</answer>", 0, NULL);
    check_ours(2, "<answer>$\\frac{24}{7}$</answer>", 1, NULL);
    check_ours(2, "<answer>3.429</answer>", 1, NULL);
    check_ours(2, "<answer>3.5</answer>", 0, NULL);
    done();
}

static void verdicts_on_typed_answers(void **state) {
    load("mathvista",
         "{\"pid\":\"1\",\"question\":\"Q\",\"image\":\"a.jpg\",\"precision\":1,\"answer\":\"1.2\","
         "\"question_type\":\"free_form\",\"answer_type\":\"float\"}\n"
         "{\"pid\":\"2\",\"question\":\"Q\",\"image\":\"a.jpg\",\"unit\":\"g\",\"answer\":\"8000\","
         "\"question_type\":\"free_form\",\"answer_type\":\"integer\"}\n"
         "{\"pid\":\"3\",\"question\":\"Q\",\"image\":\"a.jpg\",\"answer\":\"[2014, 2016]\","
         "\"question_type\":\"free_form\",\"answer_type\":\"list\"}\n"
         "{\"pid\":\"4\",\"question\":\"Q\",\"image\":\"a.jpg\",\"choices\":[\"5 cm\",\"6 cm\",\"6 "
         "cm\"],"
         "\"answer\":\"6 cm\",\"question_type\":\"multi_choice\",\"answer_type\":\"text\"}\n");
    check_ours(0, "<answer>1.2</answer>", 1, NULL);
    check_ours(0, "<answer>1.17</answer>", 1, NULL);
    check_ours(0, "<answer>1.25</answer>", 0, NULL);
    check_ours(0, "<answer>1.3</answer>", 0, NULL);
    check_ours(1, "<answer>8000</answer>", 1, NULL);
    check_ours(1, "<answer>8000 g</answer>", 1, NULL);
    check_ours(1, "<answer>8 kg</answer>", 1, NULL);
    check_ours(1, "<answer>8000 kg</answer>", 0, NULL);
    check_ours(1, "<answer>8000.4</answer>", 0, NULL);
    check_ours(2, "<answer>[2014, 2016]</answer>", 1, NULL);
    check_ours(2, "<answer>[2014, 2017]</answer>", 0, NULL);
    check_ours(3, "<answer>B</answer>", 1, NULL);
    check_ours(3, "<answer>(C) 6 cm</answer>", 1, NULL);
    check_ours(3, "<answer>A</answer>", 0, NULL);
    done();
}

static bool same(int64_t index, const char *a, const char *b) {
    return xr_item_same_answer(xr_test_judge, &items.items[index], xr_span_of(a), xr_span_of(b));
}

static void answers_that_say_the_same(void **state) {
    load("jsonl", "{\"question\":\"Best?\",\"options\":[\"red\",\"blue\"],\"answer\":\"B\"}\n"
                  "{\"question\":\"2+2?\",\"answer\":\"4\"}\n");
    assert_true(same(0, "B", "B: blue"));
    assert_true(same(0, "(A)", "red"));
    assert_false(same(0, "A", "B"));
    assert_true(same(1, "\\frac{1}{2}", "0.5"));
    assert_false(same(1, "3", "4"));
    assert_true(same(1, "", ""));
    assert_false(same(1, "", "4"));
    done();
}

// ---- official rules ----

static void check_official(int64_t index, const char *response, XrOfficialStatus status,
                           const char *extracted, bool right) {
    XrOfficialResult result = {0};
    assert_true(
        xr_item_judge_official(xr_test_judge, &items.items[index], xr_span_of(response), &result));
    if (result.status != status || result.right != right ||
        (extracted && strcmp(extracted, result.extracted.data) != 0)) {
        fail_msg("\"%s\": %s, \"%s\", %s", response, xr_official_status_name(result.status),
                 result.extracted.data, result.right ? "right" : "wrong");
    }
    xr_official_result_free(&result);
}

static void rule_of_gsm8k(void **state) {
    load("gsm8k", "{\"question\":\"Q\",\"answer\":\"S\\n#### 1,450\"}\n");
    check_official(0, "So\n#### 1450", XR_OFFICIAL_READ, "1450", true);
    check_official(0, "#### $5\n#### 1,450.", XR_OFFICIAL_READ, "1450.", false);
    check_official(0, "#### 7\n#### 1450", XR_OFFICIAL_READ, "7", false);
    check_official(0, "The answer is 1450", XR_OFFICIAL_NOT_FOUND, "", false);
    check_official(0, "<think>#### 3</think> #### 1450", XR_OFFICIAL_READ, "1450", true);
    check_official(0, "<think>#### 1450", XR_OFFICIAL_NOT_FOUND, "", false);
    check_official(0, "<answer>#### 1450</answer> #### 3", XR_OFFICIAL_READ, "1450", true);
    done();
    load("math_500", "{\"problem\":\"Q\",\"answer\":\"3\"}\n");
    XrOfficialResult none = {0};
    assert_false(xr_item_judge_official(xr_test_judge, &items.items[0], xr_span_of("3"), &none));
    done();
}

static void rule_of_aime(void **state) {
    load("aime_2024", "{\"problem\":\"Q\",\"answer\":\"033\"}\n");
    check_official(0, "It is \\boxed{33}.", XR_OFFICIAL_READ, "33", true);
    check_official(0, "\\boxed{5} then \\boxed{033}", XR_OFFICIAL_READ, "33", true);
    check_official(0, "**Answer:** $33$.", XR_OFFICIAL_READ, "33", true);
    check_official(0, "\\boxed{33.0}", XR_OFFICIAL_READ, "33.0", false);
    check_official(0, "33", XR_OFFICIAL_NOT_FOUND, "", false);
    done();
}

static void rule_of_mmlu_pro(void **state) {
    load("mmlu_pro", "{\"question_id\":1,\"question\":\"Q\",\"options\":[\"w\",\"x\",\"y\"],"
                     "\"answer\":\"B\",\"category\":\"math\"}\n");
    check_official(0, "The answer is (B). Or the answer is (C).", XR_OFFICIAL_READ, "B", true);
    check_official(0, "the answer is C", XR_OFFICIAL_READ, "C", false);
    check_official(0, "answer is x. Answer:\n\n B or not", XR_OFFICIAL_READ, "B", true);
    check_official(0, "answer: C, answer: B\nanswer: C", XR_OFFICIAL_READ, "B", true);
    check_official(0, "ANSWER: C but B", XR_OFFICIAL_READ, "B", true);
    check_official(0, "It is B, I say", XR_OFFICIAL_READ, "I", false);
    check_official(0, "Bé or B_ or éB", XR_OFFICIAL_RANDOM, "", false);
    check_official(0, "<answer>B: x</answer>", XR_OFFICIAL_READ, "B", true);
    done();
}

static void rules_that_look_for_a_letter(void **state) {
    load("mmstar", "{\"index\":0,\"question\":\"Q\\nOptions: A: w, B: x\",\"image\":\"a.jpg\","
                   "\"answer\":\"B\"}\n");
    check_official(0, "B", XR_OFFICIAL_READ, "B", true);
    check_official(0, " (b) x", XR_OFFICIAL_READ, "B", true);
    check_official(0, "Option B", XR_OFFICIAL_READ, "B", true);
    check_official(0, "The answer is b", XR_OFFICIAL_READ, "B", true);
    check_official(0, "Answer: B", XR_OFFICIAL_READ, "A", false);
    check_official(0, "It is B", XR_OFFICIAL_NOT_FOUND, "", false);
    check_official(0, "Both", XR_OFFICIAL_READ, "B", true); // its first letter
    check_official(0, "the answer is option b", XR_OFFICIAL_NOT_FOUND, "", false);
    check_official(0, "", XR_OFFICIAL_NOT_FOUND, "", false);
    done();
    load("medxpertqa_text", "{\"id\":\"T\",\"question\":\"Q\",\"options\":{\"A\":\"w\",\"B\":\"x\"}"
                            ",\"label\":\"B\"}\n");
    check_official(0, "Perhaps A. So the answer is B", XR_OFFICIAL_READ, "B", true);
    check_official(0, "A rest. B", XR_OFFICIAL_READ, "A", false);
    check_official(0, "A is wrong; among A through B, the answer is B, not A", XR_OFFICIAL_READ,
                   "B", true);
    check_official(0, "The answer is b. Or AB.", XR_OFFICIAL_NOT_FOUND, "", false);
    check_official(0, "None", XR_OFFICIAL_NOT_FOUND, "", false);
    done();
    load("omnimedvqa",
         "{\"question_id\":\"1\",\"question\":\"Q\",\"gt_answer\":\"Lung cancer\","
         "\"option_A\":\"Lung\",\"option_B\":\"Lung cancer\",\"image_path\":\"a.png\"}\n");
    check_official(0, "Lung cancer.", XR_OFFICIAL_READ, "Lung cancer", true);
    check_official(0, "lung", XR_OFFICIAL_READ, "Lung", false);
    done();
}

static void rules_of_mmmu(void **state) {
    static const char rows[] =
        "{\"id\":\"validation_Art_1\",\"question\":\"Q\",\"options\":\"['red', 'light blue', "
        "'green']\","
        "\"answer\":\"B\",\"question_type\":\"multiple-choice\"}\n"
        "{\"id\":\"validation_Art_2\",\"question\":\"Q\",\"options\":\"[]\",\"answer\":\"8200\","
        "\"question_type\":\"open\"}\n"
        "{\"id\":\"validation_Art_3\",\"question\":\"Q\",\"options\":\"[]\",\"answer\":\"A\","
        "\"question_type\":\"open\"}\n";
    load("mmmu", rows);
    check_official(0, "B.", XR_OFFICIAL_READ, "B", true);
    check_official(0, "(A) or rather (B) for C", XR_OFFICIAL_READ, "B", true);
    check_official(0, "A then B then", XR_OFFICIAL_READ, "B", true);
    check_official(0, "it seems to be the Light Blue one", XR_OFFICIAL_READ, "B", true);
    check_official(0, "light blue", XR_OFFICIAL_RANDOM, "", false);
    check_official(0, "Answer: C because B is not", XR_OFFICIAL_READ, "B", true);
    check_official(1, "So the total is 8,200 m.", XR_OFFICIAL_READ, NULL, true);
    check_official(1, "x = 8200.001", XR_OFFICIAL_READ, NULL, true);
    check_official(1, "It is 82000", XR_OFFICIAL_READ, NULL, false);
    check_official(1, "It is 8.2e3", XR_OFFICIAL_READ, NULL, true);
    check_official(2, "The answer is option a here", XR_OFFICIAL_READ, NULL, true);
    check_official(2, "The answer is bcd", XR_OFFICIAL_READ, NULL, false);
    done();
    load("mmmu_pro", rows);
    check_official(0, "A or C. Answer: B", XR_OFFICIAL_READ, "B", true);
    check_official(0, "Answer: Choice B of (A)", XR_OFFICIAL_READ, "A", false);
    check_official(0, "NASA says it", XR_OFFICIAL_READ, "A", false);
    check_official(0, "It is B, yes", XR_OFFICIAL_RANDOM, "", false);
    check_official(0, "It is B. Yes", XR_OFFICIAL_READ, "B", true);
    done();
}

static void rule_of_mathvista(void **state) {
    load("mathvista",
         "{\"pid\":\"1\",\"question\":\"Q\",\"image\":\"a.jpg\",\"precision\":2,\"answer\":\"1.2\","
         "\"question_type\":\"free_form\",\"answer_type\":\"float\"}\n"
         "{\"pid\":\"2\",\"question\":\"Q\",\"image\":\"a.jpg\",\"answer\":\"8\","
         "\"question_type\":\"free_form\",\"answer_type\":\"integer\"}\n"
         "{\"pid\":\"4\",\"question\":\"Q\",\"image\":\"a.jpg\",\"choices\":[\"hong "
         "kong\",\"tokyo\"],"
         "\"answer\":\"tokyo\",\"question_type\":\"multi_choice\",\"answer_type\":\"text\"}\n");
    check_official(0, "1.204", XR_OFFICIAL_READ, "1.2", true);
    check_official(0, "about 1.2", XR_OFFICIAL_NEEDS_MODEL, "", false);
    check_official(1, " 8 ", XR_OFFICIAL_READ, "8", true);
    check_official(1, "8.0", XR_OFFICIAL_NEEDS_MODEL, "", false);
    check_official(2, "tokyo", XR_OFFICIAL_READ, "tokyo", true);
    check_official(2, "", XR_OFFICIAL_READ, "tokyo", true);
    XrBuffer prediction = {0};
    assert_true(xr_mathvista_score(&items.items[1], xr_span_of("8.9"), &prediction));
    assert_string_equal(prediction.data, "8");
    assert_true(xr_mathvista_score(&items.items[2], xr_span_of("It is (b)"), NULL));
    assert_true(xr_mathvista_score(&items.items[2], xr_span_of("B"), NULL));
    assert_false(xr_mathvista_score(&items.items[2], xr_span_of("hon kon"), NULL));
    xr_buffer_free(&prediction);
    done();
}

static void rule_of_mathvision(void **state) {
    load("mathvision",
         "{\"id\":\"1\",\"question\":\"Q\",\"options\":[\"1\",\"\\\\sqrt{2}\"],\"answer\":\"B\","
         "\"image\":\"a.jpg\"}\n"
         "{\"id\":\"2\",\"question\":\"Q\",\"options\":[],\"answer\":\"0.5\",\"image\":\"a.jpg\"}"
         "\n");
    check_official(0, "So it is B.", XR_OFFICIAL_READ, "b", true);
    check_official(0, "(B)\nbecause", XR_OFFICIAL_READ, "b", true);
    check_official(0, "\\boxed{\\sqrt2}", XR_OFFICIAL_READ, "\\sqrt{2}", true);
    check_official(0, "\\boxed{1.414}", XR_OFFICIAL_READ, "1.414", true);
    check_official(0, "The answer is 1. Or not.", XR_OFFICIAL_READ, "1", false);
    check_official(1, "\\boxed{x = \\frac{1}{2}}", XR_OFFICIAL_READ, "\\frac{1}{2}", true);
    check_official(1, "The length is 0.504.", XR_OFFICIAL_READ, "0.504", true);
    check_official(1, "\\boxed{0.51}", XR_OFFICIAL_READ, "0.51", false);
    check_official(1, "", XR_OFFICIAL_NOT_FOUND, "", false);
    check_official(1, "\\boxed{\\frac12}", XR_OFFICIAL_READ, "\\frac12", false);
    check_official(1, "\\boxed{1:2}", XR_OFFICIAL_READ, "1:2", true);
    check_official(1, "\\boxed{1\\frac{1}{2}}", XR_OFFICIAL_READ, NULL, true);
    check_official(1, "\\boxed{\\frac{1}{2}}\\text{ cm}", XR_OFFICIAL_READ, NULL, true);
    done();
}

// Rules that would look at every part of a run again and again would not end here.
static void rules_on_long_responses(void **state) {
    static const char *const units[] = {"1",   "1.",     "1,111,", "answer: ", " ",  "{",
                                        "}",   "\\frac", "is ",    "A ",       "\n", "<think>",
                                        "(a)", "[[",     "oxed{",  "##### "};
    static const char *const benchmarks[] = {"mmlu_pro", "mmmu", "mmmu_pro"};
    static const char rows[] =
        "{\"question_id\":1,\"id\":\"test_Art_1\",\"question\":\"Q\",\"options\":\"['red', "
        "'blue']\","
        "\"answer\":\"B\"}\n"
        "{\"question_id\":2,\"id\":\"test_Art_2\",\"question\":\"Q\",\"options\":\"[]\","
        "\"answer\":\"8\",\"question_type\":\"open\"}\n";
    for (size_t b = 0; b < XR_COUNT(benchmarks); b++) {
        load(benchmarks[b], rows);
        for (size_t u = 0; u < XR_COUNT(units); u++) {
            XrBuffer text = {0};
            XrOfficialResult result = {0};
            while (text.length < 40000) xr_buffer_text(&text, units[u]);
            xr_buffer_text(&text, ",");
            for (int64_t i = 0; i < items.count; i++) {
                if (items.items[i].problem != XR_ITEM_USABLE) continue;
                xr_item_judge_official(xr_test_judge, &items.items[i],
                                       xr_span(text.data, text.length), &result);
                assert_false(result.right && items.items[i].option_count);
            }
            xr_official_result_free(&result);
            xr_buffer_free(&text);
        }
        done();
    }
}

// ---- golden/python_text.json: what Python gives ----

static XrJson golden;

static const cJSON *golden_rows(const char *name) {
    XrError err;
    if (!golden.root) {
        assert_true(xr_json_read_file(&golden, xr_test_source("golden/python_text.json"),
                                      &XR_JSON_SMALL, &err));
    }
    return cJSON_GetObjectItemCaseSensitive(golden.root, name);
}

static XrSpan cell(const cJSON *row, int index) {
    return xr_span_of(cJSON_GetArrayItem(row, index)->valuestring);
}

static void ratios_of_python(void **state) {
    const cJSON *row;
    cJSON_ArrayForEach(row, golden_rows("ratios")) {
        double expected = cJSON_GetArrayItem(row, 2)->valuedouble;
        double ratio = xr_difflib_ratio(cell(row, 0), cell(row, 1));
        if (ratio != expected) {
            fail_msg("\"%s\" and \"%s\": %.17g, expected %.17g", cell(row, 0).data,
                     cell(row, 1).data, ratio, expected);
        }
    }
}

static void numbers_of_python(void **state) {
    const cJSON *row;
    cJSON_ArrayForEach(row, golden_rows("rounds")) {
        XrBuffer text = {0};
        xr_py_round_text(cJSON_GetArrayItem(row, 0)->valuedouble,
                         cJSON_GetArrayItem(row, 1)->valueint, &text);
        assert_string_equal(text.data, cell(row, 2).data);
        xr_buffer_free(&text);
    }
    cJSON_ArrayForEach(row, golden_rows("floats")) {
        const cJSON *expected = cJSON_GetArrayItem(row, 1);
        double value = 0;
        bool read = xr_py_float(cell(row, 0), &value);
        if (read != cJSON_IsString(expected)) fail_msg("\"%s\": %d", cell(row, 0).data, read);
        double wanted = read ? strtod(expected->valuestring, NULL) : 0;
        if (value != wanted && (value == value || wanted == wanted)) {
            fail_msg("\"%s\": %.17g, expected %.17g", cell(row, 0).data, value, wanted);
        }
    }
}

static void strings_of_python(void **state) {
    const cJSON *row;
    cJSON_ArrayForEach(row, golden_rows("strips")) {
        XrBuffer lower = {0};
        xr_buffer_text(&lower, "");
        XrSpan text = cell(row, 0), stripped = cell(row, 1);
        assert_true(xr_span_equal(xr_py_strip(text), stripped));
        xr_py_lower(text, &lower);
        assert_string_equal(lower.data, cell(row, 2).data);
        assert_int_equal(xr_py_words(text), cJSON_GetArrayItem(row, 3)->valueint);
        xr_buffer_free(&lower);
    }
    xr_json_free(&golden);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_of_the_paper),
        cmocka_unit_test(prompts_of_other_kinds),
        cmocka_unit_test(prompts_with_examples),
        cmocka_unit_test(verdicts_on_items),
        cmocka_unit_test(verdicts_on_typed_answers),
        cmocka_unit_test(answers_that_say_the_same),
        cmocka_unit_test(rule_of_gsm8k),
        cmocka_unit_test(rule_of_aime),
        cmocka_unit_test(rule_of_mmlu_pro),
        cmocka_unit_test(rules_that_look_for_a_letter),
        cmocka_unit_test(rules_of_mmmu),
        cmocka_unit_test(rule_of_mathvista),
        cmocka_unit_test(rule_of_mathvision),
        cmocka_unit_test(rules_on_long_responses),
        cmocka_unit_test(ratios_of_python),
        cmocka_unit_test(numbers_of_python),
        cmocka_unit_test(strings_of_python),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, xr_test_judge_begin, xr_test_judge_end);
}
