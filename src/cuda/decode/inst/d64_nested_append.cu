// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode/launch.cuh"

namespace thriftattn::cuda {

const DecodeKernels kAppendNested64 = DecodeLaunch<64, HighTier::kNested, true>::table();

}  // namespace thriftattn::cuda
