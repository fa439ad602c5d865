// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// NVFP4 panels of made-up codes and scales.
#pragma once

#include "every_isa.h"

namespace thriftattn::test {

inline constexpr int kFirstScale = 0x08;  // 2^-6, the smallest normal E4M3
inline constexpr int kLastScale = 0x7e;   // 448

struct OwnedPanel {
  std::vector<std::uint32_t> codes;
  std::vector<std::uint8_t> scales;
  int contraction = 0;
  int lanes = 0;

  OwnedPanel(int contraction_in, int lanes_in)
      : codes(static_cast<std::size_t>(contraction_in / 8 * lanes_in)),
        scales(static_cast<std::size_t>(contraction_in / kScaleGroup * lanes_in)),
        contraction(contraction_in),
        lanes(lanes_in) {}

  [[nodiscard]] Nvfp4Panel view() const {
    return {codes.data(), scales.data(), contraction, lanes};
  }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(contraction * lanes); }
};

inline OwnedPanel random_panel(Random& random, int contraction, int lanes) {
  OwnedPanel panel(contraction, lanes);
  for (std::uint32_t& word : panel.codes) word = random.word();
  for (std::uint8_t& scale : panel.scales) {
    scale = static_cast<std::uint8_t>(kFirstScale + random.below(kLastScale - kFirstScale + 1));
  }
  return panel;
}

}  // namespace thriftattn::test
