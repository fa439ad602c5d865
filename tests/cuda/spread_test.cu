// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How the work is cut: every item falls to exactly one length, and lengths hold what they should.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "cuda/cache_pair.h"
#include "cuda/common/device_buffer.h"
#include "cuda/decode/spread.cuh"

namespace thriftattn::testing {
namespace {

using cuda::kItemClasses;

struct Cost {
  __device__ __host__ static constexpr std::uint32_t of(int item_class) {
    constexpr std::uint32_t kUnits[kItemClasses] = {29, 17, 8, 5};
    return kUnits[item_class];
  }
};
constexpr std::uint32_t kBegin = 16;

struct Line {
  std::int32_t count[kItemClasses];
  int parts;
};
using Counts = std::array<int, kItemClasses>;

// cuts [parts + 1, classes] of each line, a thread a place.
__global__ void cut_lines(const Line* lines, const int* first, int* cuts) {
  const Line& line = lines[blockIdx.x];
  const std::uint32_t length = cuda::Spread<Cost>(line.count, kBegin, 0).length();
  const std::uint32_t each = length / static_cast<std::uint32_t>(line.parts);
  const cuda::Spread<Cost> spread(line.count, kBegin, each);
  for (int i = static_cast<int>(threadIdx.x); i <= line.parts; i += static_cast<int>(blockDim.x)) {
    const auto place = static_cast<std::uint32_t>(std::uint64_t{length} * i / line.parts);
    int before[kItemClasses];
    spread.cut(place, before);
    for (int c = 0; c < kItemClasses; ++c)
      cuts[(first[blockIdx.x] + i) * kItemClasses + c] = before[c];
  }
}

class Spread : public OnDevice {
 protected:
  // For each line its cuts, from the one in front of everything on.
  static std::vector<std::vector<Counts>> cut(const std::vector<Line>& lines) {
    std::vector<int> first;
    int total = 0;
    for (const Line& line : lines) {
      first.push_back(total);
      total += line.parts + 1;
    }
    cuda::DeviceBuffer<Line> device_lines;
    cuda::DeviceBuffer<int> device_first;
    cuda::DeviceBuffer<int> device_cuts;
    EXPECT_TRUE(device_lines.allocate(static_cast<std::int64_t>(lines.size()), "lines").ok());
    EXPECT_TRUE(device_first.allocate(static_cast<std::int64_t>(lines.size()), "first").ok());
    EXPECT_TRUE(device_cuts.allocate(std::int64_t{total} * kItemClasses, "cuts").ok());
    cudaMemcpy(device_lines.data(), lines.data(), lines.size() * sizeof(Line), cudaMemcpyDefault);
    cudaMemcpy(device_first.data(), first.data(), first.size() * sizeof(int), cudaMemcpyDefault);
    cut_lines<<<static_cast<unsigned>(lines.size()), 128>>>(
        device_lines.data(), device_first.data(), device_cuts.data());
    std::vector<Counts> cuts(static_cast<std::size_t>(total));
    EXPECT_EQ(cudaMemcpy(cuts.data(), device_cuts.data(), cuts.size() * sizeof(Counts),
                         cudaMemcpyDefault),
              cudaSuccess);
    std::vector<std::vector<Counts>> by_line;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      by_line.emplace_back(cuts.begin() + first[i], cuts.begin() + first[i] + lines[i].parts + 1);
    }
    return by_line;
  }
};

std::vector<Line> random_lines(int count) {
  std::mt19937 random(11);
  std::vector<Line> lines = {{{1, 0, 0, 0}, 1},          {{0, 0, 1, 0}, 7},
                             {{0, 0, 0, 3}, 2},          {{16384, 0, 0, 0}, 1584},
                             {{400, 1000, 14984, 0}, 3}, {{12, 31, 469, 0}, 198},
                             {{2, 0, 14, 0}, 198},       {{300, 300, 1, 0}, 12}};
  for (int i = 0; i < count; ++i) {
    Line line{};
    const int most = 1 << random() % 14;
    for (int c = 0; c < kItemClasses; ++c) {
      line.count[c] = random() % 3 == 0 ? 0 : static_cast<int>(random() % most);
    }
    line.count[0] += 1;
    line.parts = 1 + static_cast<int>(random() % (random() % 2 == 0 ? 20 : 2000));
    lines.push_back(line);
  }
  return lines;
}

std::string name_of(const Line& line) {
  std::string name = std::to_string(line.parts) + " parts of";
  for (const std::int32_t count : line.count) name += " " + std::to_string(count);
  return name;
}

TEST_F(Spread, EveryItemLiesBetweenTwoCuts) {
  const std::vector<Line> lines = random_lines(3000);
  const auto cuts = cut(lines);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    SCOPED_TRACE(name_of(lines[i]));
    for (int c = 0; c < kItemClasses; ++c) {
      ASSERT_EQ(cuts[i].front()[c], 0);
      ASSERT_EQ(cuts[i].back()[c], lines[i].count[c]);
      for (int p = 0; p < lines[i].parts; ++p) ASSERT_LE(cuts[i][p][c], cuts[i][p + 1][c]);
    }
  }
}

// Where lengths are longer than a promoted block, and others are there to fill them up: they are
// equal to within half of one of these at each end, and to what the two kinds of promoted blocks,
// and of others, differ from their means.
TEST_F(Spread, LengthsCostTheSame) {
  const std::vector<Line> lines = random_lines(3000);
  const auto cuts = cut(lines);
  int checked = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto& count = lines[i].count;
    const double high = count[0] * Cost::of(0) + count[1] * Cost::of(1);
    const double low = count[2] * Cost::of(2) + count[3] * Cost::of(3);
    const double each = (high + low + kBegin) / lines[i].parts;
    if (each < 50 || low < 2 * high || lines[i].parts < 3) continue;
    SCOPED_TRACE(name_of(lines[i]));
    ++checked;
    for (int p = 1; p + 1 < lines[i].parts; ++p) {  // the first has the line's beginning
      double cost = 0;
      for (int c = 0; c < kItemClasses; ++c) {
        cost += (cuts[i][p + 1][c] - cuts[i][p][c]) * static_cast<double>(Cost::of(c));
      }
      ASSERT_NEAR(cost, each, 8 + 12 + 3 + 2) << "part " << p;
    }
  }
  EXPECT_GT(checked, 50);
}

}  // namespace
}  // namespace thriftattn::testing
