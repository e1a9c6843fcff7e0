// The emulated GPU (cuda/emulation/): faults that it must find, and instructions that it must carry
// out as the PTX manual says. docs/cuda.md.
#include "tests/support/test.h"

#include "cuda/emulation/emulation.h"
#include "shared/base/memory.h"
#include "shared/tensor/backend.h"
#include "shared/tensor/convert.h"
#include "tests/emulation/planted.h"
#include "tests/support/faults.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static XrBackend *gpu;

static int open_gpu(void **state) {
    XrError err;
    gpu = xr_cuda_create(0, XR_F32, 1, &err);
    return gpu ? 0 : -1;
}

static int close_gpu(void **state) {
    xr_backend_free(gpu);
    return xr_emulation_memory_used() == 0 ? 0 : -1;
}

static void *device(size_t bytes) {
    XrError err;
    void *memory = gpu->alloc(gpu, bytes, "test", &err);
    assert_non_null(memory);
    return memory;
}

static void *device_copy(const void *host, size_t bytes) {
    void *memory = device(bytes);
    gpu->upload(gpu, memory, host, bytes);
    return memory;
}

// ---- faults, each in a process of its own ----

typedef void Fault(void);

static void needs_checked_accesses(void) {
    if (xr_emulation_checks_accesses()) return;
    print_message("skipped: accesses are checked in builds with XR_SANITIZE\n");
    skip();
}

static void fault_race(void) {
    xr_planted_neighbours(device(64 * sizeof(float)), false);
}

static void fault_warp_race(void) {
    xr_planted_warp_neighbours(device(64 * sizeof(float)), false);
}

static void races_are_found(void **state) {
    needs_checked_accesses();
    xr_test_finds(fault_race, "race: it ");
    xr_test_finds(fault_warp_race, "race: it ");
}

// Where accesses are not checked, a race shows as a result that depends on the order of threads.
static void order_shows_a_race(void **state) {
    float forwards[64], backwards[64];
    void *out = device(sizeof forwards);
    xr_planted_neighbours(out, xr_emulation_checks_accesses());
    gpu->download(gpu, forwards, out, sizeof forwards);
    xr_emulation_run_backwards(true);
    xr_planted_neighbours(out, xr_emulation_checks_accesses());
    xr_emulation_run_backwards(false);
    gpu->download(gpu, backwards, out, sizeof backwards);
    bool same = memcmp(forwards, backwards, sizeof forwards) == 0;
    assert_int_equal(same, xr_emulation_checks_accesses());
    gpu->free(gpu, out);
}

static void barriers_order_accesses(void **state) {
    float host[64];
    void *out = device(sizeof host);
    xr_planted_neighbours(out, true);
    gpu->download(gpu, host, out, sizeof host);
    for (int i = 0; i < 64; i++) assert_true(host[i] == (float)((i + 1) % 64));
    xr_planted_warp_neighbours(out, true);
    gpu->download(gpu, host, out, sizeof host);
    for (int i = 0; i < 64; i++) assert_true(host[i] == (float)(i / 32 * 32 + (i + 1) % 32));
    gpu->free(gpu, out);
}

static void fault_half_shuffle(void) {
    xr_planted_half_shuffle(device(64));
}

static void divergence_is_found(void **state) {
    xr_test_finds(xr_planted_two_barriers, "divergent barrier: thread 0 waits at");
    xr_test_finds(xr_planted_missing_threads, "has ended");
    xr_test_finds(fault_half_shuffle, "where not all lanes of its warp came");
}

static void fault_write_past_end(void) {
    xr_planted_write(device(10 * sizeof(float)), 10);
}

static void fault_write_before(void) {
    xr_planted_write(device(10 * sizeof(float)), -1);
}

static void fault_read_past_end(void) {
    void *out = device(4);
    xr_planted_read(out, device(10 * sizeof(float)), 10);
}

static void fault_read_freed(void) {
    void *out = device(4), *freed = device(4);
    gpu->free(gpu, freed);
    xr_planted_read(out, freed, 0);
}

static void fault_read_host(void) {
    static float host[4];
    float *heap = xr_calloc(4, sizeof *heap);
    memcpy(heap, host, sizeof host);
    xr_planted_read(device(4), heap, 0);
}

