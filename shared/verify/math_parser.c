#include "shared/verify/math_parser.h"

#include "shared/verify/math_parser_state.h"

#include <string.h>

XrExpr *xr_parse_fail(XrParser *p) {
    p->failed = true;
    p->at = p->tokens->count;
    return xr_expr_number(p->exprs, 0);
}

void xr_parse_expect(XrParser *p, int mark) {
    if (xr_at_mark(p, mark))
        p->at++;
    else
        xr_parse_fail(p);
}

bool xr_parse_enter(XrParser *p) {
    if (p->depth >= XR_EXPR_DEPTH || p->exprs->full) {
        p->exprs->full = true;
        xr_parse_fail(p);
        return false;
    }
    return !p->failed;
}

static bool set_like(const XrExpr *node) {
    switch (node->op) {
    case XR_E_SET:
    case XR_E_BUILDER:
    case XR_E_INTERVAL:
    case XR_E_UNION:
    case XR_E_INTERSECTION:
    case XR_E_DIFFERENCE:
    case XR_E_NAMED_SET:
    case XR_E_EMPTY_SET:
        return true;
    default:
        return false;
    }
}

static XrExpr *parse_sets(XrParser *p) {
    XrExpr *left = xr_parse_additive(p);
    for (;;) {
        XrToken *token = xr_token(p, 0);
        bool known = token->type == XR_T_MARK &&
                     (token->id == XR_M_CUP || token->id == XR_M_CAP || token->id == XR_M_SETMINUS);
        bool letter = xr_is_letter(p, token, 'U') && set_like(left) && p->at > 0;
        if ((!known && !letter) || p->failed) break;
        p->at++;
        XrExprOp op = letter || token->id == XR_M_CUP ? XR_E_UNION
                      : token->id == XR_M_CAP         ? XR_E_INTERSECTION
                                                      : XR_E_DIFFERENCE;
        XrExpr *right = xr_parse_additive(p);
        if (op != XR_E_DIFFERENCE && left->op == op && !(left->flags & XR_F_GROUPED))
            xr_expr_push(p->exprs, left, right);
        else
            left = xr_expr_2(p->exprs, op, left, right);
    }
    return left;
}

static XrRelation negated(XrRelation relation) {
    switch (relation) {
    case XR_R_EQUAL:
        return XR_R_NOT_EQUAL;
    case XR_R_IN:
        return XR_R_NOT_IN;
    case XR_R_LESS:
        return XR_R_GREATER_EQUAL;
    case XR_R_LESS_EQUAL:
        return XR_R_GREATER;
    case XR_R_GREATER:
        return XR_R_LESS_EQUAL;
    case XR_R_GREATER_EQUAL:
        return XR_R_LESS;
    default:
        return XR_R_OTHER;
    }
}

// The relation sign at this place, stepped over, or -1.
static int relation_sign(XrParser *p) {
    XrToken *token = xr_token(p, 0);
    bool negate = token->type == XR_T_BUILD && token->id == XR_B_NOT;
    XrToken *sign = negate ? xr_token(p, 1) : token;
    if (sign->type != XR_T_RELATION) return -1;
    p->at += negate ? 2 : 1;
    return negate ? (int)negated((XrRelation)sign->id) : sign->id;
}

// a ≡ b (mod m): the modulus comes behind.
static XrExpr *parse_modulus(XrParser *p, XrExpr *value) {
    XrToken *token = xr_token(p, 0);
    bool round = xr_is_mark(token, '(') && xr_token(p, 1)->type == XR_T_BUILD &&
                 xr_token(p, 1)->id == XR_B_BMOD;
    bool pmod = token->type == XR_T_BUILD && token->id == XR_B_PMOD;
    if (!round && !pmod) return value;
    p->at += round ? 2 : 1;
    XrExpr *modulus = round ? xr_parse_additive(p) : xr_parse_argument(p, false);
    if (round) xr_parse_expect(p, ')');
    return xr_expr_2(p->exprs, XR_E_MODULAR, value, modulus);
}

XrExpr *xr_parse_relation(XrParser *p) {
    if (!xr_parse_enter(p)) return xr_parse_fail(p);
    p->depth++;
    uint8_t signs[16];
    int count = 0;
    XrExpr *sides[17];
    int sign = relation_sign(p);
    // "= 5" and "≈ 5" say 5; "> 5" has a left side that goes without saying.
    if (sign == XR_R_EQUAL || sign == XR_R_APPROX) sign = -1;
    if (sign >= 0) {
        sides[0] = xr_expr_symbol(p->exprs, "?", 1);
        signs[count++] = (uint8_t)sign;
    }
    sides[count] = parse_modulus(p, parse_sets(p));
    while (!p->failed && (sign = relation_sign(p)) >= 0) {
        if (count == 16) {
            p->depth--;
            return xr_parse_fail(p);
        }
        signs[count++] = (uint8_t)sign;
        while (xr_is_word(xr_token(p, 0), XR_W_ABOUT)) p->at++;
        sides[count] = parse_modulus(p, parse_sets(p));
    }
    p->depth--;
    if (!count) return sides[0];
    XrExpr *node = xr_expr_new(p->exprs, XR_E_RELATION, count + 1);
    for (int i = 0; i <= count; i++) node->args[i] = sides[i];
    node->relations = xr_exprs_alloc(p->exprs, (size_t)count);
    memcpy(node->relations, signs, (size_t)count);
    return node;
}

