#!/usr/bin/env bash
# Installs what is missing, builds, and runs everything that must hold: the tests in a release build,
# the tests under AddressSanitizer and UndefinedBehaviorSanitizer, with CUDA's kernels on an emulated GPU
# that checks every access (docs/cuda.md), a compilation of these kernels by nvcc where there is one, and a
# minute of each fuzz target, built by clang, on its kept corpus. ci/lint.sh, which takes as long again, runs clang-tidy.
#
#   ci/test.sh            all of it
#   ci/test.sh quick      the release build and its tests alone
#   XR_FUZZ_SECONDS=600 ci/test.sh     longer fuzzing
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-all}
jobs=$(nproc)
fuzz_seconds=${XR_FUZZ_SECONDS:-60}
section() { printf '\n== %s ==\n' "$*"; }

section "packages"
if [ "$mode" = quick ]; then ci/install.sh; else ci/install.sh clang; fi

section "release build"
cmake --preset default
cmake --build build -j "$jobs"
section "tests"
ctest --preset default -j "$jobs"
[ "$mode" = quick ] && exit 0

section "tests under AddressSanitizer and UndefinedBehaviorSanitizer"
cmake --preset sanitize >/dev/null
cmake --build build-sanitize -j "$jobs"
ctest --preset sanitize -j "$jobs" -LE slow

if command -v nvcc >/dev/null; then
  section "kernels for GPUs, compiled by nvcc"
  cmake --preset cuda >/dev/null
  cmake --build build-cuda -j "$jobs" --target xreasoner_cuda
else
  section "no nvcc here: kernels are compiled for the emulated GPU alone"
fi

section "fuzz targets, $fuzz_seconds s each"
cmake --preset fuzz >/dev/null
cmake --build build-fuzz -j "$jobs"
ci/fuzz.sh build-fuzz "$fuzz_seconds" "$jobs"
