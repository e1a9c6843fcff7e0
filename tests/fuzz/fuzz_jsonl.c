// JSON Lines from hostile bytes: lines of at most 4,096 bytes, each parsed and walked through.
#include "shared/base/file.h"
#include "shared/base/json_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE_LIMIT = 4096 };

// Strings come out whole; the getters take every value or say why not.
static void walk(const XrJson *json, const cJSON *value, XrBuffer *scratch) {
    int64_t whole;
    double number;
    bool flag;
    const char *text;
    XrError err;
    if (cJSON_IsString(value)) {
        size_t bytes;
        const char *string = xr_json_string(json, value, scratch, &bytes);
        volatile char last = bytes ? string[bytes - 1] : 0;
        (void)last;
    }
    if (cJSON_IsNumber(value) && xr_json_whole(value, &whole)) {
        XR_REQUIRE((double)whole == value->valuedouble, "a whole number changed");
    }
    const cJSON *child;
    cJSON_ArrayForEach(child, value) {
        if (child->string) {
            (void)xr_json_get_int(json, value, child->string, &whole, &err);
            (void)xr_json_get_double(json, value, child->string, &number, &err);
            (void)xr_json_get_bool(json, value, child->string, &flag, &err);
            (void)xr_json_get_text(json, value, child->string, &text, &err);
        }
        walk(json, child, scratch);
    }
}

// What the reader takes is a value to cJSON too, of as many entries.
static void read_without_tree(const XrBuffer *line, const XrJson *json) {
    XrJsonReader r;
    XrError err = {0};
    size_t count;
    if (xr_json_reader_start(&r, "line", line->data, line->length, &XR_JSON_SMALL, &err) &&
        xr_json_reader_skip(&r, &count) && xr_json_reader_finish(&r)) {
        XR_REQUIRE(json && count == (size_t)cJSON_GetArraySize(json->root),
                   "two readers of JSON disagree");
    } else {
        XR_REQUIRE(err.message[0], "refused without a message");
    }
    xr_json_reader_end(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    FILE *file = fmemopen((void *)data, size, "rb");
    XR_REQUIRE(file, "cannot open memory as a file");
    XrBuffer line = {0}, scratch = {0};
    XrError err = {0};
    size_t seen = 0;
    int got;
    while ((got = xr_read_line(file, LINE_LIMIT, &line, &err)) == 1) {
        XR_REQUIRE(line.length <= LINE_LIMIT && line.data[line.length] == '\0', "a line too long");
        seen += line.length;
        XrJson json;
        bool parsed = xr_json_parse(&json, "line", line.data, line.length, &XR_JSON_SMALL, &err);
        read_without_tree(&line, parsed ? &json : NULL);
        if (!parsed) {
            XR_REQUIRE(err.message[0], "refused without a message");
            continue;
        }
        walk(&json, json.root, &scratch);
        xr_json_free(&json);
    }
    XR_REQUIRE(got < 0 || seen <= size, "more text than there is");
    xr_buffer_free(&line);
    xr_buffer_free(&scratch);
    fclose(file);
    return 0;
}
