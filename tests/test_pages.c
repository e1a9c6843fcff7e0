// Pages of the cache: counts, sharing, and a long random run against a plain model of who holds
// what.
#include "tests/support/test.h"

#include "shared/base/rng.h"
#include "shared/engine/pages.h"
#include "shared/tensor/ops.h"

static void pages_for_tokens(void **state) {
    assert_int_equal(xr_pages_for(0), 0);
    assert_int_equal(xr_pages_for(1), 1);
    assert_int_equal(xr_pages_for(XR_KV_PAGE), 1);
    assert_int_equal(xr_pages_for(XR_KV_PAGE + 1), 2);
}

static void grow_takes_all_or_nothing(void **state) {
    XrPagePool pool;
    XrPageList list = {0};
    xr_pages_create(&pool, 5);
    assert_true(xr_pages_grow(&pool, &list, 3));
    assert_false(xr_pages_grow(&pool, &list, 6));
    assert_int_equal(list.count, 3);
    assert_int_equal(pool.free, 2);
    assert_true(xr_pages_grow(&pool, &list, 2)); // has more already
    assert_int_equal(list.count, 3);
    assert_true(xr_pages_grow(&pool, &list, 5));
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < i; j++) assert_int_not_equal(list.pages[i], list.pages[j]);
    }
    xr_pages_release(&pool, &list);
    assert_int_equal(pool.free, 5);
    assert_int_equal(pool.least_free, 0);
    xr_pages_destroy(&pool);
}

static void shared_pages_are_free_after_the_last_holder(void **state) {
    XrPagePool pool;
    XrPageList first = {0}, second = {0};
    xr_pages_create(&pool, 4);
    xr_pages_grow(&pool, &first, 3);
    xr_pages_share(&pool, &second, &first, 2);
    assert_true(xr_pages_grow(&pool, &second, 3));
    assert_int_equal(second.pages[0], first.pages[0]);
    assert_int_equal(second.pages[1], first.pages[1]);
    assert_int_not_equal(second.pages[2], first.pages[2]);
    assert_int_equal(pool.free, 0);
    xr_pages_release(&pool, &first);
    assert_int_equal(pool.free, 1);
    xr_pages_release(&pool, &second);
    assert_int_equal(pool.free, 4);
    xr_pages_destroy(&pool);
}

enum { LISTS = 12, PAGES = 40 };

static void check_holders(const XrPagePool *pool, const XrPageList *lists) {
    int holders[PAGES] = {0}, held = 0;
    for (int l = 0; l < LISTS; l++) {
        for (int i = 0; i < lists[l].count; i++) holders[lists[l].pages[i]]++;
    }
    for (int p = 0; p < PAGES; p++) {
        assert_int_equal(pool->holders[p], holders[p]);
        held += holders[p] > 0;
    }
    assert_int_equal(pool->free, PAGES - held);
    for (int i = 0; i < pool->free; i++) assert_int_equal(holders[pool->stack[i]], 0);
}

static void random_run(void **state) {
    XrPagePool pool;
    XrPageList lists[LISTS] = {0};
    xr_pages_create(&pool, PAGES);
    for (uint64_t step = 0; step < 20000; step++) {
        uint32_t r[4];
        xr_philox(3, 1, step, r);
        XrPageList *list = &lists[r[0] % LISTS], *from = &lists[r[1] % LISTS];
        if (r[2] % 4 == 0) {
            xr_pages_release(&pool, list);
        } else if (r[2] % 4 == 1 && list->count == 0 && from != list) {
            xr_pages_share(&pool, list, from, from->count - from->count / 3);
        } else {
            int64_t more = list->count + r[3] % 7;
            bool fits = more - list->count <= pool.free;
            assert_true(xr_pages_grow(&pool, list, more) == fits);
        }
        check_holders(&pool, lists);
    }
    for (int l = 0; l < LISTS; l++) xr_pages_release(&pool, &lists[l]);
    assert_int_equal(pool.free, PAGES);
    xr_pages_destroy(&pool);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_for_tokens),
        cmocka_unit_test(grow_takes_all_or_nothing),
        cmocka_unit_test(shared_pages_are_free_after_the_last_holder),
        cmocka_unit_test(random_run),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
