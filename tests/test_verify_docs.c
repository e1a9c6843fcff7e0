// The examples of docs/verifier.md, run straight from its tables: every table whose first column is
// `gold` is one.
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/verify/verify.h"

#include <stdlib.h>

enum { MAX_COLUMNS = 8 };

// One row's cells by the names of their columns.
typedef struct Row {
    XrSpan names[MAX_COLUMNS], cells[MAX_COLUMNS];
    int count, line;
} Row;

static XrSpan trimmed_cell(XrSpan cell) {
    cell = xr_span_trim(cell);
    while (cell.bytes >= 2 && cell.data[0] == '`' && cell.data[cell.bytes - 1] == '`') {
        cell = xr_span_cut(cell, 1, cell.bytes - 1);
    }
    return cell;
}

static int split_cells(XrSpan line, XrSpan *cells) {
    int count = 0;
    for (size_t at = 1; at < line.bytes && count < MAX_COLUMNS;) {
        size_t end = xr_span_find(line, "|", at);
        if (end == XR_NOT_FOUND) break;
        cells[count++] = trimmed_cell(xr_span_cut(line, at, end));
        at = end + 1;
    }
    return count;
}

static XrSpan cell_of(const Row *row, const char *name) {
    for (int i = 0; i < row->count; i++) {
        if (xr_span_is(row->names[i], name)) return row->cells[i];
    }
    return xr_span("", 0);
}

static bool has_column(const Row *row, const char *name) {
    for (int i = 0; i < row->count; i++) {
        if (xr_span_is(row->names[i], name)) return true;
    }
    return false;
}

// The cell with its stand-ins replaced, to be freed.
static XrBuffer unfolded(XrSpan cell) {
    XrBuffer out = {0};
    xr_buffer_reserve(&out, 1);
    for (size_t at = 0; at < cell.bytes;) {
        XrSpan rest = xr_span_cut(cell, at, cell.bytes);
        if (xr_span_find(xr_span_cut(rest, 0, 3), "↵", 0) == 0) {
            xr_buffer_byte(&out, '\n');
            at += strlen("↵");
        } else if (xr_span_find(xr_span_cut(rest, 0, 2), "¦", 0) == 0) {
            xr_buffer_byte(&out, '|');
            at += strlen("¦");
        } else {
            xr_buffer_byte(&out, cell.data[at++]);
        }
    }
    return out;
}

static int split_options(XrSpan cell, XrSpan *options) {
    int count = 0;
    if (!cell.bytes) return 0;
    for (size_t at = 0; count < XR_VERIFY_MOST_OPTIONS;) {
        size_t end = xr_span_find(cell, " ; ", at);
        options[count++] = xr_span_cut(cell, at, end == XR_NOT_FOUND ? cell.bytes : end);
        if (end == XR_NOT_FOUND) break;
        at = end + 3;
    }
    return count;
}

// Whether the row came out as it says; complains where not.
static bool run_row(XrVerifier *verifier, const Row *row) {
    bool response = has_column(row, "response");
    XrBuffer gold = unfolded(cell_of(row, "gold"));
    XrBuffer answer = unfolded(cell_of(row, response ? "response" : "answer"));
    XrSpan options[XR_VERIFY_MOST_OPTIONS];
    XrVerifyRequest request = {.gold = xr_span(gold.data, gold.length),
                               .answer = xr_span(answer.data ? answer.data : "", answer.length),
                               .is_response = response,
                               .question = cell_of(row, "question"),
                               .options = options,
                               .option_count = split_options(cell_of(row, "options"), options)};
    XrVerifyResult result = {0};
    xr_verify(verifier, &request, &result);
    XrSpan verdict = cell_of(row, "verdict"), method = cell_of(row, "method");
    bool right = xr_span_is(verdict, xr_verdict_name(result.verdict)) &&
                 (!method.bytes || xr_span_is(method, xr_extract_method_name(result.method)));
    if (!right) {
        print_message("docs/verifier.md:%d: gold %s, answer %s: %s by %s\n%s", row->line, gold.data,
                      answer.data ? answer.data : "", xr_verdict_name(result.verdict),
                      xr_extract_method_name(result.method), result.explanation.data);
    }
    xr_verify_result_free(&result);
    xr_buffer_free(&gold);
    xr_buffer_free(&answer);
    return right;
}

static void every_example_of_the_document_holds(void **state) {
    XrBuffer text = {0};
    XrError err;
    assert_true(xr_file_read(xr_test_source("docs/verifier.md"), 1 << 20, &text, &err));
    XrVerifyOptions options = {.explain = true};
    XrVerifier *verifier = xr_verifier_create(&options);
    XrSpan document = xr_span(text.data, text.length);
    Row row = {.count = 0};
    int rows = 0, wrong = 0, line = 0;
    bool examples = false;
    for (size_t at = 0; at < document.bytes;) {
        size_t end = xr_span_find(document, "\n", at);
        if (end == XR_NOT_FOUND) end = document.bytes;
        XrSpan here = xr_span_cut(document, at, end);
        at = end + 1;
        line++;
        if (!here.bytes || here.data[0] != '|') {
            examples = false;
        } else if (xr_span_has_at(here, 0, "| gold |")) {
            examples = true;
            row.count = split_cells(here, row.names);
        } else if (examples && !xr_span_has_at(here, 0, "| ---")) {
            assert_int_equal(split_cells(here, row.cells), row.count);
            row.line = line;
            rows++;
            wrong += !run_row(verifier, &row);
        }
    }
    xr_verifier_free(verifier);
    xr_buffer_free(&text);
    assert_int_equal(wrong, 0);
    assert_true(rows > 100);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_of_the_document_holds),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
