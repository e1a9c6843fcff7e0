// The arithmetic of programs in postfix form: values with running error bounds, and residues. The
// elementary functions are built from IEEE operations alone: range reduction, a Taylor polynomial
// whose remainder is below the rounding, and an error bound that is generous (8 units of 2^-53).
// Compiled for blocks of points by ref/verify_kernels.c and for single points by cuda/verify.cu, so
// that both give the same bits. The includer defines XR_VERIFY_FUNCTION, what stands before a
// function, XR_VERIFY_SQRT, and the constant LANES, the points that are worked on together.
#ifndef XR_REF_VERIFY_BALL_H
#define XR_REF_VERIFY_BALL_H

#include "ref/verify.h"

#include <math.h> // defines: NAN, INFINITY; no function of it is called
#include <stdbool.h>
#include <string.h>

#define UNIT 0x1p-53

typedef struct Ball {
    double v[LANES], e[LANES];
} Ball;

XR_VERIFY_FUNCTION double absolute(double x) {
    return x < 0 ? -x : x;
}

XR_VERIFY_FUNCTION double root(double x) {
    return XR_VERIFY_SQRT(x);
}

// 2^k for -1022 <= k <= 1023.
XR_VERIFY_FUNCTION double power_of_two(int k) {
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

XR_VERIFY_FUNCTION double nearest(double x) {
    // Adding and taking away 1.5·2^52 rounds to a whole number.
    return (x + 0x1.8p52) - 0x1.8p52;
}

// e^x for |x| < 700: x = k ln 2 + r, |r| <= 0.35; the remainder of degree 14 is below 2^-60.
XR_VERIFY_FUNCTION double exponential(double x) {
    double k = nearest(x * 0x1.71547652b82fep0);
    double r = (x - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33;
    double sum = 1;
    for (int n = 14; n > 0; n--) sum = 1 + r * sum / n;
    return sum * power_of_two((int)k / 2) * power_of_two((int)k - (int)k / 2);
}

// ln x for x > 0: x = 2^k m, 0.7 < m < 1.42, s = (m-1)/(m+1), ln m = 2(s + s^3/3 + …), |s| < 0.172.
XR_VERIFY_FUNCTION double logarithm(double x) {
    int k = 0;
    if (x < 0x1p-1000) {
        x *= 0x1p100;
        k = -100;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    k += (int)(bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFFull) | 0x3FF0000000000000ull;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142) {
        m *= 0.5;
        k++;
    }
    double s = (m - 1) / (m + 1), square = s * s, sum = 0;
    for (int n = 23; n > 0; n -= 2) sum = sum * square + 1.0 / n;
    return k * 0x1.a39ef35793c76p-33 + (2 * s * sum + k * 0x1.62e42feep-1);
}

// sin (shift 0) or cos (shift 1) of x for |x| < 10^5: x = q π/2 + r in three parts of π/2.
XR_VERIFY_FUNCTION double sine(double x, int shift) {
    double q = nearest(x * 0x1.45f306dc9c883p-1);
    double r = ((x - q * 0x1.921fb544p0) - q * 0x1.0b4611a6p-34) - q * 0x1.3198a2e037073p-69;
    int quadrant = ((int)q + shift) & 3;
    double square = r * r, sum = 1;
    if (quadrant & 1)
        for (int n = 20; n > 0; n -= 2) sum = 1 - square * sum / (n * (n - 1.0));
    else {
        for (int n = 21; n > 1; n -= 2) sum = 1 - square * sum / (n * (n - 1.0));
        sum *= r;
    }
    return quadrant & 2 ? -sum : sum;
}

// atan x: the argument brought to [0, tan π/8] by atan x = π/2 - atan 1/x and
// atan x = π/4 + atan (x-1)/(x+1).
XR_VERIFY_FUNCTION double arc_tangent(double x) {
    double a = absolute(x), base = 0, sign = 1;
    if (a > 2.414213562373095) {
        a = 1 / a;
        base = 0x1.921fb54442d18p0;
        sign = -1;
    } else if (a > 0.4142135623730951) {
        a = (a - 1) / (a + 1);
        base = 0x1.921fb54442d18p-1;
    }
    double square = a * a, sum = 0;
    for (int n = 43; n > 0; n -= 2) sum = 1.0 / n - square * sum;
    double out = base + sign * a * sum;
    return x < 0 ? -out : out;
}

XR_VERIFY_FUNCTION void undefined(Ball *x, int i) {
    x->v[i] = x->e[i] = NAN;
}

// Makes the error infinite when the value is not known to be of any use.
XR_VERIFY_FUNCTION void settle(Ball *x) {
    for (int i = 0; i < LANES; i++)
        if (x->v[i] == x->v[i] && !(absolute(x->v[i]) < 0x1p900 && x->e[i] < 0x1p900)) {
            x->v[i] = 0;
            x->e[i] = INFINITY;
        }
}

XR_VERIFY_FUNCTION void add(Ball *x, const Ball *y, double sign) {
    for (int i = 0; i < LANES; i++) {
        x->v[i] += sign * y->v[i];
        x->e[i] += y->e[i] + 2 * UNIT * absolute(x->v[i]);
    }
}

XR_VERIFY_FUNCTION void multiply(Ball *x, const Ball *y) {
    for (int i = 0; i < LANES; i++) {
        double a = absolute(x->v[i]), b = absolute(y->v[i]);
        double e = a * y->e[i] + b * x->e[i] + x->e[i] * y->e[i];
        x->v[i] *= y->v[i];
        x->e[i] = e + 4 * UNIT * (absolute(x->v[i]) + e) + 0x1p-1000;
    }
}

XR_VERIFY_FUNCTION void divide(Ball *x, const Ball *y) {
    for (int i = 0; i < LANES; i++) {
        double low = absolute(y->v[i]) - y->e[i];
        if (y->v[i] == 0 && y->e[i] == 0) {
            undefined(x, i);
            continue;
        }
        double q = x->v[i] / y->v[i];
        double e = low > 0 ? (x->e[i] + absolute(q) * y->e[i]) / low : INFINITY;
        x->v[i] = q;
        x->e[i] = e + 4 * UNIT * (absolute(q) + e) + 0x1p-1000;
    }
}

XR_VERIFY_FUNCTION void set_number(Ball *x, double value, double error) {
    for (int i = 0; i < LANES; i++) {
        x->v[i] = value;
        x->e[i] = error;
    }
}

XR_VERIFY_FUNCTION void power(Ball *x, int32_t exponent) {
    Ball base = *x, one;
    set_number(&one, 1, 0);
    uint32_t n = exponent < 0 ? (uint32_t)-exponent : (uint32_t)exponent;
    *x = one;
    for (uint32_t bit = 1; bit <= n && bit; bit *= 2) {
        if (n & bit) multiply(x, &base);
        Ball square = base;
        multiply(&base, &square);
    }
    if (exponent < 0) {
        divide(&one, x);
        *x = one;
    }
}

XR_VERIFY_FUNCTION void raise_e(Ball *x) {
    for (int i = 0; i < LANES; i++) {
        double a = x->v[i], e = x->e[i];
        if (!(absolute(a) < 600) || !(e < 0.5)) {
            if (a == a) x->e[i] = INFINITY;
            continue;
        }
        x->v[i] = exponential(a);
        x->e[i] = x->v[i] * (1.5 * e + 8 * UNIT * (1 + absolute(a)));
    }
}

XR_VERIFY_FUNCTION void take_logarithm(Ball *x) {
    for (int i = 0; i < LANES; i++) {
        double a = x->v[i], low = a - x->e[i];
        if (a + x->e[i] <= 0) {
            undefined(x, i);
            continue;
        }
        if (!(low > 0) || !(a < 0x1p1000)) {
            if (a == a) x->e[i] = INFINITY;
            continue;
        }
        x->v[i] = logarithm(a);
        x->e[i] = x->e[i] / low + 8 * UNIT * (1 + absolute(x->v[i]));
    }
}

XR_VERIFY_FUNCTION void take_sine(Ball *x, int shift) {
    for (int i = 0; i < LANES; i++) {
        double a = x->v[i];
        if (!(absolute(a) < 1e5)) {
            if (a == a) x->e[i] = INFINITY;
            continue;
        }
        x->v[i] = sine(a, shift);
        x->e[i] += 8 * UNIT;
    }
}

XR_VERIFY_FUNCTION void take_arc_tangent(Ball *x) {
    for (int i = 0; i < LANES; i++) {
        x->v[i] = arc_tangent(x->v[i]);
        x->e[i] += 8 * UNIT;
    }
}

// The root of a number that is not negative, with its error.
XR_VERIFY_FUNCTION void root_of_positive(double *v, double *e, int32_t index) {
    if (*v <= *e) {
        // Zero is in the ball: the root lies between 0 and the root of the upper end.
        double top = *v + *e;
        double upper = index == 2 ? root(top) : top > 0 ? exponential(logarithm(top) / index) : 0;
        *v = 0;
        *e = upper * (1 + 64 * UNIT);
        return;
    }
    double low = *v - *e;
    double r = index == 2 ? root(*v) : exponential(logarithm(*v) / index);
    *e = *e / low * r + 64 * UNIT * r;
    *v = r;
}

XR_VERIFY_FUNCTION void take_root(Ball *x, int32_t index) {
    for (int i = 0; i < LANES; i++) {
        double a = x->v[i];
        if (!(absolute(a) < 0x1p900)) continue;
        if (a + x->e[i] < 0 && index % 2 == 0) {
            undefined(x, i);
            continue;
        }
        x->v[i] = absolute(a);
        root_of_positive(&x->v[i], &x->e[i], index);
        if (a < 0 && index % 2) x->v[i] = -x->v[i];
    }
}

// x^y = e^(y ln x); a negative x only with a whole y.
XR_VERIFY_FUNCTION void raise(Ball *x, const Ball *y) {
    Ball negative = *x, logs = *x;
    for (int i = 0; i < LANES; i++) {
        bool whole = y->e[i] == 0 && y->v[i] == nearest(y->v[i]) && absolute(y->v[i]) < 1e6;
        if (x->v[i] < 0 && whole) logs.v[i] = -x->v[i];
        negative.v[i] = x->v[i] < 0 && whole && ((int64_t)y->v[i] & 1) ? -1 : 1;
    }
    take_logarithm(&logs);
    multiply(&logs, y);
    raise_e(&logs);
    for (int i = 0; i < LANES; i++) {
        x->v[i] = negative.v[i] * logs.v[i];
        x->e[i] = logs.e[i];
    }
}

XR_VERIFY_FUNCTION void take_arc_sine(Ball *x) {
    for (int i = 0; i < LANES; i++) {
        double a = x->v[i], size = absolute(a), rest = (1 - size) * (1 + size);
        if (size - x->e[i] > 1) {
            undefined(x, i);
            continue;
        }
        if (size + x->e[i] > 1 - 0x1p-20) {
            if (a == a) x->e[i] = INFINITY;
            continue;
        }
        double cosine = root(rest);
        x->v[i] = arc_tangent(a / cosine);
        double worst = root((1 - size - x->e[i]) * (1 + size));
        x->e[i] = x->e[i] / worst + 16 * UNIT * (1 + 1 / worst);
    }
}

// A function of one number, in its place.
XR_VERIFY_FUNCTION void apply_function(Ball *x, const XrVerifyStep *s) {
    switch (s->op) {
    case XR_V_NEGATE:
        for (int i = 0; i < LANES; i++) x->v[i] = -x->v[i];
        break;
    case XR_V_POWER:
        power(x, s->argument);
        break;
    case XR_V_ROOT:
        take_root(x, s->argument);
        break;
    case XR_V_EXP:
        raise_e(x);
        break;
    case XR_V_LN:
        take_logarithm(x);
        break;
    case XR_V_SIN:
        take_sine(x, 0);
        break;
    case XR_V_COS:
        take_sine(x, 1);
        break;
    case XR_V_ATAN:
        take_arc_tangent(x);
        break;
    case XR_V_ASIN:
        take_arc_sine(x);
        break;
    default:
        for (int i = 0; i < LANES; i++) x->v[i] = absolute(x->v[i]);
    }
}

XR_VERIFY_FUNCTION void apply(Ball *stack, int *height, const XrVerifyStep *s,
                              const XrVerifyBatch *b, const double *at, int lanes) {
    Ball *top = &stack[*height - 1];
    switch (s->op) {
    case XR_V_CONSTANT: {
        double c = b->constants[s->argument];
        set_number(&stack[(*height)++], c, absolute(c) * UNIT);
        // Whole numbers of that size are exact.
        if (absolute(c) < 0x1p52 && c == nearest(c)) set_number(&stack[*height - 1], c, 0);
        return;
    }
    case XR_V_VARIABLE: {
        Ball *x = &stack[(*height)++];
        for (int i = 0; i < LANES; i++) {
            x->v[i] = at[(i < lanes ? i : 0) * b->variables + s->argument];
            x->e[i] = 0;
        }
        return;
    }
    case XR_V_ADD:
        add(&stack[--*height - 1], top, 1);
        break;
    case XR_V_SUBTRACT:
        add(&stack[--*height - 1], top, -1);
        break;
    case XR_V_MULTIPLY:
        multiply(&stack[--*height - 1], top);
        break;
    case XR_V_DIVIDE:
        divide(&stack[--*height - 1], top);
        break;
    case XR_V_RAISE:
        raise(&stack[--*height - 1], top);
        break;
    default:
        apply_function(top, s);
    }
    settle(&stack[*height - 1]);
}

// ---- residues modulo 2^bits - 1 ----

XR_VERIFY_FUNCTION uint64_t reduce(unsigned __int128 x, int bits) {
    uint64_t p = (UINT64_C(1) << bits) - 1;
    while (x > p) x = (x & p) + (x >> bits);
    return (uint64_t)x == p ? 0 : (uint64_t)x;
}

XR_VERIFY_FUNCTION uint64_t residue_power(uint64_t x, uint64_t n, int bits) {
    uint64_t out = 1;
    for (; n; n >>= 1) {
        if (n & 1) out = reduce((unsigned __int128)out * x, bits);
        x = reduce((unsigned __int128)x * x, bits);
    }
    return out;
}

// 1/x as x^(p-2), by Fermat.
XR_VERIFY_FUNCTION uint64_t inverse(uint64_t x, int bits) {
    return residue_power(x, (UINT64_C(1) << bits) - 3, bits);
}

XR_VERIFY_FUNCTION uint64_t residue_pair(int32_t op, uint64_t x, uint64_t y, int bits) {
    if (x == XR_VERIFY_UNDEFINED || y == XR_VERIFY_UNDEFINED) return XR_VERIFY_UNDEFINED;
    uint64_t p = (UINT64_C(1) << bits) - 1;
    switch (op) {
    case XR_V_ADD:
        return reduce((unsigned __int128)x + y, bits);
    case XR_V_SUBTRACT:
        return reduce((unsigned __int128)x + (p - y), bits);
    case XR_V_MULTIPLY:
        return reduce((unsigned __int128)x * y, bits);
    default:
        if (y == 0) return XR_VERIFY_UNDEFINED;
        return reduce((unsigned __int128)x * inverse(y, bits), bits);
    }
}

XR_VERIFY_FUNCTION uint64_t residue_single(const XrVerifyStep *s, uint64_t x, int bits) {
    if (x == XR_VERIFY_UNDEFINED) return x;
    if (s->op == XR_V_NEGATE) return x ? (UINT64_C(1) << bits) - 1 - x : 0;
    if (s->argument >= 0) return residue_power(x, (uint64_t)s->argument, bits);
    return x ? inverse(residue_power(x, (uint64_t)-s->argument, bits), bits) : XR_VERIFY_UNDEFINED;
}

// The value of one program at one point.
XR_VERIFY_FUNCTION uint64_t residue_of(const XrVerifyBatch *b, int32_t program, int bits,
                                       const uint64_t *at) {
    uint64_t stack[XR_VERIFY_STACK] = {0};
    int height = 0;
    for (int32_t i = b->begins[program]; i < b->begins[program + 1]; i++) {
        const XrVerifyStep *s = &b->steps[i];
        if (s->op == XR_V_CONSTANT) {
            stack[height++] = b->residues[s->argument];
        } else if (s->op == XR_V_VARIABLE) {
            stack[height++] = at[s->argument];
        } else if (s->op == XR_V_NEGATE || s->op == XR_V_POWER) {
            stack[height - 1] = residue_single(s, stack[height - 1], bits);
        } else {
            height--;
            stack[height - 1] = residue_pair(s->op, stack[height - 1], stack[height], bits);
        }
    }
    return stack[0];
}

#endif
