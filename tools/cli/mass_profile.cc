// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "mass_profile.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <numeric>

namespace thriftattn::cli {
namespace {

constexpr double MassProfile::*kNumbers[] = {
    &MassProfile::sink,     &MassProfile::own,        &MassProfile::share_50,
    &MassProfile::share_90, &MassProfile::share_99,   &MassProfile::share_999,
    &MassProfile::tail,     &MassProfile::turnover_1, &MassProfile::turnover_8};
constexpr double kHeavy = 0.05;
constexpr double kTau = 0.01;

// Share of the entries, taken from the largest, that add up to `mass`.
double share_of(const std::vector<double>& descending, double mass) {
  double sum = 0;
  std::size_t count = 0;
  while (count < descending.size() && sum < mass) sum += descending[count++];
  return static_cast<double>(count) / static_cast<double>(descending.size());
}

double tail_share(std::vector<double> largest) {
  std::sort(largest.begin(), largest.end());
  double sum = 0;
  std::size_t count = 0;
  while (count < largest.size() && (sum += largest[count]) <= kTau) ++count;
  return static_cast<double>(count) / static_cast<double>(largest.size());
}

// The heaviest 5 % of the blocks but the first and the last.
std::vector<std::size_t> heavy_blocks(const std::vector<double>& masses) {
  if (masses.size() < 3) return {};
  std::vector<std::size_t> order(masses.size() - 2);
  std::iota(order.begin(), order.end(), std::size_t{1});
  const auto count =
      static_cast<std::size_t>(std::ceil(kHeavy * static_cast<double>(order.size())));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::size_t a, std::size_t b) {
                      return masses[a] != masses[b] ? masses[a] > masses[b] : a < b;
                    });
  order.resize(count);
  std::sort(order.begin(), order.end());
  return order;
}

// Mean share of the heavy blocks that are new `distance` steps later.
double turnover(const std::vector<std::vector<std::size_t>>& heavy, std::size_t distance) {
  double sum = 0;
  std::size_t pairs = 0;
  for (std::size_t i = 0; i + distance < heavy.size(); ++i) {
    const auto& now = heavy[i + distance];
    if (now.empty()) continue;
    std::vector<std::size_t> kept;
    std::set_intersection(heavy[i].begin(), heavy[i].end(), now.begin(), now.end(),
                          std::back_inserter(kept));
    sum += 1.0 - static_cast<double>(kept.size()) / static_cast<double>(now.size());
    ++pairs;
  }
  return pairs == 0 ? 0 : sum / static_cast<double>(pairs);
}

}  // namespace

MassProfile profile_of(const UnitMasses& unit) {
  MassProfile profile;
  std::vector<std::vector<std::size_t>> heavy;
  for (std::size_t step = 0; step < unit.mean.size(); ++step) {
    std::vector<double> masses = unit.mean[step];
    heavy.push_back(heavy_blocks(masses));
    profile.sink += masses.front();
    profile.own += masses.back();
    profile.tail += tail_share(unit.largest[step]);
    std::sort(masses.begin(), masses.end(), std::greater<>());
    profile.share_50 += share_of(masses, 0.5);
    profile.share_90 += share_of(masses, 0.9);
    profile.share_99 += share_of(masses, 0.99);
    profile.share_999 += share_of(masses, 0.999);
  }
  for (const auto number : kNumbers) profile.*number /= static_cast<double>(unit.mean.size());
  profile.turnover_1 = turnover(heavy, 1);
  profile.turnover_8 = turnover(heavy, 8);
  return profile;
}

MassProfile mean_of(std::span<const MassProfile> profiles) {
  MassProfile mean;
  for (const auto number : kNumbers) {
    for (const MassProfile& profile : profiles) mean.*number += profile.*number;
    mean.*number /= static_cast<double>(profiles.size());
  }
  return mean;
}

}  // namespace thriftattn::cli
