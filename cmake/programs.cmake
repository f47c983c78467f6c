# SPDX-License-Identifier: GPL-3.0-or-later
# slipway_program(NAME SECTION [GROUPS group …])
# What a user gets with a program: it is installed, with its manual page in SECTION (1: users, 8: administrators), made from its
# --help and docs/man/NAME.h2m (cmake/man-page). A program of GROUPS of commands has a page for each.
# slipway_service(FILE): a systemd unit; @SBINDIR@ is where the program will be.
include(GNUInstallDirs)
set(SLIPWAY_UNITS lib/systemd/system CACHE STRING "where systemd units go, below the prefix")
install(DIRECTORY docs/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES README.md SECURITY.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
find_program(SLIPWAY_HELP2MAN help2man)
if(NOT SLIPWAY_HELP2MAN)
  message(STATUS "No manual pages: help2man is not installed")
endif()

function(slipway_page page section program)
  set(output ${PROJECT_BINARY_DIR}/share/man/man${section}/${page}.${section})
  file(GLOB more CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/${page}.${section}.h2m ${PROJECT_SOURCE_DIR}/docs/man/${page}.d/*.h2m)
  add_custom_command(OUTPUT ${output}
    COMMAND ${PROJECT_SOURCE_DIR}/cmake/man-page ${output} ${section} ${PROJECT_VERSION} ${PROJECT_SOURCE_DIR}/docs/man
      $<TARGET_FILE:${program}> ${ARGN}
    DEPENDS ${program} ${PROJECT_SOURCE_DIR}/cmake/man-page ${PROJECT_SOURCE_DIR}/docs/man/${program}.h2m ${more}
    COMMENT "Manual page ${page}(${section})" VERBATIM)
  set(pages ${pages} ${output} PARENT_SCOPE)
endfunction()

function(slipway_program name section)
  cmake_parse_arguments(ARG "" "" "GROUPS" ${ARGN})
  if(section EQUAL 8)
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
  else()
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
  # Sanitized programs are the tests' own: nobody reads their pages.
  if(NOT SLIPWAY_HELP2MAN OR SLIPWAY_SANITIZE)
    return()
  endif()
  set(pages "")
  if(ARG_GROUPS)
    slipway_page(${name} ${section} ${name} --groups)
    foreach(group ${ARG_GROUPS})
      slipway_page(${name}-${group} ${section} ${name} ${group})
    endforeach()
  else()
    slipway_page(${name} ${section} ${name})
  endif()
  add_custom_target(man_${name} ALL DEPENDS ${pages})
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endfunction()

function(slipway_service file)
  # When it is installed: cmake --install takes a prefix of its own.
  install(CODE "set(SBINDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}\")
    configure_file(\"${CMAKE_CURRENT_SOURCE_DIR}/${file}\" \"${PROJECT_BINARY_DIR}/share/systemd/${file}\" @ONLY)")
  install(FILES ${PROJECT_BINARY_DIR}/share/systemd/${file} DESTINATION ${SLIPWAY_UNITS})
endfunction()
