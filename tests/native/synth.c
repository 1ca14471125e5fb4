#include "synth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "synth.c:%d: %s\n", __LINE__, #condition);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

void synth_create(struct synth *synth, uint32_t chunk_size, uint32_t chunk_count,
                  uint32_t clock_kind) {
    memset(synth, 0, sizeof *synth);
    size_t chunks = OTRACE_PAGE + SYNTH_META_CAPACITY;
    synth->size = chunks + (size_t)chunk_size * chunk_count;
    synth->bytes = calloc(1, synth->size);
    CHECK(synth->bytes != NULL);
    synth->header = (struct otrace_segment_header *)synth->bytes;
    *synth->header = (struct otrace_segment_header){
        .magic = OTRACE_MAGIC,
        .format_major = OTRACE_FORMAT_MAJOR,
        .endian_mark = OTRACE_ENDIAN_MARK,
        .clock_kind = clock_kind,
        .pid = 4711,
        .parent_pid = 1,
        .python_version = 0x030d00f0,
        .meta_offset = OTRACE_PAGE,
        .meta_capacity = SYNTH_META_CAPACITY,
        .chunks_offset = chunks,
        .chunk_size = chunk_size,
        .chunk_count = chunk_count,
        .start_anchor = {1000, 1000, UINT64_C(1700000000000000000)},
        .state = OTRACE_SEGMENT_RECORDING,
        .next_sequence = 1,
    };
}

void synth_free(struct synth *synth) {
    free(synth->bytes);
}

