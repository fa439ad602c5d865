# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# Those sources of the command that need the standard library alone: benchmarks and tests on a GPU
# machine have them without the command.
set(THRIFTATTN_CLI_STANDALONE captured_layer.cc mass_profile.cc safetensors.cc safetensors_header.cc)
list(TRANSFORM THRIFTATTN_CLI_STANDALONE PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
