"""The cases of `xreasoner bench --device cuda` by PyTorch in bf16, with the same names and columns; part of the
bundle that ci/gpu.sh makes. usage: pytorch.py [START OF A NAME]"""

import itertools
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

LEAST_RUNS, LEAST_SECONDS = 5, 0.5
WIDTH, INNER, HEADS, KV_HEADS, HEAD, VOCABULARY = 3584, 18944, 28, 4, 128, 152064
BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION,
            "efficient": SDPBackend.EFFICIENT_ATTENTION}


def median(run):
    """Seconds of one run: the median of as many as fill half a second."""
    run()
    torch.cuda.synchronize()
    times = []
    while len(times) < LEAST_RUNS or sum(times) < LEAST_SECONDS:
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def asked(name):
    return name.startswith(sys.argv[1] if len(sys.argv) > 1 else "")


def show(name, run, operations=0, size=0, units=0, unit="", measure=median):
    """One line. Cases whose names do not begin as asked are left out; what fails is said."""
    if not asked(name):
        return
    torch.cuda.reset_peak_memory_stats()
    try:
        seconds = measure(run())
    except (ImportError, RuntimeError, torch.cuda.OutOfMemoryError) as error:
        print(f"{name:44} failed: {str(error).splitlines()[0]}")
    else:
        rates = [f"{operations / seconds * 1e-9:9.1f} GFLOP/s"] if operations else []
        rates += [f"{size / seconds * 1e-9:8.1f} GB/s"] if size else []
        rates += [f"{units / seconds:.1f} {unit}/s"] if units else []
        held = torch.cuda.max_memory_allocated() * 1e-6
        print(f"{name:44} {seconds * 1e3:10.3f} ms {' '.join(rates)} {held:.0f} MB", flush=True)
    torch.cuda.empty_cache()


def numbers(*shape, dtype=torch.bfloat16, grad=False):
    return (torch.rand(*shape, device="cuda", dtype=torch.float32) * 2 - 1).to(dtype).requires_grad_(grad)


def linear(rows, outputs, inputs):
    operations = 2.0 * rows * outputs * inputs
    shape = f"bf16/{rows}x{outputs}x{inputs}"

    def forward():
        # Few rows go round as many weights as caches do not hold, as in xreasoner's cases.
        copies = (320 << 20) // (2 * outputs * inputs) + 1 if rows <= 64 else 1
        x, w = numbers(rows, inputs), numbers(copies, outputs, inputs)
        turn = itertools.cycle(range(copies))
        return lambda: F.linear(x, w[next(turn)])

    def by_input():
        y, w = numbers(rows, outputs), numbers(outputs, inputs)
        return lambda: y @ w

    def by_weight():
        x, y = numbers(rows, inputs), numbers(rows, outputs)
        return lambda: y.T @ x

    show(f"linear/{shape}", forward, operations, 2.0 * outputs * inputs)
    if rows >= 8192:
        show(f"linear_backward_input/{shape}", by_input, operations)
        show(f"linear_backward_weight/{shape}", by_weight, operations)


def attention(sequences, length, backward, backend):
    heads, kv_heads, dim = 28, 4, 128
    operations = 4.0 * sequences * length * length * heads * dim / 2 * (2.5 if backward else 1)

    def start():
        q = numbers(sequences, heads, length, dim, grad=backward)
        k, v = (numbers(sequences, kv_heads, length, dim, grad=backward) for _ in range(2))

        def forward():
            with sdpa_kernel(BACKENDS[backend]):
                return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

        if not backward:
            return forward
        out = forward()
        dout = torch.randn_like(out)
        return lambda: torch.autograd.grad(out, (q, k, v), dout, retain_graph=True)

    what = "attention_backward" if backward else "attention"
    show(f"{what}/{sequences}x{length}/28x4x128 {backend}", start, operations)


def decode(sequences, length):
    def start():
        q = numbers(sequences, 28, 1, 128)
        k, v = (numbers(sequences, 4, length, 128) for _ in range(2))
        return lambda: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    show(f"attention_paged/{sequences}-at-{length}/28x4x128", start, size=2.0 * 2 * sequences * length * 4 * 128)


