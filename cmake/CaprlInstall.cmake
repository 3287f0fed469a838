# Installs the headers and a package that find_package(caprl) finds.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(DIRECTORY include/caprl DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
set(caprl_targets caprl)
if(TARGET caprl_media)
  list(APPEND caprl_targets caprl_media)
endif()
install(TARGETS ${caprl_targets} EXPORT caprlTargets)
set(caprl_package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/caprl")
install(EXPORT caprlTargets NAMESPACE caprl:: DESTINATION "${caprl_package_folder}")
configure_package_config_file(cmake/caprlConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/caprlConfig.cmake"
                              INSTALL_DESTINATION "${caprl_package_folder}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/caprlConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/caprlConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/caprlConfigVersion.cmake"
              cmake/CaprlDependencies.cmake cmake/CaprlPrecompiled.cmake
        DESTINATION "${caprl_package_folder}")
install(DIRECTORY cmake/precompiled DESTINATION "${caprl_package_folder}")
