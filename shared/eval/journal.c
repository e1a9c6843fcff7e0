#include "shared/eval/journal.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINE_BYTES = 64 << 20 };

// ---- reading ----

static bool read_verdict(XrAnswer *out, const XrJson *json, XrError *err) {
    const char *verdict = NULL, *status = NULL;
    int64_t official = -1, score = 0;
    if (!xr_json_need_int(json, json->root, "score", &score, err) ||
        !xr_json_get_int(json, json->root, "official_score", &official, err) ||
        !xr_json_get_text(json, json->root, "official_status", &status, err) ||
        !xr_json_get_text(json, json->root, "verdict", &verdict, err)) {
        return false;
    }
    out->score = score != 0;
    out->official = (int)official;
    out->official_status = out->verdict = -1;
    for (int v = 0; verdict && v <= XR_VERDICT_EMPTY; v++) {
        if (strcmp(verdict, xr_verdict_name((XrVerdict)v)) == 0) out->verdict = v;
    }
    for (int s = 0; status && s <= XR_OFFICIAL_NEEDS_MODEL; s++) {
        const char *name = xr_official_status_name((XrOfficialStatus)s);
        if (strcmp(status, name) == 0) out->official_status = s;
    }
    return out->verdict >= 0 ||
           xr_fail(err, XR_ERR_INPUT, "%s: \"verdict\" is missing or no verdict", json->name);
}

static bool read_lengths(XrAnswer *out, const XrJson *json, XrError *err) {
    out->tokens = -1;
    if (!xr_json_get_bool(json, json->root, "truncated", &out->truncated, err) ||
        !xr_json_get_bool(json, json->root, "endless", &out->endless, err) ||
        !xr_json_get_int(json, json->root, "tokens", &out->tokens, err) ||
        !xr_json_get_int(json, json->root, "words", &out->words, err)) {
        return false;
    }
    const cJSON *forced = cJSON_GetObjectItemCaseSensitive(json->root, "forced");
    out->forced = cJSON_GetArraySize(forced) > 0;
    return true;
}

bool xr_journal_parse(XrAnswer *out, uint64_t *key, const XrJson *json, const XrSuite *suite,
                      XrError *err) {
    const char *text = NULL, *dataset = NULL, *id = NULL, *mode = NULL, *extracted = "";
    int64_t sample = -1;
    *out = (XrAnswer){0};
    if (!xr_json_get_text(json, json->root, "key", &text, err) ||
        !xr_json_get_text(json, json->root, "dataset", &dataset, err) ||
        !xr_json_get_text(json, json->root, "id", &id, err) ||
        !xr_json_get_text(json, json->root, "mode", &mode, err) ||
        !xr_json_get_text(json, json->root, "extracted", &extracted, err) ||
        !xr_json_need_int(json, json->root, "sample", &sample, err)) {
        return false;
    }
    bool known = text && id && dataset && xr_suite_find(suite, dataset, id, &out->at);
    if (!known || sample < 0 || sample > 4095 || !mode || !xr_answer_mode_find(mode, &out->mode)) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: is no answer to an item of this run (dataset %s, id %s)", json->name,
                       dataset ? dataset : "?", id ? id : "?");
    }
    *key = strtoull(text, NULL, 16);
    out->sample = (int)sample;
    if (!read_verdict(out, json, err) || !read_lengths(out, json, err)) return false;
    XrBuffer scratch = {0};
    size_t bytes = 0;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json->root, "extracted");
    const char *found = cJSON_IsString(value) ? xr_json_string(json, value, &scratch, &bytes) : "";
    out->extracted = xr_strndup(found, bytes);
    xr_buffer_free(&scratch);
    return true;
}

// ---- which answers are there ----

static uint8_t bits_of(XrAnswerMode mode) {
    return mode == XR_MODE_FREE ? 1 : mode == XR_MODE_BUDGET ? 2 : 3;
}

static uint8_t bits_wanted(const XrRunConfig *c) {
    if (c->responses) return 1;
    return c->compare_forced_exit ? 3 : c->think_budget >= 0 ? 2 : 1;
}

static uint8_t *seen_of(const XrJournal *j, const XrAsked *asked, int sample) {
    return &j->seen[(asked - j->list->items) * j->config->num_generations + sample];
}

static void mark(XrJournal *j, const XrAsked *asked, int sample, XrAnswerMode mode) {
    uint8_t *seen = seen_of(j, asked, sample), wanted = bits_wanted(j->config);
    *seen |= bits_of(mode);
    asked->done[sample] = (*seen & wanted) == wanted;
}

