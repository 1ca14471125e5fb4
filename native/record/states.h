/* Where thread states live: pages that the kernel clears in a forked child. */
#ifndef OTRACE_STATES_H
#define OTRACE_STATES_H

#include <stdbool.h>

struct otrace_thread;

/* Once a process, before anything else. Returns 0 or a negative errno. */
int otrace_states_init(void);

/* False in a forked child until otrace_states_reset: everything here was wiped. True before
 * otrace_states_init. */
bool otrace_states_alive(void);
void otrace_states_reset(void);

/* A cleared state for the calling thread, given back when the thread ends; NULL: no memory. */
struct otrace_thread *otrace_states_take(void);

/* Another one, of something else that the calling thread runs in turns (otrace_thread.greenlet). It
 * is given back here, or with the thread's own. */
struct otrace_thread *otrace_states_take_beside(void);
void otrace_states_give(struct otrace_thread *thread);

/* Instead of giving it back: one that has no open call may go on as something else's. Returns one
 * of the calling thread's, or NULL. */
void otrace_states_put_aside(struct otrace_thread *thread);
struct otrace_thread *otrace_states_take_again(void);

/* The calling thread's own state is the one at hand again. */
void otrace_states_go_home(void);

/* True when `thread` was taken in this process (not the shared empty one, not a wiped one). */
bool otrace_states_owns(const struct otrace_thread *thread);

/* Calls `visit` for each state in use; the caller keeps their threads out of the hook. A thread
 * that ends meanwhile waits: its state is given back whole, before or after. */
void otrace_states_each(void (*visit)(struct otrace_thread *thread));

#endif
