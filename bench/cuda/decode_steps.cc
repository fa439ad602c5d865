// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode_steps.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cuda/device.h"
#include "cuda/other_code.h"

namespace thriftattn::bench {
namespace {

constexpr std::size_t kFlushBytes = std::size_t{256} << 20;
constexpr std::int64_t kPiece = 8192;  // tokens of an append
constexpr int kWarmUp = 4;

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    difference += (x - y) * (x - y);
    norm += y * y;
  }
  return std::sqrt(difference / norm);
}

// The masses of one row's blocks from the logs of their sums.
void add_row(const float* sums, int group, std::vector<double>& mean,
             std::vector<double>& largest) {
  const double max = static_cast<double>(*std::max_element(sums, sums + mean.size()));
  double total = 0;
  for (std::size_t b = 0; b < mean.size(); ++b)
    total += std::exp(static_cast<double>(sums[b]) - max);
  for (std::size_t b = 0; b < mean.size(); ++b) {
    const double mass = std::exp(static_cast<double>(sums[b]) - max) / total;
    mean[b] += mass / group;
    largest[b] = std::max(largest[b], mass);
  }
}

}  // namespace

DecodeSteps::DecodeSteps(const DecodeSetup& setup) : setup_(setup), flush_(memory(kFlushBytes)) {
  const DataShape& shape = setup.shape;
  require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  require(cudaEventCreate(&begin_));
  require(cudaEventCreate(&end_));
  offsets_.push_back(0);
  for (int i = 0; i < setup.batch; ++i) offsets_.push_back(i + 1);
  const std::size_t values = static_cast<std::size_t>(setup.batch) * shape.q_heads * shape.head_dim;
  out_ = memory(2 * values);
  out32_ = memory(4 * values);
  const std::size_t rows = std::max<std::size_t>(kPiece, static_cast<std::size_t>(setup.batch));
  const std::size_t bytes = 2 * rows * shape.kv_heads * shape.head_dim;
  k_ = memory(bytes);
  v_ = memory(bytes);
  for (int step = 0; step < kSteps; ++step) {
    q_.push_back(memory(2 * values));
    if (setup.capture != nullptr) {
      copy_queries(*setup.capture, setup.batch, step, q_.back(), stream_);
    } else {
      make_queries(shape, setup.profile, setup.batch, step, q_.back(), stream_);
    }
  }
  require(cudaGetLastError());
}

void DecodeSteps::get_rows(std::uint64_t sequence, std::int64_t first, std::int64_t tokens) {
  if (setup_.capture != nullptr) {
    copy_rows(*setup_.capture, first, tokens, k_, v_, stream_);
  } else {
    make_rows(setup_.shape, setup_.profile, sequence, first, tokens, k_, v_, stream_);
  }
}

CudaKvCacheConfig DecodeSteps::config() const {
  const std::int64_t spare = 6 * kBlockTokens;  // for time_append
  CudaKvCacheConfig config;
  config.kv_heads = setup_.shape.kv_heads;
  config.head_dim = setup_.shape.head_dim;
  config.max_sequences = setup_.batch;
  config.max_tokens = setup_.shape.kv_len + spare;
  config.pages = setup_.batch * ((config.max_tokens + kBlockTokens - 1) / kBlockTokens);
  return config;
}

CudaKvCache DecodeSteps::fill(const CudaKvCacheConfig& config) {
  CudaKvCache cache = require(CudaKvCache::create(config));
  sequences_.clear();
  for (int i = 0; i < setup_.batch; ++i) {
    sequences_.push_back(require(cache.add_sequence()));
    for (std::int64_t done = 0; done < setup_.shape.kv_len; done += kPiece) {
      const std::int64_t tokens = std::min(kPiece, setup_.shape.kv_len - done);
      get_rows(setup_.seed + static_cast<std::uint64_t>(i), done, tokens);
      require(cache.append(sequences_.back(), rows(k_, tokens), rows(v_, tokens), {stream_}));
    }
  }
  require(cache.synchronize({stream_}));
  return cache;
}

CudaAttendPlan DecodeSteps::plan(const CudaKvCache& cache) const {
  return require(CudaAttendPlan::create(cache, setup_.shape.q_heads, setup_.batch, 1));
}

ConstTensorView DecodeSteps::rows(const void* data, std::int64_t tokens) const {
  return ConstTensorView::packed(data, DType::kF16, tokens, setup_.shape.kv_heads,
                                 setup_.shape.head_dim);
}

