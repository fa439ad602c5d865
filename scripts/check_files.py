#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""Checks every file of the tree: length, SPDX lines, ASCII, no machine's paths, no nameless TODO."""

import argparse
import pathlib
import re
import statistics
import subprocess
import sys

MAX_LINES = 450
MAX_COLUMNS = 120
CODE = {".h", ".cc", ".c", ".cu", ".cuh", ".inc", ".py", ".sh", ".cmake"}
TEXT = CODE | {".md", ".json", ".yaml", ".in", ".txt", ".html", ".css", ".js", ""}
WITHOUT_SPDX = {"LICENSE", ".gitignore", ".clang-format", ".clang-tidy", ".editorconfig"}
SPDX = ("SPDX-FileCopyrightText: ", "SPDX-License-Identifier: Apache-2.0")
MACHINE_PATH = re.compile(r"(?<![\w.}])/(home|root|work|Users|mnt)/")
NAMELESS = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
THIS = "scripts/check_files.py"


def tracked(root):
    """Files that git has or would add; every file outside build/ and out/ where there is no git."""
    command = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        names = result.stdout.splitlines()
    else:
        names = [p.relative_to(root).as_posix() for p in root.rglob("*")]
        names = [n for n in names if not n.startswith(("build/", "out/", ".git/"))]
    return sorted({root / name for name in names if (root / name).is_file()})


def is_code(path):
    return path.suffix in CODE or path.name in ("CMakeLists.txt", "run")


def check_lines(path, lines):
    """Yields (line number, what) for everything wrong with one text file."""
    if is_code(path):
        head = "\n".join(lines[:5])
        if not all(part in head for part in SPDX):
            yield 1, "no SPDX lines at the top"
        if len(lines) > MAX_LINES:
            yield len(lines), f"{len(lines)} lines; at most {MAX_LINES}"
    for number, line in enumerate(lines, 1):
        if not line.isascii():
            yield number, "not ASCII"
        if line != line.rstrip():
            yield number, "space at the end of the line"
        if is_code(path) and len(line) > MAX_COLUMNS:
            yield number, f"{len(line)} columns; at most {MAX_COLUMNS}"
        if MACHINE_PATH.search(line):
            yield number, "a path of somebody's machine"
        if NAMELESS.search(line):
            yield number, "an open end without the number of its issue"


def check(root):
    """(messages, line counts of code files)."""
    errors, counts = [], []
    for path in tracked(root):
        name = path.relative_to(root).as_posix()
        if path.suffix not in TEXT or path.name in WITHOUT_SPDX or name == THIS:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            errors.append(f"{name}:1: not text")
            continue
        lines = text.splitlines()
        if text and not text.endswith("\n"):
            errors.append(f"{name}:{len(lines)}: no newline at the end")
        if path.suffix in {".h", ".cc", ".c", ".cu", ".cuh"}:
            counts.append(len(lines))
        errors += [f"{name}:{number}: {what}" for number, what in check_lines(path, lines)]
    return errors, counts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", default=pathlib.Path(__file__).parent.parent)
    errors, counts = check(pathlib.Path(parser.parse_args().root).resolve())
    if errors:
        print("\n".join(errors))
        return 1
    if counts:
        print(f"files: {len(counts)} C and C++ files, median {statistics.median(counts):.0f} lines, "
              f"longest {max(counts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
