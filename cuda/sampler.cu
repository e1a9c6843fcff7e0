// Draws one token from each row of logits, a block a row, with transformers' processors in
// transformers' order, then an inverse cumulative distribution in ascending order of ids
// (ref/sampler.c). Probabilities are whole numbers of 2^-40 of the largest: their sums are exact,
// in whatever order the threads add them.
#include "cuda/cuda.h"
#include "cuda/softmax.h"
#include "shared/base/rng.h"

#include <float.h>

enum {
    THREADS = 1024,
    WARPS = THREADS / 32,
    CHUNK = XR_SOFTMAX_CHUNK,
    MOST_CHUNKS = 1024, // of a row: vocabularies up to 2 million
    RADIX = 2048,
};

typedef unsigned long long Whole; // what atomics add

// Shared memory of a block.
struct Board {
    Whole histogram[RADIX];
    Whole sums[MOST_CHUNKS]; // of the chunks of a row
    XrSoftmax softmax[WARPS];
    Whole found, before; // what a search has found, and the sum of all before it
    int first;           // the lowest id of some kind
};

struct Row {
    XrSampleParams p;
    const float *logits;
    float *z; // logits after temperature and penalty
    int64_t n;
    float top;
    Board *board;
};

// Logits of the chunk that begins there.
XR_DEVICE int64_t chunk_at(const Row &r, int64_t begin) {
    return min(r.n - begin, (int64_t)CHUNK);
}

// ---- order of floats as order of unsigned integers; -0 and +0 are one ----

