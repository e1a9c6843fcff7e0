// The verifier's front: kinds, requests and results, many pairs on threads, worker processes that
// crash, hang or take all memory, and the command.
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/verify/batch.h"
#include "shared/verify/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static XrVerifyRequest pair_of(const char *gold, const char *answer) {
    return (XrVerifyRequest){.gold = xr_span_of(gold), .answer = xr_span_of(answer)};
}

static XrVerifyResult verdict_of(const XrVerifyOptions *options, const XrVerifyRequest *request) {
    XrVerifier *verifier = xr_verifier_create(options);
    XrVerifyResult result = {0};
    xr_verify(verifier, request, &result);
    xr_verifier_free(verifier);
    xr_buffer_free(&result.extracted);
    xr_buffer_free(&result.explanation);
    return result;
}

// ---- kinds ----

static void the_kind_follows_from_the_gold_answer(void **state) {
    static const struct {
        const char *gold;
        XrVerifyKind kind;
    } cases[] = {
        {"5", XR_VERIFY_MATH},
        {"x", XR_VERIFY_MATH},
        {"\\frac{1}{2}", XR_VERIFY_MATH},
        {"x=2", XR_VERIFY_MATH},
        {"\\sin x", XR_VERIFY_MATH},
        {"A+B", XR_VERIFY_MATH},
        {"5 apples", XR_VERIFY_MATH},
        {"ab", XR_VERIFY_MATH},
        {"(1,2)", XR_VERIFY_MATH},
        {"A", XR_VERIFY_CHOICE},
        {"(B)", XR_VERIFY_CHOICE},
        {"\\text{C}", XR_VERIFY_CHOICE},
        {"A, C", XR_VERIFY_CHOICE},
        {"B: No", XR_VERIFY_CHOICE},
        {"$D$", XR_VERIFY_CHOICE},
        {"Paris", XR_VERIFY_TEXT},
        {"yes", XR_VERIFY_TEXT},
        {"\\text{east}", XR_VERIFY_TEXT},
        {"no solution", XR_VERIFY_TEXT},
        {"no", XR_VERIFY_TEXT},
        {"Sch\u00f6n", XR_VERIFY_TEXT},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrVerifyRequest request = pair_of(cases[i].gold, "1");
        XrVerifyResult result = verdict_of(NULL, &request);
        if (result.kind != cases[i].kind) print_message("%s\n", cases[i].gold);
        assert_int_equal(result.kind, cases[i].kind);
    }
}

static void every_gold_answer_equals_itself(void **state) {
    static const char *const golds[] = {
        "5",           "A",    "(B)", "B: No",   "Paris",      "yes",
        "x^2+1",       "A, C", "no",  "#### 12", "\\boxed{3}", "<answer>B</answer>",
        "\\text{east}"};
    for (size_t i = 0; i < XR_COUNT(golds); i++) {
        for (int response = 0; response < 2; response++) {
            XrVerifyRequest request = pair_of(golds[i], golds[i]);
            request.is_response = response;
            XrVerifyResult result = verdict_of(NULL, &request);
            if (result.verdict != XR_VERDICT_EQUAL) print_message("%s\n", golds[i]);
            assert_int_equal(result.verdict, XR_VERDICT_EQUAL);
            assert_int_equal(result.score, 1);
        }
    }
}

static void a_kind_can_be_asked_for(void **state) {
    XrVerifyRequest request = pair_of("A", "a");
    request.kind = XR_VERIFY_TEXT;
    assert_int_equal(verdict_of(NULL, &request).verdict, XR_VERDICT_EQUAL);
    request = pair_of("Paris", "B: Paris");
    request.kind = XR_VERIFY_CHOICE;
    assert_int_equal(verdict_of(NULL, &request).verdict, XR_VERDICT_EQUAL);
    XrSpan options[] = {xr_span_of("Rome"), xr_span_of("Oslo")};
    request.options = options;
    request.option_count = 2;
    assert_int_equal(verdict_of(NULL, &request).verdict, XR_VERDICT_UNPARSED_GOLD);
}

static void an_explanation_says_how_the_verdict_came_about(void **state) {
    XrVerifyOptions options = {.explain = true};
    XrVerifier *verifier = xr_verifier_create(&options);
    XrVerifyResult result = {0};
    XrVerifyRequest request = pair_of("B", "<think>A</think> The answer is (B).");
    request.is_response = true;
    xr_verify(verifier, &request, &result);
    assert_string_equal(result.extracted.data, "(B)");
    assert_non_null(strstr(result.explanation.data, "kind: choice"));
    assert_non_null(strstr(result.explanation.data, "found by phrase"));
    assert_non_null(strstr(result.explanation.data, "verdict: equal"));
    xr_verify_result_free(&result);
    xr_verifier_free(verifier);
}

