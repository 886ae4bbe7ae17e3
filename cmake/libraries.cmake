# SPDX-License-Identifier: GPL-3.0-or-later
#
# Targets uring, wolfssl, llhttp (from deps/, or installed ones with RINGRESS_SYSTEM_DEPS) and
# ringress_libraries: all that core, tenants and edge may use. What only a module uses, it finds
# itself in its own fragment.
find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

if(RINGRESS_SYSTEM_DEPS)
    pkg_check_modules(URING REQUIRED IMPORTED_TARGET liburing>=2.9)
    pkg_check_modules(WOLFSSL REQUIRED IMPORTED_TARGET wolfssl>=5.8)
    add_library(uring ALIAS PkgConfig::URING)
    add_library(wolfssl ALIAS PkgConfig::WOLFSSL)
    find_library(LLHTTP_LIBRARY llhttp REQUIRED)
    find_path(LLHTTP_INCLUDE llhttp.h REQUIRED)
    add_library(llhttp UNKNOWN IMPORTED)
    set_target_properties(llhttp PROPERTIES
        IMPORTED_LOCATION ${LLHTTP_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${LLHTTP_INCLUDE})
else()
    execute_process(COMMAND ${CMAKE_SOURCE_DIR}/deps/build COMMAND_ERROR_IS_FATAL ANY)
    set(prefix ${CMAKE_SOURCE_DIR}/build/deps/prefix)
    foreach(name uring wolfssl llhttp)
        add_library(${name} STATIC IMPORTED)
        set_target_properties(${name} PROPERTIES
            IMPORTED_LOCATION ${prefix}/lib/lib${name}.a
            INTERFACE_INCLUDE_DIRECTORIES ${prefix}/include)
    endforeach()
endif()

pkg_check_modules(URCU REQUIRED IMPORTED_TARGET liburcu-qsbr)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
find_library(UNBOUND_LIBRARY unbound REQUIRED) # its .pc wants libevent's, which we do not use
pkg_check_modules(PSL REQUIRED IMPORTED_TARGET libpsl)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2>=1.52)
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)

add_library(ringress_libraries INTERFACE)
target_link_libraries(ringress_libraries INTERFACE
    wolfssl uring PkgConfig::URCU PkgConfig::YAML PkgConfig::JANSSON ${UNBOUND_LIBRARY}
    PkgConfig::PSL PkgConfig::SQLITE PkgConfig::SECCOMP PkgConfig::NGHTTP2 Threads::Threads resolv m ${CMAKE_DL_LIBS})
if(NOT RINGRESS_SANITIZE) # a sanitizer brings its own malloc
    pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)
    target_link_libraries(ringress_libraries INTERFACE PkgConfig::JEMALLOC)
endif()
