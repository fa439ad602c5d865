// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "inspect_model.h"

#include <fmt/format.h>

#include "capture.h"
#include "cpu_info.h"
#include "error.h"
#include "files.h"
#include "layer_profile.h"
#include "llama_model.h"
#include "models.h"
#include "module.h"
#include "progress.h"
#include "synthetic.h"
#include "thriftattn/attention.h"
#include "version_text.h"
#include "weights.h"

namespace thriftattn::cli {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

// What the capture will hold at least, before the model runs for minutes.
void check_size(const ModelInspection& options, const llama_model* model) {
  const std::int64_t layers =
      std::max<std::int64_t>(static_cast<std::int64_t>(options.layers.size()), 1);
  const std::int64_t bytes =
      layers * captured_bytes(options.ctx, options.steps, llama_model_n_head(model),
                              llama_model_n_head_kv(model), model_head_dim(model));
  if (bytes > options.capture_mib * kMiB) {
    throw usage_error("--capture-mib {}: {} layers of {} tokens take {} MiB; name fewer --layers",
                      options.capture_mib, layers, options.ctx, bytes / kMiB + 1);
  }
}

// The capture replayed: 16-bit attention over a cache of its K and V, against what the model gave.
double replay_distance(const CapturedLayer& layer) {
  const std::int64_t blocks = (layer.ctx() + kBlockTokens - 1) / kBlockTokens;
  PagedKvCacheConfig config;
  config.kv_heads = layer.kv_heads;
  config.head_dim = layer.head_dim;
  config.pages = blocks;
  Result<PagedKvCache> cache = PagedKvCache::create(config);
  require(cache.status());
  const Result<SequenceId> sequence = cache.value().add_sequence();
  require(sequence.status());
  const auto rows = [&](const std::vector<half_t>& values) {
    return ConstTensorView::packed(values.data(), DType::kF16, layer.ctx(), layer.kv_heads,
                                   layer.head_dim);
  };
  require(cache.value().append(sequence.value(), rows(layer.k), rows(layer.v)));
  std::vector<float> out(layer.q.size());
  const SequenceId sequences[] = {sequence.value()};
  const std::int64_t offsets[] = {0, layer.steps()};
  AttendParams params;
  params.q = ConstTensorView::packed(layer.q.data(), DType::kF32, layer.steps(), layer.q_heads,
                                     layer.head_dim);
  params.out =
      TensorView::packed(out.data(), DType::kF32, layer.steps(), layer.q_heads, layer.head_dim);
  params.sequences = sequences;
  params.q_offsets = offsets;
  params.options.softmax_scale = layer.softmax_scale;
  params.options.selection = Selection::exact();
  require(attend(params, cache.value()));
  return relative_distance(out, layer.out);
}

void print_profile(const std::string& name, const MassProfile& p, const std::string& replay) {
  fmt::print(
      "{:<6} {:>6.1f} {:>6.1f} {:>7.1f} {:>6.1f} {:>6.1f} {:>6.1f} {:>6.1f} {:>7.1f} {:>6.1f} "
      "{:>9}\n",
      name, 100 * p.sink, 100 * p.own, 100 * p.share_50, 100 * p.share_90, 100 * p.share_99,
      100 * p.share_999, 100 * p.tail, 100 * p.turnover_1, 100 * p.turnover_8, replay);
}

void print_profiles(const std::vector<CapturedLayer>& layers) {
  fmt::print(
      "All in %, means over kv heads and steps: mass of the first and of the own block; the fewest "
      "blocks that\nhold 50, 90, 99, 99.9 % of a unit's mass; the most that hold 1 % of every "
      "row's; how much of the heaviest\n5 % is new after 1 and 8 steps. replay: 16-bit attention "
      "over the captured K and V against the model's.\n\n"
      "{:<6} {:>6} {:>6} {:>7} {:>6} {:>6} {:>6} {:>6} {:>7} {:>6} {:>9}\n",
      "layer", "first", "own", "50", "90", "99", "99.9", "tail", "new 1", "new 8", "replay");
  std::vector<MassProfile> profiles;
  for (const CapturedLayer& layer : layers) {
    profiles.push_back(profile_of(layer));
    print_profile(std::to_string(layer.layer), profiles.back(),
                  fmt::format("{:.1e}", replay_distance(layer)));
  }
  print_profile("mean", mean_of(profiles), "");
}

void write_capture(const ModelInspection& options, const std::string& model,
                   const std::vector<CapturedLayer>& layers) {
  const Result<std::string> bytes =
      to_safetensors(to_tensors(layers, {{"model", model}, {"version", version_text()}}));
  require(bytes.status());
  const auto size = static_cast<std::int64_t>(bytes.value().size());
  if (size > options.capture_mib * kMiB) {
    throw usage_error("--capture-mib {}: {} layers of {} tokens take {} MiB; name some --layers",
                      options.capture_mib, layers.size(), options.ctx, size / kMiB + 1);
  }
  write_file(options.capture, bytes.value());
  fmt::print("\n{}: {} layers, {:.1f} MiB\n", options.capture, layers.size(),
             static_cast<double>(size) / kMiB);
}

}  // namespace

