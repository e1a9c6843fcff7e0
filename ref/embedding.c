// Rows by index: the embedding table and its gradient, gathering and scattering.
#include "ref/cpu.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

#include <string.h>

typedef struct RowWork {
    const XrTensor *to, *from;
    const int32_t *index;
} RowWork;

static void require_index(const char *operation, int64_t index, int64_t i, const XrTensor *t) {
    XR_REQUIRE(index < t->shape[0], "%s: index %lld of row %lld is past the end of %s", operation,
               (long long)index, (long long)i, xr_shape_text(t));
}

static void embed_rows(void *context, int64_t begin, int64_t end, int thread) {
    const RowWork *w = context;
    int64_t width = w->to->shape[1];
    for (int64_t t = begin; t < end; t++) {
        float *x = (float *)w->to->data + t * w->to->row_stride;
        int64_t id = w->index[t];
        require_index("embedding", id, t, w->from);
        if (id < 0)
            memset(x, 0, (size_t)width * sizeof *x);
        else
            xr_cpu_widen(x, w->from, id * width, width);
    }
}

void xr_cpu_embedding(XrBackend *b, const XrTensor *x, const XrTensor *table, const XrTensor *ids) {
    xr_cpu_require_f32(x, "embedding");
    RowWork work = {x, table, ids->data};
    xr_cpu_parallel(b, x->shape[0], 8, embed_rows, &work);
}

enum { GRADIENT_COLUMNS = 64 };

// A block of columns of all tokens, in the order of tokens: rows that share an id are summed in
// the same order whatever the threads.
static void embed_back_columns(void *context, int64_t begin, int64_t end, int thread) {
    const RowWork *w = context;
    int64_t width = w->to->shape[1], first = begin * GRADIENT_COLUMNS;
    int64_t last = XR_MIN(end * GRADIENT_COLUMNS, width);
    for (int64_t t = 0; t < w->from->shape[0]; t++) {
        int64_t id = w->index[t];
        require_index("embedding_backward", id, t, w->to);
        if (id < 0) continue;
        float *to = (float *)w->to->data + id * width;
        const float *from = (const float *)w->from->data + t * w->from->row_stride;
        for (int64_t d = first; d < last; d++) to[d] += from[d];
    }
}

void xr_cpu_embedding_backward(XrBackend *b, const XrTensor *dtable, const XrTensor *dx,
                               const XrTensor *ids) {
    xr_cpu_require_f32(dx, "embedding_backward");
    RowWork work = {dtable, dx, ids->data};
    int64_t blocks = (dx->shape[1] + GRADIENT_COLUMNS - 1) / GRADIENT_COLUMNS;
    xr_cpu_parallel(b, blocks, 1, embed_back_columns, &work);
}

static void *row_at(const XrTensor *t, int64_t row) {
    return (char *)t->data + (size_t)(row * t->row_stride) * xr_dtype_size(t->dtype);
}

static void gather(void *context, int64_t begin, int64_t end, int thread) {
    const RowWork *w = context;
    size_t bytes = (size_t)w->to->shape[1] * xr_dtype_size(w->to->dtype);
    for (int64_t i = begin; i < end; i++) {
        XR_REQUIRE(w->index[i] >= 0, "gather_rows: index %d of row %lld", w->index[i],
                   (long long)i);
        require_index("gather_rows", w->index[i], i, w->from);
        memcpy(row_at(w->to, i), row_at(w->from, w->index[i]), bytes);
    }
}

void xr_cpu_gather_rows(XrBackend *b, const XrTensor *y, const XrTensor *x, const XrTensor *index) {
    RowWork work = {y, x, index->data};
    xr_cpu_parallel(b, y->shape[0], 8, gather, &work);
}

static void scatter(void *context, int64_t begin, int64_t end, int thread) {
    const RowWork *w = context;
    size_t bytes = (size_t)w->to->shape[1] * xr_dtype_size(w->to->dtype);
    for (int64_t i = begin; i < end; i++) {
        XR_REQUIRE(w->index[i] >= 0, "scatter_rows: index %d of row %lld", w->index[i],
                   (long long)i);
        require_index("scatter_rows", w->index[i], i, w->to);
        memcpy(row_at(w->to, w->index[i]), row_at(w->from, i), bytes);
    }
}

void xr_cpu_scatter_rows(XrBackend *b, const XrTensor *y, const XrTensor *x,
                         const XrTensor *index) {
    RowWork work = {y, x, index->data};
    xr_cpu_parallel(b, x->shape[0], 8, scatter, &work);
}
