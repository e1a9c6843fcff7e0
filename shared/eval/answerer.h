// Who answers: a model in the engine, or a server. Both hand over answers as they come.
#ifndef XR_EVAL_ANSWERER_H
#define XR_EVAL_ANSWERER_H

#include "shared/eval/answer.h"
#include "shared/prompt/chat_model.h"

// Where answers go. A false ends the run with its error.
typedef struct XrAnswerSink {
    void *context;
    // All samples of a question: one entry a sample, two where it went on beside its forced exit.
    // Samples that were done before may be among them.
    bool (*answered)(void *context, const XrAsked *asked, const XrGenerated *generated, int count,
                     XrError *err);
    // A question that cannot be asked, and why.
    void (*left_out)(void *context, const XrAsked *asked, const char *reason);
} XrAnswerSink;

typedef struct XrAnswerer XrAnswerer;

struct XrAnswerer {
    // Appends what tells this model from another, as text.
    bool (*identify)(const XrAnswerer *self, XrBuffer *out, XrError *err);
    // Answers the questions that have samples not done, in the order of the list. What is answered
    // depends on neither their order, nor on how many are answered at a time, nor on threads. Ends
    // early with XR_ERR_INTERRUPTED after an interrupt.
    bool (*run)(XrAnswerer *self, const XrAskedList *list, const XrAnswerSink *sink, XrError *err);
    void (*close)(XrAnswerer *self);
};

// The model folder model_name_or_path in the engine. `config` and `asking` must outlive it.
XrAnswerer *xr_engine_answerer_open(const XrRunConfig *config, const XrAsking *asking,
                                    XrBackend *backend, XrError *err);
// The model model_name_or_path of the OpenAI-compatible server at `endpoint`.
XrAnswerer *xr_endpoint_answerer_open(const XrRunConfig *config, XrError *err);

// The samples of a question that are not done: the first, and how many from it to the last.
static inline int xr_asked_missing(const XrAsked *asked, int samples, int *first) {
    int begin = 0, end = samples;
    while (begin < end && asked->done[begin]) begin++;
    while (end > begin && asked->done[end - 1]) end--;
    *first = begin;
    return end - begin;
}

#endif
