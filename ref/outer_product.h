// Sums of outer products, for ref/*_kernels.c: tiles of ROWS rows by up to GROUP vectors, whose
// lanes run along the columns. Every element is one chain of additions in the order of the depth,
// whatever tile it falls into. Static, so that each object has the copy of its own instruction set.
#ifndef XR_REF_OUTER_PRODUCT_H
#define XR_REF_OUTER_PRODUCT_H

#include "ref/vector.h"
#include "shared/base/memory.h" // defines: XR_MIN

enum { GROUP = 4 };
#if defined(__AVX512F__)
enum { ROWS = 6 };
#elif defined(__AVX2__)
enum { ROWS = 3 };
#elif defined(__aarch64__)
enum { ROWS = 4 };
#else
enum { ROWS = 2 };
#endif

// sum[rows, width] += a b[depth, width] with element (r, i) of a at a[r * a_row + i * a_step].
typedef struct Outer {
    float *sum;
    const float *a, *b;
    int64_t sum_stride, a_row, a_step, b_stride, rows, depth;
} Outer;

XR_INLINE void outer_tile(const Outer *o, int64_t row, int64_t column, int rows, int vectors) {
    float *sum = o->sum + row * o->sum_stride + column;
    const float *a = o->a + row * o->a_row, *b = o->b + column;
    int64_t sum_stride = o->sum_stride, a_row = o->a_row, depth = o->depth;
    Vec acc[ROWS][GROUP];
    XR_UNROLL for (int r = 0; r < rows; r++) {
        XR_UNROLL for (int v = 0; v < vectors; v++) {
            acc[r][v] = vec_load(sum + r * sum_stride + (int64_t)v * XR_LANES);
        }
    }
    for (int64_t i = 0; i < depth; i++, a += o->a_step, b += o->b_stride) {
        Vec line[GROUP];
        XR_UNROLL for (int v = 0; v < vectors; v++) {
            line[v] = vec_load(b + (int64_t)v * XR_LANES);
        }
        XR_UNROLL for (int r = 0; r < rows; r++) {
            Vec factor = vec_set(a[r * a_row]);
            XR_UNROLL for (int v = 0; v < vectors; v++) {
                acc[r][v] = vec_fma(factor, line[v], acc[r][v]);
            }
        }
    }
    XR_UNROLL for (int r = 0; r < rows; r++) {
        XR_UNROLL for (int v = 0; v < vectors; v++) {
            vec_store(sum + r * sum_stride + (int64_t)v * XR_LANES, acc[r][v]);
        }
    }
}

// All rows, at `column`, for a constant number of vectors.
XR_INLINE void outer_columns(const Outer *o, int64_t column, int vectors) {
    for (int64_t r = 0; r < o->rows; r += ROWS) {
        switch (XR_MIN(ROWS, o->rows - r)) {
        case 1:
            outer_tile(o, r, column, 1, vectors);
            break;
        case 2:
            outer_tile(o, r, column, 2, vectors);
            break;
#if XR_LANES > 4 || defined(__aarch64__)
        case 3:
            outer_tile(o, r, column, 3, vectors);
            break;
#endif
#if XR_LANES > 8 || defined(__aarch64__)
        case 4:
            outer_tile(o, r, column, 4, vectors);
            break;
#endif
#if XR_LANES > 8
        case 5:
            outer_tile(o, r, column, 5, vectors);
            break;
        case 6:
            outer_tile(o, r, column, 6, vectors);
            break;
#endif
        default:
            __builtin_unreachable();
        }
    }
}

// `width` is a multiple of XR_LANES.
static void outer_product(const Outer *o, int64_t width) {
    int64_t vectors = width / XR_LANES, groups = (vectors + GROUP - 1) / GROUP;
    int64_t size = groups ? (vectors + groups - 1) / groups : 0; // as even as can be
    for (int64_t v = 0; v < vectors; v += size) {
        switch (XR_MIN(size, vectors - v)) {
        case 1:
            outer_columns(o, v * XR_LANES, 1);
            break;
        case 2:
            outer_columns(o, v * XR_LANES, 2);
            break;
        case 3:
            outer_columns(o, v * XR_LANES, 3);
            break;
        default:
            outer_columns(o, v * XR_LANES, 4);
            break;
        }
    }
}

#endif
