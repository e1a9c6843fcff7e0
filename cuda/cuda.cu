// The CUDA backend: a device, one stream, device memory, pinned buffers between it and the host,
// and the table of operations.
#include "cuda/cuda.h"

#include "cuda/divergence.h"
#include "cuda/warpgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAGES = 2 };
static const size_t STAGE_BYTES = (size_t)8 << 20;

typedef struct Scratch {
    void *memory;
    size_t bytes;
} Scratch;

// A pinned buffer; `used` is reached when the copy from it has been made.
typedef struct Stage {
    void *memory;
    cudaEvent_t used;
} Stage;

typedef struct Cuda {
    XrBackend base;
    int device, multiprocessors;
    bool warpgroups; // the device has them, and the code that runs on it is made for them
    bool ready;      // set up without an error
    cudaStream_t stream;
    XrCudaBlas blas;
    Stage stages[STAGES];
    int next_stage;
    Scratch scratch[XR_SCRATCH_COUNT];
    int64_t scratch_moves;
    struct XrCudaDivergence *divergence; // or NULL
} Cuda;

static Cuda *cuda_of(XrBackend *b) {
    return (Cuda *)b;
}

// ---- errors ----

// What the user can do about a status.
static const char *remedy(cudaError_t status) {
    switch (status) {
    case cudaErrorNoDevice:
        return "no GPU is visible: check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu";
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
        return "the NVIDIA driver is older than this build of CUDA needs: update the driver, or "
               "use "
               "--device cpu";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
        return "this build has no code for this GPU, or the driver cannot compile it: GPUs of "
               "compute "
               "capability 8.0 and newer are supported; build with its architecture in "
               "XR_CUDA_ARCHITECTURES or update the driver";
    case cudaErrorMemoryAllocation:
        return "the GPU has too little free memory: use shorter or fewer sequences, gradient "
               "checkpointing, bf16 or offload_optimizer, or stop other programs on the GPU";
    case cudaErrorECCUncorrectable:
        return "the GPU's memory has failed (uncorrectable ECC error): what was computed is not "
               "trusted; reset the GPU (nvidia-smi -r) or use another, and resume from the last "
               "checkpoint";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
        return "something that no graph can hold was asked for while one was recorded, which is a "
               "bug of xreasoner; resume from the last checkpoint";
    case cudaErrorDevicesUnavailable:
        return "another process holds the GPU exclusively: stop it or use another GPU";
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
        return "a kernel failed, which is a bug of xreasoner: run again under compute-sanitizer to "
               "find where, and resume from the last checkpoint";
    default:
        return "run nvidia-smi to see the state of the GPU; a run resumes from its last checkpoint";
    }
}

void xr_cuda_check(cudaError_t status, const char *what) {
    if (status == cudaSuccess) return;
    fflush(stdout);
    fprintf(stderr, "xreasoner: CUDA: %s: %s (%s); %s\n", what, cudaGetErrorString(status),
            cudaGetErrorName(status), remedy(status));
    _Exit(1); // what handlers would write from here cannot be trusted
}

static bool fails(cudaError_t status, const char *what, XrError *err) {
    if (status == cudaSuccess) return false;
    cudaGetLastError();
    XrStatus kind = status == cudaErrorMemoryAllocation ? XR_ERR_MEMORY : XR_ERR_UNSUPPORTED;
    xr_fail(err, kind, "CUDA: %s: %s (%s); %s", what, cudaGetErrorString(status),
            cudaGetErrorName(status), remedy(status));
    return true;
}

// ---- memory ----

static void *cuda_alloc(XrBackend *b, size_t bytes, const char *what, XrError *err) {
    void *memory = NULL;
    cudaError_t status = cudaMalloc(&memory, bytes ? bytes : 1);
    if (status == cudaErrorMemoryAllocation) {
        size_t available = 0, total = 0;
        cudaGetLastError();
        cudaMemGetInfo(&available, &total);
        xr_fail(
            err, XR_ERR_MEMORY,
            "cannot allocate %.1f MiB on the GPU for %s, of which %.1f of %.1f MiB are free; %s",
            (double)bytes * 0x1p-20, what, (double)available * 0x1p-20, (double)total * 0x1p-20,
            remedy(status));
        return NULL;
    }
    return fails(status, what, err) ? NULL : memory;
}

