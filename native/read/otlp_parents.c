/* What a coroutine's call is a call of: the call that awaits it, or what made its task. */
#include "read/otlp_coroutines.h"

#define NONE OTRACE_OTLP_NONE
#define TASKS_MOST (1u << 26)
#define LOOKED_AT                                                                                  \
    4096u /* frames: a false segment could make every slice look through a deep stack */
#define MOVES_MOST (1u << 26) /* or move many of them at every end */

/* ---- tasks ---- */

static uint32_t find_task(const struct otrace_otlp_coroutines *table, uint32_t id) {
    if (table->by_task.heads == NULL || id == 0) {
        return NONE;
    }
    uint32_t at = *otrace_otlp_chain(&table->by_task, id);
    while (at != NONE && table->tasks[at].id != id) {
        at = table->tasks[at].next;
    }
    return at;
}

static void chain(struct otrace_otlp_coroutines *table, uint32_t at) {
    uint32_t *head = otrace_otlp_chain(&table->by_task, table->tasks[at].id);
    table->tasks[at].next = *head;
    *head = at;
}

static bool grow(struct otrace_otlp_coroutines *table) {
    if (table->tasks_count < table->tasks_capacity) {
        return true;
    }
    if (table->tasks_count >= TASKS_MOST ||
        !otrace_otlp_grow(&table->tasks, sizeof *table->tasks, table->tasks_count,
                          &table->tasks_capacity) ||
        !otrace_otlp_chains_set(&table->by_task, table->tasks_capacity)) {
        return false;
    }
    for (uint32_t at = 0; at < table->tasks_count;
         at++) { /* all are in use, or it would not grow */
        chain(table, at);
    }
    return true;
}

/* The task's place, made if need be; NONE without memory. */
static uint32_t task_of(struct otrace_otlp_coroutines *table, uint32_t id) {
    uint32_t at = find_task(table, id);
    if (at != NONE) {
        return at;
    }
    at = table->tasks_free;
    if (at != NONE) {
        table->tasks_free = table->tasks[at].next;
    } else if (grow(table)) {
        at = table->tasks_count++;
    } else {
        return NONE;
    }
    table->tasks[at] = (struct otrace_otlp_task){.id = id, .creator = NONE, .latest = NONE};
    chain(table, at);
    return at;
}

/* Returns its creator. */
static uint32_t forget_task(struct otrace_otlp_coroutines *table, uint32_t at) {
    uint32_t *link = otrace_otlp_chain(&table->by_task, table->tasks[at].id);
    while (*link != at) {
        link = &table->tasks[*link].next;
    }
    *link = table->tasks[at].next;
    table->tasks[at].next = table->tasks_free;
    table->tasks_free = at;
    return table->tasks[at].creator;
}

/* The innermost slice on the stack that is `task`'s, 0: of any; or NONE. */
static uint32_t innermost(const struct otrace_otlp_walk *walk, uint32_t task) {
    uint32_t least = walk->depth > LOOKED_AT ? walk->depth - LOOKED_AT : 0;
    for (uint32_t at = walk->depth; at > least; at--) {
        const struct otrace_otlp_frame *frame = &walk->stack[at - 1];
        if (frame->coroutine != NONE && (task == 0 || frame->task == task)) {
            return frame->coroutine;
        }
    }
    return NONE;
}

static bool is_trios(const struct otrace_otlp_walk *walk, uint32_t function) {
    struct otrace_name_info info;
    otrace_segment_get_name(walk->plan->tracks[walk->track].segment, function, &info);
    return info.module.size >= 5 && memcmp(info.module.text, "trio.", 5) == 0;
}

/* Of a task whose making was not seen: a task of trio's waits in the one whose nursery it is. */
static uint32_t waiting_in(const struct otrace_otlp_walk *walk, uint32_t task) {
    const struct otrace_otlp_coroutines *table = walk->coroutines;
    uint32_t found = find_task(table, task);
    uint32_t at = found == NONE ? NONE : table->tasks[found].latest;
    for (uint32_t most = LOOKED_AT; at != NONE && most > 0; most--) {
        const struct otrace_otlp_coroutine *item = &table->items[at];
        if (item->around == NONE || table->items[item->around].task != item->task ||
            !is_trios(walk, item->frame.function)) {
            break;
        }
        at = item->around;
    }
    return at;
}

int otrace_otlp_task_told(struct otrace_otlp_walk *walk, const struct otrace_edge *edge) {
    struct otrace_otlp_coroutines *table = walk->coroutines;
    const otrace_word *words = edge->begin_attributes.words;
    uint32_t id = words[0], root = words[2];
    uint32_t own = root == 0 ? NONE : otrace_otlp_coroutine_find(table, root);
    if (id == 0 || !(edge->scope & (OTRACE_TASK_CREATED | OTRACE_TASK_STARTED)) || own != NONE) {
        return 0; /* an eager one is there before it is said to be made */
    }
    bool is_new = find_task(table, id) == NONE;
    uint32_t at = task_of(table, id);
    if (at == NONE) {
        return OTRACE_READ_NO_MEMORY;
    }
    struct otrace_otlp_task *task = &table->tasks[at];
    task->root = root != 0 ? root : task->root;
    if (!is_new) {
        return 0;
    }
    if (edge->scope & OTRACE_TASK_CREATED) {
        task->creator = innermost(walk, 0);
        task->before = walk->begun;
    } else {
        task->creator = innermost(walk, walk->depth > 0 ? walk->stack[walk->depth - 1].task : 0);
        if (task->creator == NONE && words[1] != id) {
            task->creator = waiting_in(walk, words[1]);
        }
    }
    if (task->creator != NONE) {
        table->items[task->creator].children++;
    }
    return 0;
}

