/* What the records of a chunk tell of its functions: calls, words, and time in each alone. */
#include <string.h>

#include "check.h"
#include "record/states.h"
#include "record/usage.h"

#define COST 10u /* ticks of one word's event */

static char object; /* stands for a code object */

static void begin(void) {
    CHECK_EQUAL(otrace_states_init(), 0);
    otrace_usage_begin();
    otrace_usage.word_ticks = COST;
    for (uint32_t id = 2; id < 5; id++) {
        otrace_usage_meet(id, &object);
    }
    otrace_usage_meet(0x12345, &object);
}

static void check_use(uint32_t id, uint64_t calls, uint64_t words, uint64_t ticks) {
    CHECK_EQUAL(otrace_usage.uses[id].calls, calls);
    CHECK_EQUAL(otrace_usage.uses[id].words, words);
    CHECK_EQUAL(otrace_usage.uses[id].ticks, ticks);
}

static void test_time_goes_to_the_innermost(void) {
    const otrace_word words[] = {
        OTRACE_WORD(OTRACE_BEGIN, 2, 0),    OTRACE_WORD(OTRACE_BEGIN, 3, 110),
        OTRACE_WORD(OTRACE_C_BEGIN, 9, 30), OTRACE_WORD(OTRACE_C_END, 9, 25),
        OTRACE_WORD(OTRACE_END, 3, 5),      OTRACE_WORD(OTRACE_BEGIN, 3, 50),
        OTRACE_WORD(OTRACE_END, 3, 12),     OTRACE_WORD(OTRACE_END, 2, 10),
    };
    begin();
    otrace_usage_scan(words, words + 8);
    CHECK_EQUAL(otrace_usage.words, 8);
    CHECK_EQUAL(otrace_usage.touched_count, 2);
    check_use(2, 1, 2, 100 + 40);
    check_use(3, 2, 6, 20 + 15 + 2); /* a C call is its caller's; nothing is less than no time */
    check_use(9, 0, 0, 0);
    otrace_usage_clear_window();
    CHECK_EQUAL(otrace_usage.touched_count, 0);
    check_use(3, 2, 0, 0);
    otrace_usage_end();
}

static void test_prefixes_and_long_records(void) {
    const otrace_word words[] = {
        OTRACE_LONG(OTRACE_X_SYNC, 4),
        1,
        0,
        1,
        OTRACE_LONG(OTRACE_X_OPEN, 4 | OTRACE_BEGIN << 16),
        4,
        1,
        0,
        OTRACE_LONG(OTRACE_X_TIME, 1),
        OTRACE_LONG(OTRACE_X_ID, 0x12345 >> OTRACE_ID_SHORT_BITS),
        OTRACE_WORD(OTRACE_BEGIN, 0x12345, 0),
        OTRACE_LONG(OTRACE_X_INSTANT, 4),
        7,
        7,
        7,
        OTRACE_LONG(OTRACE_X_EXC, 5),
        OTRACE_LONG(OTRACE_X_ID, 0x12345 >> OTRACE_ID_SHORT_BITS),
        OTRACE_WORD(OTRACE_END, 0x12345, 40),
        OTRACE_WORD(OTRACE_END, 4, 20),
        0,
        OTRACE_WORD(OTRACE_BEGIN, 3, 0),
    };
    begin();
    otrace_usage_scan(words, words + sizeof words / sizeof *words);
    check_use(0x12345, 1, 6, 30);
    CHECK_EQUAL(otrace_usage.uses[4].calls, 0); /* it began in an earlier chunk */
    CHECK_EQUAL(otrace_usage.uses[4].words, 1);
    check_use(3, 0, 0, 0); /* behind the end */
    otrace_usage_end();
}

static void test_deep_and_odd_records(void) {
    enum { DEEP = 2000 };
    static otrace_word words[2 * DEEP + 2];
    begin();
    for (int i = 0; i < DEEP; i++) {
        words[i] = OTRACE_WORD(OTRACE_BEGIN, 2, 20);
        words[DEEP + i] = OTRACE_WORD(OTRACE_END, 2, 20);
    }
    words[2 * DEEP] = OTRACE_WORD(OTRACE_END, 3, 1);           /* began before the recording */
    words[2 * DEEP + 1] = OTRACE_LONG(OTRACE_X_INSTANT, 1000); /* longer than the chunk */
    otrace_usage_scan(words, words + 2 * DEEP + 2);
    CHECK_EQUAL(otrace_usage.uses[2].calls, DEEP);
    CHECK_EQUAL(otrace_usage.uses[2].words, 2 * DEEP);
    CHECK_EQUAL(otrace_usage.uses[3].words, 1);
    otrace_usage_forget(2);
    CHECK(otrace_usage.uses[2].object == NULL);
    otrace_usage_meet(UINT32_C(1) << 23, &object); /* too large: never governed */
    otrace_usage_forget(UINT32_C(1) << 23);
    otrace_usage_forked();
    CHECK_EQUAL(otrace_usage.uses[2].calls, 0);
    otrace_usage_end();
}

int main(void) {
    test_time_goes_to_the_innermost();
    test_prefixes_and_long_records();
    test_deep_and_odd_records();
    return 0;
}
