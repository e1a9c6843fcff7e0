// Draws one token from each row of logits, with transformers' processors in transformers' order
// (generation/logits_process.py: RepetitionPenalty, SuppressTokens, Temperature, TopK, TopP), then
// an inverse cumulative distribution in ascending order of ids. Everything about a row is computed
// by one thread in one order.
#include "ref/cpu.h"
#include "ref/sampler_kernels.h"
#include "ref/softmax.h"
#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <math.h>
#include <string.h>

typedef struct SampleWork {
    XrBackend *backend;
    const XrSamplerKernels *kernels;
    const XrTensor *tokens, *logprob, *scaled, *logits, *ids;
    const XrSampleParams *params;
} SampleWork;

// Tokens that are still in the draw, in ascending order of ids.
typedef struct Candidates {
    int64_t count;
    float *z;       // logits after penalty and temperature
    float *e;       // exp(z - largest z)
    double *blocks; // sums of e over blocks of XR_SAMPLER_BLOCK
    int32_t *id;    // of each candidate; meaningless while `all` holds and candidate i is id i
    bool all;
} Candidates;

static Candidates candidates_in(XrBackend *b, int thread, int64_t n) {
    int64_t padded = (n + 15) / 16 * 16, blocks = n / XR_SAMPLER_BLOCK + 1;
    double *memory = xr_cpu_scratch(b, thread, (size_t)padded * 12 + (size_t)blocks * 8);
    Candidates c = {.count = n, .all = true, .blocks = memory};
    c.z = (float *)(memory + blocks);
    c.e = c.z + padded;
    c.id = (int32_t *)(c.e + padded);
    return c;
}

