// Golden requests through golden models (golden/README.md).
#ifndef XR_TESTS_MODELS_H
#define XR_TESTS_MODELS_H

#include "shared/model/batch.h"
#include "tests/support/golden.h"

// One request: its reference tensors, token ids and pictures.
typedef struct XrGoldenRequest {
    XrGolden golden;
    int32_t *ids;
    int64_t count;
    XrImageGrid *grids;
    int grid_count;
    float *pixels; // all pictures' patches
    int64_t patches;
} XrGoldenRequest;

// The names of all requests, "MODEL.REQUEST", sorted; `*count` of them. Kept until the program
// ends.
const char *const *xr_golden_request_names(int *count);

// Opens the model of a request on a backend, as stored.
XrModel *xr_golden_model(XrBackend *backend, const char *request);
// Reads a request; fails the test when that cannot be.
XrGoldenRequest xr_golden_request(const char *name);
void xr_golden_request_free(XrGoldenRequest *request);
XrPackedSequence xr_golden_sequence(const XrGoldenRequest *request);

// Writes "<scratch>/base", a model with random weights (one layer, 32 wide) and the published
// vocabulary, and returns its path, to be freed. Skips the calling test without the real data.
char *xr_test_untrained_model(void);

#endif
