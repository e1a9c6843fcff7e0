#include "shared/eval/responses.h"

#include "shared/base/interrupt.h"
#include "shared/base/memory.h"
#include "shared/dataset/rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// "id" as a text or a whole number.
static bool read_id(const XrJson *json, char out[512], XrError *err) {
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(json->root, "id");
    int64_t number;
    if (cJSON_IsString(id) && strlen(id->valuestring) < 512) {
        strcpy(out, id->valuestring);
        return true;
    }
    if (xr_json_whole(id, &number)) {
        snprintf(out, 512, "%" PRId64, number);
        return true;
    }
    return xr_fail(err, XR_ERR_INPUT,
                   "%s: \"id\" is missing; each line needs the \"id\" of an item and a "
                   "\"response\"",
                   json->name);
}

typedef struct Reader {
    const XrRunConfig *config;
    const XrSuite *suite;
    const XrAskedList *list;
    const XrAnswerSink *sink;
    bool *there; // [by question][sample]
    int64_t strange, first_strange;
} Reader;

static bool read_response(const XrJson *json, XrGenerated *out, XrBuffer *scratch, XrError *err) {
    const cJSON *response = cJSON_GetObjectItemCaseSensitive(json->root, "response");
    int64_t sample = 0;
    *out = (XrGenerated){.tokens = -1, .prompt_tokens = -1};
    if (!cJSON_IsString(response)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"response\" must be a text", json->name);
    }
    out->text = xr_json_string(json, response, scratch, &out->text_bytes);
    if (!xr_json_get_int(json, json->root, "sample", &sample, err) ||
        !xr_json_get_int(json, json->root, "tokens", &out->tokens, err) ||
        !xr_json_get_bool(json, json->root, "truncated", &out->truncated, err) ||
        !xr_json_get_text(json, json->root, "finish_reason", &out->finish, err)) {
        return false;
    }
    if (out->finish && strcmp(out->finish, "length") == 0) out->truncated = true;
    if (!out->finish) out->finish = out->truncated ? "length" : "stop";
    out->sample = (int)XR_MAX(-1, XR_MIN(sample, INT32_MAX));
    return true;
}

static bool hand_over(Reader *r, const XrAsked *asked, const XrGenerated *g, const char *name,
                      XrError *err) {
    int64_t samples = r->config->num_generations;
    if (g->sample < 0 || g->sample >= samples) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: \"sample\" is %d; with \"num_generations\" %" PRId64
                       " they are 0 to %" PRId64,
                       name, g->sample, samples, samples - 1);
    }
    bool *there = &r->there[(asked - r->list->items) * samples + g->sample];
    if (*there) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: a second response to item \"%s\", sample %d; number them with "
                       "\"sample\"",
                       name, asked->item->id, g->sample);
    }
    *there = true;
    return r->sink->answered(r->sink->context, asked, g, 1, err);
}

static bool read_line(Reader *r, const XrRows *rows, int64_t row, XrError *err) {
    XrJson json;
    XrBuffer scratch = {0};
    XrGenerated g;
    XrSuiteRef at;
    char id[512];
    const char *dataset = NULL;
    if (!xr_rows_parse(rows, row, &json, err)) return false;
    bool ok = read_id(&json, id, err) &&
              xr_json_get_text(&json, json.root, "dataset", &dataset, err) &&
              read_response(&json, &g, &scratch, err);
    const XrAsked *asked = NULL;
    if (ok && xr_suite_find(r->suite, dataset, id, &at)) asked = xr_asked_find(r->list, at);
    if (ok && !asked && r->strange++ == 0) r->first_strange = rows->line[row];
    if (asked) ok = hand_over(r, asked, &g, json.name, err);
    xr_buffer_free(&scratch);
    xr_json_free(&json);
    return ok;
}

bool xr_responses_run(const XrRunConfig *config, const XrSuite *suite, const XrAskedList *list,
                      const XrAnswerSink *sink, XrError *err) {
    XrRows rows;
    Reader r = {.config = config, .suite = suite, .list = list, .sink = sink};
    if (!xr_rows_open(&rows, config->responses, err)) return false;
    r.there = xr_calloc((size_t)(list->count * config->num_generations) + 1, sizeof *r.there);
    bool ok = true;
    for (int64_t row = 0; ok && row < rows.count; row++) {
        ok = read_line(&r, &rows, row, err);
        if (ok && xr_interrupted()) ok = xr_fail(err, XR_ERR_INTERRUPTED, "interrupted");
    }
    for (int64_t i = 0; ok && i < list->count; i++) {
        bool any = false;
        for (int64_t k = 0; k < config->num_generations; k++) {
            any |= r.there[i * config->num_generations + k] || list->items[i].done[k];
        }
        if (!any) sink->left_out(sink->context, &list->items[i], "there is no response to it");
    }
    if (r.strange) {
        fprintf(stderr,
                "%s: %" PRId64 " responses are to no item of this run; the first in line %" PRId64
                "\n",
                config->responses, r.strange, r.first_strange);
    }
    free(r.there);
    xr_rows_close(&rows);
    return ok;
}
