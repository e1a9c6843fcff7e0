// Decode steps in graphs (shared/engine/graphs.h): filled up, recorded and launched they give the
// same bits as the same steps without, under every schedule; most steps of a long decode are
// launches; few are recorded and few are kept. Rows of whole engines are named
// "CHECK/MODEL/backend"; on the CPU, which has no graphs, steps are filled up alone.
#include "tests/support/backends.h" // defines: XR_TEST_MODELS_ON_CUDA
#include "tests/support/engine.h"
#include "tests/support/samples.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/engine/graphs.h"

#include <stdlib.h>

#ifdef XR_CUDA_EMULATION
#include "cuda/emulation/emulation.h"
#endif

enum { MOST = 8 };

// How decode steps are carried out.
typedef enum Mode {
    PLAIN,  // as they are
    FILLED, // filled up, one operation after the other
    GRAPHS,
} Mode;
static const char *const MODES[] = {"plain", "filled up", "graphs"};

typedef struct Row {
    const char *model, *request, *backend;
    int requests, schedules; // on an emulated GPU a few, and short
} Row;

typedef struct Fixture {
    XrEngineFixture engine;      // with one golden request
    bool (*begin)(XrBackend *b); // the backend's own, or NULL
    int requests;
} Fixture;

static void open_fixture(Fixture *f, const Row *row) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", row->model, row->request);
    xr_fixture_open(&f->engine, name, row->backend);
    xr_fixture_add(&f->engine, name);
    f->begin = f->engine.backend->graph_begin;
    f->requests = row->requests;
}

static bool refuse(XrBackend *b) {
    return false;
}

static XrEngine *make_engine(const Fixture *f, Mode mode, int sequences, int64_t tokens,
                             int64_t pages) {
    f->engine.backend->graph_begin = mode == PLAIN ? NULL : mode == FILLED ? refuse : f->begin;
    return xr_fixture_engine(&f->engine, sequences, tokens, pages);
}

// Of all kinds.
static void make_requests(const Fixture *f, XrRequest requests[MOST]) {
    const XrRequest *golden = f->engine.requests;
    static const int32_t suppress[] = {3, 5, 9}, stop_ids[] = {362, 360, 31, 59, 65, 104, 129, 146};
    bool brief = f->requests < MOST;
    for (int i = 0; i < f->requests; i++) {
        XrRequest *r = &requests[i];
        *r = xr_fixture_text((uint64_t)i + 1, 4 + i % 4,
                             brief ? 18 + 3 * (i % 3) : 20 + 9 * (i % 3));
        r->sampling = (XrSampling){.temperature = i % 3 ? 0.9f : 0,
                                   .top_k = i % 2 ? 30 : 0,
                                   .top_p = i % 4 == 1 ? 0.9f : 1,
                                   .repetition_penalty = i % 3 == 1 ? 1.1f : 1,
                                   .seed = 4};
        if (i % 3 == 2 &&
            !(brief && golden->picture_count == 0)) { // with pictures, where the model sees
            r->prompt = golden->prompt;
            r->prompt_count = golden->prompt_count;
            r->pixels = golden->pixels;
            r->grids = golden->grids;
            r->picture_count = golden->picture_count;
        }
        r->samples = i % 4 == 2 ? 3 : 1;
        r->stop_ids = stop_ids;
        r->stop_id_count = i % 5 == 3 ? 8 : 0;
        if (i % 2) r->think = (XrThinkLimits){.budget = 3 + i, .answer_budget = -1};
        r->think.branch = i == 1;
        r->suppress = suppress + i % 2;
        r->suppress_count = i % 3;
    }
}

typedef struct Schedule {
    const char *name;
    int sequences;
    int64_t tokens, pages;
    int between; // steps from one request to the next
    int cancel;  // the step before which request 4 is cancelled; 0: never
    bool ahead;  // of the results
    bool preempts;
} Schedule;

static const Schedule SCHEDULES[] = {
    {"one after the other arrives", 16, 64, 64, 6, 0, true, false},
    {"all together, results awaited", 16, 512, 64, 0, 9, false, false},
    {"few pages", 5, 16, 6, 3, 0, true, true},
};

static XrEngineStats run(const Fixture *f, const Schedule *s, Mode mode, XrResponse **responses) {
    XrRequest requests[MOST];
    int count = f->requests, added = 0, step = 0;
    make_requests(f, requests);
    XrEngine *engine = make_engine(f, mode, s->sequences, s->tokens, s->pages);
    XrError err;
    f->engine.backend->asynchronous = s->ahead;
    for (bool more = true; more || added < count; step++) {
        for (; added < count && added * s->between <= step; added++) {
            xr_must(xr_engine_add(engine, &requests[added], &err), &err);
        }
        if (s->cancel && step == s->cancel) xr_engine_cancel(engine, 4);
        more = xr_engine_step(engine);
    }
    for (XrResponse *r; (r = xr_engine_take(engine));) responses[r->id - 1] = r;
    XrEngineStats stats = xr_engine_stats(engine);
    assert_int_equal(stats.free_pages, stats.pages);
    if (s->preempts && !stats.preemptions) fail_msg("%s: none preempted", s->name);
    xr_engine_free(engine);
    return stats;
}

