/* wire/ballot.c -- small sums over the world or a window that do not block.
 *
 * For verdicts that lag behind: losses, norms, votes to stop.  Everything is
 * allocated when the wire opens, because a training step may not.
 */
#include "base/memory.h"
#include "wire/wire_impl.h"
#include <string.h>

enum status
wire_ballot_open (struct wire *w)
{
  TRY (MEM_NEW (WIRE_BALLOTS, &w->ballot, "ballots"));
  TRY (MEM_NEW ((size_t)WIRE_BALLOTS * 2 * WIRE_BALLOT_MOST, &w->ballot_room,
                "ballots"));
  for (size_t i = 0; i < WIRE_BALLOTS; i++) {
    w->ballot[i].in = w->ballot_room + 2 * i * WIRE_BALLOT_MOST;
    w->ballot[i].out = w->ballot[i].in + WIRE_BALLOT_MOST;
    w->ballot[i].mpi = MPI_REQUEST_NULL;
  }
  return OK;
}

void
wire_ballot_close (struct wire *w)
{
  /* A vote that a failed run has left open may still write. */
  if (w->n_balloting > 0)
    return;
  mem_free (&w->ballot);
  mem_free (&w->ballot_room);
}

/* MPI_COMM_NULL: nobody else is asked. */
static MPI_Comm
ballot_scope (const struct wire *w, int scope)
{
  if (w->size == 1)
    return MPI_COMM_NULL;
  if (scope < 0)
    return w->votes;
  CHECK (scope < w->n_windows, "window %d of %d; wire_windows was not called",
         scope, w->n_windows);
  const struct wire_window *v = &w->window[scope];
  CHECK (v->first <= w->pipe_rank && w->pipe_rank <= v->last,
         "pipe rank %d votes in window %d, which joins %d to %d", w->pipe_rank,
         scope, v->first, v->last);
  return v->comm;
}

enum status
wire_ballot_start (struct wire *w, int scope, const double *in, int n,
                   int *request)
{
  if (n < 0 || n > WIRE_BALLOT_MOST)
    return fail (E_LIMIT, "a ballot of %d numbers; at most %d fit", n,
                 WIRE_BALLOT_MOST);
  MPI_Comm comm = ballot_scope (w, scope);
  int i = 0;
  while (i < WIRE_BALLOTS && w->ballot[i].active)
    i++;
  CHECK (i < WIRE_BALLOTS, "more than %d ballots under way", WIRE_BALLOTS);
  struct wire_ballot *b = &w->ballot[i];
  b->active = true;
  b->n = n;
  b->scope = scope;
  w->n_balloting++;
  size_t bytes = (size_t)n * sizeof *in;
  if (bytes > 0)
    memcpy (b->in, in, bytes);
  if (comm != MPI_COMM_NULL)
    MPI_Iallreduce (b->in, b->out, n, MPI_DOUBLE, MPI_SUM, comm, &b->mpi);
  else if (bytes > 0)
    memcpy (b->out, in, bytes);
  *request = i;
  return OK;
}

void
wire_ballot_move (struct wire *w)
{
  int done;
  for (int i = 0; i < WIRE_BALLOTS; i++)
    if (w->ballot[i].active && w->ballot[i].mpi != MPI_REQUEST_NULL) {
      MPI_Test (&w->ballot[i].mpi, &done, MPI_STATUS_IGNORE);
      if (!done)
        return; /* the test has made MPI move all of them */
    }
}

static struct wire_awaited
ballot_ranks (const struct wire *w, int scope)
{
  if (scope < 0)
    return (struct wire_awaited){.kind = WIRE_AWAIT_ALL};
  const struct wire_window *v = &w->window[scope];
  const int first = w->replica * w->pipe_size;
  return (struct wire_awaited){.kind = WIRE_AWAIT_RANKS,
                               .rank = first + v->first,
                               .last = first + v->last};
}

enum status
wire_ballot_wait (struct wire *w, int *request, double *out)
{
  if (*request == WIRE_NONE)
    return OK;
  CHECK (*request >= 0 && *request < WIRE_BALLOTS && w->ballot[*request].active,
         "wire_ballot_wait for request %d, which is not under way", *request);
  struct wire_ballot *b = &w->ballot[*request];
  if (b->mpi != MPI_REQUEST_NULL) {
    const struct wire_awaited whom = ballot_ranks (w, b->scope);
    wire_complete_with (w, &b->mpi, &whom);
  }
  if (b->n > 0)
    memcpy (out, b->out, (size_t)b->n * sizeof *out);
  b->active = false;
  w->n_balloting--;
  *request = WIRE_NONE;
  return OK;
}
