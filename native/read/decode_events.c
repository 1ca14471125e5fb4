/* Events: nested among their thread's calls where they can be, whole beside them where not.
 *
 * Whether an event nests is known only at its end, and its begin edge cannot wait for that. So the
 * first event of a track sends a scout over it, which notes the events that do not: those whose
 * surrounding frame ends first, those that end below a frame opened inside them, and those that
 * end on another thread. Tracks without events pay nothing. */
#include <stdlib.h>

#include "read/decoder.h"

/* Events that the scout found open at the end: they do not nest if another thread ends them. */
static void scout_finished(struct otrace_decoder *scout) {
    if (scout->segment->tracks_count < 2 || scout->events.count == 0) {
        return;
    }
    const struct otrace_orphans *orphans = otrace_orphans_get(scout->segment);
    for (uint32_t i = 0; i < scout->events.capacity; i++) {
        const struct otrace_event *event = &scout->events.places[i];
        if (event->instance != 0 && otrace_orphans_find(orphans, event->instance) != NULL) {
            otrace_instances_add(&scout->detached, event->instance);
        }
    }
}

int otrace_decoder_scout(struct otrace_decoder *decoder) {
    if (decoder->scouted || decoder->options & OTRACE_DECODE_SCOUT) {
        return 0;
    }
    struct otrace_decoder *scout;
    int status = otrace_decoder_new(decoder->segment, decoder->track_index, decoder->clock,
                                    OTRACE_DECODE_SCOUT, &scout);
    if (status != 0) {
        return status;
    }
    scout->track = decoder->track; /* or a part of it */
    struct otrace_edge edge;
    while ((status = otrace_decoder_next(scout, &edge)) > 0) {
    }
    if (status == 0) {
        scout_finished(scout);
        decoder->detached = scout->detached;
        scout->detached = (struct otrace_instances){0};
        decoder->scouted = true;
    }
    otrace_decoder_free(scout);
    return status;
}

static void retire(struct otrace_decoder *decoder, otrace_word *words) {
    free(decoder->retired);
    decoder->retired = words;
}

/* Puts an event on the stack, or beside it. 1: there is an edge. */
static int begin(struct otrace_decoder *decoder, struct otrace_edge *edge,
                 struct otrace_event event, const struct otrace_attributes *attributes) {
    struct otrace_decoder_core *core = &decoder->core;
    event.index = core->next_index++;
    event.depth = core->depth;
    event.parent = (int64_t)core->stack[core->depth].index;
    event.task = core->stack[core->depth].task;
    event.flags |= OTRACE_CALL_EVENT;
    bool nests = !otrace_instances_has(&decoder->detached, event.instance);
    event.position = nests ? core->depth + 1 : 0;
    struct otrace_event *known = otrace_events_find(&decoder->events, event.instance);
    if (known != NULL) { /* an instance begins once: damage */
        return 0;
    }
    if (otrace_events_add(&decoder->events, &event, attributes) == NULL || !nests) {
        return 0;
    }
    struct otrace_frame *frame = otrace_decoder_push(core, event.name, event.flags, event.start_ns);
    frame->index = event.index;
    frame->instance = event.instance;
    core->next_index--; /* push took one more */
    if (core->begins) {
        otrace_edge_fill(edge, frame, OTRACE_EDGE_BEGIN, core->depth, event.start_ns);
        if (attributes != NULL) {
            edge->begin_attributes = *attributes;
        }
    }
    return core->begins;
}

int otrace_decoder_event_begin(struct otrace_decoder *decoder, struct otrace_edge *edge,
                               uint32_t words) {
    struct otrace_decoder_core *core = &decoder->core;
    int status = otrace_decoder_scout(decoder);
    int room = status < 0 ? status : otrace_decoder_reserve(decoder);
    if (room < 0) {
        return room;
    }
    const otrace_word *record = core->position;
    core->position += words;
    core->tick = otrace_words_tick(record + 1);
    int64_t ns = otrace_decoder_advance(decoder, otrace_decoder_convert(decoder, core->tick));
    if (room == 0) {
        return 0;
    }
    struct otrace_event event = {.instance = record[3], .name = record[4], .start_ns = ns};
    struct otrace_attributes attributes = {record + 5, words - 5};
    return begin(decoder, edge, event, &attributes);
}

/* An OPEN record of an event whose beginning is not there. */
int otrace_decoder_event_open(struct otrace_decoder *decoder, struct otrace_edge *edge) {
    int status = otrace_decoder_scout(decoder);
    if (status < 0) {
        return status;
    }
    const otrace_word *record = decoder->core.position;
    int64_t ns = otrace_decoder_convert(decoder, otrace_words_tick(record + 2));
    ns = otrace_decoder_advance(decoder, ns < decoder->sync_ns ? ns : decoder->sync_ns);
    struct otrace_event event = {
        .instance = record[1], .name = record[4], .start_ns = ns, .flags = OTRACE_CALL_CUT};
    return begin(decoder, edge, event, NULL);
}

