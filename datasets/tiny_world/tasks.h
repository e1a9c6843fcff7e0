// Tasks about lists of objects and single facts, as the texts that a model reads and writes.
#ifndef XR_TINY_WORLD_TASKS_H
#define XR_TINY_WORLD_TASKS_H

#include "datasets/tiny_world/world.h"
#include "shared/base/buffer.h"

typedef enum XrWorldTask {
    XR_WORLD_LIST,    // names what is seen
    XR_WORLD_VALUES,  // names each object and its operation
    XR_WORLD_DIRECT,  // answers at once
    XR_WORLD_SLOPPY,  // thinks of the operations, but not of the states
    XR_WORLD_FULL,    // thinks of operations and states
    XR_WORLD_UNASKED, // is asked to think, and answers at once
    XR_WORLD_TASKS,
} XrWorldTask;

// "seen circle square": the first `count` objects of a list.
void xr_world_seen(XrBuffer *out, const XrWorldQuestion *question, int count);
// "seen circle square\ntotal think"; where a picture shows the list, "total think" alone.
void xr_world_prompt(XrBuffer *out, const XrWorldQuestion *question, XrWorldTask task,
                     bool picture);
// "<think> circle+three=three square~seven=four\n</think>\n\n<answer>4</answer>"; `loops` times
// " wait check=four" stand before "\n</think>" (thinking tasks only).
void xr_world_completion(XrBuffer *out, const XrWorldQuestion *question, XrWorldTask task,
                         int loops);
// A fact of a domain: an object's operation, the state after an operation, or a state's answer.
void xr_world_fact(XrBuffer *prompt, XrBuffer *completion, XrWorldDraw *draw, XrWorldDomain domain);

// "zero" to "nine".
const char *xr_world_number(int value);

#endif
