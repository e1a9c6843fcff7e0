#include "shared/demo/score.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/eval/statistics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINE_BYTES = 4096, CACHE_BYTES = 256 << 20 };

const char *xr_demo_cell_name(int cell) {
    static const char *const names[XR_DEMO_CELLS] = {"total, text", "total, pictures",
                                                     "level, text", "level, pictures"};
    XR_REQUIRE(cell >= 0 && cell < XR_DEMO_CELLS, "demo: cell %d", cell);
    return names[cell];
}

const char *xr_demo_decoding_name(XrDemoDecoding decoding) {
    return decoding == XR_DEMO_GREEDY ? "greedy" : "sampled";
}

const char *xr_demo_exit_name(XrDemoExit exit) {
    return exit == XR_DEMO_FREE ? "free" : "forced";
}

XrDemoCell xr_demo_cell(const XrWorldMark *marks, int64_t items) {
    XrDemoCell c = {0};
    double n = (double)items;
    for (int64_t i = 0; i < items; i++) {
        c.right += marks[i].right / n;
        c.tokens += marks[i].tokens / n;
        c.capped += marks[i].capped / n;
        c.open += (marks[i].open && !marks[i].capped) / n;
    }
    XrInterval interval = xr_wilson(c.right, n);
    c.low = interval.low;
    c.high = interval.high;
    return c;
}

void xr_demo_score_init(XrDemoScore *score, int64_t items) {
    *score = (XrDemoScore){.items = items};
    for (int d = 0; d < XR_DEMO_DECODINGS; d++) {
        for (int e = 0; e < XR_DEMO_EXITS; e++) {
            for (int c = 0; c < XR_DEMO_CELLS; c++) {
                score->marks[d][e][c] = xr_calloc((size_t)items, sizeof(XrWorldMark));
            }
        }
    }
}

void xr_demo_score_free(XrDemoScore *score) {
    for (int d = 0; d < XR_DEMO_DECODINGS; d++) {
        for (int e = 0; e < XR_DEMO_EXITS; e++) {
            for (int c = 0; c < XR_DEMO_CELLS; c++) free(score->marks[d][e][c]);
        }
    }
    *score = (XrDemoScore){0};
}

static bool sit_all(XrDemoScore *out, XrEngine *engine, const XrChatModel *model, uint64_t seed,
                    XrError *err) {
    bool ok = true;
    for (int part = 0; ok && part < XR_DEMO_DECODINGS * XR_DEMO_CELLS; part++) {
        int decoding = part / XR_DEMO_CELLS, cell = part % XR_DEMO_CELLS;
        XrWorldPaper paper = {.task = XR_WORLD_FULL,
                              .domain = (XrWorldDomain)(cell / 2),
                              .picture = cell % 2 == 1,
                              .split = XR_WORLD_TEST,
                              .items = out->items,
                              .seed = seed,
                              .temperature = decoding == XR_DEMO_GREEDY ? 0 : XR_DEMO_TEMPERATURE,
                              .think_budget = XR_DEMO_BUDGET,
                              .both = true};
        ok = xr_world_sit(out->marks[decoding][XR_DEMO_FREE][cell],
                          out->marks[decoding][XR_DEMO_FORCED][cell], engine, model, &paper, err);
    }
    return ok;
}

bool xr_demo_score_sit(XrDemoScore *out, XrBackend *backend, const char *folder, int64_t items,
                       uint64_t seed, XrError *err) {
    XrChatModel *model;
    XrEngine *engine = NULL;
    XrBuffer notice = {0};
    XrChatModelOptions options = {.weights = XR_WEIGHTS_F32, .check_finite = true};
    XrEngineConfig config = {.max_sequences = 64, .cache_bytes = CACHE_BYTES};
    bool ok = xr_chat_model_open(&model, backend, folder, &options, &notice, err);
    xr_buffer_free(&notice);
    if (!ok) return false;
    xr_demo_score_init(out, items);
    ok = xr_engine_create(&engine, model->model, model->tokenizer, &config, err) &&
         sit_all(out, engine, model, seed, err);
    if (!ok) xr_demo_score_free(out);
    xr_engine_free(engine);
    xr_chat_model_close(model);
    return ok;
}

// ---- the file ----

// The place of line `row`: decodings, cells in them, items in these.
typedef struct Place {
    int decoding, cell;
    int64_t item;
} Place;

