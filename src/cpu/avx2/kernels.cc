// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The kernels of simd/kernels_inl.h in AVX2. Nothing but avx2_kernels leaves this object.
#include "engine/kernel_table.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "cpu/avx2/vec.h"
#define THRIFTATTN_SIMD avx2
#include "cpu/simd/kernels_inl.h"

namespace thriftattn::cpu {
namespace {

constexpr KernelTable kKernels = {.name = "avx2",
                                  .unpack_nvfp4 = avx2::unpack_nvfp4,
                                  .unpack_half = avx2::unpack_half,
                                  .unpack_half_transposed = avx2::unpack_half_transposed,
                                  .gemm = avx2::gemm,
                                  .gemm_nvfp4 = avx2::gemm_nvfp4,
                                  .decoding_rows = 3,
                                  .block_softmax = avx2::block_softmax,
                                  .block_weights = avx2::block_weights};

}  // namespace

const KernelTable* avx2_kernels() { return &kKernels; }

}  // namespace thriftattn::cpu
#else
namespace thriftattn::cpu {

const KernelTable* avx2_kernels() { return nullptr; }

}  // namespace thriftattn::cpu
#endif
