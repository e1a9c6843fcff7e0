// Stand-ins for the runtime's calls for stream capture and graphs. A graph is a list of operations
// in the order of the stream; an executable graph is a copy of it.
#include "cuda/emulation/graph.h"
#include "cuda/emulation/block.h"

#include <stdlib.h>

struct Operation {
    void (*run)(void *);
    void *payload;
    size_t bytes;
};

struct XrEmulatedGraph {
    Operation *operations;
    int count, capacity;
};
struct XrEmulatedGraphExec {
    XrEmulatedGraph graph;
};

static cudaStream_t captured; // the stream that is captured, while capturing
static XrEmulatedGraph *capturing;
static bool broken; // by a call that is forbidden

bool xr_emulation_captures(cudaStream_t stream) {
    return capturing && stream == captured;
}

static void append(XrEmulatedGraph *g, void (*run)(void *), const void *payload, size_t bytes) {
    if (g->count == g->capacity) {
        g->capacity = 2 * g->capacity + 16;
        size_t size = sizeof *g->operations * (size_t)g->capacity;
        g->operations = (Operation *)realloc(g->operations, size);
        if (!g->operations) xr_emulation_error("no memory for a graph");
    }
    Operation o = {run, malloc(bytes), bytes};
    if (!o.payload) xr_emulation_error("no memory for a graph");
    memcpy(o.payload, payload, bytes);
    g->operations[g->count++] = o;
}

void xr_emulation_keep(void (*run)(void *), const void *payload, size_t bytes) {
    append(capturing, run, payload, bytes);
}

cudaError_t xr_emulation_outside_capture(void) {
    if (!capturing) return cudaSuccess;
    broken = true;
    return cudaErrorStreamCaptureUnsupported;
}

static void empty(XrEmulatedGraph *g) {
    for (int i = 0; i < g->count; i++) free(g->operations[i].payload);
    free(g->operations);
    *g = XrEmulatedGraph{};
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    cudaError_t status = xr_emulation_status("cudaStreamBeginCapture");
    if (status != cudaSuccess) return status;
    if (capturing) return cudaErrorIllegalState;
    if (!stream) return cudaErrorStreamCaptureUnsupported; // the default stream
    if (mode != cudaStreamCaptureModeThreadLocal) return cudaErrorInvalidValue;
    capturing = (XrEmulatedGraph *)calloc(1, sizeof *capturing);
    captured = stream;
    broken = false;
    return capturing ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    *graph = NULL;
    if (!xr_emulation_captures(stream)) return cudaErrorIllegalState;
    *graph = capturing;
    capturing = NULL;
    if (!broken) return cudaSuccess;
    cudaGraphDestroy(*graph);
    *graph = NULL;
    return cudaErrorStreamCaptureInvalidated;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, uint64_t flags) {
    *executable = NULL;
    cudaError_t status = xr_emulation_status("cudaGraphInstantiate");
    if (status != cudaSuccess) return status;
    if (!graph || flags) return cudaErrorInvalidValue;
    *executable = (cudaGraphExec_t)calloc(1, sizeof **executable);
    if (!*executable) return cudaErrorMemoryAllocation;
    for (int i = 0; i < graph->count; i++) {
        const Operation *o = &graph->operations[i];
        append(&(*executable)->graph, o->run, o->payload, o->bytes);
    }
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    cudaError_t status = xr_emulation_status("cudaGraphLaunch");
    if (status == cudaSuccess) status = xr_emulation_outside_capture();
    if (status != cudaSuccess) return status;
    (void)stream;
    for (int i = 0; i < executable->graph.count; i++) {
        const Operation *o = &executable->graph.operations[i];
        o->run(o->payload);
    }
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    if (graph) empty(graph);
    free(graph);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    if (executable) empty(&executable->graph);
    free(executable);
    return cudaSuccess;
}
