// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "c_api/guard.h"

#include "thriftattn/device.h"
#include "thriftattn/version.h"

#define THRIFTATTN_STRING_OF(x) #x
#define THRIFTATTN_STRING(x) THRIFTATTN_STRING_OF(x)

namespace thriftattn::c_api {
namespace {

constexpr const char* kOutOfMemory = "out of host memory";

thread_local std::string message_text;
// Points into message_text or at a literal, so that running out of memory can be told too.
thread_local const char* message = "";

}  // namespace

thriftattn_status report_status(const Status& status) noexcept {
  if (status.ok()) return THRIFTATTN_OK;
  try {
    message_text = status.message();
    message = message_text.c_str();
  } catch (const std::exception&) {
    message = kOutOfMemory;
  }
  return static_cast<thriftattn_status>(status.code());
}

thriftattn_status report_out_of_memory() noexcept {
  message = kOutOfMemory;
  return THRIFTATTN_OUT_OF_MEMORY;
}

}  // namespace thriftattn::c_api

int32_t thriftattn_abi_version(void) { return THRIFTATTN_ABI_VERSION; }

const char* thriftattn_version(void) {
  return THRIFTATTN_STRING(THRIFTATTN_VERSION_MAJOR) "." THRIFTATTN_STRING(
      THRIFTATTN_VERSION_MINOR) "." THRIFTATTN_STRING(THRIFTATTN_VERSION_PATCH);
}

const char* thriftattn_status_message(void) { return thriftattn::c_api::message; }

const char* thriftattn_active_isa(void) {
  thread_local std::string name;
  const auto status = thriftattn::c_api::guarded([]() -> thriftattn::Status {
    auto isa = thriftattn::active_isa();
    if (!isa.ok()) return isa.status();
    name = std::move(isa.value());
    return {};
  });
  return status == THRIFTATTN_OK ? name.c_str() : nullptr;
}
