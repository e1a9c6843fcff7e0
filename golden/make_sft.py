#!/usr/bin/env python3
"""Make golden/sft: conversations, and five AdamW steps on them by PyTorch.

usage: make_sft.py            (reads golden/models and golden/images; golden/README.md)
Versions: torch 2.13.0, transformers 4.57.6, tokenizers 0.22, safetensors, pillow 13.
Weights are those on disk, everything is computed in float64 on the CPU with eager attention.
"""
import json
import math
import os

import torch
import torch.nn.functional as F
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import (AutoTokenizer, Qwen2_5_VLForConditionalGeneration, Qwen2ForCausalLM)
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, ROWS_A_STEP = 5, 4
assert torch.__version__.split("+")[0] == "2.13.0" and transformers.__version__ == "4.57.6"

# In "pictures" the gradient of a key projection's bias is nearly zero (softmax does not see what all
# keys have in common): with epsilon 1e-6 Adam divides its rounding errors by themselves, and PyTorch
# in float32 is then 1.8e-5 away from PyTorch in float64, too far to compare anything with.
# name: model, whether the vision tower is trained, settings under the run's keys
RUNS = dict(
    text=dict(model="text_only", rows="text.jsonl", vision=False, learning_rate=2e-3,
              lr_scheduler_type="cosine", warmup_steps=2, weight_decay=0.1, adam_beta1=0.9,
              adam_beta2=0.95, adam_epsilon=1e-8, max_grad_norm=1.0, weights=True),
    pictures=dict(model="gqa2_tied", rows="pictures.jsonl", vision=False, learning_rate=1e-3,
                  lr_scheduler_type="constant", warmup_steps=0, weight_decay=0.0, adam_beta1=0.9,
                  adam_beta2=0.999, adam_epsilon=1e-3, max_grad_norm=0.0, weights=True),
    vision=dict(model="gqa2_tied", rows="pictures.jsonl", vision=True, learning_rate=1e-3,
                lr_scheduler_type="linear", warmup_steps=0, weight_decay=0.01, adam_beta1=0.9,
                adam_beta2=0.999, adam_epsilon=1e-6, max_grad_norm=2.0, weights=False),
)


def make_rows():
    os.makedirs(f"{HERE}/sft", exist_ok=True)
    text, pictures = [], []
    for i in range(STEPS * ROWS_A_STEP):
        a, b = 7 * i % 23 + 1, 5 * i % 17 + 2
        messages = [dict(role="user", content=f"How many are {a} apples and {b} apples?"),
                    dict(role="assistant", content=f"<think>\n{a} + {b}" + " and so on" * (i % 5) +
                         f"\n</think>\n<answer> {a + b} </answer>")]
        if i % 3 == 1:
            messages = [dict(role="system", content="Answer briefly.")] + messages
        if i % 4 == 2:
            messages += [dict(role="user", content="Why?"),
                         dict(role="assistant", content=f"There are {a}, then {b} more.")]
        text.append(dict(messages=messages))
        part = [dict(type="image", image=f"../images/{'abcde'[i % 5]}.png")] if i % 3 else []
        pictures.append(dict(messages=[
            dict(role="user", content=part + [dict(type="text", text=f"What is number {i}?")]),
            dict(role="assistant", content=f"It is {a * b}.")]))
    for name, rows in (("text", text), ("pictures", pictures)):
        with open(f"{HERE}/sft/{name}.jsonl", "w") as f:
            f.writelines(json.dumps(row) + "\n" for row in rows)


