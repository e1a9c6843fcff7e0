// Cuts cleaned text into tokens. Spacing, sizes, dollar signs and styles disappear here; letters
// become variables, names of functions or words.
#ifndef XR_VERIFY_MATH_LEXER_H
#define XR_VERIFY_MATH_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum XrTokenType {
    XR_T_END,
    XR_T_NUMBER,
    XR_T_SYMBOL,
    XR_T_WORD,     // id: XrWordClass, value with it
    XR_T_FUNCTION, // id: XrFunction
    XR_T_CONSTANT, // id: XrExprOp
    XR_T_RELATION, // id: XrRelation
    XR_T_BUILD,    // id: XrBuild
    XR_T_MARK,     // id: an ASCII character or XrMark
} XrTokenType;

enum {
    XR_TF_SPACE = 1,    // white space before it
    XR_TF_TEXT = 2,     // inside \text or outside dollars
    XR_TF_ROMAN = 4,    // inside \mathrm
    XR_TF_DIGITS = 8,   // a number of digits alone
    XR_TF_COMMAND = 16, // written with a backslash
};

typedef struct XrToken {
    uint8_t type, flags;
    uint16_t id;
    int16_t value;
    uint32_t start, length; // in the text
} XrToken;

// Other ways of reading a text that has several; tried when the usual one gives no equality.
enum {
    XR_READ_COMMA_LIST = 1,    // 1,000 is two numbers
    XR_READ_DECIMAL_COMMA = 2, // 0,5 is a half
    XR_READ_TIGHT = 4,         // 1/2x is 1/(2x)
    XR_READ_PRODUCT = 8,       // h(a+b) is a product
    XR_READ_NATURAL_LOG = 16,  // \log is ln
};

typedef struct XrTokens {
    const char *text;
    size_t bytes;
    XrToken *items; // count of them and an END
    int count, room;
    unsigned reading, ambiguous; // ambiguous: which other readings would differ
    bool over;                   // too many tokens
    uint32_t *braces;            // working memory of the lexer
    size_t brace_room;
} XrTokens;

enum { XR_TOKENS_MOST = 10000 };

// Replaces the tokens by those of the text, which must stay as long as they are used.
void xr_math_lex(XrTokens *tokens, const char *text, size_t bytes, unsigned reading);
void xr_math_tokens_free(XrTokens *tokens);

// The end of the number literal that starts at text[at], which is a digit or a point before one:
// thousands separators, decimals, repeating parts, an exponent. number_literal.c reads it.
// `depth` says inside how many brackets it stands (commas there separate members).
size_t xr_number_literal_end(XrTokens *tokens, size_t at, int depth, bool spaced_commas);

#endif
