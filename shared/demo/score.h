// What a model of the demo answers in the tiny world's four cells: two domains, each in text and in
// pictures; greedy and sampled; with and without forced exit.
#ifndef XR_DEMO_SCORE_H
#define XR_DEMO_SCORE_H

#include "datasets/tiny_world/exam.h"

enum { XR_DEMO_CELLS = 2 * XR_WORLD_DOMAINS }; // domain * 2, + 1 for pictures

typedef enum XrDemoDecoding { XR_DEMO_GREEDY, XR_DEMO_SAMPLED, XR_DEMO_DECODINGS } XrDemoDecoding;
typedef enum XrDemoExit { XR_DEMO_FREE, XR_DEMO_FORCED, XR_DEMO_EXITS } XrDemoExit;

// Of sampling, and tokens of thinking after which the exit is forced.
#define XR_DEMO_TEMPERATURE 0.3f
enum { XR_DEMO_BUDGET = 52 };

// "total, text"; "greedy", "sampled"; "free", "forced".
const char *xr_demo_cell_name(int cell);
const char *xr_demo_decoding_name(XrDemoDecoding decoding);
const char *xr_demo_exit_name(XrDemoExit exit);

typedef struct XrDemoScore {
    int64_t items; // of each cell; item i of a domain is the same list in text and picture
    XrWorldMark *marks[XR_DEMO_DECODINGS][XR_DEMO_EXITS][XR_DEMO_CELLS]; // [items]
} XrDemoScore;

// What the items of a cell came to.
typedef struct XrDemoCell {
    double right;     // share
    double low, high; // its 95% interval (Wilson)
    double tokens;    // mean of a response
    double capped;    // share that ran into the limit of tokens
    double open;      // share that ended by itself with thinking never closed
} XrDemoCell;

XrDemoCell xr_demo_cell(const XrWorldMark *marks, int64_t items);

// All marks 0, to be filled.
void xr_demo_score_init(XrDemoScore *score, int64_t items);
void xr_demo_score_free(XrDemoScore *score);

// Asks the model in `folder` everything, `items` lists of the test split a cell.
bool xr_demo_score_sit(XrDemoScore *out, XrBackend *backend, const char *folder, int64_t items,
                       uint64_t seed, XrError *err);
// One line an item. Reading fails where a line is missing or odd.
bool xr_demo_score_write(const XrDemoScore *score, const char *path, XrError *err);
bool xr_demo_score_read(XrDemoScore *out, const char *path, int64_t items, XrError *err);

#endif
