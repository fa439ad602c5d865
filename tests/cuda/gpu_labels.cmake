# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# Read by CTest after the tests are discovered, since gtest_discover_tests cannot pass a list on.
foreach(test ${cuda_cache_test_TESTS} ${cuda_attend_test_TESTS} ${cuda_c_api_test_TESTS}
        ${cuda_replay_test_TESTS} ${cuda_spread_test_TESTS})
  set_tests_properties("${test}" PROPERTIES LABELS "core;gpu")
endforeach()
