// Benchmarks from their published files: every adapter on small files made in the published schema,
// what is wrong with rows, and the real files where XR_DATA_DIR names their folder.
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/eval/benchmark.h"

#include <stdlib.h>

// ---- made files ----

static XrBenchmarkItems items;

// Writes `text` as the file `name` of the scratch folder and loads it.
static void load_made(const char *benchmark, const char *name, const char *text) {
    XrError err = {0};
    char *path = xr_path_join(xr_test_scratch(), name);
    const XrBenchmark *found = xr_benchmark_find(benchmark, &err);
    assert_non_null(found);
    assert_true(xr_file_write(path, text, strlen(text), &err));
    if (!xr_benchmark_load(&items, found, path, NULL, &err)) fail_msg("%s", err.message);
    free(path);
}

static void make_picture(const char *name) {
    XrError err = {0};
    char *path = xr_path_join(xr_test_scratch(), name), *slash = strrchr(path, '/');
    *slash = '\0';
    assert_true(xr_make_folders(path, &err));
    *slash = '/';
    assert_true(xr_file_write(path, "x", 1, &err));
    free(path);
}

// The item as one text: its parts, pictures as [NAME] without their folder.
static void add_content(XrBuffer *out, const XrItemContent *content) {
    for (int i = 0; i < content->count; i++) {
        const char *text = content->parts[i].text;
        const char *slash = content->parts[i].image ? strrchr(text, '/') : NULL;
        xr_buffer_format(out, content->parts[i].image ? "[%s]" : "%s", slash ? slash + 1 : text);
    }
}

static void check_item(int64_t index, const char *id, const char *shown, const char *gold) {
    assert_true(index < items.count);
    const XrItem *item = &items.items[index];
    XrBuffer text = {0};
    xr_buffer_text(&text, "");
    add_content(&text, &item->question);
    for (int i = 0; i < item->option_count; i++) {
        xr_buffer_format(&text, " | ");
        add_content(&text, &item->options[i].content);
    }
    if (item->problem_text) print_message("%s\n", item->problem_text);
    assert_string_equal(item->id, id);
    assert_string_equal(text.data, shown);
    assert_int_equal(item->problem, XR_ITEM_USABLE);
    assert_true(item->gold_count > 0);
    assert_string_equal(item->golds[0], gold);
    xr_buffer_free(&text);
}

static void check_problem(int64_t index, XrItemProblem problem, const char *part) {
    assert_true(index < items.count);
    const XrItem *item = &items.items[index];
    assert_string_equal(xr_item_problem_name(item->problem), xr_item_problem_name(problem));
    if (!strstr(item->problem_text, part))
        fail_msg("\"%s\" lacks \"%s\"", item->problem_text, part);
}

static void done(void) {
    xr_benchmark_items_free(&items);
}

static void gsm8k_rows(void **state) {
    load_made("gsm8k", "gsm8k.jsonl",
              "{\"question\":\"Ann has 3 pens. Pairs?\",\"answer\":\"3*2=<<3*2=6>>6\\n#### 6\"}\n"
              "{\"question\":\"How many?\",\"answer\":\"Much.\\n#### 1,450,000\"}\n"
              "{\"question\":\"No mark\",\"answer\":\"6\"}\n");
    check_item(0, "0", "Ann has 3 pens. Pairs?", "6");
    assert_string_equal(items.items[0].solution, "3*2=6");
    check_item(1, "1", "How many?", "1,450,000");
    check_problem(2, XR_ITEM_MALFORMED, "gsm8k.jsonl:3: \"answer\" must be a solution that ends");
    assert_int_equal(items.missing, 1316);
    assert_int_equal(xr_benchmark_denominator(&items), 1319);
    done();
}

