// The official rules against the outcomes that the benchmarks' authors published, and our verdicts
// on the same responses. docs/judge-agreement.md lists every difference; the tests read its tables
// and fail on one that is not listed and on a listed one that is gone.
#include "tests/support/agreement.h"
#include "tests/support/test.h"
#include "tests/support/verify.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/eval/official.h"
#include "shared/eval/source.h"

#include <stdlib.h>

static const char DOCUMENT[] = "docs/judge-agreement.md";

// ---- a benchmark and responses to it ----

typedef struct Run {
    XrBenchmarkItems items;
    XrSource *responses;
    int64_t next;
    XrSourceRow row;
    XrOfficialResult official;
    XrVerifyResult ours;
    bool open;
} Run;

static Run open_run(const char *benchmark, const char *questions, const char *responses) {
    Run run = {0};
    XrError err = {0};
    XrBenchmarkLoadOptions options = {.without_pictures = true};
    const XrBenchmark *found = xr_benchmark_find(benchmark, &err);
    char *path = xr_strdup(xr_test_data(questions));
    if (!xr_benchmark_load(&run.items, found, path, &options, &err)) fail_msg("%s", err.message);
    if (!xr_source_open(&run.responses, xr_test_data(responses), "*", &err)) {
        fail_msg("%s", err.message);
    }
    free(path);
    return run;
}

static bool next_row(Run *run) {
    XrError err;
    if (run->open) xr_source_row_free(&run->row);
    run->open = run->next < xr_source_count(run->responses);
    if (run->open) assert_true(xr_source_row(run->responses, run->next++, &run->row, &err));
    return run->open;
}

static void close_run(Run *run) {
    xr_source_close(run->responses);
    xr_benchmark_items_free(&run->items);
    xr_official_result_free(&run->official);
    xr_verify_result_free(&run->ours);
}

static const cJSON *get(const Run *run, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(run->row.root, key);
}

static const char *text_of(const Run *run, const char *key) {
    const cJSON *value = get(run, key);
    return cJSON_IsString(value) ? value->valuestring : "";
}

static void judge_text(Run *run, const XrItem *item, const char *response) {
    assert_true(xr_item_judge_official(xr_test_judge, item, xr_span_of(response), &run->official));
    xr_item_judge(xr_test_judge, item, xr_span_of(response), &run->ours);
}

// Counts an official outcome against the published one.
static void count_official(Run *run, XrTestTally *tally, const char *id, bool agrees,
                           const char *published) {
    if (!xr_test_differs(tally, id, agrees)) return;
    print_message("%s %s: %s, \"%.60s\" %s, published \"%.60s\"\n", tally->set, id,
                  xr_official_status_name(run->official.status), run->official.extracted.data,
                  run->official.right ? "right" : "wrong", published);
}

// Counts our verdict against the official one.
static void count_ours(Run *run, XrTestTally *tally, const char *id, bool right) {
    if (!xr_test_differs(tally, id, run->ours.score == right)) return;
    print_message("%s %s: ours %s \"%.100s\", official %s\n", tally->set, id,
                  xr_verdict_name(run->ours.verdict),
                  run->ours.extracted.data ? run->ours.extracted.data : "",
                  right ? "right" : "wrong");
}

// ---- the sets ----

static void mmlu_pro_letters(void **state) {
    Run run = open_run("mmlu_pro", "mmlu-pro/test.jsonl", "mmlu-pro/responses-sample.jsonl");
    XrTestTally letters = xr_test_tally(DOCUMENT, "mmlu-pro"),
                ours = xr_test_tally(DOCUMENT, "mmlu-pro-ours");
    while (next_row(&run)) {
        char id[32];
        snprintf(id, sizeof id, "%d", get(&run, "question_id")->valueint);
        const XrItem *item = xr_benchmark_item(&run.items, id);
        assert_non_null(item);
        judge_text(&run, item, text_of(&run, "response"));
        const char *letter = text_of(&run, "pred");
        count_official(&run, &letters, id, strcmp(letter, run.official.extracted.data) == 0,
                       letter);
        count_ours(&run, &ours, id, run.official.right);
    }
    xr_test_tally_check(&letters);
    xr_test_tally_check(&ours);
    close_run(&run);
}

// The labels were made from solutions whose last line is "#### N"; the published file has "A: N".
static char *with_hashes(const char *solution) {
    XrBuffer text = {0};
    const char *label = NULL;
    for (const char *at = solution; (at = strstr(at, "\nA: ")); at++) label = at;
    xr_buffer_append(&text, solution, label ? (size_t)(label - solution) : strlen(solution));
    if (label) xr_buffer_format(&text, "\n#### %s", label + strlen("\nA: "));
    return text.data;
}

static void gsm8k_labels(void **state) {
    static const char *const systems[] = {"6b_finetuning", "6b_verification", "175b_finetuning",
                                          "175b_verification"};
    Run run = open_run("gsm8k", "gsm8k/test.jsonl", "gsm8k/example_model_solutions-even.jsonl");
    XrTestTally tally = xr_test_tally(DOCUMENT, "gsm8k"),
                ours = xr_test_tally(DOCUMENT, "gsm8k-ours");
    for (int number = 0; next_row(&run); number++) {
        const XrItem *item = &run.items.items[2 * number];
        assert_string_equal(item->question_text, text_of(&run, "question"));
        for (size_t s = 0; s < XR_COUNT(systems); s++) {
            const cJSON *solution = get(&run, systems[s]);
            bool right = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(solution, "is_correct"));
            char *text =
                with_hashes(cJSON_GetObjectItemCaseSensitive(solution, "solution")->valuestring);
            char id[48];
            snprintf(id, sizeof id, "%d/%s", number, systems[s]);
            judge_text(&run, item, text);
            count_official(&run, &tally, id, run.official.right == right,
                           right ? "right" : "wrong");
            count_ours(&run, &ours, id, right);
            free(text);
        }
    }
    xr_test_tally_check(&tally);
    xr_test_tally_check(&ours);
    close_run(&run);
}

