// Values at many points (ref/verify.c) against Arb and FLINT, on every instruction set; and the two
// ways of deciding equality of rational functions against each other on generated pairs.
//
//   test_verify_points 'never*' 1000000      as many pairs
#include "ref/verify_kernels.h"
#include "shared/base/memory.h"
#include "shared/verify/expr_program.h"
#include "shared/verify/expr_rational.h"
#include "shared/verify/flint_compat.h"
#include "tests/support/rewrite.h"
#include "tests/support/test.h"

#include <flint/ulong_extras.h>
#include <math.h>
#include <stdlib.h>

enum { POINTS = 133 };

static long pair_count = 30000;

// ---- real values ----

typedef void Reference(arb_t out, const arb_t x, int argument);

static void ref_exp(arb_t out, const arb_t x, int argument) {
    arb_exp(out, x, 200);
}
static void ref_ln(arb_t out, const arb_t x, int argument) {
    arb_log(out, x, 200);
}
static void ref_sin(arb_t out, const arb_t x, int argument) {
    arb_sin(out, x, 200);
}
static void ref_cos(arb_t out, const arb_t x, int argument) {
    arb_cos(out, x, 200);
}
static void ref_atan(arb_t out, const arb_t x, int argument) {
    arb_atan(out, x, 200);
}
static void ref_asin(arb_t out, const arb_t x, int argument) {
    arb_asin(out, x, 200);
}
static void ref_abs(arb_t out, const arb_t x, int argument) {
    arb_abs(out, x);
}
static void ref_negate(arb_t out, const arb_t x, int argument) {
    arb_neg(out, x);
}
static void ref_power(arb_t out, const arb_t x, int argument) {
    fmpz_t n;
    fmpz_init_set_si(n, argument);
    arb_pow_fmpz(out, x, n, 200);
    fmpz_clear(n);
}
static void ref_root(arb_t out, const arb_t x, int argument) {
    bool negative = arb_is_negative(x) && argument % 2;
    arb_set(out, x);
    if (negative) arb_neg(out, out);
    if (!arb_is_zero(out)) arb_root_ui(out, out, (ulong)argument, 200);
    if (negative) arb_neg(out, out);
}

// One operation at points of every size and both signs.
static void check_operation(XrVerifyOp op, int argument, Reference *reference) {
    XrVerifyStep steps[] = {{XR_V_VARIABLE, 0}, {(int32_t)op, argument}};
    int32_t begins[] = {0, 2};
    double at[POINTS], value[POINTS], error[POINTS];
    XrDraw draw = {.seed = 3, .stream = (uint64_t)op * 100 + (uint64_t)(argument + 50)};
    for (int i = 0; i < POINTS; i++) {
        double x = ((double)xr_draw(&draw, 2000001) - 1e6) * 1e-6;
        at[i] = ldexp(x, (int)xr_draw(&draw, 24) - 12);
    }
    at[0] = 0;
    at[1] = 1;
    at[2] = -1;
    XrVerifyBatch batch = {
        .steps = steps, .begins = begins, .programs = 1, .variables = 1, .points = POINTS};
    xr_verify_real(&batch, at, value, error);
    int useful = 0;
    for (int i = 0; i < POINTS; i++) {
        arb_t x, y, bound;
        arb_init(x);
        arb_init(y);
        arb_init(bound);
        arb_set_d(x, at[i]);
        reference(y, x, argument);
        if (isnan(value[i])) {
            if (arb_is_finite(y))
                print_message("operation %d at %.17g is %s\n", op, at[i], arb_get_str(y, 15, 0));
            assert_false(arb_is_finite(y));
        } else if (isfinite(error[i])) {
            arb_set_d(bound, value[i]);
            arb_sub(y, y, bound, 200);
            arb_abs(y, y);
            arb_set_d(bound, error[i]);
            if (!arb_le(y, bound))
                print_message("operation %d (%d) at %.17g: %.17g ± %g\n", op, argument, at[i],
                              value[i], error[i]);
            assert_true(arb_le(y, bound));
            // The bound has to be of use, too.
            useful += error[i] <= 1e-9 * (1 + fabs(value[i]));
        }
        arb_clear(x);
        arb_clear(y);
        arb_clear(bound);
    }
    assert_true(useful > POINTS / 5);
}

