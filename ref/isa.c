#include "ref/isa.h"

#include "shared/base/error.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAMES[] = {"baseline", "avx2", "avx512"};

static XrIsa detect(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                __builtin_cpu_supports("bmi2");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    return avx512 ? XR_ISA_AVX512 : avx2 ? XR_ISA_AVX2 : XR_ISA_BASELINE;
#else
    return XR_ISA_BASELINE;
#endif
}

static XrIsa choose(void) {
    XrIsa best = detect();
    const char *wish = getenv("XR_CPU");
    if (!wish || !*wish) return best;
    for (int i = 0; i <= (int)XR_ISA_AVX512; i++) {
        if (strcmp(wish, NAMES[i]) == 0) return (XrIsa)i < best ? (XrIsa)i : best;
    }
    XR_BUG("XR_CPU=%s: must be baseline, avx2 or avx512", wish);
}

XrIsa xr_isa(void) {
    static _Atomic int chosen = -1;
    int isa = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (isa < 0) {
        isa = (int)choose();
        atomic_store_explicit(&chosen, isa, memory_order_relaxed);
    }
    return (XrIsa)isa;
}

const char *xr_isa_name(XrIsa isa) {
    return NAMES[isa];
}
