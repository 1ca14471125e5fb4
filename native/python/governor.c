#include "python/governor.h"

#include <stdlib.h>
#include <time.h>

#include "python/event_cost.h"
#include "python/functions.h"
#include "python/governed_calls.h"
#include "python/hook.h"
#include "record/recorder.h"
#include "record/states.h"
#include "record/usage.h"

#define LOOK_NS 100000000.0     /* between looks */
#define CPU_LEAST_NS 50000000.0 /* of a window; less tells too little */
#define WORDS_LEAST 16384u      /* the same */
#define TRIAL 0.1               /* of both, while what was off is tried again */
#define REST_FIRST_NS 2e9       /* before a function is tried again; doubles while it stays hot */
#define REST_LONGEST_NS 320e9
#define TARGET 0.8 /* of the bound, so that it is not met again at once */
#define OFF_MOST 4096u

enum state { ON, LEAVING, OFF };

/* A function that was switched off at least once in this recording. */
struct governed {
    uint32_t id;
    enum state state;
    bool open;      /* LEAVING: a call of it that is recorded has not ended */
    PyObject *code; /* owned unless ON */
    double rest_ns;
    uint64_t off_tick, on_tick;
};

uint64_t otrace_governor_due = UINT64_MAX;

static double bound;
static struct governed *governed; /* OFF_MOST of them */
static uint32_t governed_count;
static struct {
    uint64_t cpu_ns; /* at the window's start */
    double ticks_per_ns;
    bool trial; /* what was off is on again, and was not judged yet */
} window;

