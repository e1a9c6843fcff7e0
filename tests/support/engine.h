// What tests of whole engines start with: a golden model with its tokenizer on a backend, and
// golden requests to it.
#ifndef XR_TESTS_ENGINE_H
#define XR_TESTS_ENGINE_H

#include "shared/engine/engine.h"
#include "tests/support/models.h"

enum { XR_FIXTURE_REQUESTS = 24 };

typedef struct XrEngineFixture {
    XrBackend *backend;
    XrModel *model;
    XrTokenizer *tokenizer;
    XrGoldenRequest golden[XR_FIXTURE_REQUESTS];
    XrRequest requests[XR_FIXTURE_REQUESTS]; // made of `golden`, of the same index
    int count;
} XrEngineFixture;

// Opens the model of `name`, "MODEL" or "MODEL.REQUEST", without requests, on a backend by its name
// (tests/support/backends.h); skips the calling test where that is not there. To be closed.
void xr_fixture_open(XrEngineFixture *f, const char *name, const char *backend);
void xr_fixture_close(XrEngineFixture *f);

// Adds a golden request, "MODEL.REQUEST", with its pictures: one sample, greedy, 16 tokens, no
// stops, its id 1 for the first. Belongs to the fixture.
XrRequest *xr_fixture_add(XrEngineFixture *f, const char *request);

// A greedy request of `count` ids, at most 7, for at most `most` tokens.
XrRequest xr_fixture_text(uint64_t id, int64_t count, int64_t most);

// An engine for so many sequences and tokens of a step (0: its own numbers), with so many pages of
// cache; to be freed before the fixture is closed.
XrEngine *xr_fixture_engine(const XrEngineFixture *f, int sequences, int64_t tokens, int64_t pages);

#endif
