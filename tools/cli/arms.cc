// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "arms.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "error.h"

namespace thriftattn::cli {
namespace {

using Options = thriftattn_ggml_options;

constexpr std::pair<std::string_view, Policy> kPolicies[] = {
    {"fp4_mass", Policy::kFp4Mass}, {"block_mean", Policy::kBlockMean}, {"quest", Policy::kQuest},
    {"local", Policy::kLocal},      {"random", Policy::kRandom},
};
constexpr std::pair<std::string_view, SelectionUnit> kUnits[] = {
    {"token", SelectionUnit::kToken},
    {"token_per_q_head", SelectionUnit::kTokenPerQHead},
    {"tile", SelectionUnit::kTile},
};

void set_numerics(Options& options, const Numerics& numerics) {
  options.scale_rule = static_cast<int>(numerics.scale_rule);
  options.centre_k = numerics.centre_k;
  options.token_norms = numerics.token_norms;
}

void set_selection(Arm& arm, const Selection& selection, Phase phase) {
  Options& options = arm.options;
  options.policy = static_cast<int>(selection.policy);
  options.budget_kind = static_cast<int>(selection.budget.kind);
  options.budget = selection.budget.value;
  options.k_share = selection.budget.k_share;
  options.v_share = selection.budget.v_share;
  options.tau = selection.tau;
  options.force_sink = selection.force_sink;
  options.force_own = selection.force_own;
  options.seed = selection.seed;
  arm.step_unit = selection.unit == SelectionUnit::kAuto ? SelectionUnit::kToken : selection.unit;
  options.unit = static_cast<int>(phase == Phase::kPrefill ? SelectionUnit::kTile : arm.step_unit);
}

// Plain FP4: nothing chosen, every V read.
Selection nothing_selected(bool force_own) {
  Selection selection;
  selection.budget.value = 0;
  selection.tau = 0;
  selection.force_sink = false;
  selection.force_own = force_own;
  return selection;
}

void make_fp16(Arm& arm, const ArmDefaults&) { arm.options.exact = true; }

void make_floor(Arm& arm, const ArmDefaults&) {
  arm.options.exact = true;
  arm.options.split_blocks /= 2;
}

void make_fp4_all(Arm& arm, const ArmDefaults& defaults) {
  set_numerics(arm.options, Numerics::plain());
  set_selection(arm, nothing_selected(false), defaults.phase);
  arm.options.seal_own = true;
}

void make_fp4(Arm& arm, const ArmDefaults& defaults) {
  set_numerics(arm.options, Numerics::plain());
  set_selection(arm, nothing_selected(true), defaults.phase);
}

void make_paper(Arm& arm, const ArmDefaults& defaults) {
  Selection selection = Selection::paper();
  selection.budget.value = defaults.selection.budget.value;
  selection.force_own = true;
  set_numerics(arm.options, Numerics::plain());
  set_selection(arm, selection, defaults.phase);
}

void make_thrift(Arm& arm, const ArmDefaults& defaults) {
  set_numerics(arm.options, Numerics{});
  set_selection(arm, defaults.selection, defaults.phase);
}

void make_nested(Arm& arm, const ArmDefaults& defaults) {
  make_thrift(arm, defaults);
  arm.options.high_tier = static_cast<int>(HighTier::kNested);
}

void make_thrift_lag1(Arm& arm, const ArmDefaults& defaults) {
  if (defaults.phase == Phase::kPrefill) {
    throw usage_error("arm thrift_lag1: sets of the step before; supported: --phase decode");
  }
  make_thrift(arm, defaults);
  arm.options.set_lag = 1;
}

struct KnownArm {
  std::string_view name;
  void (*make)(Arm&, const ArmDefaults&);
  std::string_view help;
};
constexpr KnownArm kArms[] = {
    {"fp16", make_fp16, "16-bit attention: the reference"},
    {"floor", make_floor, "16-bit attention summed in another order: the noise"},
    {"fp4_all", make_fp4_all, "plain FP4, the newest block too: what public kernels do"},
    {"fp4", make_fp4, "plain FP4, the own block in 16 bit: the strict baseline"},
    {"paper", make_paper, "the published selection and numerics, the own block in 16 bit"},
    {"thrift", make_thrift, "ours: selected by FP4 mass, uneven budget, tail, better numerics"},
    {"nested", make_nested, "ours with the nested high tier: FP4 of what FP4 leaves, no 16 bit"},
    {"thrift_lag1", make_thrift_lag1,
     "ours with the sets of the step before, as on a GPU; computed twice, so slow"},
};

double parse_number(std::string_view key, std::string_view text, double low, double high) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw usage_error("arm: {}={}: not a number", key, text);
  }
  if (!(value >= low && value <= high)) {
    throw usage_error("arm: {}={}: out of range; supported: {} to {}", key, text, low, high);
  }
  return value;
}

bool parse_flag(std::string_view key, std::string_view text) {
  if (text != "0" && text != "1") throw usage_error("arm: {}={}: supported: 0, 1", key, text);
  return text == "1";
}

SelectionUnit parse_unit(std::string_view text) {
  for (const auto& [name, unit] : kUnits) {
    if (name == text) return unit;
  }
  throw usage_error("arm: unit={}: unknown; supported: token, token_per_q_head, tile", text);
}

constexpr std::string_view kKeys =
    "name, budget, k_share, v_share, tau, policy, unit, seed, splits, force_sink, force_own, "
    "seal_own, four_over_six, centre_k, token_norms, nested, lag";

