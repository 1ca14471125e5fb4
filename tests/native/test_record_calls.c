/* One thing each of how calls become records: wide ids, long times, deep stacks, wrong ends. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "record/names.h"
#include "record_shadow.h"

#define FUNCTIONS 9000u
#define DEEP 100000u

static uint32_t first_name;

static void check_all(struct shadow *shadow) {
    struct record_file file;
    shadow_stop(&file);
    CHECK_EQUAL(shadow_check(shadow, &file), 0);
    CHECK_EQUAL(file.header->lost_chunks, 0);
    record_file_free(&file);
    shadow_free(shadow);
}

static void test_ids_above_13_bits(void) {
    struct shadow shadow;
    shadow_start(1 << 20, 0);
    shadow_create(&shadow, 0);
    static const uint32_t ids[] = {8190, 8191, 8192, 8193, 8999};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        shadow_begin(&shadow, OTRACE_BEGIN, ids[i], 0);
        shadow_begin(&shadow, OTRACE_C_BEGIN, ids[i] - 1, 0);
        shadow_end(&shadow, OTRACE_C_END, ids[i] - 1, 0);
        shadow_end(&shadow, OTRACE_END, ids[i], OTRACE_WITH_EXCEPTION | ids[i]);
    }
    /* The format's own bound: 24 bits, which no names here reach. */
    shadow_begin(&shadow, OTRACE_BEGIN, 0xffffffu, OTRACE_WITH_EXCEPTION | 0xffffffu);
    shadow_end(&shadow, OTRACE_END, 0xffffffu, 0);
    check_all(&shadow);
}

static void test_times_above_16_and_40_bits(void) {
    struct shadow shadow;
    shadow_start(1 << 20, 0);
    shadow_create(&shadow, 0);
    uint64_t now = otrace_clock_ticks() + 1000;
    static const uint64_t steps[] = {0,
                                     1,
                                     0xffff,
                                     0x10000,
                                     0x10001,
                                     0xffffff,
                                     (UINT64_C(1) << 40) - 1,
                                     UINT64_C(1) << 40,
                                     (UINT64_C(1) << 40) + 1,
                                     UINT64_C(1) << 52};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        now += steps[i];
        shadow_begin_at(&shadow, OTRACE_BEGIN, first_name + (i % 2 ? 8500 : 1), now);
        now += steps[i];
        shadow_end_at(&shadow, OTRACE_END, first_name + (i % 2 ? 8500 : 1), now);
    }
    check_all(&shadow); /* which compares each tick */
}

static void test_a_clock_that_steps_back_stands_still(void) {
    struct shadow shadow;
    shadow_start(1 << 20, 0);
    shadow_create(&shadow, 0);
    uint64_t now = otrace_clock_ticks() + 100000;
    shadow_begin_at(&shadow, OTRACE_BEGIN, first_name, now);
    otrace_thread_begin(OTRACE_BEGIN, first_name + 1, 0, 0, now - 500);
    otrace_thread_end(OTRACE_END, first_name + 1, 0, now - 400);
    struct shadow_operation at_now = {.kind = OTRACE_BEGIN, .id = first_name + 1, .now = now};
    shadow.operations = realloc(shadow.operations, 8 * sizeof *shadow.operations);
    CHECK(shadow.operations != NULL);
    at_now.what = SHADOW_BEGIN;
    at_now.written = true;
    shadow.operations[shadow.count++] = at_now;
    at_now.what = SHADOW_END;
    at_now.kind = OTRACE_END;
    shadow.operations[shadow.count++] = at_now;
    check_all(&shadow);
}

static void test_deep_stack(void) {
    struct shadow shadow;
    shadow_start(8 << 20, 0);
    shadow_create(&shadow, 0);
    for (uint32_t i = 0; i < DEEP; i++) {
        shadow_begin(&shadow, OTRACE_BEGIN, first_name + i % 7, 0);
    }
    for (uint32_t i = DEEP; i-- > 0;) {
        shadow_end(&shadow, OTRACE_END, first_name + i % 7, 0);
    }
    check_all(&shadow);
}

