// The official rules of MMMU and MMMU-Pro.
#include "shared/base/memory.h"
#include "shared/eval/official.h"
#include "shared/eval/python_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- multiple choice ----

typedef enum Form { FORM_BRACKETS, FORM_ALONE, FORM_BEFORE_SPACE, FORM_BEFORE_DOT, FORM_TEXT } Form;

// The options as the code sees them: an answer without known options has A to D.
static int option_count(const XrItem *item) {
    if (item->nested_options) return 1;
    return item->option_count ? item->option_count : 4;
}

// A letter as the form has it, in `out`.
static XrSpan form_of(char letter, Form form, char out[4]) {
    static const char before[] = {'(', ' ', 0, 0}, after[] = {')', ' ', ' ', '.'};
    size_t length = 0;
    if (before[form]) out[length++] = before[form];
    out[length++] = letter;
    out[length++] = after[form];
    return xr_span(out, length);
}

// Stripped of punctuation, one character after the other, and set between spaces.
static void prepare(XrSpan response, XrBuffer *out) {
    for (const char *c = ",.!?;:'"; *c; c++) {
        char one[2] = {*c, '\0'};
        response = xr_py_strip_any(response, one);
    }
    xr_buffer_byte(out, ' ');
    xr_buffer_append(out, response.data, response.bytes);
    xr_buffer_byte(out, ' ');
}

static unsigned letters_in(XrSpan text, int count, Form form) {
    unsigned found = 0;
    char pattern[4];
    for (int i = 0; i < count; i++) {
        bool here = xr_py_contains(text, form_of((char)('A' + i), form, pattern));
        found |= (unsigned)here << i;
    }
    return found;
}

// The candidate that begins last, the first of those that tie; one that is not there at all is
// before all others.
static int last_of(unsigned candidates, XrSpan text, Form form, const XrBuffer *options) {
    int best = -1;
    long long most = -2;
    for (int i = 0; i < XR_ITEM_MOST_OPTIONS; i++) {
        char pattern[4];
        if (!(candidates >> i & 1)) continue;
        XrSpan needle = form == FORM_TEXT ? xr_span(options[i].data, options[i].length)
                                          : form_of((char)('A' + i), form, pattern);
        size_t at = xr_py_rfind(text, needle);
        long long place = at == XR_NOT_FOUND ? -1 : (long long)at;
        if (place > most) {
            most = place;
            best = i;
        }
    }
    return best;
}

// By the options' texts, in lower case, in responses of more than five words.
static int choose_by_text(const XrItem *item, const XrBuffer *text) {
    XrBuffer lower = {0}, options[XR_ITEM_MOST_OPTIONS] = {{0}};
    unsigned candidates = 0;
    int count = item->nested_options ? 0 : item->option_count, chosen = -1;
    if (xr_py_words(xr_span(text->data, text->length)) <= 5) return -1;
    xr_py_lower(xr_span(text->data, text->length), &lower);
    for (int i = 0; i < count; i++) {
        xr_buffer_text(&options[i], "");
        xr_py_lower(xr_span_of(item->options[i].text), &options[i]);
        XrSpan option = xr_span(options[i].data, options[i].length);
        bool here = xr_py_contains(xr_span(lower.data, lower.length), option);
        candidates |= (unsigned)here << i;
    }
    if (candidates) {
        chosen = last_of(candidates, xr_span(lower.data, lower.length), FORM_TEXT, options);
    }
    for (int i = 0; i < count; i++) xr_buffer_free(&options[i]);
    xr_buffer_free(&lower);
    return chosen;
}

// The option that the response names, or -1 where the official code draws one. `pro`: letters
// before a space and before a full stop take the place of letters between spaces, by which they are
// still ordered.
static int choose(const XrItem *item, XrSpan response, bool pro) {
    XrBuffer text = {0};
    int count = option_count(item), chosen = -1;
    prepare(response, &text);
    XrSpan whole = xr_span(text.data, text.length);
    unsigned found = letters_in(whole, count, FORM_BRACKETS);
    Form order = found ? FORM_BRACKETS : FORM_ALONE;
    if (!found) found = letters_in(whole, count, pro ? FORM_BEFORE_SPACE : FORM_ALONE);
    if (!found && pro) found = letters_in(whole, count, FORM_BEFORE_DOT);
    chosen = found ? last_of(found, whole, order, NULL) : choose_by_text(item, &text);
    xr_buffer_free(&text);
    return chosen;
}

