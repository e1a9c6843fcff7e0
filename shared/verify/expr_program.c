#include "shared/verify/expr_program.h"

#include "shared/base/rng.h"

#include <flint/ulong_extras.h>
#include <math.h>

enum { POINTS = 8 };

typedef struct Compiler {
    XrProgram *p;
    XrWork *work;
    int bits, height;
    bool failed;
} Compiler;

static void emit(Compiler *c, XrVerifyOp op, int32_t argument) {
    bool pushes = op == XR_V_CONSTANT || op == XR_V_VARIABLE;
    bool joins = op == XR_V_RAISE || (op >= XR_V_ADD && op <= XR_V_DIVIDE);
    c->height += pushes ? 1 : joins ? -1 : 0;
    if (c->height > XR_VERIFY_STACK || c->p->count == XR_PROGRAM_STEPS ||
        (c->bits && op > XR_V_POWER))
        c->failed = true;
    else
        c->p->steps[c->p->count++] = (XrVerifyStep){.op = (int32_t)op, .argument = argument};
}

static void emit_constant(Compiler *c, double value, uint64_t residue) {
    if (c->p->constant_count == XR_PROGRAM_CONSTANTS || !isfinite(value)) {
        c->failed = true;
        return;
    }
    c->p->constants[c->p->constant_count] = value;
    c->p->residues[c->p->constant_count] = residue;
    emit(c, XR_V_CONSTANT, c->p->constant_count++);
}

static double nearest_double(const fmpq_t value) {
    arb_t x;
    arb_init(x);
    arb_set_fmpq(x, value, 120);
    double out = arf_get_d(arb_midref(x), ARF_RND_NEAR);
    arb_clear(x);
    return out;
}

static void emit_number(Compiler *c, const fmpq_t value) {
    if (!c->bits) {
        double d = nearest_double(value);
        if (d == 0 && !fmpq_is_zero(value)) c->failed = true;
        emit_constant(c, d, 0);
        return;
    }
    ulong p = (UINT64_C(1) << c->bits) - 1;
    ulong top = fmpz_fdiv_ui(fmpq_numref(value), p), bottom = fmpz_fdiv_ui(fmpq_denref(value), p);
    if (!bottom)
        c->failed = true;
    else
        emit_constant(c, 0, n_mulmod2(top, n_invmod(bottom, p), p));
}

static void compile(Compiler *c, const XrExpr *node);

static void compile_terms(Compiler *c, const XrExpr *node) {
    compile(c, node->args[0]);
    for (uint32_t i = 1; i < node->count && !c->failed; i++) {
        const XrExpr *arg = node->args[i];
        bool minus = node->op == XR_E_ADD && arg->op == XR_E_NEG;
        compile(c, minus ? arg->args[0] : arg);
        emit(c, node->op == XR_E_MUL ? XR_V_MULTIPLY : minus ? XR_V_SUBTRACT : XR_V_ADD, 0);
    }
}

static void compile_power(Compiler *c, const XrExpr *node) {
    const XrExpr *base = node->args[0], *exponent = node->args[1];
    fmpq_t value;
    fmpq_init(value);
    bool known = xr_number_exact(exponent, NULL, value, c->work) == XR_EXACT_YES;
    bool usable =
        known && fmpz_bits(fmpq_numref(value)) <= 20 && fmpz_bits(fmpq_denref(value)) <= 8;
    int32_t top = usable ? (int32_t)fmpz_get_si(fmpq_numref(value)) : 0;
    int32_t bottom = usable ? (int32_t)fmpz_get_si(fmpq_denref(value)) : 0;
    fmpq_clear(value);
    if (node->op == XR_E_ROOT) {
        if (!usable || bottom != 1 || top < 2 || top > 500) c->failed = true;
        compile(c, base);
        emit(c, XR_V_ROOT, top);
        return;
    }
    if (base->op == XR_E_EULER) {
        compile(c, exponent);
        emit(c, XR_V_EXP, 0);
        return;
    }
    compile(c, base);
    if (usable) {
        if (bottom > 1) emit(c, XR_V_ROOT, bottom);
        if (top != 1 || bottom == 1) emit(c, XR_V_POWER, top);
        return;
    }
    if (known && c->bits) c->failed = true;
    compile(c, exponent);
    emit(c, XR_V_RAISE, 0);
}

// 1 over what is on top of the stack.
static void emit_reciprocal(Compiler *c) {
    emit(c, XR_V_POWER, -1);
}

// (e^x ± e^-x)/2 of the argument.
static void compile_hyperbolic(Compiler *c, const XrExpr *x, bool minus) {
    compile(c, x);
    emit(c, XR_V_EXP, 0);
    compile(c, x);
    emit(c, XR_V_NEGATE, 0);
    emit(c, XR_V_EXP, 0);
    emit(c, minus ? XR_V_SUBTRACT : XR_V_ADD, 0);
    emit_constant(c, 0.5, 0);
    emit(c, XR_V_MULTIPLY, 0);
}

