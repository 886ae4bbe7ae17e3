/* SPDX-License-Identifier: GPL-3.0-or-later
 * watch.c - inotify, and the patience it takes to read whole files only.
 *
 *   IN_CREATE, IN_MODIFY       the file is being written: its tenant waits for the close
 *   IN_CLOSE_WRITE, IN_MOVED_TO, a new link    the file is whole: read WATCH_QUIET_MS later
 *   IN_DELETE, IN_MOVED_FROM   the file may come back: WATCH_GRACE_MS
 *
 * A tenant's state is a list of its files that are being written or have gone, and the time since when the rest is quiet.
 * `..data` is how mounted ConfigMaps swap all their links at once. A full queue (IN_Q_OVERFLOW) means we know nothing:
 * everything is watched anew and rescanned.
 */
#include "edge/watch.h"
#include "core/log.h"
#include "core/module.h"
#include "edge/drop.h"
#include "edge/file.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MASK = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
           IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
    UNSETTLED_MAX = 1000, /* files of one tenant to keep apart; more are taken together */
};
#define MS 1000000ll

struct watch_folder {
    int wd;
    char name[]; /* the tenant's */
};

struct unsettled { /* a file that is being written, or has gone */
    struct unsettled *next;
    int64_t until_ns;
    bool written;
    char name[];
};

struct watch_dirty {
    struct watch_dirty *next, **link;
    struct unsettled *file;
    size_t files;
    int64_t quiet_ns; /* the rest is quiet from then on */
    char name[];
};

/* --- dirty tenants ---------------------------------------------------------------------------*/

static struct watch_dirty *dirty_get(struct watch *w, const char *tenant) {
    struct watch_dirty *d = map_get(&w->dirty, tenant);
    if (d)
        return d;
    d = calloc(1, sizeof *d + strlen(tenant) + 1);
    if (!d || !map_put(&w->dirty, tenant, d)) {
        free(d);
        w->rescan_ns = loop_now_ns() + WATCH_RESCAN_MS * MS;
        return NULL;
    }
    memcpy(d->name, tenant, strlen(tenant) + 1);
    d->next = w->first;
    d->link = &w->first;
    if (d->next)
        d->next->link = &d->next;
    w->first = d;
    return d;
}

static void dirty_free(struct watch *w, struct watch_dirty *d) {
    *d->link = d->next;
    if (d->next)
        d->next->link = d->link;
    map_remove(&w->dirty, d->name);
    for (struct unsettled *u = d->file, *next; u; u = next) {
        next = u->next;
        free(u);
    }
    free(d);
}

static void quiet_from(struct watch_dirty *d, int64_t ms) {
    int64_t then = loop_now_ns() + ms * MS;
    if (d->quiet_ns < then)
        d->quiet_ns = then;
}

static void file_settle(struct watch_dirty *d, const char *file) {
    for (struct unsettled **u = &d->file, *gone; *u; u = &(*u)->next)
        if (!strcmp((*u)->name, file)) {
            gone = *u;
            *u = gone->next;
            d->files--;
            free(gone);
            return;
        }
}

static void file_unsettle(struct watch_dirty *d, const char *file, bool written) {
    int64_t ms = written ? WATCH_STALLED_MS : WATCH_GRACE_MS;
    struct unsettled *u = d->file;
    while (u && strcmp(u->name, file) != 0)
        u = u->next;
    if (!u && d->files < UNSETTLED_MAX && (u = malloc(sizeof *u + strlen(file) + 1))) {
        memcpy(u->name, file, strlen(file) + 1);
        u->next = d->file;
        d->file = u;
        d->files++;
    }
    if (!u) {
        quiet_from(d, WATCH_GRACE_MS);
        return;
    }
    u->until_ns = loop_now_ns() + ms * MS;
    u->written = written;
}

static int64_t dirty_due(const struct watch_dirty *d) {
    int64_t due = d->quiet_ns;
    for (const struct unsettled *u = d->file; u; u = u->next)
        if (u->until_ns > due)
            due = u->until_ns;
    return due;
}

bool watch_busy(const struct watch *w, const char *tenant) {
    const struct watch_dirty *d = map_get(&w->dirty, tenant);
    for (const struct unsettled *u = d ? d->file : NULL; u; u = u->next)
        if (u->written)
            return true;
    return false;
}

/* --- links -----------------------------------------------------------------------------------*/

