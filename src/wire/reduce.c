/* wire/reduce.c -- sums over replicas along a fixed tree, without blocking.
 *
 * Replica r adds what replica r + 1 has, when r is even; then what r + 2 has,
 * when r divides by 4; and so on: ((0 + 1) + (2 + 3)) + ...  The order of
 * additions depends on the number of replicas alone, so the bits do, too.
 *
 * A block is cut into pieces, and a piece into shares, one for each replica.
 * The owner of a share gets it from all others (SCATTER), walks the tree with
 * what came, and sends the sum to all (GATHER).  So each replica sends and
 * receives less than twice the piece in two steps, however many there are.
 *
 * Either step can be had alone.  Then a block is cut into shares first, one
 * for each replica in their order, and a piece takes a strip of each: so a
 * replica owns neighbours.  The additions are the same ones.
 *
 * The pieces of all sums under way are one queue, in the order in which the
 * sums were started, which is the same on all twins.  The first of them have a
 * leg each, with room for what comes.  The very first one has a leg on all
 * twins sooner or later, so it comes to its end, and nobody waits in a ring.
 */
#include "base/fault.h"
#include "base/memory.h"
#include "base/place.h"
#include "wire/wire_impl.h"
#include <string.h>

#define PIECE ((size_t)1 << 18) /* floats: 1 MiB stays in a cache */
#define LEAST                                                \
  1024             /* floats of a share: less is not worth a \
                      message */
#define LINE 16    /* floats: shares begin at a cache line */
#define ADDED 2048 /* floats that are added up at a time */
#define TURNS 1024 /* tags repeat after so many pieces */

/* What is summed; add_up is the arithmetic. */
#define SUMMED TENSOR_F32

static MPI_Datatype
mpi_type (enum tensor_type type)
{
  switch (type) {
  case TENSOR_F32:
    return MPI_FLOAT;
  case TENSOR_I32:
    return MPI_INT32_T;
  case TENSOR_BF16: /* no MPI knows it: two bytes that are not added */
    return MPI_UINT16_T;
  case TENSOR_U8:
    return MPI_UINT8_T;
  }
  return MPI_DATATYPE_NULL;
}

/* -- shares ---------------------------------------------------------------- */

/* Floats of a share: those of n in as many parts as there are replicas, or in
 * fewer that are worth a message. */
static int
share_size (size_t n, int n_replicas)
{
  size_t share = (n + (size_t)n_replicas - 1) / (size_t)n_replicas;
  share = (share + LINE - 1) / LINE * LINE;
  return (int)(share > LEAST ? share : LEAST);
}

static int
n_shares (const struct wire_leg *leg)
{
  return (int)((leg->n + leg->each - 1) / leg->each);
}

/* *n is 0 where a strip lies behind the end of a share. */
static float *
share_of (const struct wire_leg *leg, int j, int *n)
{
  const size_t begin = (size_t)j * leg->each, at = begin + leg->from;
  const size_t end = leg->n < begin + leg->each ? leg->n : begin + leg->each;
  const size_t left = at < end ? end - at : 0;
  *n = left < (size_t)leg->n_share ? (int)left : leg->n_share;
  return leg->block + (at < end ? at : end);
}

/* Pieces take turns, so that small ones are not all added up by replica 0; but
 * not where a share has an owner. */
static int
owner_of (const struct wire *w, const struct wire_leg *leg, int j)
{
  const bool kept = w->reduction[leg->reduction].kind != REDUCE_ALL;
  return (int)(((kept ? 0 : leg->turn) + (unsigned)j) %
               (unsigned)w->n_replicas);
}

/* The share that a replica owns; -1: none. */
static int
own_share (const struct wire *w, const struct wire_leg *leg)
{
  for (int j = 0; j < n_shares (leg); j++)
    if (owner_of (w, leg, j) == w->replica)
      return j;
  return -1;
}

/* -- a leg ----------------------------------------------------------------- */

static int
tag_of (const struct wire_leg *leg)
{
  return (int)(leg->turn % TURNS) * 2 + (leg->state == LEG_GATHER);
}

/* Receives are posted before anything is sent. */
static void
leg_receive (struct wire *w, struct wire_leg *leg, float *to, int n, int twin)
{
  if (n == 0)
    return;
  MPI_Irecv (to, n, mpi_type (SUMMED), twin, tag_of (leg), w->twins,
             &leg->waits[leg->n_waits]);
  leg->whom[leg->n_waits++] = twin;
  leg->n_in = leg->n_waits;
}

