/* Coroutines and asynchronous generators on a thread's stack. */
#ifndef OTRACE_ASYNC_H
#define OTRACE_ASYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct otrace_thread;
struct otrace_open;

/* Which call of one it is, and the task that it runs. 0: none; a task of 0 is that of the coroutine
 * around it. */
struct otrace_async {
    uint32_t activation, task;
};

/* One of them on the stack. */
struct otrace_async_open {
    size_t depth;
    uint64_t start_tick; /* of the entry at that depth: else it has ended */
    struct otrace_async async;
};

/* Notes the one that is on top of the stack. */
void otrace_async_push(struct otrace_thread *thread, struct otrace_async async);

/* The task that the calling thread runs, 0: none. */
uint32_t otrace_async_task(void);

/* Whether the calling thread has this activation on its stack. */
bool otrace_async_runs(uint32_t activation);

/* What `open`, on the stack, runs; zeros when it is no coroutine. `*from` starts at 0 and goes up
 * over calls for entries from the outermost on. */
struct otrace_async otrace_async_of(const struct otrace_thread *thread,
                                    const struct otrace_open *open, uint32_t *from);

#endif
