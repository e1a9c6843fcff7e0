#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/dataset/rows.h"
#include "shared/eval/asked.h"
#include "shared/eval/journal.h"
#include "shared/eval/outcome.h"
#include "shared/eval/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Judging fields begin here; quotes within texts are escaped, so that it stands nowhere else.
static const char JUDGED[] = ", \"score\": ";

typedef struct Rescore {
    const char *folder;
    XrSuite suite;
    XrAsking asking;
    XrJudge *judge;
    XrAnswers answers;
    XrLeftOuts left_out;
    XrWriter samples, changes;
    int64_t lines, changed, strange;
} Rescore;

static void side_json(XrBuffer *out, const char *key, const XrAnswer *a) {
    xr_buffer_format(out, ", \"%s\": {\"score\": %d, \"verdict\": \"%s\", \"extracted\": ", key,
                     a->score, xr_verdict_name((XrVerdict)a->verdict));
    xr_buffer_json(out, a->extracted, strlen(a->extracted));
    xr_buffer_byte(out, '}');
}

static void note_change(Rescore *r, const XrAnswer *before, const XrAnswer *after) {
    bool same = before->score == after->score && before->verdict == after->verdict &&
                strcmp(before->extracted, after->extracted) == 0;
    if (same) return;
    const XrItem *item = xr_suite_item(&r->suite, after->at);
    XrBuffer line = {0};
    xr_buffer_format(&line, "{\"dataset\": \"%s\", \"id\": ", item->benchmark->name);
    xr_buffer_json(&line, item->id, strlen(item->id));
    xr_buffer_format(&line, ", \"sample\": %d, \"mode\": \"%s\"", after->sample,
                     xr_answer_mode_name(after->mode));
    side_json(&line, "before", before);
    side_json(&line, "after", after);
    xr_buffer_text(&line, "}\n");
    xr_writer_write(&r->changes, line.data, line.length);
    xr_buffer_free(&line);
    r->changed++;
}

static void judge_again(Rescore *r, const XrJson *json, const XrSpan line, XrAnswer *before) {
    XrBuffer scratch = {0}, text = {0};
    size_t bytes = 0;
    const cJSON *response = cJSON_GetObjectItemCaseSensitive(json->root, "response");
    const char *said =
        cJSON_IsString(response) ? xr_json_string(json, response, &scratch, &bytes) : "";
    XrAnswer after = *before;
    after.extracted = NULL;
    size_t end = xr_span_find(line, JUDGED, 0);
    xr_buffer_append(&text, line.data, XR_MIN(end, line.bytes));
    xr_answer_judge(&text, &after, r->judge, xr_suite_item(&r->suite, before->at),
                    xr_span(said, bytes), before->truncated, r->asking.starts_in_thinking);
    xr_buffer_byte(&text, '\n');
    xr_writer_write(&r->samples, text.data, text.length);
    note_change(r, before, &after);
    xr_answers_add(&r->answers, after);
    xr_buffer_free(&scratch);
    xr_buffer_free(&text);
}

static bool rescore_line(Rescore *r, const XrRows *rows, int64_t row, XrError *err) {
    XrSpan line = xr_span((const char *)rows->file.data + rows->begin[row],
                          rows->end[row] - rows->begin[row]);
    XrJson json;
    XrAnswer before;
    uint64_t key;
    if (!xr_rows_parse(rows, row, &json, err)) return false;
    const char *dataset = NULL, *id = NULL;
    XrSuiteRef at;
    bool ok = xr_json_get_text(&json, json.root, "dataset", &dataset, err) &&
              xr_json_get_text(&json, json.root, "id", &id, err);
    bool ours = ok && dataset && id && xr_suite_find(&r->suite, dataset, id, &at) &&
                xr_suite_item(&r->suite, at)->problem == XR_ITEM_USABLE;
    if (ok && !ours) { // not among the chosen items: it stays as it is
        xr_writer_write(&r->samples, line.data, line.bytes);
        xr_writer_write(&r->samples, "\n", 1);
        r->strange++;
    } else if (ok) {
        ok = xr_journal_parse(&before, &key, &json, &r->suite, err);
        if (ok) judge_again(r, &json, line, &before);
        if (ok) free(before.extracted);
    }
    r->lines++;
    xr_json_free(&json);
    return ok;
}

