/* SPDX-License-Identifier: GPL-3.0-or-later
 * paper.c - requests, challenge certificates and chains: wolfCrypt writes and reads them, the names go in as DER of our own.
 */
#include "modules/acme/paper.h"
#include "core/base64.h"
#include "modules/acme/keys.h"
#include "tenants/certificate.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wolfssl/ssl.h>

enum { OUT_MAX = 24 << 10, CHAIN_MOST = 10 };

/* ---- DER, as much as is needed ---- */

/* Tag and length before `length` bytes; returns how many bytes that took. */
static size_t der_head(uint8_t *out, uint8_t tag, size_t length) {
    size_t n = 0;
    out[n++] = tag;
    if (length >= 256) {
        out[n++] = 0x82;
        out[n++] = (uint8_t)(length >> 8);
    } else if (length >= 128) {
        out[n++] = 0x81;
    }
    out[n++] = (uint8_t)length;
    return n;
}

struct der { /* what is left to read */
    const uint8_t *at, *end;
};

static bool der_next(struct der *d, uint8_t *ret_tag, struct der *ret) {
    if (d->end - d->at < 2)
        return false;
    uint8_t tag = d->at[0];
    size_t length = d->at[1], used = 2;
    if (length & 0x80) {
        size_t bytes = length & 0x7f;
        if (bytes == 0 || bytes > 3 || (size_t)(d->end - d->at) < 2 + bytes)
            return false;
        for (length = 0; used < 2 + bytes; used++)
            length = length << 8 | d->at[used];
    }
    if ((size_t)(d->end - d->at) - used < length)
        return false;
    *ret_tag = tag;
    *ret = (struct der){d->at + used, d->at + used + length};
    d->at += used + length;
    return true;
}

/* The next one, which must have this tag. */
static bool der_enter(struct der *d, uint8_t tag, struct der *ret) {
    uint8_t found;
    return der_next(d, &found, ret) && found == tag;
}

/* ---- names into a request ---- */

static bool names_put(Cert *c, const char *const *name, size_t count) {
    uint8_t *body = malloc(NAMES_BYTES + 8);
    size_t n = 0;
    for (size_t i = 0; body && i < count; i++) {
        size_t length = strlen(name[i]);
        if (n + length + 4 > NAMES_BYTES) {
            free(body);
            return false;
        }
        n += der_head(body + n, 0x82, length); /* dNSName [2] */
        memcpy(body + n, name[i], length);
        n += length;
    }
    size_t head = body ? der_head(c->altNames, 0x30, n) : 0;
    if (body)
        memcpy(c->altNames + head, body, n);
    c->altNamesSz = (int)(head + n);
    free(body);
    return body;
}

static int sig_type(const struct key *k) {
    return k->kind == KEY_RSA ? CTC_SHA256wRSA : CTC_SHA256wECDSA;
}

/* Signs what was made at the start of `out`; its length, or negative. */
static int paper_sign(struct key *k, const Cert *c, uint8_t *out) {
    return wc_SignCert_ex(c->bodySz, c->sigType, out, OUT_MAX,
                          k->kind == KEY_RSA ? RSA_TYPE : ECC_TYPE,
                          k->kind == KEY_RSA ? (void *)&k->rsa : (void *)&k->ecc, &k->rng);
}

static Cert *paper_begin(const struct key *k, const char *const *name, size_t count) {
    Cert *c = wc_CertNew(NULL);
    if (!c)
        return NULL;
    c->sigType = sig_type(k);
    if (names_put(c, name, count))
        return c;
    wc_CertFree(c);
    return NULL;
}

char *request_make(const struct key *key, const char *const *name, size_t count, struct err *err) {
    struct key *k = (struct key *)(uintptr_t)key;
    Cert *c = paper_begin(k, name, count);
    uint8_t *out = malloc(OUT_MAX);
    int length = -1;
    if (c && out) {
        c->version = 0;
        if (wc_MakeCertReq_ex(c, out, OUT_MAX, k->kind == KEY_RSA ? RSA_TYPE : ECC_TYPE,
                              k->kind == KEY_RSA ? (void *)&k->rsa : (void *)&k->ecc) > 0)
            length = paper_sign(k, c, out);
    }
    char *text = length > 0 ? base64url(out, (size_t)length) : NULL;
    if (!text)
        err_set(err, "no request for %zu names could be made (wolfCrypt %d)", count, length);
    wc_CertFree(c);
    free(out);
    return text;
}

