// What the parts of the parser share. Every parse function returns a node, never NULL; after a
// failure (`failed`) the nodes mean nothing.
#ifndef XR_VERIFY_MATH_PARSER_STATE_H
#define XR_VERIFY_MATH_PARSER_STATE_H

#include "shared/verify/latex_commands.h"
#include "shared/verify/math_parser.h"
#include "shared/verify/math_words.h"

typedef struct XrParser {
    XrExprs *exprs;
    XrTokens *tokens;
    XrParse *out;
    int at;        // index of the next token
    int depth;     // of recursion
    int bars;      // open |
    int integrals; // open integrals, which "dx" ends
    int brackets;  // open brackets of any kind
    bool builder;  // directly inside { }, where | and : part the condition off
    bool failed;
} XrParser;

static inline XrToken *xr_token(const XrParser *p, int ahead) {
    int at = p->at + ahead;
    return &p->tokens->items[at < p->tokens->count ? at : p->tokens->count];
}

static inline bool xr_is_mark(const XrToken *token, int mark) {
    return token->type == XR_T_MARK && token->id == mark;
}

static inline bool xr_at_mark(const XrParser *p, int mark) {
    return xr_is_mark(xr_token(p, 0), mark);
}

static inline bool xr_is_word(const XrToken *token, XrWordClass class) {
    return token->type == XR_T_WORD && token->id == class;
}

static inline bool xr_is_letter(const XrParser *p, const XrToken *token, char letter) {
    return token->length == 1 && p->tokens->text[token->start] == letter &&
           (token->type == XR_T_SYMBOL || token->type == XR_T_WORD);
}

static inline const char *xr_token_text(const XrParser *p, const XrToken *token) {
    return p->tokens->text + token->start;
}

// Whether "[" here closes an interval, as in ]1, 2[, rather than opening one.
static inline bool xr_closes_outward(const XrParser *p) {
    const XrToken *next = xr_token(p, 1);
    if (!xr_at_mark(p, '[') || !p->brackets) return false;
    bool mark = next->type == XR_T_MARK &&
                (next->id == XR_M_CUP || next->id == XR_M_CAP || next->id == ',' ||
                 next->id == ')' || next->id == '}' || next->id == XR_M_SETMINUS);
    return mark || next->type == XR_T_END || xr_is_word(next, XR_W_OR) ||
           xr_is_word(next, XR_W_AND);
}

// Marks the parse as failed and returns some node.
XrExpr *xr_parse_fail(XrParser *p);
// Steps over the mark or fails.
void xr_parse_expect(XrParser *p, int mark);
// Guards of recursion: false (and failure) where the tree would be too deep.
bool xr_parse_enter(XrParser *p);

// math_parser.c: sequences of statements up to a closing mark or the end, as an XR_E_LIST (or OR,
// AND, or the only member).
XrExpr *xr_parse_sequence(XrParser *p);
XrExpr *xr_parse_relation(XrParser *p);
// math_arithmetic.c
XrExpr *xr_parse_additive(XrParser *p);
XrExpr *xr_parse_product(XrParser *p);
XrExpr *xr_parse_power(XrParser *p);
bool xr_parse_starts_factor(const XrParser *p);
// math_primary.c
XrExpr *xr_parse_primary(XrParser *p);
// What stands in brackets that open at the next token, as the list of members.
XrExpr *xr_parse_members(XrParser *p, int *closing);
// An argument as TeX takes it: a group, or one token, of which a number gives its first digit when
// `one_digit`.
XrExpr *xr_parse_argument(XrParser *p, bool one_digit);
XrExpr *xr_parse_group(XrParser *p);
// math_symbols.c: names with subscripts, primes and arguments; C_n^k.
XrExpr *xr_parse_symbol(XrParser *p);
XrExpr *xr_parse_prescript(XrParser *p);
// math_builds.c: fractions, roots, sums, functions, matrices.
XrExpr *xr_parse_build(XrParser *p);
XrExpr *xr_parse_function(XrParser *p);
// math_phrases.c: words.
void xr_parse_skip_label(XrParser *p);
void xr_parse_clause(XrParser *p);
XrExpr *xr_parse_number_words(XrParser *p);
// Units, nouns and scale words behind a value.
XrExpr *xr_parse_unit(XrParser *p, XrExpr *value);
bool xr_parse_starts_unit(const XrParser *p, const XrExpr *value);
XrExpr *xr_parse_currency(XrParser *p, XrExpr *value, const XrToken *mark);
XrExpr *xr_parse_text(XrParser *p);
// math_dates.c: a whole text that is a date or a time of day, or NULL.
XrExpr *xr_parse_date_or_time(XrParser *p);

#endif
