# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# Installs the library, its headers, a CMake package (thriftattn::thriftattn), a pkg-config file and, where they
# are built, the CUDA backend (component cuda of the package, thriftattn-cuda.pc) and the ggml module.
if(NOT THRIFTATTN_INSTALL)
  return()
endif()
include(CMakePackageConfigHelpers)

install(TARGETS thriftattn EXPORT thriftattn-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/thriftattn DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/thriftattn)
install(EXPORT thriftattn-targets NAMESPACE thriftattn:: DESTINATION ${package_dir})
configure_package_config_file(cmake/thriftattn-config.cmake.in thriftattn-config.cmake
  INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may change the API.
write_basic_package_version_file(thriftattn-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/thriftattn-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/thriftattn-config-version.cmake DESTINATION ${package_dir})

# A .pc file finds its prefix from its own place, so that the tree may be moved.
file(RELATIVE_PATH pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
function(install_pc name)
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
install_pc(thriftattn)

# An export of its own: who does not ask for it needs no CUDA.
if(TARGET thriftattn_cuda)
  set_target_properties(thriftattn_cuda PROPERTIES EXPORT_NAME cuda)
  install(TARGETS thriftattn_cuda EXPORT thriftattn-cuda-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT thriftattn-cuda-targets NAMESPACE thriftattn:: DESTINATION ${package_dir})
  install_pc(thriftattn-cuda)
endif()

if(TARGET ggml-thriftattn)
  install(TARGETS ggml-thriftattn LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/thriftattn)
endif()
