#include "shared/eval/difflib.h"

#include "shared/base/memory.h"
#include "shared/eval/python_text.h"

#include <stdint.h>
#include <stdlib.h>

typedef struct Matcher {
    uint32_t *a, *b;
    int a_count, b_count;
    bool *popular;       // by position in b: its character starts no block
    int *length, *other; // of the block that ends at each position of b, with one in front
} Matcher;

static int compare(const void *x, const void *y) {
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

static void find_popular(Matcher *m) {
    m->popular = xr_calloc((size_t)m->b_count + 1, sizeof *m->popular);
    if (m->b_count < 200) return;
    uint32_t *sorted = xr_calloc((size_t)m->b_count, sizeof *sorted);
    memcpy(sorted, m->b, (size_t)m->b_count * sizeof *sorted);
    qsort(sorted, (size_t)m->b_count, sizeof *sorted, compare);
    for (int i = 0; i < m->b_count; i++) {
        uint32_t *first = bsearch(&m->b[i], sorted, (size_t)m->b_count, sizeof *sorted, compare);
        uint32_t *last = first;
        while (first > sorted && first[-1] == m->b[i]) first--;
        while (last + 1 < sorted + m->b_count && last[1] == m->b[i]) last++;
        m->popular[i] = last - first + 1 > m->b_count / 100 + 1;
    }
    free(sorted);
}

typedef struct Block {
    int a, b, size;
} Block;

// The longest block within a[alo, ahi) and b[blo, bhi), the earliest in a, then in b; popular
// characters only lengthen it.
static Block longest(Matcher *m, int alo, int ahi, int blo, int bhi) {
    Block best = {alo, blo, 0};
    memset(m->length + blo, 0, (size_t)(bhi - blo + 1) * sizeof *m->length);
    for (int i = alo; i < ahi; i++) {
        m->other[blo] = 0;
        for (int j = blo; j < bhi; j++) {
            bool match = m->a[i] == m->b[j] && !m->popular[j];
            int size = match ? m->length[j] + 1 : 0;
            m->other[j + 1] = size;
            if (size > best.size) best = (Block){i - size + 1, j - size + 1, size};
        }
        int *swap = m->length;
        m->length = m->other;
        m->other = swap;
    }
    while (best.a > alo && best.b > blo && m->a[best.a - 1] == m->b[best.b - 1]) {
        best.a--, best.b--, best.size++;
    }
    while (best.a + best.size < ahi && best.b + best.size < bhi &&
           m->a[best.a + best.size] == m->b[best.b + best.size]) {
        best.size++;
    }
    return best;
}

static int64_t matching(Matcher *m, int alo, int ahi, int blo, int bhi) {
    if (alo >= ahi || blo >= bhi) return 0;
    Block block = longest(m, alo, ahi, blo, bhi);
    if (!block.size) return 0;
    return block.size + matching(m, alo, block.a, blo, block.b) +
           matching(m, block.a + block.size, ahi, block.b + block.size, bhi);
}

double xr_difflib_ratio(XrSpan a, XrSpan b) {
    size_t a_count, b_count;
    Matcher m = {.a = xr_py_characters(a, &a_count), .b = xr_py_characters(b, &b_count)};
    m.a_count = (int)a_count;
    m.b_count = (int)b_count;
    find_popular(&m);
    m.length = xr_calloc((size_t)m.b_count + 1, sizeof *m.length);
    m.other = xr_calloc((size_t)m.b_count + 1, sizeof *m.other);
    int64_t matches = matching(&m, 0, m.a_count, 0, m.b_count), all = m.a_count + m.b_count;
    free(m.a);
    free(m.b);
    free(m.popular);
    free(m.length);
    free(m.other);
    return all ? 2.0 * (double)matches / (double)all : 1.0;
}
