/* Ticks to nanoseconds: a monotonic piecewise linear function with integer arithmetic. */
#ifndef OTRACE_READ_CLOCK_H
#define OTRACE_READ_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api_read.h"
#include "format.h"

#define OTRACE_CLOCK_SHIFT 48

__extension__ typedef unsigned __int128 otrace_u128;

/* ns = ns + ((tick - this tick) * rate >> OTRACE_CLOCK_SHIFT), up to the next piece's tick. */
struct otrace_clock_piece {
    uint64_t tick;
    int64_t ns;
    uint64_t rate;
    uint64_t end; /* the next piece's tick; of the last piece: where int64 would overflow */
};

/* The piece that holds `tick`, or the last one. Needs a fitted clock. */
const struct otrace_clock_piece *otrace_clock_find(const struct otrace_clock *clock, uint64_t tick);

/* An anchor of this machine and moment; false when the anchors from `first` to `last` were not
 * made here since it was booted. Takes two milliseconds. */
bool otrace_clock_here(uint32_t kind, const struct otrace_anchor *first,
                       const struct otrace_anchor *last, struct otrace_anchor *here);

static inline int64_t otrace_clock_piece_convert(const struct otrace_clock_piece *piece,
                                                 uint64_t tick) {
    return piece->ns + (int64_t)(uint64_t)(((otrace_u128)(tick - piece->tick) * piece->rate) >>
                                           OTRACE_CLOCK_SHIFT);
}

#endif
