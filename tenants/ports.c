/* SPDX-License-Identifier: GPL-3.0-or-later
 * ports.c - numbers of the raw TCP pool: free -> in use by one tenant's service -> held a day ->
 * free.
 *
 * A number stays with its (tenant, service, container port) across drops and restarts. After release it is held for 24 h:
 * clients of yesterday must not meet another tenant's service; and it counts to the quota meanwhile, so that nobody can
 * walk through the pool. When the quota is used up, another service of that tenant is given the one that was held longest: a
 * container without a name is another service each time it is run. Who held first stays when the quota does not reach for all.
 */
#include "tenants/inside.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { HOLD_SECONDS = 24 * 3600 };

static struct port **port_at(const struct registry *registry, uint16_t number) {
    bool inside = registry->port && number >= registry->port_low && number <= registry->port_high;
    return inside ? &registry->port[number - registry->port_low] : NULL;
}

static void port_write(const struct port *port, struct change *change) {
    json_t *value =
        port->entry
            ? json_pack("{sssssssI}", "tenant", port->entry->name, "uid", port->entry->uid, "slot",
                        port->slot, "until", (json_int_t)port->held_until)
            : json_pack("{sssI}", "slot", port->slot, "until", (json_int_t)port->held_until);
    char *dump = json_dumps(value, JSON_COMPACT);
    change_row(change, dump, "port/%u", port->number);
    free(dump);
    json_decref(value);
}

static void port_release(struct port *port, int64_t now, struct change *change) {
    port->held_until = now + HOLD_SECONDS;
    port_write(port, change);
}

static struct port *port_new(struct registry *registry, struct entry *entry, const char *slot,
                             uint16_t number) {
    struct port *port = calloc(1, sizeof *port);
    if (!port || !(port->slot = strdup(slot)))
        abort();
    port->number = number;
    port->entry = entry;
    port->order = ++registry->port_order;
    if (entry) {
        port->next_of_entry = entry->ports;
        entry->ports = port;
    }
    *port_at(registry, number) = port;
    return port;
}

static void port_free(struct registry *registry, struct port *port) {
    struct port **at = port->entry ? &port->entry->ports : NULL;
    while (at && *at != port)
        at = &(*at)->next_of_entry;
    if (at)
        *at = port->next_of_entry;
    struct port **slot = port_at(registry, port->number);
    if (slot && *slot == port)
        *slot = NULL;
    free(port->slot);
    free(port);
}

static struct port *port_of_slot(const struct entry *entry, const char *slot, uint16_t asked) {
    struct port *found = NULL;
    for (struct port *port = entry->ports; port; port = port->next_of_entry) {
        if (strcmp(port->slot, slot) || (asked && port->number != asked))
            continue;
        if (!found || !port->held_until) /* one in use before one that is held */
            found = port;
    }
    return found;
}

/* At random, then the next free one: a number must not tell how many tenants there are. */
static uint16_t number_choose(struct registry *registry) {
    size_t count = registry->port ? (size_t)(registry->port_high - registry->port_low) + 1 : 0;
    size_t start = count ? registry_random(registry) % count : 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = (start + i) % count;
        if (!registry->port[at])
            return (uint16_t)(registry->port_low + at);
    }
    return 0;
}

static unsigned quota_of(const struct registry *registry, const struct entry *entry) {
    const struct tenant_spec *spec = entry->model->tenant ? entry->model->tenant->spec : NULL;
    return spec && spec->raw_ports >= 0 ? (unsigned)spec->raw_ports : registry->ports_per_tenant;
}

static unsigned ports_count(const struct entry *entry, bool held) {
    unsigned count = 0;
    for (const struct port *port = entry->ports; port; port = port->next_of_entry)
        count += held ? port->held_until != 0 : 1;
    return count;
}

static struct port *port_held_longest(const struct entry *entry) {
    struct port *found = NULL;
    for (struct port *port = entry->ports; port; port = port->next_of_entry)
        if (port->held_until && (!found || port->held_until < found->held_until))
            found = port;
    return found;
}

/* From one service of the tenant to another. */
static void port_pass(struct registry *registry, struct port *port, struct wanted_port *wanted,
                      struct change *change) {
    struct entry *entry = port->entry;
    wanted->number = port->number;
    port_free(registry, port);
    port_write(port_new(registry, entry, wanted->slot, wanted->number), change);
}

static const char *quota_refusal(const struct entry *entry, unsigned quota, struct stash *stash) {
    unsigned held = ports_count(entry, true);
    if (!held)
        return stash_format(stash, "the quota of %u raw ports is used up", quota);
    return stash_format(
        stash, "the quota of %u raw ports is used up (%u of them held for 24 h after release)",
        quota, held);
}

