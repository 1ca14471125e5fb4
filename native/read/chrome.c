/* Chrome Trace JSON: one row a call, in the order of their ends.
 *
 * What a function's rows have in common is encoded once, when its first call is met. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "read/chrome_names.h"
#include "read/json.h"
#include "read/segment.h"
#include "read/text.h"

#define BASE_NS 1000     /* Chrome's own viewer wants the first ts above 0 */
#define ROW_NUMBERS 160u /* bytes of a row besides prefix and fragment, without extra args */

/* `,"name":"f","cat":"python","args":{"file":"a.py","line":1}},\n` */
struct fragment {
    char *text;
    size_t size;
};

struct otrace_chrome {
    struct otrace_segment *segment;
    struct otrace_decoder *decoder;
    struct otrace_output output;
    struct otrace_encoded encoded;
    struct fragment *fragments; /* by name id */
    char head[96];              /* `{"ph":"X","pid":1,"tid":2,"ts":` */
    size_t head_size;
    uint64_t pid;
    uint32_t fragments_count;
};

static const char *category(uint32_t flags) {
    return flags & OTRACE_CALL_EVENT ? "event" : flags & OTRACE_CALL_C ? "c" : "python";
}

/* The name of an id as text; `scratch` of 32 bytes for one that is not known. */
static struct otrace_text name_of(const struct otrace_chrome *chrome, uint32_t id, char *scratch) {
    struct otrace_name_info info;
    otrace_segment_get_name(chrome->segment, id, &info);
    if (info.kind == 0) {
        info.display =
            (struct otrace_text){scratch, (size_t)snprintf(scratch, 32, "<unknown %u>", id)};
    }
    return info.display;
}

/* Writes a fragment; needs the room of its name, the size of its file times OTRACE_JSON_GROWTH, and
 * 96 bytes. */
static struct fragment write_fragment(char *to, struct otrace_text name,
                                      const struct otrace_name_info *info, const char *cat) {
    struct fragment fragment = {.text = to};
    to = otrace_chrome_write_name(to, name, cat);
    if (info->file.size > 0) {
        to = WRITE(to, ",\"args\":{\"file\":\"");
        to = otrace_write_json(to, info->file.text, info->file.size);
        to = WRITE(to, "\",\"line\":");
        to = otrace_write_unsigned(to, info->line);
        *to++ = '}';
    }
    to = WRITE(to, "},\n");
    fragment.size = (size_t)(to - fragment.text);
    return fragment;
}

/* The fragment of a function, built at its first call; NULL without memory. The id must be one
 * of the segment's. */
static const struct fragment *build_fragment(struct otrace_chrome *chrome, uint32_t id,
                                             uint32_t flags) {
    char scratch[32];
    struct otrace_text name = name_of(chrome, id, scratch);
    struct otrace_name_info info;
    otrace_segment_get_name(chrome->segment, id, &info);
    const char *cat = category(flags);
    char *text =
        malloc(otrace_chrome_name_room(name, cat) + info.file.size * OTRACE_JSON_GROWTH + 96);
    if (text != NULL) {
        chrome->fragments[id] = write_fragment(text, name, &info, cat);
    }
    return text == NULL ? NULL : &chrome->fragments[id];
}

static char *write_times(char *to, const struct otrace_edge *edge) {
    to = otrace_write_micros(to, (uint64_t)edge->start_ns + BASE_NS);
    to = WRITE(to, ",\"dur\":");
    return otrace_write_micros(to, (uint64_t)(edge->end_ns - edge->start_ns));
}

/* ---- rows with more than that: written piece by piece ---- */

static void append_name(struct otrace_chrome *chrome, uint32_t id) {
    char scratch[32];
    struct otrace_text name = name_of(chrome, id, scratch);
    otrace_json_string(&chrome->output, name.text, name.size);
}

static bool has_key(const struct otrace_attributes *attributes, uint32_t wanted) {
    struct otrace_values values = otrace_values_of(attributes);
    struct otrace_value value;
    uint32_t key;
    while (otrace_attributes_next(&values, &key, &value)) {
        if (key == wanted) {
            return true;
        }
    }
    return false;
}

/* `,"key":value` each; *first: without the first comma. Keys that `later` sets again are left to
 * it. */