static XrExpr *parse_for_all(XrParser *p) {
    p->at++;
    XrExpr *condition = xr_parse_relation(p);
    if (xr_at_mark(p, ',') || xr_at_mark(p, ':')) p->at++;
    XrExpr *statement = xr_parse_relation(p);
    return xr_expr_2(p->exprs, XR_E_FOR_ALL, condition, statement);
}

static XrExpr *parse_statement(XrParser *p) {
    xr_parse_skip_label(p);
    XrToken *token = xr_token(p, 0);
    if (token->type == XR_T_BUILD && token->id == XR_B_FOR_ALL) return parse_for_all(p);
    XrExpr *node = xr_parse_relation(p);
    for (;;) {
        token = xr_token(p, 0);
        if (xr_is_word(token, XR_W_FILLER) || xr_is_mark(token, XR_M_WIDE_SPACE))
            p->at++;
        else
            break;
    }
    bool clause = xr_is_word(token, XR_W_QUALIFIER) || xr_is_word(token, XR_W_BENIGN);
    if (clause && !p->brackets) xr_parse_clause(p);
    return node;
}

typedef enum Separator { SEP_NONE, SEP_COMMA, SEP_AND, SEP_OR } Separator;

// The separator at this place, stepped over: ", and" is one.
static Separator parse_separator(XrParser *p) {
    Separator found = SEP_NONE;
    for (;;) {
        XrToken *token = xr_token(p, 0);
        Separator here = SEP_NONE;
        if (xr_is_mark(token, ',') || xr_is_mark(token, ';') || xr_is_mark(token, XR_M_ROW))
            here = SEP_COMMA;
        else if (xr_is_word(token, XR_W_AND) || xr_is_mark(token, XR_M_AND) ||
                 (xr_is_mark(token, '&') && p->brackets == 0))
            here = SEP_AND;
        else if (xr_is_word(token, XR_W_OR) || xr_is_mark(token, XR_M_OR))
            here = SEP_OR;
        else if (xr_is_mark(token, XR_M_WIDE_SPACE)) {
            p->at++;
            continue;
        }
        if (here == SEP_NONE) return found;
        if (here > found) found = here;
        p->at++;
    }
}

static bool at_end_of_sequence(const XrParser *p) {
    XrToken *token = xr_token(p, 0);
    if (token->type == XR_T_END) return true;
    if (token->type == XR_T_BUILD) return token->id == XR_B_END;
    if (token->type != XR_T_MARK) return false;
    switch (token->id) {
    case '[':
        return xr_closes_outward(p);
    case ']':
        return p->brackets > 0; // ]1, 2[ opens with it
    case ')':
    case '}':
    case XR_M_RBRACE:
    case XR_M_RANGLE:
        return true;
    default:
        return false;
    }
}

static bool is_inequality(const XrExpr *node) {
    if (node->op == XR_E_AND || node->op == XR_E_OR) return true;
    if (node->op != XR_E_RELATION) return false;
    for (uint32_t i = 0; i + 1 < node->count; i++)
        if (node->relations[i] == XR_R_EQUAL || node->relations[i] == XR_R_APPROX ||
            node->relations[i] >= XR_R_IN)
            return false;
    return true;
}

// k ∈ Z among other members only says what k is.
static bool is_membership(const XrExpr *node) {
    return node->op == XR_E_RELATION && node->count == 2 && node->relations[0] == XR_R_IN &&
           node->args[0]->op == XR_E_SYMBOL &&
           (node->args[1]->op == XR_E_NAMED_SET || node->args[1]->op == XR_E_SYMBOL);
}

static void drop_memberships(XrParser *p, XrExpr *list) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (i > 0 && is_membership(list->args[i])) {
            p->out->bound[list->args[i]->args[0]->id] = true;
            if (!p->out->clause) p->out->clause = XR_CLAUSE_KINDS;
        } else {
            list->args[kept++] = list->args[i];
        }
    }
    list->count = kept;
}

