/* wire/exchange.c -- blocks from every rank to every rank, and sums of vectors,
 * for work outside training. */
#include "wire/wire_impl.h"

#include <string.h>

/* MPI counts in int, so long blocks go in pieces.  Far smaller pieces than that
 * demands cost next to nothing, and small tests exercise the loop. */
#define BYTES_PIECE ((size_t)1 << 22)

static void
piece_wait (struct wire *w, MPI_Request *request)
{
  if (*request != MPI_REQUEST_NULL)
    wire_complete (w, request);
}

void
wire_swap (struct wire *w, const struct wire_swap *s)
{
  size_t n = s->n_send > s->n_receive ? s->n_send : s->n_receive;
  for (size_t at = 0; at < n; at += BYTES_PIECE) {
    MPI_Request in = MPI_REQUEST_NULL, out = MPI_REQUEST_NULL;
    if (at < s->n_receive) {
      size_t left = s->n_receive - at;
      MPI_Irecv ((char *)s->receive + at,
                 (int)(left < BYTES_PIECE ? left : BYTES_PIECE), MPI_BYTE,
                 s->from, WIRE_TAG_SWAP, w->world, &in);
    }
    if (at < s->n_send) {
      size_t left = s->n_send - at;
      MPI_Isend ((const char *)s->send + at,
                 (int)(left < BYTES_PIECE ? left : BYTES_PIECE), MPI_BYTE,
                 s->to, WIRE_TAG_SWAP, w->world, &out);
    }
    piece_wait (w, &in);
    piece_wait (w, &out);
  }
}

/* The place of rank r's block. */
static size_t
place (const size_t *n, int r)
{
  size_t at = 0;
  for (int i = 0; i < r; i++)
    at += n[i];
  return at;
}

/* In turn i each rank sends to the i-th behind it, and receives from the i-th
 * before it. */
enum status
wire_exchange (struct wire *w, const float *send, const size_t *n_send,
               float *receive, const size_t *n_receive)
{
  int me = w->rank, size = w->size;
  CHECK (n_send[me] == n_receive[me], "%zu elements sent, %zu expected",
         n_send[me], n_receive[me]);
  if (n_send[me] > 0)
    memcpy (receive + place (n_receive, me), send + place (n_send, me),
            n_send[me] * sizeof *send);
  for (int i = 1; i < size; i++) {
    int to = (me + i) % size, from = (me + size - i) % size;
    const struct wire_swap swap = {
        .send = send + place (n_send, to),
        .n_send = n_send[to] * sizeof *send,
        .to = to,
        .receive = receive + place (n_receive, from),
        .n_receive = n_receive[from] * sizeof *receive,
        .from = from,
    };
    wire_swap (w, &swap);
  }
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
