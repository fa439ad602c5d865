#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""Breaks each rule once in a small tree of its own and expects the check to say so."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, sys.argv.pop(1))
import check_files  # noqa: E402
import check_layers  # noqa: E402

HEAD = ("// SPDX-FileCopyrightText: 2026 The thriftattn authors\n"
        "// SPDX-License-Identifier: Apache-2.0\n")


class Tree(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.root = pathlib.Path(self.directory.name).resolve()
        self.write("include/thriftattn/status.h", "")
        self.write("src/numeric/half.h", '#include "thriftattn/status.h"\n#include <cstdint>\n')
        self.write("src/kv/pages.h", '#include "numeric/half.h"\n')
        self.write("src/selection/rank.h", "")
        self.write("src/engine/kernel_table.h", '#include "selection/rank.h"\n')
        self.write("src/cpu/table.cc", '#include "engine/kernel_table.h"\n#include <immintrin.h>\n')

    def write(self, name, text, head=HEAD):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + text, encoding="utf-8")

    def layer_errors(self):
        return "\n".join(check_layers.check(self.root))

    def file_errors(self):
        return "\n".join(check_files.check(self.root)[0])


class Layers(Tree):
    def test_good_tree_passes(self):
        self.assertEqual(self.layer_errors(), "")

    def test_breaches(self):
        cases = {
            "src/numeric/a.cc": ('#include "kv/pages.h"', "layer numeric includes src/kv"),
            "src/kv/a.cc": ('#include "selection/rank.h"', "layer kv includes src/selection"),
            "src/engine/a.cc": ('#include "cpu/table.cc"', "layer engine includes src/cpu"),
            "src/engine/b.cc": ("#include <fmt/core.h>", "not a standard header"),
            "src/engine/c.cc": ('#include "nowhere.h"', "no file of the library"),
            "include/thriftattn/a.h": ('#include "numeric/half.h"', "a public header includes"),
            "tools/cli/a.cc": ('#include "numeric/half.h"', "is not public"),
            "src/extra/a.cc": ("", "is no layer"),
        }
        for name, (line, want) in cases.items():
            with self.subTest(name):
                self.write(name, line + "\n")
                self.assertIn(want, self.layer_errors())
                (self.root / name).unlink()


class Files(Tree):
    def test_good_tree_passes(self):
        self.assertEqual(self.file_errors(), "")

    def test_breaches(self):
        todo = "// TO" + "DO: later\n"
        cases = {
            "missing SPDX": ("int a;\n", "", "no SPDX lines"),
            "too long": ("int a;\n" * 449, HEAD, "451 lines"),
            "not ASCII": ("// caf\u00e9\n", HEAD, "not ASCII"),
            "open end": (todo, HEAD, "without the number"),
            "machine path": ('#include "/ho' + 'me/me/a.h"\n', HEAD, "somebody's machine"),
            "wide": ("// " + "x" * 120 + "\n", HEAD, "123 columns"),
            "trailing space": ("int a; \n", HEAD, "space at the end"),
            "no newline": ("int a;", HEAD, "no newline"),
        }
        for name, (text, head, want) in cases.items():
            with self.subTest(name):
                self.write("src/numeric/a.cc", text, head)
                self.assertIn(want, self.file_errors())
        self.write("src/numeric/a.cc", todo.replace(":", "(#7):"))
        self.assertEqual(self.file_errors(), "")


if __name__ == "__main__":
    unittest.main()
