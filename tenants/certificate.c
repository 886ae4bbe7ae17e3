/* SPDX-License-Identifier: GPL-3.0-or-later
 * certificate.c - the first certificate of a PEM chain, and whether the key is its key. The only
 * file of tenants/ that
 * knows wolfCrypt. Signatures are not checked: who serves a self-signed certificate serves what he
 * asked for.
 */
#include <wolfssl/options.h>

#include "tenants/certificate.h"
#include <string.h>
#include <time.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>

enum { PEM_MAX = 1 << 20, NAMES_MAX = 1000 };

static bool dns_name_good(const char *name, size_t length) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*";
    for (size_t i = 0; i < length; i++)
        if (!name[i] || !strchr(allowed, name[i]))
            return false;
    return length > 0 && length <= 253;
}

static void names_read(struct stash *stash, const DecodedCert *cert,
                       struct certificate_facts *facts) {
    const char **name = stash_array(stash, NAMES_MAX, sizeof *name);
    size_t count = 0;
    for (const DNS_entry *entry = cert->altNames; entry && count < NAMES_MAX; entry = entry->next)
        if (entry->type == ASN_DNS_TYPE && entry->len > 0 &&
            dns_name_good(entry->name, (size_t)entry->len))
            name[count++] = stash_lower(stash, stash_slice(stash, entry->name, (size_t)entry->len));
    if (!count && !cert->altNames && cert->subjectCN && cert->subjectCNLen > 0 &&
        dns_name_good(cert->subjectCN, (size_t)cert->subjectCNLen))
        name[count++] =
            stash_lower(stash, stash_slice(stash, cert->subjectCN, (size_t)cert->subjectCNLen));
    facts->name = name;
    facts->name_count = count;
}

static const char *issuer_read(struct stash *stash, const DecodedCert *cert) {
    const char *all = stash_slice(stash, cert->issuer, strnlen(cert->issuer, sizeof cert->issuer));
    const char *common = strstr(all, "/CN="); /* "/C=PT/O=Example/CN=Example CA" */
    const char *name = common ? stash_slice(stash, common + 4, strcspn(common + 4, "/")) : all;
    for (char *at = (char *)name; *at; at++) /* shown in terminals */
        if ((unsigned char)*at < 0x20 || *at == 0x7f || *at & 0x80)
            *at = '?';
    return name;
}

static int64_t not_after_read(const DecodedCert *cert) {
    struct tm when = {0};
    const byte *date = cert->afterDate;
    if (!date || cert->afterDateLen < 3 ||
        wc_GetDateAsCalendarTime(date + 2, date[1], date[0], &when) != 0)
        return 0;
    return timegm(&when);
}

static bool key_matches(const DerBuffer *cert, const char *key_pem, const char **ret_why) {
    DerBuffer *key = NULL;
    int key_format = 0;
    *ret_why = "tls.key is not a private key in PEM";
    if (wc_PemToDer((const unsigned char *)key_pem, (long)strlen(key_pem), PRIVATEKEY_TYPE, &key,
                    NULL, NULL, &key_format) != 0) {
        wc_FreeDer(&key); /* what fails may have allocated */
        return false;
    }
    DecodedCert decoded;
    wc_InitDecodedCert(&decoded, cert->buffer, cert->length, NULL);
    bool good = wc_ParseCert(&decoded, CERT_TYPE, NO_VERIFY, NULL) == 0 &&
                wc_CheckPrivateKeyCert(key->buffer, key->length, &decoded, 0, NULL) == 1;
    wc_FreeDecodedCert(&decoded);
    explicit_bzero(key->buffer, key->length);
    wc_FreeDer(&key);
    *ret_why = good ? NULL : "tls.key is not the key of tls.crt";
    return good;
}

static bool leaf_read(struct stash *stash, const DerBuffer *cert, struct certificate_facts *facts) {
    DecodedCert decoded;
    wc_InitDecodedCert(&decoded, cert->buffer, cert->length, NULL);
    bool good = wc_ParseCert(&decoded, CERT_TYPE, NO_VERIFY, NULL) == 0;
    if (good) {
        names_read(stash, &decoded, facts);
        facts->issuer = issuer_read(stash, &decoded);
        facts->not_after = not_after_read(&decoded);
    }
    wc_FreeDecodedCert(&decoded);
    return good;
}

bool certificate_read(struct stash *stash, const char *chain_pem, const char *key_pem,
                      struct certificate_facts *ret, const char **ret_why) {
    DerBuffer *cert = NULL;
    struct certificate_facts facts = {0};
    *ret_why = "tls.crt is not a certificate in PEM";
    if (strlen(chain_pem) > PEM_MAX || strlen(key_pem) > PEM_MAX ||
        wc_PemToDer((const unsigned char *)chain_pem, (long)strlen(chain_pem), CERT_TYPE, &cert,
                    NULL, NULL, NULL) != 0) {
        wc_FreeDer(&cert);
        return false;
    }
    bool good = leaf_read(stash, cert, &facts) && key_matches(cert, key_pem, ret_why);
    wc_FreeDer(&cert);
    if (good && !facts.name_count) {
        *ret_why = "tls.crt names no DNS name";
        good = false;
    }
    if (good)
        *ret = facts;
    return good;
}

/* ---- a bundle of authorities ---- */

static const char *block_judge(const char *begin, size_t length) {
    DerBuffer *der = NULL;
    if (wc_PemToDer((const unsigned char *)begin, (long)length, CERT_TYPE, &der, NULL, NULL,
                    NULL) != 0)
        return "not certificates in PEM";
    DecodedCert decoded;
    wc_InitDecodedCert(&decoded, der->buffer, der->length, NULL);
    bool good = wc_ParseCert(&decoded, CERT_TYPE, NO_VERIFY, NULL) == 0;
    bool authority = good && decoded.isCA;
    wc_FreeDecodedCert(&decoded);
    wc_FreeDer(&der);
    return !good        ? "holds a certificate that can't be read"
           : !authority ? "holds a certificate that is not an authority's (basicConstraints CA)"
                        : NULL;
}

bool certificates_judge(const char *pem, const char **ret_why) {
    static const char end[] = "-----END CERTIFICATE-----";
    size_t count = 0;
    const char *why = strlen(pem) > PEM_MAX ? "longer than 1 MiB" : NULL;
    for (const char *at = pem, *last; !why && (last = strstr(at, end)); at = last, count++) {
        last += sizeof end - 1;
        why = block_judge(at, (size_t)(last - at));
    }
    *ret_why = why ? why : "not certificates in PEM";
    return !why && count;
}