/* ---- parents ---- */

struct otrace_otlp_frame *otrace_otlp_frame_at(const struct otrace_otlp_walk *walk, uint32_t at) {
    struct otrace_otlp_frame *frame = &walk->stack[at];
    return frame->coroutine == NONE ? frame : &walk->coroutines->items[frame->coroutine].frame;
}

static void put_at(struct otrace_otlp_walk *walk, uint32_t at, uint32_t place) {
    struct otrace_otlp_coroutine *item = &walk->coroutines->items[at];
    if (walk->stack[place].coroutine != NONE) {
        item->around = walk->stack[place].coroutine;
        walk->coroutines->items[item->around].children++;
        return;
    }
    uint32_t *first = &walk->stack[place].coroutines;
    item->place = place;
    item->following = *first;
    if (*first != NONE) {
        walk->coroutines->items[*first].previous = at;
    }
    *first = at;
}

/* The innermost frame that began before the call of this index. */
static uint32_t place_before(const struct otrace_otlp_walk *walk, uint64_t index) {
    uint32_t depth = walk->depth;
    uint32_t least = depth > LOOKED_AT ? depth - LOOKED_AT : 0;
    while (depth > least && walk->stack[depth - 1].index >= index) {
        depth--;
    }
    return depth > 0 ? depth - 1 : NONE;
}

void otrace_otlp_coroutine_place(struct otrace_otlp_walk *walk, uint32_t at,
                                 const struct otrace_edge *edge) {
    struct otrace_otlp_coroutines *table = walk->coroutines;
    uint32_t place = walk->depth > 0 ? walk->depth - 1 : NONE;
    uint32_t around_task = place == NONE ? 0 : walk->stack[place].task;
    uint32_t around = NONE, task = NONE;
    if (edge->task != 0 && edge->task != around_task) { /* a loop started it */
        task = find_task(table, edge->task);
        if (task != NONE && table->tasks[task].creator != NONE) {
            around = table->tasks[task].creator;
        } else if (task != NONE && table->tasks[task].before > 0) {
            place = place_before(walk, table->tasks[task].before);
        } else if (around_task != 0) {
            around = innermost(walk, around_task);
        }
    } else {
        task = find_task(table, edge->task);
    }
    if (around != NONE) {
        table->items[at].around = around;
        table->items[around].children++;
    } else if (place != NONE) {
        put_at(walk, at, place);
    }
    if (task != NONE) {
        table->tasks[task].latest = at;
    }
}

struct otrace_otlp_frame *otrace_otlp_coroutine_parent(const struct otrace_otlp_walk *walk,
                                                       uint32_t at) {
    struct otrace_otlp_coroutine *item = &walk->coroutines->items[at];
    return item->around != NONE  ? &walk->coroutines->items[item->around].frame
           : item->place != NONE ? &walk->stack[item->place]
                                 : NULL;
}

uint32_t otrace_otlp_task_goes_on(struct otrace_otlp_coroutines *table, uint32_t at) {
    const struct otrace_otlp_coroutine *item = &table->items[at];
    uint32_t task = find_task(table, item->task);
    if (task == NONE) {
        return NONE;
    }
    if (table->tasks[task].latest == at) {
        uint32_t around = item->around;
        bool same = around != NONE && table->items[around].task == item->task &&
                    !table->items[around].ended;
        table->tasks[task].latest = same ? around : NONE;
    }
    if (table->tasks[task].root != item->activation) {
        return NONE;
    }
    uint32_t creator = forget_task(table, task);
    if (creator != NONE) {
        table->items[creator].children--;
    }
    return creator;
}

uint32_t otrace_otlp_coroutine_part(struct otrace_otlp_walk *walk, uint32_t at) {
    struct otrace_otlp_coroutines *table = walk->coroutines;
    struct otrace_otlp_coroutine *item = &table->items[at];
    if (item->previous != NONE) {
        table->items[item->previous].following = item->following;
    } else if (item->place != NONE) {
        walk->stack[item->place].coroutines = item->following;
    }
    if (item->following != NONE) {
        table->items[item->following].previous = item->previous;
    }
    if (item->around != NONE) {
        table->items[item->around].children--;
    }
    return item->around;
}

void otrace_otlp_coroutines_move(struct otrace_otlp_walk *walk, uint32_t place) {
    struct otrace_otlp_coroutines *table = walk->coroutines;
    uint32_t at = walk->stack[place].coroutines;
    while (at != NONE) {
        struct otrace_otlp_coroutine *item = &table->items[at];
        uint32_t following = item->following;
        item->place = item->previous = item->following = NONE;
        if (place > 0 && walk->moves++ < MOVES_MOST) {
            put_at(walk, at, place - 1);
        }
        walk->tell_move(walk, at);
        at = following;
    }
}