static void compare(XrResponse **a, XrResponse **b, int count, const Schedule *s, Mode mode) {
    char what[96];
    snprintf(what, sizeof what, "%s, %s", s->name, MODES[mode]);
    for (int i = 0; i < count; i++) {
        if (!a[i] || !b[i]) {
            fail_msg("%s: no answer to request %d", what, i + 1);
            return;
        }
        xr_assert_same_response(a[i], b[i], what);
        for (int k = 0; k < a[i]->count; k++) {
            const XrSample *one = a[i]->samples[k].forced_exit;
            const XrSample *other = b[i]->samples[k].forced_exit;
            assert_int_equal(one != NULL, other != NULL);
            if (one) xr_assert_same_sample(one, other, what, a[i]->id);
        }
    }
}

static void free_all(XrResponse **responses, int count) {
    for (int i = 0; i < count; i++) xr_response_free(responses[i]);
}

// The same bits. Where the sum of a row's products depends on the number of rows (cuBLASLt), they
// are those of steps that are filled up alike.
static void bits(void **state) {
    const Row *row = *state;
    Fixture f;
    open_fixture(&f, row);
    bool alike = f.begin && !f.engine.backend->batch_invariant;
    for (int i = 0; i < row->schedules; i++) {
        const Schedule *s = &SCHEDULES[i];
        XrResponse *want[MOST] = {0}, *got[MOST] = {0};
        XrEngineStats first = run(&f, s, alike ? FILLED : PLAIN, want);
        assert_int_equal(first.graphs + first.replays, 0);
        for (Mode mode = f.begin ? GRAPHS : FILLED; mode <= (f.begin ? GRAPHS : FILLED); mode++) {
            XrEngineStats stats = run(&f, s, mode, got);
            compare(want, got, f.requests, s, mode);
            assert_int_equal(stats.steps, first.steps);
            assert_int_equal(stats.tokens, first.tokens);
            assert_int_equal(stats.waits - first.waits, 0);
            assert_int_equal(stats.replays > stats.graphs, mode == GRAPHS);
            free_all(got, f.requests);
        }
        free_all(want, f.requests);
    }
    xr_fixture_close(&f.engine);
}

#ifdef XR_TEST_MODELS_ON_CUDA
static const Row TEXT = {"text_only", "talk", "cuda.bf16", 0, 0};

static bool is_among(int32_t id, const int32_t *ids, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] == id) return true;
    }
    return false;
}

// Two samples of which one ends earlier: nearly all steps are launches of graphs, of which there
// are as many as there are numbers of pages, and of rows, to fill up to. The same graphs do when
// each request suppresses ids of its own; here those of its first answer, or one of them.
static void most_steps_are_launches(void **state) {
    Fixture f;
    open_fixture(&f, *state);
    XrRequest requests[2] = {xr_fixture_text(1, 7, 60), xr_fixture_text(2, 7, 50)};
    XrResponse *responses[2];
    XrEngineStats before = {0};
    XrEngine *engine = make_engine(&f, GRAPHS, 8, 64, 64);
    int32_t unwanted[2][60];
    for (int again = 0; again < 2; again++) {
        XrError err;
        xr_must(xr_engine_generate(engine, requests, 2, responses, &err), &err);
        for (int i = 0; i < 2; i++) {
            const XrSample *s = &responses[i]->samples[0];
            for (int64_t k = 0; k < s->count && again; k++) {
                assert_int_equal(is_among(s->ids[k], unwanted[i], requests[i].suppress_count), 0);
            }
            memcpy(unwanted[i], s->ids, sizeof *s->ids * (size_t)s->count);
            requests[i].suppress = unwanted[i];
            requests[i].suppress_count = i ? (int)s->count : 1;
        }
        XrEngineStats stats = xr_engine_stats(engine);
        assert_int_equal(stats.steps - before.steps, 60);
        // 1 page up to 32 tokens, 2 up to 64, 3; and 2 and 3 pages of one sample alone.
        int64_t graphs = stats.graphs - before.graphs;
        assert_int_equal(graphs, again ? 0 : 4);
        assert_int_equal(stats.replays - before.replays, 59 - graphs);
        before = stats;
        for (int i = 0; i < 2; i++) xr_response_free(responses[i]);
    }
    xr_engine_free(engine);
    xr_fixture_close(&f.engine);
}

