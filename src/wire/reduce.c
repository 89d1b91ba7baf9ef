/* wire/reduce.c -- sums over replicas along a fixed tree, without blocking.
 *
 * Replica r adds what replica r + 1 has, when r is even; then what r + 2 has,
 * when r divides by 4; and so on.  Replica 0 ends with the sum and it goes back
 * down the same tree.  The order of additions depends on the number of replicas
 * alone, so the bits do, too.
 *
 * A block is cut into pieces, and WIRE_LEGS legs carry one piece each, so that
 * receiving, adding and sending overlap and the partner's room stays small.
 * Leg j has pieces j, j + WIRE_LEGS, ... one after the other.  A leg:
 *
 *   CLIMB -> ADD -> CLIMB ...       a partner's piece comes and is added
 *   CLIMB -> RISEN -> FALL          the own sum goes up; the whole sum comes
 *   CLIMB or FALL -> SPREAD -> SENT it goes to the children; then DONE
 *
 * Messages of one leg between two replicas keep their order, so a tag per leg
 * is enough.
 */
#include "base/memory.h"
#include "base/place.h"
#include "wire/wire_impl.h"

#define PIECE ((size_t)1 << 18) /* floats: 1 MiB stays in a cache */
#define TURNS 1024              /* tags repeat after so many sums */

/* What is summed; leg_add is the arithmetic. */
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

static void
leg_start (struct wire_leg *leg, struct wire_reduction *red, size_t piece)
{
  size_t at = piece * PIECE, left = red->n - at;
  leg->piece = piece;
  leg->block = red->block + at;
  leg->n = (int)(left < PIECE ? left : PIECE);
  leg->distance = 1;
  leg->n_waits = 0;
  leg->state = LEG_CLIMB;
}

/* Starts the next transfer of the way up.  In binary, replica r receives from
 * r + 1, r + 2, r + 4 ... as long as the bit of that distance is 0 in r, and
 * sends to r - distance at its first bit that is 1.  Replica 0 has none, so it
 * ends as the root. */
static void
leg_climb (struct wire *w, struct wire_leg *leg, int tag)
{
  int r = w->replica, n = w->n_replicas;
  while (leg->distance < n && (r & leg->distance) == 0 &&
         r + leg->distance >= n)
    leg->distance *= 2; /* nobody there */
  if (leg->distance >= n) {
    leg->state = LEG_SPREAD;
    return;
  }
  leg->n_waits = 1;
  if ((r & leg->distance) != 0) {
    MPI_Isend (leg->block, leg->n, mpi_type (SUMMED), r - leg->distance, tag,
               w->twins, leg->waits);
    leg->state = LEG_RISEN;
  } else {
    MPI_Irecv (leg->partner, leg->n, mpi_type (SUMMED), r + leg->distance, tag,
               w->twins, leg->waits);
    leg->state = LEG_ADD;
  }
}

static void
leg_add (struct wire_leg *leg)
{
  float *mine = leg->block;
  const float *theirs = leg->partner;
  for (int i = 0; i < leg->n; i++)
    mine[i] += theirs[i];
  leg->distance *= 2;
  leg->state = LEG_CLIMB;
}

/* leg->distance is where this replica's climb ended: its children are all the
 * partners below that. */
static void
leg_spread (struct wire *w, struct wire_leg *leg, int tag)
{
  leg->n_waits = 0;
  for (int d = leg->distance / 2; d >= 1; d /= 2)
    if (w->replica + d < w->n_replicas)
      MPI_Isend (leg->block, leg->n, mpi_type (SUMMED), w->replica + d, tag,
                 w->twins, &leg->waits[leg->n_waits++]);
}

static bool
leg_waits (struct wire_leg *leg)
{
  /* Not MPI_STATUSES_IGNORE: MPICH's is no array, which gcc warns of. */
  MPI_Status unread[WIRE_CHILDREN];
  int done = 1;
  if (leg->n_waits > 0)
    MPI_Testall (leg->n_waits, leg->waits, &done, unread);
  if (done)
    leg->n_waits = 0;
  return !done;
}

/* Moves a leg from state to state as far as that goes without waiting. */
static void
leg_move (struct wire *w, struct wire_leg *leg, int tag)
{
  while (leg->state != LEG_DONE && !leg_waits (leg)) {
    place_move ();
    switch (leg->state) {
    case LEG_CLIMB:
      leg_climb (w, leg, tag);
      break;
    case LEG_ADD:
      leg_add (leg);
      break;
    case LEG_RISEN:
      MPI_Irecv (leg->block, leg->n, mpi_type (SUMMED),
                 w->replica - leg->distance, tag, w->twins, leg->waits);
      leg->n_waits = 1;
      leg->state = LEG_FALL;
      break;
    case LEG_FALL:
      leg->state = LEG_SPREAD;
      break;
    case LEG_SPREAD:
      leg_spread (w, leg, tag);
      leg->state = LEG_SENT;
      break;
    case LEG_SENT:
      leg->state = LEG_DONE;
      break;
    case LEG_DONE:
      break;
    }
  }
}

