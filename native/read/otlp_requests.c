/* Requests: outermost calls of certain functions, each a trace of its own; and parts of a track. */
#include "read/otlp.h"
#include "read/segment.h"

static uint32_t kind_of(const struct otrace_otlp_track *track, const struct otrace_edge *edge) {
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

static bool was_sent(const struct otrace_otlp_track *track, uint64_t tick) {
    uint32_t low = 0, high = track->sent_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (track->sent[middle] < tick) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < track->sent_count && track->sent[low] == tick;
}

/* No request that begins from here on is this plan's. */
static void close_plan(struct otrace_otlp_walk *walk, uint64_t tick) {
    walk->full = true;
    /* Later than all before, whatever a damaged segment says: so that it comes to an end. */
    walk->plan->next_tick = tick > walk->last_request ? tick : walk->last_request + 1;
    walk->plan->more = true;
}

/* The window of the request that begins, or NONE. */
static uint32_t begin_request(struct otrace_otlp_walk *walk, const struct otrace_edge *edge,
                              int64_t until_ns) {
    struct otrace_otlp *plan = walk->plan;
    const struct otrace_otlp_track *track = &plan->tracks[walk->track];
    if (is_before(track, edge) || was_sent(track, edge->start_tick)) {
        return OTRACE_OTLP_NONE;
    }
    if (walk->measures) {
        bool room =
            plan->found_count < plan->options.windows && plan->candidates <= OTRACE_OTLP_AT_ONCE;
        if (!room && !walk->full) {
            close_plan(walk, edge->start_tick);
        }
        if (walk->full) {
            return OTRACE_OTLP_NONE;
        }
        if (edge->start_tick > walk->last_request) {
            walk->last_request = edge->start_tick;
        }
        plan->found[plan->found_count++] = (struct otrace_otlp_found){
            .start_tick = edge->start_tick,
            .start_ns = edge->start_ns,
            .end_ns = -1,
            .until_ns = until_ns,
            .open = 1,
        };
        walk->requests_open++;
    }
    if (walk->requests == plan->found_count) {
        return OTRACE_OTLP_NONE;
    }
    uint32_t window = walk->requests++;
    return plan->found[window].left ? OTRACE_OTLP_NONE : window;
}

/* Whether a loop starts this call of a coroutine, as a task's own. */
static bool begins_task(const struct otrace_otlp_walk *walk, const struct otrace_edge *edge) {
    uint32_t around = walk->depth > 0 ? walk->stack[walk->depth - 1].task : 0;
    return edge->activation != 0 && edge->task != 0 && edge->task != around;
}

/* All requests of a full plan are there: the others go on longer than a request may. */
static bool is_done(const struct otrace_otlp_walk *walk, const struct otrace_edge *edge) {
    const struct otrace_otlp *plan = walk->plan;
    return walk->full && (walk->requests_open == 0 ||
                          edge->start_ns >= plan->found[plan->found_count - 1].until_ns);
}

int otrace_otlp_place(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                      const struct otrace_otlp_frame *parent, const struct otrace_edge *edge) {
    const struct otrace_otlp *plan = walk->plan;
    frame->window = frame->request_window = OTRACE_OTLP_NONE;
    bool inside = parent != NULL && parent->request != OTRACE_OTLP_OTHER;
    if (inside && !begins_task(walk, edge)) {
        frame->kind = 0;
    } else {
        frame->kind = kind_of(&plan->tracks[walk->track], edge);
    }
    if (is_done(walk, edge)) {
        return 1;
    }
    if (frame->kind != 0) {
        frame->request = OTRACE_OTLP_ROOT;
        frame->request_until_ns = edge->start_ns + plan->options.window_ns;
        if (plan->options.requests) {
            frame->request_window = begin_request(walk, edge, frame->request_until_ns);
            frame->window = frame->request_window;
            return 0;
        }
    } else if (inside) {
        frame->request = OTRACE_OTLP_INSIDE;
        frame->request_until_ns = parent->request_until_ns;
        frame->request_window = parent->request_window;
        if (edge->start_ns < frame->request_until_ns) {
            frame->window = frame->request_window;
            if (walk->measures && frame->coroutine != OTRACE_OTLP_NONE &&
                frame->window != OTRACE_OTLP_NONE) {
                plan->found[frame->window].open++;
            }
            return 0;
        }
    }
    frame->window = window_of_other(walk, edge);
    return 0;
}

void otrace_otlp_request_ended(struct otrace_otlp_walk *walk, const struct otrace_otlp_frame *frame,
                               const struct otrace_edge *edge) {
    bool counts = frame->request == OTRACE_OTLP_ROOT || frame->coroutine != OTRACE_OTLP_NONE;
    if (!counts || !walk->plan->options.requests || frame->window == OTRACE_OTLP_NONE ||
        edge->flags & OTRACE_CALL_OPEN) {
        return;
    }
    struct otrace_otlp_found *found = &walk->plan->found[frame->window];
    if (frame->request == OTRACE_OTLP_ROOT) {
        found->end_ns = edge->end_ns;
    }
    if (--found->open == 0) {
        walk->requests_open--;
    }
}

void otrace_otlp_requests_settle(struct otrace_otlp_walk *walk) {
    struct otrace_otlp *plan = walk->plan;
    const struct otrace_otlp_track *track = &plan->tracks[walk->track];
    int64_t now_ns = walk->now_ns > track->open_end_ns ? walk->now_ns : track->open_end_ns;
    bool leave = !track->range.open;
    for (uint32_t i = 0; leave && i < plan->found_count; i++) {
        struct otrace_otlp_found *found = &plan->found[i];
        found->left = found->open > 0 && now_ns < found->until_ns;
    }
}

int otrace_otlp_set_sent(struct otrace_otlp *plan, uint32_t number, const uint64_t *ticks,
                         uint32_t count) {
    struct otrace_otlp_track *track = &plan->tracks[number];
    if (number >= plan->tracks_count || track->sent != NULL) {
        return OTRACE_READ_ARGUMENT;
    }
    track->sent = malloc((count + 1u) * sizeof *ticks);
    if (track->sent == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    memcpy(track->sent, ticks, count * sizeof *ticks);
    track->sent_count = count;
    return OTRACE_READ_OK;
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
    info->start_tick = found->start_tick;
    info->start_ns = found->start_ns;
    info->end_ns = found->end_ns;
    info->left = found->left;
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
