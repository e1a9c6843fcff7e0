#include "shared/eval/table.h"

#include "shared/base/memory.h"
#include "shared/eval/vote.h"

#include <stdlib.h>
#include <string.h>

static int by_place(const void *a, const void *b) {
    const XrAnswer *x = a, *y = b;
    if (x->at.set != y->at.set) return x->at.set < y->at.set ? -1 : 1;
    if (x->at.item != y->at.item) return x->at.item < y->at.item ? -1 : 1;
    if (x->sample != y->sample) return x->sample < y->sample ? -1 : 1;
    return (x->mode > y->mode) - (x->mode < y->mode);
}

static bool in_mode(const XrAnswer *a, XrAnswerMode mode) {
    return a->mode == mode || a->mode == XR_MODE_BOTH;
}

// One table in the making.
typedef struct Maker {
    XrTable *table;
    const XrSuite *suite;
    const XrSuiteSet *set;
    XrJudge *judge;
    const XrAnswer **answers; // [count] of this set and mode, by item and sample
    int64_t count;
    bool answered_only;
    double *average, *majority, *official, **pass; // [values] one an item
    int *subject;                                  // [values]
    int64_t values;
} Maker;

// ---- one item ----

typedef struct Ballot {
    XrJudge *judge;
    const XrItem *item;
    const XrAnswer *const *answers;
} Ballot;

static bool says_the_same(void *context, int first, int second) {
    const Ballot *b = context;
    return xr_item_same_answer(b->judge, b->item, xr_span_of(b->answers[first]->extracted),
                               xr_span_of(b->answers[second]->extracted));
}

static double vote(Maker *m, const XrItem *item, const XrAnswer *const *answers, int count) {
    Ballot ballot = {m->judge, item, answers};
    bool *may_vote = xr_calloc((size_t)count + 1, sizeof *may_vote);
    for (int i = 0; i < count; i++) {
        int verdict = answers[i]->verdict;
        may_vote[i] =
            *answers[i]->extracted && verdict != XR_VERDICT_EMPTY && verdict != XR_VERDICT_UNPARSED;
    }
    XrVote v = xr_vote(may_vote, count, says_the_same, &ballot);
    free(may_vote);
    m->table->ties += v.tie;
    m->table->no_votes += v.winner < 0;
    return v.winner < 0 ? 0 : answers[v.winner]->score;
}

static int subject_of(XrTable *t, const XrItem *item) {
    if (!item->subject) return -1;
    int at = 0;
    while (at < t->subject_count && strcmp(t->subjects[at].subject, item->subject) != 0) at++;
    if (at < t->subject_count) return at;
    size_t bytes = sizeof *t->subjects * ((size_t)++t->subject_count);
    t->subjects = xr_realloc(t->subjects, bytes);
    t->subjects[at] = (XrSubjectRow){.subject = item->subject};
    return at;
}

// An item's values; `count` of its samples have answers, maybe none.
static void add_item(Maker *m, const XrItem *item, const XrAnswer *const *answers, int count) {
    XrTable *t = m->table;
    if (m->answered_only && count == 0) return;
    int64_t at = m->values++;
    int n = t->samples, right = 0, official = 0;
    for (int i = 0; i < count; i++) {
        right += answers[i]->score;
        official += answers[i]->official == 1;
    }
    m->average[at] = (double)right / n;
    m->official[at] = (double)official / n;
    m->majority[at] = n > 1 ? vote(m, item, answers, count) : right;
    for (int k = 1; k <= n; k++) m->pass[k - 1][at] = xr_pass_at_k(n, right, k);
    m->subject[at] = subject_of(t, item);
    t->answered += count > 0;
    t->missing_samples += count ? n - count : 0;
}

// ---- all items ----

