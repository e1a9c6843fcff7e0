#include "tests/support/faults.h"

#include "tests/support/test.h"

#include <sys/wait.h>
#include <unistd.h>

void xr_test_finds(void (*fault)(void), const char *words) {
    int ends[2];
    char text[4096] = "";
    size_t used = 0;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        fault();
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], text + used, sizeof text - 1 - used)) > 0;) {
        used += (size_t)got;
        if (used == sizeof text - 1) break;
    }
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) fail_msg("not found: %s", words);
    if (!strstr(text, words)) fail_msg("'%s' is not in: %s", words, text);
}
