// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How select begins while the kernel in front of it still writes its output: it waits for the
// panels of its own unit, and works out their lse from the same sums.
#pragma once

#include <cstdint>

#include "cuda/common/ptx.cuh"
#include "cuda/decode/rows.cuh"
#include "cuda/decode/types.h"

namespace thriftattn::cuda {

inline constexpr int kMaxUnitPanels = kMaxUnitRows / kPanelRows;

// Of a unit, in shared memory.
struct UnitPanels {
  std::uint32_t ready[kMaxUnitPanels];  // PanelReady words
  alignas(16) float lse[kMaxUnitRows];  // log2, by row
};

// Barriers of the threads that make keys, and of the others.
inline constexpr int kReadyBarrier = 1;
inline constexpr int kOthersBarrier = 2;

// Until all that the panels from `first` on were cut into is there. The first `threads` call it,
// and one a panel asks: a lane of each warp would take .3 to 1 us from those that still work on
// one. The others need not wait, and call pass_panels().
__device__ inline void await_panels(const SelectArgs& args, int first, int panels, int threads,
                                    UnitPanels& unit) {
  const int panel = static_cast<int>(threadIdx.x);
  if (args.ready == nullptr) ptx::wait_for_previous_kernel();
  if (panel < panels) {
    PanelReady ready;
    if (args.ready != nullptr) {
      do {
        ready = PanelReady(ptx::load_acquire(args.ready + first + panel));
      } while (!ready.is_ready());
    }
    unit.ready[panel] = ready.word();
  }
  ptx::named_barrier(kReadyBarrier, threads);
}
// Nobody waits for anything here: compute-sanitizer's racecheck counts the barriers of each warp,
// and takes what comes behind for unordered where one has met fewer than another.
__device__ inline void pass_panels(int threads) { ptx::named_barrier(kOthersBarrier, threads); }

// Of a panel's row, over the parts that it was cut into. A warp calls it; all lanes get it.
__device__ inline float lse_of(const PartialHeader* headers, int count, int row, int lane) {
  float top = kNoReference;
  float sum = 0;
#pragma unroll 1
  for (int i = lane; i < count; i += 32) {
    const float reference = __ldcg(&headers[i].reference[row]);
    const float more = __ldcg(&headers[i].sum[row]);
    const float higher = fmaxf(top, reference);
    sum = sum * ptx::exp2_approx(top - higher) + more * ptx::exp2_approx(reference - higher);
    top = higher;
  }
  float highest = top;
#pragma unroll
  for (int d = 16; d > 0; d /= 2) highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, d));
  sum *= ptx::exp2_approx(top - highest);
#pragma unroll
  for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
  return highest + ptx::log2_approx(sum);
}

// The lse of a unit's rows, [rows] as log2, behind await_panels(). A warp a row, the first `warps`
// call it.
__device__ inline void find_lses(const SelectArgs& args, int first_panel, int rows, int warps,
                                 UnitPanels& unit) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int warp = static_cast<int>(threadIdx.x) / 32;
#pragma unroll 1
  for (int row = warp; row < rows; row += warps) {
    const PanelReady parts(unit.ready[row / kPanelRows]);
    const float lse = parts.count() == 0 ? __ldcg(args.row_lse + first_panel * kPanelRows + row)
                                         : lse_of(args.headers + parts.first(), parts.count(),
                                                  row % kPanelRows, lane);
    if (lane == 0) unit.lse[row] = lse;
  }
}

// So that the next call finds them as this one did, and so that what follows this kernel follows
// the one in front of it too. All threads call it, when those of no peer are still waiting.
__device__ inline void leave_panels(const SelectArgs& args, int first, int panels) {
  if (args.ready == nullptr) return;
  const int panel = static_cast<int>(threadIdx.x);
  if (panel < panels) args.ready[first + panel] = 0;
  ptx::wait_for_previous_kernel();
}

}  // namespace thriftattn::cuda
