/* Chunks: how a thread gets one, fills it and gives it back. */
#ifndef OTRACE_CHUNK_H
#define OTRACE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct otrace_thread;

/* Room for `words` in the thread's chunk, or in a new one that begins with its open calls. False
 * when there is none: the caller counts what it could not write. */
bool otrace_chunk_room(struct otrace_thread *thread, size_t words, uint64_t now);

/* Ends the thread's chunk; a reader may have it whole, and the ring may take it over. */
void otrace_chunk_close(struct otrace_thread *thread);

/* Writes the whole stack of open calls as a SYNC record and OPEN records. */
void otrace_chunk_sync(struct otrace_thread *thread, uint64_t now);

/* At least the words that otrace_chunk_sync writes now. */
size_t otrace_chunk_sync_words(const struct otrace_thread *thread);

#endif
