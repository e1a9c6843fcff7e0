#include "shared/eval/outcome.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void left_out_line(XrBuffer *out, const XrItem *item, const char *problem,
                          const char *text) {
    xr_buffer_format(out, "{\"dataset\": \"%s\", \"id\": ", item->benchmark->name);
    xr_buffer_json(out, item->id, strlen(item->id));
    xr_buffer_text(out, ", \"place\": ");
    xr_buffer_json(out, item->place, strlen(item->place));
    xr_buffer_format(out, ", \"problem\": \"%s\", \"text\": ", problem);
    xr_buffer_json(out, text, strlen(text));
    xr_buffer_text(out, "}\n");
}

// Every chosen item that was not answered because of what it is.
static void left_out_lines(XrBuffer *out, const XrSuite *suite, const XrLeftOuts *left_out) {
    xr_buffer_reserve(out, 1);
    for (int s = 0; s < suite->count; s++) {
        const XrSuiteSet *set = &suite->sets[s];
        for (int64_t i = 0; i < set->items.count; i++) {
            const XrItem *item = &set->items.items[i];
            if (!set->chosen[i] || item->problem == XR_ITEM_USABLE) continue;
            left_out_line(out, item, xr_item_problem_name(item->problem),
                          item->problem_text ? item->problem_text : "");
        }
    }
    for (int64_t i = 0; i < left_out->count; i++) {
        const XrLeftOut *l = &left_out->items[i];
        left_out_line(out, xr_suite_item(suite, l->at), "unanswered", l->reason);
    }
}

static bool write_file(const char *folder, const char *name, const XrBuffer *text, XrError *err) {
    char *path = xr_path_join(folder, name);
    bool ok = xr_file_write(path, text->data ? text->data : "", text->length, err);
    free(path);
    return ok;
}

bool xr_outcome_write(const char *folder, const XrRunConfig *config, const XrSuite *suite,
                      XrAnswers *answers, const XrLeftOuts *left_out, XrJudge *judge,
                      const char *more, XrBuffer *text, XrError *err) {
    XrTables tables;
    XrBuffer lost = {0}, summary = {0};
    bool answered = strcmp(config->denominator, "answered") == 0;
    xr_tables(&tables, suite, answers, answered, judge);
    left_out_lines(&lost, suite, left_out);
    xr_buffer_format(&summary, "{\"command\": \"eval\", \"denominator\": \"%s\"%s%s, \"results\": ",
                     config->denominator, *more ? ", " : "", more);
    xr_tables_json(&summary, &tables, suite, left_out);
    xr_buffer_text(&summary, "}\n");
    bool ok = write_file(folder, "left_out.jsonl", &lost, err) &&
              write_file(folder, "summary.json", &summary, err);
    if (ok) xr_tables_text(text, &tables, suite, left_out);
    xr_buffer_free(&lost);
    xr_buffer_free(&summary);
    xr_tables_free(&tables);
    return ok;
}
