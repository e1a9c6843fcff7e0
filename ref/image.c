#include "ref/image.h"

#include "ref/image_kernels.h"
#include "shared/base/memory.h"

#include <stdlib.h>

static void loop(XrThreads *threads, int64_t count, int64_t grain, XrLoopBody *body,
                 void *context) {
    if (threads) {
        xr_parallel(threads, count, grain, body, context);
    } else {
        body(context, 0, count, 0);
    }
}

static int64_t thread_count(const XrThreads *threads) {
    return threads ? xr_threads_count(threads) : 1;
}

// ---- rows ----

typedef struct RowLoop {
    const XrImageKernels *kernels;
    uint8_t *out, *scratch;
    const uint8_t *in;
    int height;
    size_t scratch_bytes; // of one thread
    const XrResampleAxis *axis;
} RowLoop;

static void row_blocks(void *context, int64_t begin, int64_t end, int thread) {
    const RowLoop *l = context;
    for (int64_t block = begin; block < end; block++) {
        int64_t y = block * XR_ROW_BLOCK;
        int rows = (int)XR_MIN(l->height - y, XR_ROW_BLOCK);
        l->kernels->rows(l->out + y * l->axis->out * 3, l->in + y * l->axis->in * 3, rows, l->axis,
                         l->scratch + (size_t)thread * l->scratch_bytes);
    }
}

bool xr_cpu_resample_rows(uint8_t *out, const uint8_t *in, int height, const XrResampleAxis *axis,
                          XrThreads *threads, XrError *err) {
    XR_REQUIRE(height > 0, "resample_rows: %d rows", height);
    RowLoop l = {.kernels = XR_CHOOSE_KERNELS(xr_image_kernels),
                 .out = out,
                 .in = in,
                 .height = height,
                 .axis = axis};
    l.scratch_bytes = XR_ROW_BLOCK * (3 * (size_t)axis->in + 32);
    l.scratch = xr_try_alloc(l.scratch_bytes * (size_t)thread_count(threads), "resizing", err);
    if (!l.scratch) return false;
    loop(threads, (height + XR_ROW_BLOCK - 1) / XR_ROW_BLOCK, 1, row_blocks, &l);
    free(l.scratch);
    return true;
}

// ---- columns ----

typedef struct ColumnLoop {
    const XrImageKernels *kernels;
    uint8_t *out;
    const uint8_t *in;
    int64_t row_bytes;
    const XrResampleAxis *axis;
} ColumnLoop;

static void column_rows(void *context, int64_t begin, int64_t end, int thread) {
    const ColumnLoop *l = context;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        l->kernels->column(l->out + i * l->row_bytes, l->in, l->row_bytes, l->row_bytes, l->axis,
                           (int)i);
    }
}

void xr_cpu_resample_columns(uint8_t *out, const uint8_t *in, int64_t row_bytes,
                             const XrResampleAxis *axis, XrThreads *threads) {
    ColumnLoop l = {XR_CHOOSE_KERNELS(xr_image_kernels), out, in, row_bytes, axis};
    loop(threads, axis->out, 16, column_rows, &l);
}

// ---- patches ----

typedef struct PatchLoop {
    const XrImageKernels *kernels;
    float *out;
    const uint8_t *rgb;
    const float *table;
    const XrPatchLayout *layout;
} PatchLoop;

static void merged_rows(void *context, int64_t begin, int64_t end, int thread) {
    const PatchLoop *l = context;
    (void)thread;
    const XrPatchLayout *p = l->layout;
    int64_t area = (int64_t)p->patch * p->patch;
    int64_t bytes = 3 * area * p->merge * p->w, values = bytes * p->temporal;
    for (int64_t row = begin; row < end; row++) {
        l->kernels->patches(l->out + row * values, l->rgb + row * bytes, l->table, p);
    }
}

void xr_cpu_patchify(float *out, const uint8_t *rgb, const float *table,
                     const XrPatchLayout *layout, XrThreads *threads) {
    XR_REQUIRE(layout->h % layout->merge == 0 && layout->w % layout->merge == 0,
               "patchify: %d x %d patches cannot be merged by %d", (int)layout->h, (int)layout->w,
               layout->merge);
    PatchLoop l = {XR_CHOOSE_KERNELS(xr_image_kernels), out, rgb, table, layout};
    loop(threads, layout->h / layout->merge, 1, merged_rows, &l);
}
