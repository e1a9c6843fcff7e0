#include "shared/engine/request.h"

#include <stdlib.h>

XrRequest xr_request_default(void) {
    return (XrRequest){
        .samples = 1,
        .sampling = {.top_p = 1, .repetition_penalty = 1},
        .max_new_tokens = 2048,
        .think = {.budget = -1, .answer_budget = -1},
    };
}

XrSampling xr_sampling_of(const XrGenerationConfig *config) {
    XrSampling sampling = {.top_p = 1, .repetition_penalty = (float)config->repetition_penalty};
    if (config->sample) {
        sampling.temperature = (float)config->temperature;
        sampling.top_k = (int32_t)config->top_k;
        sampling.top_p = (float)config->top_p;
    }
    return sampling;
}

const char *xr_finish_name(XrFinish finish) {
    switch (finish) {
    case XR_FINISH_STOP:
        return "stop";
    case XR_FINISH_LENGTH:
        return "length";
    case XR_FINISH_FORCED_EXIT:
        return "forced_exit";
    case XR_FINISH_INTERRUPTED:
        return "interrupted";
    case XR_FINISH_ERROR:
        return "error";
    }
    return "error";
}

static void free_sample(XrSample *s) {
    free(s->ids);
    free(s->logprobs);
    free(s->scaled);
    free(s->forced);
    free(s->text);
}

void xr_response_free(XrResponse *response) {
    if (!response) return;
    for (int i = 0; i < response->count; i++) {
        XrSample *s = &response->samples[i];
        if (s->forced_exit) free_sample(s->forced_exit);
        free(s->forced_exit);
        free_sample(s);
    }
    free(response->samples);
    free(response);
}
