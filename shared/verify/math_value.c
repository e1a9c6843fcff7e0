// The number that an answer is, for rules that round.
#include "shared/verify/latex_clean.h"
#include "shared/verify/math.h"
#include "shared/verify/math_context.h"
#include "shared/verify/number_ball.h"

#include <math.h>

enum { MOST_BYTES = 2000, PRECISION = 128 };

bool xr_math_value(XrMath *math, const char *text, size_t bytes, double *out) {
    XrParse parse;
    if (!bytes || bytes > MOST_BYTES) return false;
    xr_math_begin(math, NULL, NULL);
    if (!xr_latex_clean(text, bytes, &math->answer)) return false;
    xr_buffer_text(&math->answer, "");
    xr_math_parse(&math->exprs, &math->tokens, math->answer.data, math->answer.length, 0, &parse);
    if (parse.status != XR_PARSE_OK || parse.clause != XR_CLAUSE_NONE) return false;
    if (!xr_expr_is_scalar(parse.root) || xr_expr_has_symbols(parse.root)) return false;
    XrBallPoint point = {.real = true, .work = &math->work};
    acb_t ball;
    acb_init(ball);
    bool known = xr_number_ball(parse.root, ball, PRECISION, &point) && acb_is_real(ball) &&
                 acb_rel_accuracy_bits(ball) > 60;
    if (known) *out = arf_get_d(arb_midref(acb_realref(ball)), ARF_RND_NEAR);
    known = known || (acb_is_zero(ball) && (*out = 0, true));
    acb_clear(ball);
    return known && isfinite(*out);
}
