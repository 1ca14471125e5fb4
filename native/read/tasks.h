/* Tasks and the logical calls of coroutines: what lies between the slices of the threads' tracks.
 *
 * One pass over all tracks of a segment joins the slices of each activation into one call, from
 * its first start to its final end, and the slices that a task's thread ran into steps. */
#ifndef OTRACE_READ_TASKS_H
#define OTRACE_READ_TASKS_H

#include <stdbool.h>
#include <stdint.h>

#include "api_read.h"

struct otrace_task_call {
    int64_t start_ns, end_ns; /* end: of the last slice so far */
    int64_t running_ns;
    uint64_t awaits;
    uint32_t activation, parent; /* activations; parent 0: none */
    uint32_t task, function, flags, exception, thread_id;
    bool ended, closed; /* closed: from outside, not in its task's turn */
};

/* A time that a task ran on a thread, without giving it back. */
struct otrace_task_step {
    int64_t start_ns, end_ns;
    uint32_t task, thread_id;
    uint32_t flow; /* that led to it, 0: none */
    bool goes_on;  /* its coroutine ended and the one that awaited it runs at once */
};

struct otrace_task {
    struct otrace_task_info info;
    uint32_t root;              /* activation, 0: not known */
    uint64_t name_offset;       /* in names */
    uint32_t name_size;         /* 0: not known */
    uint32_t first_step;        /* in steps */
    bool said_cancelled;        /* by the recorder */
    uint32_t first_call, calls; /* in calls */
};

/* What let a task go on. */
struct otrace_task_waker {
    uint32_t task;     /* 0: no task */
    uint32_t function; /* the innermost around it that is not asyncio's own, else the outermost of
                          those that a callback of the loop called */
};

/* A hash table from ids (not 0) to places in an array. */
struct otrace_id_map {
    struct otrace_id_place {
        uint32_t id, at;
    } *places;
    uint32_t count, capacity;
};

struct otrace_tasks {
    struct otrace_task *tasks;      /* in the order of their first moment */
    struct otrace_task_call *calls; /* by task, then start; before the end of the pass by sight */
    struct otrace_task_step *steps; /* by task, then start */
    uint64_t tasks_count, tasks_capacity, calls_count, calls_capacity, steps_count, steps_capacity;
    struct otrace_task_waker *wakers; /* by sight; found by the number of their flow */
    uint64_t wakers_count, wakers_capacity;
    char *names;
    uint64_t names_size, names_capacity;
    struct otrace_id_map task_map, call_map, waker_map;
};

/* The place of `id`, UINT32_MAX: not there. */
uint32_t otrace_id_map_find(const struct otrace_id_map *map, uint32_t id);
/* Sets the place of `id`; false without memory. */
bool otrace_id_map_set(struct otrace_id_map *map, uint32_t id, uint32_t at);

/* What led to a step; NULL: not known. */
const struct otrace_task_waker *otrace_tasks_waker(const struct otrace_tasks *tasks,
                                                   const struct otrace_task_step *step);

/* tasks_wakers.c: notes a flow. `kinds` by name id, zeroed at first: what functions are. 0 or a
 * negative status. */
struct otrace_decoder_core;
struct otrace_edge;
int otrace_tasks_add_waker(struct otrace_tasks *tasks, const struct otrace_segment *segment,
                           const struct otrace_decoder_core *core, const struct otrace_edge *edge,
                           uint8_t *kinds);

/* tasks_join.c: sorts, joins steps, fills what is known of each task only at the end. */
int otrace_tasks_join(struct otrace_tasks *tasks, const struct otrace_segment *segment);

#endif
