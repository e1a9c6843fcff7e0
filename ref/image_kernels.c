#include "ref/image_kernels.h"

#include <string.h>

#if defined(__AVX2__)

#include <immintrin.h>

// ---- resampling with vectors of bytes ----
//
// Two taps at a time: their bytes are interleaved and widened, so that one instruction multiplies
// both by 16-bit halves of their weights and adds the products (XrResampleAxis.pairs). The sums are
// those of the formula, in another order, which whole numbers do not mind.

#if defined(__AVX512F__)
enum { WIDTH = 64 };
typedef __m512i Vector;
#define OP(name) _mm512_##name
#define ZERO() _mm512_setzero_si512()
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, v) _mm512_storeu_si512(p, v)
#else
enum { WIDTH = 32 };
typedef __m256i Vector;
#define OP(name) _mm256_##name
#define ZERO() _mm256_setzero_si256()
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#endif

// Sums of WIDTH bytes: within each 16 bytes, sums[j] has those of bytes 4j to 4j + 3.
typedef struct Sums {
    Vector high[4], low[4];
} Sums;

static inline void add_taps(Sums *sums, Vector a, Vector b, const int32_t *pair) {
    Vector high = OP(set1_epi32)(pair[0]), low = OP(set1_epi32)(pair[1]), zero = ZERO();
    Vector first = OP(unpacklo_epi8)(a, b), second = OP(unpackhi_epi8)(a, b);
    Vector wide[4] = {OP(unpacklo_epi8)(first, zero), OP(unpackhi_epi8)(first, zero),
                      OP(unpacklo_epi8)(second, zero), OP(unpackhi_epi8)(second, zero)};
    for (int j = 0; j < 4; j++) {
        sums->high[j] = OP(add_epi32)(sums->high[j], OP(madd_epi16)(wide[j], high));
        sums->low[j] = OP(add_epi32)(sums->low[j], OP(madd_epi16)(wide[j], low));
    }
}

static inline Sums start_sums(int precision) {
    Sums sums;
    for (int j = 0; j < 4; j++) {
        sums.high[j] = ZERO();
        sums.low[j] = OP(set1_epi32)(1 << (precision - 1));
    }
    return sums;
}

// The packing instructions clip to 16 and then to 8 bits without sign.
static inline Vector finish_sums(const Sums *sums, int precision) {
    Vector v[4];
    for (int j = 0; j < 4; j++) {
        Vector high = OP(slli_epi32)(sums->high[j], XR_RESAMPLE_LOW_BITS);
        v[j] = OP(sra_epi32)(OP(add_epi32)(high, sums->low[j]), _mm_cvtsi32_si128(precision));
    }
    return OP(packus_epi16)(OP(packs_epi32)(v[0], v[1]), OP(packs_epi32)(v[2], v[3]));
}

// WIDTH bytes of output `i` from inputs `step` bytes apart, the first of them at `from`.
static inline Vector resample(const uint8_t *from, int64_t step, const XrResampleAxis *axis,
                              int64_t i) {
    const int32_t *pairs = axis->pairs + i * axis->taps;
    int count = axis->count[i], k = 0;
    Sums sums = start_sums(axis->precision);
    for (; k + 2 <= count; k += 2, from += 2 * step) {
        add_taps(&sums, LOAD(from), LOAD(from + step), pairs + k);
    }
    if (k < count) add_taps(&sums, LOAD(from), ZERO(), pairs + k);
    return finish_sums(&sums, axis->precision);
}

// Four rounds of interleaving row i with row i + 8 transpose 16 x 16 bytes.
static inline void transpose(__m128i m[16]) {
    __m128i t[16];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 8; i++) {
            t[2 * i] = _mm_unpacklo_epi8(m[i], m[i + 8]);
            t[2 * i + 1] = _mm_unpackhi_epi8(m[i], m[i + 8]);
        }
        for (size_t i = 0; i < 8; i++) {
            m[2 * i] = _mm_unpacklo_epi8(t[i], t[i + 8]);
            m[2 * i + 1] = _mm_unpackhi_epi8(t[i], t[i + 8]);
        }
    }
}

// `count` (1 to 16) bytes; the others are 0.
static inline __m128i load_some(const uint8_t *p, int64_t count) {
    __m128i v = _mm_setzero_si128();
    if (count >= 16) return _mm_loadu_si128((const __m128i *)(const void *)p);
    memcpy(&v, p, (size_t)count);
    return v;
}

static inline void store_some(uint8_t *p, __m128i v, int64_t count) {
    if (count >= 16) {
        _mm_storeu_si128((__m128i *)(void *)p, v);
    } else {
        memcpy(p, &v, (size_t)count);
    }
}

// in [rows, bytes] -> columns [bytes rounded up to 16, WIDTH]; beyond `rows` the last is repeated.
static void rows_to_columns(uint8_t *columns, const uint8_t *in, int rows, int64_t bytes) {
    __m128i m[16];
    for (int block = 0; block < rows; block += 16) {
        for (int64_t x = 0; x < bytes; x += 16) {
            for (int r = 0; r < 16; r++) {
                int row = block + r < rows ? block + r : rows - 1;
                m[r] = load_some(in + row * bytes + x, bytes - x);
            }
            transpose(m);
            for (int r = 0; r < 16; r++) {
                memcpy(columns + (x + r) * WIDTH + block, &m[r], sizeof m[r]);
            }
        }
    }
}

