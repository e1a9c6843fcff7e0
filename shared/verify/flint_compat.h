// Arb and Calcium, wherever their headers are: beside FLINT 2, or inside FLINT 3.
#ifndef XR_VERIFY_FLINT_COMPAT_H
#define XR_VERIFY_FLINT_COMPAT_H

#include <flint/flint.h>

#if __FLINT_RELEASE >= 30000
#include <flint/acb.h>
#include <flint/acb_calc.h>
#include <flint/acb_mat.h>
#include <flint/arb.h>
#include <flint/arb_hypgeom.h>
#include <flint/ca.h>
#else
#include <acb.h>
#include <acb_calc.h>
#include <acb_mat.h>
#include <arb.h>
#include <arb_hypgeom.h>
#include <calcium/ca.h>
#endif

#endif
