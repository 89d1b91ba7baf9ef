/* plan/walk.c -- a slow, obvious checker of timetables.
 *
 * Every rank is a machine that does its list in order, for several steps. Every
 * buffer is a cell that knows which step and micro-batch it holds and, for
 * gradients, which sum of losses.  A message moves when it is both sent and
 * posted.  Until then the sender's cell must not be overwritten (the rank
 * waits) and the receiver's cell must not be read (a fault).  Every operation
 * checks that its cells hold what it needs.
 *
 * It shares no code with the files that make timetables, so that it cannot
 * share their mistakes.
 */
#include "base/memory.h"
#include "plan/walk_impl.h"
#include <string.h>

static enum status
do_op (struct walk *w)
{
  const struct plan_rank *rank = &w->p->rank[w->rank];
  const struct plan_op *o = w->op;

  w->blocked = false;
  NEED (w,
        o->stage >= rank->first_stage && o->stage < rank->end_stage &&
            w->p->rank_of[o->stage] == w->rank,
        "a stage of another rank");
  bool once = o->verb == PLAN_REDUCE || o->verb == PLAN_UPDATE ||
              o->verb == PLAN_GATHER || o->verb == PLAN_NORM ||
              o->verb == PLAN_SPREAD;
  NEED (w, once ? o->micro == -1 : o->micro >= 0 && o->micro < w->p->n_micro,
        "no such micro-batch");
  switch (o->verb) {
  case PLAN_TAKE:
    return plan_walk_take (w);
  case PLAN_POST_ACT:
  case PLAN_POST_GRAD:
    return plan_walk_post (w);
  case PLAN_RECV_ACT:
  case PLAN_RECV_GRAD:
    return plan_walk_receive (w);
  case PLAN_SEND_ACT:
  case PLAN_SEND_GRAD:
    return plan_walk_send (w);
  case PLAN_FORWARD:
    return plan_walk_forward (w);
  case PLAN_HEAD:
    return plan_walk_head (w);
  case PLAN_PASS:
    return plan_walk_pass (w);
  case PLAN_WEIGHTS:
    return plan_walk_weights (w);
  case PLAN_HEAD_WEIGHTS:
    return plan_walk_head_weights (w);
  case PLAN_REDUCE:
    return plan_walk_reduce (w);
  case PLAN_UPDATE:
    return plan_walk_update (w);
  case PLAN_GATHER:
    return plan_walk_sum (w);
  case PLAN_NORM:
    return plan_walk_norm (w);
  case PLAN_SPREAD:
    return plan_walk_spread (w);
  default:
    return plan_walk_bad (w, "no such verb");
  }
}

/* The posts for the first step. */
static enum status
begin (struct walk *w)
{
  for (int r = 0; r < w->p->n_pipe; r++)
    for (int i = 0; i < w->p->rank[r].n_ops; i++) {
      if (!w->p->rank[r].op[i].ahead)
        continue;
      w->rank = r;
      w->at[r] = i;
      w->op = &w->p->rank[r].op[i];
      w->now = -1; /* ahead: for step 0 */
      TRY (plan_walk_post (w));
    }
  memset (w->at, 0, (size_t)w->p->n_pipe * sizeof (int));
  return OK;
}

static enum status
end_of_list (const struct walk *w)
{
  const struct plan_rank *rank = &w->p->rank[w->rank];

  for (int k = rank->first_stage; k < rank->end_stage; k++) {
    struct stage_state *st = &w->stage[k];
    NEED (w, !plan_walk_moves (w, k) || st->version == w->now + 1,
          "stage %d was not updated", k);
    if (plan_walk_moves (w, k))
      continue;
    TRY (plan_walk_all (w, k));
    memset (st->count, 0,
            (size_t)(PASSES + w->p->n_passes[k]) * sizeof *st->count);
  }
  for (int k = rank->first_stage; w->p->shares && k < rank->end_stage; k++)
    NEED (w, !w->p->shares[k] || w->spread[w->rank] == w->now + 1,
          "stage %d has old values of the shared matrix", k);
  return OK;
}

/* Runs one rank until it has to wait. */
static enum status
advance (struct walk *w, int r, bool *moved)
{
  const struct plan_rank *rank = &w->p->rank[r];

  w->rank = r;
  while (w->step[r] < w->n_steps) {
    w->op = &rank->op[w->at[r]];
    w->now = w->step[r];
    TRY (do_op (w));
    if (w->blocked)
      return OK;
    *moved = true;
    if (w->at[r] + 1 < rank->n_ops) {
      w->at[r]++;
      continue;
    }
    TRY (end_of_list (w));
    w->at[r] = 0;
    w->step[r]++;
  }
  return OK;
}

