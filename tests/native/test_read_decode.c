/* The decoder, case by case. Ticks are nanoseconds from 1000, so a time of 10 is tick 1010. */
#include <string.h>

#include "check.h"
#include "edges.h"
#include "read/decode.h"

#define AT(ns) (1000u + (ns))
#define BEGINS OTRACE_DECODE_BEGINS

static struct synth synth;
static struct synth_thread main_thread;

static void start(uint32_t chunk_size) {
    synth_create(&synth, chunk_size, 16, OTRACE_CLOCK_MONOTONIC);
    synth_thread(&synth, &main_thread, 1, "MainThread", AT(0));
}

static void call(uint32_t kind, uint32_t id, uint64_t ns) {
    synth_call(&synth, &main_thread, kind, id, AT(ns), -1);
}

static void raise_call(uint32_t kind, uint32_t id, uint64_t ns, uint32_t exception) {
    synth_call(&synth, &main_thread, kind, id, AT(ns), exception);
}

static void record(uint32_t sub, uint32_t flags, uint64_t ns, const otrace_word *payload,
                   uint32_t count) {
    synth_record(&synth, &main_thread, sub, flags, AT(ns), payload, count);
}

static void event_begin(uint32_t instance, uint32_t name, uint64_t ns) {
    record(OTRACE_X_EVENT_BEGIN, 0, ns, (otrace_word[]){instance, name, 3, 2}, 4);
}

static void event_end(uint32_t instance, uint64_t ns) {
    record(OTRACE_X_EVENT_END, 0, ns, (otrace_word[]){instance, 0}, 2);
}

static void expect(uint32_t options, const char *edges) {
    CHECK_EDGES(&synth, options, edges);
}

static void nothing(void) {
    start(4096);
    expect(0, "");
    synth_free(&synth);
}

static void calls_nest(void) {
    start(4096);
    call(OTRACE_BEGIN, 1, 10);
    call(OTRACE_C_BEGIN, 2, 20);
    call(OTRACE_C_END, 2, 30);
    call(OTRACE_BEGIN, 3, 40);
    raise_call(OTRACE_END, 3, 50, 7);
    call(OTRACE_END, 1, 60);
    expect(0, "end 2 20..30 depth 1 [c]\n"
              "end 3 40..50 depth 1 [unwound] !7\n"
              "end 1 10..60 depth 0\n");
    expect(BEGINS, "begin 1 at 10 depth 0\n"
                   "begin 2 at 20 depth 1 [c]\n"
                   "end 2 20..30 depth 1 [c]\n"
                   "begin 3 at 40 depth 1\n"
                   "end 3 40..50 depth 1 [unwound] !7\n"
                   "end 1 10..60 depth 0\n");
    synth_free(&synth);
}

static void generators(void) {
    start(4096);
    call(OTRACE_BEGIN, 1, 10);
    call(OTRACE_YIELD, 1, 20);
    call(OTRACE_RESUME, 1, 30);
    call(OTRACE_YIELD, 1, 40);
    raise_call(OTRACE_RESUME, 1, 50, 6);
    raise_call(OTRACE_END, 1, 60, 0);
    expect(0, "end 1 10..20 depth 0 [yielded]\n"
              "end 1 30..40 depth 0 [resumed yielded]\n"
              "end 1 50..60 depth 0 [resumed unwound thrown]\n");
    synth_free(&synth);
}

static void wide_ids_and_times(void) {
    start(4096);
    call(OTRACE_BEGIN, 8191, 10);
    call(OTRACE_BEGIN, 8192, 70000);
    call(OTRACE_BEGIN, 3000000, 5000000000);
    call(OTRACE_END, 3000000, UINT64_C(3000000000000));
    call(OTRACE_END, 8192, UINT64_C(3000000000001));
    call(OTRACE_END, 8191, UINT64_C(3000000065537));
    expect(0, "end 3000000 5000000000..3000000000000 depth 2\n"
              "end 8192 70000..3000000000001 depth 1\n"
              "end 8191 10..3000000065537 depth 0\n");
    synth_free(&synth);
}

