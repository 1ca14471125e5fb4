/* Begin edges without the calls that turn out too short.
 *
 * Edges wait in a queue while its first one is the begin of a call that is still shorter than the
 * limit. Such a call is told of as soon as anything happens later than the limit after its begin,
 * and taken out when it ends before. So the queue holds what happens within one limit's time. */
#include <stdlib.h>
#include <string.h>

#include "read/decoder.h"

#define WAITING_MAX (1u << 18) /* beyond it short calls are told of rather than kept waiting */

enum waiting_state { WAITING_READY, WAITING_UNDECIDED, WAITING_DROPPED };

struct waiting {
    struct otrace_edge edge;
    otrace_word *words; /* copies of the edge's attributes, begin's then end's */
    enum waiting_state state;
};

struct otrace_lookahead {
    struct otrace_decoder *decoder;
    int64_t min_ns;
    struct waiting *ring;
    uint64_t *undecided; /* positions of undecided begins, innermost last */
    uint64_t first, end, undecided_first, undecided_end; /* positions only grow; masked by size */
    uint64_t size, calls_short;
    otrace_word *retired;
    bool ended;
};

int otrace_lookahead_new(struct otrace_segment *segment, uint32_t track_index,
                         const struct otrace_clock *clock, uint32_t options,
                         struct otrace_lookahead **out) {
    struct otrace_lookahead *lookahead = calloc(1, sizeof *lookahead);
    *out = lookahead;
    if (lookahead == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    int status = otrace_decoder_new(segment, track_index, clock, options | OTRACE_DECODE_ALL,
                                    &lookahead->decoder);
    lookahead->min_ns = (int64_t)segment->header.min_duration_ns;
    lookahead->size = 256;
    lookahead->ring = malloc(lookahead->size * sizeof *lookahead->ring);
    lookahead->undecided = malloc(lookahead->size * sizeof *lookahead->undecided);
    if (status == 0 && (lookahead->ring == NULL || lookahead->undecided == NULL)) {
        status = OTRACE_READ_NO_MEMORY;
    }
    return status; /* the caller frees */
}

void otrace_lookahead_limit(struct otrace_lookahead *lookahead, const struct otrace_track *part) {
    otrace_decoder_limit(lookahead->decoder, part);
}

void otrace_lookahead_free(struct otrace_lookahead *lookahead) {
    if (lookahead == NULL) {
        return;
    }
    for (; lookahead->ring != NULL && lookahead->first < lookahead->end; lookahead->first++) {
        free(lookahead->ring[lookahead->first & (lookahead->size - 1)].words);
    }
    otrace_decoder_free(lookahead->decoder);
    free(lookahead->ring);
    free(lookahead->undecided);
    free(lookahead->retired);
    free(lookahead);
}

void otrace_lookahead_counts(const struct otrace_lookahead *lookahead,
                             struct otrace_decode_counts *counts) {
    otrace_decoder_counts(lookahead->decoder, counts);
    counts->calls_short = lookahead->calls_short;
}

static struct waiting *at(struct otrace_lookahead *lookahead, uint64_t position) {
    return &lookahead->ring[position & (lookahead->size - 1)];
}

static bool grow(struct otrace_lookahead *lookahead) {
    uint64_t size = lookahead->size * 2;
    struct waiting *ring = malloc(size * sizeof *ring);
    uint64_t *undecided = malloc(size * sizeof *undecided);
    if (ring == NULL || undecided == NULL) {
        free(ring);
        free(undecided);
        return false;
    }
    for (uint64_t i = lookahead->first; i < lookahead->end; i++) {
        ring[i & (size - 1)] = *at(lookahead, i);
    }
    for (uint64_t i = lookahead->undecided_first; i < lookahead->undecided_end; i++) {
        undecided[i & (size - 1)] = lookahead->undecided[i & (lookahead->size - 1)];
    }
    free(lookahead->ring);
    free(lookahead->undecided);
    lookahead->ring = ring;
    lookahead->undecided = undecided;
    lookahead->size = size;
    return true;
}

static uint64_t undecided_at(const struct otrace_lookahead *lookahead, uint64_t index) {
    return lookahead->undecided[index & (lookahead->size - 1)];
}

/* Decides on the calls that have lived long enough at `ns`, outermost first. */
static void decide(struct otrace_lookahead *lookahead, int64_t ns, bool all) {
    while (lookahead->undecided_first < lookahead->undecided_end) {
        struct waiting *oldest = at(lookahead, undecided_at(lookahead, lookahead->undecided_first));
        if (!all && ns - oldest->edge.start_ns < lookahead->min_ns) {
            break;
        }
        oldest->state = WAITING_READY;
        lookahead->undecided_first++;
    }
}

/* The attributes of a waiting edge must outlive the decoder's next step. */
static bool copy_attributes(struct waiting *waiting) {
    struct otrace_edge *edge = &waiting->edge;
    size_t begins = edge->begin_attributes.count, ends = edge->end_attributes.count;
    waiting->words = NULL;
    if (begins + ends == 0) {
        return true;
    }
    waiting->words = malloc((begins + ends) * sizeof *waiting->words);
    if (waiting->words == NULL) {
        return false;
    }
    if (begins > 0) {
        memcpy(waiting->words, edge->begin_attributes.words, begins * sizeof *waiting->words);
    }
    if (ends > 0) {
        memcpy(waiting->words + begins, edge->end_attributes.words, ends * sizeof *waiting->words);
    }
    edge->begin_attributes.words = waiting->words;
    edge->end_attributes.words = waiting->words + begins;
    return true;
}

static int put(struct otrace_lookahead *lookahead, const struct otrace_edge *edge) {
    bool undecided = edge->kind == OTRACE_EDGE_BEGIN && !(edge->flags & OTRACE_CALL_EVENT);
    if (lookahead->end - lookahead->first >= WAITING_MAX) {
        decide(lookahead, 0, true);
        undecided = false;
    }
    if (lookahead->end - lookahead->first == lookahead->size && !grow(lookahead)) {
        return OTRACE_READ_NO_MEMORY;
    }
    struct waiting *waiting = at(lookahead, lookahead->end);
    *waiting = (struct waiting){*edge, NULL, undecided ? WAITING_UNDECIDED : WAITING_READY};
    if (!copy_attributes(waiting)) {
        return OTRACE_READ_NO_MEMORY;
    }
    if (undecided) {
        uint64_t index = lookahead->undecided_end++;
        lookahead->undecided[index & (lookahead->size - 1)] = lookahead->end;
    }
    lookahead->end++;
    return OTRACE_READ_OK;
}

/* Takes the innermost undecided call out when this is its end. */
static bool drop(struct otrace_lookahead *lookahead, const struct otrace_edge *edge) {
    if (edge->kind != OTRACE_EDGE_END || lookahead->undecided_first == lookahead->undecided_end) {
        return false;
    }
    struct waiting *innermost =
        at(lookahead, undecided_at(lookahead, lookahead->undecided_end - 1));
    if (innermost->edge.index != edge->index) {
        return false;
    }
    innermost->state = WAITING_DROPPED;
    lookahead->undecided_end--;
    lookahead->calls_short++;
    return true;
}

/* Gives the first waiting edge away, if it is decided; 1 or 0. */
static int give(struct otrace_lookahead *lookahead, struct otrace_edge *edge) {
    while (lookahead->first < lookahead->end) {
        struct waiting *first = at(lookahead, lookahead->first);
        if (first->state == WAITING_UNDECIDED) {
            return 0;
        }
        lookahead->first++;
        free(lookahead->retired);
        lookahead->retired = first->words;
        if (first->state == WAITING_READY) {
            *edge = first->edge;
            return 1;
        }
    }
    return 0;
}

int otrace_lookahead_step(struct otrace_lookahead *lookahead, struct otrace_edge *edge) {
    if (give(lookahead, edge)) {
        return 1;
    }
    if (lookahead->ended) {
        return OTRACE_DECODER_END;
    }
    struct otrace_edge next;
    int status = otrace_decoder_next(lookahead->decoder, &next);
    if (status < 0) {
        return status;
    }
    if (status == 0) {
        lookahead->ended = true;
        decide(lookahead, 0, true);
        return 0;
    }
    bool open = next.flags & OTRACE_CALL_OPEN;
    decide(lookahead, next.kind == OTRACE_EDGE_END ? next.end_ns : next.start_ns, open);
    if (drop(lookahead, &next)) {
        return 0;
    }
    if (lookahead->first == lookahead->end &&
        (next.kind != OTRACE_EDGE_BEGIN || next.flags & OTRACE_CALL_EVENT)) {
        *edge = next; /* nothing waits: straight through */
        return 1;
    }
    return put(lookahead, &next);
}
