#include "shared/prompt/question.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <string.h>

// The paper's texts, letter for letter.
static const XrQuestionTemplate TEMPLATES[] = {
    {"x_reasoner_train", "You will solve a problem/request. You should provide your thoughts "
                         "within <think> </think> tags "
                         "before providing the answer.\nWrite your final answer within <answer> "
                         "</answer> tags. Here is "
                         "the question: {{ question }}"},
    {"x_reasoner_choice",
     "You should provide your thoughts within <think> </think> tags, then answer with just one of "
     "the "
     "options below within <answer> </answer> tags (For example, if the question is \n'Is the "
     "earth "
     "flat?\n A: Yes \nB: No', you should answer with <think>...</think> <answer>B: No </answer>). "
     "Here is the question: {{ question }} Options:\n\n{{ options }}"},
    {"x_reasoner_math",
     "A conversation between User and Assistant. The user asks a question, and you as the "
     "assistant "
     "solves it. You should first think about the reasoning process in the mind and then provide "
     "the "
     "user with the answer. The reasoning process and answer are enclosed within <think> </think> "
     "and "
     "<answer> </answer> tags, respectively, i.e., <think> reasoning process here </think><answer> "
     "the final answer as the option letter or the number depending on the question </answer> (For "
     "example, if the question is \n'Is the earth flat?\n A: Yes \nB: No', you should answer with "
     "<think> your reasoning </think> <answer>B: No</answer>. If the question is 'What is 1+1?', "
     "you "
     "should answer with <think> your reasoning </think> <answer>2 </answer>).\n\nHere is the "
     "question: {{ question }} Options:\n\n{{ options }}"},
    {"plain", "{{ question }}"},
};

static const char QUESTION[] = "{{ question }}", OPTIONS[] = "{{ options }}";

const XrQuestionTemplate *xr_question_template(const char *name) {
    for (size_t i = 0; i < XR_COUNT(TEMPLATES); i++) {
        if (strcmp(TEMPLATES[i].name, name) == 0) return &TEMPLATES[i];
    }
    return NULL;
}

// The name in the braces "{{ name }}" or "{{name}}" at `at`; returns where they end, NULL where
// there are none. *spaced: they are written as templates write them, not as LaTeX groups letters.
static const char *placeholder_at(const char *at, char name[32], bool *spaced) {
    if (strncmp(at, "{{", 2) != 0) return NULL;
    const char *begin = at + 2 + strspn(at + 2, " \t");
    size_t length =
        strspn(begin, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    const char *end = begin + length + strspn(begin + length, " \t");
    if (!length || length >= 32 || strncmp(end, "}}", 2) != 0) return NULL;
    memcpy(name, begin, length);
    name[length] = '\0';
    *spaced = begin > at + 2;
    return end + 2;
}

// Writes the places of question and options as xr_question_fill looks for them.
static bool settle_places(XrBuffer *text, const char *path, XrError *err) {
    XrBuffer out = {0};
    bool ok = true;
    xr_buffer_reserve(&out, text->length + 1);
    for (const char *at = text->data; ok && *at;) {
        char name[32];
        bool spaced = false;
        const char *end = placeholder_at(at, name, &spaced);
        bool known = end && (strcmp(name, "question") == 0 || strcmp(name, "options") == 0);
        if (known) {
            xr_buffer_format(&out, "{{ %s }}", name);
            at = end;
        } else {
            ok = !end || !spaced ||
                 xr_fail(err, XR_ERR_INPUT,
                         "%s: \"{{ %s }}\" is no place of a template; there are {{ question }} and "
                         "{{ options }}",
                         path, name);
            xr_buffer_byte(&out, *at++);
        }
    }
    xr_buffer_free(text);
    *text = out;
    return ok;
}

bool xr_question_template_load(XrBuffer *out, const char *name_or_path, XrError *err) {
    const XrQuestionTemplate *known = xr_question_template(name_or_path);
    xr_buffer_clear(out);
    if (known) {
        xr_buffer_text(out, known->text);
        return true;
    }
    if (!xr_file_read(name_or_path, 1 << 20, out, err)) {
        return xr_fail_in(err,
                          "\"%s\" is no named template (x_reasoner_train, x_reasoner_choice, "
                          "x_reasoner_math, plain), so it is taken as a file",
                          name_or_path);
    }
    if (!settle_places(out, name_or_path, err)) return false;
    if (!strstr(out->data, QUESTION)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: a template must hold %s", name_or_path, QUESTION);
    }
    return true;
}

void xr_question_fill(XrBuffer *out, const char *text, const char *question, const char *options) {
    bool place = strstr(text, OPTIONS) != NULL;
    while (*text) {
        size_t plain = strcspn(text, "{");
        xr_buffer_append(out, text, plain);
        text += plain;
        if (strncmp(text, QUESTION, sizeof QUESTION - 1) == 0) {
            xr_buffer_text(out, question);
            if (!place && *options) xr_buffer_format(out, "\n%s", options);
            text += sizeof QUESTION - 1;
        } else if (strncmp(text, OPTIONS, sizeof OPTIONS - 1) == 0) {
            xr_buffer_text(out, options);
            text += sizeof OPTIONS - 1;
        } else if (*text) {
            xr_buffer_byte(out, *text++);
        }
    }
}

void xr_question_options(XrBuffer *out, const char *const *options, int count) {
    for (int i = 0; i < count; i++) {
        xr_buffer_format(out, "%s%c: %s", i ? "\n" : "", 'A' + i, options[i]);
    }
}
