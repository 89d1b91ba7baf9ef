/* wire/exchange.c -- blocks from every rank to every rank, and sums of vectors,
 * for work outside training. */
#include "wire/wire_impl.h"

#include "base/memory.h"
#include <limits.h>
#include <string.h>

/* Counts and places as MPI takes them: count[size], place[size]. */
static void
to_int (int size, const size_t *n, int *count, int *place)
{
  size_t at = 0;
  for (int r = 0; r < size; r++) {
    CHECK (at + n[r] <= INT_MAX, "an exchange of more than 2^31 elements");
    count[r] = (int)n[r];
    place[r] = (int)at;
    at += n[r];
  }
}

enum status
wire_exchange (struct wire *w, const float *send, const size_t *n_send,
               float *receive, const size_t *n_receive)
{
  int *v = NULL, size = w->size;
  if (w->alone) {
    CHECK (n_send[0] == n_receive[0], "%zu elements sent, %zu expected",
           n_send[0], n_receive[0]);
    if (n_send[0] > 0)
      memcpy (receive, send, n_send[0] * sizeof *send);
    return OK;
  }
  /* The others are on their way into the exchange: no way back. */
  if (MEM_NEW (4 * (size_t)size, &v, "an exchange") != OK)
    wire_abort (E_MEMORY);
  to_int (size, n_send, v, v + size);
  to_int (size, n_receive, v + 2 * size, v + 3 * size);
  MPI_Request request;
  MPI_Ialltoallv (send, v, v + size, MPI_FLOAT, receive, v + 2 * size,
                  v + 3 * size, MPI_FLOAT, w->world, &request);
  wire_complete (w, &request);
  mem_free (&v);
  return OK;
}

#define SUM_PIECE ((size_t)1 << 20)

enum status
wire_sum (struct wire *w, double *v, size_t n)
{
  for (size_t at = 0; !w->alone && at < n; at += SUM_PIECE) {
    size_t piece = n - at < SUM_PIECE ? n - at : SUM_PIECE;
    MPI_Request request;
    MPI_Iallreduce (MPI_IN_PLACE, v + at, (int)piece, MPI_DOUBLE, MPI_SUM,
                    w->world, &request);
    wire_complete (w, &request);
  }
  return OK;
}
