// One operation's call as the debug mode sees it (cuda/divergence.cu), and the size of the terms
// that cancel in what it gives.
#ifndef XR_CUDA_DIVERGENCE_TERMS_H
#define XR_CUDA_DIVERGENCE_TERMS_H

#include "shared/tensor/backend.h"

enum { XR_MOST_MIRRORS = 16, XR_MIRROR_NAME = 32 };

// An argument on the host: floating-point types in f32, without gaps between rows.
typedef struct XrMirror {
    const XrTensor *source;
    XrTensor host;
    int owner; // of the memory; its own place, or that of an argument before it
    char name[XR_MIRROR_NAME];
    double *terms; // see below; NULL: the root mean square of the output
} XrMirror;

typedef struct XrCheckedCall {
    XrBackend *gpu, *cpu;
    const char *operation, *names; // "name, name, ...)" of the arguments that are still to come
    XrMirror mirrors[XR_MOST_MIRRORS];
    int count;
    bool low; // activations are bf16
    // Arguments that are no tensors.
    XrSampleParams *params;
    XrHeads heads;
    double number; // the last one: a temperature
    bool accumulate;
} XrCheckedCall;

// The argument of that name on the host; NULL where there is none.
const XrTensor *xr_mirror(const XrCheckedCall *c, const char *name);

// The name of y, w or bias (0, 1, 2) of a part of `linears`: "y0", "bias2".
const char *xr_linears_name(int argument, int part);

// Fills `terms` of outputs in which large terms cancel, so that rounding errors go with these and
// not with what is left: for each element the size that absolute errors count in. Formulas stand
// beside each operation in the file. To be called before the CPU's operation, which may overwrite
// inputs.
void xr_cuda_find_terms(XrCheckedCall *c);

// The same for attention_paged, whose keys and values are in a cache: of the CPU, with the absolute
// values of the values; `longest_key` is the largest norm of a key.
void xr_cuda_find_paged_terms(XrCheckedCall *c, const XrKvCache *sizes, XrSegments queries,
                              XrPageTables tables, double longest_key);

// The largest norm of a head's row of k [T, kv_heads*head_dim].
double xr_longest_key(const XrTensor *k, int kv_heads);

// `best` of logprob: where the GPU's id has the same logit as the CPU's, up to errors, takes the
// CPU's.
void xr_cuda_forgive_ties(const XrCheckedCall *c, XrTensor *got, const XrTensor *want);

#endif