/* What tells one state of a file from another; all 0: it isn't there. */
struct print {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct watch_link { /* a file of a tenant that is a symbolic link */
    struct print print;
    bool changed; /* since it was last settled */
    char tenant[];
};

static struct print print_of(const char *path) {
    struct stat st;
    struct print p;
    memset(&p, 0, sizeof p); /* compared as bytes */
    if (!stat(path, &st)) {
        p.device = st.st_dev;
        p.inode = st.st_ino;
        p.size = st.st_size;
        p.modified = st.st_mtim;
    }
    return p;
}

static bool is_link(const char *path) {
    struct stat st;
    return !lstat(path, &st) && S_ISLNK(st.st_mode);
}

static void link_note(struct watch *w, const char *tenant, const char *path) {
    if (!is_link(path) || map_get(&w->links, path))
        return;
    struct watch_link *l = calloc(1, sizeof *l + strlen(tenant) + 1);
    if (!l || !map_put(&w->links, path, l)) { /* then only a reload reads it */
        free(l);
        return;
    }
    memcpy(l->tenant, tenant, strlen(tenant) + 1);
    l->print = print_of(path);
    if (!w->look_ns)
        w->look_ns = loop_now_ns() + WATCH_LOOK_MS * MS;
}

static void link_look(struct watch *w, struct watch_link *l, const char *path) {
    struct print p = print_of(path);
    bool same = !memcmp(&p, &l->print, sizeof p);
    struct watch_dirty *d = same && l->changed ? dirty_get(w, l->tenant) : NULL;
    l->changed = !same;
    l->print = p;
    if (d)
        quiet_from(d, 0);
}

static void links_look(struct watch *w) {
    w->look_ns = 0;
    for (size_t i = 0; i < w->links.room;) {
        const char *path = w->links.slot[i].key;
        if (path && !is_link(path)) {
            free(map_remove(&w->links, path)); /* another may move into this slot: look again */
            continue;
        }
        if (path)
            link_look(w, w->links.slot[i].value, path);
        i++;
    }
    if (w->links.count)
        w->look_ns = loop_now_ns() + WATCH_LOOK_MS * MS;
}

static void links_forget(struct watch *w) {
    for (size_t i = 0; i < w->links.room; i++)
        free(w->links.slot[i].value);
    map_fini(&w->links);
}

/* Those of conf.d (`tenant` NULL: each is one), or of a tenant's folder. */
static void links_find(struct watch *w, const char *tenant) {
    char own[256], *folder = tenant ? path_join(w->folder, tenant) : strdup(w->folder);
    DIR *dir = folder ? opendir(folder) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if ((e->d_type != DT_LNK && e->d_type != DT_UNKNOWN) || !drop_reads(e->d_name) ||
            (!tenant && !drop_tenant_of(e->d_name, false, own)))
            continue;
        char *path = path_join(folder, e->d_name);
        if (path)
            link_note(w, tenant ? tenant : own, path);
        free(path);
    }
    if (dir)
        closedir(dir);
    free(folder);
}

/* --- folders ---------------------------------------------------------------------------------*/

static void unwatched(struct watch *w, const char *path) {
    if (!w->partial)
        log_write(LOG_ERROR, "cannot watch %s (%s)%s; looking every second instead", path,
                  strerror(errno),
                  errno == ENOSPC   ? ", raise it with: sysctl fs.inotify.max_user_watches=1048576"
                  : errno == EMFILE ? ", raise it with: sysctl fs.inotify.max_user_instances=1024"
                                    : "");
    w->partial = true;
}

static void folder_forget(struct watch *w, struct watch_folder *f) {
    char key[16];
    snprintf(key, sizeof key, "%d", f->wd);
    map_remove(&w->folder_by_wd, key);
    map_remove(&w->folder_by_name, f->name);
    inotify_rm_watch(w->source.fd, f->wd); /* fails when the folder is gone: then so is the watch */
    free(f);
}

static bool folder_remember(struct watch *w, const char *name, int wd) {
    char key[16];
    snprintf(key, sizeof key, "%d", wd);
    struct watch_folder *f = malloc(sizeof *f + strlen(name) + 1);
    if (!f)
        return false;
    f->wd = wd;
    memcpy(f->name, name, strlen(name) + 1);
    if (map_put(&w->folder_by_wd, key, f) && map_put(&w->folder_by_name, name, f))
        return true;
    map_remove(&w->folder_by_wd, key);
    free(f);
    return false;
}

