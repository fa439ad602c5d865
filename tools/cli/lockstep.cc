// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "lockstep.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include "error.h"

namespace thriftattn::cli {
namespace {

constexpr int kStepRounds = 4;  // arms take turns, so that a slow moment of the machine hits all

AttendReport to_report(const thriftattn_ggml_stats& stats) {
  AttendReport report;
  report.rows = stats.rows;
  report.units = stats.units;
  report.blocks = stats.blocks;
  report.forced = stats.forced;
  report.promoted_k = stats.promoted_k;
  report.promoted_v = stats.promoted_v;
  report.tail = stats.tail;
  report.mass_covered = stats.mass_covered;
  report.mass_tail = stats.mass_tail;
  report.bytes_low = stats.bytes_low;
  report.bytes_high = stats.bytes_high;
  return report;
}

class Lockstep {
 public:
  Lockstep(const LockstepConfig& config, std::span<const Arm> arms, const Module& module)
      : config_(config),
        arms_(arms),
        module_(module),
        vocab_(static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(config.model)))),
        batch_(llama_batch_init(config.chunk, 0, 1)),
        results_(arms.size()) {
    const ContextParams params = {
        .capacity = config.ctx + config.steps, .chunk = config.chunk, .threads = config.threads};
    for (std::size_t i = 0; i < arms.size(); ++i) {
      contexts_.push_back(make_context(config.model, params));
    }
  }
  ~Lockstep() { llama_batch_free(batch_); }
  Lockstep(const Lockstep&) = delete;
  Lockstep& operator=(const Lockstep&) = delete;

  std::vector<ArmResult> run() {
    for (std::int64_t begin = 0; begin < config_.ctx; begin += config_.chunk) {
      run_chunk(begin, std::min(begin + config_.chunk, config_.ctx));
    }
    for (int round = 0; round < kStepRounds; ++round) {
      for (std::size_t arm = 0; arm < arms_.size(); ++arm) run_steps(arm, round);
    }
    return std::move(results_);
  }

 private:
  // One llama_decode of tokens [begin, end); positions in the counted part give logits.
  StageCost decode(std::size_t arm, std::int64_t begin, std::int64_t end, bool logits) {
    batch_.n_tokens = static_cast<std::int32_t>(end - begin);
    for (std::int64_t i = 0; i < end - begin; ++i) {
      // Steps behind the text take its tokens from the start again where it has no more.
      const auto from = static_cast<std::size_t>(begin + i) % config_.tokens.size();
      batch_.token[i] = config_.tokens[from];
      batch_.pos[i] = static_cast<llama_pos>(begin + i);
      batch_.n_seq_id[i] = 1;
      batch_.seq_id[i][0] = 0;
      batch_.logits[i] = logits && begin + i >= config_.kl_from ? 1 : 0;
    }
    if (!logits) batch_.logits[batch_.n_tokens - 1] = 1;  // as a generating program would ask
    module_.reset_stats();
    const auto start = std::chrono::steady_clock::now();
    const int error = llama_decode(contexts_[arm].get(), batch_);
    llama_synchronize(contexts_[arm].get());
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (error != 0) {
      throw failure("arm {}: llama.cpp cannot decode tokens {} to {} (code {})", arms_[arm].name,
                    begin, end, error);
    }
    const thriftattn_ggml_stats stats = module_.stats();
    if (stats.attention_calls == 0) {
      throw failure("the module saw no attention of this model; is flash attention supported?");
    }
    return {end - begin, seconds.count(), stats.attention_seconds, to_report(stats)};
  }

  void run_chunk(std::int64_t begin, std::int64_t end) {
    for (std::size_t arm = 0; arm < arms_.size(); ++arm) {
      module_.set_options(arms_[arm].options);
      const StageCost cost = decode(arm, begin, end, true);
      results_[arm].text += cost;
      if (begin >= config_.kl_from) results_[arm].counted += cost.report;
      advance(static_cast<double>(end - begin), arms_[arm].name);
    }
    const std::int64_t first = std::max(begin, config_.kl_from);
    const std::int64_t last = std::min(end, config_.ctx - 1);  // the last token has no next one
    if (first < last) compare(first, last);
  }

