// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "bench_cpu.h"

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <memory>

#include "bench_ggml.h"
#include "bench_report.h"
#include "cpu_info.h"
#include "error.h"
#include "llama_model.h"
#include "thriftattn/attention.h"
#include "thriftattn/device.h"

namespace thriftattn::cli {
namespace {

using Run = std::function<void()>;  // every layer once

// One attend call a layer over caches that are shared by the arms of one high tier.
class Engine {
 public:
  Engine(const BenchOptions& options, const SyntheticData& data, HighTier high_tier)
      : shape_(options.shape), pool_(make_thread_pool(options.threads)) {
    const bool bounds = options.policy == "quest";
    for (int layer = 0; layer < options.layers; ++layer) {
      caches_.push_back(make_cache(shape_, data, options.kv_len, options.batch, bounds, high_tier));
    }
    for (int i = 0; i < options.batch; ++i) {
      sequences_.push_back(i);
      offsets_.push_back(i + 1);
      q_.insert(q_.end(), data.q.begin(), data.q.end());
    }
    out_.resize(q_.size());
  }

  void attend_all(const AttendOptions& options, AttendReport* report) {
    AttendParams params;
    const auto tokens = static_cast<std::int64_t>(sequences_.size());
    params.q =
        ConstTensorView::packed(q_.data(), DType::kF32, tokens, shape_.q_heads, shape_.head_dim);
    params.out =
        TensorView::packed(out_.data(), DType::kF32, tokens, shape_.q_heads, shape_.head_dim);
    params.sequences = sequences_;
    params.q_offsets = offsets_;
    params.options = options;
    params.executor = pool_.get();
    params.report = report;
    for (const PagedKvCache& cache : caches_) require(attend(params, cache));
  }

  [[nodiscard]] std::vector<float> output() const {
    return {out_.begin(), out_.begin() + shape_.q_heads * shape_.head_dim};
  }

 private:
  Shape shape_;
  std::unique_ptr<Executor> pool_;
  std::vector<PagedKvCache> caches_;
  std::vector<SequenceId> sequences_;
  std::vector<std::int64_t> offsets_ = {0};
  std::vector<float> q_;
  std::vector<float> out_;
};

// Rounds over all arms, so that a slow moment of the machine hits each of them. An untimed run
// comes before: threads of the arm before, as OpenMP's, may spin for milliseconds after their work.
void measure(std::vector<BenchArm>& arms, const std::vector<Run>& runs,
             const BenchOptions& options) {
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    for (std::size_t i = 0; i < arms.size(); ++i) {
      runs[i]();
      const auto start = std::chrono::steady_clock::now();
      runs[i]();
      const std::chrono::duration<double, std::micro> us = std::chrono::steady_clock::now() - start;
      arms[i].us.push_back(us.count() / options.layers);
    }
  }
}

BenchPlace place_of(const BenchOptions& options, const std::string& isa) {
  return {fmt::format("{} layers of caches in turn, {} threads, {}, {}", options.layers,
                      options.threads, isa, cpu_model()),
          {{"layers", options.layers},
           {"threads", options.threads},
           {"cpu", cpu_model()},
           {"isa", isa}}};
}

}  // namespace

void bench_cpu(BenchOptions options) {
  if (options.threads == 0) options.threads = cpu_count();
  if (!options.isa.empty()) require(force_isa(options.isa));
  const Result<std::string> isa = active_isa();
  require(isa.status());

  const Shape& shape = options.shape;
  const SyntheticData data = make_synthetic(shape, options.kv_len, options.seed);
  std::unique_ptr<Engine> engines[2];  // by HighTier, where an arm wants it
  std::vector<BenchArm> arms;
  std::vector<Run> runs;
  for (const std::string& name : options.arms) {
    AttendOptions setting;
    setting.selection = selection_of(name, options);
    setting.mode = options.mode == "w4a4" ? ComputeMode::kW4a4 : ComputeMode::kKv4;
    const HighTier high_tier = name == "nested" ? HighTier::kNested : HighTier::kRows16;
    std::unique_ptr<Engine>& made = engines[static_cast<int>(high_tier)];
    if (!made) made = std::make_unique<Engine>(options, data, high_tier);
    Engine& engine = *made;
    runs.emplace_back([&engine, setting] { engine.attend_all(setting, nullptr); });
    AttendReport report;  // of the first, untimed run
    engine.attend_all(setting, &report);
    const auto bytes = static_cast<double>(report.bytes_low + report.bytes_high);
    arms.push_back({name, bytes / options.layers, report, engine.output(), {}});
  }
  std::unique_ptr<GgmlPeer> peer;
  if (!options.peer.empty()) {
    start_llama(false);
    peer = std::make_unique<GgmlPeer>(shape, data, options.kv_len, options.batch, options.layers,
                                      options.threads);
    peer->run();
    runs.emplace_back([&peer] { peer->run(); });
    const double bytes = 4.0 * static_cast<double>(data.k.size()) * options.batch;
    arms.push_back({"ggml", bytes, {}, peer->output(), {}});
  }
  measure(arms, runs, options);
  report_bench(options, place_of(options, isa.value()), arms);
}

}  // namespace thriftattn::cli
