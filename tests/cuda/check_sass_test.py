#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
"""Breaks each rule of check_sass.py once, in listings of its own, and expects the check to say so."""

import sys
import unittest
from unittest import mock

sys.path.insert(0, sys.argv.pop(1))
import check_sass  # noqa: E402

SYMBOL = ("_ZN10thriftattn4cuda13decode_kernelINS0_12DecodeTraitsILi128ELNS0_5PhaseE1ELNS_8HighTierE1E"
          "Lb0EEEEEvNS0_10DecodeArgsE")
# A loop of six (0x20 to 0x70) inside a larger one, a wait that leaves it and comes back, a call behind.
GOOD = ("MOV R1, c[0x0][0x28]", "UBLKCP.S.G [UR4], [UR6], UR8", "SYNCS.PHASECHK.TRANS64 P0, [R2], R3",
        "@!P0 BRA 0x{wait:x}", "HMMA.16816.F32 R4, R8, R12, R4", "LDS R5, [R6]", "ISETP.NE P1, PT, R5, RZ, PT",
        "@P1 BRA 0x20", "IADD3 R7, R7, 0x1, RZ", "@P2 BRA 0x10", "CALL.REL.NOINC 0x110", "EXIT",
        "SYNCS.PHASECHK.TRANS64 P0, [R2], R3", "@!P0 BRA 0x{wait:x}", "BRA 0x40", "EXIT")


def listing(code=GOOD, registers=168, stack=0):
    """What cuobjdump -sass and -res-usage print."""
    lines = ["\tcode for sm_90a", f"\t\tFunction : {SYMBOL}"]
    for i, text in enumerate(code):
        lines.append(f"        /*{16 * i:04x}*/                   {text.format(wait=16 * 12)} ;   /* 0x0 */")
        lines.append(" " * 60 + "/* 0x0 */")
    usage = ["arch = sm_90a", f" Function {SYMBOL}:", f"  REG:{registers} STACK:{stack} SHARED:1024 LOCAL:0"]
    return "\n".join(lines), "\n".join(usage)


def changed(place, text):
    return [text if i == place else line for i, line in enumerate(GOOD)]


class Sass(unittest.TestCase):
    def kernel(self, **what):
        with mock.patch.object(check_sass, "run", side_effect=listing(**what)):
            (kernel,) = check_sass.read_object("cuobjdump", "d128.cu.o").values()
        check_sass.find_main_loop(kernel)
        return kernel

    def problems(self, **what):
        budget = check_sass.Budget(168, needs=check_sass.DECODE, code_kb=0.25)
        return "\n".join(check_sass.problems(self.kernel(**what), budget))

    def test_good_kernel_passes(self):
        self.assertEqual(self.kernel().name, "decode_kernel<128, 1, 1, 0>")
        self.assertEqual(self.problems(), "")

    def test_kernel_is_read_as_linked(self):
        objects, linked = listing(registers=52), listing(registers=64, stack=328)
        for members in ((objects, linked), (linked, objects)):
            texts = ["\n".join(text) for text in zip(*members)]
            with mock.patch.object(check_sass, "run", side_effect=texts):
                (kernel,) = check_sass.read_object("cuobjdump", "lib.a").values()
            self.assertEqual((kernel.registers, kernel.stack_bytes, len(kernel.code)), (64, 328, len(GOOD)))

    def test_name_of_a_kernel_of_one_file(self):
        # The hash is that of where the file lies. In the last one "51" is how far it is to the end of the name.
        for file in ("4e1508f2", "19fd7641", "6bdf51eb"):
            symbol = (f"__nv_static_37__{file}_15_append_fresh_cu_fee06bd6__ZN10thriftattn4cuda48_GLOBAL__N__{file}_15_"
                      "append_fresh_cu_fee06bd619append_fresh_kernelENS0_9FreshArgsE")
            self.assertEqual(check_sass.short_name(symbol), "append_fresh_kernel")

    def test_name_of_what_is_no_kernel(self):
        for symbol in ("_ZN10thriftattn4cuda11seal_linkedEv", "memcpy", "_ZN99short"):
            self.assertEqual(check_sass.short_name(symbol), symbol)

    def test_main_loop_is_the_inner_one_with_its_wait(self):
        self.assertEqual(self.kernel().loop, [2, 3, 4, 5, 6, 7, 12, 13, 14])

    def test_breaches(self):
        cases = {
            "registers": {"registers": 170},
            "bytes of stack": {"stack": 8},
            "LDL in the main loop": {"code": changed(5, "LDL R5, [R1+0x8]")},
            "local memory is used": {"code": changed(8, "STL.64 [R1], R6")},
            "CALL in the main loop": {"code": changed(5, "CALL.ABS.NOINC R14")},
            "no UBLKCP": {"code": changed(1, "NOP")},
            "no HMMA": {"code": changed(4, "FFMA R4, R8, R12, R4")},
            "288 bytes of code, at most 0.25 KB": {"code": [*GOOD, "NOP", "NOP"]},
            "no loop": {"code": [line for line in GOOD if "BRA" not in line]},
        }
        for want, what in cases.items():
            with self.subTest(want):
                self.assertIn(want, self.problems(**what))

    def test_every_kernel_has_a_budget(self):
        self.assertIsNotNone(check_sass.budget_of(self.kernel()))


if __name__ == "__main__":
    unittest.main()
