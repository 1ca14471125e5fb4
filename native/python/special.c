#include "python/special.h"

#include <string.h>

#include "python/flows.h"
#include "python/greenlets.h"
#include "python/hook.h"
#include "python/spans.h"

static bool equals(struct otrace_text text, const char *literal) {
    return text.size == strlen(literal) && memcmp(text.data, literal, text.size) == 0;
}

static const struct {
    const char *module, *name;
    enum otrace_special special;
    int arguments; /* at least that many: another program's namesake has none to look at */
} table[] = {
    {"threading", "Thread._bootstrap_inner", OTRACE_SPECIAL_THREAD, 0},
    {"threading", "<module>", OTRACE_SPECIAL_THREADING, 0},
    {"threading", "Thread.name", OTRACE_SPECIAL_THREAD_RENAMED, 2}, /* the getter has one */
    /* Of asyncio's three ways to make a task the two outer ones matter to other loops. */
    {"asyncio.base_events", "BaseEventLoop.create_task", OTRACE_SPECIAL_MAKES_TASK, 0},
    {"asyncio.tasks", "create_task", OTRACE_SPECIAL_MAKES_TASK, 0},
    {"asyncio.taskgroups", "TaskGroup.create_task", OTRACE_SPECIAL_MAKES_TASK, 0},
    {"asyncio.base_events", "BaseEventLoop.call_soon", OTRACE_SPECIAL_WAKES, 2},
    {"trio._core._run", "Runner.reschedule", OTRACE_SPECIAL_WAKES, 2},
    {"greenlet", "<module>", OTRACE_SPECIAL_GREENLET, 0},
    {"concurrent.futures.thread", "_WorkItem.__init__", OTRACE_SPECIAL_SUBMITS, 1},
    {"concurrent.futures.thread", "_WorkItem.run", OTRACE_SPECIAL_WORKS, 1},
    {"opentelemetry.sdk.trace", "TracerProvider.get_tracer", OTRACE_SPECIAL_PROVIDES, 1},
};

enum otrace_special otrace_special_kind(const PyCodeObject *code, struct otrace_text module,
                                        struct otrace_text name) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (equals(module, table[i].module) && equals(name, table[i].name)) {
            return code->co_argcount < table[i].arguments ? OTRACE_SPECIAL_NONE : table[i].special;
        }
    }
    return OTRACE_SPECIAL_NONE;
}

void otrace_special_before(enum otrace_special special) {
    if (special == OTRACE_SPECIAL_WORKS) {
        otrace_flows_work(otrace_frame_argument(0));
    }
}

void otrace_special_begun(enum otrace_special special) {
    if (special == OTRACE_SPECIAL_THREAD) {
        otrace_threads_named();
    } else if (special == OTRACE_SPECIAL_SUBMITS) {
        otrace_flows_submit(otrace_frame_argument(0));
    } else if (special == OTRACE_SPECIAL_PROVIDES) {
        otrace_spans_provided(otrace_frame_argument(0));
    } else if (special == OTRACE_SPECIAL_WAKES) {
        otrace_tasks_wakes(otrace_frame_argument(1));
    }
}

void otrace_special_end(enum otrace_special special, PyObject *result) {
    switch (special) {
    case OTRACE_SPECIAL_THREAD:
        otrace_threads_named();
        break;
    case OTRACE_SPECIAL_THREADING:
        if (otrace_hook_is_profile()) {
            otrace_profile_follow_threads();
        }
        break;
    case OTRACE_SPECIAL_THREAD_RENAMED:
        otrace_threads_renamed();
        break;
    case OTRACE_SPECIAL_MAKES_TASK:
        otrace_tasks_created(result);
        break;
    case OTRACE_SPECIAL_GREENLET:
        otrace_greenlets_follow();
        break;
    case OTRACE_SPECIAL_WORKS:
        otrace_flows_worked();
        break;
    default:
        break;
    }
}
