// Any bytes as a response: every official rule ends, and so does the list that Python would read.
#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/eval/adapter.h"
#include "shared/eval/judge.h"
#include "shared/eval/literal.h"
#include "shared/eval/official.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static const char *const ROWS[][2] = {
    {"gsm8k", "{\"question\":\"Q\",\"answer\":\"S\\n#### 1,450\"}"},
    {"aime_2024", "{\"problem\":\"Q\",\"answer\":\"033\"}"},
    {"mmlu_pro", "{\"question\":\"Q\",\"options\":[\"w\",\"x\"],\"answer\":\"B\"}"},
    {"mmmu", "{\"id\":\"validation_Art_1\",\"question\":\"Q\",\"options\":\"['red', 'blue']\","
             "\"answer\":\"B\"}"},
    {"mmmu",
     "{\"id\":\"validation_Art_2\",\"question\":\"Q\",\"options\":\"[]\",\"answer\":\"82\"}"},
    {"mmmu_pro", "{\"id\":\"test_Art_1\",\"question\":\"Q\",\"options\":\"['a', 'b']\","
                 "\"answer\":\"B\"}"},
    {"mathvista", "{\"pid\":\"1\",\"question\":\"Q\",\"precision\":2,\"answer\":\"1.2\","
                  "\"question_type\":\"free_form\",\"answer_type\":\"float\"}"},
    {"mathvista", "{\"pid\":\"2\",\"question\":\"Q\",\"choices\":[\"a\",\"b\"],\"answer\":\"a\","
                  "\"question_type\":\"multi_choice\",\"answer_type\":\"text\"}"},
    {"mathvision", "{\"id\":\"1\",\"question\":\"Q\",\"options\":[],\"answer\":\"(1,2)\"}"},
    {"mmstar", "{\"index\":0,\"question\":\"Q\\nOptions: A: w, B: x\",\"answer\":\"B\"}"},
    {"medxpertqa_text",
     "{\"id\":\"T\",\"question\":\"Q\",\"options\":[\"w\",\"x\"],\"label\":\"B\"}"},
    {"omnimedvqa",
     "{\"question_id\":\"1\",\"question\":\"Q\",\"gt_answer\":\"b\",\"option_A\":\"a\","
     "\"option_B\":\"b\"}"},
};

static XrBenchmarkItems items[XR_COUNT(ROWS)];
static XrJudge *judge;

static void load_items(void) {
    XrError err = {0};
    XrBenchmarkLoadOptions options = {.without_pictures = true};
    judge = xr_judge_create(NULL, &err);
    for (size_t i = 0; i < XR_COUNT(ROWS); i++) {
        const XrBenchmark *benchmark = xr_benchmark_find(ROWS[i][0], &err);
        bool ok = xr_file_write("fuzz_judge_row.jsonl", ROWS[i][1], strlen(ROWS[i][1]), &err) &&
                  xr_benchmark_load(&items[i], benchmark, "fuzz_judge_row.jsonl", &options, &err) &&
                  items[i].problems[XR_ITEM_USABLE] == 1;
        XR_REQUIRE(ok, "%s: %s", ROWS[i][0], err.message);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    XrOfficialResult result = {0};
    XrSpan response = xr_span((const char *)data, size);
    if (!judge) load_items();
    for (size_t i = 0; i < XR_COUNT(ROWS); i++) {
        xr_item_judge_official(judge, &items[i].items[0], response, &result);
        if (i == 6 || i == 7) xr_mathvista_score(&items[i].items[0], response, NULL);
    }
    xr_official_result_free(&result);
    char *text = xr_strndup((const char *)data, size), *list[8];
    int count = xr_literal_list(text, list, 8, NULL);
    for (int i = 0; i < count; i++) free(list[i]);
    free(text);
    return 0;
}
