// Data files of the tiny world, in formats that the trainers read (docs/tiny-world.md).
#ifndef XR_TINY_WORLD_ROWS_H
#define XR_TINY_WORLD_ROWS_H

#include "datasets/tiny_world/tasks.h"
#include "shared/base/error.h"

typedef enum XrWorldSet {
    XR_WORLD_SET_BASE,      // conversations of all tasks, in text and pictures
    XR_WORLD_SET_THINK,     // conversations with full thinking, some of which loops
    XR_WORLD_SET_ANSWER,    // the same questions, answered at once
    XR_WORLD_SET_QUESTIONS, // questions with their answers
    XR_WORLD_SETS,
} XrWorldSet;

// "base", "think", "answer", "questions".
const char *xr_world_set_name(XrWorldSet set);

typedef struct XrWorldSetOptions {
    XrWorldSet set;
    XrWorldDomain domain; // XR_WORLD_DOMAINS: both, in turn; `base` has always both
    XrWorldSplit split;   // of the lists; conversations to learn from are always of `train`
    bool pictures;        // pictures in the lists' places; `base` has always both
    int64_t rows;
    uint64_t seed;
} XrWorldSetOptions;

// One row of a set before it is written.
typedef struct XrWorldRow {
    XrBuffer prompt, completion; // of questions, the completion is the gold answer
    XrBuffer before;             // what stands before the picture, or nothing
    XrWorldQuestion question;
    bool has_question, picture;
    int told;         // objects that `before` names; the picture shows the others
    XrWorldDraw draw; // what a picture is drawn with
} XrWorldRow;

// Row `index` of a set, a pure function of options and index. Free with xr_world_row_free.
void xr_world_row(XrWorldRow *out, const XrWorldSetOptions *options, int64_t index);
void xr_world_row_free(XrWorldRow *row);

// Writes <folder>/<set's name>.jsonl and the pictures that it names, <folder>/pictures/NUMBER.png.
// The data file comes last and whole; one that is there already is replaced.
bool xr_world_write_set(const char *folder, const XrWorldSetOptions *options, XrError *err);

#endif
