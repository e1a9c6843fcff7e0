#include "datasets/tiny_world/exam.h"

#include "datasets/tiny_world/picture.h"
#include "shared/base/memory.h"
#include "shared/prompt/prompt.h"
#include "shared/verify/verify.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SUPPRESSED = 64 };

// The items of a paper, and what their requests need.
typedef struct Items {
    XrWorldQuestion *questions; // [items]
    XrBuffer *expected;         // [items] the one right text; empty where a verifier decides
    XrPrompt *prompts;          // [items]
    XrRequest *requests;        // [items]
} Items;

// Tokens that end a response, and those that must not be drawn.
typedef struct Control {
    int32_t stop[XR_MAX_EOS], suppress[MOST_SUPPRESSED];
    int stop_count, suppress_count;
} Control;

static Control control_of(const XrChatModel *m) {
    Control c = {.stop_count = m->generation.eos_count};
    for (int i = 0; i < c.stop_count; i++) c.stop[i] = (int32_t)m->generation.eos[i];
    for (int32_t id = 0; id < xr_tokenizer_size(m->tokenizer); id++) {
        bool stops = false;
        for (int i = 0; i < c.stop_count; i++) stops |= c.stop[i] == id;
        if (stops || !xr_tokenizer_is_added(m->tokenizer, id)) continue;
        if (c.suppress_count < MOST_SUPPRESSED) c.suppress[c.suppress_count++] = id;
    }
    return c;
}

static bool make_prompt(XrPrompt *out, XrBuffer *expected, const XrChatModel *m,
                        const XrWorldPaper *paper, const XrWorldQuestion *q, XrWorldDraw *draw,
                        XrError *err) {
    XrBuffer text = {0};
    XrChat chat = {0};
    if (paper->task == XR_WORLD_TASKS)
        xr_world_fact(&text, expected, draw, paper->domain);
    else
        xr_world_prompt(&text, q, paper->task, paper->picture);
    if (paper->task == XR_WORLD_LIST || paper->task == XR_WORLD_VALUES) {
        xr_world_completion(expected, q, paper->task, 0);
    }
    xr_chat_add_message(&chat, "user");
    *out = (XrPrompt){0};
    bool ok = true;
    if (paper->picture) {
        XrImage image = xr_world_picture(draw, q, paper->split);
        ok = xr_pixels_append(&out->pixels, &m->processor, &image, "picture", NULL, err);
        xr_image_free(&image);
        if (ok) xr_chat_add_image(&chat, "", xr_grid_tokens(out->pixels.grids, &m->processor));
    }
    xr_chat_add_text(&chat, text.data, text.length);
    XrChatOptions options = {.add_generation_prompt = true};
    ok = ok && xr_chat_render(&m->chat_template, m->encoder, &chat, options, &out->tokens, err);
    xr_chat_free(&chat);
    xr_buffer_free(&text);
    return ok;
}

static XrRequest request_of(const XrPrompt *p, const XrWorldPaper *paper, const Control *control) {
    XrRequest r = xr_request_default();
    r.prompt = p->tokens.ids.data;
    r.prompt_count = (int64_t)p->tokens.ids.count;
    r.pixels = p->pixels.values;
    r.grids = p->pixels.grids;
    r.picture_count = (int)p->pixels.count;
    r.max_new_tokens = XR_WORLD_MOST_TOKENS;
    r.stop_ids = control->stop;
    r.stop_id_count = control->stop_count;
    r.suppress = control->suppress;
    r.suppress_count = control->suppress_count;
    r.sampling.temperature = paper->temperature;
    r.sampling.seed = paper->seed;
    if (paper->task == XR_WORLD_FULL) {
        r.think.budget = paper->think_budget;
        r.think.start = XR_THINK_WHEN_OPENED;
        r.think.branch = paper->both;
    }
    return r;
}

static bool prepare(Items *items, const XrChatModel *m, const XrWorldPaper *paper,
                    const Control *control, XrError *err) {
    bool ok = true;
    for (int64_t i = 0; ok && i < paper->items; i++) {
        XrWorldDraw draw = {paper->seed, (uint64_t)i * XR_WORLD_DOMAINS + paper->domain, 0};
        draw.seed ^= (uint64_t)paper->split << 56;
        int count = 3 + (int)(i % (XR_WORLD_LONGEST - 2));
        items->questions[i] = xr_world_draw_question(&draw, paper->domain, paper->split, count);
        ok = make_prompt(&items->prompts[i], &items->expected[i], m, paper, &items->questions[i],
                         &draw, err);
        items->requests[i] = request_of(&items->prompts[i], paper, control);
        items->requests[i].id = (uint64_t)i;
    }
    return ok;
}

static bool is_right(XrVerifier *verifier, const Items *items, int64_t item,
                     const XrSample *sample) {
    const XrBuffer *expected = &items->expected[item];
    if (expected->length) return strcmp(expected->data, sample->text) == 0;
    char gold = xr_world_answer(&items->questions[item]);
    XrVerifyResult result = {0};
    XrVerifyRequest request = {
        .gold = {&gold, 1}, .answer = {sample->text, sample->text_bytes}, .is_response = true};
    xr_verify(verifier, &request, &result);
    bool right = result.score == 1;
    xr_verify_result_free(&result);
    return right;
}

static XrWorldMark mark(XrVerifier *verifier, const Items *items, int64_t item, const XrSample *s) {
    return (XrWorldMark){
        .right = !s->truncated && is_right(verifier, items, item, s),
        .capped = s->truncated,
        .open = strstr(s->text, "<think>") && !strstr(s->text, "</think>"),
        .tokens = (int32_t)s->count,
    };
}

bool xr_world_sit(XrWorldMark *marks, XrWorldMark *forced, XrEngine *engine,
                  const XrChatModel *model, const XrWorldPaper *paper, XrError *err) {
    size_t count = (size_t)paper->items;
    Control control = control_of(model);
    Items items = {
        .questions = xr_calloc(count, sizeof *items.questions),
        .expected = xr_calloc(count, sizeof *items.expected),
        .prompts = xr_calloc(count, sizeof *items.prompts),
        .requests = xr_calloc(count, sizeof *items.requests),
    };
    XrResponse **responses = xr_calloc(count, sizeof(XrResponse *));
    XrVerifier *verifier = xr_verifier_create(NULL);
    bool ok = prepare(&items, model, paper, &control, err) &&
              xr_engine_generate(engine, items.requests, (int)paper->items, responses, err);
    for (int64_t i = 0; i < paper->items; i++) {
        if (ok) {
            const XrSample *s = &responses[i]->samples[0];
            marks[i] = mark(verifier, &items, i, s);
            if (paper->both) {
                forced[i] = mark(verifier, &items, i, s->forced_exit ? s->forced_exit : s);
            }
            xr_response_free(responses[i]);
        }
        xr_prompt_free(&items.prompts[i]);
        xr_buffer_free(&items.expected[i]);
    }
    xr_verifier_free(verifier);
    free(responses);
    free(items.requests);
    free(items.prompts);
    free(items.expected);
    free(items.questions);
    return ok;
}
