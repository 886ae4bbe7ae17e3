/* SPDX-License-Identifier: GPL-3.0-or-later
 * jail_files.c - the files of a jail, by Landlock: a list of folders and what may be done beneath each. All else is denied, and
 * so are, where the kernel knows of them, TCP ports that are not ours and signals to other processes.
 *
 *   state              read, write, make, remove      logs' folders      make, append
 *   conf.d, edge.yaml's folder, jail_read, /etc, …  read      nothing at all     execute
 *
 * A folder, not its files: a file that is replaced is another file. What a file leads to by a link must be on the list itself.
 */
#include "core/control.h"
#include "edge/address.h"
#include "edge/file.h"
#include "edge/jail.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of Debian 12. */
#define FS_REFER (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define NET_BIND_TCP (UINT64_C(1) << 0)
#define SCOPE_ABSTRACT_SOCKETS (UINT64_C(1) << 0)
#define SCOPE_SIGNALS (UINT64_C(1) << 1)
enum { RULE_PATH = 1, RULE_PORT = 2 };

struct ruleset {
    uint64_t files, ports, scopes;
};

struct port_rule {
    uint64_t access, port;
};

#define FS(right) LANDLOCK_ACCESS_FS_##right
#define FILES_1                                                                      \
    (FS(EXECUTE) | FS(WRITE_FILE) | FS(READ_FILE) | FS(READ_DIR) | FS(REMOVE_DIR) |  \
     FS(REMOVE_FILE) | FS(MAKE_CHAR) | FS(MAKE_DIR) | FS(MAKE_REG) | FS(MAKE_SOCK) | \
     FS(MAKE_FIFO) | FS(MAKE_BLOCK) | FS(MAKE_SYM))
#define OF_A_FILE (FS(EXECUTE) | FS(WRITE_FILE) | FS(READ_FILE) | FS_TRUNCATE | FS_IOCTL_DEV)

static const uint64_t READ = FS(READ_FILE) | FS(READ_DIR);
static const uint64_t KEEP = FS(READ_FILE) | FS(READ_DIR) | FS(WRITE_FILE) | FS_TRUNCATE |
                             FS(MAKE_REG) | FS(MAKE_DIR) | FS(REMOVE_FILE) | FS(REMOVE_DIR) |
                             FS_REFER;
static const uint64_t APPEND = FS(WRITE_FILE) | FS(MAKE_REG);
static const uint64_t REMOVE = FS(REMOVE_FILE);

struct building {
    int fd; /* the ruleset */
    struct ruleset handled;
    bool failed; /* out of memory, or a bug: a rule was not taken */
};

/* ---- rules ---- */

static void fd_allow(struct building *b, int fd, uint64_t rights) {
    struct stat st;
    if (!fstat(fd, &st) && !S_ISDIR(st.st_mode))
        rights &= OF_A_FILE;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights & b->handled.files,
                                              .parent_fd = fd};
    if (rule.allowed_access && syscall(SYS_landlock_add_rule, b->fd, RULE_PATH, &rule, 0))
        b->failed = true;
}

