// The program as a process: started, killed, waited for, and what it left behind.
#ifndef XR_TESTS_PROCESSES_H
#define XR_TESTS_PROCESSES_H

#include <stdbool.h>
#include <sys/types.h>

// Starts xreasoner with these arguments (ends with NULL; the first is the command); its messages go
// to
// "<scratch>/log".
pid_t xr_test_start(const char *const *arguments);
// The exit code, or minus the signal that ended it.
int xr_test_wait(pid_t child);
// The log of the last process; fails the test unless it holds `part`.
void xr_test_log_has(const char *part);
void xr_test_pause(double seconds);
double xr_test_now(void); // seconds
// Whether <folder>/<name> is there.
bool xr_test_holds(const char *folder, const char *name);
// Fails the test unless <a>/<name> and <b>/<name> hold the same bytes.
void xr_test_same_file(const char *a, const char *b, const char *name);

#endif
