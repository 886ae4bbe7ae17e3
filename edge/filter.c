/* SPDX-License-Identifier: GPL-3.0-or-later
 * filter.c - see filter.h. One table, one set of ports, one rule, written as netlink messages:
 *
 *   table inet ringress { flags owner; set shut { type inet_service }
 *     chain shut { type filter hook input priority raw; meta nfproto FAMILY [ip daddr ADDRESS] tcp dport @shut drop } }
 *
 * At input, not before: what the machine passes on, to a port of that number elsewhere, is not the edge's.
 *
 * A message is built in one buffer on the stack and sent as a batch, which the kernel takes whole or not at all.
 */
#include "edge/filter.h"
#include "edge/address.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 2 /* since Linux 5.12 */
#endif

enum { TYPE_INET_SERVICE = 13, PRIORITY_RAW = -300, BATCH_ROOM = 4096, SET_ID = 1 };

struct filter {
    int fd;
    uint32_t sequence;
    char table[32];
};

/* --- messages --------------------------------------------------------------------------------*/

struct batch {
    _Alignas(8) uint8_t data[BATCH_ROOM];
    size_t length, message; /* where the one that is written begins */
    uint32_t *sequence;
};

static void *take(struct batch *b, size_t size) {
    size_t whole = NLMSG_ALIGN(size);
    if (b->length + whole > sizeof b->data)
        abort(); /* what is written here has a fixed size, far below */
    void *at = b->data + b->length;
    memset(at, 0, whole);
    b->length += whole;
    return at;
}

static void message_end(struct batch *b) {
    ((struct nlmsghdr *)(b->data + b->message))->nlmsg_len = (uint32_t)(b->length - b->message);
}

static void message_begin(struct batch *b, uint16_t type, uint16_t flags, uint8_t family,
                          uint16_t id) {
    b->message = b->length;
    struct nlmsghdr *h = take(b, sizeof *h);
    *h = (struct nlmsghdr){.nlmsg_type = type,
                           .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                           .nlmsg_seq = (*b->sequence)++};
    struct nfgenmsg *g = take(b, sizeof *g);
    *g = (struct nfgenmsg){.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(id)};
}

static void batch_begin(struct batch *b, struct filter *f) {
    b->length = 0;
    b->sequence = &f->sequence;
    message_begin(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    message_end(b);
}

static void table_message(struct batch *b, int type, int flags) {
    message_begin(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), (uint16_t)(flags | NLM_F_ACK),
                  NFPROTO_INET, 0);
}

static void put(struct batch *b, uint16_t type, const void *data, size_t size) {
    struct nlattr *a = take(b, NLA_HDRLEN + size);
    a->nla_type = type;
    a->nla_len = (uint16_t)(NLA_HDRLEN + size);
    memcpy((uint8_t *)a + NLA_HDRLEN, data, size);
}

static void put_text(struct batch *b, uint16_t type, const char *text) {
    put(b, type, text, strlen(text) + 1);
}

static void put_number(struct batch *b, uint16_t type, uint32_t value) {
    uint32_t big = htonl(value);
    put(b, type, &big, sizeof big);
}

static size_t nest(struct batch *b, uint16_t type) {
    size_t at = b->length;
    struct nlattr *a = take(b, NLA_HDRLEN);
    a->nla_type = (uint16_t)(type | NLA_F_NESTED);
    return at;
}

static void nest_end(struct batch *b, size_t at) {
    ((struct nlattr *)(b->data + at))->nla_len = (uint16_t)(b->length - at);
}

/* --- the rule --------------------------------------------------------------------------------*/

struct expression {
    size_t element, data;
};

static struct expression expression(struct batch *b, const char *name) {
    struct expression e = {.element = nest(b, NFTA_LIST_ELEM)};
    put_text(b, NFTA_EXPR_NAME, name);
    e.data = nest(b, NFTA_EXPR_DATA);
    return e;
}

static void expression_end(struct batch *b, struct expression e) {
    nest_end(b, e.data);
    nest_end(b, e.element);
}

static void load_meta(struct batch *b, uint32_t key) {
    struct expression e = expression(b, "meta");
    put_number(b, NFTA_META_KEY, key);
    put_number(b, NFTA_META_DREG, NFT_REG_1);
    expression_end(b, e);
}

static void load_payload(struct batch *b, uint32_t base, uint32_t offset, uint32_t length) {
    struct expression e = expression(b, "payload");
    put_number(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
    put_number(b, NFTA_PAYLOAD_BASE, base);
    put_number(b, NFTA_PAYLOAD_OFFSET, offset);
    put_number(b, NFTA_PAYLOAD_LEN, length);
    expression_end(b, e);
}

static void expect(struct batch *b, const void *value, size_t size) {
    struct expression e = expression(b, "cmp");
    put_number(b, NFTA_CMP_SREG, NFT_REG_1);
    put_number(b, NFTA_CMP_OP, NFT_CMP_EQ);
    size_t data = nest(b, NFTA_CMP_DATA);
    put(b, NFTA_DATA_VALUE, value, size);
    nest_end(b, data);
    expression_end(b, e);
}

/* A listener of ours on [::] is one of that family alone. */
static void expect_address(struct batch *b, const union address *a) {
    bool v6 = a->any.sa_family == AF_INET6;
    uint8_t family = v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
    load_meta(b, NFT_META_NFPROTO);
    expect(b, &family, 1);
    if (address_is_any(a))
        return;
    load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, v6 ? 24 : 16, v6 ? 16 : 4);
    expect(b, v6 ? (const void *)&a->v6.sin6_addr : (const void *)&a->v4.sin_addr, v6 ? 16 : 4);
}

