#include "shared/verify/math.h"

#include "shared/base/memory.h"
#include "shared/verify/latex_clean.h"
#include "shared/verify/math_context.h"
#include "shared/verify/math_forms.h"
#include "shared/verify/math_text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 300000, WORK = 15000 };

XrMath *xr_math_create(void) {
    return xr_calloc(1, sizeof(XrMath));
}

void xr_math_free(XrMath *math) {
    if (!math) return;
    xr_number_calcium_free(math);
    xr_exprs_free(&math->exprs);
    xr_math_tokens_free(&math->tokens);
    xr_buffer_free(&math->gold);
    xr_buffer_free(&math->answer);
    free(math);
}

void xr_math_thread_end(void) {
    flint_cleanup();
}

const char *xr_math_kind_name(XrMathKind kind) {
    static const char *const names[] = {"none", "number",   "expression", "tuple",    "list",
                                        "set",  "interval", "matrix",     "equation", "inequality",
                                        "date", "time",     "text"};
    return names[kind];
}

void xr_math_explain(XrMath *math, const char *format, ...) {
    if (!math->explain || math->explain->length > 20000) return;
    char line[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    xr_buffer_text(math->explain, line);
    xr_buffer_byte(math->explain, '\n');
}

bool xr_math_late(XrMath *math) {
    if (math->work.over) return true;
    // The clock is dear: it is read after every 200 units of work or 32 questions.
    if (math->looked_at - math->work.left < 200 && ++math->looks % 32) return false;
    math->looked_at = math->work.left;
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    double spent = (double)(now.tv_sec - math->start.tv_sec) * 1e3 +
                   (double)(now.tv_nsec - math->start.tv_nsec) * 1e-6;
    if (spent > math->options.max_milliseconds) math->work.over = true;
    return math->work.over;
}

void xr_math_begin(XrMath *math, const XrMathOptions *options, XrBuffer *explain) {
    math->options = options ? *options : (XrMathOptions){0};
    if (math->options.max_milliseconds <= 0) math->options.max_milliseconds = 20;
    math->explain = explain;
    math->work = (XrWork){.left = WORK};
    math->looked_at = math->work.left;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &math->start);
    xr_exprs_reset(&math->exprs);
}

// Characters that never change what an answer says.
static bool is_padding(char c) {
    return c == ' ' || c == '$' || c == '\n' || c == '\t' || c == '\r';
}

// Steps over padding; says whether there was some between two digits, where it does count.
static bool skip_padding(const char *text, size_t bytes, size_t *at) {
    size_t from = *at;
    while (*at < bytes && is_padding(text[*at])) ++*at;
    return *at > from && from && *at < bytes && isdigit((unsigned char)text[from - 1]) &&
           isdigit((unsigned char)text[*at]);
}

static bool same_text(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    size_t i = 0, j = 0;
    for (;;) {
        bool apart = skip_padding(a, a_bytes, &i), other = skip_padding(b, b_bytes, &j);
        if (i == a_bytes || j == b_bytes) return i == a_bytes && j == b_bytes;
        if (apart != other || a[i++] != b[j++]) return false;
    }
}

// The digits of a whole number without leading zeros; 0 when the text is something else.
static size_t whole_number(const char *text, size_t bytes, const char **digits, bool *negative) {
    while (bytes && text[bytes - 1] == ' ') bytes--;
    while (bytes && *text == ' ') text++, bytes--;
    *negative = bytes && *text == '-';
    if (*negative) text++, bytes--;
    if (!bytes) return 0;
    for (size_t i = 0; i < bytes; i++)
        if (!isdigit((unsigned char)text[i])) return 0;
    while (bytes > 1 && *text == '0') text++, bytes--;
    *digits = text;
    return bytes;
}

// Whole numbers compare as texts, of any length. XR_UNDECIDED when they are not both that.
static XrTruth whole_numbers_same(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    const char *x, *y;
    bool minus, other;
    size_t m = whole_number(a, a_bytes, &x, &minus), n = whole_number(b, b_bytes, &y, &other);
    if (!m || !n) return XR_UNDECIDED;
    bool zero = m == 1 && *x == '0';
    return m == n && !memcmp(x, y, m) && (minus == other || zero) ? XR_TRUE : XR_FALSE;
}

