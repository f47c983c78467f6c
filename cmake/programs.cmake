# SPDX-License-Identifier: GPL-3.0-or-later
# slipway_program(NAME SECTION [GROUPS group …])
# What a user gets with a program: its manual page in SECTION (1: users, 8: administrators), made from its --help and
# docs/man/NAME.h2m (cmake/man-page). A program of GROUPS of commands has a page for each.
find_program(SLIPWAY_HELP2MAN help2man)
if(NOT SLIPWAY_HELP2MAN)
  message(STATUS "No manual pages: help2man is not installed")
endif()

function(slipway_page page section program)
  set(output ${PROJECT_BINARY_DIR}/share/man/man${section}/${page}.${section})
  add_custom_command(OUTPUT ${output}
    COMMAND ${PROJECT_SOURCE_DIR}/cmake/man-page ${output} ${section} ${PROJECT_VERSION} ${PROJECT_SOURCE_DIR}/docs/man
      $<TARGET_FILE:${program}> ${ARGN}
    DEPENDS ${program} ${PROJECT_SOURCE_DIR}/cmake/man-page ${PROJECT_SOURCE_DIR}/docs/man/${program}.h2m
    COMMENT "Manual page ${page}(${section})" VERBATIM)
  set(pages ${pages} ${output} PARENT_SCOPE)
endfunction()

function(slipway_program name section)
  cmake_parse_arguments(ARG "" "" "GROUPS" ${ARGN})
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
endfunction()
