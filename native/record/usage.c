#include "record/usage.h"

#include <stdlib.h>
#include <string.h>

#include "record/recorder.h"
#include "record/states.h"
#include "record/thread.h"
#include "words.h"

#define FIRST_CAPACITY 4096u
#define LARGEST_CAPACITY (UINT32_C(1) << 18) /* functions with later ids are never governed */
#define DEPTH 512u    /* what lies deeper counts for the call at this depth */
#define WAITING 1024u /* in words' cost: a longer gap was not spent on the processor, mostly */

struct otrace_usage otrace_usage;

/* ---- the table ---- */

static bool grow(uint32_t id) {
    uint32_t more = otrace_usage.capacity == 0 ? FIRST_CAPACITY : otrace_usage.capacity;
    while (more <= id) {
        more *= 2;
    }
    if (more > LARGEST_CAPACITY) {
        return false;
    }
    struct otrace_use *uses = realloc(otrace_usage.uses, more * sizeof *uses);
    if (uses == NULL) {
        return false;
    }
    otrace_usage.uses = uses;
    uint32_t *touched = realloc(otrace_usage.touched, more * sizeof *touched);
    if (touched == NULL) {
        return false;
    }
    otrace_usage.touched = touched;
    memset(uses + otrace_usage.capacity, 0, (more - otrace_usage.capacity) * sizeof *uses);
    otrace_usage.capacity = more;
    return true;
}

void otrace_usage_begin(void) {
    otrace_usage_end();
    otrace_usage.word_ticks = 1;
    otrace_usage.on = true;
}

void otrace_usage_end(void) {
    free(otrace_usage.uses);
    free(otrace_usage.touched);
    otrace_usage = (struct otrace_usage){.on = false};
}

void otrace_usage_meet(uint32_t id, void *object) {
    otrace_recorder_lock();
    if (id < otrace_usage.capacity || grow(id)) {
        otrace_usage.uses[id].object = object;
    }
    otrace_recorder_unlock();
}

void otrace_usage_forget(uint32_t id) {
    otrace_recorder_lock();
    if (id < otrace_usage.capacity) {
        otrace_usage.uses[id].object = NULL;
    }
    otrace_recorder_unlock();
}

void otrace_usage_clear_window(void) {
    for (uint32_t i = 0; i < otrace_usage.touched_count; i++) {
        struct otrace_use *use = &otrace_usage.uses[otrace_usage.touched[i]];
        use->words = use->ticks = 0;
    }
    otrace_usage.touched_count = 0;
    otrace_usage.words = 0;
}

void otrace_usage_forked(void) {
    otrace_usage_clear_window();
    for (uint32_t id = 0; id < otrace_usage.capacity; id++) {
        otrace_usage.uses[id].calls = 0;
        otrace_usage.uses[id].off = NULL;
    }
}

/* ---- the records ---- */

struct scan {
    uint32_t stack[DEPTH]; /* ids of the Python calls that are open, from 1; [0]: none */
    size_t depth;
    uint64_t time_high; /* of the prefixes before a short word */
    uint32_t id_high, words;
};

static void spend(uint32_t id, uint64_t words, uint64_t ticks) {
    if (id == 0 || id >= otrace_usage.capacity) {
        return;
    }
    struct otrace_use *use = &otrace_usage.uses[id];
    if (use->words == 0 && words > 0) {
        otrace_usage.touched[otrace_usage.touched_count++] = id;
    }
    use->words += words;
    use->ticks += use->words > 0 ? ticks : 0;
}

static void count_call(uint32_t id) {
    if (id < otrace_usage.capacity) {
        struct otrace_use *use = &otrace_usage.uses[id];
        use->calls++;
        if (use->off != NULL) {
            atomic_store_explicit(&use->off->calls, use->calls, memory_order_relaxed);
        }
    }
}

static uint32_t innermost(const struct scan *scan) {
    return scan->stack[scan->depth < DEPTH ? scan->depth : DEPTH - 1];
}