// columns [count, WIDTH] -> `count` bytes at `out` of rows `stride` bytes apart.
static void columns_to_rows(uint8_t *out, const uint8_t *columns, int rows, int64_t stride,
                            int64_t count) {
    __m128i m[16];
    for (int block = 0; block < rows; block += 16) {
        for (int64_t x = 0; x < count; x += 16) {
            for (int r = 0; r < 16; r++) {
                m[r] = load_some(columns + (x + r) * WIDTH + block, 16);
            }
            transpose(m);
            for (int r = 0; r < 16 && block + r < rows; r++) {
                store_some(out + (block + r) * stride + x, m[r], count - x);
            }
        }
    }
}

// WIDTH rows side by side in a vector, so that a row is resampled as a column is. The output is
// turned back in pieces that fill whole cache lines.
static void resample_rows(uint8_t *out, const uint8_t *in, int rows, const XrResampleAxis *axis,
                          uint8_t *scratch) {
    enum { PIECE = 64 }; // pixels
    const int64_t pixel = 3ll * WIDTH;
    int64_t in_stride = (int64_t)axis->in * 3, stride = (int64_t)axis->out * 3;
    uint8_t columns[3 * PIECE * WIDTH];
    memset(columns, 0, sizeof columns);
    for (int y = 0; y < rows; y += WIDTH, in += WIDTH * in_stride, out += WIDTH * stride) {
        int some = rows - y < WIDTH ? rows - y : WIDTH;
        rows_to_columns(scratch, in, some, in_stride);
        for (int begin = 0; begin < axis->out; begin += PIECE) {
            int count = axis->out - begin < PIECE ? axis->out - begin : PIECE;
            for (int i = 0; i < count; i++) {
                const uint8_t *from = scratch + axis->first[begin + i] * pixel;
                for (int64_t c = 0; c < pixel; c += WIDTH) {
                    STORE(columns + i * pixel + c, resample(from + c, pixel, axis, begin + i));
                }
            }
            columns_to_rows(out + 3ll * begin, columns, some, stride, 3ll * count);
        }
    }
}

static void resample_column(uint8_t *out, const uint8_t *in, int64_t stride, int64_t bytes,
                            const XrResampleAxis *axis, int i) {
    int64_t x = 0;
    in += axis->first[i] * stride;
    for (; x + WIDTH <= bytes; x += WIDTH) STORE(out + x, resample(in + x, stride, axis, i));
    const int32_t *weights = axis->weights + (int64_t)i * axis->taps;
    for (; x < bytes; x++) {
        int32_t sum = 1 << (axis->precision - 1);
        for (int k = 0; k < axis->count[i]; k++) sum += weights[k] * in[k * stride + x];
        sum >>= axis->precision;
        out[x] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
}

#else // of __AVX2__

// ---- resampling as the formula says ----

static inline uint8_t clip(int32_t sum, int precision) {
    sum >>= precision;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void resample_rows(uint8_t *out, const uint8_t *in, int rows, const XrResampleAxis *axis,
                          uint8_t *scratch) {
    (void)scratch;
    for (int y = 0; y < rows; y++, in += 3 * (int64_t)axis->in) {
        for (int64_t i = 0; i < axis->out; i++, out += 3) {
            const int32_t *weights = axis->weights + i * axis->taps;
            const uint8_t *from = in + 3 * (int64_t)axis->first[i];
            int32_t r = 1 << (axis->precision - 1), g = r, b = r;
            for (int k = 0; k < axis->count[i]; k++) {
                r += weights[k] * from[3ll * k];
                g += weights[k] * from[3ll * k + 1];
                b += weights[k] * from[3ll * k + 2];
            }
            out[0] = clip(r, axis->precision);
            out[1] = clip(g, axis->precision);
            out[2] = clip(b, axis->precision);
        }
    }
}

static void resample_column(uint8_t *out, const uint8_t *in, int64_t stride, int64_t bytes,
                            const XrResampleAxis *axis, int i) {
    enum { BLOCK = 32 };
    const int32_t *weights = axis->weights + (int64_t)i * axis->taps;
    in += axis->first[i] * stride;
    for (int64_t x = 0; x < bytes; x += BLOCK) {
        int some = bytes - x < BLOCK ? (int)(bytes - x) : BLOCK;
        int32_t sums[BLOCK];
        for (int j = 0; j < some; j++) sums[j] = 1 << (axis->precision - 1);
        for (int k = 0; k < axis->count[i]; k++) {
            const uint8_t *row = in + k * stride + x;
            for (int j = 0; j < some; j++) sums[j] += weights[k] * row[j];
        }
        for (int j = 0; j < some; j++) out[x + j] = clip(sums[j], axis->precision);
    }
}

#endif

// ---- patches ----

static void cut_patches(float *out, const uint8_t *rgb, const float *table,
                        const XrPatchLayout *layout) {
    const int64_t patch = layout->patch, merge = layout->merge, temporal = layout->temporal;
    int64_t area = patch * patch, stride = layout->w * patch * 3;
    for (int64_t cell = 0; cell < layout->w / merge; cell++) {
        for (int64_t m = 0; m < merge * merge; m++) {
            const uint8_t *corner =
                rgb + (m / merge) * patch * stride + (cell * merge + m % merge) * patch * 3;
            for (int64_t c = 0; c < 3; c++) {
                const float *values = table + c * 256;
                for (int64_t y = 0; y < patch; y++) {
                    const uint8_t *from = corner + y * stride + c;
                    for (int64_t x = 0; x < patch; x++) out[y * patch + x] = values[from[3 * x]];
                }
                for (int64_t t = 1; t < temporal; t++) {
                    memcpy(out + t * area, out, (size_t)area * sizeof(float));
                }
                out += temporal * area;
            }
        }
    }
}

const XrImageKernels XR_KERNEL(xr_image_kernels) = {resample_rows, resample_column, cut_patches};
