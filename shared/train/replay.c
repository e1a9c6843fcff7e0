#include "shared/train/replay.h"

#include "shared/base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// The line that is being read.
typedef struct Line {
    const XrJson *json;
    int64_t vocab, step;
    const char *id;
    int32_t *prompt;
    int64_t prompt_count;
    XrRollout rollout;
} Line;

static const cJSON *get(const Line *line, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(line->json->root, key);
    return cJSON_IsNull(value) ? NULL : value;
}

static bool wrong(const Line *line, const char *key, const char *wanted, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" must be %s", line->json->name, key, wanted);
}

// A list of at least one id of the model.
static bool read_ids(const Line *line, const char *key, int32_t **out, int64_t *count,
                     XrError *err) {
    const cJSON *list = get(line, key), *item;
    if (!cJSON_IsArray(list) || !list->child) return wrong(line, key, "a list of token ids", err);
    *out = xr_malloc(sizeof **out * (size_t)cJSON_GetArraySize(list));
    *count = 0;
    cJSON_ArrayForEach(item, list) {
        int64_t id;
        if (!xr_json_whole(item, &id) || id < 0 || id >= line->vocab) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: \"%s\"[%" PRId64 "] is no id of the model, which has %" PRId64,
                           line->json->name, key, *count, line->vocab);
        }
        (*out)[(*count)++] = (int32_t)id;
    }
    return true;
}

static bool read_forced(Line *line, XrError *err) {
    static const char wanted[] = "a list of [begin, end) ranges of \"token_ids\"";
    XrRollout *r = &line->rollout;
    const cJSON *list = get(line, "forced"), *item;
    r->forced = xr_calloc((size_t)r->count, 1);
    if (!list) return true;
    if (!cJSON_IsArray(list)) return wrong(line, "forced", wanted, err);
    cJSON_ArrayForEach(item, list) {
        int64_t begin, end;
        if (cJSON_GetArraySize(item) != 2 || !xr_json_whole(item->child, &begin) ||
            !xr_json_whole(item->child->next, &end) || begin < 0 || end < begin || end > r->count) {
            return wrong(line, "forced", wanted, err);
        }
        memset(r->forced + begin, 1, (size_t)(end - begin));
    }
    return true;
}

// A number for each token; null only where the token was forced.
static bool read_logprobs(Line *line, XrError *err) {
    XrRollout *r = &line->rollout;
    const cJSON *list = get(line, "logprobs"), *item;
    if (!list) return true;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != r->count) {
        return wrong(line, "logprobs", "a list of one number for each of \"token_ids\"", err);
    }
    r->logprobs = xr_malloc(sizeof *r->logprobs * (size_t)r->count);
    int64_t at = 0;
    cJSON_ArrayForEach(item, list) {
        bool number = cJSON_IsNumber(item) && item->valuedouble <= 0;
        if (!number && !(cJSON_IsNull(item) && r->forced[at])) {
            return wrong(line, "logprobs", "numbers of at most 0", err);
        }
        r->logprobs[at++] = number ? (float)item->valuedouble : NAN;
    }
    return true;
}

static bool read_score(Line *line, XrError *err) {
    const cJSON *score = get(line, "score"), *reward = get(line, "reward");
    XrRollout *r = &line->rollout;
    if (!score && !reward) return wrong(line, "score", "there", err);
    if (!xr_json_get_double(line->json, line->json->root, "score", &r->score, err)) return false;
    r->reward = r->score;
    if (!xr_json_get_double(line->json, line->json->root, "reward", &r->reward, err)) return false;
    r->reward = (double)(float)r->reward;
    return true;
}

static bool copy_text(const Line *line, const char *key, char **out, XrError *err) {
    const char *text = "";
    if (!xr_json_get_text(line->json, line->json->root, key, &text, err)) return false;
    *out = xr_strdup(text);
    return true;
}

// The same for a text that may hold NULs.
static bool copy_bytes(const Line *line, const char *key, char **out, size_t *bytes, XrError *err) {
    const cJSON *value = get(line, key);
    XrBuffer scratch = {0};
    if (!value || !cJSON_IsString(value)) {
        *bytes = 0;
        return copy_text(line, key, out, err);
    }
    const char *text = xr_json_string(line->json, value, &scratch, bytes);
    *out = xr_strndup(text, *bytes);
    xr_buffer_free(&scratch);
    return true;
}