static void prefix_without_its_word(void) {
    start(512);
    call(OTRACE_BEGIN, 1, 10);
    otrace_word lost[] = {OTRACE_LONG(OTRACE_X_ID, 5), OTRACE_LONG(OTRACE_X_TIME, 1)};
    synth_words(&synth, &main_thread, lost, 2);
    synth_chunk(&synth, &main_thread);
    call(OTRACE_END, 1, 20);
    expect(0, "end 1 10..20 depth 0\n");
    synth_free(&synth);
}

static void same_tick(void) {
    start(4096);
    call(OTRACE_BEGIN, 1, 10);
    call(OTRACE_BEGIN, 2, 10);
    call(OTRACE_END, 2, 10);
    call(OTRACE_END, 1, 10);
    call(OTRACE_BEGIN, 3, 20);
    expect(0, "end 2 11..12 depth 1\n"
              "end 1 10..13 depth 0\n"
              "open 3 from 20 depth 0 [open]\n");
    synth_free(&synth);
}

static void ends_and_begins_missing(void) {
    start(4096);
    call(OTRACE_END, 9, 5); /* began before */
    call(OTRACE_BEGIN, 1, 10);
    call(OTRACE_BEGIN, 2, 20);
    call(OTRACE_BEGIN, 3, 30);
    call(OTRACE_END, 1, 40); /* 2 and 3 have lost theirs */
    call(OTRACE_END, 2, 50);
    expect(0, "end 3 30..40 depth 2 [inferred]\n"
              "end 2 20..41 depth 1 [inferred]\n"
              "end 1 10..42 depth 0\n");
    synth_free(&synth);
}

static void c_call_without_end(void) {
    start(4096);
    call(OTRACE_BEGIN, 1, 10);
    call(OTRACE_C_BEGIN, 2, 20);
    call(OTRACE_C_BEGIN, 2, 30);
    call(OTRACE_END, 1, 40);
    expect(0, "end 2 20..30 depth 1 [inferred c]\n"
              "end 2 31..40 depth 1 [inferred c]\n"
              "end 1 10..41 depth 0\n");
    synth_free(&synth);
}

static void callback_from_c(void) {
    start(4096);
    call(OTRACE_C_BEGIN, 1, 10);
    call(OTRACE_BEGIN, 2, 20);
    call(OTRACE_C_BEGIN, 3, 30);
    call(OTRACE_C_END, 3, 40);
    call(OTRACE_END, 2, 50);
    call(OTRACE_C_END, 1, 60);
    expect(0, "end 3 30..40 depth 2 [c]\n"
              "end 2 20..50 depth 1\n"
              "end 1 10..60 depth 0 [c]\n");
    synth_free(&synth);
}

static void open_at_the_end(void) {
    start(4096);
    call(OTRACE_BEGIN, 1, 10);
    call(OTRACE_BEGIN, 2, 20);
    call(OTRACE_END, 2, 30);
    call(OTRACE_C_BEGIN, 3, 40);
    expect(0, "end 2 20..30 depth 1\n"
              "open 1 from 10 depth 0 [open]\n"
              "open 3 from 40 depth 1 [open c]\n");
    synth_free(&synth);
}

/* Chunks follow each other: the SYNC of the second one changes nothing. */
static void over_chunks(void) {
    start(512);
    call(OTRACE_BEGIN, 1, 10);
    for (uint32_t i = 0; i < 300; i++) {
        call(OTRACE_BEGIN, 2, 20 + 10 * i);
        call(OTRACE_END, 2, 25 + 10 * i);
    }
    call(OTRACE_END, 1, 9999);
    CHECK(synth.slots >= 4);
    char *text = edges_text(&synth, 0, 0);
    CHECK(strstr(text, "end 1 10..9999 depth 0\n") != NULL);
    CHECK(strstr(text, "inferred") == NULL && strstr(text, "cut") == NULL);
    int lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    CHECK_EQUAL(lines, 301);
    free(text);
    synth_free(&synth);
}

