// Pictures of the data folder, from the file to the vision tower's patches.
#include "shared/bench/bench.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/image/preprocess.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Picture {
    char *path;
    XrThreads *threads;
} Picture;

static void patches(const Picture *p, XrPixels *pixels) {
    XrError err;
    XR_REQUIRE(
        xr_pixels_append_file(pixels, &XR_QWEN25_VL_PROCESSOR, p->path, NULL, p->threads, &err),
        "%s", err.message);
}

static void run(void *state) {
    XrPixels pixels = {0};
    patches(state, &pixels);
    xr_pixels_free(&pixels);
}

static void finish(void *state) {
    Picture *p = state;
    free(p->path);
    free(p);
}

// The work is counted in megapixels of the file, as it is before resizing.
static void *start(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Picture *p = xr_malloc(sizeof *p);
    *p = (Picture){.path = xr_path_join(self->path, strchr(self->name, '/') + 1),
                   .threads = b->threads};
    XrImage image;
    if (!xr_image_read(&image, p->path, NULL, err)) {
        finish(p);
        return NULL;
    }
    *work = (XrBenchWork){.units = 1e-6 * image.width * image.height, .unit = "megapixels"};
    xr_image_free(&image);
    return p;
}

void xr_bench_image(XrBenchList *list, const char *data) {
    static char folder[4096];
    snprintf(folder, sizeof folder, "%s/images", data);
    struct dirent **names;
    int count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        XrBenchCase item = {.path = folder, .start = start, .run = run, .finish = finish};
        int length = snprintf(item.name, sizeof item.name, "image/%s", names[i]->d_name);
        if (names[i]->d_name[0] != '.' && length < (int)sizeof item.name) xr_bench_add(list, &item);
        free(names[i]);
    }
    if (count >= 0) free((void *)names);
}
