// safetensors files and folders: what is read, what is refused, what is written.
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/format/safetensors.h"
#include "tests/support/golden.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

// ---- making files ----

static const char *fresh_folder(void) {
    static char path[256];
    static int count;
    snprintf(path, sizeof path, "%s/%d", xr_test_scratch(), count++);
    XrError err;
    assert_true(xr_make_folders(path, &err));
    return path;
}

// Plainly, without the care (and the time) that the program's own files are written with. Some file
// systems flush a file that is cut short and written anew, hence the unlink.
static void put_file(const char *path, const void *bytes, size_t count) {
    unlink(path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *folder, const char *name, const char *text) {
    char *path = xr_path_join(folder, name);
    put_file(path, text, strlen(text));
    free(path);
}

// A file whose header is `header` and whose data are `data_bytes` bytes 1, 2, 3, ...
static void write_stored(const char *folder, const char *name, const char *header,
                         size_t data_bytes) {
    XrBuffer bytes = {0};
    uint64_t length = strlen(header);
    xr_buffer_append(&bytes, &length, 8);
    xr_buffer_text(&bytes, header);
    for (size_t i = 0; i < data_bytes; i++) xr_buffer_byte(&bytes, (char)(i + 1));
    char *path = xr_path_join(folder, name);
    put_file(path, bytes.data, bytes.length);
    free(path);
    xr_buffer_free(&bytes);
}

#define ENTRY(name, dtype, shape, begin, end)                                                      \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end \
    "]}"
#define A4 ENTRY("a", "F32", "[2]", 0, 8)

static void expect_refused(const char *path, const char *part) {
    XrSafetensors *files;
    XrError err = {0};
    if (xr_safetensors_open(&files, path, &err)) fail_msg("%s: opened, expected: %s", path, part);
    assert_null(files);
    if (!strstr(err.message, part)) fail_msg("\"%s\" does not say \"%s\"", err.message, part);
    if (!strstr(err.message, xr_test_scratch())) fail_msg("\"%s\" names no file", err.message);
}

static XrSafetensors *open_good(const char *path) {
    XrSafetensors *files;
    XrError err = {0};
    if (!xr_safetensors_open(&files, path, &err)) fail_msg("%s", err.message);
    return files;
}

// ---- single files ----

static void reads_hand_made_file(void **state) {
    const char *folder = fresh_folder();
    // Not in the order of the bytes, padded with spaces; a 0-d tensor and an empty one.
    write_stored(folder, "model.safetensors",
                 "{" ENTRY("b", "BF16", "[2,1]", 8, 12) "," A4 "," ENTRY(
                     "scalar", "U8", "[]", 12,
                     13) "," ENTRY("none", "I64", "[0,7]", 13,
                                   13) ",\"__metadata__\":{\"format\":\"pt\",\"x\":\"\"}}   ",
                 13);
    XrSafetensors *files = open_good(folder);
    assert_int_equal(xr_safetensors_count(files), 4);
    assert_string_equal(xr_safetensors_at(files, 0)->name, "a");
    assert_string_equal(xr_safetensors_at(files, 1)->name, "b");
    assert_string_equal(xr_safetensors_metadata(files, "format"), "pt");
    assert_null(xr_safetensors_metadata(files, "y"));
    assert_null(xr_safetensors_find(files, "c"));
    const XrStored *a = xr_safetensors_find(files, "a");
    assert_int_equal(a->dtype, XR_F32);
    assert_int_equal(a->byte_count, 8);
    assert_memory_equal(a->bytes, "\1\2\3\4\5\6\7\10", 8);
    const XrStored *b = xr_safetensors_find(files, "b");
    assert_int_equal(b->ndim, 2);
    assert_int_equal(b->shape[0], 2);
    assert_int_equal(b->shape[1], 1);
    const XrStored *scalar = xr_safetensors_find(files, "scalar");
    assert_true(scalar->scalar);
    assert_int_equal(scalar->ndim, 1);
    assert_int_equal(scalar->shape[0], 1);
    assert_int_equal(scalar->bytes[0], 13);
    const XrStored *none = xr_safetensors_find(files, "none");
    assert_int_equal(none->shape[0], 0);
    assert_int_equal(none->shape[1], 7);
    assert_int_equal(none->byte_count, 0);
    XrTensor t;
    XrError err = {0};
    assert_true(xr_safetensors_view(files, none, &t, &err));
    assert_int_equal(xr_numel(&t), 0);
    xr_safetensors_close(files);
}

static void file_without_tensors(void **state) {
    const char *folder = fresh_folder();
    write_stored(folder, "model.safetensors", "{}", 0);
    XrSafetensors *files = open_good(folder);
    assert_int_equal(xr_safetensors_count(files), 0);
    assert_null(xr_safetensors_find(files, "a"));
    xr_safetensors_close(files);
}

static void misaligned_tensors_are_copied(void **state) {
    const char *folder = fresh_folder();
    for (int shift = 0; shift < 4; shift++) {
        char header[128];
        snprintf(header, sizeof header, "{%s}%.*s", A4, shift, "   ");
        write_stored(folder, "model.safetensors", header, 8);
        XrSafetensors *files = open_good(folder);
        const XrStored *a = xr_safetensors_find(files, "a");
        assert_int_equal(a->aligned, (8 + strlen(header)) % 4 == 0);
        XrTensor t, again;
        XrError err = {0};
        assert_true(xr_safetensors_view(files, a, &t, &err));
        assert_true(xr_safetensors_view(files, a, &again, &err));
        assert_int_equal((uintptr_t)t.data % 4, 0);
        assert_ptr_equal(t.data, again.data);
        assert_memory_equal(t.data, "\1\2\3\4\5\6\7\10", 8);
        xr_safetensors_close(files);
    }
}

static void need_checks_type_and_shape(void **state) {
    const char *folder = fresh_folder();
    write_stored(folder, "model.safetensors", "{" A4 "}", 8);
    XrSafetensors *files = open_good(folder);
    XrTensor t;
    XrError err = {0};
    assert_true(xr_safetensors_need(files, "a", XR_F32, 1, (int64_t[]){2}, &t, &err));
    assert_true(xr_safetensors_need(files, "a", XR_F32, -1, NULL, &t, &err));
    assert_false(xr_safetensors_need(files, "a", XR_F32, 1, (int64_t[]){3}, &t, &err));
    assert_non_null(strstr(err.message, "f32[2], f32[3] is needed"));
    assert_false(xr_safetensors_need(files, "a", XR_BF16, -1, NULL, &t, &err));
    assert_non_null(strstr(err.message, "bf16[2] is needed"));
    assert_false(xr_safetensors_need(files, "b", XR_F32, -1, NULL, &t, &err));
    assert_non_null(strstr(err.message, "no tensor \"b\""));
    xr_safetensors_close(files);
}

static const struct {
    const char *header;
    size_t data;
    const char *part;
} HOSTILE[] = {
    {"[1]", 0, "no JSON object"},
    {" {}", 0, "no JSON object"},
    {"{ ", 0, "not valid JSON"},
    {"{}x", 0, "more text"},
    {"{}", 1, "belong to none"},
    {"{\"a\":1}", 0, "tensor \"a\""},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "each once"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     "each once"},
    {"{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype is no text"},
    {"{" ENTRY("a", "F31", "[2]", 0, 8) "}", 8, "\"F31\""},
    {"{" ENTRY("a", "F8_E4M3", "[8]", 0, 8) "}", 8, "convert it"},
    {"{" ENTRY("a", "f32", "[2]", 0, 8) "}", 8, "\"f32\""},
    {"{" ENTRY("a", "F32", "2", 0, 8) "}", 8, "each once"},
    {"{" ENTRY("a", "F32", "[-2]", 0, 8) "}", 8, "not a whole number"},
    {"{" ENTRY("a", "F32", "[2.5]", 0, 8) "}", 8, "not a whole number"},
    {"{" ENTRY("a", "F32", "[1e300]", 0, 8) "}", 8, "not a whole number"},
    {"{" ENTRY("a", "F32", "[\"2\"]", 0, 8) "}", 8, "not a whole number"},
    {"{" ENTRY("a", "F32", "[1,1,1,1,1,1,2]", 0, 8) "}", 8, "dimensions"},
    {"{" ENTRY("a", "U8", "[4294967296,4294967296]", 0, 0) "}", 0, "too large"},
    {"{" ENTRY("a", "U8", "[0,4294967296,4294967296]", 0, 0) "}", 0, "too large"},
    {"{" ENTRY("a", "F64", "[2305843009213693952]", 0, 0) "}", 0, "not a whole number"},
    {"{" ENTRY("a", "F64", "[4503599627370496,1024]", 0, 0) "}", 0, "too large"},
    {"{" ENTRY("a", "F32", "[3]", 0, 8) "}", 8, "do not fit"},
    {"{" ENTRY("a", "BF16", "[2]", 0, 8) "}", 8, "do not fit"},
    {"{" ENTRY("a", "F32", "[2]", 0, 9) "}", 9, "do not fit"},
    {"{" ENTRY("a", "F32", "[2]", 0, 8) "}", 7, "beyond the end"},
    {"{" ENTRY("a", "F32", "[2]", 8, 0) "}", 8, "end before"},
    {"{" ENTRY("a", "F32", "[2]", -8, 0) "}", 8, "two whole numbers"},
    {"{" ENTRY("a", "F32", "[2]", 0.5, 8) "}", 8, "two whole numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "two whole numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", 8, "two whole numbers"},
    {"{" ENTRY("a", "F32", "[2]", 18446744073709551608, 18446744073709551616) "}", 8,
     "two whole numbers"},
    {"{" ENTRY("a", "F32", "[2]", 4, 12) "}", 12, "a gap before"},
    {"{" A4 "," ENTRY("b", "F32", "[1]", 12, 16) "}", 16, "tensor \"b\": there is a gap"},
    {"{" A4 "," ENTRY("b", "F32", "[1]", 4, 8) "}", 8, "overlap"},
    {"{" A4 "," ENTRY("b", "F32", "[2]", 0, 8) "}", 8, "overlap"},
    {"{" A4 "," ENTRY("b", "F32", "[0]", 4, 4) "}", 8, "overlap"},
    {"{" A4 "}", 12, "4 bytes after the last tensor"},
    {"{" A4 "," ENTRY("a", "F32", "[1]", 8, 12) "}", 12, "there twice"},
    {"{\"__metadata__\":7," A4 "}", 8, "__metadata__"},
    {"{\"__metadata__\":{\"a\":7}," A4 "}", 8, "__metadata__"},
    {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}," A4 "}", 8, "__metadata__"},
    {"{\"__metadata__\":{},\"__metadata__\":{}," A4 "}", 8, "twice"},
    {"{\"a\\u0000b\":{}}", 0, "NUL"},
    {"{\"\xff\":1}", 0, "UTF-8"},
    {"{\"a\":[[[[[[[[[[[[1]]]]]]]]]]]]}", 0, "deeply"},
    {"{\"x\\ny\\u001b[31m\":1}", 0, "\"x?y?[31m\""},
};

