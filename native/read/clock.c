/* Fitting anchors. A thread may have been preempted between the clock reads of an anchor, so one
 * anchor can be wrong by milliseconds: every number here is a median. */
#include "read/clock.h"

#include <stdlib.h>

#include "read/segment.h"

#define WINDOW_NS 1e9        /* drift is followed by a knot about every second */
#define WINDOW_ANCHORS 5u    /* a median of fewer would let an outlier through */
#define RATE_TOLERANCE 0.002 /* the kernel slews CLOCK_MONOTONIC by 0.05 % at most */
#define ROUNDS 3u            /* of windows' medians */
#define PAIRS_ALL 64u        /* up to this many anchors, all pairs vote for the rate */
#define NS_MAX 2e18
#define TICK_MAX 4e18

struct anchor {
    uint64_t tick, mono;
};

struct otrace_clock {
    uint32_t kind;
    struct anchor *anchors;
    size_t anchors_count, anchors_capacity;
    struct otrace_clock_piece *pieces;
    size_t pieces_count;
};

int otrace_clock_new(uint32_t kind, struct otrace_clock **clock) {
    *clock = NULL;
    if (kind < OTRACE_CLOCK_MONOTONIC || kind > OTRACE_CLOCK_CNTVCT) {
        return OTRACE_READ_ARGUMENT;
    }
    *clock = calloc(1, sizeof **clock);
    if (*clock == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    (*clock)->kind = kind;
    return OTRACE_READ_OK;
}

void otrace_clock_free(struct otrace_clock *clock) {
    if (clock != NULL) {
        free(clock->anchors);
        free(clock->pieces);
        free(clock);
    }
}

static bool reserve_anchors(struct otrace_clock *clock, size_t more) {
    size_t need = clock->anchors_count + more;
    if (need > clock->anchors_capacity) {
        void *grown = realloc(clock->anchors, 2 * need * sizeof *clock->anchors);
        if (grown == NULL) {
            return false;
        }
        clock->anchors = grown;
        clock->anchors_capacity = 2 * need;
    }
    return true;
}

/* The caller has reserved its place. */
static void add_anchor(struct otrace_clock *clock, const struct otrace_anchor *anchor) {
    const uint64_t limit = UINT64_C(1) << 62; /* beyond: damage */
    if (anchor->tick != 0 && anchor->mono_ns != 0 && anchor->tick < limit &&
        anchor->mono_ns < limit) {
        clock->anchors[clock->anchors_count++] = (struct anchor){anchor->tick, anchor->mono_ns};
    }
}

int otrace_clock_add(struct otrace_clock *clock, const struct otrace_segment *segment) {
    if (segment->header.clock_kind != clock->kind) {
        return OTRACE_READ_ARGUMENT;
    }
    if (!reserve_anchors(clock, (size_t)segment->entries_count + 2)) {
        return OTRACE_READ_NO_MEMORY;
    }
    add_anchor(clock, &segment->header.start_anchor);
    if (segment->header.state == OTRACE_SEGMENT_ENDED) {
        add_anchor(clock, &segment->header.end_anchor);
    }
    for (uint32_t i = 0; i < segment->entries_count; i++) {
        add_anchor(clock, &segment->entries[i].anchor);
    }
    return OTRACE_READ_OK;
}

static int compare_anchors(const void *left, const void *right) {
    const struct anchor *a = left, *b = right;
    return a->tick < b->tick ? -1 : a->tick > b->tick;
}

#define SPAN_ENOUGH UINT64_C(1000000000) /* ns of anchors: their own rate is good enough */

int otrace_clock_add_here(struct otrace_clock *clock) {
    if (clock->kind == OTRACE_CLOCK_MONOTONIC || clock->anchors_count == 0) {
        return OTRACE_READ_OK;
    }
    struct anchor first = clock->anchors[0], last = first;
    for (size_t i = 1; i < clock->anchors_count; i++) {
        const struct anchor *anchor = &clock->anchors[i];
        first = anchor->tick < first.tick ? *anchor : first;
        last = anchor->tick > last.tick ? *anchor : last;
    }
    struct otrace_anchor from = {first.tick, first.mono, 0}, to = {last.tick, last.mono, 0}, here;
    if (last.mono - first.mono < SPAN_ENOUGH && otrace_clock_here(clock->kind, &from, &to, &here)) {
        if (!reserve_anchors(clock, 1)) {
            return OTRACE_READ_NO_MEMORY;
        }
        add_anchor(clock, &here);
    }
    return OTRACE_READ_OK;
}

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double slope(const struct anchor *a, const struct anchor *b) {
    return (double)(int64_t)(b->mono - a->mono) / (double)(b->tick - a->tick);
}

/* The middle one of the rates between anchors that lie far apart; 0 when there is none. */
static double fit_rate(const struct anchor *anchors, size_t count, double *scratch) {
    size_t votes = 0;
    uint64_t far = count == 0 ? 0 : (anchors[count - 1].tick - anchors[0].tick) / 4;
    if (count <= PAIRS_ALL) {
        for (size_t i = 0; i < count; i++) {
            for (size_t j = i + 1; j < count; j++) {
                if (anchors[j].tick - anchors[i].tick > far) {
                    scratch[votes++] = slope(&anchors[i], &anchors[j]);
                }
            }
        }
    } else {
        for (size_t i = 0; i + count / 2 < count; i++) {
            if (anchors[i + count / 2].tick > anchors[i].tick) {
                scratch[votes++] = slope(&anchors[i], &anchors[i + count / 2]);
            }
        }
    }
    return votes == 0 ? 0 : median(scratch, votes);
}

struct knot {
    uint64_t tick;
    double ns; /* after the base */
};

struct fit {
    const struct anchor *anchors;
    double rate;
    uint64_t base;
    double *scratch;
    struct knot *knots;
    size_t knots_count;
    const struct knot *guess; /* knots of the round before */
    size_t guess_count, guess_at;
};

/* What is known so far: one line of the common rate, or the knots of the round before. Ticks come
 * in rising order. */
static double guess(struct fit *fit, uint64_t tick) {
    const struct anchor *origin = &fit->anchors[0];
    if (fit->guess_count < 2) {
        double start = (double)(int64_t)(origin->mono - fit->base);
        return start + fit->rate * (double)(tick - origin->tick);
    }
    if (fit->guess_at > 0 && tick < fit->guess[fit->guess_at].tick) {
        fit->guess_at = 0;
    }
    while (fit->guess_at + 2 < fit->guess_count && tick >= fit->guess[fit->guess_at + 1].tick) {
        fit->guess_at++;
    }
    const struct knot *knot = &fit->guess[fit->guess_at];
    double slope = (knot[1].ns - knot[0].ns) / (double)(knot[1].tick - knot[0].tick);
    return knot->ns + slope * ((double)tick - (double)knot->tick);
}

/* One knot for a window of anchors: its middle in time, off the guess by its middle residual. */
static void add_knot(struct fit *fit, size_t first, size_t end) {
    for (size_t i = first; i < end; i++) {
        const struct anchor *anchor = &fit->anchors[i];
        fit->scratch[i - first] =
            (double)(int64_t)(anchor->mono - fit->base) - guess(fit, anchor->tick);
    }
    struct knot knot = {.tick = fit->anchors[first + (end - first) / 2].tick};
    if ((end - first) % 2 == 0) { /* a median of an even number lies between two */
        knot.tick -= (knot.tick - fit->anchors[first + (end - first) / 2 - 1].tick) / 2;
    }
    knot.ns = guess(fit, knot.tick) + median(fit->scratch, end - first);
    if (fit->knots_count > 0) {
        const struct knot *last = &fit->knots[fit->knots_count - 1];
        double rise = knot.ns - last->ns, expected = fit->rate * (double)(knot.tick - last->tick);
        if (knot.tick <= last->tick || rise < expected * (1 - RATE_TOLERANCE) ||
            rise > expected * (1 + RATE_TOLERANCE)) {
            return;
        }
    }
    fit->knots[fit->knots_count++] = knot;
}

static void fit_knots(struct fit *fit, size_t count) {
    size_t first = 0;
    fit->guess_at = fit->knots_count = 0;
    for (size_t end = 1; end <= count; end++) {
        double span = fit->rate * (double)(fit->anchors[end - 1].tick - fit->anchors[first].tick);
        double rest =
            fit->rate * (double)(fit->anchors[count - 1].tick - fit->anchors[end - 1].tick);
        bool full = span >= WINDOW_NS && end - first >= WINDOW_ANCHORS;
        bool enough_left = count - end >= WINDOW_ANCHORS && rest >= WINDOW_NS;
        if (end == count || (full && enough_left)) {
            add_knot(fit, first, end);
            first = end;
        }
    }
}

/* A piece may be used up to where its result would leave the range of times. */
static uint64_t overflow_tick(const struct otrace_clock_piece *piece) {
    otrace_u128 span = ((otrace_u128)NS_MAX << OTRACE_CLOCK_SHIFT) / piece->rate;
    return span > UINT64_MAX - piece->tick ? UINT64_MAX : piece->tick + (uint64_t)span;
}

static uint64_t fixed_rate(double rate) {
    double fixed = rate * (double)(UINT64_C(1) << OTRACE_CLOCK_SHIFT);
    return fixed < 1 ? 1 : fixed > 9e18 ? (uint64_t)9e18 : (uint64_t)fixed;
}

static double clamp(double value, double low, double high) {
    return value < low ? low : value > high ? high : value;
}

/* Where the first line crosses 0 ns; time before it is 0. */
static struct otrace_clock_piece first_piece(const struct knot *knot, double rate) {
    double start = (double)knot->tick - knot->ns / rate;
    struct otrace_clock_piece piece = {.rate = fixed_rate(rate)};
    if (start >= 0) {
        piece.tick = (uint64_t)clamp(start, 0, TICK_MAX);
    } else {
        piece.ns = (int64_t)clamp(-start * rate, 0, NS_MAX);
    }
    return piece;
}

/* Pieces from knots: [0] holds the time before the base and is flat. */
static int build_pieces(struct otrace_clock *clock, const struct knot *knots, size_t count,
                        double rate) {
    struct otrace_clock_piece *pieces = calloc(count + 2, sizeof *pieces);
    if (pieces == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    double first =
        count < 2 ? rate : (knots[1].ns - knots[0].ns) / (double)(knots[1].tick - knots[0].tick);
    size_t used = 1;
    pieces[used++] = first_piece(&knots[0], first);
    for (size_t i = 1; i < count; i++) {
        struct otrace_clock_piece *piece = &pieces[used], *last = &pieces[used - 1];
        int64_t ns = (int64_t)clamp(knots[i].ns, 0, NS_MAX);
        if (knots[i].tick <= last->tick || ns <= last->ns) {
            continue;
        }
        /* Rounded down: a piece must not rise above the next one's beginning. */
        last->rate = (uint64_t)(((otrace_u128)(ns - last->ns) << OTRACE_CLOCK_SHIFT) /
                                (knots[i].tick - last->tick));
        *piece = (struct otrace_clock_piece){.tick = knots[i].tick, .ns = ns, .rate = last->rate};
        used++;
    }
    pieces[0].end = pieces[1].tick;
    for (size_t i = 1; i + 1 < used; i++) {
        pieces[i].end = pieces[i + 1].tick;
    }
    pieces[used - 1].rate += pieces[used - 1].rate == 0;
    pieces[used - 1].end = overflow_tick(&pieces[used - 1]);
    free(clock->pieces);
    clock->pieces = pieces;
    clock->pieces_count = used;
    return OTRACE_READ_OK;
}

int otrace_clock_fit(struct otrace_clock *clock, uint64_t base) {
    base = base > (UINT64_C(1) << 62) ? 0 : base;
    if (clock->kind == OTRACE_CLOCK_MONOTONIC) {
        struct knot knot = {base, 0};
        return build_pieces(clock, &knot, 1, 1);
    }
    size_t count = clock->anchors_count;
    size_t votes = count <= PAIRS_ALL ? PAIRS_ALL * PAIRS_ALL : count;
    struct fit fit = {.anchors = clock->anchors, .base = base};
    fit.scratch = malloc(votes * sizeof *fit.scratch);
    struct knot *rounds = malloc(2 * (count + 1) * sizeof *rounds);
    fit.knots = rounds;
    int result = OTRACE_READ_NO_MEMORY;
    if (fit.scratch != NULL && fit.knots != NULL) {
        if (count > 0) {
            qsort(clock->anchors, count, sizeof *clock->anchors, compare_anchors);
        }
        fit.rate = fit_rate(clock->anchors, count, fit.scratch);
        if (!(fit.rate > 1e-6 && fit.rate < 3e4)) {
            fit.rate = 1; /* one anchor, or nonsense: the order is right at least */
        }
        for (size_t round = 1; count > 0 && round <= ROUNDS; round++) {
            fit_knots(&fit, count);
            if (round < ROUNDS) { /* medians of a flat residual are not pulled by outliers */
                fit.guess = fit.knots;
                fit.guess_count = fit.knots_count;
                fit.knots = rounds + round % 2 * (count + 1);
            }
        }
        if (count == 0) {
            fit.knots[fit.knots_count++] = (struct knot){base, 0};
        }
        result = build_pieces(clock, fit.knots, fit.knots_count, fit.rate);
    }
    free(fit.scratch);
    free(rounds);
    return result;
}

const struct otrace_clock_piece *otrace_clock_find(const struct otrace_clock *clock,
                                                   uint64_t tick) {
    size_t low = 0, high = clock->pieces_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (clock->pieces[middle].tick <= tick) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &clock->pieces[low];
}

int64_t otrace_clock_convert(const struct otrace_clock *clock, uint64_t tick) {
    const struct otrace_clock_piece *piece = otrace_clock_find(clock, tick);
    return otrace_clock_piece_convert(piece, tick < piece->end ? tick : piece->end);
}
