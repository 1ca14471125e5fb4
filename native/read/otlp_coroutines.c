/* Calls of coroutines: a table, and what their slices make of them. */
#include "read/otlp_coroutines.h"

#define NONE OTRACE_OTLP_NONE
#define HEADS_FIRST 64u
#define ITEMS_MOST (1u << 26)

void otrace_otlp_coroutines_init(struct otrace_otlp_coroutines *table) {
    *table = (struct otrace_otlp_coroutines){.free = NONE, .tasks_free = NONE};
}

void otrace_otlp_coroutines_free(struct otrace_otlp_coroutines *table) {
    free(table->items);
    free(table->tasks);
    free(table->by_activation.heads);
    free(table->by_task.heads);
}

/* ---- the table ---- */

bool otrace_otlp_chains_set(struct otrace_otlp_chains *chains, uint32_t most) {
    uint32_t size = HEADS_FIRST;
    while (size < most) {
        size *= 2;
    }
    uint32_t *heads = malloc(size * sizeof *heads);
    if (heads == NULL) {
        return false;
    }
    memset(heads, 0xff, size * sizeof *heads);
    free(chains->heads);
    *chains = (struct otrace_otlp_chains){heads, size - 1};
    return true;
}

uint32_t otrace_otlp_coroutine_find(const struct otrace_otlp_coroutines *table,
                                    uint32_t activation) {
    if (table->by_activation.heads == NULL) {
        return NONE;
    }
    uint32_t at = *otrace_otlp_chain(&table->by_activation, activation);
    while (at != NONE && table->items[at].activation != activation) {
        at = table->items[at].next;
    }
    return at;
}

static void chain(struct otrace_otlp_coroutines *table, uint32_t at) {
    uint32_t *head = otrace_otlp_chain(&table->by_activation, table->items[at].activation);
    table->items[at].next = *head;
    *head = at;
}

static void unchain(struct otrace_otlp_coroutines *table, uint32_t at) {
    uint32_t *link = otrace_otlp_chain(&table->by_activation, table->items[at].activation);
    while (*link != at) {
        link = &table->items[*link].next;
    }
    *link = table->items[at].next;
}

static bool grow(struct otrace_otlp_coroutines *table) {
    if (table->count < table->capacity) {
        return true;
    }
    if (table->count >= ITEMS_MOST ||
        !otrace_otlp_grow(&table->items, sizeof *table->items, table->count, &table->capacity) ||
        !otrace_otlp_chains_set(&table->by_activation, table->capacity)) {
        return false;
    }
    for (uint32_t at = 0; at < table->count; at++) { /* all are in use, or it would not grow */
        if (!table->items[at].ended) {
            chain(table, at);
        }
    }
    return true;
}

/* A new one, without a parent; NONE without memory. */
static uint32_t add(struct otrace_otlp_coroutines *table, const struct otrace_edge *edge) {
    uint32_t at = table->free;
    if (at != NONE) {
        table->free = table->items[at].next;
    } else if (grow(table)) {
        at = table->count++;
    } else {
        return NONE;
    }
    uint32_t cut = edge->flags & (OTRACE_CALL_RESUMED | OTRACE_CALL_CUT) ? OTRACE_CALL_CUT : 0;
    table->items[at] = (struct otrace_otlp_coroutine){
        .frame = {.index = edge->index,
                  .start_tick = edge->start_tick,
                  .start_ns = edge->start_ns,
                  .window = NONE,
                  .span = NONE,
                  .keeper = NONE,
                  .function = edge->id,
                  .flags = cut,
                  .task = edge->task,
                  .coroutine = at,
                  .coroutines = NONE},
        .activation = edge->activation,
        .task = edge->task,
        .around = NONE,
        .place = NONE,
        .previous = NONE,
        .following = NONE,
        .owner = NONE,
        .end_ns = edge->start_ns,
        .used = true,
    };
    chain(table, at);
    return at;
}

/* ---- slices ---- */

int otrace_otlp_coroutine_slice(struct otrace_otlp_walk *walk, const struct otrace_edge *edge,
                                bool *is_new) {
    struct otrace_otlp_coroutines *table = walk->coroutines;
    uint32_t at = otrace_otlp_coroutine_find(table, edge->activation);
    *is_new = at == NONE;
    if (at != NONE && table->items[at].running) { /* a damaged segment */
        return 0;
    }
    if (at == NONE) {
        at = add(table, edge);
        if (at == NONE) {
            return OTRACE_READ_NO_MEMORY;
        }
        otrace_otlp_coroutine_place(walk, at, edge);
    }
    walk->stack[walk->depth].coroutine = at;
    table->items[at].running = true;
    if (edge->flags & OTRACE_CALL_THROWN) { /* the exception did not begin here */
        table->items[at].frame.flags |= OTRACE_CALL_THROWN;
        table->items[at].frame.caught = edge->exception + 1;
    }
    return 0;
}

struct otrace_edge otrace_otlp_coroutine_edge(const struct otrace_otlp_coroutine *item) {
    return (struct otrace_edge){
        .kind = OTRACE_EDGE_END,
        .flags = item->frame.flags,
        .id = item->frame.function,
        .exception = item->exception,
        .start_ns = item->frame.start_ns,
        .end_ns = item->end_ns,
        .index = item->frame.index,
        .start_tick = item->frame.start_tick,
    };
}

