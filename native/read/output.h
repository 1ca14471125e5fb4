/* Where encoders write: straight into the caller's block while a row is sure to fit, else into a
 * spill that is handed out over the next blocks. */
#ifndef OTRACE_READ_OUTPUT_H
#define OTRACE_READ_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OTRACE_BLOCK_MIN 4096u

struct otrace_output {
    char *to, *end; /* what is free of the caller's block */
    char *spill;
    size_t spill_size, spill_done, spill_capacity;
    bool failed; /* memory ran out: rows are incomplete */
};

/* Moves as much of the spill as fits into the block. */
void otrace_output_drain(struct otrace_output *output);
/* Room for `size` more bytes at the end of the spill, NULL without memory. */
char *otrace_output_spill(struct otrace_output *output, size_t size);
void otrace_output_free(struct otrace_output *output);

/* Fills a block: `write` is called until the block is full or there is no more, which it tells by 0
 * (1: it wrote something, or a negative status). `*written` is 0 at the end. 0 or a negative
 * status. */
int otrace_output_fill(struct otrace_output *output, char *buffer, size_t capacity, size_t *written,
                       int (*write)(void *encoder), void *encoder);

/* Starts a block with what the last one had no room for. */
static inline void otrace_output_begin(struct otrace_output *output, char *buffer,
                                       size_t capacity) {
    output->to = buffer;
    output->end = buffer + capacity;
    otrace_output_drain(output);
}

static inline bool otrace_output_full(const struct otrace_output *output) {
    return output->to == output->end || output->spill_size > 0;
}

/* A place for up to `bound` bytes; NULL without memory. Ends with otrace_output_commit. */
static inline char *otrace_output_reserve(struct otrace_output *output, size_t bound) {
    if (output->spill_size == 0 && bound <= (size_t)(output->end - output->to)) {
        return output->to;
    }
    return otrace_output_spill(output, bound);
}

static inline void otrace_output_commit(struct otrace_output *output, char *end) {
    if (output->spill_size == 0 && end >= output->to && end <= output->end) {
        output->to = end;
        return;
    }
    output->spill_size = (size_t)(end - output->spill);
}

static inline void otrace_output_append(struct otrace_output *output, const void *bytes,
                                        size_t size) {
    char *to = otrace_output_reserve(output, size);
    if (to != NULL) {
        memcpy(to, bytes, size);
        otrace_output_commit(output, to + size);
    }
}

#endif
