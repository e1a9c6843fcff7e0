// Rollouts: responses sampled for questions by the engine. The ids that are trained on are those
// that were sampled; nothing is tokenised again.
#ifndef XR_TRAIN_ROLLOUT_H
#define XR_TRAIN_ROLLOUT_H

#include "shared/engine/engine.h"
#include "shared/train/progress.h"
#include "shared/train/questions.h"

// One response. All of it is owned.
typedef struct XrRollout {
    int sample;
    int64_t count;
    int32_t *ids;     // [count] the stop id included
    uint8_t *forced;  // [count] 1: injected, not sampled
    float *logprobs;  // [count] the sampler's, of logits / temperature; NULL: not recorded
    float *reference; // [count] under the reference model; NULL: there is none
    char *text;
    size_t text_bytes;
    char *finish;   // "stop", "length", "forced_exit"
    bool truncated; // it ended for want of tokens
    double score;   // the verifier's, 0 or 1
    double reward;  // the score after what is done about over-long responses
    float advantage;
    char *verdict, *extracted; // the verifier's; extracted is ended by NUL
} XrRollout;

// The samples of one prompt.
typedef struct XrRolloutGroup {
    uint64_t number;            // names the random numbers
    const XrQuestion *question; // NULL for recorded rollouts
    char *id, *gold;
    int32_t *prompt;
    int64_t prompt_count;
    XrRollout *rollouts; // [count]
    int count;
} XrRolloutGroup;

void xr_rollout_group_free(XrRolloutGroup *group);

// Whether a token enters the loss, ratios and counts: forced ones do not.
static inline bool xr_rollout_trained(const XrRollout *rollout, int64_t token,
                                      bool mask_truncated) {
    return !rollout->forced[token] && !(mask_truncated && rollout->truncated);
}

// An engine with the settings that all rollouts of a run share.
typedef struct XrSampler {
    XrEngine *engine;
    XrRequest request; // without prompt, id and lists
    int32_t stop[XR_MAX_EOS];
    const XrTokenizer *tokenizer;
    XrProgress *progress; // shows how many prompts are done, beside `done` of its units; or NULL
    int64_t done;
} XrSampler;

// Samples with the model as it is when xr_sampler_run is called. The chat model must outlive it.
bool xr_sampler_create(XrSampler *out, const XrChatModel *chat_model, const XrRunConfig *config,
                       XrError *err);
void xr_sampler_free(XrSampler *sampler);

// Fills groups[0..count), of which `number` and `question` are set, with `samples` rollouts each,
// all of them in one continuous batch. A group's rollouts depend on its number, the seed and the
// weights alone. Ends early with XR_ERR_INTERRUPTED after an interrupt; what was filled must be
// freed.
bool xr_sampler_run(XrSampler *sampler, XrRolloutGroup *groups, int count, int samples,
                    XrError *err);

#endif
