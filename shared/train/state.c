#include "shared/train/state.h"

#include "shared/base/memory.h"
#include "shared/tensor/convert.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_trained(const XrParameter *p, bool vision) {
    return vision || (p->part != XR_PART_VISION && p->part != XR_PART_MERGER);
}

// Parameters of one block of one part make a piece.
static bool same_piece(const XrParameter *a, const XrParameter *b) {
    bool single = a->role == XR_EMBED || b->role == XR_EMBED || a->role == XR_FINAL_NORM ||
                  b->role == XR_FINAL_NORM || a->role == XR_VISION_PATCH ||
                  b->role == XR_VISION_PATCH;
    return !single && a->part == b->part && a->block == b->block;
}

static void cut_pieces(XrTrainState *s) {
    const XrParameterTable *table = &s->model->table;
    s->pieces = xr_calloc((size_t)table->count, sizeof *s->pieces);
    s->begin = xr_malloc((size_t)table->count * sizeof *s->begin);
    int64_t at = 0;
    for (int i = 0; i < table->count; i++) {
        const XrParameter *p = &table->items[i];
        s->begin[i] = s->trained[i] ? at : -1;
        if (!s->trained[i]) continue;
        if (s->piece_count == 0 || !same_piece(&table->items[i - 1], p)) {
            s->pieces[s->piece_count++] = (XrTrainPiece){.first = i, .begin = at};
        }
        XrTrainPiece *last = &s->pieces[s->piece_count - 1];
        last->parameters++;
        last->count += xr_parameter_elements(p);
        at += xr_parameter_elements(p);
    }
    s->elements = at;
}

// Where parameters of two bytes an element lie: products on a GPU read whole chunks of 16 bytes.
// Returns the elements of all.
static int64_t align_rounded(XrTrainState *s) {
    enum { CHUNK = 8 };
    const XrParameterTable *table = &s->model->table;
    s->rounded_begin = xr_malloc((size_t)table->count * sizeof *s->rounded_begin);
    int64_t at = 0;
    for (int i = 0; i < table->count; i++) {
        s->rounded_begin[i] = s->trained[i] ? at : -1;
        if (!s->trained[i]) continue;
        at += (xr_parameter_elements(&table->items[i]) + CHUNK - 1) / CHUNK * CHUNK;
    }
    return at;
}

// Rank r owns [r n / size, (r + 1) n / size) of each piece; returns the elements owned in all.
static int64_t share_pieces(XrTrainState *s) {
    int64_t moments = 0;
    for (int i = 0; i < s->piece_count; i++) {
        XrTrainPiece *p = &s->pieces[i];
        int64_t first = p->count * s->comm->rank / s->comm->size;
        int64_t end = p->count * (s->comm->rank + 1) / s->comm->size;
        p->own_begin = p->begin + first;
        p->own_count = end - first;
        p->moment_begin = moments;
        moments += p->own_count;
    }
    return moments;
}

// Gives the memory of a mapped file's pages back to the system; they come again if they are read.
static void release_pages(const XrModel *model, const XrTensor *stored) {
    XrSafetensors *files = model->weights.files;
    if (!files) return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < xr_safetensors_count(files); i++) {
        const XrStored *found = xr_safetensors_at(files, i);
        if (found->bytes != stored->data) continue; // not in the map, or another tensor
        uintptr_t from = ((uintptr_t)found->bytes + page - 1) / page * page;
        uintptr_t to = ((uintptr_t)found->bytes + found->byte_count) / page * page;
        if (to > from) madvise((void *)from, to - from, MADV_DONTNEED); // NOLINT(*-int-to-ptr)
        return;
    }
}

static bool lies_in(const XrTensor *flat, const void *data) {
    const char *at = data, *begin = flat->data;
    return begin && at >= begin && at < begin + xr_nbytes(flat);
}

static bool has_far_values(const XrTrainState *s) {
    return s->offloaded && s->rounded.data;
}

void xr_train_release(const XrTrainState *s, const XrTensor *part) {
    XrBackend *b = s->model->backend;
    bool far =
        (s->offloaded && (lies_in(&s->first, part->data) || lies_in(&s->second, part->data))) ||
        (has_far_values(s) && lies_in(&s->values, part->data));
    if (far) b->offload_release(b, part->data, xr_nbytes(part));
}

