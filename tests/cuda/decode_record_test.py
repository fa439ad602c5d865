#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""The rows that bench/h200_decode.py makes of what cuda_decode_bench prints; needs no device."""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1))
import h200_decode  # noqa: E402

DATA = {"shape": [1, 32768, 32, 8, 128], "layer": -1,
        "profile": {"share_50": 0.01, "share_90": 0.2, "share_99": 0.5, "share_999": 0.8, "turnover": 0.1}}
PEER = {"arm": "cudnn_bf16", "us": 60.0, "us_spread": 0.5, "tail_share": 0, "bytes": 134217728}
STEP = {"arm": "promoted_5", "us": 30.0, "us_spread": 0.4, "us_keep": 24.0, "bytes": 45_000_000,
        "tail_share": 0.25, "promoted_share": 0.05, "mass_covered": 0.7, "mass_covered_keep": 0.6,
        "mass_tail": 0, "error": 0.01, "error_scratch": 0.009}
COPY = 3e12  # bytes a second


def append(us):
    return {"arm": "append_seal", "us": us, "us_spread": 0, "us_step": 30.0, "us_seal": 20.0,
            "us_among": us, "us_step_among": 32.0, "us_alone": 6.0, "bytes": 4096, "tail_share": 0}


def rows_and_text(arms):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        rows = h200_decode.rows_of(DATA, arms, PEER, COPY, None)
    return rows, text.getvalue()


class Rows(unittest.TestCase):
    def test_a_step_is_put_beside_the_peer_and_the_copy(self):
        (peer, step), text = rows_and_text([STEP])
        self.assertEqual(peer["ratio_to_cudnn"], 1)
        self.assertAlmostEqual(step["ratio_to_cudnn"], 2)
        self.assertAlmostEqual(step["share_of_copy"], 0.5)
        self.assertEqual((step["kv_len"], step["head_dim"], step["us_keep"]), (32768, 128, 24))
        self.assertIn(" 2.00x    50 % of copy  tail 0.25  sets kept     24.0 us  2.50x", text)

    def test_an_append_is_a_difference_that_may_be_nothing(self):
        for us in (2.4, 0.0, -0.3):
            with self.subTest(us=us):
                (_, row), text = rows_and_text([append(us)])
                self.assertEqual(row["us"], us)
                self.assertIsNone(row["ratio_to_cudnn"])
                self.assertIsNone(row["share_of_copy"])
                self.assertIn(f"{100 * us / 30:.1f} % of a step", text)
                json.dumps(row, allow_nan=False)


class Undisturbed(unittest.TestCase):
    def test_a_measurement_that_spreads_is_made_again(self):
        for measured, expected, left in (([(63, 0.4), (1, 0)], (63, 0.4), 1),
                                         ([(186, 60), (63, 0.4), (1, 0)], (63, 0.4), 1),
                                         ([(186, 60)] * 4, (186, 60), 1)):
            with self.subTest(measured=measured):
                rest = list(measured)
                self.assertEqual(h200_decode.undisturbed(lambda: rest.pop(0)), expected)
                self.assertEqual(len(rest), left)


class Program(unittest.TestCase):
    def run_script(self, script):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "program.py")
            path.write_text(script, encoding="utf-8")
            return h200_decode.ours(sys.executable, [path, 8, 0.5])

    def test_arms_follow_their_data(self):
        lines = [DATA, STEP, append(1), DATA | {"layer": 3}, STEP]
        runs = self.run_script("".join(f"print({json.dumps(line)!r})\n" for line in lines))
        self.assertEqual([(data["layer"], [arm["arm"] for arm in arms]) for data, arms in runs],
                         [(-1, ["promoted_5", "append_seal"]), (3, ["promoted_5"])])

    def test_what_a_failed_program_says_is_passed_on(self):
        with self.assertRaisesRegex(SystemExit, "program.py 8 0.5: out of memory"):
            self.run_script("import sys; sys.exit('out of memory')")


if __name__ == "__main__":
    unittest.main()
