#include "shared/cli/interrupt.h"

#include <signal.h>

static volatile sig_atomic_t interrupts;

static void count_interrupt(int signal_number) {
    if (interrupts++ == 0) return;
    signal(signal_number, SIG_DFL); // NOLINT(bugprone-signal-handler): signal() is safe here
    raise(signal_number);
}

void xr_interrupt_watch(void) {
    struct sigaction action = {.sa_handler = count_interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

bool xr_interrupted(void) {
    return interrupts > 0;
}

void xr_interrupt_clear(void) {
    interrupts = 0;
}
