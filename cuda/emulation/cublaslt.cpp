// Stand-ins for the calls of cuBLASLt: d = alpha op(a) op(b) + beta c (+ a bias down the columns),
// all matrices column-major, by loops over copies in host memory.
#include <cublasLt.h>

#include "cuda/emulation/device.h"
#include "cuda/emulation/graph.h"
#include "cuda/emulation/memory.h"

#include <stdlib.h>

struct XrEmulatedBlas {
    int unused;
};
struct XrEmulatedPreference {
    int unused;
};
struct XrEmulatedMatmul {
    cublasOperation_t a, b;
    cublasLtEpilogue_t epilogue;
    const void *bias;
};
struct XrEmulatedLayout {
    cudaDataType type;
    int64_t rows, columns, stride;
};

template <typename T> static cublasStatus_t make(T **out) {
    *out = (T *)calloc(1, sizeof **out);
    return *out ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

static cublasStatus_t destroy(void *what) {
    free(what);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    return make(handle);
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    return destroy(handle);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *operation,
                                        cublasComputeType_t compute, cudaDataType scale) {
    if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
    cublasStatus_t status = make(operation);
    if (status == CUBLAS_STATUS_SUCCESS) (*operation)->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    return status;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes) {
    void *to = attribute == CUBLASLT_MATMUL_DESC_TRANSA     ? (void *)&operation->a
               : attribute == CUBLASLT_MATMUL_DESC_TRANSB   ? (void *)&operation->b
               : attribute == CUBLASLT_MATMUL_DESC_EPILOGUE ? (void *)&operation->epilogue
                                                            : (void *)&operation->bias;
    size_t wanted = attribute == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? sizeof(void *) : 4;
    if (bytes != wanted) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
    return destroy(operation);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t stride) {
    if (stride < (int64_t)rows) return CUBLAS_STATUS_INVALID_VALUE;
    cublasStatus_t status = make(layout);
    if (status == CUBLAS_STATUS_SUCCESS) {
        **layout = XrEmulatedLayout{type, (int64_t)rows, (int64_t)columns, stride};
    }
    return status;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    return destroy(layout);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
    return make(preference);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    size_t wanted = attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES ? 8 : 4;
    return preference && value && bytes == wanted ? CUBLAS_STATUS_SUCCESS
                                                  : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    return destroy(preference);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle,
                                              cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results,
                                              int *found) {
    *found = 0;
    if (!handle || !preference || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
    int64_t k_a = operation->a == CUBLAS_OP_T ? a->rows : a->columns;
    int64_t k_b = operation->b == CUBLAS_OP_T ? b->columns : b->rows;
    int64_t m = operation->a == CUBLAS_OP_T ? a->columns : a->rows;
    int64_t n = operation->b == CUBLAS_OP_T ? b->rows : b->columns;
    if (k_a != k_b || d->rows != m || d->columns != n || c->rows != m || c->columns != n ||
        a->type != b->type) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    results[0] = cublasLtMatmulHeuristicResult_t{{{1}}, 0};
    *found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

// The elements of a column-major device matrix as floats in host memory, without gaps.
static float *numbers(const void *data, const XrEmulatedLayout *l) {
    size_t size = l->type == CUDA_R_32F ? 4 : 2;
    float *out = (float *)malloc((size_t)(l->rows * l->columns) * sizeof *out + 1);
    char *column = (char *)malloc((size_t)l->rows * size + 1);
    if (!out || !column) xr_emulation_error("out of host memory");
    for (int64_t j = 0; j < l->columns; j++) {
        const char *from = (const char *)data + (size_t)(j * l->stride) * size;
        if (!xr_emulation_is_device(from, (size_t)l->rows * size)) {
            xr_emulation_error("cuBLASLt: a matrix is not inside one allocation of the device");
        }
        xr_emulation_copy(column, from, (size_t)l->rows * size);
        for (int64_t i = 0; i < l->rows; i++) {
            uint16_t low;
            float *to = &out[j * l->rows + i];
            if (size == 4) {
                memcpy(to, column + 4 * i, 4);
            } else {
                memcpy(&low, column + 2 * i, 2);
                *to = __uint_as_float((uint32_t)low << 16);
            }
        }
    }
    free(column);
    return out;
}

static void put(void *data, const XrEmulatedLayout *l, int64_t column, const float *values) {
    if (l->type == CUDA_R_32F) {
        xr_emulation_copy((float *)data + column * l->stride, values,
                          (size_t)l->rows * sizeof *values);
        return;
    }
    uint16_t *low = (uint16_t *)malloc((size_t)l->rows * sizeof *low + 1);
    if (!low) xr_emulation_error("out of host memory");
    for (int64_t i = 0; i < l->rows; i++) low[i] = xr_device_float_to_bf16(values[i]);
    xr_emulation_copy((uint16_t *)data + column * l->stride, low, (size_t)l->rows * sizeof *low);
    free(low);
}

// A product with all that it depends on but what lies in the matrices.
struct Product {
    XrEmulatedMatmul operation;
    float alpha, beta;
    const void *a, *b, *c;
    void *d;
    XrEmulatedLayout layout_a, layout_b, layout_c, layout_d;
};

// A column of op(a) op(b), whose column of op(b) has its elements `step` apart. Each sum goes
// through the depth in ascending order, however a lies; a is read as it lies.
static void sum_column(double *sums, const float *a, bool turned, int64_t rows, int64_t depth,
                       const float *b, int64_t step) {
    for (int64_t i = 0; i < rows; i++) {
        sums[i] = 0;
        for (int64_t k = 0; k < depth && turned; k++) {
            sums[i] += (double)a[i * depth + k] * (double)b[k * step];
        }
    }
    for (int64_t k = 0; k < depth && !turned; k++) {
        const double factor = (double)b[k * step];
        for (int64_t i = 0; i < rows; i++) sums[i] += (double)a[k * rows + i] * factor;
    }
}

static void carry_out(void *payload) {
    const Product p = *(const Product *)payload;
    xr_emulation_count_launch();
    int64_t m = p.layout_d.rows, n = p.layout_d.columns;
    bool turned_a = p.operation.a == CUBLAS_OP_T, turned_b = p.operation.b == CUBLAS_OP_T;
    int64_t depth = turned_a ? p.layout_a.rows : p.layout_a.columns;
    float *x = numbers(p.a, &p.layout_a), *y = numbers(p.b, &p.layout_b);
    float *old = p.beta != 0 ? numbers(p.c, &p.layout_c) : NULL, *bias = NULL;
    if (p.operation.epilogue == CUBLASLT_EPILOGUE_BIAS) {
        XrEmulatedLayout column = {p.layout_d.type, m, 1, m};
        bias = numbers(p.operation.bias, &column);
    }
    double *sums = (double *)malloc((size_t)m * sizeof *sums + 1);
    float *values = (float *)malloc((size_t)m * sizeof *values + 1);
    if (!sums || !values) xr_emulation_error("out of host memory");
    for (int64_t j = 0; j < n; j++) {
        sum_column(sums, x, turned_a, m, depth, turned_b ? y + j : y + j * depth, turned_b ? n : 1);
        for (int64_t i = 0; i < m; i++) {
            values[i] = p.alpha * (float)sums[i];
            if (old) values[i] += p.beta * old[j * m + i];
            if (bias) values[i] += bias[i];
        }
        put(p.d, &p.layout_d, j, values);
    }
    free(sums);
    free(values);
    free(x);
    free(y);
    free(old);
    free(bias);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                              const void *alpha, const void *a, cublasLtMatrixLayout_t layout_a,
                              const void *b, cublasLtMatrixLayout_t layout_b, const void *beta,
                              const void *c, cublasLtMatrixLayout_t layout_c, void *d,
                              cublasLtMatrixLayout_t layout_d, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream) {
    (void)handle, (void)workspace, (void)workspace_bytes;
    if (!algo || algo->data[0] != 1) return CUBLAS_STATUS_INVALID_VALUE;
    Product p = {*operation,
                 *(const float *)alpha,
                 *(const float *)beta,
                 a,
                 b,
                 c,
                 d,
                 *layout_a,
                 *layout_b,
                 *layout_c,
                 *layout_d};
    if (xr_emulation_captures(stream))
        xr_emulation_keep(carry_out, &p, sizeof p);
    else
        carry_out(&p);
    return CUBLAS_STATUS_SUCCESS;
}