int synth_bytes_file(const void *bytes, size_t size) {
    int fd = memfd_create("segment", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(write(fd, bytes, size) == (ssize_t)size);
    return fd;
}

int synth_file(const struct synth *synth) {
    size_t used = synth->header->chunks_offset + (size_t)synth->slots * synth->header->chunk_size;
    int fd = synth_bytes_file(synth->bytes, used);
    CHECK(ftruncate(fd, (off_t)synth->size) == 0);
    return fd;
}

static struct otrace_meta *add_meta(struct synth *synth, size_t header,
                                    const char *const texts[3]) {
    struct otrace_meta meta = {0};
    size_t size = header;
    for (int i = 0; i < 3; i++) {
        meta.text_size[i] = texts[i] == NULL ? 0 : (uint32_t)strlen(texts[i]);
        size += meta.text_size[i];
    }
    meta.size = (uint32_t)((size + 7) / 8 * 8);
    CHECK(synth->header->meta_used + meta.size <= SYNTH_META_CAPACITY);
    char *at = synth->bytes + synth->header->meta_offset + synth->header->meta_used;
    memcpy(at, &meta, sizeof meta);
    char *to = at + header;
    for (int i = 0; i < 3; i++) {
        if (texts[i] != NULL) {
            memcpy(to, texts[i], meta.text_size[i]);
            to += meta.text_size[i];
        }
    }
    synth->header->meta_used += meta.size;
    return (struct otrace_meta *)at;
}

void synth_name(struct synth *synth, uint32_t id, uint32_t kind, const char *module,
                const char *qualified, const char *file, uint32_t line) {
    struct otrace_meta *meta =
        add_meta(synth, sizeof *meta, (const char *const[]){module, qualified, file});
    meta->type = OTRACE_META_NAME;
    meta->kind = (uint16_t)kind;
    meta->id = id;
    meta->line = line;
}

void synth_note(struct synth *synth, const char *key, const char *value) {
    struct otrace_meta *meta =
        add_meta(synth, sizeof *meta, (const char *const[]){key, value, NULL});
    meta->type = OTRACE_META_NOTE;
}

void synth_thread(struct synth *synth, struct synth_thread *thread, uint32_t id, const char *name,
                  uint64_t tick) {
    memset(thread, 0, sizeof *thread);
    thread->id = id;
    thread->slot = UINT32_MAX;
    thread->tick = tick;
    struct otrace_meta *meta =
        add_meta(synth, sizeof(struct otrace_meta_thread), (const char *const[]){NULL, NULL, NULL});
    meta->type = OTRACE_META_THREAD;
    meta->id = id;
    ((struct otrace_meta_thread *)meta)->os_tid = 4711 + id - 1;
    ((struct otrace_meta_thread *)meta)->start_tick = tick;
    if (name != NULL) {
        meta = add_meta(synth, sizeof *meta, (const char *const[]){name, NULL, NULL});
        meta->type = OTRACE_META_THREAD_NAME;
        meta->id = id;
    }
}

struct otrace_chunk *synth_slot(struct synth *synth, uint32_t slot) {
    return (struct otrace_chunk *)(synth->bytes + synth->header->chunks_offset +
                                   (size_t)slot * synth->header->chunk_size);
}

void synth_chunk(struct synth *synth, struct synth_thread *thread) {
    if (thread->slot != UINT32_MAX) {
        synth_slot(synth, thread->slot)->state = OTRACE_CHUNK_CLOSED;
    }
    CHECK(synth->slots < synth->header->chunk_count);
    thread->slot = synth->slots++;
    struct otrace_chunk *chunk = synth_slot(synth, thread->slot);
    chunk->state = OTRACE_CHUNK_WRITING;
    chunk->thread_id = thread->id;
    chunk->sequence = ++synth->sequence;
    chunk->thread_sequence = ++thread->thread_sequence;
    chunk->anchor = (struct otrace_anchor){thread->tick, thread->tick,
                                           UINT64_C(1700000000000000000) + thread->tick};
    synth->header->chunks_used = synth->slots;
    synth->header->next_sequence = synth->sequence + 1;
    thread->words = 0;
    synth_sync(synth, thread, thread->tick);
}

void synth_words(struct synth *synth, struct synth_thread *thread, const otrace_word *words,
                 uint32_t count) {
    uint32_t room = (synth->header->chunk_size - (uint32_t)sizeof(struct otrace_chunk)) / 4;
    if (thread->slot == UINT32_MAX || thread->words + count > room) {
        synth_chunk(synth, thread);
    }
    CHECK(thread->words + count <= room);
    otrace_word *to = (otrace_word *)(synth_slot(synth, thread->slot) + 1) + thread->words;
    memcpy(to, words, count * sizeof *words);
    thread->words += count;
}

void synth_sync(struct synth *synth, struct synth_thread *thread, uint64_t tick) {
    otrace_word words[4] = {OTRACE_LONG(OTRACE_X_SYNC, 4), (otrace_word)tick,
                            (otrace_word)(tick >> 32), thread->depth};
    synth_words(synth, thread, words, 4);
    thread->tick = tick;
    for (uint32_t i = 0; i < thread->depth; i++) {
        const struct synth_open *open = &thread->open[i];
        uint32_t total = open->kind == OTRACE_OPEN_EVENT ? 5 : 4;
        otrace_word record[5] = {OTRACE_LONG(OTRACE_X_OPEN, total | open->kind << 16), open->id,
                                 (otrace_word)open->tick, (otrace_word)(open->tick >> 32),
                                 open->name};
        synth_words(synth, thread, record, total);
    }
}

static void push(struct synth_thread *thread, struct synth_open open) {
    CHECK(thread->depth < SYNTH_OPENS_MAX);
    thread->open[thread->depth++] = open;
}

void synth_call(struct synth *synth, struct synth_thread *thread, uint32_t kind, uint32_t id,
                uint64_t tick, int64_t exception) {
    if (thread->slot == UINT32_MAX) {
        synth_chunk(synth, thread);
    }
    uint32_t room = (synth->header->chunk_size - (uint32_t)sizeof(struct otrace_chunk)) / 4;
    if (thread->words + 7 > room) {
        synth_chunk(synth, thread);
    }
    otrace_word words[8];
    uint32_t count = 0;
    uint64_t delta = tick - thread->tick;
    if (delta >> OTRACE_DELTA_LONG_BITS) {
        words[count++] = OTRACE_LONG(OTRACE_X_TICK, 3);
        words[count++] = (otrace_word)tick;
        words[count++] = (otrace_word)(tick >> 32);
        delta = 0;
    } else if (delta >> OTRACE_DELTA_SHORT_BITS) {
        words[count++] = OTRACE_LONG(OTRACE_X_TIME, delta >> OTRACE_DELTA_SHORT_BITS);
    }
    if (id >> OTRACE_ID_SHORT_BITS) {
        words[count++] = OTRACE_LONG(OTRACE_X_ID, id >> OTRACE_ID_SHORT_BITS);
    }
    if (exception >= 0) {
        words[count++] = OTRACE_LONG(OTRACE_X_EXC, exception);
    }
    words[count++] = OTRACE_WORD(kind, id, delta & 0xffff);
    synth_words(synth, thread, words, count);
    thread->tick = tick;
    if (kind == OTRACE_BEGIN || kind == OTRACE_C_BEGIN || kind == OTRACE_RESUME) {
        push(thread, (struct synth_open){.id = id, .kind = kind, .tick = tick});
    } else if (thread->depth > 0 && thread->open[thread->depth - 1].id == id) {
        thread->depth--;
    }
}

void synth_record(struct synth *synth, struct synth_thread *thread, uint32_t sub, uint32_t flags,
                  uint64_t tick, const otrace_word *payload, uint32_t count) {
    otrace_word words[1024];
    CHECK(count + 3 <= 1024);
    words[0] = OTRACE_LONG(sub, (count + 3) | flags << 16);
    words[1] = (otrace_word)tick;
    words[2] = (otrace_word)(tick >> 32);
    if (count > 0) {
        memcpy(words + 3, payload, count * sizeof *payload);
    }
    synth_words(synth, thread, words, count + 3);
    thread->tick = tick;
    if (sub == OTRACE_X_EVENT_BEGIN) {
        push(thread, (struct synth_open){payload[0], OTRACE_OPEN_EVENT, payload[1], tick});
        return;
    }
    for (uint32_t i = 0; sub == OTRACE_X_EVENT_END && i < thread->depth; i++) {
        if (thread->open[i].kind == OTRACE_OPEN_EVENT && thread->open[i].id == payload[0]) {
            memmove(&thread->open[i], &thread->open[i + 1],
                    (thread->depth - i - 1) * sizeof thread->open[0]);
            thread->depth--;
            return;
        }
    }
}
