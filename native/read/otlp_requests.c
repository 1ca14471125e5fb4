/* Requests: outermost calls of certain functions, each a trace of its own; and parts of a track. */
#include "read/otlp.h"
#include "read/segment.h"

static uint32_t kind_of(const struct otrace_otlp_track *track, const struct otrace_edge *edge) {
    /* A coroutine's resumption is not told from another one's. */
    bool call = !(edge->flags & (OTRACE_CALL_EVENT | OTRACE_CALL_RESUMED));
    uint64_t start = track->segment->header.start_anchor.tick;
    if (edge->flags & OTRACE_CALL_CUT && edge->start_tick <= start) {
        return 0; /* a parent's before the fork, or begun before the recording */
    }
    return call && edge->id < track->requests_size ? track->requests[edge->id] : 0;
}

static bool is_before(const struct otrace_otlp_track *track, const struct otrace_edge *edge) {
    return edge->start_tick < track->range.from_tick;
}

static uint32_t window_of_other(const struct otrace_otlp_walk *walk,
                                const struct otrace_edge *edge) {
    const struct otrace_otlp *plan = walk->plan;
    if (plan->options.requests || is_before(&plan->tracks[walk->track], edge)) {
        return OTRACE_OTLP_NONE;
    }
    return otrace_otlp_window_at(plan, edge->start_ns);
}

/* The window of the request that begins, or NONE; 1: there is no room for it in the plan. */
static int begin_request(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                         const struct otrace_edge *edge) {
    struct otrace_otlp *plan = walk->plan;
    if (is_before(&plan->tracks[walk->track], edge)) {
        return 0;
    }
    if (walk->measures) {
        if (plan->found_count == plan->options.windows || plan->candidates > OTRACE_OTLP_AT_ONCE) {
            /* Later than all before, whatever a damaged segment says: so that it comes to an end.
             */
            plan->next_tick =
                edge->start_tick > walk->last_request ? edge->start_tick : walk->last_request + 1;
            plan->more = true;
            return 1;
        }
        if (edge->start_tick > walk->last_request) {
            walk->last_request = edge->start_tick;
        }
        plan->found[plan->found_count++] = (struct otrace_otlp_found){
            .start_tick = edge->start_tick,
            .start_ns = edge->start_ns,
            .end_ns = -1,
            .function = edge->id,
        };
    }
    if (walk->requests < plan->found_count) {
        frame->request_window = frame->window = walk->requests++;
    }
    return 0;
}

int otrace_otlp_place(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                      const struct otrace_otlp_frame *parent, const struct otrace_edge *edge) {
    const struct otrace_otlp *plan = walk->plan;
    frame->window = frame->request_window = OTRACE_OTLP_NONE;
    if (parent != NULL && parent->request != OTRACE_OTLP_OTHER) {
        frame->request = OTRACE_OTLP_INSIDE;
        frame->request_until_ns = parent->request_until_ns;
        frame->request_window = parent->request_window;
        frame->window = edge->start_ns < frame->request_until_ns ? frame->request_window
                                                                 : window_of_other(walk, edge);
        return 0;
    }
    frame->kind = kind_of(&plan->tracks[walk->track], edge);
    if (frame->kind != 0) {
        frame->request = OTRACE_OTLP_ROOT;
        frame->request_until_ns = edge->start_ns + plan->options.window_ns;
        if (plan->options.requests) {
            return begin_request(walk, frame, edge);
        }
    }
    frame->window = window_of_other(walk, edge);
    return 0;
}

bool otrace_otlp_request_ended(struct otrace_otlp_walk *walk, const struct otrace_otlp_frame *frame,
                               const struct otrace_edge *edge) {
    struct otrace_otlp *plan = walk->plan;
    struct otrace_otlp_found *found = &plan->found[frame->request_window];
    if (!(edge->flags & OTRACE_CALL_OPEN)) {
        found->end_ns = edge->end_ns;
        return true;
    }
    bool over = edge->end_ns >= frame->request_until_ns;
    if (!over && !plan->tracks[walk->track].range.open) {
        plan->next_tick = found->start_tick;
        plan->found_count--; /* it is the last one: requests do not nest */
        return false;
    }
    return true;
}

uint32_t otrace_otlp_window_in(const struct otrace_otlp_walk *walk,
                               const struct otrace_otlp_frame *around,
                               const struct otrace_edge *edge) {
    if (around != NULL && around->request != OTRACE_OTLP_OTHER &&
        edge->start_ns < around->request_until_ns) {
        return around->request_window;
    }
    return window_of_other(walk, edge);
}

void otrace_otlp_part_of(const struct otrace_otlp_track *track, struct otrace_track *part) {
    const struct otrace_segment *segment = track->segment;
    *part = segment->tracks[track->index];
    const struct otrace_chunk_entry *entries = segment->entries + part->first_entry;
    uint32_t low = 0, high = part->entries; /* the last one that begins at or before the range */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (entries[middle].anchor.tick <= track->range.from_tick) {
            low = middle;
        } else {
            high = middle;
        }
    }
    part->first_entry += low;
    part->entries -= low;
}

uint64_t otrace_otlp_tick(const struct otrace_clock *clock, int64_t ns) {
    uint64_t low = 0, high = UINT64_C(1) << 62; /* the first one at or behind the time */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (otrace_clock_convert(clock, middle) < ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int otrace_otlp_set_range(struct otrace_otlp *plan, uint32_t track,
                          const struct otrace_otlp_range *range) {
    if (track >= plan->tracks_count) {
        return OTRACE_READ_ARGUMENT;
    }
    plan->tracks[track].range = *range;
    return OTRACE_READ_OK;
}

uint32_t otrace_otlp_count_requests(const struct otrace_otlp *plan) {
    return plan->found_count;
}

void otrace_otlp_get_request(const struct otrace_otlp *plan, uint32_t window,
                             struct otrace_otlp_request_info *info) {
    const struct otrace_otlp_found *found = &plan->found[window];
    uint64_t trace_id[2];
    otrace_otlp_request_ids(&plan->tracks[0], found->start_tick, trace_id, &info->span_id);
    memcpy(info->trace_id, trace_id, sizeof info->trace_id);
    info->start_ns = found->start_ns;
    info->end_ns = found->end_ns;
}

int otrace_otlp_next(const struct otrace_otlp *plan, uint64_t *tick) {
    *tick = plan->next_tick;
    return plan->more;
}

int otrace_otlp_set_root(struct otrace_otlp *plan, const char *fields, size_t size) {
    plan->root_fields.size = 0;
    otrace_wire_raw(&plan->root_fields, fields, size);
    return plan->root_fields.failed ? OTRACE_READ_NO_MEMORY : OTRACE_READ_OK;
}