/* What is not there can't be allowed, and needs not. */
static void path_allow(struct building *b, const char *path, uint64_t rights) {
    int fd = path ? open(path, O_PATH | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    fd_allow(b, fd, rights);
    close(fd);
}

/* A rule is for an inode, and procfs forgets its own when memory is short: an open descriptor, for ever, keeps this one. */
static void process_allow(struct building *b) {
    int fd = open("/proc/self", O_PATH | O_CLOEXEC);
    if (fd >= 0)
        fd_allow(b, fd, READ);
}

/* The folder of a file, as the path has it and, where a link leads elsewhere, of the file itself. */
static void beside_allow(struct building *b, const char *file, uint64_t rights) {
    char *folder = file ? path_beside(file, ".") : NULL, *real = file ? realpath(file, NULL) : NULL;
    char *there = real ? path_beside(real, ".") : NULL;
    path_allow(b, strchr(file ? file : "", '/') ? folder : ".", rights);
    path_allow(b, there, rights);
    free(folder);
    free(there);
    free(real);
}

/* ---- what the edge reads ---- */

static const char *const system_read[] = {
    "/etc",                 /* resolv.conf, hosts, nsswitch.conf, localtime, the CA bundle, … */
    "/usr/share",           /* the trust anchor of DNSSEC, CA certificates, zones of time */
    "/run/systemd/resolve", /* where resolv.conf may lead */
    "/proc/sys",            /* at the start: why a ring can't be had */
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/connman",
    "/dev/null",
    "/dev/urandom",
    "/dev/random",
    NULL};

/* Links in conf.d that lead elsewhere when the edge starts: the folders of what they lead to. */
static void links_allow(struct building *b, const char *folder, int deep) {
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char *path = e->d_name[0] == '.' ? NULL : path_join(folder, e->d_name);
        struct stat st;
        bool there = path && !lstat(path, &st);
        if (there && S_ISLNK(st.st_mode))
            beside_allow(b, path, READ);
        if (there && S_ISLNK(st.st_mode) && !stat(path, &st) && S_ISDIR(st.st_mode))
            path_allow(b, path, READ);
        if (there && deep > 0 && S_ISDIR(st.st_mode))
            links_allow(b, path, deep - 1);
        free(path);
    }
    if (dir)
        closedir(dir);
}

/* A module's fields that are called file or SOMETHING_file are files it reads, and reads again when it likes. */
static bool names_a_file(const char *name) {
    size_t n = strlen(name);
    return !strcmp(name, "file") || (n > 5 && !strcmp(name + n - 5, "_file"));
}

static void fields_allow(struct building *b, const struct conf_field *fields, const char *conf) {
    for (const struct conf_field *f = fields; f && f->name; f++) {
        const char *at = conf + f->offset;
        const struct conf_list *list = (const struct conf_list *)at;
        if (f->type == CONF_STRING && names_a_file(f->name))
            beside_allow(b, *(char *const *)at, READ);
        if (f->type == CONF_MAP)
            fields_allow(b, f->fields, at);
        for (size_t i = 0; f->type == CONF_MAP_LIST && i < list->count; i++)
            fields_allow(b, f->fields, (const char *)list->item + i * f->item_size);
    }
}

static void modules_allow(struct building *b) {
    for (size_t i = 0; i < modules_count(); i++) {
        const struct ringress_module *m = modules_get(i)->module;
        const void *conf = m->conf ? module_conf(m) : NULL;
        const struct conf_list *list = conf;
        if (conf && !(m->flags & MODULE_CONF_LIST))
            fields_allow(b, m->conf, conf);
        for (size_t k = 0; conf && m->flags & MODULE_CONF_LIST && k < list->count; k++)
            fields_allow(b, m->conf, (const char *)list->item + k * m->conf_size);
    }
}

static void reading_allow(struct building *b, const struct edge_conf *c) {
    beside_allow(b, c->path, READ);
    path_allow(b, c->conf_d, READ);
    links_allow(b, c->conf_d, 1);
    for (size_t i = 0; i < c->jail_read.count; i++)
        path_allow(b, ((char *const *)c->jail_read.item)[i], READ);
    for (size_t i = 0; i < c->tls.certificates.count; i++) {
        const struct edge_certificate *t =
            (const struct edge_certificate *)c->tls.certificates.item + i;
        beside_allow(b, t->cert, READ);
        beside_allow(b, t->key, READ);
    }
    beside_allow(b, c->dns.trust_anchor, READ);
    for (const char *const *path = system_read; *path; path++)
        path_allow(b, *path, READ);
    process_allow(b); /* memory, descriptors, the way home from a network namespace */
    modules_allow(b);
    if (JAIL_SANITIZED)
        path_allow(b, "/", READ | FS(EXECUTE));
}

/* ---- what it writes, and ports ---- */

static void log_allow(struct building *b, const char *path) {
    if (path && strcmp(path, "stderr") != 0)
        beside_allow(b, path, APPEND);
}

