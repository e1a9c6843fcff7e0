#include "shared/engine/graphs.h"

static void drop(XrGraphEntry *entry, XrBackend *b) {
    if (entry->graph) b->graph_free(b, entry->graph);
    entry->graph = NULL;
}

void xr_graphs_clear(XrGraphs *graphs, XrBackend *b) {
    for (int i = 0; i < graphs->count; i++) drop(&graphs->entries[i], b);
    graphs->count = 0;
}

static bool is_same(const XrGraphKey *a, const XrGraphKey *b) {
    return a->rows == b->rows && a->pages == b->pages && a->batch_invariant == b->batch_invariant;
}

// The key's entry, a new one where there is none; `known`: it had one.
static XrGraphEntry *find(XrGraphs *graphs, XrBackend *b, const XrGraphKey *key, bool *known) {
    XrGraphEntry *oldest = NULL, *found = NULL;
    for (int i = 0; i < graphs->count && !found; i++) {
        XrGraphEntry *entry = &graphs->entries[i];
        if (is_same(&entry->key, key)) found = entry;
        if (!oldest || entry->used < oldest->used) oldest = entry;
    }
    *known = found != NULL;
    if (!found) {
        bool full = graphs->count == XR_MOST_GRAPHS;
        found = full ? oldest : &graphs->entries[graphs->count++];
        if (full) drop(found, b);
        *found = (XrGraphEntry){.key = *key};
    }
    found->used = ++graphs->asked;
    return found;
}

static bool launch(XrGraphs *graphs, XrBackend *b, XrGraphEntry *entry) {
    if (!entry->graph) return false;
    if (b->graph_launch(b, entry->graph)) {
        graphs->launched++;
        return true;
    }
    drop(entry, b);
    return false;
}

void xr_graphs_run(XrGraphs *graphs, XrBackend *b, const XrGraphKey *key, XrGraphWork *work,
                   void *context) {
    bool known;
    XrGraphEntry *entry = find(graphs, b, key, &known);
    if (launch(graphs, b, entry)) return;
    if (known && !entry->hopeless && b->graph_begin(b)) {
        work(context);
        entry->graph = b->graph_end(b);
        entry->hopeless = !entry->graph;
        graphs->recorded += entry->graph != NULL;
        if (launch(graphs, b, entry)) return;
    }
    work(context);
}
