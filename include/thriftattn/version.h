// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The library's version. CMake parses these three lines: this file is the single source.
#pragma once

#define THRIFTATTN_VERSION_MAJOR 0
#define THRIFTATTN_VERSION_MINOR 1
#define THRIFTATTN_VERSION_PATCH 0