static void mmlu_pro_rows(void **state) {
    static const char rows[] =
        "{\"question_id\":7,\"question\":\"Which nerve?\",\"options\":[\"Ulnar\",\"Vagus\",\"N/A\","
        "\"N/A\"],\"answer\":\"B\",\"answer_index\":1,\"cot_content\":\"A: It is X.\","
        "\"category\":\"health\",\"src\":\"ori_mmlu-x\"}\n"
        "{\"question_id\":8,\"question\":\"2+2?\",\"options\":[\"3\",\"4\"],\"answer\":\"A\","
        "\"answer_index\":1,\"cot_content\":\"\",\"category\":\"math\",\"src\":\"s\"}\n";
    load_made("mmlu_pro", "mmlu.jsonl", rows);
    check_item(0, "7", "Which nerve? | Ulnar | Vagus", "B");
    assert_string_equal(items.items[0].subject, "health");
    check_item(1, "8", "2+2? | 3 | 4", "A");
    assert_non_null(strstr(items.items[1].note, "answer_index is 1; the letter counts"));
    assert_int_equal(items.noted, 1);
    done();
    load_made("mmlu_pro_health", "mmlu.jsonl", rows);
    assert_int_equal(items.count, 1);
    assert_int_equal(items.rows, 2);
    assert_int_equal(items.other, 1);
    assert_int_equal(xr_benchmark_denominator(&items), 818);
    done();
}

static void math_and_aime_rows(void **state) {
    load_made("math_500", "math.jsonl",
              "{\"problem\":\"Solve.\",\"solution\":\"So $\\\\boxed{3}$\",\"answer\":\"3\","
              "\"subject\":\"Algebra\",\"level\":2,\"unique_id\":\"test/algebra/1.json\"}\n");
    check_item(0, "test/algebra/1.json", "Solve.", "3");
    assert_string_equal(xr_item_tag(&items.items[0], "level"), "2");
    assert_null(xr_item_tag(&items.items[0], "colour"));
    done();
    load_made(
        "aime_2024", "aime.jsonl",
        "{\"id\":60,\"problem\":\"P\",\"solution\":\"S\",\"answer\":\"033\",\"year\":\"2024\"}\n"
        "{\"ID\":\"2024-I-5\",\"Problem\":\"Q\",\"Solution\":\"S\",\"Answer\":104}\n"
        "{\"question\":\"R\",\"answer\":\"1000\"}\n");
    check_item(0, "60", "P", "33");
    assert_string_equal(items.items[0].published_gold, "033");
    check_item(1, "2024-I-5", "Q", "104");
    check_problem(2, XR_ITEM_WRONG_GOLD, "no integer below 1000");
    done();
    load_made(
        "aime_2024", "aime.json",
        "[{\"prompt\": [{\"from\": \"user\", \"value\": \"P\"}],\n \"final_answer\": \"7\"}]");
    check_item(0, "0", "P", "7");
    done();
}

static void tables_of_text(void **state) {
    load_made("aime_2024", "aime.csv",
              "ID,Problem,Solution,Answer\r\n"
              "2024-I-1,\"Let $a,b$ be\n\"\"nice\"\".\",\"S, T\",204\r\n"
              "2024-I-2,short,S\n"
              "2024-I-3,P,S,025\n");
    check_item(0, "2024-I-1", "Let $a,b$ be\n\"nice\".", "204");
    check_problem(1, XR_ITEM_MALFORMED, "aime.csv:4: 3 cells under 4 names");
    assert_string_equal(items.items[1].id, "row-1");
    check_item(2, "2024-I-3", "P", "25");
    done();
    load_made("aime_2025", "aime.tsv", "question\tanswer\nWhat, then?\t12\n");
    check_item(0, "0", "What, then?", "12");
    done();
}

// A row that cannot be read goes by its own id, and takes no other row's.
static void malformed_rows_take_no_ids(void **state) {
    load_made("jsonl", "mixed.jsonl",
              "{\"id\": \"noq\", \"answer\": \"1\"}\n"
              "[1, 2]\n"
              "{\"id\": 0, \"question\": \"P\", \"answer\": 3}\n"
              "{\"id\": 1, \"question\": \"Q\", \"answer\": 4}\n");
    check_problem(0, XR_ITEM_MALFORMED, "\"question\"");
    check_problem(1, XR_ITEM_MALFORMED, "\"question\"");
    assert_string_equal(items.items[0].id, "noq");
    assert_string_equal(items.items[1].id, "row-1");
    check_item(2, "0", "P", "3");
    check_item(3, "1", "Q", "4");
    done();
}

