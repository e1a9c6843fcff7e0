// eval --endpoint against a small HTTP server in this process: what is sent (pictures too),
// retries, refusals, and how a run ends when the server does not answer.
#include "tests/support/eval.h"
#include "tests/support/processes.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <microhttpd.h> // defines: MHD_start_daemon, MHD_queue_response
#include <pthread.h>
#include <stdlib.h>

// What the server saw. It answers by the name of the model that it is asked for.
static struct {
    pthread_mutex_t lock;
    int requests, busy, most_busy, failures_left;
    int pictures, texts; // parts of messages
    bool picture_is_right, authorised;
    double temperature, seeds;
} seen;

static struct MHD_Daemon *daemon_of_test;
static char url[64];

static int value_of(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

// Whether a data: URL holds the bytes of the picture file.
static bool holds_picture(const char *data, const char *path) {
    static const char head[] = "data:image/png;base64,";
    XrBuffer bytes = {0}, file = {0};
    XrError err;
    if (strncmp(data, head, sizeof head - 1) != 0) return false;
    uint32_t bits = 0;
    int count = 0;
    for (const char *at = data + sizeof head - 1; value_of(*at) >= 0; at++) {
        bits = bits << 6 | (uint32_t)value_of(*at);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        xr_buffer_byte(&bytes, (char)(bits >> count & 255));
    }
    bool same = xr_file_read(path, 1 << 20, &file, &err) && file.length == bytes.length &&
                bytes.length > 0 && memcmp(file.data, bytes.data, file.length) == 0;
    xr_buffer_free(&bytes);
    xr_buffer_free(&file);
    return same;
}

static void look_at_messages(const cJSON *request) {
    const cJSON *part, *content = xr_test_at(request, "messages/0/content");
    if (cJSON_IsString(content)) seen.texts++;
    cJSON_ArrayForEach(part, content) {
        if (strcmp(xr_test_string(part, "type"), "text") == 0) {
            seen.texts++;
            continue;
        }
        seen.pictures++;
        seen.picture_is_right = holds_picture(xr_test_string(part, "image_url/url"),
                                              xr_test_source("golden/images/a.png"));
    }
}

static const char GOOD[] =
    "{\"choices\": [{\"message\": {\"content\": \"<answer>3</answer>\", \"reasoning_content\": "
    "\"well\"}, \"finish_reason\": \"stop\"}], \"usage\": {\"completion_tokens\": 11, "
    "\"prompt_tokens\": 5}}";

// The status and the body of the answer to a request's body.
static unsigned answer_to(const char *body, const char **text) {
    cJSON *request = cJSON_Parse(body);
    assert_non_null(request);
    const char *model = xr_test_string(request, "model");
    unsigned status = 200;
    *text = GOOD;
    seen.requests++;
    seen.temperature = xr_test_number(request, "temperature");
    seen.seeds += xr_test_number(request, "seed");
    look_at_messages(request);
    if (strcmp(model, "busy") == 0 && seen.failures_left-- > 0) status = 503;
    if (strcmp(model, "broken") == 0) status = 500;
    if (strcmp(model, "locked") == 0) status = 401;
    if (strcmp(model, "picky") == 0 && strstr(body, "refuse me")) status = 400;
    if (status != 200) *text = "{\"error\": {\"message\": \"said the server\"}}";
    if (strcmp(model, "strange") == 0) *text = "{\"hello\": 1}";
    cJSON_Delete(request);
    return status;
}

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *text) {
    struct MHD_Response *r =
        MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_queue_response(connection, status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *bytes, void **state) {
    XrBuffer *body = *state;
    if (strcmp(path, "/v1/models") == 0) {
        return reply(connection, 200, "{\"data\": [{\"id\": \"first\"}]}");
    }
    if (strcmp(path, "/v1/chat/completions") != 0) return reply(connection, 404, "{}");
    if (!body) {
        *state = xr_calloc(1, sizeof *body);
        pthread_mutex_lock(&seen.lock);
        seen.busy++;
        seen.most_busy = XR_MAX(seen.most_busy, seen.busy);
        pthread_mutex_unlock(&seen.lock);
        return MHD_YES;
    }
    if (*bytes) {
        xr_buffer_append(body, data, *bytes);
        *bytes = 0;
        return MHD_YES;
    }
    xr_test_pause(0.02);
    const char *text,
        *key = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    pthread_mutex_lock(&seen.lock);
    seen.busy--;
    seen.authorised = key && strcmp(key, "Bearer sesame") == 0;
    unsigned status = answer_to(body->data, &text);
    pthread_mutex_unlock(&seen.lock);
    return reply(connection, status, text);
}

static void end_request(void *context, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode code) {
    XrBuffer *body = *state;
    if (body) xr_buffer_free(body);
    free(body);
}

static int start_server(void **state) {
    pthread_mutex_init(&seen.lock, NULL);
    daemon_of_test = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL, NULL, handle,
        NULL, MHD_OPTION_NOTIFY_COMPLETED, end_request, NULL, MHD_OPTION_END);
    if (!daemon_of_test) return 1;
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(daemon_of_test, MHD_DAEMON_INFO_BIND_PORT);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", info->port);
    setenv("OPENAI_API_KEY", "sesame", 1);
    unsetenv("http_proxy");
    return 0;
}