static void fault_misaligned(void) {
    xr_planted_read(device(4), (const float *)(const void *)((char *)device(16) + 2), 0);
}

static void fault_shared(void) {
    xr_planted_shared_write(64);
}

static void fault_host_reads(void) {
    volatile const float *memory = device(4);
    if (*memory == 1) _exit(0);
}

static void bounds_are_checked(void **state) {
    needs_checked_accesses();
    xr_test_finds(fault_write_past_end, "out of bounds: it writes 4 bytes");
    xr_test_finds(fault_write_before, "out of bounds: it writes 4 bytes");
    xr_test_finds(fault_read_past_end, "out of bounds: it reads 4 bytes");
    xr_test_finds(fault_read_freed, "out of bounds: it reads 4 bytes");
    xr_test_finds(fault_read_host, "which is no device memory");
    xr_test_finds(fault_misaligned, "misalig");
    xr_test_finds(fault_shared, "past an array's end");
    xr_test_finds(fault_host_reads, "use-after-poison");
}

static void much_shared_memory_is_asked_for(void **state) {
    const int smaller = 99 << 10, larger = 227 << 10;
    assert_true(xr_planted_much_shared(48 << 10, false));
    assert_false(xr_planted_much_shared((48 << 10) + 16, false));
    assert_true(xr_planted_much_shared((48 << 10) + 16, true));
    assert_true(xr_planted_much_shared(smaller, true));
    assert_false(xr_planted_much_shared(smaller + 16, true));
    xr_emulation_set_capability(9, 0);
    assert_true(xr_planted_much_shared(larger, true));
    assert_false(xr_planted_much_shared(larger + 16, true));
    xr_emulation_set_capability(8, 0);
}

// ---- instructions ----

static void copies_arrive_when_waited_for(void **state) {
    float host[256], got[256];
    for (int i = 0; i < 256; i++) host[i] = (float)i;
    void *in = device_copy(host, sizeof host), *out = device(sizeof host);
    xr_planted_copy(out, in, true);
    gpu->download(gpu, got, out, sizeof got);
    assert_memory_equal(got, host, sizeof host);
    xr_planted_copy(out, in, false);
    gpu->download(gpu, got, out, sizeof got);
    for (int i = 0; i < 256; i++) assert_true(isnan(got[i]));
    gpu->free(gpu, in);
    gpu->free(gpu, out);
}

static void tensor_cores_multiply(void **state) {
    uint16_t a[256], b[128];
    float d[128];
    for (int i = 0; i < 256; i++) a[i] = xr_f32_to_bf16((float)(i * 37 % 101 - 50));
    for (int i = 0; i < 128; i++) b[i] = xr_f32_to_bf16((float)(i * 29 % 61 - 30));
    void *da = device_copy(a, sizeof a), *db = device_copy(b, sizeof b), *dd = device(sizeof d);
    for (int transposed = 0; transposed < 2; transposed++) {
        xr_planted_mma(dd, da, db, transposed);
        gpu->download(gpu, d, dd, sizeof d);
        for (int row = 0; row < 16; row++) {
            for (int column = 0; column < 8; column++) {
                float want = 0;
                for (int k = 0; k < 16; k++) {
                    int at = transposed ? k * 8 + column : column * 16 + k;
                    want += xr_bf16_to_f32(a[row * 16 + k]) * xr_bf16_to_f32(b[at]);
                }
                assert_true(d[row * 8 + column] == want);
            }
        }
    }
    gpu->free(gpu, da);
    gpu->free(gpu, db);
    gpu->free(gpu, dd);
}

static void lanes_exchange(void **state) {
    float host[128];
    uint32_t odd;
    void *out = device(sizeof host), *ballot = device(sizeof odd);
    xr_planted_shuffles(out, ballot);
    gpu->download(gpu, host, out, sizeof host);
    gpu->download(gpu, &odd, ballot, sizeof odd);
    for (int i = 0; i < 32; i++) {
        assert_true(host[i] == 10416); // the sum of squares up to 31
        assert_true(host[32 + i] == (float)(i < 31 ? i + 1 : 31));
        assert_true(host[64 + i] == (float)(i > 0 ? i - 1 : 0));
        assert_true(host[96 + i] == 5);
    }
    assert_int_equal(odd, 0xaaaaaaaau);
    gpu->free(gpu, out);
    gpu->free(gpu, ballot);
}