static void compile_trigonometric(Compiler *c, const XrExpr *x, XrFunction f) {
    bool quotient = f == XR_FN_TAN || f == XR_FN_COT;
    compile(c, x);
    emit(c, f == XR_FN_SIN || f == XR_FN_CSC || f == XR_FN_TAN ? XR_V_SIN : XR_V_COS, 0);
    if (f == XR_FN_CSC || f == XR_FN_SEC) emit_reciprocal(c);
    if (!quotient) return;
    compile(c, x);
    emit(c, f == XR_FN_TAN ? XR_V_COS : XR_V_SIN, 0);
    emit(c, XR_V_DIVIDE, 0);
}

static void compile_function(Compiler *c, const XrExpr *node) {
    XrFunction f = (XrFunction)node->id;
    if (node->count == 0 || (node->count != 1 && f != XR_FN_LOG)) {
        c->failed = true;
        return;
    }
    const XrExpr *x = node->args[0];
    if (f <= XR_FN_CSC) {
        compile_trigonometric(c, x, f);
        return;
    }
    if (f == XR_FN_SINH || f == XR_FN_COSH) {
        compile_hyperbolic(c, x, f == XR_FN_SINH);
        return;
    }
    if (f == XR_FN_ACOS) emit_constant(c, M_PI_2, 0);
    compile(c, x);
    switch (f) {
    case XR_FN_EXP:
        emit(c, XR_V_EXP, 0);
        break;
    case XR_FN_LN:
        emit(c, XR_V_LN, 0);
        break;
    case XR_FN_ABS:
        emit(c, XR_V_ABS, 0);
        break;
    case XR_FN_ATAN:
        emit(c, XR_V_ATAN, 0);
        break;
    case XR_FN_ASIN:
        emit(c, XR_V_ASIN, 0);
        break;
    case XR_FN_ACOS:
        emit(c, XR_V_ASIN, 0);
        emit(c, XR_V_SUBTRACT, 0);
        break;
    case XR_FN_LOG:
        emit(c, XR_V_LN, 0);
        compile(c, node->args[1]);
        emit(c, XR_V_LN, 0);
        emit(c, XR_V_DIVIDE, 0);
        break;
    default:
        c->failed = true;
    }
}

static void compile_scaled(Compiler *c, const XrExpr *node, double by, ulong divisor) {
    compile(c, node->args[0]);
    fmpq_t value;
    fmpq_init(value);
    fmpq_set_si(value, 1, divisor);
    if (c->bits)
        emit_number(c, value);
    else
        emit_constant(c, by, 0);
    emit(c, XR_V_MULTIPLY, 0);
    fmpq_clear(value);
}

static void compile_exact(Compiler *c, const XrExpr *node) {
    fmpq_t value;
    fmpq_init(value);
    if (!xr_expr_has_symbols(node) && xr_number_exact(node, NULL, value, c->work) == XR_EXACT_YES)
        emit_number(c, value);
    else
        c->failed = true;
    fmpq_clear(value);
}

static void compile(Compiler *c, const XrExpr *node) {
    if (c->failed || !xr_work(c->work, 1)) {
        c->failed = true;
        return;
    }
    switch (node->op) {
    case XR_E_NUMBER:
    case XR_E_BASED:
        emit_number(c, node->value);
        break;
    case XR_E_SYMBOL:
        emit(c, XR_V_VARIABLE, c->p->variable[node->id]);
        break;
    case XR_E_PI:
    case XR_E_EULER:
        if (c->bits) c->failed = true;
        emit_constant(c, node->op == XR_E_PI ? M_PI : M_E, 0);
        break;
    case XR_E_ADD:
    case XR_E_MUL:
        compile_terms(c, node);
        break;
    case XR_E_NEG:
        compile(c, node->args[0]);
        emit(c, XR_V_NEGATE, 0);
        break;
    case XR_E_RATIO:
    case XR_E_DIV:
        if (node->count != 2) c->failed = true;
        compile(c, node->args[0]);
        if (!c->failed) compile(c, node->args[1]);
        emit(c, XR_V_DIVIDE, 0);
        break;
    case XR_E_POW:
    case XR_E_ROOT:
        compile_power(c, node);
        break;
    case XR_E_PERCENT:
        compile_scaled(c, node, 0.01, 100);
        break;
    case XR_E_DEGREES:
        if (c->bits) c->failed = true;
        compile_scaled(c, node, M_PI / 180, 180);
        break;
    case XR_E_FUNCTION:
        if (c->bits || node->id == XR_FN_FACTORIAL || node->id >= XR_FN_GCD)
            compile_exact(c, node);
        else
            compile_function(c, node);
        break;
    default:
        compile_exact(c, node);
    }
}

