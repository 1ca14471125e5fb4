/* How a segment file comes to be: names, rights, limits; and what is left when it cannot. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "record/names.h"
#include "record_shadow.h"

static char folder[3072];

static int begin_in(const char *where, uint64_t buffer_size) {
    struct otrace_segment_options options = {.folder = where, .buffer_size = buffer_size};
    return otrace_recorder_begin(&options, true, false);
}

static uint32_t entries_of(const char *path) {
    uint32_t count = 0;
    DIR *listing = opendir(path);
    CHECK(listing != NULL);
    while (readdir(listing) != NULL) {
        count++;
    }
    closedir(listing);
    return count - 2;
}

static void name_of(char *out, size_t size, const char *format, int n) {
    char name[64];
    snprintf(name, sizeof name, format, (long)getpid(), n);
    CHECK(snprintf(out, size, "%s/%s", folder, name) < (int)size);
}

static void test_it_is_private_and_keeps_no_descriptor(void) {
    struct stat status;
    uint32_t before = entries_of("/proc/self/fd");
    mode_t mask = umask(0);
    shadow_start(1 << 20, 0);
    umask(mask);
    CHECK_EQUAL(entries_of("/proc/self/fd"), before);
    CHECK_EQUAL(stat(otrace_recorder.segment.path, &status), 0);
    CHECK_EQUAL(status.st_mode, S_IFREG | 0600);
    CHECK_EQUAL(status.st_nlink, 1);
    CHECK(status.st_blocks * 512 < 1 << 20); /* sparse */
    struct record_file file;
    shadow_stop(&file);
    CHECK_EQUAL(file.header->pid, getpid());
    CHECK_EQUAL(file.header->parent_pid, getppid());
    CHECK(file.header->end_anchor.mono_ns >= file.header->start_anchor.mono_ns);
    record_file_free(&file);
}

/* The same pid again, as after exec: the next free number; nothing is replaced or followed. */
static void test_names_in_use_are_left_alone(void) {
    char taken[4096], part[4096], target[4096], path[4096];
    name_of(taken, sizeof taken, "%ld-%d.segment", 0);
    name_of(part, sizeof part, ".%ld-%d.part", 1);
    name_of(target, sizeof target, "target-%ld-%d", 0);
    int fd = open(taken, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0 && write(fd, "old", 3) == 3);
    close(fd);
    CHECK_EQUAL(symlink(target, part), 0);
    shadow_start(1 << 20, 0);
    name_of(path, sizeof path, "%ld-%d.segment", 2);
    CHECK(strcmp(otrace_recorder.segment.path, path) == 0);
    struct record_file file;
    shadow_stop(&file);
    record_file_free(&file);
    struct stat status;
    CHECK_EQUAL(stat(taken, &status), 0);
    CHECK_EQUAL(status.st_size, 3);
    CHECK(access(target, F_OK) != 0);
    unlink(taken);
    unlink(part);
}

static void test_failures_leave_nothing(void) {
    char missing[4096], *longest = malloc(8000);
    CHECK(longest != NULL);
    memset(longest, 'x', 7999);
    longest[0] = '/';
    longest[7999] = '\0';
    CHECK(snprintf(missing, sizeof missing, "%s/missing", folder) > 0);
    uint32_t before = entries_of(folder);
    CHECK_EQUAL(begin_in(missing, 1 << 20), -ENOENT);
    CHECK_EQUAL(begin_in(longest, 1 << 20), -ENAMETOOLONG);
    longest[4090] = '\0';
    CHECK_EQUAL(begin_in(longest, 1 << 20), -ENAMETOOLONG);
    CHECK_EQUAL(begin_in("/proc/self/status", 1 << 20), -ENOTDIR);
    CHECK_EQUAL(entries_of(folder), before);
    CHECK(!otrace_recorder.recording && otrace_recorder.segment.header == NULL);
    CHECK_EQUAL(otrace_recorder_end(), -ENOENT);
    shadow_start(1 << 20, 0); /* and it can be tried again */
    CHECK_EQUAL(begin_in(folder, 1 << 20), -EBUSY);
    struct record_file file;
    shadow_stop(&file);
    record_file_free(&file);
    free(longest);
}

/* The smallest buffer still has a chunk for many threads; a large one has large chunks. */
static void test_sizes(void) {
    static const uint64_t sizes[] = {0, 1, 256 << 10, 1 << 20, 5000000, 64 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct record_file file;
        shadow_start(sizes[i], 0);
        shadow_stop(&file);
        uint64_t room = (uint64_t)file.header->chunk_size * file.header->chunk_count;
        CHECK(file.header->chunk_count >= 64);
        CHECK(room <= (sizes[i] < 256 << 10 ? 256 << 10 : sizes[i]));
        CHECK(room + file.header->chunk_size > sizes[i]);
        record_file_free(&file);
    }
}

/* In a child: runs `test` there, so that limits and mounts do not stay. Exit 77: not possible. */
static void apart(const char *what, int (*test)(void)) {
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        _exit(test());
    }
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        fprintf(stderr, "left out: %s\n", what);
        return;
    }
    CHECK_EQUAL(WEXITSTATUS(status), 0);
}