static bool take_parameter(XrTrainState *s, int index, XrError *err) {
    XrModel *model = s->model;
    XrBackend *b = model->backend;
    const XrParameter *p = &model->table.items[index];
    const XrTensor *stored = &model->weights.tensors[index];
    XrTensor piece = xr_rows(&s->values, s->begin[index], xr_parameter_elements(p));
    XrTensor *parameter = &model->parameters[index];
    const void *source = stored->data;
    void *converted = NULL;
    if (stored->dtype != XR_F32) {
        converted = xr_try_alloc(xr_nbytes(&piece), p->name, err);
        if (!converted) return false;
        xr_convert_parallel(b->threads, converted, XR_F32, stored->data, stored->dtype,
                            xr_numel(stored));
        source = converted;
    }
    b->upload(b, piece.data, source, xr_nbytes(&piece));
    free(converted);
    if (parameter->data && model->owned[index]) b->free(b, parameter->data);
    if (parameter->data && !model->owned[index]) b->unimport(b, parameter->data);
    model->owned[index] = false;
    XrTensor used = s->rounded.data ? xr_rows(&s->rounded, s->rounded_begin[index], 1) : piece;
    *parameter = xr_tensor_of(used.dtype, used.data, p->ndim, p->shape);
    xr_train_release(s, &piece);
    release_pages(model, stored);
    return true;
}

// `offload`: the folder of a tensor further away (then it is zero), or NULL.
static bool alloc_flat(XrBackend *b, XrTensor *out, int64_t elements, const char *offload,
                       const char *what, XrError *err) {
    if (!offload) return xr_tensor_alloc(b, out, XR_F32, 1, &elements, what, err);
    *out = xr_tensor1(XR_F32, NULL, elements);
    out->data = b->offload_alloc(b, xr_nbytes(out), offload, what, err);
    return out->data != NULL;
}

static void free_flat(XrBackend *b, XrTensor *flat, bool offloaded) {
    if (offloaded && flat->data) b->offload_free(b, flat->data, xr_nbytes(flat));
    if (offloaded) flat->data = NULL;
    xr_tensor_free(b, flat);
}

bool xr_train_state_create(XrTrainState *out, XrModel *model, XrComm *comm,
                           XrTrainStateOptions options, XrError *err) {
    XrBackend *b = model->backend;
    model->activations = options.bf16 ? b->activations : XR_F32; // as the weights will be
    *out = (XrTrainState){.model = model, .comm = comm};
    out->trained = xr_calloc((size_t)model->table.count, sizeof *out->trained);
    for (int i = 0; i < model->table.count; i++) {
        out->trained[i] = is_trained(&model->table.items[i], options.vision);
    }
    cut_pieces(out);
    int64_t moments = share_pieces(out), rounded = align_rounded(out);
    out->offloaded = options.offload != NULL;
    bool ok =
        (!options.bf16 ||
         xr_tensor_alloc(b, &out->rounded, XR_BF16, 1, &rounded, "trained weights in bf16", err)) &&
        alloc_flat(b, &out->values, out->elements, options.bf16 ? options.offload : NULL,
                   "trained weights", err) &&
        alloc_flat(b, &out->first, moments, options.offload, "AdamW's first moments", err) &&
        alloc_flat(b, &out->second, moments, options.offload, "AdamW's second moments", err) &&
        xr_gradients_create(&out->gradients, model, out->trained, err);
    for (int i = 0; ok && i < model->table.count; i++) {
        if (out->trained[i]) {
            ok = take_parameter(out, i, err);
        } else if (!model->parameters[i].data) {
            ok = xr_model_place(model, i, err);
        }
    }
    if (!ok) {
        xr_train_state_free(out);
        return false;
    }
    xr_train_round(out);
    if (!out->offloaded) {
        b->zero(b, out->first.data, xr_nbytes(&out->first));
        b->zero(b, out->second.data, xr_nbytes(&out->second));
    }
    return true;
}

// Parameters that point into the flat tensors lose them with the state.
static void drop_parameters(XrTrainState *s) {
    for (int i = 0; i < s->model->table.count; i++) {
        XrTensor *parameter = &s->model->parameters[i];
        if (lies_in(&s->values, parameter->data) || lies_in(&s->rounded, parameter->data)) {
            parameter->data = NULL;
        }
    }
}

void xr_train_state_free(XrTrainState *state) {
    if (!state->model) return;
    XrBackend *b = state->model->backend;
    drop_parameters(state);
    xr_gradients_free(&state->gradients);
    free_flat(b, &state->values, has_far_values(state));
    free_flat(b, &state->first, state->offloaded);
    free_flat(b, &state->second, state->offloaded);
    xr_tensor_free(b, &state->rounded);
    free(state->trained);
    free(state->begin);
    free(state->rounded_begin);
    free(state->pieces);
    *state = (XrTrainState){0};
}