static void check_mathvision(const char *system) {
    char path[96], set[64];
    snprintf(path, sizeof path, "mathvision/outputs/%s.jsonl", system);
    Run run = open_run("mathvision", "mathvision/test.jsonl", path);
    snprintf(set, sizeof set, "%s-extraction", system);
    XrTestTally extractions = xr_test_tally(DOCUMENT, set),
                verdicts = xr_test_tally(DOCUMENT, system);
    extractions.set = set;
    while (next_row(&run)) {
        const char *id = text_of(&run, "id"), *answer = text_of(&run, "model_answer");
        bool right = cJSON_IsTrue(get(&run, "correct"));
        judge_text(&run, xr_benchmark_item(&run.items, id), text_of(&run, "response"));
        count_official(&run, &extractions, id, strcmp(answer, run.official.extracted.data) == 0,
                       answer);
        count_official(&run, &verdicts, id, run.official.right == right, right ? "right" : "wrong");
    }
    xr_test_tally_check(&extractions);
    xr_test_tally_check(&verdicts);
    close_run(&run);
}

static void mathvision_of_gemini(void **state) {
    check_mathvision("gemini-pro-cot");
}

static void mathvision_of_qwen(void **state) {
    check_mathvision("qwen-vl-max-cot");
}

static void mathvista_verdicts(void **state) {
    Run run = open_run("mathvista", "mathvista/testmini.json",
                       "mathvista/outputs/gpt4_2shot_solution.json");
    XrTestTally tally = xr_test_tally(DOCUMENT, "mathvista"),
                ours = xr_test_tally(DOCUMENT, "mathvista-ours");
    XrBuffer prediction = {0};
    while (next_row(&run)) {
        const char *id = text_of(&run, "pid");
        const XrItem *item = xr_benchmark_item(&run.items, id);
        bool right = cJSON_IsTrue(get(&run, "true_false"));
        bool scored =
            xr_mathvista_score(item, xr_span_of(text_of(&run, "extraction")), &prediction);
        bool agrees = scored == right && strcmp(prediction.data, text_of(&run, "prediction")) == 0;
        judge_text(&run, item, text_of(&run, "response"));
        if (xr_test_differs(&tally, id, agrees)) {
            print_message("mathvista %s: \"%s\" gives \"%s\", published \"%s\"\n", id,
                          text_of(&run, "extraction"), prediction.data,
                          text_of(&run, "prediction"));
        }
        count_ours(&run, &ours, id, right);
    }
    xr_buffer_free(&prediction);
    xr_test_tally_check(&tally);
    xr_test_tally_check(&ours);
    close_run(&run);
}

// The published count of right answers leaves out what is drawn at random.
static void mmmu_letters(void **state) {
    Run run = open_run("mmmu", "mmmu/outputs/llava1.5_13b", "mmmu/outputs/llava1.5_13b");
    XrTestTally random = xr_test_tally(DOCUMENT, "mmmu-random"),
                ours = xr_test_tally(DOCUMENT, "mmmu-ours");
    int right = 0;
    while (next_row(&run)) {
        const char *id = text_of(&run, "id");
        const XrItem *item = xr_benchmark_item(&run.items, id);
        judge_text(&run, item, text_of(&run, "response"));
        right += run.official.right;
        count_official(&run, &random, id, run.official.status != XR_OFFICIAL_RANDOM, "");
        count_ours(&run, &ours, id, run.official.right);
    }
    assert_int_equal(right, 329);
    xr_test_tally_check(&random);
    xr_test_tally_check(&ours);
    close_run(&run);
}

static void mmmu_pro_outcomes(void **state) {
    static const char file[] = "mmmu-pro/outputs/gpt-4o_standard-10-options_cot.jsonl";
    Run run = open_run("mmmu_pro", file, file);
    XrTestTally tally = xr_test_tally(DOCUMENT, "mmmu-pro"),
                ours = xr_test_tally(DOCUMENT, "mmmu-pro-ours");
    while (next_row(&run)) {
        const char *id = text_of(&run, "id"), *letter = text_of(&run, "pred_indexs");
        const XrItem *item = xr_benchmark_item(&run.items, id);
        bool right = cJSON_IsTrue(get(&run, "if_right"));
        judge_text(&run, item, text_of(&run, "response"));
        bool agrees =
            run.official.right == right && strcmp(letter, run.official.extracted.data) == 0;
        count_official(&run, &tally, id, agrees, letter);
        count_ours(&run, &ours, id, right);
    }
    xr_test_tally_check(&tally);
    xr_test_tally_check(&ours);
    close_run(&run);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mmlu_pro_letters),     cmocka_unit_test(gsm8k_labels),
        cmocka_unit_test(mathvision_of_gemini), cmocka_unit_test(mathvision_of_qwen),
        cmocka_unit_test(mathvista_verdicts),   cmocka_unit_test(mmmu_letters),
        cmocka_unit_test(mmmu_pro_outcomes),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, xr_test_judge_begin, xr_test_judge_end);
}
