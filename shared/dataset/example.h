// One row of a dataset as training needs it: a question with its gold answer, or a conversation to
// learn from. docs/training.md lists the formats.
#ifndef XR_DATASET_EXAMPLE_H
#define XR_DATASET_EXAMPLE_H

#include "shared/dataset/rows.h"
#include "shared/text/chat.h"

enum { XR_EXAMPLE_MOST_OPTIONS = 26 };

// Texts are owned, ended by NUL, and NULL where the row has none.
typedef struct XrExample {
    XrChat chat;    // messages that stand before the question, or the whole conversation to learn
    char *question; // what a template is filled with; NULL: the conversation is complete
    char *options[XR_EXAMPLE_MOST_OPTIONS];
    int option_count;
    char *response; // what the assistant should say after the question; NULL: nothing to imitate
    char *gold;     // the answer that a verifier compares with; NULL: none
    char *id;       // the row's own name, or NULL
    int image_count;
    char *images[16]; // paths of pictures that stand before the question
} XrExample;

void xr_example_free(XrExample *example);

// A published format. `matches` looks at a row's keys; `convert` fills an empty example.
typedef struct XrFormat {
    const char *name, *help;
    bool (*matches)(const cJSON *row);
    bool (*convert)(const XrJson *json, const cJSON *row, XrExample *out, XrError *err);
} XrFormat;

// All formats, `*count` of them.
const XrFormat *xr_formats(int *count);
// The format of that name; with "auto", the first that matches `row`. NULL and an error that lists
// the formats otherwise; `source` is what the error calls the data.
const XrFormat *xr_format_find(const char *name, const cJSON *row, const char *source,
                               XrError *err);

// Reads and converts one row. Relative paths of pictures become those from the data file's folder.
// Errors name the file and the line.
bool xr_example_read(XrExample *out, const XrRows *rows, int64_t row, const XrFormat *format,
                     XrError *err);

// GSM8K's worked solution (what stands before "####") without its calculator notes, <<48/2=24>>,
// trimmed; to be freed.
char *xr_gsm8k_solution(const char *text, size_t bytes);

// The conversation of an example, whose messages are moved out of it: what stands before the
// question, the question in `template_text` (shared/prompt/question.h) after its pictures, and,
// with `response`, the assistant's message to imitate, which must then be there.
bool xr_example_take_chat(XrChat *out, XrExample *example, const char *template_text, bool response,
                          XrError *err);

#endif
