// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/kernel_table.h"

namespace thriftattn::cpu {

const KernelTable* avx512_kernels() { return nullptr; }

}  // namespace thriftattn::cpu
