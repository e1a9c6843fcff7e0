// Stream capture of the emulation: operations of the stream that is captured are kept with copies
// of their arguments, in order, instead of being carried out.
#ifndef XR_EMULATION_GRAPH_H
#define XR_EMULATION_GRAPH_H

#include <cuda_runtime.h>

// Whether operations of that stream are kept now.
bool xr_emulation_captures(cudaStream_t stream);
// Keeps an operation: run(a copy of the payload) carries it out each time the graph is launched.
void xr_emulation_keep(void (*run)(void *), const void *payload, size_t bytes);
// Counts one for xr_emulation_launches.
void xr_emulation_count_launch(void);
// What a call returns that a capture forbids: an error while any stream is captured, which breaks
// the capture, and success otherwise.
cudaError_t xr_emulation_outside_capture(void);

#endif