/* The first chunk was overwritten: what was open is shown, as cut. */
static void beginning_overwritten(void) {
    start(512);
    call(OTRACE_BEGIN, 1, 10);
    call(OTRACE_BEGIN, 2, 20);
    synth_chunk(&synth, &main_thread);
    call(OTRACE_END, 2, 30);
    call(OTRACE_END, 1, 40);
    memset(synth_slot(&synth, 0), 0, 512);
    expect(0, "end 2 20..30 depth 1 [cut]\n"
              "end 1 10..40 depth 0 [cut]\n");
    expect(BEGINS, "begin 1 at 10 depth 0 [cut]\n"
                   "begin 2 at 20 depth 1 [cut]\n"
                   "end 2 20..30 depth 1 [cut]\n"
                   "end 1 10..40 depth 0 [cut]\n");
    synth_free(&synth);
}

/* A chunk in the middle is gone: known calls go on or end before it, new ones are cut. */
static void gap_in_the_middle(void) {
    start(512);
    call(OTRACE_BEGIN, 1, 10);
    call(OTRACE_BEGIN, 2, 20);
    synth_chunk(&synth, &main_thread);
    call(OTRACE_END, 2, 100);
    call(OTRACE_BEGIN, 2, 110);
    call(OTRACE_BEGIN, 3, 120);
    synth_chunk(&synth, &main_thread);
    call(OTRACE_END, 3, 200);
    call(OTRACE_END, 2, 210);
    call(OTRACE_END, 1, 220);
    memset(synth_slot(&synth, 1), 0, 512);
    expect(0, "end 2 20..21 depth 1 [inferred]\n"
              "end 3 120..200 depth 2 [cut]\n"
              "end 2 110..210 depth 1 [cut]\n"
              "end 1 10..220 depth 0\n");
    synth_free(&synth);
}

static void pause_ends_calls(void) {
    start(4096);
    call(OTRACE_BEGIN, 1, 10);
    call(OTRACE_BEGIN, 2, 20);
    record(OTRACE_X_PAUSE, 0, 30, NULL, 0);
    main_thread.depth = 1; /* 2 returned during the pause, 4 was called */
    main_thread.open[main_thread.depth++] =
        (struct synth_open){.id = 4, .kind = OTRACE_C_BEGIN, .tick = AT(50)};
    synth_sync(&synth, &main_thread, AT(60));
    call(OTRACE_C_END, 4, 70);
    call(OTRACE_END, 1, 80);
    expect(0, "end 2 20..31 depth 1 [inferred]\n"
              "end 4 50..70 depth 1 [cut c]\n"
              "end 1 10..80 depth 0\n");
    synth_free(&synth);
}

/* A SYNC that leaves the innermost calls out. */
static void deep_stack(void) {
    for (int gap = 0; gap < 2; gap++) {
        start(512);
        call(OTRACE_BEGIN, 1, 10);
        call(OTRACE_BEGIN, 2, 20);
        call(OTRACE_BEGIN, 3, 30);
        uint32_t told = main_thread.depth = 1;
        synth_chunk(&synth, &main_thread);
        otrace_word *sync = (otrace_word *)(synth_slot(&synth, 1) + 1);
        sync[3] = told + 2;
        call(OTRACE_BEGIN, 4, 40);
        call(OTRACE_END, 4, 50);
        call(OTRACE_END, 3, 60);
        call(OTRACE_END, 2, 70);
        call(OTRACE_END, 1, 80);
        if (gap) {
            memset(synth_slot(&synth, 0), 0, 512);
        }
        expect(0, gap ? "end 4 40..50 depth 2\nend 1 10..80 depth 0 [cut]\n"
                      : "end 4 40..50 depth 3\nend 3 30..60 depth 2\n"
                        "end 2 20..70 depth 1\nend 1 10..80 depth 0\n");
        synth_free(&synth);
    }
}

/* The writer keeps a C call that never ended on its stack; the reader knows better. */
static void dead_c_call_in_sync(void) {
    start(512);
    call(OTRACE_BEGIN, 1, 10);
    call(OTRACE_C_BEGIN, 2, 20);
    call(OTRACE_C_BEGIN, 3, 30);
    synth_chunk(&synth, &main_thread);
    call(OTRACE_C_END, 3, 40);
    call(OTRACE_END, 1, 50);
    expect(0, "end 2 20..30 depth 1 [inferred c]\n"
              "end 3 31..40 depth 1 [c]\n"
              "end 1 10..50 depth 0\n");
    synth_free(&synth);
}

