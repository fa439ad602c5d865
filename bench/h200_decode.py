#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""Decode on a CUDA device against cuDNN, in one run; writes the record of docs/results.

Needs a build with THRIFTATTN_CUDA and THRIFTATTN_BENCH, and PyTorch with cuDNN. Both sides replay
CUDA graphs, with 256 MB written before each repetition so that nothing is left in L2.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

try:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
except ImportError:
    torch = None

FLUSH_BYTES = 256 << 20
STEPS = 8
# (batch, kv_len, q_heads, kv_heads, head_dim)
QUICK = [(8, 131072), (8, 32768), (1, 131072), (1, 32768), (64, 8192), (1, 8192), (1, 1024)]
LENGTHS = [(batch, kv_len) for batch in (1, 8, 64)
           for kv_len in (1024, 8192, 32768, 131072)
           if batch * kv_len <= 1 << 20]
OF_OURS = ("us_keep", "us_step", "us_seal", "us_among", "us_step_among", "us_alone",
           "promoted_share", "mass_covered", "mass_covered_keep", "mass_tail", "error",
           "error_scratch")
SHARES = ("share_50", "share_90", "share_99", "share_999")
SHAPES = [(32, 8, 128), (64, 8, 128), (32, 8, 64), (9, 3, 64), (8, 4, 256)]


def undisturbed(measure, tries=3):
    """What measure() gives, (us, spread), once more where it spreads by over a tenth: something else
    ran beside it. The last one where all do."""
    for _ in range(tries):
        us, spread = measure()
        if spread <= us / 10:
            break
    return us, spread


def time_graphs(graphs, repeats):
    """(median, median absolute deviation) in us of one replay, L2 flushed before each."""
    return undisturbed(lambda: time_graphs_once(graphs, repeats))


def time_graphs_once(graphs, repeats):
    flush = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device="cuda")
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    for i in range(repeats + 3):
        flush.fill_(i % 7)
        begin.record()
        graphs[i % len(graphs)].replay()
        end.record()
        end.synchronize()
        if i >= 3:
            times.append(1000 * begin.elapsed_time(end))
    middle = statistics.median(times)
    return middle, statistics.median(abs(t - middle) for t in times)


def cudnn(shape, repeats):
    """cuDNN's bf16 attention of one new token a sequence."""
    batch, kv_len, q_heads, kv_heads, head_dim = shape
    options = {"dtype": torch.bfloat16, "device": "cuda"}
    k, v = (torch.randn(batch, kv_heads, kv_len, head_dim, **options) for _ in range(2))
    queries = [torch.randn(batch, q_heads, 1, head_dim, **options) for _ in range(STEPS)]

    def attend(q):
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        attend(queries[0])
    torch.cuda.synchronize()
    graphs = []
    for q in queries:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            attend(q)
        graphs.append(graph)
    us, spread = time_graphs(graphs, repeats)
    return {"arm": "cudnn_bf16", "us": us, "us_spread": spread, "tail_share": 0,
            "bytes": 2 * 2 * batch * kv_heads * kv_len * head_dim}


