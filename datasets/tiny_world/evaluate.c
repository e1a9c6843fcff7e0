#include "datasets/tiny_world/evaluate.h"

#include "datasets/tiny_world/exam.h"
#include "shared/base/memory.h"

#include <math.h>
#include <stdlib.h>

static const char *task_name(XrWorldTask task) {
    static const char *const names[] = {[XR_WORLD_TASKS] = "facts",
                                        [XR_WORLD_LIST] = "list",
                                        [XR_WORLD_VALUES] = "values",
                                        [XR_WORLD_DIRECT] = "direct",
                                        [XR_WORLD_FULL] = "think"};
    return names[task];
}

static void add_line(XrBuffer *table, const XrWorldPaper *paper, const XrWorldMark *marks) {
    double n = (double)paper->items, right = 0, tokens = 0, capped = 0, unclosed = 0;
    for (int64_t i = 0; i < paper->items; i++) {
        right += marks[i].right;
        tokens += marks[i].tokens;
        capped += marks[i].capped;
        unclosed += marks[i].open && !marks[i].capped;
    }
    double p = right / n;
    xr_buffer_format(table, "%-7s %-6s %-8s %6.1f +-%4.1f %7.1f %7.1f%% %7.1f%%\n",
                     task_name(paper->task), xr_world_domain_name(paper->domain),
                     paper->picture ? "picture" : "text", 100 * p, 196 * sqrt(p * (1 - p) / n),
                     tokens / n, 100 * capped / n, 100 * unclosed / n);
}

// Facts in text alone, the rest in both media.
static bool run_task(XrBuffer *table, XrWorldMark *marks, XrEngine *engine, const XrChatModel *m,
                     const XrWorldExam *exam, XrWorldTask task, XrError *err) {
    bool ok = true;
    for (int part = 0; ok && part < 2 * XR_WORLD_DOMAINS; part++) {
        XrWorldPaper paper = {.task = task,
                              .domain = (XrWorldDomain)(part / 2),
                              .picture = part % 2 == 1,
                              .split = exam->split,
                              .items = exam->items,
                              .seed = exam->seed,
                              .think_budget = exam->think_budget};
        if (task == XR_WORLD_TASKS && paper.picture) continue;
        ok = xr_world_sit(marks, NULL, engine, m, &paper, err);
        if (ok) add_line(table, &paper, marks);
    }
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
    XrWorldMark *marks = xr_calloc((size_t)exam->items, sizeof *marks);
    for (size_t t = 0; ok && t < XR_COUNT(tasks); t++) {
        ok = run_task(table, marks, engine, m, exam, tasks[t], err);
    }
    free(marks);
    xr_engine_free(engine);
    xr_chat_model_close(m);
    xr_buffer_free(&notice);
    return ok;
}