static void take_choice(const XrItem *item, int chosen, XrOfficialResult *out) {
    if (chosen < 0) {
        out->status = XR_OFFICIAL_RANDOM;
        return;
    }
    xr_buffer_byte(&out->extracted, (char)('A' + chosen));
    out->status = XR_OFFICIAL_READ;
    out->right = item->published_gold[0] == 'A' + chosen && !item->published_gold[1];
}

// ---- open questions ----

// What is compared: a number, rounded to two places, or a text.
typedef struct Value {
    bool number;
    double value;
    XrBuffer text;
} Value;

typedef struct Values {
    Value *values;
    int count;
} Values;

static Value *add_value(Values *out) {
    size_t count = (size_t)out->count;
    out->values = xr_realloc(out->values, (count + 1) * sizeof *out->values);
    Value *value = &out->values[out->count++];
    *value = (Value){0};
    return value;
}

static void free_values(Values *values) {
    for (int i = 0; i < values->count; i++) xr_buffer_free(&values->values[i].text);
    free(values->values);
}

// A number without commas, to two places; else lower case; one character gets a space on either
// side, in turn.
static void normalize(XrSpan text, Values *out) {
    XrBuffer plain = {0};
    double value;
    text = xr_py_strip(text);
    xr_buffer_text(&plain, "");
    xr_buffer_append(&plain, text.data, text.bytes);
    xr_py_replace(&plain, ",", "");
    bool number = xr_py_float(xr_span(plain.data, plain.length), &value);
    xr_buffer_clear(&plain);
    if (!number) xr_py_lower(text, &plain);
    if (number) {
        *add_value(out) = (Value){.number = true, .value = xr_py_round(value, 2)};
    } else if (plain.length == 1) {
        xr_buffer_format(&add_value(out)->text, " %c", plain.data[0]);
        xr_buffer_format(&add_value(out)->text, "%c ", plain.data[0]);
    } else {
        xr_buffer_append(&add_value(out)->text, plain.length ? plain.data : "", plain.length);
    }
    xr_buffer_free(&plain);
}

static size_t digits_at(XrSpan text, size_t at) {
    size_t end = at;
    while (end < text.bytes && xr_is_digit(text.data[end])) end++;
    return end - at;
}

static bool is_char(XrSpan text, size_t at, char c) {
    return at < text.bytes && text.data[at] == c;
}

// -?\b\d{1,3}(?:,\d{3})+\b, at `at`; its length or 0.
static size_t with_commas(XrSpan text, size_t at) {
    size_t from = at + is_char(text, at, '-'), end = from + digits_at(text, from), last = 0;
    if (from == end || end - from > 3 || xr_py_word_before(text, from)) return 0;
    while (is_char(text, end, ',') && digits_at(text, end + 1) >= 3) {
        end += 4;
        if (!xr_py_word_at(text, end)) last = end;
        if (xr_is_digit(end < text.bytes ? text.data[end] : ' ')) break;
    }
    return last ? last - at : 0;
}

// [eE][+-]?\d+ at `at`.
static size_t exponent_at(XrSpan text, size_t at) {
    if (!is_char(text, at, 'e') && !is_char(text, at, 'E')) return 0;
    size_t sign = is_char(text, at + 1, '+') || is_char(text, at + 1, '-');
    size_t digits = digits_at(text, at + 1 + sign);
    return digits ? 1 + sign + digits : 0;
}

// -?\d+(?:\.\d+)?[eE][+-]?\d+
static size_t scientific(XrSpan text, size_t at) {
    size_t end = at + is_char(text, at, '-'), digits = digits_at(text, end);
    if (!digits) return 0;
    end += digits;
    size_t places = is_char(text, end, '.') ? digits_at(text, end + 1) : 0;
    if (places && exponent_at(text, end + 1 + places)) end += 1 + places;
    size_t exponent = exponent_at(text, end);
    return exponent ? end + exponent - at : 0;
}

// (?![eE][+-]?\d+)(?![,\d])
static bool may_end(XrSpan text, size_t end) {
    return !exponent_at(text, end) && !is_char(text, end, ',') && !digits_at(text, end);
}

// -?(?:\d+\.\d+|\.\d+|\d+\b), and then as above, which no shorter run of decimals passes.
static size_t simple(XrSpan text, size_t at) {
    size_t from = at + is_char(text, at, '-'), whole = digits_at(text, from), end = from + whole;
    size_t places = is_char(text, end, '.') ? digits_at(text, end + 1) : 0;
    if (places && may_end(text, end + 1 + places)) return end + 1 + places - at;
    if (whole && !xr_py_word_at(text, end) && may_end(text, end)) return end - at;
    return 0;
}

