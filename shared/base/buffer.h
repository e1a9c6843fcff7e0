// A growing string of bytes. Zero-initialise, append, free. `data` always ends in a NUL that is not
// counted in `length` once anything was appended.
#ifndef XR_BASE_BUFFER_H
#define XR_BASE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>

typedef struct XrBuffer {
    char *data;
    size_t length, capacity;
} XrBuffer;

void xr_buffer_reserve(XrBuffer *buffer, size_t more);
void xr_buffer_append(XrBuffer *buffer, const void *bytes, size_t count);
void xr_buffer_text(XrBuffer *buffer, const char *text);
void xr_buffer_byte(XrBuffer *buffer, char byte);
void xr_buffer_format(XrBuffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// Appends `bytes` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void xr_buffer_json(XrBuffer *buffer, const char *bytes, size_t count);
void xr_buffer_clear(XrBuffer *buffer);
void xr_buffer_free(XrBuffer *buffer);

#endif
