// Questions of the tiny world put to a model, and what came of each.
#ifndef XR_TINY_WORLD_EXAM_H
#define XR_TINY_WORLD_EXAM_H

#include "datasets/tiny_world/tasks.h"
#include "shared/base/error.h"
#include "shared/engine/engine.h"
#include "shared/prompt/chat_model.h"

enum { XR_WORLD_MOST_TOKENS = 112 }; // of a response

// What is asked. Item i of a domain asks about the same list in all tasks and media; lists of 3 to
// 8 objects take turns.
typedef struct XrWorldPaper {
    XrWorldTask task; // XR_WORLD_TASKS: facts
    XrWorldDomain domain;
    bool picture;
    XrWorldSplit split; // of the lists, and of the pictures' looks
    int64_t items;
    uint64_t seed;        // of the items and of sampling
    float temperature;    // 0: greedy
    int64_t think_budget; // forced exit after so many tokens; -1: never
    bool both;            // what would be said without forced exit as well
} XrWorldPaper;

// What came of one item.
typedef struct XrWorldMark {
    bool right;  // of facts, lists and values, the expected text; of answers, what the verifier
                 // accepts of a response that ended
    bool capped; // ran into the limit of tokens
    bool open;   // thinking was opened and never closed
    int32_t tokens;
} XrWorldMark;

// Puts the items to a model through an empty engine that runs it. marks [items]; with `both` they
// are those without forced exit, and forced [items] receives those with it (else it may be NULL).
bool xr_world_sit(XrWorldMark *marks, XrWorldMark *forced, XrEngine *engine,
                  const XrChatModel *model, const XrWorldPaper *paper, XrError *err);

#endif
