/* Who let tasks go on: the calls in which flows began. */
#include <stdlib.h>
#include <string.h>

#include "read/decode.h"
#include "read/segment.h"
#include "read/tasks.h"

#define WAKERS_MOST (UINT64_C(1) << 24) /* as many numbers as flows have */
#define FRAMES_MOST 4096u               /* a false segment could have a deep stack at every flow */

enum kind { NOT_SEEN, OTHERS, ASYNCIO, LOOP };

static bool begins(struct otrace_text text, const char *literal) {
    size_t size = strlen(literal);
    return text.size >= size && memcmp(text.text, literal, size) == 0;
}

static enum kind kind_of(const struct otrace_segment *segment, uint32_t id) {
    struct otrace_name_info info;
    otrace_segment_get_name(segment, id, &info);
    bool ours = begins(info.display, "asyncio.") || begins(info.display, "_asyncio.") ||
                begins(info.display, "trio.");
    bool loop = begins(info.display, "asyncio.events.Handle._run") ||
                begins(info.display, "_contextvars.Context.run") ||
                begins(info.display, "trio._core._run.unrolled_run");
    return loop ? LOOP : ours ? ASYNCIO : OTHERS;
}

/* The function that a reader wants to know of. */
static uint32_t function_at(const struct otrace_segment *segment,
                            const struct otrace_decoder_core *core, uint32_t depth,
                            uint8_t *kinds) {
    uint32_t own = 0;
    for (uint32_t at = depth, left = FRAMES_MOST; at > 0 && left > 0; at--, left--) {
        uint32_t id = core->stack[at].id;
        if (core->stack[at].flags & (OTRACE_CALL_EVENT | OTRACE_FRAME_PHANTOM) ||
            id > segment->names_count) {
            continue;
        }
        if (kinds[id] == NOT_SEEN) {
            kinds[id] = (uint8_t)kind_of(segment, id);
        }
        if (kinds[id] == OTHERS) {
            return id;
        }
        if (kinds[id] == LOOP) {
            return own;
        }
        own = id;
    }
    return own;
}

int otrace_tasks_add_waker(struct otrace_tasks *tasks, const struct otrace_segment *segment,
                           const struct otrace_decoder_core *core, const struct otrace_edge *edge,
                           uint8_t *kinds) {
    struct otrace_task_waker waker = {edge->task, function_at(segment, core, edge->depth, kinds)};
    uint32_t at = otrace_id_map_find(&tasks->waker_map, edge->flow);
    if (edge->flow == 0 || at != UINT32_MAX) { /* a number that is used again: the last one */
        if (at != UINT32_MAX) {
            tasks->wakers[at] = waker;
        }
        return 0;
    }
    if (tasks->wakers_count == tasks->wakers_capacity) {
        uint64_t more = tasks->wakers_capacity == 0 ? 64 : tasks->wakers_capacity * 2;
        void *grown =
            more > WAKERS_MOST ? NULL : realloc(tasks->wakers, more * sizeof *tasks->wakers);
        if (grown == NULL) {
            return OTRACE_READ_NO_MEMORY;
        }
        tasks->wakers = grown;
        tasks->wakers_capacity = more;
    }
    tasks->wakers[tasks->wakers_count] = waker;
    return otrace_id_map_set(&tasks->waker_map, edge->flow, (uint32_t)tasks->wakers_count++)
               ? 0
               : OTRACE_READ_NO_MEMORY;
}

const struct otrace_task_waker *otrace_tasks_waker(const struct otrace_tasks *tasks,
                                                   const struct otrace_task_step *step) {
    uint32_t at = step->flow == 0 ? UINT32_MAX : otrace_id_map_find(&tasks->waker_map, step->flow);
    return at == UINT32_MAX ? NULL : &tasks->wakers[at];
}
