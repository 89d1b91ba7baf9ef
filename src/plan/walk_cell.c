/* plan/walk_cell.c -- the buffers of the checker, and its complaint. */
#include "base/memory.h"
#include "plan/walk_impl.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum status
plan_walk_bad (const struct walk *w, const char *fmt, ...)
{
  char text[200];
  va_list args;

  va_start (args, fmt);
  vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  return fail (E_FAULT,
               "timetable: rank %d, step %d, op %d (%s, stage %d, "
               "micro-batch %d, slot %d): %s",
               w->rank, w->step[w->rank], w->at[w->rank],
               plan_verb_name (w->op->verb), w->op->stage, w->op->micro,
               w->op->slot, text);
}

/* The cotangent of stage k comes from a stage of the same rank. */
static bool
is_shared (const struct plan *p, int k)
{
  return k + 1 < p->K && p->rank_of[k] == p->rank_of[k + 1];
}

static int
width (const struct plan *p, enum kind kind, int k)
{
  switch (kind) {
  case COTANGENT:
    return is_shared (p, k) ? 0 : p->n_streams[k + 1] * p->n_slots[k];
  case OUTGOING:
    return p->n_streams[k] * p->n_slots[k];
  case PAIR:
    return p->n_pairs[k];
  default:
    return p->n_slots[k];
  }
}

struct cell *
plan_walk_cell (const struct walk *w, enum kind kind, int k, int stream,
                int slot)
{
  const struct stage_state *st = &w->stage[k];
  int n = kind == PAIR ? w->p->n_pairs[k] : w->p->n_slots[k];
  int i = stream * n + slot;

  if (kind == COTANGENT && is_shared (w->p, k)) {
    const int r = w->p->rank_of[k];
    const struct plan_buffers *b = &w->buffers[r];
    i = slot < 0 || slot >= n
            ? -1
            : plan_buffer (w->p, b, k + 1, stream, w->op->micro);
    return i < 0 || i >= b->n ? NULL : &w->shared[r][i];
  }
  if (slot < 0 || slot >= n || stream < 0 || i >= width (w->p, kind, k))
    return NULL;
  return &st->cell[st->first[kind] + i];
}

bool
plan_walk_learns (const struct walk *w, int k)
{
  bool any = false;

  for (int h = 0; h < w->p->K; h++)
    any = any || w->p->route[k * w->p->K + h] > 0;
  return any;
}

bool
plan_walk_moves (const struct walk *w, int k)
{
  return plan_walk_learns (w, k) || w->p->head[k] != PLAN_SILENT;
}

bool
plan_walk_holds (const struct walk *w, const struct cell *c, int micro)
{
  return c && c->state == FULL && c->step == w->now && c->micro == micro;
}

void
plan_walk_put (const struct walk *w, struct cell *c)
{
  c->state = FULL;
  c->step = w->now;
  c->micro = w->op->micro;
}

bool
plan_walk_same (const struct plan *p, const double *a, const double *b)
{
  for (int h = 0; h < p->K; h++)
    if (!(fabs (a[h] - b[h]) <= 1e-12 * fmax (1, fabs (b[h]))))
      return false;
  return true;
}

enum status
plan_walk_next (const struct walk *w, int which)
{
  int *count = &w->stage[w->op->stage].count[which];

  NEED (w, w->op->micro == *count, "its turn is micro-batch %d", *count);
  ++*count;
  return OK;
}

enum status
plan_walk_share (const struct walk *w, int r)
{
  const size_t n = (size_t)w->buffers[r].n, K = (size_t)w->p->K;

  TRY (MEM_NEW (n, &w->shared[r], "walk"));
  TRY (MEM_NEW (n * K, &w->sums[r], "walk"));
  for (size_t i = 0; i < n; i++)
    w->shared[r][i].sum = w->sums[r] + i * K;
  return OK;
}

enum status
plan_walk_open (const struct walk *w, int k)
{
  const struct plan *p = w->p;
  struct stage_state *st = &w->stage[k];
  size_t K = (size_t)p->K;

  for (int kind = INPUT; kind <= PAIR; kind++)
    st->first[kind + 1] = st->first[kind] + width (p, (enum kind)kind, k);
  size_t n = (size_t)st->first[PAIR + 1];
  TRY (MEM_NEW (n, &st->cell, "walk"));
  TRY (MEM_NEW (n * K, &st->sums, "walk"));
  for (size_t i = 0; i < n; i++)
    st->cell[i].sum = st->sums + i * K;
  return MEM_NEW ((size_t)(PASSES + p->n_passes[k]), &st->count, "walk");
}
