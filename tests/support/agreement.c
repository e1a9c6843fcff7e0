#include "tests/support/agreement.h"

#include "tests/support/test.h"

#include "shared/base/file.h"

XrTestTally xr_test_tally(const char *document, const char *set) {
    XrError err;
    XrTestTally tally = {.set = set};
    XrBuffer text = {0};
    assert_true(xr_file_read(xr_test_source(document), 1 << 20, &text, &err));
    char head[64];
    snprintf(head, sizeof head, "| `%s` |", set);
    xr_buffer_byte(&tally.listed, ' ');
    for (char *at = text.data; (at = strstr(at, head));) {
        char *end = strchr(at, '\n');
        *end = '\0';
        char *cell = strrchr(at, '`');
        assert_non_null(cell);
        *cell = '\0';
        cell = strrchr(at, '`') + 1;
        xr_buffer_text(&tally.listed, cell);
        xr_buffer_byte(&tally.listed, ' ');
        at = end + 1;
    }
    xr_buffer_free(&text);
    return tally;
}

bool xr_test_differs(XrTestTally *tally, const char *id, bool agrees) {
    char wanted[96];
    tally->rows++;
    if (agrees) return false;
    snprintf(wanted, sizeof wanted, " %s ", id);
    tally->differences++;
    if (strstr(tally->listed.data, wanted)) return false;
    tally->unlisted++;
    return true;
}

void xr_test_tally_check(XrTestTally *tally) {
    int listed = 0;
    for (const char *at = tally->listed.data; *at; at++) listed += at[0] == ' ' && at[1] > ' ';
    print_message("%s: %d of %d agree, %d differences are listed\n", tally->set,
                  tally->rows - tally->differences, tally->rows, listed);
    assert_int_equal(tally->unlisted, 0);
    assert_int_equal(tally->differences, listed);
    xr_buffer_free(&tally->listed);
}
