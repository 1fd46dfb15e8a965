/* A layer between a hive and the C library, preloaded into the real program (LD_PRELOAD). tests/shim.rs builds it and moves
 * its levers; tests/platter.rs reads what it notes.
 *
 * It notes, in the order in which it happens, everything that could reach a disk (open, write, truncate, sync, rename,
 * unlink, mkdir, of what lies in one folder) and every answer that leaves (send, of accepted connections). It can delay
 * syncs, let syncs and writes fail, pretend to sync, and tell another time of day. Everything else is as it was: it stands
 * in front of the real calls and does not take their place.
 *
 *   HIVE_SHIM_FOLDER  what lies in this folder is noted (absolute, without links)
 *   HIVE_SHIM_LOG     where it is noted; grows
 *   HIVE_SHIM_LEVERS  file of LEVERS numbers of 64 bits, shared with the test
 *
 * The variables are taken out of the environment, so that what the program starts runs without the layer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The levers, as tests/shim.rs numbers them. */
enum lever {
    SYNC_DELAY_US, /* each sync of a file begins so much later */
    FAIL_SYNC_IN,  /* the n-th sync from now on fails, once; 0: none */
    FAIL_WRITE_IN, /* the n-th write from now on fails, once; 0: none */
    FAIL_ERRNO,    /* with this */
    FAIL_WHERE,    /* 0: whatever the file; -1: whatever but a folder; otherwise only where `class` is this */
    LIES,          /* not 0: syncs are answered and not done */
    CLOCK_US,      /* the time of day is so much later (or earlier) than it is */
    SYNCS,         /* how many syncs have been asked for; written here */
    LEVERS
};

/* What a descriptor stands for. */
enum class { NOTHING, FILE_, DATABASE, LOG, FOLDER, CONNECTION };

enum kind { START = 1, OPEN, CLOSE, DUP, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, LIE, RENAME, UNLINK, MKDIR, RMDIR, SENT, MAP, BLIND };

struct record {
    uint32_t magic;
    int32_t kind;
    int32_t fd;
    int32_t value; /* flags, result, protection: as the kind says */
    int64_t place; /* offset or size */
    uint32_t path_bytes;
    uint32_t data_bytes;
};

enum { MAGIC = 0x48495645, DESCRIPTORS = 65536, SENT_MAX = 2048 };

static _Atomic unsigned char classes[DESCRIPTORS];
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int is_on;
static int log_fd = -1;
static char folder[PATH_MAX];
static size_t folder_bytes;
static _Atomic int64_t no_levers[LEVERS];
static _Atomic int64_t *levers = no_levers;
static int (*real_clock)(clockid_t, struct timespec *);

static enum class class_of(int fd) {
    return is_on && fd >= 0 && fd < DESCRIPTORS ? classes[fd] : NOTHING;
}

static int is_kept(int fd) {
    enum class class = class_of(fd);
    return class != NOTHING && class != CONNECTION;
}

/* Call it while you have the turn. */
static void note(int kind, int fd, int value, int64_t place, const char *path, const void *data, size_t bytes) {
    struct record record = {MAGIC, kind, fd, value, place, path ? strlen(path) : 0, bytes};
    struct iovec parts[3] = {{&record, sizeof record}, {(void *)path, record.path_bytes}, {(void *)data, bytes}};
    int before = errno;
    if (syscall(SYS_writev, log_fd, parts, 3) != (long)(sizeof record + record.path_bytes + bytes)) {
        static const char text[] = "shim: the log cannot be written\n";
        syscall(SYS_write, 2, text, sizeof text - 1);
        abort();
    }
    errno = before;
}

static void take_turn(void) { pthread_mutex_lock(&turn); }
static void end_turn(void) { pthread_mutex_unlock(&turn); }

/* The absolute form of a path that lies in the folder; otherwise NULL. */
static const char *kept_path(const char *path, char *room) {
    if (!is_on) return NULL;
    if (path[0] != '/') {
        if (!getcwd(room, PATH_MAX) || strlen(room) + strlen(path) + 2 > PATH_MAX) return NULL;
        strcat(strcat(room, "/"), path);
        path = room;
    }
    return !strncmp(path, folder, folder_bytes) && (path[folder_bytes] == '/' || !path[folder_bytes]) ? path : NULL;
}

static int ends_with(const char *path, const char *end) {
    size_t bytes = strlen(path), last = strlen(end);
    return bytes >= last && !strcmp(path + bytes - last, end);
}

