// The LaTeX commands that answers use, and the names that stand for themselves in plain text.
#ifndef XR_VERIFY_LATEX_COMMANDS_H
#define XR_VERIFY_LATEX_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

// What a command is to the lexer; `id` then says which.
typedef enum XrCommandClass {
    XR_C_SKIP,           // spacing, sizes, styles
    XR_C_DELIMITER_SIZE, // \left and its kin: also takes away a dot that follows
    XR_C_SYMBOL,         // a letter of that name
    XR_C_FUNCTION,       // XrFunction
    XR_C_CONSTANT,       // XrExprOp
    XR_C_RELATION,       // XrRelation
    XR_C_MARK,           // XrMark
    XR_C_TEXT,           // \text and its kin: the argument is words
    XR_C_ROMAN,          // \mathrm, \operatorname: the argument is a name or a unit
    XR_C_TRANSPARENT,    // \boxed: its braces mean nothing
    XR_C_FONT,           // \mathbf and its kin: transparent
    XR_C_BUILD,          // XrBuild: takes arguments
    XR_C_DROP,           // takes an argument that means nothing: \phantom, \label
} XrCommandClass;

// Single marks. Characters of ASCII stand for themselves; these are the others.
typedef enum XrMark {
    XR_M_PLUS_MINUS = 128,
    XR_M_MINUS_PLUS,
    XR_M_CUP,
    XR_M_CAP,
    XR_M_SETMINUS,
    XR_M_LANGLE,
    XR_M_RANGLE,
    XR_M_LFLOOR,
    XR_M_RFLOOR,
    XR_M_LCEIL,
    XR_M_RCEIL,
    XR_M_LBRACE,
    XR_M_RBRACE,
    XR_M_LBAR,
    XR_M_RBAR,
    XR_M_MID,
    XR_M_ROW,
    XR_M_PERCENT,
    XR_M_DEGREE,
    XR_M_CURRENCY,
    XR_M_ELLIPSIS,
    XR_M_PRIME,
    XR_M_NORM,
    XR_M_AND,
    XR_M_OR,
    XR_M_WIDE_SPACE,
    XR_M_COMPOSE,
} XrMark;

typedef enum XrBuild {
    XR_B_FRACTION,
    XR_B_ROOT,
    XR_B_SURD,
    XR_B_CUBE_ROOT,
    XR_B_BINOMIAL,
    XR_B_SUM,
    XR_B_PRODUCT,
    XR_B_INTEGRAL,
    XR_B_LIMIT,
    XR_B_BEGIN,
    XR_B_END,
    XR_B_OVERLINE,
    XR_B_ACCENT,
    XR_B_PMOD,
    XR_B_BMOD,
    XR_B_DOUBLE_STRUCK,
    XR_B_FOR_ALL,
    XR_B_EXISTS,
    XR_B_NOT,
    XR_B_ANGLE,
    XR_B_TRIANGLE,
    XR_B_SUBSTACK,
    XR_B_STACK,
    XR_B_UNDER,
} XrBuild;

typedef struct XrCommand {
    const char *name;
    unsigned char class;
    unsigned short id;
    bool plain; // also means this without a backslash
} XrCommand;

// The command of that name (without backslash), or NULL.
const XrCommand *xr_latex_command(const char *name, size_t bytes);
// The command that the bare word means (sqrt, sin, pi, infinity, …), or NULL.
const XrCommand *xr_latex_plain_name(const char *name, size_t bytes);

#endif