// The row that can be asked has the id, wherever it stands; what is wrong with the other is said.
static void usable_rows_keep_their_ids(void **state) {
    load_made("jsonl", "ids.jsonl",
              "{\"id\":\"a\",\"question\":\"One?\"}\n"
              "{\"id\":\"b\",\"question\":\"Which?\",\"options\":[\"x\",\"y\"],\"answer\":\"D\"}\n"
              "{\"id\":\"a\",\"question\":\"One?\",\"answer\":\"1\"}\n"
              "{\"id\":\"b\",\"question\":\"Two?\",\"answer\":\"2\"}\n"
              "{\"id\":\"a\",\"question\":\"Three?\",\"answer\":\"3\"}\n"
              "{\"id\":\"c\",\"question\":\"Four?\"}\n"
              "{\"id\":\"c\",\"question\":\"Five?\"}\n");
    check_item(2, "a", "One?", "1");
    check_item(3, "b", "Two?", "2");
    check_problem(0, XR_ITEM_DUPLICATE, "ids.jsonl:1: the id \"a\" is that of ");
    check_problem(0, XR_ITEM_DUPLICATE, "ids.jsonl:3; besides, ");
    check_problem(0, XR_ITEM_DUPLICATE, "\"answer\"");
    check_problem(1, XR_ITEM_DUPLICATE, "none of the 2 options");
    check_problem(4, XR_ITEM_DUPLICATE, "ids.jsonl:3");
    check_problem(5, XR_ITEM_MALFORMED, "\"answer\"");
    check_problem(6, XR_ITEM_DUPLICATE, "ids.jsonl:6; besides, ");
    assert_string_equal(items.items[0].id, "a#2");
    assert_string_equal(items.items[4].id, "a#3");
    assert_ptr_equal(xr_benchmark_item(&items, "a"), &items.items[2]);
    assert_ptr_equal(xr_benchmark_item(&items, "a#2"), &items.items[0]);
    assert_int_equal(items.problems[XR_ITEM_USABLE], 2);
    assert_int_equal(items.problems[XR_ITEM_MALFORMED], 1);
    assert_int_equal(items.problems[XR_ITEM_DUPLICATE], 4);
    assert_int_equal(xr_benchmark_denominator(&items), 3);
    done();
}

// A row without an id is an item of its own, even where another is called by its number, or as a
// duplicate has come to be called.
static void numbers_are_no_ids(void **state) {
    load_made("jsonl", "numbers.jsonl",
              "{\"question\":\"One?\",\"answer\":\"1\"}\n"
              "{\"question\":\n"
              "{\"id\":\"0\",\"question\":\"Two?\",\"answer\":\"2\"}\n"
              "{\"id\":\"row-1\",\"question\":\"Three?\",\"answer\":\"3\"}\n"
              "{\"id\":\"5\",\"question\":\"Four?\",\"answer\":\"4\"}\n"
              "{\"question\":\"Five?\",\"answer\":\"5\"}\n"
              "{\"id\":\"5\",\"question\":\"Six?\",\"answer\":\"6\"}\n"
              "{\"id\":\"5#3\",\"question\":\"Seven?\",\"answer\":\"7\"}\n");
    check_item(0, "0#2", "One?", "1");
    check_problem(1, XR_ITEM_MALFORMED, "numbers.jsonl:2: ");
    check_item(2, "0", "Two?", "2");
    check_item(3, "row-1", "Three?", "3");
    check_item(4, "5", "Four?", "4");
    check_item(5, "5#2", "Five?", "5");
    check_problem(6, XR_ITEM_DUPLICATE, "numbers.jsonl:5");
    check_item(7, "5#3", "Seven?", "7");
    assert_string_equal(items.items[1].id, "row-1#2");
    assert_string_equal(items.items[6].id, "5#3#2");
    assert_int_equal(xr_benchmark_denominator(&items), 7);
    done();
}

