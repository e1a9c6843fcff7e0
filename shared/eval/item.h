// An item of a benchmark: a question, its options and its gold answers as published, whatever the
// benchmark. Everything that evaluation does is written against this:
//   shared/eval/benchmark.h  the table of benchmarks; loading one from its published files
//   shared/eval/prompts.h    an item as a conversation
//   shared/eval/judge.h      whether a response answers an item: our verifier, the official rule
// docs/evaluation.md describes the benchmarks.
#ifndef XR_EVAL_ITEM_H
#define XR_EVAL_ITEM_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { XR_ITEM_MOST_OPTIONS = 26, XR_ITEM_MOST_GOLDS = 16, XR_ITEM_MOST_TAGS = 8 };

typedef enum XrAnswerKind {
    XR_ANSWER_CHOICE, // the letter of an option
    XR_ANSWER_MATH,   // a number or an expression
    XR_ANSWER_TEXT,   // words
    XR_ANSWER_TYPED,  // MathVista's: `answer_type`, `precision` and `unit` say of what form
} XrAnswerKind;

// "choice", "math", "text", "typed".
const char *xr_answer_kind_name(XrAnswerKind kind);

// A text, or a picture.
typedef struct XrItemPart {
    bool image;
    char *text; // the text, or the path of the picture file; owned, ended by NUL
} XrItemPart;

// Texts and pictures in the order in which they are read.
typedef struct XrItemContent {
    XrItemPart *parts; // owned
    int count;
} XrItemContent;

typedef struct XrItemOption {
    XrItemContent content; // as it is shown
    char *text;            // as it is published, markers of pictures included
} XrItemOption;

// A grouping beyond the subject: {"level", "3"}, {"question_type", "Reasoning"}.
typedef struct XrItemTag {
    const char *name; // static
    char *value;      // owned
} XrItemTag;

// Why an item cannot be asked or judged. Such an item stays in the list, so that whoever reports a
// result counts it where the published denominator has it.
typedef enum XrItemProblem {
    XR_ITEM_USABLE,
    XR_ITEM_MALFORMED,       // the row is no JSON, or lacks what the schema demands
    XR_ITEM_MISSING_PICTURE, // a picture file is not there
    XR_ITEM_WRONG_GOLD,      // the gold answer is none of the options
    XR_ITEM_DUPLICATE,       // another row has this id: no item of the published set
    XR_ITEM_PROBLEMS,
} XrItemProblem;

// "usable", "malformed", "missing_picture", "wrong_gold", "duplicate".
const char *xr_item_problem_name(XrItemProblem problem);

typedef struct XrBenchmark XrBenchmark;

// All texts are owned by the item, UTF-8, ended by NUL, and NULL where the row has none.
typedef struct XrItem {
    const XrBenchmark *benchmark;
    // Unique among the items of a benchmark: as published; where rows have no id, their number from
    // 0 ("17"); a duplicate has "#2" and so on after it, a malformed row without an id is
    // "row-NUMBER".
    char *id;
    bool named;    // the id is the row's own
    char *place;   // "FILE:LINE" of the row, for messages
    char *subject; // the published category by which tables are grouped
    XrItemTag tags[XR_ITEM_MOST_TAGS];
    int tag_count;

    XrItemContent question;  // without the options
    XrItemOption *options;   // [option_count], owned
    int option_count;        // 0 for open questions
    bool options_in_picture; // MMMU-Pro vision: not to be written out
    bool nested_options;     // MMMU-Pro: published as a list within a list, one option to its judge
    char *question_text;     // as published, markers of pictures and appended options included
    char *solution;          // a worked solution, for few-shot examples

    XrAnswerKind kind;
    char *golds[XR_ITEM_MOST_GOLDS]; // any of which is right; of a choice, letters ("B")
    int gold_count;
    char *published_gold; // as it stands in the row, for official rules

    // What official rules look at beyond that.
    char *answer_type;   // MathVista: "text", "integer", "float", "list"
    char *question_type; // MMMU: "multiple-choice", "open"; MathVista: "multi_choice", "free_form"
    char *unit;          // MathVista
    int precision;       // MathVista: decimal places; -1 where there is none

    XrItemProblem problem;
    char *problem_text; // one line: place, what is wrong, and the remedy
    char *note;         // something odd in the row that did not make it unusable, one line
} XrItem;

// The value of a tag, or NULL.
const char *xr_item_tag(const XrItem *item, const char *name);
int xr_item_image_count(const XrItem *item);

void xr_item_content_text(XrItemContent *content, const char *text, size_t bytes);
void xr_item_content_image(XrItemContent *content, const char *path);
void xr_item_content_free(XrItemContent *content);
void xr_item_free(XrItem *item);

#endif
