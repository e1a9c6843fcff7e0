// linear, linears and the gradients, on the shapes of the `bench` model (205 M parameters) and of a
// layer of the 7 B one. Cases that read weights go round several copies, so that they come from
// memory.
#include "shared/bench/bench.h"
#include "shared/bench/numbers.h"

#include "shared/base/memory.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t COLD_BYTES = (int64_t)320 << 20; // more than caches hold

typedef struct Linear {
    XrBackend *b;
    XrTensor x, y, w;
    int64_t copies, next;
    int64_t first, others; // columns of parts
    bool invariant;        // in the batch-invariant mode, which on a GPU is another way
} Linear;

static XrTensor next_weights(Linear *l) {
    int64_t rows = l->y.shape[1];
    l->next = (l->next + 1) % l->copies;
    return xr_rows(&l->w, l->next * rows, rows);
}

static void run_forward(void *state) {
    Linear *l = state;
    XrTensor w = next_weights(l);
    const bool kept = l->b->batch_invariant;
    l->b->batch_invariant = kept || l->invariant;
    xr_linear(l->b, &l->y, &l->x, &w, NULL);
    l->b->batch_invariant = kept;
    l->b->synchronize(l->b);
}

// The parts of `linears`: n[3] rows of the weights, then n[4] at a time.
static void run_parts(void *state) {
    Linear *l = state;
    XrTensor w[XR_MOST_LINEARS], y[XR_MOST_LINEARS], all = next_weights(l);
    XrLinears parts = {0};
    for (int64_t at = 0, rows = l->first; at < all.shape[0]; at += rows, rows = l->others) {
        int i = parts.count++;
        w[i] = xr_rows(&all, at, rows);
        y[i] = xr_columns(&l->y, at, rows);
        parts.part[i].y = &y[i];
        parts.part[i].w = &w[i];
    }
    xr_linears(l->b, parts, &l->x);
    l->b->synchronize(l->b);
}

static void run_input(void *state) {
    Linear *l = state;
    XrTensor w = next_weights(l);
    xr_linear_backward_input(l->b, &l->x, &l->y, &w, false);
    l->b->synchronize(l->b);
}

static void run_weight(void *state) {
    Linear *l = state;
    XrTensor w = next_weights(l);
    xr_linear_backward_weight(l->b, &w, NULL, &l->y, &l->x);
    l->b->synchronize(l->b);
}

static void *start(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    int64_t T = self->n[0], N = self->n[1], K = self->n[2];
    int64_t bytes = N * K * (int64_t)xr_dtype_size(self->dtype);
    Linear *l = xr_calloc(1, sizeof *l);
    l->b = b;
    l->first = self->n[3];
    l->others = self->n[4];
    l->invariant = self->n[5] != 0;
    l->copies = T <= 64 ? COLD_BYTES / bytes + 1 : 1;
    // A gradient of weights is in f32 beside any activations.
    bool f32 = self->dtype == XR_F32 && self->run != run_weight;
    XrDType activation = f32 ? XR_F32 : b->activations;
    l->x = xr_bench_tensor(b, activation, T, K);
    l->y = xr_bench_tensor(b, activation, T, N);
    l->w = xr_bench_tensor(b, self->dtype, N, K);
    if (l->copies > 1) {
        XrTensor all;
        if (!xr_tensor_alloc(b, &all, self->dtype, 2, (int64_t[]){N * l->copies, K}, "weights",
                             err)) {
            XR_BUG("%s", err->message);
        }
        for (int64_t i = 0; i < l->copies; i++) {
            b->copy(b, (char *)all.data + i * bytes, l->w.data, (size_t)bytes);
        }
        xr_tensor_free(b, &l->w);
        l->w = all;
    }
    *work = (XrBenchWork){.operations = 2.0 * (double)T * (double)N * (double)K,
                          .bytes = (double)bytes};
    return l;
}

static void finish(void *state) {
    Linear *l = state;
    xr_tensor_free(l->b, &l->x);
    xr_tensor_free(l->b, &l->y);
    xr_tensor_free(l->b, &l->w);
    free(l);
}