static void medqa_rows(void **state) {
    load_made(
        "medqa_4", "medqa.jsonl",
        "{\"question\":\"Which drug?\",\"answer\":\"Heparin\",\"options\":{\"A\":\"Aspirin\","
        "\"B\":\"Heparin\",\"C\":\"Zinc\",\"D\":\"Iron\"},\"meta_info\":\"step1\","
        "\"answer_idx\":\"B\",\"metamap_phrases\":[\"drug\"]}\n"
        "{\"id\":\"test-1\",\"question\":\"Why?\\nAnswer Choices: (A) a (b) (B) c (C) d (D) e\","
        "\"label\":[\"C\"]}\n"
        "{\"sent1\":\"Who?\",\"ending0\":\"a\",\"ending1\":\"b\",\"ending2\":\"c\","
        "\"ending3\":\"d\",\"label\":3}\n"
        "{\"question\":\"Q\",\"options\":[{\"key\":\"A\",\"value\":\"x\"},{\"key\":\"B\","
        "\"value\":\"y\"}],\"answer_idx\":\"A\"}\n"
        "{\"question\":\"Q\",\"options\":{\"A\":\"x\",\"C\":\"y\"},\"answer_idx\":\"A\"}\n");
    check_item(0, "0", "Which drug? | Aspirin | Heparin | Zinc | Iron", "B");
    check_item(1, "test-1", "Why? | a (b) | c | d | e", "C");
    check_item(2, "2", "Who? | a | b | c | d", "D");
    check_problem(3, XR_ITEM_MALFORMED, "2 options, where MedQA (4 options) has 4");
    check_problem(4, XR_ITEM_MALFORMED,
                  "\"options\" must be a list of texts, or texts under A, B, C");
    done();
}

static void mmmu_rows(void **state) {
    make_picture("images/a.png");
    make_picture("images/b.png");
    load_made(
        "mmmu", "mmmu.jsonl",
        "{\"id\":\"validation_Art_1\",\"question\":\"What is <image 1>?\",\"options\":\"['a cat', "
        "\\\"dog's\\\", '\\\\\\\\alpha', '<image "
        "2>']\",\"explanation\":\"\",\"image_1\":\"images/a.png\","
        "\"image_2\":{\"bytes\":null,\"path\":\"b.png\"},\"image_3\":null,\"img_type\":\"['"
        "Photographs']"
        "\",\"answer\":\"B\",\"topic_difficulty\":\"Easy\",\"question_type\":\"multiple-choice\","
        "\"subfield\":\"Drawing\"}\n"
        "{\"id\":\"validation_Chemistry_30\",\"question\":\"Formula?\",\"options\":\"[]\","
        "\"image_1\":\"images/a.png\",\"answer\":\"['$MgS$', 'MgS']\",\"question_type\":\"open\"}\n"
        "{\"id\":\"validation_Pharmacy_2\",\"question\":\"<image 1>\",\"options\":\"['x', 'y']\","
        "\"image_1\":null,\"answer\":\"A\",\"question_type\":\"multiple-choice\"}\n"
        "{\"id\":\"validation_Pharmacy_3\",\"question\":\"<image 1>\",\"options\":\"['x', 'y']\","
        "\"image_1\":\"images/none.png\",\"answer\":\"A\",\"question_type\":\"multiple-choice\"}\n"
        "{\"id\":\"validation_Math_1\",\"question\":\"Q\",\"options\":\"['x', "
        "'y\",\"answer\":\"A\","
        "\"question_type\":\"multiple-choice\"}\n");
    check_item(0, "validation_Art_1", "What is [a.png]? | a cat | dog's | \\alpha | [b.png]", "B");
    assert_string_equal(items.items[0].subject, "Art");
    assert_int_equal(xr_item_image_count(&items.items[0]), 2);
    check_item(1, "validation_Chemistry_30", "[a.png]Formula?", "$MgS$");
    assert_int_equal(items.items[1].gold_count, 2);
    assert_int_equal(items.items[1].kind, XR_ANSWER_MATH);
    check_problem(2, XR_ITEM_MISSING_PICTURE, "the row has no \"image_1\"");
    check_problem(3, XR_ITEM_MISSING_PICTURE, "there is no picture ");
    check_problem(4, XR_ITEM_MALFORMED, "a Python list");
    assert_int_equal(items.problems[XR_ITEM_MISSING_PICTURE], 2);
    done();
}

