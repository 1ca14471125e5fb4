/* The overhead governor: switches off functions that are called very often for very little, so
 * that the hook costs at most a part of the process's CPU time, and back on later.
 *
 * It looks when the slow path of some call finds that a look is due; it has no thread, and nothing
 * on the hot path. Everything here is under the GIL. */
#ifndef OTRACE_GOVERNOR_H
#define OTRACE_GOVERNOR_H

#include "python/compat.h"
#include "record/clock.h"
#include "record/thread.h"

/* When the next look is due, in ticks; UINT64_MAX: there is no governor. */
extern uint64_t otrace_governor_due __attribute__((visibility("hidden")));

/* Once a recording, before its hook is installed, and after. `overhead`: the part, 0: no governor.
 */
void otrace_governor_begin(double overhead);
void otrace_governor_hooked(void);
/* After the hook was removed. */
void otrace_governor_end(void);

/* struct otrace_host */
void otrace_governor_forked(void);
/* Part of host.thread_started: the calls open on `thread` were told. */
void otrace_governor_thread_started(struct otrace_thread *thread);

/* A function that may be governed, by its name id; and its end. */
void otrace_governor_meet(uint32_t id, PyObject *code);
void otrace_governor_forget(uint32_t id);

void otrace_governor_look(void);

static inline void otrace_governor_check(void) {
    if (__builtin_expect(otrace_governor_due != UINT64_MAX, 0) &&
        otrace_clock_ticks() >= otrace_governor_due) {
        otrace_governor_look();
    }
}

/* A call of a function that has this tag has begun, after its entry was made; a call of code that
 * was switched off once (OTRACE_TAG_FRAMED) ends: whether its begin was recorded. By
 * governed_calls.c. */
void otrace_governor_begun(uint64_t tag);
bool otrace_governor_ends(uint64_t tag);

#endif
