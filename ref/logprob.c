// Log-probabilities of given tokens over the vocabulary. Logits are computed by xr_cpu_linear for a
// few rows at a time and reduced by ref/softmax.h, as the sampler does.
#include "ref/cpu.h"
#include "ref/product.h"
#include "ref/softmax.h"
#include "ref/softmax_kernels.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

#include <math.h>
#include <string.h>

// Bytes of logits: forward, whole rows that nobody keeps, the more the less often the head is read;
// backward, some columns of many rows, which stay in the third-level cache.
enum { FORWARD_SCRATCH = 64 << 20, BACKWARD_SCRATCH = 8 << 20 };

typedef struct Rows {
    const XrTensor *logprob, *entropy, *best, *lse, *targets;
    float *logits; // of rows first...
    int64_t first, vocab;
    float temperature;
} Rows;

static int64_t target_of(const XrTensor *targets, int64_t row, int64_t vocab) {
    int32_t target = ((const int32_t *)targets->data)[row];
    XR_REQUIRE(target < vocab, "logprob: target %d of a vocabulary of %lld", target,
               (long long)vocab);
    return target;
}

static void reduce_rows(void *context, int64_t begin, int64_t end, int thread) {
    const Rows *r = context;
    const XrSoftmaxKernels *k = XR_CHOOSE_KERNELS(xr_softmax_kernels);
    for (int64_t i = begin; i < end; i++) {
        float *z = r->logits + i * r->vocab, mean = 0;
        int64_t row = r->first + i, target = target_of(r->targets, row, r->vocab);
        if (r->temperature != 1) k->divide(z, r->vocab, r->temperature);
        float lse =
            r->entropy ? xr_cpu_row_lse_mean(z, r->vocab, &mean) : xr_cpu_row_lse(z, r->vocab);
        ((float *)r->logprob->data)[row] = target < 0 ? 0 : z[target] - lse;
        if (r->entropy) ((float *)r->entropy->data)[row] = lse - mean;
        if (r->best) ((int32_t *)r->best->data)[row] = xr_cpu_row_best(z, r->vocab);
        if (r->lse) ((float *)r->lse->data)[row] = lse;
    }
}

void xr_cpu_logprob(XrBackend *b, const XrTensor *logprob, const XrTensor *entropy,
                    const XrTensor *best, const XrTensor *lse, const XrTensor *logits,
                    const XrTensor *hidden, const XrTensor *head, const XrTensor *targets,
                    float temperature) {
    xr_cpu_require_f32(hidden, "logprob");
    int64_t rows = hidden->shape[0], vocab = head->shape[0];
    if (rows == 0) return;
    int64_t chunk = XR_MAX(1, XR_MIN(rows, FORWARD_SCRATCH / (int64_t)sizeof(float) / vocab));
    if (logits) chunk = rows;
    float *memory =
        logits ? logits->data : xr_cpu_shared_scratch(b, (size_t)(chunk * vocab) * sizeof *memory);
    for (int64_t first = 0; first < rows; first += chunk) {
        int64_t count = XR_MIN(chunk, rows - first);
        XrTensor x = xr_rows(hidden, first, count);
        XrTensor z = xr_tensor2(XR_F32, memory, count, vocab);
        xr_cpu_linear(b, &z, &x, head, NULL);
        Rows r = {logprob, entropy, best, lse, targets, memory, first, vocab, temperature};
        xr_cpu_parallel(b, count, 1, reduce_rows, &r);
    }
}

typedef struct Gradient {
    XrTensor dz; // logits in, their gradient out: rows x columns
    int64_t first_column, vocab;
    const XrTensor *dlogprob, *lse, *targets;
    int64_t first;
    float divisor, temperature; // of the logits here; of the softmax
} Gradient;

static void gradient_rows(void *context, int64_t begin, int64_t end, int thread) {
    const Gradient *g = context;
    const XrSoftmaxKernels *k = XR_CHOOSE_KERNELS(xr_softmax_kernels);
    int64_t columns = g->dz.shape[1];
    for (int64_t i = begin; i < end; i++) {
        float *dz = (float *)g->dz.data + i * g->dz.row_stride;
        int64_t row = g->first + i, target = target_of(g->targets, row, g->vocab);
        if (target < 0) {
            memset(dz, 0, (size_t)columns * sizeof *dz);
            continue;
        }
        float factor = ((const float *)g->dlogprob->data)[row] / g->temperature;
        k->scaled_softmax(dz, columns, g->divisor, ((const float *)g->lse->data)[row], -factor);
        int64_t column = target - g->first_column;
        if (column >= 0 && column < columns) dz[column] += factor;
    }
}

enum { MOST_ROWS = 1024 };

// Columns [column, column + count) of a matrix.
static XrTensor columns_of(const XrTensor *t, int64_t column, int64_t count) {
    XrTensor part = *t;
    part.data = (float *)t->data + column;
    part.shape[1] = count;
    return part;
}

void xr_cpu_logprob_backward(XrBackend *b, const XrTensor *dhidden, const XrTensor *dhead,
                             const XrTensor *dlogprob, const XrTensor *logits,
                             const XrTensor *hidden, const XrTensor *head, const XrTensor *targets,
                             const XrTensor *lse, float temperature) {
    xr_cpu_require_f32(hidden, "logprob_backward");
    int64_t rows = hidden->shape[0], vocab = head->shape[0];
    if (rows == 0) return;
    int64_t chunk = XR_MIN(rows, MOST_ROWS);
    // Whole chunks of dhidden's sums, whose order is then the same for any number of rows.
    int64_t columns = XR_MIN(vocab, BACKWARD_SCRATCH / (int64_t)sizeof(float) / chunk /
                                        XR_PRODUCT_CHUNK * XR_PRODUCT_CHUNK);
    float *memory =
        logits ? NULL : xr_cpu_shared_scratch(b, (size_t)(chunk * columns) * sizeof *memory);
    for (int64_t first = 0; first < rows; first += chunk) {
        int64_t count = XR_MIN(chunk, rows - first);
        XrTensor x = xr_rows(hidden, first, count), dx = xr_rows(dhidden, first, count);
        for (int64_t column = 0; column < vocab; column += columns) {
            int64_t some = XR_MIN(columns, vocab - column);
            XrTensor w = xr_rows(head, column, some), z;
            if (logits) {
                z = xr_rows(logits, first, count);
                z = columns_of(&z, column, some);
            } else {
                z = xr_tensor2(XR_F32, memory, count, some);
                xr_cpu_linear(b, &z, &x, &w, NULL);
            }
            Gradient g = {z,          column,  vocab, dlogprob,
                          lse,        targets, first, logits ? 1 : temperature,
                          temperature};
            xr_cpu_parallel(b, count, 1, gradient_rows, &g);
            xr_cpu_linear_backward_input(b, &dx, &z, &w, column > 0);
            if (dhead) {
                XrTensor dw = xr_rows(dhead, column, some);
                xr_cpu_linear_backward_weight(b, &dw, NULL, &z, &x);
            }
        }
    }
}
