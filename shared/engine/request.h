// What is asked of the engine, and what comes back.
#ifndef XR_ENGINE_REQUEST_H
#define XR_ENGINE_REQUEST_H

#include "shared/base/error.h"
#include "shared/image/preprocess.h"
#include "shared/model/generation_config.h"

#include <stddef.h>
#include <stdint.h>

// Applied in transformers' order: repetition penalty over the distinct ids of prompt and output
// (image tokens and forced ids included), suppressed ids, temperature, top-k, top-p.
typedef struct XrSampling {
    float temperature;        // 0: always the most likely token
    int32_t top_k;            // 0: off
    float top_p;              // 1: off
    float repetition_penalty; // 1: off
    uint64_t seed;
} XrSampling;

// When a response counts as thinking.
typedef enum XrThinkStart {
    XR_THINK_FROM_START,  // from its first token, unless the prompt has already closed its thinking
    XR_THINK_WHEN_OPENED, // once <think> stands in it, or at the end of the prompt
} XrThinkStart;

// Forced exit (docs/engine.md). Thinking that is still open after `budget` tokens is closed with
// injected text; of max_new_tokens, `answer_budget` are kept in reserve for what follows.
typedef struct XrThinkLimits {
    int64_t budget; // tokens of the response; -1: no limit
    int64_t
        answer_budget; // most tokens after the injected ones; -1: all that max_new_tokens leaves
    XrThinkStart start;
    const char *suffix; // what follows the injected "</think>"; NULL: "\n\n"
    bool branch;        // let the sample go on without a budget too; XrSample.forced_exit has both
} XrThinkLimits;

// A piece of a sample's output: a token, or the end of the sample. Those of XrSample.forced_exit
// are not told.
typedef struct XrPiece {
    uint64_t request;
    int sample; // first_sample counted in
    bool last;  // the sample has ended; `id` is NULL, and the text is what was held back until now
    const int32_t *id;
    bool forced;      // the token was injected
    float logprob;    // of the token, see XrSample; NAN while that of a forced token is not known
    const char *text; // whole characters that can now be shown, ended by NUL; may be ""
    size_t text_bytes;
} XrPiece;

typedef void XrPieceFn(void *context, const XrPiece *piece);

// Start from xr_request_default(). What pointers lead to is copied when the request is added,
// except `pixels`, which must stay until the response has been taken.
typedef struct XrRequest {
    uint64_t id; // names the random numbers; no two requests in the engine may share it
    const int32_t *prompt;
    int64_t prompt_count;
    const float *pixels; // f32 rows of patches of all pictures, as the vision tower takes them
    const XrImageGrid *grids;
    int picture_count;
    int samples;      // N, sharing one prefill
    int first_sample; // the random numbers are those of samples first_sample .. first_sample+N-1
    XrSampling sampling;
    int64_t max_new_tokens; // of each sample, forced ones included; cut to what the context holds
    const int32_t *stop_ids;
    int stop_id_count;
    const char *const *stop_strings;
    int stop_string_count;
    const int32_t *suppress; // ids never drawn
    int suppress_count;
    XrThinkLimits think;
    bool keep; // keep the cache of sample 0 for a later request that starts with the same tokens
    XrPieceFn *on_piece;
    void *context;
} XrRequest;

// One greedy sample, no penalty, no budget, 2,048 tokens.
XrRequest xr_request_default(void);
// The sampling that a model folder asks for; seed 0.
XrSampling xr_sampling_of(const XrGenerationConfig *config);

typedef enum XrFinish {
    XR_FINISH_STOP,        // a stop id or stop string
    XR_FINISH_LENGTH,      // max_new_tokens
    XR_FINISH_FORCED_EXIT, // the exit from thinking was forced, however the answer then ended
    XR_FINISH_INTERRUPTED, // cancelled
    XR_FINISH_ERROR,       // see XrResponse.error
} XrFinish;

// "stop", "length", "forced_exit", "interrupted", "error"
const char *xr_finish_name(XrFinish finish);

typedef struct XrSample XrSample;

struct XrSample {
    int index; // first_sample counted in
    int64_t count;
    int32_t *ids;    // [count] as sampled or injected, the stop id included
    float *logprobs; // [count] log softmax(logits)[id], before penalty and truncation
    float *scaled;   // [count] log softmax(logits / temperature)[id]; at temperature 0 as logprobs
    uint8_t *forced; // [count] 1: injected
    int64_t forced_count;
    char *text; // UTF-8 ended by NUL, special tokens left out, cut before the stop string
    size_t text_bytes;
    XrFinish finish;
    bool truncated;  // it ended for want of tokens: stopped by neither an id nor a string
    int32_t stop_id; // what stopped it, or -1
    int stop_string; // index in the request's, or -1
    int64_t preemptions;
    double first_token_seconds, seconds; // since the request was added
    // With XrThinkLimits.branch: what the sample became where its exit was forced, while the sample
    // itself went on; they share what stands before. NULL where no exit was due.
    XrSample *forced_exit;
};

typedef struct XrResponse {
    uint64_t id;
    int64_t prompt_count;
    int64_t reused;         // tokens of the prompt that a kept cache already held
    int64_t max_new_tokens; // after the cut to the context
    int count;
    XrSample *samples; // [count]
    XrError error;     // status XR_OK unless a sample ended with XR_FINISH_ERROR
} XrResponse;

void xr_response_free(XrResponse *response);

#endif