static void short_calls(void) {
    start(4096);
    synth.header->min_duration_ns = 20;
    call(OTRACE_BEGIN, 1, 10);
    call(OTRACE_BEGIN, 2, 20);
    call(OTRACE_BEGIN, 3, 30);
    record(OTRACE_X_INSTANT, 0, 35, (otrace_word[]){5}, 1);
    call(OTRACE_END, 3, 49); /* 19: too short */
    call(OTRACE_BEGIN, 4, 50);
    call(OTRACE_END, 4, 70); /* 20: long enough */
    call(OTRACE_END, 2, 75);
    call(OTRACE_BEGIN, 6, 80);
    record(OTRACE_X_COUNTER, 0, 85, (otrace_word[]){7}, 1);
    call(OTRACE_END, 6, 90);
    call(OTRACE_END, 1, 95);
    call(OTRACE_BEGIN, 8, 96);
    expect(0, "instant 5 at 35 scope 0\n"
              "end 4 50..70 depth 2\n"
              "end 2 20..75 depth 1\n"
              "counter 7 at 85\n"
              "end 1 10..95 depth 0\n"
              "open 8 from 96 depth 0 [open]\n");
    expect(BEGINS, "begin 1 at 10 depth 0\n"
                   "begin 2 at 20 depth 1\n"
                   "instant 5 at 35 scope 0\n"
                   "begin 4 at 50 depth 2\n"
                   "end 4 50..70 depth 2\n"
                   "end 2 20..75 depth 1\n"
                   "counter 7 at 85\n"
                   "end 1 10..95 depth 0\n"
                   "begin 8 at 96 depth 0\n"
                   "open 8 from 96 depth 0 [open]\n");
    synth_free(&synth);
}

static void events_nest(void) {
    start(4096);
    call(OTRACE_BEGIN, 1, 10);
    event_begin(1, 5, 20);
    call(OTRACE_BEGIN, 2, 30);
    call(OTRACE_END, 2, 40);
    event_end(1, 50);
    event_begin(2, 5, 60);
    expect(0, "end 2 30..40 depth 2\n"
              "end 5 20..50 depth 1 [event] #1 (2, 0)\n"
              "open 1 from 10 depth 0 [open]\n"
              "open 5 from 60 depth 1 [open event] #2 (2, 0)\n");
    synth_free(&synth);
}

/* An event in a coroutine that awaits, and one that a helper ends. */
static void events_cross(void) {
    start(4096);
    call(OTRACE_BEGIN, 1, 10);
    event_begin(1, 5, 20);
    call(OTRACE_YIELD, 1, 30);
    main_thread.depth = 0;
    call(OTRACE_BEGIN, 2, 40);
    event_begin(2, 6, 45);
    call(OTRACE_BEGIN, 3, 50);
    event_end(2, 55);
    call(OTRACE_END, 3, 60);
    call(OTRACE_END, 2, 65);
    call(OTRACE_RESUME, 1, 70);
    event_end(1, 80);
    call(OTRACE_END, 1, 90);
    expect(BEGINS, "begin 1 at 10 depth 0\n"
                   "end 1 10..30 depth 0 [yielded]\n"
                   "begin 2 at 40 depth 0\n"
                   "begin 3 at 50 depth 1\n"
                   "event 6 45..55 [event detached] #2 (2, 0)\n"
                   "end 3 50..60 depth 1\n"
                   "end 2 40..65 depth 0\n"
                   "begin 1 at 70 depth 0 [resumed]\n"
                   "event 5 20..80 [event detached] #1 (2, 0)\n"
                   "end 1 70..90 depth 0 [resumed]\n");
    synth_free(&synth);
}

static void event_ends_on_another_thread(void) {
    start(4096);
    struct synth_thread other;
    synth_thread(&synth, &other, 2, "other", AT(0));
    call(OTRACE_BEGIN, 1, 10);
    event_begin(1, 5, 20);
    synth_call(&synth, &other, OTRACE_BEGIN, 2, AT(30), -1);
    synth_record(&synth, &other, OTRACE_X_EVENT_END, 0, AT(40), (otrace_word[]){1, 9, 3, 1}, 4);
    call(OTRACE_END, 1, 50);
    main_thread.depth = 0;
    expect(0, "end 1 10..50 depth 0\n"
              "event 5 20..40 [unwound event detached] !9 #1 (2, 2)\n");
    edges_check(&synth, 1, 0, "open 2 from 30 depth 0 [open]\n", __FILE__, __LINE__);
    synth_free(&synth);
}