XR_DEVICE uint32_t order_key(float z) {
    const uint32_t bits = __float_as_uint(z + 0.0f);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

XR_DEVICE float from_key(uint32_t key) {
    return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

XR_DEVICE Whole weight_of(float z, float top) {
    return (Whole)(expf(z - top) * 0x1p40f);
}

// ---- candidates: from `least` on, of the equals of `least` those from id `first` on ----

struct Candidates {
    const float *z;
    float top;
    uint32_t least;
    int64_t first;

    XR_DEVICE_MEMBER bool has(int64_t i) const {
        const uint32_t key = order_key(z[i]);
        return key > least || (key == least && i >= first);
    }
};

struct Weight { // of a candidate
    Candidates c;
    XR_DEVICE_MEMBER Whole at(int64_t i) const {
        return c.has(i) ? weight_of(c.z[i], c.top) : 0;
    }
};

struct Equal { // 1 where a logit has the key
    const float *z;
    uint32_t key;
    XR_DEVICE_MEMBER Whole at(int64_t i) const {
        return order_key(z[i]) == key ? 1 : 0;
    }
};

// ---- searches by a block ----

// By warp 0: the first i of n, in the order in which `value` has them, at which the running sum
// reaches `target`, into board->found, and the sum before it into board->before. The sum of all
// does reach it.
template <typename F>
XR_DEVICE void search_warp(Board *board, const F &value, int64_t n, Whole target) {
    const int lane = (int)threadIdx.x;
    const int64_t each = (n + 31) / 32, begin = lane * each;
    const int64_t end = begin + each < n ? begin + each : n;
    Whole own = 0;
    for (int64_t i = begin; i < end; i++) own += value.at(i);
    Whole until = own; // sum of the lanes up to this one
    for (int lanes = 1; lanes < 32; lanes *= 2) {
        const Whole other = xr_shuffle_up(until, lanes);
        if (lane >= lanes) until += other;
    }
    if (until < target || until - own >= target) return;
    Whole running = until - own;
    for (int64_t i = begin; i < end; i++) {
        const Whole next = running + value.at(i);
        if (next >= target) {
            board->found = (Whole)i;
            board->before = running;
            return;
        }
        running = next;
    }
}

struct Descending { // a histogram from its highest digit down
    const Whole *histogram;
    XR_DEVICE_MEMBER Whole at(int64_t i) const {
        return histogram[RADIX - 1 - i];
    }
};
struct Ascending {
    const Whole *sums;
    XR_DEVICE_MEMBER Whole at(int64_t i) const {
        return sums[i];
    }
};
template <typename F> struct From { // value from `begin` on
    F value;
    int64_t begin;
    XR_DEVICE_MEMBER Whole at(int64_t i) const {
        return value.at(begin + i);
    }
};

// The sum of value over all ids; board->sums gets those of the chunks.
template <typename F> XR_DEVICE Whole sum_chunks(const Row &r, const F &value) {
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    const int chunks = (int)((r.n + CHUNK - 1) / CHUNK);
    for (int c = warp; c < chunks; c += WARPS) {
        const int64_t begin = (int64_t)c * CHUNK, end = begin + CHUNK < r.n ? begin + CHUNK : r.n;
        Whole sum = 0;
        for (int64_t i = begin + lane; i < end; i += 32) sum += value.at(i);
        sum = xr_warp_sum(sum);
        if (lane == 0) r.board->sums[c] = sum;
    }
    __syncthreads();
    Whole total = 0;
    for (int c = 0; c < chunks; c++) total += r.board->sums[c];
    return total;
}

// The lowest id at which the sum of value over it and all lower ids reaches `target`, after
// sum_chunks of the same value.
template <typename F> XR_DEVICE int64_t search_ids(const Row &r, const F &value, Whole target) {
    const int64_t chunks = (r.n + CHUNK - 1) / CHUNK;
    if (threadIdx.x < 32) {
        search_warp(r.board, Ascending{r.board->sums}, chunks, target);
        xr_sync_warp();
        const int64_t begin = (int64_t)r.board->found * CHUNK;
        const Whole before = r.board->before;
        xr_sync_warp();
        search_warp(r.board, From<F>{value, begin}, chunk_at(r, begin), target - before);
        xr_sync_warp();
        if (threadIdx.x == 0) r.board->found += (Whole)begin;
    }
    __syncthreads();
    const int64_t id = (int64_t)r.board->found;
    __syncthreads(); // the board is free again
    return id;
}

// ---- cuts through the candidates in descending order ----

struct Cut {
    uint32_t key; // all larger keys together are below the target, with this one they reach it
    Whole above;  // of all larger keys
    Whole equal;  // of this key
};

// Finds the key digit by digit from the most significant, with a histogram of the candidates that
// share the digits found so far; of their weights or, `counting`, their numbers.
XR_DEVICE Cut find_cut(const Row &r, uint32_t least, Whole target, bool counting) {
    Cut cut = {0, 0, 0};
    uint32_t known = 0; // mask of the digits found
    for (int level = 0; level < 3; level++) {
        const int shift = level == 0 ? 21 : level == 1 ? 10 : 0;
        const uint32_t digits = level == 2 ? RADIX / 2 - 1 : RADIX - 1;
        for (int d = (int)threadIdx.x; d < RADIX; d += THREADS) r.board->histogram[d] = 0;
        __syncthreads();
        for (int64_t i = threadIdx.x; i < r.n; i += THREADS) {
            const uint32_t key = order_key(r.z[i]);
            if (key < least || (key & known) != cut.key) continue;
            const Whole weight = counting ? 1 : weight_of(r.z[i], r.top);
            if (weight) xr_atomic_add(&r.board->histogram[key >> shift & digits], weight);
        }
        __syncthreads();
        if (threadIdx.x < 32) {
            search_warp(r.board, Descending{r.board->histogram}, RADIX, target - cut.above);
        }
        __syncthreads();
        const uint32_t digit = RADIX - 1 - (uint32_t)r.board->found;
        cut.key |= digit << shift;
        cut.above += r.board->before;
        cut.equal = r.board->histogram[digit];
        known |= digits << shift;
        __syncthreads();
    }
    return cut;
}

// TopPLogitsWarper: a token stays if those above it have less than top_p together. Among equals the
// sort is stable and ascending, so that lower ids are removed first.
XR_DEVICE Candidates keep_top_p(const Row &r, Candidates c) {
    const Whole total = sum_chunks(r, Weight{c});
    __syncthreads();
    const Whole target = max((Whole)ceil((double)r.p.top_p * (double)total), (Whole)1);
    const Cut cut = find_cut(r, c.least, target, false);
    const Whole each = weight_of(from_key(cut.key), r.top), equals = cut.equal / each;
    const Whole kept = min(equals, (target - cut.above + each - 1) / each);
    c.least = cut.key;
    if (kept < equals) {
        const Equal equal = {r.z, cut.key};
        sum_chunks(r, equal);
        c.first = search_ids(r, equal, equals - kept + 1);
    }
    return c;
}

// ---- the row ----

// z = logits / temperature, NaN as -infinity; returns how many were NaN.
XR_DEVICE int scale(const Row &r, float temperature) {
    XR_SHARED(int, scratch, XR_MOST_WARPS);
    int bad = 0;
    for (int64_t i = threadIdx.x; i < r.n; i += THREADS) {
        float value = r.logits[i] / temperature;
        bad += value != value;
        value = value > FLT_MAX ? FLT_MAX : value;
        r.z[i] = value == value ? value : -INFINITY;
    }
    return xr_block_sum(bad, scratch);
}

// log sum exp of a row, in the order of the operation `logprob`.
XR_DEVICE float row_lse(const Row &r, const float *z) {
    const int warp = (int)threadIdx.x / 32;
    const int chunks = (int)((r.n + CHUNK - 1) / CHUNK);
    XrSoftmax all = xr_softmax_none();
    for (int first = 0; first < chunks; first += WARPS) {
        const int64_t begin = (int64_t)(first + warp) * CHUNK;
        if (begin < r.n) {
            XrSoftmax own = xr_softmax_chunk(z + begin, chunk_at(r, begin), 1.0f);
            if (threadIdx.x % 32 == 0) r.board->softmax[warp] = own;
        }
        __syncthreads();
        for (int c = first; c < chunks && c < first + WARPS; c++) {
            all = xr_softmax_join(all, r.board->softmax[c - first]);
        }
        __syncthreads();
    }
    return xr_softmax_lse(all);
}

// RepetitionPenaltyLogitsProcessor and SuppressTokensLogitsProcessor, on z = logits / temperature.
XR_DEVICE void penalise(const Row &r, float temperature, const int32_t *ids) {
    const bool off = r.p.repetition_penalty == 1.0f;
    for (int64_t i = r.p.seen_begin + (int64_t)threadIdx.x; i < r.p.seen_end && !off;
         i += THREADS) {
        XR_DEVICE_REQUIRE(ids[i] >= 0 && ids[i] < r.n, "sample: seen id %d of %lld", ids[i],
                          (long long)r.n);
        float logit = r.logits[ids[i]];
        logit = logit > 0 ? logit / r.p.repetition_penalty : logit * r.p.repetition_penalty;
        const float value = logit / temperature;
        r.z[ids[i]] = value > FLT_MAX ? FLT_MAX : value == value ? value : -INFINITY;
    }
    __syncthreads();
    for (int64_t i = r.p.suppress_begin + (int64_t)threadIdx.x; i < r.p.suppress_end;
         i += THREADS) {
        XR_DEVICE_REQUIRE(ids[i] >= 0 && ids[i] < r.n, "sample: suppressed id %d of %lld", ids[i],
                          (long long)r.n);
        r.z[ids[i]] = -INFINITY;
    }
    __syncthreads();
}

XR_DEVICE float greatest(const Row &r) {
    XR_SHARED(float, tops, XR_MOST_WARPS);
    float top = -INFINITY;
    for (int64_t i = threadIdx.x; i < r.n; i += THREADS) top = fmaxf(top, r.z[i]);
    top = xr_warp_max(top);
    if (threadIdx.x % 32 == 0) tops[threadIdx.x / 32] = top;
    __syncthreads();
    for (int w = 0; w < WARPS; w++) top = fmaxf(top, tops[w]);
    return top;
}

// Where no logit is left (all are -infinity, NaN or suppressed): the lowest id that is not
// suppressed, or 0.
XR_DEVICE int64_t fallback(const Row &r, const int32_t *ids) {
    for (int64_t id = 0; id < r.n; id++) {
        int64_t i = r.p.suppress_begin;
        while (i < r.p.suppress_end && ids[i] != id) i++;
        if (i == r.p.suppress_end) return id;
    }
    return 0;
}

XR_DEVICE int64_t draw(const Row &r, const Candidates &c) {
    const Weight weight = {c};
    const Whole total = sum_chunks(r, weight);
    uint32_t bits[4];
    xr_philox(r.p.seed, r.p.stream, r.p.position, bits);
    // floor(u total), u = k 2^-24 as xr_uniform has it.
    const Whole k = bits[0] >> 8, mask = (1u << 24) - 1;
    const Whole target = (total >> 24) * k + (((total & mask) * k) >> 24);
    __syncthreads();
    return search_ids(r, weight, target + 1);
}

XR_DEVICE int64_t choose(Row *r, const int32_t *ids) {
    r->top = greatest(*r);
    if (r->top == -INFINITY) return fallback(*r, ids);
    Candidates c = {r->z, r->top, 0, 0};
    if (r->p.temperature == 0) {
        const Equal best = {r->z, order_key(r->top)};
        sum_chunks(*r, best);
        return search_ids(*r, best, 1);
    }
    // TopKLogitsWarper: removes what is less than the k-th largest; equals of it stay.
    if (r->p.top_k > 0 && r->p.top_k < r->n) {
        c.least = find_cut(*r, 0, (Whole)r->p.top_k, true).key;
    }
    if (r->p.top_p < 1.0f) c = keep_top_p(*r, c);
    return draw(*r, c);
}

struct Work {
    int32_t *tokens;
    float *logprob, *scaled, *z;
    const float *logits;
    const int32_t *ids;
    const XrSampleParams *params;
    int64_t vocabulary, id_count;
};

XR_DEVICE void require_range(int32_t begin, int32_t end, int64_t count, const char *what,
                             unsigned row) {
    XR_DEVICE_REQUIRE(begin >= 0 && begin <= end && end <= count,
                      "sample: row %u has %s ids %d to %d of %lld", row, what, begin, end,
                      (long long)count);
}

XR_DEVICE void require_params(const XrSampleParams &p, int64_t ids, unsigned row) {
    XR_DEVICE_REQUIRE(
        p.temperature >= 0 && p.top_p >= 0 && p.repetition_penalty > 0 && p.top_k >= 0,
        "sample: row %u has temperature %g, top_p %g, repetition penalty %g, "
        "top_k %d",
        row, (double)p.temperature, (double)p.top_p, (double)p.repetition_penalty, p.top_k);
    require_range(p.seen_begin, p.seen_end, ids, "seen", row);
    require_range(p.suppress_begin, p.suppress_end, ids, "suppressed", row);
}

XR_KERNEL(THREADS) sample_rows(Work w) {
    XR_SHARED(Board, board, 1);
    const int64_t row = blockIdx.x, n = w.vocabulary;
    Row r = {w.params[row], w.logits + row * n, w.z + row * n, n, 0, board};
    require_params(r.p, w.id_count, blockIdx.x);
    const float temperature = r.p.temperature == 0 ? 1.0f : r.p.temperature;
    const int bad = scale(r, temperature);
    __syncthreads();
    const float scaled_lse = row_lse(r, r.z);
    const float lse = temperature == 1.0f ? scaled_lse : row_lse(r, r.logits);
    penalise(r, temperature, w.ids);
    const int64_t token = choose(&r, w.ids);
    if (threadIdx.x != 0) return;
    w.tokens[row] = (int32_t)token;
    w.scaled[row] = bad ? NAN : r.logits[token] / temperature - scaled_lse;
    w.logprob[row] = bad ? NAN : r.logits[token] - lse;
}

extern "C" void xr_cuda_sample(XrBackend *b, const XrTensor *tokens, const XrTensor *logprob,
                               const XrTensor *scaled, const XrTensor *logits, const XrTensor *ids,
                               const XrSampleParams *params) {
    int64_t rows = logits->shape[0], n = logits->shape[1];
    if (rows == 0) return;
    XR_REQUIRE(n <= (int64_t)MOST_CHUNKS * CHUNK, "sample: logits %s", xr_shape_text(logits));
    Work w = {};
    w.tokens = (int32_t *)tokens->data;
    w.logprob = (float *)logprob->data;
    w.scaled = (float *)scaled->data;
    w.z = (float *)xr_cuda_scratch(b, XR_SCRATCH_PARTIAL, (size_t)(rows * n) * sizeof(float));
    w.logits = (const float *)logits->data;
    w.ids = (const int32_t *)ids->data;
    w.params = params;
    w.vocabulary = n;
    w.id_count = ids->shape[0];
    XR_LAUNCH(sample_rows, (unsigned)rows, THREADS, 0, xr_cuda_stream(b), w);
}
