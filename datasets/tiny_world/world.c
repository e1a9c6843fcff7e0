#include "datasets/tiny_world/world.h"

#include "shared/base/error.h"
#include "shared/base/rng.h"

static const XrWorldKind KINDS[XR_WORLD_DOMAINS][XR_WORLD_KINDS] = {
    {{"circle", '+', 3},
     {"square", '~', 7},
     {"triangle", '~', 4},
     {"cross", '+', 9},
     {"star", '~', 1},
     {"ring", '+', 6},
     {"diamond", '~', 8},
     {"moon", '+', 2},
     {"arrow", '~', 5},
     {"bar", '+', 0},
     {"dots", '+', 7},
     {"house", '~', 4}},
    {{"fever", '+', 6},
     {"cough", '~', 2},
     {"rash", '+', 9},
     {"pain", '~', 4},
     {"chill", '+', 8},
     {"nausea", '~', 1},
     {"fatigue", '+', 5},
     {"swelling", '~', 7},
     {"bleeding", '+', 3},
     {"burn", '~', 0},
     {"tremor", '+', 8},
     {"cramp", '~', 3}},
};

const char *xr_world_domain_name(XrWorldDomain domain) {
    static const char *const names[XR_WORLD_DOMAINS] = {"total", "level"};
    return names[domain];
}

const char *xr_world_split_name(XrWorldSplit split) {
    static const char *const names[XR_WORLD_SPLITS] = {"train", "dev", "test"};
    return names[split];
}

const XrWorldKind *xr_world_kind(XrWorldDomain domain, int kind) {
    XR_REQUIRE(domain < XR_WORLD_DOMAINS && kind >= 0 && kind < XR_WORLD_KINDS,
               "tiny world: kind %d of domain %d", kind, (int)domain);
    return &KINDS[domain][kind];
}

int xr_world_apply(const XrWorldKind *kind, int state) {
    int sum = kind->operation == '+' ? state + kind->value : kind->value - state;
    return (sum + XR_WORLD_STATES) % XR_WORLD_STATES;
}

int xr_world_state(const XrWorldQuestion *question, int steps) {
    XR_REQUIRE(steps >= 0 && steps <= question->count, "tiny world: %d steps of %d", steps,
               question->count);
    int state = 0;
    for (int i = 0; i < steps; i++) {
        state = xr_world_apply(xr_world_kind(question->domain, question->kinds[i]), state);
    }
    return state;
}

char xr_world_answer_of(XrWorldDomain domain, int state) {
    return domain == XR_WORLD_TOTAL ? (char)('0' + state) : "ABCDE"[state / 2];
}

char xr_world_answer(const XrWorldQuestion *question) {
    return xr_world_answer_of(question->domain, xr_world_state(question, question->count));
}

XrWorldSplit xr_world_split(const XrWorldQuestion *question) {
    uint64_t list = (uint64_t)question->count;
    for (int i = 0; i < question->count; i++) list = list << 4 | question->kinds[i];
    uint32_t hash[4];
    xr_philox(0x74696e79, (uint64_t)question->domain, list, hash);
    uint32_t share = hash[0] % 12;
    return share == 0 ? XR_WORLD_TEST : share == 1 ? XR_WORLD_DEV : XR_WORLD_TRAIN;
}

uint32_t xr_world_draw_bits(XrWorldDraw *draw) {
    uint32_t words[4];
    xr_philox(draw->seed, draw->stream, draw->position++, words);
    return words[0];
}

int xr_world_draw_below(XrWorldDraw *draw, int below) {
    return (int)((uint64_t)xr_world_draw_bits(draw) * (uint64_t)below >> 32);
}

double xr_world_draw_between(XrWorldDraw *draw, double least, double most) {
    return least + (most - least) * (double)xr_uniform(xr_world_draw_bits(draw));
}

bool xr_world_draw_chance(XrWorldDraw *draw, double probability) {
    return xr_world_draw_between(draw, 0, 1) < probability;
}

XrWorldQuestion xr_world_draw_question(XrWorldDraw *draw, XrWorldDomain domain, XrWorldSplit split,
                                       int count) {
    XR_REQUIRE(count >= 2 && count <= XR_WORLD_LONGEST, "tiny world: a list of %d", count);
    XrWorldQuestion q = {.domain = domain, .count = count};
    do {
        uint8_t order[XR_WORLD_KINDS];
        for (int i = 0; i < XR_WORLD_KINDS; i++) order[i] = (uint8_t)i;
        for (int i = 0; i < count; i++) {
            int j = i + xr_world_draw_below(draw, XR_WORLD_KINDS - i);
            q.kinds[i] = order[j];
            order[j] = order[i];
        }
    } while (xr_world_split(&q) != split);
    return q;
}
