// defines: xr_choice_begins_line, xr_choice_last_line, xr_choice_conclusion
#include "shared/verify/choice.h"

#include "shared/verify/choice_label.h"
#include "shared/verify/extract_phrase.h"
#include "shared/verify/text_answer.h"

enum { MAX_LINE = 400, MAX_SENTENCE = 1600, MOST_WORDS_OF_TEXT = 4 };

// The label that a line begins with, or -1.
static int line_label(XrSpan line) {
    if (!line.bytes || line.bytes > MAX_LINE) return -1;
    XrBuffer plain = {0};
    xr_plain_text(line, &plain);
    XrLabel label;
    XrSpan text = xr_span_trim(xr_span(plain.data, plain.length));
    if (text.bytes && text.data[0] == '-') text = xr_span_trim(xr_span_cut(text, 1, text.bytes));
    bool found = xr_read_label(text, 0, 0, false, &label) && !label.bare &&
                 (!label.lower || label.end >= text.bytes || label.enclosed);
    // "A, then B" and "I; therefore" are sentences
    if (found && !label.enclosed && label.end < text.bytes &&
        strchr(",;/&+", text.data[label.end]) && text.bytes > 12)
        found = false;
    xr_buffer_free(&plain);
    return found ? label.index : -1;
}

bool xr_choice_begins_line(XrSpan line) {
    return line_label(line) >= 0;
}

bool xr_choice_is_bare(XrSpan line) {
    XrBuffer plain = {0};
    xr_plain_text(line, &plain);
    XrLabel label;
    XrSpan text = xr_span_trim(xr_span(plain.data, plain.length));
    size_t lead = xr_skip_lead(text, 0);
    bool bare = true;
    if (lead && xr_read_label(text, lead, 0, true, &label) && label.end < text.bytes &&
        (!label.lower || label.enclosed)) {
        char before = text.data[label.end - 1];
        bare = before == '.' || before == ':';
    }
    xr_buffer_free(&plain);
    return bare;
}

// Whether a line other than `line` begins with the label of another option.
static bool labels_others(XrSpan text, XrSpan line, int label) {
    for (size_t at = 0; at < text.bytes;) {
        const char *newline = memchr(text.data + at, '\n', text.bytes - at);
        size_t end = newline ? (size_t)(newline - text.data) : text.bytes;
        XrSpan other = xr_span_trim(xr_span_cut(text, at, end));
        at = end + 1;
        if (!other.bytes || other.data == line.data || !strchr("(*[$-\\{ABCDEFGHIJ", other.data[0]))
            continue;
        int index = line_label(xr_span_cut(other, 0, MAX_LINE));
        if (index >= 0 && index != label) return true;
    }
    return false;
}

// Whether the line holds more than its label.
static bool has_more(XrSpan line) {
    return xr_strip_marks(line).bytes > 12;
}

bool xr_choice_last_line(XrSpan text, XrSpan *out) {
    XrSpan line = xr_last_line(text);
    int label = line_label(line);
    if (label < 0) return false;
    XrSpan before = xr_last_line(xr_span_cut(text, 0, (size_t)(line.data - text.data)));
    if (label > 0 && line_label(before) == label - 1) return false; // the options, restated
    if (has_more(line) && labels_others(text, line, label)) return false;
    *out = line;
    return true;
}

bool xr_choice_first_line(XrSpan text, XrSpan *out) {
    text = xr_span_trim(text);
    const char *newline = text.bytes ? memchr(text.data, '\n', text.bytes) : NULL;
    if (!newline) return false;
    XrSpan line = xr_span_trim(xr_span_cut(text, 0, (size_t)(newline - text.data)));
    int label = line_label(line);
    if (label < 0 || labels_others(text, line, label)) return false;
    *out = line;
    return true;
}

// Whether the sentence rejects or weighs options rather than settling on one.
static bool rejects(XrSpan sentence) {
    static const char *const words[] = {"not",        "n't",    "incorrect", "wrong",   "eliminate",
                                        "eliminates", "rules",  "ruled",     "except",  "neither",
                                        "nor",        "or",     "either",    "cannot",  "false",
                                        "if",         "unlike", "maybe",     "perhaps", "excluded"};
    for (size_t at = 0; at < sentence.bytes; at++) {
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            bool apostrophe = words[i][1] == '\'';
            if (!apostrophe && at > 0 && xr_is_letter(sentence.data[at - 1])) break;
            if (xr_span_word_at(sentence, at, words[i])) return true;
        }
        if (xr_span_has_at(sentence, at, "n't") || xr_span_has_at(sentence, at, "n\u2019t"))
            return true;
    }
    return false;
}

