// Byte-pair merging against the rule itself carried out step by step, on random tables and pieces.
#include "tests/support/test.h"

#include "ref/bpe.h"
#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <math.h>
#include <stdlib.h>

static uint32_t draw(uint64_t stream, uint64_t *position, uint32_t below) {
    uint32_t out[4];
    xr_philox(7, stream, (*position)++, out);
    return out[0] % below;
}

enum { MAX_RULES = 400 };

typedef struct Rules {
    XrBpeMerge list[MAX_RULES];
    int count;
    XrBpeTable table;
} Rules;

// Rules as a trained vocabulary has them: every pair once, each making a symbol of its own from
// symbols that exist; `disorder` shuffles the ranks, which training never does but files may.
static void make_rules(Rules *rules, uint64_t stream, int letters, int count, bool disorder) {
    uint64_t at = 0;
    rules->count = 0;
    while (rules->count < count) {
        uint32_t known = (uint32_t)(letters + rules->count);
        XrBpeMerge rule = {(int32_t)draw(stream, &at, known), (int32_t)draw(stream, &at, known),
                           rules->count, letters + rules->count};
        bool fresh = true;
        for (int i = 0; i < rules->count; i++) {
            fresh &= rules->list[i].left != rule.left || rules->list[i].right != rule.right;
        }
        if (fresh) rules->list[rules->count++] = rule;
    }
    for (int i = count - 1; disorder && i > 0; i--) {
        int other = (int)draw(stream, &at, (uint32_t)i + 1), rank = rules->list[i].rank;
        rules->list[i].rank = rules->list[other].rank;
        rules->list[other].rank = rank;
    }
    xr_bpe_table_create(&rules->table, count);
    for (int i = 0; i < count; i++) xr_bpe_table_add(&rules->table, rules->list[i]);
}

static const XrBpeMerge *rule_for(const Rules *rules, int32_t left, int32_t right) {
    for (int i = 0; i < rules->count; i++) {
        const XrBpeMerge *rule = &rules->list[i];
        if (rule->left == left && rule->right == right) return rule;
    }
    return NULL;
}

// The definition: again and again the leftmost pair of lowest rank.
static int32_t merge_by_definition(const Rules *rules, int32_t *symbols, int32_t n) {
    for (;;) {
        const XrBpeMerge *best = NULL;
        int32_t at = 0;
        for (int32_t i = 0; i + 1 < n; i++) {
            const XrBpeMerge *rule = rule_for(rules, symbols[i], symbols[i + 1]);
            if (rule && (!best || rule->rank < best->rank)) {
                best = rule;
                at = i;
            }
        }
        if (!best) return n;
        symbols[at] = best->merged;
        memmove(symbols + at + 1, symbols + at + 2, (size_t)(n - at - 2) * sizeof *symbols);
        n--;
    }
}

static void check_pieces(const Rules *rules, uint64_t stream, int letters, const int64_t *lengths,
                         int64_t pieces) {
    int64_t *offsets = xr_calloc((size_t)pieces + 1, sizeof *offsets);
    for (int64_t p = 0; p < pieces; p++) offsets[p + 1] = offsets[p] + lengths[p];
    size_t total = (size_t)offsets[pieces];
    int32_t *symbols = xr_malloc((total + 1) * sizeof *symbols);
    int32_t *wanted = xr_malloc((total + 1) * sizeof *wanted);
    int32_t *counts = xr_calloc((size_t)pieces + 1, sizeof *counts);
    uint64_t at = 0;
    for (size_t i = 0; i < total; i++) {
        symbols[i] = wanted[i] = (int32_t)draw(stream, &at, (uint32_t)letters);
    }
    XrBpeScratch scratch = {0};
    xr_cpu_bpe_merge(&rules->table, pieces, offsets, symbols, counts, &scratch);
    for (int64_t p = 0; p < pieces; p++) {
        int32_t n = merge_by_definition(rules, wanted + offsets[p], (int32_t)lengths[p]);
        assert_int_equal(counts[p], n);
        assert_memory_equal(symbols + offsets[p], wanted + offsets[p], (size_t)n * sizeof *symbols);
    }
    xr_bpe_scratch_free(&scratch);
    free(counts);
    free(wanted);
    free(symbols);
    free(offsets);
}

