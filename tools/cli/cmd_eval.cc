// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// thriftattn eval: quality, speed and memory of every arm on a real model and a real text.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "arms.h"
#include "commands.h"
#include "cpu_info.h"
#include "error.h"
#include "files.h"
#include "llama_model.h"
#include "lockstep.h"
#include "models.h"
#include "module.h"
#include "progress.h"
#include "report.h"
#include "thriftattn/device.h"
#include "version_text.h"
#include "weights.h"

namespace thriftattn::cli {
namespace {

constexpr int kDecodeChunk = kBlockTokens;
constexpr int kPrefillChunk = 512;
constexpr int kSteps = 64;
constexpr std::int64_t kMinCtx = 256;

struct EvalOptions {
  std::string model = "smollm2";
  std::string text;
  std::int64_t ctx = 4096;
  std::string phase = "decode";
  std::string mode = "kv4";
  std::string policy = "fp4_mass";
  Selection selection;
  std::vector<std::string> arms;
  std::string weights = "f16";
  int threads = 0;
  bool no_steps = false;
  bool force = false;
  bool verbose = false;
  std::string json;
  std::string html;
};

std::vector<Arm> chosen_arms(const EvalOptions& options) {
  ArmDefaults defaults;
  defaults.phase = options.phase == "prefill" ? Phase::kPrefill : Phase::kDecode;
  defaults.mode = options.mode == "w4a4" ? ComputeMode::kW4a4 : ComputeMode::kKv4;
  defaults.selection = options.selection;
  defaults.selection.policy = parse_policy(options.policy);
  std::vector<std::string> lists = options.arms;
  if (lists.empty()) lists = {"fp16,floor,fp4_all,fp4,paper,thrift"};
  std::vector<Arm> arms = parse_arms(lists, defaults);
  const auto reference =
      std::find_if(arms.begin(), arms.end(), [](const Arm& arm) { return arm.name == "fp16"; });
  if (reference == arms.end()) {
    arms.insert(arms.begin(), parse_arms(std::vector<std::string>{"fp16"}, defaults).front());
  } else {
    std::rotate(arms.begin(), reference, reference + 1);
  }
  return arms;
}

void check_context(const EvalOptions& options, const llama_model* model, std::size_t tokens) {
  if (static_cast<std::int64_t>(tokens) < options.ctx) {
    throw failure("text: too short: --ctx {} needs as many tokens, it has {}", options.ctx, tokens);
  }
  const int trained = llama_model_n_ctx_train(model);
  if (options.ctx > trained && !options.force) {
    throw usage_error("--ctx {}: the model was trained for at most {} tokens; --force runs it",
                      options.ctx, trained);
  }
}

EvalReport describe(const EvalOptions& options, int threads) {
  EvalReport report;
  report.weights = options.weights;
  report.ctx = options.ctx;
  report.kl_from = options.ctx / 4;
  report.phase = options.phase;
  report.mode = options.mode;
  report.chunk = options.phase == "prefill" ? kPrefillChunk : kDecodeChunk;
  report.threads = threads;
  report.cpu = cpu_model();
  const Result<std::string> isa = active_isa();
  require(isa.status());
  report.isa = isa.value();
  report.version = version_text();
  return report;
}

EvalReport evaluate(const EvalOptions& options) {
  std::vector<Arm> arms = chosen_arms(options);
  const int threads = options.threads > 0 ? options.threads : cpu_count();
  const Weights weights = parse_weights(options.weights);
  EvalReport report = describe(options, threads);

  const auto model_file = find_model(options.model);
  report.model = model_name(model_file);
  const auto text_file = find_text(options.text);
  const std::string text = read_file(text_file, "text");
  report.text = text_file.filename().string();
  report.text_bytes = static_cast<std::int64_t>(text.size());

  start_llama(options.verbose);
  const Module module = Module::load();
  const LlamaModel model = load_model(expand_weights(model_file, weights, threads));
  const std::vector<llama_token> tokens = tokenize(model.get(), text);
  check_context(options, model.get(), tokens.size());
  for (Arm& arm : arms) {
    arm.options.short_cache_tokens = window_capacity(model.get(), report.chunk);
  }

  Progress progress(1.0);
  LockstepConfig config;
  config.model = model.get();
  config.tokens = tokens;
  config.ctx = options.ctx;
  config.kl_from = report.kl_from;
  config.chunk = report.chunk;
  config.steps = options.no_steps ? 0 : kSteps;
  config.threads = threads;
  config.on_progress = [&](double share, const std::string& arm) { progress.update(share, arm); };
  const std::vector<ArmResult> results = run_lockstep(config, arms, module);
  const Phase phase = report.phase == "prefill" ? Phase::kPrefill : Phase::kDecode;
  for (std::size_t i = 0; i < arms.size(); ++i) {
    report.arms.push_back(summarise_arm(arms[i], results[i], phase, model_head_dim(model.get())));
  }
  compare_arms(report.arms);
  return report;
}

void run_eval(const EvalOptions& options) {
  if (!options.json.empty()) check_writable(options.json);
  if (!options.html.empty()) check_writable(options.html);
  const auto start = std::chrono::steady_clock::now();
  EvalReport report = evaluate(options);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  report.minutes = seconds.count() / 60;
  fmt::print("{}", to_table(report));
  if (!options.json.empty()) write_file(options.json, to_json(report));
  if (!options.html.empty()) write_file(options.html, to_html(report));
}

std::string footer() {
  std::string text = describe_arms() + "\n\nColumns, over the positions from ctx / 4 on:\n";
  for (const ColumnHelp& line : column_help()) {
    text += fmt::format("  {:<13} {}\n", line.column, line.meaning);
  }
  return text;
}

}  // namespace

void add_eval(CLI::App& app) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* eval =
      app.add_subcommand("eval", "Quality and speed of every arm on a model and a text");
  eval->footer(footer());
  eval->add_option("--model", options->model, "smollm2, gemma3-270m or a GGUF file")
      ->capture_default_str();
  eval->add_option("--text", options->text, "Text file; texts/genesis.txt of the build by default");
  eval->add_option("--ctx", options->ctx, "Tokens of the text")
      ->check(CLI::Range(kMinCtx, std::int64_t{1} << 20))
      ->capture_default_str();
  eval->add_option("--phase", options->phase,
                   "decode: a set for each token; prefill: for each tile")
      ->check(CLI::IsMember({"decode", "prefill"}))
      ->capture_default_str();
  eval->add_option("--mode", options->mode, "kv4: q and P stay 32 bit; w4a4: they are FP4 too")
      ->check(CLI::IsMember({"kv4", "w4a4"}))
      ->capture_default_str();
  Selection& selection = options->selection;
  eval->add_option("--budget", selection.budget.value, "Promoted share, of thrift and paper")
      ->check(within(0, 1))
      ->capture_default_str();
  eval->add_option("--tau", selection.tau, "Mass of the tail, of thrift")
      ->check(within(0, 1))
      ->capture_default_str();
  eval->add_option("--k-share", selection.budget.k_share, "Budget of K, of thrift")
      ->check(within(0, 100))
      ->capture_default_str();
  eval->add_option("--v-share", selection.budget.v_share, "Budget of V, of thrift")
      ->check(within(0, 100))
      ->capture_default_str();
  eval->add_option("--policy", options->policy, "Policy of thrift: " + known_policies())
      ->capture_default_str();
  eval->add_option("--seed", selection.seed, "Seed of policy random")->capture_default_str();
  eval->add_option("--arms,--arm", options->arms, "Arms, comma separated; all six by default");
  eval->add_option("--weights", options->weights, "f16, f32 or as-is")->capture_default_str();
  eval->add_option("--threads", options->threads, "Threads; 0 = one for each CPU")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  eval->add_flag("--no-decode-speed", options->no_steps, "Leave out the timed single steps");
  eval->add_flag("--force", options->force,
                 "Run beyond the context that the model was trained for");
  eval->add_flag("--verbose", options->verbose, "Show llama.cpp's error lines");
  eval->add_option("--json", options->json, "Write the result as JSON");
  eval->add_option("--html", options->html, "Write the result as a page with pictures");
  eval->callback([options] { run_eval(*options); });
}

}  // namespace thriftattn::cli
