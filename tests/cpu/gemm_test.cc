// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// gemm: the scalar kernel within the bound of recursive summation, every ISA the same bits as it.
#include <algorithm>

#include "every_isa.h"

namespace thriftattn::test {
namespace {

struct Shape {
  int rows;
  int contraction;
  int lanes;
};

// Rows of a and c lie apart and in another order than their pointers.
struct Problem {
  Shape shape;
  std::vector<std::vector<float>> a;
  std::vector<float> panel;
  std::vector<std::vector<float>> c;

  Problem(Random& random, Shape shape_in)
      : shape(shape_in), panel(random.normals(shape.contraction * shape.lanes)) {
    for (int row = 0; row < shape.rows; ++row) {
      a.push_back(random.normals(shape.contraction));
      c.push_back(random.normals(shape.lanes + 1));  // one more that must stay
    }
    std::shuffle(a.begin(), a.end(), std::mt19937(5));
    std::shuffle(c.begin(), c.end(), std::mt19937(6));
  }

  [[nodiscard]] std::vector<std::vector<float>> run(const KernelTable& kernels,
                                                    bool accumulate) const {
    std::vector<std::vector<float>> out = c;
    std::vector<const float*> a_rows;
    std::vector<float*> c_rows;
    for (const auto& row : a) a_rows.push_back(row.data());
    for (auto& row : out) c_rows.push_back(row.data());
    kernels.gemm({.a = a_rows.data(),
                  .rows = shape.rows,
                  .panel = panel.data(),
                  .contraction = shape.contraction,
                  .lanes = shape.lanes,
                  .c = c_rows.data(),
                  .accumulate = accumulate});
    return out;
  }
};

void expect_same(const Problem& problem, const KernelTable& got, const KernelTable& want) {
  for (const bool accumulate : {false, true}) {
    const auto got_rows = problem.run(got, accumulate);
    const auto want_rows = problem.run(want, accumulate);
    for (int row = 0; row < problem.shape.rows; ++row) {
      ASSERT_TRUE(same_bits(got_rows[row], want_rows[row]))
          << problem.shape.rows << " rows, contraction " << problem.shape.contraction << ", lanes "
          << problem.shape.lanes << ", accumulate " << accumulate << ": row " << row;
    }
  }
}

class Gemm : public EveryIsa {};
THRIFTATTN_FOR_EVERY_ISA(Gemm);

TEST_P(Gemm, EveryNumberOfRows) {
  Random random(1);
  for (int rows = 0; rows <= 70; ++rows) {
    expect_same(Problem(random, {rows, 48, kBlockTokens}), *kernels, *scalar);
    if (HasFatalFailure()) return;
  }
}

// Scores: [head_dim, 64 tokens]. Values: [64 tokens, head_dim].
TEST_P(Gemm, EveryHeadDim) {
  Random random(2);
  for (int dim = kMinHeadDim; dim <= kMaxHeadDim; dim += kHeadDimStep) {
    for (const int rows : {1, 2, 3, 4, 5, 6, 7, 13}) {
      expect_same(Problem(random, {rows, dim, kBlockTokens}), *kernels, *scalar);
      expect_same(Problem(random, {rows, kBlockTokens, dim}), *kernels, *scalar);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Gemm, EveryNumberOfLanes) {
  Random random(3);
  for (int lanes = 16; lanes <= 288; lanes += 16) {
    for (int rows = 1; rows <= 8; ++rows) {
      expect_same(Problem(random, {rows, 5, lanes}), *kernels, *scalar);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Gemm, NothingToContract) {
  Random random(4);
  expect_same(Problem(random, {7, 0, 64}), *kernels, *scalar);
}

// Subnormal and signed-zero products, overflow, infinities and NaN go the same way in every ISA.
TEST_P(Gemm, EdgeValues) {
  Random random(5);
  const float edges[] = {0.0f,      -0.0f,     0x1p-140f,  -0x1p-149f, 0x1p-75f, 0x1p127f,
                         -0x1p127f, kInfinity, -kInfinity, kNan,       1.0f};
  for (const int finite : {7, 11}) {  // without and with what is not finite
    for (int rows = 1; rows <= 9; ++rows) {
      Problem problem(random, {rows, 33, 80});
      for (auto& row : problem.a) {
        for (float& x : row) x = random.below(3) == 0 ? edges[random.below(finite)] : x;
      }
      for (float& x : problem.panel) x = random.below(4) == 0 ? edges[random.below(finite)] : x;
      expect_same(problem, *kernels, *scalar);
      if (HasFatalFailure()) return;
    }
  }
}

// A row alone gives what it gives in company, even of NaNs.
TEST_P(Gemm, RowsAreIndependent) {
  Random random(6);
  Problem problem(random, {11, 64, 112});
  for (const int row : {0, 4, 10}) std::fill(problem.a[row].begin(), problem.a[row].end(), kNan);
  const auto together = problem.run(*kernels, false);
  for (int row = 0; row < problem.shape.rows; ++row) {
    Problem alone = problem;
    alone.shape.rows = 1;
    alone.a = {problem.a[row]};
    alone.c = {problem.c[row]};
    ASSERT_TRUE(same_bits(alone.run(*kernels, false)[0], together[row])) << row;
  }
}

// k fused multiply-adds one after the other: |error| <= k u / (1 - k u) sum |a| |b|, u = 2^-24, to
// which the double reference adds less than 2^-40 of it.
TEST_P(Gemm, WithinTheBoundOfItsSum) {
  Random random(7);
  for (const Shape shape : {Shape{3, 256, 64}, Shape{9, 64, 256}, Shape{64, 80, 64}}) {
    const Problem problem(random, shape);
    const auto out = problem.run(*kernels, false);
    const double ku = (shape.contraction + 0.001) * 0x1p-24;
    for (int row = 0; row < shape.rows; ++row) {
      for (int lane = 0; lane < shape.lanes; ++lane) {
        double want = 0;
        double magnitude = 0;
        for (int i = 0; i < shape.contraction; ++i) {
          const double product =
              double{problem.a[row][i]} * double{problem.panel[i * shape.lanes + lane]};
          want += product;
          magnitude += std::fabs(product);
        }
        ASSERT_NEAR(out[row][lane], want, ku / (1 - ku) * magnitude);
      }
    }
  }
}

}  // namespace
}  // namespace thriftattn::test
