#include "shared/engine/kept.h"

#include "shared/base/memory.h"
#include "shared/tensor/ops.h"

#include <stdlib.h>
#include <string.h>

static void drop(XrKept *kept, XrPagePool *pool, int index) {
    XrKeptCache *c = &kept->caches[index];
    xr_pages_release(pool, &c->pages);
    free(c->content);
    *c = kept->caches[--kept->count];
    kept->caches[kept->count] = (XrKeptCache){0};
}

bool xr_kept_evict(XrKept *kept, XrPagePool *pool) {
    if (kept->count == 0) return false;
    int oldest = 0;
    for (int i = 1; i < kept->count; i++) {
        if (kept->caches[i].used < kept->caches[oldest].used) oldest = i;
    }
    drop(kept, pool, oldest);
    return true;
}

void xr_kept_add(XrKept *kept, XrPagePool *pool, XrSequence *s) {
    if (kept->count == XR_MOST_KEPT) xr_kept_evict(kept, pool);
    int64_t prompt = xr_job_prompt(s->job);
    XrKeptCache *c = &kept->caches[kept->count++];
    *c = (XrKeptCache){.cached = s->cached, .pages = s->pages, .used = ++kept->clock};
    s->pages = (XrPageList){0};
    c->content = xr_malloc(sizeof *c->content * (size_t)c->cached);
    for (int64_t i = 0; i < c->cached; i++) {
        c->content[i] =
            i < prompt ? s->job->content[i] : (uint64_t)(uint32_t)s->sample->ids[i - prompt];
    }
}

static int64_t common(const XrKeptCache *c, const XrJob *job) {
    int64_t n = XR_MIN(c->cached, xr_job_prompt(job) - 1), i = 0;
    while (i < n && c->content[i] == job->content[i]) i++;
    return i;
}

int64_t xr_kept_share(XrKept *kept, XrPagePool *pool, XrSequence *s) {
    XrKeptCache *best = NULL;
    int64_t most = 0;
    for (int i = 0; i < kept->count; i++) {
        int64_t n = common(&kept->caches[i], s->job) / XR_KV_PAGE;
        if (n > most) {
            most = n;
            best = &kept->caches[i];
        }
    }
    if (!best) return 0;
    best->used = ++kept->clock;
    xr_pages_share(pool, &s->pages, &best->pages, most);
    return most * XR_KV_PAGE;
}