def encode(tokenizer, config, messages):
    """Ids as the chat template makes them, which are targets, and the pictures' inputs."""
    paths = [p["image"] for m in messages if isinstance(m["content"], list)
             for p in m["content"] if p["type"] == "image"]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    extra = {}
    if paths:
        processor = Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=28 * 28 * 1280)
        pictures = [Image.open(f"{HERE}/sft/{p}").convert("RGB") for p in paths]
        seen = processor(images=pictures, return_tensors="pt")
        extra = dict(pixel_values=seen["pixel_values"].double(),
                     image_grid_thw=seen["image_grid_thw"])
        for grid in seen["image_grid_thw"].tolist():
            cells = grid[0] * grid[1] * grid[2] // 4
            text = text.replace("<|image_pad|>", "<|place|>" * cells, 1)
        text = text.replace("<|place|>", "<|image_pad|>")
    ids = tokenizer.encode(text, add_special_tokens=False)
    start, end = (tokenizer.convert_tokens_to_ids(t) for t in ("<|im_start|>", "<|im_end|>"))
    target = [False] * len(ids)
    for i, token in enumerate(ids):
        if token != start:
            continue
        k = i + 1
        while "\n" not in tokenizer.decode(ids[i + 1:k]):
            k += 1
        if tokenizer.decode(ids[i + 1:k]) != "assistant\n":
            continue
        while ids[k] != end:
            target[k] = True
            k += 1
        target[k] = target[k + 1] = True  # <|im_end|> and the line end
    return torch.tensor([ids]), torch.tensor(target), extra


def rate(run, step):
    peak, warm = run["learning_rate"], run["warmup_steps"]
    if step < warm:
        return peak * step / warm
    progress = (step - warm) / (STEPS - warm)
    return dict(constant=peak, linear=peak * (1 - progress),
                cosine=peak * 0.5 * (1 + math.cos(math.pi * progress)))[run["lr_scheduler_type"]]


def disk_name(name):
    return (name.replace("model.visual.", "visual.").replace("model.language_model.", "model."))


def train(name, run):
    folder = f"{HERE}/models/{run['model']}"
    kind = Qwen2ForCausalLM if run["model"] == "text_only" else Qwen2_5_VLForConditionalGeneration
    model = kind.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [json.loads(line)["messages"] for line in open(f"{HERE}/sft/{run['rows']}")]
    trained = {n: p for n, p in model.named_parameters() if run["vision"] or "visual" not in n}
    for n, p in model.named_parameters():
        p.requires_grad_(n in trained)
    groups = [dict(params=[p for p in trained.values() if p.ndim > 1],
                   weight_decay=run["weight_decay"]),
              dict(params=[p for p in trained.values() if p.ndim <= 1], weight_decay=0.0)]
    adam = torch.optim.AdamW(groups, lr=1.0, betas=(run["adam_beta1"], run["adam_beta2"]),
                             eps=run["adam_epsilon"])
    out = {}
    for step in range(STEPS):
        some = [encode(tokenizer, model.config, m)
                for m in rows[step * ROWS_A_STEP:(step + 1) * ROWS_A_STEP]]
        total = sum(int(target[1:].sum()) for _, target, _ in some)
        adam.zero_grad()
        loss, correct = 0.0, 0
        for ids, target, extra in some:
            if hasattr(model.model, "rope_deltas"):
                model.model.rope_deltas = None
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **extra).logits[0]
            labels = torch.where(target, ids[0], -100)
            part = F.cross_entropy(logits[:-1].double(), labels[1:], ignore_index=-100,
                                   reduction="sum") / total
            part.backward()
            loss += part.item()
            correct += int((logits[:-1].argmax(-1) == labels[1:]).sum())
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), run["max_grad_norm"] or 1e30)
        for group in adam.param_groups:
            group["lr"] = rate(run, step)
        adam.step()
        out[f"numbers.{step + 1}"] = torch.tensor([loss, norm.item(), rate(run, step), total,
                                                   correct / total], dtype=torch.float64)
        if step == 0:
            for i, (ids, target, _) in enumerate(some):
                out[f"ids.{i}"] = ids[0].clone()
                out[f"target.{i}"] = target.long()
    if run["weights"]:
        for n, p in trained.items():
            out["after." + disk_name(n)] = p.detach().float().contiguous()
    save_file(out, f"{HERE}/sft/{name}.safetensors")
    print(name, [round(out[f"numbers.{s + 1}"][0].item(), 6) for s in range(STEPS)])


def main():
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    make_rows()
    for name, run in RUNS.items():
        train(name, run)


if __name__ == "__main__":
    main()
