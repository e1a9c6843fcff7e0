// Stands for cuda/ in builds without it (neither XR_CUDA nor XR_CUDA_EMULATION).
#include "shared/bench/bench.h"
#include "shared/tensor/backend.h"

XrBackend *xr_cuda_create(int device, XrDType activations, int threads, XrError *err) {
    xr_fail(err, XR_ERR_UNSUPPORTED,
            "this build has no CUDA: build with cmake --preset cuda (needs the CUDA Toolkit), or "
            "use --device cpu");
    return NULL;
}

const char *xr_cuda_build(void) {
    return NULL;
}

void xr_bench_batches(XrBenchList *list, bool tiny) {
    (void)list, (void)tiny; // these compare a GPU with a core
}
