// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// thriftattn bench attend: one decode step of attention by shape, arm and instruction set, on the
// CPU or a CUDA device.
#include <memory>

#include "arms.h"
#include "bench_cpu.h"
#include "bench_cuda.h"
#include "bench_options.h"
#include "commands.h"
#include "error.h"
#include "files.h"

namespace thriftattn::cli {
namespace {

void run_bench(BenchOptions options) {
  if (!options.json.empty()) check_writable(options.json);
  if (!options.model_shape.empty()) options.shape = shape_of(options.model_shape);
  const Shape& shape = options.shape;
  if (shape.q_heads % shape.kv_heads != 0) {
    throw usage_error("--q-heads {}: not a multiple of --kv-heads {}", shape.q_heads,
                      shape.kv_heads);
  }
  check_device_options(options);
  for (const std::string& arm : options.arms) selection_of(arm, options);
  if (options.device == "cuda") {
    bench_cuda(options);
  } else {
    bench_cpu(options);
  }
}

}  // namespace

void add_bench(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* bench = app.add_subcommand("bench", "Time an operation on made-up data");
  bench->require_subcommand(1);
  CLI::App* attend = bench->add_subcommand("attend", "One decode step: by shape, arm and ISA");
  attend->add_option("--device", options->device, "cpu, or cuda: the first GPU")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
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
  attend
      ->add_option("--layers", options->layers, "Caches used in turn, so that they are cold (cpu)")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  attend->add_option("--threads", options->threads, "Threads; 0 = one for each CPU (cpu)")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  attend->add_option("--repeats", options->repeats)
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  attend->add_option("--isa", options->isa, "Instruction set; the fastest by default (cpu)");
  attend
      ->add_option("--arms", options->arms,
                   "thrift, nested, fp16, low_only, paper; with cuda also thrift_keep (sets "
                   "of earlier steps) and thrift_scratch (no step before)")
      ->delimiter(',')
      ->capture_default_str();
  attend->add_option("--policy", options->policy, "One of " + known_policies() + "; not of paper")
      ->capture_default_str();
  attend->add_option("--mode", options->mode, "kv4 or w4a4")
      ->check(CLI::IsMember({"kv4", "w4a4"}))
      ->capture_default_str();
  attend->add_option("--budget", options->budget)->check(within(0, 1))->capture_default_str();
  attend->add_option("--tau", options->tau)->check(within(0, 1))->capture_default_str();
  attend
      ->add_option("--peer", options->peer,
                   "ggml: time its f16 flash attention in the same run (cpu)")
      ->check(CLI::IsMember({"ggml"}));
  attend
      ->add_option("--profile", options->profile,
                   "Recorded model whose block masses the data is like: gemma3-270m (default), "
                   "smollm2, or how far from the first to the second, 0 to 1 (cuda)")
      ->check(CLI::IsMember({"gemma3-270m", "smollm2"}) | within(0, 1));
  attend
      ->add_option("--turnover", options->turnover,
                   "% of the heaviest 5 % of the blocks that are new at a step; by default as "
                   "recorded (cuda)")
      ->check(within(0, 100));
  attend->add_option("--seed", options->seed)->capture_default_str();
  attend->add_option("--json", options->json, "Write the result as JSON");
  attend->callback([options] { run_bench(*options); });
}

}  // namespace thriftattn::cli