static void mmmu_pro_rows(void **state) {
    make_picture("images/a.png");
    make_picture("images/b.png");
    load_made("mmmu_pro", "pro.jsonl",
              "{\"id\":\"test_Art_9\",\"question\":\"Order <image 2> <image 1>\",\"options\":\"["
              "'<image 1>, <image 2>', '<image 2>, <image 1>']\",\"image_1\":\"images/a.png\","
              "\"image_2\":\"images/b.png\",\"answer\":\"B\",\"subject\":\"Art\"}\n"
              "{\"id\":\"validation_Accounting_29\",\"question\":\"Q\",\"options\":\"[['A', 'B', "
              "'Not enough']]\",\"answer\":\"B\",\"subject\":\"Accounting\"}\n");
    check_item(
        0, "test_Art_9",
        "Order <image 2>[b.png] <image 1>[a.png] | <image 1>, <image 2> | <image 2>, <image 1>",
        "B");
    check_item(1, "validation_Accounting_29", "Q | A | B | Not enough", "B");
    assert_true(items.items[1].nested_options);
    done();
    load_made("mmmu_pro_vision", "vision.jsonl",
              "{\"id\":\"test_Art_9\",\"image\":\"images/a.png\",\"options\":\"['a', 'b']\","
              "\"answer\":\"B\",\"subject\":\"Art\"}\n");
    check_item(0, "test_Art_9", "[a.png]Answer the question in the picture. | a | b", "B");
    assert_true(items.items[0].options_in_picture);
    done();
}

static void mathvista_rows(void **state) {
    make_picture("images/9.jpg");
    load_made(
        "mathvista", "testmini.json",
        "{\n \"9\": {\"pid\":\"9\",\"question\":\"Sum?\",\"image\":\"images/9.jpg\","
        "\"choices\":null,\"unit\":\"cm\",\"precision\":1.0,\"answer\":\"1.5\","
        "\"question_type\":\"free_form\",\"answer_type\":\"float\",\"metadata\":{\"task\":"
        "\"figure\",\"skills\":[\"a\"]},\"query\":\"Hint: ...\"},\n"
        " \"10\": {\"question\":\"Which?\",\"image\":\"images/9.jpg\",\"choices\":[\"2\",\"3\","
        "\"3\"],\"unit\":null,\"precision\":null,\"answer\":\"3\",\"question_type\":"
        "\"multi_choice\",\"answer_type\":\"text\",\"pid\":\"10\"},\n"
        " \"11\": {\"question\":\"Which?\",\"image\":\"images/9.jpg\",\"choices\":[\"2\",\"3\"],"
        "\"answer\":\"4\",\"question_type\":\"multi_choice\",\"answer_type\":\"text\"}\n}");
    check_item(0, "9", "[9.jpg]Sum? (Unit: cm)\nAnswer with a number with 1 decimal place.", "1.5");
    assert_int_equal(items.items[0].precision, 1);
    assert_string_equal(items.items[0].subject, "figure");
    check_item(1, "10", "[9.jpg]Which? | 2 | 3 | 3", "B");
    assert_int_equal(items.items[1].gold_count, 2);
    check_problem(2, XR_ITEM_WRONG_GOLD,
                  "testmini.json: \"11\": the gold answer \"4\" is none of the 2");
    done();
}

static void mathvision_rows(void **state) {
    make_picture("images/5.jpg");
    load_made(
        "mathvision", "vision.jsonl",
        "{\"id\":\"5\",\"question\":\"Which?\\n<image1>\\n<image2>\",\"options\":[\"A\",\"B\"],"
        "\"answer\":\"B\",\"solution\":null,\"level\":2,\"subject\":\"logic\",\"image\":"
        "\"images/5.jpg\"}\n"
        "{\"id\":\"6\",\"question\":\"No marker\",\"options\":[],\"answer\":\"12\",\"level\":1,"
        "\"subject\":\"logic\",\"image\":\"images/5.jpg\"}\n"
        "{\"id\":\"7\",\"question\":\"<image1>\",\"options\":[\"1\",\"2\"],\"answer\":\"C\","
        "\"image\":\"images/5.jpg\"}\n"
        "{\"id\":\"6\",\"question\":\"again\",\"options\":[],\"answer\":\"12\",\"image\":"
        "\"images/5.jpg\"}\n");
    check_item(0, "5", "Which?\n[5.jpg]\n<image2> | A | B", "B");
    check_item(1, "6", "[5.jpg]No marker", "12");
    check_problem(2, XR_ITEM_WRONG_GOLD, "\"C\" is none of the 2 options");
    check_problem(3, XR_ITEM_DUPLICATE, "vision.jsonl:4: the id \"6\" is that of");
    assert_string_equal(items.items[3].id, "6#2");
    assert_int_equal(items.missing, 3037);
    assert_int_equal(xr_benchmark_denominator(&items), 3040);
    assert_ptr_equal(xr_benchmark_item(&items, "7"), &items.items[2]);
    assert_null(xr_benchmark_item(&items, "8"));
    done();
}

