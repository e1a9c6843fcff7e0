#include "shared/model/batch.h"

#include "shared/base/memory.h"
#include "shared/model/positions.h"

#include <stdlib.h>

// The batch on the host, before it goes to the backend.
typedef struct Host {
    int32_t *ids, *positions, *cu, *image_rows;
    int64_t tokens, longest, image_count;
} Host;

static void host_free(Host *h) {
    free(h->ids);
    free(h->positions);
    free(h->cu);
    free(h->image_rows);
}

// Appends one sequence whose first token is row `at`.
static bool add_sequence(Host *h, const XrModel *model, const XrPackedSequence *s, int64_t at,
                         XrError *err) {
    const XrConfig *c = &model->config;
    for (int64_t i = 0; i < s->count; i++) {
        int32_t id = s->ids[i];
        if (id < 0 || id >= c->vocab) {
            return xr_fail(err, XR_ERR_INPUT, "token %lld is %d, but the model has %lld ids",
                           (long long)i, id, (long long)c->vocab);
        }
        bool image = c->has_vision && id == c->image_token;
        if (image) h->image_rows[h->image_count++] = (int32_t)(at + i);
        h->ids[at + i] = image ? -1 : id;
    }
    int32_t next;
    return xr_positions(h->positions + at, h->tokens, s->ids, s->count, c, s->grids, s->grid_count,
                        &next, err);
}

static bool gather(Host *h, const XrModel *model, const XrPackedSequence *sequences, int count,
                   XrError *err) {
    int64_t at = 0;
    for (int i = 0; i < count; i++) {
        h->cu[i] = (int32_t)at;
        if (!add_sequence(h, model, &sequences[i], at, err)) {
            return count > 1 ? xr_fail_in(err, "sequence %d", i) : false;
        }
        at += sequences[i].count;
        h->longest = XR_MAX(h->longest, sequences[i].count);
    }
    h->cu[count] = (int32_t)at;
    return true;
}

static bool put(XrBackend *b, XrTensor *out, int ndim, const int64_t *shape, const int32_t *values,
                XrError *err) {
    if (!xr_tensor_alloc(b, out, XR_I32, ndim, shape, "a batch", err)) return false;
    xr_upload(b, out, values);
    return true;
}

bool xr_batch_create(XrBatch *out, const XrModel *model, const XrPackedSequence *sequences,
                     int count, const XrTensor *images, XrError *err) {
    XrBackend *b = model->backend;
    *out = (XrBatch){.backend = b};
    Host h = {0};
    for (int i = 0; i < count; i++) h.tokens += sequences[i].count;
    size_t tokens = (size_t)h.tokens;
    h.ids = xr_malloc(sizeof(int32_t) * tokens);
    h.image_rows = xr_malloc(sizeof(int32_t) * tokens);
    h.positions = xr_malloc(sizeof(int32_t) * 3 * tokens);
    h.cu = xr_malloc(sizeof(int32_t) * ((size_t)count + 1));
    bool ok = gather(&h, model, sequences, count, err);
    if (ok) {
        XR_REQUIRE(h.image_count == (images ? images->shape[0] : 0),
                   "%lld image tokens for pictures of %s", (long long)h.image_count,
                   xr_shape_text(images));
        XrLanguageInput *in = &out->input;
        ok = put(b, &in->ids, 1, &h.tokens, h.ids, err) &&
             put(b, &in->positions, 2, (int64_t[]){3, h.tokens}, h.positions, err) &&
             put(b, &out->cu, 1, (int64_t[]){count + 1}, h.cu, err) &&
             put(b, &in->image_rows, 1, &h.image_count, h.image_rows, err);
        in->tokens = h.tokens;
        in->segments = (XrSegments){.cu = &out->cu, .longest = h.longest};
        if (images) in->images = *images;
    }
    host_free(&h);
    if (!ok) xr_batch_free(out);
    return ok;
}

void xr_batch_free(XrBatch *batch) {
    if (!batch->backend) return;
    xr_tensor_free(batch->backend, &batch->input.ids);
    xr_tensor_free(batch->backend, &batch->input.positions);
    xr_tensor_free(batch->backend, &batch->input.image_rows);
    xr_tensor_free(batch->backend, &batch->cu);
    *batch = (XrBatch){0};
}
