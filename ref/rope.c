// Rotary positions: the table of angles and the rotation. Su et al., "RoFormer" (2021), in the
// half-split form of transformers' rotate_half, with one position axis for each frequency
// (multi-axis rotary positions of Qwen2-VL).
#include "ref/cpu.h"
#include "ref/widen.h"

#include <math.h>

typedef struct TableWork {
    const XrTensor *cos, *sin, *positions, *inv_freq, *axis;
} TableWork;

// The angle is a product in f32, as transformers has it; its cosine and sine are libm's, which
// are accurate for large angles too.
static void table_rows(void *context, int64_t begin, int64_t end, int thread) {
    const TableWork *w = context;
    int64_t rows = w->positions->shape[1], half = w->inv_freq->shape[0];
    const int32_t *positions = w->positions->data, *axis = w->axis->data;
    const float *inv_freq = w->inv_freq->data;
    for (int64_t t = begin; t < end; t++) {
        float *c = (float *)w->cos->data + t * half, *s = (float *)w->sin->data + t * half;
        for (int64_t i = 0; i < half; i++) {
            float angle = (float)positions[axis[i] * rows + t] * inv_freq[i];
            c[i] = cosf(angle);
            s[i] = sinf(angle);
        }
    }
}

void xr_cpu_rope_table(XrBackend *b, const XrTensor *cos, const XrTensor *sin,
                       const XrTensor *positions, const XrTensor *inv_freq, const XrTensor *axis) {
    const int32_t *axes = axis->data;
    for (int64_t i = 0; i < axis->shape[0]; i++) {
        XR_REQUIRE(axes[i] >= 0 && axes[i] < positions->shape[0],
                   "rope_table: axis[%lld] is %d, positions are %s", (long long)i, axes[i],
                   xr_shape_text(positions));
    }
    TableWork work = {cos, sin, positions, inv_freq, axis};
    xr_cpu_parallel(b, cos->shape[0], 16, table_rows, &work);
}

typedef struct RotateWork {
    const XrTensor *x[2]; // q, k
    int heads[2];
    const XrTensor *cos, *sin;
    float sign;
} RotateWork;

static void rotate_heads(float *row, int heads, const float *c, const float *s, int64_t half,
                         float sign) {
    for (int h = 0; h < heads; h++) {
        float *a = row + (int64_t)h * 2 * half, *b = a + half;
        for (int64_t i = 0; i < half; i++) {
            float sine = sign * s[i], first = a[i], second = b[i];
            a[i] = first * c[i] - second * sine;
            b[i] = second * c[i] + first * sine;
        }
    }
}

static void rotate_rows(void *context, int64_t begin, int64_t end, int thread) {
    const RotateWork *w = context;
    int64_t half = w->cos->shape[1];
    for (int64_t t = begin; t < end; t++) {
        const float *c = (const float *)w->cos->data + t * half;
        const float *s = (const float *)w->sin->data + t * half;
        for (int i = 0; i < 2; i++) {
            float *row = (float *)w->x[i]->data + t * w->x[i]->row_stride;
            rotate_heads(row, w->heads[i], c, s, half, w->sign);
        }
    }
}

void xr_cpu_rope(XrBackend *b, const XrTensor *q, const XrTensor *k, const XrTensor *cos,
                 const XrTensor *sin, XrHeads heads, bool inverse) {
    xr_cpu_require_f32(q, "rope");
    RotateWork work = {{q, k}, {heads.heads, heads.kv_heads}, cos, sin, inverse ? -1.0f : 1.0f};
    xr_cpu_parallel(b, q->shape[0], 16, rotate_rows, &work);
}