static void folder_watch(struct watch *w, const char *name) {
    if (w->source.fd < 0 || map_get(&w->folder_by_name, name))
        return;
    char *path = path_join(w->folder, name);
    int wd = path ? inotify_add_watch(w->source.fd, path, MASK | IN_MASK_CREATE) : -1;
    if ((wd < 0 && errno != ENOENT && errno != ENOTDIR) ||
        (wd >= 0 && !folder_remember(w, name, wd)))
        unwatched(w, path ? path : name);
    else if (wd >= 0)
        links_find(w, name);
    free(path);
}

static bool names_folder(const struct watch *w, const char *name) {
    struct stat st;
    char *path = path_join(w->folder, name);
    bool answer = path && !stat(path, &st) && S_ISDIR(st.st_mode);
    free(path);
    return answer;
}

static void folders_watch(struct watch *w) {
    DIR *dir = opendir(w->folder);
    links_find(w, NULL);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.' && e->d_type != DT_REG && names_folder(w, e->d_name))
            folder_watch(w, e->d_name);
    if (dir)
        closedir(dir);
}

static void folders_forget(struct watch *w) {
    for (size_t i = 0; i < w->folder_by_name.room;) {
        struct watch_folder *f = w->folder_by_name.slot[i].value;
        if (w->folder_by_name.slot[i].key)
            folder_forget(w, f); /* another may move into this slot: look again */
        else
            i++;
    }
}

static void root_watch(struct watch *w) {
    w->root_wd = w->source.fd < 0 ? -1 : inotify_add_watch(w->source.fd, w->folder, MASK);
    if (w->root_wd < 0)
        unwatched(w, w->folder);
    else
        w->partial = false;
    folders_watch(w);
}

/* --- events ----------------------------------------------------------------------------------*/

/* A link, or what is no file, is whole as soon as it is there; a file that was just made will be written and closed. */
static bool is_whole(const char *path) {
    struct stat st;
    return path && !lstat(path, &st) && (!S_ISREG(st.st_mode) || st.st_nlink > 1);
}

static void file_event(struct watch *w, const char *tenant, const char *folder, const char *file,
                       uint32_t mask) {
    struct watch_dirty *d = dirty_get(w, tenant);
    char *path = NULL;
    if (!d ||
        asprintf(&path, folder ? "%s/%s/%s" : "%s/%s%s", w->folder, folder ? folder : "", file) < 0)
        return;
    if (mask & (IN_CREATE | IN_MOVED_TO))
        link_note(w, tenant, path);
    if (mask & (IN_DELETE | IN_MOVED_FROM)) {
        file_unsettle(d, file, false);
    } else if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO) || (mask & IN_CREATE && is_whole(path))) {
        file_settle(d, file);
        quiet_from(d, WATCH_QUIET_MS);
    } else if (mask & (IN_CREATE | IN_MODIFY)) {
        file_unsettle(d, file, true);
    } else {
        quiet_from(d, WATCH_QUIET_MS); /* IN_ATTRIB: it may have become readable */
    }
    free(path);
}

static void folder_event(struct watch *w, const char *name, uint32_t mask) {
    struct watch_dirty *d = dirty_get(w, name);
    struct watch_folder *f = map_get(&w->folder_by_name, name);
    if (mask & (IN_DELETE | IN_MOVED_FROM)) {
        if (f)
            folder_forget(w, f);
        if (d)
            file_unsettle(d, "/", false);
    } else if (mask & (IN_CREATE | IN_MOVED_TO)) {
        folder_watch(w, name);
        if (d) {
            file_settle(d, "/");
            quiet_from(d, WATCH_FOLDER_MS);
        }
    } else if (d) {
        quiet_from(d, WATCH_QUIET_MS);
    }
}

static void root_event(struct watch *w, const struct inotify_event *e) {
    char tenant[256];
    if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) {
        if (w->root_wd >= 0)
            inotify_rm_watch(w->source.fd, w->root_wd);
        w->root_wd = -1;
        w->partial = true;
        log_write(LOG_ERROR, "%s went away: the tenants stay as they are until it is back",
                  w->folder);
        return;
    }
    const char *name = e->len ? e->name : "";
    bool folder = e->mask & IN_ISDIR || map_get(&w->folder_by_name, name) ||
                  (e->mask & (IN_CREATE | IN_MOVED_TO) && names_folder(w, name));
    if (!strcmp(name, "..data"))
        w->rescan_ns = loop_now_ns();
    else if (drop_tenant_of(name, folder, tenant))
        folder ? folder_event(w, tenant, e->mask) : file_event(w, tenant, NULL, name, e->mask);
}

