#include "shared/verify/math_parser_state.h"
#include "shared/verify/unit_sum.h"

#include <ctype.h>
#include <string.h>

// Whether the words from here up to a colon or an equals sign name what follows ("Maximum =",
// "Sequence 1:"); returns how many tokens, the sign among them.
static int label_length(const XrParser *p) {
    bool word = false;
    for (int i = 0; i < 10; i++) {
        const XrToken *token = xr_token(p, i);
        bool sign =
            xr_is_mark(token, ':') || (token->type == XR_T_RELATION && token->id == XR_R_EQUAL);
        if (sign && word) return i + 1;
        if (token->type == XR_T_WORD) {
            if (token->id == XR_W_STOP || token->id == XR_W_AND || token->id == XR_W_OR ||
                token->id == XR_W_DIGIT || token->id == XR_W_TENS || token->id == XR_W_QUALIFIER)
                return 0;
            word |= token->length > 1;
        } else if (!(word && (token->type == XR_T_SYMBOL || token->type == XR_T_NUMBER ||
                              token->type == XR_T_CONSTANT))) {
            return 0;
        }
    }
    return 0;
}

void xr_parse_skip_label(XrParser *p) {
    int length = label_length(p);
    p->at += length;
    for (;;) {
        XrToken *token = xr_token(p, 0);
        if (xr_is_word(token, XR_W_FILLER) || xr_is_word(token, XR_W_ABOUT) ||
            xr_is_mark(token, XR_M_WIDE_SPACE))
            p->at++;
        else
            break;
    }
}

// A clause says only of what kind variables are when all of its words are such words; inequalities
// with numbers are conditions; anything else is foreign.
void xr_parse_clause(XrParser *p) {
    XrClause clause = XR_CLAUSE_KINDS;
    p->out->clause_start = xr_token(p, 0)->start;
    while (xr_token(p, 0)->type != XR_T_END) {
        const XrToken *token = xr_token(p, 0);
        XrClause here = XR_CLAUSE_KINDS;
        switch (token->type) {
        case XR_T_SYMBOL:
        case XR_T_CONSTANT:
            if (token->type == XR_T_SYMBOL)
                p->out->bound[xr_exprs_symbol(p->exprs, xr_token_text(p, token), token->length)] =
                    true;
            break;
        case XR_T_NUMBER:
            here = XR_CLAUSE_CONDITIONS;
            break;
        case XR_T_RELATION:
            here = token->id == XR_R_IN                                  ? XR_CLAUSE_KINDS
                   : token->id >= XR_R_APPROX || token->id == XR_R_EQUAL ? XR_CLAUSE_FOREIGN
                                                                         : XR_CLAUSE_CONDITIONS;
            break;
        case XR_T_BUILD:
            here = token->id == XR_B_DOUBLE_STRUCK || token->id == XR_B_FOR_ALL ? XR_CLAUSE_KINDS
                                                                                : XR_CLAUSE_FOREIGN;
            break;
        case XR_T_WORD:
            if (token->id == XR_W_STOP || (token->id == XR_W_UNKNOWN && token->length > 1) ||
                token->id == XR_W_OPERATOR)
                here = XR_CLAUSE_FOREIGN;
            if (token->length == 1)
                p->out->bound[xr_exprs_symbol(p->exprs, xr_token_text(p, token), 1)] = true;
            break;
        default:
            here = strchr(",{}()_", token->id < 128 ? token->id : 1) ? here : XR_CLAUSE_FOREIGN;
        }
        if (here > clause) clause = here;
        p->at++;
    }
    if (clause > p->out->clause) p->out->clause = clause;
}

// "two hundred and five", "twenty-one", "three".
XrExpr *xr_parse_number_words(XrParser *p) {
    slong total = 0, group = 0;
    for (;;) {
        const XrToken *token = xr_token(p, 0);
        if (xr_is_mark(token, '-') && xr_is_word(xr_token(p, 1), XR_W_DIGIT) &&
            xr_is_word(&p->tokens->items[p->at - 1], XR_W_TENS)) {
            p->at++;
            continue;
        }
        if (xr_is_word(token, XR_W_AND) && group % 100 == 0 && group &&
            (xr_is_word(xr_token(p, 1), XR_W_DIGIT) || xr_is_word(xr_token(p, 1), XR_W_TENS)) &&
            xr_is_word(&p->tokens->items[p->at - 1], XR_W_SCALE)) {
            p->at++;
            continue;
        }
        if (xr_is_word(token, XR_W_DIGIT) || xr_is_word(token, XR_W_TENS)) {
            group += token->value;
        } else if (xr_is_word(token, XR_W_SCALE) && token->value == 2) {
            group *= 100;
        } else if (xr_is_word(token, XR_W_SCALE) && token->value >= 3 && token->value <= 12) {
            slong scale = 1;
            for (int i = 0; i < token->value; i++) scale *= 10;
            total += group * scale;
            group = 0;
        } else {
            break;
        }
        p->at++;
        if (group > 1000000 || total > 1000000000000000) return xr_parse_fail(p);
    }
    XrExpr *number = xr_expr_number(p->exprs, total + group);
    const XrToken *part = xr_token(p, 0);
    if (!xr_is_word(part, XR_W_PART)) return number;
    p->at++;
    return xr_expr_2(p->exprs, XR_E_DIV, number, xr_expr_number(p->exprs, part->value));
}