static bool only_letters(const XrBuffer *text) {
    size_t count = 0;
    for (size_t i = 0; i < text->length; i++) {
        if (is_padding(text->data[i])) continue;
        if (!isalpha((unsigned char)text->data[i])) return false;
        count++;
    }
    return count >= 3;
}

// A gold that is no text is equal to a text only if that has the same characters.
static XrTruth words_same(XrMath *math, bool text) {
    XrExpr *gold = xr_math_words(&math->exprs, &math->tokens, math->gold.data, math->gold.length);
    XrExpr *answer =
        xr_math_words(&math->exprs, &math->tokens, math->answer.data, math->answer.length);
    if (!gold || !answer) return XR_FALSE;
    xr_math_explain(math, "as words: \"%.80s\" and \"%.80s\"", gold->name, answer->name);
    if (!text) return strcmp(gold->name, answer->name) ? XR_FALSE : XR_TRUE;
    return xr_words_same(gold->name, answer->name);
}

// ---- variables that may be named otherwise ----

static void used_symbols(XrMath *math, XrExpr *root, bool used[XR_EXPR_SYMBOLS]) {
    XrExpr *list = xr_flat_list(math, root);
    for (uint32_t i = 0; i < list->count; i++) {
        XrExpr *name;
        xr_expr_symbols(xr_strip_name(math, list->args[i], &name), used);
    }
}

static bool one_of(const char *name, const char *letters) {
    return name[0] && !name[1] && strchr(letters, name[0]);
}

typedef struct Renaming {
    int gold[3], answer[3];
    int count;
} Renaming;

// Pairs up the variables that only one side has. Only parameters may be renamed: variables of a
// clause, constants of integration, whole numbers in a family such as kπ, and the free variables of
// a solution that says what it solves for.
static bool find_renaming(XrMath *math, const XrParse *g, const XrParse *a, Renaming *out) {
    bool gold[XR_EXPR_SYMBOLS] = {false}, answer[XR_EXPR_SYMBOLS] = {false};
    used_symbols(math, g->root, gold);
    used_symbols(math, a->root, answer);
    int count[2] = {0, 0};
    for (int i = 0; i < XR_EXPR_SYMBOLS; i++) {
        if (gold[i] == answer[i]) continue;
        if (count[gold[i] ? 0 : 1] == 3) return false;
        (gold[i] ? out->gold : out->answer)[count[gold[i] ? 0 : 1]++] = i;
    }
    out->count = count[0];
    if (count[0] != count[1] || !count[0]) return false;
    bool solution = g->root->op == XR_E_RELATION && xr_is_name(g->root->args[0]) &&
                    g->root->args[0]->op != XR_E_SYMBOL;
    bool family = xr_expr_has_op(g->root, XR_E_PI) || xr_expr_has_op(g->root, XR_E_DEGREES);
    for (int i = 0; i < out->count && !solution; i++) {
        const char *x = math->exprs.symbols[out->gold[i]], *y = math->exprs.symbols[out->answer[i]];
        bool bound = g->bound[out->gold[i]] || a->bound[out->answer[i]];
        bool constants = out->count == 1 && one_of(x, "CcK") && one_of(y, "CcK");
        bool whole = family && one_of(x, "knmlt") && one_of(y, "knmlt");
        if (!bound && !constants && !whole) return false;
    }
    return true;
}

