#include "ref/verify.h"

#include "ref/verify_kernels.h"

#include "shared/base/error.h"

// How an operation changes the height of the stack.
static int effect(int32_t op) {
    switch (op) {
    case XR_V_CONSTANT:
    case XR_V_VARIABLE:
        return 1;
    case XR_V_ADD:
    case XR_V_SUBTRACT:
    case XR_V_MULTIPLY:
    case XR_V_DIVIDE:
    case XR_V_RAISE:
        return -1;
    default:
        return 0;
    }
}

void xr_verify_check(const XrVerifyBatch *b, int32_t most_op) {
    for (int32_t p = 0; p < b->programs; p++) {
        int height = 0;
        for (int32_t i = b->begins[p]; i < b->begins[p + 1]; i++) {
            const XrVerifyStep *s = &b->steps[i];
            XR_REQUIRE(s->op >= 0 && s->op <= most_op, "verify: operation %d", s->op);
            XR_REQUIRE(s->op != XR_V_VARIABLE || (s->argument >= 0 && s->argument < b->variables),
                       "verify: variable %d of %d", s->argument, b->variables);
            XR_REQUIRE(height + (effect(s->op) < 0 ? -1
                                 : effect(s->op)   ? 1
                                                   : 0) >=
                           1,
                       "verify: program %d takes too much from the stack", p);
            height += effect(s->op);
            XR_REQUIRE(height <= XR_VERIFY_STACK, "verify: program %d is too deep", p);
        }
        XR_REQUIRE(height == 1, "verify: program %d leaves %d values", p, height);
    }
}

void xr_verify_real(const XrVerifyBatch *batch, const double *at, double *value, double *error) {
    xr_verify_check(batch, XR_V_ABS);
    const XrVerifyKernels *k = XR_CHOOSE_KERNELS(xr_verify_kernels);
    for (int32_t p = 0; p < batch->programs; p++)
        for (int32_t i = 0; i < batch->points; i += XR_VERIFY_BLOCK) {
            int lanes = batch->points - i < XR_VERIFY_BLOCK ? batch->points - i : XR_VERIFY_BLOCK;
            int64_t out = (int64_t)p * batch->points + i;
            k->real(batch, p, at + (int64_t)i * batch->variables, lanes, value + out, error + out);
        }
}

void xr_verify_modular(const XrVerifyBatch *batch, int bits, const uint64_t *at, uint64_t *value) {
    XR_REQUIRE(bits == 31 || bits == 61, "verify: no field of 2^%d - 1 elements", bits);
    xr_verify_check(batch, XR_V_POWER);
    const XrVerifyKernels *k = XR_CHOOSE_KERNELS(xr_verify_kernels);
    for (int32_t p = 0; p < batch->programs; p++)
        for (int32_t i = 0; i < batch->points; i += XR_VERIFY_BLOCK) {
            int lanes = batch->points - i < XR_VERIFY_BLOCK ? batch->points - i : XR_VERIFY_BLOCK;
            k->modular(batch, p, bits, at + (int64_t)i * batch->variables, lanes,
                       value + (int64_t)p * batch->points + i);
        }
}
