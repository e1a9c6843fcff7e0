#include "shared/model/positions.h"

#include "shared/base/memory.h"

static void set(int32_t *positions, int64_t stride, int64_t at, int64_t t, int64_t h, int64_t w) {
    positions[at] = (int32_t)t;
    positions[stride + at] = (int32_t)h;
    positions[2 * stride + at] = (int32_t)w;
}

bool xr_positions(int32_t *positions, int64_t stride, const int32_t *ids, int64_t count,
                  const XrConfig *config, const XrImageGrid *grids, int grid_count, int32_t *next,
                  XrError *err) {
    int64_t position = 0, at = 0, merge = config->has_vision ? config->vision.merge : 1;
    int used = 0;
    while (at < count) {
        if (!config->has_vision || ids[at] != config->image_token) {
            if (config->has_vision && ids[at] == config->video_token) {
                return xr_fail(err, XR_ERR_UNSUPPORTED,
                               "token %lld is a video token; only pictures "
                               "are supported",
                               (long long)at);
            }
            set(positions, stride, at++, position, position, position);
            position++;
            continue;
        }
        if (used == grid_count) {
            return xr_fail(err, XR_ERR_INPUT,
                           "token %lld is an image token, but only %d pictures "
                           "were given",
                           (long long)at, grid_count);
        }
        XrImageGrid grid = grids[used];
        int64_t rows = grid.h / merge, columns = grid.w / merge;
        int64_t cells = xr_grid_rows(&grid) / (merge * merge);
        for (int64_t j = 0; j < cells; j++, at++) {
            if (at == count || ids[at] != config->image_token) {
                return xr_fail(err, XR_ERR_INPUT,
                               "picture %d needs %lld image tokens, but only %lld "
                               "stand in its place",
                               used + 1, (long long)cells, (long long)j);
            }
            int64_t frame = j / (rows * columns), row = j / columns % rows, column = j % columns;
            set(positions, stride, at, position + frame, position + row, position + column);
        }
        position += XR_MAX(grid.t, XR_MAX(rows, columns));
        used++;
    }
    if (used < grid_count) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%d pictures were given, but there are image tokens for %d", grid_count,
                       used);
    }
    *next = (int32_t)position;
    return true;
}
