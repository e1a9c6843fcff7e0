// A run's folder: config.json, metrics.jsonl, samples.jsonl, checkpoint-N/, model/, summary.json.
// docs/training.md lists what stands in each.
#ifndef XR_TRAIN_RUN_FOLDER_H
#define XR_TRAIN_RUN_FOLDER_H

#include "shared/train/run_config.h"

// A file that whole lines are appended to.
typedef struct XrLineFile {
    FILE *file;
    char *path;
} XrLineFile;

// Opens for appending after the first `keep` bytes; what follows is cut off. A file that is shorter
// is an error; keep 0 makes a new one.
bool xr_line_file_open(XrLineFile *out, const char *path, int64_t keep, XrError *err);
// Appends one line (without its "\n") and flushes it.
bool xr_line_file_append(XrLineFile *lines, const char *text, size_t bytes, XrError *err);
// Brings everything to the disk; *bytes receives the file's length. A closed file has length 0.
bool xr_line_file_sync(XrLineFile *lines, int64_t *bytes, XrError *err);
void xr_line_file_close(XrLineFile *lines);

typedef struct XrRunFolder {
    char *path;
    char *checkpoint; // the newest complete one, NULL: start from the beginning
    int lock;         // file descriptor; another process cannot open the run
} XrRunFolder;

// Makes the folder of a new run and writes config.json, or, with `resume`, opens that of an
// interrupted one: its configuration must be the same but for keys that change no result
// (output_dir, save_steps, save_total_limit, sizes of batches and caches, those of an endpoint); a
// differing one is named otherwise. What killed processes left half-written
// is removed. A new run in a folder that holds one of which anything came is an error; one that
// ended before its first step may be started anew, or resumed, with another configuration.
bool xr_run_folder_open(XrRunFolder *out, const XrRunConfig *config, bool resume, XrError *err);
void xr_run_folder_close(XrRunFolder *folder);

// Tells on stderr where a resumed run goes on.
void xr_run_folder_say_resumed(const XrRunFolder *folder);

// Writes summary.json, which says that the run came to its end, and prints it.
bool xr_run_folder_finish(const XrRunFolder *folder, const XrBuffer *summary, XrError *err);

// Whether the run came to its end: summary.json is written last.
bool xr_run_folder_finished(const XrRunFolder *folder);

// Removes a folder of plain files (and folders of such), as far as it can.
void xr_remove_folder(const char *path);

#endif
