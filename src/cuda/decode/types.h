// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What the decode kernels share with the host, and with each other.
//
// A unit is one kv head of one sequence of a call. Its rows (q tokens x group) are computed in
// panels of up to 8, the columns of the MMA. An item is one block of a panel.
#pragma once

#include <cstdint>

#include "cuda/cache/append.h"
#include "cuda/cache/cache_view.h"
#include "thriftattn/attention.h"
#include "thriftattn/selection.h"
#include "thriftattn/tensor.h"

namespace thriftattn::cuda {

inline constexpr int kPanelRows = 8;
inline constexpr int kMaxSequences = 256;  // of one call
inline constexpr int kMaxQueryTokens = 16;
inline constexpr int kMaxGroup = 32;  // q heads of a kv head
inline constexpr int kMaxUnitRows = kMaxGroup * kMaxQueryTokens;
inline constexpr int kMaxBlocks = 16384;  // of a sequence: a block's index has 14 bits in select

// Blocks scored in front of a panel, one a warp. Their sum is below that of all blocks, so the tail
// that is measured by it is no larger than asked for.
inline constexpr int kMaxAnchors = 12;

inline constexpr int kMaxCtaWarps = 12;   // of the decode kernels
inline constexpr int kWindowPanels = 16;  // that a CTA has in view: at most half a warp's lanes
inline constexpr int kMaxPieces = kMaxCtaWarps + kWindowPanels;

// How the blocks of a unit are read. The list of a unit holds them in this order.
enum ItemClass : int { kBoth = 0, kKeyOnly = 1, kLow = 2, kTail = 3, kItemClasses = 4 };

// The sets of one unit, as the last step left them. Blocks at or after `known` were not full then:
// they are computed in the high tier. known = 0: so is everything.
struct UnitSets {
  std::int32_t known = 0;
  std::int32_t sink = 0;                  // 1: block 0 is forced and in no list
  std::int32_t count[kItemClasses] = {};  // blocks of each class in the list
  float cut_log2 = 0;  // blocks with less than this share of the softmax (log2) need no V
  std::int32_t anchors = 0;
  std::uint16_t anchor[kMaxAnchors] = {};  // the heaviest blocks: what the tail is measured by
};

// One step of a panel, over the blocks of one CTA: sums relative to 2^reference.
struct PartialHeader {
  float reference[kPanelRows];
  float sum[kPanelRows];       // of the weights of all blocks
  float sum_used[kPanelRows];  // of those whose V was read
};

// A panel of more than kManyCtas CTAs is added up by groups of kGroupCtas of them, then the groups.
inline constexpr int kManyCtas = 48;
inline constexpr int kGroupCtas = 12;

// Places of sums: those of each CTA and panel, slot CTA + panel; then those of groups of CTAs, and
// of pieces whose warp has more to go.
struct SumSlots {
  std::int32_t first_group = 0;
  std::int32_t first_piece = 0;
  std::int32_t end = 0;

  SumSlots() = default;
  SumSlots(int ctas, int panels)
      : first_group(ctas + panels),
        first_piece(first_group + first_group / kGroupCtas + panels + 1),
        end(first_piece + ctas * kMaxPieces) {}
};

// Said of a panel when all its masses are there and only its sums and its output are to come, to a
// select that runs beside: where the headers are whose states make its lse. Until then the word
// counts the parts that are done.
class PanelReady {
 public:
  static constexpr int kCountBits = 10;
  static constexpr int kFirstBits = 21;

  // Its lse is there too.
  THRIFTATTN_HOST_DEVICE PanelReady() : PanelReady(0, 0) {}
  THRIFTATTN_HOST_DEVICE PanelReady(int first, int count)
      : word_(kIsReady | static_cast<std::uint32_t>(count) << kFirstBits |
              static_cast<std::uint32_t>(first)) {}
  THRIFTATTN_HOST_DEVICE explicit PanelReady(std::uint32_t word) : word_(word) {}

  [[nodiscard]] THRIFTATTN_HOST_DEVICE std::uint32_t word() const { return word_; }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE bool is_ready() const { return (word_ & kIsReady) != 0; }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE int first() const {
    return static_cast<int>(word_ & ((1u << kFirstBits) - 1));
  }
  // 0: none, but the lse.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE int count() const {
    return static_cast<int>((word_ & ~kIsReady) >> kFirstBits);
  }

 private:
  static constexpr std::uint32_t kIsReady = 1u << (kCountBits + kFirstBits);
  std::uint32_t word_;
};

struct CallShape {
  std::int32_t batch = 0;
  std::int32_t q_heads = 0;
  std::int32_t group = 0;
  std::int32_t panels = 0;
  std::int32_t panels_each = 0;  // of a sequence, where all have as many; else 0
  std::int32_t sequence[kMaxSequences] = {};
  std::int32_t q_begin[kMaxSequences + 1] = {};      // rows of the call's q
  std::int32_t panel_begin[kMaxSequences + 1] = {};  // panels of sequence i: kv head, then rows
};

// What the cut is measured by, below which a block is in the tail: the lse, or a part of this
// step's mass, which is less.
enum class TailBy : std::int32_t {
  kNone,      // there is no tail
  kLse,       // of the score pass
  kAnchors,   // the heaviest blocks of the last step: every CTA of the panel scores them first
  kPromoted,  // those of the promoted blocks that the CTA has, and the sink
};