/* The whole of an event that does not nest; takes it out of the table. */
static void fill_detached(struct otrace_decoder *decoder, struct otrace_edge *edge,
                          struct otrace_event *open, int64_t end_ns, uint32_t flags) {
    struct otrace_event event = otrace_events_take(&decoder->events, open);
    *edge = (struct otrace_edge){
        .kind = OTRACE_EDGE_EVENT,
        .flags = event.flags | OTRACE_CALL_DETACHED | flags,
        .id = event.name,
        .depth = event.depth,
        .instance = event.instance,
        .task = event.task,
        .start_ns = event.start_ns,
        .end_ns = end_ns > event.start_ns ? end_ns : event.start_ns,
        .index = event.index,
        .parent = event.parent,
        .begin_attributes = {event.words, event.count},
    };
    retire(decoder, event.words);
}

static void set_end(struct otrace_edge *edge, uint32_t exception,
                    const struct otrace_attributes *attributes) {
    if (exception != 0) {
        edge->exception = exception;
        edge->flags |= OTRACE_CALL_UNWOUND;
    }
    edge->end_attributes = *attributes;
}

/* The scout's answer to an end that is not the top frame's: it does not nest. The frame stays
 * where it is, as a phantom of nothing, so that no stack is ever moved. */
static void scout_crossed(struct otrace_decoder *decoder, struct otrace_event *event) {
    otrace_instances_add(&decoder->detached, event->instance);
    struct otrace_frame *frame = &decoder->core.stack[event->position];
    frame->instance = 0;
    free(otrace_events_take(&decoder->events, event).words);
}

int otrace_decoder_event_end(struct otrace_decoder *decoder, struct otrace_edge *edge,
                             uint32_t words) {
    struct otrace_decoder_core *core = &decoder->core;
    const otrace_word *record = core->position;
    struct otrace_event *event = otrace_events_find(&decoder->events, record[3]);
    int64_t ns = otrace_decoder_convert(decoder, otrace_words_tick(record + 1));
    struct otrace_attributes attributes = {record + 5, words - 5};
    bool crosses = event != NULL && event->position != 0 && event->position != core->depth;
    if (crosses && !(decoder->options & OTRACE_DECODE_SCOUT)) {
        otrace_decoder_close(decoder, event->position, ns, true); /* then this record again */
        return 0;
    }
    core->position += words;
    core->tick = otrace_words_tick(record + 1);
    if (event == NULL) { /* it began on another thread, or in what was overwritten */
        return 0;
    }
    ns = otrace_decoder_advance(decoder, ns);
    if (crosses) {
        scout_crossed(decoder, event);
        return 0;
    }
    if (event->position == 0) {
        fill_detached(decoder, edge, event, ns, 0);
        set_end(edge, record[4], &attributes);
        return 1;
    }
    struct otrace_event taken = otrace_events_take(&decoder->events, event);
    otrace_decoder_pop(core, edge, 0, ns);
    edge->begin_attributes = (struct otrace_attributes){taken.words, taken.count};
    set_end(edge, record[4], &attributes);
    retire(decoder, taken.words);
    return 1;
}

void otrace_decoder_event_closed(struct otrace_decoder *decoder, struct otrace_edge *edge) {
    struct otrace_event *event = otrace_events_find(&decoder->events, edge->instance);
    if (event == NULL) {
        return;
    }
    if (decoder->close_crossing) { /* only a scout is still to learn from this */
        otrace_instances_add(&decoder->detached, edge->instance);
    }
    struct otrace_event taken = otrace_events_take(&decoder->events, event);
    edge->begin_attributes = (struct otrace_attributes){taken.words, taken.count};
    retire(decoder, taken.words);
}

bool otrace_decoder_finish_event(struct otrace_decoder *decoder, struct otrace_edge *edge) {
    struct otrace_events *events = &decoder->events;
    while (decoder->finish_at < events->capacity) {
        struct otrace_event *event = &events->places[decoder->finish_at];
        if (event->instance == 0 || event->position != 0 ||
            decoder->options & OTRACE_DECODE_SCOUT) {
            decoder->finish_at++;
            continue;
        }
        /* Taking it out may move another one here: look at this place again. */
        const struct otrace_orphans *orphans =
            decoder->segment->tracks_count > 1 ? otrace_orphans_get(decoder->segment) : NULL;
        const struct otrace_orphan *end = otrace_orphans_find(orphans, event->instance);
        if (end == NULL) {
            fill_detached(decoder, edge, event, decoder->core.last_ns, OTRACE_CALL_OPEN);
        } else {
            int64_t ns = otrace_clock_convert(decoder->clock, end->tick);
            struct otrace_attributes attributes = {orphans->words + end->offset, end->count};
            fill_detached(decoder, edge, event, ns, 0);
            set_end(edge, end->exception, &attributes);
        }
        return true;
    }
    return false;
}
