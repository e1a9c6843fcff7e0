#include "shared/eval/responses.h"

#include "shared/base/interrupt.h"
#include "shared/base/memory.h"
#include "shared/dataset/rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// What published outputs call the item and what was said about it; the first that a line has
// counts.
static const char *const ID_KEYS[] = {"id", "question_id", "pid", "unique_id"};
static const char *const RESPONSE_KEYS[] = {
    "response",      "responses",      "output",     "outputs",    "model_output",
    "model_outputs", "generated_text", "generation", "completion", "prediction"};

static const cJSON *first_of(const cJSON *row, const char *const *keys, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, keys[i]);
        if (value && !cJSON_IsNull(value)) return value;
    }
    return NULL;
}

// A text, or a number as it would be written.
static bool read_text(const XrJson *json, const cJSON *value, XrBuffer *out) {
    XrBuffer scratch = {0};
    size_t bytes;
    int64_t whole;
    xr_buffer_clear(out);
    xr_buffer_reserve(out, 1);
    bool ok = cJSON_IsString(value) || cJSON_IsNumber(value);
    if (cJSON_IsString(value)) {
        const char *text = xr_json_string(json, value, &scratch, &bytes);
        xr_buffer_append(out, text, bytes);
    } else if (xr_json_whole(value, &whole)) {
        xr_buffer_format(out, "%" PRId64, whole);
    } else if (ok) {
        xr_buffer_format(out, "%.15g", value->valuedouble);
    }
    xr_buffer_free(&scratch);
    return ok;
}

typedef struct Reader {
    const XrRunConfig *config;
    const XrSuite *suite;
    const XrAskedList *list;
    const XrAnswerSink *sink;
    bool *there; // [by question][sample]
    int64_t strange, first_strange;
    int64_t used, unusable;
    XrError first_unusable;
    XrBuffer id, text;
} Reader;

// What a line says besides the response. *sample: -1 where it is not numbered.
static bool read_line_keys(const XrJson *json, const char **dataset, int64_t *sample,
                           XrGenerated *out, XrError *err) {
    double tokens = -1;
    *sample = -1;
    *out = (XrGenerated){.prompt_tokens = -1};
    if (!xr_json_get_text(json, json->root, "dataset", dataset, err) ||
        !xr_json_get_int(json, json->root, "sample", sample, err) ||
        !xr_json_get_double(json, json->root, "tokens", &tokens, err) ||
        !xr_json_get_bool(json, json->root, "truncated", &out->truncated, err) ||
        !xr_json_get_text(json, json->root, "finish_reason", &out->finish, err)) {
        return false;
    }
    out->tokens = tokens >= 0 && tokens < 1e15 ? (int64_t)tokens : -1;
    if (out->finish && strcmp(out->finish, "length") == 0) out->truncated = true;
    if (!out->finish) out->finish = out->truncated ? "length" : "stop";
    return true;
}

// One that is not numbered is the next sample.
static bool hand_over(Reader *r, const XrAsked *asked, XrGenerated *g, int64_t sample,
                      const char *name, XrError *err) {
    int64_t samples = r->config->num_generations;
    bool *there = &r->there[(asked - r->list->items) * samples];
    bool numbered = sample >= 0;
    while (!numbered && ++sample < samples && there[sample]) continue;
    if (!numbered && sample < 0) sample = 0;
    if (numbered && sample < samples && there[sample]) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: a second response to item \"%s\", sample %" PRId64
                       "; their numbers must differ",
                       name, asked->item->id, sample);
    }
    if (sample >= samples) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: response number %" PRId64 " to item \"%s\", and \"num_generations\" is "
                       "%" PRId64 "; raise it, or take responses out",
                       name, sample + 1, asked->item->id, samples);
    }
    there[sample] = true;
    r->used++;
    g->sample = (int)sample;
    g->text = r->text.data;
    g->text_bytes = r->text.length;
    return r->sink->answered(r->sink->context, asked, g, 1, err);
}

// Counts a line of which nothing can be made.
static bool set_aside(Reader *r, const XrError *problem) {
    if (r->unusable++ == 0) r->first_unusable = *problem;
    return true;
}

