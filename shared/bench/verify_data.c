#include "shared/bench/verify_data.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_LINE = 1 << 22 };

static const struct {
    const char *gold, *answer;
} MADE[] = {{"72", "72"},
            {"72", "73"},
            {"1000", "1{,}000"},
            {"\\frac{1}{2}", "0.5"},
            {"\\frac{3}{4}", "\\dfrac{6}{8}"},
            {"2\\sqrt{2}", "\\sqrt{8}"},
            {"\\sqrt{3}+1", "\\sqrt{3}-1"},
            {"x^2+2x+1", "(x+1)^2"},
            {"\\frac{\\pi}{4}", "\\tan^{-1} 1"},
            {"(1,2)", "(1, 2)"},
            {"\\{1,2,3\\}", "\\{3, 2, 1\\}"},
            {"[2,\\infty)", "x \\ge 2"},
            {"y=2x+3", "2x+3"},
            {"50\\%", "\\frac12"},
            {"5\\text{ cm}", "0.05\\text{ m}"},
            {"10", "\\binom{5}{2}"},
            {"B", "B: No"},
            {"C", "(D)"},
            {"\\text{east}", "East"},
            {"Yes", "no"}};

static char *keep_text(XrBenchPairs *pairs, char *text) {
    pairs->texts = xr_realloc(pairs->texts, sizeof *pairs->texts * (size_t)(pairs->text_count + 1));
    return pairs->texts[pairs->text_count++] = text;
}

static XrVerifyRequest *add_pair(XrBenchPairs *pairs, const char *gold, const char *response) {
    size_t count = (size_t)++pairs->count;
    pairs->requests = xr_realloc(pairs->requests, sizeof *pairs->requests * count);
    pairs->options =
        xr_realloc(pairs->options, sizeof *pairs->options * count * XR_VERIFY_MOST_OPTIONS);
    XrVerifyRequest *request = &pairs->requests[count - 1];
    *request = (XrVerifyRequest){.is_response = true};
    request->gold = xr_span_of(keep_text(pairs, xr_strdup(gold)));
    request->answer = xr_span_of(keep_text(pairs, xr_strdup(response)));
    return request;
}

// The options moved while pairs were added: now each request is told where its own lie.
static void place_options(XrBenchPairs *pairs) {
    for (int64_t i = 0; i < pairs->count; i++) {
        pairs->requests[i].options = pairs->options + i * XR_VERIFY_MOST_OPTIONS;
    }
}

void xr_bench_pairs_make(XrBenchPairs *pairs, size_t bytes) {
    *pairs = (XrBenchPairs){.count = 0};
    for (size_t i = 0; i < XR_COUNT(MADE); i++) {
        XrBuffer text = {0};
        xr_buffer_text(&text, "<think>");
        while (text.length + 60 < bytes * 3 / 4) {
            xr_buffer_text(&text, "We add $x_1 = 3$ and {y}, so that the answer grows. ");
        }
        xr_buffer_text(&text, "</think>\n");
        while (text.length + 60 < bytes)
            xr_buffer_text(&text, "Then $\\frac{a}{b} = 7$ follows.\n");
        xr_buffer_format(&text, "The answer is \\boxed{%s}.", MADE[i].answer);
        add_pair(pairs, MADE[i].gold, text.data);
        xr_buffer_free(&text);
    }
    place_options(pairs);
}

void xr_bench_pairs_free(XrBenchPairs *pairs) {
    for (int64_t i = 0; i < pairs->text_count; i++) free(pairs->texts[i]);
    free(pairs->texts);
    free(pairs->requests);
    free(pairs->options);
    *pairs = (XrBenchPairs){.count = 0};
}

// ---- real data ----

// All rows of a JSON Lines file.
typedef struct Rows {
    XrJson *items;
    int64_t count;
} Rows;

