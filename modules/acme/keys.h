/* SPDX-License-Identifier: GPL-3.0-or-later
 * keys.h - what is inside a struct key, for the files that sign with it.
 */
#pragma once
#include "modules/acme/jose.h"
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>

struct key {
    enum key_kind kind;
    WC_RNG rng; /* its own: wolfSSL is built without locks */
    union {
        ecc_key ecc;
        RsaKey rsa;
    };
};
