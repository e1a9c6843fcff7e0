// MathVista's official rule. A language model takes the answer out of most responses; what a rule
// does there, and how what was taken is scored, is here.
#include "shared/base/memory.h"
#include "shared/eval/official.h"
#include "shared/eval/python_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- the edit distance of two texts, by characters ----

static size_t edit_distance(XrSpan a, XrSpan b) {
    size_t m, n;
    uint32_t *left = xr_py_characters(a, &m), *right = xr_py_characters(b, &n);
    size_t *row = xr_calloc(n + 1, sizeof *row);
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 0; i < m; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t changed = diagonal + (left[i] != right[j]);
            diagonal = row[j + 1];
            size_t shorter = XR_MIN(row[j], row[j + 1]) + 1;
            row[j + 1] = XR_MIN(changed, shorter);
        }
    }
    size_t distance = row[n];
    free(left);
    free(right);
    free(row);
    return distance;
}

// ---- scoring ----

// The option of the first "(x)", or of a lone capital letter; else the nearest by edit distance.
static int option_of(const XrItem *item, XrSpan extraction) {
    extraction = xr_py_strip(extraction);
    char letter = extraction.bytes == 1 ? extraction.data[0] : 0;
    bool bracketed = false;
    for (size_t at = 0; at + 2 < extraction.bytes && !bracketed; at++) {
        bracketed = extraction.data[at] == '(' && xr_is_letter(extraction.data[at + 1]) &&
                    extraction.data[at + 2] == ')';
        if (bracketed) letter = (char)(xr_lower(extraction.data[at + 1]) - 'a' + 'A');
    }
    if (letter >= 'A' && letter < 'A' + item->option_count) return letter - 'A';
    if (bracketed) extraction = xr_span(&letter, 1);
    int best = 0;
    size_t least = (size_t)-1;
    for (int i = 0; i < item->option_count; i++) {
        size_t distance = edit_distance(extraction, xr_span_of(item->options[i].text));
        if (distance >= least) continue;
        least = distance;
        best = i;
    }
    return best;
}

bool xr_mathvista_score(const XrItem *item, XrSpan extraction, XrBuffer *prediction) {
    XrBuffer text = {0};
    double value;
    bool number = xr_py_float(extraction, &value);
    xr_buffer_text(&text, "");
    if (item->option_count) {
        xr_buffer_text(&text, item->options[option_of(item, extraction)].text);
    } else if (strcmp(item->answer_type, "integer") == 0) {
        if (number && isfinite(value)) xr_buffer_format(&text, "%.0f", trunc(value) + 0.0);
    } else if (strcmp(item->answer_type, "float") == 0) {
        if (number && isfinite(value)) xr_py_round_text(value, item->precision, &text);
    } else {
        xr_buffer_append(&text, extraction.data, extraction.bytes);
    }
    bool right = strcmp(text.data, item->published_gold) == 0;
    if (prediction) {
        xr_buffer_clear(prediction);
        xr_buffer_append(prediction, text.data, text.length);
    }
    xr_buffer_free(&text);
    return right;
}

// ---- extraction without a language model ----

static bool is_option_text(const XrItem *item, XrSpan response) {
    for (int i = 0; i < item->option_count; i++) {
        if (xr_span_is(response, item->options[i].text)) return true;
    }
    return false;
}

static bool is_integer(XrSpan text) {
    text = xr_py_strip(text);
    size_t at = text.bytes && (text.data[0] == '-' || text.data[0] == '+');
    if (at == text.bytes) return false;
    for (; at < text.bytes; at++) {
        if (!xr_is_digit(text.data[at])) return false;
    }
    return true;
}

void xr_official_mathvista(const XrItem *item, XrSpan response, XrOfficialResult *out) {
    double value;
    bool read = !response.bytes || is_option_text(item, response) ||
                (strcmp(item->answer_type, "integer") == 0 && is_integer(response)) ||
                (strcmp(item->answer_type, "float") == 0 && xr_py_float(response, &value));
    if (!read) {
        out->status = XR_OFFICIAL_NEEDS_MODEL;
        return;
    }
    out->status = XR_OFFICIAL_READ;
    out->right = xr_mathvista_score(item, response, &out->extracted);
}
