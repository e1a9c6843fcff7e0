#include "shared/train/order.h"

#include "shared/base/rng.h"

// A number in [0, bound), without bias: draws that would give some numbers once more are thrown
// away.
static uint64_t below(uint64_t bound, uint64_t seed, uint64_t stream, uint64_t position) {
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    for (uint64_t attempt = 0;; attempt++) {
        uint32_t words[4];
        xr_philox(seed, stream, position + (attempt << 48), words);
        uint64_t draw = (uint64_t)words[0] << 32 | words[1];
        if (draw < limit) return draw % bound;
    }
}

void xr_shuffled_order(int64_t *order, int64_t count, uint64_t seed, uint64_t epoch) {
    const uint64_t stream =
        0x6F72646572000000u ^ epoch; // "order", apart from the samplers' streams
    for (int64_t i = 0; i < count; i++) order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = (int64_t)below((uint64_t)i + 1, seed, stream, (uint64_t)i);
        int64_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}
