/* Attributes of events, instants and counters: key, value, key, value... */
#ifndef OTRACE_READ_ATTRIBUTES_H
#define OTRACE_READ_ATTRIBUTES_H

#include <stdbool.h>
#include <string.h>

#include "read/decode.h"

#define OTRACE_VALUE_DEPTH_MAX 8 /* lists in lists deeper than this are left out */

struct otrace_value {
    uint32_t type; /* enum otrace_value_type */
    uint32_t size; /* bytes of payload */
    bool cut;
    const otrace_word *payload;
};

/* A place in attributes, or in the values of a list. */
struct otrace_values {
    const otrace_word *position, *end;
};

static inline struct otrace_values otrace_values_of(const struct otrace_attributes *attributes) {
    return (struct otrace_values){attributes->words, attributes->words + attributes->count};
}

static inline struct otrace_values otrace_values_in(const struct otrace_value *list) {
    return (struct otrace_values){list->payload, list->payload + list->size / 4};
}

/* The next value; false at the end, or where the words stop to make sense. */
static inline bool otrace_values_next(struct otrace_values *values, struct otrace_value *value) {
    if (values->position >= values->end) {
        return false;
    }
    otrace_word word = *values->position;
    value->type = word & 0xff & ~OTRACE_VALUE_CUT;
    value->cut = (word & OTRACE_VALUE_CUT) != 0;
    value->size = word >> 8;
    value->payload = values->position + 1;
    uint32_t words = (value->size + 3) / 4;
    bool number = value->type == OTRACE_VALUE_INT || value->type == OTRACE_VALUE_FLOAT;
    if (words > (size_t)(values->end - value->payload) || (number && value->size != 8)) {
        return false;
    }
    values->position = value->payload + words;
    return true;
}

/* The next key and its value. */
static inline bool otrace_attributes_next(struct otrace_values *values, uint32_t *key,
                                          struct otrace_value *value) {
    if (values->position >= values->end) {
        return false;
    }
    *key = *values->position++;
    return otrace_values_next(values, value);
}

static inline int64_t otrace_value_int(const struct otrace_value *value) {
    int64_t number;
    memcpy(&number, value->payload, sizeof number);
    return number;
}

static inline double otrace_value_float(const struct otrace_value *value) {
    double number;
    memcpy(&number, value->payload, sizeof number);
    return number;
}

#endif