static void operations_against_arb(void **state) {
    check_operation(XR_V_EXP, 0, ref_exp);
    check_operation(XR_V_LN, 0, ref_ln);
    check_operation(XR_V_SIN, 0, ref_sin);
    check_operation(XR_V_COS, 0, ref_cos);
    check_operation(XR_V_ATAN, 0, ref_atan);
    check_operation(XR_V_ASIN, 0, ref_asin);
    check_operation(XR_V_ABS, 0, ref_abs);
    check_operation(XR_V_NEGATE, 0, ref_negate);
    int powers[] = {0, 1, 2, 3, 7, 30, -1, -2, -5};
    for (size_t i = 0; i < XR_COUNT(powers); i++) check_operation(XR_V_POWER, powers[i], ref_power);
    int roots[] = {2, 3, 4, 5, 17};
    for (size_t i = 0; i < XR_COUNT(roots); i++) check_operation(XR_V_ROOT, roots[i], ref_root);
}

// (x^y + x·y) / (x - y), by doubles that are known.
static void a_program_by_hand(void **state) {
    XrVerifyStep steps[] = {{XR_V_VARIABLE, 0}, {XR_V_VARIABLE, 1}, {XR_V_RAISE, 0},
                            {XR_V_VARIABLE, 0}, {XR_V_VARIABLE, 1}, {XR_V_MULTIPLY, 0},
                            {XR_V_ADD, 0},      {XR_V_VARIABLE, 0}, {XR_V_VARIABLE, 1},
                            {XR_V_SUBTRACT, 0}, {XR_V_DIVIDE, 0}};
    int32_t begins[] = {0, 11};
    double at[] = {3, 2, 2, 3, -2, 3, 2, 2}, value[4], error[4];
    XrVerifyBatch batch = {
        .steps = steps, .begins = begins, .programs = 1, .variables = 2, .points = 4};
    xr_verify_real(&batch, at, value, error);
    double expected[] = {15, -14, 2.8};
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(value[i] - expected[i]) <= error[i]);
        assert_true(error[i] < 1e-12);
    }
    assert_true(isnan(value[3]));
}

// ---- residues ----

static void residues_against_flint(void **state) {
    XrDraw draw = {.seed = 5};
    int bits[] = {31, 61};
    for (int f = 0; f < 2; f++) {
        ulong p = (UINT64_C(1) << bits[f]) - 1;
        for (int round = 0; round < 200; round++) {
            int n = 2 + (int)xr_draw(&draw, 40);
            XrVerifyStep steps[] = {{XR_V_VARIABLE, 0}, {XR_V_POWER, n},    {XR_V_VARIABLE, 1},
                                    {XR_V_CONSTANT, 0}, {XR_V_MULTIPLY, 0}, {XR_V_SUBTRACT, 0},
                                    {XR_V_VARIABLE, 1}, {XR_V_DIVIDE, 0},   {XR_V_NEGATE, 0}};
            int32_t begins[] = {0, 9};
            uint64_t constant =
                (((uint64_t)xr_draw(&draw, UINT32_MAX) << 32) | xr_draw(&draw, UINT32_MAX)) % p;
            uint64_t at[2 * 17], value[17];
            for (int i = 0; i < 34; i++)
                at[i] =
                    (((uint64_t)xr_draw(&draw, UINT32_MAX) << 32) | xr_draw(&draw, UINT32_MAX)) % p;
            at[1] = 0;
            at[2] = p - 1;
            XrVerifyBatch batch = {.steps = steps,
                                   .begins = begins,
                                   .programs = 1,
                                   .variables = 2,
                                   .points = 17,
                                   .residues = &constant};
            xr_verify_modular(&batch, bits[f], at, value);
            assert_true(value[0] == XR_VERIFY_UNDEFINED);
            for (int i = 1; i < 17; i++) {
                ulong x = at[2 * i], y = at[2 * i + 1];
                ulong top = n_submod(n_powmod2(x, n, p), n_mulmod2(y, constant, p), p);
                assert_true(value[i] == n_negmod(n_mulmod2(top, n_invmod(y, p), p), p));
            }
        }
    }
}

