#include "shared/train/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t asked;

static void handle(int number) {
    static const char text[] = "\nending at the next safe point; again to end at once\n";
    asked = 1;
    signal(number, SIG_DFL);
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written; // a signal handler has nobody to tell
}

void xr_interrupt_catch(void) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool xr_interrupted(void) {
    return asked != 0;
}