def copy_bandwidth(repeats):
    """Bytes a second that a kernel which copies 4 GiB reads and writes."""
    source = torch.zeros(1 << 30, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    torch.neg(source, out=target)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        torch.neg(source, out=target)  # a kernel: copy_ would use the slower copy engine
    us, _ = time_graphs([graph], repeats)
    return 2 * 4 * source.numel() / (us * 1e-6)


def ours(program, arguments):
    """What is said of each data, and our arms on it."""
    command = [program, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {run.stderr.strip()}")
    runs = []
    for line in map(json.loads, run.stdout.splitlines()):
        if "profile" in line:
            runs.append((line, []))
        else:
            runs[-1][1].append(line)
    return runs


def rows_of(data, arms, peer, copy, model):
    """Rows of one shape and one kind of data."""
    shape, profile = data["shape"], data["profile"]
    print("data" + (f" of {model}, layer {data['layer']}" if model else "") +
          ": blocks that hold 50, 90, 99, 99.9 % of the mass "
          f"{', '.join(f'{100 * profile[key]:.1f}' for key in SHARES)} %, turnover of the heaviest "
          f"5 % {100 * profile['turnover']:.0f} %", flush=True)
    rows = []
    for arm in [peer, *arms]:
        row = dict(zip(("batch", "kv_len", "q_heads", "kv_heads", "head_dim"), shape))
        if model:
            row |= {"model": model, "layer": data["layer"]}
        row |= {key: arm[key] for key in ("arm", "us", "us_spread", "bytes")}
        is_step = "us_step" not in arm  # else the difference of two steps, which may be 0 or below
        row["share_of_copy"] = arm["bytes"] / (arm["us"] * 1e-6) / copy if is_step else None
        row["tail_share"] = arm["tail_share"]
        row["ratio_to_cudnn"] = peer["us"] / arm["us"] if is_step else None
        row |= {key: arm[key] for key in OF_OURS if key in arm}
        row["profile"] = profile
        rows.append(row)
        keep = f"  sets kept {row['us_keep']:8.1f} us {peer['us'] / row['us_keep']:5.2f}x" \
            if "us_keep" in row else ""
        beside = f" +-{arm['us_spread']:5.1f} {row['ratio_to_cudnn']:5.2f}x  " \
            f"{100 * row['share_of_copy']:4.0f} % of copy  tail {row['tail_share']:.2f}{keep}" \
            if is_step else " more a step"
        print(f"B{shape[0]:<3} {shape[1]:>6} q{shape[2]}/{shape[3]} d{shape[4]:<3} "
              f"{arm['arm']:<16} {arm['us']:9.1f} us{beside}", flush=True)
        if not is_step:
            print(f"{'':35} {100 * row['us'] / row['us_step']:.1f} % of a step; among other kernels "
                  f"{row['us_among']:.1f} us, {100 * row['us_among'] / row['us_step_among']:.1f} %; "
                  f"a seal {row['us_seal']:.0f} us", flush=True)
        if "mass_covered" in row:
            print(f"{'':35} mass covered {100 * row['mass_covered']:.1f} %, kept sets "
                  f"{100 * row['mass_covered_keep']:.1f} %; error {row['error']:.1e}, from scratch "
                  f"{row['error_scratch']:.1e}", flush=True)
    return rows


def model_of(capture):
    """The model's name in a file of `thriftattn inspect --capture`."""
    with capture.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(length)).get("__metadata__", {}).get("model", capture.name)


def measured(options, copy):
    """The rows, those of a call of the program at a time."""
    def peer_of(shape):
        peer = cudnn(shape, options.repeats)
        torch.cuda.empty_cache()
        return peer

    if options.capture:
        for capture in options.capture:
            model = model_of(capture)
            for batch in options.batch:
                runs = ours(options.program, ["--capture", capture, batch, options.repeats])
                peers = {shape: peer_of(shape) for shape in {tuple(data["shape"]) for data, _ in runs}}
                for data, arms in runs:
                    yield rows_of(data, arms, peers[tuple(data["shape"])], copy, model)
        return
    for shape in [(*length, 32, 8, 128) for length in QUICK] if options.quick else [
            (*length, *heads) for heads in SHAPES for length in LENGTHS]:
        peer = peer_of(shape)
        for turnover in options.turnover or [None]:
            data = ["--profile", options.profile]
            data += [] if turnover is None else ["--turnover", turnover]
            for said, arms in ours(options.program, [*shape, options.repeats, *data]):
                yield rows_of(said, arms, peer, copy, None)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=pathlib.Path, help="the built cuda_decode_bench")
    parser.add_argument("--quick", action="store_true", help="seven lengths of one shape")
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--profile", default="gemma3-270m", metavar="NAME",
                        help="the recorded model whose block masses the data is like: gemma3-270m (the "
                        "default), smollm2, or how far from the first to the second, 0 to 1")
    parser.add_argument("--turnover", type=float, nargs="+", metavar="PERCENT",
                        help="of the heaviest 5 %% from step to step, as in 0 10 25 100: each shape "
                        "with each; by default the recorded one")
    parser.add_argument("--capture", type=pathlib.Path, nargs="+", metavar="FILE",
                        help="time K, V and q of real models instead, files of `thriftattn inspect "
                        "--capture`")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8],
                        help="with --capture: sequences, which all have its K and V (1 and 8)")
    parser.add_argument("--commit", default="", help="goes into the record")
    parser.add_argument("--json", type=pathlib.Path, help="where the record is written")
    options = parser.parse_args()
    options.program = options.program.resolve()  # a bare name would be looked for on the PATH
    if torch is None:
        sys.exit("h200_decode.py: no PyTorch")
    if not torch.cuda.is_available():
        sys.exit("h200_decode.py: no CUDA device")
    copy = copy_bandwidth(options.repeats)
    torch.cuda.empty_cache()
    record = {"commit": options.commit, "gpu": torch.cuda.get_device_name(),
              "copy_bytes_per_second": copy, "rows": []}
    print(f"{record['gpu']}, copy {copy * 1e-12:.2f} TB/s", flush=True)
    for rows in measured(options, copy):
        record["rows"] += rows
        if options.json:
            options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
