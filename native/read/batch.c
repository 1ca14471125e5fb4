/* Calls as columns. */
#include <stdlib.h>
#include <string.h>

#include "read/decode.h"
#include "read/segment.h"

#define PAYLOAD_FULL (1u << 18) /* words: a batch ends early rather than to hold more */
#define MARKS_FULL (1u << 14)

struct otrace_batches {
    struct otrace_decoder *decoder;
    struct otrace_mark *marks;
    uint32_t marks_count, marks_capacity;
    otrace_word *payload;
    uint64_t payload_words, payload_capacity;
    uint8_t *kept; /* by name id; NULL: all */
    uint32_t names_count;
};

int otrace_batches_new(struct otrace_segment *segment, uint32_t track_index,
                       const struct otrace_clock *clock, struct otrace_batches **out) {
    struct otrace_batches *batches = *out = calloc(1, sizeof *batches);
    if (batches == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    batches->names_count = segment->names_count;
    int status = otrace_decoder_new(segment, track_index, clock, 0, &batches->decoder);
    if (status != 0) {
        otrace_batches_free(batches);
        *out = NULL;
    }
    return status;
}

int otrace_batches_keep(struct otrace_batches *batches, const uint32_t *ids, uint32_t count) {
    if (batches->kept == NULL) {
        batches->kept = calloc((size_t)batches->names_count + 1, 1);
    }
    for (uint32_t i = 0; batches->kept != NULL && i < count; i++) {
        if (ids[i] <= batches->names_count) {
            batches->kept[ids[i]] = 1;
        }
    }
    return batches->kept == NULL ? OTRACE_READ_NO_MEMORY : OTRACE_READ_OK;
}

static bool is_kept(const struct otrace_batches *batches, const struct otrace_edge *edge) {
    bool is_mark = edge->kind == OTRACE_EDGE_INSTANT || edge->kind == OTRACE_EDGE_COUNTER ||
                   edge->flags & OTRACE_CALL_EVENT;
    return batches->kept == NULL ||
           (!is_mark && edge->id <= batches->names_count && batches->kept[edge->id]);
}

void otrace_batches_free(struct otrace_batches *batches) {
    if (batches != NULL) {
        otrace_decoder_free(batches->decoder);
        free(batches->marks);
        free(batches->payload);
        free(batches->kept);
        free(batches);
    }
}

static void *grown(void *items, size_t size, uint64_t need, uint64_t *capacity) {
    if (need <= *capacity) {
        return items;
    }
    void *more = realloc(items, 2 * need * size);
    if (more != NULL) {
        *capacity = 2 * need;
    }
    return more;
}

static int add_mark(struct otrace_batches *batches, struct otrace_mark mark,
                    const struct otrace_attributes *attributes) {
    uint64_t capacity = batches->marks_capacity;
    void *marks = grown(batches->marks, sizeof mark, batches->marks_count + 1u, &capacity);
    if (marks == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    batches->marks = marks;
    batches->marks_capacity = (uint32_t)capacity;
    otrace_word *payload =
        grown(batches->payload, sizeof *payload, batches->payload_words + attributes->count + 1,
              &batches->payload_capacity);
    if (payload == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    batches->payload = payload;
    mark.offset = batches->payload_words;
    mark.words = attributes->count;
    if (attributes->count > 0) {
        memcpy(payload + mark.offset, attributes->words, attributes->count * sizeof *payload);
    }
    batches->payload_words += attributes->count;
    batches->marks[batches->marks_count++] = mark;
    return OTRACE_READ_OK;
}

static void set_row(const struct otrace_columns *columns, uint32_t row,
                    const struct otrace_edge *edge) {
    columns->start_ns[row] = edge->start_ns;
    columns->duration_ns[row] = edge->flags & OTRACE_CALL_OPEN ? -1 : edge->end_ns - edge->start_ns;
    columns->function[row] = edge->id;
    columns->depth[row] = edge->depth;
    columns->index[row] = edge->index;
    columns->parent[row] = edge->parent;
    columns->flags[row] = edge->flags;
    columns->exception[row] = edge->exception;
    columns->activation[row] = edge->activation;
    columns->task[row] = edge->task;
}

static int add_event_marks(struct otrace_batches *batches, const struct otrace_edge *edge,
                           uint32_t row) {
    struct otrace_mark mark = {
        .kind = OTRACE_MARK_EVENT_BEGIN,
        .row = row,
        .time_ns = edge->start_ns,
        .name = edge->id,
        .instance = edge->instance,
        .task = edge->task,
        .parent = edge->parent,
    };
    int status = add_mark(batches, mark, &edge->begin_attributes);
    if (status == 0 && edge->end_attributes.count > 0) {
        mark.kind = OTRACE_MARK_EVENT_END;
        mark.time_ns = edge->end_ns;
        status = add_mark(batches, mark, &edge->end_attributes);
    }
    return status;
}

static int add_edge(struct otrace_batches *batches, const struct otrace_columns *columns,
                    uint32_t *rows, const struct otrace_edge *edge) {
    if (edge->kind == OTRACE_EDGE_INSTANT || edge->kind == OTRACE_EDGE_COUNTER) {
        struct otrace_mark mark = {
            .kind = edge->kind == OTRACE_EDGE_INSTANT ? OTRACE_MARK_INSTANT : OTRACE_MARK_COUNTER,
            .time_ns = edge->start_ns,
            .name = edge->id,
            .scope = edge->scope,
            .task = edge->task,
            .parent = edge->parent,
        };
        return add_mark(batches, mark, &edge->begin_attributes);
    }
    uint32_t row = (*rows)++;
    set_row(columns, row, edge);
    return edge->flags & OTRACE_CALL_EVENT ? add_event_marks(batches, edge, row) : 0;
}

int otrace_batches_next(struct otrace_batches *batches, const struct otrace_columns *columns,
                        struct otrace_batch *batch) {
    struct otrace_edge edge;
    uint32_t rows = 0;
    int status = 0;
    memset(batch, 0, sizeof *batch);
    batches->marks_count = 0;
    batches->payload_words = 0;
    while (rows < columns->capacity && batches->marks_count < MARKS_FULL &&
           batches->payload_words < PAYLOAD_FULL) {
        status = otrace_decoder_next(batches->decoder, &edge);
        if (status > 0 && !is_kept(batches, &edge)) {
            continue;
        }
        if (status > 0) {
            status = add_edge(batches, columns, &rows, &edge);
        } else {
            break;
        }
        if (status < 0) {
            break;
        }
    }
    batch->rows = rows;
    batch->marks = batches->marks;
    batch->marks_count = batches->marks_count;
    batch->payload = batches->payload;
    batch->payload_words = batches->payload_words;
    return status < 0 ? status : OTRACE_READ_OK;
}