static uint64_t cpu_ns(void) {
    return otrace_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void start_window(void) {
    window.cpu_ns = cpu_ns();
    otrace_recorder_lock();
    otrace_usage_clear_window();
    otrace_recorder_unlock();
}

void otrace_governor_begin(double overhead) {
    otrace_governor_end();
    if (overhead <= 0 || !OTRACE_HAS_MONITORING) {
        return;
    }
    governed = calloc(OFF_MOST, sizeof *governed);
    if (governed == NULL) {
        return;
    }
    bound = overhead;
    otrace_usage_begin();
    otrace_event_cost_begin();
}

void otrace_governor_hooked(void) {
    if (governed != NULL) {
        otrace_usage.word_ticks = otrace_event_cost_end();
        window.trial = false;
        start_window();
        otrace_governor_due = 0;
    }
}

void otrace_governor_thread_started(struct otrace_thread *thread) {
    for (uint32_t i = 0; i < governed_count; i++) {
        PyObject *code = otrace_usage.uses[governed[i].id].object;
        if (code != NULL && otrace_function_tag(code) & OTRACE_TAG_FRAMED) {
            otrace_governed_calls_mark_thread(thread, governed[i].id, code);
        }
    }
}

void otrace_governor_end(void) {
    otrace_governor_due = UINT64_MAX;
    otrace_usage_end();
    for (uint32_t i = 0; i < governed_count; i++) {
        Py_XDECREF(governed[i].code);
    }
    governed_count = 0;
    free(governed);
    governed = NULL;
}

void otrace_governor_forked(void) {
    if (otrace_governor_due != UINT64_MAX) {
        otrace_usage_forked();
        window.cpu_ns = 0; /* the child's own clock starts anew */
        otrace_governor_due = 0;
        for (uint32_t i = 0; i < governed_count; i++) {
            governed[i].off_tick = 0; /* they have rested: the child tries all */
            governed[i].rest_ns = REST_FIRST_NS;
        }
    }
}

void otrace_governor_meet(uint32_t id, PyObject *code) {
    if (otrace_usage.on && id > OTRACE_NAME_UNKNOWN) {
        otrace_usage_meet(id, code);
    }
}

void otrace_governor_forget(uint32_t id) {
    if (otrace_usage.on) {
        otrace_usage_forget(id);
    }
}

/* ---- off, with calls that began before ---- */

static void find_open(struct otrace_thread *thread) {
    for (const struct otrace_open *open = thread->top - 1; open > thread->stack; open--) {
        uint32_t id = open->key & OTRACE_KEY_EVENT ? 0 : otrace_key_id(open->key);
        uint32_t number = id < otrace_usage.capacity ? otrace_usage.uses[id].host : 0;
        if (number != 0) {
            governed[number - 1].open = true;
        }
    }
}

/* Code that is left, without calls that began before, takes no further events at all. */
static void settle(void) {
    bool any = false;
    for (uint32_t i = 0; i < governed_count; i++) {
        governed[i].open = false;
        any = any || governed[i].state == LEAVING;
    }
    if (!any) {
        return;
    }
    otrace_states_each(find_open);
    for (uint32_t i = 0; i < governed_count; i++) {
        if (governed[i].state == LEAVING && !governed[i].open) {
            governed[i].state = OFF;
            otrace_function_change(governed[i].code, 0, OTRACE_TAG_LEAVING);
        }
    }
}

/* ---- off and on ---- */

static void tell_off(const struct governed *function, uint64_t now) {
    struct otrace_meta_off *off = otrace_usage.uses[function->id].off;
    if (off == NULL) {
        otrace_usage_publish(function->id, now);
        return;
    }
    atomic_fetch_add_explicit(&off->times, 1, memory_order_relaxed);
    atomic_store_explicit(&off->off_tick, now, memory_order_relaxed);
}

static void tell_on(const struct governed *function, uint64_t now) {
    struct otrace_meta_off *off = otrace_usage.uses[function->id].off;
    if (off != NULL) {
        atomic_fetch_add_explicit(&off->off_ticks, now - off->off_tick, memory_order_relaxed);
        atomic_store_explicit(&off->on_tick, now, memory_order_relaxed);
    }
}

/* A forked child has a segment of its own, and its parent's functions off. */
static void tell_inherited(void) {
    for (uint32_t i = 0; i < governed_count; i++) {
        if (governed[i].state != ON && otrace_usage.uses[governed[i].id].off == NULL) {
            otrace_usage_publish(governed[i].id, otrace_recorder.segment.header->start_anchor.tick);
        }
    }
}

static double ns_since(uint64_t tick, uint64_t now) {
    return (double)(now - tick) / window.ticks_per_ns;
}

static bool has_rested(const struct governed *function, uint64_t now) {
    return function->state == OFF && ns_since(function->off_tick, now) >= function->rest_ns;
}

static struct governed *entry_of(uint32_t id) {
    struct otrace_use *use = &otrace_usage.uses[id];
    if (use->host == 0 && governed_count < OFF_MOST) {
        governed[governed_count] = (struct governed){.id = id, .rest_ns = REST_FIRST_NS};
        use->host = ++governed_count;
    }
    return use->host == 0 ? NULL : &governed[use->host - 1];
}

static void switch_off(uint32_t id, uint64_t now) {
    struct governed *function = entry_of(id);
    if (function == NULL || function->state != ON) {
        return;
    }
    if (function->on_tick != 0) { /* still hot when it was tried, or hot again much later */
        bool still = ns_since(function->on_tick, now) < function->rest_ns;
        double longer = function->rest_ns * 2;
        function->rest_ns = !still                     ? REST_FIRST_NS
                            : longer > REST_LONGEST_NS ? REST_LONGEST_NS
                                                       : longer;
    }
    function->code = Py_NewRef((PyObject *)otrace_usage.uses[id].object);
    function->state = LEAVING;
    function->off_tick = now;
    bool framed = otrace_function_tag(function->code) & OTRACE_TAG_FRAMED;
    otrace_function_change(function->code,
                           OTRACE_TAG_EXCLUDED | OTRACE_TAG_LEAVING | OTRACE_TAG_FRAMED, 0);
    otrace_tags.excluded_seen = true;
    if (!framed) {
        otrace_governed_calls_mark(id, function->code);
    }
    tell_off(function, now);
}

/* Those that have rested are tried again, all at once: the window that follows shows what all of
 * them cost together. */
static void bring_back(uint64_t now) {
    static PyObject *codes[OFF_MOST];
    size_t count = 0;
    for (uint32_t i = 0; i < governed_count; i++) {
        if (has_rested(&governed[i], now)) {
            codes[count++] = governed[i].code;
        }
    }
    if (count == 0 || otrace_hook_rearm(codes, count) != 0) {
        PyErr_Clear();
        return;
    }
    for (uint32_t i = 0; i < governed_count; i++) {
        struct governed *function = &governed[i];
        if (has_rested(function, now)) {
            function->state = ON;
            function->on_tick = now;
            otrace_function_change(function->code, 0, OTRACE_TAG_EXCLUDED);
            tell_on(function, now);
            Py_CLEAR(function->code);
        }
    }
    window.trial = true;
    start_window();
}

/* ---- who must go ---- */

struct candidate {
    uint32_t id;
    uint64_t words;
    double excess; /* ticks that its events cost beyond its share */
};

static int compare(const void *left, const void *right) {
    double a = ((const struct candidate *)left)->excess;
    double b = ((const struct candidate *)right)->excess;
    return (a < b) - (a > b);
}

/* `tried`: only those that were off before. */
static uint32_t candidates_of(struct candidate *candidates, bool tried) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < otrace_usage.touched_count; i++) {
        uint32_t id = otrace_usage.touched[i];
        const struct otrace_use *use = &otrace_usage.uses[id];
        double cost = (double)(use->words * otrace_usage.word_ticks);
        double excess = cost - bound * (double)use->ticks;
        if (use->object != NULL && excess > 0 && (!tried || use->host != 0)) {
            candidates[count++] = (struct candidate){id, use->words, excess};
        }
    }
    qsort(candidates, count, sizeof *candidates, compare);
    return count;
}