static void count_answer(XrTable *t, const XrAnswer *a) {
    t->answers++;
    t->verdicts[a->verdict]++;
    t->truncated += a->truncated;
    t->endless += a->endless;
    t->forced += a->forced;
    t->has_official |= a->official_status >= 0;
    t->official_undecided += a->official_status == XR_OFFICIAL_NEEDS_MODEL;
    t->official_random += a->official_status == XR_OFFICIAL_RANDOM;
    t->official_differs += a->official >= 0 && a->official != a->score;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static XrLengths lengths_of(const Maker *m, bool tokens) {
    XrLengths out = {0};
    int64_t *values = xr_malloc(sizeof *values * ((size_t)m->count + 1));
    double sum = 0;
    for (int64_t i = 0; i < m->count; i++) {
        int64_t value = tokens ? m->answers[i]->tokens : m->answers[i]->words;
        if (value < 0) continue;
        values[out.count++] = value;
        sum += (double)value;
    }
    qsort(values, (size_t)out.count, sizeof *values, by_value);
    if (out.count) {
        out.mean = sum / (double)out.count;
        const int64_t *middle = values + (out.count - 1) / 2;
        out.median = (double)(out.count % 2 ? 2 * middle[0] : middle[0] + middle[1]) / 2;
    }
    free(values);
    return out;
}

static void subject_means(Maker *m) {
    XrTable *t = m->table;
    double *values = xr_malloc(sizeof *values * ((size_t)m->values + 1));
    for (int s = 0; s < t->subject_count; s++) {
        int64_t count = 0;
        for (int64_t i = 0; i < m->values; i++) {
            if (m->subject[i] == s) values[count++] = m->average[i];
        }
        t->subjects[s].accuracy = xr_mean(values, count);
    }
    free(values);
}

static void means(Maker *m, int64_t published) {
    XrTable *t = m->table;
    // Published items that the file lacks have no answer either.
    while (!m->answered_only && m->values < published) {
        int64_t at = m->values++;
        m->average[at] = m->official[at] = m->majority[at] = 0;
        m->subject[at] = -1;
        for (int k = 0; k < t->samples; k++) m->pass[k][at] = 0;
    }
    t->items = m->values;
    t->average = xr_mean(m->average, m->values);
    t->official = xr_mean(m->official, m->values);
    t->majority = xr_mean(m->majority, m->values);
    t->pass = xr_calloc((size_t)t->samples, sizeof *t->pass);
    for (int k = 0; k < t->samples; k++) t->pass[k] = xr_mean(m->pass[k], m->values);
}

static void walk_items(Maker *m) {
    int64_t at = 0;
    for (int64_t i = 0; i < m->set->items.count; i++) {
        const XrItem *item = &m->set->items.items[i];
        int64_t begin = at;
        while (at < m->count && m->answers[at]->at.item == i) at++;
        if (!m->set->chosen[i] || item->problem == XR_ITEM_DUPLICATE) continue;
        add_item(m, item, m->answers + begin, (int)(at - begin));
        int subject = subject_of(m->table, item);
        if (subject >= 0 && at > begin) m->table->subjects[subject].answered++;
    }
}

static void make(Maker *m) {
    XrTable *t = m->table;
    int64_t room = m->set->items.count + m->set->denominator + 1;
    for (int64_t i = 0, run = 0; i < m->count; i++) {
        bool same = i && m->answers[i]->at.item == m->answers[i - 1]->at.item;
        run = same ? run + 1 : 1;
        t->samples = (int)XR_MAX(t->samples, run);
        count_answer(t, m->answers[i]);
    }
    t->samples = XR_MAX(t->samples, 1);
    double **lists[] = {&m->average, &m->majority, &m->official};
    for (size_t i = 0; i < XR_COUNT(lists); i++) {
        *lists[i] = xr_malloc(sizeof(double) * (size_t)room);
    }
    m->pass = (double **)xr_calloc((size_t)t->samples, sizeof(double *));
    for (int k = 0; k < t->samples; k++) m->pass[k] = xr_malloc(sizeof(double) * (size_t)room);
    m->subject = xr_malloc(sizeof(int) * (size_t)room);
    walk_items(m);
    means(m, m->set->denominator);
    subject_means(m);
    t->tokens = lengths_of(m, true);
    t->words = lengths_of(m, false);
    for (int k = 0; k < t->samples; k++) free(m->pass[k]);
    free((void *)m->pass);
    free(m->average);
    free(m->majority);
    free(m->official);
    free(m->subject);
}

void xr_tables(XrTables *out, const XrSuite *suite, XrAnswers *answers, bool answered_only,
               XrJudge *judge) {
    qsort(answers->items, (size_t)answers->count, sizeof *answers->items, by_place);
    *out = (XrTables){.items = xr_calloc(2 * (size_t)suite->count + 1, sizeof *out->items)};
    const XrAnswer **list = xr_malloc(sizeof(XrAnswer *) * ((size_t)answers->count + 1));
    for (int s = 0; s < suite->count; s++) {
        bool any = false;
        for (XrAnswerMode mode = XR_MODE_FREE; mode <= XR_MODE_BUDGET; mode++) {
            int64_t count = 0;
            for (int64_t i = 0; i < answers->count; i++) {
                const XrAnswer *a = &answers->items[i];
                if (a->at.set == s && in_mode(a, mode)) list[count++] = a;
            }
            bool last = mode == XR_MODE_BUDGET && !any; // a benchmark without answers has a table
            if (!count && !last) continue;
            any = true;
            XrTable *table = &out->items[out->count++];
            *table = (XrTable){.set = s, .mode = count ? mode : XR_MODE_FREE};
            make(&(Maker){.table = table,
                          .suite = suite,
                          .set = &suite->sets[s],
                          .judge = judge,
                          .answers = list,
                          .count = count,
                          .answered_only = answered_only});
        }
    }
    free(list);
}

void xr_tables_free(XrTables *tables) {
    for (int i = 0; i < tables->count; i++) {
        free(tables->items[i].pass);
        free(tables->items[i].subjects);
    }
    free(tables->items);
    *tables = (XrTables){0};
}

void xr_left_out_add(XrLeftOuts *list, XrSuiteRef at, const char *reason) {
    if ((list->count & (list->count - 1)) == 0) { // full: the room doubles at each power of two
        size_t room = list->count ? 2 * (size_t)list->count : 1;
        list->items = xr_realloc(list->items, room * sizeof *list->items);
    }
    list->items[list->count++] = (XrLeftOut){at, xr_strdup(reason)};
}

void xr_left_out_free(XrLeftOuts *list) {
    for (int64_t i = 0; i < list->count; i++) free(list->items[i].reason);
    free(list->items);
    *list = (XrLeftOuts){0};
}
