#include "record/states.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "record/recorder.h"
#include "record/thread.h"

#define BLOCK_SIZE ((size_t)64 << 10)
#define SLOT_SIZE ((size_t)256)

_Static_assert(sizeof(struct otrace_thread) <= SLOT_SIZE, "a state fits its slot");

/* One wiped page: zero is a valid start for each of these in a child (also for the mutex). */
struct shared {
    pthread_mutex_t mutex; /* otrace_recorder_lock */
    bool alive;
    struct otrace_thread *in_use; /* by `next`; under states_mutex */
    struct otrace_thread *free;
    char *block, *block_end;
    pthread_mutex_t states_mutex;
};

static struct shared *shared;
static pthread_key_t thread_key;

static void *wiped_pages(size_t size) {
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages != MAP_FAILED && madvise(pages, size, MADV_WIPEONFORK) == 0) {
        return pages;
    }
    return NULL;
}

/* Under states_mutex. */
static void give(struct otrace_thread *thread) {
    struct otrace_thread **link = &shared->in_use;
    while (*link != NULL && *link != thread) {
        link = &(*link)->next;
    }
    if (*link == thread) {
        *link = thread->next;
    }
    memset(thread, 0, sizeof *thread);
    thread->next = shared->free;
    shared->free = thread;
}

/* Under states_mutex. */
static void end(struct otrace_thread *thread) {
    otrace_thread_exited(thread);
    give(thread);
}

static void end_those_beside(const struct otrace_thread *owner) {
    struct otrace_thread *next;
    for (struct otrace_thread *thread = shared->in_use; thread != NULL; thread = next) {
        next = thread->next;
        if (thread->owner == owner) {
            end(thread);
        }
    }
}

static void on_thread_exit(void *value) {
    /* In a child, a value may be left from the parent's thread: its state was wiped. */
    if (otrace_states_alive() && otrace_states_owns(value)) {
        pthread_mutex_lock(&shared->states_mutex);
        end_those_beside(value);
        end(value);
        pthread_mutex_unlock(&shared->states_mutex);
    }
}

void otrace_states_give(struct otrace_thread *thread) {
    struct otrace_thread *now = otrace_thread_self;
    pthread_mutex_lock(&shared->states_mutex);
    end(thread);
    pthread_mutex_unlock(&shared->states_mutex);
    otrace_thread_self = now;
}

void otrace_states_go_home(void) {
    struct otrace_thread *home = shared == NULL ? NULL : pthread_getspecific(thread_key);
    if (home != NULL && otrace_states_owns(home)) {
        otrace_thread_self = home;
    }
}

int otrace_states_init(void) {
    if (shared != NULL) {
        return 0;
    }
    shared = wiped_pages(OTRACE_PAGE);
    if (shared == NULL) {
        return -errno;
    }
    otrace_states_reset();
    return -pthread_key_create(&thread_key, on_thread_exit);
}

bool otrace_states_alive(void) {
    return shared == NULL || shared->alive;
}

void otrace_states_reset(void) {
    memset(shared, 0, sizeof *shared);
    pthread_mutex_init(&shared->mutex, NULL);
    pthread_mutex_init(&shared->states_mutex, NULL);
    shared->alive = true;
}

static struct otrace_thread *carve(void) {
    if (shared->block == shared->block_end) {
        char *block = wiped_pages(BLOCK_SIZE);
        if (block == NULL) {
            return NULL;
        }
        shared->block = block;
        shared->block_end = block + BLOCK_SIZE;
    }
    struct otrace_thread *thread = (struct otrace_thread *)shared->block;
    shared->block += SLOT_SIZE;
    return thread;
}

static struct otrace_thread *take(struct otrace_thread *owner) {
    pthread_mutex_lock(&shared->states_mutex);
    struct otrace_thread *thread = shared->free;
    if (thread != NULL) {
        shared->free = thread->next;
    } else {
        thread = carve();
    }
    if (thread != NULL) {
        memset(thread, 0, sizeof *thread);
        thread->taken = true;
        thread->owner = owner;
        thread->next = shared->in_use;
        shared->in_use = thread;
    }
    pthread_mutex_unlock(&shared->states_mutex);
    return thread;
}

struct otrace_thread *otrace_states_take(void) {
    struct otrace_thread *thread = take(NULL);
    if (thread != NULL) {
        pthread_setspecific(thread_key, thread);
    }
    return thread;
}

struct otrace_thread *otrace_states_take_beside(void) {
    return take(pthread_getspecific(thread_key));
}

void otrace_states_put_aside(struct otrace_thread *thread) {
    pthread_mutex_lock(&shared->states_mutex);
    thread->aside = true;
    pthread_mutex_unlock(&shared->states_mutex);
}

struct otrace_thread *otrace_states_take_again(void) {
    const struct otrace_thread *owner = pthread_getspecific(thread_key);
    pthread_mutex_lock(&shared->states_mutex);
    struct otrace_thread *thread = shared->in_use;
    while (thread != NULL && !(thread->aside && thread->owner == owner)) {
        thread = thread->next;
    }
    if (thread != NULL) {
        thread->aside = false;
    }
    pthread_mutex_unlock(&shared->states_mutex);
    return thread;
}

bool otrace_states_owns(const struct otrace_thread *thread) {
    return thread->taken;
}

void otrace_states_each(void (*visit)(struct otrace_thread *thread)) {
    pthread_mutex_lock(&shared->states_mutex);
    for (struct otrace_thread *thread = shared->in_use; thread != NULL; thread = thread->next) {
        visit(thread);
    }
    pthread_mutex_unlock(&shared->states_mutex);
}

void otrace_recorder_lock(void) {
    pthread_mutex_lock(&shared->mutex);
}

void otrace_recorder_unlock(void) {
    pthread_mutex_unlock(&shared->mutex);
}