static void hostile_headers(void **state) {
    const char *folder = fresh_folder();
    char *path = xr_path_join(folder, "x.safetensors");
    for (size_t i = 0; i < XR_COUNT(HOSTILE); i++) {
        write_stored(folder, "x.safetensors", HOSTILE[i].header, HOSTILE[i].data);
        expect_refused(path, HOSTILE[i].part);
    }
    free(path);
}

static void lying_lengths(void **state) {
    static const uint64_t lengths[] = {0,          1,         3,          100,           100000001,
                                       UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 7};
    const char *folder = fresh_folder();
    char *path = xr_path_join(folder, "x.safetensors");
    for (size_t i = 0; i < XR_COUNT(lengths); i++) {
        char bytes[10] = {[8] = '{', [9] = '}'};
        memcpy(bytes, &lengths[i], 8);
        put_file(path, bytes, sizeof bytes);
        expect_refused(path, lengths[i] < 2 ? "no JSON object" : "says that its header has");
    }
    free(path);
}

// Every proper beginning of a good file is refused.
static void truncated_anywhere(void **state) {
    const char *folder = fresh_folder();
    write_stored(folder, "good.safetensors", "{" A4 "," ENTRY("b", "BF16", "[1]", 8, 10) "}", 10);
    char *good = xr_path_join(folder, "good.safetensors");
    char *cut = xr_path_join(folder, "cut.safetensors");
    XrBuffer bytes = {0};
    XrError err;
    assert_true(xr_file_read(good, 4096, &bytes, &err));
    xr_safetensors_close(open_good(good));
    for (size_t length = 0; length < bytes.length; length++) {
        put_file(cut, bytes.data, length);
        expect_refused(cut, "cut.safetensors");
    }
    xr_buffer_free(&bytes);
    free(good);
    free(cut);
}