void apply(Arm& arm, std::string_view key, std::string_view value) {
  Options& o = arm.options;
  const auto fraction = [&] { return parse_number(key, value, 0, 1); };
  if (key == "name") {
    arm.name = value;
  } else if (key == "budget") {
    o.budget = fraction();
  } else if (key == "tau") {
    o.tau = fraction();
  } else if (key == "k_share") {
    o.k_share = parse_number(key, value, 0, 100);
  } else if (key == "v_share") {
    o.v_share = parse_number(key, value, 0, 100);
  } else if (key == "policy") {
    o.policy = static_cast<int>(parse_policy(value));
  } else if (key == "unit") {
    o.unit = static_cast<int>(parse_unit(value));
    arm.step_unit = parse_unit(value);
  } else if (key == "seed") {
    o.seed = static_cast<std::uint64_t>(parse_number(key, value, 0, 4294967295.0));
  } else if (key == "splits") {
    o.split_blocks = static_cast<int>(parse_number(key, value, 1, 1048576));
  } else if (key == "force_sink") {
    o.force_sink = parse_flag(key, value);
  } else if (key == "force_own") {
    o.force_own = parse_flag(key, value);
  } else if (key == "seal_own") {
    o.seal_own = parse_flag(key, value);
  } else if (key == "four_over_six") {
    o.scale_rule =
        static_cast<int>(parse_flag(key, value) ? ScaleRule::kFourOverSix : ScaleRule::kNearest);
  } else if (key == "centre_k") {
    o.centre_k = parse_flag(key, value);
  } else if (key == "token_norms") {
    o.token_norms = parse_flag(key, value);
  } else if (key == "nested") {
    o.high_tier = static_cast<int>(parse_flag(key, value) ? HighTier::kNested : HighTier::kRows16);
  } else if (key == "lag") {
    o.set_lag = parse_flag(key, value) ? 1 : 0;
  } else {
    throw usage_error("arm: unknown key '{}'; supported: {}", key, kKeys);
  }
}

Arm make_arm(std::string_view name, const ArmDefaults& defaults) {
  const auto* known = std::find_if(std::begin(kArms), std::end(kArms),
                                   [&](const KnownArm& arm) { return arm.name == name; });
  if (known == std::end(kArms)) {
    throw usage_error(
        "arm '{}': unknown; supported: fp16, floor, fp4_all, fp4, paper, thrift, nested, "
        "thrift_lag1",
        name);
  }
  Arm arm;
  arm.kind = arm.name = name;
  arm.options.struct_size = sizeof(Options);
  arm.options.mode = static_cast<int>(defaults.mode);
  arm.options.split_blocks = AttendOptions{}.split_blocks;
  set_numerics(arm.options, Numerics{});
  set_selection(arm, Selection{}, defaults.phase);
  known->make(arm, defaults);
  return arm;
}

void make_names_unique(std::vector<Arm>& arms) {
  for (std::size_t i = 0; i < arms.size(); ++i) {
    const std::string base = arms[i].name;
    const auto taken = [&](const std::string& name) {
      return std::any_of(arms.begin(), arms.begin() + static_cast<std::ptrdiff_t>(i),
                         [&](const Arm& arm) { return arm.name == name; });
    };
    for (int number = 2; taken(arms[i].name); ++number) {
      arms[i].name = fmt::format("{}#{}", base, number);
    }
  }
}

}  // namespace

const char* to_string(Phase phase) { return phase == Phase::kDecode ? "decode" : "prefill"; }

const char* to_string(ComputeMode mode) { return mode == ComputeMode::kKv4 ? "kv4" : "w4a4"; }

const char* to_string(Policy policy) {
  for (const auto& [name, value] : kPolicies) {
    if (value == policy) return name.data();
  }
  return "unknown";
}

std::string Arm::policy() const {
  if (options.exact) return "exact";
  return options.budget == 0 ? "none" : to_string(static_cast<Policy>(options.policy));
}

double Arm::budget() const { return options.exact ? 1.0 : options.budget; }

std::string known_policies() {
  std::string names;
  for (const auto& [name, policy] : kPolicies) {
    names += names.empty() ? "" : ", ";
    names += name;
  }
  return names;
}

Policy parse_policy(std::string_view name) {
  for (const auto& [known, policy] : kPolicies) {
    if (known == name) return policy;
  }
  throw usage_error("policy '{}': unknown; supported: {}", name, known_policies());
}

std::vector<Arm> parse_arms(std::span<const std::string> lists, const ArmDefaults& defaults) {
  std::vector<Arm> arms;
  for (std::string_view list : lists) {
    bool first = true;
    while (first || !list.empty()) {
      const std::size_t comma = std::min(list.find(','), list.size());
      std::string_view item = list.substr(0, comma);
      list.remove_prefix(std::min(comma + 1, list.size()));
      const std::size_t colon = item.find(':');
      std::size_t equals = item.find('=');
      // "key=value" without an arm before it goes on with the arm to its left.
      if (colon != std::string_view::npos || equals == std::string_view::npos || first) {
        arms.push_back(make_arm(item.substr(0, std::min(colon, item.size())), defaults));
        item.remove_prefix(colon == std::string_view::npos ? item.size() : colon + 1);
        equals = item.find('=');
      }
      first = false;
      if (item.empty()) continue;
      if (equals == std::string_view::npos) {
        throw usage_error("arm: '{}': expected KEY=VALUE; keys: {}", item, kKeys);
      }
      apply(arms.back(), item.substr(0, equals), item.substr(equals + 1));
    }
  }
  make_names_unique(arms);
  return arms;
}

std::string describe_arms() {
  std::string text = "Arms:\n";
  for (const KnownArm& arm : kArms) text += fmt::format("  {:<11} {}\n", arm.name, arm.help);
  text += "A variant is NAME:KEY=VALUE,...; keys: ";
  text += kKeys;
  return text;
}

}  // namespace thriftattn::cli