// Questions that could not be asked then cannot be judged now.
static bool read_left_out(Rescore *r, XrError *err) {
    char *path = xr_path_join(r->folder, "left_out.jsonl");
    XrBuffer text = {0};
    bool there = xr_path_exists(path) && xr_file_read(path, (size_t)1 << 30, &text, NULL);
    XrRows rows;
    bool ok = !there || !text.length || xr_rows_open(&rows, path, err);
    for (int64_t i = 0; ok && there && text.length && i < rows.count; i++) {
        XrJson json;
        const char *dataset = NULL, *id = NULL, *problem = "", *reason = "";
        ok = xr_rows_parse(&rows, i, &json, err);
        if (!ok) break;
        ok = xr_json_get_text(&json, json.root, "dataset", &dataset, err) &&
             xr_json_get_text(&json, json.root, "id", &id, err) &&
             xr_json_get_text(&json, json.root, "problem", &problem, err) &&
             xr_json_get_text(&json, json.root, "text", &reason, err);
        XrSuiteRef at;
        bool refused = ok && dataset && id && strcmp(problem, "unanswered") == 0;
        if (refused && xr_suite_find(&r->suite, dataset, id, &at)) {
            xr_left_out_add(&r->left_out, at, reason);
        }
        xr_json_free(&json);
    }
    if (ok && there && text.length) xr_rows_close(&rows);
    xr_buffer_free(&text);
    free(path);
    return ok;
}

static bool open_writer(const Rescore *r, XrWriter *out, const char *name, XrError *err) {
    char *path = xr_path_join(r->folder, name);
    bool ok = xr_writer_open(out, path, err);
    free(path);
    return ok;
}

static bool rescore_lines(Rescore *r, XrError *err) {
    char *path = xr_path_join(r->folder, "samples.jsonl");
    XrRows rows;
    bool ok = xr_rows_open(&rows, path, err);
    free(path);
    if (!ok) return false;
    if (!open_writer(r, &r->samples, "samples.jsonl", err)) {
        xr_rows_close(&rows);
        return false;
    }
    ok = open_writer(r, &r->changes, "rescored.jsonl", err);
    if (!ok) {
        xr_writer_abort(&r->samples);
    } else {
        for (int64_t i = 0; ok && i < rows.count; i++) ok = rescore_line(r, &rows, i, err);
        if (ok) {
            ok = xr_writer_commit(&r->changes, err);
            ok = xr_writer_commit(&r->samples, err) && ok;
        } else {
            xr_writer_abort(&r->changes);
            xr_writer_abort(&r->samples);
        }
    }
    xr_rows_close(&rows);
    return ok;
}

bool xr_eval_rescore(const char *folder, const XrRunConfig *config, XrBuffer *tables,
                     XrError *err) {
    Rescore r = {.folder = folder};
    bool ok = xr_suite_open(&r.suite, config, err) && xr_asking_open(&r.asking, config, err);
    if (ok) r.judge = xr_judge_create(NULL, err);
    ok = ok && r.judge && read_left_out(&r, err) && rescore_lines(&r, err);
    if (ok) {
        char more[128];
        xr_buffer_format(tables,
                         "%" PRId64 " answers judged again, %" PRId64
                         " changed (rescored.jsonl); %" PRId64 " to other items left as they are\n",
                         r.lines - r.strange, r.changed, r.strange);
        snprintf(more, sizeof more, "\"rescored\": %" PRId64 ", \"changed\": %" PRId64,
                 r.lines - r.strange, r.changed);
        ok = xr_outcome_write(folder, config, &r.suite, &r.answers, &r.left_out, r.judge, more,
                              tables, err);
    }
    xr_judge_free(r.judge);
    xr_answers_free(&r.answers);
    xr_left_out_free(&r.left_out);
    xr_asking_close(&r.asking);
    xr_suite_close(&r.suite);
    return ok;
}