// "but the closest is (B)", "not among the options, but …": what follows the last "but".
static XrSpan after_but(XrSpan sentence) {
    size_t at = xr_span_find_last(sentence, " but ", sentence.bytes);
    if (at == XR_NOT_FOUND) return sentence;
    return xr_span_cut(sentence, at + 5, sentence.bytes);
}

// Whether a verb that states, and is not denied, stands right before `begin`: "… is (B)".
static bool is_stated(XrSpan sentence, size_t begin) {
    static const char *const verbs[] = {
        " is ", " are ", " be ", " is: ", " be: ", " pick ", " choose ", " select ", " go with "};
    size_t verb = XR_NOT_FOUND;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        size_t length = strlen(verbs[i]);
        if (begin >= length && xr_span_has_at(sentence, begin - length, verbs[i]))
            verb = begin - length;
    }
    if (verb == XR_NOT_FOUND) return false;
    XrSpan before = xr_span_cut(sentence, verb > 12 ? verb - 12 : 0, verb);
    return xr_span_find(before, "not", 0) == XR_NOT_FOUND &&
           xr_span_find(before, "n't", 0) == XR_NOT_FOUND &&
           xr_span_find(before, "never", 0) == XR_NOT_FOUND;
}

// Whether the letter from `begin` to `end` closes the sentence, or the sentence calls it correct.
static bool settles(XrSpan sentence, size_t begin, size_t end) {
    while (end < sentence.bytes && sentence.data[end] == '*') end++;
    XrSpan rest = xr_strip_marks(xr_span_cut(sentence, end, sentence.bytes));
    if (!rest.bytes || (rest.bytes == 1 && strchr(")!*$", rest.data[0]))) {
        // cut off in the middle, or ended: only an ended sentence settles anything
        bool ended = strchr(".!)*$", sentence.data[sentence.bytes - 1]) != NULL;
        if (!ended) return false;
        // "Vagus nerve (B)" is no sentence that settles on a letter, but a text with its letter
        bool named = begin < sentence.bytes && sentence.data[begin] != '(';
        bool told = named || xr_count_words(xr_span_cut(sentence, 0, begin)) > MOST_WORDS_OF_TEXT;
        return is_stated(sentence, begin) || (told && !rejects(sentence));
    }
    static const char *const claims[] = {
        "is correct",  "is the correct", "is the right", "is the answer",   "is the best",
        "is the most", "is the closest", "is right",     "must be correct", "is most likely",
        "seems",       "appears",        "fits"};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        if (xr_span_word_at(rest, 0, claims[i])) return !rejects(sentence);
    }
    return false;
}

// A letter without brackets that a verb states and the sentence ends with: "must be B."
static bool ends_in_letter(XrSpan sentence, XrSpan *out) {
    XrSpan stripped = xr_strip_marks(sentence);
    if (stripped.bytes < 4 || stripped.bytes == sentence.bytes) return false;
    size_t at = stripped.bytes - 1;
    while (at > 0 && strchr("*$", stripped.data[at])) at--;
    size_t begin = at;
    while (begin > 0 && strchr("*$", stripped.data[begin - 1])) begin--;
    if (!xr_is_upper(stripped.data[at]) || !is_stated(stripped, begin)) return false;
    *out = xr_span_cut(stripped, at, at + 1);
    return true;
}

bool xr_choice_conclusion(XrSpan text, XrSpan *out) {
    XrSpan sentence = after_but(xr_last_sentence(xr_last_line(text)));
    if (!sentence.bytes || sentence.bytes > MAX_SENTENCE) return false;
    int found = -1;
    size_t begin = 0, end = 0;
    for (size_t at = 0; at < sentence.bytes; at++) {
        XrLabel label;
        bool named =
            (at == 0 || !xr_is_letter(sentence.data[at - 1])) &&
            (xr_span_word_at(sentence, at, "option") || xr_span_word_at(sentence, at, "choice"));
        size_t letter = named ? at + 6 : at;
        bool first = at == 0 && xr_is_upper(sentence.data[0]);
        if (!named && !first && sentence.data[at] != '(') continue;
        while (letter < sentence.bytes &&
               (sentence.data[letter] == '*' || sentence.data[letter] == ' '))
            letter++;
        if (!xr_read_label(sentence, letter, 0, true, &label) || label.lower || label.bare)
            continue;
        if (found >= 0 && found != label.index) return false;
        found = label.index;
        begin = named ? at : letter;
        end = label.end;
        at = end - 1;
    }
    if (found < 0) return ends_in_letter(sentence, out);
    if (!settles(sentence, begin, end)) return false;
    *out = xr_strip_marks(xr_span_cut(sentence, begin, end));
    return true;
}
