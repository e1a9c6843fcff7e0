#include "shared/train/metrics.h"

#include <math.h>
#include <string.h>

void xr_metrics_begin(XrMetrics *metrics, int64_t step) {
    xr_buffer_clear(&metrics->text);
    xr_buffer_format(&metrics->text, "{\"step\": %lld", (long long)step);
}

static void name_value(XrMetrics *metrics, const char *name) {
    xr_buffer_text(&metrics->text, ", ");
    xr_buffer_json(&metrics->text, name, strlen(name));
    xr_buffer_text(&metrics->text, ": ");
}

void xr_metrics_real(XrMetrics *metrics, const char *name, double value) {
    name_value(metrics, name);
    if (isfinite(value))
        xr_buffer_format(&metrics->text, "%.9g", value);
    else
        xr_buffer_text(&metrics->text, "null");
}

void xr_metrics_whole(XrMetrics *metrics, const char *name, int64_t value) {
    name_value(metrics, name);
    xr_buffer_format(&metrics->text, "%lld", (long long)value);
}

bool xr_metrics_write(XrMetrics *metrics, XrLineFile *file, XrError *err) {
    xr_buffer_byte(&metrics->text, '}');
    return xr_line_file_append(file, metrics->text.data, metrics->text.length, err);
}

void xr_metrics_free(XrMetrics *metrics) {
    xr_buffer_free(&metrics->text);
}
