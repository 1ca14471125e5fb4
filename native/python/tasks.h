/* Coroutines and tasks: which activation a slice belongs to, and which task runs it. */
#ifndef OTRACE_TASKS_H
#define OTRACE_TASKS_H

#include "python/compat.h"
#include "record/thread.h"

/* Code whose calls are suspended by `await`: they take the slow path (OTRACE_TAG_ASYNC). */
#define OTRACE_CODE_ASYNC (CO_COROUTINE | CO_ITERABLE_COROUTINE | CO_ASYNC_GENERATOR)

/* Once a recording: forgets what earlier ones knew. */
void otrace_tasks_begin_recording(void);

/* The call of a coroutine or asynchronous generator whose frame the interpreter is about to run:
 * starts or goes on. */
void otrace_tasks_begin(enum otrace_record_kind kind, uint32_t id, PyObject *code,
                        uint32_t exception);

/* Such a call, that no coroutine awaits or that an exception leaves, ends for good; before its end
 * is recorded. `unknown`: by an exception whose type the hook does not tell. */
void otrace_tasks_end(bool unknown);

#if !OTRACE_HAS_MONITORING
/* Such a call has returned. What awaited it may have been waiting since an exception was thrown in
 * past it: it goes on now, and the interpreter does not say so. */
void otrace_tasks_go_on(void);
#endif

/* A loop is asked to let a task go on: `what` (borrowed, or NULL) is the task, or asyncio's
 * callback that does so. An arrow leads from here to its next step. */
void otrace_tasks_wakes(PyObject *what);

/* A function that makes tasks (OTRACE_SPECIAL_MAKES_TASK) returns `task` (borrowed). */
void otrace_tasks_created(PyObject *task);

#endif
