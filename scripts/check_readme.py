#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""Checks README.md: its C++ is compiled text of examples/readme.cc, its links lead somewhere, 150 lines."""

import pathlib
import re
import sys

MAX_LINES = 150
CPP = re.compile(r"```cpp\n(.*?)```", re.S)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)[^)]*\)")


def normal(text):
    """Lines without include lines and blank ones: the README may show less space."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#include")]


def check(root):
    readme = (root / "README.md").read_text(encoding="utf-8")
    example = "\n".join(normal((root / "examples/readme.cc").read_text(encoding="utf-8")))
    errors = []
    snippets = CPP.findall(readme)
    if not snippets:
        errors.append("README.md holds no C++ example")
    for snippet in snippets:
        if "\n".join(normal(snippet)) not in example:
            errors.append("README.md: a C++ example is not in examples/readme.cc as it stands")
    if (count := len(readme.splitlines())) > MAX_LINES:
        errors.append(f"README.md: {count} lines; at most {MAX_LINES}")
    for page in [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]:
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                errors.append(f"{page.relative_to(root)}: the link to {target} leads nowhere")
    return errors


def main():
    errors = check(pathlib.Path(__file__).resolve().parent.parent)
    print("\n".join(errors) if errors else "readme: example and links are right")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
