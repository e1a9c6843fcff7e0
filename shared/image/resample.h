// The weights of antialiased bicubic resizing along one axis, in the fixed-point forms of Pillow
// and of torchvision. Output pixel i is
//   clip((2^(precision-1) + sum over k < count[i] of weights[i * taps + k] * in[first[i] + k])
//        >> precision)   clipped to 0..255,
// in 32-bit integers. Backends compute exactly that, so that all of them give the same bytes.
#ifndef XR_IMAGE_RESAMPLE_H
#define XR_IMAGE_RESAMPLE_H

#include "shared/base/error.h"

#include <stdint.h>

typedef struct XrResampleAxis {
    int in, out;      // pixels
    int taps;         // row stride of `weights`, even; the weights beyond count[i] are 0
    int precision;    // fractional bits
    int32_t *first;   // [out] the first input pixel, first + count <= in
    int32_t *count;   // [out] at least 1
    int32_t *weights; // [out, taps]
    // The same weights in halves for instructions that multiply pairs of 16-bit numbers: weight =
    // high * 2048 + low with 0 <= low < 2048. pairs[i, k / 2, 0] holds the high halves of the
    // weights k and k + 1 (k + 1 in the upper 16 bits), pairs[i, k / 2, 1] the low ones.
    int32_t *pairs; // [out, taps / 2, 2]
} XrResampleAxis;

enum { XR_RESAMPLE_LOW_BITS = 11 };

typedef enum XrResamplePrecision {
    XR_RESAMPLE_PILLOW,      // 22 fractional bits
    XR_RESAMPLE_TORCHVISION, // as many as the largest weight of the axis leaves in 16 bits
} XrResamplePrecision;

// Weights for resizing `in` pixels to `out` with the Keys cubic (a = -1/2), widened by in/out where
// that shrinks. Free with xr_resample_axis_free. Fails for want of memory, or where in > 1000 *
// out.
bool xr_resample_axis(XrResampleAxis *axis, int in, int out, XrResamplePrecision precision,
                      XrError *err);
void xr_resample_axis_free(XrResampleAxis *axis);

#endif
