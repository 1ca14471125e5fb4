/* Work that is handed over: from where it is submitted to where it runs. */
#ifndef OTRACE_FLOWS_H
#define OTRACE_FLOWS_H

#include "python/compat.h"

/* A work item (an address is all that is kept) is made for a thread of a pool. */
void otrace_flows_submit(const PyObject *item);

/* It is about to run on this thread: the next call that begins here is where it goes on, the
 * item's own `run` or, where that is not recorded, what it calls. Then: it has run. */
void otrace_flows_work(const PyObject *item);
void otrace_flows_worked(void);

/* Once a recording: forgets all. */
void otrace_flows_begin_recording(void);

#endif
