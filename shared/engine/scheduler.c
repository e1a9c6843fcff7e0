#include "shared/engine/scheduler.h"

#include "shared/base/memory.h"
#include "shared/tensor/ops.h"

#include <stdlib.h>
#include <string.h>

void xr_scheduler_create(XrScheduler *s, int32_t pages, int max_sequences,
                         int64_t max_batch_tokens) {
    *s = (XrScheduler){.max_sequences = max_sequences, .max_batch_tokens = max_batch_tokens};
    s->running = xr_calloc((size_t)max_sequences, sizeof(XrSequence *));
    xr_pages_create(&s->pool, pages);
}

void xr_scheduler_destroy(XrScheduler *s) {
    while (xr_kept_evict(&s->kept, &s->pool)) continue;
    XR_REQUIRE(s->pool.free == s->pool.total, "%d of %d pages were never given back",
               s->pool.total - s->pool.free, s->pool.total);
    xr_pages_destroy(&s->pool);
    free((void *)s->running);
    free((void *)s->waiting);
}

// Inserts by age; there must be room for one more.
static void insert(XrSequence **list, int *count, XrSequence *sequence) {
    int at = (*count)++;
    while (at > 0 && xr_sequence_older(sequence, list[at - 1])) {
        list[at] = list[at - 1];
        at--;
    }
    list[at] = sequence;
}

static void take_out(XrSequence **list, int *count, const XrSequence *sequence) {
    int at = 0;
    while (at < *count && list[at] != sequence) at++;
    XR_REQUIRE(at < *count, "a sequence is not in the list that its phase says");
    (*count)--;
    memmove((void *)(list + at), (const void *)(list + at + 1),
            sizeof(XrSequence *) * (size_t)(*count - at));
}

void xr_scheduler_wait(XrScheduler *s, XrSequence *sequence) {
    if (s->waiting_count == s->waiting_capacity) {
        s->waiting_capacity = 2 * s->waiting_capacity + 16;
        size_t bytes = sizeof(XrSequence *) * (size_t)s->waiting_capacity;
        s->waiting = (XrSequence **)xr_realloc((void *)s->waiting, bytes);
    }
    insert(s->waiting, &s->waiting_count, sequence);
    sequence->phase = XR_PHASE_WAITING;
}

bool xr_scheduler_run(XrScheduler *s, XrSequence *sequence) {
    if (s->running_count == s->max_sequences) return false;
    insert(s->running, &s->running_count, sequence);
    sequence->phase = XR_PHASE_RUNNING;
    return true;
}

static void preempt(XrScheduler *s, XrSequence *sequence) {
    take_out(s->running, &s->running_count, sequence);
    xr_pages_release(&s->pool, &sequence->pages);
    sequence->cached = 0;
    sequence->sample->preemptions++;
    s->preemptions++;
    xr_scheduler_wait(s, sequence);
}

static bool is_in(XrSequence *const *list, int count, const XrSequence *sequence) {
    int at = 0;
    while (at < count && list[at] != sequence) at++;
    return at < count;
}

void xr_scheduler_leave(XrScheduler *s, XrSequence *sequence) {
    const XrJob *job = sequence->job;
    if (is_in(s->waiting, s->waiting_count, sequence)) {
        take_out(s->waiting, &s->waiting_count, sequence);
    }
    if (is_in(s->running, s->running_count, sequence)) {
        take_out(s->running, &s->running_count, sequence);
    }
    bool sound = sequence->sample->finish != XR_FINISH_ERROR && sequence->cached > 0;
    if (job->request.keep && sequence == job->sequences && sound) {
        xr_kept_add(&s->kept, &s->pool, sequence);
    }
    xr_pages_release(&s->pool, &sequence->pages);
}

