#include "shared/verify/worker.h"

#include "shared/base/memory.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MILLISECONDS = 5 };
static const size_t DEFAULT_MEMORY = 256u << 20;
static const double DEFAULT_SECONDS = 0.1;

// Workers are not forked by the caller's process, which may have grown large and run many threads
// by the time one is lost, but by a keeper: a process forked once, early, that does nothing else.
struct XrWorker {
    XrWorkerBody *body;
    void *context;
    XrWorkerLimits limits;
    pid_t keeper;
    int control;   // to the keeper
    pid_t process; // the worker, a child of the keeper; 0: none runs
    int socket;    // to the worker
    int64_t lost;
};

// ---- bytes over the socket; a message is its length in 8 bytes and its bytes ----

static bool send_all(int socket, const void *bytes, size_t count) {
    const char *at = bytes;
    while (count) {
        ssize_t sent = send(socket, at, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent;
        count -= (size_t)sent;
    }
    return true;
}

static bool send_message(int socket, const void *bytes, size_t count) {
    uint64_t length = count;
    return send_all(socket, &length, sizeof length) && send_all(socket, bytes, count);
}

static bool receive_all(int socket, void *bytes, size_t count) {
    char *at = bytes;
    while (count) {
        ssize_t got = recv(socket, at, count, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        count -= (size_t)got;
    }
    return true;
}

static bool receive_message(int socket, XrBuffer *out) {
    uint64_t length = 0;
    xr_buffer_clear(out);
    if (!receive_all(socket, &length, sizeof length)) return false;
    xr_buffer_reserve(out, length + 1);
    out->length = length;
    out->data[length] = '\0';
    return receive_all(socket, out->data, length);
}

// ---- the worker's process ----

static void limit_memory(size_t more) {
#if !defined(__SANITIZE_ADDRESS__) // whose shadow memory has its own size
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return;
    if (fscanf(file, "%lu", &pages) == 1) {
        rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + more;
        setrlimit(RLIMIT_AS, &(struct rlimit){most, most});
    }
    fclose(file);
#else
    (void)more;
#endif
}

// Leaves nothing of the caller's open but `kept`, or a caller's end would go unnoticed, and none of
// its handlers of signals, so that a crash ends the process.
static void detach(int kept) {
    if (kept > 3) close_range(3, (unsigned)kept - 1, 0);
    close_range((unsigned)kept + 1, ~0u, 0);
    static const int ends[] = {SIGTERM, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGHUP, SIGALRM};
    for (size_t i = 0; i < XR_COUNT(ends); i++) signal(ends[i], SIG_DFL);
    signal(SIGINT, SIG_IGN); // ctrl-C is for the caller, who ends this process
}

static noreturn void serve(const XrWorker *worker, int socket) {
    detach(socket);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    limit_memory(worker->limits.memory);
    XrBuffer request = {0}, reply = {0};
    while (receive_message(socket, &request)) {
        xr_buffer_clear(&reply);
        worker->body(worker->context, xr_span(request.data, request.length), &reply);
        if (!send_message(socket, reply.data ? reply.data : "", reply.length)) break;
    }
    _exit(0);
}

// ---- the keeper's process ----

// What the keeper is asked: to fork a worker for the socket that comes along (`process` is 0), or
// to end one. It answers with the worker's process, or -1.
typedef struct Order {
    pid_t process;
} Order;

// Room for one file descriptor beside a message.
typedef union Passing {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr head; // for its alignment
} Passing;

static bool send_order(int control, pid_t process, int socket) {
    Order order = {process};
    Passing passing = {{0}};
    struct iovec data = {&order, sizeof order};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (socket >= 0) {
        message.msg_control = passing.bytes;
        message.msg_controllen = sizeof passing.bytes;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof socket);
        memcpy(CMSG_DATA(head), &socket, sizeof socket);
    }
    return sendmsg(control, &message, MSG_NOSIGNAL) == (ssize_t)sizeof order;
}

static bool receive_order(int control, pid_t *process, int *socket) {
    Order order;
    Passing passing;
    struct iovec data = {&order, sizeof order};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = passing.bytes,
                             .msg_controllen = sizeof passing.bytes};
    ssize_t got;
    do {
        got = recvmsg(control, &message, 0);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof order) return false;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *socket = -1;
    if (head && head->cmsg_type == SCM_RIGHTS) memcpy(socket, CMSG_DATA(head), sizeof *socket);
    *process = order.process;
    return true;
}

static void end_process(pid_t process) {
    kill(process, SIGKILL);
    while (waitpid(process, NULL, 0) < 0 && errno == EINTR) {
    }
}

