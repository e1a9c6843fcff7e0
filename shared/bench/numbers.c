#include "shared/bench/numbers.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/tensor/convert.h"

#include <stdlib.h>

static XrTensor allocated(XrBackend *b, XrDType dtype, int ndim, const int64_t *shape) {
    XrTensor t;
    XrError err;
    XR_REQUIRE(xr_tensor_alloc(b, &t, dtype, ndim, shape, "numbers of a benchmark", &err), "%s",
               err.message);
    return t;
}

XrTensor xr_bench_tensor(XrBackend *b, XrDType dtype, int64_t rows, int64_t columns) {
    XrTensor t = allocated(b, dtype, 2, (int64_t[]){rows, columns});
    int64_t count = rows * columns;
    if (dtype == XR_I32) {
        b->zero(b, t.data, xr_nbytes(&t));
        return t;
    }
    float *host = xr_malloc((size_t)count * sizeof *host + 1);
    uint32_t random[4];
    for (int64_t i = 0; i < count; i++) {
        if (i % 4 == 0) xr_philox(1, 0, (uint64_t)i, random);
        host[i] = 2 * xr_uniform(random[i % 4]) - 1;
    }
    void *converted = xr_malloc(xr_nbytes(&t) + 1);
    xr_convert(converted, dtype, host, XR_F32, count);
    xr_upload(b, &t, converted);
    free(converted);
    free(host);
    return t;
}

XrTensor xr_bench_range(XrBackend *b, int64_t count, int64_t step) {
    XrTensor t = allocated(b, XR_I32, 1, &count);
    int32_t *host = xr_malloc((size_t)count * sizeof *host + 1);
    for (int64_t i = 0; i < count; i++) host[i] = (int32_t)(i * step);
    xr_upload(b, &t, host);
    free(host);
    return t;
}
