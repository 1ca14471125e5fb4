/* Walking the words of a chunk. */
#ifndef OTRACE_WORDS_H
#define OTRACE_WORDS_H

#include <stddef.h>

#include "format.h"

static inline uint32_t otrace_word_kind(otrace_word word) {
    return word >> 29;
}

/* Of a short word: the low bits of its id, and of its time. */
static inline uint32_t otrace_word_id(otrace_word word) {
    return word >> OTRACE_DELTA_SHORT_BITS & 0x1fff;
}

static inline uint32_t otrace_word_delta(otrace_word word) {
    return word & 0xffff;
}

static inline uint32_t otrace_word_sub(otrace_word word) {
    return word >> 24 & 0x1f;
}

static inline uint32_t otrace_word_argument(otrace_word word) {
    return word & 0xffffff;
}

static inline uint32_t otrace_record_flags(otrace_word word) {
    return word >> 16 & 0xff;
}

static inline uint64_t otrace_words_tick(const otrace_word *words) {
    return words[0] | (uint64_t)words[1] << 32;
}

/* The words that a known record of several words has at least. */
static inline uint32_t otrace_record_minimum(uint32_t sub) {
    switch (sub) {
    case OTRACE_X_TICK:
    case OTRACE_X_PAUSE:
        return 3;
    case OTRACE_X_SYNC:
    case OTRACE_X_OPEN:
    case OTRACE_X_INSTANT:
    case OTRACE_X_COUNTER:
    case OTRACE_X_FLOW:
        return 4;
    case OTRACE_X_EVENT_BEGIN:
    case OTRACE_X_EVENT_END:
    case OTRACE_X_SPAN_CURRENT:
        return 5;
    case OTRACE_X_SPAN_BEGIN:
        return 9;
    case OTRACE_X_TASK_INFO:
        return 7;
    case OTRACE_X_SPAN_END:
        return 16;
    default:
        return 1;
    }
}

/* Words of the record at `word`, a short or prefix word being one; 0: none that is whole and
 * makes sense (also the zero word that ends a chunk). */
static inline uint32_t otrace_record_words(const otrace_word *word, const otrace_word *end) {
    uint32_t kind = otrace_word_kind(*word), sub = otrace_word_sub(*word);
    if (kind != OTRACE_EXTENDED) {
        return kind != 0;
    }
    if (sub < OTRACE_X_TICK) {
        return sub != 0;
    }
    uint32_t words = *word & 0xffff;
    return words >= otrace_record_minimum(sub) && words <= (size_t)(end - word) ? words : 0;
}

#endif
