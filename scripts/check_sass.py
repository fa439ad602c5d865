#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the machine code of the CUDA kernels and holds it to what they were written for.

For each kernel of BUDGETS and each architecture in the objects: registers, stack and code within budget; bulk copies
and tensor-core products where they belong; and in the main loop no call, and no local memory but what the budget has.
The main loop is the innermost one that holds half of the tensor-core products or, in a kernel without, the largest. A
library has a kernel that is linked on the device twice: its registers and stack are the larger ones, which are those
as linked.

Exit code 77 (skipped) where there is no cuobjdump.
"""

import argparse
import collections
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys

SKIPPED = 77
TENSOR = "HMMA"
BULK = "UBLKCP"
LOCAL = {"LDL", "STL"}


@dataclasses.dataclass(frozen=True)
class Budget:
    """What one kernel may use. `needs` are opcodes that it must have; `loop_local` are loads and stores of local memory
    in its main loop; `code_kb` is its code, without the functions that are linked to it, where that is counted."""
    registers: int
    stack_bytes: int = 0
    needs: tuple = ()
    loop_local: int = 0
    code_kb: float = 0


DECODE = (BULK, TENSOR)
# (kernel, architecture or "" for all): budget. The first that fits counts. Registers are what the launch bounds leave.
BUDGETS = {
    # Without a tail: a launch asks for 128 KB of code at most. Rows and nested.
    ("decode_kernel<64, 1, 0, 0>", "sm_90a"): Budget(168, needs=DECODE, code_kb=120),
    ("decode_kernel<64, 1, 1, 0>", "sm_90a"): Budget(168, needs=DECODE, code_kb=120),
    ("decode_kernel<128, 1, 0, 0>", "sm_90a"): Budget(168, stack_bytes=48, needs=DECODE, code_kb=128),
    ("decode_kernel<128, 1, 1, 0>", "sm_90a"): Budget(168, stack_bytes=48, needs=DECODE, code_kb=128),
    # What belongs to a piece or to the merge, put aside while blocks are walked; with rows and nested.
    ("decode_kernel<128, 1,", ""): Budget(168, stack_bytes=48, needs=DECODE),
    ("decode_kernel<256, 1,", "sm_90a"): Budget(255, stack_bytes=8, needs=DECODE),
    ("decode_kernel<64, 1,", "sm_90a"): Budget(168, stack_bytes=8, needs=DECODE),
    ("decode_kernel<256,", ""): Budget(255, needs=DECODE),
    ("decode_kernel<", ""): Budget(168, needs=DECODE),
    ("cluster_kernel<256,", ""): Budget(255, needs=DECODE),
    ("cluster_kernel<", ""): Budget(168, needs=DECODE),
    # Those that append call what is rare: the stack is those functions', and their code lies elsewhere. The loop is
    # that over what a token is added to, and runs once or twice.
    ("select_kernel<1,", ""): Budget(64, stack_bytes=512, loop_local=7, code_kb=64),
    ("append_fresh_kernel", ""): Budget(128, stack_bytes=512, loop_local=7, code_kb=32),
    # Read again by the last stage.
    ("select_kernel<", "sm_120a"): Budget(64, stack_bytes=16),
    ("select_kernel<", ""): Budget(64),
}


@dataclasses.dataclass
class Kernel:
    name: str
    arch: str
    registers: int = 0
    stack_bytes: int = 0
    code: list = dataclasses.field(default_factory=list)  # (address, predicated, opcode, operands)
    loop: list = dataclasses.field(default_factory=list)  # indices into code


def short_name(symbol):
    """decode_kernel<128, 1, 0, 1> of ...13decode_kernelI..DecodeTraitsILi128ELNS0_5PhaseE1ELNS_8HighTierE0ELb1EE..."""
    mangled = re.search(r"_ZN?(?=\d)", symbol)
    place = mangled.end() if mangled else len(symbol)
    # Name after name, each behind its length: any other digits may be those of a file's hash.
    while length := re.match(r"\d+", symbol[place:]):
        begin = place + length.end()
        place = begin + int(length[0])
        name = symbol[begin:place]
        if name.endswith("_kernel"):
            values = re.findall(r"L(?:i|b|N\w+?)E?(\d+)E", symbol[place:])
            return name + (f"<{', '.join(values)}>" if values else "")
    return symbol


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read_object(cuobjdump, path):
    """Every kernel of an object file, by (architecture, symbol)."""
    kernels = {}
    arch = symbol = ""
    for line in run([cuobjdump, "-sass", path]).splitlines():
        if match := re.search(r"code for (sm_\w+)", line):
            arch = match[1]
        elif match := re.search(r"Function : (\S+)", line):
            symbol = match[1]
            kernels[arch, symbol] = Kernel(short_name(symbol), arch)
        elif match := re.match(r"\s+/\*([0-9a-f]{4,})\*/\s+(@!?\w+\s+)?([\w.]+)\s*(.*?)\s*;", line):
            kernels[arch, symbol].code.append((int(match[1], 16), bool(match[2]), match[3], match[4]))
    for line in run([cuobjdump, "-res-usage", path]).splitlines():
        if match := re.match(r"arch = (sm_\w+)", line):
            arch = match[1]
        elif match := re.search(r"Function (\S+):", line):
            symbol = match[1]
        elif match := re.search(r"REG:(\d+) STACK:(\d+)", line):
            kernel = kernels[arch, symbol]
            kernel.registers = max(kernel.registers, int(match[1]))
            kernel.stack_bytes = max(kernel.stack_bytes, int(match[2]))
    return kernels


def successors(code):
    """For each instruction the indices of those that may follow it. A call comes back."""
    place = {address: i for i, (address, *_) in enumerate(code)}
    follow = []
    for i, (_, predicated, opcode, operands) in enumerate(code):
        base = opcode.split(".")[0]
        after = []
        if base == "BRA":
            target = re.search(r"0x([0-9a-f]+)\s*$", operands)
            if target and int(target[1], 16) in place:
                after.append(place[int(target[1], 16)])
            # A branch may carry its condition as an operand, as in `BRA !P1, 0x40`.
            predicated = predicated or "," in operands or opcode == "BRA.DIV"
        if (base not in ("BRA", "EXIT", "RET", "BRX") or predicated) and i + 1 < len(code):
            after.append(i + 1)
        follow.append(after)
    return follow


def dominators(follow):
    """(immediate dominator of each reachable instruction, their reverse postorder numbers)."""
    order, seen, stack = [], {0}, [(0, iter(follow[0]))]
    while stack:
        node, rest = stack[-1]
        step = next((n for n in rest if n not in seen), None)
        if step is None:
            order.append(node)
            stack.pop()
        else:
            seen.add(step)
            stack.append((step, iter(follow[step])))
    order.reverse()
    number = {node: i for i, node in enumerate(order)}
    before = collections.defaultdict(list)
    for node in order:
        for after in follow[node]:
            before[after].append(node)
    above = {0: 0}
    changed = True
    while changed:
        changed = False
        for node in order[1:]:
            best = None
            for other in before[node]:
                if other not in above:
                    continue
                if best is None:
                    best = other
                while best != other:
                    if number[best] > number[other]:
                        best = above[best]
                    else:
                        other = above[other]
            if above.get(node) != best:
                above[node] = best
                changed = True
    return above, number, before


def loops(code):
    """The natural loops: {header: set of instructions}."""
    if not code:
        return {}
    follow = successors(code)
    above, number, before = dominators(follow)
    found = collections.defaultdict(set)
    for tail in number:
        for head in follow[tail]:
            node = tail
            while node != head and number[node] > number[head]:
                node = above[node]
            if node != head:
                continue
            body, work = {head, tail}, [tail]
            while work:
                node = work.pop()
                if node == head:
                    continue
                for other in before[node]:
                    if other not in body:
                        body.add(other)
                        work.append(other)
            found[head] |= body
    return found


def find_main_loop(kernel):
    tensor = {i for i, (*_, opcode, _) in enumerate(kernel.code) if opcode.startswith(TENSOR)}
    bodies = sorted(loops(kernel.code).values(), key=len)
    if tensor:
        bodies = [body for body in bodies if 2 * len(body & tensor) >= len(tensor)][:1]
    kernel.loop = sorted(bodies[-1]) if bodies else []


def count(kernel, indices):
    return collections.Counter(kernel.code[i][2].split(".")[0] for i in indices)


def budget_of(kernel):
    for (name, arch), budget in BUDGETS.items():
        if kernel.name.startswith(name) and arch in ("", kernel.arch):
            return budget
    return None


def problems(kernel, budget):
    everything = count(kernel, range(len(kernel.code)))
    in_loop = count(kernel, kernel.loop)
    code_bytes = 16 * len(kernel.code)
    if budget.code_kb and code_bytes > 1024 * budget.code_kb:
        yield f"{code_bytes} bytes of code, at most {budget.code_kb} KB"
    if kernel.registers > budget.registers:
        yield f"{kernel.registers} registers, at most {budget.registers}"
    if kernel.stack_bytes > budget.stack_bytes:
        yield f"{kernel.stack_bytes} bytes of stack, at most {budget.stack_bytes}"
    if not budget.stack_bytes and any(everything[op] for op in LOCAL):
        yield "local memory is used"
    for opcode in budget.needs:
        if not everything[opcode]:
            yield f"no {opcode}"
    if not kernel.loop:
        yield "no loop"
    for opcode in sorted(LOCAL | {"CALL"}):
        if in_loop[opcode] > (budget.loop_local if opcode in LOCAL else 0):
            yield f"{in_loop[opcode]} {opcode} in the main loop"


def report(kernels, top):
    """Markdown: a line for each kernel with its numbers and the mix of its main loop."""
    print("| kernel | arch | registers | stack | code | main loop | mix of the main loop |")
    print("|---|---|---|---|---|---|---|")
    for kernel in kernels:
        mix = count(kernel, kernel.loop).most_common(top)
        text = ", ".join(f"{opcode} {number}" for opcode, number in mix)
        print(f"| {kernel.name} | {kernel.arch} | {kernel.registers} | {kernel.stack_bytes} | {len(kernel.code)} | "
              f"{len(kernel.loop)} | {text} |")


def find_cuobjdump(named):
    """The first named program that exists, else the one on the PATH, else None."""
    return next((path for name in (*named, "cuobjdump") if (path := shutil.which(name))), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuobjdump", action="append", default=[],
                        help="where cuobjdump may be, with nvdisasm beside it; else the PATH")
    parser.add_argument("--report", action="store_true", help="print a table for the docs instead of checking")
    parser.add_argument("--top", type=int, default=16, help="opcodes of a loop in the table")
    parser.add_argument("objects", nargs="+", help="libraries and objects with CUDA code; others are passed over")
    args = parser.parse_args()
    cuobjdump = find_cuobjdump(args.cuobjdump)
    if not cuobjdump:
        print("skip: no cuobjdump, so the machine code is not checked")
        return SKIPPED
    kernels = []
    budgeted = {name.split("<")[0] for name, _ in BUDGETS}
    for path in map(pathlib.Path, sorted(args.objects)):
        if not path.name.endswith((".a", ".cu.o", ".cubin")):
            continue
        content = path.read_bytes()
        if args.report or any(name.encode() in content for name in budgeted):
            kernels += (k for k in read_object(cuobjdump, path).values() if "_kernel" in k.name)
    kernels = sorted((k for k in kernels if args.report or budget_of(k)), key=lambda k: (k.arch, k.name))
    for kernel in kernels:
        find_main_loop(kernel)
    if args.report:
        report(kernels, args.top)
        return 0
    errors = [f"{k.name}, {k.arch}: {what}" for k in kernels for what in problems(k, budget_of(k))]
    names = {k.name.split("<")[0] for k in kernels}
    errors += [f"no {want} in the objects" for want in sorted(budgeted - names)]
    print("\n".join(errors) if errors else f"sass: {len(kernels)} kernels within their budgets")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
