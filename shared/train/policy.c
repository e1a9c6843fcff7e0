#include "shared/train/policy.h"

#include "shared/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_STEP = 256 }; // tokens

// One micro-batch on the host.
typedef struct Micro {
    const XrPolicyItem *items;
    int count;
    XrTrainSequence *sequences;
    int32_t *ids;
    int64_t tokens;  // of all sequences
    int64_t trained; // tokens that enter the loss, one each in what follows
    int32_t *rows, *targets;
    float *old, *reference, *advantage, *weight;
} Micro;

XrPolicy xr_policy_create(XrTrainState *state, const XrRunConfig *config, XrKeep keep) {
    return (XrPolicy){.state = state,
                      .keep = keep,
                      .temperature = (float)config->temperature,
                      .mask_truncated = strcmp(config->overlong_responses, "mask") == 0,
                      .micro = (int)config->per_device_train_batch_size};
}

void xr_policy_free(XrPolicy *policy) {
    xr_train_pass_free(&policy->pass);
    *policy = (XrPolicy){0};
}

int xr_policy_items(const XrPolicy *policy, XrRolloutGroup *groups, int count,
                    XrPolicyItem **items) {
    int total = 0;
    for (int g = 0; g < count; g++) total += groups[g].count;
    XrPolicyItem *at = *items = xr_malloc(sizeof **items * (size_t)total);
    for (int g = 0; g < count; g++) {
        for (int i = 0; i < groups[g].count; i++, at++) {
            XrRollout *r = &groups[g].rollouts[i];
            *at = (XrPolicyItem){&groups[g], r, 0};
            for (int64_t t = 0; t < r->count; t++) {
                at->trained += xr_rollout_trained(r, t, policy->mask_truncated);
            }
        }
    }
    return total;
}

// ---- micro-batches ----

static void micro_free(Micro *m) {
    free(m->sequences);
    free(m->ids);
    free(m->rows);
    free(m->targets);
    free(m->old);
    free(m->reference);
    free(m->advantage);
    free(m->weight);
}

static void add_rows(const XrPolicy *p, Micro *m, const XrPolicyItem *item, int64_t first,
                     float weight) {
    const XrRollout *r = item->rollout;
    for (int64_t t = 0; t < r->count; t++) {
        if (!xr_rollout_trained(r, t, p->mask_truncated)) continue;
        int64_t at = m->trained++;
        m->rows[at] = (int32_t)(first + t - 1); // the row before a token predicts it
        m->targets[at] = r->ids[t];
        m->old[at] = r->logprobs ? r->logprobs[t] : 0;
        m->reference[at] = r->reference ? r->reference[t] : 0;
        m->advantage[at] = r->advantage;
        m->weight[at] = weight;
    }
}

static int32_t *append(int32_t *to, const int32_t *ids, int64_t count) {
    memcpy(to, ids, sizeof *to * (size_t)count);
    return to + count;
}

// Packs items; those without a trained token count as sequences, but are not computed. `loss` NULL:
// all weights 0.
static Micro micro_create(const XrPolicy *p, const XrPolicyItem *items, int count,
                          const XrPolicyLoss *loss, XrLossSize step) {
    Micro m = {.items = items, .sequences = xr_calloc((size_t)count, sizeof *m.sequences)};
    XrLossSize own = {.sequences = count};
    for (int i = 0; i < count; i++) {
        own.tokens += items[i].trained;
        if (items[i].trained) m.tokens += items[i].group->prompt_count + items[i].rollout->count;
    }
    size_t rows = (size_t)own.tokens;
    m.ids = xr_malloc(sizeof *m.ids * (size_t)m.tokens);
    m.rows = xr_malloc(sizeof *m.rows * rows);
    m.targets = xr_malloc(sizeof *m.targets * rows);
    m.old = xr_malloc(sizeof *m.old * rows);
    m.reference = xr_malloc(sizeof *m.reference * rows);
    m.advantage = xr_malloc(sizeof *m.advantage * rows);
    m.weight = xr_malloc(sizeof *m.weight * rows);
    int32_t *at = m.ids;
    for (int i = 0; i < count; i++) {
        const XrRolloutGroup *g = items[i].group;
        const XrRollout *r = items[i].rollout;
        if (!items[i].trained) continue;
        double weight = loss ? xr_policy_weight(loss, step, own, items[i].trained) : 0;
        add_rows(p, &m, &items[i], at - m.ids + g->prompt_count, (float)weight);
        m.sequences[m.count++] = (XrTrainSequence){at, g->prompt_count + r->count, NULL};
        at = append(append(at, g->prompt, g->prompt_count), r->ids, r->count);
    }
    return m;
}

static bool reserve(XrPolicy *p, int64_t tokens, XrError *err) {
    if (tokens <= p->capacity) return true;
    p->capacity = (tokens + CAPACITY_STEP - 1) / CAPACITY_STEP * CAPACITY_STEP;
    xr_train_pass_free(&p->pass);
    return xr_train_pass_create(&p->pass, p->state, p->capacity, p->keep, err);
}

