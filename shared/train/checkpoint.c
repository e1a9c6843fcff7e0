#include "shared/train/checkpoint.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/train/checkpoint_tensors.h"
#include "shared/train/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char STATE_FILE[] = "trainer_state.json", PREFIX[] = "checkpoint-";

void xr_checkpoint_info_free(XrCheckpointInfo *info) {
    for (int i = 0; i < info->file_count; i++) free(info->files[i].name);
    free(info->files);
    xr_buffer_free(&info->extra);
    *info = (XrCheckpointInfo){0};
}

void xr_checkpoint_add_file(XrCheckpointInfo *info, const char *name, uint64_t hash) {
    info->files = xr_realloc(info->files, ((size_t)info->file_count + 1) * sizeof *info->files);
    info->files[info->file_count++] = (XrFingerprint){xr_strdup(name), hash};
}

// ---- finding and removing ----

// N of "checkpoint-N"; -1 for other names.
static int64_t step_of(const char *name) {
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0) return -1;
    const char *digits = name + sizeof PREFIX - 1;
    size_t count = strspn(digits, "0123456789");
    return count && count < 18 && !digits[count] ? strtoll(digits, NULL, 10) : -1;
}

// The steps of all complete checkpoints, in rising order; to be freed.
static int64_t *list_steps(const char *run, int *count) {
    DIR *handle = opendir(run);
    int64_t *steps = NULL;
    *count = 0;
    for (struct dirent *entry; handle && (entry = readdir(handle));) {
        int64_t step = step_of(entry->d_name);
        if (step < 0) continue;
        XrBuffer path = {0};
        xr_buffer_format(&path, "%s/%s/%s", run, entry->d_name, STATE_FILE);
        bool complete = xr_path_exists(path.data);
        xr_buffer_free(&path);
        if (!complete) continue;
        steps = xr_realloc(steps, ((size_t)*count + 1) * sizeof *steps);
        int at = (*count)++;
        for (; at > 0 && steps[at - 1] > step; at--) steps[at] = steps[at - 1];
        steps[at] = step;
    }
    if (handle) closedir(handle);
    return steps;
}

static char *path_of(const char *run, const char *prefix, int64_t step, const char *suffix) {
    XrBuffer path = {0};
    xr_buffer_format(&path, "%s/%s%s%lld%s", run, prefix, PREFIX, (long long)step, suffix);
    return path.data;
}

char *xr_checkpoint_newest(const char *run) {
    int count;
    int64_t *steps = list_steps(run, &count);
    char *path = count ? path_of(run, "", steps[count - 1], "") : NULL;
    free(steps);
    return path;
}

// A checkpoint loses its name before its files, so that no half of one is ever taken for a whole.
static void remove_old(const char *run, int64_t keep) {
    int count;
    int64_t *steps = list_steps(run, &count);
    for (int i = 0; keep > 0 && i < count - keep; i++) {
        char *path = path_of(run, "", steps[i], ""), *away = path_of(run, ".", steps[i], ".old");
        xr_remove_folder(away);
        if (rename(path, away) == 0) xr_remove_folder(away);
        free(path);
        free(away);
    }
    free(steps);
}

// ---- trainer_state.json ----

static bool write_info(const char *folder, const XrCheckpointInfo *info, const XrTrainState *state,
                       XrError *err) {
    XrBuffer text = {0};
    xr_buffer_format(&text,
                     "{\n  \"step\": %" PRId64 ",\n  \"optimizer_steps\": %" PRId64
                     ",\n  \"skipped_steps\": %" PRId64 ",\n  \"epoch\": %" PRId64
                     ",\n  \"epoch_step\": %" PRId64 ",\n  \"num_tokens\": %" PRId64
                     ",\n  \"metrics_bytes\": %" PRId64 ",\n  \"samples_bytes\": %" PRId64
                     ",\n  \"ranks\": %d,\n  \"files\": {",
                     info->step, state->step, state->skipped, info->epoch, info->epoch_step,
                     info->num_tokens, info->metrics_bytes, info->samples_bytes, state->comm->size);
    for (int i = 0; i < info->file_count; i++) {
        xr_buffer_text(&text, i ? ",\n    " : "\n    ");
        xr_buffer_json(&text, info->files[i].name, strlen(info->files[i].name));
        xr_buffer_format(&text, ": \"%016" PRIx64 "\"", info->files[i].hash);
    }
    xr_buffer_format(&text, "\n  },\n  \"extra\": %s\n}\n",
                     info->extra.length ? info->extra.data : "{}");
    char *path = xr_path_join(folder, STATE_FILE);
    bool ok = xr_file_write(path, text.data, text.length, err);
    free(path);
    xr_buffer_free(&text);
    return ok;
}

