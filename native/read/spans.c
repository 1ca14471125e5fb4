#include "read/spans.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "read/segment.h"
#include "words.h"

#define NUMBERS 12u /* words of a SPAN_END before its name: ids, and times before it */
#define NONE UINT64_MAX
#define LINK_MAX 80u /* bytes of a link behind the page */

/* ---- all spans of a segment ---- */

/* Room for one more; false without memory. */
static bool grow(void **items, uint64_t *capacity, uint64_t wanted, size_t size) {
    if (wanted <= *capacity) {
        return true;
    }
    uint64_t bigger = *capacity == 0 ? 256 : 2 * *capacity;
    bigger = bigger < wanted ? wanted : bigger;
    void *moved = realloc(*items, bigger * size);
    if (moved != NULL) {
        *items = moved;
        *capacity = bigger;
    }
    return moved != NULL;
}

/* `ago` nanoseconds before `ns`, not before the recording's start. */
static int64_t before(int64_t ns, uint64_t ago) {
    return ago > (uint64_t)ns ? 0 : ns - (int64_t)ago;
}

static int add(struct otrace_spans *spans, const struct otrace_edge *edge) {
    const otrace_word *words = edge->begin_attributes.words;
    uint32_t count = edge->begin_attributes.count - NUMBERS;
    if (!grow((void **)&spans->spans, &spans->capacity, spans->count + 1, sizeof *spans->spans) ||
        !grow((void **)&spans->words, &spans->words_capacity, spans->words_count + count,
              sizeof *spans->words)) {
        return OTRACE_READ_NO_MEMORY;
    }
    int64_t ns = edge->start_ns < 0 ? 0 : edge->start_ns;
    uint64_t started_ago = otrace_words_tick(words + 8), ended_ago = otrace_words_tick(words + 10);
    started_ago = started_ago < ended_ago ? ended_ago : started_ago;
    spans->spans[spans->count++] = (struct otrace_span){
        .start_ns = before(ns, started_ago),
        .end_ns = before(ns, ended_ago),
        .id = otrace_words_tick(words),
        .trace = {otrace_words_tick(words + 2), otrace_words_tick(words + 4)},
        .parent = otrace_words_tick(words + 6),
        .flags = edge->scope,
        .cut = started_ago > (uint64_t)ns,
        .offset = spans->words_count,
        .count = count,
    };
    memcpy(spans->words + spans->words_count, words + NUMBERS, count * sizeof *words);
    spans->words_count += count;
    return 0;
}

static int read_track(struct otrace_spans *spans, struct otrace_segment *segment, uint32_t index,
                      const struct otrace_clock *clock) {
    struct otrace_decoder *decoder;
    struct otrace_edge edge;
    int status = otrace_decoder_new(segment, index, clock, OTRACE_DECODE_SPAN_ENDS, &decoder);
    if (status != 0) {
        return status;
    }
    int more;
    while ((more = otrace_decoder_next(decoder, &edge)) > 0 && status == 0) {
        if (edge.kind == OTRACE_EDGE_SPAN_END) {
            status = add(spans, &edge);
        }
    }
    otrace_decoder_free(decoder);
    return more < 0 ? more : status;
}

/* ---- lanes ---- */

static int by_start(const void *left, const void *right) {
    const struct otrace_span *a = left, *b = right;
    if (a->start_ns != b->start_ns) {
        return a->start_ns < b->start_ns ? -1 : 1;
    }
    if (a->end_ns != b->end_ns) {
        return a->end_ns > b->end_ns ? -1 : 1;
    }
    /* Of two at the same time the parent first: it ended last. An order of all, whatever the ids:
     * qsort may go astray in a circle. */
    return a->offset > b->offset ? -1 : a->offset < b->offset;
}

/* The spans that are open in each lane: a chain from the innermost outwards. */
struct lanes {
    uint64_t *tops;  /* by lane: a span's place, NONE: the lane is free */
    uint64_t *outer; /* by span: the one around it in its lane */
    uint64_t capacity;
};