bool xr_program_compile(XrProgram *program, const XrExpr *a, const XrExpr *b, int bits,
                        XrWork *work) {
    bool used[XR_EXPR_SYMBOLS] = {false};
    xr_expr_symbols(a, used);
    xr_expr_symbols(b, used);
    program->count = program->constant_count = program->variables = 0;
    for (int i = 0; i < XR_EXPR_SYMBOLS; i++)
        program->variable[i] = used[i] ? program->variables++ : -1;
    Compiler c = {.p = program, .work = work, .bits = bits};
    program->begins[0] = 0;
    compile(&c, a);
    program->begins[1] = program->count;
    c.height = 0;
    compile(&c, b);
    program->begins[2] = program->count;
    return !c.failed;
}

static XrVerifyBatch batch_of(const XrProgram *p, int points) {
    return (XrVerifyBatch){.steps = p->steps,
                           .begins = p->begins,
                           .programs = 2,
                           .variables = p->variables,
                           .points = points,
                           .constants = p->constants,
                           .residues = p->residues};
}

static XrTruth in_field(XrMath *math, XrProgram *p, const XrExpr *a, const XrExpr *b, int bits) {
    if (!xr_program_compile(p, a, b, bits, &math->work)) return XR_UNDECIDED;
    uint64_t *at =
        xr_exprs_alloc(&math->exprs, sizeof(uint64_t) * (size_t)(POINTS * (p->variables + 1)));
    uint64_t value[2 * POINTS], prime = (UINT64_C(1) << bits) - 1;
    for (int i = 0; i < POINTS * p->variables; i++) {
        uint32_t random[4];
        xr_philox(math->options.seed, (uint64_t)bits, (uint64_t)i, random);
        at[i] = ((uint64_t)random[0] << 32 | random[1]) % prime;
    }
    XrVerifyBatch batch = batch_of(p, POINTS);
    xr_verify_modular(&batch, bits, at, value);
    int defined = 0;
    for (int i = 0; i < POINTS; i++) {
        if (value[i] == XR_VERIFY_UNDEFINED || value[POINTS + i] == XR_VERIFY_UNDEFINED) continue;
        if (value[i] != value[POINTS + i]) return XR_FALSE;
        defined++;
    }
    return defined >= POINTS / 2 ? XR_TRUE : XR_UNDECIDED;
}

XrTruth xr_points_modular(XrMath *math, const XrExpr *a, const XrExpr *b) {
    XrProgram *p = xr_exprs_alloc(&math->exprs, sizeof *p);
    XrTruth large = in_field(math, p, a, b, 61);
    if (large != XR_TRUE) return large;
    XrTruth small = in_field(math, p, a, b, 31);
    return small == XR_FALSE ? XR_FALSE : XR_TRUE;
}

double xr_point_value(uint64_t seed, int symbol, int trial, bool whole) {
    uint32_t random[4];
    xr_philox(seed, (uint64_t)symbol, (uint64_t)trial, random);
    if (whole) return 1 + (double)(random[0] % (trial < 8 ? 7 : 30));
    // Below 4, negative, below 1, negative below 4, below 8, below 1, of either sign, below 2.
    static const double scales[8] = {0x1p-28, -0x1p-29, 0x1p-30, -0x1p-28,
                                     0x1p-27, 0x1p-30,  0x1p-29, 0x1p-29};
    double value = (double)((random[0] >> 2) | 1) * scales[trial % 8];
    return trial % 8 == 6 && (random[1] & 1) ? -value : value;
}

XrTruth xr_points_real(XrMath *math, const XrExpr *a, const XrExpr *b,
                       const bool whole[XR_EXPR_SYMBOLS]) {
    XrProgram *p = xr_exprs_alloc(&math->exprs, sizeof *p);
    if (!xr_program_compile(p, a, b, 0, &math->work)) return XR_UNDECIDED;
    double *at =
        xr_exprs_alloc(&math->exprs, sizeof(double) * (size_t)(POINTS * (p->variables + 1)));
    double value[2 * POINTS], error[2 * POINTS];
    for (int s = 0; s < XR_EXPR_SYMBOLS; s++)
        for (int i = 0; i < POINTS && p->variable[s] >= 0; i++)
            at[i * p->variables + p->variable[s]] =
                xr_point_value(math->options.seed, s, i, whole[s]);
    XrVerifyBatch batch = batch_of(p, POINTS);
    xr_verify_real(&batch, at, value, error);
    for (int i = 0; i < POINTS; i++)
        if (fabs(value[i] - value[POINTS + i]) > 1.01 * (error[i] + error[POINTS + i]))
            return XR_FALSE;
    return XR_UNDECIDED;
}
