#include "shared/bench/made.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/tensor/convert.h"

#include <stdlib.h>
#include <string.h>

static XrConfig text_config(XrBenchSize size, int64_t layers) {
    XrConfig c = {.vocab = 512,
                  .hidden = 64,
                  .layers = layers,
                  .heads = 2,
                  .kv_heads = 1,
                  .head_dim = 32,
                  .intermediate = 128,
                  .max_positions = 128,
                  .rms_eps = 1e-6,
                  .rope_theta = 1e6,
                  .mrope_section = {4, 6, 6},
                  .dtype = XR_BF16,
                  .bos = 1,
                  .pad = 1,
                  .eos = {2},
                  .eos_count = 1,
                  .image_token = -1,
                  .video_token = -1,
                  .vision_start = -1,
                  .vision_end = -1};
    if (size == XR_BENCH_TINY) return c;
    c.vocab = 152064;
    c.hidden = 3584;
    c.heads = 28;
    c.kv_heads = 4;
    c.head_dim = 128;
    c.intermediate = 18944;
    c.max_positions = 32768;
    c.mrope_section[0] = 16;
    c.mrope_section[1] = c.mrope_section[2] = 24;
    return c;
}

static void add_vision(XrConfig *c, XrBenchSize size) {
    bool large = size == XR_BENCH_7B;
    c->has_vision = true;
    c->vision = (XrVisionConfig){.blocks = large ? 32 : 2,
                                 .hidden = large ? 1280 : 32,
                                 .heads = large ? 16 : 2,
                                 .head_dim = large ? 80 : 16,
                                 .intermediate = large ? 3420 : 64,
                                 .out_hidden = c->hidden,
                                 .channels = 3,
                                 .patch = 14,
                                 .temporal_patch = 2,
                                 .merge = 2,
                                 .window = 112,
                                 .window_cells = 4,
                                 .tokens_per_second = 2};
    for (int64_t i = 0; i < c->vision.blocks; i++) {
        c->vision.full_attention[i] = large ? i % 8 == 7 : i == 1;
    }
}

enum { DIFFERENT = 1 << 20 }; // numbers, which are then repeated

// Within +-1/32, so that what a layer makes of its input stays about as large as that.
static uint16_t *make_numbers(int64_t count, XrError *err) {
    uint16_t *numbers = xr_try_alloc((size_t)count * sizeof *numbers, "weights", err);
    if (!numbers) return NULL;
    int64_t first = XR_MIN(count, DIFFERENT);
    for (int64_t i = 0; i < first; i++) {
        uint32_t random[4];
        xr_philox(1, 0, (uint64_t)i, random);
        numbers[i] = xr_f32_to_bf16((2 * xr_uniform(random[0]) - 1) / 32);
    }
    for (int64_t done = first; done < count; done += first) {
        memcpy(numbers + done, numbers, (size_t)XR_MIN(first, count - done) * sizeof *numbers);
    }
    return numbers;
}

bool xr_bench_model_make(XrBenchModel *out, XrBackend *b, XrBenchSize size, int64_t layers,
                         XrError *err) {
    XrConfig config = text_config(size, XR_MAX(1, layers));
    if (layers == 0) {
        config.vocab = 8;
        add_vision(&config, size);
    }
    XrWeights weights = {.table = xr_parameters(&config), .dtype = XR_BF16};
    int64_t largest = 0;
    for (int i = 0; i < weights.table.count; i++) {
        largest = XR_MAX(largest, xr_parameter_elements(&weights.table.items[i]));
    }
    *out = (XrBenchModel){.numbers = make_numbers(largest, err)};
    weights.tensors = xr_calloc((size_t)weights.table.count, sizeof *weights.tensors);
    for (int i = 0; i < weights.table.count; i++) {
        const XrParameter *p = &weights.table.items[i];
        weights.tensors[i] = xr_tensor_of(XR_BF16, out->numbers, p->ndim, p->shape);
    }
    bool ok = out->numbers && xr_model_of(&out->model, b, "a model made for timing", &config,
                                          &weights, XR_WEIGHTS_AS_STORED, err);
    xr_weights_close(&weights);
    if (!ok) xr_bench_model_free(out);
    return ok;
}

bool xr_bench_model_place(XrBenchModel *model, XrError *err) {
    XrModel *m = model->model;
    bool ok = true;
    for (int i = 0; ok && i < m->table.count; i++) {
        XrPart part = m->table.items[i].part;
        bool seen = part == XR_PART_VISION || part == XR_PART_MERGER;
        if (seen || !m->config.has_vision) ok = xr_model_place(m, i, err);
    }
    return ok;
}

bool xr_bench_model_open(XrBenchModel *out, XrBackend *b, XrBenchSize size, int64_t layers,
                         const char *path, bool placed, XrError *err) {
    *out = (XrBenchModel){0};
    if (size != XR_BENCH_FOLDER) {
        return xr_bench_model_make(out, b, size, layers, err) &&
               (!placed || xr_bench_model_place(out, err));
    }
    return placed ? xr_model_open(&out->model, b, path, XR_WEIGHTS_AS_STORED, false, err)
                  : xr_model_open_unplaced(&out->model, b, path, XR_WEIGHTS_AS_STORED, false, err);
}

void xr_bench_model_free(XrBenchModel *model) {
    xr_model_close(model->model);
    free(model->numbers);
    *model = (XrBenchModel){0};
}

double xr_bench_matrix_elements(const XrModel *model, bool with_head) {
    double count = 0;
    for (int i = 0; i < model->table.count; i++) {
        const XrParameter *p = &model->table.items[i];
        bool layer = p->part == XR_PART_LANGUAGE && p->ndim == 2;
        bool head = with_head && p->role == (model->table.tied ? XR_EMBED : XR_HEAD);
        if (layer || head) count += (double)xr_parameter_elements(p);
    }
    return count;
}