static void random_rules(int letters, int count, bool disorder) {
    static const int64_t LENGTHS[] = {0, 1, 2, 3, 7, 39, 40, 41, 42, 0, 64, 127, 1, 300};
    for (uint64_t seed = 0; seed < 40; seed++) {
        Rules rules;
        make_rules(&rules, seed, letters, count, disorder);
        check_pieces(&rules, seed + 1000, letters, LENGTHS, XR_COUNT(LENGTHS));
        xr_bpe_table_free(&rules.table);
    }
}

static void merges_by_the_definition(void **state) {
    random_rules(4, 60, false);
    random_rules(3, 200, false);
}

static void merges_in_any_order_of_ranks(void **state) {
    random_rules(3, 60, true);
    random_rules(2, 120, true);
}

static void one_letter_many_ties(void **state) {
    random_rules(1, 20, false);
    random_rules(1, 12, true);
}

static void without_rules_nothing_changes(void **state) {
    Rules rules = {.count = 0};
    xr_bpe_table_create(&rules.table, 0);
    static const int64_t LENGTHS[] = {0, 5, 41, 1};
    check_pieces(&rules, 1, 9, LENGTHS, XR_COUNT(LENGTHS));
    xr_bpe_table_free(&rules.table);
}

static void the_last_rule_of_a_pair_holds(void **state) {
    XrBpeTable table;
    XrBpeScratch scratch = {0};
    xr_bpe_table_create(&table, 3);
    xr_bpe_table_add(&table, (XrBpeMerge){0, 1, 0, 2});
    xr_bpe_table_add(&table, (XrBpeMerge){1, 0, 1, 3});
    xr_bpe_table_add(&table, (XrBpeMerge){0, 1, 2, 2});
    int32_t symbols[] = {0, 1, 0}, count;
    xr_cpu_bpe_merge(&table, 1, (int64_t[]){0, 3}, symbols, &count, &scratch);
    assert_int_equal(count, 2);
    assert_int_equal(symbols[0], 0);
    assert_int_equal(symbols[1], 3);
    xr_bpe_scratch_free(&scratch);
    xr_bpe_table_free(&table);
}

// Work grows no faster than n log n: counted, so that it does not depend on the machine.
static void work_is_quasilinear(void **state) {
    Rules rules;
    make_rules(&rules, 3, 2, 60, false);
    XrBpeScratch scratch = {0};
    for (int64_t n = 1000; n <= 1000000; n *= 10) {
        for (int alternate = 0; alternate < 2; alternate++) {
            int32_t *symbols = xr_malloc((size_t)n * sizeof *symbols), count;
            uint64_t at = 0;
            for (int64_t i = 0; i < n; i++) {
                symbols[i] = alternate ? (int32_t)draw(5, &at, 2) : 0;
            }
            int64_t steps =
                xr_cpu_bpe_merge(&rules.table, 1, (int64_t[]){0, n}, symbols, &count, &scratch);
            assert_true((double)steps < 4.0 * (double)n * log2((double)n));
            free(symbols);
        }
    }
    // Many short pieces: no more than the square of a short piece's length each.
    enum { PIECES = 20000, LENGTH = 40 };
    int64_t *offsets = xr_malloc((PIECES + 1) * sizeof *offsets);
    int32_t *symbols = xr_calloc((size_t)PIECES * LENGTH, sizeof *symbols);
    int32_t *counts = xr_malloc(PIECES * sizeof *counts);
    for (int64_t p = 0; p <= PIECES; p++) offsets[p] = p * (int64_t)LENGTH;
    int64_t steps = xr_cpu_bpe_merge(&rules.table, PIECES, offsets, symbols, counts, &scratch);
    assert_true(steps <= (int64_t)PIECES * LENGTH * LENGTH);
    free(offsets);
    free(symbols);
    free(counts);
    xr_bpe_scratch_free(&scratch);
    xr_bpe_table_free(&rules.table);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_by_the_definition),
        cmocka_unit_test(merges_in_any_order_of_ranks),
        cmocka_unit_test(one_letter_many_ties),
        cmocka_unit_test(without_rules_nothing_changes),
        cmocka_unit_test(the_last_rule_of_a_pair_holds),
        cmocka_unit_test(work_is_quasilinear),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
