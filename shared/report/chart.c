#include "shared/report/chart.h"

#include "shared/base/memory.h"
#include "shared/base/utf8.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 420, HEIGHT = 220, LEFT = 56, RIGHT = 10, TOP = 10, BOTTOM = 26, MOST_POINTS = 240 };

typedef struct Frame {
    double x0, x1, y0, y1; // ranges of steps and values
} Frame;

void xr_html_text(XrBuffer *out, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes;) {
        uint32_t c;
        int length = xr_utf8_decode(text + i, bytes - i, &c);
        if (length == 0) {
            bool incomplete;
            i += xr_utf8_invalid_length(text + i, bytes - i, &incomplete);
            xr_buffer_text(out, "\xEF\xBF\xBD");
            continue;
        }
        switch (c) {
        case '&':
            xr_buffer_text(out, "&amp;");
            break;
        case '<':
            xr_buffer_text(out, "&lt;");
            break;
        case '>':
            xr_buffer_text(out, "&gt;");
            break;
        case '"':
            xr_buffer_text(out, "&quot;");
            break;
        case '\'':
            xr_buffer_text(out, "&#39;");
            break;
        case 0:
            xr_buffer_text(out, "\xEF\xBF\xBD");
            break;
        default:
            xr_buffer_append(out, text + i, (size_t)length);
        }
        i += (size_t)length;
    }
}

int xr_chart_ticks(double low, double high, int most, double *first, double *step) {
    double span = high > low ? high - low : fmax(fabs(low), 1) * 1e-3;
    double raw = span / most, power = pow(10, floor(log10(raw)));
    double times = raw / power;
    *step = power * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
    *first = floor(low / *step) * *step;
    return (int)ceil((high - *first) / *step - 1e-9) + 1;
}

static double at_x(const Frame *f, double step) {
    return LEFT + (step - f->x0) / (f->x1 - f->x0) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const Frame *f, double value) {
    return HEIGHT - BOTTOM - (value - f->y0) / (f->y1 - f->y0) * (HEIGHT - TOP - BOTTOM);
}

static bool find_frame(const char *name, const XrRunData *runs, int run_count, Frame *f) {
    *f = (Frame){INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (int r = 0; r < run_count; r++) {
        const XrSeries *s = xr_run_series(&runs[r], name);
        for (int64_t i = 0; s && i < s->count; i++) {
            f->x0 = fmin(f->x0, s->step[i]);
            f->x1 = fmax(f->x1, s->step[i]);
            f->y0 = fmin(f->y0, s->value[i]);
            f->y1 = fmax(f->y1, s->value[i]);
        }
    }
    if (f->x0 > f->x1) return false;
    if (f->x0 == f->x1) f->x1 += 1;
    return true;
}

// Horizontal lines at round values, which the frame is widened to, and round steps below.
static void draw_axes(XrBuffer *out, Frame *f) {
    double first, step;
    int count = xr_chart_ticks(f->y0, f->y1, 4, &first, &step);
    f->y0 = first;
    f->y1 = fmax(f->y1, first + step * XR_MAX(count - 1, 1));
    for (int i = 0; i < count; i++) {
        double value = first + step * i, y = at_y(f, value);
        if (fabs(value) < step * 1e-9) value = 0;
        xr_buffer_format(out,
                         "<path class=\"grid\" d=\"M%d %.1fH%d\"/>"
                         "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>",
                         LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 3.5, value);
    }
    xr_chart_ticks(f->x0, f->x1, 5, &first, &step);
    if (step < 1) step = 1;
    first = ceil(f->x0 / step) * step;
    count = (int)floor((f->x1 - first) / step) + 1;
    for (int i = 0; i < count; i++) {
        double x = first + step * i;
        xr_buffer_format(
            out, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.6g</text>",
            at_x(f, x), HEIGHT - 8, x);
    }
}

typedef struct Bucket {
    double step, mean, least, most;
} Bucket;

static Bucket bucket_of(const XrSeries *s, int64_t begin, int64_t end) {
    Bucket b = {0, 0, INFINITY, -INFINITY};
    for (int64_t i = begin; i < end; i++) {
        b.step += s->step[i] / (double)(end - begin);
        b.mean += s->value[i] / (double)(end - begin);
        b.least = fmin(b.least, s->value[i]);
        b.most = fmax(b.most, s->value[i]);
    }
    return b;
}

static void draw_series(XrBuffer *out, const Frame *f, const XrSeries *s, int colour,
                        const char *run) {
    int64_t points = XR_MIN(s->count, MOST_POINTS);
    Bucket buckets[MOST_POINTS];
    for (int64_t i = 0; i < points; i++) {
        buckets[i] = bucket_of(s, i * s->count / points, (i + 1) * s->count / points);
    }
    if (s->count > points) {
        xr_buffer_format(out, "<path class=\"band c%d\" d=\"", colour);
        for (int64_t i = 0; i < points; i++) {
            xr_buffer_format(out, "%c%.1f %.1f", i ? 'L' : 'M', at_x(f, buckets[i].step),
                             at_y(f, buckets[i].most));
        }
        for (int64_t i = points - 1; i >= 0; i--) {
            xr_buffer_format(out, "L%.1f %.1f", at_x(f, buckets[i].step),
                             at_y(f, buckets[i].least));
        }
        xr_buffer_text(out, "Z\"/>");
    }
    xr_buffer_format(out, "<path class=\"line c%d\" d=\"", colour);
    for (int64_t i = 0; i < points; i++) {
        xr_buffer_format(out, "%c%.1f %.1f", i ? 'L' : 'M', at_x(f, buckets[i].step),
                         at_y(f, buckets[i].mean));
    }
    xr_buffer_text(out, "\"><title>");
    xr_html_text(out, run, strlen(run));
    xr_buffer_text(out, "</title></path>");
    const Bucket *last = &buckets[points - 1];
    xr_buffer_format(out, "<circle class=\"dot c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>", colour,
                     at_x(f, last->step), at_y(f, last->mean));
}

void xr_chart(XrBuffer *out, const char *name, const XrRunData *runs, int run_count) {
    Frame frame;
    if (!find_frame(name, runs, run_count, &frame)) return;
    xr_buffer_text(out, "<figure><figcaption>");
    xr_html_text(out, name, strlen(name));
    xr_buffer_format(out, "</figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
                     WIDTH, HEIGHT);
    xr_html_text(out, name, strlen(name));
    xr_buffer_text(out, " by step\">");
    draw_axes(out, &frame);
    for (int r = 0; r < run_count; r++) {
        const XrSeries *s = xr_run_series(&runs[r], name);
        if (s && s->count) draw_series(out, &frame, s, r % XR_CHART_COLOURS, runs[r].name);
    }
    xr_buffer_text(out, "</svg></figure>\n");
}
