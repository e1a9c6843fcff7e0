// Graphs of operations: what a stream's launches are, captured once and launched in one piece.
#include "cuda/cuda.h"

#include <stdlib.h>

// An executable graph and what its addresses hold for: scratch memory that has not moved since.
typedef struct Graph {
    cudaGraphExec_t executable;
    int64_t scratch_moves;
} Graph;

bool xr_cuda_graph_begin(XrBackend *b) {
    if (xr_cuda_divergence(b)) return false; // each operation waits there, and reads what it gave
    xr_cuda_check(cudaStreamBeginCapture(xr_cuda_stream(b), cudaStreamCaptureModeThreadLocal),
                  "recording a graph");
    return true;
}

void *xr_cuda_graph_end(XrBackend *b) {
    cudaGraph_t captured = NULL;
    cudaGraphExec_t executable = NULL;
    xr_cuda_check(cudaStreamEndCapture(xr_cuda_stream(b), &captured), "recording a graph");
    cudaError_t status = cudaGraphInstantiate(&executable, captured, 0);
    xr_cuda_check(cudaGraphDestroy(captured), "recording a graph");
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        return NULL;
    }
    xr_cuda_check(status, "making a graph");
    Graph *graph = (Graph *)xr_malloc(sizeof *graph);
    *graph = Graph{executable, xr_cuda_scratch_moves(b)};
    return graph;
}

bool xr_cuda_graph_launch(XrBackend *b, void *graph) {
    const Graph *g = (const Graph *)graph;
    if (g->scratch_moves != xr_cuda_scratch_moves(b)) return false;
    xr_cuda_check(cudaGraphLaunch(g->executable, xr_cuda_stream(b)), "launching a graph");
    return true;
}

void xr_cuda_graph_free(XrBackend *b, void *graph) {
    Graph *g = (Graph *)graph;
    xr_cuda_check(cudaStreamSynchronize(xr_cuda_stream(b)), "freeing a graph"); // it may be running
    xr_cuda_check(cudaGraphExecDestroy(g->executable), "freeing a graph");
    free(g);
}
