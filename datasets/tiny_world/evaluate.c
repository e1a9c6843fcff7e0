#include "datasets/tiny_world/evaluate.h"

#include "datasets/tiny_world/picture.h"
#include "shared/base/memory.h"
#include "shared/engine/engine.h"
#include "shared/prompt/prompt.h"
#include "shared/verify/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOKENS = 112, MOST_SUPPRESSED = 64 };

// One cell of the table, and what its requests need.
typedef struct Cell {
    XrWorldTask task; // XR_WORLD_TASKS: facts
    XrWorldDomain domain;
    bool picture;
    int64_t items;
    XrWorldQuestion *questions; // [items]
    XrBuffer *expected;         // [items] the one right text; empty where a verifier decides
    XrPrompt *prompts;          // [items]
    XrRequest *requests;        // [items]
} Cell;

typedef struct Score {
    int64_t right, tokens, capped, unclosed;
} Score;

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

static bool make_prompt(XrPrompt *out, XrBuffer *expected, const XrChatModel *m, const Cell *cell,
                        const XrWorldQuestion *q, XrWorldDraw *draw, XrWorldSplit split,
                        XrError *err) {
    XrBuffer text = {0};
    XrChat chat = {0};
    if (cell->task == XR_WORLD_TASKS)
        xr_world_fact(&text, expected, draw, cell->domain);
    else
        xr_world_prompt(&text, q, cell->task, cell->picture);
    if (cell->task == XR_WORLD_LIST || cell->task == XR_WORLD_VALUES) {
        xr_world_completion(expected, q, cell->task, 0);
    }
    xr_chat_add_message(&chat, "user");
    *out = (XrPrompt){0};
    bool ok = true;
    if (cell->picture) {
        XrImage image = xr_world_picture(draw, q, split);
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

static bool prepare(Cell *cell, const XrChatModel *m, const XrWorldExam *exam,
                    const Control *control, XrError *err) {
    bool ok = true;
    for (int64_t i = 0; ok && i < cell->items; i++) {
        // The same lists in all tasks and media of a domain.
        XrWorldDraw draw = {exam->seed, (uint64_t)i * XR_WORLD_DOMAINS + cell->domain, 0};
        draw.seed ^= (uint64_t)exam->split << 56;
        int count = 3 + (int)(i % (XR_WORLD_LONGEST - 2));
        cell->questions[i] = xr_world_draw_question(&draw, cell->domain, exam->split, count);
        ok = make_prompt(&cell->prompts[i], &cell->expected[i], m, cell, &cell->questions[i], &draw,
                         exam->split, err);
        const XrPrompt *p = &cell->prompts[i];
        XrRequest *r = &cell->requests[i];
        *r = xr_request_default();
        r->id = (uint64_t)i;
        r->prompt = p->tokens.ids.data;
        r->prompt_count = (int64_t)p->tokens.ids.count;
        r->pixels = p->pixels.values;
        r->grids = p->pixels.grids;
        r->picture_count = (int)p->pixels.count;
        r->max_new_tokens = MOST_TOKENS;
        r->stop_ids = control->stop;
        r->stop_id_count = control->stop_count;
        r->suppress = control->suppress;
        r->suppress_count = control->suppress_count;
        if (cell->task == XR_WORLD_FULL) {
            r->think.budget = exam->think_budget;
            r->think.start = XR_THINK_WHEN_OPENED;
        }
    }
    return ok;
}

static bool is_right(XrVerifier *verifier, const Cell *cell, int64_t item, const XrSample *sample) {
    const XrBuffer *expected = &cell->expected[item];
    if (expected->length) return strcmp(expected->data, sample->text) == 0;
    char gold = xr_world_answer(&cell->questions[item]);
    XrVerifyResult result = {0};
    XrVerifyRequest request = {
        .gold = {&gold, 1}, .answer = {sample->text, sample->text_bytes}, .is_response = true};
    xr_verify(verifier, &request, &result);
    bool right = result.score == 1;
    xr_verify_result_free(&result);
    return right;
}

static Score mark(const Cell *cell, XrResponse *const *responses) {
    Score score = {0};
    XrVerifier *verifier = xr_verifier_create(NULL);
    for (int64_t i = 0; i < cell->items; i++) {
        const XrSample *s = &responses[i]->samples[0];
        score.right += !s->truncated && is_right(verifier, cell, i, s);
        score.tokens += s->count;
        score.capped += s->truncated;
        score.unclosed += strstr(s->text, "<think>") && !strstr(s->text, "</think>");
    }
    xr_verifier_free(verifier);
    return score;
}

static void add_line(XrBuffer *table, const Cell *cell, const Score *score) {
    static const char *const names[] = {[XR_WORLD_TASKS] = "facts",
                                        [XR_WORLD_LIST] = "list",
                                        [XR_WORLD_VALUES] = "values",
                                        [XR_WORLD_DIRECT] = "direct",
                                        [XR_WORLD_FULL] = "think"};
    double n = (double)cell->items, p = (double)score->right / n;
    xr_buffer_format(table, "%-7s %-6s %-8s %6.1f +-%4.1f %7.1f %7.1f%% %7.1f%%\n",
                     names[cell->task], xr_world_domain_name(cell->domain),
                     cell->picture ? "picture" : "text", 100 * p, 196 * sqrt(p * (1 - p) / n),
                     (double)score->tokens / n, 100 * (double)score->capped / n,
                     100 * (double)score->unclosed / n);
}

static bool run_cell(XrBuffer *table, Cell *cell, XrEngine *engine, const XrChatModel *m,
                     const XrWorldExam *exam, XrError *err) {
    Control control = control_of(m);
    size_t items = (size_t)exam->items;
    cell->questions = xr_calloc(items, sizeof *cell->questions);
    cell->expected = xr_calloc(items, sizeof *cell->expected);
    cell->prompts = xr_calloc(items, sizeof *cell->prompts);
    cell->requests = xr_calloc(items, sizeof *cell->requests);
    XrResponse **responses = xr_calloc(items, sizeof(XrResponse *));
    bool ok = prepare(cell, m, exam, &control, err) &&
              xr_engine_generate(engine, cell->requests, (int)exam->items, responses, err);
    if (ok) {
        Score score = mark(cell, responses);
        add_line(table, cell, &score);
    }
    for (size_t i = 0; i < items; i++) {
        if (ok) xr_response_free(responses[i]);
        xr_prompt_free(&cell->prompts[i]);
        xr_buffer_free(&cell->expected[i]);
    }
    free(responses);
    free(cell->requests);
    free(cell->prompts);
    free(cell->expected);
    free(cell->questions);
    return ok;
}

bool xr_world_evaluate(XrBuffer *table, XrBackend *backend, const char *folder,
                       const XrWorldExam *exam, XrError *err) {
    static const XrWorldTask tasks[] = {XR_WORLD_TASKS, XR_WORLD_LIST, XR_WORLD_VALUES,
                                        XR_WORLD_DIRECT, XR_WORLD_FULL};
    XrChatModel *m;
    XrEngine *engine = NULL;
    XrBuffer notice = {0};
    XrChatModelOptions options = {.weights = XR_WEIGHTS_F32, .check_finite = true};
    if (!xr_chat_model_open(&m, backend, folder, &options, &notice, err)) {
        xr_buffer_free(&notice);
        return false;
    }
    XrEngineConfig config = {.max_sequences = 64, .cache_bytes = (size_t)256 << 20};
    bool ok = xr_engine_create(&engine, m->model, m->tokenizer, &config, err);
    xr_buffer_text(table, "task    domain medium    right      tokens  capped unclosed\n");
    for (size_t t = 0; t < XR_COUNT(tasks); t++) {
        for (int part = 0; ok && part < 2 * XR_WORLD_DOMAINS; part++) {
            Cell cell = {.task = tasks[t],
                         .domain = (XrWorldDomain)(part / 2),
                         .picture = part % 2 == 1,
                         .items = exam->items};
            if (cell.task == XR_WORLD_TASKS && cell.picture) continue;
            ok = run_cell(table, &cell, engine, m, exam, err);
        }
    }
    xr_engine_free(engine);
    xr_chat_model_close(m);
    xr_buffer_free(&notice);
    return ok;
}
