// What a GPU computes outside of the table of operations (cuda/bpe.cu, image.cu, verify.cu), beside
// one core of the CPU with the same work: byte pairs of many words, one large picture, many
// expressions at many points. From host memory to host memory, but that a picture's patches stay
// where the vision tower takes them from.
#include "cuda/bpe.h"
#include "cuda/image.h"
#include "cuda/verify.h"
#include "shared/bench/bench.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ON_GPU = 7 }; // of a case's parameters: not on a core, but on the GPU

static uint32_t draw(uint64_t *drawn, uint32_t below) {
    uint32_t bits[4];
    xr_philox(11, 0, (*drawn)++, bits);
    return bits[0] % below;
}

// ---- byte pairs: words of 2 to 9 letters, each of which a chain of rules makes one symbol ----

enum { LETTERS = 26, WORDS = 4096, LONGEST_WORD = 9 };

typedef struct Merging {
    XrBackend *b;
    XrBpeTable rules;
    XrBpeScratch scratch;
    int64_t pieces, *offsets;
    int32_t *text, *symbols, *counts; // text: the symbols before merging
    XrCudaBpe *gpu;                   // NULL: one core
} Merging;

static void finish_merging(void *state) {
    Merging *m = state;
    xr_cuda_bpe_free(m->b, m->gpu);
    xr_bpe_table_free(&m->rules);
    xr_bpe_scratch_free(&m->scratch);
    free(m->offsets);
    free(m->text);
    free(m->symbols);
    free(m->counts);
    free(m);
}

typedef struct Words {
    uint8_t letters[WORDS][LONGEST_WORD];
    int length[WORDS];
} Words;

static void make_rules(XrBpeTable *rules, Words *words, uint64_t *drawn) {
    xr_bpe_table_create(rules, (int64_t)WORDS * (LONGEST_WORD - 1));
    int32_t symbols = LETTERS;
    for (int w = 0; w < WORDS; w++) {
        words->length[w] = 2 + (int)draw(drawn, LONGEST_WORD - 1);
        int32_t left = -1;
        for (int i = 0; i < words->length[w]; i++) {
            int32_t letter = (int32_t)draw(drawn, LETTERS);
            words->letters[w][i] = (uint8_t)letter;
            if (i) xr_bpe_table_add(rules, (XrBpeMerge){left, letter, symbols, symbols});
            left = i ? symbols++ : letter;
        }
    }
}

// n: pieces.
static void *start_merging(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Merging *m = xr_calloc(1, sizeof *m);
    Words *words = xr_calloc(1, sizeof *words);
    uint64_t drawn = 0;
    m->b = b;
    m->pieces = self->n[0];
    make_rules(&m->rules, words, &drawn);
    size_t pieces = (size_t)m->pieces;
    m->offsets = xr_calloc(pieces + 1, sizeof *m->offsets);
    m->counts = xr_calloc(pieces, sizeof *m->counts);
    m->text = xr_calloc(pieces * LONGEST_WORD, sizeof *m->text);
    m->symbols = xr_calloc(pieces * LONGEST_WORD, sizeof *m->symbols);
    for (size_t p = 0; p < pieces; p++) {
        int w = (int)draw(&drawn, WORDS);
        m->offsets[p + 1] = m->offsets[p] + words->length[w];
        for (int i = 0; i < words->length[w]; i++) {
            m->text[m->offsets[p] + i] = words->letters[w][i];
        }
    }
    free(words);
    *work = (XrBenchWork){.units = (double)m->offsets[pieces], .unit = "bytes of text"};
    if (self->n[ON_GPU] && !(m->gpu = xr_cuda_bpe_create(b, &m->rules, err))) {
        finish_merging(m);
        return NULL;
    }
    return m;
}

static void merge(void *state) {
    Merging *m = state;
    memcpy(m->symbols, m->text, (size_t)m->offsets[m->pieces] * sizeof *m->symbols);
    if (m->gpu)
        xr_cuda_bpe_merge(m->b, m->gpu, m->pieces, m->offsets, m->symbols, m->counts);
    else
        xr_cpu_bpe_merge(&m->rules, m->pieces, m->offsets, m->symbols, m->counts, &m->scratch);
}

