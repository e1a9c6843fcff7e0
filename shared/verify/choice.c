// defines: options, xr_choice_read
#include "shared/verify/choice.h"

#include "shared/base/error.h"
#include "shared/base/memory.h"
#include "shared/verify/choice_label.h"
#include "shared/verify/text_answer.h"

const char *xr_choice_status_name(XrChoiceStatus status) {
    static const char *const names[] = {
        "names no option", "names an option", "offers one option or another",
        "gives a letter and another option's text", "gives a text that several options have"};
    return names[status];
}

enum { MAX_CUTS = 8 }; // places where an option's text may end

// ---- options ----

// If all texts carry their own letter as a label, takes it off.
static void take_labels_off(XrOptions *options) {
    size_t ends[XR_MAX_OPTIONS];
    for (int i = 0; i < options->count; i++) {
        XrLabel label;
        XrSpan text = options->texts[i];
        if (!xr_read_label(text, 0, options->count, false, &label) || label.index != i ||
            label.bare || label.lower || label.end >= text.bytes || label.end < 2)
            return;
        ends[i] = label.end;
    }
    for (int i = 0; i < options->count; i++) {
        XrSpan text = options->texts[i];
        options->texts[i] = xr_span_trim(xr_span_cut(text, ends[i], text.bytes));
    }
}

bool xr_options_set(XrOptions *options, const XrSpan *texts, int count) {
    options->ready = false;
    options->count = 0;
    if (count > XR_MAX_OPTIONS) return false;
    for (int i = 0; i < count; i++) options->texts[i] = xr_span_trim(texts[i]);
    options->count = count;
    if (count > 1) take_labels_off(options);
    return true;
}

void xr_options_free(XrOptions *options) {
    xr_buffer_free(&options->folded);
    xr_buffer_free(&options->plain);
    xr_buffer_free(&options->scratch);
}

static void fold(XrOptions *options, XrSpan text, XrBuffer *out) {
    xr_buffer_clear(&options->scratch);
    xr_plain_text(text, &options->scratch);
    xr_fold_text(xr_span(options->scratch.data, options->scratch.length), out);
}

static void make_ready(XrOptions *options) {
    if (options->ready) return;
    options->ready = true;
    xr_buffer_clear(&options->folded);
    for (int i = 0; i < options->count; i++) {
        options->at[i] = options->folded.length;
        fold(options, options->texts[i], &options->folded);
        XrSpan folded = xr_span_cut(xr_span(options->folded.data, options->folded.length),
                                    options->at[i], options->folded.length);
        if (folded.bytes == 1 && folded.data[0] == 'a' + i)
            options->folded.length--; // no more than its letter
    }
    options->at[options->count] = options->folded.length;
}

static XrSpan folded_option(const XrOptions *options, int i) {
    return xr_span(options->folded.data + options->at[i], options->at[i + 1] - options->at[i]);
}

int xr_options_find(XrOptions *options, XrSpan text, bool *several) {
    *several = false;
    int found = -1, exact = -1, exacts = 0;
    make_ready(options);
    XrBuffer folded = {0};
    fold(options, text, &folded);
    for (int i = 0; i < options->count; i++) {
        XrSpan option = folded_option(options, i);
        if (!option.bytes || !xr_span_equal(option, xr_span(folded.data, folded.length))) continue;
        *several |= found >= 0;
        found = i;
        if (xr_span_equal(options->texts[i], xr_span_trim(text))) exact = i, exacts++;
    }
    xr_buffer_free(&folded);
    if (*several && exacts == 1) { // options that differ in nothing but case or punctuation
        *several = false;
        return exact;
    }
    return found;
}

// Whether a text may end at `at`: at the end, before a space, or before a mark that a space
// follows.
static bool ends_text(XrSpan text, size_t at) {
    if (at >= text.bytes || text.data[at] == ' ') return true;
    while (at < text.bytes && text.data[at] && strchr(".,;:)", text.data[at])) at++;
    return at >= text.bytes || text.data[at] == ' ';
}

// The option in whose spelling a plain text begins, case and the like aside; -1 for none. (What
// follows may hold digits, and texts with digits are folded otherwise than words.)
static int find_spelled_prefix(XrOptions *options, XrSpan text) {
    int found = -1;
    size_t longest = 0;
    XrBuffer plain = {0}, folded = {0};
    for (int i = 0; i < options->count; i++) {
        XrSpan option = folded_option(options, i);
        xr_buffer_clear(&plain);
        xr_buffer_clear(&folded);
        xr_plain_text(options->texts[i], &plain);
        if (!option.bytes || plain.length <= longest || !ends_text(text, plain.length)) continue;
        xr_fold_text(xr_span_cut(text, 0, plain.length), &folded);
        if (!xr_span_equal(option, xr_span(folded.data, folded.length))) continue;
        found = i;
        longest = plain.length;
    }
    xr_buffer_free(&plain);
    xr_buffer_free(&folded);
    return found;
}

