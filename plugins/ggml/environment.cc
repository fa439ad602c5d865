// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>

#include "buffer.h"
#include "options.h"

namespace thriftattn::plugin {
namespace {

struct Switches {
  bool statistics = false;
  bool any_buffer = false;
  Writer dropped = Writer::kCount;
};
Switches& switches() {
  static Switches instance;
  return instance;
}

const char* value_of(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? value : nullptr;
}

std::string error(const char* name, const char* got, const std::string& supported) {
  return std::string(name) + "=" + got + ": supported " + supported;
}

// Index of the variable's value in `names`, or -1 with a message. `index` is kept where it is not
// set.
template <std::size_t kCount>
std::string read_name(const char* variable, const char* const (&names)[kCount],
                      std::int32_t& index) {
  const char* value = value_of(variable);
  if (!value) return {};
  std::string supported;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (std::string_view(value) == names[i]) {
      index = static_cast<std::int32_t>(i);
      return {};
    }
    supported += (i ? ", " : "") + std::string(names[i]);
  }
  return error(variable, value, supported);
}

// A number, or a percentage ("5%" is 0.05), from low to high.
std::string read_number(const char* variable, double low, double high, const char* supported,
                        double& number) {
  const char* value = value_of(variable);
  if (!value) return {};
  char* end = nullptr;
  double got = std::strtod(value, &end);
  const bool percent = end != value && *end == '%';
  if (percent) {
    got /= 100;
    ++end;
  }
  if (end == value || *end || !(got >= low && got <= high))
    return error(variable, value, supported);
  number = got;
  return {};
}

std::string read_tokens(const char* variable, std::int64_t& tokens) {
  double number = static_cast<double>(tokens);
  std::string message = read_number(variable, 0, 1e12, "a number of tokens, 0 or more", number);
  if (message.empty() && number != std::floor(number)) {
    message = error(variable, value_of(variable), "a whole number of tokens");
  }
  tokens = static_cast<std::int64_t>(number);
  return message;
}

std::string read_switch(const char* variable, bool& on) {
  std::int32_t index = on;
  const std::string message = read_name(variable, {"0", "1"}, index);
  on = index != 0;
  return message;
}

std::string read_dropped_hook(Writer& writer) {
  auto index = static_cast<std::int32_t>(writer);
  const std::string message =
      read_name("THRIFTATTN_TEST_DROP_HOOK",
                {"set_rows", "rope", "cpy", "set_tensor", "memset", "cpy_tensor", "clear"}, index);
  writer = static_cast<Writer>(index);
  return message;
}

std::string read_options(Options& o) {
  if (const char* mode = value_of("THRIFTATTN_MODE"); mode && !preset(mode, o)) {
    return error("THRIFTATTN_MODE", mode, "thrift, paper, fp4, fp4_all, exact");
  }
  const double old_budget = o.budget;
  std::string messages[] = {
      read_name("THRIFTATTN_COMPUTE", {"kv4", "w4a4"}, o.mode),
      read_name("THRIFTATTN_POLICY", {"fp4_mass", "block_mean", "quest", "local", "random"},
                o.policy),
      read_name("THRIFTATTN_HIGH_TIER", {"rows16", "nested"}, o.high_tier),
      read_number("THRIFTATTN_BUDGET", 0, 1, "0 to 1, or 0% to 100%", o.budget),
      read_number("THRIFTATTN_TAU", 0, 0.999999, "0 <= tau < 1", o.tau),
      read_tokens("THRIFTATTN_CROSSOVER", o.crossover_tokens),
      read_tokens("THRIFTATTN_SHORT_CACHE", o.short_cache_tokens),
      read_switch("THRIFTATTN_VERIFY", o.verify),
      read_switch("THRIFTATTN_STATS", switches().statistics),
      read_switch("THRIFTATTN_ANYBUF", switches().any_buffer),
      read_dropped_hook(switches().dropped),
  };
  for (std::string& message : messages) {
    if (!message.empty()) return std::move(message);
  }
  // A budget that is asked for is a share, whatever the preset counts in.
  if (o.budget != old_budget) o.budget_kind = static_cast<std::int32_t>(Budget::Kind::kFraction);
  return check(o);
}

}  // namespace

bool statistics_at_exit() { return switches().statistics; }
bool accept_unallocated() { return switches().any_buffer; }
Writer dropped_hook() { return switches().dropped; }

std::string load_environment() {
  Options options = current_options();
  if (std::string message = read_options(options); !message.empty()) return message;
  set_options(&options);
  return {};
}

}  // namespace thriftattn::plugin