/* Nothing may be left over but the posts for a step that does not come. */
static enum status
end (const struct walk *w)
{
  int n = 0;

  for (int r = 0; r < w->p->n_pipe; r++)
    for (int i = 0; i < w->p->rank[r].n_ops; i++)
      n += w->p->rank[r].op[i].ahead;
  for (int i = 0; i < w->n_letters; i++)
    if (w->letter[i].sent)
      return fail (E_FAULT,
                   "timetable: a message from rank %d to %d, tag %d, "
                   "is never received",
                   w->letter[i].from, w->letter[i].to, w->letter[i].tag);
  if (n != w->n_letters)
    return fail (E_FAULT, "timetable: %d posts left over, %d expected",
                 w->n_letters, n);
  return OK;
}

static enum status
run (struct walk *w)
{
  TRY (begin (w));
  for (bool moved = true; moved;) {
    moved = false;
    for (int r = 0; r < w->p->n_pipe; r++)
      TRY (advance (w, r, &moved));
  }
  for (int r = 0; r < w->p->n_pipe; r++) {
    if (w->step[r] == w->n_steps)
      continue;
    w->rank = r;
    w->op = &w->p->rank[r].op[w->at[r]];
    return plan_walk_bad (w, "deadlock: waits for ever");
  }
  return end (w);
}

static void
walk_clear (struct walk *w)
{
  for (int k = 0; w->stage && k < w->p->K; k++) {
    mem_free (&w->stage[k].cell);
    mem_free (&w->stage[k].sums);
    mem_free (&w->stage[k].count);
  }
  for (int r = 0; r < w->p->n_pipe; r++) {
    if (w->shared)
      mem_free (&w->shared[r]);
    if (w->sums)
      mem_free (&w->sums[r]);
  }
  mem_free (&w->shared);
  mem_free (&w->sums);
  mem_free (&w->stage);
  mem_free (&w->step);
  mem_free (&w->at);
  mem_free (&w->letter);
  mem_free (&w->summed);
  mem_free (&w->normed);
  mem_free (&w->spread);
}

enum status
plan_walk_buffers (const struct plan *p, const struct plan_buffers *buffers,
                   int n_steps)
{
  struct walk w = {.p = p, .n_steps = n_steps, .buffers = buffers};
  enum status s;

  for (int r = 0; r < p->n_pipe; r++)
    if (p->rank[r].n_ops == 0)
      return fail (E_FAULT, "timetable: rank %d has nothing to do", r);
  TRY_GOTO (MEM_NEW ((size_t)p->K, &w.stage, "walk"), out);
  TRY_GOTO (MEM_NEW ((size_t)p->n_pipe, &w.step, "walk"), out);
  TRY_GOTO (MEM_NEW ((size_t)p->n_pipe, &w.at, "walk"), out);
  TRY_GOTO (MEM_NEW ((size_t)p->n_pipe, &w.summed, "walk"), out);
  TRY_GOTO (MEM_NEW ((size_t)p->n_pipe, &w.normed, "walk"), out);
  TRY_GOTO (MEM_NEW ((size_t)p->n_pipe, &w.spread, "walk"), out);
  TRY_GOTO (MEM_NEW ((size_t)p->n_pipe, &w.shared, "walk"), out);
  TRY_GOTO (MEM_NEW ((size_t)p->n_pipe, &w.sums, "walk"), out);
  for (int k = 0; k < p->K; k++)
    TRY_GOTO (plan_walk_open (&w, k), out);
  for (int r = 0; r < p->n_pipe; r++)
    TRY_GOTO (plan_walk_share (&w, r), out);
  s = run (&w);
out:
  walk_clear (&w);
  return s;
}

enum status
plan_walk (const struct plan *p, int n_steps)
{
  struct plan_buffers *b = NULL;
  enum status s;

  TRY_GOTO (MEM_NEW ((size_t)p->n_pipe, &b, "walk"), out);
  for (int r = 0; r < p->n_pipe; r++)
    TRY_GOTO (plan_buffers_make (p, r, &b[r]), out);
  s = plan_walk_buffers (p, b, n_steps);
out:
  for (int r = 0; b && r < p->n_pipe; r++)
    plan_buffers_clear (&b[r]);
  mem_free (&b);
  return s;
}