/* One that has ended goes when nothing has it as its parent. Only then is it measured: tasks that
 * it made may end later, and bring it with them. */
static int release(struct otrace_otlp_walk *walk, uint32_t at) {
    struct otrace_otlp_coroutines *table = walk->coroutines;
    int status = 0;
    while (status == 0 && at != NONE && table->items[at].used && table->items[at].ended &&
           table->items[at].children == 0) {
        status = walk->visitor->measures ? walk->tell_end(walk, at) : 0;
        uint32_t parent = otrace_otlp_coroutine_part(walk, at);
        table->items[at].used = false;
        table->items[at].next = table->free;
        table->free = at;
        at = parent;
    }
    return status;
}

static int end(struct otrace_otlp_walk *walk, uint32_t at) {
    struct otrace_otlp_coroutines *table = walk->coroutines;
    struct otrace_edge edge = otrace_otlp_coroutine_edge(&table->items[at]);
    int status = 0;
    if (walk->visitor->measures) {
        otrace_otlp_request_ended(walk, &table->items[at].frame, &edge);
    } else {
        status = walk->tell_end(walk, at);
    }
    table->items[at].ended = true;
    unchain(table, at);
    uint32_t creator = otrace_otlp_task_goes_on(table, at);
    status = status == 0 ? release(walk, at) : status;
    return status == 0 ? release(walk, creator) : status;
}

int otrace_otlp_coroutine_pause(struct otrace_otlp_walk *walk, uint32_t at,
                                const struct otrace_edge *edge) {
    struct otrace_otlp_coroutine *item = &walk->coroutines->items[at];
    bool yielded = edge->flags & OTRACE_CALL_YIELDED;
    item->running = false;
    item->running_ns += edge->end_ns - edge->start_ns;
    item->end_ns = edge->end_ns;
    item->awaits += yielded;
    item->inferred = !yielded && edge->flags & OTRACE_CALL_INFERRED;
    if (yielded || item->inferred) { /* the latter may await, or have ended */
        return 0;
    }
    item->frame.flags |= edge->flags & (OTRACE_CALL_UNWOUND | OTRACE_CALL_OPEN);
    item->exception = edge->exception;
    return end(walk, at);
}

/* ---- the end of the track's part ---- */

struct seen {
    uint64_t index;
    uint32_t at;
};

static int later_first(const void *a, const void *b) {
    const struct seen *one = a, *other = b;
    return one->index > other->index ? -1 : one->index < other->index;
}

/* All that are there, the last to begin first; NULL without memory. The caller frees. */
static uint32_t *all(const struct otrace_otlp_coroutines *table, uint32_t *count) {
    struct seen *found = malloc((table->count + 1u) * sizeof *found);
    uint32_t *places = malloc((table->count + 1u) * sizeof *places);
    *count = 0;
    for (uint32_t at = 0; found != NULL && places != NULL && at < table->count; at++) {
        if (table->items[at].used) {
            found[(*count)++] = (struct seen){table->items[at].frame.index, at};
        }
    }
    if (*count > 1) {
        qsort(found, *count, sizeof *found, later_first);
    }
    for (uint32_t i = 0; i < *count; i++) {
        places[i] = found[i].at;
    }
    if (found == NULL) {
        free(places);
        places = NULL;
    }
    free(found);
    return places;
}

/* One that was forgotten while it awaited did not tell of that; its caller's end does. */
static void leave(const struct otrace_otlp_coroutines *table, struct otrace_otlp_coroutine *item,
                  int64_t end_ns) {
    const struct otrace_otlp_coroutine *around =
        item->around == NONE ? NULL : &table->items[item->around];
    bool forgotten = around != NULL && around->ended && around->task == item->task;
    if (item->inferred || forgotten) {
        item->frame.flags |= OTRACE_CALL_INFERRED;
    } else {
        item->frame.flags |= OTRACE_CALL_OPEN;
        item->end_ns = end_ns > item->end_ns ? end_ns : item->end_ns;
    }
}

int otrace_otlp_coroutines_leave(struct otrace_otlp_walk *walk, int64_t end_ns) {
    struct otrace_otlp_coroutines *table = walk->coroutines;
    uint32_t count, *found = all(table, &count);
    int status = found == NULL ? OTRACE_READ_NO_MEMORY : 0;
    for (uint32_t i = 0; status == 0 && i < count; i++) {
        struct otrace_otlp_coroutine *item = &table->items[found[i]];
        if (item->used && !item->ended && !item->running) {
            leave(table, item, end_ns);
            status = end(walk, found[i]);
        }
    }
    free(found);
    return status;
}

int otrace_otlp_coroutines_finish(struct otrace_otlp_walk *walk) {
    struct otrace_otlp_coroutines *table = walk->coroutines;
    uint32_t count, *found = all(table, &count);
    int status = found == NULL ? OTRACE_READ_NO_MEMORY : 0;
    for (uint32_t i = 0; status == 0 && i < count; i++) {
        if (table->items[found[i]].used) { /* its children are tasks that have not begun */
            table->items[found[i]].children = 0;
            status = release(walk, found[i]);
        }
    }
    free(found);
    return status;
}
