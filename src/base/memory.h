/* base/memory.h -- the only door to the heap.
 *
 * Counted: at the end of a debug run what was not freed is reported; after
 * mem_close nothing may be allocated through the arena calls until mem_open
 * (a training step that allocates is a fault).
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>

/* n zeroed items of size bytes, 64-byte aligned; *out is owned by the caller.
 * what names the thing in the message.  Fails with E_MEMORY (also when planted:
 * fault_here ("alloc")).  n * size == 0 gives a pointer that can be freed. */
enum status
mem_new (size_t n, size_t size, const char *what, void **out);
#define MEM_NEW(n, p, what) mem_new ((n), sizeof **(p), (what), (void **)(p))

/* Resize, keeping the old contents; new bytes are zero. *p may be NULL. */
enum status
mem_grow (void *p, size_t old_n, size_t n, size_t size, const char *what);
/* Free *p (address of a pointer), which may be NULL, and leave NULL. */
void
mem_free (void *p);
/* A copy of a string. */
enum status
mem_text (const char *text, char **out);

/* Between close and open every mem_new is a CHECK failure on this thread. */
void
mem_close (void);
void
mem_open (void);
/* Bytes and blocks alive now, and the highest number of bytes so far. */
void
mem_count (size_t *bytes, size_t *blocks, size_t *peak_bytes);

/* Blocks and arenas alive now; debug builds also name up to 20 of the blocks as
 * warnings.  For the end of a run. */
size_t
mem_leaks (void);

/* Bytes that a process may still ask for on this machine, all its processes
 * together: what the system calls available, less where a control group
 * (Slurm's, a container's) sets a nearer limit. */
double
mem_available (void);

/* A slab from which 64-byte aligned pieces are cut and never given back. */
struct arena {
  char *base;  /* owned; NULL before arena_open */
  size_t size; /* bytes */
  size_t used; /* bytes */
  bool mapped; /* pages of the system's */
};
/* Owns size bytes, zero.  Where it is large, in huge pages if there are any,
 * each of which is made, and cleared, when it is first touched. */
enum status
arena_open (size_t size, const char *what, struct arena *a);
/* A piece of bytes, rounded up to 64; CHECK fails when it does not fit. */
void *
arena_take (struct arena *a, size_t bytes);
void
arena_close (struct arena *a);
/* bytes rounded up to a multiple of 64. */
size_t
arena_round (size_t bytes);

#endif
