#include "shared/base/buffer.h"

#include "shared/base/memory.h"
#include "shared/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void xr_buffer_reserve(XrBuffer *buffer, size_t more) {
    size_t need = buffer->length + more + 1;
    if (need <= buffer->capacity) return;
    buffer->capacity = XR_MAX(need, buffer->capacity * 2);
    buffer->data = xr_realloc(buffer->data, buffer->capacity);
}

void xr_buffer_append(XrBuffer *buffer, const void *bytes, size_t count) {
    xr_buffer_reserve(buffer, count);
    if (count) memcpy(buffer->data + buffer->length, bytes, count);
    buffer->length += count;
    buffer->data[buffer->length] = '\0';
}

void xr_buffer_text(XrBuffer *buffer, const char *text) {
    xr_buffer_append(buffer, text, strlen(text));
}

void xr_buffer_byte(XrBuffer *buffer, char byte) {
    xr_buffer_append(buffer, &byte, 1);
}

void xr_buffer_format(XrBuffer *buffer, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int count = vsnprintf(NULL, 0, format, args);
    va_end(args);
    XR_REQUIRE(count >= 0, "vsnprintf failed on \"%s\"", format);
    xr_buffer_reserve(buffer, (size_t)count);
    vsnprintf(buffer->data + buffer->length, (size_t)count + 1, format, again);
    va_end(again);
    buffer->length += (size_t)count;
}

static void json_character(XrBuffer *buffer, const char *at, int bytes) {
    unsigned char c = (unsigned char)*at;
    switch (c) {
    case '"':
        xr_buffer_text(buffer, "\\\"");
        return;
    case '\\':
        xr_buffer_text(buffer, "\\\\");
        return;
    case '\n':
        xr_buffer_text(buffer, "\\n");
        return;
    case '\r':
        xr_buffer_text(buffer, "\\r");
        return;
    case '\t':
        xr_buffer_text(buffer, "\\t");
        return;
    default:
        break;
    }
    if (c < 0x20 || c == 0x7F)
        xr_buffer_format(buffer, "\\u%04x", c);
    else
        xr_buffer_append(buffer, at, (size_t)bytes);
}

void xr_buffer_json(XrBuffer *buffer, const char *bytes, size_t count) {
    xr_buffer_byte(buffer, '"');
    for (size_t at = 0; at < count;) {
        uint32_t code_point;
        int length = xr_utf8_decode(bytes + at, count - at, &code_point);
        if (length) {
            json_character(buffer, bytes + at, length);
            at += (size_t)length;
        } else {
            bool incomplete;
            at += xr_utf8_invalid_length(bytes + at, count - at, &incomplete);
            xr_buffer_text(buffer, "\xEF\xBF\xBD");
        }
    }
    xr_buffer_byte(buffer, '"');
}

void xr_buffer_clear(XrBuffer *buffer) {
    buffer->length = 0;
    if (buffer->data) buffer->data[0] = '\0';
}

void xr_buffer_free(XrBuffer *buffer) {
    free(buffer->data);
    *buffer = (XrBuffer){0};
}
