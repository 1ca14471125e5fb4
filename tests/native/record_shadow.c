#include "record_shadow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "record/names.h"

/* ---- the recording ---- */

static char folder[3072];

static void thread_started(struct otrace_thread *thread, bool beginning) {
    (void)thread;
    (void)beginning;
}

void shadow_start(uint64_t buffer_size, uint32_t max_depth) {
    CHECK(getcwd(folder, sizeof folder) != NULL);
    struct otrace_segment_options options = {
        .folder = folder, .buffer_size = buffer_size, .max_depth = max_depth};
    otrace_recorder.host.thread_started = thread_started;
    CHECK_EQUAL(otrace_recorder_begin(&options, true, false), 0);
}

void shadow_stop(struct record_file *file) {
    char path[sizeof otrace_recorder.segment.path];
    strcpy(path, otrace_recorder.segment.path);
    CHECK_EQUAL(otrace_recorder_end(), 0);
    record_file_load(file, path);
    CHECK_EQUAL(file->header->state, OTRACE_SEGMENT_ENDED);
    CHECK_EQUAL(file->changed, 0);
    CHECK_EQUAL(unlink(path), 0);
}

uint32_t shadow_names(uint32_t count) {
    uint32_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "function_%" PRIu32, i);
        struct otrace_text module = {"module", 6}, name = {text, strlen(text)}, file = {"f.py", 4};
        uint32_t id = otrace_names_add(OTRACE_NAME_PYTHON, i, module, name, file);
        first = i == 0 ? id : first;
        CHECK_EQUAL(id, first + i);
    }
    return first;
}

uint32_t shadow_random(uint64_t *state, uint32_t below) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % below;
}

/* ---- the model: what each operation does to the open calls ---- */

void shadow_create(struct shadow *shadow, uint32_t max_depth) {
    *shadow = (struct shadow){.max_depth = max_depth};
}

void shadow_free(struct shadow *shadow) {
    free(shadow->stack);
    free(shadow->operations);
}

static void push(struct shadow *shadow, struct shadow_call call) {
    if (shadow->depth == shadow->room) {
        shadow->room = shadow->room * 2 + 64;
        shadow->stack = realloc(shadow->stack, shadow->room * sizeof *shadow->stack);
        CHECK(shadow->stack != NULL);
    }
    shadow->stack[shadow->depth++] = call;
}

/* Where in the stack a call or event is, the innermost first; -1: it is not open. */
static ptrdiff_t find(const struct shadow *shadow, bool event, uint32_t id) {
    for (ptrdiff_t i = (ptrdiff_t)shadow->depth - 1; i >= 0; i--) {
        if (shadow->stack[i].event == event && shadow->stack[i].id == id) {
            return i;
        }
    }
    return -1;
}

static bool shallow(const struct shadow *shadow, size_t index) {
    uint32_t calls = 0;
    for (size_t i = 0; i < index && shadow->max_depth > 0; i++) {
        calls += !shadow->stack[i].event;
    }
    return shadow->max_depth == 0 || calls < shadow->max_depth;
}

/* Pops all above `keep`. Returns how many visible calls that ended. */
static uint64_t pop_above(struct shadow *shadow, size_t keep) {
    uint64_t ended = 0;
    for (; shadow->depth > keep; shadow->depth--) {
        const struct shadow_call *call = &shadow->stack[shadow->depth - 1];
        ended += !call->event && call->visible;
    }
    return ended;
}

static void remove_at(struct shadow *shadow, size_t index) {
    memmove(&shadow->stack[index], &shadow->stack[index + 1],
            (shadow->depth - index - 1) * sizeof *shadow->stack);
    shadow->depth--;
}

static void make_visible(struct shadow *shadow) {
    for (size_t i = 0; i < shadow->depth; i++) {
        shadow->stack[i].visible |= shallow(shadow, i);
    }
}

/* Applies an operation after its record, if it has one, was written. Returns the calls it ended. */
static uint64_t apply(struct shadow *shadow, const struct shadow_operation *done) {
    ptrdiff_t at;
    switch (done->what) {
    case SHADOW_BEGIN:
        push(shadow,
             (struct shadow_call){
                 .id = done->id, .kind = done->kind, .visible = done->written, .tick = done->now});
        return 0;
    case SHADOW_END:
        at = find(shadow, false, done->id);
        return at < 0 ? 0 : pop_above(shadow, (size_t)at);
    case SHADOW_EVENT_BEGIN:
        push(shadow, (struct shadow_call){
                         .id = done->id, .name = done->detail, .event = true, .visible = true});
        return 0;
    case SHADOW_EVENT_END:
        at = find(shadow, true, done->id);
        if (at >= 0) {
            remove_at(shadow, (size_t)at);
        }
        return 0;
    case SHADOW_RESUME:
        make_visible(shadow);
        return 0;
    case SHADOW_MARK:
    case SHADOW_PAUSE:
        return 0;
    }
    return 0;
}