// ---- instruction sets ----

static void check_table(const XrVerifyKernels *kernels, const char *name) {
    XrVerifyStep steps[] = {
        {XR_V_VARIABLE, 0}, {XR_V_SIN, 0},    {XR_V_VARIABLE, 1}, {XR_V_EXP, 0}, {XR_V_MULTIPLY, 0},
        {XR_V_VARIABLE, 0}, {XR_V_LN, 0},     {XR_V_ATAN, 0},     {XR_V_ADD, 0}, {XR_V_VARIABLE, 1},
        {XR_V_ROOT, 3},     {XR_V_DIVIDE, 0}, {XR_V_POWER, 3}};
    int32_t begins[] = {0, 13};
    double at[2 * XR_VERIFY_BLOCK], value[2][XR_VERIFY_BLOCK], error[2][XR_VERIFY_BLOCK];
    for (int i = 0; i < 2 * XR_VERIFY_BLOCK; i++) at[i] = 0.37 * (i + 1) - 3;
    XrVerifyBatch batch = {
        .steps = steps, .begins = begins, .programs = 1, .variables = 2, .points = XR_VERIFY_BLOCK};
    xr_verify_kernels_baseline.real(&batch, 0, at, XR_VERIFY_BLOCK, value[0], error[0]);
    kernels->real(&batch, 0, at, XR_VERIFY_BLOCK, value[1], error[1]);
    for (int i = 0; i < XR_VERIFY_BLOCK; i++) {
        uint64_t bits[4];
        memcpy(&bits[0], &value[0][i], 8);
        memcpy(&bits[1], &value[1][i], 8);
        memcpy(&bits[2], &error[0][i], 8);
        memcpy(&bits[3], &error[1][i], 8);
        if (bits[0] != bits[1] || bits[2] != bits[3])
            fail_msg("%s gives other bits than the baseline", name);
    }
}

static void every_instruction_set_gives_the_same_bits(void **state) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) check_table(&xr_verify_kernels_avx2, "avx2");
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        check_table(&xr_verify_kernels_avx512, "avx512");
#endif
    check_table(&xr_verify_kernels_baseline, "baseline");
}

// ---- the two ways of deciding ----

static XrExpr *variable(XrExprs *e, XrDraw *draw) {
    static const char *const names[] = {"x", "y", "z", "w"};
    return xr_expr_symbol(e, names[xr_draw(draw, 4)], 1);
}

static XrExpr *generate(XrExprs *e, XrDraw *draw, int depth) {
    if (depth == 0 || xr_draw(draw, 6) == 0)
        return xr_draw(draw, 3) ? variable(e, draw)
                                : xr_expr_number(e, (slong)xr_draw(draw, 12) - 4);
    XrExpr *a = generate(e, draw, depth - 1);
    switch (xr_draw(draw, 6)) {
    case 0:
        return xr_expr_1(e, XR_E_NEG, a);
    case 1:
        return xr_expr_2(e, XR_E_POW, a, xr_expr_number(e, 2 + (slong)xr_draw(draw, 2)));
    case 2:
        return xr_expr_2(e, XR_E_DIV, a, generate(e, draw, depth - 1));
    case 3:
    case 4:
        return xr_expr_2(e, XR_E_ADD, a, generate(e, draw, depth - 1));
    default:
        return xr_expr_2(e, XR_E_MUL, a, generate(e, draw, depth - 1));
    }
}