static void halves_convert(void **state) {
    enum { COUNT = 65536 };
    float *host = xr_malloc(COUNT * sizeof *host);
    uint16_t *back = xr_malloc(COUNT * sizeof *back);
    void *out = device(COUNT * sizeof *host), *bits = device(COUNT * sizeof *back);
    xr_planted_halves(out, bits);
    gpu->download(gpu, host, out, COUNT * sizeof *host);
    gpu->download(gpu, back, bits, COUNT * sizeof *back);
    for (int i = 0; i < COUNT; i++) {
        float want = xr_f16_to_f32((uint16_t)i);
        assert_true(isnan(want) ? isnan(host[i]) : host[i] == want);
        if (!isnan(want)) assert_int_equal(back[i], i);
    }
    gpu->free(gpu, out);
    gpu->free(gpu, bits);
    free(host);
    free(back);
}

// ---- what the backend says when the device fails ----

static void create_fails(const char *function, cudaError_t status, XrStatus kind,
                         const char *words) {
    XrError err = {0};
    xr_emulation_fail(function, 1, status);
    assert_null(xr_cuda_create(0, XR_F32, 1, &err));
    xr_emulation_fail(NULL, 0, cudaSuccess);
    assert_int_equal(err.status, kind);
    if (!strstr(err.message, words)) fail_msg("'%s' is not in: %s", words, err.message);
}

static void failures_say_what_to_do(void **state) {
    XrError err = {0};
    create_fails("cudaGetDeviceCount", cudaErrorNoDevice, XR_ERR_UNSUPPORTED,
                 "CUDA_VISIBLE_DEVICES");
    create_fails("cudaGetDeviceCount", cudaErrorInsufficientDriver, XR_ERR_UNSUPPORTED,
                 "update the driver");
    create_fails("launch", cudaErrorNoKernelImageForDevice, XR_ERR_UNSUPPORTED,
                 "XR_CUDA_ARCHITECTURES");
    create_fails("launch", cudaErrorUnsupportedPtxVersion, XR_ERR_UNSUPPORTED, "update the driver");
    create_fails("cudaGetDeviceCount", cudaErrorSystemDriverMismatch, XR_ERR_UNSUPPORTED,
                 "update the driver");
    create_fails("cudaStreamSynchronize", cudaErrorECCUncorrectable, XR_ERR_UNSUPPORTED,
                 "uncorrectable ECC error");
    create_fails("cudaMallocHost", cudaErrorMemoryAllocation, XR_ERR_MEMORY, "pinned memory");
    xr_emulation_set_capability(7, 5);
    assert_null(xr_cuda_create(0, XR_F32, 1, &err));
    xr_emulation_set_capability(8, 0);
    assert_int_equal(err.status, XR_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "compute capability 7.5; 8.0 or newer is needed"));
    create_fails("cudaSetDevice", cudaErrorDevicesUnavailable, XR_ERR_UNSUPPORTED,
                 "another process holds the GPU");
    create_fails("cudaMalloc", cudaErrorMemoryAllocation, XR_ERR_MEMORY, "free memory");
    assert_null(xr_cuda_create(7, XR_F32, 1, &err));
    assert_non_null(strstr(err.message, "there is no GPU 7"));
    assert_null(gpu->alloc(gpu, (size_t)1 << 40, "the optimiser's state", &err));
    assert_int_equal(err.status, XR_ERR_MEMORY);
    assert_non_null(strstr(err.message, "for the optimiser's state, of which"));
}

static void fault_in_a_kernel(void) {
    xr_emulation_fail("launch", 1, cudaErrorIllegalAddress);
    xr_planted_two_barriers();
}

static void fault_of_memory(void) {
    xr_emulation_fail("cudaStreamSynchronize", 1, cudaErrorECCUncorrectable);
    gpu->synchronize(gpu);
}

// An operation's scratch memory, which the first call for the largest shape asks for.
static void fault_of_scratch(void) {
    XrTensor sum = xr_tensor1(XR_F64, device(sizeof(double)), 1);
    XrTensor x = xr_tensor1(XR_F32, device(4096 * sizeof(float)), 4096);
    xr_emulation_fail("cudaMalloc", 1, cudaErrorMemoryAllocation);
    xr_squared_norm(gpu, &sum, &x);
}