static void
leg_send (struct wire *w, struct wire_leg *leg, const float *from, int n,
          int twin)
{
  if (n == 0)
    return;
  MPI_Isend (from, n, mpi_type (SUMMED), twin, tag_of (leg), w->twins,
             &leg->waits[leg->n_waits]);
  leg->whom[leg->n_waits++] = twin;
}

static void
leg_scatter (struct wire *w, struct wire_leg *leg)
{
  int n, own = own_share (w, leg);
  float *room = leg->room;
  leg->state = LEG_SCATTER;
  leg->n_in = leg->n_waits = 0;
  for (int r = 0; own >= 0 && r < w->n_replicas; r++) {
    (void)share_of (leg, own, &n);
    if (r == w->replica)
      continue;
    leg_receive (w, leg, room, n, r);
    room += leg->n_share;
  }
  for (int j = 0; j < n_shares (leg); j++) {
    const float *share = share_of (leg, j, &n);
    if (j != own)
      leg_send (w, leg, share, n, owner_of (w, leg, j));
  }
}

/* Walks the tree over n floats of every replica; the sum ends in term[0]. */
static void
add_up (float *const *term, int n_replicas, int at, int n)
{
  for (int d = 1; d < n_replicas; d *= 2)
    for (int r = 0; r + d < n_replicas; r += 2 * d) {
      float *mine = term[r] + at;
      const float *theirs = term[r + d] + at;
      for (int i = 0; i < n; i++)
        mine[i] += theirs[i];
    }
}

static void
leg_add (struct wire *w, struct wire_leg *leg, int own)
{
  int n;
  float *room = leg->room, *mine = share_of (leg, own, &n);
  for (int r = 0; r < w->n_replicas; r++) {
    w->term[r] = r == w->replica ? mine : room;
    room += r == w->replica ? 0 : leg->n_share;
  }
  for (int at = 0; at < n; at += ADDED) {
    int part = n - at < ADDED ? n - at : ADDED;
    add_up (w->term, w->n_replicas, at, part);
    if (w->replica > 0)
      memcpy (mine + at, w->term[0] + at, (size_t)part * sizeof *mine);
  }
}

static void
leg_gather (struct wire *w, struct wire_leg *leg)
{
  int n, own = own_share (w, leg);
  leg->state = LEG_GATHER;
  leg->n_in = leg->n_waits = 0;
  for (int j = 0; j < n_shares (leg); j++) {
    float *share = share_of (leg, j, &n);
    if (j != own)
      leg_receive (w, leg, share, n, owner_of (w, leg, j));
  }
  for (int r = 0; own >= 0 && r < w->n_replicas; r++) {
    const float *share = share_of (leg, own, &n);
    if (r != w->replica)
      leg_send (w, leg, share, n, r);
  }
}

static bool
leg_waits (struct wire *w, struct wire_leg *leg)
{
  int done = 1;
  /* Not MPI_STATUSES_IGNORE: MPICH's is no array, which gcc warns of. */
  if (leg->n_waits > 0)
    MPI_Testall (leg->n_waits, leg->waits, &done, w->unread);
  if (done)
    leg->n_waits = 0;
  return !done;
}

/* What was waited for is here. */
static void
leg_next (struct wire *w, struct wire_leg *leg)
{
  struct wire_reduction *red = &w->reduction[leg->reduction];
  const bool scattered = leg->state == LEG_SCATTER;
  const int own = scattered ? own_share (w, leg) : -1;
  if (own >= 0)
    leg_add (w, leg, own);
  if (scattered && red->kind == REDUCE_ALL)
    return leg_gather (w, leg);
  red->n_done++;
  leg->state = LEG_FREE;
}

/* As far as that goes without waiting. */
static void
leg_move (struct wire *w, struct wire_leg *leg)
{
  while (leg->state != LEG_FREE && !leg_waits (w, leg)) {
    place_move ();
    leg_next (w, leg);
  }
}

/* -- the queue ------------------------------------------------------------- */

static size_t
least (size_t a, size_t b)
{
  return a < b ? a : b;
}

/* Piece i of a sum. */
static void
leg_cut (const struct wire *w, const struct wire_reduction *red, size_t i,
         struct wire_leg *leg)
{
  const bool all = red->kind == REDUCE_ALL;
  const size_t at = all ? i * PIECE : 0;
  leg->block = red->block + at;
  leg->n = all ? least (red->n - at, PIECE) : red->n;
  leg->n_share = share_size (least (leg->n, PIECE), w->n_replicas);
  leg->from = all ? 0 : i * (size_t)leg->n_share;
  leg->each = all ? (size_t)leg->n_share : red->share;
}

