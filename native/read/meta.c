/* The metadata: names, threads and notes, copied once and checked record by record. */
#include <stdlib.h>
#include <string.h>

#include "read/segment.h"

#define BLOCK (UINT64_C(1) << 20)

/* The size of the whole, sensible record at `offset`, 0 if there is none. */
static uint64_t record_size(const char *meta, uint64_t size, uint64_t offset) {
    if (size - offset < sizeof(struct otrace_meta)) {
        return 0;
    }
    const struct otrace_meta *record = (const struct otrace_meta *)(meta + offset);
    uint64_t header = record->type == OTRACE_META_THREAD ? sizeof(struct otrace_meta_thread)
                      : record->type == OTRACE_META_OFF  ? sizeof(struct otrace_meta_off)
                                                         : sizeof(struct otrace_meta);
    uint64_t texts = (uint64_t)record->text_size[0] + record->text_size[1] + record->text_size[2];
    if (record->size % 8 != 0 || record->size < header || record->size > size - offset ||
        texts > record->size - header) {
        return 0;
    }
    return record->size;
}

/* Reads block by block and stops at the first unreadable record, so that a false meta_used over a
 * sparse file costs one block. */
static int read_records(struct otrace_segment *segment) {
    const struct otrace_segment_header *header = &segment->header;
    uint64_t used = header->meta_used;
    bool odd = used > header->meta_capacity;
    used = odd ? header->meta_capacity : used;
    uint64_t have = 0, good = 0;
    while (good < used && good < OTRACE_METADATA_MAX) {
        uint64_t want = used - have < BLOCK ? used - have : BLOCK;
        char *grown = realloc(segment->meta, have + want);
        if (grown == NULL) {
            return OTRACE_READ_NO_MEMORY;
        }
        segment->meta = grown;
        int64_t got = otrace_segment_read(segment, header->meta_offset + have, grown + have, want);
        have += got > 0 ? (uint64_t)got : 0;
        uint64_t before = good, size;
        while (good < have && (size = record_size(grown, have, good)) != 0) {
            good += size;
        }
        bool more = got == (int64_t)want && have < used;
        bool partial = have - good >= sizeof(struct otrace_meta) &&
                       ((const struct otrace_meta *)(grown + good))->size > have - good;
        if (!more || (good == before && !partial)) {
            break;
        }
        if (partial && ((const struct otrace_meta *)(grown + good))->size > 16 * BLOCK) {
            break;
        }
    }
    segment->meta_size = good;
    if (odd || good < used) {
        otrace_segment_warn(segment, OTRACE_WARN_METADATA);
    }
    return OTRACE_READ_OK;
}

static const struct otrace_meta *record_at(const struct otrace_segment *segment, uint64_t offset) {
    return (const struct otrace_meta *)(segment->meta + offset);
}

static struct otrace_text text_of(const struct otrace_meta *record, int which) {
    const char *text = (const char *)record + (record->type == OTRACE_META_THREAD
                                                   ? sizeof(struct otrace_meta_thread)
                                                   : sizeof(struct otrace_meta));
    for (int i = 0; i < which; i++) {
        text += record->text_size[i];
    }
    return (struct otrace_text){text, record->text_size[which]};
}

static uint32_t count_records(const struct otrace_segment *segment, uint32_t type) {
    uint32_t count = 0;
    for (uint64_t at = 0; at < segment->meta_size; at += record_at(segment, at)->size) {
        count += record_at(segment, at)->type == type;
    }
    return count;
}

/* Ids are dense: one far above the number of records is damage, not worth a table for it. */
static uint32_t highest_id(struct otrace_segment *segment, uint32_t type, uint32_t *records) {
    uint32_t count = count_records(segment, type), highest = 0;
    for (uint64_t at = 0; at < segment->meta_size; at += record_at(segment, at)->size) {
        const struct otrace_meta *record = record_at(segment, at);
        if (record->type != type) {
            continue;
        }
        if (record->id == 0 || record->id > 4 * (uint64_t)count + 4096) {
            otrace_segment_warn(segment, OTRACE_WARN_IDS);
        } else if (record->id > highest) {
            highest = record->id;
        }
    }
    *records = count;
    return highest;
}

