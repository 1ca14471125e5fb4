/* Events of speedscope's evented profiles: `{"type":"O","frame":3,"at":120}`, a comma before each
 * but the first. Calls nest strictly, so each close is of the frame opened last; events that do not
 * nest are left out. */
#include <stdlib.h>

#include "api_profile.h"
#include "read/decode.h"
#include "read/json.h"
#include "read/segment.h"

#define ROW_BOUND 96u

struct otrace_speedscope {
    struct otrace_decoder *decoder;
    struct otrace_output output;
    struct otrace_edge *open; /* calls that never ended, outermost first */
    uint32_t open_count, open_capacity;
    const uint32_t *frames;
    uint32_t frames_count;
    uint64_t calls;
    int64_t end_ns;
    bool started, finished;
};

int otrace_speedscope_new(struct otrace_segment *segment, uint32_t track_index,
                          const struct otrace_clock *clock, const uint32_t *frames,
                          uint32_t frames_count, int64_t end_ns, struct otrace_speedscope **out) {
    struct otrace_speedscope *made = *out = calloc(1, sizeof *made);
    if (made == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    made->frames = frames;
    made->frames_count = frames_count;
    made->end_ns = end_ns;
    int status =
        otrace_decoder_new(segment, track_index, clock, OTRACE_DECODE_BEGINS, &made->decoder);
    if (status != 0) {
        otrace_speedscope_free(made);
        *out = NULL;
    }
    return status;
}

void otrace_speedscope_free(struct otrace_speedscope *speedscope) {
    if (speedscope == NULL) {
        return;
    }
    otrace_decoder_free(speedscope->decoder);
    otrace_output_free(&speedscope->output);
    free(speedscope->open);
    free(speedscope);
}

uint64_t otrace_speedscope_calls(const struct otrace_speedscope *speedscope) {
    return speedscope->calls;
}

int64_t otrace_speedscope_end(const struct otrace_speedscope *speedscope) {
    return speedscope->end_ns;
}

static void write_row(struct otrace_speedscope *speedscope, char type, uint32_t id, int64_t ns) {
    struct otrace_output *output = &speedscope->output;
    char *to = otrace_output_reserve(output, ROW_BOUND);
    if (to == NULL) {
        return;
    }
    if (speedscope->started) {
        to = WRITE(to, ",\n");
    }
    speedscope->started = true;
    to = WRITE(to, "{\"type\":\"");
    *to++ = type;
    to = WRITE(to, "\",\"frame\":");
    to = otrace_write_unsigned(to, speedscope->frames[id < speedscope->frames_count ? id : 0]);
    to = WRITE(to, ",\"at\":");
    to = otrace_write_unsigned(to, (uint64_t)ns);
    *to++ = '}';
    otrace_output_commit(output, to);
}

static int keep_open(struct otrace_speedscope *speedscope, const struct otrace_edge *edge) {
    if (speedscope->open_count == speedscope->open_capacity) {
        uint32_t capacity = speedscope->open_capacity == 0 ? 64 : 2 * speedscope->open_capacity;
        struct otrace_edge *grown = realloc(speedscope->open, capacity * sizeof *grown);
        if (grown == NULL) {
            return OTRACE_READ_NO_MEMORY;
        }
        speedscope->open = grown;
        speedscope->open_capacity = capacity;
    }
    speedscope->open[speedscope->open_count++] = *edge;
    return OTRACE_READ_OK;
}

static int write_edge(struct otrace_speedscope *speedscope, const struct otrace_edge *edge) {
    switch (edge->kind) {
    case OTRACE_EDGE_BEGIN:
        write_row(speedscope, 'O', edge->id, edge->start_ns);
        speedscope->calls++;
        return OTRACE_READ_OK;
    case OTRACE_EDGE_END:
        write_row(speedscope, 'C', edge->id, edge->end_ns);
        return OTRACE_READ_OK;
    case OTRACE_EDGE_OPEN:
        return keep_open(speedscope, edge);
    default:
        return OTRACE_READ_OK;
    }
}

/* At the track's end: closes one of the calls that never ended; 0 when there is none. */
static int close_one(struct otrace_speedscope *speedscope) {
    if (!speedscope->finished) {
        struct otrace_decode_counts counts;
        otrace_decoder_counts(speedscope->decoder, &counts);
        if (counts.last_ns > speedscope->end_ns) {
            speedscope->end_ns = counts.last_ns;
        }
        speedscope->finished = true;
    }
    if (speedscope->open_count == 0) {
        return 0;
    }
    write_row(speedscope, 'C', speedscope->open[--speedscope->open_count].id, speedscope->end_ns);
    return 1;
}

static int advance(struct otrace_speedscope *speedscope) {
    struct otrace_edge edge;
    if (speedscope->finished) {
        return close_one(speedscope);
    }
    int status = otrace_decoder_next(speedscope->decoder, &edge);
    if (status <= 0) {
        return status < 0 ? status : close_one(speedscope);
    }
    status = write_edge(speedscope, &edge);
    return status < 0 ? status : 1;
}

int otrace_speedscope_next(struct otrace_speedscope *speedscope, char *buffer, size_t capacity,
                           size_t *written) {
    struct otrace_output *output = &speedscope->output;
    int status = 1;
    *written = 0;
    if (capacity < OTRACE_BLOCK_MIN) {
        return OTRACE_READ_ARGUMENT;
    }
    otrace_output_begin(output, buffer, capacity);
    while (!otrace_output_full(output) && (status = advance(speedscope)) > 0) {
        if (output->spill_size > 0) {
            otrace_output_drain(output);
        }
    }
    *written = (size_t)(output->to - buffer);
    return output->failed ? OTRACE_READ_NO_MEMORY : status < 0 ? status : OTRACE_READ_OK;
}
