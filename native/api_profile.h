/* The aggregator's door: calls of any number of tracks in, a tree of call paths and totals of
 * functions out.
 *
 * As for api_read.h: no interpreter, any function without the GIL, one object is used by one thread
 * at a time. Memory grows with functions and call paths, not with calls. A profile keeps
 * pointers into the names of segments: free it before them. Of several walks into one profile each
 * is freed before the next is made. Lines starting with # are for C only. */
#ifndef OTRACE_API_PROFILE_H
#define OTRACE_API_PROFILE_H

#include "api_read.h"

/* A call path: a function and the path of the calls around it. Parents come before children. */
struct otrace_profile_node {
    uint32_t parent;     /* OTRACE_PROFILE_NONE: a root */
    uint32_t function;   /* of a root 0 */
    uint64_t calls;      /* begun here; of a root: everything beneath it, as in runs */
    uint64_t runs;       /* calls and resumptions of generators and coroutines */
    uint64_t exceptions; /* runs that an exception left */
    int64_t total_ns;    /* of a root: of its outermost calls */
    int64_t self_ns;    /* outside its children; of a detached event 0, as it covers others' time */
    uint32_t recursive; /* 1: the function is on the path above, too */
    uint32_t sibling;   /* the next child of the same parent, 0: none */
    uint32_t first_child, last_child; /* 0: none */
};

struct otrace_profile_function {
    uint64_t calls, runs;
    uint64_t primitive; /* runs that are not inside another run of the same function */
    uint64_t exceptions, open, cut;
    int64_t total_ns; /* of primitive runs */
    int64_t self_ns;
    int64_t sum_ns; /* of all runs */
    int64_t min_ns, max_ns;
};

/* One of the longest runs. */
struct otrace_profile_slow {
    uint32_t node, function;
    uint32_t track;     /* as given to otrace_profile_walk_new */
    uint32_t flags;     /* enum otrace_call_flag */
    uint32_t exception; /* a function index: the name of its type; 0: none or not known */
    int64_t start_ns, duration_ns;
};

/* Runs of a function that were left by an exception of one type. */
struct otrace_profile_exception {
    uint32_t function, type; /* function indices; type 0: not known */
    uint64_t count;
};

struct otrace_profile_counts {
    uint32_t nodes, functions, exceptions, slow;
    uint64_t folded_runs; /* their paths found no room: they are part of their caller's self time */
};

struct otrace_profile;
struct otrace_profile_walk;

/* Keeps up to `slow` of the longest runs; a run that spent nine tenths of its time in one call is
 * left out in favour of that call. Function 0 stands for names that are not known. */
int otrace_profile_new(uint32_t slow, struct otrace_profile **profile);
void otrace_profile_free(struct otrace_profile *profile);

/* A new tree; *node is its root. */
int otrace_profile_root(struct otrace_profile *profile, uint32_t *node);

/* A pass over a track into the tree of `root`. Calls that never ended count until `end_ns`, or
 * until the track's last record when that is later. `track` comes back in slow runs. */
int otrace_profile_walk_new(struct otrace_profile *profile, struct otrace_segment *segment,
                            uint32_t track_index, const struct otrace_clock *clock, uint32_t root,
                            uint32_t track, int64_t end_ns, struct otrace_profile_walk **walk);
/* Before the first step: what ran in the tasks `ids`, which rise, also goes into the trees of
 * `roots`. Tasks may share one. Time of a task inside another's turn (an eager step) is the inner
 * one's. Both arrays must outlive the walk. */
int otrace_profile_walk_tasks(struct otrace_profile_walk *walk, const uint32_t *ids,
                              const uint32_t *roots, uint32_t count);
/* Goes on by about `edges` begins and ends. 1: there is more; 0: the track is at its end. */
int otrace_profile_walk_next(struct otrace_profile_walk *walk, uint64_t edges);
/* 32-bit words read so far, chunk headers included. */
uint64_t otrace_profile_walk_words(const struct otrace_profile_walk *walk);
void otrace_profile_walk_free(struct otrace_profile_walk *walk);

/* What was found; the pointers live until the next walk. Slow runs come in no order. */
void otrace_profile_get_counts(const struct otrace_profile *profile,
                               struct otrace_profile_counts *counts);
const struct otrace_profile_node *otrace_profile_nodes(const struct otrace_profile *profile);
const struct otrace_profile_slow *otrace_profile_slowest(const struct otrace_profile *profile);
const struct otrace_profile_exception *
otrace_profile_exceptions(const struct otrace_profile *profile);
/* index below counts.functions, else OTRACE_READ_ARGUMENT. The same function in several segments
 * (kind, module, qualified name, file and line) is one. */
int otrace_profile_get_function(const struct otrace_profile *profile, uint32_t index,
                                struct otrace_profile_function *totals,
                                struct otrace_name_info *name);
/* The shortest duration that at least `thousandths` of all runs do not exceed: exact for 2,048
 * runs, above within 0.4 %. Writes 0 for a function without runs. */
int otrace_profile_quantile(struct otrace_profile *profile, uint32_t index, uint32_t thousandths,
                            int64_t *duration_ns);

/* ---- speedscope ----------------------------------------------------------------------------- */

struct otrace_speedscope;

/* A track's events as rows of JSON, block by block as the encoders of api_read.h. The
 * frame of the name `id` is frames[id], frames[0] for names that are not known; `frames`, at least
 * one, is borrowed until free. Calls that never ended are closed at `end_ns`, or at the track's
 * last record when that is later. */
int otrace_speedscope_new(struct otrace_segment *segment, uint32_t track_index,
                          const struct otrace_clock *clock, const uint32_t *frames,
                          uint32_t frames_count, int64_t end_ns,
                          struct otrace_speedscope **speedscope);
int otrace_speedscope_next(struct otrace_speedscope *speedscope, char *buffer, size_t capacity,
                           size_t *written);
/* Calls written so far, and when the profile ends: final once nothing more was written. */
uint64_t otrace_speedscope_calls(const struct otrace_speedscope *speedscope);
int64_t otrace_speedscope_end(const struct otrace_speedscope *speedscope);
void otrace_speedscope_free(struct otrace_speedscope *speedscope);

#endif
