/* wire/round.c -- small exchanges that ranks join whenever they get there.
 *
 * A round has a communicator of its own, so that it does not matter between
 * which ballots a rank joins it.  For work that goes on beside the steps: one
 * round at a time, and the same rounds in the same order on all ranks.
 */
#include "wire/wire_impl.h"
#include <limits.h>
#include <string.h>

static void
round_check (const struct wire *w, size_t bytes)
{
  CHECK (w->round == MPI_REQUEST_NULL && !w->round_open,
         "a round is under way; wire_round_done did not say yes yet");
  CHECK (bytes <= INT_MAX, "a round of %zu bytes", bytes);
}

void
wire_round_gather (struct wire *w, const void *mine, size_t bytes, void *all)
{
  round_check (w, bytes);
  w->round_open = true;
  if (w->alone)
    memcpy (all, mine, bytes);
  else
    MPI_Iallgather (mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE,
                    w->rounds, &w->round);
}

void
wire_round_spread (struct wire *w, void *data, size_t bytes, int root)
{
  round_check (w, bytes);
  w->round_open = true;
  if (!w->alone)
    MPI_Ibcast (data, (int)bytes, MPI_BYTE, root, w->rounds, &w->round);
}

bool
wire_round_done (struct wire *w)
{
  int done = 1;
  CHECK (w->round_open, "no round is under way");
  if (w->round != MPI_REQUEST_NULL)
    MPI_Test (&w->round, &done, MPI_STATUS_IGNORE);
  w->round_open = !done;
  return done != 0;
}
