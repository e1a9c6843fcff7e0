// What a request's samples say, as it goes to standard output: streamed text, or JSON.
#ifndef XR_CLI_ANSWER_H
#define XR_CLI_ANSWER_H

#include "shared/engine/engine.h"

typedef struct XrAnswer {
    int samples;
    const char *const *stop_strings; // the request's
    bool json;
    double load_seconds; // from the program's start to the model's being ready
    int showing;         // the sample whose text is being streamed
    XrBuffer *held;      // [samples] text of those after it
    bool *ended;         // [samples]
} XrAnswer;

// The request's stop strings must outlive the answer.
void xr_answer_start(XrAnswer *answer, const XrRequest *request, bool json, double load_seconds);
// An XrPieceFn: streams the text of one sample after the other, to standard output, in whole
// characters. Writes nothing for JSON.
void xr_answer_piece(void *answer, const XrPiece *piece);
// Writes what is left, or the JSON objects, and says on standard error what was cut short. Frees
// the answer.
void xr_answer_finish(XrAnswer *answer, const XrResponse *response);

#endif
