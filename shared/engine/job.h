// A request in the engine: what its samples have in common.
#ifndef XR_ENGINE_JOB_H
#define XR_ENGINE_JOB_H

#include "shared/engine/forced_exit.h"
#include "shared/engine/request.h"
#include "shared/engine/transcript.h"
#include "shared/model/model.h"

typedef struct XrSequence XrSequence;

// What jobs need of the engine that they are in.
typedef struct XrSetting {
    const XrModel *model;
    const XrTokenizer *tokenizer; // may be NULL: no text, stop strings or forced exit
    XrEncoder *encoder;           // NULL without a tokenizer
    int64_t context;              // most tokens of a sequence: the model's positions and the cache
} XrSetting;

typedef struct XrJob {
    const XrSetting *setting;
    XrRequest request; // its pointers lead to copies that the job owns, `pixels` excepted
    uint64_t arrival;
    double added;          // seconds, xr_now
    int32_t *positions;    // [3, prompt_count]
    int32_t next_position; // of the first token after the prompt
    int32_t *image_rows;   // [prompt_count] row of `images` that stands for each token, -1 for text
    XrTensor images;       // picture embeddings; without data until they are needed
    // [prompt_count] what the cache of each token depends on besides the tokens before it: the id,
    // or a hash of the picture and the place in it.
    uint64_t *content;
    XrStopStrings stops;
    XrBuffer tail;         // the prompt's text after its last control token
    XrThinking thinking;   // as each sample starts
    int64_t think_limit;   // an open thinking is closed after so many tokens; -1: never
    int64_t exit_tokens;   // most tokens that closing it takes
    XrSequence *sequences; // [sequence_count] the samples, then, if asked for, each one's branch
    int sequence_count;
    int alive;      // samples that have not ended
    bool cancelled; // ends at the start of the next step
    bool prefilled; // sample 0 has run the prompt, and the others have its pages
    XrResponse *response;
} XrJob;

// Checks and copies a request. What is wrong with it is an error that says so.
bool xr_job_create(XrJob **out, const XrSetting *setting, const XrRequest *request, XrError *err);
// Frees all but the response.
void xr_job_free(XrJob *job);

// Tokens that are known of sequences of this job from the start.
static inline int64_t xr_job_prompt(const XrJob *job) {
    return job->request.prompt_count;
}

// Seconds of a clock that never goes back.
double xr_now(void);

#endif
