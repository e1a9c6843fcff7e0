// The lines that `xreasoner verify` reads: as they come in, and as pairs to judge.
#ifndef XR_CLI_VERIFY_INPUT_H
#define XR_CLI_VERIFY_INPUT_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/verify/verify.h"

#include <stdint.h>

// Lines from a file descriptor, with memory bounded by the longest allowed line.
typedef struct XrLineSource {
    int descriptor;
    XrBuffer pending;
    size_t at;      // where the next line begins in `pending`
    size_t scanned; // up to where no line's end lies
    int64_t number; // of the line read last, from 1
    bool ended;
} XrLineSource;

typedef enum XrLineStatus {
    XR_LINE_READ,
    XR_LINE_WAIT, // none is complete, and waiting was not wanted
    XR_LINE_END,
    XR_LINE_TOO_LONG, // the line was passed over
    XR_LINE_FAILED,   // the system could not read; errno says why
} XrLineStatus;

// The next line without its end, valid until the next call.
XrLineStatus xr_next_line(XrLineSource *source, size_t limit, bool wait, XrSpan *line);
void xr_line_source_free(XrLineSource *source);

// A line as a pair. The request's texts lie in `texts`.
typedef struct XrVerifyLine {
    XrVerifyRequest request;
    XrBuffer texts;
    XrSpan options[XR_VERIFY_MOST_OPTIONS];
} XrVerifyLine;

// Parses {"gold": …, "answer" or "response": …, "kind", "options", "question"}. `name` names the
// line in errors; `kind` holds where the line gives none.
bool xr_verify_line_parse(XrVerifyLine *line, const char *name, XrSpan json, XrVerifyKind kind,
                          XrError *err);
void xr_verify_line_free(XrVerifyLine *line);

#endif
