/* Threads: many at once with a reader at work, many short ones, and recordings that start and stop
 * around them. */
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "record_shadow.h"

#define WRITERS 8
#define STEPS 30000
#define SHORT_THREADS 500
#define CYCLES 100

static uint32_t first_name;
static atomic_bool finished;

/* What the GIL is to the hooks: starts, stops and records exclude each other; exits do not. */
static pthread_mutex_t gil = PTHREAD_MUTEX_INITIALIZER;

static void spawn(pthread_t *thread, void *(*run)(void *), void *argument) {
    CHECK_EQUAL(pthread_create(thread, NULL, run, argument), 0);
}

/* Mappings of this process whose line has `with` in it. */
static size_t mappings_with(const char *with) {
    static char line[8192];
    size_t count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        count += strstr(line, with) != NULL;
    }
    fclose(maps);
    return count;
}

/* All of them; ThreadSanitizer's own come and go with threads. */
static size_t all_mappings(void) {
#ifdef __SANITIZE_THREAD__
    return 0;
#else
    return mappings_with("");
#endif
}

static uint32_t descriptors(void) {
    uint32_t count = 0;
    DIR *listing = opendir("/proc/self/fd");
    CHECK(listing != NULL);
    while (readdir(listing) != NULL) {
        count++;
    }
    closedir(listing);
    return count;
}

/* ---- many writers, one reader ---- */

struct writer {
    pthread_t thread;
    struct shadow shadow;
    uint64_t seed;
};

static void *write_calls(void *argument) {
    struct writer *writer = argument;
    struct shadow *shadow = &writer->shadow;
    for (int i = 0; i < STEPS; i++) {
        uint32_t roll = shadow_random(&writer->seed, 100);
        if (shadow->depth > 0 && (roll < 50 || shadow->depth > 25)) {
            struct shadow_call top = shadow->stack[shadow->depth - 1];
            shadow_end(shadow, top.kind == OTRACE_C_BEGIN ? OTRACE_C_END : OTRACE_END, top.id, 0);
        } else if (roll == 99) {
            const otrace_word payload[3] = {(otrace_word)i, 0, 0};
            shadow_mark(shadow, OTRACE_X_INSTANT, payload, 3);
        } else {
            uint32_t kind = roll % 2 ? OTRACE_BEGIN : OTRACE_C_BEGIN;
            shadow_begin(shadow, kind, first_name + shadow_random(&writer->seed, 20), 0);
        }
    }
    return NULL;
}

/* What a reader sees of a chunk at any moment: calls that begin and end in order. */
struct nesting {
    uint32_t ids[4096];
    size_t depth;
    uint64_t tick;
};

static void check_nesting(void *context, const struct otrace_chunk *chunk,
                          const struct record_entry *entry) {
    struct nesting *nesting = context;
    (void)chunk;
    CHECK(entry->tick >= nesting->tick);
    nesting->tick = entry->tick;
    if (entry->kind == OTRACE_EXTENDED) {
        CHECK(entry->sub == OTRACE_X_SYNC || entry->sub == OTRACE_X_INSTANT);
        CHECK(entry->opens_count <= entry->sync_count); /* less: the copy ends among them */
        for (size_t i = 0; i < entry->opens_count; i++) {
            nesting->ids[nesting->depth++] = entry->opens[i].id;
        }
    } else if (entry->kind == OTRACE_BEGIN || entry->kind == OTRACE_C_BEGIN) {
        nesting->ids[nesting->depth++] = entry->id;
    } else if (nesting->depth > 0) { /* at 0: its SYNC was not whole yet */
        CHECK_EQUAL(nesting->ids[--nesting->depth], entry->id);
    }
}

static void *read_meanwhile(void *path) {
    uint64_t copies = 0;
    while (!atomic_load(&finished) || copies == 0) {
        struct record_file file;
        record_file_load(&file, path);
        for (uint32_t i = 0; i < file.count; i++) {
            struct nesting nesting = {.depth = 0};
            record_chunk_walk(file.chunks[i], file.header->chunk_size, check_nesting, &nesting);
            copies++;
        }
        CHECK(record_meta_count(&file, OTRACE_META_NAME) > 20);
        record_file_free(&file);
    }
    return NULL;
}

