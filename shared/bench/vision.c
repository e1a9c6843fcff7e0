// The vision tower on one picture: patches on the host to rows of the language model.
#include "shared/bench/bench.h"
#include "shared/bench/made.h"

#include "shared/base/memory.h"
#include "shared/model/vision.h"

#include <stdlib.h>

typedef struct Seeing {
    XrBenchModel made;
    XrImageGrid grid;
    float *pixels;
} Seeing;

static void finish(void *state) {
    Seeing *s = state;
    xr_bench_model_free(&s->made);
    free(s->pixels);
    free(s);
}

// Matrices of tower and merger (whose rows are merged patches), and attention in windows or all.
static double operations_of(const XrModel *m, double patches) {
    const XrVisionConfig *v = &m->config.vision;
    double elements = 0, attention = 0, merged = (double)(v->merge * v->merge);
    int64_t side = v->window / v->patch;
    double window = (double)(side * side);
    for (int i = 0; i < m->table.count; i++) {
        const XrParameter *p = &m->table.items[i];
        double count = p->ndim > 1 ? (double)xr_parameter_elements(p) : 0;
        if (p->part == XR_PART_VISION) elements += count;
        if (p->part == XR_PART_MERGER) elements += count / merged;
    }
    for (int64_t i = 0; i < v->blocks; i++) {
        double keys = v->full_attention[i] ? patches : XR_MIN(window, patches);
        attention += 4 * patches * keys * (double)v->hidden;
    }
    return 2 * elements * patches + attention;
}

// n: cells of merged patches of a side; size.
static void *start(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Seeing *s = xr_calloc(1, sizeof *s);
    if (!xr_bench_model_make(&s->made, b, (XrBenchSize)self->n[1], 0, err) ||
        !xr_bench_model_place(&s->made, err)) {
        finish(s);
        return NULL;
    }
    const XrVisionConfig *v = &s->made.model->config.vision;
    int64_t side = self->n[0] * v->merge, patches = side * side;
    int64_t count = patches * v->channels * v->temporal_patch * v->patch * v->patch;
    s->grid = (XrImageGrid){1, side, side};
    s->pixels = xr_malloc((size_t)count * sizeof *s->pixels);
    for (int64_t i = 0; i < count; i++) s->pixels[i] = (float)(i % 509) / 254 - 1;
    *work = (XrBenchWork){.operations = operations_of(s->made.model, (double)patches),
                          .units = 1,
                          .unit = "pictures"};
    return s;
}

static void run(void *state) {
    Seeing *s = state;
    XrBackend *b = s->made.model->backend;
    XrTensor rows;
    XrError err;
    XR_REQUIRE(xr_vision_forward(s->made.model, &rows, s->pixels, &s->grid, 1, NULL, &err), "%s",
               err.message);
    b->synchronize(b);
    xr_tensor_free(b, &rows);
}

void xr_bench_vision(XrBenchList *list, bool tiny) {
    // 1,024 pixels are resized to 37 cells of 28.
    XrBenchCase item = {.name = "vision/1024x1024", .n = {37, XR_BENCH_7B}};
    if (tiny) item = (XrBenchCase){.name = "vision/tiny", .n = {5, XR_BENCH_TINY}};
    item.start = start;
    item.run = run;
    item.finish = finish;
    xr_bench_add(list, &item);
}
