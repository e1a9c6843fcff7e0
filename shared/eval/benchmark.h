// The benchmarks: what each is, and its items from the files that its authors publish.
// docs/evaluation.md has a section for each.
#ifndef XR_EVAL_BENCHMARK_H
#define XR_EVAL_BENCHMARK_H

#include "shared/eval/item.h"

struct XrAdapter; // how rows become items; shared/eval/adapter.h

// An entry of the table. All texts are static.
struct XrBenchmark {
    const char *name;   // as it is typed: "mmlu_pro"
    const char *title;  // as tables show it: "MMLU-Pro"
    const char *source; // where it is published
    const char *licence;
    const char *split;
    int64_t expected;    // items of the published split; 0 where any number is right
    const char *file;    // what is looked for in a folder, relative to it
    const char *judging; // how answers are judged officially, in a line; NULL: no official rule
    bool pictures;       // items have pictures
    const struct XrAdapter *adapter;
    const char *subset; // which rows are items: a name that the adapter knows, or NULL for all
};

// All of them, `*count` in the order of docs/evaluation.md.
const XrBenchmark *xr_benchmarks(int *count);
// The one of that name; NULL and an error that lists the names and the nearest one otherwise.
const XrBenchmark *xr_benchmark_find(const char *name, XrError *err);

typedef struct XrBenchmarkLoadOptions {
    const char *images;    // folder from which paths of pictures are meant; NULL: the data file's
    bool without_pictures; // do not look whether picture files are there
    int64_t limit;         // read only the first items; 0: all
} XrBenchmarkLoadOptions;

// A loaded benchmark. `count` items in the order of the file; every row that belongs to the
// benchmark is one of them, unusable rows too.
typedef struct XrBenchmarkItems {
    const XrBenchmark *benchmark;
    XrItem *items; // [count], owned
    int64_t count;
    int64_t rows;                       // read, those of other subsets included
    int64_t other;                      // rows that belong to another subset or split
    int64_t problems[XR_ITEM_PROBLEMS]; // items by problem; [XR_ITEM_USABLE] can be asked
    int64_t noted;                      // items with a note
    int64_t missing;                    // published items that the file lacks, of a whole load
    uint64_t hash;     // of the data files' bytes: a resumed run refuses changed ones
    bool limited;      // `limit` left items out
    int64_t *id_slots; // hash table of ids: positions plus 1, 0 where there is room
    uint64_t id_mask;
} XrBenchmarkItems;

// The published number of items, which a table divides by: `count` without duplicates, and what is
// missing.
int64_t xr_benchmark_denominator(const XrBenchmarkItems *items);

// Reads `path`: a data file (JSON Lines, a JSON array, a JSON object by id, CSV, TSV), or a folder
// that holds the benchmark's `file`. False with an error where nothing can be read at all; what is
// wrong with single rows is told by their items. `options` may be NULL (all zero). Free with
// xr_benchmark_items_free, also after failure.
bool xr_benchmark_load(XrBenchmarkItems *out, const XrBenchmark *benchmark, const char *path,
                       const XrBenchmarkLoadOptions *options, XrError *err);
void xr_benchmark_items_free(XrBenchmarkItems *items);

// The item of that id, or NULL.
const XrItem *xr_benchmark_item(const XrBenchmarkItems *items, const char *id);

#endif
