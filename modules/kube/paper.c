/* SPDX-License-Identifier: GPL-3.0-or-later
 * paper.c - see paper.h. wolfCrypt makes the keys and signs; files are written beside, synced and renamed.
 */
#include "modules/kube/paper.h"
#include "core/control_host.h"
#include "core/module.h"
#include "tenants/certificate.h"
#include "tenants/network.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>

enum { PEM_MOST = 64 << 10, DER_MAX = 4096, NAMES_BYTES = 2000, CA_DAYS = 3650, LEAF_DAYS = 365 };
enum { RENEW_DAYS = 30, DAY_S = 86400 };

/* ---- files ---- */

static char *file_text(const char *path) {
    char *text = calloc(1, PEM_MOST + 1);
    int fd = text ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd < 0 ? -1 : read(fd, text, PEM_MOST);
    if (fd >= 0)
        close(fd);
    if (n > 0)
        return text;
    free(text);
    return NULL;
}

static bool file_keep(const char *path, const char *text, struct err *err) {
    char *beside = NULL;
    size_t length = strlen(text);
    if (asprintf(&beside, "%s.new", path) < 0)
        return err_set(err, "out of memory");
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, text, length) == (ssize_t)length && !fsync(fd);
    if (fd >= 0)
        good = !close(fd) && good;
    good = good && !rename(beside, path);
    if (!good)
        err_set(err, "kube: %s can't be written: %s", path, strerror(errno));
    free(beside);
    return good;
}

static char *state_path(const char *name) {
    char *path = NULL;
    return asprintf(&path, "%s/kube/%s", control_state_folder(), name) < 0 ? NULL : path;
}

/* ---- keys ---- */

struct signer {
    WC_RNG rng;
    ecc_key key;
};

static bool signer_init(struct signer *s) {
    memset(s, 0, sizeof *s);
    if (wc_InitRng(&s->rng))
        return false;
    if (!wc_ecc_init(&s->key))
        return true;
    wc_FreeRng(&s->rng);
    return false;
}

static void signer_fini(struct signer *s) {
    wc_ecc_free(&s->key);
    wc_FreeRng(&s->rng);
    explicit_bzero(s, sizeof *s);
}

static char *pem_of(const uint8_t *der, int length, int type) {
    char *pem = length > 0 ? calloc(1, DER_MAX * 2) : NULL;
    if (pem && wc_DerToPem(der, (word32)length, (uint8_t *)pem, DER_MAX * 2 - 1, type) > 0)
        return pem;
    free(pem);
    return NULL;
}

static char *signer_pem(struct signer *s) {
    uint8_t der[DER_MAX];
    word32 room = sizeof der;
    char *pem = pem_of(der, wc_EccKeyToPKCS8(&s->key, der, &room), PKCS8_PRIVATEKEY_TYPE);
    explicit_bzero(der, sizeof der);
    return pem;
}

static bool signer_read(struct signer *s, const char *pem) {
    uint8_t der[DER_MAX];
    word32 at = 0;
    int length = wc_KeyPemToDer((const uint8_t *)pem, (int)strlen(pem), der, sizeof der, NULL);
    bool good = length > 0 && !wc_EccPrivateKeyDecode(der, &at, &s->key, (word32)length) &&
                !wc_ecc_make_pub_ex(&s->key, NULL, &s->rng);
    explicit_bzero(der, sizeof der);
    return good;
}

static bool signer_make(struct signer *s) {
    return !wc_ecc_make_key_ex(&s->rng, 32, &s->key, ECC_SECP256R1);
}

/* ---- names: the value of subjectAltName ---- */

struct names {
    uint8_t body[NAMES_BYTES];
    size_t length;
};

static void name_put(struct names *n, const char *text) {
    union address a;
    bool address = address_parse(text, 0, &a), v4 = address && a.any.sa_family == AF_INET;
    const void *bytes = !address ? (const void *)text
                        : v4     ? (const void *)&a.v4.sin_addr
                                 : (const void *)&a.v6.sin6_addr;
    size_t length = !address ? strlen(text) : v4 ? 4 : 16;
    if (!length || length > 120 || n->length + length + 2 > sizeof n->body)
        return;
    n->body[n->length++] = address ? 0x87 : 0x82; /* iPAddress [7], dNSName [2] */
    n->body[n->length++] = (uint8_t)length;
    memcpy(n->body + n->length, bytes, length);
    n->length += length;
}

