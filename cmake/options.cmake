# SPDX-License-Identifier: GPL-3.0-or-later
option(SLIPWAY_SANITIZE "address and undefined-behaviour sanitizers" OFF)
option(SLIPWAY_LIBFUZZER "fuzz targets linked with libFuzzer (clang only)" OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Dev)
endif()
set(CMAKE_CXX_FLAGS_DEV "-O1 -g1" CACHE STRING "development: quick to build" FORCE)
set(CMAKE_C_FLAGS_DEV "-O1 -g1" CACHE STRING "" FORCE)

add_compile_options(-Wall -Wextra -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside libstdc++ and in Result's variant where nothing is wrong.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized> $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-field-initializers>)
else()
  add_compile_options(-Wno-missing-field-initializers)
endif()
# The same object whatever the checkout's path, so that ccache serves every clone.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}=. -fno-omit-frame-pointer)

if(SLIPWAY_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()
if(SLIPWAY_LIBFUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(SLIPWAY_CCACHE ccache)
if(SLIPWAY_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${SLIPWAY_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_C_COMPILER_LAUNCHER})
endif()
find_program(SLIPWAY_MOLD mold)
if(SLIPWAY_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
