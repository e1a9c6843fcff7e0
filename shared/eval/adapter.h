// How a published row becomes an item. An adapter reads one family of schemas; several entries of
// the table of benchmarks may share it.
#ifndef XR_EVAL_ADAPTER_H
#define XR_EVAL_ADAPTER_H

#include "shared/eval/benchmark.h"
#include "shared/eval/source.h"
#include "shared/verify/span.h"

enum { XR_ROW_MOST_PICTURES = 16 };

typedef struct XrRow {
    const XrSourceRow *data;
    const cJSON *root;
    const char *place;     // for messages
    const char *folder;    // of the data file
    const char *images;    // folder from which paths of pictures are meant, or NULL
    int64_t number;        // of the row, from 0, over all files
    bool without_pictures; // pictures will not be shown, so that none need be there
} XrRow;

struct XrOfficialResult;
// An official rule: reads `response`, from which thinking and <answer> tags are already gone.
typedef void XrOfficialRule(const XrItem *item, XrSpan response, struct XrOfficialResult *out);

struct XrAdapter {
    // Whether the row is of the benchmark's subset; NULL where there are none.
    bool (*belongs)(const XrRow *row, const char *subset);
    // Fills an item whose benchmark, place and (where the row has no id of its own) id are set.
    // False with an error that says what the row lacks. May set `problem` for what can be told
    // apart.
    bool (*convert)(const XrRow *row, XrItem *item, XrError *err);
    XrOfficialRule *official; // or NULL
};

extern const struct XrAdapter XR_ADAPT_GSM8K, XR_ADAPT_MATH, XR_ADAPT_AIME, XR_ADAPT_MMLU_PRO,
    XR_ADAPT_MEDQA, XR_ADAPT_MMMU, XR_ADAPT_MMMU_PRO, XR_ADAPT_MATHVISTA, XR_ADAPT_MATHVISION,
    XR_ADAPT_MMSTAR, XR_ADAPT_OMNIMEDVQA, XR_ADAPT_MEDXPERTQA, XR_ADAPT_NEJM, XR_ADAPT_GENERIC;

// ---- fields of a row ----

// The value under a key; NULL where it is missing or null.
const cJSON *xr_row_get(const XrRow *row, const char *key);
// A text, or NULL.
const char *xr_row_text(const XrRow *row, const char *key);
// A text, number or truth value as text, to be freed; NULL for anything else.
char *xr_row_copy(const XrRow *row, const char *key);
// The same, of the first of the keys (ended by NULL) that the row has.
char *xr_row_copy_any(const XrRow *row, const char *const *keys);
char *xr_row_copy_value(const cJSON *value);
// Fails naming the key and what it must be.
bool xr_row_wrong(const XrRow *row, const char *key, const char *wanted, XrError *err);
// Copies the text of a key that must be there.
bool xr_row_need(const XrRow *row, const char *key, char **out, XrError *err);

// ---- parts of an item ----

// Replaces the number of the row by its own id; nothing where that is NULL or empty. Takes `id`.
void xr_item_set_id(XrItem *item, char *id);
// The same with the id, if the row has one of the keys (ended by NULL).
void xr_item_take_id(XrItem *item, const XrRow *row, const char *const *keys);
// Adds a tag from a key of the row, if it is there; `name` is static.
void xr_item_take_tag(XrItem *item, const XrRow *row, const char *key, const char *name);
void xr_item_add_tag(XrItem *item, const char *name, const char *value);
void xr_item_add_gold(XrItem *item, const char *gold);
// Sets the note, once.
void xr_item_set_note(XrItem *item, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Says why the item cannot be used, with its place; the first problem stays.
void xr_item_set_problem(XrItem *item, XrItemProblem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Adds an option; its content is its text until pictures are placed.
bool xr_item_add_option(XrItem *item, const char *text, XrError *err);
// Options of a list of texts, of {"letter", "content"} objects, of an object that maps A, B, C … to
// texts, or of a Python list in a text.
bool xr_item_take_options(XrItem *item, const XrRow *row, const char *key, XrError *err);
// Options under "option_A", "option_B" …, as far as they go.
bool xr_item_take_lettered_options(XrItem *item, const XrRow *row, const char *prefix,
                                   XrError *err);
// Takes options that stand at the end of the question, "(A) first (B) second" or
// "A: first, B: second" after a heading or on a line of their own; returns the question without
// them, to be freed. Where the item has options already, only if these are listed. NULL: there are
// none.
char *xr_item_split_question(XrItem *item);

// The gold answer of a choice: a letter (or "A: …", "(A)"), or with `by_text` the text of an
// option. What is no option makes the item unusable.
void xr_item_gold_letter(XrItem *item, const char *gold);
void xr_item_gold_option(XrItem *item, const char *gold);

// ---- pictures ----

typedef struct XrRowPictures {
    char *paths[XR_ROW_MOST_PICTURES + 1]; // by number from 1; NULL where there is none
    bool placed[XR_ROW_MOST_PICTURES + 1];
} XrRowPictures;

// The file that a value names: a path, or {"path": …}; as it lies in the folder of pictures, in the
// data's folder, or in its "images". NULL where the value names none.
char *xr_row_picture(const XrRow *row, const cJSON *value);
// Puts the question (of question_text, up to `bytes`) and the options together with pictures at
// their markers, "<image 1>" or "<image1>". One without a marker stands before the question. A
// picture that is named again is shown once, and then its marker stays as a text before it.
void xr_item_place_pictures(XrItem *item, const char *question, XrRowPictures *pictures);
// Finds fault with markers that have no picture.
void xr_item_need_marked(XrItem *item, const XrRow *row, const XrRowPictures *pictures);
// The only picture of a row, which stands at the first marker, or before the question.
void xr_item_place_picture(XrItem *item, const XrRow *row, const char *question,
                           const cJSON *value);
void xr_row_pictures_free(XrRowPictures *pictures);

#endif
