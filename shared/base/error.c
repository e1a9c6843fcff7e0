#include "shared/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool xr_fail(XrError *err, XrStatus status, const char *format, ...) {
    if (!err) return false;
    err->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return false;
}

bool xr_fail_in(XrError *err, const char *format, ...) {
    if (!err) return false;
    char context[512];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    char inner[sizeof err->message];
    memcpy(inner, err->message, sizeof inner);
    int used = snprintf(err->message, sizeof err->message, "%s: ", context);
    if (used > 0 && (size_t)used < sizeof err->message) {
        size_t room = sizeof err->message - (size_t)used - 1;
        size_t length = strnlen(inner, room);
        memcpy(err->message + used, inner, length);
        err->message[(size_t)used + length] = '\0';
    }
    return false;
}

void xr_bug(const char *file, int line, const char *format, ...) {
    fprintf(stderr, "xreasoner: bug at %s:%d: ", file, line);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}
