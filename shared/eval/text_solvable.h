// The paper's filter (table 6): questions that are solved without their pictures are dropped.
#ifndef XR_EVAL_TEXT_SOLVABLE_H
#define XR_EVAL_TEXT_SOLVABLE_H

#include "shared/base/error.h"

// Reads runs with `without_images` (one a model, of the same items) and writes the items to keep to
// `out_path`, {"dataset", "id"} a line, in the order of the first run's items. A model solves an
// item when all its samples of it are right; the item is dropped when all models do, or, with
// `any`, one of them. Items that were left out of the runs are kept. Prints how many are kept.
// Errors: a run that saw the pictures or has not ended, runs of different items.
bool xr_text_solvable(const char *const *folders, int count, bool any, const char *out_path,
                      XrError *err);

#endif
