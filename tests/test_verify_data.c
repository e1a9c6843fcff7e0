// The verifier against published verdicts on real responses. Where they differ is listed, with the
// reason and who is right, in docs/verifier-agreement.md; the tests read the tables there and fail
// on every difference that is not listed and on every listed one that is gone.
#include "tests/support/agreement.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/verify/verify.h"

#include <stdlib.h>
#include <strings.h>

enum { MAX_LINE = 1 << 20 };

// A JSON Lines file being read.
typedef struct Rows {
    FILE *file;
    XrBuffer line;
    XrJson json;
    bool open;
} Rows;

static Rows rows_of(const char *name) {
    Rows rows = {.file = fopen(xr_test_data(name), "r")};
    assert_non_null(rows.file);
    return rows;
}

static bool next_row(Rows *rows) {
    XrError err;
    if (rows->open) xr_json_free(&rows->json);
    rows->open = xr_read_line(rows->file, MAX_LINE, &rows->line, &err) > 0;
    if (!rows->open) {
        fclose(rows->file);
        xr_buffer_free(&rows->line);
        return false;
    }
    assert_true(xr_json_parse(&rows->json, "row", rows->line.data, rows->line.length,
                              &XR_JSON_LARGE, &err));
    return true;
}

static const char *text_of(const cJSON *object, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsString(value));
    return value->valuestring;
}

static int options_of(const cJSON *row, XrSpan *options) {
    int count = 0;
    const cJSON *value;
    cJSON_ArrayForEach(value, cJSON_GetObjectItemCaseSensitive(row, "options")) {
        options[count++] = xr_span_of(value->valuestring);
    }
    return count;
}

static XrTestTally tally_of(const char *set) {
    return xr_test_tally("docs/verifier-agreement.md", set);
}

static void count_row(XrTestTally *tally, const char *id, bool agrees,
                      const XrVerifyResult *result) {
    if (!xr_test_differs(tally, id, agrees)) return;
    print_message("%s %s: %s by %s, \"%.*s\"\n", tally->set, id, xr_verdict_name(result->verdict),
                  xr_extract_method_name(result->method),
                  (int)XR_MIN(result->extracted.length, 200u),
                  result->extracted.data ? result->extracted.data : "");
}

// ---- the sets ----

static void short_pairs_of_every_kind(void **state) {
    Rows rows = rows_of("verify/kinds-dev.jsonl");
    XrTestTally tally = tally_of("kinds");
    XrVerifier *verifier = xr_verifier_create(NULL);
    XrVerifyResult result = {0};
    while (next_row(&rows)) {
        const cJSON *row = rows.json.root;
        XrVerifyRequest request = {.gold = xr_span_of(text_of(row, "gold")),
                                   .answer = xr_span_of(text_of(row, "pred"))};
        xr_verify(verifier, &request, &result);
        int expected = cJSON_GetObjectItemCaseSensitive(row, "expected")->valueint;
        char id[32];
        snprintf(id, sizeof id, "%d", tally.rows + 1);
        count_row(&tally, id, result.score == expected, &result);
    }
    xr_test_tally_check(&tally);
    xr_verify_result_free(&result);
    xr_verifier_free(verifier);
}

// The options of all questions by their ids, as parsed rows.
typedef struct Questions {
    int64_t *ids;
    XrJson *rows;
    int count;
} Questions;

static Questions read_questions(const char *name, const char *key) {
    Questions out = {.count = 0};
    FILE *file = fopen(xr_test_data(name), "r");
    XrBuffer line = {0};
    XrError err;
    assert_non_null(file);
    while (xr_read_line(file, MAX_LINE, &line, &err) > 0) {
        out.ids = xr_realloc(out.ids, sizeof *out.ids * (size_t)(out.count + 1));
        out.rows = xr_realloc(out.rows, sizeof *out.rows * (size_t)(out.count + 1));
        XrJson *row = &out.rows[out.count];
        assert_true(xr_json_parse(row, "row", line.data, line.length, &XR_JSON_LARGE, &err));
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(row->root, key);
        out.ids[out.count++] = cJSON_IsNumber(id) ? id->valueint : atoi(id->valuestring);
    }
    fclose(file);
    xr_buffer_free(&line);
    return out;
}

