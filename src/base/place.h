/* base/place.h -- where this process is: rank, step, stage and operation, for
 * messages; and that it moves, for those who watch it.
 *
 * All of it belongs to the process; may be read by any thread.
 */
#ifndef BASE_PLACE_H
#define BASE_PLACE_H

/* Where this rank is, for messages: stage and step -1 when none.  op is a
 * string constant.  A new place is a move. */
void
place_set (long step, int stage, const char *op);
void
place_get (long *step, int *stage, const char **op);
/* "rank 1, step 12, stage 3, FORWARD"; the buffer belongs to the function. */
const char *
place_text (void);
/* How often this process has moved: whoever works long in one place says so
 * with every piece of it, from any thread.  Cheap. */
void
place_move (void);
unsigned long
place_moves (void);
/* Until the next place, or 0, one call that cannot move may last so long. */
void
place_lasts (double seconds);
double
place_lasting (void);
/* Called with every move of the thread that sets it; NULL: nothing. */
void
place_hook (void (*hook) (void *context), void *context);
/* Rank and world size, for messages and planted faults; wire sets them. */
void
place_rank_set (int rank, int size);
int
place_rank (void);
int
place_size (void);

#endif
