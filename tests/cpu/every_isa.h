// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What the kernel tests share: one instance of each test per ISA of the build, random data, and
// comparison by bits.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/kernel_table.h"
#include "thriftattn/device.h"

namespace thriftattn::test {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Forces the ISA of its parameter; skipped, with what is missing, where this CPU cannot run it.
class EveryIsa : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const Status status = force_isa(GetParam());
    if (!status.ok()) GTEST_SKIP() << status.message();
    kernels = active_kernels();
    ASSERT_NE(kernels, nullptr);
    ASSERT_EQ(kernels->name, GetParam());
  }
  void TearDown() override { EXPECT_TRUE(force_isa("").ok()); }

  const KernelTable* scalar = cpu::scalar_kernels();
  const KernelTable* kernels = nullptr;
};

inline std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (const IsaInfo& isa : list_isas()) names.push_back(isa.name);
  return names;
}

#define THRIFTATTN_FOR_EVERY_ISA(suite)                                                      \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, ::testing::ValuesIn(::thriftattn::test::isa_names()), \
                           [](const auto& test) { return test.param; })

// NaNs are equal whatever their payload; all else by bits, so +0 is not -0.
inline bool same_bits(float x, float y) {
  if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && std::isnan(y);
  return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
}

inline ::testing::AssertionResult same_bits(const std::vector<float>& got,
                                            const std::vector<float>& want) {
  if (got.size() != want.size()) return ::testing::AssertionFailure() << "sizes differ";
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (same_bits(got[i], want[i])) continue;
    char text[100];
    std::snprintf(text, sizeof text, "element %zu: got %a, want %a", i, double{got[i]},
                  double{want[i]});
    return ::testing::AssertionFailure() << text;
  }
  return ::testing::AssertionSuccess();
}

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}

  std::uint32_t word() { return static_cast<std::uint32_t>(engine_()); }
  int below(int n) { return static_cast<int>(word() % static_cast<std::uint32_t>(n)); }
  float normal(float deviation) { return std::normal_distribution<float>(0, deviation)(engine_); }
  std::vector<float> normals(std::size_t n, float deviation = 1.0f) {
    std::vector<float> values(n);
    for (float& value : values) value = normal(deviation);
    return values;
  }

 private:
  std::mt19937 engine_;
};

}  // namespace thriftattn::test
