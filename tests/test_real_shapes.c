// Log-probabilities and their gradients at the real size of the 7B model's head, 152,064 ids by
// 3,584, whose matrix has more bytes than 32 bits count and whose gradient has twice as many; the
// rows of operations are smaller (test_logprob.c). Head in bf16, as published; activations as the
// backend has them. Against double: all of dhidden, of dhead every 1,009th row and those of
// targets.
#include "tests/support/backends.h"
#include "tests/support/op_values.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/tensor/ops.h"
#include "shared/tensor/tolerance.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 3, WIDTH = 3584, VOCABULARY = 152064, STRIDE = 1009 };

// The second row points to its target, which is about as likely as all others together; the third
// has none.
static const int32_t TARGETS[ROWS] = {VOCABULARY - 1, 77777, -1};
static const float DLOGPROB[ROWS] = {0.75f, -1.25f, 3};
static const double TEMPERATURE = 0.75; // exact in f32

static struct {
    bool made;
    double hidden[ROWS][WIDTH];
    double lse[ROWS], entropy[ROWS], logprob[ROWS];
    int32_t best[ROWS];
    double *dz[ROWS];                         // [VOCABULARY]
    double dhidden[ROWS][WIDTH], moved[ROWS]; // moved: sum of |dz|
} want;

static float widen(uint16_t bits) {
    uint32_t word = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

// The head in bf16, [VOCABULARY, WIDTH]: whole numbers of [-128, 128) times 2^-12.
static uint16_t *make_head(void) {
    uint16_t numbers[256], *head = xr_malloc(sizeof *head * VOCABULARY * WIDTH);
    for (int i = 0; i < 256; i++) xr_store(XR_BF16, &numbers[i], (i - 128) * 0x1p-12);
    for (int64_t i = 0; i < (int64_t)VOCABULARY * WIDTH; i += 16) {
        uint32_t bits[4];
        xr_philox(7, 0, (uint64_t)i, bits);
        for (int k = 0; k < 16; k++) head[i + k] = numbers[bits[k / 4] >> k % 4 * 8 & 255];
    }
    return head;
}

static void make_hidden(const uint16_t *head) {
    for (int t = 0; t < ROWS; t++) {
        const uint16_t *row = head + (int64_t)TARGETS[1] * WIDTH;
        for (int d = 0; d < WIDTH; d++) {
            double value = 2 * xr_noise("hidden", t * WIDTH + d) - 1;
            if (t == 1) value += 8 * (double)widen(row[d]);
            want.hidden[t][d] = xr_round_to(XR_BF16, value);
        }
    }
}

// Fills z [ROWS][VOCABULARY], logits / temperature.
static void find_logits(const uint16_t *head, double *z[ROWS]) {
    for (int64_t v = 0; v < VOCABULARY; v++) {
        double sums[ROWS] = {0};
        for (int d = 0; d < WIDTH; d++) {
            double w = (double)widen(head[v * WIDTH + d]);
            for (int t = 0; t < ROWS; t++) sums[t] += want.hidden[t][d] * w;
        }
        for (int t = 0; t < ROWS; t++) z[t][v] = sums[t] / TEMPERATURE;
    }
}

// Replaces z by its gradient.
static void reduce(int t, double *z) {
    double sum = 0;
    for (int v = 0; v < VOCABULARY; v++) {
        sum += exp(z[v]);
        if (z[v] > z[want.best[t]]) want.best[t] = v;
    }
    int32_t target = TARGETS[t];
    want.lse[t] = want.entropy[t] = log(sum);
    want.logprob[t] = target < 0 ? 0 : z[target] - want.lse[t];
    double factor = target < 0 ? 0 : (double)DLOGPROB[t] / TEMPERATURE;
    for (int v = 0; v < VOCABULARY; v++) {
        double p = exp(z[v] - want.lse[t]);
        want.entropy[t] -= p * z[v];
        z[v] = factor * ((v == target) - p);
        want.moved[t] += fabs(z[v]);
    }
}

static void make_reference(const uint16_t *head) {
    if (want.made) return;
    want.made = true;
    make_hidden(head);
    for (int t = 0; t < ROWS; t++) want.dz[t] = xr_calloc(VOCABULARY, sizeof(double));
    find_logits(head, want.dz);
    for (int t = 0; t < ROWS; t++) reduce(t, want.dz[t]);
    for (int64_t v = 0; v < VOCABULARY; v++) {
        float row[WIDTH];
        for (int d = 0; d < WIDTH; d++) row[d] = widen(head[v * WIDTH + d]);
        for (int t = 0; t < ROWS; t++) {
            double dz = want.dz[t][v], *dhidden = want.dhidden[t];
            for (int d = 0; d < WIDTH && dz != 0; d++) dhidden[d] += dz * (double)row[d];
        }
    }
}

static int free_reference(void **state) {
    for (int t = 0; t < ROWS; t++) free(want.dz[t]);
    return 0;
}

typedef struct Row {
    const char *backend;
    XrDType activations;
} Row;

// One call's tensors in the backend's memory.
typedef struct Call {
    XrBackend *b;
    XrDType activations;
    XrTensor hidden, dhidden, head, dhead, logits, targets, dlogprob, lse, entropy, logprob, best;
} Call;

static XrTensor make(Call *c, XrDType dtype, int64_t rows, int64_t columns) {
    const int64_t shape[] = {rows, columns};
    XrTensor t;
    XrError err;
    if (!xr_tensor_alloc(c->b, &t, dtype, columns ? 2 : 1, shape, "a test", &err)) {
        fail_msg("%s", err.message);
    }
    return t;
}

static void open_call(Call *c, const Row *row) {
    *c = (Call){.b = xr_test_backend(row->backend), .activations = row->activations};
    c->head = make(c, XR_BF16, VOCABULARY, WIDTH);
    uint16_t *head = make_head();
    make_reference(head);
    xr_upload(c->b, &c->head, head);
    free(head);
    float hidden[ROWS * WIDTH];
    for (int i = 0; i < ROWS * WIDTH; i++) hidden[i] = (float)want.hidden[i / WIDTH][i % WIDTH];
    c->hidden = make(c, c->activations, ROWS, WIDTH);
    xr_upload_f32(c->b, &c->hidden, hidden);
    c->targets = make(c, XR_I32, ROWS, 0);
    xr_upload(c->b, &c->targets, TARGETS);
    c->dlogprob = make(c, XR_F32, ROWS, 0);
    xr_upload(c->b, &c->dlogprob, DLOGPROB);
    c->dhidden = make(c, c->activations, ROWS, WIDTH);
    c->dhead = make(c, XR_F32, VOCABULARY, WIDTH);
    c->b->zero(c->b, c->dhead.data, xr_nbytes(&c->dhead));
    c->logits = make(c, XR_F32, ROWS, VOCABULARY);
    c->lse = make(c, XR_F32, ROWS, 0);
    c->entropy = make(c, XR_F32, ROWS, 0);
    c->logprob = make(c, XR_F32, ROWS, 0);
    c->best = make(c, XR_I32, ROWS, 0);
}

static void close_call(Call *c) {
    XrTensor *all[] = {&c->hidden,   &c->dhidden, &c->head,    &c->dhead,   &c->logits, &c->targets,
                       &c->dlogprob, &c->lse,     &c->entropy, &c->logprob, &c->best};
    for (size_t i = 0; i < XR_COUNT(all); i++) xr_tensor_free(c->b, all[i]);
    xr_backend_free(c->b);
}

// `size`: of the terms whose rounding errors an output has; roundings: to bf16, of the output
// itself.
static void near(const Call *c, const char *op, const char *name, int64_t i, double got,
                 double wanted, double size, int roundings) {
    bool low = c->activations == XR_BF16;
    XrTolerance t = xr_tolerance_for(op, name, low, low ? roundings : 0);
    double excess = xr_tolerance_excess(got, wanted, &t, size);
    if (excess <= 1) return;
    fail_msg("%s: %s[%lld] is %.9g, should be %.9g: %.3g times the tolerance", op, name,
             (long long)i, got, wanted, excess);
}

static void check_forward(const Call *c) {
    const struct {
        const char *name;
        const XrTensor *got;
        const double *want;
    } lists[] = {{"lse", &c->lse, want.lse},
                 {"entropy", &c->entropy, want.entropy},
                 {"logprob", &c->logprob, want.logprob}};
    int32_t best[ROWS];
    xr_download(c->b, best, &c->best);
    for (int t = 0; t < ROWS; t++) assert_int_equal(best[t], want.best[t]);
    for (size_t i = 0; i < XR_COUNT(lists); i++) {
        float got[ROWS];
        xr_download(c->b, got, lists[i].got);
        for (int t = 0; t < ROWS; t++) {
            near(c, "logprob", lists[i].name, t, (double)got[t], lists[i].want[t], want.lse[t], 0);
        }
    }
}

static void check_gradients(const Call *c) {
    float got[ROWS * WIDTH];
    xr_download_f32(c->b, got, &c->dhidden);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        int t = i / WIDTH; // |head| is at most 2^-5
        near(c, "logprob_backward", "dhidden", i, (double)got[i], want.dhidden[t][i % WIDTH],
             want.moved[t] * 0x1p-5, 1);
    }
    for (int64_t v = 0; v < VOCABULARY; v++) {
        if (v % STRIDE && v != TARGETS[0] && v != TARGETS[1]) continue;
        XrTensor row = xr_rows(&c->dhead, v, 1);
        xr_download(c->b, got, &row);
        for (int d = 0; d < WIDTH; d++) {
            double sum = 0, size = 0;
            for (int t = 0; t < ROWS; t++) sum += want.dz[t][v] * want.hidden[t][d];
            for (int t = 0; t < ROWS; t++) size += fabs(want.dz[t][v] * want.hidden[t][d]);
            near(c, "logprob_backward", "dhead", v * WIDTH + d, (double)got[d], sum, size, 0);
        }
    }
}

static void logprob(void **state) {
    Call c;
    open_call(&c, *state);
    float temperature = (float)TEMPERATURE;
    xr_logprob(c.b, &c.logprob, &c.entropy, &c.best, &c.lse, &c.logits, &c.hidden, &c.head,
               &c.targets, temperature);
    check_forward(&c);
    xr_logprob_backward(c.b, &c.dhidden, &c.dhead, &c.dlogprob, &c.logits, &c.hidden, &c.head,
                        &c.targets, &c.lse, temperature);
    check_gradients(&c);
    close_call(&c);
}

int main(int argc, char **argv) {
    static Row cpu = {"2", XR_F32};
    const struct CMUnitTest tests[] = {
        {"logprob/cpu", logprob, NULL, NULL, &cpu},
#ifdef XR_TEST_MODELS_ON_CUDA
        {"logprob/cuda.bf16", logprob, NULL, NULL, &(Row){"cuda.bf16", XR_BF16}},
#endif
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, free_reference);
}
