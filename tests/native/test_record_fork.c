/* Forks with threads alive: a child never writes into its parent's segment, and has its own. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "record/names.h"
#include "record_shadow.h"

#define THREADS 4
#define STEPS 3000

static uint32_t first_name;
static pthread_barrier_t barrier;

/* All bytes of a file that are not in holes. */
static uint64_t hash_of(const char *path) {
    static unsigned char block[1 << 16];
    uint64_t hash = UINT64_C(14695981039346656037);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    off_t end = lseek(fd, 0, SEEK_END);
    for (off_t at = lseek(fd, 0, SEEK_DATA); at >= 0 && at < end; at = lseek(fd, at, SEEK_DATA)) {
        ssize_t size = pread(fd, block, sizeof block, at);
        CHECK(size > 0);
        for (ssize_t i = 0; i < size; i++) {
            hash = (hash ^ block[i]) * UINT64_C(1099511628211);
        }
        at += size;
    }
    close(fd);
    return hash;
}

static void play(struct shadow *shadow, uint64_t seed) {
    for (int i = 0; i < STEPS; i++) {
        if (shadow->depth > 0 && shadow_random(&seed, 100) < 50) {
            struct shadow_call top = shadow->stack[shadow->depth - 1];
            shadow_end(shadow, OTRACE_END, top.id, 0);
        } else if (shadow->depth < 30) {
            shadow_begin(shadow, OTRACE_BEGIN, first_name + shadow_random(&seed, 50), 0);
        }
    }
}

static void play_in_child(bool name_first) {
    struct record_file file;
    struct shadow shadow;
    if (name_first) {
        struct otrace_text text = {"new in the child", 16}, none = {"", 0};
        CHECK(otrace_names_add(OTRACE_NAME_PYTHON, 1, none, text, none) != OTRACE_NAME_UNKNOWN);
    }
    shadow_create(&shadow, 0);
    play(&shadow, 77);
    CHECK_EQUAL(shadow.thread_id, 1); /* the child's threads are its own */
    shadow_stop(&file);
    CHECK_EQUAL(file.header->pid, getpid());
    CHECK_EQUAL(record_meta_count(&file, OTRACE_META_THREAD), 1);
    CHECK_EQUAL(shadow_check(&shadow, &file), 0);
    record_file_free(&file);
    shadow_free(&shadow);
}

static void check_exit(pid_t pid) {
    int status;
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK_EQUAL(status, 0);
}

static void fork_and_play(bool name_first, bool grandchild) {
    char path[4096];
    strcpy(path, otrace_recorder.segment.path);
    uint64_t before = hash_of(path);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (grandchild) { /* of a child that recorded nothing itself */
            pid_t inner = fork();
            CHECK(inner >= 0);
            if (inner != 0) {
                check_exit(inner);
                _exit(0);
            }
        }
        play_in_child(name_first);
        _exit(0);
    }
    check_exit(pid);
    CHECK(hash_of(path) == before);
}

/* Threads inside calls, at rest while another thread forks. */
struct worker {
    pthread_t thread;
    struct shadow shadow;
    bool forks;
    int number;
};

static void *work(void *argument) {
    struct worker *worker = argument;
    shadow_create(&worker->shadow, 0);
    play(&worker->shadow, (uint64_t)worker->number);
    for (int round = 0; round < 2; round++) {
        pthread_barrier_wait(&barrier);
        if (worker->forks) {
            fork_and_play(round == 0, round == 1);
        }
        pthread_barrier_wait(&barrier);
        play(&worker->shadow, (uint64_t)worker->number + 10); /* as if nothing had been */
    }
    return NULL;
}

static void test_forks_with_threads_alive(void) {
    static struct worker workers[THREADS];
    struct shadow own;
    struct record_file file;
    shadow_start(4 << 20, 0);
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    shadow_create(&own, 0);
    for (int i = 0; i < THREADS; i++) {
        workers[i].number = i + 1;
        workers[i].forks = i == 2;
        CHECK_EQUAL(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    play(&own, 99);
    for (int round = 0; round < 2; round++) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        play(&own, 100);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    fork_and_play(false, false);
    play(&own, 101);
    shadow_stop(&file);
    CHECK_EQUAL(record_meta_count(&file, OTRACE_META_THREAD), THREADS + 1);
    CHECK_EQUAL(shadow_check(&own, &file), 0);
    shadow_free(&own);
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQUAL(shadow_check(&workers[i].shadow, &file), 0);
        shadow_free(&workers[i].shadow);
    }
    record_file_free(&file);
    pthread_barrier_destroy(&barrier);
}

static uint32_t segments_of(pid_t pid) {
    char name[64];
    snprintf(name, sizeof name, "%ld-0.segment", (long)pid);
    return access(name, F_OK) == 0;
}

static void test_children_that_are_not_followed(void) {
    struct record_file file;
    struct shadow shadow;
    shadow_start(1 << 20, 0);
    otrace_recorder.follow_forks = false;
    shadow_create(&shadow, 0);
    play(&shadow, 1);
    uint64_t before = hash_of(otrace_recorder.segment.path);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        shadow_hot_begin(OTRACE_BEGIN, first_name);
        shadow_hot_end(OTRACE_END, first_name);
        otrace_thread_pause();
        otrace_thread_resume();
        CHECK(otrace_recorder_end() != 0);
        _exit(0);
    }
    check_exit(pid);
    CHECK(hash_of(otrace_recorder.segment.path) == before);
    CHECK_EQUAL(segments_of(pid), 0);
    play(&shadow, 2);
    shadow_stop(&file);
    CHECK_EQUAL(shadow_check(&shadow, &file), 0);
    record_file_free(&file);
    shadow_free(&shadow);
}

/* The folder went away, as when a supervisor has finished: the child goes on unrecorded. */
static void test_a_child_without_a_folder(void) {
    struct record_file file;
    shadow_start(1 << 20, 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        strcpy(otrace_recorder.folder, "/nowhere/at/all");
        for (int i = 0; i < 1000; i++) {
            shadow_hot_begin(OTRACE_BEGIN, first_name);
            CHECK(!otrace_thread_write(OTRACE_X_INSTANT, 0, &first_name, 1));
            shadow_hot_end(OTRACE_END, first_name);
        }
        _exit(0);
    }
    check_exit(pid);
    shadow_stop(&file);
    record_file_free(&file);
}

/* A child may stop, and start its own recording. */
static void test_a_child_that_stops_first(void) {
    struct record_file file;
    shadow_start(1 << 20, 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        otrace_recorder_end();
        shadow_start(1 << 20, 0);
        play_in_child(false);
        _exit(0);
    }
    check_exit(pid);
    shadow_stop(&file);
    record_file_free(&file);
}

int main(void) {
    struct record_file file;
    shadow_start(1 << 20, 0);
    first_name = shadow_names(100);
    shadow_stop(&file);
    record_file_free(&file);
    test_forks_with_threads_alive();
    test_children_that_are_not_followed();
    test_a_child_without_a_folder();
    test_a_child_that_stops_first();
    return 0;
}
