// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What an append on a device refuses, and what that leaves alone.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cuda/cache/snapshot.h"
#include "cuda/cache_pair.h"

namespace thriftattn::testing {
namespace {

constexpr int kHeadDim = 64;
constexpr int kHeads = 2;

class CudaAppendErrors : public OnDevice {
 protected:
  void expect_message(const Status& status, StatusCode code,
                      const std::vector<std::string>& words) {
    EXPECT_EQ(status.code(), code) << status.message();
    for (const std::string& word : words) {
      EXPECT_NE(status.message().find(word), std::string::npos)
          << "'" << word << "' is not in: " << status.message();
    }
  }
};

std::int64_t index_of(std::int64_t token, int head, int dim) {
  return (token * kHeads + head) * kHeadDim + dim;
}

TEST_F(CudaAppendErrors, RefusedValuesAreNamedAndTheOtherSequencesGetTheirs) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), infinity, -65520.0f}) {
    for (const std::int64_t tokens : {3, 100}) {  // one kernel, three kernels
      for (const bool in_k : {true, false}) {
        CachePair pair({});
        const SequenceId a = pair.add_sequence();
        const SequenceId b = pair.add_sequence();
        const Tensor rows = random_rows(2 * tokens, kHeads, kHeadDim, 61);
        pair.append({a, b}, {0, tokens, 2 * tokens}, rows, rows);
        Tensor spoiled = rows;
        spoiled.set(index_of(tokens + 2, 1, 7), bad);
        const DeviceRows good = upload(rows);
        const DeviceRows worse = upload(spoiled);
        const SequenceId ids[] = {a, b};
        const std::int64_t offsets[] = {0, tokens, 2 * tokens};
        ASSERT_TRUE(pair.device
                        .append(ids, offsets, in_k ? worse.view : good.view,
                                in_k ? good.view : worse.view, {})
                        .ok());
        expect_message(pair.device.synchronize({}), StatusCode::kInvalidArgument,
                       {in_k ? "k: value" : "v: value", std::to_string(bad),
                        "token " + std::to_string(tokens + 2), "kv head 1", "dim 7",
                        "sequence " + std::to_string(b)});
        EXPECT_TRUE(pair.device.synchronize({}).ok());  // told once
        EXPECT_EQ(pair.device.length(a).value(), 2 * tokens);
        EXPECT_EQ(pair.device.length(b).value(), tokens);
        // The host gets what the device took, and both go on from there.
        const Tensor half = part_of(rows, 0, tokens);
        ASSERT_TRUE(pair.host.append(a, half.view(), half.view()).ok());
        const DeviceRows more = upload(half);
        ASSERT_TRUE(pair.device.append(b, more.view, more.view, {}).ok());
        ASSERT_TRUE(pair.host.append(b, half.view(), half.view()).ok());
        ASSERT_TRUE(pair.device.synchronize({}).ok());
        pair.expect_same({a, b});
      }
    }
  }
}

TEST_F(CudaAppendErrors, TheFirstBadValueIsNamed) {
  CachePair pair({});
  const SequenceId a = pair.add_sequence();
  const SequenceId b = pair.add_sequence();
  for (const std::int64_t tokens : {5, 90}) {
    Tensor k = random_rows(2 * tokens, kHeads, kHeadDim, 62);
    Tensor v = k;
    v.set(index_of(0, 0, 0), 1e6);
    k.set(index_of(tokens + 1, 0, 3), 1e6);
    k.set(index_of(tokens + 1, 0, 2), 1e6);
    k.set(index_of(tokens + 1, 1, 0), 1e6);
    const DeviceRows device_k = upload(k);
    const DeviceRows device_v = upload(v);
    const SequenceId ids[] = {a, b};
    const std::int64_t offsets[] = {0, tokens, 2 * tokens};
    ASSERT_TRUE(pair.device.append(ids, offsets, device_k.view, device_v.view, {}).ok());
    const Status host = pair.host.append(ids, offsets, k.view(), v.view());
    const Status device = pair.device.synchronize({});
    EXPECT_EQ(device.message().substr(0, host.message().size()), host.message());
    EXPECT_EQ(pair.device.length(a).value(), 0);
    EXPECT_EQ(pair.device.length(b).value(), 0);
  }
}

TEST_F(CudaAppendErrors, TheLargestValueThatRoundsToAHalfIsStored) {
  CachePair pair({});
  const SequenceId id = pair.add_sequence();
  Tensor rows = random_rows(4, kHeads, kHeadDim, 63);
  rows.set(index_of(3, 1, 63), std::nextafter(65520.0f, 0.0f));
  pair.append(id, rows, rows);
  EXPECT_TRUE(pair.device.synchronize({}).ok());
  pair.expect_same({id});
}