static const cJSON *find_question(const Questions *questions, int64_t id) {
    for (int i = 0; i < questions->count; i++) {
        if (questions->ids[i] == id) return questions->rows[i].root;
    }
    fail_msg("no question %lld", (long long)id);
    return NULL;
}

static void free_questions(Questions *questions) {
    for (int i = 0; i < questions->count; i++) xr_json_free(&questions->rows[i]);
    free(questions->ids);
    free(questions->rows);
}

// The letter that the benchmark's script extracted is the gold answer here.
static void letters_of_mmlu_pro(void **state) {
    xr_test_data("mmlu-pro/responses-sample.jsonl");
    Questions questions = read_questions("mmlu-pro/test.jsonl", "question_id");
    Rows rows = rows_of("mmlu-pro/responses-sample.jsonl");
    XrTestTally tally = tally_of("mmlu-pro");
    XrVerifier *verifier = xr_verifier_create(NULL);
    XrVerifyResult result = {0};
    while (next_row(&rows)) {
        const cJSON *row = rows.json.root;
        int id = cJSON_GetObjectItemCaseSensitive(row, "question_id")->valueint;
        XrSpan options[XR_VERIFY_MOST_OPTIONS];
        XrVerifyRequest request = {.gold = xr_span_of(text_of(row, "pred")),
                                   .answer = xr_span_of(text_of(row, "response")),
                                   .is_response = true,
                                   .kind = XR_VERIFY_CHOICE,
                                   .options = options};
        request.option_count = options_of(find_question(&questions, id), options);
        xr_verify(verifier, &request, &result);
        char name[32];
        snprintf(name, sizeof name, "%d", id);
        count_row(&tally, name, result.score, &result);
    }
    xr_test_tally_check(&tally);
    free_questions(&questions);
    xr_verify_result_free(&result);
    xr_verifier_free(verifier);
}

// Whether two options have the same text, case aside: then a text names neither.
static bool has_twins(const XrSpan *options, int count) {
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < i; k++) {
            if (options[i].bytes == options[k].bytes &&
                strncasecmp(options[i].data, options[k].data, options[i].bytes) == 0)
                return true;
        }
    }
    return false;
}

// The options of every question, named by letter and text in ways that are right and ways that are
// not.
static void check_forms(XrVerifier *verifier, const cJSON *row, XrTestTally *tally) {
    static const struct {
        const char *form; // L, T: the right letter and text; l, t: those of the option after it
        int score;
    } forms[] = {{"(L)", 1},  {"L: T", 1},           {"T", 1}, {"L. t", 0}, {"t", 0},
                 {"l: T", 0}, {"(L) T, or (l) t", 0}};
    XrSpan options[XR_VERIFY_MOST_OPTIONS];
    int count = options_of(row, options);
    int gold = text_of(row, "answer")[0] - 'A', next = (gold + 1) % count;
    if (has_twins(options, count)) return;
    XrVerifyResult result = {0};
    bool agrees = true;
    for (size_t f = 0; f < XR_COUNT(forms) && agrees; f++) {
        XrBuffer answer = {0};
        for (const char *at = forms[f].form; *at; at++) {
            if (*at == 'L' || *at == 'l')
                xr_buffer_byte(&answer, (char)('A' + (*at == 'L' ? gold : next)));
            else if (*at == 'T')
                xr_buffer_append(&answer, options[gold].data, options[gold].bytes);
            else if (*at == 't')
                xr_buffer_append(&answer, options[next].data, options[next].bytes);
            else
                xr_buffer_byte(&answer, *at);
        }
        XrVerifyRequest request = {.gold = xr_span_of(text_of(row, "answer")),
                                   .answer = xr_span(answer.data, answer.length),
                                   .options = options,
                                   .option_count = count};
        xr_verify(verifier, &request, &result);
        agrees = result.score == forms[f].score;
        xr_buffer_free(&answer);
    }
    char id[32];
    snprintf(id, sizeof id, "%d", cJSON_GetObjectItemCaseSensitive(row, "question_id")->valueint);
    count_row(tally, id, agrees, &result);
    xr_verify_result_free(&result);
}

