/* log_event, log_instant, log_counter as ordinary Python callables: a cffi call would cost more
 * than the record itself. */
#ifndef OTRACE_EVENTS_H
#define OTRACE_EVENTS_H

#include "python/compat.h"

/* Puts log_event, log_instant, log_counter, Event, pause_thread and resume_thread into a
 * namespace (borrowed). `decorate` is called as decorate(event, function) where an event is used
 * as a decorator. Returns 0, or -1 with an exception set. Needs the GIL. */
int otrace_events_publish(PyObject *namespace, PyObject *decorate);

#endif