// ---- a picture, resized and cut into patches ----

enum { PATCH = 14, MERGE = 2, TEMPORAL = 2 };

typedef struct Picture {
    XrBackend *b;
    XrResampleAxis x, y;
    XrPatchLayout layout;
    size_t in_bytes, mid_bytes, out_bytes, patch_bytes;
    uint8_t *in, *mid, *out; // in: on the host; the others where the work is done
    float *patches;
    void *device_in; // NULL on the CPU
    float table[3 * 256];
} Picture;

static void finish_picture(void *state) {
    Picture *p = state;
    void *worked[] = {p->mid, p->out, p->patches};
    for (size_t i = 0; i < XR_COUNT(worked); i++) {
        if (p->device_in)
            p->b->free(p->b, worked[i]);
        else
            free(worked[i]);
    }
    if (p->device_in) p->b->free(p->b, p->device_in);
    free(p->in);
    xr_resample_axis_free(&p->x);
    xr_resample_axis_free(&p->y);
    free(p);
}

static bool place_picture(Picture *p, bool gpu, XrError *err) {
    if (!gpu) {
        p->mid = xr_malloc(p->mid_bytes);
        p->out = xr_malloc(p->out_bytes);
        p->patches = xr_malloc(p->patch_bytes);
        return true;
    }
    XrBackend *b = p->b;
    p->device_in = b->alloc(b, p->in_bytes, "a picture", err);
    return p->device_in && (p->mid = b->alloc(b, p->mid_bytes, "a picture", err)) &&
           (p->out = b->alloc(b, p->out_bytes, "a picture", err)) &&
           (p->patches = b->alloc(b, p->patch_bytes, "patches", err));
}

// n: pixels down and across, patches down and across.
static void *start_picture(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Picture *p = xr_calloc(1, sizeof *p);
    int height = (int)self->n[0], width = (int)self->n[1];
    int64_t down = self->n[2] * PATCH, across = self->n[3] * PATCH;
    p->b = b;
    p->layout = (XrPatchLayout){self->n[2], self->n[3], PATCH, MERGE, TEMPORAL};
    p->in_bytes = (size_t)height * (size_t)width * 3;
    p->mid_bytes = (size_t)(height * across * 3);
    p->out_bytes = (size_t)(down * across * 3);
    p->patch_bytes = p->out_bytes * TEMPORAL * sizeof *p->patches;
    p->in = xr_malloc(p->in_bytes);
    for (size_t i = 0; i < p->in_bytes; i++) p->in[i] = (uint8_t)(i * 2654435761u >> 24);
    for (int i = 0; i < 3 * 256; i++) p->table[i] = (float)(i % 256) / 127.5F - 1;
    *work = (XrBenchWork){.units = 1e-6 * width * height, .unit = "megapixels"};
    if (xr_resample_axis(&p->x, width, (int)across, XR_RESAMPLE_PILLOW, err) &&
        xr_resample_axis(&p->y, height, (int)down, XR_RESAMPLE_PILLOW, err) &&
        place_picture(p, self->n[ON_GPU] != 0, err)) {
        return p;
    }
    finish_picture(p);
    return NULL;
}

static void cut(void *state) {
    Picture *p = state;
    XrError err;
    if (p->device_in) {
        p->b->upload(p->b, p->device_in, p->in, p->in_bytes);
        xr_cuda_resample_rows(p->b, p->mid, p->device_in, p->y.in, &p->x);
        xr_cuda_resample_columns(p->b, p->out, p->mid, (int64_t)p->x.out * 3, &p->y);
        xr_cuda_patchify(p->b, p->patches, p->out, p->table, &p->layout);
        return;
    }
    XR_REQUIRE(xr_cpu_resample_rows(p->mid, p->in, p->y.in, &p->x, NULL, &err), "%s", err.message);
    xr_cpu_resample_columns(p->out, p->mid, (int64_t)p->x.out * 3, &p->y, NULL);
    xr_cpu_patchify(p->patches, p->out, p->table, &p->layout, NULL);
}

// ---- the verifier's expressions ----

enum { VARIABLES = 2 };