// Reads all that an open file offers, so that the sanitizers see a place that is out of range.
static unsigned sum_everything(XrSafetensors *files) {
    unsigned sum = 0;
    for (int i = 0; i < xr_safetensors_count(files); i++) {
        const XrStored *stored = xr_safetensors_at(files, i);
        XrTensor t;
        XrError err;
        assert_true(xr_safetensors_view(files, stored, &t, &err));
        const unsigned char *data = t.data;
        for (size_t k = 0; k < xr_nbytes(&t); k++) sum += data[k];
    }
    return sum;
}

static void mutated_headers(void **state) {
    const char *folder = fresh_folder();
    static const char header[] = "{" ENTRY("a", "F32", "[2,3]", 0, 24) "," ENTRY(
        "b", "BF16", "[12]", 24, 48) ",\"__metadata__\":{\"format\":\"pt\"}}";
    char *path = xr_path_join(folder, "m.safetensors");
    int opened = 0;
    for (uint64_t round = 0; round < 3000; round++) {
        char mutated[sizeof header];
        uint32_t r[4];
        memcpy(mutated, header, sizeof header);
        xr_philox(1, 2, round, r);
        for (uint32_t k = 0; k <= r[0] % 3; k++) {
            static const char alphabet[] = "0123456789{}[],:\"abF-eU8I64";
            mutated[r[1 + k] % (sizeof header - 1)] = alphabet[(r[1 + k] >> 16) % 27];
        }
        XrBuffer bytes = {0};
        uint64_t length = sizeof header - 1;
        xr_buffer_append(&bytes, &length, 8);
        xr_buffer_append(&bytes, mutated, length);
        for (int i = 0; i < 48; i++) xr_buffer_byte(&bytes, 1);
        put_file(path, bytes.data, bytes.length);
        xr_buffer_free(&bytes);
        XrSafetensors *files;
        XrError err = {0};
        if (xr_safetensors_open(&files, path, &err)) {
            opened++;
            assert_int_equal(sum_everything(files), 48);
            xr_safetensors_close(files);
        } else {
            assert_true(err.message[0]);
        }
    }
    assert_true(opened > 0 && opened < 3000);
    free(path);
}

