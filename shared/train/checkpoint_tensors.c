#include "shared/train/checkpoint_tensors.h"

#include "shared/base/buffer.h"
#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

// One of the three flat tensors; `owned`: it holds this rank's elements alone, piece after piece.
typedef struct Kind {
    const char *name;
    const XrTensor *flat;
    bool owned;
} Kind;

enum { KINDS = 3 };

static void list_kinds(const XrTrainState *state, Kind kinds[KINDS]) {
    kinds[0] = (Kind){"weights", &state->values, false};
    kinds[1] = (Kind){"exp_avg", &state->first, true};
    kinds[2] = (Kind){"exp_avg_sq", &state->second, true};
}

// The elements [begin, end) of a parameter that this rank owns, and where they lie in a kind's flat
// tensor.
typedef struct Share {
    int parameter;
    int64_t begin, end; // within the parameter
    int64_t at;
} Share;

static Share share_of(const XrTrainState *s, const XrTrainPiece *piece, int index, bool owned) {
    int64_t start = s->begin[index], count = xr_parameter_elements(&s->model->table.items[index]);
    int64_t first = XR_MAX(start, piece->own_begin);
    int64_t end = XR_MIN(start + count, piece->own_begin + piece->own_count);
    end = XR_MAX(first, end);
    int64_t at = owned ? piece->moment_begin + first - piece->own_begin : first;
    return (Share){index, first - start, end - start, at};
}

static char *file_path(const char *folder, const char *kind, int64_t rank, int64_t ranks) {
    XrBuffer path = {0};
    xr_buffer_format(&path, "%s/%s-%05lld-of-%05lld.safetensors", folder, kind, (long long)rank,
                     (long long)ranks);
    return path.data;
}

// ---- writing ----

typedef struct Source {
    const XrTrainState *state;
    XrTensor elements;
    char *name;
} Source;

static bool fill_from(void *context, size_t offset, void *chunk, size_t bytes, XrError *err) {
    const Source *source = context;
    XrBackend *b = source->state->model->backend;
    int64_t width = sizeof(float);
    XrTensor part = xr_rows(&source->elements, (int64_t)offset / width, (int64_t)bytes / width);
    b->download(b, chunk, part.data, bytes);
    xr_train_release(source->state, &part);
    return true;
}

static XrSaveTensor save_share(const XrTrainState *s, const Kind *kind, Share share,
                               Source *source) {
    const XrParameter *p = &s->model->table.items[share.parameter];
    int64_t count = share.end - share.begin;
    bool whole = count == xr_parameter_elements(p);
    XrBuffer name = {0};
    xr_buffer_text(&name, p->name);
    if (!whole) {
        xr_buffer_format(&name, "[%lld:%lld]", (long long)share.begin, (long long)share.end);
    }
    *source = (Source){s, xr_rows(kind->flat, share.at, count), name.data};
    XrTensor shape =
        whole ? xr_tensor_of(XR_F32, NULL, p->ndim, p->shape) : xr_tensor1(XR_F32, NULL, count);
    return (XrSaveTensor){
        .name = source->name, .tensor = shape, .fill = fill_from, .context = source};
}

static bool write_kind(const char *folder, const XrTrainState *s, const Kind *kind, XrError *err) {
    size_t most = (size_t)s->model->table.count;
    Source *sources = xr_calloc(most, sizeof *sources);
    XrSaveTensor *tensors = xr_calloc(most, sizeof *tensors);
    int count = 0;
    for (int i = 0; i < s->piece_count; i++) {
        const XrTrainPiece *piece = &s->pieces[i];
        for (int k = 0; k < piece->parameters; k++) {
            Share share = share_of(s, piece, piece->first + k, kind->owned);
            if (share.begin == share.end) continue;
            tensors[count] = save_share(s, kind, share, &sources[count]);
            count++;
        }
    }
    char *path = file_path(folder, kind->name, s->comm->rank, s->comm->size);
    bool ok = xr_safetensors_write(path, tensors, count, err);
    free(path);
    for (int i = 0; i < count; i++) free(sources[i].name);
    free(sources);
    free(tensors);
    return ok;
}

