#include "shared/train/pack.h"

#include "shared/base/memory.h"
#include "shared/train/order.h"

#include <stdlib.h>

XrPackPlan xr_pack_plan(const int32_t *tokens, int64_t count, const XrPackSettings *settings,
                        bool shuffle, uint64_t seed, uint64_t epoch) {
    XrPackPlan plan = {.order = xr_malloc((size_t)count * sizeof *plan.order),
                       .begin = xr_malloc(((size_t)count + 1) * sizeof *plan.begin)};
    if (shuffle)
        xr_shuffled_order(plan.order, count, seed, epoch);
    else
        for (int64_t i = 0; i < count; i++) plan.order[i] = i;
    int64_t room = settings->sequences * settings->max_length, used = 0, rows = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t length = tokens[plan.order[i]];
        bool full = settings->packing ? used + length > room : rows == settings->sequences;
        if (i == 0 || full) {
            plan.begin[plan.micro_batches++] = i;
            used = rows = 0;
        }
        used += length;
        rows++;
    }
    plan.begin[plan.micro_batches] = count;
    plan.steps = (plan.micro_batches + settings->accumulate - 1) / settings->accumulate;
    return plan;
}

void xr_pack_plan_free(XrPackPlan *plan) {
    free(plan->order);
    free(plan->begin);
    *plan = (XrPackPlan){0};
}

int64_t xr_pack_most_tokens(const int32_t *tokens, int64_t count, const XrPackSettings *settings) {
    int64_t longest = 0, all = 0;
    for (int64_t i = 0; i < count; i++) {
        longest = XR_MAX(longest, tokens[i]);
        all += tokens[i];
    }
    int64_t width = settings->packing ? settings->max_length : longest;
    return XR_MIN(all, settings->sequences * width);
}