static void port_give(struct registry *registry, struct entry *entry, struct wanted_port *wanted,
                      unsigned quota, struct stash *stash, struct change *change) {
    struct port **asked = wanted->asked ? port_at(registry, wanted->asked) : NULL;
    bool full = ports_count(entry, false) >= quota;
    struct port *spare = asked ? *asked : full ? port_held_longest(entry) : NULL;
    if (spare && spare->entry == entry && spare->held_until)
        port_pass(registry, spare, wanted, change);
    else if (!registry->port)
        wanted->refusal = "this edge has no raw TCP ports (raw_tcp.ports)";
    else if (wanted->asked && !asked)
        wanted->refusal = stash_format(stash, "nodePort %u is outside the pool %u-%u",
                                       wanted->asked, registry->port_low, registry->port_high);
    else if (full)
        wanted->refusal = quota_refusal(entry, quota, stash);
    else if (asked && *asked)
        wanted->refusal = stash_format(stash, "nodePort %u is taken", wanted->asked);
    else if (!(wanted->number = wanted->asked ? wanted->asked : number_choose(registry)))
        wanted->refusal = "the pool of raw ports is used up";
    else
        port_write(port_new(registry, entry, wanted->slot, wanted->number), change);
}

/* The ports a wanted slot has already, also a held one: it comes back to its service. */
static void ports_keep(struct entry *entry, struct wanted_port *wanted, size_t count,
                       struct change *change) {
    for (struct port *port = entry->ports; port; port = port->next_of_entry)
        port->wanted = false;
    for (size_t i = 0; i < count; i++) {
        struct port *port = port_of_slot(entry, wanted[i].slot, wanted[i].asked);
        if (!port || port->wanted)
            continue;
        port->wanted = true;
        wanted[i].number = port->number;
        if (port->held_until) {
            port->held_until = 0;
            port_write(port, change);
        }
    }
}

static void newest_refuse(struct entry *entry, struct wanted_port *wanted, size_t count,
                          unsigned quota, int64_t now, struct stash *stash, struct change *change) {
    struct port *newest = NULL;
    for (struct port *port = entry->ports; port; port = port->next_of_entry)
        if (port->wanted && (!newest || port->order > newest->order))
            newest = port;
    for (size_t i = 0; newest && i < count; i++)
        if (wanted[i].number == newest->number) {
            wanted[i].number = 0;
            wanted[i].refusal = quota_refusal(entry, quota, stash);
        }
    if (newest) {
        newest->wanted = false;
        port_release(newest, now, change);
    }
}

static unsigned ports_wanted(const struct entry *entry) {
    unsigned count = 0;
    for (const struct port *port = entry->ports; port; port = port->next_of_entry)
        count += port->wanted;
    return count;
}

void raw_ports_update(struct registry *registry, struct entry *entry, struct wanted_port *wanted,
                      size_t count, int64_t now, struct stash *stash, struct change *change) {
    unsigned quota = quota_of(registry, entry);
    ports_keep(entry, wanted, count, change);
    for (struct port *port = entry->ports; port; port = port->next_of_entry)
        if (!port->wanted && !port->held_until)
            port_release(port, now, change);
    while (ports_wanted(entry) > quota)
        newest_refuse(entry, wanted, count, quota, now, stash, change);
    entry->port_refused = false;
    for (size_t i = 0; i < count; i++) {
        if (!wanted[i].number && !wanted[i].refusal)
            port_give(registry, entry, &wanted[i], quota, stash, change);
        entry->port_refused |= wanted[i].refusal != NULL;
    }
}

void raw_ports_retire(struct entry *entry, int64_t now, struct change *change) {
    while (entry->ports) {
        struct port *port = entry->ports;
        entry->ports = port->next_of_entry;
        port->entry = NULL;
        port->next_of_entry = NULL;
        if (!port->held_until)
            port->held_until = now + HOLD_SECONDS;
        port_write(port, change);
    }
}

size_t raw_ports_tick(struct registry *registry, int64_t now, struct change *change) {
    size_t freed = 0;
    size_t count = registry->port ? (size_t)(registry->port_high - registry->port_low) + 1 : 0;
    for (size_t i = 0; i < count; i++) {
        struct port *port = registry->port[i];
        if (!port || !port->held_until || port->held_until > now)
            continue;
        change_row(change, NULL, "port/%u", port->number);
        port_free(registry, port);
        freed++;
    }
    return freed;
}

void raw_ports_row(struct registry *registry, uint16_t number, struct entry *entry,
                   const char *slot, int64_t held_until) {
    struct port **at = port_at(registry, number);
    if (!at || *at) /* the pool was made smaller: its numbers are gone */
        return;
    port_new(registry, entry, slot, number)->held_until = held_until;
}

void raw_ports_fini(struct registry *registry) {
    size_t count = registry->port ? (size_t)(registry->port_high - registry->port_low) + 1 : 0;
    for (size_t i = 0; i < count; i++)
        if (registry->port[i])
            port_free(registry, registry->port[i]);
    free(registry->port);
}
