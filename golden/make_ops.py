#!/usr/bin/env python3
"""Make golden/ops.safetensors: small cases of each operation, forward and backward.

usage: make_ops.py               (writes beside itself; golden/README.md lists the names)
Versions as in make_models.py. Inputs are float32; results are computed in float64 by plain
formulas, gradients by autograd, and rounded to float32 at the end.
"""
import math
import os

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import LogitsProcessorList
from transformers.generation.logits_process import (RepetitionPenaltyLogitsProcessor,
                                                    TemperatureLogitsWarper, TopKLogitsWarper,
                                                    TopPLogitsWarper)
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel, Qwen2_5_VLModel)

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = {}
assert torch.__version__.split("+")[0] == "2.13.0" and transformers.__version__ == "4.57.6"


def put(case, **tensors):
    """Floats become F64 scalars, whole numbers and lists I64; float64 results become float32."""
    for name, value in tensors.items():
        if isinstance(value, float):
            value = torch.tensor([value], dtype=torch.float64)
        elif isinstance(value, (int, list)):
            value = torch.tensor(value if isinstance(value, list) else [value])
        elif value.dtype == torch.float64:
            value = value.float()
        assert f"{case}/{name}" not in OUT
        OUT[f"{case}/{name}"] = value.detach().contiguous().clone()


def seeded(text):
    torch.manual_seed(sum((i + 1) * c for i, c in enumerate(text.encode())) % 2**31)


def draw(*shape, scale=1.0):
    """A leaf that holds float32 numbers in float64."""
    return (torch.randn(*shape) * scale).double().requires_grad_()


def backward(y, dy, *leaves):
    return torch.autograd.grad(y, leaves, dy, allow_unused=False)


# ---- norms, activations, linear ----------------------------------------------------------------

def norm(x, w, eps):
    return x * (x.pow(2).mean(-1, keepdim=True) + eps).rsqrt() * w


def rmsnorm():
    for rows, cols, eps in [(3, 16, 1e-6), (5, 80, 1e-6), (2, 129, 1e-5), (4, 512, 1e-6)]:
        case = f"rmsnorm/{rows}x{cols}"
        seeded(case)
        x, w, dy = draw(rows, cols, scale=3), draw(cols), draw(rows, cols)
        y = norm(x, w, eps)
        dx, dw = backward(y, dy, x, w)
        rstd = (x.pow(2).mean(-1) + eps).rsqrt()
        put(case, x=x.float(), w=w.float(), dy=dy.float(), eps=eps, y=y, rstd=rstd, dx=dx, dw=dw)
    for rows, cols in [(3, 64), (5, 33)]:
        case = f"add_rmsnorm/{rows}x{cols}"
        seeded(case)
        x, r, w = draw(rows, cols), draw(rows, cols), draw(cols)
        dy, dsum = draw(rows, cols), draw(rows, cols)
        total = x + r
        y = norm(total, w, 1e-6)
        dx, dw = torch.autograd.grad([y, total], [x, w], [dy, dsum])
        rstd = (total.pow(2).mean(-1) + 1e-6).rsqrt()
        # dx: gradient of x and of r, from y and from what flows on along the residual stream
        put(case, x=x.float(), residual=r.float(), w=w.float(), dy=dy.float(), dsum=dsum.float(),
            eps=1e-6, sum=total, y=y, rstd=rstd, dx=dx, dw=dw)


def activations():
    for rows, cols in [(1, 7), (3, 64), (5, 129)]:
        case = f"swiglu/{rows}x{cols}"
        seeded(case)
        gate, up, dy = draw(rows, cols, scale=3), draw(rows, cols), draw(rows, cols)
        y = F.silu(gate) * up
        dgate, dup = backward(y, dy, gate, up)
        put(case, gate=gate.float(), up=up.float(), dy=dy.float(), y=y, dgate=dgate, dup=dup)
        case = f"gelu/{rows}x{cols}"
        seeded(case)
        x, dy = draw(rows, cols, scale=2), draw(rows, cols)
        y = F.gelu(x)
        put(case, x=x.float(), dy=dy.float(), y=y, dx=backward(y, dy, x)[0])