static bool
reduction_move (struct wire *w, struct wire_reduction *red)
{
  bool busy = false;
  for (int j = 0; j < WIRE_LEGS; j++) {
    struct wire_leg *leg = &red->leg[j];
    if (leg->state == LEG_DONE)
      continue;
    leg_move (w, leg, red->tag + j);
    while (leg->state == LEG_DONE && leg->piece + WIRE_LEGS < red->n_pieces) {
      leg_start (leg, red, leg->piece + WIRE_LEGS);
      leg_move (w, leg, red->tag + j);
    }
    busy = busy || leg->state != LEG_DONE;
  }
  return busy;
}

void
wire_reduce_move (struct wire *w)
{
  for (int i = 0; i < w->n_reductions; i++)
    if (w->reduction[i].active)
      (void)reduction_move (w, &w->reduction[i]);
}

/* Let go of what a run that failed has left. */
static void
leg_drop (struct wire_leg *leg)
{
  for (int i = 0; i < leg->n_waits; i++) {
    if (leg->waits[i] == MPI_REQUEST_NULL)
      continue;
    if (leg->state == LEG_ADD || leg->state == LEG_FALL)
      MPI_Cancel (&leg->waits[i]);
    MPI_Request_free (&leg->waits[i]);
  }
}

void
wire_reduce_close (struct wire *w)
{
  for (int i = 0; i < w->n_reductions; i++)
    for (int j = 0; j < WIRE_LEGS && w->reduction[i].active; j++)
      leg_drop (&w->reduction[i].leg[j]);
  w->n_reducing = 0;
  for (int i = 0; i < w->n_reductions; i++)
    mem_free (&w->reduction[i].partner);
  mem_free (&w->reduction);
  w->n_reductions = 0;
  w->reduce_most = 0;
}

enum status
wire_reduce_reserve (struct wire *w, size_t n, int n_under_way)
{
  CHECK (n_under_way >= 0 && n_under_way < TURNS,
         "%d sums over replicas under way", n_under_way);
  CHECK (w->n_reducing == 0, "%d sums over replicas are still under way",
         w->n_reducing);
  wire_reduce_close (w);
  if (w->n_replicas == 1 || n == 0 || n_under_way == 0)
    return OK;
  size_t piece = n < PIECE ? n : PIECE;
  TRY (MEM_NEW ((size_t)n_under_way, &w->reduction, "sums over replicas"));
  w->n_reductions = n_under_way;
  for (int i = 0; i < n_under_way; i++) {
    struct wire_reduction *red = &w->reduction[i];
    TRY (MEM_NEW (piece * WIRE_LEGS, &red->partner, "sums over replicas"));
    for (int j = 0; j < WIRE_LEGS; j++)
      red->leg[j].partner = red->partner + piece * (size_t)j;
  }
  w->reduce_most = n;
  return OK;
}

enum status
wire_reduce_start (struct wire *w, float *block, size_t n, int *request)
{
  *request = WIRE_NONE;
  if (w->n_replicas == 1 || n == 0)
    return OK;
  CHECK (n <= w->reduce_most, "a sum of %zu floats; wire_reduce_reserve: %zu",
         n, w->reduce_most);
  int i = 0;
  while (i < w->n_reductions && w->reduction[i].active)
    i++;
  CHECK (i < w->n_reductions, "more than %d sums over replicas under way",
         w->n_reductions);
  struct wire_reduction *red = &w->reduction[i];
  red->active = true;
  red->tag = (int)(w->reduce_turn++ % TURNS) * WIRE_LEGS;
  red->block = block;
  red->n = n;
  red->n_pieces = (n + PIECE - 1) / PIECE;
  for (size_t j = 0; j < WIRE_LEGS && j < red->n_pieces; j++)
    leg_start (&red->leg[j], red, j);
  w->n_reducing++;
  *request = i;
  (void)reduction_move (w, red);
  return OK;
}

/* Notes, for the watchdog, for which rank the first unfinished leg waits. */
static void
await_twin (const struct wire *w, const struct wire_reduction *red, int *told)
{
  int j = 0;
  while (j < WIRE_LEGS - 1 && red->leg[j].state == LEG_DONE)
    j++;
  const struct wire_leg *leg = &red->leg[j];
  bool up = leg->state == LEG_RISEN || leg->state == LEG_FALL;
  int twin = w->replica + (up ? -leg->distance : leg->distance);
  if (leg->state == LEG_SENT)
    twin = w->replica + leg->distance / 2;
  int rank = twin * w->pipe_size + w->pipe_rank;
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
  while (reduction_move (w, red)) {
    await_twin (w, red, &whom);
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