/* The host of "https://host:port/…" or of "host:port", without brackets. */
static void host_put(struct names *n, const char *text) {
    char host[256];
    const char *at = strncmp(text, "https://", 8) ? text : text + 8;
    size_t length = *at == '[' ? strcspn(++at, "]") : strcspn(at, ":/");
    snprintf(host, sizeof host, "%.*s", (int)length, at);
    name_put(n, host);
}

static void names_gather(const struct kube_conf *c, struct names *n) {
    n->length = 0;
    if (c->server)
        host_put(n, c->server);
    for (size_t i = 0; i < c->listen.count; i++)
        host_put(n, ((char *const *)c->listen.item)[i]);
    for (size_t i = 0; i < c->names.count; i++)
        name_put(n, ((char *const *)c->names.item)[i]);
    name_put(n, "localhost");
    name_put(n, "127.0.0.1");
}

static size_t names_encode(const struct names *n, uint8_t *out) {
    size_t at = 0;
    out[at++] = 0x30;
    if (n->length >= 256)
        out[at++] = 0x82;
    else if (n->length >= 128)
        out[at++] = 0x81;
    if (n->length >= 256)
        out[at++] = (uint8_t)(n->length >> 8);
    out[at++] = (uint8_t)n->length;
    memcpy(out + at, n->body, n->length);
    return at + n->length;
}

/* ---- certificates ---- */

static char *cert_sign(Cert *c, struct signer *subject, struct signer *issuer) {
    uint8_t der[DER_MAX];
    c->sigType = CTC_SHA256wECDSA;
    int length = wc_MakeCert_ex(c, der, sizeof der, ECC_TYPE, &subject->key, &issuer->rng);
    if (length > 0)
        length = wc_SignCert_ex(c->bodySz, c->sigType, der, sizeof der, ECC_TYPE, &issuer->key,
                                &issuer->rng);
    return pem_of(der, length, CERT_TYPE);
}

static char *ca_make(struct signer *s) {
    Cert *c = wc_CertNew(NULL);
    if (!c)
        return NULL;
    strcpy(c->subject.commonName, "ringress kube authority");
    c->isCA = 1;
    c->daysValid = CA_DAYS;
    bool good = !wc_SetKeyUsage(c, "keyCertSign,cRLSign") &&
                !wc_SetSubjectKeyIdFromPublicKey_ex(c, ECC_TYPE, &s->key);
    c->selfSigned = 1;
    char *pem = good ? cert_sign(c, s, s) : NULL;
    wc_CertFree(c);
    return pem;
}

static bool issuer_set(Cert *c, const char *ca_pem) {
    uint8_t der[DER_MAX];
    int n =
        wc_CertPemToDer((const uint8_t *)ca_pem, (int)strlen(ca_pem), der, sizeof der, CERT_TYPE);
    return n > 0 && !wc_SetIssuerBuffer(c, der, n) && !wc_SetAuthKeyIdFromCert(c, der, n);
}

static char *leaf_make(const struct names *names, struct signer *leaf, struct signer *ca,
                       const char *ca_pem) {
    Cert *c = wc_CertNew(NULL);
    if (!c)
        return NULL;
    strcpy(c->subject.commonName, "ringress kube");
    c->daysValid = LEAF_DAYS;
    c->altNamesSz = (int)names_encode(names, c->altNames);
    bool good = issuer_set(c, ca_pem) && !wc_SetKeyUsage(c, "digitalSignature") &&
                !wc_SetExtKeyUsage(c, "serverAuth") &&
                !wc_SetSubjectKeyIdFromPublicKey_ex(c, ECC_TYPE, &leaf->key);
    char *pem = good ? cert_sign(c, leaf, ca) : NULL;
    wc_CertFree(c);
    return pem;
}

/* Unix seconds; 0: it can't be read, or is not for this key. */
static int64_t not_after(const char *chain, const char *key) {
    struct certificate_facts facts = {0};
    struct stash *stash = stash_new();
    const char *why;
    int64_t at = certificate_read(stash, chain, key, &facts, &why) ? facts.not_after : 0;
    stash_free(stash);
    return at;
}

/* ---- the edge's own ---- */

static bool pair_keep(const char *cert_name, const char *cert, const char *key_name,
                      const char *key, struct err *err) {
    char *cert_path = state_path(cert_name), *key_path = state_path(key_name);
    bool good = cert_path && key_path
                    ? file_keep(key_path, key, err) && file_keep(cert_path, cert, err)
                    : err_set(err, "out of memory");
    free(cert_path);
    free(key_path);
    return good;
}

