/* Which activation runs in which frame. */
#ifndef OTRACE_ACTIVATIONS_H
#define OTRACE_ACTIVATIONS_H

#include <stdbool.h>
#include <stdint.h>

/* A suspended call's frame lies in its coroutine and stays where it is. Another call can have the
 * same address only later, and tells so by starting. Under the GIL. */

/* The activation of the call that runs in `frame`: a new one when it starts or is not known. */
uint32_t otrace_activation_of(const void *frame, bool starts);

/* The same, 0 when it is not known. */
uint32_t otrace_activation_known(const void *frame);

/* Forgets all. */
void otrace_activations_clear(void);

#endif
