#!/usr/bin/env python3
"""Make golden/bf16.safetensors: how far PyTorch in bf16 is from golden/reference and golden/sft.

usage: make_bf16.py           (after make_models.py and make_sft.py; golden/README.md)
Versions: torch 2.13.0, transformers 4.57.6. Weights, activations and the gradients of a sequence are
in bf16, as `from_pretrained(dtype=torch.bfloat16)` has them; of eager attention and SDPA the better one
counts. `MODEL/gradient` and `MODEL/loss` are errors against MODEL.gradients.safetensors: the norm of the
difference of all gradients over theirs; relative. `sft/RUN/loss` and `.../grad_norm` are the largest relative
errors over the five steps of sft/RUN.safetensors, trained with masters, sums of gradients and AdamW in f32.
"""
import json
import math
import os

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration, Qwen2ForCausalLM

import make_sft

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = ("text_only", "gqa2_tied")
RUNS = ("text",)
assert torch.__version__.split("+")[0] == "2.13.0" and transformers.__version__ == "4.57.6"


def load(name, attention):
    kind = Qwen2ForCausalLM if name == "text_only" else Qwen2_5_VLForConditionalGeneration
    return kind.from_pretrained(f"{HERE}/models/{name}", dtype=torch.bfloat16,
                                attn_implementation=attention)


def inputs_of(model_name, request):
    stored = load_file(f"{HERE}/reference/{model_name}.{request}.safetensors")
    ids = stored["input_ids"][None]
    inputs = dict(input_ids=ids, attention_mask=torch.ones_like(ids))
    if "image_grid_thw" in stored:
        patches = load_file(f"{HERE}/images/patches.safetensors")
        messages = json.load(open(f"{HERE}/requests/{request}.json"))["messages"]
        names = [os.path.basename(p["image"]).split(".")[0] for m in messages
                 if isinstance(m["content"], list) for p in m["content"] if "image" in p]
        inputs["pixel_values"] = torch.cat([patches[f"{n}.pixel_values"] for n in names]).bfloat16()
        inputs["image_grid_thw"] = stored["image_grid_thw"]
    return inputs


def gradient_errors(name, attention):
    golden = load_file(f"{HERE}/reference/{name}.gradients.safetensors")
    model, total = load(name, attention), 0
    for key, labels in golden.items():
        if not key.endswith(".labels"):
            continue
        model.model.rope_deltas = None
        logits = model(**inputs_of(name, key[:-len(".labels")])).logits[0]
        total = total + F.cross_entropy(logits[:-1].float(), labels[1:], ignore_index=-100,
                                        reduction="sum")
    loss = total / golden["label_count"].item()
    loss.backward()
    wrong = right = 0.0
    for n, p in model.named_parameters():
        want = golden["grad." + make_sft.disk_name(n)].double()
        wrong += float((p.grad.double() - want).square().sum())
        right += float(want.square().sum())
    return dict(gradient=math.sqrt(wrong / right),
                loss=abs(loss.item() / golden["loss"].item() - 1))


def sft_errors(name, attention):
    run = make_sft.RUNS[name]
    golden = load_file(f"{HERE}/sft/{name}.safetensors")
    model, folder = load(run["model"], attention), f"{HERE}/models/{run['model']}"
    exact = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    masters = {n: p.detach().clone() for n, p in exact.named_parameters()}
    groups = [dict(params=[p for p in masters.values() if (p.ndim > 1) == matrices],
                   weight_decay=run["weight_decay"] if matrices else 0.0)
              for matrices in (True, False)]
    adam = torch.optim.AdamW(groups, lr=1.0, betas=(run["adam_beta1"], run["adam_beta2"]),
                             eps=run["adam_epsilon"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [json.loads(line)["messages"] for line in open(f"{HERE}/sft/{run['rows']}")]
    loss_error = norm_error = 0.0
    for step in range(make_sft.STEPS):
        first = step * make_sft.ROWS_A_STEP
        some = [make_sft.encode(tokenizer, model.config, m)
                for m in rows[first:first + make_sft.ROWS_A_STEP]]
        total, loss = sum(int(target[1:].sum()) for _, target, _ in some), 0.0
        for p in masters.values():
            p.grad = torch.zeros_like(p)
        for ids, target, _ in some:
            model.zero_grad()
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
            labels = torch.where(target, ids[0], -100)
            part = F.cross_entropy(logits[:-1].float(), labels[1:], ignore_index=-100,
                                   reduction="sum") / total
            part.backward()
            loss += part.item()
            for n, p in model.named_parameters():
                masters[n].grad += p.grad.float()
        norm = torch.nn.utils.clip_grad_norm_(masters.values(), run["max_grad_norm"] or 1e30)
        for group in adam.param_groups:
            group["lr"] = make_sft.rate(run, step)
        adam.step()
        with torch.no_grad():
            for n, p in model.named_parameters():
                p.copy_(masters[n])
        want = golden[f"numbers.{step + 1}"]
        loss_error = max(loss_error, abs(loss / want[0].item() - 1))
        norm_error = max(norm_error, abs(norm.item() / want[1].item() - 1))
    return dict(loss=loss_error, grad_norm=norm_error)


def better(errors, name):
    both = [errors(name, attention) for attention in ("eager", "sdpa")]
    print(name, both)
    return {key: min(b[key] for b in both) for key in both[0]}


def main():
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    out = {name: better(gradient_errors, name) for name in MODELS}
    out.update({f"sft/{name}": better(sft_errors, name) for name in RUNS})
    save_file({f"{name}/{key}": torch.tensor([error], dtype=torch.float64)
               for name, errors in out.items() for key, error in errors.items()},
              f"{HERE}/bf16.safetensors")


main()
