// Errors. Anything that comes from outside (files, JSON, pictures, model answers, the command line)
// is reported through an XrError: what is wrong, where, and what would mend it. A bug (a shape that
// cannot be, a NULL, an index out of range) aborts through XR_REQUIRE, in release builds too.
#ifndef XR_BASE_ERROR_H
#define XR_BASE_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum XrStatus {
    XR_OK = 0,
    XR_ERR_INPUT,       // malformed or contradictory input
    XR_ERR_IO,          // the operating system refused: missing file, no permission, full disk
    XR_ERR_MEMORY,      // not enough memory for what the input asks for
    XR_ERR_LIMIT,       // a documented cap was exceeded
    XR_ERR_UNSUPPORTED, // well-formed, but of a kind that this program does not implement
    XR_ERR_INTERRUPTED, // the user asked to stop
} XrStatus;

typedef struct XrError {
    XrStatus status;
    char message[1024]; // one line of UTF-8 without a final newline
} XrError;

// Fills `err` (which may be NULL) and returns false, so that a caller can write
// `return xr_fail(err, XR_ERR_INPUT, "...")`.
bool xr_fail(XrError *err, XrStatus status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Puts "<context>: " in front of the message that `err` already holds and returns false.
bool xr_fail_in(XrError *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Prints the message with its place in the source to stderr and aborts.
void xr_bug(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

#define XR_BUG(...) xr_bug(__FILE__, __LINE__, __VA_ARGS__)
#define XR_REQUIRE(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) XR_BUG(__VA_ARGS__);                                                     \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
