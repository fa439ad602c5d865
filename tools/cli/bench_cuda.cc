// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "bench_cuda.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "arms.h"
#include "bench_report.h"
#include "cuda/decode_steps.h"
#include "error.h"
#include "mass_profile.h"
#include "thriftattn/cuda.h"

namespace thriftattn::cli {
namespace {

// The name of the GPU that is used: the first.
std::string gpu_name() {
  const Result<std::vector<CudaDevice>> devices = list_cuda_devices();
  if (!devices.ok()) throw failure("--device cuda: {}", devices.status().message());
  if (devices.value().empty()) throw failure("--device cuda: this machine has no GPU");
  const CudaDevice& first = devices.value().front();
  if (!first.supported) {
    throw failure("--device cuda: {} (sm_{}{}): this build has no kernels for it", first.name,
                  first.compute_major, first.compute_minor);
  }
  return first.name;
}

bench::DecodeSetup setup_of(const BenchOptions& options) {
  bench::DecodeSetup setup;
  setup.shape = {options.shape.q_heads, options.shape.kv_heads, options.shape.head_dim,
                 options.kv_len};
  setup.profile = bench::profile_named(options.profile.empty() ? "gemma3-270m" : options.profile);
  if (options.turnover) setup.profile.turnover = static_cast<float>(*options.turnover / 100);
  setup.batch = options.batch;
  setup.repeats = options.repeats;
  setup.seed = options.seed;
  return setup;
}

BenchArm run_arm(const std::string& name, const Selection& selection, const CudaKvCache& cache,
                 CudaAttendPlan& plan, bench::DecodeSteps& steps) {
  const bool with_state = name != "fp16" && name != "paper" && name != "thrift_scratch";
  bench::DecodeTimes times = steps.time(cache, plan, selection, with_state);
  BenchArm arm;
  arm.name = name;
  arm.bytes = static_cast<double>(times.report.bytes_low + times.report.bytes_high);
  arm.report = times.report;
  arm.output = std::move(times.out);
  arm.us = std::move(name == "thrift_keep" ? times.us_keep : times.us);
  if (name == "thrift_keep") {
    arm.report->mass_covered = times.mass_covered_keep * static_cast<double>(times.report.rows);
  }
  return arm;
}

BenchPlace place_of(const std::string& gpu, const MassProfile& p) {
  BenchPlace place;
  place.text = fmt::format(
      "{}, graph replays with the L2 flushed\n"
      "data: {:.1f}, {:.1f}, {:.1f}, {:.1f} % of the blocks hold 50, 90, 99, 99.9 % of the mass; "
      "of the heaviest 5 % {:.0f} % are new at a step",
      gpu, 100 * p.share_50, 100 * p.share_90, 100 * p.share_99, 100 * p.share_999,
      100 * p.turnover_1);
  place.json = {{"gpu", gpu},
                {"profile",
                 {{"sink", p.sink},
                  {"own", p.own},
                  {"share_50", p.share_50},
                  {"share_90", p.share_90},
                  {"share_99", p.share_99},
                  {"share_999", p.share_999},
                  {"tail", p.tail},
                  {"turnover", p.turnover_1}}}};
  return place;
}

}  // namespace

void bench_cuda(const BenchOptions& options) {
  const std::string gpu = gpu_name();
  bench::DecodeSteps steps(setup_of(options));
  std::vector<MassProfile> heads;
  for (const UnitMasses& unit : steps.masses()) heads.push_back(profile_of(unit));
  std::optional<CudaKvCache> cache;  // one at a time: of the arm's high tier
  std::optional<CudaAttendPlan> plan;
  std::vector<BenchArm> arms;
  for (const std::string& name : options.arms) {
    CudaKvCacheConfig config = steps.config();
    config.channel_bounds = parse_policy(options.policy) == Policy::kQuest;
    config.high_tier = name == "nested" ? HighTier::kNested : HighTier::kRows16;
    if (!cache || cache->config().high_tier != config.high_tier) {
      plan.reset();
      cache.reset();
      cache = steps.fill(config);
      plan = steps.plan(*cache);
    }
    arms.push_back(run_arm(name, selection_of(name, options), *cache, *plan, steps));
  }
  report_bench(options, place_of(gpu, mean_of(heads)), arms);
}

}  // namespace thriftattn::cli