/* Gives the first piece that has none a leg. */
static void
leg_begin (struct wire *w, struct wire_leg *leg)
{
  int i = w->queue[w->queue_first];
  struct wire_reduction *red = &w->reduction[i];
  leg->reduction = i;
  leg->turn = w->reduce_turn++;
  leg_cut (w, red, red->n_begun++, leg);
  if (red->n_begun == red->n_pieces) {
    w->queue_first = (w->queue_first + 1) % w->n_reductions;
    w->n_queued--;
  }
  if (red->kind == REDUCE_GATHER)
    leg_gather (w, leg);
  else
    leg_scatter (w, leg);
}

void
wire_reduce_move (struct wire *w)
{
  for (int i = 0; i < w->n_legs; i++) {
    struct wire_leg *leg = &w->leg[i];
    leg_move (w, leg);
    while (leg->state == LEG_FREE && w->n_queued > 0) {
      leg_begin (w, leg);
      leg_move (w, leg);
    }
  }
}

/* -- making ---------------------------------------------------------------- */

/* Let go of what a run that failed has left. */
static void
leg_drop (struct wire_leg *leg)
{
  for (int i = 0; leg->state != LEG_FREE && i < leg->n_waits; i++) {
    if (leg->waits[i] == MPI_REQUEST_NULL)
      continue;
    if (i < leg->n_in)
      MPI_Cancel (&leg->waits[i]);
    MPI_Request_free (&leg->waits[i]);
  }
}

void
wire_reduce_close (struct wire *w)
{
  for (int i = 0; i < w->n_legs; i++) {
    leg_drop (&w->leg[i]);
    mem_free (&w->leg[i].room);
    mem_free (&w->leg[i].waits);
    mem_free (&w->leg[i].whom);
  }
  mem_free (&w->leg);
  mem_free (&w->term);
  mem_free (&w->unread);
  mem_free (&w->reduction);
  mem_free (&w->queue);
  w->n_legs = w->n_reducing = w->n_reductions = 0;
  w->queue_first = w->n_queued = 0;
  w->reduce_most = 0;
}

/* Pieces of all sums; few enough that each has a leg of its own, or more. */
static int
legs_of (size_t n, int n_under_way)
{
  size_t pieces = (n + PIECE - 1) / PIECE * (size_t)n_under_way;
  return pieces < WIRE_LEGS ? (int)pieces : WIRE_LEGS;
}

size_t
wire_reduce_bytes (int n_replicas, size_t n, int n_under_way)
{
  size_t share = (size_t)share_size (n < PIECE ? n : PIECE, n_replicas);
  return (size_t)legs_of (n, n_under_way) * (size_t)(n_replicas - 1) * share *
         sizeof (float);
}

static enum status
make_legs (struct wire *w, size_t n, int n_legs)
{
  const size_t R = (size_t)w->n_replicas;
  size_t share = (size_t)share_size (n < PIECE ? n : PIECE, w->n_replicas);
  TRY (MEM_NEW (R, &w->term, "sums over replicas"));
  TRY (MEM_NEW (2 * R, &w->unread, "sums over replicas"));
  TRY (MEM_NEW ((size_t)n_legs, &w->leg, "sums over replicas"));
  w->n_legs = n_legs;
  for (int i = 0; i < n_legs; i++) {
    struct wire_leg *leg = &w->leg[i];
    TRY (MEM_NEW ((R - 1) * share, &leg->room, "sums over replicas"));
    TRY (MEM_NEW (2 * R, &leg->waits, "sums over replicas"));
    TRY (MEM_NEW (2 * R, &leg->whom, "sums over replicas"));
  }
  return OK;
}

enum status
wire_reduce_reserve (struct wire *w, size_t n, int n_under_way)
{
  CHECK (n_under_way >= 0, "%d sums over replicas under way", n_under_way);
  CHECK (w->n_reducing == 0, "%d sums over replicas are still under way",
         w->n_reducing);
  wire_reduce_close (w);
  if (w->n_replicas == 1 || n == 0 || n_under_way == 0)
    return OK;
  TRY (MEM_NEW ((size_t)n_under_way, &w->reduction, "sums over replicas"));
  TRY (MEM_NEW ((size_t)n_under_way, &w->queue, "sums over replicas"));
  TRY (make_legs (w, n, legs_of (n, n_under_way)));
  w->n_reductions = n_under_way;
  w->reduce_most = n;
  return OK;
}

/* -- use ------------------------------------------------------------------- */