static XrTrainBatch batch_of(const XrPolicy *p, const Micro *m, bool entropy) {
    return (XrTrainBatch){m->sequences, m->count,       m->rows, m->targets,
                          m->trained,   p->temperature, entropy};
}

// ---- log-probabilities ----

static void store(const XrPolicy *p, const XrPolicyItem *items, int count, const float *logprob,
                  bool reference) {
    for (int i = 0; i < count; i++) {
        XrRollout *r = items[i].rollout;
        float **out = reference ? &r->reference : &r->logprobs;
        free(*out);
        *out = xr_calloc((size_t)r->count, sizeof **out);
        for (int64_t t = 0; t < r->count; t++) {
            if (xr_rollout_trained(r, t, p->mask_truncated)) (*out)[t] = *logprob++;
        }
    }
}

bool xr_policy_evaluate(XrPolicy *p, const XrPolicyItem *items, int count, bool reference,
                        XrError *err) {
    XrBackend *b = p->state->model->backend;
    bool ok = true;
    for (int first = 0; ok && first < count; first += p->micro) {
        int some = XR_MIN(p->micro, count - first);
        Micro m = micro_create(p, items + first, some, NULL, (XrLossSize){0});
        float *logprob = xr_malloc(sizeof *logprob * (size_t)m.trained);
        XrTrainBatch batch = batch_of(p, &m, false);
        if (m.count) {
            ok = reserve(p, m.tokens, err) && xr_train_pass_evaluate(&p->pass, &batch, err);
        }
        if (ok && m.count) xr_download(b, logprob, &p->pass.logprob);
        if (ok) store(p, items + first, some, logprob, reference);
        free(logprob);
        micro_free(&m);
    }
    return ok;
}

// ---- an optimiser step ----

static void compare(XrBackend *b, const XrTensor *logprob, const Micro *m, XrPolicyStep *out) {
    float *current = xr_malloc(sizeof *current * (size_t)m->trained);
    xr_download(b, current, logprob);
    for (int64_t i = 0; i < m->trained; i++) {
        double difference = fabs((double)current[i] - (double)m->old[i]);
        out->difference += difference;
        // A NaN is larger than anything, and stays.
        if (isnan(difference) || difference > out->largest) out->largest = difference;
    }
    free(current);
}

// What the objective of a micro-batch's tokens follows from.
typedef struct Objective {
    const XrPolicyLoss *loss;
    const Micro *micro;
    XrPolicySums *sums;
} Objective;

static bool add_loss(void *context, XrTrainPass *pass, int64_t first, int64_t count, XrError *err) {
    const Objective *o = context;
    const Micro *m = o->micro;
    XrPolicyTokens tokens = {count, m->old + first, m->reference + first, m->advantage + first,
                             m->weight + first};
    XrTensor logprob = xr_rows(&pass->logprob, first, count);
    XrTensor entropy = xr_rows(&pass->entropy, first, count);
    XrTensor dlogprob = xr_rows(&pass->dlogprob, first, count);
    return xr_policy_loss(pass->state->model->backend, o->loss, &tokens, &logprob, &entropy,
                          &dlogprob, o->sums, err);
}

static bool add_micro(XrPolicy *p, const XrPolicyLoss *loss, const Micro *m, XrPolicyStep *out,
                      XrError *err) {
    XrTrainBatch batch = batch_of(p, m, true);
    Objective objective = {loss, m, &out->sums};
    if (!reserve(p, m->tokens, err) ||
        !xr_train_pass_learn(&p->pass, &batch, add_loss, &objective, err)) {
        return false;
    }
    compare(p->state->model->backend, &p->pass.logprob, m, out);
    return true;
}

bool xr_policy_accumulate(XrPolicy *p, const XrPolicyLoss *loss, const XrPolicyItem *items,
                          int count, XrPolicyStep *out, XrError *err) {
    XrComm *comm = p->state->comm;
    int64_t sizes[2] = {count, 0};
    for (int i = 0; i < count; i++) sizes[1] += items[i].trained;
    *out = (XrPolicyStep){0};
    bool ok = comm->sum_i64(comm, sizes, 2, err);
    XrLossSize step = {sizes[0], sizes[1]};
    for (int first = 0; ok && first < count; first += p->micro) {
        int some = XR_MIN(p->micro, count - first);
        Micro m = micro_create(p, items + first, some, loss, step);
        if (m.count) ok = add_micro(p, loss, &m, out, err);
        micro_free(&m);
    }
    double sums[] = {out->sums.loss,    out->sums.tokens,       out->sums.kl,
                     out->sums.entropy, out->sums.clipped_low,  out->sums.clipped_high,
                     out->sums.clipped, out->sums.clipped_dual, out->sums.ratio,
                     out->difference};
    if (!ok || !comm->sum_f64(comm, sums, XR_COUNT(sums), err)) return false;
    out->sums = (XrPolicySums){.loss = sums[0],
                               .tokens = sums[1],
                               .kl = sums[2],
                               .entropy = sums[3],
                               .clipped_low = sums[4],
                               .clipped_high = sums[5],
                               .clipped = sums[6],
                               .clipped_dual = sums[7],
                               .ratio = sums[8]};
    out->difference = sums[9];
    return comm->max_f64(comm, &out->largest, 1, err);
}
