// Evaluation runs in tests: the program with key=value arguments, and what it left behind.
#ifndef XR_TESTS_EVAL_H
#define XR_TESTS_EVAL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <sys/types.h>

// "<scratch>/NAME", to be freed.
char *xr_test_path(const char *name);
// Writes a file of the scratch folder and returns its path, to be freed.
char *xr_test_write(const char *name, const char *text);
// Starts `xreasoner eval output_dir=<folder>` with further arguments, ended by NULL.
pid_t xr_test_eval_start(const char *folder, const char *const *arguments);
// The same to its end; fails the test unless the exit code is `code`.
void xr_test_eval(const char *folder, const char *const *arguments, int code);

// A file of JSON Lines as a list, to be deleted; fails the test where a line is none.
cJSON *xr_test_lines(const char *folder, const char *name);
// The value at a path of keys and indexes separated by '/', "results/0/accuracy/value"; fails the
// test when it is missing.
const cJSON *xr_test_at(const cJSON *json, const char *path);
double xr_test_number(const cJSON *json, const char *path);
const char *xr_test_string(const cJSON *json, const char *path);
// summary.json, to be deleted.
cJSON *xr_test_summary(const char *folder);
// Fails the test unless two runs' samples.jsonl hold the same lines, in whatever order.
void xr_test_same_answers(const char *a, const char *b);

#endif