/* ---- tls-alpn-01 ---- */

static int challenge_build(struct key *k, Cert *c, const uint8_t digest[32], uint8_t *out) {
    uint8_t value[34] = {0x04, 32}; /* OCTET STRING */
    memcpy(value + 2, digest, 32);
    strcpy(c->subject.commonName, "ACME challenge");
    c->isCA = 0;
    c->daysValid = 7;
    int made = wc_SetCustomExtension(c, 1, "1.3.6.1.5.5.7.1.31", value, sizeof value);
    if (!made)
        made = wc_MakeCert_ex(c, out, OUT_MAX, ECC_TYPE, &k->ecc, &k->rng);
    return made > 0 ? paper_sign(k, c, out) : made;
}

static char *pem_of(const uint8_t *der, int length, int type) {
    int room = length * 2 + 256;
    char *pem = calloc(1, (size_t)room);
    if (pem && wc_DerToPem(der, (word32)length, (uint8_t *)pem, (word32)room - 1, type) > 0)
        return pem;
    free(pem);
    return NULL;
}

bool challenge_make(const char *name, const uint8_t digest[32], char **ret_chain, char **ret_key,
                    struct err *err) {
    struct key *k = key_new(KEY_P256, 0, err);
    if (!k)
        return false;
    Cert *c = paper_begin(k, &name, 1);
    uint8_t *out = malloc(OUT_MAX);
    int length = c && out ? challenge_build(k, c, digest, out) : -1;
    char *chain = length > 0 ? pem_of(out, length, CERT_TYPE) : NULL;
    char *pem = chain ? key_pem(k) : NULL;
    wc_CertFree(c);
    free(out);
    key_free(k);
    if (!pem) {
        free(chain);
        return err_set(err, "no challenge certificate for %s (wolfCrypt %d)", name, length);
    }
    *ret_chain = chain;
    *ret_key = pem;
    return true;
}

/* ---- chains ---- */

struct chain {
    DerBuffer *der[CHAIN_MOST];
    size_t count;
};

static void chain_fini(struct chain *c) {
    while (c->count)
        wc_FreeDer(&c->der[--c->count]);
}

static bool chain_read(const char *pem, struct chain *c, struct err *err) {
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    for (const char *at = strstr(pem, begin); at; at = strstr(at + sizeof begin, begin)) {
        if (c->count == CHAIN_MOST)
            return err_set(err, "the chain is longer than %d certificates", CHAIN_MOST);
        if (wc_PemToDer((const uint8_t *)at, (long)strlen(at), CERT_TYPE, &c->der[c->count], NULL,
                        NULL, NULL)) {
            wc_FreeDer(&c->der[c->count]); /* what fails may have allocated */
            return err_set(err, "certificate %zu of the chain can't be read", c->count + 1);
        }
        c->count++;
    }
    return c->count || err_set(err, "there is no certificate in what the authority sent");
}