static void mmstar_rows(void **state) {
    make_picture("images/0.jpg");
    load_made(
        "mmstar", "mmstar.jsonl",
        "{\"index\":0,\"question\":\"What?\\nOptions: A: Cat, big, B: Dog., C: Cow., D: Hen.\","
        "\"image\":\"0.jpg\",\"answer\":\"B\",\"category\":\"math\",\"l2_category\":\"geometry\"}\n"
        "{\"index\":1,\"question\":\"<image 1> What?\\nChoices:\\n(A) one\\n(B) two\",\"image\":"
        "\"0.jpg\",\"answer\":\"A\"}\n"
        "{\"index\":2,\"question\":\"What?\\n(A) one (B) two\",\"image\":\"0.jpg\",\"answer\":"
        "\"A\"}\n"
        "{\"index\":3,\"question\":\"Is A: one?\",\"image\":\"0.jpg\",\"answer\":\"A\"}\n");
    check_item(0, "0", "[0.jpg]What? | Cat, big | Dog. | Cow. | Hen.", "B");
    check_item(1, "1", "[0.jpg] What? | one | two", "A");
    check_item(2, "2", "[0.jpg]What? | one | two", "A");
    check_item(3, "3", "[0.jpg]Is A: one?", "A");
    assert_int_equal(items.noted, 1);
    done();
}

static void medical_rows(void **state) {
    make_picture("Images/x.png");
    make_picture("images/MM-3-a.jpeg");
    make_picture("images/MM-3-b.jpeg");
    make_picture("images/3.png");
    make_picture("images/S/y.png");
    load_made("omnimedvqa", "omni.json",
              "[{\"dataset\":\"S\",\"question_id\":\"S_1\",\"question_type\":\"Disease Diagnosis\","
              "\"question\":\"What?\",\"gt_answer\":\"glaucoma\",\"image_path\":\"Images/x.png\","
              "\"option_A\":\"Glaucoma.\",\"option_B\":\"Normal.\",\"modality_type\":\"Fundus\"},\n"
              "{\"question_id\":\"S_2\",\"question\":\"What?\",\"gt_answer\":\"No\",\"image_path\":"
              "\"Images/x.png\",\"option_A\":\"Yes\",\"option_C\":\"No\"},\n"
              "{\"question_id\":\"S_3\",\"question\":\"What?\",\"gt_answer\":\"No\",\"image_path\":"
              "\"Images/S/y.png\",\"option_A\":\"Yes\",\"option_B\":\"No\"}]");
    check_item(0, "S_1", "[x.png]What? | Glaucoma. | Normal.", "A");
    check_problem(1, XR_ITEM_MALFORMED, "\"option_C\" must be missing");
    check_item(2, "S_3", "[y.png]What? | Yes | No", "B");
    done();
    load_made(
        "medxpertqa_mm", "mm.jsonl",
        "{\"id\":\"MM-3\",\"question\":\"Figure A?\\nAnswer Choices: (A) Rest (B) Cut\","
        "\"options\":{\"A\":\"Rest\",\"B\":\"Cut\"},\"label\":\"B\",\"images\":["
        "\"MM-3-a.jpeg\",\"MM-3-b.jpeg\"],\"medical_task\":\"Treatment\",\"body_system\":"
        "\"Skeletal\",\"question_type\":\"Reasoning\"}\n"
        "{\"id\":\"MM-4\",\"question\":\"B?\\nAnswer Choices: (A) Rest (B) Cut\",\"options\":[{"
        "\"letter\":\"A\",\"content\":\"Rest\"},{\"letter\":\"B\",\"content\":\"Cut\"}],"
        "\"label\":[\"A\"],\"images\":[{\"image_path\":\"MM-9.jpeg\"}]}\n");
    check_item(0, "MM-3", "[MM-3-a.jpeg][MM-3-b.jpeg]Figure A? | Rest | Cut", "B");
    check_problem(1, XR_ITEM_MISSING_PICTURE, "MM-9.jpeg");
    done();
    load_made(
        "nejm", "nejm.json",
        "[{\"image_id\":3,\"question\":\"What?\",\"relevant_context\":\"yes\",\"option_A\":"
        "\"Measles\",\"option_B\":\"Mumps\",\"option_A_votes\":\"12%\",\"correct_answer\":\"B\"},\n"
        "{\"id\":4,\"question\":\"What?\",\"options\":[\"Measles\",\"Mumps\"],\"answer\":"
        "\"Measles\",\"image\":\"3.png\"}]");
    check_item(0, "3", "[3.png]What? | Measles | Mumps", "B");
    check_item(1, "4", "[3.png]What? | Measles | Mumps", "A");
    done();
}

