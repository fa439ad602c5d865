# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""Exit codes and messages that need no model: 2 for usage, 1 for failure, always one line."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

COMMAND = sys.argv.pop(1)


def run(*args, **env):
    return subprocess.run(
        [COMMAND, *map(str, args)], capture_output=True, text=True, env={**os.environ, **env}
    )


class CommandTest(unittest.TestCase):
    def expect_error(self, code, word, *args, **env):
        result = run(*args, **env)
        self.assertEqual(result.returncode, code, (args, result.stderr))
        self.assertEqual(result.stderr.count("\n"), 1, (args, result.stderr))
        self.assertTrue(result.stderr.startswith("thriftattn: "), result.stderr)
        self.assertIn(word, result.stderr, args)
        self.assertEqual(result.stdout, "", args)

    def test_help_and_version(self):
        for args in (["--help"], ["--help-all"], ["eval", "--help"], ["bench", "attend", "--help"]):
            result = run(*args)
            self.assertEqual((result.returncode, result.stderr), (0, ""), args)
            self.assertIn("--", result.stdout)
        result = run("--version")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"thriftattn \d+\.\d+\.\d+")
        self.assertIn("scalar", result.stdout)

    def test_usage(self):
        cuda = ("bench", "attend", "--device", "cuda")
        for word, *args in (
            ["subcommand"],
            ["colour", "--colour"],
            ["colour", "colour"],
            ["budget", "eval", "--budget", "1.5"],
            ["budget", "eval", "--budget", "-0.1"],
            ["budget", "eval", "--budget", "nan"],
            ["budget", "eval", "--budget", "five"],
            ["tau", "eval", "--tau", "2"],
            ["phase", "eval", "--phase", "both"],
            ["mode", "eval", "--mode", "fp8"],
            ["ctx", "eval", "--ctx", "0"],
            ["ctx", "eval", "--ctx", "-5"],
            ["ctx", "eval", "--ctx", "99999999999999999999"],
            ["policy", "eval", "--policy", "best"],
            ["arm", "eval", "--arms", "fp16,fp8"],
            ["--phase decode", "eval", "--phase", "prefill", "--arms", "fp16,thrift_lag1"],
            ["weights", "eval", "--weights", "q4"],
            ["threads", "eval", "--threads", "-1"],
            ["subcommand", "bench"],
            ["isa", "bench", "attend", "--isa", "sse9"],
            ["arms", "bench", "attend", "--arms", "fast"],
            ["high-tier", "inspect", "--high-tier", "fp8"],
            ["q-heads", "bench", "attend", "--q-heads", "3", "--kv-heads", "2"],
            ["head_dim", "bench", "attend", "--head-dim", "40"],
            ["peer", "bench", "attend", "--peer", "mkl"],
            ["device", "bench", "attend", "--device", "tpu"],
            ["--turnover", "bench", "attend", "--turnover", "10"],
            ["--profile", "bench", "attend", "--profile", "smollm2"],
            ["policy", "bench", "attend", "--policy", "best"],
            ["mode", "bench", "attend", "--mode", "fp8"],
            ["thrift_keep", "bench", "attend", "--arms", "thrift_keep"],
            ["--isa", *cuda, "--isa", "avx2"],
            ["--threads", *cuda, "--threads", "2"],
            ["--layers", *cuda, "--layers", "30"],
            ["--peer", *cuda, "--peer", "ggml"],
            ["kv4", *cuda, "--mode", "w4a4"],
            ["block_mean", *cuda, "--policy", "local"],
            ["block_mean", *cuda, "--policy", "random"],
            ["64, 128, 256", *cuda, "--head-dim", "96"],
            ["thrift_scratch", *cuda, "--arms", "fast"],
            ["turnover", *cuda, "--turnover", "101"],
            ["turnover", *cuda, "--turnover", "nan"],
            ["smollm2", *cuda, "--profile", "gpt"],
            ["smollm2", *cuda, "--profile", "1.5"],
            ["smollm2", *cuda, "--profile", "nan"],
            ["model-shape", "inspect", "--model-shape", "gpt"],
            ["policy", "inspect", "--policy", "best"],
            ["kv-len", "inspect", "--kv-len", "0"],
            ["--model", "inspect", "--capture", "some.safetensors"],
        ):
            with self.subTest(args=args):
                self.expect_error(2, word, *args)

    def test_unknown_isa_in_the_environment(self):
        self.expect_error(2, "THRIFTATTN_ISA", "inspect", "--kv-len", 64, THRIFTATTN_ISA="sse9")

    def test_missing_and_corrupt_files(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            text = folder / "text.txt"
            text.write_text("word " * 5000)
            noise = folder / "noise.gguf"
            noise.write_bytes(b"not a model at all" * 100)
            header = folder / "header.gguf"
            header.write_bytes(b"GGUF" + b"\xff" * 4096)
            (folder / "empty.gguf").write_bytes(b"")
            (folder / "empty.txt").write_bytes(b"")
            self.expect_error(1, "no such file", "eval", "--model", folder / "none.gguf")
            self.expect_error(1, "not a file", "eval", "--model", folder)
            self.expect_error(1, "get_model.sh smollm2", "eval", THRIFTATTN_MODELS=str(folder))
            self.expect_error(1, "not a GGUF", "eval", "--model", noise)
            self.expect_error(1, "cannot be read", "eval", "--model", folder / "empty.gguf")
            given = ["eval", "--model", header, "--text"]
            self.expect_error(1, "none.txt", *given, folder / "none.txt")
            self.expect_error(1, "empty", *given, folder / "empty.txt")
            self.expect_error(1, "folder", *given, folder)
            self.expect_error(1, "corrupt", *given, text)
            self.expect_error(1, "THRIFTATTN_MODULE", *given, text, THRIFTATTN_MODULE="/none.so")
            self.expect_error(1, "not be written", *given, text, "--json", folder / "no" / "o.json")
            self.assertEqual(sorted(p.name for p in folder.iterdir() if ".part" in p.name), [])

    def test_inspect(self):
        result = run("inspect", "--kv-len", 1000, "--budget", 0.1)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("kv head 2, q heads 6 to 8", result.stdout)
        self.assertRegex(result.stdout, r"\n +0  F[F#+o.k]{14}F\n")

    def test_inspect_nested(self):
        def held(*args):
            result = run("inspect", "--kv-len", 8192, *args)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            return float(re.search(r"([\d.]+) KiB held", result.stdout).group(1))
        self.assertLess(2 * held("--high-tier", "nested"), held("--high-tier", "rows16"))

    def test_bench(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "bench.json"
            result = run("bench", "attend", "--kv-len", 512, "--layers", 2, "--repeats", 3,
                         "--batch", 2, "--peer", "ggml", "--arms",
                         "fp16,low_only,paper,thrift,nested",
                         "--json", path)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            report = json.loads(path.read_text())
            arms = {arm["name"]: arm for arm in report["arms"]}
            self.assertEqual(list(arms), ["fp16", "low_only", "paper", "thrift", "nested", "ggml"])
            # The peer computes the same thing: it differs from our 16 bit by rounding only.
            self.assertLess(arms["ggml"]["distance"], 0.02)
            self.assertLess(arms["thrift"]["distance"], arms["low_only"]["distance"])
            self.assertLess(arms["low_only"]["bytes"], arms["thrift"]["bytes"])
            self.assertLess(arms["nested"]["distance"], arms["low_only"]["distance"])
            self.assertLess(arms["nested"]["bytes"], arms["thrift"]["bytes"])
            self.assertEqual(arms["fp16"]["bytes"], arms["ggml"]["bytes"])

    def test_bench_policies_and_modes(self):
        for args in (["--policy", "quest"], ["--policy", "random"], ["--mode", "w4a4"]):
            result = run("bench", "attend", "--kv-len", 512, "--repeats", 1, *args)
            self.assertEqual((result.returncode, result.stderr), (0, ""), args)

    def test_bench_without_a_gpu(self):
        self.expect_error(1, "--device cuda: ", "bench", "attend", "--device", "cuda",
                          CUDA_VISIBLE_DEVICES="")


if __name__ == "__main__":
    unittest.main()