typedef struct Points {
    XrBackend *b; // NULL: one core
    XrVerifyBatch batch;
    XrVerifyStep *steps;
    int32_t *begins;
    double *at, *value, *error;
} Points;

static void finish_points(void *state) {
    Points *p = state;
    free(p->steps);
    free(p->begins);
    free(p->at);
    free(p->value);
    free(p->error);
    free(p);
}

// (sin(x)^2 + cos(y) c) / (exp(x y) + c), with another constant c in every second program.
static const XrVerifyStep PROGRAM[] = {
    {XR_V_VARIABLE, 0}, {XR_V_SIN, 0},      {XR_V_POWER, 2},    {XR_V_VARIABLE, 1},
    {XR_V_COS, 0},      {XR_V_CONSTANT, 0}, {XR_V_MULTIPLY, 0}, {XR_V_ADD, 0},
    {XR_V_VARIABLE, 0}, {XR_V_VARIABLE, 1}, {XR_V_MULTIPLY, 0}, {XR_V_EXP, 0},
    {XR_V_CONSTANT, 0}, {XR_V_ADD, 0},      {XR_V_DIVIDE, 0},
};

// n: programs, points.
static void *start_points(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    static const double CONSTANTS[] = {2, 0.1};
    Points *p = xr_calloc(1, sizeof *p);
    size_t programs = (size_t)self->n[0], points = (size_t)self->n[1];
    p->b = self->n[ON_GPU] ? b : NULL;
    p->steps = xr_calloc(programs * XR_COUNT(PROGRAM), sizeof *p->steps);
    p->begins = xr_calloc(programs + 1, sizeof *p->begins);
    p->at = xr_calloc(points * VARIABLES, sizeof *p->at);
    p->value = xr_calloc(programs * points, sizeof *p->value);
    p->error = xr_calloc(programs * points, sizeof *p->error);
    for (size_t i = 0; i < programs; i++) {
        XrVerifyStep *steps = p->steps + i * XR_COUNT(PROGRAM);
        memcpy(steps, PROGRAM, sizeof PROGRAM);
        for (size_t s = 0; s < XR_COUNT(PROGRAM); s++) {
            if (steps[s].op == XR_V_CONSTANT) steps[s].argument = (int32_t)(i % 2);
        }
        p->begins[i + 1] = (int32_t)((i + 1) * XR_COUNT(PROGRAM));
    }
    for (size_t i = 0; i < points * VARIABLES; i++) p->at[i] = (double)(i * 37 % 101) / 50 - 1;
    p->batch = (XrVerifyBatch){.steps = p->steps,
                               .begins = p->begins,
                               .programs = (int32_t)programs,
                               .variables = VARIABLES,
                               .points = (int32_t)points,
                               .constants = CONSTANTS};
    *work = (XrBenchWork){.units = (double)(programs * points), .unit = "values"};
    return p;
}

static void evaluate(void *state) {
    Points *p = state;
    if (p->b)
        xr_cuda_verify_real(p->b, &p->batch, p->at, p->value, p->error);
    else
        xr_verify_real(&p->batch, p->at, p->value, p->error);
}

// ---- the cases ----

void xr_bench_batches(XrBenchList *list, bool tiny) {
    const XrBenchCase cases[] = {
        {.name = "batches/byte-pairs-1M",
         .n = {tiny ? 40 : 1 << 20},
         .start = start_merging,
         .run = merge,
         .finish = finish_merging},
        // To a million pixels.
        {.name = "batches/picture-2304x3072",
         .n = {tiny ? 60 : 2304, tiny ? 90 : 3072, tiny ? 2 : 62, tiny ? 4 : 82},
         .start = start_picture,
         .run = cut,
         .finish = finish_picture},
        {.name = "batches/points-4096x64",
         .n = {tiny ? 3 : 4096, tiny ? 20 : 64},
         .start = start_points,
         .run = evaluate,
         .finish = finish_points},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        for (int gpu = 0; gpu < 2; gpu++) {
            XrBenchCase item = cases[i];
            item.n[ON_GPU] = gpu;
            snprintf(item.name, sizeof item.name, "%.80s/%s", cases[i].name,
                     gpu ? "gpu" : "one-core");
            xr_bench_add(list, &item);
        }
    }
}