static void after_fork(void) { is_on = 0; }

__attribute__((constructor)) static void begin(void) {
    real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    const char *shared = getenv("HIVE_SHIM_LEVERS");
    if (shared) {
        int fd = open(shared, O_RDWR | O_CLOEXEC);
        void *there = fd < 0 ? MAP_FAILED : mmap(NULL, LEVERS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (there == MAP_FAILED) {
            fprintf(stderr, "shim: no levers in %s\n", shared);
            abort();
        }
        levers = there;
        close(fd);
    }
    const char *kept = getenv("HIVE_SHIM_FOLDER"), *log = getenv("HIVE_SHIM_LOG");
    if (kept && log) {
        folder_bytes = strlen(strncpy(folder, kept, sizeof folder - 1));
        log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0) {
            fprintf(stderr, "shim: no log in %s\n", log);
            abort();
        }
        note(START, -1, getpid(), 0, folder, NULL, 0);
        pthread_atfork(NULL, NULL, after_fork);
        is_on = 1;
    }
    unsetenv("LD_PRELOAD");
    unsetenv("HIVE_SHIM_FOLDER");
    unsetenv("HIVE_SHIM_LOG");
    unsetenv("HIVE_SHIM_LEVERS");
}

/* Counts a lever down; whether it has come to its end just now. */
static int is_hit(enum lever lever, int fd) {
    int64_t where = levers[FAIL_WHERE], left = levers[lever];
    if (where < 0 ? class_of(fd) == FOLDER : where && where != class_of(fd)) return 0;
    while (left > 0) {
        if (atomic_compare_exchange_weak(&levers[lever], &left, left - 1)) return left == 1;
    }
    return 0;
}

/* ---- names ---- */

static int opened(int at, const char *path, int flags, mode_t mode) {
    char room[PATH_MAX];
    const char *kept = at == AT_FDCWD || path[0] == '/' ? kept_path(path, room) : NULL;
    if (!kept) return syscall(SYS_openat, at, path, flags, mode);
    take_turn();
    struct stat is;
    int was_there = !lstat(kept, &is);
    int fd = syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0) {
        enum class class = FILE_;
        if (!fstat(fd, &is) && S_ISDIR(is.st_mode)) class = FOLDER;
        else if (ends_with(kept, ".db")) class = DATABASE;
        else if (ends_with(kept, "-wal")) class = LOG;
        if (fd < DESCRIPTORS) classes[fd] = class;
        /* Bit 0: it is new. Bit 1: it is emptied. Bit 2: it is a folder. */
        int what = (was_there ? 0 : 1) | (flags & O_TRUNC ? 2 : 0) | (class == FOLDER ? 4 : 0);
        note(fd < DESCRIPTORS ? OPEN : BLIND, fd, what, 0, kept, NULL, 0);
    }
    end_turn();
    return fd;
}

#define MODE(flags)                                   \
    mode_t mode = 0;                                  \
    if ((flags) & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) { \
        va_list rest;                                 \
        va_start(rest, flags);                        \
        mode = va_arg(rest, mode_t);                  \
        va_end(rest);                                 \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }

int close(int fd) {
    enum class class = class_of(fd);
    if (class == NOTHING) return syscall(SYS_close, fd);
    take_turn();
    classes[fd] = NOTHING;
    note(CLOSE, fd, 0, 0, NULL, NULL, 0);
    int result = syscall(SYS_close, fd);
    end_turn();
    return result;
}

static int controlled(int fd, int command, long argument) {
    int result = syscall(SYS_fcntl, fd, command, argument);
    if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && result >= 0 && is_kept(fd)) {
        take_turn();
        classes[result] = classes[fd];
        note(DUP, fd, result, 0, NULL, NULL, 0);
        end_turn();
    }
    return result;
}

#define CONTROLLED(fd, command)          \
    va_list rest;                        \
    va_start(rest, command);             \
    long argument = va_arg(rest, long);  \
    va_end(rest);                        \
    return controlled(fd, command, argument);

int fcntl(int fd, int command, ...) { CONTROLLED(fd, command) }
int fcntl64(int fd, int command, ...) { CONTROLLED(fd, command) }