static void rows_of_ones_own(void **state) {
    make_picture("p/q.png");
    load_made(
        "jsonl", "own.jsonl",
        "{\"question\":\"<image 1> and <image 2>?\",\"options\":[\"x\",\"y\"],\"answer\":\"y\","
        "\"images\":[\"p/q.png\",\"p/q.png\"],\"subject\":\"s\",\"id\":\"one\"}\n"
        "not JSON\n"
        "{\"problem\":\"2+2?\",\"answer\":4}\n"
        "{\"question\":\"Say\",\"answer\":[\"hi\",\"hello\"],\"kind\":\"text\"}\n"
        "{\"question\":\"Say\",\"answer\":\"hi\",\"kind\":\"choice\"}\n"
        "{\"question\":\"a\\u0000b\",\"answer\":\"hi\"}\n");
    check_item(0, "one", "[q.png] and [q.png]? | x | y", "B");
    check_problem(1, XR_ITEM_MALFORMED, "own.jsonl:2");
    check_item(2, "2", "2+2?", "4");
    check_item(3, "3", "Say", "hi");
    assert_int_equal(items.items[3].kind, XR_ANSWER_TEXT);
    assert_int_equal(items.items[3].gold_count, 2);
    check_problem(4, XR_ITEM_MALFORMED, "\"kind\" must be");
    check_problem(5, XR_ITEM_MALFORMED, "U+0000");
    assert_int_equal(xr_benchmark_denominator(&items), 6);
    done();
}

static void limits_and_pictures_withheld(void **state) {
    XrError err = {0};
    XrBenchmarkLoadOptions options = {.limit = 1, .without_pictures = true};
    static const char rows[] = "{\"question\":\"a\",\"answer\":\"1\",\"image\":\"none.png\"}\n"
                               "{\"question\":\"b\",\"answer\":\"2\",\"image\":\"none.png\"}\n";
    char *path = xr_path_join(xr_test_scratch(), "limited.jsonl");
    assert_true(xr_file_write(path, rows, strlen(rows), &err));
    assert_true(xr_benchmark_load(&items, xr_benchmark_find("jsonl", &err), path, &options, &err));
    assert_true(items.limited);
    assert_int_equal(items.count, 1);
    assert_int_equal(items.items[0].problem, XR_ITEM_USABLE);
    free(path);
    done();
}

static void what_cannot_be_loaded(void **state) {
    XrError err = {0};
    assert_null(xr_benchmark_find("mmlu-pro", &err));
    assert_non_null(strstr(err.message, "did you mean \"mmlu_pro\""));
    const XrBenchmark *benchmark = xr_benchmark_find("gsm8k", &err);
    assert_false(xr_benchmark_load(&items, benchmark, "/nowhere/at/all", NULL, &err));
    char *folder = xr_path_join(xr_test_scratch(), "empty");
    assert_true(xr_make_folders(folder, &err));
    assert_false(xr_benchmark_load(&items, benchmark, folder, NULL, &err));
    assert_non_null(strstr(err.message, "none of gsm8k.jsonl, test.jsonl;"));
    free(folder);
}

// ---- the real files ----

static void load_real(const char *benchmark, const char *file, int64_t count) {
    XrError err = {0};
    XrBenchmarkLoadOptions options = {.without_pictures = true};
    const XrBenchmark *found = xr_benchmark_find(benchmark, &err);
    if (!xr_benchmark_load(&items, found, xr_test_data(file), &options, &err)) {
        fail_msg("%s", err.message);
    }
    for (int64_t i = 0; i < items.count; i++) {
        if (items.items[i].problem_text) print_message("%s\n", items.items[i].problem_text);
    }
    assert_int_equal(items.count, count);
    assert_int_equal(items.problems[XR_ITEM_USABLE], count);
    assert_int_equal(items.missing, found->expected - count);
}

