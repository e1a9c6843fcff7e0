// Communicators: what the ranks of a run say to each other. Every rank runs the same program; sums
// add the ranks' contributions in the order of ranks, so that they do not depend on timing.
#ifndef XR_COMM_COMM_H
#define XR_COMM_COMM_H

#include "shared/tensor/backend.h"

typedef struct XrComm XrComm;

// A table of operations, filled by each implementation. All of them are collective: every rank
// calls them in the same order with the same sizes. They fail when a rank is lost; the run then
// ends.
struct XrComm {
    int rank, size;
    // values[i] becomes the sum over ranks; host memory.
    bool (*sum_f64)(XrComm *comm, double *values, int64_t count, XrError *err);
    bool (*sum_i64)(XrComm *comm, int64_t *values, int64_t count, XrError *err);
    // values[i] becomes the largest of all ranks', NaN where one has NaN; host memory. A minimum is
    // the maximum of negated values.
    bool (*max_f64)(XrComm *comm, double *values, int64_t count, XrError *err);
    // Rank `root`'s bytes reach all; host memory.
    bool (*broadcast)(XrComm *comm, void *bytes, size_t count, int root, XrError *err);
    // Shards of a flat f32 tensor in the backend's memory: rank r owns elements [r n/size,
    // (r+1) n/size) of the n of `whole`. gather fills `whole` from all shards; reduce_scatter adds
    // up all ranks' `whole` and leaves each rank its shard. With one rank, `shard` and `whole` may
    // be the same memory, and nothing moves.
    bool (*gather)(XrComm *comm, XrBackend *b, const XrTensor *whole, const XrTensor *shard,
                   XrError *err);
    bool (*reduce_scatter)(XrComm *comm, XrBackend *b, const XrTensor *shard, const XrTensor *whole,
                           XrError *err);
    void (*destroy)(XrComm *comm);
};

// One rank alone.
XrComm *xr_comm_single(void);
void xr_comm_free(XrComm *comm);

#endif
