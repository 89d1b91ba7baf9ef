/* wire/moves.c -- tells waiting ranks whether any other rank still moves.
 *
 * A rank that waits for a slow one must not take it for a dead one.  So a few
 * times per patience all ranks join a small reduction that does not block: each
 * enters it when it next polls.  It completes only when all have entered, so a
 * rank that is stuck for good keeps it open and the others hear nothing.  Its
 * result says whether any rank has moved since the last one: if all wait for
 * each other it completes and says no.  Both are silence to watch.c.
 */
#include "base/place.h"
#include "wire/wire_impl.h"

static void
round_begin (struct wire *w)
{
  struct wire_moves *m = &w->moves;
  unsigned long now = place_moves ();
  m->mine = now != m->last;
  m->last = now;
  m->n_begun++;
  wire_watch_begun ();
  MPI_Iallreduce (&m->mine, &m->any, 1, MPI_INT, MPI_MAX, m->comm, &m->mpi);
}

static void
round_test (struct wire *w)
{
  struct wire_moves *m = &w->moves;
  int done = 0;
  MPI_Test (&m->mpi, &done, MPI_STATUS_IGNORE);
  if (done && m->any)
    wire_watch_heard ();
}

void
wire_moves_step (void *wire)
{
  struct wire *w = wire;
  if (w->moves.comm == MPI_COMM_NULL || w->moves.closing)
    return;
  if (w->moves.mpi != MPI_REQUEST_NULL)
    round_test (w);
  else if (wire_watch_due ())
    round_begin (w);
}

void
wire_moves_open (struct wire *w)
{
  if (w->size == 1)
    return;
  MPI_Comm_dup (MPI_COMM_WORLD, &w->moves.comm);
  place_hook (wire_moves_step, w);
}

/* Some ranks may have begun a round that others have not: those join it now,
 * since MPI cannot free a communicator with a collective call under way. */
void
wire_moves_close (struct wire *w)
{
  struct wire_moves *m = &w->moves;
  MPI_Request request;
  int most = 0;
  place_hook (NULL, NULL);
  if (m->comm == MPI_COMM_NULL)
    return;
  m->closing = true;
  MPI_Iallreduce (&m->n_begun, &most, 1, MPI_INT, MPI_MAX, w->world, &request);
  wire_complete (w, &request);
  for (;;) {
    if (m->mpi != MPI_REQUEST_NULL)
      wire_complete (w, &m->mpi);
    if (m->n_begun >= most)
      break;
    round_begin (w);
  }
  MPI_Comm_free (&m->comm);
}