// The option with whose text `text` begins: the longest one, or -1.
static int find_prefix(XrOptions *options, XrSpan text) {
    int found = -1;
    size_t longest = 0;
    make_ready(options);
    XrBuffer folded = {0};
    fold(options, text, &folded);
    for (int i = 0; i < options->count; i++) {
        XrSpan option = folded_option(options, i);
        if (!option.bytes || option.bytes > folded.length || option.bytes <= longest) continue;
        if (memcmp(option.data, folded.data, option.bytes) != 0) continue;
        if (!ends_text(xr_span(folded.data, folded.length), option.bytes)) continue;
        found = i;
        longest = option.bytes;
    }
    xr_buffer_free(&folded);
    return found >= 0 ? found : find_spelled_prefix(options, text);
}

// ---- reading ----

static size_t skip_separators(XrSpan text, size_t at, bool *either) {
    for (;;) {
        while (at < text.bytes && (xr_is_space(text.data[at]) || strchr(",;/&.", text.data[at])) &&
               text.data[at]) {
            *either |= text.data[at] == '/';
            at++;
        }
        if (xr_span_word_at(text, at, "and"))
            at += 3;
        else if (xr_span_word_at(text, at, "or"))
            at += 2, *either = true;
        else
            return at;
    }
}

// Whether only separators lie between `from` and the label at `at` that is to join a list, and the
// label itself stands for a letter, not for an article that begins a text.
static bool continues_list(XrSpan text, size_t at, int count, const XrLabel *first, XrLabel *out) {
    if (!xr_read_label(text, at, count, true, out) || out->bare) return false;
    if (out->lower && !first->lower) return false;
    return out->enclosed || first->end >= at || out->end >= text.bytes ||
           !xr_is_letter(text.data[out->end]);
}

// "A, C", "(A) and (C)", "A or B": every letter of a list that starts with `first`. Returns where
// the list ends.
static size_t read_list(XrSpan text, int count, const XrLabel *first, XrChoice *out) {
    size_t end = first->end;
    bool either = false;
    for (;;) {
        bool joined_either = either;
        size_t next = skip_separators(text, end, &joined_either);
        XrLabel label;
        size_t lead = xr_span_word_at(text, next, "option") ? xr_skip_lead(text, next) : next;
        if (next == end && !(first->enclosed && next < text.bytes && text.data[next] == '(')) break;
        if (!continues_list(text, lead, count, first, &label)) break;
        // "B. C" and "B: C" give C as the text of B unless nothing else follows
        either = joined_either;
        out->letters |= 1u << label.index;
        end = label.end;
    }
    if (either) out->status = XR_CHOICE_SEVERAL;
    return end;
}

// Whether the text up to its first sentence end offers another option's letter in brackets.
static bool offers_another(XrSpan rest, int count, int index) {
    for (size_t at = 0; at + 2 < rest.bytes; at++) {
        if (rest.data[at] == '.' && xr_is_space(rest.data[at + 1])) return false;
        if ((at == 0 || xr_is_space(rest.data[at - 1])) &&
            (xr_span_word_at(rest, at, "because") || xr_span_word_at(rest, at, "since") ||
             xr_span_word_at(rest, at, "not") || xr_span_word_at(rest, at, "rather")))
            return false;
        XrLabel label;
        if (rest.data[at] == '(' && xr_read_label(rest, at, count, false, &label) && !label.lower &&
            label.index != index)
            return true;
    }
    return false;
}

// Whether the words after a letter say that it is not the answer: "B is wrong".
static bool denies(XrSpan rest) {
    static const char *const words[] = {"wrong", "incorrect", "false",
                                        "not",   "never",     "impossible"};
    rest = xr_span_trim(rest);
    if (!xr_span_word_at(rest, 0, "is")) return false;
    for (size_t at = 2, spaces = 0; at < rest.bytes && spaces < 5; at++) {
        spaces += xr_is_space(rest.data[at]);
        if (xr_is_letter(rest.data[at - 1])) continue;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            if (xr_span_word_at(rest, at, words[i])) return true;
        }
    }
    return false;
}