/* A recursion: the innermost of equal calls ends first. */
static void test_wrong_ends(void) {
    struct shadow shadow;
    shadow_start(1 << 20, 0);
    shadow_create(&shadow, 0);
    shadow_end(&shadow, OTRACE_END, first_name, 0); /* nothing is open */
    shadow_begin(&shadow, OTRACE_BEGIN, first_name, 0);
    shadow_begin(&shadow, OTRACE_BEGIN, first_name + 1, 0);
    shadow_begin(&shadow, OTRACE_BEGIN, first_name, 0);
    shadow_begin(&shadow, OTRACE_C_BEGIN, first_name + 2, 0);
    shadow_end(&shadow, OTRACE_C_END, first_name + 3, 0); /* never began */
    shadow_end(&shadow, OTRACE_END, first_name, 0);       /* the inner one, with what is above */
    CHECK_EQUAL(shadow.depth, 2);
    shadow_end(&shadow, OTRACE_END, first_name, 0);
    CHECK_EQUAL(shadow.depth, 0);
    shadow_end(&shadow, OTRACE_END, first_name, 0);
    check_all(&shadow);
}

static void test_an_end_on_the_fast_path_is_of_the_innermost_call(void) {
    static const char objects[256];
    const void *object = objects + 64, *other = objects + 128;
    bool known = false; /* not after a begin by the slow path, which any delay leads to */
    uint64_t what = otrace_what(OTRACE_C_BEGIN, otrace_key_of(first_name));
    shadow_start(1 << 20, 0);
    for (int i = 0; i < 10000 && !known; i++) {
        if (!otrace_emit_begin(OTRACE_C_BEGIN, what, object)) {
            otrace_thread_begin(OTRACE_C_BEGIN, first_name, object, 0, otrace_clock_ticks());
        }
        CHECK(!otrace_emit_end(OTRACE_C_END, other));
        known = otrace_emit_end(OTRACE_C_END, object);
        if (!known) {
            otrace_thread_end(OTRACE_C_END, first_name, 0, otrace_clock_ticks());
        }
    }
    CHECK(known);
    CHECK(!otrace_emit_end(OTRACE_C_END, object)); /* nothing is open */
    struct record_file file;
    shadow_stop(&file);
    record_file_free(&file);
}

static void test_max_depth(void) {
    struct shadow shadow;
    shadow_start(1 << 20, 3);
    shadow_create(&shadow, 3);
    for (uint32_t round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < 10; i++) {
            shadow_begin(&shadow, OTRACE_BEGIN, first_name + i, 0);
            if (i == 1) {
                shadow_event_begin(&shadow, round + 1, first_name); /* events are no calls */
            }
        }
        CHECK_EQUAL(otrace_thread_self->top - otrace_thread_self->stack - 1, 11);
        for (uint32_t i = 10; i-- > 0;) {
            shadow_end(&shadow, OTRACE_END, first_name + i, 0);
        }
    }
    size_t written = 0;
    for (size_t i = 0; i < shadow.count; i++) {
        written += shadow.operations[i].written;
    }
    CHECK_EQUAL(written, 50 * (3 * 2 + 1));
    check_all(&shadow);
}

static void test_pauses_nest(void) {
    struct shadow shadow;
    shadow_start(1 << 20, 0);
    shadow_create(&shadow, 0);
    shadow_resume(&shadow); /* nothing was paused */
    shadow_begin(&shadow, OTRACE_BEGIN, first_name, 0);
    shadow_begin(&shadow, OTRACE_BEGIN, first_name + 1, 0);
    shadow_pause(&shadow);
    shadow_pause(&shadow);
    shadow_end(&shadow, OTRACE_END, first_name + 1, 0);     /* ends unseen */
    shadow_begin(&shadow, OTRACE_BEGIN, first_name + 2, 0); /* begins unseen and goes on */
    shadow_begin(&shadow, OTRACE_BEGIN, first_name + 3, 0); /* all of it unseen */
    shadow_end(&shadow, OTRACE_END, first_name + 3, 0);
    shadow_resume(&shadow);
    shadow_begin(&shadow, OTRACE_C_BEGIN, first_name + 4, 0); /* still paused */
    shadow_end(&shadow, OTRACE_C_END, first_name + 4, 0);
    shadow_resume(&shadow);
    shadow_end(&shadow, OTRACE_END, first_name + 2, 0);
    shadow_end(&shadow, OTRACE_END, first_name, 0);
    size_t written = 0;
    for (size_t i = 0; i < shadow.count; i++) {
        written += shadow.operations[i].written;
    }
    CHECK_EQUAL(written, 2 + 1 + 1 + 2);
    check_all(&shadow);
}