static void cuda_free(XrBackend *b, void *memory) {
    if (memory) xr_cuda_check(cudaFree(memory), "freeing memory"); // waits for what uses it
}

static void cuda_zero(XrBackend *b, void *memory, size_t bytes) {
    if (!bytes) return;
    xr_cuda_check(cudaMemsetAsync(memory, 0, bytes, xr_cuda_stream(b)), "clearing memory");
}

static void cuda_synchronize(XrBackend *b) {
    b->waits++;
    xr_cuda_check(cudaStreamSynchronize(xr_cuda_stream(b)), "waiting for the GPU");
}

// Pinned memory of the host, which kernels reach under the address that the host has for it.
static void *cuda_offload_alloc(XrBackend *b, size_t bytes, const char *folder, const char *what,
                                XrError *err) {
    void *memory = NULL;
    cudaError_t status = cudaHostAlloc(&memory, bytes ? bytes : 1, cudaHostAllocMapped);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        xr_fail(err, XR_ERR_MEMORY,
                "cannot pin %.1f MiB of the host's memory for %s; free memory, or raise the limit "
                "of locked memory (ulimit -l)",
                (double)bytes * 0x1p-20, what);
        return NULL;
    }
    if (fails(status, what, err)) return NULL;
    cuda_zero(b, memory, bytes);
    return memory;
}

static void cuda_offload_release(XrBackend *b, void *begin, size_t bytes) {
}

static void cuda_offload_free(XrBackend *b, void *memory, size_t bytes) {
    cuda_synchronize(b); // kernels may be using it
    xr_cuda_check(cudaFreeHost(memory), "freeing memory of the host");
}

static size_t cuda_memory(XrBackend *b) {
    size_t available = 0, total = 0;
    xr_cuda_check(cudaMemGetInfo(&available, &total), "asking for free memory");
    return available;
}

static Stage *take_stage(Cuda *c) {
    Stage *stage = &c->stages[c->next_stage];
    c->next_stage = (c->next_stage + 1) % STAGES;
    xr_cuda_check(cudaEventSynchronize(stage->used), "waiting for a copy");
    return stage;
}

static void cuda_upload(XrBackend *b, void *to, const void *host, size_t bytes) {
    Cuda *c = cuda_of(b);
    for (size_t done = 0, count; done < bytes; done += count) {
        count = XR_MIN(bytes - done, STAGE_BYTES);
        Stage *stage = take_stage(c);
        memcpy(stage->memory, (const char *)host + done, count);
        xr_cuda_check(
            cudaMemcpyAsync((char *)to + done, stage->memory, count, cudaMemcpyDefault, c->stream),
            "copying to the GPU");
        xr_cuda_check(cudaEventRecord(stage->used, c->stream), "copying to the GPU");
    }
}

// One buffer is emptied while the other is filled.
static void cuda_download(XrBackend *b, void *host, const void *from, size_t bytes) {
    Cuda *c = cuda_of(b);
    Stage *pending = NULL;
    b->waits++;
    size_t pending_at = 0, pending_bytes = 0;
    for (size_t done = 0, count; done < bytes || pending; done += count) {
        Stage *stage = NULL;
        count = XR_MIN(bytes - done, STAGE_BYTES);
        if (count) {
            stage = take_stage(c);
            xr_cuda_check(cudaMemcpyAsync(stage->memory, (const char *)from + done, count,
                                          cudaMemcpyDefault, c->stream),
                          "copying from the GPU");
            xr_cuda_check(cudaEventRecord(stage->used, c->stream), "copying from the GPU");
        }
        if (pending) {
            xr_cuda_check(cudaEventSynchronize(pending->used), "copying from the GPU");
            memcpy((char *)host + pending_at, pending->memory, pending_bytes);
        }
        pending = stage;
        pending_at = done;
        pending_bytes = count;
    }
}