// Pages whose K is asked for while the shares are worked out: memory would stand still until the
// first warps ask. They lie evenly over the call's blocks, so that all shares gain alike; a warp
// has one at most.
struct KeyPrefetch {
  std::int32_t pages = 0;
  std::int32_t blocks = 0;  // of the longest sequence
  float step = 0;  // from one page to the next, on all sequences' blocks one after the other
};

// A unit of a call: its place among the call's units gives the rest.
struct CallUnit {
  int entry;  // of the call's sequences
  int kv_head;
  int rows;
  int panels;
  int first_panel;

  THRIFTATTN_HOST_DEVICE CallUnit(const CallShape& shape, int kv_heads, int unit)
      : entry(unit / kv_heads),
        kv_head(unit % kv_heads),
        rows((shape.q_begin[entry + 1] - shape.q_begin[entry]) * shape.group),
        panels((rows + kPanelRows - 1) / kPanelRows),
        first_panel(shape.panel_begin[entry] + kv_head * panels) {}
};

// What goes into a call and comes out of it.
struct CallRows {
  const void* q = nullptr;  // [tokens, q_heads, head_dim]
  DType q_type = DType::kF16;
  std::int64_t q_token_stride = 0;
  std::int64_t q_head_stride = 0;
  void* out = nullptr;
  DType out_type = DType::kF16;
  std::int64_t out_token_stride = 0;
  std::int64_t out_head_stride = 0;
  float* lse = nullptr;  // [tokens, q_heads]
  float scale_log2 = 0;  // softmax scale times log2(e)
};

struct DecodeArgs : CallRows {
  CacheView cache;
  std::int32_t crossover = 0;      // sequences with fewer tokens are computed in the high tier
  std::int32_t sink = 0;           // scoring: whether block 0 is forced
  const UnitSets* sets = nullptr;  // [sequence ids, kv_heads]
  const std::uint16_t* lists = nullptr;  // [sequence ids, kv_heads, max_blocks]
  TailBy tail = TailBy::kNone;           // V of blocks below the cut is not read
  const float* floor_log2 = nullptr;     // [panels, 8], TailBy::kLse
  std::int32_t parts = 0;                // in clusters: CTAs of a panel
  KeyPrefetch prefetch;

  float* masses = nullptr;        // [panels, max_blocks, 8], log2 of the sum of weights
  std::uint8_t* fates = nullptr;  // [panels, max_blocks], BlockFate bits
  float* row_lse = nullptr;       // [panels, 8], log2
  float* row_used = nullptr;      // [panels, 8], part of the weights that met V; or nullptr
  SumSlots slots;
  PartialHeader* headers = nullptr;   // [slots.first_piece]
  float* partials = nullptr;          // [slots.end, 8 * head_dim]
  std::uint32_t* arrivals = nullptr;  // by panel or a group's slot, zero between calls
  std::uint32_t* ready = nullptr;     // [panels], PanelReady words, zero between calls; or nullptr
  CallShape shape;
};

// What an attend saw of a sequence, whose token may have been refused behind it.
struct AttendedLength {
  std::int32_t tokens = 0;
  std::int32_t fresh = 0;  // of them, the last ones, that were not in the cache
};

// The call's own tokens, one of each sequence that has rows of q, which its attend has not seen.
// They are added to what it left, and appended (fresh_token.cuh).
struct FreshArgs {
  CacheView cache;
  CallShape shape;
  ConstTensorView k;  // [tokens, kv_heads, head_dim]; can_load_pairs() is true of k and v
  ConstTensorView v;
  Numerics numerics;
  CallRows rows;                    // out and lse: with the tokens
  const float* out = nullptr;       // [tokens, q_heads, head_dim], without, as attend left it
  const float* row_lse = nullptr;   // [panels, 8], log2, as attend left it
  const float* row_used = nullptr;  // [panels, 8], as attend left it; nullptr: all of the weights
  float* new_row_lse = nullptr;     // [panels, 8], log2, with the tokens
  float* masses = nullptr;  // [panels, max_blocks, 8], as attend left them, then with the tokens
  std::uint8_t* fates = nullptr;        // [panels, max_blocks], likewise
  unsigned long long* votes = nullptr;  // [max_sequences], AppendVote words, zero between calls
  AttendedLength* attended = nullptr;   // [sequence ids], what the call saw in the end
  NewPage new_page[kMaxSequences];
};

// From the masses of a call to the sets of the next. With `appends`, tokens that are not in the
// masses yet are added and appended by the way.
struct SelectArgs : FreshArgs {
  bool appends = false;
  // [panels]: by these words select knows when a panel of the kernel in front is done, and sets
  // them to 0. nullptr: it waits for that kernel to end.
  std::uint32_t* ready = nullptr;
  const PartialHeader* headers = nullptr;  // of that kernel
  const float* ranks = nullptr;  // [units, max_blocks] of another policy; nullptr: by mass
  // Which blocks the next call is expected to leave out, for its shares of bytes: those that had
  // this fate in this one, where it had a tail. Else those below the threshold.
  bool tail_by_fate = false;
  UnitSets* sets = nullptr;
  std::uint16_t* lists = nullptr;
  Budget budget;  // kFraction or kCount
  float tau = 0;
  std::int32_t sink = 0;  // whether block 0 is forced
};

}  // namespace thriftattn::cuda
