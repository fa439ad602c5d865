// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What a panel decides: visibility, forced blocks, promoted sets, tail. The arithmetic is in
// panel_compute.cc.
#include "engine/panel.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "selection/budget.h"
#include "selection/rank.h"

namespace thriftattn::engine {
namespace {

constexpr std::uint64_t kAllTokens = ~std::uint64_t{0};
constexpr std::uint8_t kFateHighK = kFateForced | kFatePromotedK;

}  // namespace

void Panel::prepare(const CallContext& call, const PanelPlan& plan) {
  call_ = &call;
  plan_ = plan;
  rows_ = plan.rows();
  units_ = plan.units();
  head_dim_ = call.source->head_dim();
  gather_masks();
  splits_ =
      static_cast<int>((blocks_ + call.options->split_blocks - 1) / call.options->split_blocks);
  gather_q();
  const std::size_t cells = static_cast<std::size_t>(blocks_) * rows_;
  scores_.reserve(cells * kBlockTokens);
  maximum_.reserve(cells);
  sum_.reserve(cells);
  masses_.reserve(cells);
  out_.reserve(static_cast<std::size_t>(splits_) * rows_ * head_dim_);
  used_.assign(static_cast<std::size_t>(splits_) * rows_, 0.0f);

  fate_.assign(static_cast<std::size_t>(units_) * blocks_, 0);
  dense_.assign(units_, 0);
  selected_ = call.options->replay || !selection::need_masses(call.options->selection);
  for (int u = 0; u < units_; ++u) {
    force(u);
    if (call.options->replay) {
      replay(u);
    } else if (selected_) {
      promote(u);
    }
  }
}

void Panel::gather_masks() {
  const KvSource& source = *call_->source;
  const std::int64_t all = source.blocks(plan_.sequence);
  masks_.resize(static_cast<std::size_t>(plan_.tokens) * all);
  blocks_ = 0;
  for (int t = 0; t < plan_.tokens; ++t) {
    for (std::int64_t b = 0; b < all; ++b) {
      const std::uint64_t mask = source.visible(plan_.sequence, plan_.first_token + t, b);
      masks_[static_cast<std::size_t>(t) * all + b] = mask;
      if (mask) blocks_ = std::max(blocks_, b + 1);
    }
  }
  if (blocks_ < all) {  // close the rows up: nobody sees the last blocks
    for (int t = 1; t < plan_.tokens; ++t) {
      std::copy_n(masks_.begin() + t * all, blocks_, masks_.begin() + t * blocks_);
    }
  }
  own_blocks_.resize(plan_.tokens);
  for (int t = 0; t < plan_.tokens; ++t) {
    own_blocks_[t] = source.own_block(plan_.sequence, plan_.first_token + t);
  }
  views_.resize(blocks_);
  for (std::int64_t b = 0; b < blocks_; ++b) {
    views_[b] = source.block(plan_.sequence, b, plan_.kv_head);
  }
}

// Marks what the unit sees, and what it gets in the high tier without asking.
void Panel::force(int unit) {
  const Selection& selection = call_->options->selection;
  const int first_token = unit * plan_.rows_per_unit / plan_.q_heads;
  const int tokens = plan_.tile ? plan_.tokens : 1;
  std::int64_t visible_tokens = 0;
  bool first = true;
  for (std::int64_t b = 0; b < blocks_; ++b) {
    std::uint64_t any = 0;
    std::uint64_t common = kAllTokens;
    bool own = false;
    for (int t = first_token; t < first_token + tokens; ++t) {
      const std::uint64_t m = masks_[static_cast<std::size_t>(t) * blocks_ + b];
      any |= m;
      common &= m;
      own |= own_blocks_[t] == b;
    }
    if (!any) continue;
    visible_tokens += std::popcount(any);
    const bool partly = common != kAllTokens;
    const bool forced = !views_[b].sealed || (selection.force_own && (own || partly)) ||
                        (selection.force_sink && first);
    fate(unit, b) = static_cast<std::uint8_t>(kFateVisible | (forced ? kFateForced : 0));
    first = false;
  }
  dense_[unit] = visible_tokens < call_->options->crossover_tokens;
  if (!dense_[unit]) return;
  for (std::int64_t b = 0; b < blocks_; ++b) {
    if (fate(unit, b)) fate(unit, b) |= kFateForced;
  }
}

void Panel::replay(int unit) {
  const UnitTrace& trace = (*call_->options->replay)[plan_.first_unit + unit];
  for (std::int64_t b = 0; b < blocks_; ++b) {
    if (!(fate(unit, b) & kFateVisible)) continue;
    const std::uint8_t unsealed = views_[b].sealed ? 0 : kFateForced;
    fate(unit, b) = static_cast<std::uint8_t>(trace.fate[b] | kFateVisible | unsealed);
  }
}

selection::UnitView Panel::unit_view(int unit, std::uint8_t skip) {
  marked_.assign(blocks_, 0);
  for (std::int64_t b = 0; b < blocks_; ++b) {
    const std::uint8_t f = fate(unit, b);
    marked_[b] = (f & kFateVisible) && !(f & skip);
  }
  const int first_row = unit * plan_.rows_per_unit;
  q_rows_.clear();
  for (int r = 0; r < plan_.rows_per_unit; ++r) {
    q_rows_.push_back(q_.data() + static_cast<std::size_t>(first_row + r) * head_dim_);
  }
  // Neither the place in the batch nor the way a call is cut may change what is drawn.
  std::uint64_t seen = 0;
  for (std::int64_t b = 0; b < blocks_; ++b) seen += std::popcount(mask(first_row, b));
  const std::uint64_t head = plan_.first_q_head + first_row % plan_.q_heads;
  return {.blocks = blocks_,
          .rows = plan_.rows_per_unit,
          .head_dim = head_dim_,
          .candidate = marked_.data(),
          .views = views_.data(),
          .q = q_rows_.data(),
          .masses = masses_.data() + first_row,
          .mass_stride = rows_,
          .seed = (call_->options->selection.seed + 1) * 0x9e3779b97f4a7c15u ^ (head << 40) ^ seen};
}

void Panel::promote(int unit) {
  const Selection& selection = call_->options->selection;
  const selection::UnitView view = unit_view(unit, kFateForced);
  if (selection.budget.kind == Budget::Kind::kAll) {
    for (std::int64_t b = 0; b < blocks_; ++b) {
      if (view.candidate[b]) fate(unit, b) |= kFatePromotedK | kFatePromotedV;
    }
    return;
  }
  selection::rank_blocks(selection.policy, view, rank_);
  const selection::PromotedSet set = selection::choose(selection.budget, view, rank_);
  for (std::size_t i = 0; i < set.k.size(); ++i) {
    fate(unit, set.k[i]) |= kFatePromotedK;
    if (static_cast<std::int64_t>(i) < set.v_count) fate(unit, set.k[i]) |= kFatePromotedV;
  }
}

void Panel::select() {
  if (selected_) return;
  compute_masses();
  for (int u = 0; u < units_; ++u) promote(u);
}

void Panel::settle() {
  compute_masses();
  if (call_->options->replay) return;
  for (int u = 0; u < units_; ++u) {
    if (dense_[u]) continue;
    for (const std::int32_t b :
         selection::choose_tail(call_->options->selection.tau, unit_view(u, 0))) {
      fate(u, b) |= kFateTail;
    }
  }
}

void Panel::finish(AttendReport* report, AttendTrace* trace) {
  for (int r = 0; r < rows_; ++r) write_row(r);
  if (report) add_report(*report);
  if (!trace) return;
  for (int u = 0; u < units_; ++u) {
    UnitTrace& t = (*trace)[plan_.first_unit + u];
    const int first_row = u * plan_.rows_per_unit;
    t.sequence = plan_.sequence;
    t.kv_head = plan_.kv_head;
    t.first_q_head = plan_.first_q_head + first_row % plan_.q_heads;
    t.q_heads = plan_.tile ? 1 : plan_.rows_per_unit;
    t.first_token = plan_.first_token + first_row / plan_.q_heads;
    t.tokens = plan_.tile ? plan_.tokens : 1;
    t.fate.assign(call_->source->blocks(plan_.sequence), 0);
    std::copy_n(fate_.begin() + static_cast<std::ptrdiff_t>(u) * blocks_, blocks_, t.fate.begin());
  }
}

// What a unit reads of one visible block.
void Panel::add_bytes(std::uint8_t fate, const BlockView& view, AttendReport& report) const {
  const bool high_k = (fate & kFateHighK) != 0;
  const bool high_v = (fate & (kFateForced | kFatePromotedV)) != 0;
  // Scored in the low tier; nested, a promoted block is on top of that, or reads the tile first.
  const bool scored_low = !(fate & kFateForced) && !(high_k && selected_);
  const bool first_dot = high_k && view.nested() && !(scored_low && !low_q_);
  const std::int64_t elements = std::int64_t{kBlockTokens} * head_dim_;
  const std::int64_t high_bytes =
      view.nested() ? elements / 2 + elements / kScaleGroup : elements * 2;

  report.bytes_low += (scored_low + first_dot) * call_->source->low_k_bytes();
  if (high_k) report.bytes_high += high_bytes;
  if (fate & kFateTail) return;
  if (!high_v || view.nested()) report.bytes_low += call_->source->low_v_bytes();
  if (high_v) report.bytes_high += high_bytes;
}

void Panel::add_report(AttendReport& report) {
  report.rows += rows_;
  report.units += units_;
  for (int u = 0; u < units_; ++u) {
    for (std::int64_t b = 0; b < blocks_; ++b) {
      const std::uint8_t f = fate(u, b);
      if (!(f & kFateVisible)) continue;
      ++report.blocks;
      report.forced += (f & kFateForced) != 0;
      const bool chosen_k = !(f & kFateForced) && (f & kFatePromotedK);
      const bool chosen_v = !(f & kFateForced) && (f & kFatePromotedV);
      report.promoted_k += chosen_k;
      report.promoted_v += chosen_v;
      report.tail += (f & kFateTail) != 0;
      add_bytes(f, views_[b], report);
    }
    for (int r = u * plan_.rows_per_unit; r < (u + 1) * plan_.rows_per_unit; ++r) {
      for (std::int64_t b = 0; b < blocks_; ++b) {
        const double mass = masses_.data()[b * rows_ + r];
        if (!std::isfinite(mass)) continue;
        if (fate(u, b) & kFateHighK) report.mass_covered += mass;
        if (fate(u, b) & kFateTail) report.mass_tail += mass;
      }
    }
  }
}

}  // namespace thriftattn::engine
