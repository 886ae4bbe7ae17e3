# SPDX-License-Identifier: GPL-3.0-or-later
#
# ringress_flags: how every C file of ours is compiled and linked. Warnings are errors for both gcc
# and clang, in every preset. Libraries' headers are system headers and stay out of it.
add_library(ringress_flags INTERFACE)

target_compile_options(ringress_flags INTERFACE
    -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
    -Wundef -Wpointer-arith)
target_compile_definitions(ringress_flags INTERFACE
    _GNU_SOURCE RINGRESS_VERSION="${PROJECT_VERSION}"
    WOLFSSL_USE_OPTIONS_H) # wolfSSL's headers then describe the library as it was built
target_include_directories(ringress_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_link_options(ringress_flags INTERFACE -Wl,-z,relro,-z,now)

if(RINGRESS_SANITIZE)
    set(sanitize -fsanitize=${RINGRESS_SANITIZE} -fno-sanitize-recover=all)
    target_compile_options(ringress_flags INTERFACE ${sanitize})
    target_link_options(ringress_flags INTERFACE ${sanitize})
endif()
if(RINGRESS_FUZZ)
    target_compile_options(ringress_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