static Place place_of(int64_t row, int64_t items) {
    return (Place){(int)(row / items / XR_DEMO_CELLS), (int)(row / items % XR_DEMO_CELLS),
                   row % items};
}

static void add_mark(XrBuffer *line, XrDemoExit exit, const XrWorldMark *m) {
    xr_buffer_format(line,
                     ", \"%s\": {\"right\": %d, \"capped\": %d, \"open\": %d, \"tokens\": %d}",
                     xr_demo_exit_name(exit), m->right, m->capped, m->open, m->tokens);
}

bool xr_demo_score_write(const XrDemoScore *score, const char *path, XrError *err) {
    XrWriter writer;
    if (!xr_writer_open(&writer, path, err)) return false;
    XrBuffer line = {0};
    for (int64_t row = 0; row < XR_DEMO_DECODINGS * XR_DEMO_CELLS * score->items; row++) {
        Place at = place_of(row, score->items);
        xr_buffer_clear(&line);
        xr_buffer_format(&line, "{\"decoding\": \"%s\", \"cell\": \"%s\", \"item\": %" PRId64,
                         xr_demo_decoding_name((XrDemoDecoding)at.decoding),
                         xr_demo_cell_name(at.cell), at.item);
        for (int e = 0; e < XR_DEMO_EXITS; e++) {
            add_mark(&line, (XrDemoExit)e, &score->marks[at.decoding][e][at.cell][at.item]);
        }
        xr_buffer_text(&line, "}\n");
        xr_writer_write(&writer, line.data, line.length);
    }
    xr_buffer_free(&line);
    return xr_writer_commit(&writer, err);
}

static bool read_mark(XrWorldMark *out, const XrJson *json, XrDemoExit exit, XrError *err) {
    int64_t right = 0, capped = 0, open = 0, tokens = 0;
    const char *name = xr_demo_exit_name(exit);
    const cJSON *mark = cJSON_GetObjectItemCaseSensitive(json->root, name);
    if (!cJSON_IsObject(mark)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" is missing", json->name, name);
    }
    if (!xr_json_need_int(json, mark, "right", &right, err) ||
        !xr_json_need_int(json, mark, "capped", &capped, err) ||
        !xr_json_need_int(json, mark, "open", &open, err) ||
        !xr_json_need_int(json, mark, "tokens", &tokens, err)) {
        return false;
    }
    if (tokens < 0 || tokens > XR_WORLD_MOST_TOKENS) {
        return xr_fail(err, XR_ERR_INPUT, "%s: %" PRId64 " tokens", json->name, tokens);
    }
    *out = (XrWorldMark){right == 1, capped == 1, open == 1, (int32_t)tokens};
    return true;
}

static bool read_line(XrDemoScore *out, const char *path, int64_t row, const XrBuffer *line,
                      XrError *err) {
    Place at = place_of(row, out->items);
    XrBuffer name = {0};
    XrJson json;
    xr_buffer_format(&name, "%s:%" PRId64, path, row + 1);
    bool ok = xr_json_parse(&json, name.data, line->data, line->length, &XR_JSON_SMALL, err);
    if (ok) {
        for (int e = 0; ok && e < XR_DEMO_EXITS; e++) {
            ok =
                read_mark(&out->marks[at.decoding][e][at.cell][at.item], &json, (XrDemoExit)e, err);
        }
        xr_json_free(&json);
    }
    xr_buffer_free(&name);
    return ok;
}

bool xr_demo_score_read(XrDemoScore *out, const char *path, int64_t items, XrError *err) {
    FILE *file = fopen(path, "re");
    if (!file) return xr_fail(err, XR_ERR_IO, "%s: cannot be read", path);
    xr_demo_score_init(out, items);
    XrBuffer line = {0};
    int64_t row = 0, rows = XR_DEMO_DECODINGS * XR_DEMO_CELLS * items;
    int got = 1;
    bool ok = true;
    while (ok && row < rows && (got = xr_read_line(file, MOST_LINE_BYTES, &line, err)) > 0) {
        ok = read_line(out, path, row++, &line, err);
    }
    if (ok && got >= 0 && row < rows) {
        ok = xr_fail(err, XR_ERR_INPUT, "%s: has %" PRId64 " lines, not %" PRId64 "; remove it",
                     path, row, rows);
    }
    fclose(file);
    xr_buffer_free(&line);
    if (ok && got >= 0) return true;
    xr_demo_score_free(out);
    return false;
}
