// Three-axis positions: cases worked out by hand from the rule, and malformed sequences. The golden
// models (test_model) compare with transformers' own.
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/model/positions.h"

enum { IMAGE = 90, VIDEO = 91, START = 92, END = 93, MOST = 64 };

static const XrConfig CONFIG = {
    .has_vision = true, .image_token = IMAGE, .video_token = VIDEO, .vision = {.merge = 2}};

// Builds positions for `ids` and compares all three axes and the position that follows.
static void check(const int32_t *ids, int count, const XrImageGrid *grids, int grid_count,
                  const int32_t expected[3][MOST], int32_t expected_next) {
    int32_t positions[3 * MOST], next = -1;
    XrError err = {0};
    assert_true(xr_positions(positions, MOST, ids, count, &CONFIG, grids, grid_count, &next, &err));
    for (int axis = 0; axis < 3; axis++) {
        for (int i = 0; i < count; i++) {
            assert_int_equal(positions[axis * MOST + i], expected[axis][i]);
        }
    }
    assert_int_equal(next, expected_next);
}

static void text_counts_up(void **state) {
    const int32_t ids[] = {1, 2, START, 3};
    const int32_t expected[3][MOST] = {{0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}};
    check(ids, 4, NULL, 0, expected, 4);
}

// 2 x 3 cells between start and end: rows 2.., columns 2..; text goes on after max(2, 3).
static void one_picture(void **state) {
    const int32_t ids[] = {1, START, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, END, 5};
    const int32_t expected[3][MOST] = {{0, 1, 2, 2, 2, 2, 2, 2, 5, 6},
                                       {0, 1, 2, 2, 2, 3, 3, 3, 5, 6},
                                       {0, 1, 2, 3, 4, 2, 3, 4, 5, 6}};
    check(ids, 10, &(XrImageGrid){1, 4, 6}, 1, expected, 7);
}

static void two_pictures_side_by_side_and_last(void **state) {
    const int32_t ids[] = {START, IMAGE, END, START, IMAGE, IMAGE};
    const XrImageGrid grids[] = {{1, 2, 2}, {1, 4, 2}};
    const int32_t expected[3][MOST] = {{0, 1, 2, 3, 4, 4}, {0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 4}};
    check(ids, 6, grids, 2, expected, 6);
}

static void refuses(const int32_t *ids, int count, const XrImageGrid *grids, int grid_count,
                    const char *part) {
    int32_t positions[3 * MOST], next;
    XrError err = {0};
    assert_false(
        xr_positions(positions, MOST, ids, count, &CONFIG, grids, grid_count, &next, &err));
    assert_non_null(strstr(err.message, part));
}

static void pictures_that_do_not_match(void **state) {
    const XrImageGrid grid = {1, 4, 4};
    const int32_t none[] = {1, 2, 3}, short_run[] = {IMAGE, IMAGE, IMAGE, 1}, video[] = {1, VIDEO};
    const int32_t end[] = {1, IMAGE, IMAGE, IMAGE};
    refuses(none, 3, &grid, 1, "1 pictures were given");
    refuses(short_run, 4, &grid, 1, "only 3 stand");
    refuses(end, 4, &grid, 1, "only 3 stand");
    refuses(short_run, 4, NULL, 0, "only 0 pictures");
    refuses(video, 2, NULL, 0, "video");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_counts_up),
        cmocka_unit_test(one_picture),
        cmocka_unit_test(two_pictures_side_by_side_and_last),
        cmocka_unit_test(pictures_that_do_not_match),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
