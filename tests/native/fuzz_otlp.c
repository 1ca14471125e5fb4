/* Plans spans from damaged segments: whatever is read, the accounts add up and nothing is read
 * that is not there. Runs: OTRACE_FUZZ_RUNS (5,000); the first seed: OTRACE_FUZZ_SEED. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "otlp_check.h"
#include "synth.h"

static uint64_t state;

static uint32_t pick(uint32_t limit) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % limit;
}

static void make_records(struct synth *synth, struct synth_thread *thread) {
    uint64_t now = thread->tick + pick(1000);
    for (int i = 0; i < 150 && synth->slots < synth->header->chunk_count; i++) {
        now += 1 + pick(500);
        otrace_word instance = 1 + pick(20);
        switch (pick(16)) {
        case 0:
            synth_record(synth, thread, OTRACE_X_EVENT_BEGIN, 0, now,
                         (otrace_word[]){instance, 5, 6, 3 | 8 << 8, 7, 0}, 6);
            break;
        case 1:
            synth_record(synth, thread, OTRACE_X_EVENT_END, 0, now,
                         (otrace_word[]){instance, pick(3), 6, 5 | 3 << 8, 0x62a0edff}, 5);
            break;
        case 2:
            synth_record(synth, thread, OTRACE_X_INSTANT, pick(4), now,
                         (otrace_word[]){5, 6, 8 | 16 << 8, 4 | 8 << 8, 0, 0x7ff80000, 2}, 7);
            break;
        case 3:
            synth_record(synth, thread, OTRACE_X_TASK_INFO, 1 + pick(3), now,
                         (otrace_word[]){1 + pick(3), pick(4), pick(6), OTRACE_VALUE_NONE}, 4);
            break;
        case 4:
        case 5:
        case 6: /* slices of a few coroutines, in any order */
            synth_words(synth, thread,
                        (otrace_word[]){OTRACE_LONG(OTRACE_X_ACT, 1 + pick(5)),
                                        OTRACE_LONG(OTRACE_X_TASK, pick(4))},
                        1 + pick(2));
            synth_call(synth, thread, pick(2) ? OTRACE_BEGIN : OTRACE_RESUME, 1 + pick(6), now, -1);
            break;
        case 7:
            synth_call(synth, thread, OTRACE_YIELD, 1 + pick(6), now, -1);
            break;
        default:
            synth_call(synth, thread, 1 + pick(6), 1 + pick(6), now,
                       pick(8) ? -1 : (int64_t)pick(9));
            break;
        }
        if (thread->depth > 12) {
            thread->depth = pick(6);
        }
    }
}

static void make_segment(struct synth *synth) {
    static struct synth_thread threads[2];
    memset(threads, 0, sizeof threads);
    synth_create(synth, 1024, 16, OTRACE_CLOCK_MONOTONIC);
    synth->header->min_duration_ns = pick(3) ? 0 : 300;
    for (uint32_t id = 1; id <= 6; id++) {
        synth_name(synth, id, 1 + id % 3, id % 2 ? "module" : "", "na\"me\xed\xb2\x80\xff", "f.py",
                   id);
    }
    for (uint32_t i = 0; i < 2; i++) {
        synth_thread(synth, &threads[i], i + 1, "thread", 2000);
        make_records(synth, &threads[i]);
    }
}

static void damage(char *bytes, size_t size) {
    for (uint32_t times = pick(6); times > 0; times--) {
        size_t at =
            pick(2) ? OTRACE_PAGE + SYNTH_META_CAPACITY + pick(16 * 1024) : OTRACE_PAGE + pick(900);
        if (at + 4 > size) {
            continue;
        }
        otrace_word word = OTRACE_LONG(pick(32), pick(6) | pick(32) << 16);
        if (pick(2)) {
            memcpy(bytes + (at & ~(size_t)3), &word, sizeof word);
        } else {
            bytes[at] = (char)(bytes[at] ^ 1 << pick(8));
        }
    }
}

static void check_segment(struct otrace_segment *segment) {
    struct otrace_segment_info info;
    struct otrace_clock *clock;
    otrace_segment_get_info(segment, &info);
    CHECK_EQUAL(otrace_clock_new(info.clock_kind, &clock), 0);
    CHECK_EQUAL(otrace_clock_add(clock, segment), 0);
    CHECK_EQUAL(otrace_clock_fit(clock, info.start_mono_ns), 0);
    struct otlp_limits limits = {1 + pick(200), 1 + pick(20), 1 + pick(4), 1 + pick(30000)};
    struct otrace_otlp *plan = otlp_plan(segment, clock, &limits);
    otlp_check(plan);
    otrace_otlp_free(plan);
    static const uint8_t kinds[] = {0, 2, 0, 0, 1};
    struct otlp_requests requests = {kinds, sizeof kinds, {.open = pick(2)}};
    uint64_t from = 0;
    limits.windows = 64;
    for (uint32_t track = 0, more = 1; track < info.tracks && pick(4) == 0; track += !more) {
        requests.range.from_tick = more ? from : 0;
        plan = otlp_plan_requests(segment, track, clock, &limits, &requests);
        otlp_check(plan);
        more = (uint32_t)otrace_otlp_next(plan, &from);
        CHECK(!more || from > requests.range.from_tick);
        otrace_otlp_free(plan);
    }
    otrace_clock_free(clock);
}

static uint64_t number_from(const char *variable, uint64_t standard) {
    const char *text = getenv(variable);
    return text == NULL ? standard : strtoull(text, NULL, 10);
}

int main(void) {
    uint64_t runs = number_from("OTRACE_FUZZ_RUNS", 5000),
             first = number_from("OTRACE_FUZZ_SEED", 1);
    uint64_t opened = 0;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(fd >= 0);
    for (uint64_t run = 0; run < runs; run++) {
        struct synth synth;
        state = (first + run) * UINT64_C(0x9e3779b97f4a7c15);
        make_segment(&synth);
        damage(synth.bytes, synth.size);
        CHECK(ftruncate(fd, (off_t)synth.size) == 0 &&
              pwrite(fd, synth.bytes, synth.size, 0) == (ssize_t)synth.size);
        synth_free(&synth);
        struct otrace_segment *segment;
        struct otrace_read_problem problem;
        if (otrace_segment_open(fd, &segment, &problem) == 0) {
            opened++;
            check_segment(segment);
            otrace_segment_free(segment);
        }
    }
    printf("%" PRIu64 " inputs, %" PRIu64 " of them readable\n", runs, opened);
    CHECK(opened * 2 > runs);
    close(fd);
    return 0;
}
