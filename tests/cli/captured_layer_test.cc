// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "captured_layer.h"

#include <gtest/gtest.h>

#include <functional>

namespace thriftattn::cli {
namespace {

CapturedLayer layer(int number) {
  CapturedLayer c;
  c.layer = number;
  c.q_heads = 4;
  c.kv_heads = 2;
  c.head_dim = 8;
  c.softmax_scale = 0.1f;
  const auto bits = static_cast<std::uint16_t>(number);
  c.k.assign(5 * 2 * 8, half_t{bits});
  c.v.assign(5 * 2 * 8, half_t{static_cast<std::uint16_t>(bits + 1)});
  c.q.assign(3 * 4 * 8, 0.25f);
  c.out.assign(3 * 4 * 8, -1.5f);
  return c;
}

TEST(CapturedLayer, ComesBackAsItWasWritten) {
  const std::vector<CapturedLayer> layers = {layer(11), layer(5)};
  const auto again = from_tensors(to_tensors(layers, {{"model", "m"}}));
  ASSERT_TRUE(again.ok()) << again.status().message();
  ASSERT_EQ(again.value().size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {  // by number
    const CapturedLayer& a = layers[1 - i];
    const CapturedLayer& b = again.value()[i];
    EXPECT_EQ(b.layer, a.layer);
    EXPECT_EQ(b.q_heads, a.q_heads);
    EXPECT_EQ(b.kv_heads, a.kv_heads);
    EXPECT_EQ(b.head_dim, a.head_dim);
    EXPECT_EQ(b.softmax_scale, a.softmax_scale);
    EXPECT_EQ(b.k, a.k);
    EXPECT_EQ(b.v, a.v);
    EXPECT_EQ(b.q, a.q);
    EXPECT_EQ(b.out, a.out);
    EXPECT_EQ(b.ctx(), 5);
    EXPECT_EQ(b.steps(), 3);
  }
}

TEST(CapturedLayer, SaysWhatIsWrong) {
  struct Broken {
    const char* message;
    std::function<void(SafeTensors&)> breaks;
  };
  const auto with = [](const char* name, auto change) {
    return [=](SafeTensors& content) { change(content.tensors.at(name)); };
  };
  const Broken all[] = {
      {"no tensor layer.N.k", [](SafeTensors& c) { c.tensors.clear(); }},
      {"no tensor layer.7.v", [](SafeTensors& c) { c.tensors.erase("layer.7.v"); }},
      {"layer.7.q: supported", with("layer.7.q", [](StoredTensor& t) { t.dtype = DType::kF16; })},
      {"layer.7.k: supported", with("layer.7.k",
                                    [](StoredTensor& t) {
                                      t.shape = {5, 16};
                                    })},
      {"layer.7.k: supported", with("layer.7.k",
                                    [](StoredTensor& t) {
                                      t.shape = {0, 2, 8};
                                    })},
      {"layer.7.v: not of", with("layer.7.v",
                                 [](StoredTensor& t) {
                                   t.shape = {2, 5, 8};
                                 })},
      {"layer.7.q: its",
       [](SafeTensors& c) {
         for (const char* name : {"layer.7.q", "layer.7.out"}) {
           c.tensors.at(name).shape = {4, 3, 8};  // 3 heads for 2
         }
       }},
      {"layer.7.q: its",
       [](SafeTensors& c) {
         for (const char* name : {"layer.7.q", "layer.7.out"}) {
           c.tensors.at(name).shape = {6, 2, 8};  // more tokens than k
         }
       }},
      {"layer.7.k has 80 bytes", with("layer.7.k", [](StoredTensor& t) { t.bytes.resize(80); })},
      {"no metadata layer.7.softmax_scale", [](SafeTensors& c) { c.metadata.clear(); }},
      {"softmax_scale is 'nan'",
       [](SafeTensors& c) { c.metadata["layer.7.softmax_scale"] = "nan"; }},
      {"softmax_scale is '1x'", [](SafeTensors& c) { c.metadata["layer.7.softmax_scale"] = "1x"; }},
  };
  for (const Broken& broken : all) {
    const CapturedLayer whole = layer(7);
    SafeTensors content = to_tensors({&whole, 1}, {});
    broken.breaks(content);
    const auto result = from_tensors(content);
    ASSERT_FALSE(result.ok()) << broken.message;
    EXPECT_NE(result.status().message().find(broken.message), std::string::npos)
        << result.status().message();
  }
}

// Only the names that are written are read.
TEST(CapturedLayer, NumbersAreWrittenInOneWay) {
  for (const char* name : {"layer.k", "layer..k", "layer.07.k", "layer.-7.k", "layer.+7.k",
                           "layer.7k", "layer.99999999999.k"}) {
    const CapturedLayer whole = layer(7);
    SafeTensors content = to_tensors({&whole, 1}, {});
    content.tensors[name] = content.tensors.at("layer.7.k");
    const auto result = from_tensors(content);
    ASSERT_TRUE(result.ok()) << name << ": " << result.status().message();
    EXPECT_EQ(result.value().size(), 1u) << name;
  }
}

}  // namespace
}  // namespace thriftattn::cli
