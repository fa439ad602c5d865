// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Where the pairs of one token's row lie in the rows of its block, in the order in which the lanes
// of a warp put them there: a lane's first place, and one step from each place to the next.
#pragma once

#include "cuda/common/tile_layout.h"
#include "numeric/host_device.h"

namespace thriftattn::cuda {

// Of a slot of a block: the quarter that its row lies in, counted from `first` on, and the slot
// with the same place in the first quarter. For K and V alike.
THRIFTATTN_HOST_DEVICE constexpr unsigned quarter_of(unsigned slot, unsigned first = 0) {
  return first + slot / 32 * 2 + slot % 8 / 4;
}
THRIFTATTN_HOST_DEVICE constexpr unsigned in_first_quarter(unsigned slot) { return slot & ~0x24u; }

template <int kHeadDim>
struct RowPlaces {
  static constexpr DeviceTileLayout kLayout{kHeadDim};
  static constexpr int kNext = 2048;   // bytes from pair i to pair i + 32
  static constexpr int kNextDim = 64;  // from a dim of V to the odd one behind it

  // First dim of pair i.
  static THRIFTATTN_HOST_DEVICE constexpr int key_dim(int i) {
    return (i / 32 * 2 + i / 16 % 2) * 32 + i / 2 % 4 * 8 + i / 8 % 2 * 4 + i % 2 * 2;
  }
  static THRIFTATTN_HOST_DEVICE constexpr int value_dim(int i) { return 2 * i; }
};

}  // namespace thriftattn::cuda
