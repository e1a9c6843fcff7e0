// From tokens to an expression tree: a recursive-descent parser of what answers are written in,
// LaTeX and plain text mixed.
#ifndef XR_VERIFY_MATH_PARSER_H
#define XR_VERIFY_MATH_PARSER_H

#include "shared/verify/expr.h"
#include "shared/verify/math_lexer.h"

typedef enum XrParseStatus {
    XR_PARSE_OK,
    XR_PARSE_EMPTY,
    XR_PARSE_TEXT,
    XR_PARSE_OVER
} XrParseStatus;

// What the words behind an answer ("where k is an integer") say.
typedef enum XrClause {
    XR_CLAUSE_NONE,
    XR_CLAUSE_KINDS,      // only of what kind its variables are
    XR_CLAUSE_CONDITIONS, // inequalities
    XR_CLAUSE_FOREIGN,    // something else
} XrClause;

typedef struct XrParse {
    XrExpr *root;
    XrParseStatus status;
    unsigned ambiguous;          // XR_READ_… that would give another tree
    bool bound[XR_EXPR_SYMBOLS]; // variables that a clause speaks of
    XrClause clause;
    size_t clause_start; // in the text
} XrParse;

// Parses the text (cleaned, kept by the caller while the tokens are in use). A text that is no
// formula gives XR_PARSE_TEXT with a root of XR_E_TEXT: its words in lower case.
void xr_math_parse(XrExprs *exprs, XrTokens *tokens, const char *text, size_t bytes,
                   unsigned reading, XrParse *out);

// The words of any text, as XR_PARSE_TEXT gives them; NULL when there are none.
XrExpr *xr_math_words(XrExprs *exprs, XrTokens *tokens, const char *text, size_t bytes);

#endif
