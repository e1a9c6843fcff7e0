#include "tests/support/engine.h"

#include "shared/base/memory.h" // defines: XR_COUNT
#include "tests/support/backends.h"
#include "tests/support/test.h"

void xr_fixture_open(XrEngineFixture *f, const char *name, const char *backend) {
    XrError err;
    *f = (XrEngineFixture){.backend = xr_test_backend(backend)};
    f->model = xr_golden_model(f->backend, name);
    f->tokenizer = xr_tokenizer_load(f->model->folder, &err);
    xr_must(f->tokenizer != NULL, &err);
}

void xr_fixture_close(XrEngineFixture *f) {
    for (int i = 0; i < f->count; i++) xr_golden_request_free(&f->golden[i]);
    xr_tokenizer_free(f->tokenizer);
    xr_model_close(f->model);
    xr_backend_free(f->backend);
}

XrRequest *xr_fixture_add(XrEngineFixture *f, const char *request) {
    assert_true(f->count < XR_FIXTURE_REQUESTS);
    int i = f->count++;
    XrGoldenRequest *g = &f->golden[i];
    *g = xr_golden_request(request);
    XrRequest *r = &f->requests[i];
    *r = xr_request_default();
    r->id = (uint64_t)i + 1;
    r->prompt = g->ids;
    r->prompt_count = g->count;
    r->pixels = g->pixels;
    r->grids = g->grids;
    r->picture_count = g->grid_count;
    r->max_new_tokens = 16;
    return r;
}

XrRequest xr_fixture_text(uint64_t id, int64_t count, int64_t most) {
    static const int32_t ids[] = {11, 12, 13, 14, 15, 16, 17};
    assert_true(count <= (int64_t)XR_COUNT(ids));
    XrRequest r = xr_request_default();
    r.id = id;
    r.prompt = ids;
    r.prompt_count = count;
    r.max_new_tokens = most;
    return r;
}

XrEngine *xr_fixture_engine(const XrEngineFixture *f, int sequences, int64_t tokens,
                            int64_t pages) {
    XrEngine *engine;
    XrError err;
    XrEngineConfig config = {sequences, tokens, (size_t)pages * xr_engine_page_bytes(f->model)};
    xr_must(xr_engine_create(&engine, f->model, f->tokenizer, &config, &err), &err);
    return engine;
}