ConstTensorView DecodeSteps::query(int step) const {
  return ConstTensorView::packed(q_[static_cast<std::size_t>(step % kSteps)], DType::kF16,
                                 setup_.batch, setup_.shape.q_heads, setup_.shape.head_dim);
}

// Event time of one launch of each graph in turn, L2 flushed before.
std::vector<double> DecodeSteps::time_graphs(const std::vector<cudaGraphExec_t>& graphs,
                                             int repeats, const std::function<void()>& before) {
  std::vector<double> us;
  for (int i = 0; i < repeats + kWarmUp; ++i) {
    if (before) before();
    require(cudaMemsetAsync(flush_, i, kFlushBytes, stream_));
    require(cudaEventRecord(begin_, stream_));
    require(cudaGraphLaunch(graphs[static_cast<std::size_t>(i) % graphs.size()], stream_));
    require(cudaEventRecord(end_, stream_));
    require(cudaEventSynchronize(end_));
    float ms = 0;
    require(cudaEventElapsedTime(&ms, begin_, end_));
    if (i >= kWarmUp) us.push_back(1000.0 * static_cast<double>(ms));
  }
  return us;
}

cudaGraphExec_t DecodeSteps::capture(const std::function<void()>& work) {
  require(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  work();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  require(cudaStreamEndCapture(stream_, &graph));
  require(cudaGraphInstantiate(&exec, graph, 0));
  require(cudaGraphDestroy(graph));
  return exec;
}

// One call with outputs in 32 bit, which are returned.
std::vector<float> DecodeSteps::call(CudaAttendParams params, const CudaKvCache& cache,
                                     CudaAttendPlan& plan) {
  const DataShape& shape = setup_.shape;
  params.out = TensorView::packed(out32_, DType::kF32, setup_.batch, shape.q_heads, shape.head_dim);
  require(attend(params, cache, plan, {stream_}));
  std::vector<float> out(static_cast<std::size_t>(setup_.batch) * shape.q_heads * shape.head_dim);
  require(cudaMemcpyAsync(out.data(), out32_, out.size() * sizeof(float), cudaMemcpyDeviceToHost,
                          stream_));
  require(cudaStreamSynchronize(stream_));
  return out;
}

CudaAttendParams DecodeSteps::step_params(const Selection& selection,
                                          CudaAttendState* state) const {
  const DataShape& shape = setup_.shape;
  CudaAttendParams params;
  params.sequences = sequences_;
  params.q_offsets = offsets_;
  params.selection = selection;
  params.softmax_scale = shape.softmax_scale;
  params.state = state;
  params.out = TensorView::packed(out_, DType::kF16, setup_.batch, shape.q_heads, shape.head_dim);
  return params;
}

DecodeTimes DecodeSteps::time(const CudaKvCache& cache, CudaAttendPlan& plan,
                              const Selection& selection, bool with_state) {
  const DataShape& shape = setup_.shape;
  CudaAttendState state = require(CudaAttendState::create(cache, shape.q_heads));
  CudaAttendParams params = step_params(selection, with_state ? &state : nullptr);
  const auto step = [&](int i, bool refresh) {
    params.q = query(i);
    params.refresh = refresh;
    require(attend(params, cache, plan, {stream_}));
  };
  for (int i = 0; i < kWarmUp; ++i) step(i, true);  // the sets settle
  std::vector<cudaGraphExec_t> refreshing, keeping;
  for (int i = 0; i < kSteps; ++i) {
    refreshing.push_back(capture([&] { step(i, true); }));
    if (with_state) keeping.push_back(capture([&] { step(i, false); }));
  }
  DecodeTimes times;
  times.us = time_graphs(refreshing, setup_.repeats);
  if (with_state) {
    times.us_keep = time_graphs(keeping, setup_.repeats);
    AttendReport kept;
    require(report(plan, {stream_}, &kept, nullptr));
    times.mass_covered_keep = kept.mass_covered / static_cast<double>(kept.rows);
  }
  for (const auto& graphs : {refreshing, keeping}) {
    for (cudaGraphExec_t graph : graphs) require(cudaGraphExecDestroy(graph));
  }

  step(0, true);  // so that the next one has the sets of the step before it
  params.q = query(1);
  times.out = call(params, cache, plan);
  require(report(plan, {stream_}, &times.report, nullptr));
  params.state = nullptr;
  const std::vector<float> scratch = call(params, cache, plan);
  params.selection = Selection::exact();
  const std::vector<float> exact = call(params, cache, plan);
  times.error = distance(times.out, exact);
  times.error_scratch = distance(scratch, exact);
  times.out.resize(static_cast<std::size_t>(shape.q_heads) * shape.head_dim);
  return times;
}

AppendTimes DecodeSteps::time_append(CudaKvCache& cache, CudaAttendPlan& plan,
                                     const Selection& selection) {
  const DataShape& shape = setup_.shape;
  get_rows(99, 1, setup_.batch);
  CudaAttendState state = require(CudaAttendState::create(cache, shape.q_heads));
  CudaAttendParams params = step_params(selection, &state);
  params.q = query(0);
  const ConstTensorView k = rows(k_, setup_.batch);
  const ConstTensorView v = rows(v_, setup_.batch);
  const auto step = [&] { require(attend(params, cache, plan, {stream_})); };
  for (int i = 0; i < kWarmUp; ++i) step();  // the sets settle
  const cudaGraphExec_t alone =
      capture([&] { require(cache.append(sequences_, offsets_, k, v, {stream_})); });
  const cudaGraphExec_t without = capture(step);
  const cudaGraphExec_t with =
      capture([&] { require(append_and_attend(params, k, v, cache, plan, {stream_})); });
  const auto room = [&] { require(cache.reserve(sequences_, 1, {stream_})); };
  const auto mean = [](const std::vector<double>& us) {
    return std::accumulate(us.begin(), us.end(), 0.0) / static_cast<double>(us.size());
  };
  AppendTimes times;
  times.alone_us = mean(time_graphs({alone}, kBlockTokens, room));
  // Each kind by itself: what a step leaves behind is paid by the next. Steps that append are
  // between equally many that do not at their first and at their last length.
  const auto among = [&](const std::function<void()>& others) {
    const auto room_and_others = [&] {
      room();
      others();
    };
    const double first = mean(time_graphs({without}, kBlockTokens / 2, others));
    const std::int64_t tokens = require(cache.length(sequences_[0])) + kWarmUp;
    std::vector<double> appending = time_graphs({with}, kBlockTokens, room_and_others);
    const double last = mean(time_graphs({without}, kBlockTokens / 2, others));
    AppendTimes::Among result;
    result.step_us = (first + last) / 2;
    result.in_step_us = mean(appending) - result.step_us;
    const double sealing =
        appending[static_cast<std::size_t>(kBlockTokens - 1 - tokens % kBlockTokens)];
    std::sort(appending.begin(), appending.end());
    result.seal_us = sealing - appending[appending.size() / 2];
    return result;
  };
  times.steps = among([] {});
  times.other_code = among([&] { run_other_code(stream_); });
  for (cudaGraphExec_t graph : {alone, without, with}) require(cudaGraphExecDestroy(graph));
  return times;
}

std::vector<cli::UnitMasses> DecodeSteps::masses() {
  const DataShape& shape = setup_.shape;
  const auto blocks = static_cast<std::size_t>((shape.kv_len + kBlockTokens - 1) / kBlockTokens);
  const std::size_t cells = static_cast<std::size_t>(shape.q_heads) * blocks;
  auto* sums = static_cast<float*>(memory(kSteps * cells * sizeof(float)));
  for (std::int64_t done = 0; done < shape.kv_len; done += kPiece) {
    const std::int64_t tokens = std::min(kPiece, shape.kv_len - done);
    get_rows(setup_.seed, done, tokens);
    for (std::size_t step = 0; step < kSteps; ++step) {
      add_block_sums(shape, k_, done / kBlockTokens, tokens, q_[step],
                     static_cast<std::int64_t>(blocks), sums + step * cells, stream_);
    }
  }
  std::vector<float> logs(kSteps * cells);
  require(cudaMemcpyAsync(logs.data(), sums, logs.size() * sizeof(float), cudaMemcpyDeviceToHost,
                          stream_));
  require(cudaStreamSynchronize(stream_));
  require(cudaFree(sums));

  const int group = shape.q_heads / shape.kv_heads;
  std::vector<cli::UnitMasses> units(static_cast<std::size_t>(shape.kv_heads));
  for (std::size_t step = 0; step < kSteps; ++step) {
    for (int row = 0; row < shape.q_heads; ++row) {
      cli::UnitMasses& unit = units[static_cast<std::size_t>(row / group)];
      if (row % group == 0) {
        unit.mean.emplace_back(blocks);
        unit.largest.emplace_back(blocks);
      }
      add_row(logs.data() + step * cells + static_cast<std::size_t>(row) * blocks, group,
              unit.mean.back(), unit.largest.back());
    }
  }
  return units;
}

}  // namespace thriftattn::bench