static void oversized_answers_are_over_the_limit(void **state) {
    XrBuffer text = {0};
    while (text.length < 100000) xr_buffer_text(&text, "[(");
    XrVerifyRequest request = {.gold = xr_span_of("5"), .answer = {text.data, text.length}};
    assert_int_equal(verdict_of(NULL, &request).verdict, XR_VERDICT_OVER_LIMIT);
    request = (XrVerifyRequest){.gold = {text.data, text.length}, .answer = xr_span_of("5")};
    assert_int_equal(verdict_of(NULL, &request).verdict, XR_VERDICT_OVER_LIMIT);
    xr_buffer_free(&text);
}

static void bytes_of_any_kind_are_survived(void **state) {
    XrVerifyOptions options = {.explain = true};
    XrVerifier *verifier = xr_verifier_create(&options);
    XrVerifyResult result = {0};
    static const char *const golds[] = {"5", "B", "Paris", "\\frac12", ""};
    XrSpan texts[] = {xr_span_of("Paris"), xr_span_of("\xff\xfe"), xr_span("a\0b", 3)};
    for (uint64_t round = 0; round < 3000; round++) {
        char bytes[64];
        uint32_t drawn[4];
        for (uint64_t i = 0; i < sizeof bytes; i += 16) {
            xr_philox(5, round, i, drawn);
            memcpy(bytes + i, drawn, 16);
        }
        XrVerifyRequest request = {.gold = xr_span_of(golds[round % XR_COUNT(golds)]),
                                   .answer = {bytes, round % sizeof bytes},
                                   .is_response = round % 2,
                                   .options = texts,
                                   .option_count = round % 3 ? 0 : 3};
        xr_verify(verifier, &request, &result);
        assert_int_equal(result.score, result.verdict == XR_VERDICT_EQUAL);
    }
    xr_verify_result_free(&result);
    xr_verifier_free(verifier);
}

// ---- pools ----

enum { PAIRS = 1000 };

static void judge_all(int threads, bool isolate, XrVerifyResult *results) {
    static char golds[PAIRS][16], answers[PAIRS][48];
    XrVerifyRequest requests[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        snprintf(golds[i], sizeof golds[i], i % 3 ? "%d" : "%c", i % 3 ? i % 7 : 'A' + i % 5);
        snprintf(answers[i], sizeof answers[i], i % 2 ? "The answer is \\boxed{%d}." : "(%c) %d",
                 i % 2 ? i % 7 : 'A' + i % 4, i);
        requests[i] = pair_of(golds[i], answers[i]);
        requests[i].is_response = i % 5;
    }
    XrVerifyPoolOptions options = {.threads = threads,
                                   .isolate = isolate,
                                   .verify = {.explain = true, .math = {.max_milliseconds = 2000}}};
    XrError err;
    XrVerifyPool *pool = xr_verify_pool_create(&options, &err);
    assert_non_null(pool);
    xr_verify_batch(pool, requests, results, PAIRS);
    assert_int_equal(xr_verify_pool_lost(pool), 0);
    xr_verify_pool_free(pool);
}

static void results_do_not_depend_on_threads_or_workers(void **state) {
    XrVerifyResult *expected = xr_calloc(PAIRS, sizeof *expected);
    XrVerifyResult *results = xr_calloc(PAIRS, sizeof *results);
    judge_all(1, false, expected);
    static const int threads[] = {1, 2, 3, 8};
    for (size_t t = 0; t < 2 * XR_COUNT(threads); t++) {
        judge_all(threads[t / 2], t % 2, results);
        for (int i = 0; i < PAIRS; i++) {
            assert_int_equal(results[i].verdict, expected[i].verdict);
            assert_int_equal(results[i].method, expected[i].method);
            assert_int_equal(results[i].kind, expected[i].kind);
            assert_int_equal(results[i].extracted.length, expected[i].extracted.length);
            assert_string_equal(results[i].explanation.data, expected[i].explanation.data);
        }
    }
    for (int i = 0; i < PAIRS; i++) {
        xr_verify_result_free(&expected[i]);
        xr_verify_result_free(&results[i]);
    }
    free(expected);
    free(results);
}

