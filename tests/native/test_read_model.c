/* Random programs: what the decoder tells equals the calls that were made, over many chunks, with
 * short calls left out, and with the oldest chunks overwritten. */
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "read/decode.h"
#include "synth.h"

#define CALLS_MAX 20000u
#define BASE 1000u

struct truth {
    uint32_t id, depth, kind;
    uint64_t start, end;
    uint32_t begin_slot, end_slot;
    int64_t exception;
};

static struct truth calls[CALLS_MAX]; /* in the order of their begins */
static uint32_t order[CALLS_MAX];     /* in the order of their ends */
static uint32_t calls_count, ended;
static struct synth synth;
static struct synth_thread thread;
static uint64_t now, seed;

static uint32_t pick(uint32_t limit) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % limit;
}

static void advance(void) {
    now += 1 + (pick(50) == 0 ? pick(1u << 20) : pick(300));
}

/* C calls contain Python calls only, as in the interpreter. */
static void make_calls(uint32_t depth, bool c_allowed) {
    while (calls_count < CALLS_MAX && pick(depth / 2 + 2) == 0) {
        uint32_t at = calls_count++;
        bool c = c_allowed && pick(3) == 0;
        struct truth *call = &calls[at];
        advance();
        *call = (struct truth){.id = 1 + pick(pick(4) == 0 ? 60000 : 20),
                               .depth = depth,
                               .kind = c ? OTRACE_C_BEGIN : OTRACE_BEGIN,
                               .start = now};
        synth_call(&synth, &thread, call->kind, call->id, now, -1);
        call->begin_slot = thread.slot;
        make_calls(depth + 1, !c);
        advance();
        call->end = now;
        call->exception = pick(10) == 0 ? (int64_t)pick(9) : -1;
        synth_call(&synth, &thread, call->kind + 1, call->id, now, call->exception);
        call->end_slot = thread.slot;
        order[ended++] = at;
    }
}

static void make_program(uint64_t number) {
    seed = number;
    calls_count = ended = 0;
    now = BASE;
    uint32_t chunk_size = 1024u << pick(3);
    synth_create(&synth, chunk_size, 600, OTRACE_CLOCK_MONOTONIC);
    synth_thread(&synth, &thread, 1, NULL, BASE);
    for (int i = 0; i < 1000; i++) {
        make_calls(0, true);
    }
}

struct reading {
    struct otrace_segment *segment;
    struct otrace_clock *clock;
    struct otrace_decoder *decoder;
};

static struct reading start(uint32_t options) {
    struct reading reading;
    struct otrace_read_problem problem;
    int fd = synth_file(&synth);
    CHECK_EQUAL(otrace_segment_open(fd, &reading.segment, &problem), 0);
    close(fd);
    CHECK_EQUAL(otrace_clock_new(OTRACE_CLOCK_MONOTONIC, &reading.clock), 0);
    CHECK_EQUAL(otrace_clock_fit(reading.clock, BASE), 0);
    CHECK_EQUAL(otrace_decoder_new(reading.segment, 0, reading.clock, options, &reading.decoder),
                0);
    return reading;
}

static void stop(struct reading *reading) {
    struct otrace_edge edge;
    CHECK_EQUAL(otrace_decoder_next(reading->decoder, &edge), 0);
    otrace_decoder_free(reading->decoder);
    otrace_clock_free(reading->clock);
    otrace_segment_free(reading->segment);
}

static void check_end(const struct otrace_edge *edge, const struct truth *call, uint32_t first) {
    uint32_t flags = call->kind == OTRACE_C_BEGIN ? OTRACE_CALL_C : 0;
    flags |= call->exception >= 0 ? OTRACE_CALL_UNWOUND : 0;
    flags |= call->begin_slot < first ? OTRACE_CALL_CUT : 0;
    CHECK_EQUAL(edge->kind, OTRACE_EDGE_END);
    CHECK_EQUAL(edge->id, call->id);
    CHECK_EQUAL(edge->start_ns, call->start - BASE);
    CHECK_EQUAL(edge->end_ns, call->end - BASE);
    CHECK_EQUAL(edge->depth, call->depth);
    CHECK_EQUAL(edge->flags, flags);
    CHECK_EQUAL(edge->exception, call->exception > 0 ? call->exception : 0);
}

static uint32_t check_ends(uint32_t first_slot, uint64_t min_ns) {
    struct reading reading = start(0);
    struct otrace_edge edge;
    uint32_t shown = 0;
    for (uint32_t i = 0; i < ended; i++) {
        const struct truth *call = &calls[order[i]];
        if (call->end_slot >= first_slot && call->end - call->start >= min_ns) {
            CHECK_EQUAL(otrace_decoder_next(reading.decoder, &edge), 1);
            check_end(&edge, call, first_slot);
            shown++;
        }
    }
    stop(&reading);
    return shown;
}

/* Begins come in the order of the calls' begins, each with the end that belongs to it. */
static void check_begins(uint64_t min_ns) {
    static uint32_t stack[CALLS_MAX];
    struct reading reading = start(OTRACE_DECODE_BEGINS);
    struct otrace_edge edge;
    uint32_t next = 0, depth = 0;
    int64_t last = -1;
    while (next < calls_count || depth > 0) {
        while (next < calls_count && calls[next].end - calls[next].start < min_ns) {
            next++;
        }
        if (next == calls_count && depth == 0) {
            break;
        }
        CHECK_EQUAL(otrace_decoder_next(reading.decoder, &edge), 1);
        int64_t at = edge.kind == OTRACE_EDGE_BEGIN ? edge.start_ns : edge.end_ns;
        CHECK(at > last);
        last = at;
        if (edge.kind == OTRACE_EDGE_BEGIN) {
            CHECK(next < calls_count);
            CHECK_EQUAL(edge.id, calls[next].id);
            CHECK_EQUAL(edge.start_ns, calls[next].start - BASE);
            CHECK_EQUAL(edge.index, next);
            CHECK_EQUAL(edge.parent, depth == 0 ? -1 : (int64_t)stack[depth - 1]);
            stack[depth++] = next++;
        } else {
            CHECK(depth > 0);
            check_end(&edge, &calls[stack[--depth]], 0);
        }
    }
    stop(&reading);
}

int main(void) {
    uint32_t total = 0;
    for (uint64_t number = 1; number <= 40; number++) {
        make_program(number);
        total += calls_count;
        CHECK_EQUAL(check_ends(0, 0), ended);
        check_begins(0);
        const uint64_t limits[] = {1, 50, 400, 100000};
        for (int i = 0; i < 4; i++) {
            synth.header->min_duration_ns = limits[i];
            check_ends(0, limits[i]);
            check_begins(limits[i]);
        }
        synth.header->min_duration_ns = 0;
        uint32_t lost_slots = synth.slots / 2;
        memset(synth_slot(&synth, 0), 0, (size_t)lost_slots * synth.header->chunk_size);
        uint32_t lost = 0;
        for (uint32_t i = 0; i < ended; i++) {
            lost += calls[i].end_slot < lost_slots;
        }
        CHECK_EQUAL(check_ends(lost_slots, 0) + lost, ended);
        synth_free(&synth);
    }
    CHECK(total > 20000); /* the random programs did something */
    return 0;
}
