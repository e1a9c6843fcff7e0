# `cmake --install BUILD --prefix DIR`: the program, the library, its one header and its pkg-config
# file, which follows the prefix given at install time.
install(TARGETS xreasoner
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
set_target_properties(xreasoner_program PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
install(TARGETS xreasoner_program DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${CMAKE_SOURCE_DIR}/shared/xreasoner.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# What a static library needs beside itself; a shared one carries its needs along. The libraries of
# exact arithmetic by the names that the linker knows them by.
set(xr_libs "")
foreach(library ${xr_exact})
  get_filename_component(name ${library} NAME_WE)
  string(REGEX REPLACE "^lib" "-l" name ${name})
  string(APPEND xr_libs "${name} ")
endforeach()
string(APPEND xr_libs "-lpthread -lm")
if(BUILD_SHARED_LIBS)
  set(xr_pc_values "set(XR_PRIVATE .private)\n set(XR_LIBS_PRIVATE \"${xr_libs}\")")
else()
  set(xr_pc_values "set(XR_LIBS \"${xr_libs}\")")
endif()
set(xr_pc ${CMAKE_BINARY_DIR}/xreasoner.pc)
install(CODE "
  set(PROJECT_DESCRIPTION \"${PROJECT_DESCRIPTION}\")
  set(PROJECT_VERSION ${PROJECT_VERSION})
  set(CMAKE_INSTALL_LIBDIR ${CMAKE_INSTALL_LIBDIR})
  set(CMAKE_INSTALL_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
  ${xr_pc_values}
  configure_file(${CMAKE_SOURCE_DIR}/ci/cmake/xreasoner.pc.in ${xr_pc} @ONLY)")
install(FILES ${xr_pc} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
