// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Functions that run on the host and on CUDA devices are written once and marked with this.
#pragma once

#ifdef __CUDACC__
#define THRIFTATTN_HOST_DEVICE __host__ __device__
#else
#define THRIFTATTN_HOST_DEVICE
#endif
