// The optimiser's loops. AdamW: Loshchilov and Hutter, "Decoupled Weight Decay Regularization"
// (2019), in the order of torch.optim.AdamW.
#include "ref/cpu.h"
#include "ref/norm_kernels.h"
#include "ref/optimizer_kernels.h"
#include "shared/base/memory.h"
#include "shared/tensor/convert.h"

#include <math.h>

enum { PIECE = 1 << 14 }; // elements

typedef struct Squares {
    const XrNormKernels *kernels;
    const float *x;
    int64_t count;
    double *sums; // of each piece
} Squares;

static void square_pieces(void *context, int64_t begin, int64_t end, int thread) {
    const Squares *s = context;
    for (int64_t piece = begin; piece < end; piece++) {
        int64_t first = piece * PIECE;
        s->sums[piece] = s->kernels->square_sum(s->x + first, XR_MIN(PIECE, s->count - first));
    }
}

// Sums of fixed pieces (in sixteen lanes, ref/norm_kernels.c), added in their order, whatever the
// threads.
void xr_cpu_squared_norm(XrBackend *b, const XrTensor *sum, const XrTensor *x) {
    int64_t count = x->shape[0], pieces = (count + PIECE - 1) / PIECE;
    double *sums = xr_cpu_shared_scratch(b, (size_t)(pieces + 1) * sizeof *sums), total = 0;
    Squares work = {XR_CHOOSE_KERNELS(xr_norm_kernels), x->data, count, sums};
    xr_cpu_parallel(b, pieces, 1, square_pieces, &work);
    for (int64_t i = 0; i < pieces; i++) total += sums[i];
    *(double *)sum->data += total;
}

typedef struct Step {
    const XrOptimizerKernels *kernels;
    float *p, *m, *v;
    const float *grad;
    const XrTensor *rounded; // or NULL
    int64_t count;
    XrAdamWFactors factors;
} Step;

static void step_pieces(void *context, int64_t begin, int64_t end, int thread) {
    const Step *s = context;
    for (int64_t piece = begin; piece < end; piece++) {
        int64_t first = piece * PIECE, count = XR_MIN(PIECE, s->count - first);
        s->kernels->adamw(s->p + first, s->m + first, s->v + first, s->grad + first, count,
                          s->factors);
        if (!s->rounded) continue;
        XrTensor to = xr_rows(s->rounded, first, count);
        xr_convert(to.data, to.dtype, s->p + first, XR_F32, count);
    }
}

void xr_cpu_adamw(XrBackend *b, const XrTensor *p, const XrTensor *m, const XrTensor *v,
                  const XrTensor *rounded, const XrTensor *grad, XrAdamW a) {
    int64_t count = p->shape[0], pieces = (count + PIECE - 1) / PIECE;
    double step = (double)a.step;
    XrAdamWFactors factors = {.keep = (float)(1 - a.lr * a.weight_decay),
                              .rate = (float)(a.lr / (1 - pow(a.beta1, step))),
                              .root = (float)(1 / sqrt(1 - pow(a.beta2, step))),
                              .take1 = (float)(1 - a.beta1),
                              .beta2 = (float)a.beta2,
                              .take2 = (float)(1 - a.beta2),
                              .eps = (float)a.eps,
                              .grad_scale = (float)a.grad_scale};
    Step work = {XR_CHOOSE_KERNELS(xr_optimizer_kernels),
                 p->data,
                 m->data,
                 v->data,
                 grad->data,
                 rounded,
                 count,
                 factors};
    xr_cpu_parallel(b, pieces, 1, step_pieces, &work);
}

void xr_cpu_round_bf16(XrBackend *b, const XrTensor *y, const XrTensor *x) {
    xr_convert_parallel(b->threads, y->data, y->dtype, x->data, XR_F32, x->shape[0]);
}
