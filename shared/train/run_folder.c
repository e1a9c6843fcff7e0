#include "shared/train/run_folder.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- files of lines ----

static bool fail_errno(XrError *err, const char *what, const char *path) {
    return xr_fail(err, XR_ERR_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

bool xr_line_file_open(XrLineFile *out, const char *path, int64_t keep, XrError *err) {
    *out = (XrLineFile){0};
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        fail_errno(err, "open", path);
        if (fd >= 0) close(fd);
        return false;
    }
    bool ok = info.st_size >= keep ||
              xr_fail(err, XR_ERR_INPUT,
                      "%s: has %lld bytes, but the checkpoint was made when it had %lld; put the "
                      "file back, or start the run again in another folder",
                      path, (long long)info.st_size, (long long)keep);
    ok = ok && ((ftruncate(fd, keep) == 0 && lseek(fd, keep, SEEK_SET) == keep) ||
                fail_errno(err, "cut", path));
    if (ok) out->file = fdopen(fd, "wbe");
    if (!out->file) {
        close(fd);
        return ok && fail_errno(err, "open", path);
    }
    out->path = xr_strdup(path);
    return true;
}

bool xr_line_file_append(XrLineFile *lines, const char *text, size_t bytes, XrError *err) {
    fwrite(text, 1, bytes, lines->file);
    fputc('\n', lines->file);
    if (fflush(lines->file) == 0 && !ferror(lines->file)) return true;
    return fail_errno(err, "write", lines->path);
}

bool xr_line_file_sync(XrLineFile *lines, int64_t *bytes, XrError *err) {
    *bytes = 0;
    if (!lines->file) return true;
    if (fflush(lines->file) != 0 || (fsync(fileno(lines->file)) != 0 && errno != EINVAL)) {
        return fail_errno(err, "write", lines->path);
    }
    *bytes = ftello(lines->file);
    return true;
}

void xr_line_file_close(XrLineFile *lines) {
    if (lines->file) fclose(lines->file);
    free(lines->path);
    *lines = (XrLineFile){0};
}

// ---- the folder ----

void xr_remove_folder(const char *path) {
    DIR *handle = opendir(path);
    for (struct dirent *entry; handle && (entry = readdir(handle));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char *child = xr_path_join(path, entry->d_name);
        struct stat info;
        bool folder = lstat(child, &info) == 0 && S_ISDIR(info.st_mode);
        if (folder)
            xr_remove_folder(child);
        else
            unlink(child);
        free(child);
    }
    if (handle) closedir(handle);
    rmdir(path);
}

// Half-written checkpoints and models, and those on their way out, have names that begin so.
static bool is_leftover(const char *name) {
    return strncmp(name, ".checkpoint-", 12) == 0 || strncmp(name, ".model", 6) == 0;
}

static void remove_leftovers(const char *path) {
    DIR *handle = opendir(path);
    for (struct dirent *entry; handle && (entry = readdir(handle));) {
        const char *mark = strstr(entry->d_name, ".tmp-");
        if (!is_leftover(entry->d_name) && !mark) continue;
        char *child = xr_path_join(path, entry->d_name);
        if (xr_path_is_folder(child))
            xr_remove_folder(child);
        else
            unlink(child);
        free(child);
    }
    if (handle) closedir(handle);
}

static bool holds(const char *folder, const char *name) {
    char *path = xr_path_join(folder, name);
    bool there = xr_path_exists(path);
    free(path);
    return there;
}

static bool lock_folder(XrRunFolder *f, XrError *err) {
    f->lock = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->lock < 0) return fail_errno(err, "open", f->path);
    if (flock(f->lock, LOCK_EX | LOCK_NB) == 0) return true;
    return xr_fail(err, XR_ERR_IO, "%s: another process is running this run", f->path);
}

static bool may_differ(const char *key) {
    static const char *const keys[] = {"output_dir",          "save_steps",     "save_total_limit",
                                       "kv_cache_mb",         "num_concurrent", "max_retries",
                                       "max_batch_sequences", "timeout",        "denominator",
                                       "offload_optimizer"};
    for (size_t i = 0; i < XR_COUNT(keys); i++) {
        if (strcmp(key, keys[i]) == 0) return true;
    }
    return false;
}

static bool same_value(const char *path, const cJSON *old, const cJSON *now, XrError *err) {
    if (cJSON_Compare(old, now, true)) return true;
    char *before = old ? cJSON_PrintUnformatted(old) : NULL;
    char *after = cJSON_PrintUnformatted(now);
    xr_fail(err, XR_ERR_INPUT,
            "%s: the run was started with \"%s\": %.200s, not %.200s; resume it with the same "
            "configuration, or start another run",
            path, now->string, before ? before : "nothing", after ? after : "?");
    cJSON_free(before);
    cJSON_free(after);
    return false;
}

