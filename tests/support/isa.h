// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Tests that run once with every instruction set of this build.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "thriftattn/device.h"

namespace thriftattn::testing {

// Forces the ISA that the test is instantiated with, for as long as the test runs.
class EveryIsa : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    for (const IsaInfo& isa : list_isas()) {
      if (isa.name == GetParam() && !isa.supported) {
        GTEST_SKIP() << isa.name << ": this CPU lacks " << isa.missing;
      }
    }
    const Status status = force_isa(GetParam());
    ASSERT_TRUE(status.ok()) << status.message();
  }
  void TearDown() override { EXPECT_TRUE(force_isa("").ok()); }

  // The readable scalar kernels get the smaller problems.
  [[nodiscard]] bool slow() const { return GetParam() == "scalar"; }
};

inline std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (const IsaInfo& isa : list_isas()) names.push_back(isa.name);
  return names;
}

// THRIFTATTN_LONG_TESTS=1 multiplies the random cases.
inline bool long_tests() {
  const char* value = std::getenv("THRIFTATTN_LONG_TESTS");
  return value != nullptr && std::string(value) == "1";
}

#define THRIFTATTN_FOR_EVERY_ISA(Suite)                                                         \
  INSTANTIATE_TEST_SUITE_P(Isa, Suite, ::testing::ValuesIn(::thriftattn::testing::isa_names()), \
                           [](const ::testing::TestParamInfo<std::string>& i) { return i.param; })

}  // namespace thriftattn::testing