def linear():
    for rows, inner, cols in [(1, 31, 33), (3, 64, 48), (17, 129, 65), (5, 256, 32)]:
        for kind in ("f32", "bf16"):
            case = f"linear/{kind}_{rows}x{inner}x{cols}"
            seeded(case)
            x, b, dy = draw(rows, inner), draw(cols), draw(rows, cols)
            w = torch.randn(cols, inner) / inner**0.5
            stored = w.bfloat16() if kind == "bf16" else w
            w = stored.double().requires_grad_()
            y = x @ w.T + b
            dx, dw, db = backward(y, dy, x, w, b)
            put(case, x=x.float(), w=stored, b=b.float(), dy=dy.float(), y=y, dx=dx, dw=dw, db=db)


def embedding():
    for count, rows, cols in [(7, 5, 16), (40, 11, 33)]:
        case = f"embedding/{count}of{rows}x{cols}"
        seeded(case)
        ids = torch.randint(rows, (count,))
        table, dy = draw(rows, cols), draw(count, cols)
        y = F.embedding(ids, table)
        put(case, ids=ids, table=table.float(), dy=dy.float(), y=y, dtable=backward(y, dy, table)[0])
    for name, pads in dict(one=[3, 4, 5], two=[0, 1, 6, 7, 8], none=[]).items():
        case = f"embed_images/{name}"
        seeded(case)
        ids = torch.randint(9, (11,))
        ids[pads] = 9
        table, features, dy = draw(10, 16), draw(len(pads), 16), draw(11, 16)
        y = F.embedding(ids, table)
        y = y.masked_scatter((ids == 9)[:, None].expand_as(y), features)
        dtable, dfeatures = backward(y, dy, table, features) if pads else (
            backward(y, dy, table)[0], features.detach())
        put(case, ids=ids, image_token=9, table=table.float(), features=features.float(),
            dy=dy.float(), y=y, dtable=dtable, dfeatures=dfeatures)


# ---- rotary positions and attention ------------------------------------------------------------

def angles_mrope(positions, sections, head, theta):
    """[T, head/2]: contiguous runs of frequencies belong to the three axes."""
    inv = theta ** (-torch.arange(0, head, 2, dtype=torch.float64) / head)
    axis = torch.repeat_interleave(torch.arange(3), torch.tensor(sections))
    return positions.double()[axis].T * inv