static void cuda_copy(XrBackend *b, void *to, const void *from, size_t bytes) {
    if (!bytes) return;
    xr_cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, xr_cuda_stream(b)),
                  "copying on the GPU");
}

static void *cuda_import(XrBackend *b, const void *host, size_t bytes, const char *what,
                         XrError *err) {
    void *memory = cuda_alloc(b, bytes, what, err);
    if (memory) cuda_upload(b, memory, host, bytes);
    return memory;
}

// `reached` of pinned memory is an event behind the last copy from or to it.
static void cuda_unpin(XrBackend *b, XrPinned *pinned) {
    if (pinned->reached) {
        cudaEventSynchronize((cudaEvent_t)pinned->reached);
        cudaEventDestroy((cudaEvent_t)pinned->reached);
    }
    if (pinned->host) cudaFreeHost(pinned->host);
    *pinned = XrPinned{};
}

static bool cuda_pin(XrBackend *b, XrPinned *out, size_t bytes, const char *what, XrError *err) {
    cudaEvent_t reached = NULL;
    *out = XrPinned{};
    if (!fails(cudaMallocHost(&out->host, bytes ? bytes : 1), what, err) &&
        !fails(cudaEventCreateWithFlags(&reached, cudaEventDisableTiming), what, err)) {
        out->bytes = bytes;
        out->reached = reached;
        return true;
    }
    cuda_unpin(b, out);
    return false;
}

static void copy_pinned(XrBackend *b, XrPinned *pinned, void *to, const void *from, size_t bytes,
                        cudaMemcpyKind kind) {
    XR_REQUIRE(bytes <= pinned->bytes, "a copy of %zu bytes of %zu that are pinned", bytes,
               pinned->bytes);
    cudaStream_t stream = xr_cuda_stream(b);
    if (bytes) xr_cuda_check(cudaMemcpyAsync(to, from, bytes, kind, stream), "copying");
    xr_cuda_check(cudaEventRecord((cudaEvent_t)pinned->reached, stream), "copying");
}

static void cuda_send(XrBackend *b, void *to, XrPinned *from, size_t bytes) {
    copy_pinned(b, from, to, from->host, bytes, cudaMemcpyHostToDevice);
}

static void cuda_receive(XrBackend *b, XrPinned *to, const void *from, size_t bytes) {
    copy_pinned(b, to, to->host, from, bytes, cudaMemcpyDeviceToHost);
}

static void cuda_wait(XrBackend *b, XrPinned *pinned) {
    b->waits++;
    xr_cuda_check(cudaEventSynchronize((cudaEvent_t)pinned->reached), "waiting for the GPU");
}

// ---- what the operations use ----

cudaStream_t xr_cuda_stream(XrBackend *b) {
    return cuda_of(b)->stream;
}

struct XrCudaDivergence *&xr_cuda_divergence(XrBackend *b) {
    return cuda_of(b)->divergence;
}

int xr_cuda_multiprocessors(XrBackend *b) {
    return cuda_of(b)->multiprocessors;
}

bool xr_cuda_has_warpgroups(XrBackend *b) {
    return cuda_of(b)->warpgroups;
}

XrCudaBlas *xr_cuda_blas(XrBackend *b) {
    XrCudaBlas *blas = &cuda_of(b)->blas;
    if (!blas->handle) {
        cublasStatus_t status = cublasLtCreate(&blas->handle);
        XR_REQUIRE(status == CUBLAS_STATUS_SUCCESS, "cuBLASLt cannot be opened (status %d)",
                   (int)status);
    }
    return blas;
}

void *xr_cuda_scratch(XrBackend *b, XrScratch slot, size_t bytes) {
    Scratch *s = &cuda_of(b)->scratch[slot];
    if (s->bytes < bytes || !s->memory) {
        cuda_of(b)->scratch_moves += s->memory != NULL;
        cuda_free(b, s->memory);
        s->bytes = XR_MAX(bytes, (size_t)1 << 16);
        xr_cuda_check(cudaMalloc(&s->memory, s->bytes), "scratch memory of an operation");
    }
    return s->memory;
}

