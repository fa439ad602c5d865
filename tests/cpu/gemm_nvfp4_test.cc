// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// gemm_nvfp4: in every ISA the bits of the scalar unpack_nvfp4 and gemm, one after the other.
#include "coded_panel.h"
#include "every_isa.h"

namespace thriftattn::test {
namespace {

struct Problem {
  OwnedPanel panel;
  std::vector<float> factor;  // [contraction]
  std::vector<float> bias;    // [contraction]
  std::vector<std::vector<float>> a;
  std::vector<std::vector<float>> c;

  Problem(Random& random, int rows, int contraction, int lanes)
      : panel(random_panel(random, contraction, lanes)), bias(random.normals(contraction)) {
    for (int i = 0; i < contraction; ++i) {
      factor.push_back(std::ldexp(1.0f, random.below(20) - 10));
    }
    for (int row = 0; row < rows; ++row) {
      a.push_back(random.normals(contraction));
      c.push_back(random.normals(lanes + 1));  // one more that must stay
    }
  }

  template <class Multiply>
  [[nodiscard]] std::vector<std::vector<float>> run(const Multiply& multiply) const {
    std::vector<std::vector<float>> out = c;
    std::vector<const float*> a_rows;
    std::vector<float*> c_rows;
    // The first row of a meets the last of c: what lies behind one pointer says nothing of others.
    for (const auto& row : a) a_rows.push_back(row.data());
    for (auto row = out.rbegin(); row != out.rend(); ++row) c_rows.push_back(row->data());
    multiply(a_rows.data(), c_rows.data());
    return out;
  }

  [[nodiscard]] std::vector<std::vector<float>> in_one(const KernelTable& kernels,
                                                       bool accumulate) const {
    return run([&](const float* const* a_rows, float* const* c_rows) {
      kernels.gemm_nvfp4({.a = a_rows,
                          .rows = static_cast<int>(a.size()),
                          .panel = panel.view(),
                          .factor = factor.data(),
                          .bias = bias.data(),
                          .c = c_rows,
                          .accumulate = accumulate});
    });
  }

  [[nodiscard]] std::vector<std::vector<float>> in_two(const KernelTable& kernels,
                                                       bool accumulate) const {
    std::vector<float> unpacked(panel.size());
    kernels.unpack_nvfp4(panel.view(), factor.data(), bias.data(), unpacked.data());
    return run([&](const float* const* a_rows, float* const* c_rows) {
      kernels.gemm({.a = a_rows,
                    .rows = static_cast<int>(a.size()),
                    .panel = unpacked.data(),
                    .contraction = panel.contraction,
                    .lanes = panel.lanes,
                    .c = c_rows,
                    .accumulate = accumulate});
    });
  }
};

class GemmNvfp4 : public EveryIsa {
 protected:
  void expect_the_bits_of_two(const Problem& problem) const {
    for (const bool accumulate : {false, true}) {
      const auto got = problem.in_one(*kernels, accumulate);
      const auto want = problem.in_two(*scalar, accumulate);
      for (std::size_t row = 0; row < want.size(); ++row) {
        ASSERT_TRUE(same_bits(got[row], want[row]))
            << want.size() << " rows, contraction " << problem.panel.contraction << ", lanes "
            << problem.panel.lanes << ", accumulate " << accumulate << ": row " << row;
      }
    }
  }
};
THRIFTATTN_FOR_EVERY_ISA(GemmNvfp4);

TEST_P(GemmNvfp4, EveryNumberOfRows) {
  Random random(1);
  for (int rows = 0; rows <= 20; ++rows) {
    expect_the_bits_of_two(Problem(random, rows, 64, kBlockTokens));
    if (HasFatalFailure()) return;
  }
}

TEST_P(GemmNvfp4, EveryNumberOfLanes) {
  Random random(2);
  for (int lanes = 16; lanes <= 288; lanes += 16) {
    for (const int rows : {1, 2, 3, 4, 5, 6, 7, 13}) {
      expect_the_bits_of_two(Problem(random, rows, 32, lanes));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(GemmNvfp4, EveryContraction) {
  Random random(3);
  for (int contraction = kScaleGroup; contraction <= kMaxHeadDim; contraction += kScaleGroup) {
    for (const int rows : {1, 2, 3, 4, 5, 6, 7, 13}) {
      expect_the_bits_of_two(Problem(random, rows, contraction, kBlockTokens));
      if (HasFatalFailure()) return;
    }
  }
}

// Rounded, subnormal and overflowing elements, and those that are a signed zero.
TEST_P(GemmNvfp4, EdgeFactorsAndBiases) {
  Random random(4);
  for (const float factor : {0x1p-127f, 0x1p-149f, 0x1p126f, 0x1p127f, 0.3f, 0.0f, -1.0f}) {
    for (const float bias : {0.0f, -0.0f, 0x1p-130f, -0x1p127f}) {
      Problem problem(random, 3, 32, 48);
      problem.factor.assign(32, factor);
      problem.bias.assign(32, bias);
      expect_the_bits_of_two(problem);
      if (HasFatalFailure()) return;
    }
  }
}

// Sums of zeros keep their sign, and what is not finite goes the same way.
TEST_P(GemmNvfp4, EdgeValues) {
  Random random(5);
  const float edges[] = {0.0f, -0.0f, 0x1p-140f, -0x1p-149f, 0x1p127f, kInfinity, -kInfinity, kNan};
  for (const int finite : {5, 8}) {  // without and with what is not finite
    for (int rows = 1; rows <= 7; ++rows) {
      Problem problem(random, rows, 48, 80);
      problem.bias.assign(48, 0.0f);
      for (auto* matrix : {&problem.a, &problem.c}) {
        for (auto& row : *matrix) {
          for (float& x : row) x = random.below(2) == 0 ? edges[random.below(finite)] : x;
        }
      }
      expect_the_bits_of_two(problem);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace thriftattn::test
