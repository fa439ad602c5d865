#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""Proves the layers: a file includes only what stands before it.

numeric < kv, selection < engine < cpu, cuda < c_api < tools, plugins

The library includes nothing beyond itself and the standard library; tools and plugins see of it only
include/thriftattn; tests may see everything.
"""

import argparse
import pathlib
import re
import sys

RANK = {"numeric": 0, "kv": 1, "selection": 1, "engine": 2, "cpu": 3, "cuda": 3, "c_api": 4}
OUTSIDE = ("tools", "plugins", "examples")
SOURCES = {".h", ".cc", ".c", ".inc", ".cu", ".cuh"}
# Headers with a suffix that count as standard: C99's of the C API, and the compilers' intrinsics.
SYSTEM_HEADERS = {"stdbool.h", "stddef.h", "stdint.h", "immintrin.h", "cpuid.h"}
# Of the toolkit, for src/cuda alone.
CUDA_HEADERS = {"cooperative_groups.h", "cuda_bf16.h", "cuda_fp16.h", "cuda_runtime.h", "cuda_runtime_api.h"}
# A tool may steer the loaded ggml module through its one public header.
PLUGIN_HEADERS = {"plugins/ggml/thriftattn_ggml.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(path):
    """Yields (line number, is quoted, name) for every include of a file."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if match := INCLUDE.match(line):
            yield number, match[1] == '"', match[2]


def resolve(root, path, name):
    """The file of this tree that a quoted name means, relative to root, or None."""
    for base in (path.parent, root / "src", root / "include", root / "plugins/ggml"):
        target = (base / name).resolve()
        if target.is_file() and target.is_relative_to(root):
            return target.relative_to(root).as_posix()
    return None


def library_error(path, quoted, name, target):
    """What is wrong with an include of src/ or include/, or None."""
    if not quoted:
        if path.startswith("src/cuda/") and name in CUDA_HEADERS:
            return None
        if "." in name and name not in SYSTEM_HEADERS:
            return f"<{name}> is not a standard header"
        return None
    if target is None:
        return f'"{name}" is no file of the library'
    if target.startswith("include/thriftattn/"):
        return None
    if path.startswith("include/"):
        return f"a public header includes {target}"
    layer, other = path.split("/")[1], target.split("/")[1]
    if not target.startswith("src/") or other not in RANK:
        return f"{target} is in no layer of the library"
    if other != layer and RANK[other] >= RANK[layer]:
        return f"layer {layer} includes {target}; only layers before it may be included"
    return None


def outside_error(path, target):
    """What is wrong with an include of tools, plugins or examples, or None."""
    top = path.split("/")[0]
    if target is None or target.startswith((f"{top}/", "include/thriftattn/")):
        return None
    if top == "tools" and target in PLUGIN_HEADERS:
        return None
    return f"{target} is not public; {top} see only include/thriftattn"


def check(root):
    """Messages `file:line: what` for every include that breaks the order."""
    errors = []
    files = [p for top in ("include", "src", *OUTSIDE) for p in sorted((root / top).rglob("*"))]
    for file in files:
        if file.suffix not in SOURCES:
            continue
        path = file.relative_to(root).as_posix()
        library = path.startswith(("src/", "include/"))
        if path.startswith("src/") and path.split("/")[1] not in RANK:
            errors.append(f"{path}:1: src/{path.split('/')[1]} is no layer; have {', '.join(RANK)}")
            continue
        for number, quoted, name in includes(file):
            target = resolve(root, file, name) if quoted else None
            error = (library_error(path, quoted, name, target) if library
                     else outside_error(path, target))
            if error:
                errors.append(f"{path}:{number}: {error}")
    return errors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", default=pathlib.Path(__file__).parent.parent)
    errors = check(pathlib.Path(parser.parse_args().root).resolve())
    print("\n".join(errors) if errors else "layers: no include breaks the order")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
