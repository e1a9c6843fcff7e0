// sample (ref/sampler.c).
#include "tests/support/golden.h"
#include "tests/support/ops.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

// ---- rows against a naive sampler; shape [B, vocabulary] ----

static const XrShape SHAPES[] = {XR_SHAPE(0, 5),
                                 XR_SHAPE(12, 1),
                                 XR_SHAPE(12, 31),
                                 XR_SHAPE(24, 33),
                                 XR_SHAPE(36, 257),
                                 XR_SHAPE(12, 1000),
                                 XR_SHAPE(12, 5003),
#ifndef XR_CUDA_EMULATION                              // where it takes half a minute
                                 XR_SHAPE(12, 152064), // the 7B model's vocabulary
#endif
                                 {0}};

enum { SUPPRESSED = 3 }; // ids at the end of the list, of which every row has others, or none

// A row's way of sampling, by its number.
static XrSampleParams params_of(int64_t row, int64_t vocabulary) {
    static const struct {
        float temperature, top_p, penalty;
        int top_k;
    } KINDS[] = {
        {0, 1, 1, 0},     {1, 1, 1, 0},          {0.7f, 1, 1, 0},
        {1, 1, 1, 5},     {1, 0.8f, 1, 0},       {0.6f, 0.95f, 1.2f, 20},
        {1, 1e-3f, 1, 0}, {2, 1, 1.5f, 1000000}, {0, 1, 1.3f, 0},
        {1, 0, 1, 0},     {3, 0.5f, 1, 0},       {1e-6f, 1, 1.05f, 50},
    };
    int kind = (int)(row % (int64_t)XR_COUNT(KINDS));
    int32_t seen = (int32_t)(XR_MIN(vocabulary, 7));
    int32_t first = vocabulary > 4 ? (int32_t)XR_MIN(row % 5, SUPPRESSED) : SUPPRESSED;
    return (XrSampleParams){.temperature = KINDS[kind].temperature,
                            .top_p = KINDS[kind].top_p,
                            .repetition_penalty = KINDS[kind].penalty,
                            .top_k = KINDS[kind].top_k,
                            .seed = 11,
                            .stream = (uint64_t)row,
                            .position = (uint64_t)(row * row),
                            .seen_begin = (int32_t)(row % 2) * seen,
                            .seen_end = (int32_t)(row % 2 + 1) * seen,
                            .suppress_begin = 2 * seen + first,
                            .suppress_end = 2 * seen + XR_MIN(first + 2, SUPPRESSED)};
}

static void build(XrOpRun *run) {
    int64_t B = run->shape->n[0], V = run->shape->n[1], seen = XR_MIN(V, 7);
    xr_plain(run, "tokens", XR_OUT, XR_I32, B, XR_1D)->by_row = true;
    xr_plain(run, "logprob", XR_OUT, XR_F32, B, XR_1D)->by_row = true;
    xr_plain(run, "scaled", XR_OUT, XR_F32, B, XR_1D)->by_row = true;
    XrArg *logits = xr_plain(run, "logits", XR_CONSUMED, XR_F32, B, V);
    logits->by_row = true;
    xr_fill(logits, -6, 6);
    for (int64_t i = 0; i < logits->count; i++) { // every third row has many equals
        if (i / V % 3 == 2) xr_set(logits, i, round(logits->value[i] * 2) / 2);
    }
    XrArg *ids = xr_plain(run, "ids", XR_IN, XR_I32, 2 * seen + SUPPRESSED, XR_1D);
    for (int64_t i = 0; i < 2 * seen; i++) xr_set(ids, i, (double)((i * 13 + i / seen) % V));
    for (int64_t i = 0; i < SUPPRESSED; i++) xr_set(ids, 2 * seen + i, (double)((i * 3 + 1) % V));
    XrArg *params = xr_plain(run, "params", XR_IN, XR_U8, B, sizeof(XrSampleParams));
    params->by_row = true;
    XrSampleParams *all = xr_calloc((size_t)B + 1, sizeof *all);
    for (int64_t i = 0; i < B; i++) all[i] = params_of(i, V);
    xr_set_bytes(params, all);
    free(all);
}

