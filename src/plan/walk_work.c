/* plan/walk_work.c -- what each operation of the walker has to find in its
 * cells, and what it leaves there. */
#include "base/memory.h"
#include "plan/walk_impl.h"
#include <string.h>

/* The input of the forward whose output is in `out` is still there. */
static bool
input_there (const struct walk *w, int k, int slot, int micro)
{
  const struct cell *out = plan_walk_cell (w, OUTPUT, k, 0, slot);

  if (!plan_walk_holds (w, out, micro))
    return false;
  if (out->source < 0)
    return plan_walk_holds (w, plan_walk_cell (w, INPUT, k, 0, slot), micro);
  return plan_walk_holds (w, plan_walk_cell (w, OUTPUT, k - 1, 0, out->source),
                          micro);
}

/* The stage's weights are those of this step; where nothing of it learns they
 * are always the same. */
static enum status
weights_there (const struct walk *w, int k)
{
  int version = w->stage[k].version;

  NEED (w, version == (plan_walk_moves (w, k) ? w->now : 0),
        "weights of version %d", version);
  return OK;
}

/* What the pass adds up is still there.  done: the pass has done all that is to
 * be done with it, and its stage may have let go of what came from the same
 * rank. */
static bool
cotangents_there (const struct walk *w, const struct plan_pass *pass, int slot,
                  int micro, bool done)
{
  const struct plan *p = w->p;
  const int k = pass->stage;
  const bool gone = done && k + 1 < p->K && p->rank_of[k] == p->rank_of[k + 1];

  for (int i = 0; i < pass->n_in; i++) {
    if (gone && pass->in[i] != PLAN_OWN)
      continue;
    const struct cell *c =
        pass->in[i] == PLAN_OWN
            ? plan_walk_cell (w, HEAD, k, 0, slot)
            : plan_walk_cell (w, COTANGENT, k, pass->in[i], slot);
    if (!plan_walk_holds (w, c, micro) ||
        (pass->in[i] != PLAN_OWN &&
         (c->border != k + 1 || c->stream != pass->in[i])))
      return false;
  }
  return true;
}

enum status
plan_walk_take (struct walk *w)
{
  struct cell *c = plan_walk_cell (w, INPUT, w->op->stage, 0, w->op->slot);

  NEED (w, w->op->stage == 0, "only the first stage takes images");
  NEED (w, c, "no such slot");
  plan_walk_put (w, c);
  return plan_walk_next (w, TAKES);
}

enum status
plan_walk_forward (struct walk *w)
{
  const struct plan_op *o = w->op;
  int k = o->stage;
  bool own = k == 0 || w->p->rank_of[k - 1] != w->rank;
  struct cell *out = plan_walk_cell (w, OUTPUT, k, 0, o->slot);
  const struct cell *in = own ? plan_walk_cell (w, INPUT, k, 0, o->slot)
                              : plan_walk_cell (w, OUTPUT, k - 1, 0, o->source);

  NEED (w, out, "no such slot");
  NEED (w, own == (o->source == -1), "source %d", o->source);
  NEED (w, plan_walk_holds (w, in, o->micro), "the input is not there");
  TRY (weights_there (w, k));
  if (out->sends > 0) {
    w->blocked = true;
    return OK;
  }
  plan_walk_put (w, out);
  out->source = o->source;
  return plan_walk_next (w, FORWARDS);
}

/* The last stage may have an empty body: then its head reads its input. */
static bool
input_if_last (const struct walk *w)
{
  const struct plan_op *o = w->op;
  return o->stage < w->p->K - 1 || input_there (w, o->stage, o->slot, o->micro);
}

enum status
plan_walk_head (struct walk *w)
{
  const struct plan_op *o = w->op;
  struct cell *c = plan_walk_cell (w, HEAD, o->stage, 0, o->slot);

  NEED (w, w->p->head[o->stage] != PLAN_SILENT, "a silent head");
  NEED (w,
        plan_walk_holds (w, plan_walk_cell (w, OUTPUT, o->stage, 0, o->slot),
                         o->micro),
        "the output is not there");
  NEED (w, input_if_last (w), "the input is not there");
  plan_walk_put (w, c);
  memset (c->sum, 0, (size_t)w->p->K * sizeof (double));
  c->sum[o->stage] = w->p->head[o->stage] == PLAN_ACTIVE ? 1 : 0;
  return plan_walk_next (w, HEADS);
}

/* The pass would write over what it reads. */
static bool
over_itself (const struct walk *w, const struct plan_pass *pass,
             const struct cell *to)
{
  for (int i = 0; to && i < pass->n_in; i++)
    if (pass->in[i] != PLAN_OWN &&
        plan_walk_cell (w, COTANGENT, pass->stage, pass->in[i], w->op->slot) ==
            to)
      return true;
  return false;
}

