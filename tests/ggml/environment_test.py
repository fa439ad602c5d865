#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""A bad THRIFTATTN_* value: one clear line, no module, and the host program goes on.

usage: environment_test.py TEST_BACKEND_OPS MODULE
"""

import os
import subprocess
import sys
import unittest

PROGRAM, MODULE = sys.argv[1:3]
BAD = {
    "THRIFTATTN_MODE": "fastest",
    "THRIFTATTN_POLICY": "oracle_of_delphi",
    "THRIFTATTN_COMPUTE": "w2a2",
    "THRIFTATTN_BUDGET": "120%",
    "THRIFTATTN_TAU": "-0.5",
    "THRIFTATTN_CROSSOVER": "many",
    "THRIFTATTN_SHORT_CACHE": "1.5",
    "THRIFTATTN_HIGH_TIER": "fp8",
    "THRIFTATTN_STATS": "perhaps",
    "THRIFTATTN_ISA": "mmx",
}


def load(**variables):
    return subprocess.run(
        [PROGRAM, "test", "-b", "THRIFTATTN", "-o", "SET_ROWS", "-p", "ne=.256,5,1,3.,nr23=.1,1.,r=1,v=0"],
        capture_output=True, text=True,
        env={**os.environ, "GGML_BACKEND_PATH": MODULE, "THRIFTATTN_ANYBUF": "1", **variables})


class EnvironmentTest(unittest.TestCase):
    def test_good_values_load(self):
        result = load(THRIFTATTN_MODE="paper", THRIFTATTN_BUDGET="5%", THRIFTATTN_TAU="0.01")
        self.assertIn("Backend THRIFTATTN", result.stdout, result.stderr)
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_bad_values_are_named(self):
        for name, value in BAD.items():
            with self.subTest(name):
                result = load(**{name: value})
                self.assertNotIn("Backend THRIFTATTN", result.stdout)
                lines = [line for line in result.stderr.splitlines() if value in line]
                self.assertEqual(len(lines), 1, result.stderr)
                self.assertIn(name, lines[0])
                self.assertIn("supported", lines[0])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
