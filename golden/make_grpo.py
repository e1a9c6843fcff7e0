#!/usr/bin/env python3
"""Make grpo/: policy losses of given log-probabilities, and two optimiser steps from recorded rollouts.

usage: make_grpo.py              (writes below the folder that it lies in; golden/README.md)
Versions: torch 2.13.0, transformers 4.57.6, safetensors. Losses are computed in float64 by autograd
from the formulas; the steps in float32 with transformers' Qwen2 and torch.optim.AdamW.
"""
import json
import os

import torch
import transformers
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
assert torch.__version__.split("+")[0] == "2.13.0" and transformers.__version__ == "4.57.6"

LOSS_TYPES = ["dapo", "grpo", "dr_grpo", "verl_token_mean"]
ESTIMATORS = ["none", "k1", "k2", "k3"]
CLIPS = dict(plain=(0.2, 0.2, 0.0), higher=(0.2, 0.28, 0.0), dual=(0.2, 0.28, 3.0))
LENGTHS = [7, 5, 9, 3, 6, 8]
MICRO = 2          # sequences of a micro-batch
MOST_TOKENS = 12   # max_completion_length


# ---- losses --------------------------------------------------------------------------------------

def token_loss(logprob, old, reference, advantage, estimator, beta, low, high, dual):
    """Objective and divergence of each token, without a weight."""
    ratio = torch.exp(logprob - old)
    loss = torch.maximum(-advantage * ratio, -advantage * ratio.clamp(1 - low, 1 + high))
    if dual:
        loss = torch.where(advantage < 0, torch.minimum(loss, -advantage * dual), loss)
    difference = reference - logprob
    kl = dict(none=torch.zeros_like(logprob), k1=-difference, k2=difference ** 2 / 2,
              k3=torch.exp(difference) - difference - 1)[estimator]
    return loss + beta * kl, kl, ratio


def combine(losses, masks, loss_type, micro):
    """One number of the token losses of all sequences of an optimiser step."""
    sums = [(l * m).sum() for l, m in zip(losses, masks)]
    counts = [m.sum() for m in masks]
    if loss_type == "dapo":
        return sum(sums) / sum(counts)
    if loss_type == "grpo":
        return sum(s / c.clamp(min=1) for s, c in zip(sums, counts)) / len(sums)
    if loss_type == "dr_grpo":
        return sum(sums) / (len(sums) * MOST_TOKENS)
    total = 0
    for i in range(0, len(sums), micro):
        tokens = sum(counts[i:i + micro])
        if tokens:
            total = total + sum(sums[i:i + micro]) / tokens * len(sums[i:i + micro]) / len(sums)
    return total


def loss_cases():
    torch.manual_seed(7)
    total = sum(LENGTHS)
    logprob = (-3 * torch.rand(total)).float()
    old = logprob + 1.6 * (torch.rand(total) - 0.5)
    old[::5] = logprob[::5]
    old[3::11] = logprob[3::11] - 1.5
    reference = logprob + 1.2 * (torch.rand(total) - 0.5)
    advantage = torch.tensor([0.9, -1.1, 1.4, -0.3, 0.0, -0.8])
    forced = torch.zeros(total, dtype=torch.bool)
    forced[3:6] = forced[14:16] = True
    left_out = torch.tensor([0, 0, 0, 1, 0, 0], dtype=torch.bool)  # truncated and masked
    begin = torch.tensor([0] + LENGTHS).cumsum(0)
    masks = [(~forced[b:e] & ~left_out[i]).double()
             for i, (b, e) in enumerate(zip(begin[:-1], begin[1:]))]
    out = dict(logprob=logprob, old=old, reference=reference, advantage=advantage,
               forced=forced.to(torch.uint8), left_out=left_out.to(torch.uint8), begin=begin)
    every = torch.cat(masks)
    for clip, (low, high, dual) in CLIPS.items():
        for estimator in ESTIMATORS:
            for loss_type in LOSS_TYPES:
                x = logprob.double().requires_grad_()
                a = torch.cat([advantage[i:i + 1].double().expand(n)
                               for i, n in enumerate(LENGTHS)])
                loss, kl, ratio = token_loss(x, old.double(), reference.double(), a, estimator,
                                             0.04, low, high, dual)
                pieces = [loss[b:e] for b, e in zip(begin[:-1], begin[1:])]
                value = combine(pieces, masks, loss_type, MICRO)
                value.backward()
                count = every.sum()
                name = f"{clip}.{estimator}.{loss_type}"
                out[f"{name}.dlogprob"] = x.grad.float()
                is_low = (ratio < 1 - low) & (a < 0)
                is_high = (ratio > 1 + high) & (a > 0)
                is_dual = (ratio > dual) & (a < 0) if dual else torch.zeros_like(is_low)
                numbers = [value, (kl * every).sum() / count, (is_low * every).sum() / count,
                           (is_high * every).sum() / count,
                           ((is_low | is_high) * every).sum() / count,
                           (is_dual * every).sum() / count, (ratio * every).sum() / count]
                out[f"{name}.numbers"] = torch.stack([n.detach().double() for n in numbers])
    return out


# ---- steps from recorded rollouts -------------------------------------------------------------

