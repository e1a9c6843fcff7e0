#include "shared/verify/math_text.h"

#include "shared/base/memory.h"
#include "shared/verify/math_words.h"

#include <string.h>

enum { WORDS = 64 };

typedef struct Words {
    const char *start[WORDS];
    size_t length[WORDS];
    int count;
    bool stop; // a word that turns the meaning
    bool full;
} Words;

// Words that answer a question by themselves, in groups that exclude each other.
static const char *const groups[][4] = {
    {"odd", "even"},
    {"yes", "no"},
    {"true", "false"},
    {"possible", "impossible"},
    {"increasing", "decreasing"},
    {"convergent", "divergent"},
    {"converges", "diverges"},
    {"rational", "irrational"},
    {"prime", "composite"},
    {"acute", "obtuse", "right"},
    {"positive", "negative", "zero"},
    {"finite", "infinite"},
    {"always", "sometimes", "never"},
    {"dependent", "independent"},
};

static bool is(const Words *w, int i, const char *word) {
    return strlen(word) == w->length[i] && !memcmp(w->start[i], word, w->length[i]);
}

static void split(const char *text, Words *out) {
    *out = (Words){0};
    while (*text) {
        size_t length = strcspn(text, " ");
        const XrWord *word = length ? xr_math_word(text, length) : NULL;
        // Signs count: only punctuation does not.
        bool punctuation = length == 1 && strchr(",.;:!?'\"()[]{}", *text);
        bool skip = !length || punctuation || (word && word->class == XR_W_FILLER);
        if (length == 1 && *text == 'a') skip = true;
        if (word && word->class == XR_W_STOP) out->stop = true;
        if (!skip && out->count == WORDS) {
            out->full = true;
            return;
        }
        if (!skip) {
            out->start[out->count] = text;
            out->length[out->count++] = length;
        }
        text += length;
        while (*text == ' ') text++;
    }
}

static bool same_words(const Words *a, const Words *b) {
    if (a->count != b->count || !a->count || a->full || b->full) return false;
    for (int i = 0; i < a->count; i++)
        if (a->length[i] != b->length[i] || memcmp(a->start[i], b->start[i], a->length[i]) != 0)
            return false;
    return true;
}

// A gold sentence with one word of a group in it, against that word with two others at most.
static XrTruth by_group(const Words *gold, const Words *answer) {
    if (answer->count > 3 || gold->full || gold->stop || answer->stop) return XR_UNDECIDED;
    for (size_t g = 0; g < XR_COUNT(groups); g++) {
        int said = -1, found = -1, several = 0, sayings = 0;
        for (int k = 0; k < 4 && groups[g][k]; k++) {
            for (int i = 0; i < answer->count; i++)
                if (is(answer, i, groups[g][k])) {
                    said = k;
                    sayings++;
                }
            bool here = false;
            for (int i = 0; i < gold->count; i++) here |= is(gold, i, groups[g][k]);
            if (here) {
                found = k;
                several++;
            }
        }
        if (sayings == 1 && several == 1) return said == found ? XR_TRUE : XR_FALSE;
    }
    return XR_UNDECIDED;
}

// "No, it is not possible" against "no".
static XrTruth by_first_word(const Words *gold, const Words *answer) {
    if (answer->count != 1 || gold->count < 2) return XR_UNDECIDED;
    for (int k = 0; k < 2; k++)
        if (is(gold, 0, k ? "yes" : "no"))
            return is(answer, 0, k ? "yes" : "no") ? XR_TRUE : XR_FALSE;
    return XR_UNDECIDED;
}

// "Petya will receive …" against "Petya": who the gold says it of, where the sentence goes on with
// a verb of one of these.
static XrTruth by_subject(const char *gold_text, const Words *gold, const Words *answer) {
    static const char *const verbs[] = {"will", "wins", "can",  "has", "is",
                                        "won",  "was",  "gets", "must"};
    if (answer->count != 1 || gold->count < 2 || gold->stop || answer->length[0] < 3)
        return XR_UNDECIDED;
    if (gold->start[0] != gold_text || xr_math_word(gold->start[0], gold->length[0]))
        return XR_UNDECIDED;
    const char *next = gold->start[0] + gold->length[0] + 1;
    size_t length = strcspn(next, " ");
    for (size_t i = 0; i < XR_COUNT(verbs); i++)
        if (strlen(verbs[i]) == length && !memcmp(next, verbs[i], length)) {
            bool same = gold->length[0] == answer->length[0] &&
                        !memcmp(gold->start[0], answer->start[0], gold->length[0]);
            return same ? XR_TRUE : XR_FALSE;
        }
    return XR_UNDECIDED;
}

XrTruth xr_words_same(const char *gold, const char *answer) {
    if (!strcmp(gold, "dne")) gold = "does not exist";
    if (!strcmp(answer, "dne")) answer = "does not exist";
    if (!strcmp(gold, answer)) return XR_TRUE;
    Words g, a;
    split(gold, &g);
    split(answer, &a);
    if (g.stop == a.stop && same_words(&g, &a)) return XR_TRUE;
    XrTruth truth = by_first_word(&g, &a);
    if (truth == XR_UNDECIDED) truth = by_group(&g, &a);
    if (truth == XR_UNDECIDED) truth = by_subject(gold, &g, &a);
    return truth == XR_UNDECIDED ? XR_FALSE : truth;
}