// `left` times `piece`, `middle`, `left` times `end`.
static char *nested(const char *piece, const char *middle, const char *end, int left) {
    XrBuffer text = {0};
    for (int i = 0; i < left; i++) xr_buffer_text(&text, piece);
    xr_buffer_text(&text, middle);
    for (int i = 0; i < left; i++) xr_buffer_text(&text, end);
    return text.data;
}

// None is right, none ends a worker, and each leaves the worker fit for the next pair.
static void hostile_pairs_leave_no_trace(void **state) {
    char *made[] = {nested("(", "1", ")", 20000),       nested("[", "1", "", 60000),
                    nested("{", "1", "}", 20000),       nested("9", "9", "9", 30000),
                    nested("\\sqrt{", "2", "}", 500),   nested("\\frac{1}{", "2", "}", 4000),
                    nested("\\text{", "6", "}", 4000),  nested("5 \\text{ or } ", "5", "", 3000),
                    nested("\\boxed{", "6", "}", 4000), nested("-", "6", "", 50000),
                    nested("10!", "!", "!", 300),       nested("1+", "1", "", 20000),
                    nested("\\pm ", "1", "", 60),       nested("\xff", "\xfe", "", 10000),
                    nested("\xe2", "\x80", "\xae", 1)};
    static const char *const fixed[] = {"9^{9^{9^{9}}}",
                                        "(10^8)!",
                                        "(((10!)!)!)!",
                                        "2^{10^9}",
                                        "\\binom{10^9}{10^8}",
                                        "\\sum_{k=1}^{1000000} \\frac{1}{k}",
                                        "\\sum_{n=1}^{10^{12}} n^n",
                                        "\\int_0^{10^9} e^{x^x} dx",
                                        "(a+b+c+d+e+f)^{60}",
                                        "x^{10^9}-1",
                                        "e^{e^{e^{e^{10}}}}",
                                        "\\def\\a{\\a\\a}\\a",
                                        "\\newcommand{\\x}{5}\\x",
                                        "\u0435\u0665"};
    static const char *const golds[] = {"5", "x^2", "\\{1,2\\}", "B", "Paris"};
    XrVerifyPoolOptions options = {.threads = 2, .isolate = true, .limits = {.seconds = 5}};
    XrVerifyRequest requests[(XR_COUNT(made) + XR_COUNT(fixed)) * XR_COUNT(golds)];
    XrVerifyResult *results = xr_calloc(XR_COUNT(requests), sizeof *results);
    XrError err;
    for (size_t i = 0; i < XR_COUNT(requests); i++) {
        size_t n = i / XR_COUNT(golds);
        const char *text = n < XR_COUNT(made) ? made[n] : fixed[n - XR_COUNT(made)];
        requests[i] = pair_of(golds[i % XR_COUNT(golds)], text);
    }
    XrVerifyPool *pool = xr_verify_pool_create(&options, &err);
    assert_non_null(pool);
    xr_verify_batch(pool, requests, results, XR_COUNT(requests));
    for (size_t i = 0; i < XR_COUNT(requests); i++) {
        if (results[i].score) print_message("%.80s\n", requests[i].answer.data);
        assert_int_equal(results[i].score, 0);
        xr_verify_result_free(&results[i]);
    }
    assert_int_equal(xr_verify_pool_lost(pool), 0);
    xr_verify_pool_free(pool);
    for (size_t i = 0; i < XR_COUNT(made); i++) free(made[i]);
    free(results);
}

// ---- workers ----

// Does what the request says, in the worker's process.
static void misbehave(void *context, XrSpan request, XrBuffer *reply) {
    int *count = context;
    ++*count;
    if (xr_span_is(request, "crash")) raise(SIGSEGV);
    if (xr_span_is(request, "abort")) abort();
    if (xr_span_is(request, "exit")) _exit(3);
    if (xr_span_is(request, "spin")) {
        for (volatile int i = 0;; i++) {
        }
    }
    if (xr_span_is(request, "sleep")) pause();
    if (xr_span_is(request, "memory")) {
        for (;;) {
            char *block = malloc(16u << 20);
            if (!block) abort();
            memset(block, 1, 16u << 20);
        }
    }
    xr_buffer_format(reply, "%d ", *count);
    xr_buffer_append(reply, request.data, request.bytes);
}

