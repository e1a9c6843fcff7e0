#!/usr/bin/env bash
# Installs what is missing, builds, and runs everything that must hold: the tests in a release build,
# the tests under AddressSanitizer and UndefinedBehaviorSanitizer, with CUDA's kernels on an emulated GPU
# that checks every access (docs/cuda.md), whole models and trainers on that GPU without these checks, a
# compilation of these kernels by nvcc where there is one, and a minute of each fuzz target, built by
# clang, on its kept corpus. ci/lint.sh, which takes as long again, runs clang-tidy.
#
#   ci/test.sh            all of it
#   ci/test.sh quick      the release build and its tests alone
#   XR_FUZZ_SECONDS=600 ci/test.sh     longer fuzzing
set -euo pipefail
[[ ${1:-} != @(-h|--help) ]] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit; }
cd "$(dirname "$0")/.."
mode=${1:-all}
[[ $mode == @(all|quick) ]] || { echo "ci/test.sh: $mode: must be quick, or left out" >&2; exit 2; }
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

section "whole models and trainers on the emulated GPU"
on_emulation() {
  local log=build-emulation/$1.log code=0
  "build-emulation/bin/$1" '*cuda*' >"$log" 2>&1 || code=1
  cat "$log"
  return $code
}
export -f on_emulation
cmake --preset emulation >/dev/null
# From the end of the alphabet on: the longest, test_sft and test_model, do not come last then.
mapfile -t models < <(sort -r build-emulation/tests/models.txt)
cmake --build build-emulation -j "$jobs" --target xreasoner_program "${models[@]}"
printf '%s\n' "${models[@]}" | xargs -P "$jobs" -I{} bash -c 'on_emulation {}'

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
