// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The kernels of every ISA that this CPU runs, on one block of 64 tokens that is in cache. One
// iteration is one block of one kv head, so the time column is the cost of a block; a gemm also
// reports its flops per second.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "engine/kernel_table.h"
#include "thriftattn/device.h"

namespace thriftattn {
namespace {

constexpr int kMaxRows = 64;

// Everything that the kernels touch for one head_dim.
struct Block {
  int head_dim;
  std::vector<std::uint32_t> codes;
  std::vector<std::uint8_t> scales;
  std::vector<half_t> halves;
  std::vector<float> factor;
  std::vector<float> bias;
  std::vector<float> panel;
  std::vector<float> a;
  std::vector<float> c;
  std::vector<const float*> a_rows;
  std::vector<float*> c_rows;

  explicit Block(int head_dim_in)
      : head_dim(head_dim_in),
        codes(head_dim * kBlockTokens / 8),
        scales(head_dim * kBlockTokens / kScaleGroup, 0x38),
        halves(head_dim * kBlockTokens, half_t{0x3c00}),
        factor(kMaxHeadDim, 1.0f),
        bias(kMaxHeadDim, 0.5f),
        panel(head_dim * kBlockTokens, 0.25f),
        a(kMaxRows * kMaxHeadDim),
        c(kMaxRows * kMaxHeadDim) {
    std::mt19937 engine(1);
    for (std::uint32_t& word : codes) word = static_cast<std::uint32_t>(engine());
    std::normal_distribution<float> normal;
    for (float& x : a) x = normal(engine);
    for (float& x : c) x = normal(engine);
    for (int row = 0; row < kMaxRows; ++row) {
      a_rows.push_back(&a[row * kMaxHeadDim]);
      c_rows.push_back(&c[row * kMaxHeadDim]);
    }
  }

  [[nodiscard]] Nvfp4Panel k() const {
    return {codes.data(), scales.data(), head_dim, kBlockTokens};
  }
  [[nodiscard]] Nvfp4Panel v() const {
    return {codes.data(), scales.data(), kBlockTokens, head_dim};
  }
  [[nodiscard]] GemmArgs scores(int rows) const { return gemm(rows, head_dim, kBlockTokens); }
  [[nodiscard]] GemmArgs values(int rows) const { return gemm(rows, kBlockTokens, head_dim); }
  [[nodiscard]] GemmNvfp4Args coded(int rows, const Nvfp4Panel& codes_of) const {
    return {.a = a_rows.data(),
            .rows = rows,
            .panel = codes_of,
            .factor = factor.data(),
            .bias = bias.data(),
            .c = c_rows.data()};
  }

 private:
  [[nodiscard]] GemmArgs gemm(int rows, int contraction, int lanes) const {
    return {.a = a_rows.data(),
            .rows = rows,
            .panel = panel.data(),
            .contraction = contraction,
            .lanes = lanes,
            .c = c_rows.data(),
            .accumulate = false};
  }
};

template <class Work>
void add(const std::string& name, double flops, Work work) {
  benchmark::RegisterBenchmark(name.c_str(), [flops, work](benchmark::State& state) {
    for (auto _ : state) {
      work();
      benchmark::ClobberMemory();
    }
    if (flops > 0) {
      state.counters["FLOP/s"] = benchmark::Counter(
          flops, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
    }
  });
}

void add_unpack(const std::string& isa, const KernelTable* kernels, Block* block) {
  const std::string dim = "/hd" + std::to_string(block->head_dim);
  add(isa + "/unpack_k" + dim, 0, [=] {
    kernels->unpack_nvfp4(block->k(), block->factor.data(), block->bias.data(),
                          block->panel.data());
  });
  add(isa + "/unpack_v" + dim, 0, [=] {
    kernels->unpack_nvfp4(block->v(), block->factor.data(), block->bias.data(),
                          block->panel.data());
  });
  add(isa + "/unpack_half" + dim, 0, [=] {
    kernels->unpack_half(block->halves.data(), block->head_dim, kBlockTokens, block->head_dim,
                         block->panel.data());
  });
  add(isa + "/unpack_half_transposed" + dim, 0, [=] {
    kernels->unpack_half_transposed(block->halves.data(), block->head_dim, block->head_dim,
                                    block->panel.data());
  });
}

void add_gemm(const std::string& isa, const KernelTable* kernels, Block* block) {
  for (const int rows : {1, 2, 3, 4, 6, 8, 16, 64}) {
    const std::string shape =
        "/hd" + std::to_string(block->head_dim) + "/rows" + std::to_string(rows);
    const double flops = 2.0 * rows * block->head_dim * kBlockTokens;
    add(isa + "/gemm_scores" + shape, flops, [=] { kernels->gemm(block->scores(rows)); });
    add(isa + "/gemm_values" + shape, flops, [=] { kernels->gemm(block->values(rows)); });
    add(isa + "/gemm_nvfp4_scores" + shape, flops,
        [=] { kernels->gemm_nvfp4(block->coded(rows, block->k())); });
    add(isa + "/gemm_nvfp4_values" + shape, flops,
        [=] { kernels->gemm_nvfp4(block->coded(rows, block->v())); });
  }
}

void add_softmax(const std::string& isa, const KernelTable* kernels, Block* block) {
  for (const int rows : {1, 3, 64}) {
    add(isa + "/block_softmax/rows" + std::to_string(rows), 0, [=] {
      float maximum[kMaxRows];
      float sum[kMaxRows];
      kernels->block_softmax(block->a_rows.data(), rows, maximum, sum);
      benchmark::DoNotOptimize(sum[0]);
    });
  }
  add(isa + "/block_weights/rows1", 0, [=] {
    benchmark::DoNotOptimize(kernels->block_weights(block->a.data(), 4.0f, block->c.data()));
  });
}

}  // namespace
}  // namespace thriftattn

int main(int argc, char** argv) {
  using namespace thriftattn;
  Block blocks[] = {Block(64), Block(128), Block(256)};
  for (const IsaInfo& isa : list_isas()) {
    if (!force_isa(isa.name).ok()) continue;
    const KernelTable* kernels = active_kernels();
    for (Block& block : blocks) {
      add_unpack(isa.name, kernels, &block);
      add_gemm(isa.name, kernels, &block);
    }
    add_softmax(isa.name, kernels, &blocks[0]);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