static bool read_rows(Rows *rows, const char *folder, const char *name, XrError *err) {
    char *path = xr_path_join(folder, name);
    FILE *file = fopen(path, "r");
    XrBuffer line = {0};
    int got = 0;
    *rows = (Rows){NULL, 0};
    if (!file) xr_fail(err, XR_ERR_IO, "%s: cannot be opened", path);
    while (file && (got = xr_read_line(file, MAX_LINE, &line, err)) > 0) {
        rows->items = xr_realloc(rows->items, sizeof *rows->items * (size_t)(rows->count + 1));
        if (!xr_json_parse(&rows->items[rows->count], path, line.data, line.length, &XR_JSON_LARGE,
                           err)) {
            got = -1;
            break;
        }
        rows->count++;
    }
    xr_buffer_free(&line);
    if (file) fclose(file);
    free(path);
    return file && got == 0;
}

static void free_rows(Rows *rows) {
    for (int64_t i = 0; i < rows->count; i++) xr_json_free(&rows->items[i]);
    free(rows->items);
}

static const char *text_of(const cJSON *row, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
    return cJSON_IsString(value) ? value->valuestring : "";
}

static double id_of(const cJSON *row, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
    return cJSON_IsNumber(value) ? value->valuedouble : strtod(text_of(row, key), NULL);
}

static const cJSON *question_of(const Rows *questions, const char *key, double id) {
    for (int64_t i = 0; i < questions->count; i++) {
        if (id_of(questions->items[i].root, key) == id) return questions->items[i].root;
    }
    return NULL;
}

// Responses and, in another file, their questions.
static bool read_choice(XrBenchPairs *pairs, const char *folder, const char *responses,
                        const char *questions, const char *key, XrError *err) {
    Rows rows = {NULL, 0}, asked = {NULL, 0};
    bool ok = read_rows(&rows, folder, responses, err) && read_rows(&asked, folder, questions, err);
    for (int64_t i = 0; ok && i < rows.count; i++) {
        const cJSON *row = rows.items[i].root;
        const cJSON *question = question_of(&asked, key, id_of(row, key)), *option;
        if (!question) continue;
        XrVerifyRequest *request =
            add_pair(pairs, text_of(question, "answer"), text_of(row, "response"));
        request->question = xr_span_of(keep_text(pairs, xr_strdup(text_of(question, "question"))));
        XrSpan *options = pairs->options + (pairs->count - 1) * XR_VERIFY_MOST_OPTIONS;
        cJSON_ArrayForEach(option, cJSON_GetObjectItemCaseSensitive(question, "options")) {
            if (!cJSON_IsString(option) || request->option_count == XR_VERIFY_MOST_OPTIONS) break;
            options[request->option_count++] =
                xr_span_of(keep_text(pairs, xr_strdup(option->valuestring)));
        }
    }
    free_rows(&rows);
    free_rows(&asked);
    return ok;
}

static bool read_gsm8k(XrBenchPairs *pairs, const char *folder, XrError *err) {
    Rows rows;
    bool ok = read_rows(&rows, folder, "gsm8k/example_model_solutions-even.jsonl", err);
    for (int64_t i = 0; ok && i < rows.count; i++) {
        const char *gold = strstr(text_of(rows.items[i].root, "ground_truth"), "\nA: ");
        const cJSON *system;
        cJSON_ArrayForEach(system, rows.items[i].root) {
            if (gold && cJSON_IsObject(system)) {
                add_pair(pairs, gold + strlen("\nA: "), text_of(system, "solution"));
            }
        }
    }
    free_rows(&rows);
    return ok;
}

bool xr_bench_pairs_read(XrBenchPairs *pairs, const char *folder, const char *set, XrError *err) {
    *pairs = (XrBenchPairs){.count = 0};
    bool ok;
    if (strcmp(set, "gsm8k") == 0) {
        ok = read_gsm8k(pairs, folder, err);
    } else if (strcmp(set, "mmlu-pro") == 0) {
        ok = read_choice(pairs, folder, "mmlu-pro/responses-sample.jsonl", "mmlu-pro/test.jsonl",
                         "question_id", err);
    } else {
        ok = read_choice(pairs, folder, "mathvision/outputs/qwen-vl-max-cot.jsonl",
                         "mathvision/test.jsonl", "id", err);
    }
    place_options(pairs);
    if (!ok) xr_bench_pairs_free(pairs);
    return ok;
}
