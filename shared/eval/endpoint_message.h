// What is sent to an OpenAI-compatible server, and what its reply says: POST URL/chat/completions.
#ifndef XR_EVAL_ENDPOINT_MESSAGE_H
#define XR_EVAL_ENDPOINT_MESSAGE_H

#include "shared/eval/asked.h"

// Appends the body of a request for one sample. Pictures are read from their files and sent as
// data: URLs. top_k, repetition_penalty, min_pixels and max_pixels, which vLLM and others know
// beyond OpenAI's keys, are sent only where they are not at their defaults.
bool xr_endpoint_request(XrBuffer *out, const XrRunConfig *config, const char *model,
                         const char *messages, int sample, XrError *err);

// A reply. Texts are owned.
typedef struct XrEndpointReply {
    XrBuffer text; // the message's content; where the server keeps the reasoning apart, that in
                   // <think> tags before it
    char *finish;  // finish_reason
    int64_t tokens, prompt_tokens; // by `usage`; -1: not told
} XrEndpointReply;

bool xr_endpoint_reply(XrEndpointReply *out, const char *name, const XrBuffer *body, XrError *err);
void xr_endpoint_reply_free(XrEndpointReply *reply);

// What the body of a failed request says is wrong, as one short line.
void xr_endpoint_complaint(XrBuffer *out, const XrBuffer *body);

#endif
