// The program as a process: started, killed, waited for, and what it left behind.
#ifndef XR_TESTS_PROCESSES_H
#define XR_TESTS_PROCESSES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// Starts xreasoner with these arguments (ends with NULL; the first is the command); its messages go
// to "<scratch>/log".
pid_t xr_test_start(const char *const *arguments);
// The same, for a process that cannot write files of more than `bytes`: what a full disk does.
pid_t xr_test_start_limited(const char *const *arguments, int64_t bytes);
// The exit code, or minus the signal that ended it.
int xr_test_wait(pid_t child);
// The log of the last process; fails the test unless it holds `part`.
void xr_test_log_has(const char *part);
void xr_test_pause(double seconds);
double xr_test_now(void); // seconds
// Whether <folder>/<name> is there.
bool xr_test_holds(const char *folder, const char *name);
// Waits, a minute at most, until it is.
void xr_test_wait_for(const char *folder, const char *name);

#endif
