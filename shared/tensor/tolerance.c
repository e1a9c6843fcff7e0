#include "shared/tensor/tolerance.h"

#include "shared/base/error.h"

#include <math.h>
#include <string.h>

const XrTolerance XR_TOLERANCES[] = {
    // One f32 sum along K per element; its terms cancel, so that the error goes with the output's
    // scale and not with the element.
    {"linear", NULL, 1e-6, 2e-6, 0},
    {"linears", NULL, 1e-6, 2e-6, 0},
    {"linear_backward_input", NULL, 1e-6, 2e-6, 0},
    {"linear_backward_weight", NULL, 1e-6, 2e-6, 0},
    // A statistic and two products.
    {"rmsnorm", NULL, 5e-7, 0, 0},
    {"add_rmsnorm", NULL, 5e-7, 0, 0},
    // The difference of two terms of the size of the gradient.
    {"rmsnorm_backward", NULL, 1e-6, 1e-6, 0},
    // The reference takes the angle as the operation does, rounded to f32.
    {"rope_table", NULL, 1e-7, 1e-7, 0},
    // Sum of two products.
    {"rope", NULL, 1e-7, 2e-7, 0},
    // Softmax and a weighted sum, both in f32. bf16: each weight is rounded, by up to 2^-8 of it;
    // so
    // the error is at most that part of the sum of |weight value|, which is the size that tests and
    // the debug mode count in. On queries, keys and values of the tiny world's model this kernel
    // and
    // PyTorch 2.13's own in bf16 (its fused one, on the CPU) have the same errors against f64: up
    // to
    // 0.0192 of the output's root mean square, where the terms are up to 7.9 times that: 0.62 of
    // what is allowed.
    {"attention", "lse", 1e-6, 4e-6, 0},
    {"attention", NULL, 1e-6, 4e-6, 0x1p-8},
    {"attention_paged", NULL, 1e-6, 4e-6, 0x1p-8},
    {"kv_write", NULL, 1e-6, 4e-6, 0x1p-8}, // as attention over what was written
    {"kv_copy_pages", NULL, 1e-6, 4e-6, 0x1p-8},
    // bf16: weights, dS and the forward output that D is made of are rounded, by up to 2^-9 each. D
    // is
    // subtracted from a number like it, so that dq of the first tokens, which see few keys, is
    // little
    // but that error: of 128 products of [-1,1) numbers 4e-3, times scale 0.18 and a key 8e-4; 3.5
    // times that among thousands of rows is 0.02 of dq's root mean square. PyTorch 2.13's own bf16
    // on the CPU, against f64 on these shapes, errs by up to 0.024 (dq), 0.058 (dk) and 0.060 (dv).
    {"attention_backward", "dv", 1e-6, 1e-5, 0x1.4p-6},
    {"attention_backward", NULL, 1e-6, 1e-5, 0x1p-5},
    // An exponential of 2 ulp, a quotient, two products. sigmoid(g) is flushed to zero below
    // g = -87.3, where silu(g) is 1e-36.
    {"swiglu", NULL, 6e-7, 1e-35, 0},
    // 1 + g (1 - s) cancels near its zero at g = -1.28.
    {"swiglu_backward", NULL, 6e-7, 1e-6, 0},
    // The exponent x^2 / 2 is rounded to f32, which shows in the tail: x^2 / 2 ulp at x < 0, where
    // the result itself is below 1e-7 by then.
    {"gelu", NULL, 6e-7, 1e-9, 0},
    // Phi(x) + x phi(x) cancels near its zero at x = -0.75.
    {"gelu_backward", NULL, 6e-7, 1e-6, 0},
    // Copies and conversions are exact.
    {"embedding", NULL, 0, 0, 0},
    {"gather_rows", NULL, 0, 0, 0},
    {"scatter_rows", NULL, 0, 0, 0},
    // A sum in f32 over the tokens that share a row.
    {"embedding_backward", NULL, 1e-6, 1e-6, 0},
    // Logits of an f32 product, then a log-sum-exp; an index is exact.
    {"logprob", "best", 0, 0, 0},
    {"logprob", NULL, 1e-6, 4e-6, 0},
    // p = e^(z - lse) has for a relative error the absolute one of its exponent: z, its quotient,
    // lse and their difference are each rounded by up to 2^-24 of their size S, and the sum that z
    // is by a few times that, together at most 1e-6 S. The number below is for S up to 10. Where
    // logits are larger, tests count in S / 10 times |dlogprob| p / temperature times the other
    // factor; the debug mode has the bound of S, the lengths of both factors. Rows of 3,584 numbers
    // of [-1,1) have S = 63 to 87: logits rounded once give dhidden, whose rms is 0.39, an error of
    // 2.0e-6, those of f32 sums on the CPU 3.2e-6 to 4.9e-6, of sums of pieces of 16 added in order
    // (cuda/matmul.cu) 1.1e-5, which is that of an exponent off by 3.3e-7 S.
    // In bf16 dz is rounded by up to 2^-9 before it is multiplied, and its terms, |dz| of up to
    // 2 |dlogprob| / temperature = 2.7 a row, cancel: up to 0.0052 where the rms is 0.36.
    {"logprob_backward", NULL, 1e-6, 1e-5, 1.5e-2},
    // Ids are exact; log-probabilities are the difference of a logit and a log-sum-exp.
    {"sample", "tokens", 0, 0, 0},
    {"sample", NULL, 1e-6, 1e-6, 0},
    // Products of f32 numbers and an exponential of at most 1 ulp; exp(d) has the rounding error of
    // d, of the size of 2; k3 near 0 is the difference of small terms.
    {"grpo_loss", "clipped", 0, 0, 0},
    {"grpo_loss", NULL, 1e-6, 1e-6, 0},
    // Squares of f32 are exact in double; the sums are in another order than the reference's.
    {"squared_norm", NULL, 1e-12, 0, 0},
    // m and v: a product and a sum. p: what is subtracted may cancel it.
    {"adamw", NULL, 5e-7, 3e-7, 0},
    // Both round to nearest, ties to even.
    {"round_bf16", NULL, 0, 0, 0},
    {NULL, NULL, 0, 0, 0},
};

XrTolerance xr_tolerance_of(const char *op, const char *arg) {
    for (const XrTolerance *t = XR_TOLERANCES; t->op; t++) {
        if (strcmp(t->op, op) == 0 && (!t->arg || strcmp(t->arg, arg) == 0)) return *t;
    }
    XR_BUG("shared/tensor/tolerance.c has no row for %s", op);
}

enum { LOW_BITS = 8 }; // bf16 rounds by up to 2^-8

XrTolerance xr_tolerance_for(const char *op, const char *arg, bool low_activations, int roundings) {
    XrTolerance t = xr_tolerance_of(op, arg);
    if (!low_activations) t.low = 0;
    t.relative += 1.001 * (pow(1 + ldexp(1, -LOW_BITS), roundings) - 1);
    return t;
}

double xr_tolerance_excess(double got, double want, const XrTolerance *t, double scale) {
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (got == want) return 0;
    if (!isfinite(got) || !isfinite(want)) return INFINITY;
    double allowed = t->relative * fabs(want) + (t->absolute + t->low) * scale;
    // What is smaller may have been flushed to zero.
    if (t->relative > 0 || t->absolute > 0) allowed += 0x1p-126;
    return fabs(got - want) / allowed;
}
