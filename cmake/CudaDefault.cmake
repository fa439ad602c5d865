# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# Sets cuda_default: ON where CMake finds an nvcc that knows every architecture of the CUDA backend and
# this project is the one being built. CMake looks at CUDACXX and the PATH.
set(cuda_default OFF)
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(STATUS "Left out: thriftattn::cuda, since no nvcc was found (PATH, CUDACXX)")
  return()
endif()
execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE nvcc_version ERROR_QUIET)
if(NOT nvcc_version MATCHES "release ([0-9.]+)" OR CMAKE_MATCH_1 VERSION_LESS 13)
  message(STATUS "Left out: thriftattn::cuda, since ${CMAKE_CUDA_COMPILER} is not nvcc 13 or newer")
  return()
endif()
set(cuda_default ${PROJECT_IS_TOP_LEVEL})
