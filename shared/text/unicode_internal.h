// Properties of characters that the normaliser needs. xr_unicode_classes() must have been called.
#ifndef XR_TEXT_UNICODE_INTERNAL_H
#define XR_TEXT_UNICODE_INTERNAL_H

#include <stdint.h>

enum { XR_CODE_POINTS = 0x110000 };

// Hangul syllables and the letters that they are composed of (The Unicode Standard, section 3.12).
enum {
    XR_HANGUL_S = 0xAC00,
    XR_HANGUL_L = 0x1100,
    XR_HANGUL_V = 0x1161,
    XR_HANGUL_T = 0x11A7, // one before the first: 0 stands for no final letter
    XR_HANGUL_LS = 19,
    XR_HANGUL_VS = 21,
    XR_HANGUL_TS = 28,
    XR_HANGUL_SS = XR_HANGUL_LS * XR_HANGUL_VS * XR_HANGUL_TS,
};

// The canonical combining class; 0 for starters.
uint8_t xr_unicode_combining(uint32_t c);
// {c, first, second or 0}: one step of the canonical decomposition, or NULL. Hangul is not in it.
const uint32_t *xr_unicode_decomposition(uint32_t c);
// What the two compose to, or 0. Hangul is not in it.
uint32_t xr_unicode_composite(uint32_t first, uint32_t second);

#endif
