// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode/launch.cuh"

namespace thriftattn::cuda {

const DecodeKernels kDecode128 = DecodeLaunch<128, HighTier::kRows16>::table();

}  // namespace thriftattn::cuda
