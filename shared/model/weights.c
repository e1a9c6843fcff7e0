#include "shared/model/weights.h"

#include "shared/base/buffer.h"
#include "shared/base/memory.h"
#include "shared/base/utf8.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A list of names for a message: the first few, and how many more.
typedef struct Names {
    XrBuffer text;
    int count;
} Names;

enum { NAMES_SHOWN = 3 };

static void note(Names *names, const char *name, const char *remark) {
    if (names->count++ >= NAMES_SHOWN) return;
    xr_buffer_format(&names->text, "%s%s%s", names->count > 1 ? ", " : "", xr_utf8_shown(name),
                     remark);
}

static void tell(XrBuffer *message, Names *names, const char *what) {
    if (names->count == 0) return;
    xr_buffer_format(message, "%s%d tensor%s %s: %s", message->length ? "; " : "", names->count,
                     names->count == 1 ? "" : "s", what, names->text.data);
    if (names->count > NAMES_SHOWN) {
        xr_buffer_format(message, " and %d more", names->count - NAMES_SHOWN);
    }
}

typedef struct Problems {
    Names missing, unfit, unexpected;
} Problems;

static bool report(Problems *problems, const char *folder, const XrConfig *config, XrError *err) {
    XrBuffer message = {0};
    tell(&message, &problems->missing, "missing");
    tell(&message, &problems->unfit, "of the wrong kind");
    tell(&message, &problems->unexpected, "not of this model");
    bool ok = message.length == 0;
    bool head = problems->missing.count == 1 && !config->tied &&
                strcmp(problems->missing.text.data, "lm_head.weight") == 0;
    if (!ok) {
        xr_fail(err, XR_ERR_INPUT, "%s: %s; %s", folder, message.data,
                head ? "if the head is the embedding, config.json must say tie_word_embeddings true"
                     : "config.json and the weights do not belong together, or the copy is "
                       "incomplete");
    }
    xr_buffer_free(&message);
    xr_buffer_free(&problems->missing.text);
    xr_buffer_free(&problems->unfit.text);
    xr_buffer_free(&problems->unexpected.text);
    return ok;
}

static bool fits(const XrStored *stored, const XrParameter *parameter) {
    bool type = stored->dtype == XR_F32 || stored->dtype == XR_BF16 || stored->dtype == XR_F16;
    if (!type || stored->ndim != parameter->ndim || stored->scalar) return false;
    return memcmp(stored->shape, parameter->shape, (size_t)stored->ndim * sizeof(int64_t)) == 0;
}

static const XrStored *find(const XrSafetensors *files, const XrParameter *parameter) {
    const XrStored *stored = xr_safetensors_find(files, parameter->name);
    if (stored) return stored;
    char other[80];
    xr_parameter_alternative_name(parameter, other);
    return xr_safetensors_find(files, other);
}

// Buffers that old versions of transformers saved beside the weights; they follow from the
// configuration.
static bool is_rotary_buffer(const char *name) {
    static const char end[] = "rotary_emb.inv_freq";
    size_t length = strlen(name);
    return length >= sizeof end - 1 && strcmp(name + length - (sizeof end - 1), end) == 0;
}

static bool check_tied_head(const XrWeights *weights, const char *folder, const XrStored *head,
                            XrError *err) {
    int embed = xr_parameter_index(&weights->table, XR_EMBED, 0);
    const XrStored *table = find(weights->files, &weights->table.items[embed]);
    if (head->byte_count == table->byte_count && head->dtype == table->dtype &&
        memcmp(head->bytes, table->bytes, head->byte_count) == 0) {
        return true;
    }
    return xr_fail(err, XR_ERR_INPUT,
                   "%s: config.json says that the embeddings are tied, but lm_head.weight differs "
                   "from the embedding; set tie_word_embeddings to false, or remove the head",
                   folder);
}

