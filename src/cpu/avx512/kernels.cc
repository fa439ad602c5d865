// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The kernels of simd/kernels_inl.h in AVX-512. Nothing but avx512_kernels leaves this object.
#include "engine/kernel_table.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include "cpu/avx512/vec.h"
#define THRIFTATTN_SIMD avx512
#include "cpu/simd/kernels_inl.h"

namespace thriftattn::cpu {
namespace {

constexpr KernelTable kKernels = {.name = "avx512",
                                  .unpack_nvfp4 = avx512::unpack_nvfp4,
                                  .unpack_half = avx512::unpack_half,
                                  .unpack_half_transposed = avx512::unpack_half_transposed,
                                  .gemm = avx512::gemm,
                                  .gemm_nvfp4 = avx512::gemm_nvfp4,
                                  .decoding_rows = 6,
                                  .block_softmax = avx512::block_softmax,
                                  .block_weights = avx512::block_weights};

}  // namespace

const KernelTable* avx512_kernels() { return &kKernels; }

}  // namespace thriftattn::cpu
#else
namespace thriftattn::cpu {

const KernelTable* avx512_kernels() { return nullptr; }

}  // namespace thriftattn::cpu
#endif
