#include "shared/base/file_sync.h"

#include "shared/base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct XrFileSync {
    int file, failure;
    bool due, busy, ending;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

static void *work(void *context) {
    XrFileSync *s = context;
    pthread_mutex_lock(&s->mutex);
    while (s->due || !s->ending) {
        if (!s->due) {
            pthread_cond_wait(&s->changed, &s->mutex);
            continue;
        }
        s->due = false;
        s->busy = true;
        pthread_mutex_unlock(&s->mutex);
        // What cannot be synced (a pipe, a terminal) need not be: EINVAL.
        int failure = fsync(s->file) == 0 || errno == EINVAL ? 0 : errno;
        pthread_mutex_lock(&s->mutex);
        s->busy = false;
        if (!s->failure) s->failure = failure;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

XrFileSync *xr_file_sync_create(int file) {
    XrFileSync *s = xr_calloc(1, sizeof *s);
    s->file = file;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    int code = pthread_create(&s->thread, NULL, work, s);
    XR_REQUIRE(code == 0, "a thread cannot be started (%d)", code);
    return s;
}

int xr_file_sync_start(XrFileSync *s) {
    pthread_mutex_lock(&s->mutex);
    s->due = true;
    int failure = s->failure;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    return failure;
}

int xr_file_sync_wait(XrFileSync *s) {
    pthread_mutex_lock(&s->mutex);
    while (s->due || s->busy) pthread_cond_wait(&s->changed, &s->mutex);
    int failure = s->failure;
    pthread_mutex_unlock(&s->mutex);
    return failure;
}

void xr_file_sync_free(XrFileSync *s) {
    if (!s) return;
    pthread_mutex_lock(&s->mutex);
    s->ending = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->changed);
    free(s);
}
