// Expression trees: what the parser makes of an answer. Nodes live in an arena that is emptied for
// each comparison; a tree has at most XR_EXPR_NODES nodes and is at most XR_EXPR_DEPTH deep.
#ifndef XR_VERIFY_EXPR_H
#define XR_VERIFY_EXPR_H

#include "shared/base/buffer.h"

#include <flint/flint.h>
#include <flint/fmpq.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { XR_EXPR_NODES = 20000, XR_EXPR_DEPTH = 120, XR_EXPR_SYMBOLS = 200 };

typedef enum XrExprOp {
    XR_E_NUMBER, // value
    XR_E_SYMBOL, // id: index of its name
    XR_E_PI,
    XR_E_EULER, // 2.718…
    XR_E_I,
    XR_E_INFINITY,
    XR_E_ADD, // args: terms
    XR_E_MUL, // args: factors
    XR_E_NEG,
    XR_E_DIV,
    XR_E_POW,
    XR_E_ROOT,     // args: radicand, index
    XR_E_FUNCTION, // id: XrFunction
    XR_E_CALL,     // id: index of the name of an unknown function
    XR_E_SUM,      // args: symbol, first, last, term
    XR_E_PRODUCT,
    XR_E_INTEGRAL,
    XR_E_PLUS_MINUS, // args: a, b for a±b; b for ±b. flag XR_F_LOWER: ∓
    XR_E_PERCENT,
    XR_E_DEGREES,
    XR_E_QUANTITY, // args: value, scale to base units; name: the dimensions, or "?" and a noun
    XR_E_BASED, // a numeral with a base as subscript. value; args: its digits read as decimal, base
    XR_E_RATIO, // args: parts
    XR_E_MODULAR,  // args: residue, modulus
    XR_E_TUPLE,    // (a, b, …)
    XR_E_BRACKETS, // [a, b, …]
    XR_E_SET,      // {a, b, …}
    XR_E_LIST,     // a, b, … without brackets
    XR_E_INTERVAL, // args: ends. flags XR_F_LEFT_OPEN, XR_F_RIGHT_OPEN
    XR_E_MATRIX,   // args by rows; id: columns
    XR_E_UNION,
    XR_E_INTERSECTION,
    XR_E_DIFFERENCE, // of sets
    XR_E_BUILDER,    // args: what, condition
    XR_E_NAMED_SET,  // id: the letter N, Z, Q, R or C; flag XR_F_LEFT_OPEN: its positive part
    XR_E_EMPTY_SET,
    XR_E_RELATION, // args: sides; relations[count - 1]
    XR_E_OR,
    XR_E_AND,
    XR_E_FOR_ALL, // args: condition, statement
    XR_E_ELLIPSIS,
    XR_E_DATE, // value: yyyymmdd, yyyy 0 where no year is given
    XR_E_TIME, // value: seconds; flag XR_F_HALF_DAY where am or pm was said
    XR_E_TEXT, // name: words
} XrExprOp;

typedef enum XrFunction {
    XR_FN_SIN,
    XR_FN_COS,
    XR_FN_TAN,
    XR_FN_COT,
    XR_FN_SEC,
    XR_FN_CSC,
    XR_FN_ASIN,
    XR_FN_ACOS,
    XR_FN_ATAN,
    XR_FN_ACOT,
    XR_FN_ASEC,
    XR_FN_ACSC,
    XR_FN_SINH,
    XR_FN_COSH,
    XR_FN_TANH,
    XR_FN_COTH,
    XR_FN_SECH,
    XR_FN_CSCH,
    XR_FN_ASINH,
    XR_FN_ACOSH,
    XR_FN_ATANH,
    XR_FN_EXP,
    XR_FN_LN,
    XR_FN_LOG, // args: x, base
    XR_FN_ABS,
    XR_FN_SIGN,
    XR_FN_FLOOR,
    XR_FN_CEIL,
    XR_FN_FRACTION,
    XR_FN_GCD,
    XR_FN_LCM,
    XR_FN_MAX,
    XR_FN_MIN,
    XR_FN_MOD,
    XR_FN_FACTORIAL,
    XR_FN_DOUBLE_FACTORIAL,
    XR_FN_BINOMIAL,
    XR_FN_PERMUTATIONS,
    XR_FN_GAMMA,
    XR_FN_RE,
    XR_FN_IM,
    XR_FN_CONJUGATE,
    XR_FN_ARG,
    XR_FN_DET,
    XR_FN_DERIVATIVE, // args: of, how often; only as part of a name
    XR_FN_COUNT,
} XrFunction;

