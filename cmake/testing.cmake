# SPDX-License-Identifier: GPL-3.0-or-later
enable_testing()
include(GoogleTest)

# slipway_test(NAME SOURCES a.cpp … LIBS lib … [LABELS unit] [TIMEOUT 60])
# A GoogleTest program NAME_test, run by ctest as one test NAME. Skipped tests inside it count as
# failures under SLIPWAY_STRICT=1 (tests/gtest_main.cpp).
function(slipway_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  add_executable(${name}_test ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/gtest_main.cpp)
  target_link_libraries(${name}_test PRIVATE ${ARG_LIBS} GTest::gtest GTest::gmock)
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name}_test PRIVATE SLIPWAY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND ${name}_test)
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77
    ENVIRONMENT "SLIPWAY_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
endfunction()

# slipway_fuzz(NAME SOURCE fuzz/x.cpp SEEDS dir LIBS codec)
# SOURCE defines LLVMFuzzerTestOneInput. Plain builds replay the seeds and then mutate them for
# about a second (tests/fuzz_main.cpp, seeded, prints its seed); with SLIPWAY_LIBFUZZER it is a
# libFuzzer program.
function(slipway_fuzz name)
  cmake_parse_arguments(ARG "" "SOURCE;SEEDS" "LIBS" ${ARGN})
  if(SLIPWAY_LIBFUZZER)
    add_executable(${name}_fuzz ${ARG_SOURCE})
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz_${name} COMMAND ${name}_fuzz -max_total_time=20 ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SEEDS})
  else()
    add_executable(${name}_fuzz ${ARG_SOURCE} ${PROJECT_SOURCE_DIR}/tests/fuzz_main.cpp)
    add_test(NAME fuzz_${name} COMMAND ${name}_fuzz ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SEEDS})
  endif()
  target_include_directories(${name}_fuzz PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name}_fuzz PRIVATE ${ARG_LIBS})
  set_tests_properties(fuzz_${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()
