// Everything in a Hugging Face folder that answering a conversation takes: model, tokenizer, chat
// template, image processor, generation defaults.
#ifndef XR_PROMPT_CHAT_MODEL_H
#define XR_PROMPT_CHAT_MODEL_H

#include "shared/image/processor.h"
#include "shared/model/generation_config.h"
#include "shared/model/model.h"
#include "shared/text/chat_template.h"
#include "shared/text/encoder.h"

typedef struct XrChatModelOptions {
    XrWeightType weights;
    bool check_finite;              // read all weights and refuse NaN and infinities
    int64_t min_pixels, max_pixels; // of a picture after resizing; 0: what the folder says
    bool unplaced;                  // xr_model_open_unplaced
} XrChatModelOptions;

typedef struct XrChatModel {
    XrModel *model;
    XrTokenizer *tokenizer;
    XrEncoder *encoder; // for one thread at a time
    XrChatTemplate chat_template;
    XrImageProcessor processor;
    XrGenerationConfig generation;
    // Ids that no response may have, ascending: those that the tokenizer has no token for (rows
    // that only fill up the embedding) and the tokens that stand for pictures. For
    // XrRequest.suppress.
    int32_t *unspoken;
    int unspoken_count;
} XrChatModel;

// Opens a folder on a backend, which must outlive it. `notice` receives a line for each thing that
// had to be assumed. The tokenizer's ids must all be rows of the model's embedding.
bool xr_chat_model_open(XrChatModel **out, XrBackend *backend, const char *folder,
                        const XrChatModelOptions *options, XrBuffer *notice, XrError *err);
void xr_chat_model_close(XrChatModel *chat_model);

#endif
