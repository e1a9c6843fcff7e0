// Is this answer right? The front of the verifier, for trainers and evaluation: takes an answer out
// of a response, compares it with the gold answer by kind, and says how the verdict came about.
// docs/verifier.md has the rules. Nothing here aborts or runs long, whatever the texts hold.
#ifndef XR_VERIFY_VERIFY_H
#define XR_VERIFY_VERIFY_H

#include "shared/base/buffer.h"
#include "shared/verify/extract.h"
#include "shared/verify/math.h"
#include "shared/verify/span.h"
#include "shared/verify/verdict.h"

typedef enum XrVerifyKind {
    XR_VERIFY_AUTO, // by the gold answer and the options
    XR_VERIFY_MATH,
    XR_VERIFY_CHOICE,
    XR_VERIFY_TEXT,
} XrVerifyKind;

// "auto", "math", "choice", "text".
const char *xr_verify_kind_name(XrVerifyKind kind);
// Finds the kind of that name; false when there is none.
bool xr_verify_kind_find(const char *name, XrVerifyKind *kind);

enum { XR_VERIFY_MOST_OPTIONS = 26 }; // of a multiple choice question: A to Z

typedef struct XrVerifyOptions {
    XrMathOptions math;
    bool count_thinking;     // where nothing is stated outside thinking, look inside
    bool starts_in_thinking; // responses start inside thinking that the prompt opened
    bool open_answer;        // an <answer> may end with the response
    bool explain;            // fill the results' explanations
} XrVerifyOptions;

// One pair. All texts are the caller's; any may hold NULs and invalid UTF-8.
typedef struct XrVerifyRequest {
    XrSpan gold;
    XrSpan answer; // a bare answer, or a whole response
    bool is_response;
    XrVerifyKind kind;
    XrSpan question;       // may be empty; then restating it is not looked for
    const XrSpan *options; // of a multiple choice question, or NULL
    int option_count;      // at most XR_VERIFY_MOST_OPTIONS
} XrVerifyRequest;

typedef struct XrVerifyResult {
    int score; // 1 where the verdict is equal, else 0
    XrVerdict verdict;
    XrVerifyKind kind;      // what the pair was judged as
    XrExtractMethod method; // how the answer was found
    XrExtractMethod inner;  // how it was found inside a bare answer or an <answer> element
    double microseconds;    // from the request to the verdict
    XrBuffer extracted;     // the answer as it was found
    XrBuffer explanation;   // lines, where asked for
} XrVerifyResult;

// Ready to be reused; frees the texts.
void xr_verify_result_free(XrVerifyResult *result);

// One thread's verifier: contexts and scratch memory.
typedef struct XrVerifier XrVerifier;

// `options` may be NULL (all zero).
XrVerifier *xr_verifier_create(const XrVerifyOptions *options);
void xr_verifier_free(XrVerifier *verifier);

// Judges one pair. `result` must be zero-initialised or hold an earlier result, whose memory is
// used again.
void xr_verify(XrVerifier *verifier, const XrVerifyRequest *request, XrVerifyResult *result);

#endif