// ---- folders ----

#define INDEX(map) "{\"metadata\":{\"total_size\":16},\"weight_map\":{" map "}}"
#define S1 "model-00001-of-00002.safetensors"
#define S2 "model-00002-of-00002.safetensors"
#define B4 ENTRY("b", "F32", "[2]", 0, 8)

static const char *two_shards(void) {
    const char *folder = fresh_folder();
    write_stored(folder, S1, "{" A4 "}", 8);
    write_stored(folder, S2, "{" B4 "}", 8);
    return folder;
}

static void reads_shards(void **state) {
    const char *folder = two_shards();
    XrSafetensors *files = open_good(folder); // complete without an index
    assert_int_equal(xr_safetensors_count(files), 2);
    assert_int_equal(xr_safetensors_file_count(files), 2);
    xr_safetensors_close(files);
    write_text(folder, "model.safetensors.index.json", INDEX("\"b\":\"" S2 "\",\"a\":\"" S1 "\""));
    files = open_good(folder);
    assert_non_null(strstr(xr_safetensors_file(files, xr_safetensors_find(files, "b")->file), S2));
    xr_safetensors_close(files);
}

static void hostile_indexes(void **state) {
    static const struct {
        const char *index, *part;
    } cases[] = {
        {"[]", "weight_map"},
        {"{}", "weight_map"},
        {"{\"weight_map\":{}}", "weight_map"},
        {"{\"weight_map\":7}", "weight_map"},
        {INDEX("\"a\":7"), "weight_map"},
        {INDEX("\"a\":\"" S1 "\""), "a"}, // alone it would be a whole model: see below
        {INDEX("\"a\":\"" S1 "\",\"b\":\"" S1 "\""), "lists tensor \"b\""},
        {INDEX("\"a\":\"" S1 "\",\"b\":\"" S2 "\",\"c\":\"" S2 "\""), "lists tensor \"c\""},
        {INDEX("\"a\":\"" S2 "\",\"b\":\"" S1 "\""), "lists tensor \"a\""},
        {INDEX("\"a\":\"" S1 "\",\"a\":\"" S1 "\",\"b\":\"" S2 "\""), "lists tensor \"a\""},
        {INDEX("\"a\":\"" S1 "\",\"b\":\"model-00003-of-00003.safetensors\""), "missing"},
        {INDEX("\"a\":\"" S1 "\",\"b\":\"../" S2 "\""), "same folder"},
        {INDEX("\"a\":\"" S1 "\",\"b\":\"/etc/passwd\""), "same folder"},
        {INDEX("\"a\":\"" S1 "\",\"b\":\"..\""), "same folder"},
        {INDEX("\"a\":\"" S1 "\",\"b\":\"\""), "same folder"},
        {INDEX("\"a\":\"" S1 "\",\"b\":\"sub\""), "is a folder"},
        {"{\"weight_map\":", "not valid JSON"},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        const char *folder = two_shards();
        char *sub = xr_path_join(folder, "sub");
        XrError err;
        assert_true(xr_make_folders(sub, &err));
        free(sub);
        write_text(folder, "model.safetensors.index.json", cases[i].index);
        if (i != 5)
            expect_refused(folder, cases[i].part);
        else
            xr_safetensors_close(open_good(folder));
    }
}

