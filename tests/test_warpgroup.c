// Products of warpgroups (cuda/warpgroup.h) on the emulated GPU: what they compute, with operands
// in shared memory as the PTX manual lays them out, and the faults of their use that it must find.
#include "tests/support/test.h"

#include "cuda/emulation/emulation.h"
#include "shared/tensor/backend.h"
#include "shared/tensor/convert.h"
#include "tests/emulation/planted_warpgroup.h"
#include "tests/support/faults.h"

#include <math.h>

static XrBackend *gpu;

static int open_gpu(void **state) {
    XrError err;
    xr_emulation_set_capability(9, 0);
    gpu = xr_cuda_create(0, XR_F32, 1, &err);
    return gpu ? 0 : -1;
}

static int close_gpu(void **state) {
    xr_backend_free(gpu);
    return xr_emulation_memory_used() == 0 ? 0 : -1;
}

static void *device_copy(const void *host, size_t bytes) {
    XrError err;
    void *memory = gpu->alloc(gpu, bytes, "test", &err);
    assert_non_null(memory);
    gpu->upload(gpu, memory, host, bytes);
    return memory;
}

// Element (i, k) of an operand: whole numbers, so that sums are exact.
static float left(int i, int k) {
    return (float)((i * 37 + k * 11) % 23 - 11);
}

static float right(int i, int k) {
    return (float)((i * 29 + k * 13) % 19 - 9);
}

// Where element `column` of row `row` lies: columns of `bytes` bytes, one after the other, of
// `rows` rows each; 16-byte chunks exchanged by the number of the row (128 bytes) or of the pair of
// rows (64), as "Swizzling Modes" shows them.
static int place(int row, int column, int rows, int bytes) {
    int wide = bytes / 2, chunk = column % wide / 8;
    int turned = bytes == 128 ? chunk ^ row % 8 : chunk ^ row / 2 % 4;
    return (column / wide * rows + row) * wide + turned * 8 + column % 8;
}

static unsigned char memory_of_d[64 * 128 * sizeof(float)];

// Runs the products and compares; sums that are read early are NaN.
static void scores(int bytes, XrPlanted fault) {
    uint16_t a[64 * 64], b[128 * 64];
    int inner = bytes / 2;
    for (int k = 0; k < inner; k++) {
        for (int i = 0; i < 64; i++) a[place(i, k, 64, bytes)] = xr_f32_to_bf16(left(i, k));
        for (int i = 0; i < 128; i++) b[place(i, k, 128, bytes)] = xr_f32_to_bf16(right(i, k));
    }
    void *da = device_copy(a, 64 * (size_t)bytes), *db = device_copy(b, 128 * (size_t)bytes);
    void *dd = device_copy(memory_of_d, sizeof memory_of_d);
    float d[64 * 128];
    xr_planted_scores(dd, da, db, bytes, fault);
    gpu->download(gpu, d, dd, sizeof d);
    for (int i = 0; i < 64 * 128; i++) {
        float want = 0;
        for (int k = 0; k < inner; k++) want += left(i / 128, k) * right(i % 128, k);
        assert_true(fault == XR_PLANTED_EARLY_READ ? isnan(d[i]) : d[i] == want);
    }
    gpu->free(gpu, da);
    gpu->free(gpu, db);
    gpu->free(gpu, dd);
}

static void values(int columns, XrPlanted fault) {
    uint16_t a[64 * 32], b[32 * 128];
    int bytes = columns == 96 ? 64 : 128;
    for (int i = 0; i < 64 * 32; i++) a[i] = xr_f32_to_bf16(left(i / 32, i % 32));
    for (int k = 0; k < 32; k++) {
        for (int i = 0; i < columns; i++) b[place(k, i, 32, bytes)] = xr_f32_to_bf16(right(i, k));
    }
    void *da = device_copy(a, sizeof a), *db = device_copy(b, 64 * (size_t)columns);
    void *dd = device_copy(memory_of_d, sizeof memory_of_d);
    float d[64 * 128];
    xr_planted_values(dd, da, db, columns, fault);
    gpu->download(gpu, d, dd, sizeof d);
    for (int i = 0; i < 64 * columns; i++) {
        float want = 0;
        for (int k = 0; k < 32; k++) want += left(i / columns, k) * right(i % columns, k);
        assert_true(d[i] == want);
    }
    gpu->free(gpu, da);
    gpu->free(gpu, db);
    gpu->free(gpu, dd);
}

static void products_of_two_descriptors(void **state) {
    scores(128, XR_PLANTED_NOTHING);
    scores(64, XR_PLANTED_NOTHING);
}

static void products_of_registers(void **state) {
    values(64, XR_PLANTED_NOTHING);
    values(96, XR_PLANTED_NOTHING);
    values(128, XR_PLANTED_NOTHING);
}

static void sums_arrive_when_waited_for(void **state) {
    scores(128, XR_PLANTED_EARLY_READ);
}