static void a_worker_is_started_again_after_each_loss(void **state) {
    static const char *const ends[] = {"crash", "abort", "exit", "spin", "sleep", "memory"};
    int count = 0;
    XrError err;
    XrBuffer reply = {0};
    XrWorkerLimits limits = {.seconds = 0.05};
    XrWorker *worker = xr_worker_create(misbehave, &count, &limits, &err);
    assert_non_null(worker);
    for (size_t i = 0; i < XR_COUNT(ends); i++) {
        assert_true(xr_worker_run(worker, xr_span_of("fine"), &reply));
        assert_string_equal(reply.data, "1 fine");
        assert_true(xr_worker_run(worker, xr_span_of("again"), &reply));
        assert_string_equal(reply.data, "2 again");
        assert_false(xr_worker_run(worker, xr_span_of(ends[i]), &reply));
        assert_int_equal(xr_worker_lost(worker), i + 1);
    }
    assert_true(xr_worker_run(worker, xr_span_of("fine"), &reply));
    assert_int_equal(count, 0); // nothing of it happened in this process
    xr_worker_free(worker);
    xr_buffer_free(&reply);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // no process is left behind
}

static void large_requests_reach_a_worker(void **state) {
    int count = 0;
    XrError err;
    XrBuffer request = {0}, reply = {0};
    XrWorker *worker = xr_worker_create(misbehave, &count, NULL, &err);
    assert_non_null(worker);
    while (request.length < 5000000) xr_buffer_text(&request, "0123456789");
    assert_true(xr_worker_run(worker, xr_span(request.data, request.length), &reply));
    assert_int_equal(reply.length, request.length + 2);
    assert_memory_equal(reply.data + 2, request.data, request.length);
    xr_worker_free(worker);
    xr_buffer_free(&request);
    xr_buffer_free(&reply);
}

// ---- the command ----

// Runs the program on `input`; returns its exit code and what it wrote.
static int run_command(const char *arguments, const char *input, XrBuffer *out) {
    XrError err;
    char *path = xr_path_join(xr_test_scratch(), "input.jsonl");
    char command[512];
    assert_true(xr_file_write(path, input, strlen(input), &err));
    snprintf(command, sizeof command, "%s verify < %s 2>&1 %s", xr_test_program(), path, arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    xr_buffer_clear(out);
    char bytes[4096];
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, pipe)) > 0;)
        xr_buffer_append(out, bytes, got);
    free(path);
    return WEXITSTATUS(pclose(pipe));
}

static void the_command_answers_line_by_line(void **state) {
    XrBuffer out = {0};
    int code =
        run_command("",
                    "{\"gold\": \"B\", \"answer\": \"(B)\", \"id\": 7}\n"
                    "{\"gold\": 5, \"response\": \"<think>6</think> \\\\boxed{5}\"}\n"
                    "{\"gold\": \"No\", \"answer\": \"b\", \"options\": {\"A\": \"Yes\", \"B\": "
                    "\"No\"}}\n"
                    "{\"gold\": \"5\", \"answer\": null}\n"
                    "{\"gold\": \"A\", \"answer\": \"a\", \"kind\": \"text\"}",
                    &out);
    assert_int_equal(code, 0);
    static const char *const expected[] = {
        "{\"score\": 1, \"verdict\": \"equal\", \"extracted\": \"(B)\", \"method\": \"given\"",
        "{\"score\": 1, \"verdict\": \"equal\", \"extracted\": \"5\", \"method\": \"boxed\"",
        "{\"score\": 1, \"verdict\": \"equal\", \"extracted\": \"b\", \"method\": \"given\"",
        "{\"score\": 0, \"verdict\": \"empty\", \"extracted\": \"\", \"method\": \"given\"",
        "{\"score\": 1, \"verdict\": \"equal\", \"extracted\": \"a\", \"method\": \"given\"",
        "xreasoner verify: 5 pairs, 4 equal, 1 empty; 0 malformed lines, 0 workers lost",
    };
    const char *at = out.data;
    for (size_t i = 0; i < XR_COUNT(expected); i++) {
        assert_memory_equal(at, expected[i], strlen(expected[i]));
        at = strchr(at, '\n') + 1;
    }
    xr_buffer_free(&out);
}

