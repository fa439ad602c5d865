// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "c_api/guard.h"
#include "thriftattn/c_api_cuda.h"
#include "thriftattn/cuda.h"

namespace {

using thriftattn::CudaDevice;
using thriftattn::invalid_argument;
using thriftattn::Status;
using namespace thriftattn::c_api;

// Size of the struct's first version; a later field leaves it as it is.
constexpr std::size_t kFirstDeviceSize = sizeof(thriftattn_cuda_device);

thriftattn_cuda_device to_c(const CudaDevice& from) {
  thriftattn_cuda_device device = {};
  from.name.copy(device.name, sizeof device.name - 1);
  device.compute_major = from.compute_major;
  device.compute_minor = from.compute_minor;
  device.multiprocessors = from.multiprocessors;
  device.supported = from.supported;
  device.memory_bytes = from.memory_bytes;
  return device;
}

}  // namespace

void thriftattn_cuda_device_default(thriftattn_cuda_device* device, size_t struct_size) {
  write_struct(thriftattn_cuda_device{}, device, struct_size);
}

thriftattn_status thriftattn_cuda_device_count(int32_t* count) {
  return guarded([&]() -> Status {
    if (count == nullptr) return invalid_argument("count is NULL");
    const auto devices = thriftattn::list_cuda_devices();
    if (devices.ok()) *count = static_cast<std::int32_t>(devices.value().size());
    return devices.status();
  });
}

thriftattn_status thriftattn_cuda_device_info(int32_t index, thriftattn_cuda_device* device) {
  return guarded([&]() -> Status {
    thriftattn_cuda_device given = {};
    Status status = read_struct(device, "device", kFirstDeviceSize, &given);
    if (!status.ok()) return status;
    const auto devices = thriftattn::list_cuda_devices();
    if (!devices.ok()) return devices.status();
    const auto count = static_cast<std::int32_t>(devices.value().size());
    if (index < 0 || index >= count) {
      return invalid_argument("device " + std::to_string(index) + ": this machine has " +
                              std::to_string(count));
    }
    const CudaDevice& found = devices.value()[static_cast<std::size_t>(index)];
    write_struct(to_c(found), device, given.struct_size);
    return {};
  });
}
