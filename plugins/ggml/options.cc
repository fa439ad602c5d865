// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>

namespace thriftattn::plugin {
namespace {

constexpr std::int64_t kDefaultCrossover = 1024;
constexpr std::int64_t kDefaultShortCache = 1024;

// Of `values`, both guarded by `mutex`.
struct Process {
  std::mutex mutex;
  Options options;
  std::string message;
  Process() { preset("thrift", options); }
};
Process& process() {
  static Process instance;
  return instance;
}

Options from_library(const Selection& selection, const Numerics& numerics) {
  return {
      .struct_size = sizeof(Options),
      .exact = false,
      .mode = static_cast<std::int32_t>(ComputeMode::kKv4),
      .policy = static_cast<std::int32_t>(selection.policy),
      .unit = static_cast<std::int32_t>(selection.unit),
      .budget_kind = static_cast<std::int32_t>(selection.budget.kind),
      .budget = selection.budget.value,
      .k_share = selection.budget.k_share,
      .v_share = selection.budget.v_share,
      .tau = selection.tau,
      .force_sink = selection.force_sink,
      .force_own = selection.force_own,
      .seal_own = false,
      .scale_rule = static_cast<std::int32_t>(numerics.scale_rule),
      .centre_k = numerics.centre_k,
      .token_norms = numerics.token_norms,
      .crossover_tokens = kDefaultCrossover,
      .short_cache_tokens = kDefaultShortCache,
      .split_blocks = AttendOptions{}.split_blocks,
      .seed = selection.seed,
      .verify = false,
      .high_tier = static_cast<std::int32_t>(HighTier::kRows16),
      .set_lag = 0,
  };
}

// Nothing promoted and nothing left out: the low tier alone.
Selection nothing_promoted() {
  Selection s = Selection::paper();
  s.budget = {Budget::Kind::kCount, 0, 1, 1};
  s.unit = SelectionUnit::kAuto;
  return s;
}

std::string bad(const char* what, double got, const char* supported) {
  std::string number = std::to_string(got);
  if (number.find('.') != std::string::npos) {
    number.erase(number.find_last_not_of('0') + 1);
    if (number.back() == '.') number.pop_back();
  }
  return std::string(what) + " " + number + ": supported " + supported;
}

bool within(double value, double low, double high) { return value >= low && value <= high; }

}  // namespace

bool preset(const std::string& name, Options& options) {
  if (name == "thrift" || name == "exact") {
    options = from_library(Selection{}, Numerics{});
    options.exact = name == "exact";
  } else if (name == "paper") {
    options = from_library(Selection::paper(), Numerics::plain());
  } else if (name == "fp4" || name == "fp4_all") {
    options = from_library(nothing_promoted(), Numerics::plain());
    options.seal_own = name == "fp4_all";
  } else {
    return false;
  }
  return true;
}

std::string check(const Options& o) {
  if (o.struct_size != sizeof(Options)) {
    return bad("thriftattn_ggml_options of bytes", static_cast<double>(o.struct_size),
               std::to_string(sizeof(Options)).c_str());
  }
  if (!within(o.mode, 0, 1)) return bad("mode", o.mode, "0 (kv4), 1 (w4a4)");
  if (!within(o.policy, 0, 4)) return bad("policy", o.policy, "0 to 4");
  if (!within(o.unit, 0, 3)) return bad("unit", o.unit, "0 to 3");
  if (!within(o.budget_kind, 0, 3)) return bad("budget_kind", o.budget_kind, "0 to 3");
  const bool count = o.budget_kind == static_cast<std::int32_t>(Budget::Kind::kCount);
  if (!within(o.budget, 0, count ? HUGE_VAL : 1)) {
    return bad("budget", o.budget, count ? "0 or more blocks" : "0 to 1");
  }
  if (!within(o.k_share, 0, 1e6)) return bad("k_share", o.k_share, "0 or more");
  if (!within(o.v_share, 0, 1e6)) return bad("v_share", o.v_share, "0 or more");
  if (!(o.tau >= 0 && o.tau < 1)) return bad("tau", o.tau, "0 <= tau < 1");
  if (!within(o.scale_rule, 0, 1)) return bad("scale_rule", o.scale_rule, "0, 1");
  if (o.crossover_tokens < 0) {
    return bad("crossover_tokens", static_cast<double>(o.crossover_tokens), "0 or more");
  }
  if (o.short_cache_tokens < 0) {
    return bad("short_cache_tokens", static_cast<double>(o.short_cache_tokens), "0 or more");
  }
  if (!within(o.high_tier, 0, 1)) return bad("high_tier", o.high_tier, "0 (rows16), 1 (nested)");
  if (!within(o.set_lag, 0, 1)) return bad("set_lag", o.set_lag, "0, 1");
  const auto unit = static_cast<SelectionUnit>(o.unit);
  if (o.set_lag == 1 && unit != SelectionUnit::kToken && unit != SelectionUnit::kTokenPerQHead) {
    return bad("set_lag 1: unit", o.unit, "1 (token), 2 (token of one q head)");
  }
  if (o.split_blocks < 1) return bad("split_blocks", o.split_blocks, "1 or more");
  return {};
}

Options current_options() {
  Process& p = process();
  const std::lock_guard lock(p.mutex);
  return p.options;
}

const char* set_options(const Options* options) {
  Process& p = process();
  const std::lock_guard lock(p.mutex);
  p.message = check(*options);
  if (!p.message.empty()) return p.message.c_str();
  p.options = *options;
  return nullptr;
}

Numerics numerics_of(const Options& o) {
  return {static_cast<ScaleRule>(o.scale_rule), o.centre_k, o.token_norms};
}

AttendOptions attend_options(const Options& o) {
  AttendOptions a;
  a.mode = static_cast<ComputeMode>(o.mode);
  a.numerics = numerics_of(o);
  a.crossover_tokens = o.crossover_tokens;
  a.split_blocks = o.split_blocks;
  if (o.exact) {
    a.selection = Selection::exact();
    return a;
  }
  Selection& s = a.selection;
  s.policy = static_cast<Policy>(o.policy);
  s.unit = static_cast<SelectionUnit>(o.unit);
  s.budget = {static_cast<Budget::Kind>(o.budget_kind), o.budget, o.k_share, o.v_share};
  s.tau = o.tau;
  s.force_sink = o.force_sink;
  s.force_own = o.force_own;
  s.seed = o.seed;
  return a;
}

}  // namespace thriftattn::plugin