static char *state_text(const char *name) {
    char *path = state_path(name), *text = path ? file_text(path) : NULL;
    free(path);
    return text;
}

static void secret_free(char *text) {
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* The authority as it was kept, or a new one: kubeconfigs that embed the old one are void then. */
static char *ca_load(struct signer *ca, struct err *err) {
    char *pem = state_text("ca.pem"), *key = state_text("ca.key");
    bool kept = pem && key && signer_read(ca, key);
    if (!kept) {
        free(pem);
        secret_free(key);
        key = NULL;
        pem = signer_make(ca) ? ca_make(ca) : NULL;
        key = pem ? signer_pem(ca) : NULL;
        kept = key ? pair_keep("ca.pem", pem, "ca.key", key, err)
                   : err_set(err, "kube: no certificate authority could be made");
    }
    secret_free(key);
    if (kept)
        return pem;
    free(pem);
    return NULL;
}

/* The names a certificate was made for, as they were encoded: beside it, to see whether they changed. */
static char *names_text(const struct names *n) {
    char *text = malloc(2 * n->length + 1);
    for (size_t i = 0; text && i < n->length; i++)
        sprintf(text + 2 * i, "%02x", n->body[i]);
    if (text)
        text[2 * n->length] = 0;
    return text;
}

static bool leaf_kept(const char *names, int64_t now, struct paper *p) {
    char *was = state_text("cert.names");
    p->chain = state_text("cert.pem");
    p->key = state_text("cert.key");
    int64_t end = p->chain && p->key ? not_after(p->chain, p->key) : 0;
    bool good = was && !strcmp(was, names) && end - RENEW_DAYS * DAY_S > now;
    free(was);
    return good;
}

static bool leaf_load(const struct names *names, struct signer *ca, int64_t now, struct paper *p,
                      struct err *err) {
    struct signer leaf;
    char *text = names_text(names), *path = state_path("cert.names");
    bool good = text && path && leaf_kept(text, now, p);
    if (!good && text && path && signer_init(&leaf)) {
        paper_fini(&(struct paper){.chain = p->chain, .key = p->key});
        p->chain = signer_make(&leaf) ? leaf_make(names, &leaf, ca, p->ca) : NULL;
        p->key = p->chain ? signer_pem(&leaf) : NULL;
        good = p->key ? pair_keep("cert.pem", p->chain, "cert.key", p->key, err) &&
                            file_keep(path, text, err)
                      : err_set(err, "kube: no certificate could be made");
        signer_fini(&leaf);
    }
    free(text);
    free(path);
    return good;
}

static bool own_load(const struct kube_conf *c, int64_t now, struct paper *p, struct err *err) {
    struct signer ca;
    struct names names;
    char *folder = state_path("");
    if (folder)
        mkdir(folder, 0700); /* files in it say why it can't be used */
    free(folder);
    if (!signer_init(&ca))
        return err_set(err, "out of memory");
    names_gather(c, &names);
    p->ca = ca_load(&ca, err);
    bool good = p->ca && leaf_load(&names, &ca, now, p, err);
    signer_fini(&ca);
    return good;
}

/* ---- the operator's ---- */

static char *given_text(const char *as_written, const char *what, struct err *err) {
    char *path = control_path(as_written), *text = path ? file_text(path) : NULL;
    if (!text)
        err_set(err, "kube.%s: %s can't be read: %s", what, as_written, strerror(errno));
    free(path);
    return text;
}

bool paper_load(const struct kube_conf *c, int64_t now, struct paper *ret, struct err *err) {
    struct paper p = {0};
    bool good;
    if (c->cert_file) {
        p.chain = given_text(c->cert_file, "cert_file", err);
        p.key = p.chain ? given_text(c->key_file, "key_file", err) : NULL;
        p.ca = p.key && c->ca_file ? given_text(c->ca_file, "ca_file", err) : NULL;
        good = p.key && (p.ca || !c->ca_file);
    } else {
        good = own_load(c, now, &p, err);
    }
    if (good)
        *ret = p;
    else
        paper_fini(&p);
    return good;
}

void paper_fini(struct paper *p) {
    free(p->chain);
    secret_free(p->key);
    free(p->ca);
    *p = (struct paper){0};
}