/* SIGXFSZ has its default action here: crossing the limit would kill. */
static int under_file_limit(void) {
    struct rlimit limit = {.rlim_cur = 66 << 20, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_DFL);
    CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    shadow_start(UINT64_C(1) << 30, 0);
    CHECK(otrace_recorder.segment.size <= limit.rlim_cur);
    uint32_t name = shadow_names(1);
    for (int i = 0; i < 1000000; i++) {
        shadow_hot_begin(OTRACE_BEGIN, name);
        shadow_hot_end(OTRACE_END, name);
    }
    struct record_file file;
    shadow_stop(&file);
    CHECK_EQUAL(file.header->stop_errno, 0);
    uint64_t kept = 0;
    for (uint32_t i = 0; i < file.count; i++) {
        kept += ((struct otrace_chunk *)file.chunks[i])->calls_ended;
    }
    CHECK_EQUAL(kept + file.header->lost_calls, 1000000);
    record_file_free(&file);
    limit.rlim_cur = 1 << 20; /* not even the metadata fits */
    CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    uint32_t before = entries_of(folder);
    CHECK_EQUAL(begin_in(folder, UINT64_C(1) << 30), -EFBIG);
    CHECK_EQUAL(entries_of(folder), before);
    return 0;
}

/* A file system of `size` bytes on `where`, in a mount namespace of this process. */
static bool small_file_system(const char *where, const char *options) {
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("otrace-test", where, "tmpfs", 0, options) == 0;
}

static int on_read_only_file_system(void) {
    CHECK_EQUAL(mkdir("small", 0700), 0);
    if (!small_file_system("small", "size=1m")) {
        return 77;
    }
    CHECK_EQUAL(mount(NULL, "small", NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    CHECK_EQUAL(begin_in("small", 1 << 20), -EROFS);
    return 0;
}

static int on_file_system_too_small_to_begin(void) {
    if (!small_file_system("small", "size=32k")) {
        return 77;
    }
    CHECK_EQUAL(begin_in("small", 1 << 20), -ENOSPC);
    CHECK_EQUAL(entries_of("small"), 0);
    return 0;
}

/* Threads that find the file system full go on; what was written stays readable, the rest is
 * counted, and nothing raises SIGBUS. */
static int on_file_system_that_fills(void) {
    if (!small_file_system("small", "size=512k")) {
        return 77;
    }
    CHECK_EQUAL(chdir("small"), 0);
    shadow_start(64 << 20, 0);
    uint32_t name = shadow_names(300);
    uint64_t calls = 0;
    for (; calls < 500000; calls++) {
        errno = 4711;
        shadow_hot_begin(OTRACE_BEGIN, name + (uint32_t)calls % 300);
        shadow_hot_end(OTRACE_END, name + (uint32_t)calls % 300);
        CHECK_EQUAL(errno, 4711); /* the program's own */
    }
    CHECK(!otrace_recorder.recording);
    struct record_file file;
    shadow_stop(&file);
    CHECK_EQUAL(file.header->stop_errno, ENOSPC);
    uint64_t kept = 0;
    for (uint32_t i = 0; i < file.count; i++) {
        kept += ((struct otrace_chunk *)file.chunks[i])->calls_ended;
    }
    CHECK(kept > 10000 && kept < calls);
    /* A call that was not begun counts once; the one whose end found no room is among both. */
    uint64_t both = kept + file.header->dropped_no_space;
    CHECK(both == calls || both == calls + 1);
    record_file_free(&file);
    CHECK_EQUAL(chdir(".."), 0);
    return 0;
}

static void *one_call(void *name) {
    shadow_hot_begin(OTRACE_BEGIN, *(uint32_t *)name);
    shadow_hot_end(OTRACE_END, *(uint32_t *)name);
    return NULL;
}

/* Short threads use a page of their chunks; who takes such a chunk over finds no space for the
 * rest of it. */
static int on_full_file_system_taking_over(void) {
    if (!small_file_system("small", "size=1m")) {
        return 77;
    }
    CHECK_EQUAL(chdir("small"), 0);
    shadow_start(1 << 20, 0); /* 64 chunks of 16 KiB */
    uint32_t name = shadow_names(1);
    for (int i = 0; i < 64; i++) {
        pthread_t thread;
        CHECK_EQUAL(pthread_create(&thread, NULL, one_call, &name), 0);
        pthread_join(thread, NULL);
    }
    int fill = open("fill", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    char block[4096] = {0};
    while (write(fill, block, sizeof block) > 0) {
    }
    close(fill);
    for (int i = 0; i < 100000; i++) {
        one_call(&name);
    }
    struct record_file file;
    shadow_stop(&file);
    CHECK_EQUAL(file.header->stop_errno, ENOSPC);
    record_file_free(&file);
    CHECK_EQUAL(chdir(".."), 0);
    return 0;
}

int main(void) {
    CHECK(getcwd(folder, sizeof folder) != NULL);
    test_it_is_private_and_keeps_no_descriptor();
    test_names_in_use_are_left_alone();
    test_failures_leave_nothing();
    test_sizes();
    apart("a limit on file sizes", under_file_limit);
    apart("a read-only file system", on_read_only_file_system);
    apart("a file system too small to begin", on_file_system_too_small_to_begin);
    apart("a file system that fills", on_file_system_that_fills);
    apart("a full file system in a full ring", on_full_file_system_taking_over);
    return 0;
}