static void malformed_lines_keep_their_place(void **state) {
    XrBuffer out = {0};
    static const char *const lines[] = {
        "{\"gold\": \"5\"}",
        "{\"gold\": \"5\", \"answer\": \"5\", \"response\": \"5\"}",
        "nonsense",
        "",
        "[1]",
        "{\"answer\": \"5\"}",
        "{\"gold\": [5], \"answer\": \"5\"}",
        "{\"gold\": \"5\", \"answer\": \"5\", \"kind\": \"maths\"}",
        "{\"gold\": \"5\", \"answer\": \"5\", \"options\": 3}",
        "{\"gold\": \"5\", \"answer\": \"5\", \"options\": {\"B\": \"x\"}}"};
    for (size_t i = 0; i < XR_COUNT(lines); i++) {
        XrBuffer input = {0};
        xr_buffer_format(&input,
                         "{\"gold\": \"5\", \"answer\": \"5\"}\n%s\n{\"gold\": \"5\", \"answer\": "
                         "\"6\"}\n",
                         lines[i]);
        assert_int_equal(run_command("2>/dev/null", input.data, &out), 1);
        const char *second = strchr(out.data, '\n') + 1, *third = strchr(second, '\n') + 1;
        assert_memory_equal(out.data, "{\"score\": 1,", 12);
        assert_memory_equal(second, "{\"score\": null, \"verdict\": null, \"error\": ", 42);
        assert_non_null(strstr(second, "line 2"));
        assert_memory_equal(third, "{\"score\": 0,", 12);
        xr_buffer_free(&input);
    }
    xr_buffer_free(&out);
}

static void explanations_and_kinds_are_options(void **state) {
    XrBuffer out = {0};
    assert_int_equal(run_command("--explain --kind text --threads 2",
                                 "{\"gold\": \"A\", \"answer\": \"a\"}\n", &out),
                     0);
    assert_non_null(strstr(out.data, "\"kind\": \"text\", \"explanation\": [\""));
    assert_int_equal(run_command("--kind maths", "", &out), 2);
    assert_int_equal(run_command("--count-thinking",
                                 "{\"gold\": \"5\", \"response\": \"<think>\\\\boxed{5}\"}\n",
                                 &out),
                     0);
    assert_memory_equal(out.data, "{\"score\": 1,", 12);
    assert_int_equal(run_command("--open-answer --together",
                                 "{\"gold\": \"5\", \"response\": \"<answer>5\"}\n", &out),
                     0);
    assert_memory_equal(out.data, "{\"score\": 1,", 12);
    assert_int_equal(
        run_command("--in-thinking", "{\"gold\": \"5\", \"response\": \"\\\\boxed{5}\"}\n", &out),
        0);
    assert_memory_equal(out.data, "{\"score\": 0,", 12);
    xr_buffer_free(&out);
}

// More lines than a batch holds, longer than a read.
static void many_lines_come_out_in_order(void **state) {
    enum { LINES = 3000 };
    XrBuffer input = {0}, out = {0};
    for (int i = 0; i < LINES; i++) {
        xr_buffer_format(&input, "{\"gold\": \"%d\", \"response\": \"", i);
        for (int k = 0; k < i % 50; k++) xr_buffer_text(&input, "We think about it for a while. ");
        xr_buffer_format(&input, "\\\\boxed{%d}\"}\n", i % 2 ? i : i + 1);
    }
    assert_int_equal(run_command("--threads 3 2>/dev/null", input.data, &out), 0);
    const char *at = out.data;
    for (int i = 0; i < LINES; i++) {
        char expected[96];
        snprintf(expected, sizeof expected,
                 "{\"score\": %d, \"verdict\": \"%s\", \"extracted\": \"%d\",", i % 2,
                 i % 2 ? "equal" : "different", i % 2 ? i : i + 1);
        assert_memory_equal(at, expected, strlen(expected));
        at = strchr(at, '\n') + 1;
    }
    assert_int_equal(*at, '\0');
    xr_buffer_free(&input);
    xr_buffer_free(&out);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kind_follows_from_the_gold_answer),
        cmocka_unit_test(every_gold_answer_equals_itself),
        cmocka_unit_test(a_kind_can_be_asked_for),
        cmocka_unit_test(an_explanation_says_how_the_verdict_came_about),
        cmocka_unit_test(oversized_answers_are_over_the_limit),
        cmocka_unit_test(bytes_of_any_kind_are_survived),
        cmocka_unit_test(results_do_not_depend_on_threads_or_workers),
        cmocka_unit_test(hostile_pairs_leave_no_trace),
        cmocka_unit_test(a_worker_is_started_again_after_each_loss),
        cmocka_unit_test(large_requests_reach_a_worker),
        cmocka_unit_test(the_command_answers_line_by_line),
        cmocka_unit_test(malformed_lines_keep_their_place),
        cmocka_unit_test(explanations_and_kinds_are_options),
        cmocka_unit_test(many_lines_come_out_in_order),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
