// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Times decode steps on a CUDA device: one line of JSON for each arm. Needs nothing but the library
// and CUDA, so that it builds where a GPU is; bench/h200_decode.py puts cuDNN beside it.
//
//   cuda_decode_bench BATCH KV_LEN Q_HEADS KV_HEADS HEAD_DIM [REPEATS]
//
// A step is a CUDA graph of its own. Before each repetition 256 MB are written, so that nothing is
// in L2; event time; median and median absolute deviation. With a state, sets come from the step
// before, whose q was another (the heavy blocks turn by 1/40 of a quarter turn a step).
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "cuda/synthetic.h"
#include "thriftattn/cuda.h"

namespace thriftattn::bench {
namespace {

constexpr std::size_t kFlushBytes = std::size_t{256} << 20;
constexpr int kSteps = 8;              // queries that are used in turn
constexpr std::int64_t kPiece = 8192;  // tokens of an append
constexpr float kTurn = 1.5707963f / 40;

void require(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "cuda_decode_bench: %s\n", status.message().c_str());
  std::exit(1);
}
void require(cudaError_t error) {
  if (error != cudaSuccess) require(Status{StatusCode::kInternal, cudaGetErrorString(error)});
}
template <class T>
T require(Result<T> result) {
  require(result.status());
  return std::move(result.value());
}

// Device memory until the program ends.
void* memory(std::size_t bytes) {
  void* pointer = nullptr;
  require(cudaMalloc(&pointer, bytes));
  return pointer;
}

struct Time {
  double us = 0;
  double spread = 0;  // median absolute deviation
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

class Bench {
 public:
  Bench(const SyntheticShape& shape, int batch, int repeats)
      : shape_(shape), batch_(batch), repeats_(repeats), flush_(memory(kFlushBytes)) {
    require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    require(cudaEventCreate(&begin_));
    require(cudaEventCreate(&end_));
    offsets_.push_back(0);
    for (int i = 0; i < batch; ++i) offsets_.push_back(i + 1);
    const std::size_t q_bytes = std::size_t{2} * batch * shape.q_heads * shape.head_dim;
    out_ = memory(q_bytes);
    const std::size_t kv_bytes = std::size_t{2} * kPiece * shape.kv_heads * shape.head_dim;
    k_ = memory(kv_bytes);
    v_ = memory(kv_bytes);
    for (int step = 0; step < kSteps; ++step) {
      q_.push_back(memory(q_bytes));
      make_queries(shape, batch, step, kTurn * static_cast<float>(step), q_.back(), stream_);
    }
  }

  void run() {
    run_rows16();
    run_nested();
  }

 private:
  void run_rows16() {
    CudaKvCache cache = fill(HighTier::kRows16);
    CudaAttendPlan plan = require(CudaAttendPlan::create(cache, shape_.q_heads, batch_, 1));
    const Selection exact = Selection::exact();
    arm(cache, plan, "dense_16", exact, false);
    arm(cache, plan, "low_only", selection(0, 0), true);
    arm(cache, plan, "promoted_5", selection(0.05, 0), true);
    arm(cache, plan, "promoted_5_tail", selection(0.05, 0.01), true);
    arm(cache, plan, "promoted_1_tail", selection(0.01, 0.01), true);
    arm(cache, plan, "scratch_5", selection(0.05, 0), false);
    append_seal(cache, "append_seal");
  }

  void run_nested() {
    CudaKvCache cache = fill(HighTier::kNested);
    CudaAttendPlan plan = require(CudaAttendPlan::create(cache, shape_.q_heads, batch_, 1));
    arm(cache, plan, "promoted_5_nested", selection(0.05, 0), true);
    arm(cache, plan, "promoted_5_nested_tail", selection(0.05, 0.01), true);
    append_seal(cache, "append_seal_nested");
  }

  static Selection selection(double budget, double tau) {
    Selection s;
    s.budget.value = budget;
    s.tau = tau;
    return s;
  }

  CudaKvCache fill(HighTier high_tier) {
    const std::int64_t spare = 4 * kBlockTokens;  // for append_seal
    CudaKvCacheConfig config;
    config.kv_heads = shape_.kv_heads;
    config.head_dim = shape_.head_dim;
    config.max_sequences = batch_;
    config.max_tokens = shape_.kv_len + spare;
    config.pages = batch_ * ((config.max_tokens + kBlockTokens - 1) / kBlockTokens);
    config.high_tier = high_tier;
    CudaKvCache cache = require(CudaKvCache::create(config));
    sequences_.clear();
    for (int i = 0; i < batch_; ++i) {
      sequences_.push_back(require(cache.add_sequence()));
      for (std::int64_t done = 0; done < shape_.kv_len; done += kPiece) {
        const std::int64_t tokens = std::min(kPiece, shape_.kv_len - done);
        make_rows(shape_, static_cast<std::uint64_t>(i), done, tokens, k_, v_, stream_);
        require(cache.append(sequences_.back(), rows(k_, tokens), rows(v_, tokens), {stream_}));
      }
    }
    require(cache.synchronize({stream_}));
    return cache;
  }

  [[nodiscard]] ConstTensorView rows(const void* data, std::int64_t tokens) const {
    return ConstTensorView::packed(data, DType::kF16, tokens, shape_.kv_heads, shape_.head_dim);
  }

