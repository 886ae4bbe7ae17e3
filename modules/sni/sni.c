/* SPDX-License-Identifier: GPL-3.0-or-later
 * sni.c - on the https listeners: whose name is this, and does TLS end here or at the pod?
 *
 *   ClientHello --name--> directory --> passthrough: the untouched stream goes to a pod
 *                                  `--> a certificate: TLS ends here, and the next module sees plain text
 *
 * Whoever asks for a name that nobody holds learns only that (alert unrecognized_name). Never sees a key, never answers a
 * handshake: it chooses. An encrypted ClientHello is judged by its outer name, as any other.
 */
#include "core/alert.h"
#include "core/certificates.h"
#include "core/challenge.h"
#include "core/door.h"
#include "core/handshake.h"
#include "core/module.h"
#include "modules/sni/hello.h"
#include "tenants/compiled.h"
#include <string.h>

struct sni_conf {
    int64_t hello_size_max; /* bytes */
};

struct sni_conn {
    struct hello_scan scan;
    const struct host *host; /* passed through for it; of the version that the connection pins */
    struct certificate_wait wait; /* until the files of its certificate have been read */
    struct conn *conn;            /* that waits */
    bool let_in, turned_away;     /* by the door of its tenant's names, which is asked once */
};

static const struct conf_field SNI_FIELDS[] = {
    {.name = "hello_size_max",
     .type = CONF_SIZE,
     .offset = offsetof(struct sni_conf, hello_size_max),
     .min = 512,
     .max = HELLO_SIZE_MAX,
     .fallback = "16Ki",
     .doc = "the largest ClientHello that is read; a longer one is refused"},
    CONF_END};

static enum verdict sni_on_bytes(struct conn *, void *state, const uint8_t *data, size_t length);
static enum verdict sni_on_change(struct conn *, void *state, struct version *now);
static void sni_on_close(struct conn *, void *state);

RINGRESS_MODULE(.name = "sni", .version = "1",
                .summary = "TLS by name: ended here, or passed through to the pod",
                .listeners = LISTENER_HTTPS, .conf = SNI_FIELDS,
                .conf_size = sizeof(struct sni_conf), .conn_size = sizeof(struct sni_conn),
                .on_bytes = sni_on_bytes, .on_close = sni_on_close, .on_change = sni_on_change);

static size_t sni_hello_size_max(void) {
    const struct sni_conf *conf = module_conf(&ringress_module);
    return (size_t)conf->hello_size_max;
}

/* What is known of it so far, for the line that says why it ends. */
struct asked {
    const struct version *version; /* NULL: nobody's */
    const char *name;              /* NUL-terminated; as it was sent, when nobody has it */
    const struct backend *backend;
};

static void sni_tell(struct conn *conn, const struct asked *asked, enum access_error error,
                     const char *detail) {
    access_write_refused(conn, &(struct access_record){
                                   .size = sizeof(struct access_record),
                                   .error = (uint8_t)error,
                                   .detail = detail,
                                   .tenant = asked->version ? asked->version->tenant->name : NULL,
                                   .sni = {asked->name, asked->name ? strlen(asked->name) : 0},
                                   .service = asked->backend ? asked->backend->service : NULL});
}

/* A fatal alert in a record of its own (RFC 8446 section 6), then the end. */
static enum verdict sni_refuse(struct conn *conn, const struct asked *asked,
                               enum access_error error, enum tls_alert alert) {
    const uint8_t record[] = {21, 3, 3, 0, 2, 2, (uint8_t)alert};
    char detail[ALERT_TEXT];
    sni_tell(conn, asked, error, alert_text("sent", alert, detail));
    conn_last_words(conn, record, sizeof record);
    return VERDICT_REJECT;
}

/* Over a limit, or from where none may come: without a word, and without state left behind. */
static enum verdict sni_drop(struct conn *conn, const struct asked *asked) {
    enum limit limit = conn_refusal(conn);
    sni_tell(conn, asked, access_refusal(limit), limit_name(limit));
    conn_close(conn, true);
    return VERDICT_REJECT;
}

/* No top-level domain is a number, and every IPv4 address ends in one; every IPv6 address has a colon. */
static bool is_address(const char *name) {
    const char *dot = strrchr(name, '.');
    const char *last = dot ? dot + 1 : name;
    return strchr(name, ':') || strspn(last, "0123456789") == strlen(last);
}

