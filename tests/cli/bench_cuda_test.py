# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""thriftattn bench attend --device cuda; skipped where it says that there is no device."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMMAND = [sys.argv.pop(1), "bench", "attend", "--device", "cuda"]
ARMS = ["fp16", "low_only", "paper", "thrift", "thrift_keep", "thrift_scratch", "nested"]


def run(*args):
    return subprocess.run([*COMMAND, *map(str, args)], capture_output=True, text=True)


class BenchCudaTest(unittest.TestCase):
    def report(self, *args):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "bench.json"
            result = run("--kv-len", 32768, "--q-heads", 8, "--kv-heads", 2, "--head-dim", 128,
                         "--repeats", 5, "--arms", ",".join(ARMS), "--json", path, *args)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            return json.loads(path.read_text())

    def test_arms(self):
        report = self.report("--batch", 2)
        arms = {arm["name"]: arm for arm in report["arms"]}
        self.assertEqual(list(arms), ARMS)
        self.assertLess(arms["thrift"]["distance"], arms["low_only"]["distance"])
        self.assertLess(arms["thrift_scratch"]["distance"], arms["low_only"]["distance"])
        self.assertLess(arms["nested"]["distance"], arms["low_only"]["distance"])
        self.assertLess(arms["nested"]["bytes"], arms["thrift"]["bytes"])
        self.assertLess(arms["low_only"]["bytes"], arms["fp16"]["bytes"])
        self.assertLess(arms["thrift"]["bytes"], arms["fp16"]["bytes"])
        self.assertAlmostEqual(arms["thrift"]["promoted_share"], 0.05, delta=0.01)
        self.assertEqual(arms["low_only"]["tail_share"], 0)
        for arm in arms.values():
            self.assertGreater(arm["us"], 0)

    def test_data_has_the_profile_of_the_record(self):
        for name, wanted in (
            ("gemma3-270m", {"share_90": 0.254, "share_99": 0.592, "share_999": 0.834, "turnover": 0.29}),
            ("smollm2", {"share_90": 0.112, "share_99": 0.312, "share_999": 0.541, "turnover": 0.178}),
        ):
            profile = self.report("--profile", name)["profile"]
            for key, value in wanted.items():
                self.assertAlmostEqual(profile[key], value, delta=0.08, msg=f"{name} {key}")

    def test_turnover(self):
        for percent in (0, 25, 100):
            profile = self.report("--turnover", percent)["profile"]
            self.assertAlmostEqual(profile["turnover"], percent / 100, delta=0.08)

    def test_policies(self):
        for policy in ("block_mean", "quest"):
            self.report("--policy", policy)


if __name__ == "__main__":
    probe = run("--kv-len", 64, "--repeats", 1)
    if probe.returncode == 1 and probe.stderr.startswith("thriftattn: --device cuda: "):
        print("SKIPPED: " + probe.stderr.strip())
        sys.exit(0)
    unittest.main()