static void note(struct shadow *shadow, struct shadow_operation done) {
    if (shadow->count == shadow->operations_room) {
        shadow->operations_room = shadow->operations_room * 2 + 1024;
        shadow->operations =
            realloc(shadow->operations, shadow->operations_room * sizeof *shadow->operations);
        CHECK(shadow->operations != NULL);
    }
    shadow->operations[shadow->count++] = done;
    apply(shadow, &done);
    shadow->thread_id = otrace_thread_self->id;
}

/* ---- doing ---- */

/* Stands for the code object or callable that has the id. */
static const void *object_of(uint32_t id) {
    return (const void *)((uintptr_t)id * 48);
}

/* The hot path is for ids that fit a short word. */
static bool is_long(uint32_t id) {
    return otrace_key_of(id) & OTRACE_KEY_LONG;
}

static void begin(struct shadow *shadow, struct shadow_operation call) {
    call.what = SHADOW_BEGIN;
    call.written = shadow->pauses == 0 && shallow(shadow, shadow->depth);
    note(shadow, call);
}

static void end(struct shadow *shadow, struct shadow_operation call) {
    ptrdiff_t at = find(shadow, false, call.id);
    if (at >= 0) {
        call.what = SHADOW_END;
        call.written = shadow->pauses == 0 && shadow->stack[at].visible;
        note(shadow, call);
    }
}

void shadow_hot_begin(enum otrace_record_kind kind, uint32_t id) {
    if (!otrace_emit_begin(kind, otrace_what(kind, otrace_key_of(id)), object_of(id))) {
        otrace_thread_begin(kind, id, object_of(id), 0, otrace_clock_ticks());
    }
}

void shadow_hot_end(enum otrace_record_kind kind, uint32_t id) {
    if (!otrace_emit_end(kind, object_of(id))) {
        otrace_thread_end(kind, id, 0, otrace_clock_ticks());
    }
}

void shadow_begin(struct shadow *shadow, uint32_t kind, uint32_t id, uint32_t exception) {
    enum otrace_record_kind begins = (enum otrace_record_kind)kind;
    if (exception != 0 || is_long(id)) {
        otrace_thread_begin(begins, id, object_of(id), exception, otrace_clock_ticks());
    } else {
        shadow_hot_begin(begins, id);
    }
    begin(shadow, (struct shadow_operation){.kind = kind, .id = id, .exception = exception});
}

void shadow_end(struct shadow *shadow, uint32_t kind, uint32_t id, uint32_t exception) {
    if (exception != 0) {
        otrace_thread_end((enum otrace_record_kind)kind, id, exception, otrace_clock_ticks());
    } else {
        shadow_hot_end((enum otrace_record_kind)kind, id);
    }
    end(shadow, (struct shadow_operation){.kind = kind, .id = id, .exception = exception});
}

void shadow_begin_at(struct shadow *shadow, uint32_t kind, uint32_t id, uint64_t now) {
    otrace_thread_begin((enum otrace_record_kind)kind, id, 0, 0, now);
    begin(shadow, (struct shadow_operation){.kind = kind, .id = id, .now = now});
}

void shadow_end_at(struct shadow *shadow, uint32_t kind, uint32_t id, uint64_t now) {
    otrace_thread_end((enum otrace_record_kind)kind, id, 0, now);
    end(shadow, (struct shadow_operation){.kind = kind, .id = id, .now = now});
}

void shadow_event_begin(struct shadow *shadow, uint32_t instance, uint32_t name) {
    const otrace_word payload[] = {instance, name};
    bool written = otrace_thread_write(OTRACE_X_EVENT_BEGIN, 0, payload, 2);
    CHECK_EQUAL(written, shadow->pauses == 0);
    if (written) {
        note(shadow,
             (struct shadow_operation){
                 .what = SHADOW_EVENT_BEGIN, .id = instance, .detail = name, .written = true});
    }
}

void shadow_event_end(struct shadow *shadow, uint32_t instance) {
    const otrace_word payload[] = {instance, 0};
    bool written = otrace_thread_write(OTRACE_X_EVENT_END, 0, payload, 2);
    CHECK_EQUAL(written, shadow->pauses == 0);
    note(shadow,
         (struct shadow_operation){.what = SHADOW_EVENT_END, .id = instance, .written = written});
}

