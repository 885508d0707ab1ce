# The programs of the test build. The linker puts test/crash/system.cc between the engine and the C library (--wrap), so that
# the harness sees every call that matters to a file, without a line in the engine.
add_library(pongo_system STATIC ${CMAKE_SOURCE_DIR}/test/crash/system.cc ${CMAKE_SOURCE_DIR}/test/crash/disk.cc
            ${CMAKE_SOURCE_DIR}/test/crash/scheduler.cc)
target_include_directories(pongo_system PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/test/core)
target_link_libraries(pongo_system PUBLIC pongo_core)
foreach(call open mmap fallocate ftruncate pwrite fdatasync fsync fcntl sync_file_range nanosleep clock_gettime syscall)
  target_link_options(pongo_system INTERFACE "-Wl,--wrap=${call}")
endforeach()

file(GLOB PONGO_CRASH_TESTS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/test/crash/*_test.cc ${CMAKE_SOURCE_DIR}/test/fuzz/*_test.cc)
# Tests of test/core that catch a planted bug.
foreach(name regressions_fork_test superblock_test)
  list(APPEND PONGO_CRASH_TESTS ${CMAKE_SOURCE_DIR}/test/core/${name}.cc)
endforeach()
foreach(test_source ${PONGO_CRASH_TESTS})
  get_filename_component(test_name ${test_source} NAME_WE)
  add_executable(${test_name} ${test_source})
  target_link_libraries(${test_name} PRIVATE pongo_system)
  set_target_properties(${test_name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endforeach()
foreach(part model generator generator_writes difference)
  target_sources(operations_test PRIVATE ${CMAKE_SOURCE_DIR}/test/fuzz/${part}.cc)
endforeach()