static void real_files_of_text(void **state) {
    load_real("gsm8k", "gsm8k/test.jsonl", 1319);
    done();
    load_real("gsm8k", "gsm8k", 1319); // the folder, in which test.jsonl is looked for
    done();
    load_real("math_500", "math500", 500);
    done();
    load_real("aime_2024", "aime24", 30);
    assert_string_equal(items.items[0].golds[0], "73");
    done();
    load_real("mmlu_pro", "mmlu-pro", 12032);
    assert_int_equal(items.noted, 1);
    assert_non_null(xr_benchmark_item(&items, "3983")->note);
    done();
    load_real("mmlu_pro_health", "mmlu-pro", 818);
    assert_int_equal(items.rows, 12032);
    done();
    load_real("medqa_4", "medqa", 1273);
    for (int64_t i = 0; i < items.count; i++) assert_int_equal(items.items[i].option_count, 4);
    done();
}

static const char MMMU_PRO[] = "mmmu-pro/outputs/gpt-4o_standard-10-options_cot.jsonl";

static void real_files_of_pictures(void **state) {
    load_real("mathvista", "mathvista", 1000);
    int choices = 0;
    for (int64_t i = 0; i < items.count; i++) choices += items.items[i].kind == XR_ANSWER_CHOICE;
    assert_int_equal(choices, 540);
    done();
    load_real("mathvision", "mathvision", 3040);
    done();
    load_real("medxpertqa_mm", "medxpertqa", 2000);
    int pictures[8] = {0};
    for (int64_t i = 0; i < items.count; i++) {
        const XrItem *item = &items.items[i];
        pictures[xr_item_image_count(item)]++;
        assert_int_equal(item->option_count, 5);
        assert_null(strstr(item->question.parts[item->question.count - 1].text, "Answer Choices"));
    }
    static const int expected[8] = {0, 1581, 236, 59, 22, 78, 24, 0};
    assert_memory_equal(pictures, expected, sizeof expected);
    done();
    load_real("mmmu_pro", MMMU_PRO, 1730);
    done();
    load_real("mmmu_pro_health", MMMU_PRO, 286);
    done();
    load_real("mmmu", "mmmu/answer_dict_val.json", 900);
    assert_int_equal(items.noted, 900);
    done();
    load_real("mmmu_health", "mmmu/answer_dict_val.json", 150);
    done();
}

static void real_pictures_of_mathvision(void **state) {
    XrError err = {0};
    const XrBenchmark *benchmark = xr_benchmark_find("mathvision_mini", &err);
    assert_true(xr_benchmark_load(&items, benchmark, xr_test_data("mathvision"), NULL, &err));
    assert_int_equal(items.problems[XR_ITEM_USABLE], 304);
    assert_int_equal(xr_benchmark_denominator(&items), 304);
    for (int64_t i = 0; i < items.count; i++)
        assert_int_equal(xr_item_image_count(&items.items[i]), 1);
    done();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gsm8k_rows),
        cmocka_unit_test(mmlu_pro_rows),
        cmocka_unit_test(math_and_aime_rows),
        cmocka_unit_test(tables_of_text),
        cmocka_unit_test(malformed_rows_take_no_ids),
        cmocka_unit_test(usable_rows_keep_their_ids),
        cmocka_unit_test(numbers_are_no_ids),
        cmocka_unit_test(medqa_rows),
        cmocka_unit_test(mmmu_rows),
        cmocka_unit_test(mmmu_pro_rows),
        cmocka_unit_test(mathvista_rows),
        cmocka_unit_test(mathvision_rows),
        cmocka_unit_test(mmstar_rows),
        cmocka_unit_test(medical_rows),
        cmocka_unit_test(rows_of_ones_own),
        cmocka_unit_test(limits_and_pictures_withheld),
        cmocka_unit_test(what_cannot_be_loaded),
        cmocka_unit_test(real_files_of_text),
        cmocka_unit_test(real_files_of_pictures),
        cmocka_unit_test(real_pictures_of_mathvision),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