static const XrUnit *unit_of(const XrParser *p, const XrToken *token) {
    bool word = token->type == XR_T_WORD;
    bool letter = token->type == XR_T_SYMBOL && (token->flags & (XR_TF_TEXT | XR_TF_ROMAN));
    return word || letter ? xr_unit_find(xr_token_text(p, token), token->length) : NULL;
}

bool xr_parse_starts_unit(const XrParser *p, const XrExpr *value) {
    const XrToken *token = xr_token(p, 0);
    if (token->type == XR_T_FUNCTION) return false;
    if (token->type != XR_T_WORD) return false;
    switch (token->id) {
    case XR_W_SCALE:
    case XR_W_PERCENT:
    case XR_W_DEGREES:
    case XR_W_RADIANS:
    case XR_W_ORDINAL:
        return true;
    case XR_W_OPERATOR:
        return token->value == '2' || token->value == '3';
    case XR_W_SQUARE:
        return true;
    case XR_W_QUALIFIER: {
        const XrToken *next = xr_token(p, 1); // "5 in", not "5 in all"
        bool last = next->type == XR_T_END || xr_is_mark(next, '^') || xr_is_mark(next, ',');
        return token->length == 2 && unit_of(p, token) && last;
    }
    case XR_W_UNKNOWN: {
        bool unit = unit_of(p, token) != NULL;
        bool words = token->flags & (XR_TF_TEXT | XR_TF_ROMAN);
        if (token->length == 1) return unit && words && !(value->op == XR_E_SYMBOL);
        return unit || !xr_expr_has_symbols(value);
    }
    case XR_W_FILLER:
    case XR_W_BENIGN:
        return (token->length > 2 || (token->flags & XR_TF_TEXT)) && !xr_expr_has_symbols(value) &&
               xr_expr_is_scalar(value);
    default:
        return false;
    }
}

static XrExpr *scaled(XrParser *p, XrExpr *value, int power) {
    XrExpr *scale = xr_expr_number(p->exprs, 12);
    if (power) {
        fmpz_set_ui(fmpq_numref(scale->value), 10);
        fmpz_pow_ui(fmpq_numref(scale->value), fmpq_numref(scale->value), (ulong)power);
    }
    XrExpr *node = xr_expr_2(p->exprs, XR_E_MUL, value, scale);
    return node;
}

// The exponent behind a unit: ^2, ^{-1}, squared. 1 when there is none.
static int unit_power(XrParser *p) {
    const XrToken *token = xr_token(p, 0);
    if (xr_is_word(token, XR_W_OPERATOR) && (token->value == '2' || token->value == '3')) {
        p->at++;
        return token->value - '0';
    }
    if (!xr_is_mark(token, '^')) return 1;
    p->at++;
    XrExpr *power = xr_parse_argument(p, false);
    int sign = 1;
    if (power->op == XR_E_NEG) {
        power = power->args[0];
        sign = -1;
    }
    if (power->op != XR_E_NUMBER || !fmpz_is_one(fmpq_denref(power->value)) ||
        fmpq_cmp_si(power->value, 4) > 0) {
        xr_parse_fail(p);
        return 1;
    }
    return sign * (int)fmpz_get_si(fmpq_numref(power->value));
}

// One unit with what belongs to it; false when the next token is none.
static bool parse_one_unit(XrParser *p, XrUnitSum *sum, int sign) {
    const XrToken *token = xr_token(p, 0);
    int before = 1;
    if (xr_is_word(token, XR_W_SQUARE) && unit_of(p, xr_token(p, 1))) {
        before = token->value;
        p->at++;
        token = xr_token(p, 0);
    }
    const XrUnit *unit = unit_of(p, token);
    if (!unit && sign < 0 && token->type == XR_T_SYMBOL)
        unit = xr_unit_find(xr_token_text(p, token), token->length);
    if (!unit) return false;
    p->at++;
    xr_unit_sum_take(sum, unit, sign * before * unit_power(p));
    return true;
}

