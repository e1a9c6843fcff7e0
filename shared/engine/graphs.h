// Graphs of decode steps: what a backend is asked for in a step is recorded and then launched in
// one piece (XrBackend.graph_begin). A bounded number of them is kept, by what their launches
// depend on; the one that was not used for longest makes room.
#ifndef XR_ENGINE_GRAPHS_H
#define XR_ENGINE_GRAPHS_H

#include "shared/tensor/backend.h"

// All on the host that a decode step's launches depend on. Lists lie at the same places for the
// same key.
typedef struct XrGraphKey {
    int64_t rows;  // of the batch, those that fill it up included: one a sequence
    int64_t pages; // of a sequence, in the page table
    bool batch_invariant;
} XrGraphKey;

enum { XR_MOST_GRAPHS = 64 };

typedef struct XrGraphEntry {
    XrGraphKey key;
    void *graph;   // or NULL
    bool hopeless; // there was no memory for its graph
    int64_t used;  // when it was last asked for
} XrGraphEntry;

// Zero is an empty one.
typedef struct XrGraphs {
    XrGraphEntry entries[XR_MOST_GRAPHS];
    int count;
    int64_t asked;
    int64_t recorded, launched; // graphs, since it was made
} XrGraphs;

// Carries out work(context), which asks the backend for operations that are the same each time for
// one key: the first time as they are, which finds them their scratch memory (a key that comes once
// is not worth a graph), the second time by a graph that is recorded, then by launching that.
typedef void XrGraphWork(void *context);
void xr_graphs_run(XrGraphs *graphs, XrBackend *b, const XrGraphKey *key, XrGraphWork *work,
                   void *context);

// Forgets all graphs: an address that they hold has changed. Counts stay.
void xr_graphs_clear(XrGraphs *graphs, XrBackend *b);

#endif