#ifdef XR_CUDA_EMULATION
// What a decode step of bf16 asks of a GPU: a layer's operations are a launch each, attention two
// where a sequence's keys are shared out among blocks. The rest: angles, embedding, the last norm,
// the rows that draw, logits, and the draw.
enum { LAUNCHES_OF_LAYER = 11, LAUNCHES_BESIDE = 6 };

static void a_layer_is_few_launches(void **state) {
    XrEngineFixture f;
    xr_fixture_open(&f, "gqa4_shards", "cuda.bf16");
    XrEngine *engine = xr_fixture_engine(&f, 2, 64, 64);
    XrRequest request = xr_fixture_text(1, 7, 40);
    XrError err;
    xr_must(xr_engine_add(engine, &request, &err), &err);
    int64_t before = 0, layers = f.model->config.layers;
    for (int step = 0; step < 30; step++) {
        before = xr_emulation_launches();
        assert_true(xr_engine_step(engine));
    }
    int64_t launches = xr_emulation_launches() - before;
    assert_in_range(launches, 1, layers * LAUNCHES_OF_LAYER + LAUNCHES_BESIDE);
    xr_engine_cancel(engine, 1);
    while (xr_engine_step(engine)) continue;
    xr_response_free(xr_engine_take(engine));
    xr_engine_free(engine);
    xr_fixture_close(&f);
}
#endif

// An operation elsewhere copies a matrix of so many rows to scratch memory.
static void use_scratch(XrBackend *b, int64_t rows) {
    const int64_t shapes[3][2] = {{rows, 257}, {1, 256}, {1, rows}};
    XrTensor t[3];
    XrError err;
    for (int i = 0; i < 3; i++) {
        xr_must(xr_tensor_alloc(b, &t[i], XR_F32, 2, shapes[i], "test", &err), &err);
        b->zero(b, t[i].data, xr_nbytes(&t[i]));
    }
    XrTensor unaligned = xr_tensor2(XR_F32, (char *)t[0].data + 2, rows, 256);
    xr_linear(b, &t[2], &t[1], &unaligned, NULL);
    for (int i = 0; i < 3; i++) xr_tensor_free(b, &t[i]);
}

// What graphs hold moves: scratch memory, in step 34; then the block that a step's lists are in,
// for a sample with many ids under penalty.
static void moved_memory(void **state) {
    Fixture f;
    open_fixture(&f, *state);
    XrResponse *responses[2][3];
    int32_t prompt[300];
    for (int32_t i = 0; i < 300; i++) prompt[i] = 10 + i;
    for (int graphs = 0; graphs < 2; graphs++) {
        XrEngine *engine = make_engine(&f, graphs ? GRAPHS : PLAIN, 2, 8, 16);
        XrError err;
        XrRequest one = xr_fixture_text(1, 7, 60), other = xr_fixture_text(2, 7, 4);
        other.prompt = prompt;
        other.prompt_count = 300;
        other.sampling.repetition_penalty = 1.1f;
        xr_must(xr_engine_add(engine, &one, &err), &err);
        int64_t before = 0;
        for (int step = 0, more = 1; more; step++) {
            if (step == 34) {
                use_scratch(f.engine.backend, graphs ? 600 : 300);
                before = xr_engine_stats(engine).graphs;
            }
            if (step == 36) assert_int_equal(xr_engine_stats(engine).graphs, before + graphs);
            more = xr_engine_step(engine);
        }
        responses[graphs][0] = xr_engine_take(engine);
        xr_must(xr_engine_generate(engine, &other, 1, &responses[graphs][1], &err), &err);
        xr_must(xr_engine_generate(engine, &one, 1, &responses[graphs][2], &err), &err);
        xr_engine_free(engine);
    }
    for (int i = 0; i < 3; i++) {
        xr_assert_same_response(responses[0][i], responses[1][i], "moved");
        xr_response_free(responses[0][i]);
        xr_response_free(responses[1][i]);
    }
    xr_fixture_close(&f.engine);
}

#endif

// ---- the store of graphs, on a backend that counts ----

static struct {
    int worked, begun, alive;
    bool recording, refuses, is_full, is_void;
} counts;

static bool count_begin(XrBackend *b) {
    if (counts.refuses) return false;
    counts.begun++;
    counts.recording = true;
    return true;
}

static void *count_end(XrBackend *b) {
    counts.recording = false;
    if (counts.is_full) return NULL;
    counts.alive++;
    return xr_calloc(1, 1);
}

static bool count_launch(XrBackend *b, void *graph) {
    bool done = !counts.is_void;
    counts.is_void = false;
    counts.worked += done;
    return done;
}

static void count_free(XrBackend *b, void *graph) {
    counts.alive--;
    free(graph);
}

static void count_work(void *context) {
    counts.worked += !counts.recording;
}

