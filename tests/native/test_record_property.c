/* Random begins, ends, events, marks and pauses: what the ring keeps equals what was done. */
#include <string.h>

#include "check.h"
#include "record_shadow.h"

#define NAMES 12000u /* ids on both sides of the 13 bits of a short word */
#define RUNS 24
#define STEPS 20000
#define EVENTS_MOST 6u
#define DEPTH_MOST 40u /* so that no SYNC leaves a call out */

struct player {
    struct shadow shadow;
    uint64_t seed;
    uint32_t first_name, next_instance;
};

static uint32_t dice(struct player *player, uint32_t below) {
    return shadow_random(&player->seed, below);
}

static uint32_t some_name(struct player *player) {
    /* Few functions recur, so that recursion and mismatched ends are common. */
    uint32_t below = dice(player, 3) > 0 ? 12 : NAMES;
    return player->first_name + dice(player, below);
}

static uint32_t maybe_exception(struct player *player) {
    return dice(player, 6) > 0 ? 0 : OTRACE_WITH_EXCEPTION | dice(player, player->first_name + 9);
}

static void begin(struct player *player) {
    static const uint32_t kinds[] = {OTRACE_BEGIN, OTRACE_C_BEGIN, OTRACE_RESUME};
    uint32_t kind = kinds[dice(player, 3)];
    if (player->shadow.depth < DEPTH_MOST) {
        uint32_t exception = kind == OTRACE_RESUME ? maybe_exception(player) : 0;
        shadow_begin(&player->shadow, kind, some_name(player), exception);
    }
}

static void end(struct player *player, const struct shadow_call *call) {
    uint32_t kind = call->kind == OTRACE_C_BEGIN                         ? OTRACE_C_END
                    : call->kind == OTRACE_RESUME && dice(player, 3) > 0 ? OTRACE_YIELD
                                                                         : OTRACE_END;
    uint32_t exception = kind == OTRACE_YIELD ? 0 : maybe_exception(player);
    shadow_end(&player->shadow, kind, call->id, exception);
}

/* The innermost call, seldom one further out: the calls above it end with it. */
static void end_some(struct player *player) {
    const struct shadow *shadow = &player->shadow;
    size_t skip = dice(player, 12) == 0 ? dice(player, 4) : 0;
    for (size_t i = shadow->depth; i-- > 0;) {
        if (!shadow->stack[i].event && skip-- == 0) {
            struct shadow_call call = shadow->stack[i];
            end(player, &call);
            return;
        }
    }
    shadow_end(&player->shadow, OTRACE_END, some_name(player), 0); /* it may be open or not */
}

static size_t events_open(const struct shadow *shadow) {
    size_t count = 0;
    for (size_t i = 0; i < shadow->depth; i++) {
        count += shadow->stack[i].event;
    }
    return count;
}

static void event(struct player *player) {
    struct shadow *shadow = &player->shadow;
    if (events_open(shadow) < EVENTS_MOST && dice(player, 2) == 0) {
        shadow_event_begin(shadow, player->next_instance++, 2 + dice(player, 100));
        return;
    }
    for (size_t i = shadow->depth; i-- > 0;) {
        if (shadow->stack[i].event && dice(player, 2) == 0) {
            shadow_event_end(shadow, shadow->stack[i].id);
            return;
        }
    }
    shadow_event_end(shadow, player->next_instance + 5); /* one that is not open here */
}

static void mark(struct player *player) {
    otrace_word payload[OTRACE_PAYLOAD_WORDS];
    uint32_t words = 1 + dice(player, dice(player, 20) == 0 ? OTRACE_PAYLOAD_WORDS : 8);
    memset(payload, 0, sizeof payload); /* zero words inside a record end nothing */
    payload[0] = dice(player, 1000);
    shadow_mark(&player->shadow, dice(player, 2) ? OTRACE_X_INSTANT : OTRACE_X_COUNTER, payload,
                words);
}

static void step(struct player *player) {
    uint32_t roll = dice(player, 1000);
    if (roll < 465) {
        begin(player);
    } else if (roll < 940) {
        end_some(player);
    } else if (roll < 965) {
        event(player);
    } else if (roll < 985) {
        mark(player);
    } else if (player->shadow.pauses == 0 ? roll < 990 : roll < 987) {
        shadow_pause(&player->shadow);
    } else {
        shadow_resume(&player->shadow);
    }
}

int main(void) {
    static const uint32_t depths[] = {0, 0, 0, 1, 3, 17};
    struct player player = {.seed = 20261122, .next_instance = 1};
    player.first_name = 0;
    for (int run = 0; run < RUNS; run++) {
        uint32_t max_depth = depths[run % 6];
        shadow_start(256 << 10, max_depth);
        if (player.first_name == 0) {
            player.first_name = shadow_names(NAMES);
        }
        shadow_create(&player.shadow, max_depth);
        for (int i = 0; i < (run % 3 == 2 ? STEPS * 10 : STEPS / (run + 1)); i++) {
            step(&player);
        }
        struct record_file file;
        shadow_stop(&file);
        uint64_t lost = shadow_check(&player.shadow, &file);
        CHECK_EQUAL(file.header->lost_calls, lost);
        CHECK_EQUAL(file.header->dropped_no_space, 0);
        CHECK(run % 3 != 2 || lost > 0); /* the long runs are more than the ring holds */
        CHECK(run % 3 == 2 || lost == 0);
        record_file_free(&file);
        shadow_free(&player.shadow);
    }
    return 0;
}