static void push(struct scan *scan, uint32_t id) {
    if (++scan->depth < DEPTH) {
        scan->stack[scan->depth] = id;
    }
}

static void pop(struct scan *scan, uint32_t id) {
    size_t depth = scan->depth;
    while (depth > 0 && depth < DEPTH && scan->stack[depth] != id) {
        depth--;
    }
    if (depth > 0) { /* else it began before the recording */
        scan->depth = depth - 1;
    }
}

static void scan_short(struct scan *scan, otrace_word word) {
    uint32_t id = otrace_word_id(word) | scan->id_high << OTRACE_ID_SHORT_BITS;
    uint64_t delta = otrace_word_delta(word) | scan->time_high << OTRACE_DELTA_SHORT_BITS;
    uint64_t hook = otrace_usage.word_ticks, most = WAITING * hook;
    delta = delta > hook ? delta - hook : 0;
    spend(innermost(scan), 0, delta < most ? delta : most);
    switch (otrace_word_kind(word)) {
    case OTRACE_BEGIN:
    case OTRACE_RESUME:
        push(scan, id);
        count_call(id);
        spend(id, scan->words, 0);
        break;
    case OTRACE_END:
    case OTRACE_YIELD:
        spend(id, scan->words, 0);
        pop(scan, id);
        break;
    default: /* a C call goes with the function that makes it: they are switched off together */
        spend(innermost(scan), scan->words, 0);
    }
}

static void scan_long(struct scan *scan, const otrace_word *at) {
    uint32_t kind = otrace_record_flags(*at) & 0xfu;
    switch (otrace_word_sub(*at)) {
    case OTRACE_X_TIME:
        scan->time_high = otrace_word_argument(*at);
        break;
    case OTRACE_X_ID:
        scan->id_high = otrace_word_argument(*at);
        break;
    case OTRACE_X_SYNC:
        scan->depth = 0;
        break;
    case OTRACE_X_OPEN:
        if (kind == OTRACE_BEGIN || kind == OTRACE_RESUME) {
            push(scan, at[1]);
        }
        break;
    default:
        break;
    }
}

void otrace_usage_scan(const otrace_word *from, const otrace_word *to) {
    struct scan scan = {.words = 1};
    otrace_usage.words += (uint64_t)(to - from);
    for (uint32_t words; from < to && (words = otrace_record_words(from, to)) > 0; from += words) {
        if (otrace_word_kind(*from) == OTRACE_EXTENDED) {
            scan_long(&scan, from);
            scan.words += words == 1; /* a prefix: its event took the slow path */
        } else {
            scan_short(&scan, *from);
            scan.time_high = scan.id_high = 0;
            scan.words = 1;
        }
    }
}

static void scan_open(struct otrace_thread *thread) {
    otrace_recorder_lock();
    if (thread->chunk != NULL) {
        otrace_usage_scan(thread->chunk_data, thread->cursor);
    }
    otrace_recorder_unlock();
}

void otrace_usage_scan_open(void) {
    if (otrace_usage.on) {
        otrace_states_each(scan_open);
        otrace_usage.on = false; /* so that none is counted twice */
    }
}

struct otrace_meta_off *otrace_usage_publish(uint32_t id, uint64_t tick) {
    struct otrace_segment *segment = &otrace_recorder.segment;
    otrace_recorder_lock();
    struct otrace_meta *meta =
        segment->header == NULL || id >= otrace_usage.capacity
            ? NULL
            : otrace_segment_meta_room(segment, sizeof(struct otrace_meta_off));
    struct otrace_meta_off *off = (struct otrace_meta_off *)meta;
    if (meta != NULL) {
        meta->size = sizeof *off;
        meta->type = OTRACE_META_OFF;
        meta->id = id;
        off->calls = otrace_usage.uses[id].calls;
        off->times = 1;
        off->off_tick = tick;
        otrace_segment_meta_publish(segment, meta);
        otrace_usage.uses[id].off = off;
    }
    otrace_recorder_unlock();
    return off;
}