static void parse_units(XrParser *p, XrUnitSum *sum) {
    if (!parse_one_unit(p, sum, 1)) return;
    for (int units = 1; !p->failed && units < 8; units++) {
        const XrToken *token = xr_token(p, 0);
        bool per = xr_is_mark(token, '/') || xr_is_word(token, XR_W_PER);
        if (per && (unit_of(p, xr_token(p, 1)) || xr_token(p, 1)->type == XR_T_SYMBOL)) {
            p->at++;
            if (!parse_one_unit(p, sum, -1)) xr_parse_fail(p);
        } else if (xr_is_mark(token, '*') && unit_of(p, xr_token(p, 1))) {
            p->at++;
            parse_one_unit(p, sum, 1);
        } else if (!unit_of(p, token) || !parse_one_unit(p, sum, 1)) {
            break;
        }
    }
}

// Words behind a value that are no unit only say what was counted.
static void skip_nouns(XrParser *p) {
    for (int i = 0; i < 6; i++) {
        const XrToken *token = xr_token(p, 0);
        bool noun = token->type == XR_T_WORD &&
                    (token->id == XR_W_UNKNOWN || token->id == XR_W_FILLER ||
                     token->id == XR_W_PER || token->id == XR_W_BENIGN || token->id == XR_W_SQUARE);
        if (!noun) return;
        p->at++;
    }
}

XrExpr *xr_parse_unit(XrParser *p, XrExpr *value) {
    const XrToken *token = xr_token(p, 0);
    switch (token->id) {
    case XR_W_SCALE:
        p->at++;
        return scaled(p, value, token->value);
    case XR_W_PERCENT:
        p->at++;
        return xr_expr_1(p->exprs, XR_E_PERCENT, value);
    case XR_W_DEGREES:
        p->at++;
        skip_nouns(p);
        return xr_expr_1(p->exprs, XR_E_DEGREES, value);
    case XR_W_RADIANS: {
        p->at++;
        XrExpr *node = xr_expr_2(p->exprs, XR_E_QUANTITY, value, xr_expr_number(p->exprs, 1));
        node->name = "radian";
        return node;
    }
    case XR_W_ORDINAL:
        p->at++;
        return value;
    case XR_W_OPERATOR:
        p->at++;
        return xr_expr_2(p->exprs, XR_E_POW, value, xr_expr_number(p->exprs, token->value - '0'));
    default:
        break;
    }
    XrUnitSum sum;
    xr_unit_sum_init(&sum);
    parse_units(p, &sum);
    if (!sum.any) unit_power(p);
    skip_nouns(p);
    XrExpr *node = xr_unit_quantity(p->exprs, value, &sum);
    xr_unit_sum_clear(&sum);
    return node;
}

XrExpr *xr_parse_currency(XrParser *p, XrExpr *value, const XrToken *mark) {
    static const struct {
        const char *sign, *unit;
    } signs[] = {{"pounds", "GBP"}, {"textsterling", "GBP"}, {"euro", "EUR"}, {"texteuro", "EUR"},
                 {"yen", "JPY"},    {"rupee", "INR"},        {"$", "USD"},    {"\\$", "USD"}};
    const char *unit = "USD";
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (strlen(signs[i].sign) == mark->length &&
            !strncmp(signs[i].sign, xr_token_text(p, mark), mark->length))
            unit = signs[i].unit;
    XrUnitSum sum;
    xr_unit_sum_init(&sum);
    if (xr_is_word(xr_token(p, 0), XR_W_SCALE)) value = xr_parse_unit(p, value);
    xr_unit_sum_take(&sum, xr_unit_find(unit, strlen(unit)), 1);
    // "$5 per hour", "$5 USD"
    if (xr_is_word(xr_token(p, 0), XR_W_PER) || xr_is_mark(xr_token(p, 0), '/')) {
        if (unit_of(p, xr_token(p, 1))) {
            p->at++;
            parse_one_unit(p, &sum, -1);
        }
    }
    skip_nouns(p);
    XrExpr *node = xr_unit_quantity(p->exprs, value, &sum);
    node->flags |= XR_F_CURRENCY;
    xr_unit_sum_clear(&sum);
    return node;
}

// The words of the whole text, in lower case, one space between; NULL when there are none.
XrExpr *xr_parse_text(XrParser *p) {
    XrBuffer words = {0};
    xr_buffer_text(&words, "");
    for (int i = 0; i < p->tokens->count; i++) {
        const XrToken *token = &p->tokens->items[i];
        const char *text = xr_token_text(p, token);
        bool glue =
            i > 0 &&
            p->tokens->items[i - 1].start + p->tokens->items[i - 1].length == token->start &&
            isalpha((unsigned char)text[0]) && isalpha((unsigned char)text[-1]);
        if (words.length && !glue) xr_buffer_byte(&words, ' ');
        for (uint32_t j = 0; j < token->length; j++)
            xr_buffer_byte(&words, (char)tolower((unsigned char)text[j]));
    }
    XrExpr *node = NULL;
    if (words.length && p->tokens->count) {
        node = xr_expr_new(p->exprs, XR_E_TEXT, 0);
        node->name = xr_exprs_text(p->exprs, words.data, words.length);
    }
    xr_buffer_free(&words);
    return node;
}
