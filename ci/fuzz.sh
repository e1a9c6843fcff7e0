#!/usr/bin/env bash
# usage: ci/fuzz.sh BUILD_FOLDER SECONDS [JOBS]
# Runs every fuzz target on a copy of its kept corpus (tests/fuzz/corpus/NAME) for that long.
set -euo pipefail
[[ ${1:-} != @(-h|--help) ]] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit; }
[ $# -ge 2 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
build=$(cd "$1" && pwd) seconds=$2 jobs=${3:-1}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fuzz_one() {
  local target=$1 seconds=$2 scratch=$3 name corpus
  name=$(basename "$target")
  corpus=tests/fuzz/corpus/${name#fuzz_}
  mkdir -p "$scratch/$name"
  if [ -d "$corpus" ]; then cp -r "$corpus/." "$scratch/$name/"; fi
  if ! (cd "$scratch" && "$target" -max_total_time="$seconds" -rss_limit_mb=2048 \
        -timeout=60 -print_final_stats=1 "$name") >"$scratch/$name.log" 2>&1; then
    echo "$name: FAILED"
    tail -n 60 "$scratch/$name.log"
    return 1
  fi
  echo "$name: $(grep -o 'number_of_executed_units: [0-9]*' "$scratch/$name.log" | tail -1)"
}
export -f fuzz_one

find "$build/bin" -name 'fuzz_*' -type f | sort |
  xargs -P "$jobs" -I{} bash -c 'fuzz_one "$@"' _ {} "$seconds" "$scratch"
