// Rejection sampling: what is kept, counted and written; killed and resumed runs; what is refused.
#include "tests/support/processes.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <ctype.h>
#include <signal.h>
#include <stdlib.h>

enum { QUESTIONS = 24, SAMPLES = 8, KILLS = 10, SEED = 77 };

static char *setting(const char *key, const char *value) {
    XrBuffer text = {0};
    xr_buffer_format(&text, "%s=%s", key, value);
    return text.data;
}

static char *folder_named(const char *name) {
    return xr_path_join(xr_test_scratch(), name);
}

// Questions whose gold answers are `golds` (NULL: one that nobody gives).
static char *make_questions(const char *name, char *const golds[QUESTIONS]) {
    XrBuffer text = {0};
    XrError err;
    for (int i = 0; i < QUESTIONS; i++) {
        const char *gold = golds && golds[i] ? golds[i] : "no such answer";
        xr_buffer_format(&text, "{\"id\": \"q%d\", \"question\": \"%d and %d?\", \"answer\": ", i,
                         i, 3 * i);
        xr_buffer_json(&text, gold, strlen(gold));
        xr_buffer_text(&text, "}\n");
    }
    char *path = folder_named(name);
    assert_true(xr_file_write(path, text.data, text.length, &err));
    xr_buffer_free(&text);
    return path;
}

static pid_t start(const char *folder, const char *questions, const char *more) {
    char *output = setting("output_dir", folder), *data = setting("train_dataset", questions);
    char *model = setting("model_name_or_path", xr_test_source("golden/models/text_only"));
    const char *const arguments[] = {"distill",
                                     output,
                                     model,
                                     data,
                                     "prompt_template=none",
                                     "num_generations=8",
                                     "temperature=1.6",
                                     "max_completion_length=36",
                                     "think_budget=20",
                                     "reward_kind=text",
                                     "max_batch_sequences=7",
                                     more,
                                     NULL};
    pid_t child = xr_test_start(arguments);
    free(output);
    free(data);
    free(model);
    return child;
}

static char *run(const char *name, const char *questions) {
    char *folder = folder_named(name);
    int code = xr_test_wait(start(folder, questions, NULL));
    if (code != 0) xr_test_log_has("success");
    return folder;
}

// Calls see(context, line) for each line of a file; returns their number.
static int each_line(const char *folder, const char *name, void (*see)(void *, const cJSON *),
                     void *context) {
    XrBuffer text = {0};
    int lines = 0;
    xr_test_read(&text, folder, name);
    for (char *at = text.data, *end; at && (end = strchr(at, '\n')); at = end + 1, lines++) {
        *end = '\0';
        cJSON *line = cJSON_Parse(at);
        assert_non_null(line);
        see(context, line);
        cJSON_Delete(line);
    }
    xr_buffer_free(&text);
    return lines;
}

static const char *text_of(const cJSON *line, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, key));
    assert_non_null(text);
    return text;
}

static int number_of(const cJSON *line, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(line, key);
    assert_true(cJSON_IsNumber(value));
    return value->valueint;
}

// What a first run's samples said: an answer of visible characters that a response ended with by
// itself, one for some of the questions.
typedef struct Found {
    char *gold[QUESTIONS];
    int expected, matched; // questions that have one; of them, those whose sample was kept
    char response[QUESTIONS][512];
    int sample[QUESTIONS];
} Found;

static void find_answers(void *context, const cJSON *line) {
    Found *f = context;
    int question = atoi(text_of(line, "id") + 1);
    const char *answer = text_of(line, "extracted");
    bool cut = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "truncated"));
    size_t letters = 0, other = 0;
    for (const char *at = answer; *at; at++) {
        letters += isalnum((unsigned char)*at) != 0;
        other += iscntrl((unsigned char)*at) != 0;
    }
    if (cut || f->gold[question] || letters == 0 || other) return;
    f->gold[question] = xr_strdup(answer);
    f->sample[question] = number_of(line, "sample");
    snprintf(f->response[question], sizeof f->response[question], "%s", text_of(line, "response"));
    f->expected++;
}