typedef enum XrRelation {
    XR_R_EQUAL,
    XR_R_NOT_EQUAL,
    XR_R_LESS,
    XR_R_LESS_EQUAL,
    XR_R_GREATER,
    XR_R_GREATER_EQUAL,
    XR_R_APPROX,
    XR_R_IN,
    XR_R_NOT_IN,
    XR_R_CONGRUENT,
    XR_R_SUBSET,
    XR_R_IMPLIES,
    XR_R_OTHER, // parallel, perpendicular, similar: id of the command in flags
} XrRelation;

enum { // flags of a node
    XR_F_LEFT_OPEN = 1,
    XR_F_RIGHT_OPEN = 2,
    XR_F_LOWER = 4,
    XR_F_HALF_DAY = 8,
    XR_F_GROUPED = 16,  // was inside brackets
    XR_F_LABELLED = 32, // its relation's first side is only a name for the last
    XR_F_APPROXIMATE = 64,
    XR_F_CURRENCY = 128,
    XR_F_CAPITAL = 128, // of a symbol: one capital letter
};

typedef struct XrExpr XrExpr;
struct XrExpr {
    uint8_t op, flags;
    uint16_t id;
    uint32_t count;
    XrExpr **args;
    uint8_t *relations;
    const char *name;
    fmpq *value;
    int32_t decimals; // of a number: digits after the point (times ten to the exponent), -1: exact
    int32_t significant; // digits from the first that is not 0
};

typedef struct XrExprBlock XrExprBlock;

// The arena, with the names of symbols.
typedef struct XrExprs {
    XrExprBlock *blocks, *current;
    size_t used;  // bytes of the current block
    size_t total; // bytes in all
    int nodes;
    bool full; // a cap was met: the trees are not to be used
    fmpq **values;
    int value_count, value_room;
    const char *symbols[XR_EXPR_SYMBOLS];
    int symbol_count;
} XrExprs;

void xr_exprs_reset(XrExprs *exprs);
void xr_exprs_free(XrExprs *exprs);
// Memory of the arena, uninitialised; never NULL.
void *xr_exprs_alloc(XrExprs *exprs, size_t bytes);
const char *xr_exprs_text(XrExprs *exprs, const char *bytes, size_t count);
// The index of a name, added when new.
int xr_exprs_symbol(XrExprs *exprs, const char *name, size_t bytes);

XrExpr *xr_expr_new(XrExprs *exprs, XrExprOp op, int count);
XrExpr *xr_expr_number(XrExprs *exprs, slong number);
// A number node whose value (0) the caller sets.
XrExpr *xr_expr_value(XrExprs *exprs);
XrExpr *xr_expr_symbol(XrExprs *exprs, const char *name, size_t bytes);
XrExpr *xr_expr_1(XrExprs *exprs, XrExprOp op, XrExpr *a);
XrExpr *xr_expr_2(XrExprs *exprs, XrExprOp op, XrExpr *a, XrExpr *b);
XrExpr *xr_expr_function(XrExprs *exprs, XrFunction function, XrExpr *a);
XrExpr *xr_expr_function_2(XrExprs *exprs, XrFunction function, XrExpr *a, XrExpr *b);
// Appends to a node (ADD, MUL, LIST, …), copying the array where it has to grow.
void xr_expr_push(XrExprs *exprs, XrExpr *node, XrExpr *arg);
XrExpr *xr_expr_copy(XrExprs *exprs, const XrExpr *node);

// Same structure, numbers by value.
bool xr_expr_same(const XrExpr *a, const XrExpr *b);
// A copy with every symbol `symbol` replaced.
XrExpr *xr_expr_substitute(XrExprs *exprs, XrExpr *node, int symbol, XrExpr *by);
bool xr_expr_has_op(const XrExpr *node, XrExprOp op);
bool xr_expr_has_function(const XrExpr *node, XrFunction function);
bool xr_expr_has_symbol(const XrExpr *node, int symbol);
// Sets used[i] for the free symbols (bound ones of sums excluded) and unknown functions.
void xr_expr_symbols(const XrExpr *node, bool used[XR_EXPR_SYMBOLS]);
bool xr_expr_has_symbols(const XrExpr *node);
// Whether it is a value that arithmetic applies to: no relation, set, tuple or text anywhere.
bool xr_expr_is_scalar(const XrExpr *node);
int xr_expr_size(const XrExpr *node);
// Appends the tree in one unambiguous notation, for explanations and keys.
void xr_expr_print(const XrExprs *exprs, const XrExpr *node, XrBuffer *out);

#endif
