#include "shared/report/run_data.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINE_BYTES = 64 << 20 };

static XrSeries *series_for(XrRunData *data, const char *name) {
    for (int i = 0; i < data->series_count; i++) {
        if (strcmp(data->series[i].name, name) == 0) return &data->series[i];
    }
    size_t bytes = sizeof *data->series * ((size_t)data->series_count + 1);
    data->series = xr_realloc(data->series, bytes);
    XrSeries *series = &data->series[data->series_count++];
    *series = (XrSeries){.name = xr_strdup(name)};
    return series;
}

static void add_point(XrSeries *s, double step, double value) {
    if ((s->count & (s->count - 1)) == 0) { // full: the room doubles at each power of two
        size_t room = s->count ? 2 * (size_t)s->count : 1;
        s->step = xr_realloc(s->step, room * sizeof *s->step);
        s->value = xr_realloc(s->value, room * sizeof *s->value);
    }
    s->step[s->count] = step;
    s->value[s->count++] = value;
}

// One line of metrics.jsonl: {"step": N, "loss": X, ...}.
static void add_metrics(XrRunData *data, const XrBuffer *line) {
    XrJson json;
    data->metric_rows++;
    if (!xr_json_parse(&json, "metrics", line->data, line->length, &XR_JSON_SMALL, NULL)) {
        data->odd_rows++;
        return;
    }
    const cJSON *step = cJSON_GetObjectItemCaseSensitive(json.root, "step"), *item;
    if (!cJSON_IsNumber(step)) data->odd_rows++;
    cJSON_ArrayForEach(item, json.root) {
        if (!cJSON_IsNumber(step) || item == step || !cJSON_IsNumber(item)) continue;
        if (!isfinite(item->valuedouble)) continue;
        add_point(series_for(data, item->string), step->valuedouble, item->valuedouble);
    }
    xr_json_free(&json);
}

// Keeps the last `most` lines, in order.
static void add_sample(XrRunData *data, const XrBuffer *line, int most) {
    data->sample_rows++;
    if (most == 0) return;
    if (data->sample_count == most) {
        free(data->samples[0]);
        memmove(data->samples, data->samples + 1, sizeof *data->samples * (size_t)(most - 1));
        data->sample_count--;
    }
    data->samples[data->sample_count++] = xr_strndup(line->data, line->length);
}

static bool read_lines(XrRunData *data, const char *name, int most_samples, bool *found,
                       XrError *err) {
    char *path = xr_path_join(data->folder, name);
    FILE *file = fopen(path, "re");
    *found = file != NULL;
    int got = 0;
    XrBuffer line = {0};
    while (file && (got = xr_read_line(file, MOST_LINE_BYTES, &line, err)) > 0) {
        if (strcmp(name, "samples.jsonl") == 0)
            add_sample(data, &line, most_samples);
        else
            add_metrics(data, &line);
    }
    if (got < 0) xr_fail_in(err, "%s", path);
    if (file) fclose(file);
    xr_buffer_free(&line);
    free(path);
    return got >= 0;
}

// A JSON file that need not be there.
static bool read_optional(XrJson *out, const char *folder, const char *name, XrError *err) {
    char *path = xr_path_join(folder, name);
    bool ok = !xr_path_exists(path) || xr_json_read_file(out, path, &XR_JSON_SMALL, err);
    free(path);
    return ok;
}

bool xr_run_is_eval(const XrRunData *data) {
    const char *command =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data->config.root, "command"));
    return command && strcmp(command, "eval") == 0;
}

static char *last_part(const char *folder) {
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') length--;
    size_t begin = length;
    while (begin > 0 && folder[begin - 1] != '/') begin--;
    return begin < length ? xr_strndup(folder + begin, length - begin) : xr_strdup(folder);
}

bool xr_run_data_read(XrRunData *out, const char *folder, int most_samples, XrError *err) {
    *out = (XrRunData){.folder = xr_strdup(folder), .name = last_part(folder)};
    bool metrics = false, curve = false, samples = false;
    bool ok = read_optional(&out->config, folder, "config.json", err);
    if (most_samples < 0) most_samples = ok && xr_run_is_eval(out) ? 2000 : 100;
    out->samples = xr_calloc((size_t)most_samples + 1, sizeof *out->samples);
    ok = ok && read_optional(&out->summary, folder, "summary.json", err) &&
         read_lines(out, "metrics.jsonl", most_samples, &metrics, err) &&
         read_lines(out, "curve.jsonl", most_samples, &curve, err) &&
         read_lines(out, "samples.jsonl", most_samples, &samples, err);
    if (ok && !metrics && !samples) {
        ok = xr_fail(err, XR_ERR_INPUT,
                     "%s: holds neither metrics.jsonl nor samples.jsonl; a run's "
                     "folder is needed",
                     folder);
    }
    if (!ok) xr_run_data_free(out);
    return ok;
}

void xr_run_data_free(XrRunData *data) {
    for (int i = 0; i < data->series_count; i++) {
        free(data->series[i].name);
        free(data->series[i].step);
        free(data->series[i].value);
    }
    for (int i = 0; i < data->sample_count; i++) free(data->samples[i]);
    free(data->series);
    free(data->samples);
    xr_json_free(&data->config);
    xr_json_free(&data->summary);
    free(data->folder);
    free(data->name);
    *data = (XrRunData){0};
}

const XrSeries *xr_run_series(const XrRunData *data, const char *name) {
    for (int i = 0; i < data->series_count; i++) {
        if (strcmp(data->series[i].name, name) == 0) return &data->series[i];
    }
    return NULL;
}
