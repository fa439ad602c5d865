// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "metrics.h"

namespace thriftattn::cli {
namespace {

using Json = nlohmann::ordered_json;

// NaN and infinity have no JSON number.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json number(const std::optional<double>& value) { return value ? number(*value) : Json(nullptr); }

Json to_json(const ArmReport& arm) {
  return {{"name", arm.name},
          {"policy", arm.policy},
          {"budget", arm.budget},
          {"tau", arm.tau},
          {"nll", number(arm.nll)},
          {"delta_nll", number(arm.delta_nll)},
          {"kl", number(arm.kl)},
          {"kl_p99", number(arm.kl_p99)},
          {"top1", arm.top1},
          {"recovery", number(arm.recovery)},
          {"recovery_all", number(arm.recovery_all)},
          {"decode_tokens_per_s", number(arm.decode_tokens_per_s)},
          {"prefill_tokens_per_s", arm.prefill_tokens_per_s},
          {"attention_share", arm.attention_share},
          {"kv_bits_per_element", arm.kv_bits_per_element},
          {"promoted_share", arm.promoted_share},
          {"forced_share", arm.forced_share},
          {"tail_share", arm.tail_share}};
}

const ArmReport* find_arm(const std::vector<ArmReport>& arms, const char* name) {
  for (const ArmReport& arm : arms) {
    if (arm.name == name) return &arm;
  }
  return nullptr;
}

std::string percent(const std::optional<double>& value) {
  return value ? fmt::format("{:.1f}", *value * 100) : "-";
}

}  // namespace

ArmReport summarise_arm(const Arm& arm, const ArmResult& result, Phase phase, int head_dim) {
  ArmReport report;
  report.kind = arm.kind;
  report.name = arm.name;
  report.policy = arm.policy();
  report.budget = arm.budget();
  report.tau = arm.exact() ? 0 : arm.options.tau;
  report.nll = mean(result.quality.nll);
  report.kl = mean(result.quality.kl);
  report.kl_p99 = quantile(result.quality.kl, 0.99);
  const auto positions = static_cast<double>(result.quality.kl.size());
  report.top1 = positions > 0 ? static_cast<double>(result.quality.same_top) / positions : 1.0;
  report.prefill_tokens_per_s = static_cast<double>(result.text.tokens) / result.text.seconds;
  const bool stepped = !result.step_seconds.empty();
  if (stepped) report.decode_tokens_per_s = 1.0 / median(result.step_seconds);
  const StageCost& cost = stepped && phase == Phase::kDecode ? result.steps : result.text;
  report.attention_share = cost.attention_seconds / cost.seconds;
  if (arm.exact()) return report;
  const AttendReport& counted = result.counted;
  report.promoted_share = counted.promoted_share();
  report.forced_share = counted.forced_share();
  report.tail_share = counted.tail_share();
  const AttendReport& read = stepped ? result.steps.report : counted;
  if (read.blocks > 0) {
    const double elements = 2.0 * static_cast<double>(read.blocks) * kBlockTokens * head_dim;
    report.kv_bits_per_element =
        8.0 * static_cast<double>(read.bytes_low + read.bytes_high) / elements;
  }
  return report;
}

void compare_arms(std::vector<ArmReport>& arms) {
  if (arms.empty()) return;
  const ArmReport* strict = find_arm(arms, "fp4");
  const ArmReport* all = find_arm(arms, "fp4_all");
  for (std::size_t i = 0; i < arms.size(); ++i) {
    ArmReport& arm = arms[i];
    arm.delta_nll = arm.nll - arms[0].nll;
    if (i == 0) continue;
    if (strict != nullptr && strict->kl > 0) arm.recovery = 1 - arm.kl / strict->kl;
    if (all != nullptr && all->kl > 0) arm.recovery_all = 1 - arm.kl / all->kl;
  }
}

std::string to_table(const EvalReport& report) {
  std::string text = fmt::format(
      "{}, weights {}, {}: {} tokens, measured from {} on, {} phase, {}, {} threads, {}, {}\n\n",
      report.model, report.weights, report.text, report.ctx, report.kl_from, report.phase,
      report.mode, report.threads, report.isa, report.cpu);
  text += fmt::format(
      "{:<12} {:>8} {:>9} {:>9} {:>8} {:>6} {:>7} {:>7} {:>8} {:>8} {:>5} {:>6} {:>6} {:>6}\n",
      "arm", "NLL", "d NLL", "KL", "KL p99", "top-1", "rec", "rec all", "decode", "prefill", "attn",
      "bits", "prom", "tail");
  text += fmt::format(
      "{:<12} {:>8} {:>9} {:>9} {:>8} {:>6} {:>7} {:>7} {:>8} {:>8} {:>5} {:>6} {:>6} {:>6}\n", "",
      "", "", "", "", "%", "%", "%", "tok/s", "tok/s", "%", "/elem", "%", "%");
  for (const ArmReport& arm : report.arms) {
    const std::string decode =
        arm.decode_tokens_per_s ? fmt::format("{:.1f}", *arm.decode_tokens_per_s) : "-";
    text += fmt::format(
        "{:<12} {:>8.4f} {:>9.5f} {:>9.6f} {:>8.5f} {:>6.2f} {:>7} {:>7} {:>8} {:>8.1f} {:>5.1f} "
        "{:>6.2f} {:>6.2f} {:>6.2f}\n",
        arm.name, arm.nll, arm.delta_nll, arm.kl, arm.kl_p99, arm.top1 * 100, percent(arm.recovery),
        percent(arm.recovery_all), decode, arm.prefill_tokens_per_s, arm.attention_share * 100,
        arm.kv_bits_per_element, arm.promoted_share * 100, arm.tail_share * 100);
  }
  return text;
}

std::string to_json(const EvalReport& report) {
  Json json = {
      {"model", report.model},           {"weights", report.weights}, {"text", report.text},
      {"text_bytes", report.text_bytes}, {"ctx", report.ctx},         {"kl_from", report.kl_from},
      {"chunk", report.chunk},           {"phase", report.phase},     {"mode", report.mode},
      {"threads", report.threads},       {"cpu", report.cpu},         {"isa", report.isa},
      {"version", report.version},       {"arms", Json::array()}};
  for (const ArmReport& arm : report.arms) json["arms"].push_back(to_json(arm));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

const std::vector<ColumnHelp>& column_help() {
  static const std::vector<ColumnHelp> help = {
      {"NLL, d NLL",
       "mean negative log-likelihood of the next token, nats; d = minus the reference's"},
      {"KL, KL p99", "mean and 99th percentile over positions of KL(reference || arm), nats"},
      {"top-1", "positions where the arm's most likely token is the reference's"},
      {"rec, rec all", "recovery: 1 - KL / KL(fp4), and the same against fp4_all"},
      {"decode", "tokens a second of single steps at the end of the text, from their median time"},
      {"prefill",
       "tokens a second of the text in chunks; chunks of decode phase select for each token"},
      {"attn", "share of time in attention: of the single steps, in prefill phase of the chunks"},
      {"bits",
       "bits that one decode step reads for each element of K and V that it sees, in layers "
       "with FP4; 16 where attention is exact"},
      {"prom", "promoted K and V as a share of the blocks that were not forced"},
      {"tail", "share of all visible blocks whose V was not read"},
  };
  return help;
}

}  // namespace thriftattn::cli