// A running sequence of the same request whose pages hold the whole prompt.
static XrSequence *donor_of(const XrSequence *sequence) {
    const XrJob *job = sequence->job;
    for (int i = 0; i < job->sequence_count; i++) {
        XrSequence *other = &job->sequences[i];
        bool holds = other->phase == XR_PHASE_RUNNING && other->cached >= xr_job_prompt(job);
        if (other != sequence && holds) return other;
    }
    return NULL;
}

// Pages with the beginning of the prompt that others hold already: of another sample, or kept.
static void share_prefix(XrScheduler *s, XrSequence *sequence) {
    const XrSequence *donor = donor_of(sequence);
    if (!donor) {
        sequence->cached = xr_kept_share(&s->kept, &s->pool, sequence);
        if (sequence == sequence->job->sequences && !sequence->job->prefilled) {
            sequence->job->response->reused = sequence->cached;
        }
        return;
    }
    int64_t pages = (xr_job_prompt(sequence->job) - 1) / XR_KV_PAGE;
    xr_pages_share(&s->pool, &sequence->pages, &donor->pages, pages);
    sequence->cached = pages * XR_KV_PAGE;
}

// Admits the oldest waiting sequence if it can have pages for all its tokens, and every running one
// a page to grow into; for want of pages, kept caches are given up first.
static bool admit(XrScheduler *s) {
    if (s->waiting_count == 0 || s->running_count == s->max_sequences) return false;
    XrSequence *sequence = s->waiting[0];
    if (xr_sequence_awaits(sequence)) return false;
    share_prefix(s, sequence);
    int64_t pages = xr_pages_for(xr_sequence_known(sequence));
    int64_t needed = pages - sequence->pages.count + s->running_count;
    while (s->pool.free < needed && xr_kept_evict(&s->kept, &s->pool)) continue;
    if (s->pool.free < needed) {
        xr_pages_release(&s->pool, &sequence->pages);
        sequence->cached = 0;
        return false;
    }
    take_out(s->waiting, &s->waiting_count, sequence);
    bool ok = xr_pages_grow(&s->pool, &sequence->pages, pages) && xr_scheduler_run(s, sequence);
    XR_REQUIRE(ok, "a sequence of %lld pages cannot run with %d pages free", (long long)pages,
               s->pool.free);
    return true;
}

// Gives every running sequence, the oldest first, pages for the tokens that it knows.
static void make_room(XrScheduler *s) {
    for (int i = 0; i < s->running_count; i++) {
        XrSequence *sequence = s->running[i];
        if (xr_sequence_awaits(sequence)) continue;
        int64_t pages = xr_pages_for(xr_sequence_known(sequence));
        while (!xr_pages_grow(&s->pool, &sequence->pages, pages)) {
            if (xr_kept_evict(&s->kept, &s->pool)) continue;
            XrSequence *youngest = s->running[s->running_count - 1];
            XR_REQUIRE(s->running_count > 1, "one sequence alone needs %lld pages of %d",
                       (long long)pages, s->pool.total);
            preempt(s, youngest);
            if (youngest == sequence) return;
        }
    }
}

int xr_scheduler_plan(XrScheduler *s, XrChunk *chunks) {
    make_room(s);
    while (admit(s)) continue;
    int count = 0;
    int64_t left = s->max_batch_tokens;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < s->running_count && left > 0; i++) {
            XrSequence *sequence = s->running[i];
            if (xr_sequence_awaits(sequence)) continue;
            int64_t pending = xr_sequence_known(sequence) - sequence->cached;
            XR_REQUIRE(pending > 0, "a running sequence has nothing to run");
            if ((pending > 1) != (pass == 1)) continue;
            int64_t tokens = XR_MIN(pending, left);
            bool drawn = sequence->ahead && tokens == pending;
            chunks[count++] = (XrChunk){.sequence = sequence,
                                        .begin = sequence->cached,
                                        .count = tokens,
                                        .row = s->max_batch_tokens - left,
                                        .drawn = drawn ? sequence->place : -1};
            left -= tokens;
        }
    }
    return count;
}
