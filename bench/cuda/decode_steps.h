// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Decode steps on a CUDA device, timed: what cuda_decode_bench and `thriftattn bench attend` share.
//
// A step is a CUDA graph of its own. Before each repetition 256 MB are written, so that nothing is
// in L2; event time. With a state, sets come from the step before, whose q was another.
#pragma once

#include <functional>
#include <vector>

#include "cuda/capture.h"
#include "cuda/synthetic.h"
#include "mass_profile.h"
#include "thriftattn/cuda.h"

namespace thriftattn::bench {

struct DecodeSetup {
  DataShape shape;
  SyntheticProfile profile;          // of data that is made up
  const Capture* capture = nullptr;  // whose data it is instead; `shape` is its shape
  int batch = 1;
  int repeats = 25;
  std::uint64_t seed = 0;
};

struct DecodeTimes {
  std::vector<double> us;        // of steps that choose the next one's sets
  std::vector<double> us_keep;   // of steps that keep the sets; empty without a state
  AttendReport report;           // of one step with the sets of the step before it
  double mass_covered_keep = 0;  // share of a row's mass where sets were kept since several steps
  double error = 0;              // of that one step against 16 bit: |out - exact| / |exact|
  double error_scratch = 0;      // the same step with sets chosen by its own masses
  std::vector<float> out;        // [q_heads, head_dim] of the first sequence in that step
};

// A token appended to each sequence: means over a block's worth of them, so one seal is in it.
// Steps that append and steps that do not each follow their own kind.
struct AppendTimes {
  // What is in front of a step, but for the flush of L2: the step before it, or that and other
  // kernels' code (other_code.h).
  struct Among {
    double step_us = 0;     // of a step that does not append
    double in_step_us = 0;  // what one takes longer that appends its tokens
    double seal_us = 0;     // what the one that seals takes longer than their median
  };
  Among steps;
  Among other_code;
  double alone_us = 0;  // a graph of nothing else, with what it takes to start one
};

// Device memory is held until the program ends.
class DecodeSteps {
 public:
  explicit DecodeSteps(const DecodeSetup& setup);

  // What fill() needs; a caller may change its tiers.
  [[nodiscard]] CudaKvCacheConfig config() const;
  // A cache with a sequence of the data for each of the batch.
  CudaKvCache fill(const CudaKvCacheConfig& config);
  [[nodiscard]] CudaAttendPlan plan(const CudaKvCache& cache) const;

  DecodeTimes time(const CudaKvCache& cache, CudaAttendPlan& plan, const Selection& selection,
                   bool with_state);
  AppendTimes time_append(CudaKvCache& cache, CudaAttendPlan& plan, const Selection& selection);

  // The masses that the first sequence's kv heads really have in successive steps.
  [[nodiscard]] std::vector<cli::UnitMasses> masses();

 private:
  // Tokens [first, first + tokens) of a sequence of the data, to k_ and v_.
  void get_rows(std::uint64_t sequence, std::int64_t first, std::int64_t tokens);
  [[nodiscard]] ConstTensorView rows(const void* data, std::int64_t tokens) const;
  [[nodiscard]] ConstTensorView query(int step) const;
  // All but q.
  [[nodiscard]] CudaAttendParams step_params(const Selection& selection,
                                             CudaAttendState* state) const;
  cudaGraphExec_t capture(const std::function<void()>& work);
  std::vector<double> time_graphs(const std::vector<cudaGraphExec_t>& graphs, int repeats,
                                  const std::function<void()>& before = {});
  std::vector<float> call(CudaAttendParams params, const CudaKvCache& cache, CudaAttendPlan& plan);

  DecodeSetup setup_;
  void* flush_;
  void* out_ = nullptr;    // half
  void* out32_ = nullptr;  // float
  void* k_ = nullptr;
  void* v_ = nullptr;
  std::vector<void*> q_;
  std::vector<SequenceId> sequences_;
  std::vector<std::int64_t> offsets_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

}  // namespace thriftattn::bench