static XrTruth renamed_same(XrMath *math, const XrParse *g, const XrParse *a) {
    static const int orders[6][3] = {{0, 1, 2}, {1, 0, 2}, {0, 2, 1},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static const int order_counts[4] = {0, 1, 2, 6};
    Renaming r;
    if (!find_renaming(math, g, a, &r)) return XR_FALSE;
    for (int o = 0; o < order_counts[r.count]; o++) {
        if (r.count == 2 && orders[o][2] != 2) continue;
        XrExpr *answer = a->root;
        for (int i = 0; i < r.count; i++) {
            XrExpr *symbol = xr_expr_new(&math->exprs, XR_E_SYMBOL, 0);
            symbol->id = (uint16_t)r.gold[orders[o][i]];
            answer = xr_expr_substitute(&math->exprs, answer, r.answer[i], symbol);
        }
        xr_math_explain(math, "with parameters renamed");
        if (xr_math_same(math, g->root, answer) == XR_TRUE) return XR_TRUE;
    }
    return XR_FALSE;
}

// A family of angles may start elsewhere or run the other way: k becomes s ± k.
static XrTruth shifted_family_same(XrMath *math, const XrParse *g, const XrParse *a) {
    bool gold[XR_EXPR_SYMBOLS] = {false}, answer[XR_EXPR_SYMBOLS] = {false};
    used_symbols(math, g->root, gold);
    used_symbols(math, a->root, answer);
    int k = -1, n = -1;
    for (int i = 0; i < XR_EXPR_SYMBOLS; i++) {
        if (gold[i] && one_of(math->exprs.symbols[i], "knmlt")) k = k < 0 ? i : XR_EXPR_SYMBOLS;
        if (answer[i] && one_of(math->exprs.symbols[i], "knmlt")) n = n < 0 ? i : XR_EXPR_SYMBOLS;
    }
    bool angles = xr_expr_has_op(g->root, XR_E_PI) || xr_expr_has_op(g->root, XR_E_DEGREES);
    if (!angles || k < 0 || n < 0 || k == XR_EXPR_SYMBOLS || n == XR_EXPR_SYMBOLS) return XR_FALSE;
    XrExprs *e = &math->exprs;
    for (int s = -4; s <= 5; s++) {
        XrExpr *symbol = xr_expr_new(e, XR_E_SYMBOL, 0);
        symbol->id = (uint16_t)k;
        if (s & 1) symbol = xr_expr_1(e, XR_E_NEG, symbol);
        XrExpr *by = xr_expr_2(e, XR_E_ADD, symbol, xr_expr_number(e, s >> 1));
        if (xr_math_same(math, g->root, xr_expr_substitute(e, a->root, n, by)) == XR_TRUE)
            return XR_TRUE;
    }
    return XR_FALSE;
}

// ---- readings ----

static void explain_trees(XrMath *math, const XrParse *g, const XrParse *a) {
    if (!math->explain) return;
    XrBuffer text = {0};
    xr_expr_print(&math->exprs, g->root, &text);
    xr_math_explain(math, "gold: %.300s", text.data);
    xr_buffer_clear(&text);
    xr_expr_print(&math->exprs, a->root, &text);
    xr_math_explain(math, "answer: %.300s", text.data);
    xr_buffer_free(&text);
}

// What clauses behind the answers allow: a foreign one has to be the same on both sides.
static XrTruth with_clauses(XrMath *math, const XrParse *g, const XrParse *a, XrTruth truth) {
    if (truth != XR_TRUE) return truth;
    bool foreign = g->clause == XR_CLAUSE_FOREIGN || a->clause == XR_CLAUSE_FOREIGN;
    if (foreign && g->clause == a->clause) {
        const char *x = math->gold.data + g->clause_start, *y = math->answer.data + a->clause_start;
        if (same_text(x, strlen(x), y, strlen(y))) return truth;
    }
    bool condition = a->clause == XR_CLAUSE_CONDITIONS && g->clause < XR_CLAUSE_CONDITIONS;
    if (!foreign && !condition) return truth;
    xr_math_explain(math, "a condition that only one side states");
    return XR_UNDECIDED;
}

static XrTruth read_and_compare(XrMath *math, unsigned gold_reading, unsigned answer_reading,
                                XrParse *g, XrParse *a) {
    xr_math_parse(&math->exprs, &math->tokens, math->gold.data, math->gold.length, gold_reading, g);
    xr_math_parse(&math->exprs, &math->tokens, math->answer.data, math->answer.length,
                  answer_reading, a);
    if (g->status == XR_PARSE_OVER || a->status == XR_PARSE_OVER || g->status == XR_PARSE_EMPTY ||
        a->status == XR_PARSE_EMPTY)
        return XR_UNDECIDED;
    explain_trees(math, g, a);
    if (g->status == XR_PARSE_TEXT || a->status == XR_PARSE_TEXT)
        return words_same(math, g->status == XR_PARSE_TEXT);
    XrTruth truth = xr_math_same(math, g->root, a->root);
    if (truth != XR_TRUE && !xr_math_late(math) &&
        (renamed_same(math, g, a) == XR_TRUE || shifted_family_same(math, g, a) == XR_TRUE))
        truth = XR_TRUE;
    return with_clauses(math, g, a, truth);
}

// A gold such as "0,5" may have a decimal comma; "5,1" is two numbers.
static bool gold_may_have_decimal_comma(const XrMath *math) {
    const char *text = math->gold.data;
    while (is_padding(*text) || *text == '-') text++;
    return text[0] == '0' && text[1] == ',';
}

static XrTruth other_readings(XrMath *math, unsigned gold, unsigned answer) {
    XrParse g, a;
    if (!gold_may_have_decimal_comma(math)) gold &= ~(unsigned)XR_READ_DECIMAL_COMMA;
    for (unsigned bit = 1; bit <= XR_READ_NATURAL_LOG; bit *= 2) {
        unsigned choices[3][2] = {{gold & bit, answer & bit}, {gold & bit, 0}, {0, answer & bit}};
        bool both = (gold & bit) && (answer & bit);
        for (int i = both ? 0 : 1; i < 3; i++) {
            if ((!choices[i][0] && !choices[i][1]) || xr_math_late(math)) continue;
            xr_math_explain(math, "another reading (%u, %u)", choices[i][0], choices[i][1]);
            if (read_and_compare(math, choices[i][0], choices[i][1], &g, &a) == XR_TRUE)
                return XR_TRUE;
        }
    }
    return XR_FALSE;
}

static XrVerdict decide(XrMath *math) {
    XrParse g, a;
    XrTruth truth = read_and_compare(math, 0, 0, &g, &a);
    if (g.status == XR_PARSE_EMPTY) return XR_VERDICT_UNPARSED_GOLD;
    if (a.status == XR_PARSE_EMPTY) return XR_VERDICT_EMPTY;
    if (g.status == XR_PARSE_OVER || a.status == XR_PARSE_OVER) return XR_VERDICT_OVER_LIMIT;
    if (truth == XR_TRUE) return XR_VERDICT_EQUAL;
    if (other_readings(math, g.ambiguous, a.ambiguous) == XR_TRUE) return XR_VERDICT_EQUAL;
    if (math->work.over || math->exprs.full) return XR_VERDICT_OVER_LIMIT;
    if (truth == XR_UNDECIDED) return XR_VERDICT_UNKNOWN;
    if (a.status == XR_PARSE_TEXT && g.status != XR_PARSE_TEXT) return XR_VERDICT_UNPARSED;
    return XR_VERDICT_DIFFERENT;
}

XrVerdict xr_math_compare(XrMath *math, const char *gold, size_t gold_bytes, const char *answer,
                          size_t answer_bytes, const XrMathOptions *options, XrBuffer *explain) {
    xr_math_begin(math, options, explain);
    XrTruth quick = whole_numbers_same(gold, gold_bytes, answer, answer_bytes);
    if (quick != XR_UNDECIDED) {
        xr_math_explain(math, "whole numbers");
        return quick == XR_TRUE ? XR_VERDICT_EQUAL : XR_VERDICT_DIFFERENT;
    }
    if (gold_bytes > MOST_BYTES || answer_bytes > MOST_BYTES) return XR_VERDICT_OVER_LIMIT;
    bool gold_valid = xr_latex_clean(gold, gold_bytes, &math->gold);
    bool answer_valid = xr_latex_clean(answer, answer_bytes, &math->answer);
    xr_buffer_text(&math->gold, "");
    xr_buffer_text(&math->answer, "");
    if (same_text(math->gold.data, math->gold.length, "", 0)) return XR_VERDICT_UNPARSED_GOLD;
    if (same_text(math->answer.data, math->answer.length, "", 0)) return XR_VERDICT_EMPTY;
    bool same =
        same_text(math->gold.data, math->gold.length, math->answer.data, math->answer.length);
    if (same && gold_valid == answer_valid) {
        xr_math_explain(math, "the same text");
        return XR_VERDICT_EQUAL;
    }
    if (!gold_valid) return XR_VERDICT_UNPARSED_GOLD;
    if (!answer_valid) return XR_VERDICT_UNPARSED;
    if (only_letters(&math->gold) && only_letters(&math->answer))
        return words_same(math, true) == XR_TRUE ? XR_VERDICT_EQUAL : XR_VERDICT_DIFFERENT;
    return decide(math);
}
