"""Runs xreasoner and its peers in turn on one machine and prints a table of rates and ratios.

usage: compare.py XREASONER WORK [--data FOLDER] [--threads N] [--rounds N] [--only PART]... [--without PEER]...

WORK holds what checkpoint.py and gguf_file.py made (f32/, bf16/, grpo/, f32.gguf, bf16.gguf). Each round
runs every program once, so that all see the same machine; the best of the rounds counts. FOLDER is that of
the tests' real data (XR_DATA_DIR); parts that need it are left out without it. Settings of OpenBLAS that
the environment may hold (OPENBLAS_CORETYPE and others) are kept from the peers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
QUIET = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}


def run(command, environment=None):
    """Output and peak memory of a command."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=errors,
                                   env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        for file in (out, errors):
            file.seek(0)
        if status:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{errors.read()[-2000:]}")
        return out.read(), usage.ru_maxrss * 1024


def peer(script, *arguments):
    return json.loads(run([sys.executable, HERE / script, *arguments], QUIET)[0].splitlines()[-1])


class Comparison:
    def __init__(self, args):
        self.args = args
        self.work = Path(args.work)
        self.data = Path(args.data) if args.data else None
        self.rows = []
        print("| job | xreasoner | peer | | ratio | wanted |")
        print("| --- | ---: | --- | ---: | ---: | --- |", flush=True)

    def row(self, job, own, name, other, wanted, ratio=None, digits=1):
        """Prints a line; the ratio is own/other unless given, a share or a number of times."""
        if ratio is None and other:
            ratio = own / other
        cell = f"{other:.{digits}f}" if other else "–"
        print(f"| {job} | {own:.{digits}f} | {name} | {cell} | "
              f"{'–' if ratio is None else f'{ratio:.2f}'} | {wanted} |", flush=True)

    def bench(self, pattern, folder=None, threads=None):
        """Cases by name, and the yardstick."""
        command = [self.args.xreasoner, "bench", pattern, "--json", "--threads",
                   threads or self.args.threads]
        if folder:
            command += ["--model", folder]
        lines = [json.loads(line) for line in run(command)[0].splitlines()]
        return {line["name"]: line for line in lines[1:]}, lines[0]["yardstick"]

    def rounds(self, **programs):
        """Of each program's numbers the best of all rounds. The programs take turns."""
        best = {}
        for _ in range(self.args.rounds):
            for name, program in programs.items():
                if name in self.args.without:
                    continue
                for key, value in program().items():
                    held = best.setdefault(name, {}).get(key, value)
                    best[name][key] = min(held, value) if key in LEAST else max(held, value)
        return best


LEAST = ("peak", "grpo_seconds", "startup", "reward", "data")
JOBS = {"model/prefill-1024": "prefill", "model/decode-at-1024/1": "decode",
        "model/decode-at-1024/8": "decode8"}


def inference(c, dtype):
    """Prefill, decode and start-up."""
    def own():
        cases, yardstick = c.bench("model/[pd]*1024", c.work / dtype)
        rates = {JOBS[name]: case["tokens_per_s"] for name, case in cases.items()}
        one = cases["model/decode-at-1024/1"]["bytes_per_s"]
        return {**rates, "bytes": one, "read rate": yardstick["read_bytes_per_s"]}

    best = c.rounds(xreasoner=own,
                    llama=lambda: peer("llama_cpp_peer.py", c.work / f"{dtype}.gguf", c.args.threads),
                    torch=lambda: peer("pytorch_peer.py", c.work / dtype, c.args.threads))
    mine = best.pop("xreasoner")
    names = {"llama": "llama.cpp", "torch": "PyTorch"}
    wanted = {"prefill": "≥ 1.2" if dtype == "f32" else "≥ 1", "decode": "≥ 1", "decode8": ""}
    for name, rates in best.items():
        for job in ("prefill", "decode", "decode8"):
            if job in rates:
                c.row(f"{job}, {dtype}, tokens/s", mine[job], names[name], rates[job],
                      wanted[job] if name == "llama" else "")
    c.row(f"decode, {dtype}: weights read, GB/s", mine["bytes"] / 1e9, "the read rate",
          mine["read rate"] / 1e9, "≥ 0.85")
    c.row(f"decode of 8, {dtype}, tokens/s", mine["decode8"], "decode of 1", mine["decode"], "≥ 4")


def startup(c):
    for dtype in ("f32", "bf16"):
        own = c.rounds(xreasoner=lambda: {
            "startup": c.bench("model/startup", c.work / dtype)[0]["model/startup"]["median_s"]})
        c.row(f"folder to first token, {dtype}, s", own["xreasoner"]["startup"], "", None, "< 0.3",
              digits=2)


def text(c):
    files = [c.data / "mmlu-pro/responses-sample.jsonl", c.data / "gsm8k/train.jsonl"]
    best = c.rounds(
        xreasoner=lambda: {"tokenizer": c.bench("tokenizer/encode", threads=1)[0]
                           ["tokenizer/encode"]["MB_per_s"]},
        tokenizers=lambda: peer("tokenizers_peer.py", c.data / "qwen2.5-vl/tokenizer.json", *files))
    c.row("tokenizer, one thread, MB/s", best["xreasoner"]["tokenizer"], "tokenizers",
          best.get("tokenizers", {}).get("tokenizer"), "≥ 10")


