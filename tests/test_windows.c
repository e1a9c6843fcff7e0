// Window order of the vision tower against the published algorithm (pad to whole windows, number
// the cells, drop the padding), written out here as transformers has it, for all small sizes.
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/model/windows.h"

#include <stdlib.h>

enum { SIDE = 4 }; // cells of a window's side

static const XrVisionConfig VISION = {.merge = 2, .window = 112, .window_cells = SIDE, .patch = 14};

typedef struct Expected {
    int32_t order[1024], windows[256];
    int cells, window_count;
} Expected;

// Appends one frame of rows x columns cells by the padded algorithm.
static void add_padded(Expected *e, int rows, int columns) {
    int pad_rows = SIDE - rows % SIDE, pad_columns = SIDE - columns % SIDE;
    int down = (rows + pad_rows) / SIDE, across = (columns + pad_columns) / SIDE;
    int first = e->cells;
    for (int w = 0; w < down * across; w++) {
        int before = e->cells;
        for (int i = 0; i < SIDE * SIDE; i++) {
            int y = w / across * SIDE + i / SIDE, x = w % across * SIDE + i % SIDE;
            if (y < rows && x < columns) e->order[e->cells++] = first + y * columns + x;
        }
        if (e->cells > before) e->windows[++e->window_count] = e->cells * 4;
    }
}

static void check(const XrImageGrid *grids, int count) {
    Expected e = {0};
    XrVisionPlan plan = xr_vision_plan(&VISION, grids, count);
    int frames = 0, longest = 0;
    for (int i = 0; i < count; i++) {
        for (int64_t f = 0; f < grids[i].t; f++) {
            int before = e.cells;
            add_padded(&e, (int)grids[i].h / 2, (int)grids[i].w / 2);
            assert_int_equal(plan.frames[++frames], e.cells * 4);
            longest = XR_MAX(longest, (e.cells - before) * 4);
        }
    }
    assert_int_equal(plan.cells, e.cells);
    assert_int_equal(plan.patches, e.cells * 4);
    assert_int_equal(plan.window_count, e.window_count);
    assert_int_equal(plan.frame_count, frames);
    assert_int_equal(plan.longest_frame, longest);
    assert_memory_equal(plan.order, e.order, sizeof(int32_t) * (size_t)e.cells);
    assert_memory_equal(plan.windows, e.windows, sizeof(int32_t) * ((size_t)e.window_count + 1));
    xr_vision_plan_free(&plan);
}

static void one_picture_of_every_size(void **state) {
    for (int64_t h = 1; h <= 13; h++) {
        for (int64_t w = 1; w <= 13; w++) check(&(XrImageGrid){1, 2 * h, 2 * w}, 1);
    }
}

static void several_pictures_and_frames(void **state) {
    const XrImageGrid grids[] = {{1, 10, 6}, {1, 2, 2}, {2, 8, 18}, {1, 16, 8}};
    check(grids, 4);
    check(grids + 1, 2);
}

// Where a patch says it is: its row and column in its own picture, in window order.
static void positions_follow_the_order(void **state) {
    const XrImageGrid grids[] = {{1, 10, 6}, {1, 8, 12}};
    XrVisionPlan plan = xr_vision_plan(&VISION, grids, 2);
    int64_t first_cells = 5 * 3;
    for (int64_t i = 0; i < plan.patches; i++) {
        int64_t cell = plan.order[i / 4], inside = i % 4;
        int64_t columns = cell < first_cells ? 3 : 6;
        if (cell >= first_cells) cell -= first_cells;
        assert_int_equal(plan.positions[i], cell / columns * 2 + inside / 2);
        assert_int_equal(plan.positions[plan.patches + i], cell % columns * 2 + inside % 2);
    }
    xr_vision_plan_free(&plan);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_picture_of_every_size),
        cmocka_unit_test(several_pictures_and_frames),
        cmocka_unit_test(positions_follow_the_order),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