/* RFC 6066 section 3: a host name without trailing dot, never an address. 0: it is neither. */
static size_t sni_normalise(const struct hello *hello, char out[254]) {
    if (hello->sni_length == 0 || hello->sni[hello->sni_length - 1] == '.' ||
        is_address(hello->sni))
        return 0;
    return name_normalise(hello->sni, hello->sni_length, out);
}

static void sni_note(struct conn *conn, const struct asked *asked) {
    access_write_at_end(conn, &(struct access_record){.size = sizeof(struct access_record),
                                                      .type = ACCESS_STREAM,
                                                      .protocol = {"tls", 3},
                                                      .sni = {asked->name, strlen(asked->name)},
                                                      .service = asked->backend->service,
                                                      .begun_us = worker_now_us(conn_worker(conn)),
                                                      .connected_us = ACCESS_NEVER,
                                                      .first_byte_us = ACCESS_NEVER});
}

static enum verdict sni_relay(struct conn *conn, struct sni_conn *sni, struct version *version,
                              const struct host *host, const char *name) {
    const struct gate *gate = host->passthrough_gate;
    struct asked asked = {version, name, host->passthrough_backend};
    union address client, local;
    if (!conn_charge(conn, version))
        return sni_drop(conn, &asked);
    if (gate) {
        conn_addresses(conn, &client, &local);
        if (!conn_admits(conn, gate, &client))
            return sni_drop(conn, &asked);
        conn_introduce(conn, gate->proxy_version);
    }
    if (!asked.backend || !asked.backend->host_set) {
        account_failed(conn_account(conn), ACCESS_NO_POD);
        return sni_refuse(conn, &asked, ACCESS_NO_POD, TLS_ALERT_INTERNAL_ERROR);
    }
    sni_note(conn, &asked);
    sni->host = host;
    conn_relay(conn, version, asked.backend->host_set);
    return VERDICT_WAIT;
}

/* ---- which certificate ---- */

static void sni_certificate_ready(struct certificate_wait *wait) {
    struct sni_conn *sni = (struct sni_conn *)((char *)wait - offsetof(struct sni_conn, wait));
    conn_resume(sni->conn);
}

static enum certificate_answer sni_stored(struct conn *conn, struct sni_conn *sni,
                                          const struct version *version, const char *name,
                                          bool expired_too, const struct identity **ret) {
    certificates_unask(&sni->wait); /* more bytes came while it waited */
    sni->wait.ready = sni_certificate_ready;
    sni->conn = conn;
    return certificates_ask(conn_worker(conn), version->tenant->uid, name, expired_too, &sni->wait,
                            ret);
}

/* The tenant's Secret, else one that the edge has got for this tenant and name, else the operator's, else one that has expired: who
 * sees that one knows at least what is wrong. */
static enum certificate_answer sni_identity(struct conn *conn, struct sni_conn *sni,
                                            const struct version *version, const char *name,
                                            size_t length, const struct identity **ret) {
    const struct certificate *own = tenant_certificate(version->tenant, name, length);
    if (own && own->host_identity) {
        *ret = own->host_identity;
        return CERTIFICATE_READY;
    }
    enum certificate_answer stored = sni_stored(conn, sni, version, name, false, ret);
    if (stored == CERTIFICATE_READY || stored == CERTIFICATE_WAIT)
        return stored;
    *ret = operator_identity(name, length);
    if (*ret)
        return CERTIFICATE_READY;
    return stored == CERTIFICATE_NONE ? sni_stored(conn, sni, version, name, true, ret) : stored;
}

/* Now, or when it is the tenant's turn. Version NULL: nobody's, a challenge. */
static enum verdict sni_handshake(struct conn *conn, const struct asked *asked,
                                  struct version *version, const struct identity *identity) {
    switch (conn_may_handshake(conn, asked->name)) {
    case HANDSHAKE_WAIT:
        return VERDICT_WAIT;
    case HANDSHAKE_REFUSE:
        return sni_refuse(conn, asked, ACCESS_LIMITED, TLS_ALERT_ACCESS_DENIED);
    default:
        if (version)
            conn_start_tls(conn, version, identity, asked->name);
        else
            conn_start_challenge(conn, identity, asked->name);
        return VERDICT_PASS;
    }
}

