#include "shared/base/interrupt.h"

#include <signal.h>

static volatile sig_atomic_t interrupts;

static void count_interrupt(int signal_number) {
    if (interrupts++ == 0) return;
    signal(signal_number, SIG_DFL); // NOLINT(bugprone-signal-handler): signal() is safe here
    raise(signal_number);
}

static void watch(int signal_number, int flags) {
    struct sigaction action = {.sa_handler = count_interrupt, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

void xr_interrupt_watch(void) {
    watch(SIGINT, 0);
}

void xr_interrupt_watch_job(void) {
    watch(SIGINT, SA_RESTART);
    watch(SIGTERM, SA_RESTART);
}

bool xr_interrupted(void) {
    return interrupts > 0;
}

void xr_interrupt_clear(void) {
    interrupts = 0;
}