static void fault_on_the_way(void) {
    char host[16] = "";
    void *memory = device(sizeof host);
    xr_emulation_fail("cudaMemcpyAsync", 1, cudaErrorECCUncorrectable);
    gpu->upload(gpu, memory, host, sizeof host);
}

static void faults_end_the_program(void **state) {
    xr_test_finds(fault_of_scratch, "scratch memory of an operation: out of memory "
                                    "(cudaErrorMemoryAllocation); the GPU has too little");
    xr_test_finds(fault_on_the_way, "copying to the GPU: uncorrectable ECC error");
    xr_test_finds(fault_in_a_kernel, "compute-sanitizer");
    xr_test_finds(fault_of_memory, "resume from the last checkpoint");
}

// ---- moving memory: more than both pinned buffers, at odd sizes ----

static void memory_moves_whole(void **state) {
    size_t bytes = ((size_t)20 << 20) + 12345;
    unsigned char *host = xr_malloc(bytes), *back = xr_malloc(bytes);
    for (size_t i = 0; i < bytes; i++) host[i] = (unsigned char)(i * 2654435761u >> 13);
    XrError err;
    unsigned char *memory = gpu->import(gpu, host, bytes, "test", &err);
    assert_non_null(memory);
    unsigned char *other = device(bytes);
    gpu->zero(gpu, other, bytes);
    gpu->copy(gpu, other + 1, memory + 3, bytes - 3);
    gpu->download(gpu, back, other, bytes);
    assert_int_equal(back[0], 0);
    assert_memory_equal(back + 1, host + 3, bytes - 3);
    assert_int_equal(back[bytes - 1], 0);
    gpu->unimport(gpu, memory);
    gpu->free(gpu, other);
    free(host);
    free(back);
}

// ---- pinned memory: what comes shows when it has been waited for; what goes stays as it is until
// then ----

static void pinned_copies_are_waited_for(void **state) {
    uint32_t numbers[64];
    XrPinned out, in;
    XrError err;
    for (uint32_t i = 0; i < 64; i++) numbers[i] = 1000 + i;
    void *memory = device_copy(numbers, sizeof numbers);
    assert_true(gpu->pin(gpu, &in, sizeof numbers, "test", &err));
    assert_true(gpu->pin(gpu, &out, sizeof numbers, "test", &err));
    int64_t waits = gpu->waits;
    gpu->receive(gpu, &in, memory, sizeof numbers);
    for (int i = 0; i < 64; i++) assert_int_equal(((uint32_t *)in.host)[i], UINT32_MAX);
    memset(out.host, 7, sizeof numbers);
    gpu->send(gpu, memory, &out, sizeof numbers);
    assert_int_equal(gpu->waits, waits);
    gpu->wait(gpu, &in);
    assert_int_equal(gpu->waits, waits + 1);
    assert_memory_equal(in.host, numbers, sizeof numbers);
    gpu->receive(gpu, &in, memory, sizeof numbers);
    gpu->wait(gpu, &in);
    assert_memory_equal(in.host, out.host, sizeof numbers);
    gpu->unpin(gpu, &in);
    gpu->unpin(gpu, &out);
    assert_null(out.host);
    gpu->free(gpu, memory);
}

static void fault_early_write(void) {
    XrPinned out;
    XrError err;
    void *memory = device(64);
    if (!gpu->pin(gpu, &out, 64, "test", &err)) return;
    memset(out.host, 7, 64);
    gpu->send(gpu, memory, &out, 64);
    memset(out.host, 8, 64);
    gpu->wait(gpu, &out);
}

static void early_writes_are_found(void **state) {
    xr_test_finds(fault_early_write, "written to pinned memory");
}

// ---- graphs: what is captured is done when the graph is launched, with the arguments of the
// capture and the data of then ----

static cudaStream_t open_stream(void) {
    cudaStream_t stream;
    assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    return stream;
}

static void begin_capture(cudaStream_t stream) {
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
}

