#!/usr/bin/env bash
# Installs what is missing, builds, and runs the whole recipe on the tiny world that the program carries:
# fine-tuning, policy optimisation, evaluation in text and pictures, and a page about it.
# ci/demo.sh [DIR]: DIR keeps the demo's files (build/demo, made anew); a DIR that holds an interrupted
# demo goes on.
set -euo pipefail
[[ ${1:-} != @(-h|--help) ]] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit; }
cd "$(dirname "$0")/.."

ci/install.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake --preset default >"$log" 2>&1 && cmake --build build -j "$(nproc)" >>"$log" 2>&1 || {
  cat "$log" >&2
  exit 1
}
out=${1:-build/demo}
[ $# -gt 0 ] || rm -rf "$out"
build/bin/xreasoner --version
build/bin/xreasoner demo --out "$out"
