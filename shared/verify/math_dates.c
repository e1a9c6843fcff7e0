// Dates and times of day, where the whole answer is one.
#include "shared/verify/math_parser_state.h"

#include <string.h>

static slong whole(const XrParser *p, const XrToken *token, uint32_t least, uint32_t most) {
    if (token->type != XR_T_NUMBER || !(token->flags & XR_TF_DIGITS) || token->length < least ||
        token->length > most)
        return -1;
    slong value = 0;
    for (uint32_t i = 0; i < token->length; i++)
        value = value * 10 + (xr_token_text(p, token)[i] - '0');
    return value;
}

static XrExpr *date_node(XrParser *p, slong year, slong month, slong day) {
    if (month < 1 || month > 12 || day < 0 || day > 31 || year > 9999) return NULL;
    XrExpr *node = xr_expr_number(p->exprs, year * 10000 + month * 100 + day);
    node->op = XR_E_DATE;
    p->at = p->tokens->count;
    return node;
}

// 2020-01-05, 2020/01/05
static XrExpr *parse_numeric_date(XrParser *p) {
    if (p->tokens->count != 5) return NULL;
    int mark = xr_token(p, 1)->id;
    if (xr_token(p, 1)->type != XR_T_MARK || (mark != '-' && mark != '/') ||
        !xr_is_mark(xr_token(p, 3), mark))
        return NULL;
    slong year = whole(p, xr_token(p, 0), 4, 4), month = whole(p, xr_token(p, 2), 2, 2);
    slong day = whole(p, xr_token(p, 4), 2, 2);
    return year > 0 && month > 0 && day > 0 ? date_node(p, year, month, day) : NULL;
}

// "January 5, 2020", "5 January 2020", "5th of January", "January 2020"
static XrExpr *parse_named_date(XrParser *p) {
    slong year = 0, month = 0, day = 0;
    if (p->tokens->count > 9) return NULL;
    for (int i = 0; i < p->tokens->count; i++) {
        const XrToken *token = xr_token(p, i);
        slong small = whole(p, token, 1, 2), large = whole(p, token, 4, 4);
        if (xr_is_word(token, XR_W_MONTH) && !month)
            month = token->value;
        else if (small > 0 && !day)
            day = small;
        else if (large > 0 && !year && month)
            year = large;
        else if (!xr_is_mark(token, ',') && !xr_is_word(token, XR_W_ORDINAL) &&
                 !xr_is_word(token, XR_W_FILLER))
            return NULL;
    }
    return month && (day || year) ? date_node(p, year, month, day) : NULL;
}

// "3:30 PM", "15:30", "3 p.m.", "12:05:30"
static XrExpr *parse_time(XrParser *p) {
    int count = p->tokens->count;
    const XrToken *last = xr_token(p, count - 1);
    bool am = xr_is_word(last, XR_W_AM), pm = xr_is_word(last, XR_W_PM);
    if (am || pm) count--;
    slong hours = whole(p, xr_token(p, 0), 1, 2), parts[2] = {0, 0};
    if (hours < 0 || hours > 24 || (count != 1 && count != 3 && count != 5)) return NULL;
    if (count == 1 && !am && !pm) return NULL;
    for (int i = 1; i < count; i += 2) {
        slong part = whole(p, xr_token(p, i + 1), 2, 2);
        if (!xr_is_mark(xr_token(p, i), ':') || part < 0 || part > 59) return NULL;
        parts[i / 2] = part;
    }
    if ((am || pm) && (hours > 12 || hours == 0)) return NULL;
    if (am && hours == 12) hours = 0;
    if (pm && hours < 12) hours += 12;
    XrExpr *node = xr_expr_number(p->exprs, hours * 3600 + parts[0] * 60 + parts[1]);
    if (!am && !pm) {
        // It may as well be a ratio: both readings are kept.
        p->at = 0;
        XrExpr *ratio = xr_parse_sequence(p);
        XrExpr *both = xr_expr_1(p->exprs, XR_E_TIME, ratio);
        both->value = node->value;
        return both;
    }
    node->op = XR_E_TIME;
    node->flags |= XR_F_HALF_DAY;
    p->at = p->tokens->count;
    return node;
}

XrExpr *xr_parse_date_or_time(XrParser *p) {
    int count = p->tokens->count;
    if (count < 2 || count > 9) return NULL;
    bool month = false;
    for (int i = 0; i < count; i++) month |= xr_is_word(xr_token(p, i), XR_W_MONTH);
    if (month) return parse_named_date(p);
    if (xr_token(p, 0)->type != XR_T_NUMBER) return NULL;
    XrExpr *date = parse_numeric_date(p);
    return date ? date : parse_time(p);
}