// Order of floats as order of unsigned integers; -0 and +0 are one.
static uint32_t order_key(float z) {
    uint32_t bits;
    z += 0.0f;
    memcpy(&bits, &z, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float from_key(uint32_t key) {
    uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float z;
    memcpy(&z, &bits, sizeof z);
    return z;
}

// Where a cut through the candidates in descending order falls: the key at which the summed weight
// of all larger keys is still below the target and that of all keys not smaller reaches it.
typedef struct Cut {
    uint32_t key;
    double above; // weight of all larger keys
} Cut;

enum { RADIX_BITS = 11, RADIX = 1 << RADIX_BITS };

// Finds the cut digit by digit from the most significant, with a histogram of weights (1 each
// where `weight` is NULL) of the candidates that share the digits found so far.
static Cut find_cut(const float *z, const float *weight, int64_t n, double target) {
    static const int SHIFTS[] = {21, 10, 0};
    Cut cut = {0, 0};
    uint32_t known = 0; // mask of the digits found
    for (int level = 0; level < 3; level++) {
        double histogram[RADIX] = {0};
        bool filled[RADIX] = {false};
        uint32_t digits = level == 2 ? (1u << 10) - 1 : RADIX - 1;
        for (int64_t i = 0; i < n; i++) {
            uint32_t key = order_key(z[i]);
            if ((key & known) != cut.key) continue;
            uint32_t digit = key >> SHIFTS[level] & digits;
            histogram[digit] += weight ? (double)weight[i] : 1.0;
            filled[digit] = true;
        }
        int64_t chosen = -1;
        for (int64_t d = digits; d >= 0; d--) {
            if (!filled[d]) continue;
            if (chosen >= 0) cut.above += histogram[chosen];
            chosen = d;
            if (cut.above + histogram[d] >= target) break;
        }
        cut.key |= (uint32_t)chosen << SHIFTS[level];
        known |= digits << SHIFTS[level];
    }
    return cut;
}

// Keeps the candidates from `least` on, e with them.
static void keep_at_least(const XrSamplerKernels *k, Candidates *c, float least) {
    int64_t kept = 0;
    float *z = c->z, *e = c->e;
    for (int64_t begin = 0; begin < c->count; begin += XR_SAMPLER_BLOCK) {
        int64_t end = XR_MIN(begin + XR_SAMPLER_BLOCK, c->count);
        if (k->max(z + begin, end - begin) < least) continue;
        for (int64_t i = begin; i < end; i++) {
            float value = z[i];
            c->id[kept] = c->all ? (int32_t)i : c->id[i];
            z[kept] = value;
            e[kept] = e[i];
            kept += value >= least;
        }
    }
    c->count = kept;
    c->all = false;
}

// Removes the first `drop` candidates that have the key.
static void drop_equals(Candidates *c, uint32_t key, int64_t drop) {
    int64_t kept = 0;
    for (int64_t i = 0; i < c->count; i++) {
        if (order_key(c->z[i]) == key && drop-- > 0) continue;
        c->id[kept] = c->id[i];
        c->z[kept++] = c->z[i];
    }
    c->count = kept;
}

// TopKLogitsWarper: removes what is less than the k-th largest; equals of it stay. At least k
// candidates are not less than the k-th largest of the blocks' maxima, so that the exact selection
// has few to look at.
static void keep_top_k(const XrSamplerKernels *k, Candidates *c, int64_t top_k) {
    if (top_k >= c->count) return;
    int64_t blocks = 0;
    for (int64_t i = 0; i < c->count; i += XR_SAMPLER_BLOCK) {
        c->e[blocks++] = k->max(c->z + i, XR_MIN(XR_SAMPLER_BLOCK, c->count - i));
    }
    if (top_k <= blocks) {
        keep_at_least(k, c, from_key(find_cut(c->e, NULL, blocks, (double)top_k).key));
    }
    keep_at_least(k, c, from_key(find_cut(c->z, NULL, c->count, (double)top_k).key));
}

static double total_of(const Candidates *c) {
    double total = 0;
    for (int64_t k = 0; k * XR_SAMPLER_BLOCK < c->count; k++) total += c->blocks[k];
    return total;
}

// Keeps only candidates near the largest where they surely hold the weight `target`: a token's
// place in descending order does not depend on the others.
static void keep_near_top(const XrSamplerKernels *k, Candidates *c, float top, double target) {
    static const float DISTANCES[] = {3, 6, 9, 12};
    for (size_t i = 0; i < XR_COUNT(DISTANCES); i++) {
        float least = top - DISTANCES[i];
        if (k->mass_from(c->e, c->z, c->count, least) < target * (1 + 1e-5)) continue;
        keep_at_least(k, c, least);
        return;
    }
}

// TopPLogitsWarper: in ascending order, removes while the cumulative probability is at most
// 1 - top_p, the last one excepted; that is, a token stays if those above it have less than top_p
// together. Among equals the sort is stable, so that lower ids are removed first.
static void keep_top_p(const XrSamplerKernels *k, Candidates *c, float top, float top_p) {
    double target = (double)top_p * total_of(c);
    keep_near_top(k, c, top, target);
    Cut cut = find_cut(c->z, c->e, c->count, target);
    int64_t equals = 0;
    double each = 0;
    for (int64_t i = 0; i < c->count; i++) {
        if (order_key(c->z[i]) != cut.key) continue;
        equals++;
        each = (double)c->e[i];
    }
    int64_t kept = equals;
    if (cut.above + each * (double)equals > target) {
        kept = (int64_t)ceil((target - cut.above) / each);
        kept = XR_MAX(1, XR_MIN(kept, equals));
    }
    keep_at_least(k, c, from_key(cut.key));
    drop_equals(c, cut.key, equals - kept);
}

// The first candidate at which the cumulative weight exceeds u times the whole.
static int64_t draw(const Candidates *c, float u) {
    double target = (double)u * total_of(c), before = 0;
    int64_t last = 0; // with weight: what rounding at the very end falls back on
    for (int64_t begin = 0; begin < c->count; begin += XR_SAMPLER_BLOCK) {
        double block = c->blocks[begin / XR_SAMPLER_BLOCK], sum = before;
        if (block > 0) {
            int64_t end = XR_MIN(begin + XR_SAMPLER_BLOCK, c->count);
            bool here = before + block > target;
            for (int64_t i = begin; i < end && (here || end == c->count); i++) {
                sum += (double)c->e[i];
                if (c->e[i] > 0) last = i;
                if (here && sum > target) return i;
            }
            if (here) return last;
        }
        before += block;
    }
    return last;
}

static int64_t first_equal(const float *z, int64_t n, float value) {
    int64_t i = 0;
    while (i + 1 < n && z[i] != value) i++;
    return i;
}

static bool is_suppressed(const SampleWork *w, const XrSampleParams *p, int64_t id) {
    for (int64_t i = p->suppress_begin; i < p->suppress_end; i++) {
        if (((const int32_t *)w->ids->data)[i] == id) return true;
    }
    return false;
}

// Where no logit is left (all are -infinity, NaN or suppressed): the lowest id that is not
// suppressed, or 0.
static int64_t fallback(const SampleWork *w, const XrSampleParams *p) {
    for (int64_t id = 0; id < w->logits->shape[1]; id++) {
        if (!is_suppressed(w, p, id)) return id;
    }
    return 0;
}

// RepetitionPenaltyLogitsProcessor and SuppressTokensLogitsProcessor, on z = logits / temperature.
static void penalise(const SampleWork *w, int64_t row, float *z, float temperature) {
    const XrSampleParams *p = &w->params[row];
    int64_t n = w->logits->shape[1];
    const float *logits = (const float *)w->logits->data + row * n;
    const int32_t *ids = w->ids->data;
    bool off = p->repetition_penalty == 1.0f;
    for (int64_t i = p->seen_begin; i < p->seen_end && !off; i++) {
        XR_REQUIRE(ids[i] >= 0 && ids[i] < n, "sample: seen id %d of %lld", ids[i], (long long)n);
        float logit = logits[ids[i]];
        logit = logit > 0 ? logit / p->repetition_penalty : logit * p->repetition_penalty;
        w->kernels->scale(&z[ids[i]], &logit, 1, temperature);
    }
    for (int64_t i = p->suppress_begin; i < p->suppress_end; i++) {
        XR_REQUIRE(ids[i] >= 0 && ids[i] < n, "sample: suppressed id %d of %lld", ids[i],
                   (long long)n);
        z[ids[i]] = -INFINITY;
    }
}

static int64_t choose(const SampleWork *w, int64_t row, Candidates *c) {
    const XrSampleParams *p = &w->params[row];
    const XrSamplerKernels *k = w->kernels;
    float top = k->max(c->z, c->count);
    if (top == -INFINITY) return fallback(w, p);
    if (p->temperature == 0) return first_equal(c->z, c->count, top);
    if (p->top_k > 0) keep_top_k(k, c, p->top_k);
    k->exponentials(c->e, c->blocks, c->z, c->count, top);
    if (p->top_p < 1.0f) {
        keep_top_p(k, c, top, p->top_p);
        k->exponentials(c->e, c->blocks, c->z, c->count, top);
    }
    uint32_t bits[4];
    xr_philox(p->seed, p->stream, p->position, bits);
    int64_t i = draw(c, xr_uniform(bits[0]));
    return c->all ? i : c->id[i];
}

static void require_range(int32_t begin, int32_t end, const XrTensor *ids, const char *what,
                          int64_t row) {
    XR_REQUIRE(begin >= 0 && begin <= end && end <= ids->shape[0],
               "sample: row %lld has %s ids %d to %d of %s", (long long)row, what, begin, end,
               xr_shape_text(ids));
}

static void require_params(const XrSampleParams *p, const XrTensor *ids, int64_t row) {
    XR_REQUIRE(p->temperature >= 0 && p->top_p >= 0 && p->repetition_penalty > 0 && p->top_k >= 0,
               "sample: row %lld has temperature %g, top_p %g, repetition penalty %g, top_k %d",
               (long long)row, (double)p->temperature, (double)p->top_p,
               (double)p->repetition_penalty, p->top_k);
    require_range(p->seen_begin, p->seen_end, ids, "seen", row);
    require_range(p->suppress_begin, p->suppress_end, ids, "suppressed", row);
}

// The token's log-probabilities are those of the `logprob` operation, bit for bit: the same
// quotient, reduced by the same function.
static void sample_row(const SampleWork *w, int64_t row, int thread) {
    const XrSampleParams *p = &w->params[row];
    require_params(p, w->ids, row);
    int64_t n = w->logits->shape[1];
    const float *logits = (const float *)w->logits->data + row * n;
    float temperature = p->temperature == 0 ? 1.0f : p->temperature;
    Candidates c = candidates_in(w->backend, thread, n);
    int64_t bad = w->kernels->scale(c.z, logits, n, temperature);
    float scaled_lse = xr_cpu_row_lse(c.z, n);
    float lse = temperature == 1.0f ? scaled_lse : xr_cpu_row_lse(logits, n);
    penalise(w, row, c.z, temperature);
    int64_t token = choose(w, row, &c);
    ((int32_t *)w->tokens->data)[row] = (int32_t)token;
    ((float *)w->scaled->data)[row] = bad ? NAN : logits[token] / temperature - scaled_lse;
    ((float *)w->logprob->data)[row] = bad ? NAN : logits[token] - lse;
}

static void sample_rows(void *context, int64_t begin, int64_t end, int thread) {
    for (int64_t row = begin; row < end; row++) sample_row(context, row, thread);
}

void xr_cpu_sample(XrBackend *b, const XrTensor *tokens, const XrTensor *logprob,
                   const XrTensor *scaled, const XrTensor *logits, const XrTensor *ids,
                   const XrSampleParams *params) {
    SampleWork work = {
        b, XR_CHOOSE_KERNELS(xr_sampler_kernels), tokens, logprob, scaled, logits, ids, params};
    xr_cpu_parallel(b, logits->shape[0], 1, sample_rows, &work);
}