static void drop_if_shut(struct batch *b) {
    struct expression e = expression(b, "lookup");
    put_text(b, NFTA_LOOKUP_SET, "shut");
    put_number(b, NFTA_LOOKUP_SREG, NFT_REG_1);
    put_number(b, NFTA_LOOKUP_SET_ID, SET_ID);
    expression_end(b, e);
    e = expression(b, "immediate");
    put_number(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    size_t data = nest(b, NFTA_IMMEDIATE_DATA), verdict = nest(b, NFTA_DATA_VERDICT);
    put_number(b, NFTA_VERDICT_CODE, NF_DROP);
    nest_end(b, verdict);
    nest_end(b, data);
    expression_end(b, e);
}

static void table_write(struct batch *b, const char *table, const union address *address) {
    const uint8_t tcp = IPPROTO_TCP;
    table_message(b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
    put_text(b, NFTA_TABLE_NAME, table);
    put_number(b, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
    message_end(b);
    table_message(b, NFT_MSG_NEWSET, NLM_F_CREATE);
    put_text(b, NFTA_SET_TABLE, table);
    put_text(b, NFTA_SET_NAME, "shut");
    put_number(b, NFTA_SET_KEY_TYPE, TYPE_INET_SERVICE);
    put_number(b, NFTA_SET_KEY_LEN, sizeof(uint16_t));
    put_number(b, NFTA_SET_ID, SET_ID);
    message_end(b);
    table_message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    put_text(b, NFTA_CHAIN_TABLE, table);
    put_text(b, NFTA_CHAIN_NAME, "shut");
    size_t hook = nest(b, NFTA_CHAIN_HOOK);
    put_number(b, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_IN);
    put_number(b, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_RAW);
    nest_end(b, hook);
    put_text(b, NFTA_CHAIN_TYPE, "filter");
    message_end(b);
    table_message(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    put_text(b, NFTA_RULE_TABLE, table);
    put_text(b, NFTA_RULE_CHAIN, "shut");
    size_t list = nest(b, NFTA_RULE_EXPRESSIONS);
    expect_address(b, address);
    load_meta(b, NFT_META_L4PROTO);
    expect(b, &tcp, 1);
    load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
    drop_if_shut(b);
    nest_end(b, list);
    message_end(b);
}

/* --- to the kernel ---------------------------------------------------------------------------*/

/* The first error of those that came back; they are there when send returns. */
static int answer_read(const struct filter *f) {
    _Alignas(8) uint8_t data[8192];
    int error = 0;
    for (;;) {
        ssize_t n = recv(f->fd, data, sizeof data, MSG_DONTWAIT);
        if (n <= 0)
            return error;
        const struct nlmsghdr *h = (const struct nlmsghdr *)data;
        for (; NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n)) {
            const struct nlmsgerr *e = NLMSG_DATA(h);
            if (h->nlmsg_type == NLMSG_ERROR && !error)
                error = e->error;
        }
    }
}

/* 0 or negative errno. */
static int batch_send(const struct filter *f, struct batch *b) {
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    message_begin(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    message_end(b);
    if (sendto(f->fd, b->data, b->length, 0, (const struct sockaddr *)&kernel, sizeof kernel) < 0)
        return -errno;
    return answer_read(f);
}

static bool may_filter(void) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {0};
    return !syscall(SYS_capget, &head, sets) && sets[0].effective & 1u << CAP_NET_ADMIN;
}

static int table_make(struct filter *f, const union address *address) {
    struct batch b;
    snprintf(f->table, sizeof f->table, "ringress");
    batch_begin(&b, f);
    table_write(&b, f->table, address);
    int error = batch_send(f, &b);
    if (error != -EPERM && error != -EEXIST && error != -EBUSY)
        return error;
    /* Another edge's, or somebody made one of that name. */
    snprintf(f->table, sizeof f->table, "ringress-%ld", (long)getpid());
    batch_begin(&b, f);
    table_write(&b, f->table, address);
    return batch_send(f, &b);
}

struct filter *filter_open(const union address *address, struct err *err) {
    struct filter *f = may_filter() ? calloc(1, sizeof *f) : NULL;
    int error = f ? 0 : -EPERM;
    if (!f) {
        err_set(err, "this process has no CAP_NET_ADMIN");
        return NULL;
    }
    f->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (f->fd < 0 || (error = table_make(f, address))) {
        err_set(err, "nftables: %s", strerror(f->fd < 0 ? errno : -error));
        filter_close(f);
        return NULL;
    }
    return f;
}

bool filter_drop(struct filter *f, uint16_t port, bool drop, struct err *err) {
    struct batch b;
    uint16_t big = htons(port);
    batch_begin(&b, f);
    table_message(&b, drop ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, drop ? NLM_F_CREATE : 0);
    put_text(&b, NFTA_SET_ELEM_LIST_TABLE, f->table);
    put_text(&b, NFTA_SET_ELEM_LIST_SET, "shut");
    size_t list = nest(&b, NFTA_SET_ELEM_LIST_ELEMENTS), one = nest(&b, NFTA_LIST_ELEM);
    size_t key = nest(&b, NFTA_SET_ELEM_KEY);
    put(&b, NFTA_DATA_VALUE, &big, sizeof big);
    nest_end(&b, key);
    nest_end(&b, one);
    nest_end(&b, list);
    message_end(&b);
    int error = batch_send(f, &b);
    return !error || (!drop && error == -ENOENT) ||
           err_set(err, "nftables: port %u: %s", port, strerror(-error));
}

void filter_close(struct filter *f) {
    if (f && f->fd >= 0)
        close(f->fd);
    free(f);
}