static int stop_server(void **state) {
    MHD_stop_daemon(daemon_of_test);
    return 0;
}

static const char ITEMS[] =
    "{\"id\": \"1\", \"question\": \"Three?\", \"answer\": \"3\"}\n"
    "{\"id\": \"2\", \"question\": \"This?\", \"answer\": \"4\", \"images\": [\"a.png\"]}\n"
    "{\"id\": \"3\", \"question\": \"refuse me\", \"answer\": \"3\"}\n"
    "{\"id\": \"4\", \"question\": \"Again?\", \"answer\": \"3\"}\n";

static char *ask(const char *name, const char *model, int code, const char *more) {
    char *folder = xr_test_path(name), *items = xr_test_write("items.jsonl", ITEMS);
    XrBuffer data = {0}, which = {0};
    xr_buffer_format(&data,
                     "eval_dataset=[{\"path\": \"%s\", \"format\": \"jsonl\", \"images\": \"%s\"}]",
                     items, xr_test_source("golden/images"));
    xr_buffer_format(&which, "model_name_or_path=%s", model);
    seen.requests = seen.most_busy = seen.pictures = seen.texts = 0;
    seen.seeds = 0;
    xr_test_eval(folder,
                 (const char *const[]){data.data, model ? which.data : "seed=1", "--endpoint", url,
                                       "prompt_template=plain", "num_generations=2",
                                       "temperature=0.25", more, NULL},
                 code);
    xr_buffer_free(&data);
    xr_buffer_free(&which);
    free(items);
    return folder;
}

static void asks_for_every_sample(void **state) {
    char *folder = ask("ok", "ok", 0, "num_concurrent=4");
    assert_int_equal(seen.requests, 8);
    assert_in_range(seen.most_busy, 2, 4);
    assert_int_equal(seen.pictures, 2);
    assert_true(seen.picture_is_right && seen.authorised);
    assert_true(seen.temperature == 0.25);
    assert_true(seen.seeds == 4 * (42 + 43)); // samples differ by their seeds
    cJSON *s = xr_test_summary(folder), *lines = xr_test_lines(folder, "samples.jsonl");
    assert_true(xr_test_number(s, "results/0/accuracy/value") == 0.75);
    assert_true(xr_test_number(s, "results/0/tokens/mean") == 11);
    assert_int_equal(cJSON_GetArraySize(lines), 8);
    assert_string_equal(xr_test_string(lines, "0/response"),
                        "<think>\nwell\n</think>\n<answer>3</answer>");
    cJSON_Delete(s);
    cJSON_Delete(lines);
    free(folder);
}

static void tries_again(void **state) {
    seen.failures_left = 3;
    char *folder = ask("busy", "busy", 0, "num_concurrent=2");
    assert_int_equal(seen.requests, 8 + 3);
    cJSON *lines = xr_test_lines(folder, "samples.jsonl");
    assert_int_equal(cJSON_GetArraySize(lines), 8);
    cJSON_Delete(lines);
    free(folder);
}

static void leaves_out_what_is_refused(void **state) {
    char *folder = ask("picky", "picky", 0, NULL);
    cJSON *lost = xr_test_lines(folder, "left_out.jsonl"), *s = xr_test_summary(folder);
    assert_int_equal(cJSON_GetArraySize(lost), 1);
    assert_string_equal(xr_test_string(lost, "0/id"), "3");
    assert_non_null(strstr(xr_test_string(lost, "0/text"), "HTTP 400: said the server"));
    assert_true(xr_test_number(s, "results/0/items") == 4);
    assert_true(xr_test_number(s, "results/0/accuracy/value") == 0.5);
    cJSON_Delete(lost);
    cJSON_Delete(s);
    free(folder);
}

static void gives_up_with_a_reason(void **state) {
    free(ask("broken", "broken", 1, "max_retries=1"));
    xr_test_log_has("HTTP 500: said the server, after 2 tries");
    free(ask("locked", "locked", 1, NULL));
    xr_test_log_has("OPENAI_API_KEY");
    free(ask("strange", "strange", 1, NULL));
    xr_test_log_has("choices[0].message");
    char keep[sizeof url];
    memcpy(keep, url, sizeof url);
    snprintf(url, sizeof url, "http://127.0.0.1:1/v1");
    free(ask("nobody", "ok", 1, "max_retries=0"));
    xr_test_log_has("/chat/completions");
    memcpy(url, keep, sizeof url);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_for_every_sample),
        cmocka_unit_test(tries_again),
        cmocka_unit_test(leaves_out_what_is_refused),
        cmocka_unit_test(gives_up_with_a_reason),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
