// The options that say where a command computes, and the backend that they name.
#ifndef XR_CLI_DEVICE_H
#define XR_CLI_DEVICE_H

#include "shared/cli/options.h"
#include "shared/tensor/backend.h"

// What was asked for; begin with XR_DEVICE_DEFAULT.
typedef struct XrDevice {
    const char *name; // "cpu" or "cuda"
    int64_t threads;  // of the host, 0: one a processor
    bool batch_invariant;
} XrDevice;
#define XR_DEVICE_DEFAULT                                                                          \
    { .name = "cpu" }

// --device, --threads and --batch-invariant, as XR_DEVICE_OPTIONS rows of a table of options.
enum { XR_DEVICE_OPTIONS = 3 };
#define XR_DEVICE_OPTION_ROWS(device)                                                              \
    {"device",                                                                                     \
     XR_OPT_TEXT,                                                                                  \
     &(device)->name,                                                                              \
     "D",                                                                                          \
     "where to compute; cuda: the first GPU of CUDA_VISIBLE_DEVICES",                              \
     "cpu|cuda",                                                                                   \
     0,                                                                                            \
     0},                                                                                           \
        {"threads", XR_OPT_INT, &(device)->threads, "N", "threads, 0: one a processor", NULL,      \
         0,         256},                                                                          \
    {                                                                                              \
        "batch-invariant", XR_OPT_FLAG, &(device)->batch_invariant, NULL,                          \
            "cuda: a row's result does not depend on the other rows, as on the CPU", NULL, 0, 0    \
    }

// The backend. Activations on a GPU are bf16 where a model's weights are not f32. NULL and an error
// that says what to do where this build, the machine or its driver has no such device.
XrBackend *xr_device_open(const XrDevice *device, XrError *err);

#endif