int64_t xr_cuda_scratch_moves(XrBackend *b) {
    return cuda_of(b)->scratch_moves;
}

XrTensor xr_cuda_aligned(XrBackend *b, const XrTensor *t) {
    return xr_cuda_aligned_in(b, XR_SCRATCH_ALIGNED, t);
}

XrTensor xr_cuda_aligned_in(XrBackend *b, XrScratch slot, const XrTensor *t) {
    XrTensor aligned = *t;
    if ((uintptr_t)t->data % xr_dtype_size(t->dtype) == 0) return aligned;
    XR_REQUIRE(xr_is_contiguous(t), "a strided %s at an unaligned address", xr_shape_text(t));
    aligned.data = xr_cuda_scratch(b, slot, xr_nbytes(t));
    cuda_copy(b, aligned.data, t->data, xr_nbytes(t));
    return aligned;
}

bool xr_cuda_is_wide(const XrTensor *t) {
    size_t size = xr_dtype_size(t->dtype);
    if ((uintptr_t)t->data % 16 != 0) return false;
    return t->ndim == 1 || (size_t)t->row_stride * size % 16 == 0;
}

// ---- the table ----

#define TABLE_ENTRY(name, parameters, arguments) xr_cuda_##name,
static const XrOps CUDA_OPS = {XR_OPS(TABLE_ENTRY)};

// ---- life ----

static void cuda_destroy(XrBackend *b) {
    Cuda *c = cuda_of(b);
    if (c->ready) cuda_synchronize(b); // a device that failed would end the program
    xr_cuda_end_divergence(b);
    for (int i = 0; i < XR_SCRATCH_COUNT; i++) cuda_free(b, c->scratch[i].memory);
    for (int i = 0; i < STAGES; i++) {
        if (c->stages[i].memory) cudaFreeHost(c->stages[i].memory);
        if (c->stages[i].used) cudaEventDestroy(c->stages[i].used);
    }
    if (c->blas.handle) cublasLtDestroy(c->blas.handle);
    free(c->blas.choices);
    if (c->stream) cudaStreamDestroy(c->stream);
    xr_threads_free(b->threads);
    free(c);
}

static bool choose_device(Cuda *c, int device, XrError *err) {
    int count = 0, driver = 0, runtime = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaErrorInsufficientDriver) {
        cudaGetLastError();
        cudaDriverGetVersion(&driver);
        cudaRuntimeGetVersion(&runtime);
        if (driver == 0) {
            return xr_fail(err, XR_ERR_UNSUPPORTED,
                           "CUDA: there is no NVIDIA driver on this machine: install one for CUDA "
                           "%d.%d or newer, or use --device cpu",
                           runtime / 1000, runtime % 1000 / 10);
        }
        return xr_fail(err, XR_ERR_UNSUPPORTED,
                       "CUDA: the driver supports CUDA %d.%d, this build needs %d.%d; %s",
                       driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10,
                       remedy(status));
    }
    if (fails(status, "looking for a GPU", err)) return false;
    if (device < 0 || device >= count) {
        return xr_fail(err, XR_ERR_UNSUPPORTED,
                       "CUDA: there is no GPU %d; %d are visible, from 0 on", device, count);
    }
    cudaDeviceProp properties;
    if (fails(cudaGetDeviceProperties(&properties, device), "asking for its properties", err) ||
        fails(cudaSetDevice(device), "opening the GPU", err)) {
        return false;
    }
    if (properties.major < 8) {
        return xr_fail(
            err, XR_ERR_UNSUPPORTED,
            "CUDA: GPU %d (%s) has compute capability %d.%d; 8.0 or newer is needed (A100, "
            "H100 and later); use --device cpu",
            device, properties.name, properties.major, properties.minor);
    }
    c->device = device;
    c->multiprocessors = properties.multiProcessorCount;
    return true;
}

