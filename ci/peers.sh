#!/usr/bin/env bash
# Compares xreasoner with llama.cpp, PyTorch, TRL, tokenizers and transformers on this machine and prints
# the table of docs/speed.md.
# usage: ci/peers.sh [VENV [WORK]]     VENV: Python environment, made where it is missing (6 GB);
#                                      WORK: folder for the models, made where missing (2.6 GB)
# Further settings: XR_THREADS (2), XR_ROUNDS (3), XR_PARTS (all of: f32 bf16 rollouts sft startup text
# images grpo), XR_DATA_DIR (folder of real data, for the last four parts).
set -euo pipefail
[[ ${1:-} != @(-h|--help) ]] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit; }
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${1:-$root/build/peers}
work=${2:-$root/build/peers-work}
"$venv/bin/python" -c "import torch, transformers, trl, gguf, llama_cpp" 2>/dev/null ||
    "$root/ci/peers/setup.sh" "$venv"
mkdir -p "$work"
data=()
tokenizer=()
if [ -n "${XR_DATA_DIR:-}" ]; then
    data=(--data "$XR_DATA_DIR")
    tokenizer=("$XR_DATA_DIR/qwen2.5-vl/tokenizer.json")
fi
[ -e "$work/grpo/config.json" ] ||
    "$venv/bin/python" "$root/ci/peers/checkpoint.py" "$work" "${tokenizer[@]}"
for type in f32 bf16; do
    [ -e "$work/$type.gguf" ] ||
        "$venv/bin/python" "$root/ci/peers/gguf_file.py" "$work/$type" "$work/$type.gguf"
done
cmake -S "$root" --preset default >/dev/null
cmake --build "$root/build" --target xreasoner_program >/dev/null
only=()
for part in ${XR_PARTS:-}; do only+=(--only "$part"); done
"$venv/bin/python" "$root/ci/peers/compare.py" "$root/build/bin/xreasoner" "$work" "${data[@]}" \
    --threads "${XR_THREADS:-2}" --rounds "${XR_ROUNDS:-3}" "${only[@]}"
