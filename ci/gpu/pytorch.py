"""The cases of `xreasoner bench --device cuda` by PyTorch in bf16, with the same names and columns; part of the
bundle that ci/gpu.sh makes. usage: pytorch.py [START OF A NAME]"""

import sys
import time

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

LEAST_RUNS, LEAST_SECONDS = 5, 0.5
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


def show(name, run, operations=0, size=0):
    """One line. Cases whose names do not begin as asked are left out; what fails is said."""
    if not name.startswith(sys.argv[1] if len(sys.argv) > 1 else ""):
        return
    try:
        seconds = median(run())
    except (RuntimeError, torch.cuda.OutOfMemoryError) as error:
        print(f"{name:44} failed: {str(error).splitlines()[0]}")
    else:
        rates = [f"{operations / seconds * 1e-9:9.1f} GFLOP/s"] if operations else []
        rates += [f"{size / seconds * 1e-9:8.1f} GB/s"] if size else []
        print(f"{name:44} {seconds * 1e3:10.3f} ms {' '.join(rates)}", flush=True)
    torch.cuda.empty_cache()


def numbers(*shape, dtype=torch.bfloat16, grad=False):
    return (torch.rand(*shape, device="cuda", dtype=torch.float32) * 2 - 1).to(dtype).requires_grad_(grad)


def linear(rows, outputs, inputs):
    operations = 2.0 * rows * outputs * inputs
    shape = f"bf16/{rows}x{outputs}x{inputs}"

    def forward():
        x, w = numbers(rows, inputs), numbers(outputs, inputs)
        return lambda: F.linear(x, w)

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

    def adamw():
        p = numbers(100_000_000, dtype=torch.float32, grad=True)
        p.grad = torch.rand_like(p)
        optimizer = torch.optim.AdamW([p], lr=1e-6, fused=True)
        return optimizer.step

    def copy():
        a = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
        b = torch.empty_like(a)
        return lambda: b.copy_(a)

    show("copy of 1 GiB", copy, size=2.0 * (1 << 30))
    show("add_rmsnorm/8192x3584", norm, size=4 * 2.0 * 8192 * 3584)
    show("swiglu/8192x18944", swiglu, size=3 * 2.0 * 8192 * 18944)
    show("adamw/100M", adamw, size=7 * 4.0 * 100_000_000)


def main():
    print(f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}")
    linear(8192, 8192, 8192)
    for outputs, inputs in ((4608, 3584), (3584, 3584), (18944, 3584), (3584, 18944)):
        linear(8192, outputs, inputs)
        linear(1, outputs, inputs)
    for backward in (False, True):
        for sequences, length in ((1, 4096), (1, 16384), (1, 32768), (4, 4096)):
            for backend in BACKENDS:
                attention(sequences, length, backward, backend)
    for sequences in (1, 16, 64):
        decode(sequences, 4096)
    logprob(16384, 3584, 152064)
    memory()


main()
