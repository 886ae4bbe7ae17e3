/* SPDX-License-Identifier: GPL-3.0-or-later
 * modules.c - finds, inspects and loads modules, and builds the chains that listeners ask.
 *
 *   NAME.so -> its `ringress_module` is read from the file (no code of it has run) -> abi, size, name judged
 *           -> dlopen -> a full copy in the host, newer fields zero -> chains by listener kind
 */
#include "core/process.h"
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONN_STATE_MOST = 2048 };

struct loaded {
    struct ringress_module module; /* our copy, as wide as we know it */
    const struct ringress_module *original;
    char *file;
    const void *conf;
    struct module_info info;
};

static struct loaded loaded[MODULES_MOST];
static size_t loaded_count;
static struct chain chains[KINDS];

/* ---- reading the descriptor out of the file ---- */

struct image {
    const uint8_t *data;
    size_t size;
};

static const void *image_at(const struct image *i, uint64_t offset, uint64_t length) {
    return offset <= i->size && length <= i->size - offset ? i->data + offset : NULL;
}

/* Where a virtual address of the module stands in its file. */
static const void *image_address(const struct image *i, const Elf64_Ehdr *e, uint64_t address,
                                 uint64_t length) {
    const Elf64_Phdr *p = image_at(i, e->e_phoff, (uint64_t)e->e_phnum * sizeof *p);
    for (unsigned n = 0; p && n < e->e_phnum; n++)
        if (p[n].p_type == PT_LOAD && address >= p[n].p_vaddr &&
            address - p[n].p_vaddr < p[n].p_filesz)
            return image_at(i, p[n].p_offset + (address - p[n].p_vaddr), length);
    return NULL;
}

static const void *symbol_in(const struct image *i, const Elf64_Ehdr *e, const Elf64_Shdr *symbols,
                             const Elf64_Shdr *strings) {
    const char *names = image_at(i, strings->sh_offset, strings->sh_size);
    const Elf64_Sym *s = image_at(i, symbols->sh_offset, symbols->sh_size);
    static const char WANTED[] = "ringress_module";
    for (uint64_t n = 0; names && s && n < symbols->sh_size / sizeof *s; n++)
        if (s[n].st_shndx != SHN_UNDEF && s[n].st_name < strings->sh_size &&
            strings->sh_size - s[n].st_name >= sizeof WANTED &&
            !memcmp(names + s[n].st_name, WANTED, sizeof WANTED))
            return image_address(i, e, s[n].st_value, 2 * sizeof(uint32_t));
    return NULL;
}

static const uint32_t *image_descriptor(const struct image *i) {
    const Elf64_Ehdr *e = image_at(i, 0, sizeof *e);
    if (!e || memcmp(e->e_ident, ELFMAG, SELFMAG) || e->e_ident[EI_CLASS] != ELFCLASS64 ||
        e->e_shentsize != sizeof(Elf64_Shdr) || e->e_phentsize != sizeof(Elf64_Phdr))
        return NULL;
    const Elf64_Shdr *s = image_at(i, e->e_shoff, (uint64_t)e->e_shnum * sizeof *s);
    for (unsigned n = 0; s && n < e->e_shnum; n++)
        if (s[n].sh_type == SHT_DYNSYM && s[n].sh_link < e->e_shnum)
            return symbol_in(i, e, &s[n], &s[s[n].sh_link]);
    return NULL;
}

static bool file_map(const char *file, struct image *ret) {
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    void *p = fstat(fd, &st) || st.st_size <= 0
                  ? MAP_FAILED
                  : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return false;
    *ret = (struct image){p, (size_t)st.st_size};
    return true;
}

static bool file_inspect(const char *file, struct err *err) {
    struct image i;
    if (!file_map(file, &i))
        return err_set(err, "module %s: %s", file, strerror(errno));
    const uint32_t *descriptor = image_descriptor(&i);
    bool good = true;
    if (!descriptor)
        good = err_set(err, "module %s: not a Ringress module (it exports no `ringress_module`)",
                       file);
    else if (descriptor[0] != RINGRESS_ABI)
        good = err_set(
            err, "module %s: its ABI is %u, ours is %u: build it against this version's headers",
            file, descriptor[0], RINGRESS_ABI);
    munmap((void *)(uintptr_t)i.data, i.size);
    return good;
}

/* ---- loading ---- */

static bool module_load(const char *name, char *file, struct err *err) {
    struct loaded *l = &loaded[loaded_count];
    if (!file_inspect(file, err))
        return false;
    void *handle =
        dlopen(file, RTLD_NOW | RTLD_LOCAL); /* for ever: change replaces data, not code */
    const struct ringress_module *m = handle ? dlsym(handle, "ringress_module") : NULL;
    if (!m) {
        const char *why = dlerror();
        return err_set(err, "module %s: %s", file, why ? why : "it can't be loaded");
    }
    size_t size = m->size < sizeof l->module ? m->size : sizeof l->module;
    if (size < offsetof(struct ringress_module, listeners))
        return err_set(err, "module %s: its descriptor is too small (%u bytes)", file, m->size);
    memset(&l->module, 0, sizeof l->module);
    memcpy(&l->module, m, size);
    if (!l->module.name || strcmp(l->module.name, name))
        return err_set(err, "module %s: it calls itself `%s`, its file `%s`", file,
                       l->module.name ? l->module.name : "", name);
    l->original = m;
    l->file = file;
    l->info = (struct module_info){&l->module, file};
    loaded_count++;
    return true;
}

static char *module_find(const char *name, const char *const *path, size_t path_count) {
    for (size_t i = 0; i < path_count; i++) {
        char *file = NULL;
        if (asprintf(&file, "%s/%s.so", path[i], name) < 0)
            return NULL;
        if (!access(file, F_OK))
            return file;
        free(file);
    }
    return NULL;
}

