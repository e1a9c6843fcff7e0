#include "tests/support/backends.h"

#include "tests/support/test.h"

#include <stdlib.h>

#ifdef XR_CUDA_EMULATION
#include "cuda/emulation/emulation.h"
#endif

XrBackend *xr_test_backend(const char *name) {
    if (strncmp(name, "cuda", 4) != 0) return xr_cpu_create(atoi(name));
#ifdef XR_CUDA_EMULATION
    xr_emulation_set_capability(9, 0);
#endif
    XrError err;
    XrBackend *b = xr_cuda_create(0, name[4] ? XR_BF16 : XR_F32, 1, &err);
    if (!b) {
        print_message("skipped: %s\n", err.message);
        skip();
    }
    b->batch_invariant = !name[4] || strstr(name, "invariant");
    return b;
}