/* Where the pass puts what it makes; NULL with *s OK: nowhere. */
static enum status
pass_target (struct walk *w, const struct plan_pass *pass, struct cell **to)
{
  const struct plan_op *o = w->op;
  int k = o->stage;

  *to = NULL;
  NEED (w, o->stream == pass->out, "stream %d for %d", o->stream, pass->out);
  if (pass->out < 0 || w->p->rank_of[k - 1] != w->rank) {
    NEED (w, o->slot_to == -1, "slot_to %d", o->slot_to);
    if (pass->out < 0)
      return OK;
    *to = plan_walk_cell (w, OUTGOING, k, pass->out, o->slot);
  } else {
    NEED (w,
          plan_walk_holds (w, plan_walk_cell (w, OUTPUT, k - 1, 0, o->slot_to),
                           o->micro),
          "slot %d of the stage before is not for it", o->slot_to);
    *to = plan_walk_cell (w, COTANGENT, k - 1, pass->out, o->slot_to);
  }
  NEED (w, *to, "no buffer for the result");
  return OK;
}

static void
add_up (const struct walk *w, const struct plan_pass *pass, double *sum)
{
  for (int h = 0; h < w->p->K; h++)
    sum[h] = 0;
  for (int i = 0; i < pass->n_in; i++) {
    const struct cell *c =
        pass->in[i] == PLAN_OWN
            ? plan_walk_cell (w, HEAD, pass->stage, 0, w->op->slot)
            : plan_walk_cell (w, COTANGENT, pass->stage, pass->in[i],
                              w->op->slot);
    for (int h = 0; h < w->p->K; h++)
      sum[h] += pass->coef[i] * c->sum[h];
  }
}

static enum status
take_pair (struct walk *w)
{
  const struct plan_op *o = w->op;
  struct cell *pair = plan_walk_cell (w, PAIR, o->stage, 0, o->pair);

  NEED (w, pair, "no pair %d", o->pair);
  NEED (w, pair->state == EMPTY, "pair %d is in use", o->pair);
  plan_walk_put (w, pair);
  pair->slot = o->slot;
  return OK;
}

/* A pass must add up exactly the losses that it is meant to: those of the
 * stage's row of the table if it learns, those that its stream names if it
 * hands on. */
enum status
plan_walk_pass (struct walk *w)
{
  const struct plan *p = w->p;
  const struct plan_op *o = w->op;
  int k = o->stage;
  struct cell *to;

  NEED (w, o->pass >= 0 && o->pass < p->n_passes[k], "no pass %d", o->pass);
  const struct plan_pass *pass = &p->pass[k][o->pass];
  NEED (w, input_there (w, k, o->slot, o->micro), "activations are gone");
  TRY (weights_there (w, k));
  NEED (w, cotangents_there (w, pass, o->slot, o->micro, false),
        "a gradient of pass %d is not there", o->pass);
  NEED (w, !pass->learn || plan_walk_learns (w, k), "the stage is frozen");
  TRY (pass_target (w, pass, &to));
  NEED (w, !over_itself (w, pass, to), "writes over a gradient that it reads");
  if (to && to->sends > 0) {
    w->blocked = true;
    return OK;
  }
  double *sum;
  enum status s = OK;
  TRY (MEM_NEW ((size_t)p->K, &sum, "walk"));
  add_up (w, pass, sum);
  if (pass->learn && !plan_walk_same (p, sum, p->route + k * p->K))
    s = plan_walk_bad (
        w, "learns from other losses than its row of the table says");
  if (to) {
    if (!plan_walk_same (p, sum, p->stream[k][pass->out].weight))
      s = plan_walk_bad (w, "stream %d gets other losses than it names",
                         pass->out);
    plan_walk_put (w, to);
    to->border = k;
    to->stream = pass->out;
    memcpy (to->sum, sum, (size_t)p->K * sizeof (double));
  }
  mem_free (&sum);
  if (s == OK && pass->learn)
    s = take_pair (w);
  if (s == OK && !pass->learn && o->pair != -1)
    s = plan_walk_bad (w, "pair %d for a pass that does not learn", o->pair);
  return s == OK ? plan_walk_next (w, PASSES + o->pass) : s;
}

enum status
plan_walk_weights (struct walk *w)
{
  const struct plan *p = w->p;
  const struct plan_op *o = w->op;
  struct cell *pair = plan_walk_cell (w, PAIR, o->stage, 0, o->pair);

  NEED (w, plan_walk_learns (w, o->stage), "the stage is frozen");
  NEED (w, plan_walk_holds (w, pair, o->micro) && pair->slot == o->slot,
        "pair %d is not for it", o->pair);
  NEED (w, input_there (w, o->stage, o->slot, o->micro),
        "activations are gone");
  for (int i = 0; i < p->n_passes[o->stage]; i++) {
    const struct plan_pass *pass = &p->pass[o->stage][i];
    NEED (w,
          !pass->learn ||
              cotangents_there (w, pass, o->slot, o->micro, o->joined),
          "a gradient of pass %d is gone", i);
  }
  pair->state = EMPTY;
  return plan_walk_next (w, WEIGHTS);
}

