// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The result of an evaluation, and the forms it is shown in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arms.h"
#include "lockstep.h"

namespace thriftattn::cli {

struct ArmReport {
  std::string kind;
  std::string name;
  std::string policy;
  double budget = 0;
  double tau = 0;
  double nll = 0;        // mean, nats a token
  double delta_nll = 0;  // against the reference
  double kl = 0;         // mean, nats, reference to arm
  double kl_p99 = 0;
  double top1 = 0;                     // share of positions with the reference's most likely token
  std::optional<double> recovery;      // 1 - KL / KL(fp4)
  std::optional<double> recovery_all;  // 1 - KL / KL(fp4_all)
  std::optional<double> decode_tokens_per_s;  // of single steps behind the text, by their median
  double prefill_tokens_per_s = 0;            // of the text's chunks
  double attention_share = 0;       // of the phase's time: single steps, or the chunks of prefill
  double kv_bits_per_element = 16;  // read by one step for one element of K and V
  double promoted_share = 0;
  double forced_share = 0;
  double tail_share = 0;
};

struct EvalReport {
  std::string model;
  std::string weights;
  std::string text;
  std::int64_t text_bytes = 0;
  std::int64_t ctx = 0;
  std::int64_t kl_from = 0;
  int chunk = 0;
  std::string phase;
  std::string mode;
  int threads = 0;
  std::string cpu;
  std::string isa;
  std::string version;
  double minutes = 0;
  std::vector<ArmReport> arms;
};

// Numbers of one arm. head_dim turns bytes into bits an element.
ArmReport summarise_arm(const Arm& arm, const ArmResult& result, Phase phase, int head_dim);
// Fills what needs other arms: delta_nll against arms[0], recoveries against fp4 and fp4_all.
void compare_arms(std::vector<ArmReport>& arms);

std::string to_table(const EvalReport& report);
std::string to_json(const EvalReport& report);
std::string to_html(const EvalReport& report);  // one page with its pictures, nothing loaded

// What the columns mean, a line each: for --help and the page.
struct ColumnHelp {
  const char* column;
  const char* meaning;
};
const std::vector<ColumnHelp>& column_help();

}  // namespace thriftattn::cli