static bool take_line(XrJournal *j, const XrJson *json, XrError *err) {
    XrAnswer answer;
    uint64_t key = 0;
    if (!xr_journal_parse(&answer, &key, json, j->suite, err)) return false;
    const XrAsked *asked = xr_asked_find(j->list, answer.at);
    bool same = asked && asked->key == key && answer.sample < j->config->num_generations;
    if (same) {
        mark(j, asked, answer.sample, answer.mode);
        xr_answers_add(&j->answers, answer);
        return true;
    }
    free(answer.extracted);
    return xr_fail(err, XR_ERR_INPUT,
                   "%s: the answer is to another question than the data and the settings now give; "
                   "put model and data back, or start another run",
                   json->name);
}

// Reads whole lines; *keep receives their length. A last line without its end is not one.
static bool read_back(XrJournal *j, const char *path, int64_t *keep, XrError *err) {
    FILE *file = fopen(path, "re");
    XrBuffer line = {0};
    bool ok = true;
    *keep = 0;
    for (int64_t number = 1; ok && file; number++) {
        int got = xr_read_line(file, MOST_LINE_BYTES, &line, err);
        if (got < 0) ok = xr_fail_in(err, "%s:%" PRId64, path, number);
        int64_t at = got > 0 ? (int64_t)ftello(file) : *keep;
        if (got <= 0 || at != *keep + (int64_t)line.length + 1) break;
        char name[1200];
        XrJson json;
        snprintf(name, sizeof name, "%s:%" PRId64, path, number);
        ok = xr_json_parse(&json, name, line.data, line.length, &XR_JSON_SMALL, err);
        if (!ok) break;
        ok = take_line(j, &json, err);
        xr_json_free(&json);
        *keep = at;
    }
    if (file) fclose(file);
    xr_buffer_free(&line);
    return ok;
}

bool xr_journal_open(XrJournal *out, const char *folder, bool resume, const XrSuite *suite,
                     XrAskedList *list, const XrRunConfig *config, XrError *err) {
    *out = (XrJournal){.suite = suite, .list = list, .config = config};
    out->seen = xr_calloc((size_t)(list->count * config->num_generations) + 1, 1);
    char *path = xr_path_join(folder, "samples.jsonl");
    int64_t keep = 0;
    bool ok = (!resume || read_back(out, path, &keep, err)) &&
              xr_line_file_open(&out->file, path, keep, err);
    free(path);
    if (!ok) xr_journal_close(out);
    if (ok) out->sync = xr_file_sync_create(fileno(out->file.file));
    return ok;
}

void xr_journal_close(XrJournal *journal) {
    xr_file_sync_free(journal->sync);
    xr_line_file_close(&journal->file);
    xr_answers_free(&journal->answers);
    free(journal->seen);
    *journal = (XrJournal){0};
}

static bool check_sync(const XrJournal *j, int failure, XrError *err) {
    return !failure || xr_fail(err, XR_ERR_IO, "%s: cannot be brought to the disk: %s",
                               j->file.path, strerror(failure));
}

bool xr_journal_add(XrJournal *j, XrJudge *judge, const XrAsked *asked,
                    const XrGenerated *generated, int count, bool starts_in_thinking,
                    XrError *err) {
    XrBuffer lines = {0};
    for (int i = 0; i < count; i++) {
        const XrGenerated *g = &generated[i];
        if (*seen_of(j, asked, g->sample) & bits_of(g->mode)) continue;
        XrAnswer answer = {.at = asked->at, .sample = g->sample, .mode = g->mode};
        answer.tokens = g->tokens;
        for (int64_t t = 0; g->forced && t < g->tokens; t++) answer.forced |= g->forced[t];
        if (lines.length) xr_buffer_byte(&lines, '\n');
        xr_answer_begin(&lines, asked, g);
        xr_answer_judge(&lines, &answer, judge, asked->item, xr_span(g->text, g->text_bytes),
                        g->truncated, starts_in_thinking);
        xr_answers_add(&j->answers, answer);
        mark(j, asked, g->sample, g->mode);
    }
    bool ok = !lines.length || xr_line_file_append(&j->file, lines.data, lines.length, err);
    if (ok && lines.length) ok = check_sync(j, xr_file_sync_start(j->sync), err);
    xr_buffer_free(&lines);
    return ok;
}

bool xr_journal_settle(XrJournal *journal, XrError *err) {
    return check_sync(journal, xr_file_sync_wait(journal->sync), err);
}