void inspect_model(ModelInspection options) {
  if (options.ctx <= options.steps) {
    throw usage_error("--steps {}: supported 1 to --ctx - 1, {}", options.steps, options.ctx - 1);
  }
  if (!options.capture.empty()) check_writable(options.capture);
  const int threads = options.threads > 0 ? options.threads : cpu_count();
  const auto model_file = find_model(options.model);
  const std::string text = read_file(find_text(options.text), "text");
  start_llama(false);
  const Module module = Module::load();
  const LlamaModel model = load_model(expand_weights(model_file, parse_weights("f16"), threads));
  if (!options.capture.empty()) check_size(options, model.get());
  const std::vector<llama_token> tokens = tokenize(model.get(), text);
  if (static_cast<std::int64_t>(tokens.size()) < options.ctx) {
    throw failure("text: too short: --ctx {} needs as many tokens, it has {}", options.ctx,
                  tokens.size());
  }
  std::vector<CapturedLayer> layers;
  {
    Progress progress(1.0);
    layers = capture_layers(
        {.model = model.get(),
         .tokens = tokens,
         .ctx = options.ctx,
         .steps = options.steps,
         .layers = options.layers,
         .threads = threads,
         .on_progress = [&](double done, const std::string& what) { progress.update(done, what); }},
        module);
  }
  fmt::print("{}, {} tokens, the last {} one by one: {} q heads, {} kv heads, head_dim {}\n",
             model_name(model_file), options.ctx, options.steps, layers[0].q_heads,
             layers[0].kv_heads, layers[0].head_dim);
  print_profiles(layers);
  if (!options.capture.empty()) write_capture(options, model_name(model_file), layers);
}

void add_model_options(CLI::App& inspect, ModelInspection& options) {
  CLI::Option* model = inspect.add_option(
      "--model", options.model,
      "Show how the layers of a real model attend instead: smollm2, gemma3-270m or a GGUF file");
  const auto add = [&](const std::string& name, auto& value, const std::string& help) {
    return inspect.add_option(name, value, help + " (--model)")->needs(model);
  };
  add("--text", options.text, "Text file; texts/genesis.txt of the build by default");
  add("--ctx", options.ctx, "Tokens of the text")
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{1} << 20))
      ->capture_default_str();
  add("--steps", options.steps, "The last tokens, whose q is looked at")
      ->check(CLI::Range(1, 512))
      ->capture_default_str();
  add("--layers", options.layers, "Layers, comma separated; by default all without a window")
      ->delimiter(',')
      ->check(CLI::Range(0, 100000));
  add("--capture", options.capture, "Write K, V, q and outputs of the layers as safetensors");
  add("--capture-mib", options.capture_mib, "The most that such a file may take")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  add("--threads", options.threads, "Threads; 0 = one for each CPU")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

}  // namespace thriftattn::cli
