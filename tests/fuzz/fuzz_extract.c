// Extraction, multiple choice and answers in words on bytes of any kind. The first byte chooses
// rules and kind; what comes out must lie within bounds and be the same twice. Mathematics has a
// target of its own.
#include "shared/base/error.h"
#include "shared/verify/choice.h"
#include "shared/verify/extract.h"
#include "shared/verify/restate.h"
#include "shared/verify/text_answer.h"

#include <stdint.h>

static void read_answer(XrSpan answer, XrSpan rest) {
    XrSpan texts[] = {xr_span_of("Vagus nerve"),
                      xr_span_of("C or D"),
                      xr_span_of("No"),
                      answer,
                      xr_span_of("$\\frac{1}{2}$"),
                      rest};
    XrOptions options = {.count = 0};
    for (int count = 0; count <= 6; count += 3) {
        XrChoice read;
        XR_REQUIRE(xr_options_set(&options, texts, count), "six options are too many");
        xr_choice_read(&options, answer, &read);
        XR_REQUIRE(count == 0 || read.letters >> count == 0, "a letter that no option has");
        XR_REQUIRE(read.status != XR_CHOICE_READ || read.letters, "no letter was read");
    }
    xr_options_free(&options);
    const char *what;
    xr_hides_text(answer, &what);
    xr_is_wordy(answer);
    xr_restates(rest, texts[0], answer);
    XrVerdict itself = xr_text_compare(answer, answer, NULL);
    XR_REQUIRE(itself == XR_VERDICT_EQUAL || itself == XR_VERDICT_UNPARSED_GOLD,
               "a text differs from itself");
    xr_text_compare(texts[2], answer, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    XrExtractRules rules = {.choice = data[0] & 1,
                            .text = data[0] & 2,
                            .count_thinking = data[0] & 4,
                            .starts_in_thinking = data[0] & 8,
                            .open_answer = data[0] & 16};
    XrSpan text = xr_span((const char *)data + 1, size - 1);
    XrExtractor extractor = {{0}, {0}};
    XrExtraction found, again;
    if (data[0] & 32)
        xr_extract_given(&extractor, text, &rules, &found);
    else
        xr_extract(&extractor, text, &rules, &found);
    XR_REQUIRE(found.answer.bytes <= 2 * size + 64, "more came out than went in");
    read_answer(found.answer, text);
    size_t bytes = found.answer.bytes;
    if (data[0] & 32)
        xr_extract_given(&extractor, text, &rules, &again);
    else
        xr_extract(&extractor, text, &rules, &again);
    XR_REQUIRE(again.method == found.method && again.answer.bytes == bytes,
               "two answers from one text");
    xr_extractor_free(&extractor);
    return 0;
}
