// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// thriftattn bench attend: one decode step of attention by shape, arm and instruction set.
#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench_ggml.h"
#include "commands.h"
#include "cpu_info.h"
#include "error.h"
#include "files.h"
#include "llama_model.h"
#include "metrics.h"
#include "synthetic.h"
#include "thriftattn/attention.h"
#include "thriftattn/device.h"
#include "version_text.h"

namespace thriftattn::cli {
namespace {

struct BenchOptions {
  std::string model_shape;
  Shape shape;
  std::int64_t kv_len = 8192;
  int batch = 1;
  int layers = 1;
  int threads = 0;
  int repeats = 15;
  std::string isa;
  std::vector<std::string> arms = {"fp16", "low_only", "thrift"};
  double budget = 0.05;
  double tau = 0.01;
  std::string peer;
  std::string json;
  std::uint64_t seed = 1;
};

struct BenchArm {
  std::string name;
  std::function<void()> run;  // every layer once
  double bytes = 0;           // read for one layer
  std::vector<float> output;  // [q_heads, head_dim] of the first sequence
  std::vector<double> us;     // one layer, one of each repeat
};

Selection selection_of(const std::string& arm, const BenchOptions& options) {
  Selection selection;
  selection.unit = SelectionUnit::kToken;
  selection.budget.value = options.budget;
  selection.tau = options.tau;
  if (arm == "thrift" || arm == "nested") return selection;
  if (arm == "fp16") {
    selection.budget.kind = Budget::Kind::kAll;
    selection.tau = 0;
  } else if (arm == "low_only") {
    selection.budget.value = 0;
    selection.tau = 0;
    selection.force_sink = false;
  } else if (arm == "paper") {
    selection = Selection::paper();
    selection.budget.value = options.budget;
    selection.force_own = true;
  } else {
    throw usage_error("--arms {}: unknown; supported: thrift, nested, fp16, low_only, paper", arm);
  }
  return selection;
}

// One attend call a layer over caches that are shared by the arms of one high tier.
class Engine {
 public:
  Engine(const BenchOptions& options, const SyntheticData& data, HighTier high_tier)
      : shape_(options.shape), pool_(make_thread_pool(options.threads)) {
    for (int layer = 0; layer < options.layers; ++layer) {
      caches_.push_back(make_cache(shape_, data, options.kv_len, options.batch, false, high_tier));
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
void measure(std::vector<BenchArm>& arms, const BenchOptions& options) {
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    for (BenchArm& arm : arms) {
      arm.run();
      const auto start = std::chrono::steady_clock::now();
      arm.run();
      const std::chrono::duration<double, std::micro> us = std::chrono::steady_clock::now() - start;
      arm.us.push_back(us.count() / options.layers);
    }
  }
}

nlohmann::ordered_json to_json(const BenchOptions& options, const std::string& isa,
                               const std::vector<BenchArm>& arms) {
  nlohmann::ordered_json json = {{"op", "attend"},
                                 {"q_heads", options.shape.q_heads},
                                 {"kv_heads", options.shape.kv_heads},
                                 {"head_dim", options.shape.head_dim},
                                 {"kv_len", options.kv_len},
                                 {"batch", options.batch},
                                 {"layers", options.layers},
                                 {"threads", options.threads},
                                 {"repeats", options.repeats},
                                 {"budget", options.budget},
                                 {"tau", options.tau},
                                 {"cpu", cpu_model()},
                                 {"isa", isa},
                                 {"version", version_text()}};
  for (const BenchArm& arm : arms) {
    json["arms"].push_back({{"name", arm.name},
                            {"us", median(arm.us)},
                            {"us_mad", median_deviation(arm.us)},
                            {"bytes", arm.bytes},
                            {"gb_per_s", arm.bytes / median(arm.us) / 1e3},
                            {"distance", relative_distance(arm.output, arms[0].output)}});
  }
  return json;
}

void print_table(const BenchOptions& options, const std::string& isa,
                 const std::vector<BenchArm>& arms) {
  fmt::print(
      "decode b{} q{}/{} d{} kv{}, {} layers of caches in turn, {} threads, {}, {}\n"
      "one layer, median of {} rounds and median deviation; distance to the first arm's output\n\n",
      options.batch, options.shape.q_heads, options.shape.kv_heads, options.shape.head_dim,
      options.kv_len, options.layers, options.threads, isa, cpu_model(), options.repeats);
  const bool peer = arms.back().name == "ggml";
  fmt::print("{:<10} {:>10} {:>8} {:>9} {:>8} {:>9} {:>9}\n", "arm", "us", "+-", "KiB read", "GB/s",
             "distance", peer ? "x ggml" : "");
  for (const BenchArm& arm : arms) {
    const double us = median(arm.us);
    const std::string ratio = peer ? fmt::format("{:.2f}", median(arms.back().us) / us) : "";
    fmt::print("{:<10} {:>10.1f} {:>8.1f} {:>9.0f} {:>8.2f} {:>9.1e} {:>9}\n", arm.name, us,
               median_deviation(arm.us), arm.bytes / 1024, arm.bytes / us / 1e3,
               relative_distance(arm.output, arms[0].output), ratio);
  }
}

void run_bench(BenchOptions options) {
  if (!options.json.empty()) check_writable(options.json);
  if (!options.model_shape.empty()) options.shape = shape_of(options.model_shape);
  const Shape& shape = options.shape;
  if (shape.q_heads % shape.kv_heads != 0) {
    throw usage_error("--q-heads {}: not a multiple of --kv-heads {}", shape.q_heads,
                      shape.kv_heads);
  }
  if (options.threads == 0) options.threads = cpu_count();
  if (!options.isa.empty()) require(force_isa(options.isa));
  const Result<std::string> isa = active_isa();
  require(isa.status());

  const SyntheticData data = make_synthetic(shape, options.kv_len, options.seed);
  std::vector<AttendOptions> settings;
  for (const std::string& name : options.arms) {
    settings.emplace_back().selection = selection_of(name, options);
  }
  std::unique_ptr<Engine> engines[2];  // by HighTier, where an arm wants it
  std::vector<BenchArm> arms(settings.size());
  for (std::size_t i = 0; i < arms.size(); ++i) {
    arms[i].name = options.arms[i];
    const HighTier high_tier = arms[i].name == "nested" ? HighTier::kNested : HighTier::kRows16;
    std::unique_ptr<Engine>& made = engines[static_cast<int>(high_tier)];
    if (!made) made = std::make_unique<Engine>(options, data, high_tier);
    Engine& engine = *made;
    arms[i].run = [&engine, setting = settings[i]] { engine.attend_all(setting, nullptr); };
    AttendReport report;  // of the first, untimed run
    engine.attend_all(settings[i], &report);
    arms[i].bytes = static_cast<double>(report.bytes_low + report.bytes_high) / options.layers;
    arms[i].output = engine.output();
  }
  std::unique_ptr<GgmlPeer> peer;
  if (!options.peer.empty()) {
    start_llama(false);
    peer = std::make_unique<GgmlPeer>(shape, data, options.kv_len, options.batch, options.layers,
                                      options.threads);
    peer->run();
    BenchArm& arm = arms.emplace_back();
    arm.name = "ggml";
    arm.run = [&peer] { peer->run(); };
    arm.bytes = 4.0 * static_cast<double>(data.k.size()) * options.batch;
    arm.output = peer->output();
  }
  measure(arms, options);
  print_table(options, isa.value(), arms);
  if (!options.json.empty()) {
    write_file(options.json, to_json(options, isa.value(), arms).dump(2) + "\n");
  }
}

}  // namespace

void add_bench(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* bench = app.add_subcommand("bench", "Time an operation on made-up data");
  bench->require_subcommand(1);
  CLI::App* attend = bench->add_subcommand("attend", "One decode step: by shape, arm and ISA");
  attend->add_option("--model-shape", options->model_shape, "smollm2, gemma3-270m or llama3-8b");
  attend->add_option("--q-heads", options->shape.q_heads)
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  attend->add_option("--kv-heads", options->shape.kv_heads)
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  attend->add_option("--head-dim", options->shape.head_dim)
      ->check(CLI::Range(32, 256))
      ->capture_default_str();
  attend->add_option("--kv-len", options->kv_len)
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 22))
      ->capture_default_str();
  attend->add_option("--batch", options->batch)->check(CLI::Range(1, 1024))->capture_default_str();
  attend->add_option("--layers", options->layers, "Caches used in turn, so that they are cold")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  attend->add_option("--threads", options->threads, "Threads; 0 = one for each CPU")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  attend->add_option("--repeats", options->repeats)
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  attend->add_option("--isa", options->isa, "Instruction set; the fastest by default");
  attend->add_option("--arms", options->arms, "thrift, nested, fp16, low_only, paper")
      ->delimiter(',')
      ->capture_default_str();
  attend->add_option("--budget", options->budget)->check(within(0, 1))->capture_default_str();
  attend->add_option("--tau", options->tau)->check(within(0, 1))->capture_default_str();
  attend->add_option("--peer", options->peer, "ggml: time its f16 flash attention in the same run")
      ->check(CLI::IsMember({"ggml"}));
  attend->add_option("--seed", options->seed)->capture_default_str();
  attend->add_option("--json", options->json, "Write the result as JSON");
  attend->callback([options] { run_bench(*options); });
}

}  // namespace thriftattn::cli
