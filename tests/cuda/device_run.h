// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Problems on the device: a CudaKvCache filled the awkward way, and one call of attend with owned
// results that the oracle can check.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "cuda/cache_pair.h"
#include "support/run.h"
#include "thriftattn/cuda.h"

namespace thriftattn::testing {

struct DeviceCache {
  CudaKvCache cache;
  std::vector<SequenceId> sequences;
};

struct DeviceFill {
  bool shuffled = true;  // ragged appends that alternate between sequences
  std::uint64_t seed = 7;
  std::int64_t spare_tokens = 0;  // room of each sequence beyond the problem's
  Residence residence = Residence::kDevice;
};
DeviceCache fill_device(const Problem& problem, const DeviceFill& fill = {});

// One plan for the calls of a test.
CudaAttendPlan make_plan(const Problem& problem, const DeviceCache& filled, int max_q_len = 16);

// A call of attend with its memory on the device. The problems are small: their tail is left out
// all the same. `problem`'s offsets and `sequences` must outlive it.
class DeviceCall {
 public:
  DeviceCall(const Problem& problem, const std::vector<SequenceId>& sequences,
             const RunOptions& options);

  CudaAttendParams params;  // all but the state
  // What the call returned, and left on the device.
  Output finish(const Status& status, const CudaAttendPlan& plan);

 private:
  Output output_;
  DeviceRows q_, out_;
  cuda::DeviceBuffer<float> lse_;
};

// q of problem, or rows of it; selection, softmax_scale and crossover_tokens of options.attend.
Output run_device(const Problem& problem, const DeviceCache& filled, CudaAttendPlan& plan,
                  const RunOptions& options, CudaAttendState* state = nullptr,
                  bool tail_always = true);

// Device memory as values of a type on the host.
template <class As, class T>
std::vector<As> read_back(const cuda::DeviceBuffer<T>& buffer) {
  const auto bytes = static_cast<std::size_t>(buffer.bytes());
  std::vector<As> host(bytes / sizeof(As));
  EXPECT_EQ(cudaMemcpy(host.data(), buffer.data(), bytes, cudaMemcpyDeviceToHost), cudaSuccess);
  return host;
}

// Every row against the oracle over what the device holds, with the call's own trace.
void expect_device_oracle(const Problem& problem, const DeviceCache& filled,
                          const RunOptions& options, const Output& output);

}  // namespace thriftattn::testing