static void test_a_thread_that_paused_first(void) {
    struct shadow shadow;
    otrace_thread_pause(); /* without a recording: no effect, no harm */
    otrace_thread_resume();
    shadow_start(1 << 20, 0);
    shadow_create(&shadow, 0);
    shadow_pause(&shadow);
    shadow_begin(&shadow, OTRACE_BEGIN, first_name, 0);
    shadow_resume(&shadow);
    shadow_end(&shadow, OTRACE_END, first_name, 0);
    check_all(&shadow);
}

static void test_an_event_ends_inside_a_helper(void) {
    struct shadow shadow;
    shadow_start(1 << 20, 0);
    shadow_create(&shadow, 0);
    shadow_begin(&shadow, OTRACE_BEGIN, first_name, 0);
    shadow_event_begin(&shadow, 1, first_name);
    shadow_event_begin(&shadow, 2, first_name);
    shadow_begin(&shadow, OTRACE_BEGIN, first_name + 1, 0);
    shadow_event_end(&shadow, 1);
    shadow_end(&shadow, OTRACE_END, first_name + 1, 0);
    shadow_end(&shadow, OTRACE_END, first_name, 0); /* event 2 is still open */
    shadow_event_end(&shadow, 2);
    check_all(&shadow);
}

static void test_inherited_calls(void) {
    struct record_file file;
    shadow_start(1 << 20, 0);
    CHECK(otrace_thread_register(false) != NULL);
    struct otrace_thread *thread = otrace_thread_self;
    otrace_thread_push_open(thread, first_name, OTRACE_BEGIN);
    otrace_thread_push_open(thread, first_name + 1, OTRACE_RESUME);
    shadow_hot_end(OTRACE_YIELD, first_name + 1);
    shadow_hot_end(OTRACE_END, first_name);
    shadow_stop(&file);
    CHECK_EQUAL(file.count, 1);
    CHECK_EQUAL(((struct otrace_chunk *)file.chunks[0])->calls_ended, 2);
    const otrace_word *words = (const otrace_word *)(file.chunks[0] + sizeof(struct otrace_chunk));
    CHECK_EQUAL(words[3], 2);
    CHECK_EQUAL(words[4] >> 16 & 0xff, OTRACE_OPEN_INHERITED | OTRACE_BEGIN);
    CHECK_EQUAL(words[5], first_name);
    CHECK_EQUAL(words[6] | (uint64_t)words[7] << 32, file.header->start_anchor.tick);
    CHECK_EQUAL(words[8] >> 16 & 0xff, OTRACE_OPEN_INHERITED | OTRACE_RESUME);
    record_file_free(&file);
}

static void test_too_big_a_payload_is_refused_whole(void) {
    static otrace_word payload[OTRACE_PAYLOAD_WORDS + 1];
    shadow_start(256 << 10, 0);
    shadow_hot_begin(OTRACE_BEGIN, first_name);
    otrace_word *before = otrace_thread_self->cursor;
    CHECK(!otrace_thread_write(OTRACE_X_INSTANT, 0, payload, OTRACE_PAYLOAD_WORDS + 1));
    CHECK(otrace_thread_self->cursor == before);
    CHECK(otrace_thread_write(OTRACE_X_INSTANT, 0, payload, OTRACE_PAYLOAD_WORDS));
    struct record_file file;
    shadow_stop(&file);
    record_file_free(&file);
}

int main(void) {
    otrace_thread_pause(); /* before anything was set up */
    otrace_thread_resume();
    shadow_start(1 << 20, 0);
    first_name = shadow_names(FUNCTIONS);
    struct record_file file;
    shadow_stop(&file);
    CHECK_EQUAL(record_meta_count(&file, OTRACE_META_NAME), first_name - 1 + FUNCTIONS);
    record_file_free(&file);
    test_ids_above_13_bits();
    test_times_above_16_and_40_bits();
    test_a_clock_that_steps_back_stands_still();
    test_deep_stack();
    test_wrong_ends();
    test_an_end_on_the_fast_path_is_of_the_innermost_call();
    test_max_depth();
    test_pauses_nest();
    test_a_thread_that_paused_first();
    test_an_event_ends_inside_a_helper();
    test_inherited_calls();
    test_too_big_a_payload_is_refused_whole();
    return 0;
}
