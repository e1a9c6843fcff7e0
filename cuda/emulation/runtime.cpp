// Stand-ins for the calls of the CUDA runtime. Everything is done at once, in the order of the
// calls, whatever the stream, unless the stream is captured (cuda/emulation/graph.cpp).
#include "cuda/emulation/block.h"
#include "cuda/emulation/emulation.h"
#include "cuda/emulation/graph.h"
#include "cuda/emulation/memory.h"
#include "cuda/emulation/pinned.h"
#include "cuda/emulation/warpgroup.h"

#include <stdlib.h>

static char failing[64];
static int failing_in;
static cudaError_t failing_with, last_error;
static int major = 8, minor = 0;

void xr_emulation_set_capability(int new_major, int new_minor) {
    major = new_major;
    minor = new_minor;
}

// The least that devices of that generation have: 8.6 and 8.9 have less than 8.0, and code for 8.0
// runs on them.
size_t xr_emulation_shared_limit(void) {
    return major == 8 ? 99 << 10 : XR_MOST_SHARED;
}

enum { MOST_KERNELS = 256 };
static struct {
    const void *kernel;
    size_t bytes;
} asked[MOST_KERNELS];

// Its entry, or where it would be.
static int asked_at(const void *kernel) {
    int i = 0;
    while (i < MOST_KERNELS && asked[i].kernel && asked[i].kernel != kernel) i++;
    return i;
}

cudaError_t xr_emulation_allow_shared(const void *kernel, int bytes) {
    const int i = asked_at(kernel);
    if (i == MOST_KERNELS) return cudaErrorMemoryAllocation;
    if (!kernel || bytes < 0 || (size_t)bytes > xr_emulation_shared_limit()) {
        return cudaErrorInvalidValue;
    }
    asked[i] = {kernel, (size_t)bytes};
    return cudaSuccess;
}

size_t xr_emulation_shared_allowed(const void *kernel) {
    const int i = asked_at(kernel);
    if (i < MOST_KERNELS && asked[i].bytes > XR_SHARED_UNASKED) return asked[i].bytes;
    return XR_SHARED_UNASKED;
}

bool xr_has_warpgroups(void) {
    return major == 9 && minor == 0;
}

void xr_emulation_fail(const char *function, int count, cudaError_t status) {
    snprintf(failing, sizeof failing, "%s", function ? function : "");
    failing_in = count;
    failing_with = status;
}

cudaError_t xr_emulation_status(const char *function) {
    if (strcmp(failing, function) != 0 || --failing_in > 0) return cudaSuccess;
    return failing_with;
}

void xr_emulation_remember(cudaError_t status) {
    if (status != cudaSuccess) last_error = status;
}

// What every call does first.
#define BEGIN(function)                                                                            \
    do {                                                                                           \
        cudaError_t status = xr_emulation_status(function);                                        \
        if (status != cudaSuccess) return status;                                                  \
    } while (0)
// The same for calls that a capture forbids: those that wait, and those that allocate.
#define BEGIN_OUTSIDE_CAPTURE(function)                                                            \
    do {                                                                                           \
        BEGIN(function);                                                                           \
        cudaError_t captured = xr_emulation_outside_capture();                                     \
        if (captured != cudaSuccess) return captured;                                              \
    } while (0)

cudaError_t cudaGetLastError(void) {
    cudaError_t status = last_error;
    last_error = cudaSuccess;
    return status;
}

static const struct {
    cudaError_t status;
    const char *name, *text;
} ERRORS[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
};

const char *cudaGetErrorName(cudaError_t status) {
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
        if (ERRORS[i].status == status) return ERRORS[i].name;
    }
    return "cudaError";
}

const char *cudaGetErrorString(cudaError_t status) {
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
        if (ERRORS[i].status == status) return ERRORS[i].text;
    }
    return "an error that the emulation does not know";
}

