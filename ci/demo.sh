#!/usr/bin/env bash
# Installs what is missing, builds, and answers two questions, one of them about a picture, with a tiny
# model that the repository carries. Its weights are random, so what it says means nothing: the demo
# shows that everything from the picture file to the streamed text works on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."

ci/install.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake --preset default >"$log" 2>&1 && cmake --build build -j "$(nproc)" >>"$log" 2>&1 || {
  cat "$log" >&2
  exit 1
}

program=build/bin/xreasoner
model=golden/models/gqa2_tied
picture=golden/images/c.png
show() { printf '\n$ %s\n' "$*"; "$@"; }

"$program" --version
cat <<'TEXT'

The model below has random weights: it is untrained, and its answers are noise. Give
xreasoner a folder of Qwen2.5-VL or Qwen2.5 instead and the same commands answer in earnest.
TEXT
show "$program" chat "$model" --prompt "What is 2 + 3?" --max-new-tokens 12 --temperature 1 --seed 1
show "$program" chat "$model" --prompt "What does the picture show?" --image "$picture" \
  --max-new-tokens 12 --temperature 1 --seed 1
show "$program" chat "$model" --prompt "Think first." --max-new-tokens 24 --temperature 1 --think-budget 6 \
  --answer-budget 6 --json
echo '"What is 2 + 3?"' | show "$program" tokenize "$model"
echo '{"gold": "\\frac{1}{2}", "response": "<think> half </think> <answer> 0.5 </answer>"}' |
  show "$program" verify