static bool read_rollout(Line *line, XrError *err) {
    XrRollout *r = &line->rollout;
    int64_t sample = 0;
    if (!read_ids(line, "token_ids", &r->ids, &r->count, err) || !read_forced(line, err) ||
        !read_logprobs(line, err) || !read_score(line, err) ||
        !copy_text(line, "finish_reason", &r->finish, err) ||
        !copy_text(line, "verdict", &r->verdict, err) ||
        !copy_text(line, "extracted", &r->extracted, err) ||
        !copy_bytes(line, "response", &r->text, &r->text_bytes, err) ||
        !xr_json_get_int(line->json, line->json->root, "sample", &sample, err)) {
        return false;
    }
    r->sample = (int)sample;
    r->truncated = strcmp(r->finish, "length") == 0;
    return xr_json_get_bool(line->json, line->json->root, "truncated", &r->truncated, err);
}

static bool read_line(Line *line, XrError *err) {
    line->id = "";
    return (cJSON_IsObject(line->json->root) ||
            xr_fail(err, XR_ERR_INPUT, "%s: must be a JSON object", line->json->name)) &&
           xr_json_get_int(line->json, line->json->root, "step", &line->step, err) &&
           xr_json_get_text(line->json, line->json->root, "id", &line->id, err) &&
           read_ids(line, "prompt_ids", &line->prompt, &line->prompt_count, err) &&
           read_rollout(line, err);
}

static bool same_group(const XrRolloutGroup *g, const Line *line) {
    return strcmp(g->id, line->id) == 0 && g->prompt_count == line->prompt_count &&
           memcmp(g->prompt, line->prompt, sizeof *g->prompt * (size_t)g->prompt_count) == 0;
}

// Starts a new group with the line's prompt, and with `batch` a new batch.
static bool add_group(XrReplay *out, Line *line, bool batch, XrError *err) {
    size_t groups = (size_t)out->group_count + 1;
    char *gold;
    if (!copy_text(line, "gold", &gold, err)) return false;
    out->groups = xr_realloc(out->groups, sizeof *out->groups * groups);
    out->begin = xr_realloc(out->begin, sizeof *out->begin * (groups + 1));
    if (batch) out->begin[out->batches++] = out->group_count;
    out->groups[out->group_count++] = (XrRolloutGroup){.id = xr_strdup(line->id),
                                                       .gold = gold,
                                                       .prompt = line->prompt,
                                                       .prompt_count = line->prompt_count};
    out->begin[out->batches] = out->group_count;
    line->prompt = NULL;
    return true;
}

static bool add_line(XrReplay *out, Line *line, int64_t *step, XrError *err) {
    XrRolloutGroup *g = out->group_count ? &out->groups[out->group_count - 1] : NULL;
    bool batch = !g || *step != line->step;
    out->longest = XR_MAX(out->longest, line->prompt_count + line->rollout.count);
    *step = line->step;
    if ((batch || !same_group(g, line)) && !add_group(out, line, batch, err)) return false;
    g = &out->groups[out->group_count - 1];
    g->rollouts = xr_realloc(g->rollouts, sizeof *g->rollouts * ((size_t)g->count + 1));
    g->rollouts[g->count++] = line->rollout;
    line->rollout = (XrRollout){0};
    return true;
}

bool xr_replay_open(XrReplay *out, const char *path, int64_t vocab, XrError *err) {
    XrRows rows;
    int64_t step = -1;
    *out = (XrReplay){0};
    if (!xr_rows_open(&rows, path, err)) return false;
    out->hash = rows.hash;
    bool ok = true;
    for (int64_t i = 0; ok && i < rows.count; i++) {
        XrJson json;
        ok = xr_rows_parse(&rows, i, &json, err);
        if (!ok) break;
        Line line = {.json = &json, .vocab = vocab, .step = -1};
        ok = read_line(&line, err) && add_line(out, &line, &step, err);
        free(line.prompt);
        XrRolloutGroup rest = {.rollouts = xr_calloc(1, sizeof(XrRollout)), .count = 1};
        rest.rollouts[0] = line.rollout;
        xr_rollout_group_free(&rest);
        xr_json_free(&json);
    }
    xr_rows_close(&rows);
    if (ok && !out->batches) ok = xr_fail(err, XR_ERR_INPUT, "%s: holds no rollouts", path);
    if (!ok) xr_replay_close(out);
    return ok;
}

void xr_replay_close(XrReplay *replay) {
    for (int i = 0; i < replay->group_count; i++) xr_rollout_group_free(&replay->groups[i]);
    free(replay->groups);
    free(replay->begin);
    *replay = (XrReplay){0};
}