static void test_writers_with_a_reader(void) {
    static struct writer writers[WRITERS];
    char path[4096];
    pthread_t reader;
    struct record_file file;
    shadow_start(512 << 10, 0);
    strcpy(path, otrace_recorder.segment.path);
    atomic_store(&finished, false);
    spawn(&reader, read_meanwhile, path);
    for (uint32_t i = 0; i < WRITERS; i++) {
        shadow_create(&writers[i].shadow, 0);
        writers[i].seed = i + 1;
        spawn(&writers[i].thread, write_calls, &writers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
    }
    atomic_store(&finished, true);
    pthread_join(reader, NULL);
    shadow_stop(&file);
    uint64_t lost = 0;
    for (int i = 0; i < WRITERS; i++) {
        CHECK(writers[i].shadow.thread_id != 0);
        lost += shadow_check(&writers[i].shadow, &file);
        shadow_free(&writers[i].shadow);
    }
    CHECK(lost > 0);
    CHECK_EQUAL(file.header->lost_calls, lost);
    record_file_free(&file);
}

/* ---- threads that come and go ---- */

static void *one_call(void *argument) {
    (void)argument;
    shadow_hot_begin(OTRACE_BEGIN, first_name);
    shadow_hot_end(OTRACE_END, first_name);
    return NULL;
}

static void test_short_threads(void) {
    struct record_file file;
    shadow_start(256 << 20, 0);
    pthread_t thread;
    spawn(&thread, one_call, NULL);
    pthread_join(thread, NULL);
    size_t mappings = all_mappings();
    for (int i = 1; i < SHORT_THREADS; i++) {
        spawn(&thread, one_call, NULL);
        pthread_join(thread, NULL);
    }
    CHECK(all_mappings() <= mappings + 20);
    shadow_stop(&file);
    CHECK_EQUAL(record_meta_count(&file, OTRACE_META_THREAD), SHORT_THREADS);
    CHECK_EQUAL(file.count, SHORT_THREADS);
    CHECK_EQUAL(file.header->lost_chunks, 0);
    for (uint32_t id = 1; id <= SHORT_THREADS; id++) {
        const struct otrace_meta_thread *thread_meta =
            (const struct otrace_meta_thread *)record_meta_find(&file, OTRACE_META_THREAD, id);
        CHECK(thread_meta != NULL && thread_meta->end_tick >= thread_meta->start_tick);
        CHECK_EQUAL(((struct otrace_chunk *)file.chunks[id - 1])->thread_id, id);
        CHECK_EQUAL(((struct otrace_chunk *)file.chunks[id - 1])->calls_ended, 1);
    }
    record_file_free(&file);
}

/* More threads than chunks: those that get none are counted, the others go on. */
static pthread_barrier_t barrier;

static void *call_and_wait(void *argument) {
    one_call(argument);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void test_more_threads_than_chunks(void) {
    enum { THREADS = 80, CHUNKS = 64 };
    static pthread_t threads[THREADS];
    struct record_file file;
    shadow_start(256 << 10, 0);
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        spawn(&threads[i], call_and_wait, NULL);
    }
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    shadow_stop(&file);
    CHECK_EQUAL(file.header->chunk_count, CHUNKS);
    CHECK_EQUAL(file.count, CHUNKS);
    CHECK_EQUAL(file.header->dropped_no_space, THREADS - CHUNKS);
    CHECK_EQUAL(file.header->stop_errno, 0);
    record_file_free(&file);
    pthread_barrier_destroy(&barrier);
}

/* ---- recordings that come and go ---- */

static void *live_through_recordings(void *argument) {
    (void)argument;
    while (!atomic_load(&finished)) {
        pthread_mutex_lock(&gil);
        one_call(NULL);
        pthread_mutex_unlock(&gil);
    }
    return NULL;
}

static void *call_then_exit(void *argument) {
    pthread_mutex_lock(&gil);
    one_call(argument);
    pthread_mutex_unlock(&gil);
    return NULL;
}

static void test_cycles(void) {
    pthread_t living[3], short_lived[4];
    size_t mappings = 0;
    uint32_t open_files = 0;
    atomic_store(&finished, false);
    for (int i = 0; i < 3; i++) {
        spawn(&living[i], live_through_recordings, NULL);
    }
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        struct record_file file;
        pthread_mutex_lock(&gil);
        shadow_start(1 << 20, 0);
        pthread_mutex_unlock(&gil);
        for (int i = 0; i < 4; i++) {
            spawn(&short_lived[i], call_then_exit, NULL);
        }
        for (int i = 0; i < cycle % 5 && i < 4; i++) {
            pthread_join(short_lived[i], NULL);
        }
        pthread_mutex_lock(&gil); /* some threads end while it stops */
        shadow_stop(&file);
        pthread_mutex_unlock(&gil);
        record_file_free(&file);
        for (int i = cycle % 5; i < 4; i++) {
            pthread_join(short_lived[i], NULL);
        }
        CHECK_EQUAL(mappings_with(".segment"), 0);
        if (cycle == CYCLES / 4) {
            mappings = all_mappings();
            open_files = descriptors();
        }
    }
    CHECK_EQUAL(descriptors(), open_files);
    CHECK(all_mappings() <= mappings + 20);
    atomic_store(&finished, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(living[i], NULL);
    }
}

int main(void) {
    struct record_file file;
    shadow_start(1 << 20, 0);
    first_name = shadow_names(100);
    shadow_stop(&file);
    record_file_free(&file);
    test_writers_with_a_reader();
    test_short_threads();
    test_more_threads_than_chunks();
    test_cycles();
    return 0;
}
