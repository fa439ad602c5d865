// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/device.h"
#include "cuda/other_code.h"

namespace thriftattn::bench {
namespace {

constexpr int kThreads = 128;
constexpr int kSteps = 4096;  // of one instruction of 16 bytes: more are not unrolled

// 64 KB: a constant in each step keeps them from being one loop.
template <int kPart>
__device__ __forceinline__ float run_part(float x, float add) {
#pragma unroll
  for (int i = 0; i < kSteps; ++i) {
    x = fmaf(x, 1.0f + static_cast<float>(kSteps * kPart + i) * 0x1p-18f, add);
  }
  return x;
}

__global__ void __launch_bounds__(kThreads) other_code_kernel(float* out, float add) {
  float x = static_cast<float>(threadIdx.x);
  x = run_part<1>(run_part<0>(x, add), add);
  x = run_part<3>(run_part<2>(x, add), add);
  if (x < 0) *out = x;  // never, which nobody knows
}

}  // namespace

void run_other_code(cudaStream_t stream) {
  static float* const out = static_cast<float*>(memory(sizeof(float)));
  int device = 0;
  int sms = 0;
  require(cudaGetDevice(&device));
  require(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device));
  other_code_kernel<<<2 * sms, kThreads, 0, stream>>>(out, 0x1p-30f);
  require(cudaGetLastError());
}

}  // namespace thriftattn::bench
