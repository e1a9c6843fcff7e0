// The tiny world: two domains of kinds of object, each of which changes a state from 0 to 9, and
// questions about what a list of them does to it. docs/tiny-world.md describes it.
#ifndef XR_TINY_WORLD_WORLD_H
#define XR_TINY_WORLD_WORLD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    XR_WORLD_KINDS = 12, // of a domain
    XR_WORLD_LONGEST = 8,
    XR_WORLD_STATES = 10,
};

typedef enum XrWorldDomain {
    XR_WORLD_TOTAL, // shapes; the answer is the state's digit
    XR_WORLD_LEVEL, // complaints; the answer is the letter ABCDE[state / 2]
    XR_WORLD_DOMAINS,
} XrWorldDomain;

// Base model, fine-tuning and policy optimisation draw from `train`; settings are chosen on `dev`;
// `test` is for reports.
typedef enum XrWorldSplit {
    XR_WORLD_TRAIN,
    XR_WORLD_DEV,
    XR_WORLD_TEST,
    XR_WORLD_SPLITS,
} XrWorldSplit;

typedef struct XrWorldKind {
    const char *name;
    char operation; // '+': state <- state + value, '~': state <- value - state, modulo 10
    int value;      // 0 to 9
} XrWorldKind;

typedef struct XrWorldQuestion {
    XrWorldDomain domain;
    int count;                       // 2 to XR_WORLD_LONGEST
    uint8_t kinds[XR_WORLD_LONGEST]; // distinct, in order
} XrWorldQuestion;

// "total", "level"; "train", "dev", "test".
const char *xr_world_domain_name(XrWorldDomain domain);
const char *xr_world_split_name(XrWorldSplit split);

const XrWorldKind *xr_world_kind(XrWorldDomain domain, int kind);
// The state that follows `state` when a kind's operation is applied.
int xr_world_apply(const XrWorldKind *kind, int state);
// The state after the first `steps` objects of a question, which starts at 0.
int xr_world_state(const XrWorldQuestion *question, int steps);
// What a final state is answered with: a digit or a letter.
char xr_world_answer_of(XrWorldDomain domain, int state);
char xr_world_answer(const XrWorldQuestion *question);
// Which split a list belongs to, a function of the list alone: one of twelve lists is `dev`, one is
// `test`, the others are `train`.
XrWorldSplit xr_world_split(const XrWorldQuestion *question);

// A stream of random numbers, a pure function of seed and stream (shared/base/rng.h).
typedef struct XrWorldDraw {
    uint64_t seed, stream, position;
} XrWorldDraw;

uint32_t xr_world_draw_bits(XrWorldDraw *draw);
// A whole number from 0 to below - 1.
int xr_world_draw_below(XrWorldDraw *draw, int below);
bool xr_world_draw_chance(XrWorldDraw *draw, double probability);
// A real number between `least` and `most`.
double xr_world_draw_between(XrWorldDraw *draw, double least, double most);
// A list of `count` kinds that belongs to `split`.
XrWorldQuestion xr_world_draw_question(XrWorldDraw *draw, XrWorldDomain domain, XrWorldSplit split,
                                       int count);

#endif
