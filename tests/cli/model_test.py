# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""thriftattn eval on SmolLM2 with a short text. Skipped where scripts/get_model.sh has not run."""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

COMMAND = pathlib.Path(sys.argv.pop(1))
MODELS = [pathlib.Path(os.environ.get("THRIFTATTN_MODELS", COMMAND.parent.parent / "models")),
          pathlib.Path(__file__).resolve().parents[2] / "build" / "models"]
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
FOLDER = next((folder for folder in MODELS if (folder / NAME).exists()), None)
TEXT = "".join(f"In the year {i} the river rose {i * 7 % 13} feet, and the town of number "
               f"{i * 31 % 97} sent {i % 5} boats.\n" for i in range(400))


def run(*args):
    return subprocess.run([str(COMMAND), *map(str, args)], capture_output=True, text=True,
                          env={**os.environ, "THRIFTATTN_MODELS": str(FOLDER)})


class ModelTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        (self.path / "text.txt").write_text(TEXT)

    def evaluate(self, *args):
        report = self.path / "out.json"
        result = run("eval", "--text", self.path / "text.txt", "--json", report, *args)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(report.read_text())

    def expect_error(self, code, word, *args):
        report = self.path / "out.json"
        result = run("eval", "--json", report, *args)
        self.assertEqual(result.returncode, code, result.stderr)
        line = result.stderr.splitlines()[-1]
        self.assertTrue(line.startswith("thriftattn: "), result.stderr)
        self.assertIn(word, line)
        self.assertFalse(report.exists())

    def test_equal_arms_have_no_distance(self):
        report = self.evaluate("--ctx", 256, "--no-decode-speed", "--arms",
                               "fp16,fp16:name=again,thrift,thrift:name=too")
        arms = {arm["name"]: arm for arm in report["arms"]}
        self.assertEqual(arms["again"]["kl"], 0.0)
        self.assertEqual(arms["again"]["kl_p99"], 0.0)
        self.assertEqual(arms["again"]["top1"], 1.0)
        self.assertEqual(arms["again"]["nll"], arms["fp16"]["nll"])
        self.assertEqual(arms["too"]["kl"], arms["thrift"]["kl"])
        self.assertIsNone(arms["fp16"]["decode_tokens_per_s"])

    def test_arms_stand_in_their_order(self):
        report = self.evaluate("--ctx", 768, "--html", self.path / "out.html")
        arms = {arm["name"]: arm for arm in report["arms"]}
        self.assertEqual(list(arms), ["fp16", "floor", "fp4_all", "fp4", "paper", "thrift"])
        kl = {name: arm["kl"] for name, arm in arms.items()}
        self.assertEqual(kl["fp16"], 0.0)
        self.assertLess(kl["floor"], kl["thrift"])
        self.assertLess(kl["thrift"], kl["fp4"])
        self.assertLess(kl["fp4"], kl["fp4_all"])
        for name in ("fp16", "floor"):
            self.assertEqual(arms[name]["kv_bits_per_element"], 16.0)
        for name in ("fp4_all", "fp4", "paper", "thrift"):
            self.assertLess(arms[name]["kv_bits_per_element"], 12.0)
        for arm in arms.values():
            self.assertGreater(arm["decode_tokens_per_s"], 0.0)
            self.assertTrue(0.0 < arm["attention_share"] < 1.0, arm)
        self.assertIn("<svg", (self.path / "out.html").read_text())

    def test_sets_one_step_old(self):
        report = self.evaluate("--ctx", 768, "--no-decode-speed", "--arms", "fp16,fp4,thrift,thrift_lag1")
        kl = {arm["name"]: arm["kl"] for arm in report["arms"]}
        self.assertNotEqual(kl["thrift_lag1"], kl["thrift"])
        self.assertLess(kl["thrift_lag1"], kl["fp4"])

    def test_prefill_w4a4(self):
        report = self.evaluate("--ctx", 1024, "--phase", "prefill", "--mode", "w4a4", "--arms",
                               "fp16,fp4_all,thrift", "--no-decode-speed")
        kl = {arm["name"]: arm["kl"] for arm in report["arms"]}
        self.assertLess(kl["thrift"], kl["fp4_all"])

    def test_capture(self):
        file = self.path / "some.safetensors"

        def inspect(ctx, layers, *args):
            return run("inspect", "--model", "smollm2", "--text", self.path / "text.txt", "--ctx", ctx,
                       "--steps", 5, "--layers", layers, "--capture", file, *args)

        for word, args in (("--layers 30", (600, "30")), ("--capture-mib", (8192, "3,17", "--capture-mib", 12))):
            result = inspect(*args)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn(word, result.stderr.splitlines()[-1])
            self.assertFalse(file.exists())

        result = inspect(600, "3,17")
        self.assertEqual(result.returncode, 0, result.stderr)
        # What the model gave is what attend makes of the capture.
        lines = [line.split() for line in result.stdout.splitlines()]
        replay = {line[0]: float(line[-1]) for line in lines if line and line[0] in ("3", "17")}
        self.assertEqual(list(replay), ["3", "17"], result.stdout)
        self.assertLess(max(replay.values()), 1e-5)
        content = file.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8:8 + length])
        metadata = header.pop("__metadata__")
        self.assertEqual(metadata["layer.3.softmax_scale"], "0.125")
        self.assertEqual(header["layer.3.k"]["shape"], [600, 3, 64])
        self.assertEqual(header["layer.17.q"]["shape"], [5, 9, 64])
        self.assertEqual(header["layer.17.out"]["dtype"], "F32")
        self.assertEqual(max(tensor["data_offsets"][1] for tensor in header.values()), len(content) - 8 - length)

    def test_bad_wishes(self):
        text = self.path / "text.txt"
        self.expect_error(1, "too short", "--text", text, "--ctx", 1 << 19)
        self.expect_error(2, "trained", "--text", text, "--ctx", 8448)
        broken = self.path / "broken.gguf"
        with open(FOLDER / NAME, "rb") as model:
            broken.write_bytes(model.read(8 << 20))
        self.expect_error(1, "broken.gguf", "--text", text, "--model", broken)
        self.expect_error(1, "broken.gguf", "--text", text, "--model", broken, "--weights", "as-is")
        self.assertEqual(sorted(p.name for p in self.path.iterdir()), ["broken.gguf", "text.txt"])


if __name__ == "__main__":
    if FOLDER is None:
        print("SKIPPED: no model; get it with scripts/get_model.sh smollm2")
        sys.exit(0)
    unittest.main()
