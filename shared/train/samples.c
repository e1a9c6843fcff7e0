#include "shared/train/samples.h"

#include "shared/text/decoder.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void add_text(XrBuffer *line, const char *key, const char *text, size_t bytes) {
    xr_buffer_format(line, ", \"%s\": ", key);
    xr_buffer_json(line, text ? text : "", text ? bytes : 0);
}

static void add_word(XrBuffer *line, const char *key, const char *text) {
    add_text(line, key, text, text ? strlen(text) : 0);
}

static void add_ids(XrBuffer *line, const char *key, const int32_t *ids, int64_t count) {
    xr_buffer_format(line, ", \"%s\": [", key);
    for (int64_t i = 0; i < count; i++) xr_buffer_format(line, "%s%d", i ? ", " : "", ids[i]);
    xr_buffer_byte(line, ']');
}

// Nine digits tell all f32 apart.
static void add_logprobs(XrBuffer *line, const XrRollout *r) {
    if (!r->logprobs) return;
    xr_buffer_text(line, ", \"logprobs\": [");
    for (int64_t i = 0; i < r->count; i++) {
        if (i) xr_buffer_text(line, ", ");
        if (isfinite(r->logprobs[i]))
            xr_buffer_format(line, "%.9g", (double)r->logprobs[i]);
        else
            xr_buffer_text(line, "null");
    }
    xr_buffer_byte(line, ']');
}

// Ranges [begin, end) of injected tokens.
static void add_forced(XrBuffer *line, const XrRollout *r) {
    xr_buffer_text(line, ", \"forced\": [");
    for (int64_t begin = 0, ranges = 0; begin < r->count; begin++) {
        if (!r->forced[begin]) continue;
        int64_t end = begin;
        while (end < r->count && r->forced[end]) end++;
        xr_buffer_format(line, "%s[%" PRId64 ", %" PRId64 "]", ranges++ ? ", " : "", begin, end);
        begin = end;
    }
    xr_buffer_byte(line, ']');
}

bool xr_samples_write(XrLineFile *file, const XrTokenizer *tokenizer, const XrRolloutGroup *g,
                      int64_t step, XrError *err) {
    XrBuffer prompt = {0}, line = {0};
    bool ok = xr_decode(tokenizer, g->prompt, (size_t)g->prompt_count, false, &prompt, err);
    for (int i = 0; ok && i < g->count; i++) {
        const XrRollout *r = &g->rollouts[i];
        xr_buffer_clear(&line);
        if (step)
            xr_buffer_format(&line, "{\"step\": %" PRId64 ", \"id\": ", step);
        else
            xr_buffer_text(&line, "{\"id\": ");
        xr_buffer_json(&line, g->id, strlen(g->id));
        xr_buffer_format(&line, ", \"sample\": %d", r->sample);
        add_text(&line, "prompt", prompt.data, prompt.length);
        add_text(&line, "response", r->text, r->text_bytes);
        add_ids(&line, "prompt_ids", g->prompt, g->prompt_count);
        add_ids(&line, "token_ids", r->ids, r->count);
        add_forced(&line, r);
        add_logprobs(&line, r);
        xr_buffer_format(&line, ", \"score\": %.9g, \"reward\": %.9g", r->score, r->reward);
        add_word(&line, "verdict", r->verdict);
        add_word(&line, "extracted", r->extracted);
        add_word(&line, "gold", g->gold);
        add_word(&line, "finish_reason", r->finish);
        xr_buffer_format(&line, ", \"truncated\": %s, \"advantage\": %.9g}",
                         r->truncated ? "true" : "false", (double)r->advantage);
        ok = xr_line_file_append(file, line.data, line.length, err);
    }
    xr_buffer_free(&prompt);
    xr_buffer_free(&line);
    return ok;
}
