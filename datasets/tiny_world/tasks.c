#include "datasets/tiny_world/tasks.h"

#include "shared/base/error.h"

const char *xr_world_number(int value) {
    static const char *const names[XR_WORLD_STATES] = {"zero", "one", "two",   "three", "four",
                                                       "five", "six", "seven", "eight", "nine"};
    XR_REQUIRE(value >= 0 && value < XR_WORLD_STATES, "tiny world: the number %d", value);
    return names[value];
}

static bool thinks(XrWorldTask task) {
    return task == XR_WORLD_SLOPPY || task == XR_WORLD_FULL;
}

void xr_world_seen(XrBuffer *out, const XrWorldQuestion *question, int count) {
    xr_buffer_text(out, "seen");
    for (int i = 0; i < count; i++) {
        const XrWorldKind *kind = xr_world_kind(question->domain, question->kinds[i]);
        xr_buffer_format(out, " %s", kind->name);
    }
}

void xr_world_prompt(XrBuffer *out, const XrWorldQuestion *question, XrWorldTask task,
                     bool picture) {
    if (!picture) {
        xr_world_seen(out, question, question->count);
        xr_buffer_text(out, "\n");
    }
    const char *cue = task == XR_WORLD_LIST     ? "list"
                      : task == XR_WORLD_VALUES ? "values"
                                                : xr_world_domain_name(question->domain);
    xr_buffer_text(out, cue);
    if (thinks(task) || task == XR_WORLD_UNASKED) xr_buffer_text(out, " think");
}

static void add_objects(XrBuffer *out, const XrWorldQuestion *question, bool operations,
                        bool states) {
    for (int i = 0; i < question->count; i++) {
        const XrWorldKind *kind = xr_world_kind(question->domain, question->kinds[i]);
        xr_buffer_format(out, " %s", kind->name);
        if (operations) {
            xr_buffer_format(out, "%c%s", kind->operation, xr_world_number(kind->value));
        }
        if (states) {
            xr_buffer_format(out, "=%s", xr_world_number(xr_world_state(question, i + 1)));
        }
    }
}

void xr_world_completion(XrBuffer *out, const XrWorldQuestion *question, XrWorldTask task,
                         int loops) {
    XR_REQUIRE(loops == 0 || thinks(task), "tiny world: %d loops in task %d", loops, (int)task);
    if (task == XR_WORLD_LIST || task == XR_WORLD_VALUES) {
        xr_buffer_text(out, "seen");
        add_objects(out, question, task == XR_WORLD_VALUES, false);
        return;
    }
    if (thinks(task)) {
        xr_buffer_text(out, "<think>");
        add_objects(out, question, true, task == XR_WORLD_FULL);
        const char *state = xr_world_number(xr_world_state(question, question->count));
        for (int i = 0; i < loops; i++) xr_buffer_format(out, " wait check=%s", state);
        xr_buffer_text(out, "\n</think>\n\n");
    }
    xr_buffer_format(out, "<answer>%c</answer>", xr_world_answer(question));
}

void xr_world_fact(XrBuffer *prompt, XrBuffer *completion, XrWorldDraw *draw,
                   XrWorldDomain domain) {
    const XrWorldKind *kind = xr_world_kind(domain, xr_world_draw_below(draw, XR_WORLD_KINDS));
    int state = xr_world_draw_below(draw, XR_WORLD_STATES);
    XrWorldKind step = {"", xr_world_draw_chance(draw, 0.5) ? '+' : '~',
                        xr_world_draw_below(draw, XR_WORLD_STATES)};
    double which = xr_world_draw_between(draw, 0, 1);
    if (which < 0.6) { // 200 steps are to be learnt, and only 24 operations and 20 answers
        // Half of them as thinking has them, with an object's name between state and operation.
        bool named = xr_world_draw_chance(draw, 0.5);
        if (named) step = *kind;
        xr_buffer_format(prompt, "next=%s%s%s%c%s", xr_world_number(state), named ? " " : "",
                         step.name, step.operation, xr_world_number(step.value));
        xr_buffer_format(completion, "=%s", xr_world_number(xr_world_apply(&step, state)));
    } else if (which < 0.85) {
        xr_buffer_format(prompt, "value %s", kind->name);
        xr_buffer_format(completion, "%c%s", kind->operation, xr_world_number(kind->value));
    } else {
        xr_buffer_format(prompt, "%s=%s", xr_world_domain_name(domain), xr_world_number(state));
        xr_buffer_format(completion, "%c", xr_world_answer_of(domain, state));
    }
}
