# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# Brings llama.cpp and ggml into the build as the targets llama, ggml, ggml-base and ggml-cpu.
# The source tree is THRIFTATTN_LLAMA_SOURCE; where it is empty, scripts/fetch_llama.sh gets the pinned one.
if(NOT THRIFTATTN_LLAMA_SOURCE)
  set(llama_source ${CMAKE_BINARY_DIR}/_deps/llama.cpp)
  if(NOT EXISTS ${llama_source}/CMakeLists.txt)
    message(STATUS "Fetching llama.cpp with pip into ${llama_source}")
    execute_process(COMMAND ${PROJECT_SOURCE_DIR}/scripts/fetch_llama.sh ${llama_source}
      RESULT_VARIABLE fetch_result)
    if(NOT fetch_result EQUAL 0)
      message(FATAL_ERROR "scripts/fetch_llama.sh failed; set THRIFTATTN_LLAMA_SOURCE to a llama.cpp tree, "
        "or configure with -DTHRIFTATTN_GGML=OFF -DTHRIFTATTN_CLI=OFF")
    endif()
  endif()
else()
  set(llama_source ${THRIFTATTN_LLAMA_SOURCE})
endif()
set(THRIFTATTN_LLAMA_DIR ${llama_source})

# One explicit CPU level in place of -march=native: ccache and copied build trees stay valid, and the peer
# that we measure against still gets every instruction set of the machine that builds.
set(GGML_NATIVE OFF CACHE BOOL "" FORCE)
set(cpu_flags "")
if(EXISTS /proc/cpuinfo)
  file(STRINGS /proc/cpuinfo cpu_flags REGEX "^flags" LIMIT_COUNT 1)
endif()
foreach(pair avx512f:AVX512 avx512_vnni:AVX512_VNNI avx512vbmi:AVX512_VBMI avx512_bf16:AVX512_BF16
        avx_vnni:AVX_VNNI amx_tile:AMX_TILE amx_int8:AMX_INT8 amx_bf16:AMX_BF16)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 cpu_flag)
  list(GET pair 1 ggml_option)
  if(cpu_flags MATCHES "[ :]${cpu_flag}( |$)")
    set(GGML_${ggml_option} ON CACHE BOOL "" FORCE)
  endif()
endforeach()

foreach(option LLAMA_BUILD_COMMON LLAMA_BUILD_TESTS LLAMA_BUILD_TOOLS LLAMA_BUILD_EXAMPLES LLAMA_BUILD_SERVER
        LLAMA_BUILD_APP LLAMA_USE_PREBUILT_UI LLAMA_OPENSSL)
  set(${option} OFF CACHE BOOL "" FORCE)
endforeach()
block()
  # No git there: the distribution's .git file points nowhere, and without it git would name our commit.
  set(GIT_EXE "")
  set(GIT_EXECUTABLE /bin/false)
  # GCC 12 warns of its own AVX-512 intrinsics, some 14000 lines.
  string(APPEND CMAKE_C_FLAGS " -w")
  string(APPEND CMAKE_CXX_FLAGS " -w")
  set(BUILD_SHARED_LIBS ON)
  set(CMAKE_CXX_STANDARD 17)
  add_subdirectory(${llama_source} ${CMAKE_BINARY_DIR}/llama.cpp EXCLUDE_FROM_ALL)
endblock()
