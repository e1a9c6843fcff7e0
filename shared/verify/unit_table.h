// Units of measure and of money: what they measure and their size in base units.
#ifndef XR_VERIFY_UNIT_TABLE_H
#define XR_VERIFY_UNIT_TABLE_H

#include <flint/fmpq.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    XR_DIM_LENGTH,
    XR_DIM_MASS,
    XR_DIM_TIME,
    XR_DIM_CURRENT,
    XR_DIM_TEMPERATURE,
    XR_DIM_AMOUNT,
    XR_DIM_INFORMATION,
    XR_DIM_DOLLAR,
    XR_DIM_EURO,
    XR_DIM_POUND,
    XR_DIM_YEN,
    XR_DIM_RUPEE,
    XR_DIM_YUAN,
    XR_DIM_RUBLE,
    XR_DIMS,
};

typedef struct XrUnit {
    const char *name;
    signed char dims[XR_DIMS]; // exponents of the base units (m, kg, s, A, K, mol, bit, monies)
    long numerator, denominator;
} XrUnit;

// The unit of that name: abbreviations by their exact case ("mL", "km"), words in any case,
// singular or plural. NULL when there is none.
const XrUnit *xr_unit_find(const char *name, size_t bytes);

#endif