static XrSpan skip_any(XrSpan text, const char *marks) {
    while (text.bytes && text.data[0] && (xr_is_space(text.data[0]) || strchr(marks, text.data[0])))
        text.data++, text.bytes--;
    return xr_span_trim(text);
}

// The option whose text follows the letter of option `index`, or begins what follows it; -1 for
// none. Where several options have that text, the letter's own one if it is among them. `*whole`:
// nothing more follows.
static int find_beside(XrOptions *options, XrSpan rest, int index, bool *whole) {
    bool several = false;
    int same = xr_options_find(options, rest, &several);
    *whole = same >= 0;
    if (!several) return same >= 0 ? same : find_prefix(options, rest);
    XrBuffer folded = {0};
    fold(options, rest, &folded);
    bool own = xr_span_equal(folded_option(options, index), xr_span(folded.data, folded.length));
    xr_buffer_free(&folded);
    return own ? index : same;
}

// Whether an option's own text, with which `rest` begins, goes on with "or" and another option.
static bool goes_on_with_another(XrOptions *options, XrSpan rest, int index) {
    xr_buffer_clear(&options->scratch);
    xr_plain_text(options->texts[index], &options->scratch);
    XrSpan more = xr_span_cut(rest, XR_MIN(options->scratch.length, rest.bytes), rest.bytes);
    if (offers_another(more, options->count, index)) return true;
    more = skip_any(more, ",;.");
    size_t word = xr_span_word_at(more, 0, "or") ? 2 : xr_span_word_at(more, 0, "and") ? 3 : 0;
    int other = word ? find_prefix(options, xr_span_cut(more, word, more.bytes)) : -1;
    return other >= 0 && other != index;
}

// What follows a single letter: nothing, the option's text, another option's text, other words.
// What parts the letter from the text is taken off with care, since a text may begin with a minus
// sign.
static void judge_rest(XrOptions *options, XrSpan rest, int index, XrChoice *out) {
    XrSpan bare = skip_any(rest, ".:,;-*");
    rest = skip_any(rest, ":*");
    out->rest = bare;
    if (!bare.bytes) return;
    if (options->count) {
        bool whole = false;
        int found = find_beside(options, rest, index, &whole);
        if (found < 0 && bare.bytes < rest.bytes) found = find_beside(options, bare, index, &whole);
        out->by_text = found == index;
        if (found >= 0 && found != index) out->status = XR_CHOICE_CONFLICT;
        if (found == index && whole) return;
    }
    if (!out->by_text && denies(bare)) *out = (XrChoice){.status = XR_CHOICE_NONE};
    bool another = out->by_text ? goes_on_with_another(options, rest, index)
                                : offers_another(bare, options->count, index);
    if (out->status == XR_CHOICE_READ && another) out->status = XR_CHOICE_SEVERAL;
}

// "ulnar nerve (B)", "the vagus, option B": a text before its letter.
static bool read_trailing(XrOptions *options, XrSpan text, XrChoice *out) {
    if (text.bytes < 4 || text.data[text.bytes - 1] != ')') return false;
    size_t open = text.bytes - 1;
    while (open > 0 && text.data[open] != '(') open--;
    XrLabel label;
    XrSpan before = xr_span_trim(xr_span_cut(text, 0, open));
    if (!open || !before.bytes || !xr_read_label(text, open, options->count, false, &label) ||
        label.lower || label.end != text.bytes || !options->count)
        return false;
    bool several = false;
    int found = xr_options_find(options, before, &several);
    if (found < 0) return false;
    bool agree = found == label.index || several;
    *out = (XrChoice){.status = agree ? XR_CHOICE_READ : XR_CHOICE_CONFLICT,
                      .letters = 1u << label.index,
                      .by_letter = true,
                      .by_text = true};
    return true;
}

static void read_text(XrOptions *options, XrSpan text, XrChoice *out) {
    bool several = false;
    int found = xr_options_find(options, text, &several);
    if (several) {
        out->status = XR_CHOICE_AMBIGUOUS;
    } else if (found >= 0) {
        *out = (XrChoice){.status = XR_CHOICE_READ, .letters = 1u << found, .by_text = true};
    }
}