void shadow_mark(struct shadow *shadow, enum otrace_extended sub, const otrace_word *payload,
                 uint32_t words) {
    bool written = otrace_thread_write(sub, 1, payload, words);
    CHECK_EQUAL(written, shadow->pauses == 0);
    note(shadow, (struct shadow_operation){.what = SHADOW_MARK,
                                           .kind = sub,
                                           .id = words,
                                           .detail = payload[0],
                                           .written = written});
}

void shadow_pause(struct shadow *shadow) {
    otrace_thread_pause();
    note(shadow, (struct shadow_operation){.what = SHADOW_PAUSE, .written = shadow->pauses == 0});
    shadow->pauses++;
}

void shadow_resume(struct shadow *shadow) {
    otrace_thread_resume();
    if (shadow->pauses > 0 && --shadow->pauses == 0) {
        note(shadow, (struct shadow_operation){.what = SHADOW_RESUME, .written = true});
    }
}

/* ---- comparing ---- */

/* A record as the segment has it, with the chunk it is in. */
struct found {
    struct record_entry entry;
    const struct otrace_chunk *chunk;
    struct record_open *opens; /* owned copy */
    otrace_word first;         /* of the payload */
};

struct stream {
    struct found *found;
    size_t count, room, at;
    size_t main;                      /* all but the SYNC that each chunk begins with */
    const struct otrace_chunk *chunk; /* of the record last taken; NULL: none was */
    uint64_t ended;                   /* calls that ended in that chunk so far */
};

static bool is_sync(const struct found *found) {
    return found->entry.kind == OTRACE_EXTENDED && found->entry.sub == OTRACE_X_SYNC;
}

static void collect(void *context, const struct otrace_chunk *chunk,
                    const struct record_entry *entry) {
    struct stream *stream = context;
    if (stream->count == stream->room) {
        stream->room = stream->room * 2 + 1024;
        stream->found = realloc(stream->found, stream->room * sizeof *stream->found);
        CHECK(stream->found != NULL);
    }
    struct found *found = &stream->found[stream->count++];
    *found = (struct found){.entry = *entry, .chunk = chunk};
    found->entry.opens = NULL;
    if (entry->opens_count > 0) {
        size_t size = entry->opens_count * sizeof *found->opens;
        found->opens = malloc(size);
        CHECK(found->opens != NULL);
        memcpy(found->opens, entry->opens, size);
    }
    found->first = entry->payload_words > 0 ? entry->payload[0] : 0;
    bool leads = stream->count == 1 || stream->found[stream->count - 2].chunk != chunk;
    CHECK(!leads || is_sync(found)); /* each chunk starts with one */
    stream->main += !leads;
}

static void gather(struct stream *stream, const struct record_file *file, uint32_t thread_id) {
    const struct otrace_chunk *previous = NULL;
    for (uint32_t i = 0; i < file->count; i++) {
        const struct otrace_chunk *chunk = (const struct otrace_chunk *)file->chunks[i];
        if (chunk->thread_id != thread_id) {
            continue;
        }
        CHECK_EQUAL(chunk->state, OTRACE_CHUNK_CLOSED);
        CHECK(previous == NULL || chunk->thread_sequence == previous->thread_sequence + 1);
        size_t records = stream->count;
        size_t used = record_chunk_walk(file->chunks[i], file->header->chunk_size, collect, stream);
        CHECK_EQUAL(used, chunk->used);
        uint32_t calls = 0;
        for (; records < stream->count; records++) {
            calls += stream->found[records].entry.kind != OTRACE_EXTENDED;
        }
        CHECK_EQUAL(chunk->records, calls);
        CHECK_EQUAL(chunk->last_tick, stream->found[stream->count - 1].entry.tick);
        previous = chunk;
    }
}

/* The calls that a SYNC tells are those that are open and visible, the outermost first. */
static void check_sync(struct shadow *model, const struct found *found) {
    size_t told = 0, visible = 0;
    CHECK(is_sync(found));
    for (size_t i = 0; i < model->depth; i++) {
        struct shadow_call *call = &model->stack[i];
        visible += call->visible;
        if (call->visible && told < found->entry.opens_count) {
            const struct record_open *open = &found->opens[told++];
            CHECK_EQUAL(open->id, call->id);
            CHECK_EQUAL(open->flags, call->event ? OTRACE_OPEN_EVENT : call->kind);
            CHECK(!call->event || open->name == call->name);
            CHECK(call->tick == 0 || open->tick == call->tick);
            call->tick = open->tick;
        }
    }
    CHECK_EQUAL(found->entry.sync_count, visible);
    CHECK_EQUAL(told, found->entry.opens_count);
    CHECK(told == visible || told >= 32); /* only deep stacks are cut */
}