TEST_F(CudaAppendErrors, TooFewPagesChangeNothing) {
  CachePair pair({.pages = 4});
  const SequenceId a = pair.add_sequence();
  const SequenceId b = pair.add_sequence();
  const Tensor rows = random_rows(250, kHeads, kHeadDim, 64);
  pair.append(a, part_of(rows, 0, 60), part_of(rows, 0, 60));
  const DeviceRows device = upload(rows);
  const SequenceId ids[] = {a, b};
  const std::int64_t offsets[] = {0, 100, 250};
  expect_message(pair.device.append(ids, offsets, device.view, device.view, {}),
                 StatusCode::kOutOfMemory, {"needs 5 pages", "3 of 4 are free"});
  expect_message(pair.device.reserve(ids, 100, {}), StatusCode::kOutOfMemory,
                 {"needs 4 pages", "3 of 4 are free"});
  pair.expect_same({a, b});
  pair.append(a, part_of(rows, 0, 196), part_of(rows, 0, 196));
  EXPECT_EQ(pair.device.free_pages(), 0);
  pair.expect_same({a, b});
}

TEST_F(CudaAppendErrors, WhatTheHostCanSeeIsRefusedAtOnceWithItsMessage) {
  CachePair pair({});
  const SequenceId id = pair.add_sequence();
  const Tensor rows = random_rows(8, kHeads, kHeadDim, 65);
  const DeviceRows device = upload(rows);
  const auto refuse = [&](std::vector<SequenceId> ids, std::vector<std::int64_t> offsets,
                          ConstTensorView k, ConstTensorView v) {
    const Status host = pair.host.append(ids, offsets, k, v);
    const Status got = pair.device.append(ids, offsets, k, v, {});
    EXPECT_FALSE(got.ok());
    EXPECT_EQ(got.code(), host.code());
    EXPECT_EQ(got.message(), host.message());
  };
  const ConstTensorView good = device.view;
  refuse({7}, {0, 8}, good, good);
  refuse({id, id}, {0, 4, 8}, good, good);
  refuse({id}, {0, 7}, good, good);
  refuse({id}, {0, 4, 8}, good, good);
  ConstTensorView bad = good;
  bad.dim = 32;
  refuse({id}, {0, 8}, bad, good);
  bad = good;
  bad.data = nullptr;
  refuse({id}, {0, 8}, good, bad);
  bad = good;
  bad.tokens = 7;
  refuse({id}, {0, 8}, good, bad);
  pair.expect_same({id});
}

TEST_F(CudaAppendErrors, MoreTokensThanMaxTokens) {
  Result<CudaKvCache> cache = CudaKvCache::create(
      {.kv_heads = kHeads, .head_dim = kHeadDim, .pages = 8, .max_sequences = 1, .max_tokens = 70});
  ASSERT_TRUE(cache.ok()) << cache.status().message();
  const SequenceId id = cache.value().add_sequence().value();
  const DeviceRows rows = upload(random_rows(71, kHeads, kHeadDim, 66));
  expect_message(cache.value().append(id, rows.view, rows.view, {}), StatusCode::kInvalidArgument,
                 {"71 tokens", "max_tokens is 70"});
  expect_message(cache.value().add_sequence().status(), StatusCode::kOutOfMemory,
                 {"max_sequences is 1"});
}

TEST_F(CudaAppendErrors, ConfigurationsThatNoKernelServes) {
  const auto create = [](CudaKvCacheConfig config) { return CudaKvCache::create(config).status(); };
  const CudaKvCacheConfig good{.kv_heads = 1, .head_dim = 64, .pages = 1};
  EXPECT_TRUE(create(good).ok());
  CudaKvCacheConfig bad = good;
  bad.head_dim = 96;
  expect_message(create(bad), StatusCode::kUnsupported, {"head_dim 96", "64, 128, 256"});
  bad = good;
  bad.kv_heads = 0;
  expect_message(create(bad), StatusCode::kInvalidArgument, {"kv_heads 0"});
  bad = good;
  bad.device = 1000;
  expect_message(create(bad), StatusCode::kInvalidArgument, {"device 1000"});
  bad = good;
  bad.max_sequences = 0;
  expect_message(create(bad), StatusCode::kInvalidArgument, {"max_sequences 0"});
}

}  // namespace
}  // namespace thriftattn::testing
