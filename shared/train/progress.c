#include "shared/train/progress.h"

#include "shared/base/buffer.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const double PLAIN_PAUSE = 10, TERMINAL_PAUSE = 0.1; // seconds between two lines

double xr_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

XrProgress xr_progress_begin(const char *title, const char *unit, int64_t done, int64_t total) {
    double now = xr_seconds();
    return (XrProgress){.title = title,
                        .unit = unit,
                        .total = total,
                        .first = done,
                        .terminal = isatty(STDERR_FILENO) == 1,
                        .started = now,
                        .shown = now - PLAIN_PAUSE};
}

static void add_duration(XrBuffer *line, double seconds) {
    long long s = (long long)(seconds + 0.5);
    if (s >= 3600)
        xr_buffer_format(line, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        xr_buffer_format(line, "%lld:%02lld", s / 60, s % 60);
}

static void add_rate(XrBuffer *line, const XrProgress *p, int64_t done, double spent) {
    double rate = (double)(done - p->first) / spent;
    if (rate >= 1)
        xr_buffer_format(line, ", %.1f %s/s", rate, p->unit);
    else
        xr_buffer_format(line, ", %.1f s each", 1 / rate);
    if (p->total <= done) return;
    add_duration((xr_buffer_text(line, ", "), line), (double)(p->total - done) / rate);
    xr_buffer_text(line, " left");
}

// A line that wraps could not be written over: it ends at the terminal's edge. Lines are ASCII.
static void cut_to_terminal(XrBuffer *line) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return;
    if (line->length >= size.ws_col) line->length = (size_t)size.ws_col - 1;
}

void xr_progress_update(XrProgress *p, int64_t done, const char *note) {
    double now = xr_seconds(), pause = p->terminal ? TERMINAL_PAUSE : PLAIN_PAUSE;
    if (now - p->shown < pause && done != p->total) return;
    p->shown = now;
    XrBuffer line = {0};
    xr_buffer_format(&line, "%s %lld", p->title, (long long)done);
    if (p->total > 0) xr_buffer_format(&line, "/%lld", (long long)p->total);
    xr_buffer_format(&line, " %s", p->unit);
    double spent = now - p->started;
    if (done > p->first && spent > 0) add_rate(&line, p, done, spent);
    if (*note) xr_buffer_format(&line, ", %s", note);
    if (p->terminal) {
        cut_to_terminal(&line);
        fputc('\r', stderr);
    }
    xr_buffer_text(&line, p->terminal ? "\033[K" : "\n");
    fwrite(line.data, 1, line.length, stderr);
    fflush(stderr);
    xr_buffer_free(&line);
}

void xr_progress_end(XrProgress *progress) {
    if (progress->terminal) fputc('\n', stderr);
}
