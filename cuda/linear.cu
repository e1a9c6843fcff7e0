// Linear layers and their gradients (formulas: docs/operations.md). cuBLASLt where both operands
// have one type and lie aligned, with the bias in its epilogue; products of our own
// (cuda/matmul.cu) otherwise, for up to 16 rows of bf16 by weights of bf16, and everywhere in the
// batch-invariant mode.
#include "cuda/columns.h"
#include "cuda/matmul.h"

#include <string.h>

// ---- cuBLASLt. It thinks in columns: our row-major C = A B^T is its C^T = B A^T ----

static void check(cublasStatus_t status, const char *what) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    XR_BUG("cuBLASLt: %s: status %d", what, (int)status);
}

static cudaDataType type_of(XrDType dtype) {
    return dtype == XR_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

// What an algorithm is chosen for; compared byte by byte.
typedef struct Key {
    int64_t m, n, k, stride_a, stride_b, stride_c;
    int32_t types, turned, bias, accumulate; // flags
} Key;

typedef struct XrBlasChoice {
    Key key;
    cublasLtMatmulAlgo_t algorithm;
    size_t workspace;
    bool known;
} Choice;

enum { CHOICES = 512 };
static const size_t WORKSPACE = (size_t)32 << 20;

static Choice *choice_of(XrCudaBlas *blas, const Key *key) {
    if (!blas->choices) blas->choices = (Choice *)xr_calloc(CHOICES, sizeof(Choice));
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof *key; i++) {
        hash = (hash ^ ((const unsigned char *)key)[i]) * 1099511628211u;
    }
    Choice *c = &blas->choices[hash % CHOICES]; // a newer shape takes the place of an older one
    if (c->known && memcmp(&c->key, key, sizeof *key) != 0) c->known = false;
    return c;
}

typedef struct Layouts {
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t first, second, result;
} Layouts;

// A matrix as cuBLASLt stores it: contiguous down its `rows`.
static cublasLtMatrixLayout_t layout(XrDType dtype, int64_t rows, int64_t columns, int64_t stride) {
    cublasLtMatrixLayout_t out;
    check(
        cublasLtMatrixLayoutCreate(&out, type_of(dtype), (uint64_t)rows, (uint64_t)columns, stride),
        "layout");
    return out;
}

static cublasLtMatrixLayout_t operand_layout(XrOperand x, int64_t outer, int64_t k) {
    return x.turned ? layout(x.dtype, outer, k, x.stride) : layout(x.dtype, k, outer, x.stride);
}

static void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute,
                const void *value, size_t bytes) {
    check(cublasLtMatmulDescSetAttribute(operation, attribute, value, bytes), "attribute");
}

static Layouts describe(const XrMatmul *p) {
    Layouts l;
    cublasOperation_t first = p->b.turned ? CUBLAS_OP_N : CUBLAS_OP_T;
    cublasOperation_t second = p->a.turned ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(cublasLtMatmulDescCreate(&l.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "operation");
    set(l.operation, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first);
    set(l.operation, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second);
    if (p->bias) {
        cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
        set(l.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
        set(l.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->bias->data, sizeof p->bias->data);
    }
    l.first = operand_layout(p->b, p->n, p->k);
    l.second = operand_layout(p->a, p->m, p->k);
    l.result = layout(p->dtype, p->n, p->m, p->stride);
    return l;
}

static void forget(Layouts *l) {
    cublasLtMatrixLayoutDestroy(l->first);
    cublasLtMatrixLayoutDestroy(l->second);
    cublasLtMatrixLayoutDestroy(l->result);
    cublasLtMatmulDescDestroy(l->operation);
}

// The library's own first choice; the same for one shape on one device, so that a run repeats.
static bool choose(XrBackend *b, const Layouts *l, Choice *c) {
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t found;
    int count = 0;
    uint32_t alignment = 16;
    check(cublasLtMatmulPreferenceCreate(&preference), "preference");
    const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &WORKSPACE, sizeof WORKSPACE),
          "workspace");
    for (int i = 0; i < 4; i++) {
        check(cublasLtMatmulPreferenceSetAttribute(preference, alignments[i], &alignment,
                                                   sizeof alignment),
              "alignment");
    }
    cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(xr_cuda_blas(b)->handle, l->operation, l->first, l->second,
                                       l->result, l->result, preference, 1, &found, &count);
    cublasLtMatmulPreferenceDestroy(preference);
    if (status != CUBLAS_STATUS_SUCCESS || count == 0) return false;
    c->algorithm = found.algo;
    c->workspace = found.workspaceSize;
    c->known = true;
    return true;
}

static bool is_aligned(const void *data, int64_t stride, XrDType dtype) {
    return (uintptr_t)data % 16 == 0 && (size_t)stride * xr_dtype_size(dtype) % 16 == 0;
}

static bool blas_takes(const XrMatmul *p) {
    return p->a.dtype == p->b.dtype && p->k > 0 && p->m <= INT32_MAX && p->n <= INT32_MAX &&
           is_aligned(p->a.data, p->a.stride, p->a.dtype) &&
           is_aligned(p->b.data, p->b.stride, p->b.dtype) &&
           is_aligned(p->c, p->stride, p->dtype) &&
           (!p->bias || (p->bias->dtype == p->dtype && (uintptr_t)p->bias->data % 16 == 0));
}