  // Event time of one launch of each graph in turn, L2 flushed before.
  Time time(const std::vector<cudaGraphExec_t>& graphs, const std::function<void()>& before = {}) {
    std::vector<double> us;
    for (int i = 0; i < repeats_ + 3; ++i) {
      if (before) before();
      require(cudaMemsetAsync(flush_, i, kFlushBytes, stream_));
      require(cudaEventRecord(begin_, stream_));
      require(cudaGraphLaunch(graphs[static_cast<std::size_t>(i) % graphs.size()], stream_));
      require(cudaEventRecord(end_, stream_));
      require(cudaEventSynchronize(end_));
      float ms = 0;
      require(cudaEventElapsedTime(&ms, begin_, end_));
      if (i >= 3) us.push_back(1000.0 * ms);
    }
    const double middle = median(us);
    std::vector<double> deviations;
    for (const double x : us) deviations.push_back(std::fabs(x - middle));
    return {middle, median(deviations)};
  }

  cudaGraphExec_t capture(const std::function<void()>& work) {
    require(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    work();
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    require(cudaStreamEndCapture(stream_, &graph));
    require(cudaGraphInstantiate(&exec, graph, 0));
    require(cudaGraphDestroy(graph));
    return exec;
  }

  void arm(const CudaKvCache& cache, CudaAttendPlan& plan, const std::string& name,
           const Selection& selection, bool with_state) {
    CudaAttendState state = require(CudaAttendState::create(cache, shape_.q_heads));
    CudaAttendParams params;
    params.sequences = sequences_;
    params.q_offsets = offsets_;
    params.selection = selection;
    params.state = with_state ? &state : nullptr;
    params.out = TensorView::packed(out_, DType::kF16, batch_, shape_.q_heads, shape_.head_dim);
    const auto step = [&](int i, bool refresh) {
      params.q = ConstTensorView::packed(q_[static_cast<std::size_t>(i)], DType::kF16, batch_,
                                         shape_.q_heads, shape_.head_dim);
      params.refresh = refresh;
      require(attend(params, cache, plan, {stream_}));
    };
    for (int i = 0; i < 3; ++i) step(i, true);  // the sets settle
    std::vector<cudaGraphExec_t> refreshing, keeping;
    for (int i = 0; i < kSteps; ++i) {
      refreshing.push_back(capture([&] { step(i, true); }));
      if (with_state) keeping.push_back(capture([&] { step(i, false); }));
    }
    const Time every = time(refreshing);
    const Time keep = with_state ? time(keeping) : every;
    AttendReport sums;
    require(report(plan, {stream_}, &sums, nullptr));
    const double rows = static_cast<double>(sums.rows);
    std::printf(
        "{\"arm\": \"%s\", \"us\": %.2f, \"us_spread\": %.2f, \"us_keep\": %.2f, \"bytes\": %lld, "
        "\"tail_share\": %.4f, \"promoted_share\": %.4f, \"mass_covered\": %.4f, "
        "\"mass_tail\": %.5f}\n",
        name.c_str(), every.us, every.spread, keep.us,
        static_cast<long long>(sums.bytes_low + sums.bytes_high), sums.tail_share(),
        sums.promoted_share(), sums.mass_covered / rows, sums.mass_tail / rows);
    for (const auto& graphs : {refreshing, keeping}) {
      for (cudaGraphExec_t graph : graphs) require(cudaGraphExecDestroy(graph));
    }
  }

  // A token for each sequence; the mean over a block's worth of them, so one seal is in it.
  void append_seal(CudaKvCache& cache, const char* name) {
    std::vector<std::int64_t> offsets = offsets_;
    make_rows(shape_, 99, 1, batch_, k_, v_, stream_);
    const cudaGraphExec_t graph = capture([&] {
      require(cache.append(sequences_, offsets, rows(k_, batch_), rows(v_, batch_), {stream_}));
    });
    const int repeats = repeats_;
    double sum = 0;
    repeats_ = 1;
    for (int i = 0; i < kBlockTokens / 4; ++i) {
      sum += time({graph}, [&] { require(cache.reserve(sequences_, 1, {stream_})); }).us;
    }
    repeats_ = repeats;
    std::printf(
        "{\"arm\": \"%s\", \"us\": %.2f, \"us_spread\": 0, \"bytes\": %lld, "
        "\"tail_share\": 0}\n",
        name, sum / (kBlockTokens / 4),
        static_cast<long long>(batch_) * shape_.kv_heads * shape_.head_dim * 4);
    require(cudaGraphExecDestroy(graph));
  }

  SyntheticShape shape_;
  int batch_;
  int repeats_;
  void* flush_;
  void* out_ = nullptr;
  void* k_ = nullptr;
  void* v_ = nullptr;
  std::vector<void*> q_;
  std::vector<SequenceId> sequences_;
  std::vector<std::int64_t> offsets_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

}  // namespace
}  // namespace thriftattn::bench

int main(int argc, char** argv) {
  if (argc < 6 || argc > 7) {
    std::fprintf(stderr,
                 "usage: cuda_decode_bench BATCH KV_LEN Q_HEADS KV_HEADS HEAD_DIM [REPEATS]\n");
    return 2;
  }
  thriftattn::bench::SyntheticShape shape;
  const int batch = std::atoi(argv[1]);
  shape.kv_len = std::atoll(argv[2]);
  shape.q_heads = std::atoi(argv[3]);
  shape.kv_heads = std::atoi(argv[4]);
  shape.head_dim = std::atoi(argv[5]);
  const int repeats = argc == 7 ? std::atoi(argv[6]) : 25;
  if (batch < 1 || shape.kv_len < 1 || shape.kv_heads < 1 || repeats < 1) {
    std::fprintf(stderr, "cuda_decode_bench: all sizes must be positive\n");
    return 2;
  }
  thriftattn::bench::Bench(shape, batch, repeats).run();
  return 0;
}
