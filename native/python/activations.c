#include "python/activations.h"

#include <stdlib.h>

struct place {
    const void *frame; /* an address only; NULL: free */
    uint32_t activation;
};

static struct place *places;
static uint32_t capacity, count, last_activation;

static struct place *find(struct place *table, uint32_t size, const void *frame) {
    uint64_t hash = ((uintptr_t)frame >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t at = (uint32_t)(hash >> 32) & (size - 1);
    while (table[at].frame != NULL && table[at].frame != frame) {
        at = (at + 1) & (size - 1);
    }
    return &table[at];
}

static bool grow(void) {
    uint32_t more = capacity == 0 ? 256 : capacity * 2;
    struct place *table = calloc(more, sizeof *table);
    if (table == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < capacity; i++) {
        if (places[i].frame != NULL) {
            *find(table, more, places[i].frame) = places[i];
        }
    }
    free(places);
    places = table;
    capacity = more;
    return true;
}

static uint32_t next_activation(void) {
    last_activation += last_activation == UINT32_MAX ? 2 : 1; /* 0 is none */
    return last_activation;
}

uint32_t otrace_activation_of(const void *frame, bool starts) {
    if ((uint64_t)count * 2 >= capacity && !grow()) {
        return next_activation(); /* its slices will not be joined */
    }
    struct place *place = find(places, capacity, frame);
    if (place->frame == NULL || starts) {
        count += place->frame == NULL;
        *place = (struct place){frame, next_activation()};
    }
    return place->activation;
}

uint32_t otrace_activation_known(const void *frame) {
    return capacity == 0 ? 0 : find(places, capacity, frame)->activation;
}

void otrace_activations_clear(void) {
    free(places);
    places = NULL;
    capacity = count = last_activation = 0;
}