/* A change of names is one step: noted where it succeeded. `to` is the new name, where there is one. */
static int named(int kind, const char *path, const char *to, long call, mode_t mode) {
    char room[PATH_MAX], room_to[PATH_MAX];
    const char *kept = kept_path(path, room), *other = to ? kept_path(to, room_to) : NULL;
    int is_noted = kept || other;
    if (is_noted) take_turn();
    int result = call == SYS_renameat2  ? syscall(call, AT_FDCWD, path, AT_FDCWD, to, 0)
                 : call == SYS_linkat   ? syscall(call, AT_FDCWD, path, AT_FDCWD, to, mode)
                 : call == SYS_unlinkat ? syscall(call, AT_FDCWD, path, mode)
                                        : syscall(call, AT_FDCWD, path, mode);
    /* From or to another folder: the test must know that it does not see all. */
    if (is_noted && !result && to && !(kept && other)) kind = BLIND;
    if (is_noted && !result) note(kind, -1, 0, 0, kept, other, other ? strlen(other) : 0);
    if (is_noted) end_turn();
    return result;
}

int rename(const char *path, const char *to) { return named(RENAME, path, to, SYS_renameat2, 0); }
int unlink(const char *path) { return named(UNLINK, path, NULL, SYS_unlinkat, 0); }
int rmdir(const char *path) { return named(RMDIR, path, NULL, SYS_unlinkat, AT_REMOVEDIR); }
int mkdir(const char *path, mode_t mode) { return named(MKDIR, path, NULL, SYS_mkdirat, mode); }
int linkat(int at, const char *path, int at_to, const char *to, int flags) {
    if (at != AT_FDCWD || at_to != AT_FDCWD) return syscall(SYS_linkat, at, path, at_to, to, flags);
    return named(BLIND, path, to, SYS_linkat, flags);
}
/* Only folders are removed piece by piece through a descriptor; nothing that a hive keeps is. */
int unlinkat(int at, const char *path, int flags) {
    if (at == AT_FDCWD) return named(flags & AT_REMOVEDIR ? RMDIR : UNLINK, path, NULL, SYS_unlinkat, flags);
    return syscall(SYS_unlinkat, at, path, flags);
}

/* ---- content ---- */

/* Notes what a write is about to bring, and does it; `at` below 0 is where the descriptor stands. */
static ssize_t written(int fd, const void *data, size_t bytes, int64_t at) {
    if (is_hit(FAIL_WRITE_IN, fd)) {
        errno = levers[FAIL_ERRNO];
        return -1;
    }
    take_turn();
    int64_t place = at;
    if (at < 0) {
        struct stat is;
        int appends = syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND;
        place = appends && !fstat(fd, &is) ? is.st_size : syscall(SYS_lseek, fd, 0, SEEK_CUR);
    }
    note(WRITE, fd, 0, place, NULL, data, bytes);
    ssize_t result = at < 0 ? syscall(SYS_write, fd, data, bytes) : syscall(SYS_pwrite64, fd, data, bytes, at);
    /* What was noted must be what was done. */
    if (result != (ssize_t)bytes) note(BLIND, fd, errno, place, NULL, NULL, 0);
    end_turn();
    return result;
}

static void answers(int fd, const void *data, size_t bytes) {
    take_turn();
    note(SENT, fd, 0, 0, NULL, data, bytes < SENT_MAX ? bytes : SENT_MAX);
    end_turn();
}

static void answers_all(int fd, const struct iovec *parts, int count) {
    char head[SENT_MAX];
    size_t bytes = 0;
    for (int part = 0; part < count && bytes < SENT_MAX; part++) {
        size_t more = parts[part].iov_len < SENT_MAX - bytes ? parts[part].iov_len : SENT_MAX - bytes;
        memcpy(head + bytes, parts[part].iov_base, more);
        bytes += more;
    }
    answers(fd, head, bytes);
}

ssize_t write(int fd, const void *data, size_t bytes) {
    if (is_kept(fd)) return written(fd, data, bytes, -1);
    if (class_of(fd) == CONNECTION) answers(fd, data, bytes);
    return syscall(SYS_write, fd, data, bytes);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at) {
    return is_kept(fd) ? written(fd, data, bytes, at) : syscall(SYS_pwrite64, fd, data, bytes, at);
}
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) { return pwrite64(fd, data, bytes, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (is_kept(fd)) {
        ssize_t total = 0;
        for (int part = 0; part < count; part++) {
            ssize_t result = written(fd, parts[part].iov_base, parts[part].iov_len, -1);
            if (result < 0) return total ? total : result;
            total += result;
        }
        return total;
    }
    if (class_of(fd) == CONNECTION) answers_all(fd, parts, count);
    return syscall(SYS_writev, fd, parts, count);
}

static int truncated(int fd, int64_t size) {
    if (!is_kept(fd)) return syscall(SYS_ftruncate, fd, size);
    take_turn();
    int result = syscall(SYS_ftruncate, fd, size);
    if (!result) note(TRUNCATE, fd, 0, size, NULL, NULL, 0);
    end_turn();
    return result;
}
int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncated(fd, size); }