static void check_kept(void *context, const cJSON *line) {
    Found *f = context;
    int question = number_of(line, "row");
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(line, "messages");
    assert_int_equal(cJSON_GetArraySize(messages), 2);
    char asked[64];
    snprintf(asked, sizeof asked, "%d and %d?", question, 3 * question);
    assert_string_equal(text_of(messages->child, "role"), "user");
    assert_string_equal(text_of(messages->child, "content"), asked);
    assert_string_equal(text_of(messages->child->next, "role"), "assistant");
    assert_non_null(f->gold[question]);
    assert_string_equal(text_of(line, "gold"), f->gold[question]);
    assert_int_equal(number_of(line, "seed"), 42);
    assert_non_null(strstr(text_of(line, "model"), "text_only"));
    assert_non_null(strstr(text_of(line, "file"), "golds.jsonl"));
    if (number_of(line, "sample") != f->sample[question]) return;
    assert_string_equal(text_of(messages->child->next, "content"), f->response[question]);
    f->matched++;
}

// A first run finds out what the model says; with some of that as gold answers, a second run of the
// same seed keeps such responses.
static void keeps_what_is_right(void **state) {
    static Found found;
    char *none = make_questions("none.jsonl", NULL);
    char *first = run("first", none);
    assert_int_equal(each_line(first, "samples.jsonl", find_answers, &found), QUESTIONS * SAMPLES);
    if (!found.expected) {
        print_message("skipped: no response ended with such an answer\n");
        skip();
    }
    char *golds = make_questions("golds.jsonl", found.gold);
    char *second = run("second", golds);
    int kept = each_line(second, "distilled.jsonl", check_kept, &found);
    // The verifier does not take every scribble as an answer, but some of them.
    assert_true(kept > 0 && found.matched > 0);
    XrBuffer summary = {0};
    xr_test_read(&summary, second, "summary.json");
    cJSON *json = cJSON_Parse(summary.data);
    assert_int_equal(number_of(json, "kept"), kept);
    assert_int_equal(number_of(json, "responses"), QUESTIONS * SAMPLES);
    assert_int_equal(number_of(json, "kept") + number_of(json, "dropped_wrong") +
                         number_of(json, "dropped_truncated"),
                     QUESTIONS * SAMPLES);
    cJSON_Delete(json);
    xr_buffer_free(&summary);
    for (int i = 0; i < QUESTIONS; i++) free(found.gold[i]);
    free(none);
    free(golds);
    free(first);
    free(second);
}

static void killed_and_resumed(void **state) {
    char *none = make_questions("killed.jsonl", NULL);
    double started = xr_test_now();
    char *whole = run("whole", none), *broken = folder_named("broken");
    double seconds = xr_test_now() - started;
    for (int kills = 0; kills < KILLS; kills++) {
        uint32_t random[4];
        xr_philox(SEED, 0, (uint64_t)kills, random);
        pid_t child = start(broken, none, xr_test_holds(broken, "config.json") ? "--resume" : NULL);
        xr_test_pause(xr_uniform(random[0]) * seconds);
        kill(child, SIGKILL);
        xr_test_wait(child);
    }
    assert_int_equal(
        xr_test_wait(start(broken, none, xr_test_holds(broken, "config.json") ? "--resume" : NULL)),
        0);
    xr_test_same_file(whole, broken, "samples.jsonl");
    xr_test_same_file(whole, broken, "distilled.jsonl");
    xr_test_same_file(whole, broken, "progress.json");
    free(none);
    free(whole);
    free(broken);
}

static void refuses(void **state) {
    char *none = make_questions("refuses.jsonl", NULL), *folder = folder_named("refuses");
    assert_int_equal(xr_test_wait(start(folder, none, "temperature=0")), 1);
    xr_test_log_has("\"temperature\"");
    assert_int_equal(xr_test_wait(start(folder, none, "learning_rate=1")), 1);
    xr_test_log_has("learning_rate");
    assert_int_equal(xr_test_wait(start(folder, "/nowhere.jsonl", NULL)), 1);
    xr_test_log_has("/nowhere.jsonl");
    free(none);
    free(folder);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_is_right),
        cmocka_unit_test(killed_and_resumed),
        cmocka_unit_test(refuses),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