static noreturn void keep(const XrWorker *worker, int control) {
    pid_t process, running = 0;
    int socket;
    detach(control);
    while (receive_order(control, &process, &socket)) {
        pid_t answer = process;
        if (running) end_process(running);
        running = 0;
        if (socket >= 0) {
            answer = running = fork();
            if (running == 0) serve(worker, socket);
            if (running < 0) running = 0;
            close(socket);
        }
        if (!send_all(control, &answer, sizeof answer)) break;
    }
    if (running) end_process(running); // the caller is gone
    _exit(0);
}

// ---- the caller's side ----

static bool make_sockets(int ends[2], XrError *err) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0) return true;
    return xr_fail(err, XR_ERR_IO, "verifier's worker: no socket: %s", strerror(errno));
}

static bool start_keeper(XrWorker *worker, XrError *err) {
    int ends[2];
    if (!make_sockets(ends, err)) return false;
    worker->keeper = fork();
    if (worker->keeper == 0) keep(worker, ends[1]);
    int failure = errno;
    close(ends[1]);
    worker->control = ends[0];
    if (worker->keeper > 0) return true;
    close(ends[0]);
    return xr_fail(err, XR_ERR_IO, "verifier's worker: no process: %s", strerror(failure));
}

// Has the keeper fork a worker, ending the one that there was.
static bool start(XrWorker *worker, XrError *err) {
    int ends[2];
    if (!make_sockets(ends, err)) return false;
    pid_t process = -1;
    bool ok = send_order(worker->control, 0, ends[1]) &&
              receive_all(worker->control, &process, sizeof process) && process > 0;
    close(ends[1]);
    worker->process = ok ? process : 0;
    worker->socket = ends[0];
    if (ok) return true;
    close(ends[0]);
    return xr_fail(err, XR_ERR_IO, "verifier's worker: its keeper could not start it");
}

// Has the keeper end the worker.
static void stop(XrWorker *worker) {
    if (!worker->process) return;
    pid_t ended;
    if (send_order(worker->control, worker->process, -1)) {
        receive_all(worker->control, &ended, sizeof ended);
    }
    close(worker->socket);
    worker->process = 0;
}

static double seconds_of(clockid_t clock) {
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// Waits until there is something to read; false once a limit is passed.
static bool wait_for_reply(const XrWorker *worker) {
    double began = seconds_of(CLOCK_MONOTONIC), used = -1;
    double most = XR_MAX(20 * worker->limits.seconds, 1.0);
    clockid_t processor;
    bool timed = clock_getcpuclockid(worker->process, &processor) == 0;
    for (;;) {
        struct pollfd waiting = {.fd = worker->socket, .events = POLLIN};
        int ready = poll(&waiting, 1, POLL_MILLISECONDS);
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
        // counted from the first look, so that short requests cost no system call more
        if (timed && used < 0) used = seconds_of(processor);
        if (timed && seconds_of(processor) - used > worker->limits.seconds) return false;
        if (seconds_of(CLOCK_MONOTONIC) - began > most) return false;
    }
}

XrWorker *xr_worker_create(XrWorkerBody *body, void *context, const XrWorkerLimits *limits,
                           XrError *err) {
    XrWorker *worker = xr_calloc(1, sizeof *worker);
    worker->body = body;
    worker->context = context;
    if (limits) worker->limits = *limits;
    if (!worker->limits.memory) worker->limits.memory = DEFAULT_MEMORY;
    if (worker->limits.seconds <= 0) worker->limits.seconds = DEFAULT_SECONDS;
    if (!start_keeper(worker, err)) {
        free(worker);
        return NULL;
    }
    if (start(worker, err)) return worker;
    xr_worker_free(worker);
    return NULL;
}

void xr_worker_free(XrWorker *worker) {
    if (!worker) return;
    stop(worker);
    close(worker->control);
    while (waitpid(worker->keeper, NULL, 0) < 0 && errno == EINTR) {
    }
    free(worker);
}

bool xr_worker_run(XrWorker *worker, XrSpan request, XrBuffer *reply) {
    XrError err;
    xr_buffer_clear(reply);
    if (!worker->process && !start(worker, &err)) return false;
    if (!send_message(worker->socket, request.data, request.bytes)) {
        // the process ended between requests (somebody else killed it): this one is not to blame
        stop(worker);
        if (!start(worker, &err) || !send_message(worker->socket, request.data, request.bytes)) {
            return false;
        }
    }
    if (wait_for_reply(worker) && receive_message(worker->socket, reply)) return true;
    stop(worker);
    worker->lost++;
    xr_buffer_clear(reply);
    return false;
}

int64_t xr_worker_lost(const XrWorker *worker) {
    return worker->lost;
}
