#include "shared/train/schedule.h"

#include "shared/base/memory.h"

#include <math.h>
#include <string.h>

static XrScheduleKind kind_of(const XrRunConfig *config) {
    const char *name = config->lr_scheduler_type;
    if (strcmp(name, "auto") == 0) {
        return config->command == XR_RUN_SFT ? XR_SCHEDULE_EPOCH_DECAY : XR_SCHEDULE_CONSTANT;
    }
    if (strcmp(name, "constant_with_warmup") == 0) return XR_SCHEDULE_CONSTANT;
    static const char *const names[] = {"constant", "linear", "cosine", "epoch_decay"};
    for (int i = 0; i < (int)XR_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) return (XrScheduleKind)i;
    }
    XR_BUG("lr_scheduler_type %s", name);
}

XrSchedule xr_schedule_create(const XrRunConfig *config, int64_t total) {
    int64_t warmup = config->warmup_steps > 0 ? config->warmup_steps
                                              : (int64_t)ceil(config->warmup_ratio * (double)total);
    return (XrSchedule){kind_of(config), config->learning_rate, config->lr_epoch_decay, total,
                        warmup};
}

double xr_schedule_rate(const XrSchedule *s, int64_t step, int64_t epoch) {
    if (step < s->warmup) return s->peak * (double)step / (double)s->warmup;
    double left = (double)XR_MAX(s->total - s->warmup, 1);
    double progress = (double)(step - s->warmup) / left;
    switch (s->kind) {
    case XR_SCHEDULE_LINEAR:
        return s->peak * fmax(0, 1 - progress);
    case XR_SCHEDULE_COSINE:
        return s->peak * fmax(0, 0.5 * (1 + cos(M_PI * progress)));
    case XR_SCHEDULE_EPOCH_DECAY:
        return s->peak * pow(s->epoch_decay, (double)epoch);
    default:
        return s->peak;
    }
}
