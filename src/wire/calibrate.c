/* wire/calibrate.c -- what a message between neighbours costs.
 *
 * Messages go as they do in training: posted ahead, sent, waited for.  Pairs of
 * neighbours on the pipe take turns with those beside them, all pairs of a turn
 * at once, as in training too.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "wire/wire_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SMALL ((size_t)64)
#define MIDDLE ((size_t)1 << 18)
#define LARGE ((size_t)1 << 22)
#define ROUNDS_SMALL 400
#define ROUNDS_LARGE 40

/* Two tensors with room for their headers, and the neighbour. */
struct pair {
  struct wire *w;
  struct tensor out, in;
  int peer;
  bool first; /* of the two */
};

static enum status
pass (struct pair *p, bool send, bool receive)
{
  const struct wire_id id = {.step = 0};
  int from = WIRE_NONE, to = WIRE_NONE;

  if (receive)
    TRY (wire_post (p->w, WIRE_LINK, &p->in, p->peer, 0, &from));
  if (send)
    TRY (wire_send (p->w, WIRE_LINK, &p->out, p->peer, 0, id, &to));
  TRY (wire_wait (p->w, &from, &id, NULL));
  return wire_wait (p->w, &to, NULL, NULL);
}

static int
compare (const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Median seconds of one message of so many bytes; both: while another goes the
 * other way. */
static enum status
one_way (struct pair *p, size_t bytes, int rounds, bool both, double *s)
{
  double t[ROUNDS_SMALL];

  p->out.bytes = p->in.bytes = bytes;
  p->out.dims[0] = p->in.dims[0] =
      (int64_t)(bytes / tensor_bytes (p->out.form.type, 1));
  for (int i = -3; i < rounds; i++) { /* the first three warm up */
    double start = clock_now_s ();
    if (both) {
      TRY (pass (p, true, true));
    } else {
      TRY (pass (p, p->first, !p->first));
      TRY (pass (p, !p->first, p->first));
    }
    if (i >= 0)
      t[i] = (clock_now_s () - start) / (both ? 1 : 2);
  }
  qsort (t, (size_t)rounds, sizeof *t, compare);
  *s = t[rounds / 2];
  return OK;
}

/* Bytes/s from the difference of two sizes: the latency cancels. */
static enum status
rate (struct pair *p, bool both, double *out)
{
  double middle, large;

  TRY (one_way (p, MIDDLE, ROUNDS_LARGE, both, &middle));
  TRY (one_way (p, LARGE, ROUNDS_LARGE, both, &large));
  *out = large > middle ? (double)(LARGE - MIDDLE) / (large - middle)
                        : (double)LARGE / large;
  return OK;
}

static enum status
measure_pair (struct pair *p, struct wire_link *out)
{
  TRY (one_way (p, SMALL, ROUNDS_SMALL, false, &out->latency_s));
  TRY (rate (p, false, &out->bytes_per_s));
  return rate (p, true, &out->both_bytes_per_s);
}

/* This rank's pair of the turn: 0, 1 and 2, 3 ...; then 1, 2 and 3, 4 ... */
static int
partner (const struct wire *w, int turn)
{
  int up = (w->pipe_rank + turn) % 2 == 0;
  int peer = w->pipe_rank + (up ? 1 : -1);

  return peer >= 0 && peer < w->pipe_size ? peer : -1;
}

static enum status
take_turns (struct wire *w, char *room, struct wire_link *worst)
{
  for (int turn = 0; turn < 2; turn++) {
    struct wire_link mine;
    struct pair p = {.w = w, .peer = partner (w, turn)};
    p.first = w->pipe_rank < p.peer;
    p.out.data = room + TENSOR_HEADER;
    p.in.data = room + 2 * TENSOR_HEADER + LARGE;
    p.out.n_dims = p.in.n_dims = 1;
    wire_barrier (w);
    if (p.peer < 0)
      continue;
    TRY (measure_pair (&p, &mine));
    worst->latency_s = fmax (worst->latency_s, mine.latency_s);
    worst->bytes_per_s = fmin (worst->bytes_per_s, mine.bytes_per_s);
    worst->both_bytes_per_s =
        fmin (worst->both_bytes_per_s, mine.both_bytes_per_s);
  }
  return OK;
}

static enum status
worst_of_all (struct wire *w, struct wire_link *link)
{
  const double mine[] = {link->latency_s, link->bytes_per_s,
                         link->both_bytes_per_s};
  double *all = NULL;

  TRY (wire_agree (w, MEM_NEW (3 * (size_t)w->size, &all, "link figures")));
  enum status s = wire_all_gather (w, mine, 3, all);
  for (int r = 0; s == OK && r < w->size; r++) {
    link->latency_s = fmax (link->latency_s, all[3 * r]);
    link->bytes_per_s = fmin (link->bytes_per_s, all[3 * r + 1]);
    link->both_bytes_per_s = fmin (link->both_bytes_per_s, all[3 * r + 2]);
  }
  mem_free (&all);
  return s;
}

enum status
wire_calibrate (struct wire *w, struct wire_link *out)
{
  struct wire_link link = {0, INFINITY, INFINITY};
  char *room = NULL;

  if (w->alone || w->pipe_size < 2)
    return fail (E_USAGE, "a link is measured between two ranks or more: start "
                          "this under mpirun or srun");
  TRY (wire_agree (w, mem_new (2 * (TENSOR_HEADER + LARGE), 1,
                               "messages to measure a link", (void **)&room)));
  enum status s = take_turns (w, room, &link);
  if (s != OK) /* the neighbour waits for a message that will not come */
    wire_abort (s);
  mem_free (&room);
  TRY (worst_of_all (w, &link));
  *out = link;
  return OK;
}