static void ambiguous_folders(void **state) {
    const char *folder = fresh_folder();
    expect_refused(folder, "no weights");
    write_text(folder, "pytorch_model.bin", "x");
    expect_refused(folder, "convert them");
    folder = fresh_folder();
    write_stored(folder, S2, "{" B4 "}", 8);
    expect_refused(folder, S1 " is missing");
    write_stored(folder, "other.safetensors", "{" A4 "}", 8);
    expect_refused(folder, "\"other.safetensors\"");
    folder = two_shards();
    write_stored(folder, "model-00001-of-00003.safetensors", "{" A4 "}", 8);
    expect_refused(folder, ".safetensors\" but no");
    folder = two_shards();
    write_stored(folder, S2, "{" A4 "}", 8);
    expect_refused(folder, "there twice");
    folder = two_shards();
    write_text(folder, "model.safetensors.index.json", INDEX("\"b\":\"" S2 "\",\"a\":\"" S1 "\""));
    write_stored(folder, "model.safetensors", "{" A4 "}", 8);
    expect_refused(folder, "both");
    char *missing = xr_path_join(folder, "nowhere");
    expect_refused(missing, "check the path");
    free(missing);
}

// ---- writing ----

static void writes_known_bytes(void **state) {
    char path[300];
    snprintf(path, sizeof path, "%s/out.safetensors", fresh_folder());
    uint8_t byte = 7;
    float pair[2] = {1.0f, -2.0f};
    const XrSaveTensor tensors[] = {
        {.name = "s", .tensor = xr_tensor1(XR_U8, &byte, 1), .scalar = true},
        {.name = "p\"\n", .tensor = xr_tensor2(XR_F32, pair, 1, 2)},
        {.name = "e", .tensor = xr_tensor2(XR_I64, NULL, 0, 3)},
    };
    XrError err = {0};
    if (!xr_safetensors_write(path, tensors, 3, &err)) fail_msg("%s", err.message);
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"e\":{\"dtype\":\"I64\",\"shape\":[0,3],\"data_offsets\":[0,0]},"
        "\"p\\\"\\n\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
        "\"s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]}}";
    XrBuffer bytes = {0};
    assert_true(xr_file_read(path, 4096, &bytes, &err));
    uint64_t length;
    memcpy(&length, bytes.data, 8);
    assert_int_equal(length % 8, 0);
    assert_true(length >= sizeof header - 1 && length < sizeof header + 7);
    assert_memory_equal(bytes.data + 8, header, sizeof header - 1);
    for (uint64_t i = sizeof header - 1; i < length; i++) assert_int_equal(bytes.data[8 + i], ' ');
    assert_int_equal(bytes.length, 8 + length + 9);
    assert_memory_equal(bytes.data + 8 + length, "\0\0\x80\x3f\0\0\0\xc0\7", 9);
    xr_buffer_free(&bytes);
}

