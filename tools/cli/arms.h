// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The arms of an evaluation: names for settings of the module.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "thriftattn/attention.h"
#include "thriftattn_ggml.h"

namespace thriftattn::cli {

enum class Phase : std::uint8_t {
  kDecode,   // chunks of one block, a set for each token
  kPrefill,  // chunks of 512, a set for each tile
};
const char* to_string(Phase phase);
const char* to_string(ComputeMode mode);
const char* to_string(Policy policy);

// What the command line says for every arm that has a budget. Values out of range are refused
// there.
struct ArmDefaults {
  Phase phase = Phase::kDecode;
  ComputeMode mode = ComputeMode::kKv4;
  Selection selection;  // of `thrift`; `paper` takes its budget's value only
};

struct Arm {
  std::string kind;                   // the known arm that it is a variant of
  std::string name;                   // kind, unless the list says otherwise
  thriftattn_ggml_options options{};  // short_cache_tokens is set when the model is known
  SelectionUnit step_unit = SelectionUnit::kToken;  // of single decode steps, in either phase

  [[nodiscard]] bool exact() const { return options.exact; }
  [[nodiscard]] std::string policy() const;  // "exact", "none" or the policy's name
  [[nodiscard]] double budget() const;       // 1 for exact, 0 for none
};

// Names of parse_policy, comma separated.
std::string known_policies();
// Throws CliError for an unknown name.
Policy parse_policy(std::string_view name);

// `list` is NAME[:KEY=VALUE,...] separated by commas, as in "fp16,thrift,thrift:budget=0.01,tau=0".
// Two arms of one name get a number. Throws CliError for what is unknown or out of range.
std::vector<Arm> parse_arms(std::span<const std::string> lists, const ArmDefaults& defaults);

// Help: one line for each arm and the keys.
std::string describe_arms();

}  // namespace thriftattn::cli