cudaError_t cudaGetDeviceCount(int *count) {
    *count = 0;
    BEGIN("cudaGetDeviceCount");
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
    BEGIN("cudaGetDeviceProperties");
    if (device != 0) return cudaErrorInvalidDevice;
    *properties = cudaDeviceProp{"emulation on the CPU",
                                 xr_emulation_memory_size(),
                                 xr_emulation_shared_limit(),
                                 major,
                                 minor,
                                 4};
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    BEGIN("cudaSetDevice");
    return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaDriverGetVersion(int *version) {
    *version = 13000;
    BEGIN("cudaDriverGetVersion");
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = 13000;
    BEGIN("cudaRuntimeGetVersion");
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void) {
    BEGIN_OUTSIDE_CAPTURE("cudaDeviceSynchronize");
    xr_emulation_copies_reached(xr_emulation_copies_asked());
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    *total = xr_emulation_memory_size();
    *free_bytes = *total - xr_emulation_memory_used();
    BEGIN("cudaMemGetInfo");
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **memory, size_t bytes) {
    *memory = NULL;
    BEGIN_OUTSIDE_CAPTURE("cudaMalloc");
    *memory = xr_emulation_allocate(bytes, false);
    return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void *memory) {
    if (!memory) return cudaSuccess;
    BEGIN_OUTSIDE_CAPTURE("cudaFree");
    return xr_emulation_release(memory) ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaMallocHost(void **memory, size_t bytes) {
    *memory = NULL;
    BEGIN_OUTSIDE_CAPTURE("cudaMallocHost");
    *memory = xr_emulation_pin(bytes);
    return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags) {
    *memory = NULL;
    BEGIN_OUTSIDE_CAPTURE("cudaHostAlloc");
    if (flags != cudaHostAllocMapped) return cudaErrorInvalidValue;
    *memory = xr_emulation_allocate(bytes, true);
    return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *memory) {
    BEGIN_OUTSIDE_CAPTURE("cudaFreeHost");
    if (xr_emulation_is_mapped(memory)) {
        return xr_emulation_release(memory) ? cudaSuccess : cudaErrorInvalidValue;
    }
    xr_emulation_unpin(memory);
    return cudaSuccess;
}

struct Copy {
    void *to;
    const void *from;
    size_t bytes;
    cudaMemcpyKind kind;
};

static void make_copy(void *payload) {
    const Copy c = *(const Copy *)payload;
    bool pinned =
        (c.kind == cudaMemcpyHostToDevice &&
         xr_emulation_copy_from_pinned(c.to, c.from, c.bytes)) ||
        (c.kind == cudaMemcpyDeviceToHost && xr_emulation_copy_to_pinned(c.to, c.from, c.bytes));
    if (!pinned) xr_emulation_copy(c.to, c.from, c.bytes);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    BEGIN("cudaMemcpyAsync");
    if (bytes == 0) return cudaSuccess;
    bool to_device = xr_emulation_is_device(to, bytes);
    bool from_device = xr_emulation_is_device(from, bytes);
    cudaMemcpyKind real = to_device
                              ? (from_device ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice)
                              : (from_device ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost);
    const bool across = to_device != from_device;
    const bool pinned = across && xr_emulation_is_pinned(to_device ? from : to, bytes);
    if (kind == cudaMemcpyDefault) {
        // The backend copies on the GPU, or between it and pinned memory.
        if (!pinned && real != cudaMemcpyDeviceToDevice) return cudaErrorInvalidValue;
        kind = real;
    } else if (kind != real || xr_emulation_is_mapped(to) || xr_emulation_is_mapped(from)) {
        return cudaErrorInvalidValue; // of mapped memory it is the host's, in this respect
    }
    Copy c = {to, from, bytes, kind};
    if (!xr_emulation_captures(stream)) {
        make_copy(&c);
        return cudaSuccess;
    }
    // The graph would read, or write, host memory that is long gone.
    if (across && !pinned) return xr_emulation_outside_capture();
    xr_emulation_keep(make_copy, &c, sizeof c);
    return cudaSuccess;
}

struct Fill {
    void *memory;
    int value;
    size_t bytes;
};

static void fill(void *payload) {
    const Fill f = *(const Fill *)payload;
    xr_emulation_set(f.memory, f.value, f.bytes);
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream) {
    BEGIN("cudaMemsetAsync");
    if (bytes && !xr_emulation_is_device(memory, bytes)) return cudaErrorInvalidValue;
    Fill f = {memory, value, bytes};
    if (xr_emulation_captures(stream))
        xr_emulation_keep(fill, &f, sizeof f);
    else
        fill(&f);
    return cudaSuccess;
}

// An event knows the copies before it. A stream has nothing to say here; it is an allocation, so
// that a leak is found.
struct XrEmulatedEvent {
    uint64_t copies;
    bool captured; // recorded in a capture, where nobody can wait for it
};

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    BEGIN("cudaStreamCreateWithFlags");
    *stream = (cudaStream_t)malloc(1 + flags % 2);
    return *stream ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    free(stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    (void)stream;
    BEGIN_OUTSIDE_CAPTURE("cudaStreamSynchronize");
    xr_emulation_copies_reached(xr_emulation_copies_asked());
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    BEGIN("cudaEventCreateWithFlags");
    (void)flags;
    *event = (cudaEvent_t)calloc(1, sizeof **event);
    return *event ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    BEGIN("cudaEventRecord");
    event->captured = xr_emulation_captures(stream);
    if (!event->captured) event->copies = xr_emulation_copies_asked();
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    BEGIN_OUTSIDE_CAPTURE("cudaEventSynchronize");
    if (event->captured) return cudaErrorCapturedEvent;
    xr_emulation_copies_reached(event->copies);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    free(event);
    return cudaSuccess;
}
