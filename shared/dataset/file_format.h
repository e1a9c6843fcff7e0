// Which published format the rows of a file have.
#ifndef XR_DATASET_FILE_FORMAT_H
#define XR_DATASET_FILE_FORMAT_H

#include "shared/dataset/example.h"

// The format of that name, or with "auto" the one that row `first` has; where rows may be left out
// (`tolerant`), the first row from there to `end` that has one. NULL and an error otherwise.
const XrFormat *xr_file_format(const XrRows *rows, const char *name, int64_t first, int64_t end,
                               bool tolerant, XrError *err);

#endif
