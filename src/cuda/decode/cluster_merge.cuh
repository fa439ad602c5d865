// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The sums of a panel whose CTAs are a cluster. Each CTA adds up what its warps have and sends it,
// each of them a slice of the dims, to all; then each adds up the slice that all have sent it.
// Nothing goes through global memory, and nobody waits but for what it needs. Parts are added in
// order.
#pragma once

#include <cstdint>

#include "cuda/decode/launch.h"
#include "cuda/decode/merge.cuh"

namespace thriftattn::cuda {

// What comes to a CTA from those of its cluster, itself among them.
template <class T>
struct alignas(16) ClusterInbox {
  static constexpr int kElements = T::kHeadDim / 16 * 32;  // of a panel's sums: a lane's steps

  float4 sums[kElements];                          // of each CTA, a slice
  float4 states[kMaxClusterCtas][kPanelRows / 2];  // of two rows: their references, their sums
  std::uint64_t barrier;

  [[nodiscard]] static constexpr std::uint32_t bytes(int ctas) {
    return static_cast<std::uint32_t>(sizeof(sums)) +
           static_cast<std::uint32_t>(ctas) * sizeof(states[0]);
  }
};

template <class T>
class ClusterMerge {
  using Inbox = ClusterInbox<T>;
  static constexpr int kElements = Inbox::kElements;

 public:
  // In front of everything: opens the inbox and tells the others.
  __device__ static void open(Inbox& inbox, int ctas) {
    if (threadIdx.x == 0) {
      const std::uint32_t barrier = ptx::shared_address(&inbox.barrier);
      ptx::barrier_init(barrier, 1);
      ptx::barrier_init_fence();
      ptx::barrier_expect(barrier, Inbox::bytes(ctas));
    }
    ptx::cluster_arrive();
  }

  // cta: of `ctas`, the cluster.
  __device__ ClusterMerge(const DecodeArgs& args, const PanelItems& items, int panel, int cta,
                          int ctas, Inbox& inbox, const SharedMap<T>& map)
      : args_(args),
        items_(items),
        panel_(panel),
        cta_(cta),
        ctas_(ctas),
        inbox_(inbox),
        map_(map) {}

  // All threads call it, behind leave_piece() of the first `warps` warps. meanwhile() is done on
  // the way.
  template <class Meanwhile>
  __device__ void run(int warps, Meanwhile meanwhile) const {
    ptx::cluster_wait();  // all inboxes are open
    __syncthreads();
    ptx::launch_next_kernel();
    const int slice = kElements / ctas_;
    const States states = map_.states(0);
    const float4* sums = map_.sums(0);
    for (int at = thread(); at < kElements; at += threads()) {
      const int row = 2 * (at & 3);
      const Total total = add_up(warps, [&](int i) {
        const States state = states.from(i);
        return Part{sums[i * (T::kWarpBytes / 16) + at],
                    *reinterpret_cast<const float2*>(state.reference(0) + row),
                    *reinterpret_cast<const float2*>(state.used(0) + row)};
      });
      send(at / slice, &inbox_.sums[cta_ * slice + at % slice], total.step.sums);
      if (at >= kPanelRows / 2) continue;
      for (int to = 0; to < ctas_; ++to) {
        send(to, &inbox_.states[cta_][at],
             {total.top.x, total.top.y, total.step.used.x, total.step.used.y});
      }
    }
    meanwhile();
    if (ctas_ == 1) {
      __syncthreads();
    } else {
      ptx::barrier_wait(ptx::shared_address(&inbox_.barrier), 0);
    }
    for (int i = thread(); i < slice; i += threads()) {
      const int at = cta_ * slice + i;
      const Total total = add_up(ctas_, [&](int from) {
        const float4 state = inbox_.states[from][at & 3];
        return Part{inbox_.sums[from * slice + i], {state.x, state.y}, {state.z, state.w}};
      });
      total.step.write(args_, items_, at);
      if (at >= kPanelRows / 2) continue;
        // The first threads have all rows between them.
#pragma unroll 1
      for (int c = 0; c < 2; ++c) {
        const float sum = c == 0 ? total.step.used.x : total.step.used.y;
        write_lse(args_, items_, panel_, 2 * at + c,
                  {c == 0 ? total.top.x : total.top.y, sum, sum});
      }
    }
  }

 private:
  // A lane's step of a warp or of a CTA, and the state of its two rows.
  struct Part {
    float4 sums;
    float2 reference;
    float2 used;
  };
  // Of all parts, at the highest reference.
  struct Total {
    StepSum step;
    float2 top = {kNoReference, kNoReference};
  };

  [[nodiscard]] __device__ static int thread() { return static_cast<int>(threadIdx.x); }
  [[nodiscard]] __device__ static int threads() { return static_cast<int>(blockDim.x); }

  // place: in the inbox. A CTA alone sends nothing.
  __device__ void send(int to, float4* place, const float4& v) const {
    if (ctas_ == 1) {
      *place = v;
      return;
    }
    ptx::send16(ptx::cluster_address(ptx::shared_address(place), to), v,
                ptx::cluster_address(ptx::shared_address(&inbox_.barrier), to));
  }

  // Eight parts at a time are on their way together.
  template <class PartOf>
  __device__ static Total add_up(int count, PartOf part_of) {
    constexpr int kAtOnce = 8;
    Total total;
#pragma unroll 1
    for (int begin = 0; begin < count; begin += kAtOnce) {
      Part parts[kAtOnce];
      float2 top = total.top;
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (begin + i >= count) break;
        parts[i] = part_of(begin + i);
        top = {fmaxf(top.x, parts[i].reference.x), fmaxf(top.y, parts[i].reference.y)};
      }
      total.step.scale(factor_to(total.top, top));
      total.top = top;
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (begin + i >= count) break;
        total.step.add(parts[i].sums, factor_to(parts[i].reference, top), parts[i].used);
      }
    }
    return total;
  }
  __device__ static float2 factor_to(const float2& reference, const float2& top) {
    return {ptx::exp2_approx(reference.x - top.x), ptx::exp2_approx(reference.y - top.y)};
  }

  const DecodeArgs& args_;
  const PanelItems& items_;
  int panel_;
  int cta_;
  int ctas_;
  Inbox& inbox_;
  const SharedMap<T>& map_;
};

}  // namespace thriftattn::cuda
