/* base/fault.h -- faults that tests plant in a running program. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>

/* Planted faults, for tests: INTERLOCK_FAIL="kernel:3@1" makes the third call
 * of fault_here ("kernel") on rank 1 return true (":nth" and "@rank" may be
 * left out: first, every rank).  Places: read, alloc, kernel, message, write,
 * damage (of what was written), loss, weights, picture (another one's),
 * round (to bf16), winograd, sleep, kill, slow-decode (of a sample, by a
 * second); hang-kernel, hang-message (never sent), hang-mpi, hang-read,
 * hang-take, hang-write do not come back.  Returns false when nothing is
 * planted; one comparison. */
bool
fault_here (const char *place);
/* Whether anything is planted. */
bool
fault_planted (void);
/* Never returns where this is planted, deaf to signals that are caught.  Of
 * sums over replicas there are sum and hang-sum, of what they gather from each
 * other gather and hang-gather. */
void
fault_hang (const char *place);
/* Plant this instead of what the environment says ("" or NULL: nothing).  Fails
 * a check when the text cannot be read. */
void
fault_plant (const char *spec);

#endif
