// A run's configuration: RUN.json, then key=value arguments, over the defaults of run_keys.h.
#ifndef XR_TRAIN_RUN_CONFIG_H
#define XR_TRAIN_RUN_CONFIG_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/train/run_keys.h"

#include <stdint.h>
#include <stdio.h>

typedef struct XrDatasetSpec {
    char *path;    // a file
    char *format;  // see docs/training.md; "auto": by what the first row looks like
    int64_t limit; // rows taken, 0: all
    int64_t skip;  // rows left out at the start
    char *images;  // of benchmarks: the folder that paths of pictures start from; NULL: the file's
} XrDatasetSpec;

typedef struct XrDatasetList {
    XrDatasetSpec *items;
    int count;
} XrDatasetList;

#define XR_RUN_TEXT_FIELD(name, commands, value, choices, help) char *name;
#define XR_RUN_INT_FIELD(name, commands, value, grpo, least, most, help) int64_t name;
#define XR_RUN_REAL_FIELD(name, commands, value, grpo, least, most, help) double name;
#define XR_RUN_BOOL_FIELD(name, commands, value, help) bool name;

// One field a key, under the key's name; strings are owned and NULL where there is no value.
typedef struct XrRunConfig {
    int command; // XR_RUN_SFT, ...
    XR_RUN_KEYS(XR_RUN_TEXT_FIELD, XR_RUN_INT_FIELD, XR_RUN_REAL_FIELD, XR_RUN_BOOL_FIELD)
    XrDatasetList train_dataset, eval_dataset, fewshot_dataset;
} XrRunConfig;

// The defaults of a command.
void xr_run_config_init(XrRunConfig *config, int command);
void xr_run_config_free(XrRunConfig *config);

// Reads RUN.json over what `config` holds. Unknown keys (with the nearest known one), keys of
// another command, wrong types and values out of range are errors.
bool xr_run_config_read(XrRunConfig *config, const char *path, XrError *err);
// "key=value"; the value is JSON, or a bare text for a text key.
bool xr_run_config_set(XrRunConfig *config, const char *assignment, XrError *err);

// The resolved configuration as a JSON object, every key of the command.
void xr_run_config_json(const XrRunConfig *config, XrBuffer *out);
// Every key of the command with its value, its default where that is another, and its meaning, for
// --print-config.
void xr_run_config_help(const XrRunConfig *config, FILE *out);

#endif