/* Below its parent where that is innermost, else in a lane that is free. */
static int place(struct otrace_spans *spans, struct lanes *lanes, uint64_t at) {
    struct otrace_span *span = &spans->spans[at];
    uint32_t chosen = spans->lanes;
    for (uint32_t lane = 0; lane < spans->lanes; lane++) {
        uint64_t top = lanes->tops[lane];
        while (top != NONE && spans->spans[top].end_ns <= span->start_ns) {
            top = lanes->outer[top];
        }
        lanes->tops[lane] = top;
        const struct otrace_span *above = top == NONE ? NULL : &spans->spans[top];
        if (above == NULL) {
            chosen = chosen == spans->lanes ? lane : chosen;
        } else if (above->id == span->parent && above->trace[1] == span->trace[1] &&
                   span->end_ns <= above->end_ns) {
            chosen = lane;
            break;
        }
    }
    if (chosen == spans->lanes) {
        if (!grow((void **)&lanes->tops, &lanes->capacity, chosen + UINT64_C(1),
                  sizeof *lanes->tops)) {
            return OTRACE_READ_NO_MEMORY;
        }
        lanes->tops[spans->lanes++] = NONE;
    }
    lanes->outer[at] = lanes->tops[chosen];
    lanes->tops[chosen] = at;
    span->lane = chosen;
    return 0;
}

static int place_all(struct otrace_spans *spans) {
    struct lanes lanes = {.outer = malloc((spans->count + 1) * sizeof *lanes.outer)};
    int status = lanes.outer == NULL ? OTRACE_READ_NO_MEMORY : 0;
    if (spans->count > 0) {
        qsort(spans->spans, spans->count, sizeof *spans->spans, by_start);
    }
    for (uint64_t at = 0; status == 0 && at < spans->count; at++) {
        status = place(spans, &lanes, at);
    }
    free(lanes.tops);
    free(lanes.outer);
    return status;
}

/* Whether the recorder said that there are spans. */
static bool has_spans(const struct otrace_segment *segment) {
    struct otrace_segment_info info;
    struct otrace_text key, value;
    otrace_segment_get_info(segment, &info);
    for (uint32_t i = 0; i < info.notes; i++) {
        if (otrace_segment_get_note(segment, i, &key, &value) == 0 && key.size == 5 &&
            memcmp(key.text, "spans", 5) == 0) {
            return true;
        }
    }
    return false;
}

int otrace_spans_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                     struct otrace_spans **out) {
    struct otrace_spans *spans = *out = calloc(1, sizeof *spans);
    int status = spans == NULL ? OTRACE_READ_NO_MEMORY : 0;
    uint32_t tracks = has_spans(segment) ? segment->tracks_count : 0;
    for (uint32_t index = 0; status == 0 && index < tracks; index++) {
        status = read_track(spans, segment, index, clock);
    }
    if (status == 0) {
        status = place_all(spans);
    }
    if (status != 0) {
        otrace_spans_free(spans);
        *out = NULL;
    }
    return status;
}

void otrace_spans_free(struct otrace_spans *spans) {
    if (spans != NULL) {
        free(spans->spans);
        free(spans->words);
        free(spans);
    }
}

/* ---- what is told of a span ---- */

struct otrace_span_words otrace_span_words(const struct otrace_spans *spans,
                                           const struct otrace_span *span) {
    struct otrace_span_words result = {0};
    struct otrace_attributes all = {spans->words + span->offset, span->count};
    struct otrace_values values = otrace_values_of(&all);
    if (!otrace_values_next(&values, &result.name) || result.name.type != OTRACE_VALUE_TEXT) {
        result.name = (struct otrace_value){.type = OTRACE_VALUE_TEXT, .payload = all.words};
    }
    result.attributes =
        (struct otrace_attributes){values.position, (uint32_t)(values.end - values.position)};
    return result;
}

const char *otrace_span_kind(const struct otrace_span *span) {
    static const char *const kinds[] = {"internal", "server",   "client",   "producer",
                                        "consumer", "internal", "internal", "internal"};
    return kinds[span->flags & OTRACE_SPAN_KIND];
}

const char *otrace_span_status(const struct otrace_span *span) {
    return span->flags & OTRACE_SPAN_ERROR ? "error"
           : span->flags & OTRACE_SPAN_OK  ? "ok"
                                           : "unset";
}

char *otrace_span_link(const char *page, const struct otrace_span *span) {
    size_t most = strlen(page) + LINK_MAX;
    char *link = *page == '\0' ? NULL : malloc(most);
    if (link != NULL) {
        snprintf(link, most, "%s/trace/%016" PRIx64 "%016" PRIx64 "?uiFind=%016" PRIx64, page,
                 span->trace[0], span->trace[1], span->id);
    }
    return link;
}

void otrace_lane_name(char text[OTRACE_LANE_NAME_MAX], uint32_t lane) {
    if (lane == 0) {
        snprintf(text, OTRACE_LANE_NAME_MAX, "OpenTelemetry");
    } else {
        snprintf(text, OTRACE_LANE_NAME_MAX, "OpenTelemetry %u", lane + 1);
    }
}
