# SPDX-License-Identifier: GPL-3.0-or-later
#
# Every test of tests/ becomes a ctest test, found by its place and name:
#
#   tests/unit/test_X.c   label unit   core + tenants + kernel + cmocka
#   tests/sim/test_X.c    label sim    core + tenants + tests/sim/fake_*.c instead of the kernel
#   tests/fuzz/X.c        label fuzz   reruns tests/fuzz/corpus/X (libFuzzer with RINGRESS_FUZZ)
#   tests/e2e/test_X.py   label e2e    pytest against the built program, one at a time (but for those that mostly wait)
#   tests/vectors/        label e2e    the same; hostile bytes as data, both ways
#
# A C test that needs more says so in a comment line of its own:
#   link: modules/http/head.c llhttp no-kernel
# with sources (relative to the repository), targets or libraries, and no-kernel to leave the real
# kernel side out because the test has its own.

# Reads the link: lines of `file`.
function(test_wishes file ret_sources ret_libraries ret_kernel)
    file(STRINGS ${file} lines REGEX "^[ /*]*link: ")
    set(sources "")
    set(libraries "")
    set(kernel TRUE)
    foreach(line ${lines})
        string(REGEX REPLACE "^[ /*]*link: *" "" line "${line}")
        string(REGEX REPLACE " *[*]/.*$" "" line "${line}")
        string(REGEX MATCHALL "[^ ]+" items "${line}")
        foreach(item ${items})
            if(item STREQUAL "no-kernel")
                set(kernel FALSE)
            elseif(item MATCHES "[.]c$")
                list(APPEND sources ${CMAKE_SOURCE_DIR}/${item})
            else()
                list(APPEND libraries ${item})
            endif()
        endforeach()
    endforeach()
    set(${ret_sources} ${sources} PARENT_SCOPE)
    set(${ret_libraries} ${libraries} PARENT_SCOPE)
    set(${ret_kernel} ${kernel} PARENT_SCOPE)
endfunction()

# What several tests are made of is compiled once. `libraries`: whose headers the first of them needs.
function(test_object source libraries ret)
    file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${source})
    string(REGEX REPLACE "[^A-Za-z0-9]" "_" name "object_${name}")
    if(NOT TARGET ${name})
        list(FILTER libraries EXCLUDE REGEX "^-")
        add_library(${name} OBJECT ${source})
        target_link_libraries(${name} PRIVATE ringress_flags ${libraries} ringress_libraries)
    endif()
    set(${ret} $<TARGET_OBJECTS:${name}> PARENT_SCOPE)
endfunction()

# An executable of `file`, the further sources in ARGN, and what the file wishes. Libraries that
# call each other are one group; a library of an empty folder has no archive and stays outside.
function(test_executable target file)
    test_wishes(${file} sources libraries kernel)
    set(objects "")
    foreach(source ${sources})
        test_object(${source} "${libraries}" object)
        list(APPEND objects ${object})
    endforeach()
    add_executable(${target} ${file} ${objects} ${ARGN})
    set(group ringress_core ringress_tenants)
    if(kernel AND NOT target MATCHES "^sim_")
        list(APPEND group ringress_kernel)
    endif()
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_link_libraries(${target} PRIVATE ringress_flags
        -Wl,--start-group ${group} -Wl,--end-group ${libraries} ringress_libraries)
endfunction()

set(environment "RINGRESS_BUILD=${CMAKE_BINARY_DIR}" "RINGRESS_SOURCE=${CMAKE_SOURCE_DIR}"
    "UBSAN_OPTIONS=print_stacktrace=1" "PYTHONDONTWRITEBYTECODE=1")

function(test_register name label timeout)
    add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES
        LABELS ${label} TIMEOUT ${timeout} ENVIRONMENT "${environment}")
endfunction()

# --- unit, sim -------------------------------------------------------------------------------
if(CMOCKA_FOUND AND NOT RINGRESS_FUZZ)
    file(GLOB files CONFIGURE_DEPENDS tests/unit/test_*.c)
    foreach(file ${files})
        get_filename_component(name ${file} NAME_WE)
        string(REGEX REPLACE "^test_" "unit_" name ${name})
        test_executable(${name} ${file})
        target_link_libraries(${name} PRIVATE PkgConfig::CMOCKA)
        test_register(${name} unit 120 $<TARGET_FILE:${name}>)
    endforeach()

    file(GLOB fakes CONFIGURE_DEPENDS tests/sim/fake_*.c)
    file(GLOB files CONFIGURE_DEPENDS tests/sim/test_*.c)
    foreach(file ${files})
        get_filename_component(name ${file} NAME_WE)
        string(REGEX REPLACE "^test_" "sim_" name ${name})
        test_executable(${name} ${file} ${fakes})
        target_link_libraries(${name} PRIVATE PkgConfig::CMOCKA)
        test_register(${name} sim 300 $<TARGET_FILE:${name}>)
        set_tests_properties(${name} PROPERTIES COST 100) # the longest of them is not to be the last
    endforeach()
endif()

# --- fuzz ------------------------------------------------------------------------------------
file(GLOB files CONFIGURE_DEPENDS tests/fuzz/*.c)
list(FILTER files EXCLUDE REGEX "/replay[.]c$")
foreach(file ${files})
    get_filename_component(name ${file} NAME_WE)
    if(RINGRESS_FUZZ)
        test_executable(fuzz_${name} ${file})
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    else()
        test_executable(fuzz_${name} ${file} tests/fuzz/replay.c)
        test_register(fuzz_${name} fuzz 120 $<TARGET_FILE:fuzz_${name}>
            ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    endif()
    # libFuzzer has no header that declares the entry point.
    set_property(SOURCE ${file} APPEND PROPERTY COMPILE_OPTIONS -Wno-missing-prototypes)
endforeach()

# --- end to end ------------------------------------------------------------------------------
# The system's python3, since that is the one whose modules ./dev setup installs.
set(patience 600)
if(RINGRESS_SANITIZE) # it takes longer for the same: SLOWNESS in tests/e2e/edge.py
    set(patience 2400)
endif()
if(NOT RINGRESS_FUZZ)
    file(GLOB files CONFIGURE_DEPENDS tests/e2e/test_*.py)
    foreach(file ${files})
        get_filename_component(name ${file} NAME_WE)
        string(REGEX REPLACE "^test_" "e2e_" name ${name})
        test_register(${name} e2e ${patience} /usr/bin/python3 -m pytest -q -p no:cacheprovider ${file})
        if(name MATCHES "^e2e_(acme|domains|pods$|tls_audit)") # they mostly wait: for DNS, for authorities, for pods to fail and recover, for one who asks slowly
            string(REGEX MATCH "acme|domains" kind "${name} domains")
            set_tests_properties(${name} PROPERTIES RESOURCE_LOCK ${kind} COST 50)
        else()
            set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
        endif()
        if(name MATCHES "^e2e_(domains|pods|tls_audit)$") # none that the others could choose meanwhile
            set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT "RINGRESS_PORTS=16000-19999")
        endif()
    endforeach()

    file(GLOB files CONFIGURE_DEPENDS tests/vectors/test_*.py)
    foreach(file ${files})
        get_filename_component(name ${file} NAME_WE)
        string(REGEX REPLACE "^test_" "e2e_" name ${name})
        test_register(${name} e2e 300 /usr/bin/python3 -m pytest -q -p no:cacheprovider ${file})
        set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
    endforeach()
endif()