// The response or, where it is a list, each of it. Its parts that are no text are set aside.
static bool hand_over_all(Reader *r, const XrJson *json, const XrAsked *asked, XrGenerated g,
                          int64_t sample, const cJSON *response, XrError *err) {
    bool list = cJSON_IsArray(response), ok = true;
    const cJSON *part = list ? response->child : response;
    for (; ok && part; part = list ? part->next : NULL) {
        XrError problem;
        if (read_text(json, part, &r->text)) {
            ok = hand_over(r, asked, &g, sample, json->name, err);
        } else {
            xr_fail(&problem, XR_ERR_INPUT, "%s: the response to \"%s\" is no text", json->name,
                    asked->item->id);
            ok = set_aside(r, &problem);
        }
        if (sample >= 0) sample++;
    }
    return ok;
}

static void fail_without_response(const XrJson *json, const char *id, XrError *err) {
    XrBuffer keys = {0};
    const cJSON *value;
    cJSON_ArrayForEach(value, json->root) {
        xr_buffer_format(&keys, "%s%s", keys.length ? ", " : "",
                         value->string ? value->string : "");
    }
    xr_fail(err, XR_ERR_INPUT, "%s: \"response\" to \"%s\" is missing or null; the line has %s",
            json->name, id, keys.length ? keys.data : "nothing");
    xr_buffer_free(&keys);
}

static bool take_row(Reader *r, const XrJson *json, int64_t line, XrError *err) {
    const cJSON *id = first_of(json->root, ID_KEYS, XR_COUNT(ID_KEYS));
    const cJSON *response = first_of(json->root, RESPONSE_KEYS, XR_COUNT(RESPONSE_KEYS));
    const char *dataset = NULL;
    int64_t sample;
    XrGenerated g;
    XrError problem = {0};
    XrSuiteRef at;
    if (!read_line_keys(json, &dataset, &sample, &g, &problem)) return set_aside(r, &problem);
    if (!id || !read_text(json, id, &r->id)) {
        xr_fail(&problem, XR_ERR_INPUT,
                "%s: \"id\" is missing; each line needs the \"id\" of an item and a \"response\"",
                json->name);
        return set_aside(r, &problem);
    }
    const XrAsked *asked = NULL;
    if (xr_suite_find(r->suite, dataset, r->id.data, &at)) asked = xr_asked_find(r->list, at);
    if (!asked && r->strange++ == 0) r->first_strange = line;
    if (!asked) return true;
    if (!response) {
        fail_without_response(json, r->id.data, &problem);
        return set_aside(r, &problem);
    }
    return hand_over_all(r, json, asked, g, sample, response, err);
}

static bool take_line(Reader *r, const XrRows *rows, int64_t row, XrError *err) {
    XrJson json;
    XrError problem = {0};
    if (!xr_rows_parse(rows, row, &json, &problem)) return set_aside(r, &problem);
    bool ok = take_row(r, &json, rows->line[row], err);
    xr_json_free(&json);
    return ok;
}

// Says what of the file was not used.
static void say_unused(const Reader *r) {
    if (r->unusable) {
        fprintf(stderr,
                "%s: %" PRId64 " responses cannot be read and are left out; the first: %s\n",
                r->config->responses, r->unusable, r->first_unusable.message);
    }
    if (r->strange) {
        fprintf(stderr,
                "%s: %" PRId64 " responses are to no item of this run; the first in line %" PRId64
                "\n",
                r->config->responses, r->strange, r->first_strange);
    }
}

bool xr_responses_run(const XrRunConfig *config, const XrSuite *suite, const XrAskedList *list,
                      const XrAnswerSink *sink, XrError *err) {
    XrRows rows;
    Reader r = {.config = config, .suite = suite, .list = list, .sink = sink};
    if (!xr_rows_open(&rows, config->responses, err)) return false;
    r.there = xr_calloc((size_t)(list->count * config->num_generations) + 1, sizeof *r.there);
    bool ok = true;
    for (int64_t row = 0; ok && row < rows.count; row++) {
        ok = take_line(&r, &rows, row, err);
        if (ok && xr_interrupted()) ok = xr_fail(err, XR_ERR_INTERRUPTED, "interrupted");
    }
    if (ok && r.unusable && !r.used && !r.strange) {
        *err = r.first_unusable;
        ok = xr_fail_in(err, "no response can be read");
    }
    for (int64_t i = 0; ok && i < list->count; i++) {
        bool any = false;
        for (int64_t k = 0; k < config->num_generations; k++) {
            any |= r.there[i * config->num_generations + k] || list->items[i].done[k];
        }
        if (!any) sink->left_out(sink->context, &list->items[i], "there is no response to it");
    }
    say_unused(&r);
    xr_buffer_free(&r.id);
    xr_buffer_free(&r.text);
    free(r.there);
    xr_rows_close(&rows);
    return ok;
}
