#include "record_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#define LAST_SUB OTRACE_X_COUNTER

static void read_at(int fd, void *to, size_t size, uint64_t offset) {
    CHECK_EQUAL(pread(fd, to, size, (off_t)offset), size);
}

static uint64_t sequence_of(const char *chunk) {
    return atomic_load_explicit(&((struct otrace_chunk *)chunk)->sequence, memory_order_relaxed);
}

static int by_sequence(const void *left, const void *right) {
    uint64_t a = sequence_of(*(char *const *)left), b = sequence_of(*(char *const *)right);
    return a < b ? -1 : a > b;
}

/* Returns the chunk's copy, or NULL when it is free or was taken over meanwhile. */
static char *copy_chunk(int fd, uint64_t offset, uint32_t size, bool *changed) {
    char *copy = malloc(size);
    uint64_t before, after;
    CHECK(copy != NULL);
    size_t at = offsetof(struct otrace_chunk, sequence);
    read_at(fd, &before, sizeof before, offset + at);
    read_at(fd, copy, size, offset);
    read_at(fd, &after, sizeof after, offset + at);
    *changed = before != after || sequence_of(copy) != before;
    if (*changed || before == 0) {
        free(copy);
        return NULL;
    }
    return copy;
}

void record_file_load(struct record_file *file, const char *path) {
    struct otrace_segment_header header;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    read_at(fd, &header, sizeof header, 0);
    CHECK(header.magic == OTRACE_MAGIC);
    CHECK_EQUAL(header.endian_mark, OTRACE_ENDIAN_MARK);
    CHECK_EQUAL(header.format_major, OTRACE_FORMAT_MAJOR);
    CHECK(header.meta_used <= header.meta_capacity);
    CHECK(header.chunks_used <= header.chunk_count);
    *file = (struct record_file){.meta_used = header.meta_used};
    file->bytes = malloc(OTRACE_PAGE + file->meta_used);
    file->chunks = calloc(header.chunks_used + 1, sizeof *file->chunks);
    CHECK(file->bytes != NULL && file->chunks != NULL);
    read_at(fd, file->bytes, OTRACE_PAGE, 0);
    read_at(fd, file->bytes + OTRACE_PAGE, file->meta_used, header.meta_offset);
    file->header = (struct otrace_segment_header *)file->bytes;
    for (uint32_t i = 0; i < header.chunks_used; i++) {
        bool changed;
        char *chunk = copy_chunk(fd, header.chunks_offset + (uint64_t)i * header.chunk_size,
                                 header.chunk_size, &changed);
        file->changed += changed;
        if (chunk != NULL) {
            file->chunks[file->count++] = chunk;
        }
    }
    close(fd);
    qsort(file->chunks, file->count, sizeof *file->chunks, by_sequence);
}

void record_file_free(struct record_file *file) {
    for (uint32_t i = 0; i < file->count; i++) {
        free(file->chunks[i]);
    }
    free(file->chunks);
    free(file->bytes);
}

/* ---- metadata ---- */

static const struct otrace_meta *meta_at(const struct record_file *file, size_t at) {
    const struct otrace_meta *meta = (const struct otrace_meta *)(file->bytes + OTRACE_PAGE + at);
    size_t texts = (size_t)meta->text_size[0] + meta->text_size[1] + meta->text_size[2];
    CHECK(meta->size % 8 == 0 && meta->size >= sizeof *meta && at + meta->size <= file->meta_used);
    CHECK(meta->type == OTRACE_META_THREAD ? meta->size == sizeof(struct otrace_meta_thread)
                                           : texts <= meta->size - sizeof *meta);
    return meta;
}

uint32_t record_meta_count(const struct record_file *file, enum otrace_meta_type type) {
    uint32_t count = 0;
    for (size_t at = 0; at < file->meta_used; at += meta_at(file, at)->size) {
        count += meta_at(file, at)->type == type;
    }
    return count;
}

const struct otrace_meta *record_meta_find(const struct record_file *file,
                                           enum otrace_meta_type type, uint32_t id) {
    const struct otrace_meta *found = NULL;
    for (size_t at = 0; at < file->meta_used; at += meta_at(file, at)->size) {
        const struct otrace_meta *meta = meta_at(file, at);
        if (meta->type == type && meta->id == id) {
            CHECK(type != OTRACE_META_NAME || found == NULL); /* an id names one thing */
            found = meta;
        }
    }
    return found;
}

bool record_meta_is(const struct otrace_meta *meta, int index, const char *text) {
    const char *at = (const char *)(meta + 1);
    for (int i = 0; i < index; i++) {
        at += meta->text_size[i];
    }
    return meta->text_size[index] == strlen(text) && memcmp(at, text, strlen(text)) == 0;
}

/* ---- records ---- */

struct walk {
    const otrace_word *at, *end;
    uint64_t tick;
    uint64_t delta_high;
    uint32_t id_high;
    bool with_exception;
    uint32_t exception;
};

