// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// thriftattn inspect: what one cache and one decode call look like, block by block; with --model,
// how the layers of a real model attend.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "arms.h"
#include "commands.h"
#include "error.h"
#include "inspect_model.h"
#include "synthetic.h"
#include "thriftattn/attention.h"
#include "thriftattn/device.h"

namespace thriftattn::cli {
namespace {

constexpr std::size_t kMapWidth = 64;
constexpr std::size_t kHeaviest = 8;

struct InspectOptions {
  std::string model_shape = "smollm2";
  std::int64_t kv_len = 8192;
  std::string policy = "fp4_mass";
  Selection selection;
  std::string high_tier = "rows16";
  std::string isa;
  std::uint64_t seed = 1;
  ModelInspection of_model;
};

char fate_letter(std::uint8_t fate) {
  if ((fate & kFateForced) != 0) return 'F';
  if ((fate & kFatePromotedV) != 0) return '#';
  if ((fate & kFateTail) != 0) return (fate & kFatePromotedK) != 0 ? 'k' : '.';
  if ((fate & kFatePromotedK) != 0) return '+';
  return (fate & kFateVisible) != 0 ? 'o' : ' ';
}

// Softmax mass of each block, mean over the group's rows, from the data in double precision.
std::vector<double> block_masses(const Shape& shape, const SyntheticData& data, std::int64_t kv_len,
                                 const UnitTrace& unit) {
  const auto dim = static_cast<std::size_t>(shape.head_dim);
  const auto tokens = static_cast<std::size_t>(kv_len);
  std::vector<double> masses(unit.fate.size());
  std::vector<double> logits(tokens);
  for (int row = unit.first_q_head; row < unit.first_q_head + unit.q_heads; ++row) {
    const float* q = data.q.data() + static_cast<std::size_t>(row) * dim;
    for (std::size_t t = 0; t < tokens; ++t) {
      const std::size_t place =
          t * static_cast<std::size_t>(shape.kv_heads) + static_cast<std::size_t>(unit.kv_head);
      logits[t] = std::inner_product(q, q + dim, data.k.data() + place * dim, 0.0) /
                  std::sqrt(static_cast<double>(dim));
    }
    const double max = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (double& logit : logits) sum += (logit = std::exp(logit - max));
    for (std::size_t t = 0; t < tokens; ++t) {
      masses[t / kBlockTokens] += logits[t] / sum / unit.q_heads;
    }
  }
  return masses;
}

void print_cache(const PagedKvCache& cache, std::int64_t kv_len) {
  const PagedKvCacheConfig& config = cache.config();
  const Numerics& numerics = config.numerics;
  const std::int64_t blocks = (kv_len + kBlockTokens - 1) / kBlockTokens;
  const std::int64_t sealed = kv_len / kBlockTokens;
  const std::int64_t low = cache.store().tile_bytes();
  const std::int64_t rows = 4LL * kBlockTokens * config.head_dim;
  const std::int64_t residual = 2 * cache.store().residual_bytes();
  const double elements = 2.0 * kBlockTokens * config.head_dim;
  fmt::print("Cache: {} tokens, {} kv heads, head_dim {}: {} blocks of {} tokens, {} sealed\n",
             kv_len, config.kv_heads, config.head_dim, blocks, kBlockTokens, sealed);
  fmt::print("  low tier   NVFP4, {}, K {}, V {}: {} bytes a block, {:.2f} bits an element\n",
             numerics.scale_rule == ScaleRule::kFourOverSix ? "four_over_six" : "nearest",
             numerics.centre_k ? "centred" : "as it is",
             numerics.token_norms ? "with token norms" : "with one exponent", low,
             8.0 * static_cast<double>(low) / elements);
  const bool nested = config.high_tier == HighTier::kNested;
  if (nested) {
    fmt::print("  high tier  nested, NVFP4 of the rest: {} bytes a block, {:.2f} bits an element\n",
               residual, 8.0 * static_cast<double>(residual) / elements);
  } else {
    fmt::print("  high tier  16 bit: {} bytes a block, 16.00 bits an element\n", rows);
  }
  const std::int64_t high = nested ? residual * sealed + rows * (blocks - sealed) : rows * blocks;
  fmt::print("  in all     {:.1f} KiB low, {:.1f} KiB high, {:.1f} KiB held with summaries\n",
             static_cast<double>(low * sealed * config.kv_heads) / 1024,
             static_cast<double>(high * config.kv_heads) / 1024,
             static_cast<double>(cache.memory_bytes()) / 1024);
}

void print_report(const AttendReport& report, int head_dim, double distance) {
  const double rows = static_cast<double>(report.rows);
  const double exact_bytes = 4.0 * kBlockTokens * head_dim * static_cast<double>(report.blocks);
  const double bytes = static_cast<double>(report.bytes_low + report.bytes_high);
  fmt::print("  promoted   {:.1f} % of what was not forced (K {}, V {} blocks)\n",
             report.promoted_share() * 100, report.promoted_k, report.promoted_v);
  fmt::print("  forced     {:.1f} %   tail {:.1f} % of the visible blocks\n",
             report.forced_share() * 100, report.tail_share() * 100);
  fmt::print("  mass       {:.2f} % in the high tier, {:.3f} % dropped with the tail\n",
             report.mass_covered / rows * 100, report.mass_tail / rows * 100);
  fmt::print("  read       {:.1f} KiB low, {:.1f} KiB high: {:.2f} bits an element, {:.2f}x less\n",
             static_cast<double>(report.bytes_low) / 1024,
             static_cast<double>(report.bytes_high) / 1024, 16 * bytes / exact_bytes,
             exact_bytes / bytes);
  fmt::print("  output     {:.2e} from the 16-bit output (relative L2)\n", distance);
}

void print_unit(const UnitTrace& unit, const std::vector<double>& masses) {
  fmt::print("\nkv head {}, q heads {} to {}\n", unit.kv_head, unit.first_q_head,
             unit.first_q_head + unit.q_heads - 1);
  for (std::size_t begin = 0; begin < unit.fate.size(); begin += kMapWidth) {
    std::string line;
    for (std::size_t b = begin; b < std::min(begin + kMapWidth, unit.fate.size()); ++b) {
      line += fate_letter(unit.fate[b]);
    }
    fmt::print("  {:>5}  {}\n", begin, line);
  }
  std::vector<std::size_t> order(masses.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t shown = std::min(kHeaviest, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&](std::size_t a, std::size_t b) { return masses[a] > masses[b]; });
  fmt::print("  heaviest ");
  for (std::size_t i = 0; i < shown; ++i) {
    fmt::print(" {}{} {:.1f}%", order[i], fate_letter(unit.fate[order[i]]), masses[order[i]] * 100);
  }
  fmt::print("\n");
}

struct Call {
  std::vector<float> out;
  AttendReport report;
  AttendTrace trace;
};

Call call(const Shape& shape, const SyntheticData& data, const PagedKvCache& cache,
          const Selection& selection) {
  Call result;
  result.out.resize(data.q.size());
  const SequenceId sequence = 0;
  const std::int64_t offsets[] = {0, 1};
  AttendParams params;
  params.q = ConstTensorView::packed(data.q.data(), DType::kF32, 1, shape.q_heads, shape.head_dim);
  params.out = TensorView::packed(result.out.data(), DType::kF32, 1, shape.q_heads, shape.head_dim);
  params.sequences = {&sequence, 1};
  params.q_offsets = offsets;
  params.options.selection = selection;
  params.report = &result.report;
  params.trace = &result.trace;
  require(attend(params, cache));
  return result;
}

void run_inspect(const InspectOptions& options) {
  if (!options.isa.empty()) require(force_isa(options.isa));
  const Result<std::string> isa = active_isa();
  require(isa.status());
  const Shape shape = shape_of(options.model_shape);
  Selection selection = options.selection;
  selection.policy = parse_policy(options.policy);
  selection.unit = SelectionUnit::kToken;
  selection.seed = options.seed;
  const SyntheticData data = make_synthetic(shape, options.kv_len, options.seed);
  const PagedKvCache cache =
      make_cache(shape, data, options.kv_len, 1, selection.policy == Policy::kQuest,
                 high_tier_of(options.high_tier));
  const PagedKvCache rows = make_cache(shape, data, options.kv_len, 1, false, HighTier::kRows16);
  Selection everything;
  everything.budget.kind = Budget::Kind::kAll;
  const Call exact = call(shape, data, rows, everything);
  const Call chosen = call(shape, data, cache, selection);

  print_cache(cache, options.kv_len);
  fmt::print(
      "\nOne decode call: {} q heads, policy {}, budget {:g} (K x {:g}, V x {:g}), tau {:g}, {}\n",
      shape.q_heads, options.policy, selection.budget.value, selection.budget.k_share,
      selection.budget.v_share, selection.tau, isa.value());
  print_report(chosen.report, shape.head_dim, relative_distance(chosen.out, exact.out));
  fmt::print(
      "\nBlocks: F forced, # K and V promoted, + K promoted, o low tier, . V not read, "
      "k K promoted and V not read\n");
  for (const UnitTrace& unit : chosen.trace) {
    print_unit(unit, block_masses(shape, data, options.kv_len, unit));
  }
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* inspect =
      app.add_subcommand("inspect", "Show one cache and one decode call, or a model's attention");
  inspect->add_option("--model-shape", options->model_shape, "smollm2, gemma3-270m or llama3-8b")
      ->capture_default_str();
  inspect->add_option("--kv-len", options->kv_len, "Tokens in the cache")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  inspect->add_option("--policy", options->policy, "One of " + known_policies())
      ->capture_default_str();
  inspect->add_option("--budget", options->selection.budget.value, "Promoted share")
      ->check(within(0, 1))
      ->capture_default_str();
  inspect->add_option("--tau", options->selection.tau, "Mass of the tail")
      ->check(within(0, 1))
      ->capture_default_str();
  inspect->add_option("--high-tier", options->high_tier, "rows16 or nested")->capture_default_str();
  inspect->add_option("--isa", options->isa, "Instruction set; the fastest by default");
  inspect->add_option("--seed", options->seed, "Of the data")->capture_default_str();
  add_model_options(*inspect, options->of_model);
  inspect->callback([options] {
    if (options->of_model.model.empty()) {
      run_inspect(*options);
    } else {
      inspect_model(options->of_model);
    }
  });
}

}  // namespace thriftattn::cli
