// Pinned host memory and the copies from and to it: the emulation makes a copy at once, the program
// must not lean on that.
#include "cuda/emulation/pinned.h"
#include "cuda/emulation/block.h"
#include "cuda/emulation/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PINNED = 256, MOST_PENDING = 1024, PAINT = 0xff };

// A copy that the host has not waited for: the bytes that it moved.
struct Pending {
    char *host;
    void *bytes;
    size_t count;
    bool to_host;
};

struct Pinned {
    char *begin, *end;
};

static Pinned pinned[MOST_PINNED];
static int pinned_count;
static Pending pending[MOST_PENDING]; // the oldest first
static int pending_count;
static uint64_t asked;

void *xr_emulation_pin(size_t bytes) {
    char *memory = (char *)malloc(bytes);
    if (!memory) return NULL;
    if (pinned_count == MOST_PINNED) xr_emulation_error("%d pinned allocations", MOST_PINNED);
    pinned[pinned_count++] = Pinned{memory, memory + bytes};
    return memory;
}

bool xr_emulation_is_pinned(const void *address, size_t bytes) {
    const char *at = (const char *)address;
    for (int i = 0; i < pinned_count; i++) {
        if (at >= pinned[i].begin && at + bytes <= pinned[i].end) return true;
    }
    return false;
}

void xr_emulation_unpin(void *memory) {
    if (!memory) return;
    xr_emulation_copies_reached(asked); // the runtime waits, too
    int i = 0;
    while (i < pinned_count && pinned[i].begin != memory) i++;
    if (i == pinned_count) xr_emulation_error("memory that is not pinned is freed as if it were");
    pinned[i] = pinned[--pinned_count];
    free(memory);
}

static Pending *add(void *host, size_t count, bool to_host) {
    if (pending_count == MOST_PENDING) {
        xr_emulation_error("%d copies that nobody waits for", MOST_PENDING);
    }
    Pending *p = &pending[pending_count++];
    *p = Pending{(char *)host, malloc(count), count, to_host};
    asked++;
    return p;
}

bool xr_emulation_copy_to_pinned(void *to, const void *from, size_t bytes) {
    if (!xr_emulation_is_pinned(to, bytes)) return false;
    xr_emulation_copy(add(to, bytes, true)->bytes, from, bytes);
    memset(to, PAINT, bytes);
    return true;
}

bool xr_emulation_copy_from_pinned(void *to, const void *from, size_t bytes) {
    if (!xr_emulation_is_pinned(from, bytes)) return false;
    memcpy(add((void *)from, bytes, false)->bytes, from, bytes);
    xr_emulation_copy(to, from, bytes);
    return true;
}

uint64_t xr_emulation_copies_asked(void) {
    return asked;
}

void xr_emulation_copies_reached(uint64_t count) {
    uint64_t first = asked - (uint64_t)pending_count; // number of the oldest
    int reached = count > first ? (int)(count - first) : 0;
    for (int i = 0; i < reached; i++) {
        Pending *p = &pending[i];
        if (p->to_host) {
            memcpy(p->host, p->bytes, p->count);
        } else if (memcmp(p->host, p->bytes, p->count) != 0) {
            xr_emulation_error("the host has written to pinned memory while it was copied from");
        }
        free(p->bytes);
    }
    pending_count -= reached;
    memmove(pending, pending + reached, (size_t)pending_count * sizeof *pending);
}