// b = a; a = 0; c gets from pinned memory, d's pinned memory from c.
static void copies_are_captured(void **state) {
    enum { BYTES = 64 };
    unsigned char host[BYTES], got[BYTES], zeros[BYTES] = {0};
    cudaStream_t stream = open_stream();
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    unsigned char *out, *in;
    memset(host, 5, BYTES);
    void *a = device_copy(host, BYTES), *b = device_copy(zeros, BYTES), *c = device(BYTES);
    assert_int_equal(cudaMallocHost((void **)&out, BYTES), cudaSuccess);
    assert_int_equal(cudaMallocHost((void **)&in, BYTES), cudaSuccess);
    begin_capture(stream);
    cudaMemcpyAsync(b, a, BYTES, cudaMemcpyDeviceToDevice, stream);
    cudaMemsetAsync(a, 0, BYTES, stream);
    cudaMemcpyAsync(c, out, BYTES, cudaMemcpyHostToDevice, stream);
    cudaMemcpyAsync(in, c, BYTES, cudaMemcpyDeviceToHost, stream);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    gpu->download(gpu, got, b, BYTES); // nothing has been done yet
    assert_memory_equal(got, zeros, BYTES);
    assert_int_equal(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    for (int round = 6; round < 8; round++) {
        memset(host, round, BYTES);
        memset(out, 10 * round, BYTES);
        gpu->upload(gpu, a, host, BYTES);
        assert_int_equal(cudaGraphLaunch(executable, stream), cudaSuccess);
        assert_int_equal(in[0], 0xff); // not waited for
        assert_int_equal(cudaStreamSynchronize(stream), cudaSuccess);
        assert_memory_equal(in, out, BYTES);
        gpu->download(gpu, got, b, BYTES);
        assert_memory_equal(got, host, BYTES);
        gpu->download(gpu, got, a, BYTES);
        assert_memory_equal(got, zeros, BYTES);
    }
    cudaGraphExecDestroy(executable);
    cudaFreeHost(out);
    cudaFreeHost(in);
    cudaStreamDestroy(stream);
    gpu->free(gpu, a);
    gpu->free(gpu, b);
    gpu->free(gpu, c);
}

// Kernels and products of cuBLASLt, whose descriptions and scalars are gone by then.
static void operations_are_captured(void **state) {
    float host[3][16], want[16], got[16];
    void *memory[3];
    XrTensor t[3];
    for (int i = 0; i < 3; i++) {
        memory[i] = device(sizeof host[i]);
        t[i] = xr_tensor2(XR_F32, memory[i], 4, 4);
        for (int k = 0; k < 16; k++) host[i][k] = (float)(k * (i + 2) % 7);
        gpu->upload(gpu, memory[i], host[i], sizeof host[i]);
    }
    xr_linear(gpu, &t[2], &t[0], &t[1], NULL); // finds scratch memory
    gpu->download(gpu, want, memory[2], sizeof want);
    gpu->zero(gpu, memory[2], sizeof want);
    assert_true(gpu->graph_begin(gpu));
    xr_linear(gpu, &t[2], &t[0], &t[1], NULL);
    xr_swiglu(gpu, &t[0], &t[2], &t[2]);
    void *graph = gpu->graph_end(gpu);
    assert_non_null(graph);
    gpu->download(gpu, got, memory[2], sizeof got);
    for (int k = 0; k < 16; k++) assert_true(got[k] == 0);
    for (int round = 1; round < 3; round++) {
        float scaled[16];
        for (int k = 0; k < 16; k++) scaled[k] = (float)round * host[0][k];
        gpu->upload(gpu, memory[0], scaled, sizeof scaled);
        assert_true(gpu->graph_launch(gpu, graph));
        gpu->download(gpu, got, memory[2], sizeof got);
        for (int k = 0; k < 16; k++) assert_true(got[k] == (float)round * want[k]);
        gpu->download(gpu, got, memory[0], sizeof got);
        for (int k = 0; k < 16; k++) {
            float x = (float)round * want[k];
            assert_true(fabsf(got[k] - x * x / (1 + expf(-x))) <= 1e-5f * (1 + x * x));
        }
    }
    gpu->graph_free(gpu, graph);
    for (int i = 0; i < 3; i++) gpu->free(gpu, memory[i]);
}

// Each of these breaks a capture, which its end then says.
static void captures_forbid_waiting_and_memory(void **state) {
    char pageable[16] = "";
    void *memory = device(16), *more;
    cudaStream_t stream = open_stream();
    cudaEvent_t event;
    assert_int_equal(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    for (int i = 0; i < 8; i++) {
        cudaGraph_t graph;
        cudaError_t status = cudaSuccess;
        begin_capture(stream);
        if (i == 0) status = cudaStreamSynchronize(stream);
        if (i == 1) status = cudaDeviceSynchronize();
        if (i == 2) status = cudaEventSynchronize(event);
        if (i == 3) status = cudaMalloc(&more, 16);
        if (i == 4) status = cudaFree(memory);
        if (i == 5) status = cudaMallocHost(&more, 16);
        if (i == 6) {
            status = cudaMemcpyAsync(memory, pageable, 16, cudaMemcpyHostToDevice, stream);
        }
        if (i == 7) {
            status = cudaMemcpyAsync(pageable, memory, 16, cudaMemcpyDeviceToHost, stream);
        }
        assert_int_equal(status, cudaErrorStreamCaptureUnsupported);
        assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
        assert_null(graph);
    }
    // An event of a capture is never reached.
    cudaGraph_t graph;
    begin_capture(stream);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
                     cudaErrorIllegalState);
    assert_int_equal(cudaEventRecord(event, stream), cudaSuccess);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    cudaGraphDestroy(graph);
    assert_int_equal(cudaEventSynchronize(event), cudaErrorCapturedEvent);
    assert_int_equal(cudaEventRecord(event, stream), cudaSuccess);
    assert_int_equal(cudaEventSynchronize(event), cudaSuccess);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaErrorIllegalState);
    assert_null(graph);
    cudaEventDestroy(event);
    cudaStreamDestroy(stream);
    gpu->free(gpu, memory);
}

