#include "shared/eval/judge.h"

#include "shared/base/memory.h"
#include "shared/eval/adapter.h"
#include "shared/verify/batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct XrJudge {
    XrVerifyPool *pool;
    XrVerifyResult other; // of gold answers after the first
};

XrJudge *xr_judge_create(const XrJudgeOptions *options, XrError *err) {
    XrVerifyPoolOptions pool = {.threads = 1};
    if (options) {
        pool.verify = options->verify;
        pool.isolate = options->isolate;
        pool.limits = options->limits;
    }
    XrJudge *judge = xr_calloc(1, sizeof *judge);
    judge->pool = xr_verify_pool_create(&pool, err);
    if (judge->pool) return judge;
    free(judge);
    return NULL;
}

void xr_judge_free(XrJudge *judge) {
    if (!judge) return;
    xr_verify_pool_free(judge->pool);
    xr_verify_result_free(&judge->other);
    free(judge);
}

// ---- our verdict ----

static XrVerifyKind kind_of(const XrItem *item) {
    if (item->kind == XR_ANSWER_CHOICE) return XR_VERIFY_CHOICE;
    return item->kind == XR_ANSWER_TEXT ? XR_VERIFY_TEXT : XR_VERIFY_AUTO;
}

// The options as the verifier takes them: one that is a picture is known by its letter alone.
static int spans_of(const XrItem *item, XrSpan *out) {
    for (int i = 0; i < item->option_count; i++) {
        const XrItemContent *content = &item->options[i].content;
        bool text = content->count == 1 && !content->parts[0].image;
        out[i] = text ? xr_span_of(content->parts[0].text) : xr_span_of("");
    }
    return item->option_count;
}

static void verify(XrJudge *judge, const XrItem *item, XrSpan gold, XrSpan answer, bool response,
                   XrVerifyResult *out) {
    XrSpan options[XR_ITEM_MOST_OPTIONS];
    XrVerifyRequest request = {.gold = gold,
                               .answer = answer,
                               .is_response = response,
                               .kind = kind_of(item),
                               .question = xr_span_of(item->question_text),
                               .options = options,
                               .option_count = spans_of(item, options)};
    xr_verify_batch(judge->pool, &request, out, 1);
}

static double power_of_ten(int exponent) {
    double power = 1;
    while (exponent-- > 0) power *= 10;
    return power;
}

// MathVista's decimal answers are given to a number of places, to which an answer that shows more
// is rounded: half away from zero, as its decimals stand.
static bool rounds_to_gold(const XrItem *item, const XrBuffer *extracted) {
    char text[64], *end;
    if (item->precision < 0 || !extracted->length || extracted->length >= sizeof text) return false;
    memcpy(text, extracted->data, extracted->length);
    text[extracted->length] = '\0';
    double value = strtod(text, &end), scale = power_of_ten(item->precision);
    if (end == text || *end || !isfinite(value)) return false;
    double gold = strtod(item->golds[0], &end);
    double rounded = round(value * scale * (1 + 4e-16));
    return !*end && fabs(rounded - round(gold * scale)) < 0.5;
}

// Whether an answer has letters outside LaTeX's commands: it names a unit, right or wrong.
static bool names_unit(const XrBuffer *extracted) {
    for (size_t i = 0; i < extracted->length; i++) {
        if (extracted->data[i] == '\\') {
            while (i + 1 < extracted->length && xr_is_letter(extracted->data[i + 1])) i++;
        } else if (xr_is_letter(extracted->data[i])) {
            return true;
        }
    }
    return false;
}

static void take_better(XrVerifyResult *out, XrVerifyResult *other) {
    if (!other->score) return;
    XrVerifyResult swap = *out;
    *out = *other;
    *other = swap;
}

void xr_item_judge(XrJudge *judge, const XrItem *item, XrSpan response, XrVerifyResult *out) {
    XR_REQUIRE(item->gold_count > 0, "item %s has no gold answer to judge by", item->id);
    verify(judge, item, xr_span_of(item->golds[0]), response, true, out);
    // Where the question has a unit, the second gold answer has it, and judges answers that name
    // one.
    bool unit = item->kind == XR_ANSWER_TYPED && item->unit && names_unit(&out->extracted);
    if (unit) verify(judge, item, xr_span_of(item->golds[1]), response, true, out);
    for (int i = 1; i < item->gold_count && !out->score; i++) {
        verify(judge, item, xr_span_of(item->golds[i]), response, true, &judge->other);
        take_better(out, &judge->other);
    }
    if (!out->score && item->kind == XR_ANSWER_TYPED && rounds_to_gold(item, &out->extracted)) {
        out->score = 1;
        out->verdict = XR_VERDICT_EQUAL;
    }
}

bool xr_item_same_answer(XrJudge *judge, const XrItem *item, XrSpan a, XrSpan b) {
    if (!a.bytes || !b.bytes) return a.bytes == b.bytes;
    if (xr_span_equal(a, b)) return true;
    verify(judge, item, a, b, false, &judge->other);
    return judge->other.score == 1;
}

// ---- the official verdict ----

const char *xr_official_status_name(XrOfficialStatus status) {
    static const char *const names[] = {"read", "not_found", "random", "needs_model"};
    return names[status];
}

void xr_official_result_free(XrOfficialResult *result) {
    xr_buffer_free(&result->extracted);
}

static size_t after_last(XrSpan text, const char *mark) {
    size_t at = xr_span_find_last(text, mark, text.bytes);
    return at == XR_NOT_FOUND ? XR_NOT_FOUND : at + strlen(mark);
}

// What stands after thinking, and there inside the last <answer>, if there is one. Thinking that
// never ends leaves nothing.
static XrSpan without_tags(XrSpan response) {
    size_t end = after_last(response, "</think>"), begin = after_last(response, "<think>");
    if (begin != XR_NOT_FOUND && (end == XR_NOT_FOUND || end < begin)) return xr_span("", 0);
    if (end != XR_NOT_FOUND) response = xr_span_trim(xr_span_cut(response, end, response.bytes));
    size_t answer = after_last(response, "<answer>");
    if (answer == XR_NOT_FOUND) return response;
    response = xr_span_cut(response, answer, response.bytes);
    size_t close = xr_span_find(response, "</answer>", 0);
    return xr_span_trim(xr_span_cut(response, 0, close == XR_NOT_FOUND ? response.bytes : close));
}

bool xr_item_judge_official(XrJudge *judge, const XrItem *item, XrSpan response,
                            XrOfficialResult *out) {
    XrOfficialRule *rule = item->benchmark->adapter->official;
    if (!rule) return false;
    xr_buffer_clear(&out->extracted);
    xr_buffer_text(&out->extracted, "");
    out->status = XR_OFFICIAL_NOT_FOUND;
    out->right = false;
    rule(item, without_tags(response), out);
    return true;
}
