/* Which span of OpenTelemetry is current: noted when the interpreter's context has changed.
 *
 * OpenTelemetry keeps the current span in a context variable, which belongs to a task, a greenlet,
 * a callback or a thread. CPython counts in PyThreadState.context_ver how often a thread has gone
 * to another context: comparing it before each recorded call finds all of that. Setting a variable
 * is not counted: the two functions that set OpenTelemetry's are wrapped (changes_context). */
#ifndef OTRACE_CONTEXTS_H
#define OTRACE_CONTEXTS_H

#include "python/compat.h"
#include "record/thread.h"

/* Whether anybody wants to know. */
extern bool otrace_contexts_watched __attribute__((visibility("hidden")));

/* Puts note_span, watch_context and changes_context into a namespace (borrowed). 0, or -1 with an
 * exception set. */
int otrace_contexts_publish(PyObject *namespace);

/* Looks the current span up, and notes it. Keeps the exception that is set. */
void otrace_context_changed(const PyThreadState *state, bool beginning);

/* Before a begin is recorded. `beginning`: as in struct otrace_host. */
static inline void otrace_context_check(bool beginning) {
    const PyThreadState *state = OTRACE_THREAD_STATE();
    if (__builtin_expect(state->context_ver != otrace_thread_self->context_version, 0)) {
        otrace_context_changed(state, beginning);
    }
}

#endif
