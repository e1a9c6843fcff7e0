#include "shared/cli/answer.h"

#include "shared/base/buffer.h"
#include "shared/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void xr_answer_start(XrAnswer *a, const XrRequest *request, bool json, double load_seconds) {
    size_t samples = (size_t)request->samples;
    *a = (XrAnswer){.samples = request->samples,
                    .stop_strings = request->stop_strings,
                    .json = json,
                    .load_seconds = load_seconds};
    a->held = xr_calloc(samples, sizeof *a->held);
    a->ended = xr_calloc(samples, sizeof *a->ended);
    a->showing = -1;
}

static void show(const char *text, size_t bytes) {
    fwrite(text, 1, bytes, stdout);
    fflush(stdout);
}

// Goes on to the next sample and shows what it has said so far.
static void show_next(XrAnswer *a) {
    a->showing++;
    if (a->samples > 1) printf("%s--- sample %d\n", a->showing ? "\n" : "", a->showing);
    XrBuffer *held = &a->held[a->showing];
    show(held->data ? held->data : "", held->length);
    xr_buffer_free(held);
}

void xr_answer_piece(void *context, const XrPiece *piece) {
    XrAnswer *a = context;
    if (a->json) return;
    if (a->showing < 0) show_next(a);
    if (piece->sample == a->showing)
        show(piece->text, piece->text_bytes);
    else
        xr_buffer_append(&a->held[piece->sample], piece->text, piece->text_bytes);
    a->ended[piece->sample] |= piece->last;
    while (a->ended[a->showing] && a->showing < a->samples - 1) show_next(a);
}

static void append_floats(XrBuffer *out, const char *key, const float *values, int64_t count) {
    xr_buffer_format(out, ", \"%s\": [", key);
    for (int64_t i = 0; i < count; i++) {
        if (i) xr_buffer_text(out, ", ");
        if (isfinite(values[i]))
            xr_buffer_format(out, "%.9g", (double)values[i]);
        else
            xr_buffer_text(out, "null");
    }
    xr_buffer_byte(out, ']');
}

// The id or the string that ended the sample, as vLLM reports it.
static void append_stop(XrBuffer *out, const XrAnswer *a, const XrSample *s) {
    if (s->stop_id >= 0) {
        xr_buffer_format(out, "%d", s->stop_id);
    } else if (s->stop_string >= 0) {
        const char *text = a->stop_strings[s->stop_string];
        xr_buffer_json(out, text, strlen(text));
    } else {
        xr_buffer_text(out, "null");
    }
}

static void append_json(XrBuffer *out, const XrAnswer *a, const XrResponse *r, const XrSample *s) {
    xr_buffer_format(out, "{\"sample\": %d, \"text\": ", s->index);
    xr_buffer_json(out, s->text, s->text_bytes);
    xr_buffer_text(out, ", \"token_ids\": [");
    for (int64_t i = 0; i < s->count; i++) xr_buffer_format(out, i ? ", %d" : "%d", s->ids[i]);
    xr_buffer_byte(out, ']');
    append_floats(out, "logprobs", s->logprobs, s->count);
    xr_buffer_text(out, ", \"forced\": [");
    for (int64_t i = 0; i < s->count; i++) {
        xr_buffer_format(out, "%s%s", i ? ", " : "", s->forced[i] ? "true" : "false");
    }
    xr_buffer_format(out,
                     "], \"finish_reason\": \"%s\", \"stop_reason\": ", xr_finish_name(s->finish));
    append_stop(out, a, s);
    xr_buffer_format(out, ", \"truncated\": %s", s->truncated ? "true" : "false");
    xr_buffer_format(out,
                     ", \"prompt_tokens\": %lld, \"completion_tokens\": %lld, \"forced_tokens\": "
                     "%lld, \"reused_tokens\": %lld",
                     (long long)r->prompt_count, (long long)s->count, (long long)s->forced_count,
                     (long long)r->reused);
    xr_buffer_format(
        out, ", \"load_seconds\": %.6f, \"first_token_seconds\": %.6f, \"seconds\": %.6f}\n",
        a->load_seconds, s->first_token_seconds, s->seconds);
}

static void say_what_was_cut(const XrResponse *r, const XrSample *s) {
    if (!s->truncated || s->finish == XR_FINISH_INTERRUPTED || s->finish == XR_FINISH_ERROR) return;
    fprintf(stderr, "xreasoner: sample %d was cut after %lld tokens (%s)\n", s->index,
            (long long)s->count,
            s->count == r->max_new_tokens ? "--max-new-tokens, or the context" : "--answer-budget");
}

void xr_answer_finish(XrAnswer *a, const XrResponse *response) {
    XrBuffer out = {0};
    for (int i = 0; a->json && i < response->count; i++) {
        append_json(&out, a, response, &response->samples[i]);
    }
    show(out.data ? out.data : "", out.length);
    while (!a->json && a->showing < a->samples - 1) show_next(a);
    if (!a->json) show("\n", 1);
    for (int i = 0; i < response->count; i++) say_what_was_cut(response, &response->samples[i]);
    xr_buffer_free(&out);
    free(a->held);
    free(a->ended);
    *a = (XrAnswer){0};
}
