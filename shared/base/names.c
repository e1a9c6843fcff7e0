#include "shared/base/names.h"

#include "shared/base/memory.h"

#include <string.h>

static int edit_distance(const char *a, const char *b) {
    enum { LONGEST = 48 };
    int row[LONGEST + 1];
    int n = (int)strnlen(a, LONGEST), m = (int)strnlen(b, LONGEST);
    for (int j = 0; j <= m; j++) row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = XR_MIN(change, XR_MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[m];
}

const char *xr_nearest_name(const char *wanted, const char *const *names, int count) {
    const char *best = NULL;
    int least = (int)strlen(wanted) / 3 + 2;
    for (int i = 0; i < count; i++) {
        int distance = edit_distance(wanted, names[i]);
        if (distance < least) {
            least = distance;
            best = names[i];
        }
    }
    return best;
}
