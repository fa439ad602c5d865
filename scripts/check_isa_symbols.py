#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""Fails if an object compiled for one ISA defines more than the function that returns its kernels.

A weak or global helper in such an object may be the copy that the linker keeps for the whole
program, and then code for that ISA runs on a CPU that lacks it. Objects are told by the folder of
their source.
"""
import argparse
import pathlib
import subprocess
import sys

ISAS = ("avx2", "avx512")
LOCAL = set("abdgnprst")  # nm's letters for symbols that stay inside the object


def defined_symbols(nm: str, path: str) -> list[tuple[str, str]]:
    """(type, demangled name) of what the object defines."""
    output = subprocess.run(
        [nm, "--demangle", "--defined-only", path], check=True, capture_output=True, text=True
    ).stdout
    symbols = []
    for line in output.splitlines():
        fields = line.split(maxsplit=2)
        if len(fields) == 3:
            symbols.append((fields[1], fields[2]))
    return symbols


def problems(nm: str, path: str, isa: str) -> list[str]:
    exported = f"thriftattn::cpu::{isa}_kernels()"
    found = []
    seen = False
    for kind, name in defined_symbols(nm, path):
        if kind == "T" and name == exported:
            seen = True
        elif kind not in LOCAL:
            found.append(f"{path}: {kind} {name}: may be shared with code of other ISAs")
    if not seen:
        found.append(f"{path}: does not define {exported}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nm", default="nm", help="the nm program")
    parser.add_argument("objects", nargs="+", help="object files; those of no ISA are passed over")
    args = parser.parse_args()

    found = []
    checked = 0
    for path in args.objects:
        folder = pathlib.PurePath(path).parent.name
        if folder in ISAS:
            checked += 1
            found += problems(args.nm, path, folder)
    if checked == 0:
        found.append("no object of " + " or ".join(ISAS) + " among the arguments")
    for line in found:
        print(line, file=sys.stderr)
    print(f"{checked} ISA objects, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