static XrBackend *open_counter(void) {
    XrBackend *b = xr_cpu_create(1);
    b->graph_begin = count_begin;
    b->graph_end = count_end;
    b->graph_launch = count_launch;
    b->graph_free = count_free;
    memset(&counts, 0, sizeof counts);
    return b;
}

static void ask(XrGraphs *graphs, XrBackend *b, int64_t rows, int times) {
    for (int i = 0; i < times; i++) {
        int before = counts.worked;
        xr_graphs_run(graphs, b, &(XrGraphKey){.rows = rows, .pages = 3}, count_work, NULL);
        assert_int_equal(counts.worked, before + 1);
    }
}

static void few_are_kept(void **state) {
    XrBackend *b = open_counter();
    XrGraphs graphs = {0};
    ask(&graphs, b, 1, 1);
    assert_int_equal(counts.begun, 0);
    ask(&graphs, b, 1, 5);
    assert_int_equal(graphs.recorded, 1);
    assert_int_equal(graphs.launched, 5);
    for (int64_t rows = 2; rows < 2 + XR_MOST_GRAPHS - 1; rows++) ask(&graphs, b, rows, 2);
    assert_int_equal(counts.alive, XR_MOST_GRAPHS);
    ask(&graphs, b, 1, 1);
    ask(&graphs, b, 1000, 2); // in the place of 2
    assert_int_equal(counts.alive, XR_MOST_GRAPHS);
    int begun = counts.begun;
    ask(&graphs, b, 1, 1);
    ask(&graphs, b, 3, 1);
    assert_int_equal(counts.begun, begun);
    ask(&graphs, b, 2, 2);
    assert_int_equal(counts.begun, begun + 1);
    xr_graphs_clear(&graphs, b);
    assert_int_equal(counts.alive, 0);
    ask(&graphs, b, 1, 2); // from the beginning
    assert_int_equal(counts.begun, begun + 2);
    xr_graphs_clear(&graphs, b);
    xr_backend_free(b);
}

static void without_a_graph(void **state) {
    XrBackend *b = open_counter();
    XrGraphs graphs = {0};
    counts.refuses = true;
    ask(&graphs, b, 1, 4);
    counts.refuses = false;
    counts.is_full = true;
    ask(&graphs, b, 1, 4); // no memory for it, which is found out once
    assert_int_equal(counts.begun, 1);
    assert_int_equal(graphs.recorded + graphs.launched, 0);
    counts.is_full = false;
    ask(&graphs, b, 2, 3);
    counts.is_void = true;
    ask(&graphs, b, 2, 3); // recorded again at once
    assert_int_equal(counts.begun, 3);
    assert_int_equal(graphs.recorded, 2);
    assert_int_equal(graphs.launched, 5);
    assert_int_equal(counts.alive, 1);
    // Each part of the key makes another.
    const XrGraphKey others[] = {{2, 4, false}, {2, 3, true}};
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++) xr_graphs_run(&graphs, b, &others[i], count_work, NULL);
    }
    assert_int_equal(graphs.recorded, 4);
    xr_graphs_clear(&graphs, b);
    assert_int_equal(counts.alive, 0);
    xr_backend_free(b);
}

static const Row BITS[] = {
    {"gqa2_tied", "two", "2", MOST, 3},      {"gqa7_half", "two", "2", MOST, 3},
    {"text_only", "talk", "2", MOST, 3},
#ifdef XR_TEST_MODELS_ON_CUDA
    {"gqa2_tied", "two", "cuda.bf16", 5, 3}, // f32, by cuBLASLt
    {"text_only", "talk", "cuda", 5, 2},     {"gqa7_half", "turns", "cuda.bf16.invariant", 5, 1},
#endif
};

int main(int argc, char **argv) {
    struct CMUnitTest tests[XR_COUNT(BITS) + 5] = {
        cmocka_unit_test(few_are_kept),
        cmocka_unit_test(without_a_graph),
#ifdef XR_TEST_MODELS_ON_CUDA
        {"most_steps_are_launches/text_only/cuda.bf16", most_steps_are_launches, NULL, NULL,
         (void *)&TEXT},
#ifdef XR_CUDA_EMULATION
        cmocka_unit_test(a_layer_is_few_launches),
#endif
        {"moved_memory/text_only/cuda.bf16", moved_memory, NULL, NULL, (void *)&TEXT},
#endif
    };
    char names[XR_COUNT(BITS)][64];
    size_t count = 0;
    while (tests[count].name) count++;
    for (size_t i = 0; i < XR_COUNT(BITS); i++) {
        snprintf(names[i], sizeof names[i], "bits/%s/%s", BITS[i].model, BITS[i].backend);
        tests[count++] = (struct CMUnitTest){
            .name = names[i], .test_func = bits, .initial_state = (void *)&BITS[i]};
    }
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
