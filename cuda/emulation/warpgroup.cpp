// Products of warpgroups (PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate
// Instructions"). A product is computed when it is issued, for the 16 rows of the warp that issues
// it. Its sums go to the registers when they have been waited for, until when these hold NaN; its
// operands must be then what they were. All warps of a warpgroup must issue the same products.
#include "cuda/emulation/warpgroup.h"
#include "cuda/emulation/block.h"
#include "cuda/emulation/memory.h"

#include <stdlib.h>

enum { MOST_SUMS = 4, MOST_PRODUCTS = 64, MOST_COLUMNS = 128, MOST_WARPS = XR_MOST_THREADS / 32 };

// Accumulators of a warp, `columns` of them in a row, on their way to its lanes' registers.
struct Sums {
    float *registers[32];
    int columns;
    int group; // the youngest that adds to them
    float value[16][MOST_COLUMNS];
};

// What a product reads until its group has been waited for.
struct Operands {
    XrProduct product; // of lane 0
    const uint32_t *a[32];
    int group;
    uint64_t digest;
};

// Registers that have been through a fence, and what was in them.
struct Fenced {
    const char *begin[32];
    size_t bytes;
    uint64_t digest;
};

struct Warp {
    Sums sums[MOST_SUMS];
    Operands products[MOST_PRODUCTS];
    Fenced fenced[4];
    int sum_count, product_count, fenced_count;
    int group, done; // groups below `group` are closed, those below `done` have been waited for
    size_t issued;   // products
};

// The products that the warps of a warpgroup issue, as the first to come had them.
struct Issues {
    XrProduct *product;
    size_t count, room;
};

static Warp *warps;
static Issues issues[MOST_WARPS / 4];
static bool any;

static uint64_t digest_of(uint64_t digest, const void *data, size_t bytes) {
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        uint32_t word;
        memcpy(&word, (const char *)data + i, 4);
        digest = (digest ^ word) * 0x9E3779B97F4A7C15u;
        digest ^= digest >> 29;
    }
    return digest;
}

static Warp *this_warp(void) {
    if (!warps) warps = (Warp *)calloc(MOST_WARPS, sizeof *warps);
    if (!warps) xr_emulation_error("out of host memory");
    any = true;
    return &warps[xr_running.thread / 32];
}

