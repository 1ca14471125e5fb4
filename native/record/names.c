#include "record/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/recorder.h"

#define TEXT_LIMIT 4096u               /* longer names are cut */
#define NAMES_LIMIT ((size_t)60 << 20) /* of the metadata; the rest is for threads and notes */
#define ID_LIMIT (UINT32_C(1) << 24)   /* the argument of an EXC prefix */

/* The metadata records of all names so far, byte for byte as in a segment. Under the mutex. */
static char *names_log;
static size_t names_size, names_room;
static uint32_t names_next_id = OTRACE_NAME_UNKNOWN;

static size_t padded(size_t size) {
    return (size + 7) & ~(size_t)7;
}

/* Cuts between characters. */
static size_t cut(struct otrace_text text) {
    size_t size = text.size;
    if (size > TEXT_LIMIT) {
        size = TEXT_LIMIT;
        while (size > 0 && ((unsigned char)text.data[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    return size;
}

static size_t meta_size(const struct otrace_text texts[3]) {
    return padded(sizeof(struct otrace_meta) + cut(texts[0]) + cut(texts[1]) + cut(texts[2]));
}

static void fill(struct otrace_meta *meta, size_t size, enum otrace_meta_type type, uint16_t kind,
                 uint32_t id, uint32_t line, const struct otrace_text texts[3]) {
    char *out = (char *)(meta + 1);
    *meta = (struct otrace_meta){
        .size = (uint32_t)size, .type = (uint16_t)type, .kind = kind, .id = id, .line = line};
    for (int i = 0; i < 3; i++) {
        meta->text_size[i] = (uint32_t)cut(texts[i]);
        if (meta->text_size[i] > 0) {
            memcpy(out, texts[i].data, meta->text_size[i]);
        }
        out += meta->text_size[i];
    }
    memset(out, 0, (size_t)((char *)meta + size - out));
}

static struct otrace_meta *log_room(size_t size) {
    if (names_size + size > names_room) {
        size_t room = (names_room + size) * 2;
        char *grown = realloc(names_log, room);
        if (grown == NULL) {
            return NULL;
        }
        names_log = grown;
        names_room = room;
    }
    return (struct otrace_meta *)(names_log + names_size);
}

static int publish(struct otrace_segment *segment, const void *meta, size_t size) {
    struct otrace_meta *room =
        segment->header == NULL ? NULL : otrace_segment_meta_room(segment, size);
    if (room == NULL) {
        return -ENOSPC;
    }
    memcpy(room, meta, size);
    otrace_segment_meta_publish(segment, room);
    return 0;
}

static uint32_t add_locked(enum otrace_name_kind kind, uint32_t line,
                           const struct otrace_text texts[3]) {
    struct otrace_segment *segment = &otrace_recorder.segment;
    size_t size = meta_size(texts);
    bool room = names_next_id < ID_LIMIT && names_size + size <= NAMES_LIMIT;
    struct otrace_meta *meta = room ? log_room(size) : NULL;
    if (meta != NULL) {
        fill(meta, size, OTRACE_META_NAME, (uint16_t)kind, names_next_id, line, texts);
    }
    /* Without a recording the name waits in the log for the next segment. */
    if (meta == NULL || (segment->header != NULL && publish(segment, meta, size) != 0)) {
        if (segment->header != NULL) {
            atomic_fetch_add_explicit(&segment->header->dropped_names, 1, memory_order_relaxed);
        }
        return OTRACE_NAME_UNKNOWN;
    }
    names_size += size;
    return names_next_id++;
}

static void add_unknown(void) {
    static const char text[] = "<name not recorded>";
    const struct otrace_text texts[3] = {{"", 0}, {text, sizeof text - 1}, {"", 0}};
    if (names_next_id == OTRACE_NAME_UNKNOWN) {
        add_locked(OTRACE_NAME_TEXT, 0, texts);
    }
}

uint32_t otrace_names_add(enum otrace_name_kind kind, uint32_t line, struct otrace_text module,
                          struct otrace_text name, struct otrace_text file) {
    const struct otrace_text texts[3] = {module, name, file};
    otrace_recorder_notice_fork();
    otrace_recorder_lock();
    add_unknown();
    uint32_t id = add_locked(kind, line, texts);
    otrace_recorder_unlock();
    return id;
}

int otrace_names_replay(struct otrace_segment *segment) {
    if (names_size == 0) {
        add_unknown(); /* which publishes it */
        return 0;
    }
    for (size_t at = 0; at < names_size;) {
        const struct otrace_meta *meta = (const struct otrace_meta *)(names_log + at);
        if (publish(segment, meta, meta->size) != 0) {
            return -ENOSPC;
        }
        at += meta->size;
    }
    return 0;
}

int otrace_names_note(enum otrace_meta_type type, uint32_t id, struct otrace_text first,
                      struct otrace_text second) {
    const struct otrace_text texts[3] = {first, second, {"", 0}};
    struct otrace_segment *segment = &otrace_recorder.segment;
    size_t size = meta_size(texts);
    int status = -ENOSPC;
    otrace_recorder_notice_fork();
    otrace_recorder_lock();
    struct otrace_meta *room =
        segment->header == NULL ? NULL : otrace_segment_meta_room(segment, size);
    if (room != NULL) {
        fill(room, size, type, 0, id, 0, texts);
        otrace_segment_meta_publish(segment, room);
        status = 0;
    }
    otrace_recorder_unlock();
    return status;
}