// A copy with laws of arithmetic applied here and there; `changed` numbers are also changed.
static XrExpr *rewrite(XrExprs *e, XrDraw *draw, const XrExpr *node, int *changes) {
    XrExpr *copy = xr_expr_copy(e, node);
    for (uint32_t i = 0; i < copy->count; i++)
        copy->args[i] = rewrite(e, draw, copy->args[i], changes);
    if (node->op == XR_E_NUMBER && *changes > 0 && xr_draw(draw, 3) == 0) {
        --*changes;
        copy = xr_expr_value(e);
        fmpq_add_si(copy->value, node->value, 1);
        return copy;
    }
    XrExpr **args = copy->args;
    switch (copy->op) {
    case XR_E_ADD:
        return xr_draw(draw, 2) ? xr_expr_2(e, XR_E_ADD, args[1], args[0]) : copy;
    case XR_E_MUL:
        // a(b + c) = ab + ac
        if (args[1]->op == XR_E_ADD && xr_draw(draw, 2))
            return xr_expr_2(e, XR_E_ADD, xr_expr_2(e, XR_E_MUL, args[0], args[1]->args[0]),
                             xr_expr_2(e, XR_E_MUL, args[0], args[1]->args[1]));
        return xr_expr_2(e, XR_E_MUL, args[1], args[0]);
    case XR_E_POW: // a^2 = a a
        if (fmpq_equal_si(args[1]->value, 2)) return xr_expr_2(e, XR_E_MUL, args[0], args[0]);
        return copy;
    case XR_E_DIV: // a/b = a b^-1
        return xr_draw(draw, 2) ? xr_expr_2(e, XR_E_MUL, args[0],
                                            xr_expr_2(e, XR_E_POW, args[1], xr_expr_number(e, -1)))
                                : copy;
    case XR_E_SYMBOL: // x = (x y)/y
        if (xr_draw(draw, 8)) return copy;
        {
            XrExpr *y = variable(e, draw);
            return xr_expr_2(e, XR_E_DIV, xr_expr_2(e, XR_E_MUL, copy, y), y);
        }
    default:
        return copy;
    }
}

static void complain(const XrExprs *e, const XrExpr *a, const XrExpr *b) {
    XrBuffer text = {0};
    xr_expr_print(e, a, &text);
    xr_buffer_text(&text, "\n    and ");
    xr_expr_print(e, b, &text);
    print_message("%s\n", text.data);
    xr_buffer_free(&text);
}

static void never_contradict(void **state) {
    XrMath *math = xr_math_create();
    long equal = 0, different = 0, undecided = 0, contradictions = 0;
    bool whole[XR_EXPR_SYMBOLS] = {false};
    for (long i = 0; i < pair_count; i++) {
        xr_math_begin(math, NULL, NULL);
        math->work.left = 1000000;
        XrDraw draw = {.seed = 11, .stream = (uint64_t)i};
        XrExpr *a = generate(&math->exprs, &draw, 4);
        int changes = i % 2;
        XrExpr *b = rewrite(&math->exprs, &draw, a, &changes);
        XrTruth exact = xr_rational_equal(math, a, b), points = xr_points_modular(math, a, b);
        XrTruth real = xr_points_real(math, a, b, whole);
        equal += exact == XR_TRUE;
        different += exact == XR_FALSE;
        undecided += exact == XR_UNDECIDED || points == XR_UNDECIDED;
        bool bad = (exact == XR_TRUE && (points == XR_FALSE || real == XR_FALSE)) ||
                   (exact == XR_FALSE && points == XR_TRUE);
        if (bad && contradictions++ < 10) complain(&math->exprs, a, b);
        if (i % 2 == 0 && exact == XR_FALSE) {
            // Only laws of arithmetic were applied.
            complain(&math->exprs, a, b);
            contradictions++;
        }
    }
    print_message("%ld pairs: %ld equal, %ld different, %ld undecided, %ld contradictions\n",
                  pair_count, equal, different, undecided, contradictions);
    xr_math_free(math);
    assert_int_equal(contradictions, 0);
    assert_true(equal > pair_count / 4 && different > pair_count / 8);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_against_arb),
        cmocka_unit_test(a_program_by_hand),
        cmocka_unit_test(residues_against_flint),
        cmocka_unit_test(every_instruction_set_gives_the_same_bits),
        cmocka_unit_test(never_contradict),
    };
    if (argc > 2) pair_count = strtol(argv[2], NULL, 10);
    xr_test_filter(argc, argv);
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    flint_cleanup();
    return result;
}