// Byte i of the tensor is i * 7 mod 251, whatever the chunks.
static bool fill_pattern(void *context, size_t offset, void *chunk, size_t bytes, XrError *err) {
    size_t *most = context;
    if (offset >= *most) return xr_fail(err, XR_ERR_IO, "the source ended");
    for (size_t i = 0; i < bytes; i++) ((unsigned char *)chunk)[i] = (offset + i) * 7 % 251;
    return true;
}

static int entries(const char *folder) {
    int count = 0;
    DIR *handle = opendir(folder);
    assert_non_null(handle);
    for (struct dirent *e; (e = readdir(handle));) count += e->d_name[0] != '.';
    closedir(handle);
    return count;
}

static void callback_gives_data(void **state) {
    const char *folder = fresh_folder();
    char *path = xr_path_join(folder, "big.safetensors");
    size_t bytes = (3u << 20) + 5, most = SIZE_MAX;
    XrSaveTensor save = {.name = "x",
                         .tensor = xr_tensor1(XR_U8, NULL, (int64_t)bytes),
                         .fill = fill_pattern,
                         .context = &most};
    XrError err = {0};
    assert_true(xr_safetensors_write(path, &save, 1, &err));
    XrSafetensors *files = open_good(path);
    const XrStored *x = xr_safetensors_find(files, "x");
    assert_int_equal(x->byte_count, bytes);
    for (size_t i = 0; i < bytes; i++) {
        if (x->bytes[i] != i * 7 % 251) fail_msg("byte %zu is %d", i, x->bytes[i]);
    }
    xr_safetensors_close(files);
    most = 1 << 20; // the callback fails after the first chunk: the old file stays, nothing else
    assert_false(xr_safetensors_write(path, &save, 1, &err));
    assert_non_null(strstr(err.message, "tensor \"x\": the source ended"));
    assert_int_equal(entries(folder), 1);
    xr_safetensors_close(open_good(path));
    free(path);
}