static enum verdict sni_terminate(struct conn *conn, struct sni_conn *sni, struct version *version,
                                  const char *name, size_t length) {
    const struct identity *identity;
    enum certificate_answer answer = sni_identity(conn, sni, version, name, length, &identity);
    const struct tls_rules *rules = version_tls_rules(version, name);
    bool nobody = rules && rules->client && !rules->client_ca; /* could show a good certificate */
    const struct asked asked = {version, name, NULL};
    if (!conn_charge(conn, version)) /* also before it is kept waiting */
        return sni_drop(conn, &asked);
    if (answer == CERTIFICATE_READY && !nobody)
        return sni_handshake(conn, &asked, version, identity);
    if (answer == CERTIFICATE_WAIT)
        return VERDICT_WAIT;
    return answer == CERTIFICATE_NONE
               ? sni_refuse(conn, &asked, ACCESS_NO_CERTIFICATE, TLS_ALERT_HANDSHAKE_FAILURE)
               : sni_refuse(conn, &asked, ACCESS_TLS_FAILED, TLS_ALERT_INTERNAL_ERROR);
}

static enum verdict sni_route(struct conn *conn, struct sni_conn *sni, const struct hello *hello) {
    char name[254];
    size_t length = sni_normalise(hello, name);
    bool challenge = hello_offers_only(hello, "acme-tls/1");
    /* RFC 8737: an authority offers acme-tls/1 and nothing else, and wants to see what was agreed with it. */
    const struct identity *agreed = length && challenge ? challenge_alpn(name, length) : NULL;
    if (agreed)
        return sni_handshake(conn, &(struct asked){.name = name}, NULL, agreed);
    const struct name_entry *entry = length ? names_find(name, length) : NULL;
    const struct asked nobody = {.name = hello->sni_length ? hello->sni : NULL};
    if (!entry)
        return sni_refuse(conn, &nobody, ACCESS_NO_ROUTE, TLS_ALERT_UNRECOGNIZED_NAME);
    const struct host *host = entry->object ? entry->object : entry->version->tenant->any;
    const struct asked asked = {entry->version, name, NULL};
    if (!sni->let_in && !sni->turned_away)
        sni->turned_away = !conn_may_shake(conn, entry->version);
    if (sni->turned_away) /* others were harmed by this tenant's */
        return conn_stalls(conn)
                   ? VERDICT_WAIT
                   : sni_refuse(conn, &asked, ACCESS_LIMITED, TLS_ALERT_ACCESS_DENIED);
    sni->let_in = true;
    if (host && host->passthrough) /* the pod may have asked an authority itself */
        return sni_relay(conn, sni, entry->version, host, name);
    if (challenge)
        return sni_refuse(conn, &asked, ACCESS_TLS_FAILED, TLS_ALERT_NO_APPLICATION_PROTOCOL);
    return sni_terminate(conn, sni, entry->version, name, length);
}

static enum verdict sni_on_bytes(struct conn *conn, void *state, const uint8_t *data,
                                 size_t length) {
    struct sni_conn *sni = state;
    struct hello hello;
    enum tls_alert alert;
    switch (hello_read(&sni->scan, data, length, sni_hello_size_max(), &hello, &alert)) {
    case HELLO_MORE:
        return VERDICT_WAIT;
    case HELLO_WHOLE:
        return sni_route(conn, sni, &hello);
    case HELLO_BAD:
        return sni_refuse(conn, &(struct asked){0}, ACCESS_MALFORMED, alert);
    case HELLO_TEXT:
        break;
    }
    sni_tell(conn, &(struct asked){0}, ACCESS_MALFORMED, "not TLS");
    return VERDICT_REJECT; /* an alert would be noise to who speaks no TLS */
}

/* Is its name still the tenant's, and still passed through? "" are the rules without a host. */
static enum verdict sni_on_change(struct conn *conn, void *state, struct version *now) {
    const struct sni_conn *sni = state;
    const char *name = sni->host->name;
    const struct host *host = now->tenant->any;
    (void)conn;
    if (*name) {
        const struct name_entry *entry = names_find(name, strlen(name));
        host = entry && entry->version == now ? entry->object : NULL;
    }
    return host && host->passthrough ? VERDICT_PASS : VERDICT_REJECT;
}

static void sni_on_close(struct conn *conn, void *state) {
    struct sni_conn *sni = state;
    (void)conn;
    certificates_unask(&sni->wait);
}