static XrExpr *finish_sequence(XrParser *p, XrExpr *list, Separator strongest) {
    drop_memberships(p, list);
    if (list->count == 1) return list->args[0];
    bool relations = true, inequalities = true, any = false;
    for (uint32_t i = 0; i < list->count; i++) {
        bool inequality = is_inequality(list->args[i]);
        relations &= list->args[i]->op == XR_E_RELATION || inequality;
        inequalities &= inequality;
        any |= inequality;
    }
    if (strongest == SEP_OR && relations && any) list->op = XR_E_OR;
    if (strongest != SEP_OR && inequalities) list->op = XR_E_AND;
    return list;
}

// "x = 2, y = 3 or x = -2, y = -3": the commas join tighter. `ends` has a bit for every member that
// an "or" follows. The list of (x, y) = (2, 3) and so on, or the list itself.
static XrExpr *group_solutions(XrParser *p, XrExpr *list, uint64_t ends) {
    uint32_t size = 0;
    while (!(ends >> size & 1)) size++;
    size++;
    if (size < 2 || list->count > 60 || list->count % size) return list;
    XrExpr *out = xr_expr_new(p->exprs, XR_E_LIST, 0);
    for (uint32_t i = 0; i < list->count; i += size) {
        XrExpr *relation = xr_expr_new(p->exprs, XR_E_RELATION, 2);
        relation->relations = xr_exprs_alloc(p->exprs, 1);
        relation->relations[0] = XR_R_EQUAL;
        relation->args[0] = xr_expr_new(p->exprs, XR_E_TUPLE, 0);
        relation->args[1] = xr_expr_new(p->exprs, XR_E_TUPLE, 0);
        for (uint32_t j = 0; j < size; j++) {
            const XrExpr *member = list->args[i + j];
            bool last = i + size == list->count, end = ends >> (i + j) & 1;
            bool equation = member->op == XR_E_RELATION && member->count == 2 &&
                            member->relations[0] == XR_R_EQUAL &&
                            member->args[0]->op == XR_E_SYMBOL;
            if (!equation || (j + 1 == size ? !end && !last : end)) return list;
            xr_expr_push(p->exprs, relation->args[0], member->args[0]);
            xr_expr_push(p->exprs, relation->args[1], member->args[1]);
        }
        xr_expr_push(p->exprs, out, relation);
    }
    return out;
}

XrExpr *xr_parse_sequence(XrParser *p) {
    if (!xr_parse_enter(p)) return xr_parse_fail(p);
    p->depth++;
    XrExpr *list = xr_expr_new(p->exprs, XR_E_LIST, 0);
    uint64_t ends = 0; // the members that an "or" follows
    bool commas = false;
    Separator strongest = SEP_NONE, separator = parse_separator(p);
    while (!p->failed && !at_end_of_sequence(p)) {
        if (p->builder && (xr_at_mark(p, '|') || xr_at_mark(p, XR_M_MID) || xr_at_mark(p, ':')))
            break;
        if (list->count && separator == SEP_NONE) {
            p->depth--;
            return xr_parse_fail(p);
        }
        if (list->count && separator > strongest) strongest = separator;
        if (list->count && list->count < 60 && separator == SEP_OR)
            ends |= 1ull << (list->count - 1);
        commas |= list->count && separator == SEP_COMMA;
        xr_expr_push(p->exprs, list, parse_statement(p));
        if (p->exprs->full) xr_parse_fail(p);
        separator = parse_separator(p);
    }
    p->depth--;
    if (!list->count) return list;
    if (ends && commas && !p->failed) list = group_solutions(p, list, ends);
    return finish_sequence(p, list, strongest);
}

void xr_math_parse(XrExprs *exprs, XrTokens *tokens, const char *text, size_t bytes,
                   unsigned reading, XrParse *out) {
    *out = (XrParse){0};
    xr_math_lex(tokens, text, bytes, reading);
    XrParser p = {.exprs = exprs, .tokens = tokens, .out = out};
    if (tokens->over) {
        out->status = XR_PARSE_OVER;
        return;
    }
    out->root = xr_parse_date_or_time(&p);
    if (!out->root) {
        p.at = 0;
        out->root = xr_parse_sequence(&p);
    }
    if (p.at < tokens->count) p.failed = true;
    out->ambiguous = tokens->ambiguous;
    if (exprs->full)
        out->status = XR_PARSE_OVER;
    else if (p.failed) {
        out->root = xr_parse_text(&p);
        out->status = out->root ? XR_PARSE_TEXT : XR_PARSE_EMPTY;
        out->clause = XR_CLAUSE_NONE;
    } else if (out->root->op == XR_E_LIST && !out->root->count)
        out->status = XR_PARSE_EMPTY;
}

XrExpr *xr_math_words(XrExprs *exprs, XrTokens *tokens, const char *text, size_t bytes) {
    XrParse out = {0};
    xr_math_lex(tokens, text, bytes, 0);
    XrParser p = {.exprs = exprs, .tokens = tokens, .out = &out};
    return xr_parse_text(&p);
}
