#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#if !defined XR_SOURCE_DIR || !defined XR_PROGRAM
#error "the build names the source folder and the program"
#endif

void xr_test_filter(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
}

static const char *keep(char *path) {
    static char *kept[8];
    static unsigned next;
    char **slot = &kept[next++ % XR_COUNT(kept)];
    free(*slot);
    return *slot = path;
}

const char *xr_test_data(const char *name) {
    const char *folder = getenv("XR_DATA_DIR");
    if (!folder || !*folder) {
        print_message("skipped: XR_DATA_DIR is not set, %s is needed\n", name);
        skip();
    }
    const char *path = keep(xr_path_join(folder, name));
    if (!xr_path_exists(path)) {
        print_message("skipped: %s is missing\n", path);
        skip();
    }
    return path;
}

// What the build has named, or what the environment does: ci/gpu.sh takes tests to other machines.
static const char *named(const char *variable, const char *built) {
    const char *value = getenv(variable);
    return value && *value ? value : built;
}

const char *xr_test_source(const char *name) {
    return keep(xr_path_join(named("XR_SOURCE_DIR", XR_SOURCE_DIR), name));
}

const char *xr_test_program(void) {
    return named("XR_PROGRAM", XR_PROGRAM);
}

static char scratch[64];

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *where) {
    (void)info, (void)flag, (void)where;
    return remove(path);
}

static void remove_scratch(void) {
    nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *xr_test_scratch(void) {
    if (!scratch[0]) {
        snprintf(scratch, sizeof scratch, "/tmp/xreasoner-test-XXXXXX");
        XR_REQUIRE(mkdtemp(scratch), "cannot make a folder in /tmp");
        atexit(remove_scratch);
    }
    return scratch;
}

void xr_test_put(const char *folder, const char *name, const char *text) {
    XrError err;
    char *path = xr_path_join(folder, name);
    if (!xr_make_folders(folder, &err) || !xr_file_write(path, text, strlen(text), &err)) {
        fail_msg("%s", err.message);
    }
    free(path);
}