bool xr_checkpoint_tensors_write(const char *folder, const XrTrainState *state, XrError *err) {
    Kind kinds[KINDS];
    list_kinds(state, kinds);
    for (int i = 0; i < KINDS; i++) {
        if (!write_kind(folder, state, &kinds[i], err)) return false;
    }
    return true;
}

// ---- reading ----

// "NAME" or "NAME[begin:end]": the parameter and the range; false for other names.
static bool parse_name(const XrTrainState *s, const XrStored *stored, Share *out) {
    const char *bracket = strchr(stored->name, '[');
    size_t length = bracket ? (size_t)(bracket - stored->name) : strlen(stored->name);
    for (int i = 0; i < s->model->table.count; i++) {
        const XrParameter *p = &s->model->table.items[i];
        if (strlen(p->name) != length || strncmp(p->name, stored->name, length) != 0) continue;
        *out = (Share){.parameter = i, .end = xr_parameter_elements(p)};
        if (bracket) {
            char *end;
            out->begin = strtoll(bracket + 1, &end, 10);
            if (*end != ':') return false;
            out->end = strtoll(end + 1, &end, 10);
            if (strcmp(end, "]") != 0) return false;
        }
        int64_t bytes = (int64_t)stored->byte_count / (int64_t)sizeof(float);
        return stored->dtype == XR_F32 && s->trained[i] && out->begin >= 0 &&
               out->begin <= out->end && out->end <= xr_parameter_elements(p) &&
               bytes == out->end - out->begin;
    }
    return false;
}

static const XrTrainPiece *piece_of(const XrTrainState *s, int parameter) {
    for (int i = 0; i < s->piece_count; i++) {
        const XrTrainPiece *p = &s->pieces[i];
        if (parameter >= p->first && parameter < p->first + p->parameters) return p;
    }
    XR_BUG("parameter %d is in no piece", parameter);
}

// Takes the elements that this rank owns; returns how many.
static int64_t take(XrTrainState *s, const Kind *kind, const XrStored *stored, Share there) {
    XrBackend *b = s->model->backend;
    const XrTrainPiece *piece = piece_of(s, there.parameter);
    Share ours = share_of(s, piece, there.parameter, kind->owned);
    int64_t begin = XR_MAX(ours.begin, there.begin), end = XR_MIN(ours.end, there.end);
    if (begin >= end) return 0;
    XrTensor to = xr_rows(kind->flat, ours.at + begin - ours.begin, end - begin);
    b->upload(b, to.data, stored->bytes + (size_t)(begin - there.begin) * sizeof(float),
              xr_nbytes(&to));
    xr_train_release(s, &to);
    return end - begin;
}

static bool read_file(const char *path, XrTrainState *s, const Kind *kind, int64_t *taken,
                      XrError *err) {
    XrSafetensors *files;
    if (!xr_safetensors_open(&files, path, err)) return false;
    bool ok = true;
    for (int i = 0; ok && i < xr_safetensors_count(files); i++) {
        const XrStored *stored = xr_safetensors_at(files, i);
        Share there = {0};
        ok = parse_name(s, stored, &there) ||
             xr_fail(err, XR_ERR_INPUT,
                     "%s: tensor \"%.80s\" is not one that this run trains; the checkpoint is of "
                     "another model or was made with another train_vision",
                     path, stored->name);
        if (ok) *taken += take(s, kind, stored, there);
    }
    xr_safetensors_close(files);
    return ok;
}

bool xr_checkpoint_tensors_read(const char *folder, int64_t ranks, XrTrainState *state,
                                XrError *err) {
    Kind kinds[KINDS];
    list_kinds(state, kinds);
    for (int i = 0; i < KINDS; i++) {
        int64_t taken = 0, wanted = xr_numel(&state->first);
        for (int64_t rank = 0; rank < ranks; rank++) {
            char *path = file_path(folder, kinds[i].name, rank, ranks);
            bool ok = read_file(path, state, &kinds[i], &taken, err);
            free(path);
            if (!ok) return false;
        }
        if (taken != wanted) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: %s holds %lld of the %lld elements that are trained; the "
                           "checkpoint is of another model or incomplete",
                           folder, kinds[i].name, (long long)taken, (long long)wanted);
        }
    }
    return true;
}
