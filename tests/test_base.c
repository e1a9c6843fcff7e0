// The base layer: UTF-8, buffers, files, JSON, threads, random numbers.
#include "tests/support/test.h"

#include "shared/base/buffer.h"
#include "shared/base/file.h"
#include "shared/base/file_sync.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/base/thread.h"
#include "shared/base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// Known answers of Philox4x32-10, from the reference distribution's kat_vectors.
static void philox_known_answers(void **state) {
    uint32_t out[4];
    xr_philox(0, 0, 0, out);
    assert_int_equal(out[0], 0x6627e8d5);
    assert_int_equal(out[1], 0xe169c58d);
    assert_int_equal(out[2], 0xbc57ac4c);
    assert_int_equal(out[3], 0x9b00dbd8);
    xr_philox(~0ull, ~0ull, ~0ull, out);
    assert_int_equal(out[0], 0x408f276d);
    assert_int_equal(out[1], 0x41c83b0e);
    assert_int_equal(out[2], 0xa20bc7c6);
    assert_int_equal(out[3], 0x6d5451fd);
}

static void utf8_round_trip(void **state) {
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        char bytes[4];
        uint32_t back = 0;
        int length = xr_utf8_encode(c, bytes);
        assert_int_equal(xr_utf8_decode(bytes, (size_t)length, &back), length);
        assert_int_equal(back, c);
        assert_int_equal(xr_utf8_decode(bytes, (size_t)length - 1, &back), 0);
    }
}

static void utf8_refuses(void **state) {
    const char *bad[] = {"\x80",         "\xC0\x80",         "\xC1\xBF",         "\xE0\x80\x80",
                         "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5",
                         "\xFF",         "\xE2\x82"};
    for (size_t i = 0; i < XR_COUNT(bad); i++) {
        uint32_t c;
        assert_int_equal(xr_utf8_decode(bad[i], strlen(bad[i]), &c), 0);
        assert_int_equal(xr_utf8_valid_prefix(bad[i], strlen(bad[i])), 0);
    }
}

static void json_strings_keep_nul(void **state) {
    const char *text = "{\"a\": \"x\\u0000y\\\\u0000\\u0000\", \"b\": \"plain\"}";
    XrJson json;
    XrError err;
    XrBuffer scratch = {0};
    size_t bytes;
    assert_true(xr_json_parse(&json, "t", text, strlen(text), &XR_JSON_SMALL, &err));
    const cJSON *a = cJSON_GetObjectItemCaseSensitive(json.root, "a");
    const char *got = xr_json_string(&json, a, &scratch, &bytes);
    assert_int_equal(bytes, 10);
    assert_memory_equal(got, "x\0y\\u0000\0", 10);
    xr_json_free(&json);
    xr_buffer_free(&scratch);
}

static void json_may_begin_with_a_byte_order_mark(void **state) {
    static const char *const texts[] = {"\xEF\xBB\xBF\x33", "\xEF\xBB\xBF 3 ", "3"};
    for (size_t i = 0; i < XR_COUNT(texts); i++) {
        XrJson json;
        XrError err = {0};
        const char *text = texts[i];
        assert_true(xr_json_parse(&json, "t", text, strlen(text), &XR_JSON_SMALL, &err));
        assert_true(json.root->valuedouble == 3);
        xr_json_free(&json);
    }
}

static void json_refuses(void **state) {
    const struct {
        const char *text, *part;
    } cases[] = {
        {"", "t: is empty"},
        {" \n\t", "t: is empty"},
        {"{\"a\":1,}", "not valid JSON"},
        {"[1] 2", "more text"},
        {"\n\n [1,x]", "t:3:"},
        {"\"\xff\"", "UTF-8"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
         "[[[[[[[[[[[[[[[[[[[[",
         "deeply"},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrJson json;
        XrError err = {0};
        assert_false(
            xr_json_parse(&json, "t", cases[i].text, strlen(cases[i].text), &XR_JSON_SMALL, &err));
        assert_non_null(strstr(err.message, cases[i].part));
    }
}