/* module.qualified, for every name in one buffer. */
static int build_displays(struct otrace_segment *segment) {
    uint64_t total = 1;
    for (uint32_t id = 1; id <= segment->names_count; id++) {
        const struct otrace_meta *name = segment->names[id];
        total += name == NULL ? 0 : (uint64_t)name->text_size[0] + name->text_size[1] + 1;
    }
    segment->display_texts = malloc(total);
    segment->displays = calloc((size_t)segment->names_count + 1, sizeof *segment->displays);
    if (segment->display_texts == NULL || segment->displays == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    char *to = segment->display_texts;
    for (uint32_t id = 1; id <= segment->names_count; id++) {
        const struct otrace_meta *name = segment->names[id];
        if (name == NULL) {
            continue;
        }
        struct otrace_text module = text_of(name, 0), qualified = text_of(name, 1);
        char *start = to;
        if (module.size > 0 && name->kind != OTRACE_NAME_TEXT) {
            memcpy(to, module.text, module.size);
            to += module.size;
            *to++ = '.';
        }
        memcpy(to, qualified.text, qualified.size);
        to += qualified.size;
        segment->displays[id] = (struct otrace_text){start, (size_t)(to - start)};
    }
    return OTRACE_READ_OK;
}

static int collect_names(struct otrace_segment *segment) {
    uint32_t records;
    segment->names_count = highest_id(segment, OTRACE_META_NAME, &records);
    segment->names = calloc((size_t)segment->names_count + 1, sizeof *segment->names);
    if (segment->names == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    for (uint64_t at = 0; at < segment->meta_size; at += record_at(segment, at)->size) {
        const struct otrace_meta *record = record_at(segment, at);
        if (record->type == OTRACE_META_NAME && record->id <= segment->names_count) {
            segment->names[record->id] = record;
            segment->has_async |= (record->kind & OTRACE_NAME_ASYNC) != 0;
        }
    }
    segment->names[0] = NULL;
    return build_displays(segment);
}

static int compare_tracks(const void *left, const void *right) {
    uint32_t a = ((const struct otrace_track *)left)->thread_id;
    uint32_t b = ((const struct otrace_track *)right)->thread_id;
    return (a > b) - (a < b);
}

static struct otrace_track *find_track(struct otrace_segment *segment, uint32_t thread_id) {
    struct otrace_track key = {.thread_id = thread_id};
    return segment->tracks_count == 0
               ? NULL
               : bsearch(&key, segment->tracks, segment->tracks_count, sizeof key, compare_tracks);
}

static int collect_threads(struct otrace_segment *segment) {
    uint32_t records = 0, highest = highest_id(segment, OTRACE_META_THREAD, &records);
    segment->tracks = calloc((size_t)records + 1, sizeof *segment->tracks);
    if (segment->tracks == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    for (uint64_t at = 0; at < segment->meta_size; at += record_at(segment, at)->size) {
        const struct otrace_meta *record = record_at(segment, at);
        if (record->type == OTRACE_META_THREAD && record->id != 0 && record->id <= highest) {
            struct otrace_track *track = &segment->tracks[segment->tracks_count++];
            track->thread_id = record->id;
            track->thread = (const struct otrace_meta_thread *)record;
            track->name = text_of(record, 0);
        }
    }
    qsort(segment->tracks, segment->tracks_count, sizeof *segment->tracks, compare_tracks);
    uint32_t kept = 0; /* an id twice is damage: the first one wins */
    for (uint32_t i = 0; i < segment->tracks_count; i++) {
        if (kept > 0 && segment->tracks[kept - 1].thread_id == segment->tracks[i].thread_id) {
            otrace_segment_warn(segment, OTRACE_WARN_IDS);
        } else {
            segment->tracks[kept++] = segment->tracks[i];
        }
    }
    segment->tracks_count = kept;
    return OTRACE_READ_OK;
}

static int collect_texts(struct otrace_segment *segment) {
    uint32_t count = count_records(segment, OTRACE_META_NOTE);
    segment->notes = calloc((size_t)count + 1, sizeof *segment->notes);
    if (segment->notes == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    for (uint64_t at = 0; at < segment->meta_size; at += record_at(segment, at)->size) {
        const struct otrace_meta *record = record_at(segment, at);
        struct otrace_track *track;
        if (record->type == OTRACE_META_NOTE) {
            segment->notes[segment->notes_count++] =
                (struct otrace_note){text_of(record, 0), text_of(record, 1)};
        } else if (record->type == OTRACE_META_PROCESS_NAME) {
            segment->process_name = text_of(record, 0);
        } else if (record->type == OTRACE_META_THREAD_NAME &&
                   (track = find_track(segment, record->id)) != NULL) {
            track->name = text_of(record, 0);
        }
    }
    return OTRACE_READ_OK;
}

/* Functions that were switched off; of names that are known. */
static int collect_off(struct otrace_segment *segment) {
    uint32_t count = count_records(segment, OTRACE_META_OFF);
    segment->off = calloc((size_t)count + 1, sizeof *segment->off);
    if (segment->off == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    for (uint64_t at = 0; at < segment->meta_size; at += record_at(segment, at)->size) {
        const struct otrace_meta *record = record_at(segment, at);
        if (record->type == OTRACE_META_OFF && record->id <= segment->names_count &&
            segment->names[record->id] != NULL) {
            segment->off[segment->off_count++] = (const struct otrace_meta_off *)record;
        }
    }
    return OTRACE_READ_OK;
}

int otrace_segment_parse_metadata(struct otrace_segment *segment) {
    int result = read_records(segment);
    if (result == OTRACE_READ_OK) {
        result = collect_names(segment);
    }
    if (result == OTRACE_READ_OK) {
        result = collect_threads(segment);
    }
    if (result == OTRACE_READ_OK) {
        result = collect_off(segment);
    }
    return result == OTRACE_READ_OK ? collect_texts(segment) : result;
}
