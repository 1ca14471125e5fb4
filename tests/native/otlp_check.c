#include "otlp_check.h"

#include "check.h"

struct otrace_otlp *otlp_plan(struct otrace_segment *segment, const struct otrace_clock *clock,
                              const struct otlp_limits *limits) {
    struct otrace_segment_info info;
    otrace_segment_get_info(segment, &info);
    struct otrace_otlp_options options = {
        .max_spans = limits->max_spans,
        .max_depth = limits->max_depth,
        .windows = limits->windows,
        .window_ns = limits->window_ns,
        .tracks = info.tracks,
        .salt = 7,
        .base_wall_ns = 1,
    };
    struct otrace_otlp *plan;
    CHECK_EQUAL(otrace_otlp_new(&options, &plan), 0);
    for (uint32_t i = 0; i < info.tracks; i++) {
        CHECK_EQUAL(otrace_otlp_add_track(plan, segment, i, clock, 0, "", 0), 0);
    }
    CHECK_EQUAL(otrace_otlp_add_track(plan, segment, 0, clock, 0, "", 0), OTRACE_READ_ARGUMENT);
    for (uint32_t i = 0; i < info.tracks; i++) {
        CHECK_EQUAL(otrace_otlp_measure(plan, i), 0);
    }
    CHECK_EQUAL(otrace_otlp_select(plan), 0);
    for (uint32_t i = 0; i < info.tracks; i++) {
        CHECK_EQUAL(otrace_otlp_collect(plan, i), 0);
    }
    CHECK_EQUAL(otrace_otlp_finish(plan), 0);
    return plan;
}

static void check_span(const struct otrace_otlp *plan, uint32_t at,
                       const struct otrace_otlp_span *span) {
    const struct otrace_otlp_window *window = &plan->windows[at];
    const struct otrace_otlp_part *part = &otrace_otlp_cell(plan, at, span->track)->part;
    CHECK(span->id != 0 && span->end_ns > span->start_ns);
    if (span->keeper == OTRACE_OTLP_NONE) {
        CHECK_EQUAL(span->parent_id, plan->options.requests ? 0 : part->span_id);
        CHECK(span->start_ns >= part->first_ns);
        CHECK(span->end_ns <= part->last_ns || span->end_ns == span->start_ns + 1);
        return;
    }
    CHECK(span->keeper < window->spans_count);
    const struct otrace_otlp_span *parent = &window->spans[span->keeper];
    CHECK_EQUAL(span->parent_id, parent->id);
    CHECK_EQUAL(span->track, parent->track);
    CHECK(parent->start_ns <= span->start_ns);
    bool outlives = span->flags & OTRACE_OTLP_AWAITED || span->count > 0;
    CHECK(span->end_ns <= parent->end_ns || outlives);
}

/* The fields of a block: each one a span, whole. */
static uint32_t count_spans(const struct otrace_otlp_block *block) {
    uint32_t spans = 0;
    for (size_t at = 0; at < block->size; spans++) {
        CHECK_EQUAL(block->bytes[at++], 2 << 3 | OTRACE_WIRE_BYTES);
        uint64_t size = 0;
        for (unsigned shift = 0;; shift += 7) {
            CHECK(at < block->size && shift < 64);
            unsigned char byte = (unsigned char)block->bytes[at++];
            size |= (uint64_t)(byte & 0x7f) << shift;
            if (byte < 0x80) {
                break;
            }
        }
        CHECK(size <= block->size - at);
        at += size;
    }
    return spans;
}

static void check_bytes(struct otrace_otlp *plan, uint32_t window, uint32_t track) {
    static const uint8_t trace_id[16] = {1};
    struct otrace_otlp_part part;
    struct otrace_otlp_block block;
    otrace_otlp_get_part(plan, window, track, &part);
    uint64_t position = 0, spans = 0;
    do {
        CHECK_EQUAL(
            otrace_otlp_encode(plan, window, track, trace_id, "a=b", 3, 2000, &position, &block),
            0);
        CHECK_EQUAL(count_spans(&block), block.spans);
        spans += block.spans;
    } while (block.size > 0);
    CHECK_EQUAL(spans, part.spans + part.collapsed_spans);
    CHECK_EQUAL(otrace_otlp_encode_marks(plan, window, track, &block), 0);
    CHECK((block.size > 0) == (part.marks > 0));
}

struct otrace_otlp *otlp_plan_requests(struct otrace_segment *segment, uint32_t track,
                                       const struct otrace_clock *clock,
                                       const struct otlp_limits *limits,
                                       const struct otlp_requests *requests) {
    struct otrace_otlp_options options = {
        .max_spans = limits->max_spans,
        .max_depth = limits->max_depth,
        .windows = limits->windows,
        .window_ns = limits->window_ns,
        .tracks = 1,
        .salt = 7,
        .base_wall_ns = 1,
        .requests = 1,
    };
    struct otrace_otlp *plan;
    CHECK_EQUAL(otrace_otlp_new(&options, &plan), 0);
    CHECK_EQUAL(otrace_otlp_add_track(plan, segment, track, clock, 0, "", 0), 0);
    CHECK_EQUAL(otrace_otlp_set_requests(plan, 0, requests->kinds, requests->count, 1), 0);
    CHECK_EQUAL(otrace_otlp_set_range(plan, 0, &requests->range), 0);
    CHECK_EQUAL(otrace_otlp_measure(plan, 0), 0);
    CHECK_EQUAL(otrace_otlp_select(plan), 0);
    CHECK_EQUAL(otrace_otlp_collect(plan, 0), 0);
    CHECK_EQUAL(otrace_otlp_finish(plan), 0);
    return plan;
}

void otlp_check(struct otrace_otlp *plan) {
    uint32_t windows = plan->options.requests ? plan->found_count : plan->options.windows;
    for (uint32_t at = 0; at < windows; at++) {
        const struct otrace_otlp_window *window = &plan->windows[at];
        if (plan->options.requests && plan->found[at].left) {
            CHECK_EQUAL(window->spans_count + window->collapsed_count, 0);
            continue;
        }
        uint64_t calls = 0, single = 0, collapsed = 0, in_collapsed = 0, left_out = 0, counted = 0;
        CHECK(window->spans_count + window->collapsed_count <= plan->options.max_spans);
        for (uint32_t i = 0; i < window->spans_count; i++) {
            check_span(plan, at, &window->spans[i]);
            counted += window->spans[i].left_out;
        }
        for (uint32_t i = 0; i < window->collapsed_count; i++) {
            const struct otrace_otlp_span *span = &window->collapsed[i];
            check_span(plan, at, span);
            CHECK(span->count > 1 && span->start_ns < span->end_ns);
        }
        for (uint32_t track = 0; track < plan->tracks_count; track++) {
            struct otrace_otlp_part part;
            otrace_otlp_get_part(plan, at, track, &part);
            CHECK_EQUAL(part.calls, part.spans + part.collapsed_calls + part.left_out);
            calls += part.calls;
            single += part.spans;
            collapsed += part.collapsed_spans;
            in_collapsed += part.collapsed_calls;
            left_out += part.left_out;
            counted += part.left_out_here;
            check_bytes(plan, at, track);
        }
        CHECK_EQUAL(single, window->spans_count);
        CHECK_EQUAL(collapsed, window->collapsed_count);
        CHECK_EQUAL(left_out, counted);
        CHECK_EQUAL(calls, window->calls); /* both passes saw the same */
        CHECK(in_collapsed >= 2 * collapsed);
    }
}