static uint32_t switch_off_most(double words, bool tried, uint64_t now) {
    struct candidate *candidates = malloc(otrace_usage.touched_count * sizeof *candidates);
    uint32_t count = 0, gone = 0;
    otrace_recorder_lock();
    count = candidates == NULL ? 0 : candidates_of(candidates, tried);
    otrace_recorder_unlock();
    for (; gone < count && words > 0; gone++) {
        switch_off(candidates[gone].id, now);
        words -= (double)candidates[gone].words;
    }
    free(candidates);
    return gone;
}

/* Ends a window that is large enough; switches off what is too much in it. A trial is cut short
 * when what is tried is still too much. */
static void decide(uint64_t now) {
    uint64_t words = otrace_usage.words;
    double cpu = (double)(cpu_ns() - window.cpu_ns);
    bool early = cpu < CPU_LEAST_NS;
    if (words < WORDS_LEAST || (early && !(window.trial && cpu >= TRIAL * CPU_LEAST_NS))) {
        return;
    }
    double word_ns = (double)otrace_usage.word_ticks / window.ticks_per_ns;
    double cost = (double)words * word_ns, allowed = bound / (1 + bound) * cpu;
    uint32_t gone = 0;
    if (cost > allowed) {
        gone = switch_off_most((cost - TARGET * allowed) / word_ns, early, now);
    }
    if (gone > 0 || !early) {
        window.trial = false;
        start_window();
    }
}

/* What is on again takes the fast path as soon as no call is open that has begun unseen. */
static void forget_frames(void) {
    for (uint32_t i = 0; i < governed_count; i++) {
        PyObject *code = otrace_usage.uses[governed[i].id].object;
        if (governed[i].state == ON && code != NULL &&
            otrace_function_tag(code) & OTRACE_TAG_FRAMED &&
            otrace_governed_calls_forget_frames(governed[i].id, code)) {
            otrace_function_change(code, 0, OTRACE_TAG_FRAMED);
        }
    }
}

void otrace_governor_look(void) {
    const struct otrace_segment_header *header = otrace_recorder.segment.header;
    struct otrace_anchor anchor;
    if (header == NULL || !otrace_recorder.recording) {
        return;
    }
    anchor = otrace_clock_anchor();
    uint64_t now = anchor.tick;
    uint64_t elapsed_ns = anchor.mono_ns - header->start_anchor.mono_ns;
    if (elapsed_ns < LOOK_NS) { /* too early to know the clock's rate */
        otrace_governor_due = now + (now - header->start_anchor.tick) + 1000;
        return;
    }
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    window.ticks_per_ns = (double)(now - header->start_anchor.tick) / (double)elapsed_ns;
    tell_inherited();
    settle();
    decide(now);
    bring_back(now);
    forget_frames();
    double wait_ns = window.trial ? TRIAL * LOOK_NS : LOOK_NS;
    otrace_governor_due = now + (uint64_t)(wait_ns * window.ticks_per_ns);
    PyErr_Restore(type, value, trace);
}