static void full_disk_leaves_nothing(void **state) {
    const char *folder = fresh_folder();
    char *path = xr_path_join(folder, "x.safetensors");
    size_t bytes = 1 << 20;
    void *data = xr_calloc(1, bytes);
    XrSaveTensor save = {.name = "x", .tensor = xr_tensor1(XR_U8, data, (int64_t)bytes)};
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1 << 16;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    XrError err = {0};
    bool file_written = xr_safetensors_write(path, &save, 1, &err);
    bool folder_written = xr_safetensors_write_folder(folder, &save, 1, bytes, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_false(file_written);
    assert_false(folder_written);
    assert_int_equal(err.status, XR_ERR_IO);
    assert_int_equal(entries(folder), 0);
    free(path);
    path = xr_path_join(folder, "missing/x.safetensors");
    assert_false(xr_safetensors_write(path, &save, 1, &err));
    assert_non_null(strstr(err.message, "missing/x.safetensors"));
    free(path);
    free(data);
}

// A model folder written back holds the same bytes, under any size of shards.
static void written_back_identical(void **state) {
    static const size_t sizes[] = {60000, 200000, SIZE_MAX};
    XrSafetensors *original = open_good(xr_test_source("golden/models/gqa4_shards"));
    int count = xr_safetensors_count(original);
    XrSaveTensor *saves = xr_calloc((size_t)count, sizeof *saves);
    XrError err = {0};
    for (int i = 0; i < count; i++) {
        saves[i].name = xr_safetensors_at(original, i)->name;
        assert_true(
            xr_safetensors_view(original, xr_safetensors_at(original, i), &saves[i].tensor, &err));
    }
    const char *folder = fresh_folder();
    for (size_t s = 0; s < XR_COUNT(sizes); s++) {
        // All into one folder: shards and indexes of the size before must not stay behind.
        if (!xr_safetensors_write_folder(folder, saves, count, sizes[s], &err)) {
            fail_msg("%s", err.message);
        }
        XrSafetensors *copy = open_good(folder);
        int files = xr_safetensors_file_count(copy);
        assert_int_equal(xr_safetensors_count(copy), count);
        assert_int_equal(entries(folder), files == 1 ? 1 : files + 1);
        if (sizes[s] == 60000) assert_true(files > 3 && files < count);
        if (sizes[s] == SIZE_MAX) assert_int_equal(files, 1);
        for (int i = 0; i < count; i++) {
            const XrStored *a = xr_safetensors_at(original, i);
            const XrStored *b = xr_safetensors_find(copy, a->name);
            assert_non_null(b);
            assert_int_equal(a->dtype, b->dtype);
            assert_int_equal(a->ndim, b->ndim);
            assert_memory_equal(a->shape, b->shape, sizeof a->shape);
            assert_int_equal(a->byte_count, b->byte_count);
            assert_memory_equal(a->bytes, b->bytes, a->byte_count);
        }
        xr_safetensors_close(copy);
    }
    free(saves);
    xr_safetensors_close(original);
}

// ---- the comparison that other tests rest on ----

static void relative_error_sees(void **state) {
    const float a[] = {1, 2, 4}, b[] = {1, 2.5f, 4}, nan[] = {1, NAN, 4}, zero[] = {0, 0, 0};
    assert_true(xr_relative_error(a, a, 3) == 0);
    assert_true(xr_relative_error(b, a, 3) == 0.125);
    assert_true(xr_relative_error(nan, a, 3) > 1e30);
    assert_true(xr_relative_error(zero, zero, 3) == 0);
    assert_true(xr_relative_error(a, zero, 3) > 1e30);
}

static void golden_file_has_known_numbers(void **state) {
    XrGolden golden = xr_golden_open("ops.safetensors");
    XrTensor beta = xr_golden_of(&golden, "adamw/decay", "beta2", XR_F64);
    assert_true(*(const double *)beta.data == 0.95);
    assert_int_equal(xr_golden_whole(&golden, "attention/causal_h64_g7", "heads"), 7);
    XrTensor ids = xr_golden_of(&golden, "positions/last", "input_ids", XR_I64);
    xr_assert_same_ids("ids", (const int64_t[]){7, 90, 92, 92, 92, 92, 92, 91}, 8, &ids);
    xr_golden_close(&golden);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_hand_made_file),
        cmocka_unit_test(file_without_tensors),
        cmocka_unit_test(misaligned_tensors_are_copied),
        cmocka_unit_test(need_checks_type_and_shape),
        cmocka_unit_test(hostile_headers),
        cmocka_unit_test(lying_lengths),
        cmocka_unit_test(truncated_anywhere),
        cmocka_unit_test(mutated_headers),
        cmocka_unit_test(reads_shards),
        cmocka_unit_test(hostile_indexes),
        cmocka_unit_test(ambiguous_folders),
        cmocka_unit_test(writes_known_bytes),
        cmocka_unit_test(callback_gives_data),
        cmocka_unit_test(full_disk_leaves_nothing),
        cmocka_unit_test(written_back_identical),
        cmocka_unit_test(relative_error_sees),
        cmocka_unit_test(golden_file_has_known_numbers),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
