#include "shared/base/thread.h"

#include "shared/base/memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <immintrin.h> // defines: _mm_getcsr, _mm_setcsr, _mm_pause
#endif

// Rounds of waiting before a thread sleeps: looking at once (some microseconds), then letting other
// threads and programs go first, which costs next to nothing on idle cores and keeps busy ones busy.
enum { SPIN_ROUNDS = 300, YIELD_ROUNDS = 100, MAX_THREADS = 256 };

typedef struct Loop {
    XrLoopBody *body;
    void *context;
    int64_t count, grain;
    _Atomic int64_t next;
} Loop;

struct XrThreads {
    int count;
    pthread_t *workers; // count - 1
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    _Atomic uint64_t generation; // of the loop being run; bumped to start one
    _Atomic int busy;            // workers still inside the current loop
    _Atomic bool quit;
    Loop loop;
};

typedef struct Worker {
    XrThreads *threads;
    int index;
} Worker;

// What a waiting thread does in round `i`.
static void pause_briefly(int i) {
    if (i >= SPIN_ROUNDS) {
        sched_yield();
        return;
    }
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Sets flush-to-zero and denormals-are-zero; returns the setting that was in force before.
static uint64_t flush_denormals(void) {
#if defined(__x86_64__)
    unsigned old = _mm_getcsr();
    _mm_setcsr(old | 0x8040);
    return old;
#elif defined(__aarch64__)
    uint64_t old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(old | (1ull << 24)));
    return old;
#else
    return 0;
#endif
}

static void restore_denormals(uint64_t old) {
#if defined(__x86_64__)
    _mm_setcsr((unsigned)old);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(old));
#else
    (void)old;
#endif
}

static void run_pieces(Loop *loop, int thread) {
    for (;;) {
        int64_t begin = atomic_fetch_add_explicit(&loop->next, loop->grain, memory_order_relaxed);
        if (begin >= loop->count) return;
        loop->body(loop->context, begin, XR_MIN(begin + loop->grain, loop->count), thread);
    }
}

// Waits until a loop newer than `seen` is there, first spinning, then asleep.
static uint64_t wait_for_loop(XrThreads *t, uint64_t seen) {
    for (int i = 0; i < SPIN_ROUNDS + YIELD_ROUNDS; i++) {
        uint64_t now = atomic_load_explicit(&t->generation, memory_order_acquire);
        if (now != seen || atomic_load(&t->quit)) return now;
        pause_briefly(i);
    }
    pthread_mutex_lock(&t->mutex);
    while (atomic_load(&t->generation) == seen && !atomic_load(&t->quit)) {
        pthread_cond_wait(&t->wake, &t->mutex);
    }
    uint64_t now = atomic_load(&t->generation);
    pthread_mutex_unlock(&t->mutex);
    return now;
}

static void *worker_main(void *argument) {
    Worker worker = *(Worker *)argument;
    free(argument);
    XrThreads *t = worker.threads;
    flush_denormals();
    for (uint64_t seen = 0;;) {
        seen = wait_for_loop(t, seen);
        if (atomic_load(&t->quit)) return NULL;
        run_pieces(&t->loop, worker.index);
        if (atomic_fetch_sub_explicit(&t->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&t->mutex);
            pthread_cond_signal(&t->done);
            pthread_mutex_unlock(&t->mutex);
        }
    }
}

static int available_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return CPU_COUNT(&set);
}

XrThreads *xr_threads_create(int count) {
    if (count <= 0) count = available_processors();
    count = XR_MIN(count, MAX_THREADS);
    XrThreads *t = xr_calloc(1, sizeof *t);
    t->count = count;
    t->workers = xr_calloc((size_t)count, sizeof *t->workers);
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->wake, NULL);
    pthread_cond_init(&t->done, NULL);
    for (int i = 1; i < count; i++) {
        Worker *worker = xr_malloc(sizeof *worker);
        *worker = (Worker){t, i};
        if (pthread_create(&t->workers[i - 1], NULL, worker_main, worker) != 0) {
            free(worker); // the system has no more threads: go on with those there are
            t->count = i;
        }
    }
    return t;
}

void xr_threads_free(XrThreads *t) {
    if (!t) return;
    pthread_mutex_lock(&t->mutex);
    atomic_store(&t->quit, true);
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->mutex);
    for (int i = 1; i < t->count; i++) pthread_join(t->workers[i - 1], NULL);
    pthread_cond_destroy(&t->done);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->mutex);
    free(t->workers);
    free(t);
}

int xr_threads_count(const XrThreads *t) {
    return t->count;
}

static void wait_for_workers(XrThreads *t) {
    for (int i = 0; i < SPIN_ROUNDS + YIELD_ROUNDS; i++) {
        if (atomic_load_explicit(&t->busy, memory_order_acquire) == 0) return;
        pause_briefly(i);
    }
    pthread_mutex_lock(&t->mutex);
    while (atomic_load(&t->busy) != 0) pthread_cond_wait(&t->done, &t->mutex);
    pthread_mutex_unlock(&t->mutex);
}

void xr_parallel(XrThreads *t, int64_t count, int64_t grain, XrLoopBody *body, void *context) {
    if (count <= 0) return;
    uint64_t setting = flush_denormals();
    if (t->count == 1 || count <= grain) {
        for (int64_t i = 0; i < count; i += grain) body(context, i, XR_MIN(i + grain, count), 0);
    } else {
        t->loop.body = body;
        t->loop.context = context;
        t->loop.count = count;
        t->loop.grain = grain;
        atomic_store(&t->loop.next, 0);
        atomic_store(&t->busy, t->count - 1);
        pthread_mutex_lock(&t->mutex);
        atomic_fetch_add_explicit(&t->generation, 1, memory_order_release);
        pthread_cond_broadcast(&t->wake);
        pthread_mutex_unlock(&t->mutex);
        run_pieces(&t->loop, 0);
        wait_for_workers(t);
    }
    restore_denormals(setting);
}