def logprob(rows, width, vocabulary):
    operations = 2.0 * rows * width * vocabulary

    def start(backward):
        hidden, head = numbers(rows, width, grad=backward), numbers(vocabulary, width, grad=backward)
        targets = torch.arange(rows, device="cuda") * 97 % vocabulary

        def run():
            losses = [F.cross_entropy(F.linear(hidden[i:i + 2048], head).float(), targets[i:i + 2048],
                                      reduction="sum") for i in range(0, rows, 2048)]
            if backward:
                torch.autograd.grad(sum(losses), (hidden, head))

        return run

    def forward():
        run = start(False)

        def without_gradient():
            with torch.no_grad():
                run()

        return without_gradient

    show(f"logprob/bf16/{rows}x{width}x{vocabulary}", forward, operations)
    show(f"logprob and its gradient/bf16/{rows}x{width}x{vocabulary}", lambda: start(True), 3 * operations)


def memory():
    def norm():
        x, delta, w = numbers(8192, 3584), numbers(8192, 3584), numbers(3584)

        def run():
            y = x + delta
            return y, F.rms_norm(y, (3584,), w, 1e-6)

        return torch.compile(run)

    def swiglu():
        gate, up = numbers(8192, 18944), numbers(8192, 18944)
        return torch.compile(lambda: F.silu(gate) * up)

    def adamw(rounded):
        p = numbers(100_000_000, dtype=torch.float32, grad=True)
        p.grad = torch.rand_like(p)
        optimizer = torch.optim.AdamW([p], lr=1e-6, fused=True)
        copy = torch.empty_like(p, dtype=torch.bfloat16, requires_grad=False)

        def both():
            optimizer.step()
            copy.copy_(p.detach())

        return both if rounded else optimizer.step

    def copy():
        a = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
        b = torch.empty_like(a)
        return lambda: b.copy_(a)

    show("copy of 1 GiB", copy, size=2.0 * (1 << 30))
    show("add_rmsnorm/8192x3584", norm, size=4 * 2.0 * 8192 * 3584)
    show("swiglu/8192x18944", swiglu, size=3 * 2.0 * 8192 * 18944)
    show("adamw/100M", lambda: adamw(False), size=7 * 4.0 * 100_000_000)
    show("adamw/bf16/100M", lambda: adamw(True), size=7.5 * 4.0 * 100_000_000)


