// Answers to items: what was generated, how it was judged, and the line of samples.jsonl that holds
// both (docs/evaluation.md lists its keys).
#ifndef XR_EVAL_ANSWER_H
#define XR_EVAL_ANSWER_H

#include "shared/eval/asked.h"
#include "shared/eval/judge.h"

// With or without forced exit. Where a run compares the two in one pass, a sample whose exit was
// never due is the same in both.
typedef enum XrAnswerMode { XR_MODE_FREE, XR_MODE_BUDGET, XR_MODE_BOTH } XrAnswerMode;

// "free", "budget", "both".
const char *xr_answer_mode_name(XrAnswerMode mode);
bool xr_answer_mode_find(const char *name, XrAnswerMode *mode);

// What came of one sample. Pointers are borrowed.
typedef struct XrGenerated {
    int sample;
    XrAnswerMode mode;
    const char *text; // UTF-8
    size_t text_bytes;
    const int32_t *ids;    // [tokens], NULL where a server keeps them
    const uint8_t *forced; // [tokens] 1: injected
    int64_t tokens;        // -1: not known
    int64_t prompt_tokens; // -1: not known
    const char *finish;    // "stop", "length", "forced_exit", or a server's word
    bool truncated;
} XrGenerated;

// What tables need of an answer.
typedef struct XrAnswer {
    XrSuiteRef at;
    int sample;
    XrAnswerMode mode;
    int score;           // 0 or 1
    int verdict;         // XrVerdict
    int official;        // 1 right, 0 wrong, -1 undecided or no rule
    int official_status; // XrOfficialStatus; -1: no rule
    char *extracted;     // owned
    bool truncated, forced, endless;
    int64_t tokens, words; // of the response; tokens -1: not known
} XrAnswer;

typedef struct XrAnswers {
    XrAnswer *items; // [count]
    int64_t count, capacity;
} XrAnswers;

void xr_answers_add(XrAnswers *answers, XrAnswer answer);
void xr_answers_free(XrAnswers *answers);

// Judges a response and appends the end of its line, from ", \"score\"" to "}". `open` says whether
// a response counts as thinking from its start. *out receives the same, its place, sample, mode,
// forced and tokens apart, which are left as they are.
void xr_answer_judge(XrBuffer *line, XrAnswer *out, XrJudge *judge, const XrItem *item,
                     XrSpan response, bool truncated, bool open);

// Appends the line's beginning: who was asked what, and what came of it.
void xr_answer_begin(XrBuffer *line, const XrAsked *asked, const XrGenerated *generated);

// Words as people count them: runs of characters between white space.
int64_t xr_answer_words(XrSpan text);

#endif