def images(c):
    files = sorted(f for f in (c.data / "images").iterdir() if f.name[0] != ".")

    def theirs():
        return {f"{kind} {name}": rate for kind, rates in peer("images_peer.py", *files).items()
                for name, rate in rates.items()}

    best = c.rounds(xreasoner=lambda: {name.split("/")[1]: case["megapixels_per_s"] for name, case in
                                       c.bench("image/", threads=1)[0].items()},
                    transformers=theirs)
    for name, rate in best["xreasoner"].items():
        other = {kind: best["transformers"][f"{kind} {name}"] for kind in ("slow", "fast")}
        kind = max(other, key=other.get)
        c.row(f"file to patches, {name}, one thread, MP/s", rate, f"the {kind} processor",
              other[kind], "≥ 2")


def sft(c):
    def own(case):
        case = c.bench(f"train/sft-1024/{case}", c.work / "f32")[0][f"train/sft-1024/{case}"]
        return {"sft": case["tokens_per_s"], "peak": case["peak_bytes"]}

    best = c.rounds(all=lambda: own("keep-all"), checkpointing=lambda: own("checkpointing"),
                    offloaded=lambda: own("offloaded"),
                    torch=lambda: peer("pytorch_sft_peer.py", c.work / "f32", c.args.threads))
    other = best.get("torch", {})
    for name in ("all", "checkpointing", "offloaded"):
        label = {"all": "everything kept"}.get(name, name)
        c.row(f"SFT step, {label}, tokens/s", best[name]["sft"], "PyTorch", other.get("sft"), "≥ 1.8")
        c.row(f"SFT step, {label}, peak GB", best[name]["peak"] / 1e9, "PyTorch",
              other.get("peak", 0) / 1e9, "≤ 0.5", digits=2)


def train(c, command, folder, data, **keys):
    """The metrics of a run's steps but the first, and its peak memory."""
    with tempfile.TemporaryDirectory(dir=c.work) as out:
        config = {"model_name_or_path": str(folder), "output_dir": out + "/run", "save_steps": 0,
                  "train_dataset": [{"path": str(data)}], "lr_scheduler_type": "constant", **keys}
        Path(out, "run.json").write_text(json.dumps(config))
        peak = run([c.args.xreasoner, command, out + "/run.json", "--threads", c.args.threads])[1]
        lines = Path(out, "run/metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines][1:], peak


def grpo(c):
    data = c.data / "gsm8k/train.jsonl"

    def own(checkpointing):
        steps, peak = train(c, "grpo", c.work / "grpo", data, max_steps=2, beta=0,
                            per_device_train_batch_size=4, gradient_accumulation_steps=8,
                            num_generations=8, max_completion_length=128, max_prompt_length=256,
                            learning_rate=1e-6, prompt_template="none",
                            gradient_checkpointing=checkpointing)
        return {"grpo_seconds": min(s["time/step"] for s in steps), "peak": peak,
                "reward": max(s["time/reward"] / s["time/step"] for s in steps)}

    best = c.rounds(all=lambda: own(False), checkpointing=lambda: own(True),
                    trl=lambda: peer("trl_peer.py", c.work / "grpo", data, c.args.threads))
    other = best.get("trl", {})
    for name in ("all", "checkpointing"):
        label = {"all": "everything kept", "checkpointing": "checkpointing"}[name]
        seconds = best[name]["grpo_seconds"]
        c.row(f"GRPO step, {label}, s", seconds, "TRL", other.get("grpo_seconds"), "≥ 3.5",
              other["grpo_seconds"] / seconds if other else None)
        c.row(f"GRPO step, {label}, peak GB", best[name]["peak"] / 1e9, "TRL",
              other.get("peak", 0) / 1e9, "≤ 0.15", digits=2)
    c.row("verification, of a GRPO step", best["all"]["reward"], "", None, "≤ 0.02", digits=4)
    steps, _ = train(c, "sft", c.work / "f32", data, max_steps=2, max_length=1024,
                     per_device_train_batch_size=1, gradient_accumulation_steps=1)
    c.row("reading and packing rows, of an SFT step", steps[0]["time/data"] / steps[0]["time/step"],
          "", None, "≤ 0.02", digits=4)


def rollouts(c):
    def own():
        cases, _ = c.bench("model/*64", c.work / "grpo")
        rates = {name: case["tokens_per_s"] for name, case in cases.items()}
        return {"rollouts": rates["model/rollouts-64"], "decode": rates["model/decode-at-192/64"]}

    best = c.rounds(xreasoner=own)["xreasoner"]
    c.row("rollouts, 8 prompts × 8 samples, tokens/s", best["rollouts"], "decode of 64",
          best["decode"], "≥ 0.7")


PARTS = {"f32": lambda c: inference(c, "f32"), "bf16": lambda c: inference(c, "bf16"),
         "rollouts": rollouts, "sft": sft, "startup": startup, "text": text, "images": images,
         "grpo": grpo}
NEED_DATA = ("startup", "text", "images", "grpo")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("xreasoner")
    parser.add_argument("work")
    parser.add_argument("--data", help="folder of real data")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=PARTS, help="a part of the table")
    parser.add_argument("--without", action="append", default=[],
                        choices=("llama", "torch", "trl", "tokenizers"))
    args = parser.parse_args()
    comparison = Comparison(args)
    for name in args.only or PARTS:
        if name in NEED_DATA and not args.data:
            print(f"left out, since XR_DATA_DIR is not set: {name}", file=sys.stderr)
            continue
        PARTS[name](comparison)


main()
