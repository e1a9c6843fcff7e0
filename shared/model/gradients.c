#include "shared/model/gradients.h"

#include "shared/base/memory.h"

#include <stdlib.h>

bool xr_gradients_create(XrGradients *out, const XrModel *model, const bool *trained,
                         XrError *err) {
    const XrParameterTable *table = &model->table;
    *out =
        (XrGradients){.model = model, .items = xr_calloc((size_t)table->count, sizeof *out->items)};
    int64_t elements = 0;
    for (int i = 0; i < table->count; i++) {
        if (trained[i]) elements += xr_parameter_elements(&table->items[i]);
    }
    if (!xr_tensor_alloc(model->backend, &out->flat, XR_F32, 1, &elements, "gradients", err)) {
        xr_gradients_free(out);
        return false;
    }
    int64_t at = 0;
    for (int i = 0; i < table->count; i++) {
        const XrParameter *p = &table->items[i];
        out->items[i] = xr_tensor_of(XR_F32, NULL, p->ndim, p->shape);
        if (!trained[i]) continue;
        out->items[i].data = xr_rows(&out->flat, at, xr_parameter_elements(p)).data;
        at += xr_parameter_elements(p);
    }
    xr_gradients_zero(out);
    return true;
}

void xr_gradients_zero(XrGradients *gradients) {
    XrBackend *b = gradients->model->backend;
    b->zero(b, gradients->flat.data, xr_nbytes(&gradients->flat));
    gradients->zero = true;
}

XrTensor xr_gradients_spare(const XrGradients *gradients, XrRole role, int64_t block) {
    const XrTensor *flat = &gradients->flat;
    if (!gradients->zero) return xr_rows(flat, 0, 0);
    XrTensor used = xr_parameter_gradient(gradients, role, block);
    if (!used.data) return *flat;
    int64_t before = (const float *)used.data - (const float *)flat->data;
    int64_t end = (before + xr_numel(&used) + 15) / 16 * 16; // on a line of the cache
    int64_t behind = flat->shape[0] - end;
    return before > behind ? xr_rows(flat, 0, before) : xr_rows(flat, end, behind);
}

void xr_gradients_free(XrGradients *gradients) {
    if (gradients->model) xr_tensor_free(gradients->model->backend, &gradients->flat);
    free(gradients->items);
    *gradients = (XrGradients){0};
}

XrTensor xr_parameter_gradient(const XrGradients *gradients, XrRole role, int64_t block) {
    if (role == XR_HEAD && gradients->model->config.tied) role = XR_EMBED;
    int index = xr_parameter_index(&gradients->model->table, role, block);
    return index < 0 ? (XrTensor){0} : gradients->items[index];
}
