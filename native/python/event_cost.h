/* What one event of the hook costs here and now. */
#ifndef OTRACE_EVENT_COST_H
#define OTRACE_EVENT_COST_H

#include <stdint.h>

/* Before the hook is installed; needs the GIL. */
void otrace_event_cost_begin(void);

/* After it was: ticks of one event, at least 1. */
uint64_t otrace_event_cost_end(void);

#endif