static void leave_chunk(struct stream *stream) {
    if (stream->chunk != NULL) {
        CHECK_EQUAL(stream->chunk->calls_ended, stream->ended);
    }
    stream->ended = 0;
}

static const struct found *next(struct stream *stream, struct shadow *model) {
    CHECK(stream->at < stream->count);
    if (stream->found[stream->at].chunk != stream->chunk) {
        leave_chunk(stream);
        stream->chunk = stream->found[stream->at].chunk;
        check_sync(model, &stream->found[stream->at++]);
        CHECK(stream->at < stream->count);
        CHECK(stream->found[stream->at].chunk == stream->chunk);
    }
    return &stream->found[stream->at++];
}

static void check_record(const struct shadow_operation *done, const struct found *found) {
    static const uint32_t subs[] = {[SHADOW_EVENT_BEGIN] = OTRACE_X_EVENT_BEGIN,
                                    [SHADOW_EVENT_END] = OTRACE_X_EVENT_END,
                                    [SHADOW_PAUSE] = OTRACE_X_PAUSE,
                                    [SHADOW_RESUME] = OTRACE_X_SYNC};
    const struct record_entry *entry = &found->entry;
    if (done->what == SHADOW_BEGIN || done->what == SHADOW_END) {
        CHECK_EQUAL(entry->kind, done->kind);
        CHECK_EQUAL(entry->id, done->id);
        CHECK_EQUAL(entry->with_exception, done->exception != 0);
        CHECK_EQUAL(entry->exception, done->exception & 0xffffffu);
        CHECK(done->now == 0 || entry->tick == done->now);
        return;
    }
    CHECK_EQUAL(entry->kind, OTRACE_EXTENDED);
    CHECK_EQUAL(entry->sub, done->what == SHADOW_MARK ? done->kind : subs[done->what]);
    if (done->what == SHADOW_MARK) {
        CHECK_EQUAL(entry->payload_words, done->id);
        CHECK_EQUAL(found->first, done->detail);
        CHECK_EQUAL(entry->flags, 1);
    } else if (done->what == SHADOW_EVENT_BEGIN || done->what == SHADOW_EVENT_END) {
        CHECK_EQUAL(found->first, done->id);
    }
}

/* One operation: its effect on the open calls, and its record if that was not overwritten. Returns
 * the calls that it ended in a chunk that was. */
static uint64_t replay(struct shadow *model, struct stream *stream,
                       const struct shadow_operation *done, size_t *missing) {
    uint64_t ended = 0;
    if (done->what == SHADOW_END) { /* calls above end first, in the chunk before its record */
        ended = pop_above(model, (size_t)find(model, false, done->id) + 1);
    } else if (done->what == SHADOW_RESUME) {
        make_visible(model);
    }
    stream->ended += ended;
    uint64_t lost = stream->chunk == NULL ? ended : 0;
    const struct found *found = NULL;
    if (done->written && *missing > 0) {
        (*missing)--;
    } else if (done->written) {
        found = next(stream, model);
        check_record(done, found);
    }
    if (found != NULL && is_sync(found)) {
        check_sync(model, found);
    }
    uint64_t last = apply(model, done);
    if (found != NULL && (done->what == SHADOW_BEGIN || done->what == SHADOW_EVENT_BEGIN)) {
        model->stack[model->depth - 1].tick = found->entry.tick;
    }
    stream->ended += last;
    return lost + (stream->chunk == NULL ? last : 0);
}

uint64_t shadow_check(const struct shadow *shadow, const struct record_file *file) {
    struct stream stream = {.found = NULL};
    struct shadow model;
    size_t written = 0;
    uint64_t lost = 0;
    shadow_create(&model, shadow->max_depth);
    gather(&stream, file, shadow->thread_id);
    for (size_t i = 0; i < shadow->count; i++) {
        written += shadow->operations[i].written;
    }
    CHECK(written >= stream.main);
    size_t missing = written - stream.main;
    for (size_t i = 0; i < shadow->count; i++) {
        lost += replay(&model, &stream, &shadow->operations[i], &missing);
    }
    leave_chunk(&stream);
    CHECK_EQUAL(stream.at, stream.count);
    const struct otrace_meta_thread *meta = (const struct otrace_meta_thread *)record_meta_find(
        file, OTRACE_META_THREAD, shadow->thread_id);
    CHECK(meta != NULL);
    CHECK_EQUAL(meta->lost_calls, lost);
    CHECK_EQUAL(meta->dropped_records, 0);
    for (size_t i = 0; i < stream.count; i++) {
        free(stream.found[i].opens);
    }
    free(stream.found);
    shadow_free(&model);
    return lost;
}
