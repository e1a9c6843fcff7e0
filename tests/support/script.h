// A model that says what a test wants: a golden model runs, but the tokens that are drawn come from
// a script, through a tokenizer of 256 bytes and a few longer pieces.
#ifndef XR_TESTS_SCRIPT_H
#define XR_TESTS_SCRIPT_H

#include "shared/engine/engine.h"

// Ids of the tokenizer's control tokens; </think> is one of them only where asked for.
enum { XR_SCRIPT_END = 390, XR_SCRIPT_START = 391, XR_SCRIPT_CLOSE = 392 };

typedef struct XrScript {
    XrBackend *backend;
    XrModel *model;
    XrTokenizer *tokenizer;
    XrEngine *engine;
} XrScript;

// `think_token`: "</think>" is a token of the vocabulary, as in Qwen3.
XrScript *xr_script_open(bool think_token);
void xr_script_close(XrScript *script);

// The id of a piece that the tokenizer has as one token: a byte, "</", "think", ">\n\n", ".</",
// ...;
// "<end>" is the end-of-text token. The test fails when there is none.
int32_t xr_script_id(const XrScript *script, const char *piece);

// The response to a prompt that ends with `tail` after its last control token, when the model says
// the pieces of `words` (separated by '|', a "||" is one '|'), and then the end-of-text token. Free
// it with xr_response_free.
XrResponse *xr_script_run(XrScript *script, const char *tail, const char *words,
                          const XrRequest *settings);

#endif