static void options_of_mmlu_pro_in_every_form(void **state) {
    Rows rows = rows_of("mmlu-pro/test.jsonl");
    XrTestTally tally = tally_of("mmlu-pro-options");
    XrVerifier *verifier = xr_verifier_create(NULL);
    while (next_row(&rows)) check_forms(verifier, rows.json.root, &tally);
    xr_test_tally_check(&tally);
    xr_verifier_free(verifier);
}

static void labelled_solutions_of_gsm8k(void **state) {
    static const char *const systems[] = {"6b_finetuning", "6b_verification", "175b_finetuning",
                                          "175b_verification"};
    Rows rows = rows_of("gsm8k/example_model_solutions-even.jsonl");
    XrTestTally tally = tally_of("gsm8k");
    XrVerifier *verifier = xr_verifier_create(NULL);
    XrVerifyResult result = {0};
    for (int number = 0; next_row(&rows); number++) {
        const cJSON *row = rows.json.root;
        const char *gold = text_of(row, "ground_truth");
        const char *label = strstr(gold, "\nA: ");
        assert_non_null(label);
        for (size_t s = 0; s < XR_COUNT(systems); s++) {
            const cJSON *solution = cJSON_GetObjectItemCaseSensitive(row, systems[s]);
            bool right = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(solution, "is_correct"));
            XrVerifyRequest request = {.gold = xr_span_of(label + strlen("\nA: ")),
                                       .answer = xr_span_of(text_of(solution, "solution")),
                                       .is_response = true,
                                       .question = xr_span_of(text_of(row, "question"))};
            xr_verify(verifier, &request, &result);
            char name[48];
            snprintf(name, sizeof name, "%d/%s", number, systems[s]);
            count_row(&tally, name, result.score == right, &result);
        }
    }
    xr_test_tally_check(&tally);
    xr_verify_result_free(&result);
    xr_verifier_free(verifier);
}

static void check_mathvision(const char *system) {
    char name[96];
    snprintf(name, sizeof name, "mathvision/outputs/%s.jsonl", system);
    xr_test_data(name);
    Questions questions = read_questions("mathvision/test.jsonl", "id");
    Rows rows = rows_of(name);
    XrTestTally tally = tally_of(system);
    XrVerifier *verifier = xr_verifier_create(NULL);
    XrVerifyResult result = {0};
    while (next_row(&rows)) {
        const cJSON *row = rows.json.root;
        const char *id = text_of(row, "id");
        const cJSON *question = find_question(&questions, atoi(id));
        bool right = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "correct"));
        XrSpan options[XR_VERIFY_MOST_OPTIONS];
        XrVerifyRequest request = {.gold = xr_span_of(text_of(question, "answer")),
                                   .answer = xr_span_of(text_of(row, "response")),
                                   .is_response = true,
                                   .question = xr_span_of(text_of(question, "question")),
                                   .options = options};
        request.option_count = options_of(question, options);
        xr_verify(verifier, &request, &result);
        count_row(&tally, id, result.score == right, &result);
    }
    xr_test_tally_check(&tally);
    free_questions(&questions);
    xr_verify_result_free(&result);
    xr_verifier_free(verifier);
}

static void verdicts_of_mathvision_gemini(void **state) {
    check_mathvision("gemini-pro-cot");
}

static void verdicts_of_mathvision_qwen(void **state) {
    check_mathvision("qwen-vl-max-cot");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_pairs_of_every_kind),
        cmocka_unit_test(letters_of_mmlu_pro),
        cmocka_unit_test(options_of_mmlu_pro_in_every_form),
        cmocka_unit_test(labelled_solutions_of_gsm8k),
        cmocka_unit_test(verdicts_of_mathvision_gemini),
        cmocka_unit_test(verdicts_of_mathvision_qwen),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