// False where cuBLASLt has no way for this one.
static bool run_blas(XrBackend *b, const XrMatmul *p) {
    if (!blas_takes(p)) return false;
    Key key;
    memset(&key, 0, sizeof key);
    key.m = p->m, key.n = p->n, key.k = p->k;
    key.stride_a = p->a.stride, key.stride_b = p->b.stride, key.stride_c = p->stride;
    key.types = (int32_t)p->a.dtype * 16 + (int32_t)p->dtype;
    key.turned = p->a.turned * 2 + p->b.turned;
    key.bias = p->bias != NULL, key.accumulate = p->accumulate;
    Layouts l = describe(p);
    Choice *c = choice_of(xr_cuda_blas(b), &key);
    if (!c->known) c->key = key;
    bool ok = c->known || choose(b, &l, c);
    if (ok) {
        float alpha = 1, beta = p->accumulate ? 1 : 0;
        void *workspace = xr_cuda_scratch(b, XR_SCRATCH_BLAS, WORKSPACE);
        cublasStatus_t status =
            cublasLtMatmul(xr_cuda_blas(b)->handle, l.operation, &alpha, p->b.data, l.first,
                           p->a.data, l.second, &beta, p->c, l.result, p->c, l.result,
                           &c->algorithm, workspace, c->workspace, xr_cuda_stream(b));
        check(status, "product");
    }
    forget(&l);
    return ok;
}

// The products of decoding, which are as fast as weights are read: our own are made for that, and
// are one launch, which the library's first choice need not be.
static bool has_few_rows(const XrMatmul *p) {
    return p->m <= 16 && p->a.dtype == XR_BF16 && p->b.dtype == XR_BF16 && !p->a.turned &&
           !p->b.turned;
}

// Products of one a.
static void multiply(XrBackend *b, const XrMatmul *p, int count) {
    int few = 0;
    for (int i = 0; i < count; i++) few += has_few_rows(&p[i]);
    if (b->batch_invariant || few == count) {
        xr_cuda_matmul(b, p, count);
        return;
    }
    for (int i = 0; i < count; i++) {
        if (p[i].m && p[i].n && !run_blas(b, &p[i])) xr_cuda_matmul(b, &p[i], 1);
    }
}

// ---- the operations ----

// Rows of a tensor as the outer dimension, or its columns.
static XrOperand rows_of(const XrTensor *t) {
    return XrOperand{t->data, t->dtype, t->row_stride, false};
}

static XrOperand columns_of(const XrTensor *t) {
    return XrOperand{t->data, t->dtype, t->row_stride, true};
}

static XrMatmul linear_of(const XrTensor *y, const XrTensor *x, const XrTensor *w,
                          const XrTensor *bias) {
    return XrMatmul{rows_of(x),    rows_of(w),  bias,        y->data,     y->dtype,
                    y->row_stride, y->shape[0], y->shape[1], x->shape[1], false};
}

extern "C" void xr_cuda_linear(XrBackend *b, const XrTensor *y, const XrTensor *x,
                               const XrTensor *w, const XrTensor *bias) {
    XrTensor weight = xr_cuda_aligned(b, w);
    XrMatmul p = linear_of(y, x, &weight, bias);
    multiply(b, &p, 1);
}

extern "C" void xr_cuda_linears(XrBackend *b, XrLinears parts, const XrTensor *x) {
    XrMatmul p[XR_MOST_LINEARS];
    bool aligned = true; // what is not is copied, one after the other to the same memory
    for (int i = 0; i < parts.count; i++) {
        const XrTensor *w = parts.part[i].w;
        aligned = aligned && (uintptr_t)w->data % xr_dtype_size(w->dtype) == 0;
        p[i] = linear_of(parts.part[i].y, x, w, parts.part[i].bias);
    }
    if (aligned) {
        multiply(b, p, parts.count);
        return;
    }
    for (int i = 0; i < parts.count; i++) {
        xr_cuda_linear(b, parts.part[i].y, x, parts.part[i].w, parts.part[i].bias);
    }
}

extern "C" void xr_cuda_linear_backward_input(XrBackend *b, const XrTensor *dx, const XrTensor *dy,
                                              const XrTensor *w, bool accumulate) {
    XrTensor weight = xr_cuda_aligned(b, w);
    XrMatmul p = {rows_of(dy),    columns_of(&weight), NULL,         dx->data,     dx->dtype,
                  dx->row_stride, dx->shape[0],        dx->shape[1], dy->shape[1], accumulate};
    multiply(b, &p, 1);
}

// What row t adds to a bias' gradient.
template <typename T> struct BiasTerm {
    XrRows<const T> dy;
    XR_DEVICE_MEMBER float added_to(float sum, int64_t t, int64_t column) const {
        return sum + xr_to_float(dy.data[t * dy.stride + column]);
    }
};

extern "C" void xr_cuda_linear_backward_weight(XrBackend *b, const XrTensor *dw,
                                               const XrTensor *dbias, const XrTensor *dy,
                                               const XrTensor *x) {
    if (x->shape[0] == 0) return;
    if (dbias && dy->shape[1]) {
        XR_ACTIVATION_TYPES(dy, T, {
            BiasTerm<T> term = {xr_cuda_rows<const T>(dy)};
            xr_add_column_sums(b, dbias, term, dy->shape[0], dy->shape[1]);
        });
    }
    if (dw) {
        XrMatmul p = {columns_of(dy), columns_of(x), NULL,        dw->data,    dw->dtype,
                      x->shape[1],    dy->shape[1],  x->shape[1], x->shape[0], true};
        multiply(b, &p, 1);
    }
}
