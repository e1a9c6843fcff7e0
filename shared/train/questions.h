// The questions of datasets with their gold answers, ready to be sampled for: prompts in ids.
#ifndef XR_TRAIN_QUESTIONS_H
#define XR_TRAIN_QUESTIONS_H

#include "shared/dataset/example.h"
#include "shared/prompt/chat_model.h"
#include "shared/train/run_folder.h"

typedef struct XrQuestion {
    char *id; // the row's own name, or FILE:ROW, rows counted from 0
    int source;
    int64_t row;
    int32_t *prompt; // [prompt_count] up to where the assistant begins
    int64_t prompt_count;
    char *messages; // the conversation in transformers' form, a JSON list without its brackets
    char *question; // "" where the row is a conversation
    char *gold;
    char *options[XR_EXAMPLE_MOST_OPTIONS];
    int option_count;
} XrQuestion;

typedef struct XrQuestions {
    XrQuestion *items;
    int64_t count;
    int64_t read;         // rows
    int64_t without_gold; // left out: nothing to compare with
    int64_t overlong;     // left out: longer than max_prompt_length, or no room for a response
    int64_t invalid;      // left out: could not be read
    int64_t longest;      // tokens of the longest prompt
    char **paths;         // of the data files
    uint64_t *hashes;     // of their contents
    int sources;
} XrQuestions;

// Reads datasets by prompt_template ("auto": the paper's training prompt; "none": the question
// alone), limited by max_items and max_prompt_length; prompts leave at least one token of
// `context`. Rows with pictures, and rows that cannot be read, are errors that name file and line
// (or, with invalid_rows "drop", left out), as is data of which nothing is left. `lost` receives a
// line for each row that is left out, unless it is closed.
bool xr_questions_open(XrQuestions *out, const XrChatModel *chat_model, const XrRunConfig *config,
                       const XrDatasetList *datasets, int64_t context, XrLineFile *lost,
                       XrError *err);
// Tells on stderr how many rows of `what` became questions, and how many did not, by reason.
void xr_questions_say(const char *what, const XrQuestions *questions);
void xr_questions_close(XrQuestions *questions);

#endif