static void chain_add(struct chain *c, unsigned index) {
    size_t size = (loaded[index].module.conn_size + 7) &
                  ~(size_t)7; /* <= CONN_STATE_MOST, so that the sum fits */
    c->module[c->count] = (uint8_t)index;
    c->state_at[c->count++] = c->state_size;
    c->state_size = (uint16_t)(c->state_size + size);
}

static bool chains_build(struct err *err) {
    for (unsigned i = 0; i < loaded_count; i++) {
        if (loaded[i].module.conn_size > CONN_STATE_MOST)
            return err_set(err, "module %s: %zu bytes per connection is too much", loaded[i].file,
                           loaded[i].module.conn_size);
        for (unsigned kind = 0; kind < KINDS; kind++)
            if (loaded[i].module.listeners & (1u << kind))
                chain_add(&chains[kind], i);
    }
    return true;
}

bool modules_inspect(const char *const *names, size_t count, const char *const *path,
                     size_t path_count, struct err *err) {
    if (count > MODULES_MOST)
        return err_set(err, "%zu modules are too many: %d at most", count, MODULES_MOST);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++)
            if (!strcmp(names[i], names[j]))
                return err_set(err, "module %s is named twice", names[i]);
        char *file = module_find(names[i], path, path_count);
        if (!file)
            return err_set(err, "module %s: no %s.so in module_path (%s%s)", names[i], names[i],
                           path_count ? path[0] : "empty", path_count > 1 ? ", …" : "");
        if (!module_load(names[i], file, err)) {
            free(file);
            return false;
        }
    }
    return chains_build(err);
}

size_t modules_count(void) {
    return loaded_count;
}

const struct module_info *modules_get(size_t i) {
    return &loaded[i].info;
}

void modules_configure(size_t i, void *conf) {
    loaded[i].conf = conf;
}

bool modules_up(struct err *err) {
    for (size_t i = 0; i < loaded_count; i++)
        if (loaded[i].module.conf_check && !loaded[i].module.conf_check(loaded[i].conf, err))
            return false;
    return true;
}

/* ---- on the control thread ---- */

static size_t control_count; /* of modules, whose control_up was called with success */

bool modules_control_up(struct err *err) {
    for (size_t i = 0; i < loaded_count; i++) {
        const struct ringress_module *m = &loaded[i].module;
        if (m->control_up && !m->control_up(loaded[i].conf, err)) {
            modules_control_down();
            return false;
        }
        control_count = i + 1;
    }
    return true;
}

void modules_control_down(void) {
    for (; control_count; control_count--)
        if (loaded[control_count - 1].module.control_down)
            loaded[control_count - 1].module.control_down();
}

void modules_tenant(const char *name, const struct tenant *now) {
    for (size_t i = 0; i < control_count; i++)
        if (loaded[i].module.on_tenant)
            loaded[i].module.on_tenant(name, now);
}

static void hand_over(char *text, void (*take)(void *, const char *), void *user) {
    if (text)
        take(user, text);
    free(text);
}

void modules_rows(const char *kind, const char *tenant, void (*take)(void *user, const char *rows),
                  void *user) {
    for (size_t i = 0; i < control_count; i++)
        if (loaded[i].module.control_view)
            hand_over(loaded[i].module.control_view(kind, tenant), take, user);
}

void modules_metrics(void (*take)(void *user, const char *text), void *user) {
    for (size_t i = 0; i < control_count; i++)
        if (loaded[i].module.control_metrics)
            hand_over(loaded[i].module.control_metrics(), take, user);
}

char *modules_command(const char *command, const char *const *word, const char *tenant) {
    char *answer = NULL;
    for (size_t i = 0; i < control_count && !answer; i++)
        if (loaded[i].module.control_command)
            answer = loaded[i].module.control_command(command, word, tenant);
    return answer;
}

/* ---- on workers ---- */

static void modules_down(struct worker *w, size_t up) {
    for (size_t i = 0; w->module_state && i < loaded_count; i++) {
        if (i < up && loaded[i].module.worker_down)
            loaded[i].module.worker_down(w, w->module_state[i]);
        free(w->module_state[i]);
    }
    free(w->module_state);
    w->module_state = NULL;
}

int modules_worker_up(struct worker *w) {
    w->module_state = calloc(MODULES_MOST, sizeof *w->module_state);
    if (!w->module_state)
        return -ENOMEM;
    for (size_t i = 0; i < loaded_count; i++) {
        const struct ringress_module *m = &loaded[i].module;
        w->module_state[i] = m->worker_size ? calloc(1, m->worker_size) : NULL;
        int error = m->worker_size && !w->module_state[i] ? -ENOMEM : 0;
        if (!error && m->worker_up)
            error = m->worker_up(w, w->module_state[i], loaded[i].conf);
        if (error) {
            modules_down(w, i);
            return error;
        }
    }
    return 0;
}

void modules_worker_down(struct worker *w) {
    modules_down(w, loaded_count);
}

const struct chain *chain_of(enum listener_kind kind) {
    return &chains[kind >> 1]; /* 1, 2, 4 -> 0, 1, 2 */
}

const struct ringress_module *module_at(unsigned index) {
    return &loaded[index].module;
}

static size_t index_of(const struct ringress_module *m) {
    for (size_t i = 0; i < loaded_count; i++)
        if (m == loaded[i].original || m == &loaded[i].module)
            return i;
    return 0;
}

const void *module_conf(const struct ringress_module *m) {
    return loaded[index_of(m)].conf;
}

void *module_worker_state(const struct ringress_module *m, const struct worker *w) {
    return w->module_state[index_of(m)];
}
