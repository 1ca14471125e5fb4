/* A hash table from ids to places in an array. */
#include <stdlib.h>

#include "read/tasks.h"

static struct otrace_id_place *place_of(const struct otrace_id_map *map, uint32_t id) {
    uint32_t mask = map->capacity - 1;
    uint32_t at = (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;
    while (map->places[at].id != 0 && map->places[at].id != id) {
        at = (at + 1) & mask;
    }
    return &map->places[at];
}

uint32_t otrace_id_map_find(const struct otrace_id_map *map, uint32_t id) {
    if (map->capacity == 0 || id == 0) {
        return UINT32_MAX;
    }
    const struct otrace_id_place *place = place_of(map, id);
    return place->id == 0 ? UINT32_MAX : place->at;
}

static bool grow(struct otrace_id_map *map) {
    struct otrace_id_map more = {.capacity = map->capacity == 0 ? 256 : map->capacity * 2};
    more.places = calloc(more.capacity, sizeof *more.places);
    if (more.places == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < map->capacity; i++) {
        if (map->places[i].id != 0) {
            *place_of(&more, map->places[i].id) = map->places[i];
        }
    }
    more.count = map->count;
    free(map->places);
    *map = more;
    return true;
}

bool otrace_id_map_set(struct otrace_id_map *map, uint32_t id, uint32_t at) {
    if ((uint64_t)map->count * 2 >= map->capacity && !grow(map)) {
        return false;
    }
    struct otrace_id_place *place = place_of(map, id);
    map->count += place->id == 0;
    *place = (struct otrace_id_place){id, at};
    return true;
}
