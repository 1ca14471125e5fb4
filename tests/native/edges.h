/* A track's edges as text, one a line, to compare with what a test expects. */
#ifndef OTRACE_TEST_EDGES_H
#define OTRACE_TEST_EDGES_H

#include "synth.h"

/* Decodes the segment's track `index` with otrace_decode options; the caller frees the text.
 *
 *   begin 2 at 100 depth 1
 *   end 2 100..150 depth 1 [unwound inferred] !7       7: the exception's name id
 *   instant 5 at 120 scope 1, counter 6 at 130, event 9 100..200 #3 (3 words, 0 words) */
char *edges_text(const struct synth *synth, uint32_t index, uint32_t options);
/* Fails the test, showing both, when they differ. */
void edges_check(const struct synth *synth, uint32_t index, uint32_t options, const char *expected,
                 const char *file, int line);
#define CHECK_EDGES(synth, options, expected)                                                      \
    edges_check(synth, 0, options, expected, __FILE__, __LINE__)

#endif