SETTINGS = dict(temperature=0.8, learning_rate=1e-3, weight_decay=0.1, adam_beta1=0.9,
                adam_beta2=0.99, adam_epsilon=1e-4, max_grad_norm=0.5, beta=0.05, epsilon=0.2,
                epsilon_high=0.28, kl_estimator="k3")
STEPS, GROUPS, SAMPLES = 2, 3, 4
SCORES = [[1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 1, 1]]


def response_logprobs(model, prompt, response):
    """log softmax(logits / temperature) of each token of the response, and the entropies."""
    ids = torch.tensor([prompt + response])
    logits = model(input_ids=ids).logits[0, len(prompt) - 1:-1] / SETTINGS["temperature"]
    logprobs = logits.log_softmax(-1)
    entropy = -(logprobs.exp() * logprobs).sum(-1)
    return logprobs.gather(1, torch.tensor(response)[:, None])[:, 0], entropy.detach()


def make_rollouts(model, tokenizer):
    """Rollouts as a sampler of slightly other weights would have recorded them."""
    generator = torch.Generator().manual_seed(11)

    def pick(low, high):
        return int(torch.randint(low, high, (1,), generator=generator))

    rows = []
    for step in range(STEPS):
        for group in range(GROUPS):
            prompt = [pick(0, 360) for _ in range(pick(4, 9))]
            for sample in range(SAMPLES):
                response = [pick(0, 360) for _ in range(pick(3, 14))]
                forced = [[2, 4]] if sample == 1 else [[0, 1]] if (group, sample) == (2, 3) else []
                with torch.no_grad():
                    exact, _ = response_logprobs(model, prompt, response)
                noise = torch.rand(len(response), generator=generator) - 0.5
                rows.append(dict(
                    step=step + 1, id=f"row-{step}-{group}", sample=sample,
                    prompt=tokenizer.decode(prompt), response=tokenizer.decode(response),
                    prompt_ids=prompt, token_ids=response, forced=forced,
                    logprobs=[round(v, 6) for v in (exact + noise).tolist()],
                    score=SCORES[group][(sample + step) % SAMPLES], verdict="different",
                    extracted="", gold="1", finish_reason="length" if sample == 2 else "stop"))
    return rows


def advantages(rows):
    out = []
    for i in range(0, len(rows), SAMPLES):
        rewards = torch.tensor([float(r["score"]) for r in rows[i:i + SAMPLES]])
        std = rewards.std()
        out += ((rewards - rewards.mean()) / (std + 1e-4) if std > 0 else 0 * rewards).tolist()
    return out


def step(model, reference, optimizer, rows):
    """One step of loss type dapo with truncated responses left out."""
    losses, masks, kls, ratios, entropies = [], [], [], [], []
    for row, advantage in zip(rows, advantages(rows)):
        current, entropy = response_logprobs(model, row["prompt_ids"], row["token_ids"])
        with torch.no_grad():
            frozen, _ = response_logprobs(reference, row["prompt_ids"], row["token_ids"])
        mask = torch.ones(len(row["token_ids"]))
        for begin, end in row["forced"]:
            mask[begin:end] = 0
        if row["finish_reason"] == "length":
            mask[:] = 0
        s = SETTINGS
        loss, kl, ratio = token_loss(current, torch.tensor(row["logprobs"]), frozen,
                                     torch.full_like(current, advantage), s["kl_estimator"],
                                     s["beta"], s["epsilon"], s["epsilon_high"], 0.0)
        losses.append(loss)
        masks.append(mask)
        kls.append(kl.detach())
        ratios.append(ratio.detach())
        entropies.append(entropy)
    loss = combine(losses, masks, "dapo", 1)
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS["max_grad_norm"])
    optimizer.step()
    every = torch.cat(masks)

    def mean(values):
        return (torch.cat(values) * every).sum() / every.sum()

    rewards = torch.tensor([float(r["score"]) for r in rows])
    return torch.stack([loss.detach(), norm, mean(kls), mean(entropies), mean(ratios),
                        rewards.mean(), every.sum()]).double()


def replay(folder):
    source = f"{HERE}/models/text_only"
    model = Qwen2ForCausalLM.from_pretrained(source, dtype=torch.float32,
                                             attn_implementation="eager").eval()
    reference = Qwen2ForCausalLM.from_pretrained(source, dtype=torch.float32,
                                                 attn_implementation="eager").eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{source}/tokenizer.json")
    rows = make_rollouts(model, tokenizer)
    with open(f"{folder}/samples.jsonl", "w") as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False) + "\n")
    s = SETTINGS
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([dict(params=decay, weight_decay=s["weight_decay"]),
                                   dict(params=plain, weight_decay=0.0)], lr=s["learning_rate"],
                                  betas=(s["adam_beta1"], s["adam_beta2"]), eps=s["adam_epsilon"])
    out = {}
    for i in range(STEPS):
        own = [r for r in rows if r["step"] == i + 1]
        out[f"numbers.{i + 1}"] = step(model, reference, optimizer, own)
        if i == 0:
            out.update({f"after.{n}": p.detach().clone() for n, p in model.named_parameters()})
    return out


def main():
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    folder = f"{HERE}/grpo"
    os.makedirs(folder, exist_ok=True)
    save_file(loss_cases(), f"{folder}/losses.safetensors")
    save_file(replay(folder), f"{folder}/replay.safetensors")


main()