// ---- faults, each in a process of its own ----

static XrPlanted planted;

static void fault_of_scores(void) {
    scores(128, planted);
}

static void fault_of_values(void) {
    values(64, planted);
}

static void fault_of_device(void) {
    xr_emulation_set_capability(8, 0);
    scores(128, XR_PLANTED_NOTHING);
}

static void finds(XrPlanted fault, void (*run)(void), const char *words) {
    planted = fault;
    xr_test_finds(run, words);
}

static void faults_are_found(void **state) {
    finds(XR_PLANTED_NOT_SHOWN, fault_of_scores, "with no fence.proxy.async after it");
    finds(XR_PLANTED_NO_FENCE, fault_of_scores, "or went through none");
    finds(XR_PLANTED_OLD_FENCE, fault_of_scores, "its sums were used since the last wgmma.fence");
    finds(XR_PLANTED_NEW_FACTORS, fault_of_values,
          "its factors have changed since the last wgmma.fence");
    finds(XR_PLANTED_OVERWRITTEN, fault_of_scores, "has changed before it was waited for");
    finds(XR_PLANTED_COPIED_OVER, fault_of_scores, "has changed before it was waited for");
    finds(XR_PLANTED_EARLY_FACTORS, fault_of_values, "has changed before it was waited for");
    finds(XR_PLANTED_OTHER_REGISTERS, fault_of_scores, "in registers that it does not name");
    finds(XR_PLANTED_NO_WAIT, fault_of_scores, "the kernel ended before it was waited for");
    finds(XR_PLANTED_MISSING_WARP, fault_of_scores, "not all warps of the warpgroup have come");
    finds(XR_PLANTED_OTHER_PRODUCT, fault_of_scores, "another warp of the warpgroup has issued");
    finds(XR_PLANTED_ODD_PATTERN, fault_of_scores, "does not begin with a pattern");
    xr_test_finds(fault_of_device, "the device is not of compute capability 9.0");
}

// ---- where attention goes that way ----

// Attention in bf16 of `tokens` tokens with heads of `dim` elements, or its gradients, on a device
// made for it or not.
static void attend(bool backward, int major, bool batch_invariant, int64_t tokens, int64_t dim) {
    enum { TENSORS = 8, SIZE = 128 * 128 };
    static const uint16_t zeros[TENSORS * SIZE];
    const int32_t ends[] = {0, (int32_t)tokens};
    XrTensor t[TENSORS];
    xr_emulation_set_capability(major, 0);
    XrError err;
    XrBackend *b = xr_cuda_create(0, XR_BF16, 1, &err);
    assert_non_null(b);
    b->batch_invariant = batch_invariant;
    xr_emulation_set_capability(10, 0); // on which a product of warpgroups is an error
    void *memory = device_copy(zeros, sizeof zeros), *cu = device_copy(ends, sizeof ends);
    void *statistics = device_copy(zeros, (size_t)tokens * sizeof(float));
    for (int i = 0; i < TENSORS; i++) {
        t[i] = xr_tensor2(XR_BF16, (uint16_t *)memory + i * SIZE, tokens, dim);
    }
    XrTensor cu_list = xr_tensor1(XR_I32, cu, 2), lse = xr_tensor2(XR_F32, statistics, tokens, 1);
    const XrSegments segments = {&cu_list, tokens};
    const XrHeads heads = {1, 1, (int)dim, 1, true};
    if (backward) {
        xr_attention_backward(b, &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7], &lse,
                              segments, heads);
    } else {
        xr_attention(b, &t[0], &lse, &t[1], &t[2], &t[3], segments, heads);
    }
    xr_backend_free(b);
    gpu->free(gpu, memory);
    gpu->free(gpu, statistics);
    gpu->free(gpu, cu);
}

static void fault_of_attention(void) {
    attend(false, 9, false, 65, 64);
}

static void fault_of_gradients(void) {
    attend(true, 9, false, 65, 64);
}

static void attention_goes_by_warpgroups(void **state) {
    xr_test_finds(fault_of_attention, "wgmma at ");
    xr_test_finds(fault_of_gradients, "wgmma at ");
    for (int backward = 0; backward <= 1; backward++) {
        attend(backward, 9, true, 65, 64);  // in the batch-invariant mode
        attend(backward, 8, false, 65, 64); // on another device
        attend(backward, 9, false, 64, 64); // not more rows than one warpgroup has
        attend(backward, 9, false, 65, 60); // heads that fill no chunks of 16 bytes
    }
    xr_emulation_set_capability(9, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_two_descriptors), cmocka_unit_test(products_of_registers),
        cmocka_unit_test(sums_arrive_when_waited_for), cmocka_unit_test(faults_are_found),
        cmocka_unit_test(attention_goes_by_warpgroups)};
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, open_gpu, close_gpu);
}