#define FAIL(site, format, ...)                                                                    \
    xr_emulation_error("%s at %s:%d: " format, (site).operation, (site).file, (site).line,         \
                       ##__VA_ARGS__)

// ---- operands ----

// Where a chunk of 8 elements lies, by a descriptor: the `outer`-th row of the matrix along its
// rows or columns, elements 8 chunk to 8 chunk + 7 of the inner dimension; or, `transposed`, inner
// row `outer` and 8 of its elements (CUTLASS's canonical layouts, K and MN major, say the same).
static const void *chunk_of(uint64_t operand, int outer, int chunk, bool transposed, XrSite site) {
    const uint32_t start = (uint32_t)(operand & 0x3fff) << 4;
    const uint32_t leading = (uint32_t)(operand >> 16 & 0x3fff) << 4;
    const uint32_t stride = (uint32_t)(operand >> 32 & 0x3fff) << 4;
    const int swizzle = (int)(operand >> 62),
              chunks = swizzle == 1 ? 8 : 4; // in a row of a pattern
    if (swizzle != 1 && swizzle != 2) FAIL(site, "a swizzle that is not emulated");
    if ((operand >> 49 & 7) != 0 || (start & (swizzle == 1 ? 0x380u : 0x180u)) != 0) {
        FAIL(site, "an operand that does not begin with a pattern");
    }
    uint32_t at = start + (uint32_t)(outer / 8) * stride + (uint32_t)(outer % 8 * chunks * 16);
    if (transposed) {
        at += (uint32_t)(chunk / chunks) * leading + (uint32_t)(chunk % chunks * 16);
    } else {
        at += (uint32_t)(chunk * 16);
    }
    at ^= swizzle == 1 ? (at >> 7 & 7) << 4 : (at >> 7 & 3) << 4;
    return xr_emulation_shared_at(at);
}

static void read_chunk(float out[8], const void *chunk) {
    uint16_t bits[8];
    memcpy(bits, chunk, sizeof bits);
    for (int i = 0; i < 8; i++) out[i] = __uint_as_float((uint32_t)bits[i] << 16);
}

// What the product reads, by its bytes.
static uint64_t digest_operands(const Operands *o, int warp) {
    const XrProduct *p = &o->product;
    uint64_t digest = 0;
    for (int lane = 0; lane < 32 && p->a; lane++) digest = digest_of(digest, o->a[lane], 16);
    for (int row = 0; row < 16 && !p->a; row++) {
        for (int c = 0; c < 2; c++) {
            digest = digest_of(digest,
                               chunk_of(p->a_operand, warp % 4 * 16 + row, c, false, p->site), 16);
        }
    }
    const int outer = p->a ? 16 : p->columns, chunks = p->a ? p->columns / 8 : 2;
    for (int i = 0; i < outer; i++) {
        for (int c = 0; c < chunks; c++) {
            digest = digest_of(digest, chunk_of(p->b_operand, i, c, p->a != NULL, p->site), 16);
        }
    }
    return digest;
}

static void load_a(float a[16][16], const Operands *o, int warp) {
    const XrProduct *p = &o->product;
    for (int row = 0; row < 16 && !p->a; row++) {
        for (int c = 0; c < 2; c++) {
            const void *chunk = chunk_of(p->a_operand, warp % 4 * 16 + row, c, false, p->site);
            xr_emulation_read_by_product(chunk, p->site);
            read_chunk(&a[row][8 * c], chunk);
        }
    }
    for (int lane = 0; lane < 32 && p->a; lane++) {
        for (int i = 0; i < 4; i++) {
            const uint32_t pair = o->a[lane][i];
            float *at = &a[lane / 4 + i % 2 * 8][lane % 4 * 2 + i / 2 * 8];
            at[0] = __uint_as_float(pair << 16);
            at[1] = __uint_as_float(pair & 0xffff0000u);
        }
    }
}

static void load_b(float b[16][MOST_COLUMNS], const XrProduct *p) {
    float chunk[8];
    const int outer = p->a ? 16 : p->columns, chunks = p->a ? p->columns / 8 : 2;
    for (int i = 0; i < outer; i++) {
        for (int c = 0; c < chunks; c++) {
            const void *from = chunk_of(p->b_operand, i, c, p->a != NULL, p->site);
            xr_emulation_read_by_product(from, p->site);
            read_chunk(chunk, from);
            for (int e = 0; e < 8; e++) *(p->a ? &b[i][8 * c + e] : &b[8 * c + e][i]) = chunk[e];
        }
    }
}

// ---- registers ----

// Element i of a lane's accumulators within the warp's 16 rows.
static float *sum_of(Sums *s, int lane, int i) {
    return &s->value[lane / 4 + i % 4 / 2 * 8][i / 4 * 8 + lane % 4 * 2 + i % 2];
}

static Sums *sums_on_the_way(Warp *w, const float *registers) {
    for (int i = 0; i < w->sum_count; i++) {
        if (w->sums[i].registers[0] == registers) return &w->sums[i];
    }
    return NULL;
}

static uint64_t digest_registers(const Fenced *f) {
    uint64_t digest = 0;
    for (int lane = 0; lane < 32; lane++) digest = digest_of(digest, f->begin[lane], f->bytes);
    return digest;
}

static Fenced *fence_of(Warp *w, const void *registers) {
    for (int i = 0; i < w->fenced_count; i++) {
        Fenced *f = &w->fenced[i];
        if ((const char *)registers < f->begin[0]) continue;
        if ((const char *)registers < f->begin[0] + f->bytes) {
            return digest_registers(f) == f->digest ? f : NULL;
        }
    }
    return NULL;
}

static void combine_fence(const void *const in[32], void *const out[32]) {
    (void)out;
    Warp *w = this_warp();
    const XrRegisters *first = (const XrRegisters *)in[0];
    w->fenced_count = first->count;
    for (int i = 0; i < first->count; i++) {
        Fenced *f = &w->fenced[i];
        f->bytes = (size_t)first->array[i].count * 4;
        for (int lane = 0; lane < 32; lane++) {
            f->begin[lane] = (const char *)((const XrRegisters *)in[lane])->array[i].words;
        }
        f->digest = digest_registers(f);
    }
}

void xr_emulation_wgmma_fence(XrRegisters registers) {
    xr_emulation_collective(registers.site, &registers, NULL, combine_fence);
}

// ---- products ----

// The warps of a warpgroup issue one list of products.
static void agree(Warp *w, const XrProduct *p, int warp) {
    Issues *list = &issues[warp / 4];
    if (w->issued++ == list->count) {
        if (list->count == list->room) {
            list->room = list->room * 2 + 64;
            list->product = (XrProduct *)realloc(list->product, list->room * sizeof *list->product);
            if (!list->product) xr_emulation_error("out of host memory");
        }
        list->product[list->count++] = *p;
        return;
    }
    const XrProduct *first = &list->product[w->issued - 1];
    if (first->site.line == p->site.line && strcmp(first->site.file, p->site.file) == 0 &&
        first->b_operand == p->b_operand && first->a_operand == p->a_operand &&
        first->columns == p->columns && first->add == p->add) {
        return;
    }
    FAIL(p->site, "another warp of the warpgroup has issued another product, at %s:%d",
         first->site.file, first->site.line);
}

// Where the product adds: sums that are on their way already, or what registers hold.
static Sums *find_sums(Warp *w, const void *const in[32]) {
    const XrProduct *p = (const XrProduct *)in[0];
    Sums *s = sums_on_the_way(w, p->d);
    if (s) {
        if (s->columns != p->columns) FAIL(p->site, "sums of %d columns", s->columns);
        return s;
    }
    Fenced *f = fence_of(w, p->d);
    if (!f) {
        FAIL(p->site, "its sums were used since the last wgmma.fence, or went through none");
    }
    *f = w->fenced[--w->fenced_count];
    if (w->sum_count == MOST_SUMS) FAIL(p->site, "more than %d sums on their way", MOST_SUMS);
    s = &w->sums[w->sum_count++];
    s->columns = p->columns;
    for (int lane = 0; lane < 32; lane++) {
        s->registers[lane] = ((const XrProduct *)in[lane])->d;
        for (int i = 0; i < p->columns / 2; i++) {
            *sum_of(s, lane, i) = s->registers[lane][i];
            s->registers[lane][i] = NAN;
        }
    }
    return s;
}

// Products of bf16 are exact in f32; they are added in double and rounded once, as for mma.
static void multiply(Sums *s, const float a[16][16], const float b[16][MOST_COLUMNS], bool add) {
    for (int row = 0; row < 16; row++) {
        double sum[MOST_COLUMNS];
        for (int c = 0; c < s->columns; c++) sum[c] = add ? (double)s->value[row][c] : 0;
        for (int k = 0; k < 16; k++) {
            const double factor = (double)a[row][k];
            for (int c = 0; c < s->columns; c++) sum[c] += factor * (double)b[k][c];
        }
        for (int c = 0; c < s->columns; c++) s->value[row][c] = (float)sum[c];
    }
}

static void combine_product(const void *const in[32], void *const out[32]) {
    (void)out;
    Warp *w = this_warp();
    const int warp = xr_running.thread / 32;
    const XrProduct *p = (const XrProduct *)in[0];
    float a[16][16], b[16][MOST_COLUMNS];
    if (!xr_has_warpgroups()) FAIL(p->site, "the device is not of compute capability 9.0");
    agree(w, p, warp);
    if (p->a && !fence_of(w, p->a)) {
        FAIL(p->site, "its factors have changed since the last wgmma.fence, or went through none");
    }
    if (w->product_count == MOST_PRODUCTS) {
        FAIL(p->site, "more than %d products on their way", MOST_PRODUCTS);
    }
    Operands *o = &w->products[w->product_count++];
    o->product = *p;
    o->group = w->group;
    for (int lane = 0; lane < 32; lane++) o->a[lane] = ((const XrProduct *)in[lane])->a;
    load_a(a, o, warp);
    load_b(b, p);
    o->digest = digest_operands(o, warp);
    Sums *s = find_sums(w, in);
    s->group = w->group;
    multiply(s, a, b, p->add);
}

void xr_emulation_wgmma(XrProduct product) {
    if (blockDim.x * blockDim.y * blockDim.z % 128 != 0) {
        FAIL(product.site, "a block's threads are no whole warpgroups");
    }
    xr_emulation_collective(product.site, &product, NULL, combine_product);
}

// ---- waiting ----

static void combine_commit(const void *const in[32], void *const out[32]) {
    (void)in, (void)out;
    this_warp()->group++;
}

void xr_emulation_wgmma_commit(XrSite site) {
    xr_emulation_collective(site, NULL, NULL, combine_commit);
}

static void deliver(Sums *s) {
    for (int lane = 0; lane < 32; lane++) {
        for (int i = 0; i < s->columns / 2; i++) s->registers[lane][i] = *sum_of(s, lane, i);
    }
}

static void combine_wait(const void *const in[32], void *const out[32]) {
    (void)out;
    Warp *w = this_warp();
    const XrRegisters *r = (const XrRegisters *)in[0];
    const int done = w->group - r->groups, warp = xr_running.thread / 32;
    for (int i = 0; i < w->product_count;) {
        Operands *o = &w->products[i];
        if (o->group >= done) {
            i++;
            continue;
        }
        if (digest_operands(o, warp) != o->digest) {
            FAIL(o->product.site, "what it reads has changed before it was waited for");
        }
        *o = w->products[--w->product_count];
    }
    for (int i = 0; i < w->sum_count;) {
        Sums *s = &w->sums[i];
        if (s->group >= done) {
            i++;
            continue;
        }
        bool named = false;
        for (int k = 0; k < r->count; k++) named = named || r->array[k].words == s->registers[0];
        if (!named) FAIL(r->site, "sums arrive in registers that it does not name");
        deliver(s);
        *s = w->sums[--w->sum_count];
    }
}

void xr_emulation_wgmma_wait(XrRegisters registers) {
    xr_emulation_collective(registers.site, &registers, NULL, combine_wait);
}

void xr_emulation_end_warpgroups(void) {
    if (!any) return;
    for (int i = 0; i < MOST_WARPS; i++) {
        Warp *w = &warps[i];
        if (w->product_count) {
            FAIL(w->products[0].product.site, "the kernel ended before it was waited for");
        }
        if (w->issued != issues[i / 4].count) {
            FAIL(issues[i / 4].product[w->issued].site,
                 "not all warps of the warpgroup have come there");
        }
        w->fenced_count = w->group = 0;
        w->issued = 0;
    }
    for (int i = 0; i < MOST_WARPS / 4; i++) issues[i].count = 0;
    any = false;
}
