// Sums of outer products, for ref/*_kernels.c: tiles of ROWS rows by up to GROUP vectors, whose
// lanes run along the columns. Every element is one chain of additions in the order of the depth,
// whatever tile it falls into. Static, so that each object has the copy of its own instruction set.
#ifndef XR_REF_OUTER_PRODUCT_H
#define XR_REF_OUTER_PRODUCT_H

#include "ref/vector.h"
#include "shared/base/memory.h" // defines: XR_MIN

#include <stdbool.h>

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
    ptrdiff_t ahead; // the first pass over b fetches b[i + ahead] into a cache; 0: it does not
} Outer;

XR_INLINE void outer_tile(const Outer *o, int64_t row, int64_t column, int rows, int vectors,
                          bool fetch) {
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
            const float *p = b + (int64_t)v * XR_LANES;
            if (fetch) __builtin_prefetch(p + o->ahead, 0, 2);
            line[v] = vec_load(p);
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

#define CASE(n)                                                                                    \
    case n:                                                                                        \
        outer_tile(o, row, column, n, vectors, fetch);                                             \
        break

XR_INLINE void outer_rows(const Outer *o, int64_t row, int64_t column, int vectors, bool fetch) {
    switch (XR_MIN(ROWS, o->rows - row)) {
        CASE(1);
        CASE(2);
#if XR_LANES > 4 || defined(__aarch64__)
        CASE(3);
#endif
#if XR_LANES > 8 || defined(__aarch64__)
        CASE(4);
#endif
#if XR_LANES > 8
        CASE(5);
        CASE(6);
#endif
    default:
        __builtin_unreachable();
    }
}
#undef CASE

// All rows, at `column`, for a constant number of vectors.
XR_INLINE void outer_columns(const Outer *o, int64_t column, int vectors) {
    int64_t row = 0;
    if (o->ahead && o->rows > 0) {
        outer_rows(o, row, column, vectors, true);
        row = ROWS;
    }
    for (; row < o->rows; row += ROWS) outer_rows(o, row, column, vectors, false);
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