static bool resolve(XrWeights *w, const char *folder, const XrConfig *config, XrError *err) {
    Problems problems = {0};
    int stored_count = xr_safetensors_count(w->files);
    const XrStored *first = stored_count ? xr_safetensors_at(w->files, 0) : NULL, *head = NULL;
    bool *used = xr_calloc((size_t)stored_count + 1, sizeof *used);
    bool viewed = true;
    for (int i = 0; i < w->table.count; i++) {
        const XrParameter *p = &w->table.items[i];
        const XrStored *stored = find(w->files, p);
        if (!stored) {
            note(&problems.missing, p->name, "");
            continue;
        }
        used[stored - first] = true;
        XrTensor wanted = xr_tensor_of(stored->dtype, NULL, p->ndim, p->shape);
        XrTensor found = xr_tensor_of(stored->dtype, NULL, stored->ndim, stored->shape);
        char remark[256];
        snprintf(remark, sizeof remark, " (%s, needed %s)", xr_shape_text(&found),
                 strchr(xr_shape_text(&wanted), '['));
        if (!fits(stored, p))
            note(&problems.unfit, p->name, remark);
        else
            viewed = viewed && xr_safetensors_view(w->files, stored, &w->tensors[i], err);
    }
    for (int i = 0; i < stored_count; i++) {
        const char *name = first[i].name;
        if (config->tied && strcmp(name, "lm_head.weight") == 0)
            head = &first[i];
        else if (!used[i] && !is_rotary_buffer(name))
            note(&problems.unexpected, name, "");
    }
    free(used);
    return report(&problems, folder, config, err) && viewed &&
           (!head || check_tied_head(w, folder, head, err));
}

static void find_dtype(XrWeights *w) {
    int64_t largest = -1;
    for (int i = 0; i < w->table.count; i++) {
        if (xr_numel(&w->tensors[i]) > largest) {
            largest = xr_numel(&w->tensors[i]);
            w->dtype = w->tensors[i].dtype;
        }
    }
    for (int i = 0; i < w->table.count; i++) w->mixed |= w->tensors[i].dtype != w->dtype;
}

bool xr_weights_open(XrWeights *out, const char *folder, const XrConfig *config, XrError *err) {
    *out = (XrWeights){0};
    if (!xr_safetensors_open(&out->files, folder, err)) return false;
    out->table = xr_parameters(config);
    out->tensors = xr_calloc((size_t)out->table.count, sizeof *out->tensors);
    bool ok = resolve(out, folder, config, err);
    if (ok)
        find_dtype(out);
    else
        xr_weights_close(out);
    return ok;
}

void xr_weights_close(XrWeights *weights) {
    xr_safetensors_close(weights->files);
    xr_parameters_free(&weights->table);
    free(weights->tensors);
    *weights = (XrWeights){0};
}

const XrTensor *xr_weights_tensor(const XrWeights *weights, XrRole role, int64_t block) {
    if (role == XR_HEAD && weights->table.tied) role = XR_EMBED;
    int index = xr_parameter_index(&weights->table, role, block);
    return index < 0 ? NULL : &weights->tensors[index];
}

// ---- finite values ----

typedef struct Scan {
    const XrTensor *tensor;
    atomic_bool bad;
} Scan;

static bool is_finite_bits(const XrTensor *t, int64_t i) {
    if (t->dtype == XR_F32) return (~((const uint32_t *)t->data)[i] & 0x7F800000u) != 0;
    uint32_t mask = t->dtype == XR_BF16 ? 0x7F80u : 0x7C00u;
    return (~(uint32_t)((const uint16_t *)t->data)[i] & mask) != 0;
}

static void scan_range(void *context, int64_t begin, int64_t end, int thread) {
    (void)thread;
    Scan *scan = context;
    bool good = true;
    for (int64_t i = begin; i < end; i++) good &= is_finite_bits(scan->tensor, i);
    if (!good) atomic_store(&scan->bad, true);
}

bool xr_weights_check_finite(const XrWeights *weights, XrThreads *threads, XrError *err) {
    for (int i = 0; i < weights->table.count; i++) {
        Scan scan = {.tensor = &weights->tensors[i]};
        int64_t elements = xr_numel(scan.tensor), at = 0;
        xr_parallel(threads, elements, 1 << 18, scan_range, &scan);
        if (!atomic_load(&scan.bad)) continue;
        while (is_finite_bits(scan.tensor, at)) at++;
        return xr_fail(err, XR_ERR_INPUT,
                       "tensor \"%s\" holds NaN or an infinity (element %lld); the weights are "
                       "damaged, fetch or train them again",
                       weights->table.items[i].name, (long long)at);
    }
    return true;
}