// re.findall of one pattern. Where it does not match at a run's first digit, it does at none.
static void find_numbers(XrSpan text, size_t (*match)(XrSpan, size_t), Values *out) {
    for (size_t at = 0; at < text.bytes;) {
        size_t length = match(text, at), digits = digits_at(text, at);
        if (length) normalize(xr_span_cut(text, at, at + length), out);
        if (!length) length = digits ? digits : 1;
        at += length;
    }
}

// The shortest tail of the piece after one of the words that announce an answer.
static bool key_tail(XrSpan piece, bool last, XrSpan *out) {
    static const char *const marks[] = {"could be ", "so ",     "is ",     "thus ", "therefore ",
                                        "final ",    "answer ", "result ", "="};
    bool found = false;
    for (size_t i = 0; i < XR_COUNT(marks) - !last; i++) {
        if (xr_span_find(piece, marks[i], 0) == XR_NOT_FOUND) continue;
        XrSpan tail = xr_py_strip(xr_py_after_last(piece, marks[i]));
        // An empty tail is replaced by whatever comes next.
        if (!found || !out->bytes || tail.bytes < out->bytes) *out = tail;
        found = true;
    }
    return found && out->bytes && !(out->bytes == 1 && strchr(":,.!?;'", out->data[0]));
}

static void read_open(XrSpan response, Values *out, XrBuffer *shown) {
    XrBuffer lower = {0};
    xr_buffer_text(&lower, "");
    xr_py_lower(xr_py_strip_any(xr_py_strip(response), "."), &lower);
    XrSpan text = xr_span(lower.data, lower.length), tail;
    bool any = false;
    for (size_t at = 0; at <= text.bytes;) {
        size_t end = xr_span_find(text, "\n", at);
        bool last = end == XR_NOT_FOUND;
        if (last) end = text.bytes;
        if (key_tail(xr_span_cut(text, at, end), last, &tail)) {
            any = true;
            xr_buffer_format(shown, "%s%.*s", shown->length ? " | " : "", (int)tail.bytes,
                             tail.data);
            normalize(tail, out);
            find_numbers(tail, with_commas, out);
            find_numbers(tail, scientific, out);
            find_numbers(tail, simple, out);
        }
        at = end + 1;
    }
    if (!any) {
        xr_buffer_append(shown, text.data, text.bytes);
        normalize(text, out);
        find_numbers(text, with_commas, out);
        find_numbers(text, scientific, out);
        find_numbers(text, simple, out);
    }
    xr_buffer_free(&lower);
}

// A gold text is right where it stands anywhere in a text that was read.
static bool open_right(const Values *golds, const Values *read) {
    for (int i = 0; i < read->count; i++) {
        const Value *a = &read->values[i];
        for (int k = 0; k < golds->count; k++) {
            const Value *g = &golds->values[k];
            if (a->number != g->number) continue;
            if (a->number ? a->value == g->value
                          : xr_py_contains(xr_span(a->text.data, a->text.length),
                                           xr_span(g->text.data, g->text.length))) {
                return true;
            }
        }
    }
    return false;
}

static void judge_open(const XrItem *item, XrSpan response, XrOfficialResult *out) {
    Values golds = {0}, read = {0};
    for (int i = 0; i < item->gold_count; i++) normalize(xr_span_of(item->golds[i]), &golds);
    read_open(response, &read, &out->extracted);
    out->status = XR_OFFICIAL_READ;
    out->right = open_right(&golds, &read);
    free_values(&golds);
    free_values(&read);
}

void xr_official_mmmu(const XrItem *item, XrSpan response, XrOfficialResult *out) {
    if (item->kind == XR_ANSWER_CHOICE)
        take_choice(item, choose(item, response, false), out);
    else
        judge_open(item, response, out);
}

// The only option whose letter is a character of what follows the last "Answer:", or -1.
static int only_letter(const XrItem *item, XrSpan response) {
    static const char mark[] = "Answer:";
    size_t at = xr_py_rfind(response, xr_span_of(mark));
    int found = -1, several = 0;
    if (at == XR_NOT_FOUND) return -1;
    XrSpan tail = xr_span_cut(response, at + sizeof mark - 1, response.bytes);
    for (int i = 0; i < option_count(item); i++) {
        if (!tail.bytes || !memchr(tail.data, 'A' + i, tail.bytes)) continue;
        found = i;
        several++;
    }
    return several == 1 ? found : -1;
}

void xr_official_mmmu_pro(const XrItem *item, XrSpan response, XrOfficialResult *out) {
    int letter = only_letter(item, response);
    take_choice(item, letter >= 0 ? letter : choose(item, response, true), out);
}
