// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode/launch.cuh"

namespace thriftattn::cuda {

const DecodeKernels kDecodeNested256 = DecodeLaunch<256, HighTier::kNested>::table();

}  // namespace thriftattn::cuda
