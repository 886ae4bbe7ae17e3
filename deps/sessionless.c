/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sessionless.c - two functions that wolfSSL built with NO_SESSION_CACHE calls but does not have.
 *
 * wolfSSL 5.9 asks its session cache about every ticket that has the length of a session id, also
 * when it was built without a cache. A cache that is not there holds nothing. Weak: a wolfSSL that
 * brings its own is not disturbed. Added to libwolfssl.a by deps/wolfssl.
 */
#include <stddef.h>

__attribute__((weak)) int TlsSessionCacheGetAndRdLock(const unsigned char *id,
                                                      const void **ret_sess, unsigned *ret_row,
                                                      unsigned char side);
__attribute__((weak)) void TlsSessionCacheUnlockRow(unsigned row);

int TlsSessionCacheGetAndRdLock(const unsigned char *id, const void **ret_sess, unsigned *ret_row,
                                unsigned char side) {
    (void)id, (void)side;
    *ret_sess = NULL;
    *ret_row = 0;
    return -1;
}

void TlsSessionCacheUnlockRow(unsigned row) {
    (void)row;
}
