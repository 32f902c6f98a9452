# What `cmake --install` and `cpack` make of weft: library, headers, pages, pkg-config and CMake package;
# Debian packages libweft0.1, libweft-dev, weft-tools, and with c-ares libweft-dns0.1 and libweft-dns-dev.
include(CMakePackageConfigHelpers)

install(TARGETS weft_shared EXPORT weft
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT dev)
install(TARGETS weft_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
install(DIRECTORY api/include/weft DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
foreach(section 3 7)
  file(GLOB pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/man/*.${section})
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT dev)
endforeach()

install(DIRECTORY docs/examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev FILES_MATCHING PATTERN "*.[ch]")

# Relative: the tree may be moved.
cmake_path(SET weft_pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
cmake_path(RELATIVE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY ${weft_pc_dir} OUTPUT_VARIABLE weft_pc_include)
string(REGEX REPLACE "/[^/]*$" "" WEFT_PC_UP ${weft_pc_include})
configure_file(api/package/weft.pc.in ${CMAKE_BINARY_DIR}/weft.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/weft.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
if(TARGET weft_dns_shared)
  install(TARGETS weft_dns_shared EXPORT weft_dns
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dns NAMELINK_COMPONENT dnsdev)
  install(TARGETS weft_dns_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dnsdev)
  install(DIRECTORY dns/include/weft DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dnsdev)
  configure_file(api/package/weft-dns.pc.in ${CMAKE_BINARY_DIR}/weft-dns.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/weft-dns.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dnsdev)
endif()

set(weft_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weft)
install(EXPORT weft FILE weftTargets.cmake NAMESPACE weft:: DESTINATION ${weft_cmake_dir} COMPONENT dev)
if(TARGET weft_dns_shared)
  install(EXPORT weft_dns FILE weftDnsTargets.cmake NAMESPACE weft:: DESTINATION ${weft_cmake_dir}
    COMPONENT dnsdev)
endif()
configure_package_config_file(api/package/weftConfig.cmake.in ${CMAKE_BINARY_DIR}/weftConfig.cmake
  INSTALL_DESTINATION ${weft_cmake_dir} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/weftConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/weftConfig.cmake ${CMAKE_BINARY_DIR}/weftConfigVersion.cmake
  DESTINATION ${weft_cmake_dir} COMPONENT dev)

set(CPACK_PACKAGE_NAME weft)
set(CPACK_PACKAGE_VENDOR weft)
set(CPACK_PACKAGE_CONTACT "weft maintainers <weft@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "TCP/IP stack as a library, with sockets that block")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_GENERATOR DEB)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL library dev tools)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_COMPONENT_DEV_DEPENDS library)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libweft${weft_so_version})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libweft-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "liburcu-dev, libmnl-dev, libsodium-dev")
set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME weft-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION net)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
if(TARGET weft_dns_shared)
  list(APPEND CPACK_COMPONENTS_ALL dns dnsdev)
  set(CPACK_COMPONENT_DNS_DEPENDS library)
  set(CPACK_COMPONENT_DNSDEV_DEPENDS dns dev)
  set(CPACK_DEBIAN_DNS_PACKAGE_NAME libweft-dns${weft_so_version})
  set(CPACK_DEBIAN_DNS_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_DNS_PACKAGE_GENERATE_SHLIBS ON)
  # libweft itself is a component, not yet a package that dpkg knows.
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR}/lib)
  set(CPACK_DEBIAN_DNSDEV_PACKAGE_NAME libweft-dns-dev)
  set(CPACK_DEBIAN_DNSDEV_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_DNSDEV_PACKAGE_DEPENDS "libc-ares-dev")
endif()
include(CPack)
