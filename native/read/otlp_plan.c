/* The plan's life, the ids of its spans, and questions about what it holds. */
#include "read/otlp.h"

#define ODD UINT64_C(0x9e3779b97f4a7c15)
#define WINDOWS_MAX (1u << 16)
#define CELLS_MAX (1u << 26)

/* A bijection that spreads its input over all bits. */
static uint64_t mix(uint64_t value) {
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* Zero is no span id. */
static uint64_t id_of(uint64_t seed, uint64_t number) {
    uint64_t id = mix(seed + number * ODD);
    return id != 0 ? id : 1;
}

uint64_t otrace_otlp_call_id(const struct otrace_otlp *plan, uint32_t track, uint64_t index) {
    return id_of(plan->tracks[track].seed, index);
}

uint64_t otrace_otlp_collapsed_id(const struct otrace_otlp *plan, uint32_t track, uint32_t window,
                                  uint64_t number) {
    return id_of(mix(plan->tracks[track].seed ^ 1), (uint64_t)window << 40 | number);
}

static uint64_t thread_id(const struct otrace_otlp *plan, uint32_t track, uint32_t window) {
    return id_of(mix(plan->tracks[track].seed ^ 2), window);
}

/* Of the request that began at a tick: known wherever it is seen, in any plan of the export. */
void otrace_otlp_request_ids(const struct otrace_otlp_track *track, uint64_t tick,
                             uint64_t trace_id[2], uint64_t *span_id) {
    trace_id[0] = id_of(mix(track->request_seed ^ 4), tick);
    trace_id[1] = id_of(mix(track->request_seed ^ 5), tick);
    *span_id = id_of(mix(track->request_seed ^ 6), tick);
}

int otrace_otlp_set_requests(struct otrace_otlp *plan, uint32_t number, const uint8_t *kinds,
                             uint32_t count, uint64_t identity) {
    struct otrace_otlp_track *track = &plan->tracks[number];
    if (number >= plan->tracks_count || track->requests != NULL) {
        return OTRACE_READ_ARGUMENT;
    }
    track->requests = malloc(count + 1u);
    if (track->requests == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    memcpy(track->requests, kinds, count);
    track->requests_size = count;
    track->request_seed = mix(plan->options.requests_salt + identity * ODD);
    return OTRACE_READ_OK;
}

uint64_t otrace_otlp_own_id(const struct otrace_otlp *plan, uint32_t window, uint32_t number) {
    return id_of(mix(plan->options.salt ^ 3), (uint64_t)window << 32 | number);
}

bool otrace_otlp_grow(void *items, size_t size, uint32_t count, uint32_t *capacity) {
    if (count < *capacity) {
        return true;
    }
    uint32_t more = *capacity == 0 ? 64 : *capacity * 2;
    void **place = items, *grown = more > *capacity ? realloc(*place, more * size) : NULL;
    if (grown == NULL) {
        return false;
    }
    *place = grown;
    *capacity = more;
    return true;
}

int otrace_otlp_new(const struct otrace_otlp_options *options, struct otrace_otlp **out) {
    *out = NULL;
    uint64_t cells = (uint64_t)options->windows * options->tracks;
    if (options->windows == 0 || options->windows > WINDOWS_MAX || options->window_ns <= 0 ||
        cells > CELLS_MAX || options->max_spans == 0 || options->max_depth == 0 ||
        (options->requests && options->tracks != 1)) {
        return OTRACE_READ_ARGUMENT;
    }
    struct otrace_otlp *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    plan->options = *options;
    plan->windows = calloc(options->windows, sizeof *plan->windows);
    plan->tracks = calloc(options->tracks + 1u, sizeof *plan->tracks);
    plan->cells = calloc(cells + 1, sizeof *plan->cells);
    plan->found = calloc(options->requests ? options->windows : 1, sizeof *plan->found);
    if (plan->windows == NULL || plan->tracks == NULL || plan->cells == NULL ||
        plan->found == NULL) {
        otrace_otlp_free(plan);
        return OTRACE_READ_NO_MEMORY;
    }
    for (uint64_t i = 0; i < cells; i++) {
        plan->cells[i].part.first_ns = plan->cells[i].part.last_ns = -1;
        plan->cells[i].marks.first = plan->cells[i].marks.last = OTRACE_OTLP_NONE;
    }
    *out = plan;
    return OTRACE_READ_OK;
}

static void free_window(struct otrace_otlp_window *window) {
    free(window->candidates);
    free(window->spans);
    free(window->collapsed);
    free(window->marks);
}

void otrace_otlp_free(struct otrace_otlp *plan) {
    if (plan == NULL) {
        return;
    }
    for (uint32_t i = 0; plan->windows != NULL && i < plan->options.windows; i++) {
        free_window(&plan->windows[i]);
    }
    for (uint32_t i = 0; i < plan->tracks_count; i++) {
        free(plan->tracks[i].attributes);
        free(plan->tracks[i].requests);
        free(plan->tracks[i].sent);
    }
    otrace_otlp_capture_free(plan->capture);
    free(plan->windows);
    free(plan->tracks);
    free(plan->cells);
    free(plan->found);
    free(plan->root_fields.data);
    free(plan->groups.places);
    free(plan->groups.used);
    free(plan->payload);
    free(plan->fragments);
    free(plan->fragment_bytes.data);
    free(plan->output.data);
    free(plan);
}

int otrace_otlp_add_track(struct otrace_otlp *plan, struct otrace_segment *segment,
                          uint32_t track_index, const struct otrace_clock *clock,
                          int64_t open_end_ns, const char *attributes, size_t size) {
    struct otrace_track_info info;
    if (plan->tracks_count == plan->options.tracks ||
        otrace_segment_get_track(segment, track_index, &info) != 0) {
        return OTRACE_READ_ARGUMENT;
    }
    char *copy = malloc(size + 1);
    if (copy == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    if (size > 0) {
        memcpy(copy, attributes, size);
    }
    uint32_t number = plan->tracks_count++;
    plan->tracks[number] = (struct otrace_otlp_track){
        .segment = segment,
        .clock = clock,
        .attributes = copy,
        .attributes_size = size,
        .seed = mix(plan->options.salt + (number + UINT64_C(1)) * ODD),
        .index = track_index,
        .open_end_ns = open_end_ns,
    };
    for (uint32_t window = 0; window < plan->options.windows; window++) {
        struct otrace_otlp_cell *cell = otrace_otlp_cell(plan, window, number);
        cell->part.span_id = thread_id(plan, number, window);
    }
    return OTRACE_READ_OK;
}

void otrace_otlp_get_part(const struct otrace_otlp *plan, uint32_t window, uint32_t track,
                          struct otrace_otlp_part *part) {
    const struct otrace_otlp_cell *cell = otrace_otlp_cell(plan, window, track);
    *part = cell->part;
    part->marks = cell->marks.count;
    part->marks_dropped = cell->marks.dropped;
}

int otrace_otlp_find(const struct otrace_otlp *plan, uint32_t window, uint32_t track,
                     int64_t start_ns, int64_t end_ns, uint64_t *span_id) {
    const struct otrace_otlp_cell *cell = otrace_otlp_cell(plan, window, track);
    const struct otrace_otlp_span *spans = plan->windows[window].spans;
    int found = 0;
    for (uint32_t i = cell->spans_from; i < cell->spans_to; i++) {
        if (spans[i].start_ns <= start_ns && spans[i].end_ns >= end_ns &&
            !(spans[i].flags & OTRACE_CALL_DETACHED)) {
            *span_id = spans[i].id;
            found = 1;
        }
    }
    return found;
}