def angles_vision(positions, head):
    """[N, head/2]: the first half of the frequencies turns with y, the second with x."""
    inv = 10000.0 ** (-torch.arange(0, head // 2, 2, dtype=torch.float64) / (head // 2))
    return torch.cat([positions[:, :1].double() * inv, positions[:, 1:].double() * inv], 1)


def rotate(x, angles):
    a, b = x.chunk(2, -1)
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def rope():
    for head, sections, theta in [(16, [2, 3, 3], 1e6), (32, [16, 0, 0], 1e4),
                                  (128, [16, 24, 24], 1e6)]:
        case = f"rope_mrope/{head}"
        seeded(case)
        tokens, heads = 9, 3
        positions = torch.randint(0, 3000, (3, tokens))
        positions[:, 0] = 0
        positions[:, 1] = 17
        positions[:, -1] = 127999
        finish_rope(case, angles_mrope(positions, sections, head, theta), tokens, heads, head,
                    dict(positions=positions, sections=sections, theta=theta))
    for head in (16, 20, 80):
        case = f"rope_vision/{head}"
        seeded(case)
        positions = torch.randint(0, 90, (7, 2))
        positions[0] = 0
        finish_rope(case, angles_vision(positions, head), 7, 2, head,
                    dict(positions=positions, theta=10000.0))


def finish_rope(case, angles, tokens, heads, head, extra):
    x, dy = draw(tokens, heads, head), draw(tokens, heads, head)
    y = rotate(x, angles)
    flat = lambda t: t.reshape(tokens, heads * head)
    put(case, x=flat(x.float()), dy=flat(dy.float()), cos=angles.cos(), sin=angles.sin(),
        y=flat(y), dx=flat(backward(y, dy, x)[0]), heads=heads, head_dim=head, **extra)


def attend(q, k, v, cu_q, cu_k, causal):
    """q [T,heads,d], k and v [S,kv,d]. Queries stand at the end of their sequence's keys."""
    group = q.shape[1] // k.shape[1]
    outs, sums = [], []
    for i in range(len(cu_q) - 1):
        qs = q[cu_q[i]:cu_q[i + 1]].transpose(0, 1)
        ks = k[cu_k[i]:cu_k[i + 1]].transpose(0, 1).repeat_interleave(group, 0)
        vs = v[cu_k[i]:cu_k[i + 1]].transpose(0, 1).repeat_interleave(group, 0)
        scores = qs @ ks.transpose(1, 2) / math.sqrt(q.shape[2])
        if causal:
            n, m = scores.shape[1:]
            hidden = torch.ones(n, m, dtype=torch.bool).triu(m - n + 1)
            scores = scores.masked_fill(hidden, -math.inf)
        outs.append((scores.softmax(-1) @ vs).transpose(0, 1))
        sums.append(scores.logsumexp(-1).T)
    return torch.cat(outs), torch.cat(sums)


def attention():
    cases = [  # name, heads, kv heads, head size, causal, lengths of queries, of keys
        ("causal_h16_g2", 4, 2, 16, True, [1, 5, 33], None),
        ("causal_h20_g1", 2, 2, 20, True, [3, 16, 2], None),
        ("causal_h32_g4", 4, 1, 32, True, [17, 31], None),
        ("causal_h64_g7", 7, 1, 64, True, [6, 12], None),
        ("causal_h128_g2", 2, 1, 128, True, [19], None),
        ("full_h16_g1", 2, 2, 16, False, [16, 4, 8, 32], None),
        ("full_h20_g1", 2, 2, 20, False, [4, 12, 36], None),
        ("full_h80_g1", 2, 2, 80, False, [16, 8, 4], None),
        ("prefix_h16_g2", 4, 2, 16, True, [1, 3, 1], [9, 20, 1]),
        ("prefix_h64_g7", 7, 1, 64, True, [2, 5], [34, 6]),
        ("prefix_h128_g1", 1, 1, 128, True, [1], [33]),
    ]
    for name, heads, kv, head, causal, lengths, key_lengths in cases:
        case = f"attention/{name}"
        seeded(case)
        cu_q = [0] + torch.tensor(lengths).cumsum(0).tolist()
        cu_k = [0] + torch.tensor(key_lengths or lengths).cumsum(0).tolist()
        q, k, v = draw(cu_q[-1], heads, head), draw(cu_k[-1], kv, head), draw(cu_k[-1], kv, head)
        do = draw(cu_q[-1], heads, head)
        o, lse = attend(q, k, v, cu_q, cu_k, causal)
        grads = backward(o, do, q, k, v)
        flat = lambda t: t.reshape(t.shape[0], -1)
        put(case, q=flat(q.float()), k=flat(k.float()), v=flat(v.float()), do=flat(do.float()),
            cu_q=cu_q, cu_k=cu_k, heads=heads, kv_heads=kv, head_dim=head, causal=int(causal),
            o=flat(o), lse=lse, dq=flat(grads[0]), dk=flat(grads[1]), dv=flat(grads[2]))


# ---- log-probabilities, losses, sampling -------------------------------------------------------

def logprobs():
    for name, rows, vocab, t in [("t1", 3, 33, 1.0), ("t07", 4, 129, 0.7), ("t2", 2, 400, 2.0)]:
        case = f"logprob/{name}"
        seeded(case)
        logits, targets = draw(rows, vocab, scale=4), torch.randint(vocab, (rows,))
        d = draw(rows)
        logp = (logits / t).log_softmax(-1)
        chosen = logp.gather(1, targets[:, None])[:, 0]
        entropy = -(logp.exp() * logp).sum(-1)
        put(case, logits=logits.float(), targets=targets, temperature=t, dlogprob=d.float(),
            logprob=chosen, entropy=entropy, lse=(logits / t).logsumexp(-1),
            dlogits=backward(chosen, d, logits)[0])
    for name, rows, inner, vocab, t in [("a", 5, 48, 65, 1.0), ("b", 3, 33, 130, 0.8)]:
        case = f"linear_logprob/{name}"
        seeded(case)
        x, targets, d = draw(rows, inner), torch.randint(vocab, (rows,)), draw(rows)
        w = draw(vocab, inner, scale=2 / inner**0.5)
        logp = (x @ w.T / t).log_softmax(-1)
        chosen = logp.gather(1, targets[:, None])[:, 0]
        entropy = -(logp.exp() * logp).sum(-1)
        dx, dw = backward(chosen, d, x, w)
        put(case, x=x.float(), w=w.float(), targets=targets, temperature=t, dlogprob=d.float(),
            logprob=chosen, entropy=entropy, dx=dx, dw=dw)
    for name, rows, vocab in [("some_ignored", 6, 50), ("all_counted", 3, 17)]:
        case = f"cross_entropy/{name}"
        seeded(case)
        logits, labels = draw(rows, vocab, scale=4), torch.randint(vocab, (rows,))
        if name == "some_ignored":
            labels[[0, 3]] = -100
        loss = F.cross_entropy(logits, labels, ignore_index=-100)
        put(case, logits=logits.float(), labels=labels, loss=loss.reshape(1),
            dlogits=torch.autograd.grad(loss, logits)[0])


def sampling():
    """Scores after transformers' processors, in its order; -inf where a token is ruled out."""
    for name, penalty, t, k, p in [("greedy_penalty", 1.05, 1.0, 0, 1.0), ("t", 1.0, 0.6, 0, 1.0),
                                   ("top_k", 1.0, 1.0, 5, 1.0), ("top_p", 1.0, 1.0, 0, 0.8),
                                   ("all", 1.2, 0.7, 12, 0.9), ("top_k_ties", 1.0, 1.0, 3, 1.0),
                                   ("top_p_tiny", 1.0, 1.0, 0, 0.001)]:
        case = f"sampling/{name}"
        seeded(case)
        ids, logits = torch.randint(60, (1, 20)), torch.randn(1, 60) * 3
        if name == "top_k_ties":
            logits = logits.round()
        steps = LogitsProcessorList()
        if penalty != 1:
            steps.append(RepetitionPenaltyLogitsProcessor(penalty))
        if t != 1:
            steps.append(TemperatureLogitsWarper(t))
        if k:
            steps.append(TopKLogitsWarper(k))
        if p != 1:
            steps.append(TopPLogitsWarper(p))
        put(case, ids=ids[0], logits=logits[0], repetition_penalty=penalty, temperature=t, top_k=k,
            top_p=p, scores=steps(ids, logits.clone())[0])


# ---- windows, positions, optimiser -------------------------------------------------------------

class Stand:
    """Carries the attributes that transformers' methods read from a model."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def windows():
    sizes = [1, 2, 3, 4, 5, 8, 9]
    grids = [[(1, 2 * h, 2 * w)] for h in sizes for w in sizes]
    grids += [[(1, 6, 10), (1, 2, 14), (1, 16, 8)], [(3, 6, 10)], [(2, 8, 8), (1, 4, 4)]]
    for window in (56, 112, 168):
        for grid in grids if window == 112 else grids[:49:5] + grids[-3:]:
            name = "_".join("x".join(map(str, g)) for g in grid)
            tower = Stand(window_size=window, spatial_merge_size=2, patch_size=14,
                          spatial_merge_unit=4)
            index, cu = Qwen2_5_VisionTransformerPretrainedModel.get_window_index(
                tower, torch.tensor(grid))
            put(f"windows/{window}_{name}", grid_thw=torch.tensor(grid), window=window,
                index=index, cu=torch.unique_consecutive(torch.tensor(cu)))


def position_cases():
    start, end, pad = 90, 91, 92
    image = lambda h, w: [start] + [pad] * (h * w) + [end]
    cases = dict(text=([1, 2, 3, 4], []), one=([1, 2] + image(2, 3) + [3, 4], [(2, 3)]),
                 first=(image(3, 1) + [5], [(3, 1)]), last=([7] + image(1, 5), [(1, 5)]),
                 adjacent=([1] + image(2, 2) + image(4, 3) + [2], [(2, 2), (4, 3)]),
                 pad_last=([1, 2, start] + [pad] * 6, [(3, 2)]),
                 three=(image(1, 1) + [8] + image(5, 2) + [9, 9] + image(2, 7), [(1, 1), (5, 2),
                                                                                (2, 7)]))
    model = Stand(config=Stand(vision_config=Stand(spatial_merge_size=2, tokens_per_second=2),
                               image_token_id=pad, video_token_id=93, vision_start_token_id=start))
    for name, (ids, cells) in cases.items():
        grid = torch.tensor([(1, 2 * h, 2 * w) for h, w in cells]) if cells else None
        ids = torch.tensor([ids])
        index, delta = Qwen2_5_VLModel.get_rope_index(model, ids, grid)
        put(f"positions/{name}", input_ids=ids[0], position_ids=index[:, 0], delta=delta[0],
            image_grid_thw=grid if grid is not None else torch.zeros(0, 3, dtype=torch.long),
            image_token=pad, vision_start=start)


def optimiser():
    for name, lr, betas, eps, decay in [("plain", 1e-3, (0.9, 0.999), 1e-8, 0.0),
                                        ("decay", 3e-2, (0.9, 0.95), 1e-6, 0.1)]:
        case = f"adamw/{name}"
        seeded(case)
        p = torch.randn(37).double().requires_grad_()
        put(case, p0=p.float(), lr=lr, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=decay)
        adam = torch.optim.AdamW([p], lr=lr, betas=betas, eps=eps, weight_decay=decay)
        for step in range(1, 4):
            p.grad = torch.randn(37).double()
            put(case, **{f"g{step}": p.grad.float()})
            adam.step()
            state = adam.state[p]
            put(case, **{f"p{step}": p, f"m{step}": state["exp_avg"],
                         f"v{step}": state["exp_avg_sq"]})


def grpo():
    """Token losses of the clipped objective with a divergence from a reference, by autograd."""
    for name, low, high, dual, beta, kl in [("plain", 0.2, 0.2, 0.0, 0.0, 0),
                                            ("higher_k3", 0.2, 0.28, 0.0, 0.04, 3),
                                            ("dual_k1", 0.2, 0.28, 3.0, 0.5, 1),
                                            ("dual_k2", 0.1, 0.3, 1.5, 0.2, 2)]:
        case = f"grpo_loss/{name}"
        seeded(case)
        count = 67
        old, logp, ref = (draw(count, scale=s) for s in (2.0, 2.0, 2.0))
        logp = (old + draw(count, scale=0.4)).detach().float().double()
        logp[:5] = old[:5].detach()  # the first update: ratio exactly 1
        logp[5:8] += torch.tensor([2.0, -2.0, 3.0])
        logp.requires_grad_()
        ref = (logp + draw(count, scale=0.3)).detach().float().double()
        advantage, weight = torch.randn(count), torch.rand(count) / count
        advantage[10:13], weight[20:30] = 0, 0
        ratio = (logp - old).exp()
        a, w = advantage.double(), weight.double()
        loss = torch.maximum(-a * ratio, -a * ratio.clamp(1 - low, 1 + high))
        if dual:
            loss = torch.where(a < 0, torch.minimum(-a * dual, loss), loss)
        x = ref - logp
        term = [torch.zeros_like(x), -x, x * x / 2, x.exp() - x - 1][kl]
        loss = w * (loss + beta * term)
        put(case, logprob=logp.float(), old=old.float(), reference=ref.float(),
            advantage=advantage, weight=weight, epsilon_low=low, epsilon_high=high, dual_clip=dual,
            beta=beta, estimator=float(kl), loss=loss, kl=torch.where(w == 0, 0.0, term),
            dlogprob=torch.autograd.grad(loss.sum(), logp)[0])


def main():
    rmsnorm()
    activations()
    linear()
    embedding()
    rope()
    attention()
    logprobs()
    sampling()
    windows()
    position_cases()
    optimiser()
    grpo()
    save_file(OUT, f"{HERE}/ops.safetensors")
    print(len(OUT), "tensors,", os.path.getsize(f"{HERE}/ops.safetensors"), "bytes")


main()