// A token while the naive sampler sorts.
typedef struct Token {
    int64_t id;
    double z;
} Token;

// Descending; among equals the higher id first, the reverse of a stable ascending sort.
static int descending(const void *a, const void *b) {
    const Token *x = a, *y = b;
    if (x->z != y->z) return x->z < y->z ? 1 : -1;
    return x->id < y->id ? 1 : -1;
}

static int ascending_id(const void *a, const void *b) {
    const Token *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

// How many of n tokens in descending order survive top-k and top-p.
static int64_t survivors(const Token *tokens, int64_t n, const XrSampleParams *p) {
    if (p->top_k > 0 && p->top_k < n) {
        double kth = tokens[p->top_k - 1].z;
        while (tokens[n - 1].z < kth) n--;
    }
    double total = 0, above = 0;
    for (int64_t i = 0; i < n; i++) total += exp(tokens[i].z - tokens[0].z);
    for (int64_t i = 0; i < n && p->top_p < 1; i++) {
        if (i > 0 && above >= (double)p->top_p * total) return i;
        above += exp(tokens[i].z - tokens[0].z);
    }
    return n;
}

static int64_t naive_draw(Token *tokens, int64_t n, const XrSampleParams *p) {
    qsort(tokens, (size_t)n, sizeof *tokens, descending);
    if (p->temperature == 0) {
        int64_t best = tokens[0].id;
        for (int64_t i = 0; i < n && tokens[i].z == tokens[0].z; i++) best = tokens[i].id;
        return best;
    }
    double top = tokens[0].z, total = 0, running = 0;
    n = survivors(tokens, n, p);
    qsort(tokens, (size_t)n, sizeof *tokens, ascending_id);
    for (int64_t i = 0; i < n; i++) total += exp(tokens[i].z - top);
    uint32_t bits[4];
    xr_philox(p->seed, p->stream, p->position, bits);
    for (int64_t i = 0; i < n; i++) {
        running += exp(tokens[i].z - top);
        if (running > (double)xr_uniform(bits[0]) * total) return tokens[i].id;
    }
    return tokens[n - 1].id;
}

static double log_softmax(const double *z, int64_t n, int64_t token, double temperature) {
    double total = 0;
    for (int64_t i = 0; i < n; i++) total += exp((z[i] - z[token]) / temperature);
    return -log(total);
}

static void reference(XrOpRun *run) {
    int64_t B = run->shape->n[0], V = run->shape->n[1];
    const double *ids = xr_values(run, "ids");
    Token *tokens = xr_calloc((size_t)V, sizeof *tokens);
    for (int64_t row = 0; row < B; row++) {
        const double *logits = xr_values(run, "logits") + row * V;
        XrSampleParams p = params_of(row, V);
        double temperature = p.temperature == 0 ? 1 : (double)p.temperature;
        for (int64_t i = 0; i < V; i++) tokens[i] = (Token){i, logits[i]};
        for (int64_t i = p.seen_begin; i < p.seen_end; i++) {
            double *z = &tokens[(int64_t)ids[i]].z, penalty = (double)p.repetition_penalty;
            *z = logits[(int64_t)ids[i]] > 0 ? logits[(int64_t)ids[i]] / penalty
                                             : logits[(int64_t)ids[i]] * penalty;
        }
        for (int64_t i = p.suppress_begin; i < p.suppress_end; i++) {
            tokens[(int64_t)ids[i]].z = -INFINITY;
        }
        // Rounded as the operation rounds, so that equals stay equals.
        for (int64_t i = 0; i < V; i++)
            tokens[i].z = (float)((float)tokens[i].z / (float)temperature);
        int64_t token = naive_draw(tokens, V, &p);
        xr_expect(run, "tokens")[row] = (double)token;
        xr_expect(run, "logprob")[row] = log_softmax(logits, V, token, 1);
        xr_expect(run, "scaled")[row] = log_softmax(logits, V, token, temperature);
    }
    xr_arg(run, "logprob")->scale = 8;
    xr_arg(run, "scaled")->scale = 8e6; // logits of the size of 6 divided by 1e-6
    free(tokens);
}

static void call(XrOpRun *run, XrBackend *b) {
    const XrTensor *params = xr_t(run, "params");
    xr_sample(b, xr_t(run, "tokens"), xr_t(run, "logprob"), xr_t(run, "scaled"),
              xr_t(run, "logits"), xr_t(run, "ids"), params->data);
}

const XrOpTest xr_op_test_sample = {.op = "sample",
                                    .shapes = SHAPES,
                                    .types = XR_TYPES_F32,
                                    .independent_rows = true,
                                    .build = build,
                                    .reference = reference,
                                    .call = call};

// ---- direct calls ----

enum { DRAWS = 20000 };

typedef struct Draws {
    int32_t tokens[DRAWS];
    float logprob[DRAWS], scaled[DRAWS];
} Draws;

// Draws `count` tokens from one row of logits, at positions 0, 1, 2, ...
static void draw_many(Draws *out, int64_t count, const float *logits, int64_t vocabulary,
                      XrSampleParams p, const XrTensor *ids) {
    XrTensor none = xr_tensor1(XR_I32, NULL, 0);
    float *copies = xr_malloc((size_t)(count * vocabulary) * sizeof *copies);
    XrSampleParams *params = xr_calloc((size_t)count, sizeof *params);
    for (int64_t i = 0; i < count; i++) {
        memcpy(copies + i * vocabulary, logits, (size_t)vocabulary * sizeof *copies);
        params[i] = p;
        params[i].position = (uint64_t)i;
    }
    XrTensor tt = xr_tensor1(XR_I32, out->tokens, count);
    XrTensor tp = xr_tensor1(XR_F32, out->logprob, count);
    XrTensor ts = xr_tensor1(XR_F32, out->scaled, count);
    XrTensor tl = xr_tensor2(XR_F32, copies, count, vocabulary);
    xr_sample(xr_test_cpu(3), &tt, &tp, &ts, &tl, ids ? ids : &none, params);
    free(copies);
    free(params);
}

// Pearson's statistic of the draws against exp(scores), -infinity meaning never; fails where it is
// more than five standard deviations above its mean. Cells below 5 expected draws are put together.
static void check_frequencies(const char *what, const int32_t *tokens, int64_t draws,
                              const float *scores, int64_t n) {
    int64_t *counts = xr_calloc((size_t)n, sizeof *counts);
    for (int64_t i = 0; i < draws; i++) {
        assert_in_range(tokens[i], 0, n - 1);
        if (scores[tokens[i]] == -INFINITY) {
            fail_msg("%s: drew %d, which is ruled out", what, tokens[i]);
        }
        counts[tokens[i]]++;
    }
    double total = 0, chi = 0, rest = 0, rest_expected = 0;
    float top = -INFINITY;
    for (int64_t i = 0; i < n; i++) top = fmaxf(top, scores[i]);
    for (int64_t i = 0; i < n; i++) total += exp((double)scores[i] - (double)top);
    int cells = -1;
    for (int64_t i = 0; i < n; i++) {
        double expected = (double)draws * exp((double)scores[i] - (double)top) / total;
        if (expected < 5) {
            rest += (double)counts[i];
            rest_expected += expected;
            continue;
        }
        chi += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
        cells++;
    }
    if (rest_expected >= 5) {
        chi += (rest - rest_expected) * (rest - rest_expected) / rest_expected;
        cells++;
    }
    free(counts);
    if (chi > cells + 5 * sqrt(2.0 * cells) + 1e-6) {
        fail_msg("%s: chi-square is %.1f with %d degrees of freedom", what, chi, cells);
    }
}

static const XrSampleParams PLAIN = {
    .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 2024, .stream = 5};

static void frequencies(void **state) {
    static Draws draws;
    static float logits[997];
    for (int scale = 0; scale <= 3; scale++) { // scale 0: all alike
        for (int i = 0; i < 997; i++) logits[i] = (float)scale * sinf((float)(i * i));
        draw_many(&draws, DRAWS, logits, 997, PLAIN, NULL);
        check_frequencies("plain", draws.tokens, DRAWS, logits, 997);
    }
}

// What transformers' processors leave must be drawn, in its proportions, and nothing else.
static void check_golden(void *context, const XrGolden *golden, const char *prefix) {
    static Draws draws;
    XrTensor logits = xr_golden_of(golden, prefix, "logits", XR_F32);
    XrTensor scores = xr_golden_of(golden, prefix, "scores", XR_F32);
    XrTensor ids = xr_golden_of(golden, prefix, "ids", XR_I64);
    XrSampleParams p = PLAIN;
    p.temperature = (float)xr_golden_number(golden, prefix, "temperature");
    p.top_p = (float)xr_golden_number(golden, prefix, "top_p");
    p.repetition_penalty = (float)xr_golden_number(golden, prefix, "repetition_penalty");
    p.top_k = (int32_t)xr_golden_whole(golden, prefix, "top_k");
    int32_t seen[64];
    int64_t count = 0;
    for (int64_t i = 0; i < ids.shape[0]; i++) { // distinct ids
        int64_t k = 0;
        while (k < count && seen[k] != ((const int64_t *)ids.data)[i]) k++;
        if (k == count) seen[count++] = (int32_t)((const int64_t *)ids.data)[i];
    }
    XrTensor listed = xr_tensor1(XR_I32, seen, count);
    p.seen_end = (int32_t)count;
    draw_many(&draws, DRAWS, logits.data, logits.shape[0], p, &listed);
    check_frequencies(prefix, draws.tokens, DRAWS, scores.data, scores.shape[0]);
}

static void as_transformers(void **state) {
    XrGolden golden = xr_golden_open("ops.safetensors");
    xr_golden_each_case(&golden, "sampling", check_golden, NULL);
    xr_golden_close(&golden);
}

static int32_t draw_one(const float *logits, int64_t n, XrSampleParams p, const XrTensor *suppress,
                        float *logprob) {
    static Draws draws;
    if (suppress) p.suppress_end = (int32_t)suppress->shape[0];
    draw_many(&draws, 1, logits, n, p, suppress);
    if (logprob) *logprob = draws.logprob[0];
    return draws.tokens[0];
}

// By hand: how equals are treated at every cut.
static void equals(void **state) {
    static Draws draws;
    const float logits[] = {1, 3, 0, 3, 3, 2};
    XrSampleParams p = PLAIN;
    p.temperature = 0;
    assert_int_equal(draw_one(logits, 6, p, NULL, NULL), 1);
    p.temperature = 1;
    p.top_k = 1; // three are as large as the largest
    const float top_k[] = {-INFINITY, 3, -INFINITY, 3, 3, -INFINITY};
    draw_many(&draws, 3000, logits, 6, p, NULL);
    check_frequencies("top_k", draws.tokens, 3000, top_k, 6);
    const float zeros[] = {-1, -0.0f, 0, -1};
    const float zero_scores[] = {-INFINITY, 0, 0, -INFINITY};
    draw_many(&draws, 3000, zeros, 4, p, NULL);
    check_frequencies("two zeros", draws.tokens, 3000, zero_scores, 4);
    p.top_k = 0;
    p.top_p = 0.1f; // one of the two, the second
    const float other_zeros[] = {-1, 0, -0.0f, -1};
    const float one_score[] = {-INFINITY, -INFINITY, 0, -INFINITY};
    draw_many(&draws, 100, other_zeros, 4, p, NULL);
    check_frequencies("one zero", draws.tokens, 100, one_score, 4);
    p.top_p = 0.3f; // 3 e^3 of 3 e^3 + e^2 + e + 1 = 71.4: each has 0.28, two are needed
    const float top_p[] = {-INFINITY, -INFINITY, -INFINITY, 3, 3, -INFINITY};
    draw_many(&draws, 3000, logits, 6, p, NULL);
    check_frequencies("top_p", draws.tokens, 3000, top_p, 6);
}

static int descending_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

// Selection in a large row, for k around the number of blocks that it is cut into (20).
static void many_tokens(void **state) {
    enum { N = 5003, FEW = 1000 };
    static Draws draws;
    static float logits[N], sorted[N], scores[N];
    static const int KS[] = {1, 19, 20, 21, 30, 600, N - 1};
    XrSampleParams p = PLAIN;
    p.temperature = 4;
    for (size_t k = 0; k < 2 * XR_COUNT(KS); k++) {
        p.top_k = KS[k / 2];
        // Every other time, one of each 256 is above all others.
        for (int i = 0; i < N; i++) {
            logits[i] = 8 * sinf((float)i * (float)i) + (k % 2 && i % 256 == 0 ? 16 : 0);
        }
        memcpy(sorted, logits, sizeof sorted);
        qsort(sorted, N, sizeof *sorted, descending_floats);
        for (int i = 0; i < N; i++) {
            scores[i] = logits[i] < sorted[p.top_k - 1] ? -INFINITY : logits[i] / 4;
        }
        draw_many(&draws, FEW, logits, N, p, NULL);
        check_frequencies("top_k", draws.tokens, FEW, scores, N);
    }
    // Ten tokens of weight 1, the others of weight e^-4: 0.01 of these is needed, so that there are
    // ceil(0.01 * (N - 10)) of them, the highest ids.
    p = PLAIN;
    double each = exp(-4), total = 10 + (N - 10) * each;
    p.top_p = (float)((10 + 0.01 * (N - 10) * each) / total);
    for (int i = 0; i < N; i++) {
        logits[i] = i < 10 ? 0 : -4;
        scores[i] = i < 10 ? 0 : i >= N - (int)ceil(0.01 * (N - 10)) ? -4 : -INFINITY;
    }
    draw_many(&draws, FEW, logits, N, p, NULL);
    check_frequencies("top_p", draws.tokens, FEW, scores, N);
}

// The smallest random number, 0, draws the first token that is not ruled out.
static void smallest_number(void **state) {
    float logits[] = {5, 1, 2}, out[2];
    int32_t ids[] = {0}, token;
    XrTensor first = xr_tensor1(XR_I32, ids, 1), tt = xr_tensor1(XR_I32, &token, 1);
    XrTensor tp = xr_tensor1(XR_F32, &out[0], 1), ts = xr_tensor1(XR_F32, &out[1], 1);
    XrTensor tl = xr_tensor2(XR_F32, logits, 1, 3);
    XrSampleParams p = PLAIN;
    p.suppress_end = 1;
    p.seed = 1;
    p.stream = 0;
    p.position = 16902731;
    uint32_t bits[4];
    xr_philox(p.seed, p.stream, p.position, bits);
    assert_true(xr_uniform(bits[0]) == 0);
    xr_sample(xr_test_cpu(1), &tt, &tp, &ts, &tl, &first, &p);
    assert_int_equal(token, 1);
}

// Logits from a broken model: never a NaN's id, never out of range, and the log-probability says
// it.
static void not_numbers(void **state) {
    float logits[300], logprob;
    XrSampleParams kinds[] = {PLAIN, PLAIN, PLAIN};
    kinds[1].temperature = 0;
    kinds[2].top_p = 0.5f;
    kinds[2].top_k = 40;
    for (size_t k = 0; k < XR_COUNT(kinds); k++) {
        for (int i = 0; i < 300; i++) logits[i] = NAN;
        assert_int_equal(draw_one(logits, 300, kinds[k], NULL, &logprob), 0);
        assert_true(isnan(logprob));
        logits[123] = -4;
        assert_int_equal(draw_one(logits, 300, kinds[k], NULL, &logprob), 123);
        assert_true(isnan(logprob));
        for (int i = 0; i < 300; i++) logits[i] = -INFINITY;
        assert_int_equal(draw_one(logits, 300, kinds[k], NULL, &logprob), 0);
        logits[7] = 0;
        assert_int_equal(draw_one(logits, 300, kinds[k], NULL, &logprob), 7);
        assert_true(logprob == 0);
        logits[9] = INFINITY;
        assert_int_equal(draw_one(logits, 300, kinds[k], NULL, &logprob), 9);
        for (int i = 0; i < 300; i++) logits[i] = i == 200 ? FLT_MAX : -FLT_MAX;
        assert_int_equal(draw_one(logits, 300, kinds[k], NULL, &logprob), 200);
    }
}

static void suppressed(void **state) {
    const float logits[] = {9, 8, 7};
    int32_t ids[] = {0, 1, 2};
    XrTensor first = xr_tensor1(XR_I32, ids, 1), all = xr_tensor1(XR_I32, ids, 3);
    XrTensor none = xr_tensor1(XR_I32, ids, 0);
    XrSampleParams p = PLAIN;
    p.temperature = 0;
    assert_int_equal(draw_one(logits, 3, p, &none, NULL), 0);
    assert_int_equal(draw_one(logits, 3, p, &first, NULL), 1);
    assert_int_equal(draw_one(logits, 3, p, &all, NULL), 0);
    const float empty[] = {NAN, -INFINITY, NAN};
    assert_int_equal(draw_one(empty, 3, p, &first, NULL), 1);
}

// The sampler's and the trainer's log-probabilities are the same bits.
static void agrees_with_logprob(void **state) {
    enum { B = 9, D = 96, V = 3001 };
    static float hidden[B * D], head[V * D], logits[B * V];
    static const float TEMPERATURES[] = {1, 0.7f, 1.3f};
    float logprob[B], scaled[B], again[B], entropy[B];
    int32_t tokens[B];
    for (int i = 0; i < B * D; i++) hidden[i] = sinf((float)i * 0.37f) * 3;
    for (int i = 0; i < V * D; i++) head[i] = cosf((float)i * 0.11f);
    XrTensor th = xr_tensor2(XR_F32, hidden, B, D), tw = xr_tensor2(XR_F32, head, V, D);
    XrTensor tz = xr_tensor2(XR_F32, logits, B, V), tt = xr_tensor1(XR_I32, tokens, B);
    XrTensor tl = xr_tensor1(XR_F32, logprob, B), ts = xr_tensor1(XR_F32, scaled, B);
    XrTensor ta = xr_tensor1(XR_F32, again, B), te = xr_tensor1(XR_F32, entropy, B);
    XrTensor none = xr_tensor1(XR_I32, NULL, 0);
    XrBackend *b = xr_test_cpu(3);
    for (size_t k = 0; k < XR_COUNT(TEMPERATURES); k++) {
        XrSampleParams params[B];
        for (int i = 0; i < B; i++) {
            params[i] = PLAIN;
            params[i].temperature = TEMPERATURES[k];
            params[i].stream = (uint64_t)i;
            params[i].top_p = i % 2 ? 0.9f : 1.0f;
        }
        xr_linear(b, &tz, &th, &tw, NULL);
        xr_sample(b, &tt, &tl, &ts, &tz, &none, params);
        xr_logprob(b, &ta, &te, NULL, NULL, NULL, &th, &tw, &tt, TEMPERATURES[k]);
        assert_memory_equal(scaled, again, sizeof again);
        xr_logprob(b, &ta, NULL, NULL, NULL, NULL, &th, &tw, &tt, 1);
        assert_memory_equal(logprob, again, sizeof again);
    }
}

static const XrOpTest *const TESTS[] = {&xr_op_test_sample};
XR_OP_TEST_MAIN(TESTS, cmocka_unit_test(frequencies), cmocka_unit_test(as_transformers),
                cmocka_unit_test(equals), cmocka_unit_test(many_tokens),
                cmocka_unit_test(smallest_number), cmocka_unit_test(not_numbers),
                cmocka_unit_test(suppressed), cmocka_unit_test(agrees_with_logprob))
