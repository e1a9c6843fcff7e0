// samples.jsonl of an evaluation: appended a question at a time and brought to the disk while the
// next ones are answered, read back by a resumed run.
#ifndef XR_EVAL_JOURNAL_H
#define XR_EVAL_JOURNAL_H

#include "shared/base/file_sync.h"
#include "shared/eval/answer.h"
#include "shared/train/run_folder.h"

// Reads one line (parsed as `json`) into *out; its item must be one of the suite's. *key receives
// the line's key. Errors name what is missing or wrong.
bool xr_journal_parse(XrAnswer *out, uint64_t *key, const XrJson *json, const XrSuite *suite,
                      XrError *err);

typedef struct XrJournal {
    XrLineFile file;
    XrFileSync *sync; // of the file
    const XrSuite *suite;
    const XrRunConfig *config;
    XrAnswers answers; // all of the file
    uint8_t *seen;     // modes that are there, as bits: [by question of the list][sample]
    XrAskedList *list; // whose `done` marks follow
} XrJournal;

// Opens <folder>/samples.jsonl, a new one or, with `resume`, the one that is there: what a killed
// process left half-written at its end is cut off, its answers are read, and the samples of `list`
// that are complete are marked as done. An answer to another question than the list's (other
// settings, changed data) is an error that names its line.
bool xr_journal_open(XrJournal *out, const char *folder, bool resume, const XrSuite *suite,
                     XrAskedList *list, const XrRunConfig *config, XrError *err);
void xr_journal_close(XrJournal *journal);

// Judges the samples of a question that are not there yet and appends them: they outlive this
// process at once, and the machine soon.
bool xr_journal_add(XrJournal *journal, XrJudge *judge, const XrAsked *asked,
                    const XrGenerated *generated, int count, bool starts_in_thinking, XrError *err);
// Waits until all that was appended is on the disk.
bool xr_journal_settle(XrJournal *journal, XrError *err);

#endif
