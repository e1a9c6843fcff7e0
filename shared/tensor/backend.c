#include "shared/tensor/backend.h"

#include "shared/base/memory.h"
#include "shared/tensor/convert.h"

#include <stdlib.h>
#include <string.h>

XrBackend *xr_backend_open(const char *device, int threads, XrError *err) {
    if (strcmp(device, "cpu") == 0) return xr_cpu_create(threads);
    if (strcmp(device, "cuda") == 0) return xr_cuda_create(0, XR_BF16, threads, err);
    xr_fail(err, XR_ERR_INPUT, "device \"%s\" must be cpu or cuda", device);
    return NULL;
}

void xr_backend_free(XrBackend *b) {
    if (b) b->destroy(b);
}

bool xr_tensor_alloc(XrBackend *b, XrTensor *out, XrDType dtype, int ndim, const int64_t *shape,
                     const char *what, XrError *err) {
    *out = xr_tensor_of(dtype, NULL, ndim, shape);
    out->data = b->alloc(b, xr_nbytes(out), what, err);
    return out->data != NULL;
}

void xr_tensor_free(XrBackend *b, XrTensor *t) {
    if (t->data) b->free(b, t->data);
    *t = (XrTensor){0};
}

void xr_upload(XrBackend *b, const XrTensor *to, const void *host) {
    XR_REQUIRE(xr_is_contiguous(to), "upload to a strided %s", xr_shape_text(to));
    b->upload(b, to->data, host, xr_nbytes(to));
}

void xr_download(XrBackend *b, void *host, const XrTensor *from) {
    XR_REQUIRE(xr_is_contiguous(from), "download of a strided %s", xr_shape_text(from));
    b->download(b, host, from->data, xr_nbytes(from));
}

void xr_upload_f32(XrBackend *b, const XrTensor *to, const float *host) {
    if (to->dtype == XR_F32) {
        xr_upload(b, to, host);
        return;
    }
    void *narrow = xr_malloc(xr_nbytes(to));
    xr_convert_parallel(b->threads, narrow, to->dtype, host, XR_F32, xr_numel(to));
    xr_upload(b, to, narrow);
    free(narrow);
}

void xr_download_f32(XrBackend *b, float *host, const XrTensor *from) {
    if (from->dtype == XR_F32) {
        xr_download(b, host, from);
        return;
    }
    void *narrow = xr_malloc(xr_nbytes(from));
    xr_download(b, narrow, from);
    xr_convert_parallel(b->threads, host, XR_F32, narrow, from->dtype, xr_numel(from));
    free(narrow);
}
