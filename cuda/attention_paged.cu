// Attention over a cache in pages (kernel: cuda/attention_forward.h). Sequences with many new
// tokens go through large tiles of rows, the others through tiles of 16, where one warp is a block:
// rows are few and the keys' way from memory is what takes time. Where even these are too few to
// fill the GPU, tiles of keys are spread over more blocks and joined afterwards in their order,
// which gives the same bits (cuda/attention_forward.h), so that the choice is free.
#include "cuda/attention_forward.h"
#include "cuda/attention_pages.h"

enum { FEW_ROWS = 16, BLOCKS_A_PROCESSOR = 4, JOIN_THREADS = 128 };
static const size_t MOST_PART_BYTES = (size_t)256 << 20;

template <typename T> struct CacheKeys {
    XrCachePages<T> cache;
    const int32_t *pages, *lengths;
    int64_t pages_stride;
    int longest;
};

template <typename T> struct XrKeysAreWide<CacheKeys<T>> { static constexpr bool value = true; };

// Rows of one head of a sequence, of keys (which = 0) or values (1).
template <typename T> struct PageRows {
    const T *first;
    XrCachePages<T> cache;
    const int32_t *pages;
    int head, which;
};

template <typename T> XR_DEVICE const T *xr_row_of(const PageRows<T> &rows, int i) {
    const T *page = xr_cache_rows(rows.cache, rows.pages[i / XR_KV_PAGE], rows.head, rows.which);
    return page + (int64_t)(i % XR_KV_PAGE) * rows.cache.row;
}

template <typename T>
XR_DEVICE XrKeyView<PageRows<T>> xr_keys_of(const CacheKeys<T> &keys, const XrTileWork &work,
                                            int head, int dim) {
    const int32_t *pages = keys.pages + work.sequence * keys.pages_stride;
    const int length = keys.lengths[work.sequence];
    XR_DEVICE_REQUIRE(work.tokens <= length && length <= keys.longest,
                      "attention_paged: sequence %d has %d queries and %d tokens of at most %d",
                      work.sequence, work.tokens, length, keys.longest);
    // Here and not where they are read: a call in a loop over tiles, be it only to print a message,
    // takes registers from the sums.
    for (int i = (int)threadIdx.x; i * XR_KV_PAGE < length; i += (int)blockDim.x) {
        xr_require_page(keys.cache, pages[i]);
    }
    __syncthreads(); // all have looked before any reads
    return {{keys.cache.data, keys.cache, pages, head, 0},
            {keys.cache.data, keys.cache, pages, head, 1},
            length};
}

// Joins the tiles of keys of one row: a block a row, a thread an element. Blocks are numbered as
// those that made the parts, times part_rows.
template <typename T, int C>
XR_KERNEL(JOIN_THREADS)
join_parts(XrAttend<T> a, const int32_t *lengths) {
    const int64_t item = blockIdx.x / (unsigned)a.part_rows;
    const int row = (int)(blockIdx.x % (unsigned)a.part_rows);
    const int head = (int)(item % a.kv_heads), d = (int)threadIdx.x;
    const XrTileWork work =
        xr_find_tile(a.cu, a.sequences, a.group, FEW_ROWS, item / a.kv_heads, a.least, a.most);
    if (work.tile < 0 || row >= work.tokens * a.group) return;
    constexpr int KEYS = XrAttentionTile<T>::keys, width = C * XR_SLICE;
    const int tiles = (lengths[work.sequence] + KEYS - 1) / KEYS;
    float top = -INFINITY, sum = 0, value = 0;
    for (int tile = 0; tile < tiles; tile++) {
        const int64_t part = (item * a.most_tiles + tile) * a.part_rows + row;
        float keep, take;
        xr_join_tile(top, sum, a.part_state[2 * part], a.part_state[2 * part + 1], a.log2, keep,
                     take);
        if (d < width) value = fmaf(value, keep, a.parts[part * width + d] * take);
    }
    const int query_head = head * a.group + row % a.group;
    T *out = a.out.data + (work.first + row / a.group) * a.out.stride;
    if (d < a.dim) xr_assign(out[(int64_t)query_head * a.dim + d], value * (1.0f / sum));
}