// Whether `rest` holds another option's text, or a word that takes back what went before.
static bool takes_back(XrOptions *options, XrSpan rest, int index) {
    static const char *const words[] = {"but",  "or",      "however", "actually",
                                        "wait", "instead", "maybe"};
    XrBuffer folded = {0};
    fold(options, rest, &folded);
    XrSpan text = xr_span(folded.data, folded.length);
    bool found = false;
    for (size_t at = 0; at < text.bytes && !found; at++) {
        if (at > 0 && text.data[at - 1] != ' ') continue;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            found |= xr_span_word_at(text, at, words[i]);
        }
        for (int i = 0; i < options->count; i++) {
            XrSpan other = folded_option(options, i);
            XrSpan here = xr_span_cut(text, at, at + other.bytes);
            bool ends = at + other.bytes >= text.bytes || text.data[at + other.bytes] == ' ';
            found |= i != index && other.bytes && ends && xr_span_equal(here, other);
        }
    }
    xr_buffer_free(&folded);
    return found;
}

// The text of an option, then a comma or full stop, then an explanation: "No, it is round."
static void read_explained(XrOptions *options, XrSpan text, XrChoice *out) {
    int cuts = 0;
    for (size_t at = 1; at < text.bytes && cuts < MAX_CUTS; at++) {
        bool reason = text.data[at - 1] == ' ' &&
                      (xr_span_word_at(text, at, "because") || xr_span_word_at(text, at, "since"));
        if (!reason && !(text.data[at] && strchr(",.;:(\n", text.data[at]))) continue;
        cuts++;
        bool several = false;
        int found = xr_options_find(options, xr_span_cut(text, 0, at), &several);
        if (found < 0 || several) continue;
        if (takes_back(options, xr_span_cut(text, at, text.bytes), found)) continue;
        *out = (XrChoice){.status = XR_CHOICE_READ, .letters = 1u << found, .by_text = true};
    }
}

// An answer that begins with the letter of an option.
static void read_labelled(XrOptions *options, XrSpan text, const XrLabel *label, XrChoice *out) {
    XR_REQUIRE(label->index >= 0 && label->index < XR_MAX_OPTIONS, "label %d", label->index);
    *out = (XrChoice){.status = XR_CHOICE_READ, .letters = 1u << label->index, .by_letter = true};
    XrSpan after = xr_span_trim(xr_span_cut(text, label->end, text.bytes));
    bool several = false;
    int own = options->count && after.bytes ? xr_options_find(options, after, &several) : -1;
    if (own == label->index) { // the text may itself look like a list of letters
        out->by_text = true;
        out->rest = after;
        return;
    }
    if (own >= 0 && !several && after.bytes > 3) {
        out->status = XR_CHOICE_CONFLICT;
        return;
    }
    if (label->lower && !after.bytes && options->count) {
        int named = xr_options_find(options, text, &several);
        if (named >= 0 && named != label->index) out->status = XR_CHOICE_CONFLICT;
    }
    size_t end = read_list(text, options->count, label, out);
    if (out->status == XR_CHOICE_READ && !(out->letters & (out->letters - 1))) {
        judge_rest(options, xr_span_cut(text, end, text.bytes), label->index, out);
    }
}

void xr_choice_read(XrOptions *options, XrSpan answer, XrChoice *out) {
    *out = (XrChoice){.status = XR_CHOICE_NONE};
    xr_buffer_clear(&options->plain);
    xr_plain_text(answer, &options->plain);
    XrSpan text = xr_span_trim(xr_span(options->plain.data, options->plain.length));
    while (text.bytes && strchr(".,;:!", text.data[text.bytes - 1]) && text.data[text.bytes - 1])
        text.bytes--;
    XrSpan quoted = text;
    while (text.bytes > 2 && (text.data[0] == '\'' || text.data[0] == '"') &&
           text.data[text.bytes - 1] == text.data[0])
        text = xr_span_cut(text, 1, text.bytes - 1);
    if (!text.bytes) return;
    XrLabel label;
    size_t lead = xr_skip_lead(text, 0);
    bool labelled = xr_read_label(text, lead, options->count, true, &label);
    if (labelled && label.bare) { // "B No": a letter only if the option's own text follows
        bool several = false;
        XrSpan rest = xr_span_cut(text, label.end, text.bytes);
        labelled = options->count && xr_options_find(options, rest, &several) == label.index;
    }
    if (options->count && text.bytes > (labelled ? label.end : 0)) {
        read_text(options, quoted, out);
        if (out->status == XR_CHOICE_NONE) read_text(options, text, out);
        if (out->status != XR_CHOICE_NONE) return;
    }
    if (labelled) {
        read_labelled(options, text, &label, out);
    } else if (options->count && !read_trailing(options, text, out)) {
        read_text(options, xr_span_cut(text, lead, text.bytes), out);
        if (out->status == XR_CHOICE_NONE) read_explained(options, text, out);
    }
}
