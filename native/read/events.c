/* Tables of event instances. */
#include "read/events.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BITS 12u /* instances a page */
#define PAGE_WORDS (1u << (PAGE_BITS - 6))
#define PAGES_MAX (1u << 16) /* 32 MiB */
#define EVENTS_MAX (1u << 20)
#define EVENT_WORDS_MAX (8u << 20) /* 32 MiB of attributes */

/* The page's place in the table, or the free place where it belongs. */
static struct otrace_instances_page *find_page(const struct otrace_instances *set,
                                               uint32_t number) {
    uint32_t at = (uint32_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (set->capacity - 1);
    while (set->pages[at].bits != NULL && set->pages[at].number != number) {
        at = (at + 1) & (set->capacity - 1);
    }
    return &set->pages[at];
}

static bool grow_pages(struct otrace_instances *set) {
    struct otrace_instances bigger = {.capacity = set->capacity ? set->capacity * 2 : 16};
    bigger.pages = calloc(bigger.capacity, sizeof *bigger.pages);
    if (bigger.pages == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < set->capacity; i++) {
        if (set->pages[i].bits != NULL) {
            *find_page(&bigger, set->pages[i].number) = set->pages[i];
        }
    }
    free(set->pages);
    set->pages = bigger.pages;
    set->capacity = bigger.capacity;
    return true;
}

/* The word that holds the instance's bit; NULL when its page is not there. */
static uint64_t *find_word(const struct otrace_instances *set, uint32_t instance) {
    uint64_t *bits = set->capacity == 0 ? NULL : find_page(set, instance >> PAGE_BITS)->bits;
    return bits == NULL ? NULL : &bits[(instance >> 6) % PAGE_WORDS];
}

void otrace_instances_add(struct otrace_instances *set, uint32_t instance) {
    uint64_t *word = find_word(set, instance);
    if (word == NULL) {
        if (set->count == PAGES_MAX || (2 * (set->count + 1) > set->capacity && !grow_pages(set))) {
            return;
        }
        struct otrace_instances_page *page = find_page(set, instance >> PAGE_BITS);
        page->number = instance >> PAGE_BITS;
        page->bits = calloc(PAGE_WORDS, sizeof *page->bits);
        if (page->bits == NULL) {
            return;
        }
        set->count++;
        word = find_word(set, instance);
    }
    *word |= UINT64_C(1) << instance % 64;
}

void otrace_instances_remove(struct otrace_instances *set, uint32_t instance) {
    uint64_t *word = find_word(set, instance);
    if (word != NULL) {
        *word &= ~(UINT64_C(1) << instance % 64);
    }
}

bool otrace_instances_has(const struct otrace_instances *set, uint32_t instance) {
    const uint64_t *word = find_word(set, instance);
    return word != NULL && *word >> instance % 64 & 1;
}

void otrace_instances_free(struct otrace_instances *set) {
    for (uint32_t i = 0; i < set->capacity; i++) {
        free(set->pages[i].bits);
    }
    free(set->pages);
    memset(set, 0, sizeof *set);
}

static uint32_t place_of(const struct otrace_events *events, uint32_t instance) {
    return (uint32_t)(instance * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (events->capacity - 1);
}

static struct otrace_event *free_place(struct otrace_events *events, uint32_t instance) {
    uint32_t at = place_of(events, instance);
    while (events->places[at].instance != 0) {
        at = (at + 1) & (events->capacity - 1);
    }
    return &events->places[at];
}

static bool grow(struct otrace_events *events) {
    struct otrace_events bigger = {.capacity = events->capacity ? events->capacity * 2 : 64};
    bigger.places = calloc(bigger.capacity, sizeof *bigger.places);
    if (bigger.places == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < events->capacity; i++) {
        if (events->places[i].instance != 0) {
            *free_place(&bigger, events->places[i].instance) = events->places[i];
        }
    }
    free(events->places);
    events->places = bigger.places;
    events->capacity = bigger.capacity;
    return true;
}

struct otrace_event *otrace_events_add(struct otrace_events *events,
                                       const struct otrace_event *event,
                                       const struct otrace_attributes *attributes) {
    if (event->instance == 0 || events->count >= EVENTS_MAX ||
        (2 * (events->count + 1) > events->capacity && !grow(events))) {
        return NULL;
    }
    otrace_word *words = NULL;
    uint32_t count = attributes == NULL ? 0 : attributes->count;
    if (count > 0 && events->words + count <= EVENT_WORDS_MAX) {
        words = malloc(count * sizeof *words);
    }
    struct otrace_event *place = free_place(events, event->instance);
    *place = *event;
    place->words = words;
    place->count = words == NULL ? 0 : count;
    if (words != NULL) {
        memcpy(words, attributes->words, count * sizeof *words);
    }
    events->words += place->count;
    events->count++;
    return place;
}

struct otrace_event *otrace_events_find(const struct otrace_events *events, uint32_t instance) {
    if (events->count == 0 || instance == 0) {
        return NULL;
    }
    uint32_t at = place_of(events, instance);
    while (events->places[at].instance != 0) {
        if (events->places[at].instance == instance) {
            return &events->places[at];
        }
        at = (at + 1) & (events->capacity - 1);
    }
    return NULL;
}

struct otrace_event otrace_events_take(struct otrace_events *events, struct otrace_event *event) {
    struct otrace_event taken = *event;
    uint32_t mask = events->capacity - 1, hole = (uint32_t)(event - events->places), at = hole;
    events->words -= taken.count;
    events->count--;
    for (;;) { /* move back what probed past the hole */
        at = (at + 1) & mask;
        if (events->places[at].instance == 0) {
            break;
        }
        uint32_t home = place_of(events, events->places[at].instance);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            events->places[hole] = events->places[at];
            hole = at;
        }
    }
    memset(&events->places[hole], 0, sizeof *event);
    return taken;
}

void otrace_events_free(struct otrace_events *events) {
    for (uint32_t i = 0; i < events->capacity; i++) {
        free(events->places[i].words);
    }
    free(events->places);
    memset(events, 0, sizeof *events);
}