/* What another call brings into a file past the ones above is not seen here: the test must know. */
static void *mapped(void *at, size_t bytes, int protection, int flags, int fd, off64_t offset) {
    if (is_kept(fd) && (flags & MAP_SHARED) && (protection & PROT_WRITE)) {
        take_turn();
        note(MAP, fd, protection, offset, NULL, NULL, 0);
        end_turn();
    }
    return (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
}
void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return mapped(at, bytes, protection, flags, fd, offset);
}
void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off64_t offset) {
    return mapped(at, bytes, protection, flags, fd, offset);
}

static void blind(int fd) {
    if (!is_kept(fd)) return;
    take_turn();
    note(BLIND, fd, 0, 0, NULL, NULL, 0);
    end_turn();
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t bytes) {
    blind(to);
    return syscall(SYS_sendfile, to, from, offset, bytes);
}
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t bytes, unsigned flags) {
    blind(to);
    return syscall(SYS_copy_file_range, from, from_at, to, to_at, bytes, flags);
}
int posix_fallocate64(int fd, off64_t at, off64_t bytes) {
    blind(fd);
    return syscall(SYS_fallocate, fd, 0, at, bytes) ? errno : 0;
}

static int synced(int fd, long call) {
    if (!is_kept(fd)) return syscall(call, fd);
    levers[SYNCS]++;
    take_turn();
    note(SYNC_BEGIN, fd, 0, 0, NULL, NULL, 0);
    end_turn();
    int64_t delay = levers[SYNC_DELAY_US];
    if (delay > 0) {
        struct timespec rest = {delay / 1000000, delay % 1000000 * 1000};
        while (syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &rest, &rest) && errno == EINTR) {}
    }
    int lies = levers[LIES] != 0, fails = is_hit(FAIL_SYNC_IN, fd);
    int result = 0, why = 0;
    if (fails) {
        result = -1;
        why = levers[FAIL_ERRNO];
    } else if (!lies) {
        result = syscall(call, fd);
        why = result ? errno : 0;
    }
    take_turn();
    note(lies ? LIE : SYNC_END, fd, why, 0, NULL, NULL, 0);
    end_turn();
    errno = why;
    return result;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

/* ---- connections ---- */

int accept4(int listener, struct sockaddr *peer, socklen_t *bytes, int flags) {
    int fd = syscall(SYS_accept4, listener, peer, bytes, flags);
    if (is_on && fd >= 0 && fd < DESCRIPTORS) classes[fd] = CONNECTION;
    return fd;
}
ssize_t send(int fd, const void *data, size_t bytes, int flags) {
    if (class_of(fd) == CONNECTION) answers(fd, data, bytes);
    return syscall(SYS_sendto, fd, data, bytes, flags, NULL, 0);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    if (class_of(fd) == CONNECTION) answers_all(fd, message->msg_iov, message->msg_iovlen);
    return syscall(SYS_sendmsg, fd, message, flags);
}

/* ---- the time of day ---- */

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = real_clock ? real_clock(clock, now) : syscall(SYS_clock_gettime, clock, now);
    int64_t later = levers[CLOCK_US];
    if (!result && later && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t us = now->tv_sec * 1000000LL + now->tv_nsec / 1000 + later;
        now->tv_sec = us / 1000000;
        now->tv_nsec = us % 1000000 * 1000 + now->tv_nsec % 1000;
    }
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    (void)zone;
    struct timespec is;
    int result = clock_gettime(CLOCK_REALTIME, &is);
    now->tv_sec = is.tv_sec;
    now->tv_usec = is.tv_nsec / 1000;
    return result;
}
time_t time(time_t *now) {
    struct timespec is;
    clock_gettime(CLOCK_REALTIME, &is);
    if (now) *now = is.tv_sec;
    return is.tv_sec;
}
