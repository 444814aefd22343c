# How every target of the project is made, so that flags and layout are said once.
#
#   keisei_module(NAME base SOURCES result.cc ... DEPS headers::fmt ... TESTS result_test.cc ...)
#     makes the static library keisei_base (alias keisei::base) and, with tests, the program base_test.
#     A module without sources is an interface library. Nested modules use an underscore: net_torch.
#   keisei_program(NAME keisei-worker SOURCES ... DEPS ...)
#   keisei_test(NAME end_to_end_test SOURCES ... DEPS ...)
#   keisei_fuzz_target(NAME wire_fuzz SOURCES ... DEPS ...)

add_library(keisei_flags INTERFACE)
target_compile_options(keisei_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                                              -Wundef -Werror)
# g++ 12 sees overlapping copies where a text literal is joined to a string at -O3 (its bug 105329).
target_compile_options(keisei_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
# At -O2 it takes a coroutine's frame, of which it inlines the end and not the beginning, for one that
# another allocator made.
target_compile_options(keisei_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)
target_include_directories(keisei_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
if(KEISEI_SANITIZE)
  target_compile_options(keisei_flags INTERFACE -fsanitize=${KEISEI_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(keisei_flags INTERFACE -fsanitize=${KEISEI_SANITIZE})
endif()

function(keisei_module)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPS;PRIVATE_DEPS;TESTS;TEST_DEPS" ${ARGN})
  set(target keisei_${ARG_NAME})
  if(ARG_SOURCES)
    add_library(${target} STATIC ${ARG_SOURCES})
    target_link_libraries(${target} PUBLIC keisei_flags ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE keisei_flags ${ARG_DEPS})
  endif()
  add_library(keisei::${ARG_NAME} ALIAS ${target})
  if(ARG_TESTS)
    keisei_test(NAME ${ARG_NAME}_test SOURCES ${ARG_TESTS} DEPS ${target} ${ARG_TEST_DEPS})
  endif()
endfunction()

function(keisei_program)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPS" ${ARGN})
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_link_libraries(${ARG_NAME} PRIVATE keisei_flags ${ARG_DEPS})
endfunction()

# For a program that loads no library of C++ beside it: it starts without looking for libstdc++'s
# thousands of symbols. The sanitizers bring their own.
function(keisei_link_own_runtime target)
  if(NOT KEISEI_SANITIZE)
    target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc)
  endif()
endfunction()

# FILLS_SHARED_MEMORY: a filter of those tests that do so by hundreds of megabytes. Without privilege
# a worker is held to the growth of the host's, so that of these one runs at a time.
function(keisei_test)
  cmake_parse_arguments(ARG "" "NAME;FILLS_SHARED_MEMORY" "SOURCES;DEPS" ${ARGN})
  if(NOT KEISEI_TESTS)
    return()
  endif()
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_link_libraries(${ARG_NAME} PRIVATE keisei_flags ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${ARG_NAME} PRIVATE KEISEI_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
  set(discovery DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60)
  if(ARG_FILLS_SHARED_MEMORY)
    gtest_discover_tests(${ARG_NAME} ${discovery} TEST_FILTER ${ARG_FILLS_SHARED_MEMORY}
                         PROPERTIES TIMEOUT 600 RESOURCE_LOCK shared_memory)
    gtest_discover_tests(${ARG_NAME} ${discovery} TEST_FILTER "-${ARG_FILLS_SHARED_MEMORY}"
                         PROPERTIES TIMEOUT 600)
  else()
    gtest_discover_tests(${ARG_NAME} ${discovery} PROPERTIES TIMEOUT 600)
  endif()
endfunction()

# A libFuzzer program: only in the fuzz preset, whose KEISEI_SANITIZE instruments every module.
function(keisei_fuzz_target)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPS" ${ARGN})
  if(KEISEI_FUZZ)
    keisei_program(NAME ${ARG_NAME} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS})
    target_link_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()
