// How a question becomes the text of a user's message. The named templates are those of the
// X-Reasoner paper (arXiv 2505.03981, appendix C); a template of one's own is a file.
#ifndef XR_PROMPT_QUESTION_H
#define XR_PROMPT_QUESTION_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

typedef struct XrQuestionTemplate {
    const char *name;
    const char *text; // with {{ question }} and, maybe, {{ options }}
} XrQuestionTemplate;

// "x_reasoner_train", "x_reasoner_choice", "x_reasoner_math", "plain" (question and options alone);
// NULL for other names.
const XrQuestionTemplate *xr_question_template(const char *name);

// The text of a named template, or of the file of that path; the file must hold
// {{ question }} and no places but this and {{ options }} (the spaces may be left out).
bool xr_question_template_load(XrBuffer *out, const char *name_or_path, XrError *err);

// Puts question and options (may be "") into a template's places. A template without {{ options }}
// gets them after the question, where there are any, on lines of their own.
void xr_question_fill(XrBuffer *out, const char *template_text, const char *question,
                      const char *options);

// "A: first\nB: second", as the paper's example writes them.
void xr_question_options(XrBuffer *out, const char *const *options, int count);

#endif
