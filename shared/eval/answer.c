#include "shared/eval/answer.h"

#include "shared/base/memory.h"
#include "shared/engine/forced_exit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const MODES[] = {"free", "budget", "both"};

const char *xr_answer_mode_name(XrAnswerMode mode) {
    return MODES[mode];
}

bool xr_answer_mode_find(const char *name, XrAnswerMode *mode) {
    for (int i = 0; i < (int)XR_COUNT(MODES); i++) {
        if (strcmp(MODES[i], name) != 0) continue;
        *mode = (XrAnswerMode)i;
        return true;
    }
    return false;
}

void xr_answers_add(XrAnswers *a, XrAnswer answer) {
    if (a->count == a->capacity) {
        a->capacity = 2 * a->capacity + 256;
        a->items = xr_realloc(a->items, sizeof *a->items * (size_t)a->capacity);
    }
    a->items[a->count++] = answer;
}

void xr_answers_free(XrAnswers *answers) {
    for (int64_t i = 0; i < answers->count; i++) free(answers->items[i].extracted);
    free(answers->items);
    *answers = (XrAnswers){0};
}

int64_t xr_answer_words(XrSpan text) {
    int64_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < text.bytes; i++) {
        bool space = xr_is_space(text.data[i]);
        words += !space && !inside;
        inside = !space;
    }
    return words;
}

static void add_span(XrBuffer *line, const char *key, XrSpan value) {
    xr_buffer_format(line, ", \"%s\": ", key);
    xr_buffer_json(line, value.data ? value.data : "", value.data ? value.bytes : 0);
}

static void add_word(XrBuffer *line, const char *key, const char *value) {
    add_span(line, key, xr_span_of(value ? value : ""));
}

static void add_ids(XrBuffer *line, const XrGenerated *g) {
    xr_buffer_text(line, ", \"token_ids\": [");
    for (int64_t i = 0; i < g->tokens; i++) {
        xr_buffer_format(line, "%s%d", i ? ", " : "", g->ids[i]);
    }
    xr_buffer_text(line, "], \"forced\": [");
    for (int64_t begin = 0, ranges = 0; begin < g->tokens; begin++) {
        if (!g->forced[begin]) continue;
        int64_t end = begin;
        while (end < g->tokens && g->forced[end]) end++;
        xr_buffer_format(line, "%s[%" PRId64 ", %" PRId64 "]", ranges++ ? ", " : "", begin, end);
        begin = end;
    }
    xr_buffer_byte(line, ']');
}

void xr_answer_begin(XrBuffer *line, const XrAsked *asked, const XrGenerated *g) {
    const XrItem *item = asked->item;
    xr_buffer_format(line, "{\"key\": \"%016" PRIx64 "\"", asked->key);
    add_word(line, "dataset", item->benchmark->name);
    add_word(line, "id", item->id);
    if (item->subject) add_word(line, "subject", item->subject);
    xr_buffer_format(line, ", \"sample\": %d, \"mode\": \"%s\"", g->sample, MODES[g->mode]);
    if (asked->messages) xr_buffer_format(line, ", \"messages\": %s", asked->messages);
    add_span(line, "response", xr_span(g->text, g->text_bytes));
    if (g->ids) add_ids(line, g);
    add_word(line, "finish_reason", g->finish);
    xr_buffer_format(line, ", \"truncated\": %s", g->truncated ? "true" : "false");
    if (g->prompt_tokens >= 0) {
        xr_buffer_format(line, ", \"prompt_tokens\": %" PRId64, g->prompt_tokens);
    }
    if (g->tokens >= 0) xr_buffer_format(line, ", \"tokens\": %" PRId64, g->tokens);
}

static void add_official(XrBuffer *line, XrAnswer *out, XrJudge *judge, const XrItem *item,
                         XrSpan response) {
    XrOfficialResult official = {0};
    out->official = out->official_status = -1;
    if (xr_item_judge_official(judge, item, response, &official)) {
        out->official_status = (int)official.status;
        if (official.status != XR_OFFICIAL_NEEDS_MODEL) out->official = official.right;
        xr_buffer_format(line, ", \"official_status\": \"%s\"",
                         xr_official_status_name(official.status));
        if (out->official >= 0) xr_buffer_format(line, ", \"official_score\": %d", out->official);
        add_span(line, "official_extracted",
                 xr_span(official.extracted.data, official.extracted.length));
    }
    xr_official_result_free(&official);
}

void xr_answer_judge(XrBuffer *line, XrAnswer *out, XrJudge *judge, const XrItem *item,
                     XrSpan response, bool truncated, bool open) {
    XrVerifyResult result = {0};
    XrThinking thinking = {.open = open};
    xr_thinking_follow(&thinking, response.data, response.bytes);
    xr_item_judge(judge, item, response, &result);
    out->score = result.score;
    out->verdict = (int)result.verdict;
    out->words = xr_answer_words(response);
    out->truncated = truncated;
    out->endless = truncated && thinking.open;
    free(out->extracted);
    out->extracted =
        xr_strndup(result.extracted.data ? result.extracted.data : "", result.extracted.length);
    xr_buffer_format(line, ", \"score\": %d", result.score);
    add_word(line, "verdict", xr_verdict_name(result.verdict));
    add_span(line, "extracted", xr_span(result.extracted.data, result.extracted.length));
    xr_buffer_text(line, ", \"gold\": ");
    XrBuffer golds = {0};
    for (int i = 0; i < item->gold_count; i++) {
        xr_buffer_text(&golds, i ? " | " : "");
        xr_buffer_text(&golds, item->golds[i]);
    }
    xr_buffer_json(line, golds.data ? golds.data : "", golds.length);
    xr_buffer_free(&golds);
    xr_buffer_format(line, ", \"endless\": %s, \"words\": %" PRId64,
                     out->endless ? "true" : "false", out->words);
    add_official(line, out, judge, item, response);
    xr_buffer_byte(line, '}');
    xr_verify_result_free(&result);
}
