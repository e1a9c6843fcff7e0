#include "tests/support/samples.h"

#include "tests/support/test.h"

void xr_assert_same_sample(const XrSample *a, const XrSample *b, const char *what,
                           uint64_t request) {
    size_t n = (size_t)a->count;
    bool same = a->count == b->count && a->finish == b->finish && a->index == b->index &&
                a->truncated == b->truncated && a->stop_id == b->stop_id &&
                a->stop_string == b->stop_string && a->forced_count == b->forced_count &&
                memcmp(a->ids, b->ids, n * sizeof *a->ids) == 0 &&
                memcmp(a->forced, b->forced, n) == 0 &&
                memcmp(a->logprobs, b->logprobs, n * sizeof *a->logprobs) == 0 &&
                memcmp(a->scaled, b->scaled, n * sizeof *a->scaled) == 0 &&
                a->text_bytes == b->text_bytes && memcmp(a->text, b->text, a->text_bytes) == 0;
    if (same) return;
    fail_msg("%s: request %llu, sample %d differs: %lld tokens \"%s\" (%s) and %lld tokens \"%s\" "
             "(%s)",
             what, (unsigned long long)request, a->index, (long long)a->count, a->text,
             xr_finish_name(a->finish), (long long)b->count, b->text, xr_finish_name(b->finish));
}

void xr_assert_same_response(const XrResponse *a, const XrResponse *b, const char *what) {
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->error.status, XR_OK);
    assert_int_equal(b->error.status, XR_OK);
    for (int i = 0; i < a->count; i++) {
        xr_assert_same_sample(&a->samples[i], &b->samples[i], what, a->id);
    }
}
