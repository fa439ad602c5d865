// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Times decode steps on a CUDA device: one line of JSON for each arm, after one for the data. Needs
// nothing but the library and CUDA, so that it builds where a GPU is; bench/h200_decode.py puts
// cuDNN beside it. How is timed: decode_steps.h.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/decode_steps.h"

namespace thriftattn::bench {
namespace {

constexpr const char* kUsage =
    "usage: cuda_decode_bench BATCH KV_LEN Q_HEADS KV_HEADS HEAD_DIM [REPEATS]\n"
    "       cuda_decode_bench --capture FILE BATCH [REPEATS]\n"
    "         --capture FILE  K, V and q of a real model's layers, each in turn, as written by\n"
    "                         `thriftattn inspect --capture`; else the data is made up\n"
    "         [--profile gemma3-270m|smollm2|0..1]  whose block masses the data is like, or how\n"
    "                         far from the first to the second\n"
    "         [--turnover PERCENT]  of the heaviest 5 %, from step to step; by default the "
    "profile's\n"
    "         [--only ARM]  leaves the other arms out\n";

struct Median {
  double us = 0;
  double spread = 0;  // median absolute deviation
};

double middle(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

Median median(const std::vector<double>& us) {
  Median m;
  m.us = middle(us);
  std::vector<double> deviations;
  for (const double x : us) deviations.push_back(std::fabs(x - m.us));
  m.spread = middle(deviations);
  return m;
}

Selection selection(double budget, double tau) {
  Selection s;
  s.budget.value = budget;
  s.tau = tau;
  return s;
}

void print_data(DecodeSteps& steps, const DecodeSetup& setup) {
  std::vector<cli::MassProfile> heads;
  for (const cli::UnitMasses& unit : steps.masses()) heads.push_back(cli::profile_of(unit));
  const cli::MassProfile p = cli::mean_of(heads);
  const DataShape& shape = setup.shape;
  std::printf(
      "{\"shape\": [%d, %lld, %d, %d, %d], \"layer\": %d, \"profile\": {\"sink\": %.4f, "
      "\"own\": %.4f, \"share_50\": %.4f, \"share_90\": %.4f, \"share_99\": %.4f, "
      "\"share_999\": %.4f, \"tail\": %.4f, \"turnover\": %.4f}}\n",
      setup.batch, static_cast<long long>(shape.kv_len), shape.q_heads, shape.kv_heads,
      shape.head_dim, setup.capture != nullptr ? setup.capture->layer : -1, p.sink, p.own,
      p.share_50, p.share_90, p.share_99, p.share_999, p.tail, p.turnover_1);
}

void print_arm(const char* name, const DecodeTimes& times) {
  const Median every = median(times.us);
  const bool with_state = !times.us_keep.empty();
  const AttendReport& sums = times.report;
  const double rows = static_cast<double>(sums.rows);
  std::printf(
      "{\"arm\": \"%s\", \"us\": %.2f, \"us_spread\": %.2f, \"us_keep\": %.2f, \"bytes\": %lld, "
      "\"tail_share\": %.4f, \"promoted_share\": %.4f, \"mass_covered\": %.4f, "
      "\"mass_covered_keep\": %.4f, \"mass_tail\": %.5f, \"error\": %.3e, "
      "\"error_scratch\": %.3e}\n",
      name, every.us, every.spread, with_state ? median(times.us_keep).us : every.us,
      static_cast<long long>(sums.bytes_low + sums.bytes_high), sums.tail_share(),
      sums.promoted_share(), sums.mass_covered / rows,
      with_state ? times.mass_covered_keep : sums.mass_covered / rows, sums.mass_tail / rows,
      times.error, times.error_scratch);
}

void print_append(const char* name, const DataShape& shape, int batch, const AppendTimes& times) {
  std::printf(
      "{\"arm\": \"%s\", \"us\": %.2f, \"us_spread\": 0, \"us_step\": %.2f, \"us_seal\": %.2f, "
      "\"us_among\": %.2f, \"us_step_among\": %.2f, \"us_alone\": %.2f, \"bytes\": %lld, "
      "\"tail_share\": 0}\n",
      name, times.steps.in_step_us, times.steps.step_us, times.steps.seal_us,
      times.other_code.in_step_us, times.other_code.step_us, times.alone_us,
      static_cast<long long>(batch) * shape.kv_heads * shape.head_dim * 4);
}

// An arm of one tier: what is promoted, and whether sets come from the step before.
struct Arm {
  const char* name;
  Selection selection;
  bool with_state = true;
};

// The arms of a cache, and its append; `only`: that one, if it has a name.
void run_tier(DecodeSteps& steps, const DecodeSetup& setup, HighTier tier,
              const std::vector<Arm>& arms, const char* append, const std::string& only) {
  const auto is_wanted = [&](const char* name) { return only.empty() || only == name; };
  if (!is_wanted(append) &&
      std::none_of(arms.begin(), arms.end(), [&](const Arm& arm) { return is_wanted(arm.name); })) {
    return;
  }
  CudaKvCacheConfig config = steps.config();
  config.high_tier = tier;
  CudaKvCache cache = steps.fill(config);
  CudaAttendPlan plan = steps.plan(cache);
  for (const Arm& arm : arms) {
    if (!is_wanted(arm.name)) continue;
    print_arm(arm.name, steps.time(cache, plan, arm.selection, arm.with_state));
  }
  if (!is_wanted(append)) return;
  print_append(append, setup.shape, setup.batch,
               steps.time_append(cache, plan, selection(0.05, 0)));
}

// Errors are against the tier's own whole.
void run(const DecodeSetup& setup, const std::string& only) {
  DecodeSteps steps(setup);
  print_data(steps, setup);
  run_tier(steps, setup, HighTier::kRows16,
           {{"dense_16", Selection::exact(), false},
            {"low_only", selection(0, 0)},
            {"promoted_5", selection(0.05, 0)},
            {"promoted_5_tail", selection(0.05, 0.01)},
            {"promoted_1_tail", selection(0.01, 0.01)},
            {"scratch_5", selection(0.05, 0), false}},
           "append_seal", only);
  run_tier(steps, setup, HighTier::kNested,
           {{"promoted_5_nested", selection(0.05, 0)},
            {"promoted_5_nested_tail", selection(0.05, 0.01)}},
           "append_seal_nested", only);
}

void run_captures(DecodeSetup setup, const std::string& file, const std::string& only) {
  for (const Capture& capture : load_captures(file)) {
    if (setup.batch >= capture.shape.kv_len) {
      throw std::runtime_error(file + " has " + std::to_string(capture.shape.kv_len) +
                               " tokens: supported is a batch below that");
    }
    setup.capture = &capture;
    setup.shape = capture.shape;
    run(setup, only);
  }
}

// Takes `--name value` out of the arguments; false where there is none.
bool take(std::vector<std::string>& arguments, const char* name, std::string& value) {
  const auto place = std::find(arguments.begin(), arguments.end(), name);
  if (place == arguments.end() || place + 1 == arguments.end()) return false;
  value = *(place + 1);
  arguments.erase(place, place + 2);
  return true;
}

struct Arguments {
  DecodeSetup setup;
  std::string only;
  std::string capture;
};

bool parse(std::vector<std::string> arguments, Arguments& parsed) {
  DecodeSetup& setup = parsed.setup;
  take(arguments, "--only", parsed.only);
  take(arguments, "--capture", parsed.capture);
  const bool made_up = parsed.capture.empty();
  std::string profile = "gemma3-270m", turnover;
  const bool shaped = take(arguments, "--profile", profile);
  setup.profile = profile_named(profile);
  if (take(arguments, "--turnover", turnover)) {
    char* end = nullptr;
    setup.profile.turnover = static_cast<float>(std::strtod(turnover.c_str(), &end) / 100);
    if (*end != 0) return false;
  }
  if (!made_up && (shaped || !turnover.empty())) return false;  // the file says what the data is
  const std::size_t numbers = made_up ? 5 : 1;
  if (arguments.size() < numbers || arguments.size() > numbers + 1) return false;
  setup.batch = std::atoi(arguments[0].c_str());
  if (made_up) {
    setup.shape.kv_len = std::atoll(arguments[1].c_str());
    setup.shape.q_heads = std::atoi(arguments[2].c_str());
    setup.shape.kv_heads = std::atoi(arguments[3].c_str());
    setup.shape.head_dim = std::atoi(arguments[4].c_str());
    if (setup.shape.kv_len < 1 || setup.shape.kv_heads < 1 ||
        setup.shape.q_heads < setup.shape.kv_heads) {
      return false;
    }
  }
  if (arguments.size() > numbers) setup.repeats = std::atoi(arguments[numbers].c_str());
  return setup.batch >= 1 && setup.repeats >= 1 && setup.profile.turnover >= 0 &&
         setup.profile.turnover <= 1;
}

}  // namespace
}  // namespace thriftattn::bench

int main(int argc, char** argv) {
  using namespace thriftattn::bench;
  Arguments arguments;
  try {
    if (!parse({argv + 1, argv + argc}, arguments)) {
      std::fputs(kUsage, stderr);
      return 2;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cuda_decode_bench: %s\n", error.what());
    return 2;
  }
  try {
    if (arguments.capture.empty()) {
      run(arguments.setup, arguments.only);
    } else {
      run_captures(arguments.setup, arguments.capture, arguments.only);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cuda_decode_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