// A row of a larger file is named by the line on which it begins.
static void json_counts_on_from_a_row(void **state) {
    static const char *const cases[][3] = {
        {"d.jsonl:7", "[1,x]", "d.jsonl:7: column 4: not valid"},
        {"d.json:7", "[1,\n x]", "d.json:8: column 2: not valid"},
        {"standard input, line 12", "[1] 2", "line 12: column 5"},
        {"d7", "[1,x]", "d7:1:4: "},
        {"7", "[1,x]", "7:1:4: "},
        {":", "[1,x]", "::1:4: "}};
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrJson json;
        XrError err = {0};
        assert_false(xr_json_parse(&json, cases[i][0], cases[i][1], strlen(cases[i][1]),
                                   &XR_JSON_SMALL, &err));
        if (!strstr(err.message, cases[i][2])) fail_msg("%s: %s", cases[i][0], err.message);
    }
}

static void file_errors_name_the_path(void **state) {
    XrError err;
    XrBuffer text = {0};
    XrWriter none;
    char *inside = xr_path_join(xr_test_scratch(), "none/x"),
         *file = xr_path_join(xr_test_scratch(), "file");
    assert_true(xr_file_write(file, "", 0, &err));
    assert_false(xr_writer_open(&none, inside, &err));
    assert_non_null(strstr(err.message, "none/x: cannot create: "));
    assert_false(xr_make_folders(file, &err));
    assert_non_null(strstr(err.message, "a file has that name"));
    free(inside);
    free(file);
    assert_false(xr_file_read(xr_test_scratch(), 100, &text, &err));
    assert_non_null(strstr(err.message, "folder"));
    assert_false(xr_file_read("/nowhere/at/all", 100, &text, &err));
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    assert_false(xr_file_read("/dev/zero", 100, &text, &err));
    xr_buffer_free(&text);
}

static void file_written_whole_or_not_at_all(void **state) {
    XrError err;
    XrBuffer text = {0};
    char *path = xr_path_join(xr_test_scratch(), "kept");
    assert_true(xr_file_write(path, "first", 5, &err));
    XrWriter writer;
    assert_true(xr_writer_open(&writer, path, &err));
    xr_writer_write(&writer, "second", 6);
    xr_writer_abort(&writer);
    assert_true(xr_file_read(path, 100, &text, &err));
    assert_string_equal(text.data, "first");
    free(path);
    xr_buffer_free(&text);
    assert_true(xr_writer_open(&writer, "/dev/full", &err) || strstr(err.message, "/dev"));
    if (writer.file) xr_writer_abort(&writer);
}

static void count_once(void *context, int64_t begin, int64_t end, int thread) {
    unsigned char *seen = context;
    for (int64_t i = begin; i < end; i++) seen[i]++;
}

static void parallel_covers_every_iteration_once(void **state) {
    enum { N = 10007 };
    for (int threads = 1; threads <= 5; threads++) {
        XrThreads *pool = xr_threads_create(threads);
        for (int64_t grain = 1; grain < 3000; grain = grain * 3 + 1) {
            unsigned char *seen = xr_calloc(N, 1);
            xr_parallel(pool, N, grain, count_once, seen);
            for (int i = 0; i < N; i++) assert_int_equal(seen[i], 1);
            free(seen);
        }
        xr_threads_free(pool);
    }
}

// What a file cannot take is told by the next call, and again at the end.
static void file_sync_tells_failures(void **state) {
    char path[1024];
    snprintf(path, sizeof path, "%s/synced", xr_test_scratch());
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    XrFileSync *sync = xr_file_sync_create(file);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(write(file, "x\n", 2), 2);
        assert_int_equal(xr_file_sync_start(sync), 0);
    }
    assert_int_equal(xr_file_sync_wait(sync), 0);
    close(file);
    xr_file_sync_start(sync);
    assert_int_equal(xr_file_sync_wait(sync), EBADF);
    assert_int_equal(xr_file_sync_start(sync), EBADF);
    xr_file_sync_free(sync);
    xr_file_sync_free(NULL);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(utf8_round_trip),
        cmocka_unit_test(utf8_refuses),
        cmocka_unit_test(json_strings_keep_nul),
        cmocka_unit_test(json_may_begin_with_a_byte_order_mark),
        cmocka_unit_test(json_refuses),
        cmocka_unit_test(json_counts_on_from_a_row),
        cmocka_unit_test(file_errors_name_the_path),
        cmocka_unit_test(file_written_whole_or_not_at_all),
        cmocka_unit_test(file_sync_tells_failures),
        cmocka_unit_test(parallel_covers_every_iteration_once),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