static bool check_files(const XrJson *json, const XrCheckpointInfo *now, XrError *err) {
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(json->root, "files");
    for (int i = 0; i < now->file_count; i++) {
        const XrFingerprint *file = &now->files[i];
        const char *then =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(files, file->name));
        char hash[20];
        snprintf(hash, sizeof hash, "%016" PRIx64, file->hash);
        if (then && strcmp(then, hash) == 0) continue;
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: %s since %s was written; a resumed run must see the same data: put the "
                       "old file back, or start another run",
                       file->name, then ? "has changed" : "was not used", json->name);
    }
    return true;
}

static bool read_info(const XrJson *json, XrCheckpointInfo *info, XrTrainState *state,
                      int64_t *ranks, XrError *err) {
    const struct {
        const char *key;
        int64_t *value;
    } keys[] = {
        {"step", &info->step},
        {"optimizer_steps", &state->step},
        {"skipped_steps", &state->skipped},
        {"epoch", &info->epoch},
        {"epoch_step", &info->epoch_step},
        {"num_tokens", &info->num_tokens},
        {"metrics_bytes", &info->metrics_bytes},
        {"samples_bytes", &info->samples_bytes},
        {"ranks", ranks},
    };
    for (size_t i = 0; i < XR_COUNT(keys); i++) {
        if (!xr_json_need_int(json, json->root, keys[i].key, keys[i].value, err)) return false;
        if (*keys[i].value < 0) {
            return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" is negative; the checkpoint is damaged",
                           json->name, keys[i].key);
        }
    }
    const cJSON *extra = cJSON_GetObjectItemCaseSensitive(json->root, "extra");
    char *printed = cJSON_IsObject(extra) ? cJSON_PrintUnformatted(extra) : NULL;
    xr_buffer_clear(&info->extra);
    if (printed) xr_buffer_text(&info->extra, printed);
    cJSON_free(printed);
    return check_files(json, info, err);
}

// ---- writing and reading ----

static bool fail_rename(const char *path, XrError *err) {
    return xr_fail(err, XR_ERR_IO, "%s: cannot put the checkpoint in place: %s", path,
                   strerror(errno));
}

// Files are on the disk already; renames become so by their folder.
static void sync_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

// Whether all ranks succeeded; each knows of its own failure already.
static bool all_ranks(XrComm *comm, bool ok, XrError *err) {
    int64_t failures = ok ? 0 : 1;
    XrError other = {0};
    if (!comm->sum_i64(comm, &failures, 1, &other)) {
        if (ok) *err = other;
        return false;
    }
    if (ok && failures) xr_fail(err, XR_ERR_IO, "another rank could not write its checkpoint");
    return failures == 0;
}

bool xr_checkpoint_write(const char *run, const XrCheckpointInfo *info, const XrTrainState *state,
                         int64_t keep, XrError *err) {
    XrComm *comm = state->comm;
    bool first = comm->rank == 0, ok = true;
    char *temporary = path_of(run, ".", info->step, ".new"),
         *path = path_of(run, "", info->step, "");
    if (first) {
        xr_remove_folder(temporary);
        ok = xr_make_folders(temporary, err);
    }
    ok = all_ranks(comm, ok, err) && xr_checkpoint_tensors_write(temporary, state, err);
    ok = all_ranks(comm, ok, err);
    if (ok && first) {
        ok = write_info(temporary, info, state, err);
        if (ok) sync_folder(temporary);
        if (ok && rename(temporary, path) != 0) ok = fail_rename(path, err);
        if (ok) sync_folder(run);
        if (ok) remove_old(run, keep);
    }
    if (!ok && first) xr_remove_folder(temporary);
    ok = all_ranks(comm, ok, err);
    if (!ok) xr_fail_in(err, "checkpoint at step %lld", (long long)info->step);
    free(temporary);
    free(path);
    return ok;
}

bool xr_checkpoint_read(const char *path, XrCheckpointInfo *info, XrTrainState *state,
                        XrError *err) {
    char *name = xr_path_join(path, STATE_FILE);
    XrJson json = {0};
    int64_t ranks = 0;
    bool ok = xr_json_read_file(&json, name, &XR_JSON_SMALL, err) &&
              read_info(&json, info, state, &ranks, err) &&
              xr_checkpoint_tensors_read(path, ranks, state, err) && xr_train_gather(state, err);
    xr_json_free(&json);
    free(name);
    return ok;
}
