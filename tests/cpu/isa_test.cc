// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Which ISA runs: the list, force_isa and THRIFTATTN_ISA. A wrong name is an error and never
// another ISA.
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/kernel_table.h"
#include "thriftattn/device.h"

namespace thriftattn {
namespace {

class Isa : public ::testing::Test {
 protected:
  void SetUp() override { reset(); }
  void TearDown() override { reset(); }

  static void reset() {
    unsetenv("THRIFTATTN_ISA");
    ASSERT_TRUE(force_isa("").ok());
  }
  static std::string fastest() {
    std::string name;
    for (const IsaInfo& isa : list_isas()) {
      if (isa.supported) name = isa.name;
    }
    return name;
  }
};

void expect_error(const Status& status, StatusCode code, const std::string& name) {
  EXPECT_EQ(status.code(), code);
  EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("supported scalar"), std::string::npos) << status.message();
}

TEST_F(Isa, ListIsCompleteAndSlowestFirst) {
  std::vector<std::string> names;
  for (const IsaInfo& isa : list_isas()) {
    names.push_back(isa.name);
    EXPECT_EQ(isa.supported, isa.missing.empty()) << isa.name;
  }
#if defined(__x86_64__)
  EXPECT_EQ(names, (std::vector<std::string>{"scalar", "avx2", "avx512"}));
#else
  EXPECT_EQ(names, std::vector<std::string>{"scalar"});
#endif
  EXPECT_TRUE(list_isas()[0].supported);
}

TEST_F(Isa, DefaultIsTheFastest) {
  EXPECT_EQ(active_isa().value(), fastest());
  EXPECT_EQ(active_kernels()->name, fastest());
}

TEST_F(Isa, TablesAreComplete) {
  for (const IsaInfo& isa : list_isas()) {
    if (!force_isa(isa.name).ok()) continue;
    const KernelTable* kernels = active_kernels();
    ASSERT_NE(kernels, nullptr);
    EXPECT_NE(kernels->unpack_nvfp4, nullptr);
    EXPECT_NE(kernels->unpack_half, nullptr);
    EXPECT_NE(kernels->unpack_half_transposed, nullptr);
    EXPECT_NE(kernels->gemm, nullptr);
    EXPECT_NE(kernels->gemm_nvfp4, nullptr);
    EXPECT_GT(kernels->decoding_rows, 0);
    EXPECT_NE(kernels->block_softmax, nullptr);
    EXPECT_NE(kernels->block_weights, nullptr);
  }
}

TEST_F(Isa, ForceAndBack) {
  for (const IsaInfo& isa : list_isas()) {
    const Status status = force_isa(isa.name);
    EXPECT_EQ(status.ok(), isa.supported);
    if (!isa.supported) {
      expect_error(status, StatusCode::kUnsupported, isa.missing);
      continue;
    }
    EXPECT_EQ(active_isa().value(), isa.name);
    EXPECT_EQ(active_kernels()->name, isa.name);
  }
  ASSERT_TRUE(force_isa("").ok());
  EXPECT_EQ(active_isa().value(), fastest());
}

TEST_F(Isa, UnknownForcedNameChangesNothing) {
  ASSERT_TRUE(force_isa("scalar").ok());
  for (const char* name : {"neon", "AVX2", "avx2 ", "avx", "sse"}) {
    expect_error(force_isa(name), StatusCode::kInvalidArgument, name);
    EXPECT_EQ(active_isa().value(), "scalar");
  }
}

TEST_F(Isa, EnvironmentChooses) {
  setenv("THRIFTATTN_ISA", "scalar", 1);
  EXPECT_EQ(active_isa().value(), "scalar");
  EXPECT_EQ(active_kernels(), cpu::scalar_kernels());
  setenv("THRIFTATTN_ISA", "", 1);
  EXPECT_EQ(active_isa().value(), fastest());
}

TEST_F(Isa, ForcedWinsOverEnvironment) {
  setenv("THRIFTATTN_ISA", "scalar", 1);
  ASSERT_TRUE(force_isa(fastest()).ok());
  EXPECT_EQ(active_isa().value(), fastest());
}

TEST_F(Isa, WrongEnvironmentIsAnError) {
  setenv("THRIFTATTN_ISA", "sse9", 1);
  const Result<std::string> isa = active_isa();
  ASSERT_FALSE(isa.ok());
  expect_error(isa.status(), StatusCode::kInvalidArgument, "THRIFTATTN_ISA sse9");
  EXPECT_EQ(active_kernels(), nullptr);
  // A forced name still works, and going back to the default meets the error again.
  ASSERT_TRUE(force_isa("scalar").ok());
  EXPECT_EQ(active_isa().value(), "scalar");
  ASSERT_TRUE(force_isa("").ok());
  EXPECT_FALSE(active_isa().ok());
}

TEST_F(Isa, EnvironmentThatThisCpuLacks) {
  for (const IsaInfo& isa : list_isas()) {
    if (isa.supported) continue;
    setenv("THRIFTATTN_ISA", isa.name.c_str(), 1);
    ASSERT_FALSE(active_isa().ok());
    expect_error(active_isa().status(), StatusCode::kUnsupported, isa.missing);
    EXPECT_EQ(active_kernels(), nullptr);
    return;
  }
  GTEST_SKIP() << "this CPU supports every ISA of the build";
}

}  // namespace
}  // namespace thriftattn
