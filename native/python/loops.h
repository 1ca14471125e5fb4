/* What event loops know of their tasks. Nothing here raises or runs code of the program. */
#ifndef OTRACE_LOOPS_H
#define OTRACE_LOOPS_H

#include "python/compat.h"

/* The task that the calling thread runs now, by asyncio or trio: a new reference, or NULL. `*flag`
 * becomes OTRACE_TASK_ASYNCIO or OTRACE_TASK_TRIO. */
PyObject *otrace_loops_task(uint32_t *flag);

/* New references, or NULL. */
PyObject *otrace_loops_name(PyObject *task);
PyObject *otrace_loops_coroutine(PyObject *task);
PyObject *otrace_loops_parent(PyObject *task); /* of a trio task */

/* Whether someone asked asyncio's task to be cancelled. */
bool otrace_loops_cancelling(PyObject *task);

#endif
