/* SPDX-License-Identifier: GPL-3.0-or-later
 * capability.c - see capability.h. The kernel's calls are made as they are: two of them do not justify a library.
 */
#include "edge/capability.h"
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct named {
    const char *name;
    unsigned number;
} known[] = {
    {"net_bind_service", CAP_NET_BIND_SERVICE},
    {"net_admin", CAP_NET_ADMIN},
    {"net_raw", CAP_NET_RAW},
    {"sys_admin", CAP_SYS_ADMIN},
    {"dac_read_search", CAP_DAC_READ_SEARCH},
};
enum { KNOWN = sizeof known / sizeof *known };

bool capability_parse(const char *name, uint64_t *ret) {
    for (size_t i = 0; i < KNOWN; i++)
        if (!strcmp(known[i].name, name)) {
            *ret = UINT64_C(1) << known[i].number;
            return true;
        }
    return false;
}

void capabilities_print(uint64_t set, char ret[160]) {
    char *at = ret;
    memcpy(ret, "none", sizeof "none");
    for (size_t i = 0; i < KNOWN; i++)
        if (set >> known[i].number & 1) {
            at = at == ret ? at : stpcpy(at, ", ");
            at = stpcpy(at, known[i].name);
        }
}

/* ---- the kernel's sets ---- */

struct sets {
    struct __user_cap_data_struct half[2];
};

static struct __user_cap_header_struct head(void) {
    return (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
}

uint64_t capabilities_held(void) {
    struct __user_cap_header_struct h = head();
    struct sets s = {0};
    if (syscall(SYS_capget, &h, s.half))
        return 0;
    return s.half[0].permitted | (uint64_t)s.half[1].permitted << 32;
}

static bool sets_put(uint64_t set) {
    struct __user_cap_header_struct h = head();
    struct sets s = {0};
    for (unsigned i = 0; i < 2; i++)
        s.half[i].permitted = s.half[i].effective = (uint32_t)(set >> 32 * i);
    return !syscall(SYS_capset, &h, s.half);
}

void capabilities_bound(void) {
    for (unsigned long number = 0; prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; number++)
        prctl(PR_CAPBSET_DROP, number, 0, 0, 0); /* EPERM: what started us has bounded us */
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* Locked, so that no later setuid and no exec brings back what was given up. It takes a capability which is given up next. */
static void root_means_nothing(void) {
    prctl(PR_SET_SECUREBITS,
          SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
              SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
              SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
          0, 0, 0);
}

bool capabilities_keep(uint64_t set, struct err *err) {
    uint64_t held = capabilities_held(), pcap = UINT64_C(1) << CAP_SETPCAP;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (held & pcap && sets_put((set & held) | pcap))
        root_means_nothing();
    if (!sets_put(set & held))
        return err_set(err, "capabilities can't be given up: %s", strerror(errno));
    return capabilities_held() == (set & held) ||
           err_set(err, "capabilities were given up and are still there");
}