static uint64_t tick_at(const otrace_word *at) {
    return at[0] | (uint64_t)at[1] << 32;
}

static bool is_open(otrace_word word) {
    return word >> 29 == OTRACE_EXTENDED && (word >> 24 & 0x1f) == OTRACE_X_OPEN;
}

/* Reads the OPEN records that follow a SYNC; the caller frees them. */
static struct record_open *read_opens(struct walk *walk, uint32_t count, size_t *told) {
    struct record_open *opens = calloc((size_t)(walk->end - walk->at) + 1, sizeof *opens);
    CHECK(opens != NULL);
    *told = 0;
    while (walk->at < walk->end && is_open(*walk->at)) {
        size_t words = *walk->at & 0xffffu;
        struct record_open *open = &opens[(*told)++];
        *open = (struct record_open){.id = walk->at[1],
                                     .flags = *walk->at >> 16 & 0xffu,
                                     .tick = tick_at(walk->at + 2),
                                     .words = words};
        bool event = open->flags == OTRACE_OPEN_EVENT;
        CHECK_EQUAL(words, event ? 5 : 4);
        CHECK(walk->at + words <= walk->end);
        open->name = event ? walk->at[4] : 0;
        walk->at += words;
    }
    CHECK(*told <= count);
    return opens;
}

static void take_prefix(struct walk *walk, uint32_t sub, uint32_t argument) {
    switch (sub) {
    case OTRACE_X_TIME:
        walk->delta_high = argument;
        break;
    case OTRACE_X_ID:
        walk->id_high = argument;
        break;
    case OTRACE_X_EXC:
        walk->with_exception = true;
        walk->exception = argument;
        break;
    default:
        CHECK(!"a prefix that format.h does not know");
    }
    walk->at++;
}

static struct record_entry take_short(struct walk *walk) {
    otrace_word word = *walk->at++;
    walk->tick += (walk->delta_high << OTRACE_DELTA_SHORT_BITS) + (word & 0xffffu);
    struct record_entry entry = {.kind = word >> 29,
                                 .id =
                                     walk->id_high << OTRACE_ID_SHORT_BITS | (word >> 16 & 0x1fffu),
                                 .with_exception = walk->with_exception,
                                 .exception = walk->exception,
                                 .tick = walk->tick};
    walk->delta_high = walk->id_high = walk->exception = 0;
    walk->with_exception = false;
    CHECK(entry.id != 0);
    return entry;
}

static struct record_entry take_long(struct walk *walk) {
    otrace_word word = *walk->at;
    size_t words = word & 0xffffu;
    struct record_entry entry = {
        .kind = OTRACE_EXTENDED, .sub = word >> 24 & 0x1f, .flags = word >> 16 & 0xffu};
    CHECK(entry.sub <= LAST_SUB && words >= 3 && walk->at + words <= walk->end);
    CHECK(walk->delta_high == 0 && walk->id_high == 0 && !walk->with_exception);
    uint64_t tick = tick_at(walk->at + 1);
    CHECK(tick >= walk->tick || entry.sub == OTRACE_X_SYNC); /* time never runs backwards */
    walk->tick = entry.tick = tick;
    entry.payload = walk->at + 3;
    entry.payload_words = words - 3;
    entry.sync_count = entry.sub == OTRACE_X_SYNC ? walk->at[3] : 0;
    walk->at += words;
    return entry;
}

size_t record_chunk_walk(const char *bytes, uint32_t chunk_size, record_visit *visit,
                         void *context) {
    const struct otrace_chunk *chunk = (const struct otrace_chunk *)bytes;
    struct walk walk = {.at = (const otrace_word *)(chunk + 1),
                        .end = (const otrace_word *)(bytes + chunk_size),
                        .tick = chunk->anchor.tick};
    while (walk.at < walk.end && *walk.at != 0) {
        uint32_t kind = *walk.at >> 29, sub = *walk.at >> 24 & 0x1f;
        if (kind == OTRACE_EXTENDED && sub < OTRACE_X_TICK) {
            take_prefix(&walk, sub, *walk.at & 0xffffffu);
            continue;
        }
        CHECK(kind != 0);
        struct record_entry entry = kind == OTRACE_EXTENDED ? take_long(&walk) : take_short(&walk);
        struct record_open *opens = NULL;
        if (entry.kind == OTRACE_EXTENDED && entry.sub == OTRACE_X_SYNC) {
            opens = read_opens(&walk, entry.sync_count, &entry.opens_count);
            entry.opens = opens;
        }
        if (entry.kind != OTRACE_EXTENDED || entry.sub != OTRACE_X_TICK) {
            visit(context, chunk, &entry);
        }
        free(opens);
    }
    if (chunk->state == OTRACE_CHUNK_CLOSED) { /* else it may be cut between prefix and word */
        CHECK(walk.delta_high == 0 && walk.id_high == 0 && !walk.with_exception);
    }
    return (size_t)((const char *)walk.at - bytes);
}
