// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "error.h"

namespace thriftattn::cli {
namespace {

// Shares of the softmax mass; the rest of the tokens get what is left.
constexpr double kSinkMass = 0.30;
constexpr double kRecentMass = 0.30;
constexpr double kNeedleMass = 0.20;
constexpr int kSinkTokens = 4;
constexpr int kRecentTokens = 128;
constexpr int kNeedles = 4;
constexpr int kNeedleTokens = 6;
constexpr float kBlockSpread = 1.5f;    // deviation of a block's logits as a whole
constexpr float kQueryStrength = 4.0f;  // length of the part of q that looks for them

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {  // splitmix64
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // Near enough to a normal distribution: four uniform numbers summed, variance 1.
  float normal() {
    const std::uint64_t b = bits();
    const auto sum =
        static_cast<float>((b & 0xffff) + (b >> 16 & 0xffff) + (b >> 32 & 0xffff) + (b >> 48));
    return (sum / 65536.0f - 2.0f) * 1.7320508f;
  }

 private:
  std::uint64_t state_;
};

// What a token's logit has to rise to for `tokens` of them to carry `mass` beside the rest, whose
// logits vary by 1 within a block and by kBlockSpread between blocks.
float logit_for(double mass, int tokens, std::int64_t kv_len) {
  const double rest = 1.0 - kSinkMass - kRecentMass - kNeedleMass;
  const double between = 0.5 * kBlockSpread * kBlockSpread;
  const double rest_sum = static_cast<double>(kv_len) * std::exp(0.5 + between);
  return static_cast<float>(std::log(rest_sum * mass / rest / tokens) - 0.5);
}

// How much every token is looked for, in logits.
std::vector<float> token_logits(std::int64_t kv_len, Random& random) {
  std::vector<float> logits(static_cast<std::size_t>(kv_len));
  float of_block = 0;
  for (std::size_t t = 0; t < logits.size(); ++t) {
    if (t % kBlockTokens == 0) of_block = kBlockSpread * random.normal();
    logits[t] = of_block;
  }
  const auto raise = [&](std::int64_t begin, std::int64_t count, float logit) {
    for (std::int64_t t = std::max<std::int64_t>(begin, 0); t < std::min(begin + count, kv_len);
         ++t) {
      logits[static_cast<std::size_t>(t)] = std::max(logits[static_cast<std::size_t>(t)], logit);
    }
  };
  raise(0, kSinkTokens, logit_for(kSinkMass, kSinkTokens, kv_len));
  raise(kv_len - kRecentTokens, kRecentTokens, logit_for(kRecentMass, kRecentTokens, kv_len));
  const float needle = logit_for(kNeedleMass, kNeedles * kNeedleTokens, kv_len);
  for (int i = 0; i < kNeedles; ++i) {
    const auto place = random.bits() % static_cast<std::uint64_t>(kv_len);
    raise(static_cast<std::int64_t>(place), kNeedleTokens, needle);
  }
  return logits;
}

}  // namespace

Shape shape_of(const std::string& model) {
  static const std::pair<const char*, Shape> known[] = {
      {"smollm2", {9, 3, 64}}, {"gemma3-270m", {4, 1, 256}}, {"llama3-8b", {32, 8, 128}}};
  for (const auto& [name, shape] : known) {
    if (model == name) return shape;
  }
  throw usage_error("--model-shape {}: unknown; supported: smollm2, gemma3-270m, llama3-8b", model);
}

HighTier high_tier_of(const std::string& name) {
  if (name == "rows16") return HighTier::kRows16;
  if (name == "nested") return HighTier::kNested;
  throw usage_error("--high-tier {}: unknown; supported: rows16, nested", name);
}

SyntheticData make_synthetic(const Shape& shape, std::int64_t kv_len, std::uint64_t seed) {
  Random random(seed);
  const auto dim = static_cast<std::size_t>(shape.head_dim);
  const auto kv_heads = static_cast<std::size_t>(shape.kv_heads);
  const auto q_heads = static_cast<std::size_t>(shape.q_heads);
  SyntheticData data;
  data.k.resize(static_cast<std::size_t>(kv_len) * kv_heads * dim);
  data.v.resize(data.k.size());
  data.q.resize(q_heads * dim);
  for (std::size_t head = 0; head < kv_heads; ++head) {
    std::vector<float> wanted(dim);  // unit vector that the group's queries look for
    std::vector<float> offset(dim);  // K's mean over tokens
    float norm = 0;
    for (float& x : wanted) {
      x = random.normal();
      norm += x * x;
    }
    for (float& x : wanted) x /= std::sqrt(norm);
    for (float& x : offset) x = random.normal();
    const std::vector<float> logits = token_logits(kv_len, random);
    const float strength = std::sqrt(static_cast<float>(dim)) / kQueryStrength;
    for (std::size_t t = 0; t < logits.size(); ++t) {
      float* k = data.k.data() + (t * kv_heads + head) * dim;
      float* v = data.v.data() + (t * kv_heads + head) * dim;
      for (std::size_t d = 0; d < dim; ++d) {
        k[d] = random.normal() + offset[d] + logits[t] * strength * wanted[d];
        v[d] = random.normal();
      }
    }
    const std::size_t group = q_heads / kv_heads;
    for (std::size_t row = head * group; row < (head + 1) * group; ++row) {
      for (std::size_t d = 0; d < dim; ++d) {
        data.q[row * dim + d] = 0.9f * random.normal() + kQueryStrength * wanted[d];
      }
    }
  }
  return data;
}

PagedKvCache make_cache(const Shape& shape, const SyntheticData& data, std::int64_t kv_len,
                        int sequences, bool channel_bounds, HighTier high_tier) {
  const std::int64_t blocks = (kv_len + kBlockTokens - 1) / kBlockTokens;
  PagedKvCacheConfig config;
  config.kv_heads = shape.kv_heads;
  config.head_dim = shape.head_dim;
  config.pages = blocks * sequences;
  config.channel_bounds = channel_bounds;
  config.high_tier = high_tier;
  Result<PagedKvCache> cache = PagedKvCache::create(config);
  require(cache.status());
  for (int i = 0; i < sequences; ++i) {
    const Result<SequenceId> sequence = cache.value().add_sequence();
    require(sequence.status());
    const auto view = [&](const std::vector<float>& values) {
      return ConstTensorView::packed(values.data(), DType::kF32, kv_len, shape.kv_heads,
                                     shape.head_dim);
    };
    require(cache.value().append(sequence.value(), view(data.k), view(data.v)));
  }
  return std::move(cache.value());
}

double relative_distance(const std::vector<float>& a, const std::vector<float>& b) {
  double distance = 0;
  double norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    distance += difference * difference;
    norm += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return std::sqrt(distance / norm);
}

}  // namespace thriftattn::cli