static void append_attributes(struct otrace_chrome *chrome,
                              const struct otrace_attributes *attributes,
                              const struct otrace_attributes *later, bool *first) {
    struct otrace_values values = otrace_values_of(attributes);
    struct otrace_value value;
    uint32_t key;
    while (otrace_attributes_next(&values, &key, &value)) {
        if (later != NULL && has_key(later, key)) {
            continue;
        }
        otrace_output_append(&chrome->output, ",", *first ? 0 : 1);
        *first = false;
        append_name(chrome, key);
        APPEND(&chrome->output, ":");
        otrace_json_value(&chrome->output, &value);
    }
}

static void append_flag(struct otrace_output *output, const char *text, bool *first) {
    otrace_output_append(output, ",", *first ? 0 : 1);
    *first = false;
    otrace_output_append(output, text, strlen(text));
}

/* How a call began and ended, where it is not the usual way. */
static void append_flags(struct otrace_chrome *chrome, const struct otrace_edge *edge,
                         bool *first) {
    static const struct {
        uint32_t flag;
        const char *text;
    } texts[] = {
        {OTRACE_CALL_YIELDED, "\"ended\":\"yield\""},
        {OTRACE_CALL_UNWOUND, "\"ended\":\"unwind\""},
        {OTRACE_CALL_RESUMED, "\"resumed\":true"},
        {OTRACE_CALL_THROWN, "\"thrown\":true"},
        {OTRACE_CALL_CUT, "\"cut\":true"},
        {OTRACE_CALL_INFERRED, "\"inferred\":true"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (edge->flags & texts[i].flag) {
            append_flag(&chrome->output, texts[i].text, first);
        }
    }
    if (edge->exception != 0) {
        append_flag(&chrome->output, "\"exception\":", first);
        append_name(chrome, edge->exception);
    }
    if (edge->flow != 0) {
        char text[32];
        snprintf(text, sizeof text, "\"queued_us\":%u", edge->queued_us);
        append_flag(&chrome->output, text, first);
    }
}

/* `{"ph":"X","pid":1,"tid":2,"ts":3.000` */
static void append_head(struct otrace_chrome *chrome, char phase, int64_t ns) {
    char *to = otrace_output_reserve(&chrome->output, chrome->head_size + 24);
    if (to != NULL) {
        memcpy(to, chrome->head, chrome->head_size);
        to[7] = phase;
        to = otrace_write_micros(to + chrome->head_size, (uint64_t)ns + BASE_NS);
        otrace_output_commit(&chrome->output, to);
    }
}

static void append_args(struct otrace_chrome *chrome, const struct otrace_edge *edge,
                        const struct otrace_name_info *info) {
    struct otrace_output *output = &chrome->output;
    bool first = true;
    APPEND(output, ",\"args\":{");
    if (info != NULL && info->file.size > 0) {
        char number[40];
        APPEND(output, "\"file\":");
        otrace_json_string(output, info->file.text, info->file.size);
        otrace_output_append(output, number,
                             (size_t)snprintf(number, sizeof number, ",\"line\":%u", info->line));
        first = false;
    }
    append_flags(chrome, edge, &first);
    append_attributes(chrome, &edge->begin_attributes, &edge->end_attributes, &first);
    append_attributes(chrome, &edge->end_attributes, NULL, &first);
    APPEND(output, "}},\n");
}

static void append_category(struct otrace_chrome *chrome, const struct otrace_edge *edge,
                            const char *cat) {
    char scratch[32];
    struct otrace_text name = name_of(chrome, edge->id, scratch);
    otrace_chrome_append_name(&chrome->output, name, cat);
}

/* A call or nested event with all that is to say about it. */
static void append_call(struct otrace_chrome *chrome, const struct otrace_edge *edge) {
    bool open = edge->flags & OTRACE_CALL_OPEN;
    append_head(chrome, open ? 'B' : 'X', edge->start_ns);
    if (!open) {
        char dur[40];
        char *to = WRITE(dur, ",\"dur\":");
        to = otrace_write_micros(to, (uint64_t)(edge->end_ns - edge->start_ns));
        otrace_output_append(&chrome->output, dur, (size_t)(to - dur));
    }
    append_category(chrome, edge, category(edge->flags));
    struct otrace_name_info info;
    otrace_segment_get_name(chrome->segment, edge->id, &info);
    append_args(chrome, edge, edge->flags & OTRACE_CALL_EVENT ? NULL : &info);
}

/* An event that does not nest: an asynchronous slice of its own, which needs an id. */
static void append_event(struct otrace_chrome *chrome, const struct otrace_edge *edge) {
    bool open = edge->flags & OTRACE_CALL_OPEN;
    for (int end = 0; end <= !open; end++) {
        char id[48];
        append_head(chrome, end ? 'e' : 'b', end ? edge->end_ns : edge->start_ns);
        append_category(chrome, edge, "event");
        otrace_output_append(&chrome->output, id,
                             (size_t)snprintf(id, sizeof id, ",\"id\":\"0x%" PRIx64 "%08x\"",
                                              chrome->pid, edge->instance));
        if (end) {
            APPEND(&chrome->output, "},\n");
        } else {
            append_args(chrome, edge, NULL);
        }
    }
}

static void append_instant(struct otrace_chrome *chrome, const struct otrace_edge *edge) {
    static const char *const scopes[] = {",\"s\":\"t\"", ",\"s\":\"p\"", ",\"s\":\"g\""};
    append_head(chrome, 'i', edge->start_ns);
    const char *scope = scopes[edge->scope <= OTRACE_SCOPE_GLOBAL ? edge->scope : 0];
    otrace_output_append(&chrome->output, scope, strlen(scope));
    append_category(chrome, edge, "instant");
    append_args(chrome, edge, NULL);
}

static void append_counter(struct otrace_chrome *chrome, const struct otrace_edge *edge) {
    append_head(chrome, 'C', edge->start_ns);
    append_category(chrome, edge, "counter");
    append_args(chrome, edge, NULL);
}

/* One end of a flow's arrow, at the slice that is innermost on the thread at that time. */
static void append_flow(struct otrace_chrome *chrome, const struct otrace_edge *edge) {
    bool starts = edge->kind == OTRACE_EDGE_FLOW;
    if (starts && edge->depth == 0) {
        return; /* no slice to start from */
    }
    char text[96];
    append_head(chrome, starts ? 's' : 'f', edge->start_ns);
    int size = snprintf(text, sizeof text,
                        ",\"name\":\"leads to\",\"cat\":\"flow\",\"id\":%" PRIu64 "%s},\n",
                        chrome->pid << 24 | edge->flow, starts ? "" : ",\"bp\":\"e\"");
    otrace_output_append(&chrome->output, text, (size_t)size);
}

/* What was overwritten, as a slice beside the calls. */
static void append_loss(struct otrace_chrome *chrome, const struct otrace_track *track,
                        const struct otrace_clock *clock) {
    const struct otrace_meta_thread *thread = track->thread;
    if (thread == NULL || (thread->lost_calls == 0 && thread->lost_records == 0)) {
        return;
    }
    int64_t first = otrace_clock_convert(clock, thread->lost_first_tick);
    int64_t last = otrace_clock_convert(clock, thread->lost_last_tick);
    for (int end = 0; end <= 1; end++) {
        char text[200];
        append_head(chrome, end ? 'e' : 'b', end && last > first ? last : first);
        int size = snprintf(text, sizeof text,
                            ",\"name\":\"lost\",\"cat\":\"lost\",\"id\":\"0x%" PRIx64 "%08x\","
                            "\"args\":{\"calls\":%" PRIu64 ",\"records\":%" PRIu64 "}},\n",
                            chrome->pid, track->thread_id, (uint64_t)thread->lost_calls,
                            (uint64_t)thread->lost_records);
        otrace_output_append(&chrome->output, text, (size_t)size);
    }
}

static inline void count_call(struct otrace_encoded *encoded, const struct otrace_edge *edge) {
    if (edge->kind == OTRACE_EDGE_END || edge->kind == OTRACE_EDGE_OPEN) {
        encoded->calls += !(edge->flags & OTRACE_CALL_EVENT);
        if (encoded->first_ns < 0 || edge->start_ns < encoded->first_ns) {
            encoded->first_ns = edge->start_ns;
        }
    }
}

static void append_edge(struct otrace_chrome *chrome, const struct otrace_edge *edge) {
    switch (edge->kind) {
    case OTRACE_EDGE_INSTANT:
        append_instant(chrome, edge);
        break;
    case OTRACE_EDGE_COUNTER:
        append_counter(chrome, edge);
        break;
    case OTRACE_EDGE_EVENT:
        append_event(chrome, edge);
        break;
    case OTRACE_EDGE_FLOW:
        append_flow(chrome, edge);
        break;
    default:
        append_call(chrome, edge);
        if (edge->flow != 0) {
            append_flow(chrome, edge);
        }
        break;
    }
}

/* A completed call without anything special: head, times and its function's fragment. */
static inline bool write_plain(struct otrace_chrome *chrome, const struct otrace_edge *edge) {
    if (edge->kind != OTRACE_EDGE_END || edge->flags & ~(uint32_t)OTRACE_CALL_C ||
        edge->exception != 0 || edge->flow != 0 || edge->id >= chrome->fragments_count) {
        return false;
    }
    const struct fragment *fragment = &chrome->fragments[edge->id];
    if (fragment->text == NULL) {
        fragment = build_fragment(chrome, edge->id, edge->flags);
    }
    struct otrace_output *output = &chrome->output;
    char *to =
        fragment == NULL
            ? NULL
            : otrace_output_reserve(output, chrome->head_size + ROW_NUMBERS + fragment->size);
    if (to == NULL) {
        output->failed = true;
        return true;
    }
    to = otrace_write_bytes(to, chrome->head, chrome->head_size);
    to = write_times(to, edge);
    to = otrace_write_bytes(to, fragment->text, fragment->size);
    otrace_output_commit(output, to);
    return true;
}

int otrace_chrome_new(struct otrace_segment *segment, uint32_t track_index,
                      const struct otrace_clock *clock, uint64_t pid, uint64_t tid,
                      struct otrace_chrome **out) {
    struct otrace_chrome *chrome = *out = calloc(1, sizeof *chrome);
    if (chrome == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    chrome->segment = segment;
    chrome->encoded.first_ns = -1;
    chrome->pid = pid;
    chrome->fragments_count = segment->names_count + 1;
    chrome->head_size =
        (size_t)snprintf(chrome->head, sizeof chrome->head,
                         "{\"ph\":\"X\",\"pid\":%" PRIu64 ",\"tid\":%" PRIu64 ",\"ts\":", pid, tid);
    chrome->fragments = calloc(chrome->fragments_count, sizeof *chrome->fragments);
    int status = chrome->fragments == NULL
                     ? OTRACE_READ_NO_MEMORY
                     : otrace_decoder_new(segment, track_index, clock, OTRACE_DECODE_FLOWS,
                                          &chrome->decoder);
    if (status == 0) {
        otrace_output_begin(&chrome->output, NULL, 0); /* waits in the spill */
        append_loss(chrome, &segment->tracks[track_index], clock);
        status = chrome->output.failed ? OTRACE_READ_NO_MEMORY : 0;
    }
    if (status != 0) {
        otrace_chrome_free(chrome);
        *out = NULL;
    }
    return status;
}

void otrace_chrome_encoded(const struct otrace_chrome *chrome, struct otrace_encoded *encoded) {
    *encoded = chrome->encoded;
}

void otrace_chrome_free(struct otrace_chrome *chrome) {
    if (chrome == NULL) {
        return;
    }
    for (uint32_t id = 0; chrome->fragments != NULL && id < chrome->fragments_count; id++) {
        free(chrome->fragments[id].text);
    }
    free(chrome->fragments);
    otrace_decoder_free(chrome->decoder);
    otrace_output_free(&chrome->output);
    free(chrome);
}

int otrace_chrome_next(struct otrace_chrome *chrome, char *buffer, size_t capacity,
                       size_t *written) {
    struct otrace_output *output = &chrome->output;
    struct otrace_edge edge;
    int status = 1;
    *written = 0;
    if (capacity < OTRACE_BLOCK_MIN) {
        return OTRACE_READ_ARGUMENT;
    }
    otrace_output_begin(output, buffer, capacity);
    while (!otrace_output_full(output) &&
           (status = otrace_decoder_next(chrome->decoder, &edge)) > 0) {
        count_call(&chrome->encoded, &edge);
        if (!write_plain(chrome, &edge)) {
            append_edge(chrome, &edge);
        }
        if (output->spill_size > 0) {
            otrace_output_drain(output);
        }
    }
    *written = (size_t)(output->to - buffer);
    return output->failed ? OTRACE_READ_NO_MEMORY : status < 0 ? status : OTRACE_READ_OK;
}