static void tenant_event(struct watch *w, const struct inotify_event *e) {
    char key[16];
    snprintf(key, sizeof key, "%d", e->wd);
    struct watch_folder *f = map_get(&w->folder_by_wd, key);
    const char *file = e->len ? e->name : "";
    if (!f)
        return;
    if (!strcmp(file, "..data"))
        folder_event(w, f->name, IN_ATTRIB);
    else if (drop_reads(file))
        file_event(w, f->name, f->name, file, e->mask);
    else if (e->mask & IN_IGNORED)
        folder_forget(w, f);
}

static void overflow(struct watch *w) {
    log_write(LOG_WARNING, "more changes in %s than the kernel queues: reading all of it",
              w->folder);
    while (w->first)
        dirty_free(w, w->first);
    folders_forget(w);
    folders_watch(w);
    w->rescan_ns = loop_now_ns();
}

static void timer_arm(struct watch *w) {
    int64_t due = w->rescan_ns;
    if (w->partial && !due)
        due = w->rescan_ns = loop_now_ns() + WATCH_RESCAN_MS * MS;
    if (w->look_ns && (!due || w->look_ns < due))
        due = w->look_ns;
    for (const struct watch_dirty *d = w->first; d; d = d->next)
        if (!due || dirty_due(d) < due)
            due = dirty_due(d);
    w->timer.due_ns = due;
}

static void events_read(struct watch *w) {
    char buffer[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
    for (ssize_t n; (n = read(w->source.fd, buffer, sizeof buffer)) > 0;)
        for (char *at = buffer; at < buffer + n;) {
            const struct inotify_event *e = (const struct inotify_event *)at;
            at += sizeof *e + e->len;
            if (e->mask & IN_Q_OVERFLOW)
                overflow(w);
            else if (e->wd == w->root_wd)
                root_event(w, e);
            else
                tenant_event(w, e);
        }
}

static void watch_read(struct loop_source *source, short revents) {
    struct watch *w = (struct watch *)((char *)source - offsetof(struct watch, source));
    (void)revents;
    events_read(w);
    timer_arm(w);
}

/* --- time ------------------------------------------------------------------------------------*/

static void rescan(struct watch *w) {
    w->rescan_ns = 0;
    if (w->root_wd < 0)
        root_watch(w);
    else
        folders_watch(w);
    w->events->rescan(w->user);
}

static void watch_fire(struct loop_timer *timer) {
    struct watch *w = (struct watch *)((char *)timer - offsetof(struct watch, timer));
    int64_t now = loop_now_ns();
    bool told = false;
    events_read(
        w); /* on a busy machine what was whole when the timer was set may be written anew by now */
    if (w->look_ns && w->look_ns <= now)
        links_look(w);
    for (struct watch_dirty *d = w->first, *next; d; d = next) {
        next = d->next;
        if (dirty_due(d) > now)
            continue;
        w->events->settled(w->user, d->name);
        dirty_free(w, d);
        told = true;
    }
    if (told)
        w->events->flush(w->user);
    if (w->rescan_ns && w->rescan_ns <= now)
        rescan(w);
    timer_arm(w);
}

void watch_init(struct watch *w, struct loop *loop, const char *conf_d,
                const struct watch_events *events, void *user) {
    *w = (struct watch){
        .loop = loop, .events = events, .user = user, .folder = strdup(conf_d), .root_wd = -1};
    w->timer.fire = watch_fire;
    w->source = (struct loop_source){
        .fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .events = POLLIN, .ready = watch_read};
    root_watch(w);
    if (w->source.fd >= 0)
        loop_add(loop, &w->source);
    loop_add_timer(loop, &w->timer);
    timer_arm(w);
}

void watch_fini(struct watch *w) {
    while (w->first)
        dirty_free(w, w->first);
    folders_forget(w);
    loop_remove(w->loop, &w->source);
    if (w->source.fd >= 0)
        close(w->source.fd);
    links_forget(w);
    map_fini(&w->folder_by_wd);
    map_fini(&w->folder_by_name);
    map_fini(&w->dirty);
    free(w->folder);
}
