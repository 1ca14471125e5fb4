/* Functions of all segments: name ids are a segment's own, names make them one. */
#include <stdlib.h>
#include <string.h>

#include "read/profile.h"
#include "read/segment.h"

static uint64_t hash_text(uint64_t hash, struct otrace_text text) {
    for (size_t i = 0; i < text.size; i++) { /* FNV-1a */
        hash = (hash ^ (unsigned char)text.text[i]) * UINT64_C(0x100000001b3);
    }
    return otrace_profile_mix(hash + text.size);
}

static uint64_t hash_name(const struct otrace_name_info *name) {
    uint64_t hash = hash_text(name->kind, name->module);
    hash = hash_text(hash, name->qualified);
    return hash_text(hash + name->line, name->file);
}

static uint64_t hash_function(const struct otrace_profile *profile, uint32_t function) {
    return hash_name(&profile->functions[function].name);
}

static bool same_text(struct otrace_text left, struct otrace_text right) {
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.text, right.text, left.size) == 0);
}

static bool same_name(const struct otrace_name_info *left, const struct otrace_name_info *right) {
    return left->kind == right->kind && left->line == right->line &&
           same_text(left->qualified, right->qualified) && same_text(left->module, right->module) &&
           same_text(left->file, right->file);
}

int otrace_profile_use_segment(struct otrace_profile *profile,
                               const struct otrace_segment *segment) {
    if (profile->segment == segment) {
        return OTRACE_READ_OK;
    }
    uint32_t count = segment->names_count + 1;
    uint32_t *ids = calloc(count, sizeof *ids);
    if (ids == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    free(profile->ids);
    profile->ids = ids;
    profile->ids_count = count;
    profile->segment = segment;
    return OTRACE_READ_OK;
}

/* The function of a name, made when it is new. */
static int64_t intern(struct otrace_profile *profile, const struct otrace_name_info *name) {
    struct otrace_profile_index *index = &profile->by_name;
    int status = otrace_profile_index_reserve(index, hash_function, profile);
    if (status != 0) {
        return status;
    }
    uint32_t at = (uint32_t)hash_name(name) & index->mask;
    for (; index->slots[at] != 0; at = (at + 1) & index->mask) {
        uint32_t found = index->slots[at] - 1;
        if (same_name(&profile->functions[found].name, name)) {
            return found;
        }
    }
    status = otrace_profile_reserve((void **)&profile->functions, profile->functions_count,
                                    &profile->functions_capacity, sizeof *profile->functions, 64);
    if (status != 0) {
        return status;
    }
    uint32_t made = profile->functions_count++;
    profile->functions[made] = (struct otrace_profile_entry){.name = *name};
    index->slots[at] = made + 1;
    index->used++;
    return made;
}

int64_t otrace_profile_name(struct otrace_profile *profile, uint32_t id) {
    struct otrace_name_info name;
    otrace_segment_get_name(profile->segment, id, &name);
    if (name.kind == 0) {
        return 0;
    }
    int64_t function = intern(profile, &name);
    if (function >= 0) {
        profile->ids[id] = (uint32_t)function + 1;
    }
    return function;
}
