#include "shared/tensor/backend.h"

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
