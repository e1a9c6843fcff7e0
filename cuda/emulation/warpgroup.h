// What device code sees of a warpgroup's instructions in the emulation; cuda/warpgroup.h has the
// same for GPUs. What a product adds to is NaN until it has been waited for
// (cuda/emulation/warpgroup.cpp).
#ifndef XR_EMULATION_WARPGROUP_H
#define XR_EMULATION_WARPGROUP_H

#include "cuda/emulation/device.h"

#define XR_WARPGROUPS

bool xr_has_warpgroups(void);
void xr_show_to_products(void);
uint32_t xr_shared_address(const void *shared);

// Registers of one lane that a fence or a wait is over; `groups` of a wait may still be on the way.
struct XrRegisters {
    struct {
        void *words;
        int count;
    } array[4];
    int count, groups;
    XrSite site;
};
// One lane's part of a product: d[.,columns] (+)= a b, with a in registers or by a descriptor.
struct XrProduct {
    float *d;
    const uint32_t *a;
    uint64_t a_operand, b_operand;
    int columns;
    bool add;
    XrSite site;
};

void xr_emulation_wgmma(XrProduct product);
void xr_emulation_wgmma_fence(XrRegisters registers);
void xr_emulation_wgmma_wait(XrRegisters registers);
void xr_emulation_wgmma_commit(XrSite site);

template <int N> static inline void xr_wgmma_name(XrRegisters &r, float (&x)[N][4]) {
    r.array[r.count++] = {x, 4 * N};
}
template <int N> static inline void xr_wgmma_name(XrRegisters &r, uint32_t (&x)[N][4]) {
    r.array[r.count++] = {x, 4 * N};
}

template <typename A> static inline void xr_wgmma_fence(A &a, XR_CALLER) {
    XrRegisters r = {{}, 0, 0, XR_HERE("wgmma.fence")};
    xr_wgmma_name(r, a);
    xr_emulation_wgmma_fence(r);
}
template <typename A, typename B> static inline void xr_wgmma_fence(A &a, B &b, XR_CALLER) {
    XrRegisters r = {{}, 0, 0, XR_HERE("wgmma.fence")};
    xr_wgmma_name(r, a);
    xr_wgmma_name(r, b);
    xr_emulation_wgmma_fence(r);
}
template <typename A, typename B, typename C>
static inline void xr_wgmma_fence(A &a, B &b, C &c, XR_CALLER) {
    XrRegisters r = {{}, 0, 0, XR_HERE("wgmma.fence")};
    xr_wgmma_name(r, a);
    xr_wgmma_name(r, b);
    xr_wgmma_name(r, c);
    xr_emulation_wgmma_fence(r);
}

template <typename A, typename B, typename C, typename D>
static inline void xr_wgmma_fence(A &a, B &b, C &c, D &d, XR_CALLER) {
    XrRegisters r = {{}, 0, 0, XR_HERE("wgmma.fence")};
    xr_wgmma_name(r, a);
    xr_wgmma_name(r, b);
    xr_wgmma_name(r, c);
    xr_wgmma_name(r, d);
    xr_emulation_wgmma_fence(r);
}

static inline void xr_wgmma_commit(XR_CALLER) {
    xr_emulation_wgmma_commit(XR_HERE("wgmma.commit_group"));
}

template <int groups, typename A> static inline void xr_wgmma_wait(A &a, XR_CALLER) {
    XrRegisters r = {{}, 0, groups, XR_HERE("wgmma.wait_group")};
    xr_wgmma_name(r, a);
    xr_emulation_wgmma_wait(r);
}
template <int groups, typename A, typename B>
static inline void xr_wgmma_wait(A &a, B &b, XR_CALLER) {
    XrRegisters r = {{}, 0, groups, XR_HERE("wgmma.wait_group")};
    xr_wgmma_name(r, a);
    xr_wgmma_name(r, b);
    xr_emulation_wgmma_wait(r);
}
template <int groups, typename A, typename B, typename C>
static inline void xr_wgmma_wait(A &a, B &b, C &c, XR_CALLER) {
    XrRegisters r = {{}, 0, groups, XR_HERE("wgmma.wait_group")};
    xr_wgmma_name(r, a);
    xr_wgmma_name(r, b);
    xr_wgmma_name(r, c);
    xr_emulation_wgmma_wait(r);
}

template <int N>
static inline void xr_wgmma(float (&d)[N][4], uint64_t a, uint64_t b, bool add, XR_CALLER) {
    xr_emulation_wgmma({d[0], NULL, a, b, 8 * N, add, XR_HERE("wgmma")});
}
template <int N>
static inline void xr_wgmma(float (&d)[N][4], const uint32_t (&a)[4], uint64_t b, XR_CALLER) {
    xr_emulation_wgmma({d[0], a, 0, b, 8 * N, true, XR_HERE("wgmma")});
}

#endif
