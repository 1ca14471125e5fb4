/* OTLP: calls of coroutines and asynchronous generators, each one frame of the walk from its first
 * start to its final end, whatever runs on the thread between its slices.
 *
 * A table of those that have begun and not ended, by activation; and of tasks, by what made them.
 * One that has ended stays while others, or a task, have it as their parent. */
#ifndef OTRACE_READ_OTLP_COROUTINES_H
#define OTRACE_READ_OTLP_COROUTINES_H

#include "read/otlp.h"

struct otrace_otlp_coroutine {
    struct otrace_otlp_frame frame;
    uint32_t activation, task;
    uint32_t around;                     /* the coroutine that is its parent, or NONE */
    uint32_t place, previous, following; /* else the frame of the stack that is, and its others */
    uint32_t children;                   /* coroutines and tasks that have it as `around` */
    uint32_t next;                       /* of its chain */
    uint32_t owner;                      /* of a capture */
    uint32_t exception;
    int64_t end_ns, running_ns; /* end_ns: of its last slice */
    uint64_t awaits;
    bool used;
    bool running;  /* a slice of it is on the stack */
    bool ended;    /* it is only referred to */
    bool inferred; /* the end of its last slice is */
};

struct otrace_otlp_task {
    uint32_t id, next;
    uint32_t creator; /* coroutine, or NONE */
    uint32_t latest;  /* of its coroutines that have not ended, the last to begin; or NONE */
    uint32_t root;    /* activation, 0: not known */
    uint64_t before;  /* without creator: it was made by a call with a lower index; 0: not known */
};

/* A hash table of chains. */
struct otrace_otlp_chains {
    uint32_t *heads, mask;
};

struct otrace_otlp_coroutines {
    struct otrace_otlp_coroutine *items;
    uint32_t count, capacity, free;
    struct otrace_otlp_task *tasks;
    uint32_t tasks_count, tasks_capacity, tasks_free;
    struct otrace_otlp_chains by_activation, by_task;
};

void otrace_otlp_coroutines_init(struct otrace_otlp_coroutines *table);
void otrace_otlp_coroutines_free(struct otrace_otlp_coroutines *table);
/* The slice that is about to be the stack's top belongs to a call, which is begun and placed if it
 * is new; one that is on the stack already has no more slices. 0 or a negative status. */
int otrace_otlp_coroutine_slice(struct otrace_otlp_walk *walk, const struct otrace_edge *edge,
                                bool *is_new);
/* A slice has left the stack, which may end the call. */
int otrace_otlp_coroutine_pause(struct otrace_otlp_walk *walk, uint32_t at,
                                const struct otrace_edge *edge);
/* The end of the whole call, as far as its slices tell. */
struct otrace_edge otrace_otlp_coroutine_edge(const struct otrace_otlp_coroutine *item);
/* Nothing more is read: those that await are said to end at `end_ns`. */
int otrace_otlp_coroutines_leave(struct otrace_otlp_walk *walk, int64_t end_ns);
/* The stack is empty too. */
int otrace_otlp_coroutines_finish(struct otrace_otlp_walk *walk);

/* otlp_parents.c */

/* Finds the parent of a call that begins. */
void otrace_otlp_coroutine_place(struct otrace_otlp_walk *walk, uint32_t at,
                                 const struct otrace_edge *edge);
/* NULL: none. */
struct otrace_otlp_frame *otrace_otlp_coroutine_parent(const struct otrace_otlp_walk *walk,
                                                       uint32_t at);
/* It has no parent any more. Returns the coroutine that was it, or NONE. */
uint32_t otrace_otlp_coroutine_part(struct otrace_otlp_walk *walk, uint32_t at);
/* The stack's frame at `place` ends: calls below it that go on are below the frame around it. */
void otrace_otlp_coroutines_move(struct otrace_otlp_walk *walk, uint32_t place);
/* What was recorded of a task; 0 or a negative status. */
int otrace_otlp_task_told(struct otrace_otlp_walk *walk, const struct otrace_edge *edge);
/* A task's coroutine ended. Returns the coroutine that made the task, if it was the task's own and
 * no more is to come; or NONE. */
uint32_t otrace_otlp_task_goes_on(struct otrace_otlp_coroutines *table, uint32_t at);

/* Chains, of both tables. */
static inline uint32_t *otrace_otlp_chain(const struct otrace_otlp_chains *chains, uint32_t key) {
    return &chains->heads[(uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & chains->mask];
}
/* Empty ones, for this many items; false without memory. */
bool otrace_otlp_chains_set(struct otrace_otlp_chains *chains, uint32_t most);
/* The one that has begun and not ended, or NONE. */
uint32_t otrace_otlp_coroutine_find(const struct otrace_otlp_coroutines *table,
                                    uint32_t activation);

#endif