enum status
plan_walk_head_weights (struct walk *w)
{
  const struct plan_op *o = w->op;

  NEED (w,
        plan_walk_holds (w, plan_walk_cell (w, HEAD, o->stage, 0, o->slot),
                         o->micro),
        "the head has not run");
  NEED (w,
        plan_walk_holds (w, plan_walk_cell (w, OUTPUT, o->stage, 0, o->slot),
                         o->micro),
        "the output is gone");
  NEED (w, input_if_last (w), "the input is gone");
  return plan_walk_next (w, HEAD_WEIGHTS);
}

enum status
plan_walk_all (const struct walk *w, int k)
{
  const struct stage_state *st = &w->stage[k];
  bool head = w->p->head[k] != PLAN_SILENT;

  for (int i = FORWARDS; i < PASSES + w->p->n_passes[k]; i++) {
    bool any = i == HEADS || i == HEAD_WEIGHTS ? head
               : i == WEIGHTS                  ? plan_walk_learns (w, k)
                                               : true;
    int want = any ? w->p->n_micro : 0;
    NEED (w, st->count[i] == want,
          "before its last gradient (kind %d: %d of %d)", i, st->count[i],
          want);
  }
  return OK;
}

enum status
plan_walk_reduce (struct walk *w)
{
  int k = w->op->stage;
  struct stage_state *st = &w->stage[k];

  NEED (w, plan_walk_moves (w, k), "nothing of the stage learns");
  TRY (plan_walk_all (w, k));
  NEED (w, st->reduced == w->now, "twice in one step");
  st->reduced++;
  return OK;
}

/* All gradients of the rank are there. */
static enum status
all_reduced (const struct walk *w)
{
  const struct plan_rank *rank = &w->p->rank[w->rank];

  for (int k = rank->first_stage; k < rank->end_stage; k++)
    NEED (w, !plan_walk_moves (w, k) || w->stage[k].reduced == w->now + 1,
          "before the gradients of stage %d are summed", k);
  return OK;
}

/* The nearest stage on another rank, upwards or downwards, that shares; K or
 * -1: none. */
static int
sharer (const struct walk *w, int step)
{
  const struct plan *p = w->p;
  int k = w->op->stage;

  while (k >= 0 && k < p->K && (p->rank_of[k] == w->rank || !p->shares[k]))
    k += step;
  return k;
}

static enum status
relay (struct walk *w, int *done, int step)
{
  const struct plan *p = w->p;
  const struct plan_rank *rank = &p->rank[w->rank];
  bool any = false;

  for (int k = rank->first_stage; p->shares && k < rank->end_stage; k++)
    any = any || p->shares[k];
  NEED (w, any, "the rank does not use the shared matrix");
  NEED (w, done[w->rank] == w->now, "twice in one step");
  int from = sharer (w, step);
  w->blocked = from >= 0 && from < p->K && done[p->rank_of[from]] <= w->now;
  if (!w->blocked)
    done[w->rank]++;
  return OK;
}

enum status
plan_walk_sum (struct walk *w)
{
  TRY (all_reduced (w));
  return relay (w, w->summed, -1);
}

enum status
plan_walk_norm (struct walk *w)
{
  NEED (w, w->p->norms, "nobody wants norms");
  NEED (w, w->normed[w->rank] == w->now, "twice in one step");
  TRY (all_reduced (w));
  w->normed[w->rank]++;
  return OK;
}

enum status
plan_walk_spread (struct walk *w)
{
  const struct plan_rank *rank = &w->p->rank[w->rank];

  for (int k = rank->first_stage; k < rank->end_stage; k++)
    NEED (w, !plan_walk_moves (w, k) || w->stage[k].version == w->now + 1,
          "before the update of stage %d", k);
  return relay (w, w->spread, 1);
}

/* Norms are sums over the stages of a window, so an update waits until all of
 * them have their gradients. */
enum status
plan_walk_update (struct walk *w)
{
  const struct plan *p = w->p;
  int k = w->op->stage;
  struct stage_state *st = &w->stage[k];

  NEED (w, plan_walk_moves (w, k), "nothing of the stage learns");
  NEED (w, st->reduced == w->now + 1, "before the gradients are summed");
  NEED (w, st->version == w->now, "twice in one step");
  NEED (w, !p->norms || w->normed[w->rank] == w->now + 1,
        "before the norms are known");
  NEED (w, !p->shares || !p->shares[k] || w->summed[w->rank] == w->now + 1,
        "before the shared matrix is summed");
  for (int h = k; h < p->K; h++) {
    int first = p->window_first[h];
    for (int j = first; first >= 0 && first <= k && j <= h; j++)
      w->blocked = w->blocked ||
                   (plan_walk_moves (w, j) && w->stage[j].reduced <= w->now);
  }
  if (w->blocked)
    return OK;
  st->version++;
  memset (st->count, 0, (size_t)(PASSES + p->n_passes[k]) * sizeof *st->count);
  return OK;
}
