#include "shared/engine/step.h"

#include "shared/base/memory.h"

#include <stdlib.h>

void xr_step_clear(XrStep *step) {
    step->draw_count = 0;
    step->score_count = 0;
}

void xr_step_free(XrStep *step, XrBackend *b) {
    b->unpin(b, &step->in);
    b->unpin(b, &step->out);
    free(step->draws);
    free(step->scores);
    *step = (XrStep){0};
}

void xr_step_draw(XrStep *step, XrSequence *s, int64_t row, bool forked) {
    if (step->draw_count == step->draw_capacity) {
        step->draw_capacity = 2 * step->draw_capacity + 64;
        step->draws = xr_realloc(step->draws, sizeof *step->draws * (size_t)step->draw_capacity);
    }
    int place = step->draw_count++;
    step->draws[place] = (XrDraw){.sequence = s,
                                  .row = row,
                                  .position = s->sample->count + s->ahead,
                                  .drawn = s->ahead ? s->place : -1,
                                  .forked = forked};
    s->ahead++;
    s->place = place;
}

void xr_step_score(XrStep *step, XrSequence *s, int64_t begin, int64_t count, int64_t row) {
    int64_t first = 0, found = xr_sequence_unscored(s, begin, count, &first);
    if (found == 0) return;
    if (step->score_count == step->score_capacity) {
        step->score_capacity = 2 * step->score_capacity + 16;
        step->scores =
            xr_realloc(step->scores, sizeof *step->scores * (size_t)step->score_capacity);
    }
    step->scores[step->score_count++] =
        (XrScore){.sequence = s,
                  .first = first,
                  .count = found,
                  .row = row + (xr_job_prompt(s->job) + first - 1 - begin)};
}

void xr_step_forget(XrStep *step, XrSequence *s) {
    for (int i = 0; i < step->draw_count; i++) {
        if (step->draws[i].sequence != s) continue;
        step->draws[i].sequence = NULL;
        s->ahead--;
    }
    for (int i = 0; i < step->score_count; i++) {
        if (step->scores[i].sequence == s) step->scores[i].sequence = NULL;
    }
}
