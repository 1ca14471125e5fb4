/* The spans of one trace of a service, and the part of a track that may hold its calls. */
#include "read/otlp_capture.h"

#define NONE OTRACE_OTLP_NONE
#define SPANS_MAX (1u << 16)
#define ROUNDING_NS 2000 /* viewers count whole microseconds */

void otrace_otlp_capture_free(struct otrace_otlp_capture *capture) {
    if (capture != NULL) {
        free(capture->spans);
        free(capture->parents);
        free(capture->openers);
        free(capture->places);
        free(capture);
    }
}

/* ---- the spans of the trace ---- */

static uint32_t *place_of(const struct otrace_otlp_capture *capture, uint64_t id) {
    uint32_t at = (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 40) & capture->places_mask;
    while (capture->places[at] != 0 && capture->spans[capture->places[at] - 1].id != id) {
        at = (at + 1) & capture->places_mask;
    }
    return &capture->places[at];
}

uint32_t otrace_otlp_capture_number(const struct otrace_otlp_capture *capture, uint64_t id) {
    uint32_t found = id == 0 ? 0 : *place_of(capture, id);
    return found == 0 ? NONE : found - 1;
}

static bool fill(struct otrace_otlp_capture *capture, const struct otrace_capture_span *spans,
                 uint32_t count) {
    uint32_t places = 16;
    while (places < 2 * count) {
        places *= 2;
    }
    capture->places_mask = places - 1;
    capture->places = calloc(places, sizeof *capture->places);
    capture->spans = malloc(count * sizeof *capture->spans);
    capture->parents = malloc(count * sizeof *capture->parents);
    capture->openers = malloc(count * sizeof *capture->openers);
    if (capture->places == NULL || capture->spans == NULL || capture->parents == NULL ||
        capture->openers == NULL) {
        return false;
    }
    memcpy(capture->spans, spans, count * sizeof *spans);
    capture->count = count;
    for (uint32_t i = 0; i < count; i++) {
        *place_of(capture, spans[i].id) = i + 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t parent = otrace_otlp_capture_number(capture, spans[i].parent_id);
        capture->parents[i] = parent < i ? parent : NONE; /* so that no circle can be */
        capture->openers[i] = NONE;
    }
    return true;
}

/* Their places in the window come before all calls'. They are not encoded. */
static bool add_spans(struct otrace_otlp *plan) {
    struct otrace_otlp_window *window = &plan->windows[0];
    for (uint32_t i = 0; i < plan->capture->count; i++) {
        if (!otrace_otlp_grow(&window->spans, sizeof *window->spans, window->spans_count,
                              &window->spans_capacity)) {
            return false;
        }
        window->spans[window->spans_count++] = (struct otrace_otlp_span){
            .id = __builtin_bswap64(plan->capture->spans[i].id), /* ids go out as bytes */
            .keeper = NONE,
            .marks = {.first = NONE, .last = NONE},
        };
    }
    return true;
}

int otrace_capture_limit(struct otrace_otlp *plan, const struct otrace_capture_span *spans,
                         uint32_t count, int64_t start_ns, int64_t end_ns) {
    if (plan->options.windows != 1 || plan->tracks_count != 0 || plan->capture != NULL ||
        count == 0 || count > SPANS_MAX) {
        return OTRACE_READ_ARGUMENT;
    }
    plan->capture = calloc(1, sizeof *plan->capture);
    if (plan->capture == NULL || !fill(plan->capture, spans, count) || !add_spans(plan)) {
        return OTRACE_READ_NO_MEMORY;
    }
    plan->capture->start_ns = start_ns;
    plan->capture->end_ns = end_ns;
    plan->capture->last_ns = end_ns - ROUNDING_NS > start_ns ? end_ns - ROUNDING_NS : start_ns;
    return OTRACE_READ_OK;
}

uint64_t otrace_capture_opener(const struct otrace_otlp *plan, uint32_t number, uint32_t *track) {
    const struct otrace_otlp_capture *capture = plan->capture;
    if (capture == NULL || number >= capture->count || capture->openers[number] == NONE) {
        return 0;
    }
    const struct otrace_otlp_span *span = &plan->windows[0].spans[capture->openers[number]];
    *track = span->track;
    return span->id;
}

/* ---- a part of a track ---- */

void otrace_otlp_entries_in(const struct otrace_segment *segment, const struct otrace_track *track,
                            const struct otrace_clock *clock, int64_t start_ns, int64_t end_ns,
                            uint32_t *from, uint32_t *to) {
    const struct otrace_chunk_entry *entries = segment->entries + track->first_entry;
    uint32_t at = 0, end = 0;
    while (end < track->entries &&
           otrace_clock_convert(clock, entries[end].anchor.tick) <= end_ns) {
        end++;
    }
    while (at + 1 < end && otrace_clock_convert(clock, entries[at + 1].anchor.tick) <= start_ns) {
        at++;
    }
    *from = at;
    *to = end;
}

uint32_t otrace_capture_tracks(const struct otrace_segment *segment,
                               const struct otrace_clock *clock, int64_t start_ns, int64_t end_ns,
                               uint32_t *indices, uint32_t capacity) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < segment->tracks_count && count < capacity; i++) {
        const struct otrace_track *track = &segment->tracks[i];
        if (track->entries == 0) {
            continue;
        }
        uint64_t ended = track->thread == NULL ? 0 : track->thread->end_tick;
        uint32_t from, to;
        otrace_otlp_entries_in(segment, track, clock, start_ns, end_ns, &from, &to);
        if (from < to && (ended == 0 || otrace_clock_convert(clock, ended) >= start_ns)) {
            indices[count++] = i;
        }
    }
    return count;
}