static bool modules_write_conf_d(void) {
    bool any = false;
    for (size_t i = 0; i < modules_count(); i++)
        any |= modules_get(i)->module->flags & MODULE_WRITES_CONF_D;
    return any;
}

static void writing_allow(struct building *b, const struct edge_conf *c) {
    path_allow(b, c->state, KEEP);
    if (modules_write_conf_d())
        path_allow(b, c->conf_d, KEEP);
    log_allow(b, c->log.path);
    log_allow(b, c->log.access_path);
    path_allow(b, "/dev/null", FS(WRITE_FILE));
    beside_allow(b, c->admin.socket, REMOVE);
    if (c->core_dumps) /* where the kernel puts one when its pattern says no more than a name */
        path_allow(b, ".", APPEND | FS_TRUNCATE);
}

/* The folder is made with the first namespace: until then, files in /run. */
static void namespaces_allow(struct building *b) {
    path_allow(b, access("/run/netns", F_OK) ? "/run" : "/run/netns", FS(READ_FILE));
}

static void port_allow(struct building *b, unsigned port) {
    struct port_rule rule = {NET_BIND_TCP, port};
    if (b->handled.ports && syscall(SYS_landlock_add_rule, b->fd, RULE_PORT, &rule, 0))
        b->failed = true;
}

/* Of the pool; the listeners' and the admin's are bound. 0: any, for who must bind before he connects. */
static void ports_allow(struct building *b, const struct edge_conf *c) {
    port_allow(b, 0);
    for (unsigned port = c->port_low; port && port <= c->port_high; port++)
        port_allow(b, port);
}

/* ---- all of it ---- */

static struct ruleset handled_by(long abi) {
    const char *notify = getenv("NOTIFY_SOCKET");
    struct ruleset r = {.files = FILES_1};
    r.files |= (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0);
    r.files |= abi >= 5 ? FS_IOCTL_DEV : 0;
    r.ports = abi >= 4 ? NET_BIND_TCP : 0;
    if (abi >= 6)
        r.scopes = SCOPE_SIGNALS | (notify && notify[0] == '@' ? 0 : SCOPE_ABSTRACT_SOCKETS);
    return r;
}

static bool rules_make(struct building *b, const struct edge_conf *c, uint64_t capabilities,
                       long abi) {
    size_t size = abi >= 6 ? sizeof b->handled : abi >= 4 ? 16 : 8;
    b->handled = handled_by(abi);
    b->fd = (int)syscall(SYS_landlock_create_ruleset, &b->handled, size, 0);
    if (b->fd < 0)
        return false;
    reading_allow(b, c);
    writing_allow(b, c);
    ports_allow(b, c);
    if (capabilities >> CAP_SYS_ADMIN & 1)
        namespaces_allow(b);
    return !b->failed;
}

static bool files_fail(const struct edge_conf *c, const char *why, struct err *err) {
    if (c->jail == JAIL_REQUIRED)
        return err_set(err, "jail: required, but files can't be confined: %s", why);
    log_write(1, "jail: files are not confined: %s", why);
    return true;
}

bool jail_files(const struct edge_conf *c, uint64_t capabilities, struct jailed *j,
                struct err *err) {
    struct building b = {.fd = -1};
    if (c->jail == JAIL_OFF)
        return true;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return files_fail(c, "no_new_privs can't be set", err);
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* which version? */);
    if (abi < 1)
        return files_fail(c,
                          errno == EOPNOTSUPP ? "Landlock is switched off (kernel parameter lsm=)"
                          : errno == ENOSYS   ? "this kernel has no Landlock"
                                              : "a seccomp filter denies Landlock",
                          err);
    bool good =
        rules_make(&b, c, capabilities, abi) && !syscall(SYS_landlock_restrict_self, b.fd, 0);
    int why = errno;
    if (b.fd >= 0)
        close(b.fd);
    if (!good)
        return files_fail(c, strerror(why), err);
    j->landlock = abi;
    return true;
}
