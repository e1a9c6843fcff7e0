// Items as questions that are asked: the prompts of a run, and what identifies each of them.
#ifndef XR_EVAL_ASKED_H
#define XR_EVAL_ASKED_H

#include "shared/eval/prompts.h"
#include "shared/eval/suite.h"

// How a run asks. `fewshot` are the benchmarks that worked examples come from.
typedef struct XrAsking {
    const XrRunConfig *config;
    XrItemPromptOptions options; // without examples
    XrBuffer template_text;
    XrSuite fewshot;
    bool starts_in_thinking; // a response counts as thinking until it says </think>
} XrAsking;

bool xr_asking_open(XrAsking *out, const XrRunConfig *config, XrError *err);
void xr_asking_close(XrAsking *asking);

// The conversation that asks `item`. Returns how many worked examples it has: fewer than
// num_fewshot where there are no more.
int xr_asking_chat(const XrAsking *asking, const XrItem *item, XrChat *out);

typedef struct XrAsked {
    XrSuiteRef at;
    const XrItem *item;
    uint64_t number;  // of (benchmark, id): names the random numbers
    uint64_t key;     // of settings and conversation: answers to the same question have the same
    char *messages;   // the conversation as a JSON list in transformers' form, owned
    int shots;        // worked examples
    int64_t estimate; // of its length, to order questions by
    bool *done;       // [num_generations] samples that were answered before, owned
} XrAsked;

typedef struct XrAskedList {
    XrAsked *items; // [count], the longest first; among equals, in order
    int64_t count;
    int64_t **places; // [sets][items] where each item stands in the list, -1: it is not asked
    int sets;
} XrAskedList;

// All chosen items that can be asked and judged. `settings` describes what else answers depend on.
void xr_asked_list(XrAskedList *out, const XrAsking *asking, const XrSuite *suite,
                   const XrBuffer *settings);
void xr_asked_list_free(XrAskedList *list);

// The question about an item, or NULL where it is not asked.
XrAsked *xr_asked_find(const XrAskedList *list, XrSuiteRef at);

#endif