static void add(XrBenchList *list, const char *name, XrDType dtype, int64_t T, int64_t N, int64_t K,
                void (*run)(void *)) {
    XrBenchCase item = {
        .n = {T, N, K}, .dtype = dtype, .start = start, .run = run, .finish = finish};
    snprintf(item.name, sizeof item.name, "%s/%s/%lldx%lldx%lld", name, xr_dtype_name(dtype),
             (long long)T, (long long)N, (long long)K);
    xr_bench_add(list, &item);
}

static void add_invariant(XrBenchList *list, int64_t T, int64_t N, int64_t K) {
    XrBenchCase item = {.n = {T, N, K, 0, 0, 1},
                        .dtype = XR_BF16,
                        .start = start,
                        .run = run_forward,
                        .finish = finish};
    snprintf(item.name, sizeof item.name, "linear/bf16/%lldx%lldx%lld/invariant", (long long)T,
             (long long)N, (long long)K);
    xr_bench_add(list, &item);
}

// The 7 B model's products on a GPU.
static void add_large(XrBenchList *list) {
    static const int64_t SHAPES[][2] = {
        {4608, 3584}, {3584, 3584}, {18944, 3584}, {3584, 18944}, {152064, 3584}};
    static const int64_t FEW[] = {1, 16, 64}; // decoding
    for (size_t s = 0; s < XR_COUNT(SHAPES); s++) {
        const int64_t N = SHAPES[s][0], K = SHAPES[s][1];
        for (size_t r = 0; r < XR_COUNT(FEW); r++) {
            if (FEW[r] > 1 || (N != 18944 && K != 18944)) { // these are among all devices' cases
                add(list, "linear", XR_BF16, FEW[r], N, K, run_forward);
            }
        }
        add_invariant(list, 64, N, K);
        if (N == 152064) continue;
        // A training step's layers; the gradient of weights is in f32.
        add(list, "linear", XR_BF16, 8192, N, K, run_forward);
        add_invariant(list, 8192, N, K);
        add(list, "linear_backward_input", XR_BF16, 8192, N, K, run_input);
        add(list, "linear_backward_weight", XR_F32, 8192, N, K, run_weight);
    }
}

void xr_bench_linear(XrBenchList *list, bool gpu) {
    static const int64_t SHAPES[][2] = {{768, 768},    {256, 768},    {2048, 768},  {768, 2048},
                                        {151936, 768}, {18944, 3584}, {3584, 18944}};
    static const int64_t ROWS[] = {1, 8, 1024};
    for (int type = XR_F32; type <= XR_BF16; type++) {
        for (size_t r = 0; r < XR_COUNT(ROWS); r++) {
            for (size_t s = 0; s < XR_COUNT(SHAPES); s++) {
                if (ROWS[r] == 1024 && SHAPES[s][0] == 151936) continue;
                add(list, "linear", (XrDType)type, ROWS[r], SHAPES[s][0], SHAPES[s][1],
                    run_forward);
            }
        }
    }
    // q, k and v, gate and up of the 7 B model's layer.
    static const int64_t PARTS[][3] = {{4608, 3584, 512}, {37888, 18944, 18944}};
    for (size_t r = 0; r < XR_COUNT(ROWS); r++) {
        for (size_t s = 0; s < XR_COUNT(PARTS); s++) {
            XrBenchCase item = {.n = {ROWS[r], PARTS[s][0], 3584, PARTS[s][1], PARTS[s][2]},
                                .dtype = XR_BF16,
                                .start = start,
                                .run = run_parts,
                                .finish = finish};
            snprintf(item.name, sizeof item.name, "linears/bf16/%lldx%lldx3584", (long long)ROWS[r],
                     (long long)PARTS[s][0]);
            xr_bench_add(list, &item);
        }
    }
    add(list, "linear_backward_input", XR_F32, 1024, 2048, 768, run_input);
    add(list, "linear_backward_input", XR_BF16, 1024, 2048, 768, run_input);
    add(list, "linear_backward_weight", XR_F32, 1024, 2048, 768, run_weight);
    if (gpu) add_large(list);
}
