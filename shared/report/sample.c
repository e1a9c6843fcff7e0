#include "shared/report/sample.h"

#include "shared/report/chart.h"

#include <stdlib.h>
#include <string.h>

static const char *get_text(const cJSON *sample, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(sample, key);
    return cJSON_IsString(value) ? value->valuestring : NULL;
}

static double get_number(const cJSON *sample, const char *key, double missing) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(sample, key);
    return cJSON_IsNumber(value) ? value->valuedouble : missing;
}

// Whether token `index` is in one of the ranges [begin, end) under "forced".
static bool is_forced(const cJSON *sample, int index) {
    const cJSON *range;
    cJSON_ArrayForEach(range, cJSON_GetObjectItemCaseSensitive(sample, "forced")) {
        const cJSON *begin = cJSON_GetArrayItem(range, 0), *end = cJSON_GetArrayItem(range, 1);
        if (!cJSON_IsNumber(begin) || !cJSON_IsNumber(end)) continue;
        if (index >= begin->valuedouble && index < end->valuedouble) return true;
    }
    return false;
}

static void flush(XrBuffer *out, XrBuffer *piece, bool forced) {
    if (piece->length == 0) return;
    if (forced) xr_buffer_text(out, "<mark title=\"injected, not sampled\">");
    xr_html_text(out, piece->data, piece->length);
    if (forced) xr_buffer_text(out, "</mark>");
    xr_buffer_clear(piece);
}

// The response token by token; false where an id is not one of the tokenizer's.
static bool marked_response(XrBuffer *out, const XrTokenizer *tokenizer, const cJSON *sample) {
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(sample, "token_ids"), *id;
    if (!tokenizer || !cJSON_IsArray(ids)) return false;
    XrBuffer marked = {0}, piece = {0};
    bool forced = false, ok = true;
    int index = 0;
    cJSON_ArrayForEach(id, ids) {
        int64_t whole;
        size_t bytes = 0;
        const char *text = xr_json_whole(id, &whole) && whole >= 0 && whole < INT32_MAX
                               ? xr_tokenizer_bytes(tokenizer, (int32_t)whole, &bytes)
                               : NULL;
        ok &= text != NULL;
        bool now = is_forced(sample, index++);
        if (now != forced) flush(&marked, &piece, forced);
        forced = now;
        if (text) xr_buffer_append(&piece, text, bytes);
    }
    flush(&marked, &piece, forced);
    if (ok && marked.length) xr_buffer_append(out, marked.data, marked.length);
    xr_buffer_free(&marked);
    xr_buffer_free(&piece);
    return ok;
}

void xr_report_response(XrBuffer *out, const XrTokenizer *tokenizer, const cJSON *sample) {
    const char *response = get_text(sample, "response");
    if (!marked_response(out, tokenizer, sample) && response) {
        xr_html_text(out, response, strlen(response));
    }
}

static void labelled(XrBuffer *out, const char *label, const char *value) {
    if (!value || !*value) return;
    xr_buffer_format(out, "<span class=\"soft\">%s</span> ", label);
    xr_html_text(out, value, strlen(value));
    xr_buffer_text(out, " &nbsp; ");
}

static void one_sample(XrBuffer *out, const XrTokenizer *tokenizer, const cJSON *sample) {
    const char *prompt = get_text(sample, "prompt");
    double score = get_number(sample, "score", -1), step = get_number(sample, "step", -1);
    xr_buffer_text(out, "<details><summary>");
    if (score >= 0) xr_buffer_format(out, "<b class=\"%s\"></b> ", score > 0 ? "right" : "wrong");
    labelled(out, "id", get_text(sample, "id"));
    if (step >= 0) xr_buffer_format(out, "<span class=\"soft\">step</span> %.0f &nbsp; ", step);
    labelled(out, "gold", get_text(sample, "gold"));
    labelled(out, "extracted", get_text(sample, "extracted"));
    labelled(out, "verdict", get_text(sample, "verdict"));
    labelled(out, "ended by", get_text(sample, "finish_reason"));
    xr_buffer_text(out, "</summary>\n<pre class=\"soft\">");
    if (prompt) xr_html_text(out, prompt, strlen(prompt));
    xr_buffer_text(out, "</pre><pre>");
    xr_report_response(out, tokenizer, sample);
    xr_buffer_text(out, "</pre></details>\n");
}

void xr_report_samples(XrBuffer *out, const XrRunData *run) {
    if (run->sample_count == 0) return;
    const char *folder = run->config.root ? get_text(run->config.root, "model_name_or_path") : NULL;
    XrTokenizer *tokenizer = folder ? xr_tokenizer_load(folder, NULL) : NULL;
    xr_buffer_text(out, "<h2>Samples of ");
    xr_html_text(out, run->name, strlen(run->name));
    xr_buffer_text(out, "</h2>\n<p class=\"soft\">");
    xr_buffer_text(out, tokenizer
                            ? "Tokens that were injected by a forced exit are marked."
                            : "The run's tokenizer could not be read, so injected tokens are not "
                              "marked.");
    xr_buffer_text(out, "</p>\n");
    int odd = 0;
    for (int i = 0; i < run->sample_count; i++) {
        XrJson json;
        if (!xr_json_parse(&json, "sample", run->samples[i], strlen(run->samples[i]),
                           &XR_JSON_SMALL, NULL)) {
            odd++;
            continue;
        }
        one_sample(out, tokenizer, json.root);
        xr_json_free(&json);
    }
    if (odd) xr_buffer_format(out, "<p>%d lines of samples.jsonl could not be read.</p>\n", odd);
    xr_tokenizer_free(tokenizer);
}