static void event_beginning_overwritten(void) {
    start(512);
    call(OTRACE_BEGIN, 1, 10);
    event_begin(1, 5, 20);
    synth_chunk(&synth, &main_thread);
    event_end(1, 30);
    call(OTRACE_END, 1, 40);
    memset(synth_slot(&synth, 0), 0, 512);
    expect(0, "end 5 20..30 depth 1 [cut event] #1 (0, 0)\n"
              "end 1 10..40 depth 0 [cut]\n");
    synth_free(&synth);
}

static void arrive(uint32_t flow, uint64_t since) {
    synth_words(&synth, &main_thread,
                (otrace_word[]){OTRACE_LONG(OTRACE_X_ARRIVE, flow),
                                OTRACE_LONG(OTRACE_X_ARRIVE, since & 0xffffff),
                                OTRACE_LONG(OTRACE_X_ARRIVE, since >> 24)},
                3);
}

static void flows(void) {
    start(4096);
    call(OTRACE_BEGIN, 1, 10);
    record(OTRACE_X_FLOW, 0, 20, (otrace_word[]){5}, 1);
    call(OTRACE_END, 1, 30);
    arrive(5, 3999980);
    call(OTRACE_BEGIN, 2, 4000000);
    call(OTRACE_END, 2, 4000010);
    arrive(7, (UINT64_C(1) << 40) + 1); /* it began before the recording's start */
    call(OTRACE_C_BEGIN, 3, 4000020);
    call(OTRACE_C_END, 3, 4000030);
    expect(0, "end 1 10..30 depth 0\n"
              "end 2 4000000..4000010 depth 0 ~5 +3999\n"
              "end 3 4000020..4000030 depth 0 [c] ~7 +4000\n");
    expect(BEGINS | OTRACE_DECODE_FLOWS, "begin 1 at 10 depth 0\n"
                                         "flow at 20 depth 1 ~5 +0\n"
                                         "end 1 10..30 depth 0\n"
                                         "begin 2 at 4000000 depth 0 ~5 +3999\n"
                                         "end 2 4000000..4000010 depth 0 ~5 +3999\n"
                                         "begin 3 at 4000020 depth 0 [c] ~7 +4000\n"
                                         "end 3 4000020..4000030 depth 0 [c] ~7 +4000\n");
    synth_free(&synth);
}

static void unreadable_words(void) {
    start(512);
    call(OTRACE_BEGIN, 1, 10);
    synth_words(&synth, &main_thread, (otrace_word[]){0x00012345}, 1); /* kind 0 */
    call(OTRACE_END, 1, 20);
    synth_chunk(&synth, &main_thread);
    call(OTRACE_BEGIN, 2, 30);
    synth_words(&synth, &main_thread, (otrace_word[]){OTRACE_LONG(OTRACE_X_TICK, 5000)}, 1);
    expect(0, "end 1 10..11 depth 0 [inferred]\n"
              "open 2 from 30 depth 0 [open]\n");
    synth_free(&synth);
}

static void unknown_records_are_skipped(void) {
    start(4096);
    call(OTRACE_BEGIN, 1, 10);
    otrace_word later[] = {OTRACE_LONG(31, 3), 0xffffffff, 0xffffffff, OTRACE_LONG(7, 99)};
    synth_words(&synth, &main_thread, later, 4);
    call(OTRACE_END, 1, 20);
    expect(0, "end 1 10..20 depth 0\n");
    synth_free(&synth);
}

int main(void) {
    nothing();
    calls_nest();
    generators();
    wide_ids_and_times();
    prefix_without_its_word();
    same_tick();
    ends_and_begins_missing();
    c_call_without_end();
    callback_from_c();
    open_at_the_end();
    over_chunks();
    beginning_overwritten();
    gap_in_the_middle();
    pause_ends_calls();
    deep_stack();
    dead_c_call_in_sync();
    short_calls();
    events_nest();
    events_cross();
    event_ends_on_another_thread();
    event_beginning_overwritten();
    flows();
    unreadable_words();
    unknown_records_are_skipped();
    return 0;
}