class Layer(nn.Module):
    """A layer of the language model, on sequences [S, L, WIDTH] of one length."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = (nn.Parameter(torch.ones(WIDTH)) for _ in range(2))
        self.q = nn.Linear(WIDTH, HEADS * HEAD)
        self.k, self.v = (nn.Linear(WIDTH, KV_HEADS * HEAD) for _ in range(2))
        self.o = nn.Linear(HEADS * HEAD, WIDTH, bias=False)
        self.gate, self.up = (nn.Linear(WIDTH, INNER, bias=False) for _ in range(2))
        self.down = nn.Linear(INNER, WIDTH, bias=False)

    def heads(self, x, cos, sin):
        x = x.unflatten(-1, (-1, HEAD)).transpose(1, 2)
        if cos is None:
            return x
        a, b = x.chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def forward(self, x, cos, sin):
        y = F.rms_norm(x, (WIDTH,), self.norm1, 1e-6)
        q, k, v = self.heads(self.q(y), cos, sin), self.heads(self.k(y), cos, sin), self.heads(self.v(y), None, None)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        y = F.rms_norm(x, (WIDTH,), self.norm2, 1e-6)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Language(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(layers))
        self.norm = nn.Parameter(torch.ones(WIDTH))
        self.head = nn.Parameter(torch.randn(VOCABULARY, WIDTH) / WIDTH**0.5)


def part_of_loss(hidden, head, targets):
    return F.cross_entropy(F.linear(hidden, head).float(), targets, reduction="sum")


def step(layers, sequences, length, checkpointing):
    """bf16 parameters and activations, f32 masters, gradients' norm and moments, all that compiles compiled."""
    tokens, width = sequences * length, layers * HEADS * HEAD
    elements = layers * (2 * WIDTH * WIDTH + 2 * KV_HEADS * HEAD * WIDTH + 3 * INNER * WIDTH) + VOCABULARY * WIDTH
    operations = 3 * 2.0 * tokens * elements + 3.5 * 2.0 * tokens * length * width

    def start():
        with torch.device("cuda"):
            model = Language(layers).bfloat16()
            ids = torch.randint(0, 150_000, (sequences, length))
            angles = torch.arange(length)[:, None] * 1e6 ** (-torch.arange(HEAD // 2) / (HEAD / 2))
            cos, sin = angles.cos().bfloat16(), angles.sin().bfloat16()
        parameters = list(model.parameters())
        masters = [p.detach().float().requires_grad_() for p in parameters]
        for master in masters:
            master.grad = torch.zeros_like(master)
        optimizer = torch.optim.AdamW(masters, lr=1e-5, weight_decay=0.0, fused=True)
        loss_of = torch.compile(part_of_loss)
        for layer in model.layers:
            layer.compile()

        def run():
            x = model.embedding(ids)
            for layer in model.layers:
                x = checkpoint(layer, x, cos, sin, use_reentrant=False) if checkpointing else layer(x, cos, sin)
            x = F.rms_norm(x, (WIDTH,), model.norm, 1e-6)[:, :-1].flatten(0, 1)
            targets = ids[:, 1:].flatten()
            loss = sum(checkpoint(loss_of, x[i:i + 2048], model.head, targets[i:i + 2048], use_reentrant=False)
                       for i in range(0, len(targets), 2048)) / len(targets)
            loss.backward()
            torch._foreach_copy_([m.grad for m in masters], [p.grad for p in parameters])
            torch.nn.utils.clip_grad_norm_(masters, 1.0)
            optimizer.step()
            with torch.no_grad():
                torch._foreach_copy_(parameters, masters)
            model.zero_grad()

        return run

    name = f"train/step-{sequences}x{length}/{layers}-layers" + ("/checkpointing" if checkpointing else "")
    show(name, start, operations, units=tokens, unit="tokens")


def vision():
    """The tower of transformers on a picture of 37 x 37 cells, which 1,024 x 1,024 pixels become."""
    def start():
        from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as published
        from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
        config = Qwen2_5_VLVisionConfig(depth=32, hidden_size=1280, num_heads=16, intermediate_size=3420,
                                        out_hidden_size=WIDTH, fullatt_block_indexes=[7, 15, 23, 31])
        with torch.device("cuda"):
            tower = published.Qwen2_5_VisionTransformerPretrainedModel._from_config(
                config, attn_implementation="sdpa", dtype=torch.bfloat16).eval()
        pixels, grid = numbers(74 * 74, 1176), torch.tensor([[1, 74, 74]], device="cuda")

        def run():
            with torch.no_grad():
                tower(pixels, grid_thw=grid)

        return run

    show("vision/1024x1024 transformers sdpa", start, units=1, unit="pictures")


def generation():
    """A token of each sequence by transformers' generate: of 33 tokens' time less one's, a 32nd part."""
    cases = [(1024, n) for n in (1, 16, 64, 256)] + [(4096, n) for n in (1, 16)]
    model = None

    def start(length, sequences):
        nonlocal model
        if model is None:
            from transformers import Qwen2Config, Qwen2ForCausalLM
            config = Qwen2Config(vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=INNER,
                                 num_hidden_layers=28, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
                                 max_position_embeddings=32768, rope_theta=1e6, tie_word_embeddings=False)
            with torch.device("cuda"):
                model = Qwen2ForCausalLM._from_config(config, attn_implementation="sdpa", dtype=torch.bfloat16).eval()
        ids = torch.randint(0, 150_000, (sequences, length), device="cuda")

        def generate(count):
            model.generate(ids, attention_mask=torch.ones_like(ids), min_new_tokens=count, max_new_tokens=count,
                           do_sample=False, pad_token_id=0)

        return generate

    for length, sequences in cases:
        show(f"decode/7b-at-{length}/{sequences} transformers", lambda: start(length, sequences), units=sequences,
             unit="tokens", measure=lambda run: (median(lambda: run(33)) - median(lambda: run(1))) / 32)


def main():
    print(f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}")
    linear(8192, 8192, 8192)
    for outputs, inputs in ((4608, 3584), (3584, 3584), (18944, 3584), (3584, 18944), (152064, 3584)):
        for rows in (1, 16, 64, 8192):
            if rows <= 64 or outputs < 152064:
                linear(rows, outputs, inputs)
    for backward in (False, True):
        for sequences, length in ((1, 4096), (1, 16384), (1, 32768), (4, 4096)):
            for backend in BACKENDS:
                attention(sequences, length, backward, backend)
    for sequences in (1, 16, 64):
        decode(sequences, 4096)
    logprob(16384, 3584, 152064)
    memory()
    for layers, sequences, length, checkpointing in ((4, 2, 4096, False), (8, 2, 4096, False), (8, 2, 4096, True),
                                                     (8, 4, 1024, False)):
        step(layers, sequences, length, checkpointing)
    vision()
    generation()


main()
