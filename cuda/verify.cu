// A thread evaluates one program at one point, with the arithmetic of ref/verify_ball.h.
#include "cuda/verify.h"

#include "cuda/cuda.h"

enum { LANES = 1, THREADS = 64 };

#define XR_VERIFY_FUNCTION XR_DEVICE
#define XR_VERIFY_SQRT(x) sqrt(x)
#include "ref/verify_ball.h"

XR_KERNEL(THREADS)
real_points(XrVerifyBatch batch, const double *at, double *value, double *error) {
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= (int64_t)batch.programs * batch.points) return;
    const int64_t program = i / batch.points, point = i % batch.points;
    Ball stack[XR_VERIFY_STACK];
    int height = 0;
    for (int32_t s = batch.begins[program]; s < batch.begins[program + 1]; s++) {
        apply(stack, &height, &batch.steps[s], &batch, at + point * batch.variables, 1);
    }
    value[i] = stack[0].v[0];
    error[i] = stack[0].e[0];
}

XR_KERNEL(THREADS)
modular_points(XrVerifyBatch batch, int bits, const uint64_t *at, uint64_t *value) {
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= (int64_t)batch.programs * batch.points) return;
    const int64_t program = i / batch.points, point = i % batch.points;
    value[i] = residue_of(&batch, (int32_t)program, bits, at + point * batch.variables);
}

// ---- between host and device ----

// A copy of the batch, its points and its results in device memory.
struct Device {
    XrVerifyBatch batch;
    void *at, *value, *error;
};

static void *place(char **memory, size_t bytes) {
    void *here = *memory;
    *memory += (size_t)xr_pieces((int64_t)bytes, 16) * 16;
    return here;
}

static int32_t constants_of(const XrVerifyBatch *batch) {
    int32_t most = 0;
    for (int32_t i = 0; i < batch->begins[batch->programs]; i++) {
        const XrVerifyStep *s = &batch->steps[i];
        if (s->op == XR_V_CONSTANT) most = XR_MAX(most, s->argument + 1);
    }
    return most;
}

static Device upload_batch(XrBackend *b, const XrVerifyBatch *batch, const void *at) {
    size_t steps = (size_t)batch->begins[batch->programs] * sizeof *batch->steps;
    size_t begins = ((size_t)batch->programs + 1) * sizeof *batch->begins;
    size_t constants = (size_t)constants_of(batch) * sizeof(double);
    size_t points = (size_t)batch->points * (size_t)batch->variables * sizeof(double);
    size_t results = (size_t)batch->points * (size_t)batch->programs * sizeof(double);
    char *memory = (char *)xr_cuda_scratch(
        b, XR_SCRATCH_PARTIAL, steps + begins + 2 * constants + points + 2 * results + 7 * 16);
    Device d = {*batch, NULL, NULL, NULL};
    d.batch.steps = (XrVerifyStep *)place(&memory, steps);
    d.batch.begins = (int32_t *)place(&memory, begins);
    d.batch.constants = (double *)place(&memory, constants);
    d.batch.residues = (uint64_t *)place(&memory, constants);
    d.at = place(&memory, points);
    d.value = place(&memory, results);
    d.error = place(&memory, results);
    b->upload(b, (void *)d.batch.steps, batch->steps, steps);
    b->upload(b, (void *)d.batch.begins, batch->begins, begins);
    if (batch->constants) b->upload(b, (void *)d.batch.constants, batch->constants, constants);
    if (batch->residues) b->upload(b, (void *)d.batch.residues, batch->residues, constants);
    b->upload(b, d.at, at, points);
    return d;
}

static unsigned blocks_of(const XrVerifyBatch *batch) {
    return (unsigned)xr_pieces((int64_t)batch->programs * batch->points, THREADS);
}

extern "C" void xr_cuda_verify_real(XrBackend *b, const XrVerifyBatch *batch, const double *at,
                                    double *value, double *error) {
    xr_verify_check(batch, XR_V_ABS);
    size_t results = (size_t)batch->programs * (size_t)batch->points * sizeof *value;
    if (results == 0) return;
    Device d = upload_batch(b, batch, at);
    XR_LAUNCH(real_points, blocks_of(batch), THREADS, 0, xr_cuda_stream(b), d.batch,
              (const double *)d.at, (double *)d.value, (double *)d.error);
    b->download(b, value, d.value, results);
    b->download(b, error, d.error, results);
}

extern "C" void xr_cuda_verify_modular(XrBackend *b, const XrVerifyBatch *batch, int bits,
                                       const uint64_t *at, uint64_t *value) {
    XR_REQUIRE(bits == 31 || bits == 61, "verify: no field of 2^%d - 1 elements", bits);
    xr_verify_check(batch, XR_V_POWER);
    size_t results = (size_t)batch->programs * (size_t)batch->points * sizeof *value;
    if (results == 0) return;
    Device d = upload_batch(b, batch, at);
    XR_LAUNCH(modular_points, blocks_of(batch), THREADS, 0, xr_cuda_stream(b), d.batch, bits,
              (const uint64_t *)d.at, (uint64_t *)d.value);
    b->download(b, value, d.value, results);
}
