#include "record/async.h"

#include <stdlib.h>

#include "record/thread.h"

static size_t top_depth(const struct otrace_thread *thread) {
    return (size_t)(thread->top - thread->stack) - 1;
}

void otrace_async_push(struct otrace_thread *thread, struct otrace_async async) {
    uint32_t count = thread->async_count;
    size_t depth = top_depth(thread);
    while (count > 0 && thread->async_open[count - 1].depth >= depth) {
        count--;
    }
    if (count == thread->async_capacity) {
        uint32_t capacity = count == 0 ? 16 : count * 2;
        void *grown = realloc(thread->async_open, capacity * sizeof *thread->async_open);
        if (grown == NULL) {
            return;
        }
        thread->async_open = grown;
        thread->async_capacity = capacity;
    }
    if (async.task == 0 && count > 0) {
        async.task = thread->async_open[count - 1].async.task;
    }
    thread->async_open[count] =
        (struct otrace_async_open){depth, thread->stack[depth].start_tick, async};
    thread->async_count = count + 1;
}

static bool is_open(const struct otrace_thread *thread, const struct otrace_async_open *async) {
    return async->depth <= top_depth(thread) &&
           thread->stack[async->depth].start_tick == async->start_tick;
}

uint32_t otrace_async_task(void) {
    const struct otrace_thread *thread = otrace_thread_self;
    for (uint32_t at = thread->async_count; at > 0; at--) {
        if (is_open(thread, &thread->async_open[at - 1])) {
            return thread->async_open[at - 1].async.task;
        }
    }
    return 0;
}

bool otrace_async_runs(uint32_t activation) {
    const struct otrace_thread *thread = otrace_thread_self;
    for (uint32_t at = activation == 0 ? 0 : thread->async_count; at > 0; at--) {
        const struct otrace_async_open *open = &thread->async_open[at - 1];
        if (open->async.activation == activation && is_open(thread, open)) {
            return true;
        }
    }
    return false;
}

struct otrace_async otrace_async_of(const struct otrace_thread *thread,
                                    const struct otrace_open *open, uint32_t *from) {
    size_t depth = (size_t)(open - thread->stack);
    while (*from < thread->async_count && thread->async_open[*from].depth < depth) {
        ++*from;
    }
    if (*from < thread->async_count && thread->async_open[*from].depth == depth &&
        thread->async_open[*from].start_tick == open->start_tick) {
        return thread->async_open[*from].async;
    }
    return (struct otrace_async){0};
}
