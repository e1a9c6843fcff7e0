#include "tests/support/processes.h"

#include "shared/base/file.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

pid_t xr_test_start(const char *const *arguments) {
    return xr_test_start_limited(arguments, 0);
}

pid_t xr_test_start_limited(const char *const *arguments, int64_t bytes) {
    const char *program = xr_test_program();
    char *log = xr_path_join(xr_test_scratch(), "log");
    const char *all[64] = {"xreasoner"};
    for (int i = 0; i < 62 && arguments[i]; i++) all[i + 1] = arguments[i];
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        if (bytes) {
            struct rlimit limit = {(rlim_t)bytes, (rlim_t)bytes};
            setrlimit(RLIMIT_FSIZE, &limit);
            signal(SIGXFSZ, SIG_IGN);
        }
        execv(program, (char *const *)all);
        _exit(127);
    }
    free(log);
    return child;
}

int xr_test_wait(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void xr_test_log_has(const char *part) {
    XrBuffer log = {0};
    xr_test_read(&log, xr_test_scratch(), "log");
    if (!strstr(log.data, part)) fail_msg("the log lacks \"%s\":\n%s", part, log.data);
    xr_buffer_free(&log);
}

void xr_test_pause(double seconds) {
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

double xr_test_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

bool xr_test_holds(const char *folder, const char *name) {
    char *path = xr_path_join(folder, name);
    bool there = xr_path_exists(path);
    free(path);
    return there;
}

void xr_test_wait_for(const char *folder, const char *name) {
    double deadline = xr_test_now() + 60;
    while (!xr_test_holds(folder, name) && xr_test_now() < deadline) xr_test_pause(0.001);
}
