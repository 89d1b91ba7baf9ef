/* base/place.c -- where this process is, and how often it has moved. */
#include "base/place.h"
#include <stdatomic.h>
#include <stdio.h>

/* Written by the engine's thread, read by any. */
static _Atomic long place_step = -1;
static _Atomic int place_stage = -1;
static _Atomic (const char *) place_op;
static _Atomic int the_rank;
static _Atomic int the_size = 1;
static _Atomic unsigned long the_moves;
static _Atomic long the_lasting_s;
static _Thread_local void (*move_hook) (void *context);
static _Thread_local void *move_context;

void
place_move (void)
{
  atomic_fetch_add_explicit (&the_moves, 1, memory_order_relaxed);
  if (move_hook != NULL)
    move_hook (move_context);
}

unsigned long
place_moves (void)
{
  return atomic_load_explicit (&the_moves, memory_order_relaxed);
}

void
place_lasts (double seconds)
{
  const double most = 1e9;
  seconds = seconds < most ? seconds : most;
  atomic_store_explicit (&the_lasting_s, (long)seconds, memory_order_relaxed);
}

double
place_lasting (void)
{
  return (double)atomic_load_explicit (&the_lasting_s, memory_order_relaxed);
}

void
place_hook (void (*hook) (void *context), void *context)
{
  move_hook = hook;
  move_context = context;
}

void
place_set (long step, int stage, const char *op)
{
  atomic_store_explicit (&place_step, step, memory_order_relaxed);
  atomic_store_explicit (&place_stage, stage, memory_order_relaxed);
  atomic_store_explicit (&place_op, op, memory_order_relaxed);
  place_lasts (0);
  place_move ();
}

void
place_get (long *step, int *stage, const char **op)
{
  *step = atomic_load_explicit (&place_step, memory_order_relaxed);
  *stage = atomic_load_explicit (&place_stage, memory_order_relaxed);
  *op = atomic_load_explicit (&place_op, memory_order_relaxed);
}

const char *
place_text (void)
{
  static _Thread_local char text[128];
  long step;
  int stage;
  const char *op;
  place_get (&step, &stage, &op);
  int n = snprintf (text, sizeof text, "rank %d", place_rank ());
  if (step >= 0)
    n += snprintf (text + n, sizeof text - (size_t)n, ", step %ld", step);
  if (stage >= 0)
    n += snprintf (text + n, sizeof text - (size_t)n, ", stage %d", stage);
  if (op != NULL && op[0] != '\0')
    snprintf (text + n, sizeof text - (size_t)n, ", %s", op);
  return text;
}

void
place_rank_set (int rank, int size)
{
  atomic_store (&the_rank, rank);
  atomic_store (&the_size, size);
}

int
place_rank (void)
{
  return atomic_load_explicit (&the_rank, memory_order_relaxed);
}

int
place_size (void)
{
  return atomic_load_explicit (&the_size, memory_order_relaxed);
}
