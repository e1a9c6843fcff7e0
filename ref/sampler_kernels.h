// Loops over a row of the vocabulary, compiled for each instruction set (ref/isa.h).
#ifndef XR_REF_SAMPLER_KERNELS_H
#define XR_REF_SAMPLER_KERNELS_H

#include "ref/isa.h"

#include <stdint.h>

// Elements whose exponentials are summed together before the sums are added up.
enum { XR_SAMPLER_BLOCK = 256 };

typedef struct XrSamplerKernels {
    // z[i] = logits[i] / temperature, NaN becoming -infinity and what overflows the largest float;
    // returns how many NaN there were.
    int64_t (*scale)(float *z, const float *logits, int64_t n, float temperature);
    // The largest z[i]; -infinity for n = 0.
    float (*max)(const float *z, int64_t n);
    // e[i] = exp(z[i] - max), blocks[k] = the sum of e[k*XR_SAMPLER_BLOCK ...]. e has room for n
    // rounded up to a multiple of 16.
    void (*exponentials)(float *e, double *blocks, const float *z, int64_t n, float max);
    // The sum of e[i] over all i with z[i] >= least, in f32 within a block.
    double (*mass_from)(const float *e, const float *z, int64_t n, float least);
} XrSamplerKernels;

XR_DECLARE_KERNELS(XrSamplerKernels, xr_sampler_kernels);

#endif