  // Fills the results of positions [first, last), whose logits are row 0 and following of every
  // context.
  void compare(std::int64_t first, std::int64_t last) {
    const std::size_t rows = static_cast<std::size_t>(last - first);
    std::vector<const float*> logits;
    for (const LlamaContext& context : contexts_) logits.push_back(llama_get_logits(context.get()));
    std::vector<std::vector<double>> nlls(arms_.size(), std::vector<double>(rows));
    std::vector<std::vector<double>> kls = nlls;
    std::vector<std::vector<char>> same(arms_.size(), std::vector<char>(rows));
    const auto worker = [&](std::size_t begin, std::size_t step) {
      for (std::size_t row = begin; row < rows; row += step) {
        const ReferenceRow reference({logits[0] + row * vocab_, vocab_});
        const llama_token next = config_.tokens[static_cast<std::size_t>(first) + row + 1];
        for (std::size_t arm = 0; arm < arms_.size(); ++arm) {
          const std::span<const float> z(logits[arm] + row * vocab_, vocab_);
          const RowSummary summary = arm == 0 ? reference.summary() : summarise(z);
          nlls[arm][row] = nll(z, summary, next);
          kls[arm][row] = arm == 0 ? 0.0 : reference.kl(z, summary);
          same[arm][row] = summary.top == reference.summary().top ? 1 : 0;
        }
      }
    };
    const auto threads = static_cast<std::size_t>(config_.threads);
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back(worker, i, threads);
    worker(0, threads);
    others.clear();
    for (std::size_t arm = 0; arm < arms_.size(); ++arm) {
      Quality& quality = results_[arm].quality;
      quality.nll.insert(quality.nll.end(), nlls[arm].begin(), nlls[arm].end());
      quality.kl.insert(quality.kl.end(), kls[arm].begin(), kls[arm].end());
      quality.same_top += std::count(same[arm].begin(), same[arm].end(), 1);
    }
  }

  void run_steps(std::size_t arm, int round) {
    Arm step_arm = arms_[arm];
    step_arm.options.unit = static_cast<int>(step_arm.step_unit);
    module_.set_options(step_arm.options);
    const std::int64_t from = config_.ctx + config_.steps * round / kStepRounds;
    const std::int64_t to = config_.ctx + config_.steps * (round + 1) / kStepRounds;
    for (std::int64_t position = from; position < to; ++position) {
      const StageCost cost = decode(arm, position, position + 1, false);
      results_[arm].steps += cost;
      results_[arm].step_seconds.push_back(cost.seconds);
      advance(1.0, step_arm.name + ", single steps");
    }
  }

  void advance(double tokens, const std::string& what) {
    done_ += tokens;
    const double total = static_cast<double>(config_.ctx + config_.steps);
    if (config_.on_progress) {
      config_.on_progress(done_ / (total * static_cast<double>(arms_.size())), what);
    }
  }

  LockstepConfig config_;
  std::span<const Arm> arms_;
  const Module& module_;
  std::size_t vocab_;
  llama_batch batch_;
  std::vector<LlamaContext> contexts_;
  std::vector<ArmResult> results_;
  double done_ = 0;
};

}  // namespace

StageCost& StageCost::operator+=(const StageCost& other) {
  tokens += other.tokens;
  seconds += other.seconds;
  attention_seconds += other.attention_seconds;
  report += other.report;
  return *this;
}

std::vector<ArmResult> run_lockstep(const LockstepConfig& config, std::span<const Arm> arms,
                                    const Module& module) {
  return Lockstep(config, arms, module).run();
}

}  // namespace thriftattn::cli
