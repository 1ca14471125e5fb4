#include "python/flows.h"

#include <stdlib.h>

#include "record/thread.h"

struct place {
    const PyObject *item; /* an address only; NULL: free */
    struct otrace_flow flow;
};

static struct place *places; /* under the GIL */
static uint32_t capacity, count;

static struct place *find(struct place *table, uint32_t size, const PyObject *item) {
    uint64_t hash = ((uintptr_t)item >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t at = (uint32_t)(hash >> 32) & (size - 1);
    while (table[at].item != NULL && table[at].item != item) {
        at = (at + 1) & (size - 1);
    }
    return &table[at];
}

/* A table of twice what waits, without what has run. */
static bool rebuild(void) {
    uint32_t waiting = 0, size = 64;
    for (uint32_t i = 0; i < capacity; i++) {
        waiting += places[i].flow.number != 0;
    }
    while (size < waiting * 4) {
        size *= 2;
    }
    struct place *table = calloc(size, sizeof *table);
    if (table == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < capacity; i++) {
        if (places[i].flow.number != 0) {
            *find(table, size, places[i].item) = places[i];
        }
    }
    free(places);
    places = table;
    capacity = size;
    count = waiting;
    return true;
}

void otrace_flows_submit(const PyObject *item) {
    if (item == NULL || ((uint64_t)count * 2 >= capacity && !rebuild())) {
        return;
    }
    struct place *place = find(places, capacity, item);
    count += place->item == NULL;
    *place = (struct place){item, otrace_thread_flow()};
}

void otrace_flows_work(const PyObject *item) {
    struct place *place = item == NULL || capacity == 0 ? NULL : find(places, capacity, item);
    if (place != NULL && place->item == item) {
        otrace_thread_arrive(place->flow);
        place->flow.number = 0;
    }
}

void otrace_flows_worked(void) {
    if (otrace_thread_self->arriving.number != 0) {
        otrace_thread_arrive((struct otrace_flow){0});
    }
}

void otrace_flows_begin_recording(void) {
    free(places);
    places = NULL;
    capacity = count = 0;
}