/* Each is signed by the one after it. */
static bool chain_holds(const struct chain *c, struct err *err) {
    for (size_t i = 0; i + 1 < c->count; i++) {
        WOLFSSL_CERT_MANAGER *m = wolfSSL_CertManagerNew();
        int bad = !m ? MEMORY_E : 0;
        if (!bad &&
            wolfSSL_CertManagerLoadCABuffer(m, c->der[i + 1]->buffer, (long)c->der[i + 1]->length,
                                            WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS)
            bad = ASN_NO_SIGNER_E;
        if (!bad) {
            int answer = wolfSSL_CertManagerVerifyBuffer(
                m, c->der[i]->buffer, (long)c->der[i]->length, WOLFSSL_FILETYPE_ASN1);
            bad = answer == WOLFSSL_SUCCESS ? 0 : answer;
        }
        wolfSSL_CertManagerFree(m);
        if (bad)
            return err_set(err, "certificate %zu of the chain is not signed by the next one (%d)",
                           i + 1, bad);
    }
    return true;
}

/* ---- the name a certificate has for renewal information: base64url(key identifier) "." base64url(serial), as they stand in DER ---- */

static bool key_identifier(struct der extensions, struct der *ret) {
    static const uint8_t wanted[] = {0x55, 0x1d, 0x23}; /* 2.5.29.35 */
    struct der one, id, value, sequence;
    uint8_t tag;
    while (der_enter(&extensions, 0x30, &one)) {
        if (!der_enter(&one, 0x06, &id) || id.end - id.at != sizeof wanted ||
            memcmp(id.at, wanted, sizeof wanted))
            continue;
        while (der_next(&one, &tag, &value))
            if (tag == 0x04)
                return der_enter(&value, 0x30, &sequence) && der_enter(&sequence, 0x80, ret);
    }
    return false;
}

struct parts { /* of a certificate, as they stand in DER */
    struct der serial, validity, key_identifier;
};

static bool parts_find(const DerBuffer *cert, struct parts *ret) {
    struct der all = {cert->buffer, cert->buffer + cert->length}, outer, body, part, list, issuer;
    uint8_t tag;
    if (!der_enter(&all, 0x30, &outer) || !der_enter(&outer, 0x30, &body) ||
        !der_next(&body, &tag, &part))
        return false;
    if (tag == 0xa0 && !der_next(&body, &tag, &part)) /* version, then the serial number */
        return false;
    if (tag != 0x02)
        return false;
    ret->serial = part;
    if (!der_enter(&body, 0x30, &part) ||
        !der_enter(&body, 0x30, &issuer) || /* after the algorithm */
        !der_enter(&body, 0x30, &ret->validity))
        return false;
    while (der_next(&body, &tag, &part))
        if (tag == 0xa3 && der_enter(&part, 0x30, &list))
            key_identifier(list, &ret->key_identifier);
    return true;
}

static void renewal_id(const struct parts *p, char out[256]) {
    char *first = base64url(p->key_identifier.at,
                            (size_t)(p->key_identifier.end - p->key_identifier.at)),
         *second = base64url(p->serial.at, (size_t)(p->serial.end - p->serial.at));
    *out = 0;
    if (first && second && *first && *second && strlen(first) + strlen(second) < 254)
        sprintf(out, "%s.%s", first, second);
    free(first);
    free(second);
}

/* ---- the whole ---- */

/* UTCTime or GeneralizedTime; 0: neither. */
static int64_t time_of(struct der *d) {
    struct der text;
    struct tm when = {0};
    uint8_t tag;
    if (!der_next(d, &tag, &text) ||
        wc_GetDateAsCalendarTime(text.at, (int)(text.end - text.at), tag, &when))
        return 0;
    return timegm(&when);
}

static bool facts_judge(const struct certificate_facts *f, const struct paper *p,
                        const char *const *name, size_t count, int64_t now, struct err *err) {
    for (size_t i = 0, j; i < count; i++) {
        for (j = 0; j < f->name_count && strcmp(f->name[j], name[i]);)
            j++;
        if (j == f->name_count)
            return err_set(err, "the certificate does not name %s", name[i]);
    }
    if (p->not_after <= now)
        return err_set(err, "the certificate has expired already");
    return p->not_before <= now + 300 || /* clocks differ a little */
           err_set(err, "the certificate is not valid yet");
}

bool leaf_read(const char *pem, struct paper *ret, struct err *err) {
    struct chain c = {0};
    struct parts parts = {0};
    struct paper p = {0};
    bool good = chain_read(pem, &c, err) && ((c.der[0] && parts_find(c.der[0], &parts)) ||
                                             err_set(err, "the certificate can't be read"));
    if (good) {
        renewal_id(&parts, p.renewal_id);
        p.not_before = time_of(&parts.validity);
        p.not_after = time_of(&parts.validity);
        *ret = p;
    }
    chain_fini(&c);
    return good;
}

bool chain_judge(const char *pem, const struct key *k, const char *const *name, size_t count,
                 int64_t now, struct paper *ret, struct err *err) {
    struct chain c = {0};
    struct paper p;
    struct certificate_facts facts = {0};
    struct stash *stash = stash_new();
    char *secret = key_pem(k);
    const char *why = "out of memory";
    bool good = leaf_read(pem, &p, err);
    if (good && (!secret || !certificate_read(stash, pem, secret, &facts, &why)))
        good = err_set(err, "%s",
                       strstr(why, "not the key") ? "the certificate is not for our key" : why);
    good = good && facts_judge(&facts, &p, name, count, now, err) && chain_read(pem, &c, err) &&
           chain_holds(&c, err);
    if (good) {
        snprintf(p.issuer, sizeof p.issuer, "%s", facts.issuer);
        *ret = p;
    }
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
    chain_fini(&c);
    stash_free(stash);
    return good;
}