XR_KERNEL(32) probe(int *answer) {
    if (threadIdx.x == 0) *answer = xr_has_warpgroups() ? 43 : 42;
}

// Whether kernels run at all: the first launch is where a missing architecture shows. And for which
// of the architectures that there is code for they were compiled.
static bool kernels_run(Cuda *c, XrError *err) {
    int *answer = NULL, host = 0;
    cudaError_t status = cudaMalloc((void **)&answer, sizeof *answer);
    if (fails(status, "the first allocation", err)) return false;
    XR_LAUNCH_UNCHECKED(probe, 1, 32, 0, c->stream, answer);
    status = cudaGetLastError();
    if (status == cudaSuccess) {
        status = cudaMemcpyAsync(c->stages[0].memory, answer, sizeof host, cudaMemcpyDeviceToHost,
                                 c->stream);
    }
    if (status == cudaSuccess) status = cudaStreamSynchronize(c->stream);
    cudaFree(answer);
    if (fails(status, "the first kernel", err)) return false;
    memcpy(&host, c->stages[0].memory, sizeof host);
    c->warpgroups = host == 43;
    return host == 42 || host == 43 ||
           xr_fail(err, XR_ERR_UNSUPPORTED,
                   "CUDA: the first kernel gave a wrong answer; run nvidia-smi to see the state of "
                   "the GPU");
}

static bool set_up(Cuda *c, XrError *err) {
    if (fails(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "making a stream",
              err)) {
        return false;
    }
    for (int i = 0; i < STAGES; i++) {
        Stage *stage = &c->stages[i];
        if (fails(cudaMallocHost(&stage->memory, STAGE_BYTES), "pinned memory for copies", err) ||
            fails(cudaEventCreateWithFlags(&stage->used, cudaEventDisableTiming), "making an event",
                  err)) {
            return false;
        }
    }
    return kernels_run(c, err);
}

extern "C" XrBackend *xr_cuda_create(int device, XrDType activations, int threads, XrError *err) {
    XR_REQUIRE(activations == XR_F32 || activations == XR_BF16, "activations of %s",
               xr_dtype_name(activations));
    Cuda *c = (Cuda *)xr_calloc(1, sizeof *c);
    XrBackend *b = &c->base;
    b->name = "cuda";
    b->ops = &CUDA_OPS;
    b->activations = activations;
    b->threads = xr_threads_create(threads);
    b->alloc = cuda_alloc;
    b->free = cuda_free;
    b->offload_alloc = cuda_offload_alloc;
    b->offload_release = cuda_offload_release;
    b->offload_free = cuda_offload_free;
    b->memory = cuda_memory;
    b->upload = cuda_upload;
    b->download = cuda_download;
    b->zero = cuda_zero;
    b->copy = cuda_copy;
    b->import = cuda_import;
    b->unimport = cuda_free;
    b->pin = cuda_pin;
    b->unpin = cuda_unpin;
    b->send = cuda_send;
    b->receive = cuda_receive;
    b->wait = cuda_wait;
    b->graph_begin = xr_cuda_graph_begin;
    b->graph_end = xr_cuda_graph_end;
    b->graph_launch = xr_cuda_graph_launch;
    b->graph_free = xr_cuda_graph_free;
    b->asynchronous = true;
    b->kv_page_bytes = xr_cuda_kv_page_bytes;
    b->synchronize = cuda_synchronize;
    b->destroy = cuda_destroy;
    if (choose_device(c, device, err) && set_up(c, err) &&
        xr_cuda_divergence_from_environment(b, err)) {
        c->ready = true;
        return b;
    }
    cuda_destroy(b);
    return NULL;
}

extern "C" const char *xr_cuda_build(void) {
#ifdef XR_CUDA_EMULATION
    return "emulated on the CPU, for tests";
#else
    static char text[64];
    snprintf(text, sizeof text, "runtime %d.%d", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    return text;
#endif
}
