/* Ends of events that began elsewhere: one raw pass over a segment, without stacks. */
#include <stdlib.h>
#include <string.h>

#include "read/events.h"
#include "read/segment.h"
#include "words.h"

#define ORPHANS_MAX (1u << 20)
#define ORPHAN_WORDS_MAX (8u << 20)

static bool reserve(struct otrace_orphans *orphans, uint32_t words) {
    if (orphans->count == orphans->capacity) {
        uint32_t more = orphans->capacity == 0 ? 64 : orphans->capacity * 2;
        void *grown = realloc(orphans->orphans, more * sizeof *orphans->orphans);
        if (grown == NULL) {
            return false;
        }
        orphans->orphans = grown;
        orphans->capacity = more;
    }
    if (orphans->words_count + words > orphans->words_capacity) {
        uint64_t more = 2 * (orphans->words_count + words);
        void *grown = realloc(orphans->words, more * sizeof *orphans->words);
        if (grown == NULL) {
            return false;
        }
        orphans->words = grown;
        orphans->words_capacity = more;
    }
    return true;
}

static void add(struct otrace_orphans *orphans, const otrace_word *record, uint32_t words) {
    uint32_t count = words - 5;
    if (orphans->count >= ORPHANS_MAX || orphans->words_count + count > ORPHAN_WORDS_MAX ||
        !reserve(orphans, count)) {
        return;
    }
    orphans->orphans[orphans->count++] = (struct otrace_orphan){
        .instance = record[3],
        .exception = record[4],
        .tick = otrace_words_tick(record + 1),
        .offset = orphans->words_count,
        .count = count,
    };
    if (count > 0) {
        memcpy(orphans->words + orphans->words_count, record + 5, count * sizeof *record);
    }
    orphans->words_count += count;
}

static void scan_chunk(struct otrace_orphans *orphans, struct otrace_instances *begun,
                       const otrace_word *word, const otrace_word *end) {
    uint32_t words;
    while (word < end && (words = otrace_record_words(word, end)) != 0) {
        if (otrace_word_kind(*word) == OTRACE_EXTENDED) {
            if (otrace_word_sub(*word) == OTRACE_X_EVENT_BEGIN) {
                otrace_instances_add(begun, word[3]);
            } else if (otrace_word_sub(*word) == OTRACE_X_EVENT_END) {
                if (otrace_instances_has(begun, word[3])) {
                    otrace_instances_remove(begun, word[3]);
                } else {
                    add(orphans, word, words);
                }
            }
        }
        word += words;
    }
}

static int compare(const void *left, const void *right) {
    uint32_t a = ((const struct otrace_orphan *)left)->instance;
    uint32_t b = ((const struct otrace_orphan *)right)->instance;
    return (a > b) - (a < b);
}

static struct otrace_orphans *build(struct otrace_segment *segment) {
    struct otrace_orphans *orphans = calloc(1, sizeof *orphans);
    char *chunk = malloc(segment->header.chunk_size);
    if (orphans == NULL || chunk == NULL) {
        free(orphans);
        free(chunk);
        return NULL;
    }
    for (uint32_t i = 0; i < segment->tracks_count; i++) {
        const struct otrace_track *track = &segment->tracks[i];
        struct otrace_instances begun = {0};
        for (uint32_t j = 0; j < track->entries; j++) {
            const struct otrace_chunk_entry *entry = &segment->entries[track->first_entry + j];
            if (otrace_segment_read_chunk(segment, entry, chunk)) {
                uint32_t words = (segment->header.chunk_size - sizeof(struct otrace_chunk)) / 4;
                const otrace_word *first = (const otrace_word *)((struct otrace_chunk *)chunk + 1);
                scan_chunk(orphans, &begun, first, first + words);
            }
        }
        otrace_instances_free(&begun);
    }
    free(chunk);
    if (orphans->count > 0) {
        qsort(orphans->orphans, orphans->count, sizeof *orphans->orphans, compare);
    }
    return orphans;
}

const struct otrace_orphans *otrace_orphans_get(struct otrace_segment *segment) {
    pthread_mutex_lock(&segment->lock);
    if (segment->orphans == NULL) {
        segment->orphans = build(segment);
    }
    const struct otrace_orphans *orphans = segment->orphans;
    pthread_mutex_unlock(&segment->lock);
    return orphans;
}

const struct otrace_orphan *otrace_orphans_find(const struct otrace_orphans *orphans,
                                                uint32_t instance) {
    struct otrace_orphan key = {.instance = instance};
    return orphans == NULL || orphans->count == 0
               ? NULL
               : bsearch(&key, orphans->orphans, orphans->count, sizeof key, compare);
}

void otrace_orphans_free(struct otrace_orphans *orphans) {
    if (orphans != NULL) {
        free(orphans->orphans);
        free(orphans->words);
        free(orphans);
    }
}