// Spreads the keys over blocks; `items` is the number of blocks without that.
template <typename T, int C>
static void attend_in_parts(XrBackend *b, XrAttend<T> a, const CacheKeys<T> &keys, int64_t items) {
    constexpr size_t shared = xr_attend_shared<T, C, FEW_ROWS>();
    int64_t wanted = (int64_t)BLOCKS_A_PROCESSOR * xr_cuda_multiprocessors(b);
    int64_t splits = XR_MIN((int64_t)a.most_tiles, xr_pieces(wanted, items));
    size_t count = (size_t)items * (size_t)a.most_tiles * (size_t)a.part_rows;
    a.parts = (float *)xr_cuda_scratch(b, XR_SCRATCH_PARTIAL,
                                       count * (size_t)(C * XR_SLICE + 2) * sizeof(float));
    a.part_state = a.parts + count * C * XR_SLICE;
    auto kernel = xr_attend<T, C, 1, 1, CacheKeys<T>>;
    xr_allow_shared(kernel, shared);
    dim3 grid((unsigned)items, (unsigned)splits);
    XR_LAUNCH(kernel, grid, 32, shared, xr_cuda_stream(b), a, keys);
    XR_LAUNCH((join_parts<T, C>), (unsigned)(items * a.part_rows), JOIN_THREADS, 0,
              xr_cuda_stream(b), a, keys.lengths);
}

// Sequences whose rows are one tile of FEW_ROWS, or less.
template <typename T, int C>
static void attend_few(XrBackend *b, XrAttend<T> a, const CacheKeys<T> &keys, int64_t rows) {
    constexpr size_t shared = xr_attend_shared<T, C, FEW_ROWS>();
    int64_t items = (int64_t)a.sequences * a.kv_heads;
    a.part_rows = (int)XR_MIN((int64_t)FEW_ROWS, rows);
    a.most_tiles = (int)xr_pieces(keys.longest, XrAttentionTile<T>::keys);
    size_t bytes = (size_t)items * (size_t)a.most_tiles * (size_t)a.part_rows *
                   (size_t)(C * XR_SLICE + 2) * sizeof(float);
    if (items <= xr_cuda_multiprocessors(b) && a.most_tiles > 1 && bytes <= MOST_PART_BYTES) {
        attend_in_parts<T, C>(b, a, keys, items);
        return;
    }
    auto kernel = xr_attend<T, C, 1, 1, CacheKeys<T>>;
    xr_allow_shared(kernel, shared);
    XR_LAUNCH(kernel, (unsigned)items, 32, shared, xr_cuda_stream(b), a, keys);
}

extern "C" void xr_cuda_attention_paged(XrBackend *b, const XrTensor *out, const XrTensor *q,
                                        const XrKvCache *cache, XrSegments queries,
                                        XrPageTables tables, XrHeads heads) {
    XR_REQUIRE(q->dtype == cache->dtype, "attention_paged: q %s, a cache of %s", xr_shape_text(q),
               xr_dtype_name(cache->dtype));
    if (q->shape[0] == 0) return;
    XR_ACTIVATION_TYPES(q, T, {
        XrAttend<T> a = xr_attend_of<T>(out, q, queries, heads, "attention_paged");
        a.wide_keys = true;
        CacheKeys<T> keys = {xr_cache_pages<T>(cache), (const int32_t *)tables.pages->data,
                             (const int32_t *)tables.lengths->data, tables.pages->row_stride,
                             (int)tables.longest};
        int64_t rows = queries.longest * a.group;
        a.most = FEW_ROWS;
        XR_HEAD_SLICE_PAIRS(heads.head_dim, C, (attend_few<T, C>(b, a, keys, rows)));
        if (rows > FEW_ROWS) {
            a.least = FEW_ROWS + 1;
            a.most = INT32_MAX;
            XR_HEAD_SLICE_PAIRS(heads.head_dim, C,
                                (xr_attend_tiles<T, C>(b, a, keys, q->shape[0])));
        }
    });
}
