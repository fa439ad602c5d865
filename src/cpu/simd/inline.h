// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What is safe to share between objects of different ISAs: code that leaves no symbol behind. A
// plain inline function or a std template would leave a weak one, and the linker may keep the copy
// of the widest ISA.
#pragma once

#define THRIFTATTN_INLINE __attribute__((always_inline)) inline

// Loops whose counts are template arguments: unrolled, or their arrays of vectors would live in
// memory.
#define THRIFTATTN_UNROLL _Pragma("GCC unroll 16")
