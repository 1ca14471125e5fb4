/* Calls of functions that have been switched off at some time: which of them were recorded. */
#ifndef OTRACE_GOVERNED_CALLS_H
#define OTRACE_GOVERNED_CALLS_H

#include "python/compat.h"
#include "record/thread.h"

/* A function is switched off for the first time: calls of it that are open on any thread are known
 * by their frames from now on, as those that begin later (otrace_governor_begun). */
void otrace_governed_calls_mark(uint32_t id, const PyObject *code);

/* The same on one thread, whose calls have been told to it (host.thread_started). */
void otrace_governed_calls_mark_thread(struct otrace_thread *thread, uint32_t id,
                                       const PyObject *code);

/* Whether every call of it that is open was recorded: then it is known by its code again, and its
 * calls may take the fast path. */
bool otrace_governed_calls_forget_frames(uint32_t id, const PyObject *code);

#endif
