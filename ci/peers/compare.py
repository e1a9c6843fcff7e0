"""Runs xreasoner and its peers in turn on one machine and prints a table of rates and ratios.

usage: compare.py XREASONER WORK [--threads N] [--rounds N] [--no-torch]

WORK holds what checkpoint.py and gguf_file.py made (f32/, bf16/, f32.gguf, bf16.gguf). Each round
runs every program once, so that all see the same machine; the best of the rounds counts.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
JOBS = {"model/prefill-1024": "prefill", "model/decode-at-1024/1": "decode",
        "model/decode-at-1024/8": "decode8"}
TARGETS = {("prefill", "f32"): 1.2, ("prefill", "bf16"): 1.0, ("decode", "f32"): 1.0,
           ("decode", "bf16"): 1.0}


def xreasoner(program, folder, threads):
    command = [program, "bench", "model/", "--model", folder, "--threads", threads, "--json"]
    rates = {}
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        row = json.loads(line)
        if "yardstick" in row:
            rates["read rate"] = row["yardstick"]["read_bytes_per_s"]
        elif row["name"] in JOBS:
            job = JOBS[row["name"]]
            rates[job] = row["tokens_per_s"]
            if job == "decode":
                rates["bytes read"] = row["bytes_per_s"]
    return rates


def peer(script, *arguments):
    command = [sys.executable, str(HERE / script), *arguments]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def best_of(rounds):
    return {key: max(r[key] for r in rounds) for key in rounds[0]}


def measure(args, dtype):
    work, threads = Path(args.work), str(args.threads)
    runs = {"xreasoner": [], "llama.cpp": [], "PyTorch": []}
    for _ in range(args.rounds):
        runs["xreasoner"].append(xreasoner(args.xreasoner, str(work / dtype), threads))
        runs["llama.cpp"].append(peer("llama_cpp_peer.py", str(work / f"{dtype}.gguf"), threads))
        if args.torch:
            runs["PyTorch"].append(peer("pytorch_peer.py", str(work / dtype), threads))
    return {name: best_of(rounds) for name, rounds in runs.items() if rounds}


def print_table(results):
    print("| job | weights | xreasoner | llama.cpp | ratio | PyTorch | ratio | wanted |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for dtype, result in results.items():
        own = result["xreasoner"]
        for job in ("prefill", "decode", "decode8"):
            cells = [f"{own[job]:.1f}"]
            for name in ("llama.cpp", "PyTorch"):
                rate = result.get(name, {}).get(job)
                cells += [f"{rate:.1f}", f"{own[job] / rate:.2f}"] if rate else ["–", "–"]
            wanted = TARGETS.get((job, dtype))
            cells.append(f"≥ {wanted} × llama.cpp" if wanted else "≥ 4 × decode")
            print(f"| {job}, tokens/s | {dtype} | " + " | ".join(cells) + " |")
    print()
    for dtype, result in results.items():
        own = result["xreasoner"]
        print(f"{dtype}: decode reads {own['bytes read'] / 1e9:.1f} GB/s of weights, "
              f"{own['bytes read'] / own['read rate']:.0%} of the measured read rate "
              f"(wanted: 85%); eight sequences give {own['decode8'] / own['decode']:.1f} times the "
              "tokens of one (wanted: 4)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("xreasoner")
    parser.add_argument("work")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-torch", dest="torch", action="store_false")
    args = parser.parse_args()
    print_table({dtype: measure(args, dtype) for dtype in ("f32", "bf16")})


main()
