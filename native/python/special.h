/* Functions of the standard library and others whose calls tell more than that they happen. */
#ifndef OTRACE_SPECIAL_H
#define OTRACE_SPECIAL_H

#include "python/compat.h"
#include "record/names.h"

enum otrace_special {
    OTRACE_SPECIAL_NONE,
    OTRACE_SPECIAL_THREAD,         /* Thread._bootstrap_inner: a thread begins and ends */
    OTRACE_SPECIAL_THREADING,      /* the body of the module threading */
    OTRACE_SPECIAL_THREAD_RENAMED, /* the setter of Thread.name */
    OTRACE_SPECIAL_MAKES_TASK,     /* returns a task */
    OTRACE_SPECIAL_SUBMITS,        /* _WorkItem.__init__: work for a thread of a pool */
    OTRACE_SPECIAL_GREENLET,       /* the body of the module greenlet */
    OTRACE_SPECIAL_WAKES,          /* takes a callback that may let a task go on, or that task */
    OTRACE_SPECIAL_WORKS,          /* _WorkItem.run: such a thread does it */
    OTRACE_SPECIAL_PROVIDES,       /* TracerProvider.get_tracer of OpenTelemetry's SDK */
};

/* What kind a function is of; its texts are borrowed. */
enum otrace_special otrace_special_kind(const PyCodeObject *code, struct otrace_text module,
                                        struct otrace_text name);

/* Whether its end has something to tell: then it must not go the fast path. */
static inline bool otrace_special_has_end(enum otrace_special special) {
    return special != OTRACE_SPECIAL_NONE && special != OTRACE_SPECIAL_SUBMITS &&
           special != OTRACE_SPECIAL_PROVIDES && special != OTRACE_SPECIAL_WAKES;
}

/* It begins: before and after that is recorded. */
void otrace_special_before(enum otrace_special special);
void otrace_special_begun(enum otrace_special special);
/* It ends: before that is recorded. `result` is borrowed; NULL: it was left by an exception. */
void otrace_special_end(enum otrace_special special, PyObject *result);

#endif
