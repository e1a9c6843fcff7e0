// What an evaluation leaves behind when all is answered: summary.json, left_out.jsonl, tables.
#ifndef XR_EVAL_OUTCOME_H
#define XR_EVAL_OUTCOME_H

#include "shared/eval/table.h"

// Computes the tables, writes summary.json and left_out.jsonl into `folder` and appends the
// tables as text. `more` is a beginning of summary.json's keys ("\"time/wall\": 3") or "".
bool xr_outcome_write(const char *folder, const XrRunConfig *config, const XrSuite *suite,
                      XrAnswers *answers, const XrLeftOuts *left_out, XrJudge *judge,
                      const char *more, XrBuffer *text, XrError *err);

#endif