static void fault_wait_in_graph(void) {
    if (gpu->graph_begin(gpu)) gpu->synchronize(gpu);
}

// Scratch memory that no operation before the recording has needed.
static void fault_scratch_in_graph(void) {
    XrTensor sum = xr_tensor1(XR_F64, device(sizeof(double)), 1);
    XrTensor x = xr_tensor1(XR_F32, device(4096 * sizeof(float)), 4096);
    XrError err;
    gpu = xr_cuda_create(0, XR_F32, 1, &err);
    if (gpu && gpu->graph_begin(gpu)) xr_squared_norm(gpu, &sum, &x);
}

static void faults_in_graphs_end_the_program(void **state) {
    xr_test_finds(fault_wait_in_graph, "no graph can hold");
    xr_test_finds(fault_scratch_in_graph, "no graph can hold");
}

static void no_memory_for_a_graph(void **state) {
    void *memory = device(16);
    assert_true(gpu->graph_begin(gpu));
    gpu->zero(gpu, memory, 16);
    xr_emulation_fail("cudaGraphInstantiate", 1, cudaErrorMemoryAllocation);
    assert_null(gpu->graph_end(gpu));
    xr_emulation_fail(NULL, 0, cudaSuccess);
    gpu->free(gpu, memory);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(races_are_found),
        cmocka_unit_test(order_shows_a_race),
        cmocka_unit_test(barriers_order_accesses),
        cmocka_unit_test(divergence_is_found),
        cmocka_unit_test(bounds_are_checked),
        cmocka_unit_test(much_shared_memory_is_asked_for),
        cmocka_unit_test(copies_arrive_when_waited_for),
        cmocka_unit_test(tensor_cores_multiply),
        cmocka_unit_test(lanes_exchange),
        cmocka_unit_test(halves_convert),
        cmocka_unit_test(failures_say_what_to_do),
        cmocka_unit_test(faults_end_the_program),
        cmocka_unit_test(memory_moves_whole),
        cmocka_unit_test(pinned_copies_are_waited_for),
        cmocka_unit_test(early_writes_are_found),
        cmocka_unit_test(copies_are_captured),
        cmocka_unit_test(operations_are_captured),
        cmocka_unit_test(captures_forbid_waiting_and_memory),
        cmocka_unit_test(faults_in_graphs_end_the_program),
        cmocka_unit_test(no_memory_for_a_graph),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, open_gpu, close_gpu);
}