static bool same_config(const char *path, const XrRunConfig *config, XrError *err) {
    XrJson old, now;
    XrBuffer text = {0};
    if (!xr_json_read_file(&old, path, &XR_JSON_SMALL, err)) return false;
    xr_run_config_json(config, &text);
    bool ok = xr_json_parse(&now, "configuration", text.data, text.length, &XR_JSON_SMALL, err);
    for (cJSON *item = ok ? now.root->child : NULL; ok && item; item = item->next) {
        const cJSON *before = cJSON_GetObjectItemCaseSensitive(old.root, item->string);
        ok = may_differ(item->string) || same_value(path, before, item, err);
    }
    xr_json_free(&now);
    xr_json_free(&old);
    xr_buffer_free(&text);
    return ok;
}

// Whether anything came of the run in a folder with a config.json. A run that ended before its
// first step (its data could not be read, say) leaves a configuration and nothing to lose; a
// config.json without "output_dir" is somebody else's.
static bool has_begun(const XrRunFolder *f, const char *config_path) {
    static const char *const results[] = {"metrics.jsonl", "samples.jsonl", "summary.json"};
    for (size_t i = 0; i < XR_COUNT(results); i++) {
        char *path = xr_path_join(f->path, results[i]);
        struct stat info;
        bool any = stat(path, &info) == 0 && info.st_size > 0;
        free(path);
        if (any) return true;
    }
    XrJson old;
    if (f->checkpoint || !xr_json_read_file(&old, config_path, &XR_JSON_SMALL, NULL)) return true;
    bool ours = cJSON_GetObjectItemCaseSensitive(old.root, "output_dir") != NULL;
    xr_json_free(&old);
    return !ours;
}

static bool start_new(const XrRunFolder *f, bool begun, const char *config_path,
                      const XrRunConfig *config, XrError *err) {
    if (begun) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: holds a run already; --resume continues it, or choose another "
                       "output_dir",
                       f->path);
    }
    XrBuffer text = {0};
    xr_run_config_json(config, &text);
    bool ok = xr_file_write(config_path, text.data, text.length, err);
    xr_buffer_free(&text);
    return ok;
}

bool xr_run_folder_open(XrRunFolder *out, const XrRunConfig *config, bool resume, XrError *err) {
    *out = (XrRunFolder){.lock = -1};
    if (!config->output_dir) {
        return xr_fail(err, XR_ERR_INPUT,
                       "\"output_dir\" is missing: say which folder the run is written to");
    }
    if (resume && !holds(config->output_dir, "config.json")) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: there is no run to resume (no config.json); check output_dir, or start "
                       "without --resume",
                       config->output_dir);
    }
    if (!resume && !xr_make_folders(config->output_dir, err)) return false;
    out->path = xr_strdup(config->output_dir);
    char *config_path = xr_path_join(out->path, "config.json");
    bool ok = lock_folder(out, err);
    if (ok) {
        remove_leftovers(out->path);
        out->checkpoint = xr_checkpoint_newest(out->path);
        bool begun = holds(out->path, "config.json") && has_begun(out, config_path);
        ok = begun && resume ? same_config(config_path, config, err)
                             : start_new(out, begun, config_path, config, err);
        if (!begun) { // without a config.json, what looks like a checkpoint is somebody else's
            free(out->checkpoint);
            out->checkpoint = NULL;
        }
    }
    free(config_path);
    if (!ok) xr_run_folder_close(out);
    return ok;
}

void xr_run_folder_say_resumed(const XrRunFolder *folder) {
    if (folder->checkpoint)
        fprintf(stderr, "going on from %s\n", folder->checkpoint);
    else
        fprintf(stderr, "%s: there is no checkpoint yet; starting from the beginning\n",
                folder->path);
}

bool xr_run_folder_finish(const XrRunFolder *folder, const XrBuffer *summary, XrError *err) {
    char *path = xr_path_join(folder->path, "summary.json");
    bool ok = xr_file_write(path, summary->data, summary->length, err);
    if (ok) printf("%s", summary->data);
    free(path);
    return ok;
}

bool xr_run_folder_finished(const XrRunFolder *folder) {
    return holds(folder->path, "summary.json");
}

void xr_run_folder_close(XrRunFolder *folder) {
    if (folder->path && folder->lock >= 0) close(folder->lock);
    free(folder->path);
    free(folder->checkpoint);
    *folder = (XrRunFolder){.lock = -1};
}
