// Rows of datasets as sequences to learn from: ids, and which of them are targets.
#ifndef XR_TRAIN_SFT_DATA_H
#define XR_TRAIN_SFT_DATA_H

#include "shared/dataset/example.h"
#include "shared/image/preprocess.h"
#include "shared/prompt/chat_model.h"
#include "shared/train/run_config.h"
#include "shared/train/run_folder.h"

typedef enum XrOverlong { XR_OVERLONG_TRUNCATE, XR_OVERLONG_DROP, XR_OVERLONG_ERROR } XrOverlong;

typedef struct XrSftDataSettings {
    int64_t max_length;
    XrOverlong overlong;
    const char *prompt_template; // auto, none, a name or a file: what questions are put into
    bool drop_invalid;           // rows that cannot be read are left out
} XrSftDataSettings;

// What became of the rows.
typedef struct XrSftCounts {
    int64_t read;
    int64_t used;            // those below that are trained on
    int64_t truncated;       // used, without their ends
    int64_t dropped;         // over max_length (with "truncate": where the cut is inside a picture)
    int64_t without_target;  // nothing left to learn
    int64_t invalid;         // could not be read
    int64_t tokens, targets; // of the used ones
} XrSftCounts;

typedef struct XrSftSource {
    XrRows rows;
    const XrFormat *format;
} XrSftSource;

typedef struct XrSftItem {
    int32_t source; // which dataset
    int64_t row;    // of its file
} XrSftItem;

typedef struct XrSftData {
    const XrChatModel *chat_model; // not owned
    XrSftDataSettings settings;
    XrBuffer template_text;
    XrSftSource *sources;
    int source_count;
    // Rows that are trained on: `used` of each.
    XrSftItem *items;
    int32_t *tokens, *targets;
    XrSftCounts counts;
} XrSftData;

// Opens all datasets and looks at every row once, on all threads, to know its length. `lost`
// receives a line for each row that is truncated or left out, unless it is closed. A row that
// cannot be read or rendered is an error that names file and line, unless such rows are dropped; so
// is data of which nothing is left.
bool xr_sft_data_open(XrSftData *out, const XrChatModel *chat_model, const XrDatasetList *datasets,
                      const XrSftDataSettings *settings, XrLineFile *lost, XrError *err);
void xr_sft_data_close(XrSftData *data);

// A row in tokens.
typedef struct XrSftSequence {
    XrIds ids;
    bool *target; // [ids.count] whether the token is learnt
    XrPixels pixels;
} XrSftSequence;

// The sequence of items[index], tokens[index] tokens long; free it.
bool xr_sft_data_sequence(const XrSftData *data, int64_t index, XrSftSequence *out, XrError *err);
void xr_sft_sequence_free(XrSftSequence *sequence);

#endif
