// One program in postfix form at a block of points (ref/verify_ball.h).
#include "ref/verify_kernels.h"

enum { LANES = XR_VERIFY_BLOCK };

#define XR_VERIFY_FUNCTION static
#define XR_VERIFY_SQRT(x) __builtin_sqrt(x)
#include "ref/verify_ball.h"

static void real_block(const XrVerifyBatch *b, int32_t program, const double *at, int lanes,
                       double *value, double *error) {
    Ball stack[XR_VERIFY_STACK] = {{{0}, {0}}};
    int height = 0;
    for (int32_t i = b->begins[program]; i < b->begins[program + 1]; i++)
        apply(stack, &height, &b->steps[i], b, at, lanes);
    for (int i = 0; i < lanes; i++) {
        value[i] = stack[0].v[i];
        error[i] = stack[0].e[i];
    }
}

static void modular_block(const XrVerifyBatch *b, int32_t program, int bits, const uint64_t *at,
                          int lanes, uint64_t *value) {
    for (int lane = 0; lane < lanes; lane++) {
        value[lane] = residue_of(b, program, bits, at + (int64_t)lane * b->variables);
    }
}

const XrVerifyKernels XR_KERNEL(xr_verify_kernels) = {.real = real_block, .modular = modular_block};