static enum status
start (struct wire *w, const struct wire_reduction *red, int *request)
{
  const bool gather = red->kind == REDUCE_GATHER;
  const size_t n = red->n;
  *request = WIRE_NONE;
  if (w->n_replicas == 1 || n == 0)
    return OK;
  CHECK (n <= w->reduce_most, "a sum of %zu floats; wire_reduce_reserve: %zu",
         n, w->reduce_most);
  CHECK (red->kind == REDUCE_ALL || red->share * (size_t)w->n_replicas >= n,
         "%d shares of %zu floats are not %zu", w->n_replicas, red->share, n);
  int i = 0;
  while (i < w->n_reductions && w->reduction[i].active)
    i++;
  CHECK (i < w->n_reductions, "more than %d sums over replicas under way",
         w->n_reductions);
  if (fault_here (gather ? "gather" : "sum"))
    return fail (E_FAULT, "%s replicas was not begun (planted)",
                 gather ? "a gathering from" : "a sum over");
  fault_hang (gather ? "hang-gather" : "hang-sum");
  /* Strips as wide as the room of a leg. */
  const size_t piece =
      red->kind == REDUCE_ALL
          ? PIECE
          : (size_t)share_size (least (n, PIECE), w->n_replicas);
  const size_t whole = red->kind == REDUCE_ALL ? n : red->share;
  w->reduction[i] = *red;
  w->reduction[i].active = true;
  w->reduction[i].n_pieces = (whole + piece - 1) / piece;
  w->queue[(w->queue_first + w->n_queued++) % w->n_reductions] = i;
  w->n_reducing++;
  *request = i;
  /* Its first pieces leave at once; what is under way moves with wire_poll. */
  for (int j = 0; j < w->n_legs && w->n_queued > 0; j++)
    if (w->leg[j].state == LEG_FREE)
      leg_begin (w, &w->leg[j]);
  return OK;
}

enum status
wire_reduce_start (struct wire *w, float *block, size_t n, int *request)
{
  const struct wire_reduction red = {
      .kind = REDUCE_ALL, .block = block, .n = n};
  return start (w, &red, request);
}

enum status
wire_scatter_start (struct wire *w, float *block, size_t n, size_t share,
                    int *request)
{
  const struct wire_reduction red = {
      .kind = REDUCE_SCATTER, .block = block, .n = n, .share = share};
  return start (w, &red, request);
}

enum status
wire_gather_start (struct wire *w, float *block, size_t n, size_t share,
                   int *request)
{
  const struct wire_reduction red = {
      .kind = REDUCE_GATHER, .block = block, .n = n, .share = share};
  return start (w, &red, request);
}

/* The leg with the oldest piece under way; all sums wait for it. */
static const struct wire_leg *
oldest (const struct wire *w)
{
  const struct wire_leg *first = NULL;
  for (int i = 0; i < w->n_legs; i++) {
    const struct wire_leg *leg = &w->leg[i];
    if (leg->state != LEG_FREE &&
        (!first || (int)(leg->turn - first->turn) < 0))
      first = leg;
  }
  return first;
}

/* Notes, for the watchdog, for which rank it waits. */
static void
await_twin (const struct wire *w, int *told)
{
  const struct wire_leg *leg = oldest (w);
  int i = 0, done = 1;
  if (!leg)
    return;
  for (; i < leg->n_waits && done; i += done)
    MPI_Request_get_status (leg->waits[i], &done, MPI_STATUS_IGNORE);
  if (done)
    return;
  int rank = leg->whom[i] * w->pipe_size + w->pipe_rank;
  if (rank == *told)
    return;
  *told = rank;
  wire_await (&(struct wire_awaited){.kind = WIRE_AWAIT_TWIN, .rank = rank});
}

enum status
wire_reduce_wait (struct wire *w, int *request)
{
  if (*request == WIRE_NONE)
    return OK;
  CHECK (*request >= 0 && *request < w->n_reductions &&
             w->reduction[*request].active,
         "wire_reduce_wait for request %d, which is not under way", *request);
  struct wire_reduction *red = &w->reduction[*request];
  struct wire_pause pause;
  int whom = -1;
  wire_pause_begin (&pause);
  for (wire_reduce_move (w); red->n_done < red->n_pieces;) {
    await_twin (w, &whom);
    wire_poll (w);
    wire_pause_step (&pause);
  }
  if (whom >= 0)
    wire_await_end ();
  red->active = false;
  w->n_reducing--;
  *request = WIRE_NONE;
  return OK;
}
