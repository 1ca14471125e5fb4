/* Greenlets: each has a track of its own, as if it were a thread.
 *
 * What a thread runs belongs to the state that otrace_thread_self points to. A greenlet has such a
 * state too, with its own stack of open calls and its own chunks, and the pointer follows the
 * switches, which the library `greenlet` tells a trace function of (greenlet.settrace, one a
 * thread; an earlier one is called as before). */
#ifndef OTRACE_GREENLETS_H
#define OTRACE_GREENLETS_H

#include "record/thread.h"

/* Follows the switches of the calling thread, if the program has imported `greenlet`. Keeps the
 * exception that is set. */
void otrace_greenlets_follow(void);

/* Names the greenlet that has its first event. */
void otrace_greenlets_started(struct otrace_thread *thread);

/* Once a recording: forgets all. And at its end. */
void otrace_greenlets_begin_recording(void);
void otrace_greenlets_end_recording(void);

#endif
