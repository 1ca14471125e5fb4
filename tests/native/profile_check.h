/* What holds for the profile of any segment, however damaged. */
#ifndef OTRACE_TEST_PROFILE_CHECK_H
#define OTRACE_TEST_PROFILE_CHECK_H

#include "api_profile.h"

/* Counts all tracks into one tree and one more into a tree of its own, a few edges at a time, and
 * writes speedscope's events of each. */
void profile_check(struct otrace_segment *segment, const struct otrace_clock *clock);

#endif
