// lost_rows.jsonl: one line for each row of the data that a run leaves out, or does not take whole.
#ifndef XR_TRAIN_LOST_ROWS_H
#define XR_TRAIN_LOST_ROWS_H

#include "shared/dataset/rows.h"
#include "shared/train/run_folder.h"

// What became of a row: "truncated", "dropped", ..., with its length in tokens (negative: not
// known) and the reason (NULL: none). A closed `lost` is written nothing.
typedef struct XrLostRow {
    const char *what;
    int64_t tokens;
    const char *why;
} XrLostRow;

bool xr_lost_row_write(XrLineFile *lost, const XrRows *rows, int64_t row, XrLostRow fate,
                       XrError *err);

// Opens <folder>/lost_rows.jsonl, empty.
bool xr_lost_rows_open(XrLineFile *out, const char *folder, XrError *err);

// Whether a failure to read a row is the row's own fault, so that the row can be left out; being
// out of memory, or interrupted, is not.
bool xr_lost_row_may_drop(const XrError *err);

#endif
