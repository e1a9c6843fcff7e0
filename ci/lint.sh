#!/usr/bin/env bash
# Builds everything with clang, warnings as errors, and clang-tidy on every file.
set -euo pipefail
[[ ${1:-} != @(-h|--help) ]] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit; }
cd "$(dirname "$0")/.."
ci/install.sh clang clang-tidy
cmake --preset clang
cmake --build build-clang -j "$(nproc)"
