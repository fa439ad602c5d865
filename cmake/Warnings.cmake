# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# thriftattn_target_defaults(target): warnings, sanitizers and floating-point rules of our own targets.
#
# Contraction is off because every ISA must give the same bits: a fused multiply-add is written as
# std::fma or its intrinsic, never left to the compiler.
function(thriftattn_target_defaults target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
      -ffp-contract=off -fno-math-errno>
    $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra>
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)  # GCC 12 warns of its own std::string (PR 105651)
  if(THRIFTATTN_WERROR)
    target_compile_options(${target} PRIVATE $<$<NOT:$<COMPILE_LANGUAGE:CUDA>>:-Werror>)
  endif()
  if(THRIFTATTN_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${THRIFTATTN_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${THRIFTATTN_SANITIZE})
  endif()
endfunction()
