// Numbers of the X-Reasoner paper (arXiv 2505.03981), to be shown beside one's own.
#ifndef XR_EVAL_PUBLISHED_H
#define XR_EVAL_PUBLISHED_H

typedef struct XrPublished {
    const char *benchmark; // name in the table of benchmarks
    const char *system;    // "Qwen2.5-VL-7B", "X-Reasoner", "X-Reasoner-Med", ...
    const char *metric;    // "greedy", "average@5"
    double value;          // percent
    const char *where;     // of the paper
    double words;          // mean length of responses, 0: not given
} XrPublished;

// The first entry of a benchmark, those of one benchmark together; `*count` of them.
const XrPublished *xr_published(const char *benchmark, int *count);

#endif
