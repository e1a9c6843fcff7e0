// Any bytes as a data file: the first byte picks the benchmark, the second whether it is a table of
// text. Every row becomes an item, usable or not, and a usable one makes a prompt.
#include "shared/base/file.h"
#include "shared/eval/prompts.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int count;
    XrError err;
    const XrBenchmark *benchmarks = xr_benchmarks(&count);
    if (size < 2) return 0;
    const char *path = data[1] & 1 ? "fuzz_benchmark_row.csv" : "fuzz_benchmark_row.json";
    XrBenchmarkLoadOptions options = {.without_pictures = true};
    XrBenchmarkItems items;
    XR_REQUIRE(xr_file_write(path, data + 2, size - 2, &err), "%s", err.message);
    if (xr_benchmark_load(&items, &benchmarks[data[0] % count], path, &options, &err)) {
        XR_REQUIRE(items.count + items.other == items.rows, "rows were lost");
        for (int64_t i = 0; i < items.count; i++) {
            XrChat chat = {0};
            if (items.items[i].problem != XR_ITEM_USABLE) continue;
            xr_item_prompt(&chat, &items.items[i],
                           &(XrItemPromptOptions){.kind = XR_PROMPT_REASONING});
            xr_chat_free(&chat);
        }
    }
    xr_benchmark_items_free(&items);
    return 0;
}
