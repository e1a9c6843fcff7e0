#include "shared/text/unicode.h"

#include "shared/base/memory.h"
#include "shared/base/utf8.h"
#include "shared/text/unicode_internal.h"
#include "shared/text/unicode_tables.h"

#include <pthread.h>
#include <string.h>

// Dense tables: only the pages that hold characters in use are ever touched again.
static uint8_t classes[XR_CODE_POINTS];
static uint8_t combining[XR_CODE_POINTS];
static uint16_t decomposition[XR_CODE_POINTS]; // 1 + row, composites first; 0: none
enum { PAIR_SLOTS = 4096 };
static uint16_t pairs[PAIR_SLOTS]; // 1 + row of XR_UNICODE_COMPOSITES, by hash of its two parts
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(const uint32_t (*ranges)[2], int count, uint8_t class) {
    for (int i = 0; i < count; i++) {
        for (uint32_t c = ranges[i][0]; c <= ranges[i][1]; c++) classes[c] |= class;
    }
}

static uint32_t pair_slot(uint32_t first, uint32_t second) {
    return (first * 0x9E3779B1u ^ second * 0x85EBCA6Bu) >> 20;
}

// A composite whose first part may join what stands before it may do so itself.
static void mark_unstable(void) {
    for (int i = 0; i < XR_UNICODE_DECOMPOSITIONS_COUNT; i++) {
        classes[XR_UNICODE_DECOMPOSITIONS[i][0]] |= XR_CHAR_UNSTABLE;
    }
    for (int i = 0; i < XR_UNICODE_COMPOSITES_COUNT; i++) {
        classes[XR_UNICODE_COMPOSITES[i][2]] |= XR_CHAR_UNSTABLE;
    }
    for (uint32_t c = XR_HANGUL_V; c < XR_HANGUL_V + XR_HANGUL_VS; c++) {
        classes[c] |= XR_CHAR_UNSTABLE;
    }
    for (uint32_t c = XR_HANGUL_T + 1; c < XR_HANGUL_T + XR_HANGUL_TS; c++) {
        classes[c] |= XR_CHAR_UNSTABLE;
    }
    for (int i = 0; i < XR_UNICODE_COMPOSITES_COUNT; i++) {
        uint32_t c = XR_UNICODE_COMPOSITES[i][0], first = c;
        while (decomposition[first]) first = xr_unicode_decomposition(first)[1];
        classes[c] |= classes[first] & XR_CHAR_UNSTABLE;
    }
}

static void build(void) {
    fill(XR_UNICODE_LETTERS, XR_UNICODE_LETTERS_COUNT, XR_CHAR_LETTER);
    fill(XR_UNICODE_NUMBERS, XR_UNICODE_NUMBERS_COUNT, XR_CHAR_NUMBER);
    fill(XR_UNICODE_SPACES, XR_UNICODE_SPACES_COUNT, XR_CHAR_SPACE);
    for (int i = 0; i < XR_UNICODE_COMBINING_COUNT; i++) {
        const uint32_t *row = XR_UNICODE_COMBINING[i];
        for (uint32_t c = row[0]; c <= row[1]; c++) {
            combining[c] = (uint8_t)row[2];
            classes[c] |= XR_CHAR_UNSTABLE;
        }
    }
    for (int i = 0; i < XR_UNICODE_COMPOSITES_COUNT; i++) {
        const uint32_t *row = XR_UNICODE_COMPOSITES[i];
        decomposition[row[0]] = (uint16_t)(1 + i);
        uint32_t slot = pair_slot(row[1], row[2]);
        while (pairs[slot]) slot = (slot + 1) % PAIR_SLOTS;
        pairs[slot] = (uint16_t)(1 + i);
    }
    for (int i = 0; i < XR_UNICODE_DECOMPOSITIONS_COUNT; i++) {
        uint32_t c = XR_UNICODE_DECOMPOSITIONS[i][0];
        decomposition[c] = (uint16_t)(1 + XR_UNICODE_COMPOSITES_COUNT + i);
    }
    mark_unstable();
}

const uint8_t *xr_unicode_classes(void) {
    pthread_once(&once, build);
    return classes;
}

uint8_t xr_unicode_combining(uint32_t c) {
    return combining[c];
}

const uint32_t *xr_unicode_decomposition(uint32_t c) {
    int row = decomposition[c];
    if (row == 0) return NULL;
    return row <= XR_UNICODE_COMPOSITES_COUNT
               ? XR_UNICODE_COMPOSITES[row - 1]
               : XR_UNICODE_DECOMPOSITIONS[row - 1 - XR_UNICODE_COMPOSITES_COUNT];
}

uint32_t xr_unicode_composite(uint32_t first, uint32_t second) {
    for (uint32_t slot = pair_slot(first, second); pairs[slot]; slot = (slot + 1) % PAIR_SLOTS) {
        const uint32_t *row = XR_UNICODE_COMPOSITES[pairs[slot] - 1];
        if (row[1] == first && row[2] == second) return row[0];
    }
    return 0;
}

bool xr_unicode_scan(const char *text, size_t bytes, size_t *at) {
    const uint8_t *class = xr_unicode_classes();
    size_t unstable = bytes, i = 0;
    while (i < bytes) {
        uint64_t word;
        while (bytes - i >= sizeof word) {
            memcpy(&word, text + i, sizeof word);
            if (word & 0x8080808080808080u) break;
            i += sizeof word;
        }
        uint32_t c;
        if (i == bytes) break;
        int length = xr_utf8_decode(text + i, bytes - i, &c);
        if (length == 0) {
            *at = i;
            return false;
        }
        if (unstable == bytes && class[c] & XR_CHAR_UNSTABLE) unstable = i;
        i += (size_t)length;
    }
    *at = unstable;
    return true;
}
