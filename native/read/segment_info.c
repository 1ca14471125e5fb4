/* What a segment tells about itself. */
#include <string.h>

#include "read/segment.h"

void otrace_segment_get_info(const struct otrace_segment *segment,
                             struct otrace_segment_info *info) {
    const struct otrace_segment_header *header = &segment->header;
    *info = (struct otrace_segment_info){
        .format_major = header->format_major,
        .format_minor = header->format_minor,
        .clock_kind = header->clock_kind,
        .state = header->state,
        .pid = header->pid,
        .parent_pid = header->parent_pid,
        .python_version = header->python_version,
        .flags = header->flags,
        .stop_errno = header->stop_errno,
        .start_tick = header->start_anchor.tick,
        .start_mono_ns = header->start_anchor.mono_ns,
        .start_wall_ns = header->start_anchor.wall_ns,
        .min_duration_ns = header->min_duration_ns,
        .max_depth = header->max_depth,
        .chunk_size = header->chunk_size,
        .chunk_count = header->chunk_count,
        .chunks_readable = segment->entries_count,
        .lost_chunks = header->lost_chunks,
        .lost_calls = header->lost_calls,
        .lost_records = header->lost_records,
        .dropped_no_space = header->dropped_no_space,
        .dropped_too_big = header->dropped_too_big,
        .dropped_names = header->dropped_names,
        .file_size = segment->file_size,
        .tracks = segment->tracks_count,
        .names = segment->names_count,
        .notes = segment->notes_count,
        .off = segment->off_count,
        .warnings = atomic_load_explicit(&segment->warnings, memory_order_relaxed),
        .process_name = segment->process_name,
    };
    info->bytes_used =
        OTRACE_PAGE + segment->meta_size + (uint64_t)segment->entries_count * header->chunk_size;
    if (header->state == OTRACE_SEGMENT_ENDED) {
        info->end_tick = header->end_anchor.tick;
        info->end_mono_ns = header->end_anchor.mono_ns;
        info->end_wall_ns = header->end_anchor.wall_ns;
    }
}

void otrace_segment_get_name(const struct otrace_segment *segment, uint32_t id,
                             struct otrace_name_info *info) {
    memset(info, 0, sizeof *info);
    const struct otrace_meta *meta = id <= segment->names_count ? segment->names[id] : NULL;
    if (meta == NULL) {
        return;
    }
    const char *text = (const char *)(meta + 1);
    info->kind = meta->kind & OTRACE_NAME_KIND;
    info->line = meta->line;
    info->module = (struct otrace_text){text, meta->text_size[0]};
    text += meta->text_size[0];
    info->qualified = (struct otrace_text){text, meta->text_size[1]};
    text += meta->text_size[1];
    info->file = (struct otrace_text){text, meta->text_size[2]};
    info->display = segment->displays[id];
}

int otrace_segment_get_track(const struct otrace_segment *segment, uint32_t index,
                             struct otrace_track_info *info) {
    memset(info, 0, sizeof *info);
    if (index >= segment->tracks_count) {
        return OTRACE_READ_ARGUMENT;
    }
    const struct otrace_track *track = &segment->tracks[index];
    info->thread_id = track->thread_id;
    info->name = track->name;
    info->chunks = track->entries;
    info->missing_chunks = track->missing;
    const struct otrace_meta_thread *thread = track->thread;
    if (thread != NULL) {
        info->os_tid = thread->os_tid;
        info->start_tick = thread->start_tick;
        info->end_tick = thread->end_tick;
        info->lost_calls = thread->lost_calls;
        info->lost_records = thread->lost_records;
        info->lost_first_tick = thread->lost_first_tick;
        info->lost_last_tick = thread->lost_last_tick;
        info->dropped_records = thread->dropped_records;
    }
    return OTRACE_READ_OK;
}

int otrace_segment_get_off(const struct otrace_segment *segment, uint32_t index,
                           struct otrace_off_info *info) {
    memset(info, 0, sizeof *info);
    if (index >= segment->off_count) {
        return OTRACE_READ_ARGUMENT;
    }
    const struct otrace_meta_off *off = segment->off[index];
    *info = (struct otrace_off_info){
        .function = off->meta.id,
        .calls = off->calls,
        .times = off->times,
        .off_tick = off->off_tick,
        .on_tick = off->on_tick,
        .off_ticks = off->off_ticks,
    };
    return OTRACE_READ_OK;
}

int otrace_segment_get_note(const struct otrace_segment *segment, uint32_t index,
                            struct otrace_text *key, struct otrace_text *value) {
    if (index >= segment->notes_count) {
        return OTRACE_READ_ARGUMENT;
    }
    *key = segment->notes[index].key;
    *value = segment->notes[index].value;
    return OTRACE_READ_OK;
}
