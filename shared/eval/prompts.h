// An item as a conversation that ends in the user's question.
#ifndef XR_EVAL_PROMPTS_H
#define XR_EVAL_PROMPTS_H

#include "shared/eval/benchmark.h"
#include "shared/text/chat.h"

typedef enum XrPromptKind {
    XR_PROMPT_REASONING, // the paper's: x_reasoner_choice with options, x_reasoner_math without
    XR_PROMPT_DIRECT,    // no reasoning: the letter, or the value, alone
    XR_PROMPT_PLAIN,     // the question and its options, nothing else
    XR_PROMPT_TEMPLATE,  // a text of one's own with {{ question }} and maybe {{ options }}
} XrPromptKind;

// "reasoning", "direct", "plain"; false for other names, which are files of templates.
bool xr_prompt_kind_find(const char *name, XrPromptKind *kind);
const char *xr_prompt_kind_name(XrPromptKind kind);

typedef struct XrItemPromptOptions {
    XrPromptKind kind;
    const char *template_text;  // of XR_PROMPT_TEMPLATE (xr_question_template_load)
    const char *system;         // a system message, or NULL for none
    const XrItem *const *shots; // [shot_count] worked examples that go before the question
    int shot_count;
    bool without_pictures; // pictures are left out (the paper's text-solvable filter)
} XrItemPromptOptions;

// Appends the conversation to `chat`, which is empty: the system message, for each example a user's
// message and the assistant's, the user's question. A picture stands where the item has it. The
// item must be usable.
void xr_item_prompt(XrChat *chat, const XrItem *item, const XrItemPromptOptions *options);

// Takes up to `count` examples for `item` out of loaded items: the first usable ones that have a
// gold answer, are not the item itself (by its question's text), and share its subject where any of
// them does. Returns how many; out[] points into `from`.
int xr_item_pick_shots(const XrBenchmarkItems *from, const XrItem *item, int count,
                       const XrItem **out);

#endif
