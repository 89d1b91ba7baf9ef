/* train/agreement.c -- compares the gradient that the strategy makes each stage
 * follow with that of the last loss.
 *
 * Two more timetables, made before the first step: the route of training and
 * the route from the last loss to every stage, both for one micro-batch.  Every
 * train.agreement steps they are walked one after the other between two steps,
 * on the first micro-batch of the step that comes, with its augmentation and
 * dropout.  The second walk uses what the forwards and the last head of the
 * first one have left, and only goes back.
 *
 * At that moment slot 0, pair 0, the sums of cotangents and the gradient blocks
 * of every stage are free.  Inputs and cotangents are not: receives of the next
 * step may be posted into them; so the walks have their own.
 */
#include "base/place.h"
#include "train/train_impl.h"

#include <math.h>
#include <string.h>

struct agreement {
  struct session *s;                 /* borrowed */
  struct plan *(*plan)[ASIDE_WALKS]; /* of each phase; owned */
  struct local_stage *local; /* per stage of this rank; stage, sent and mix are
                                those of training; NULL beside replica 0 */
  struct arena memory;       /* borders and copies */
  float **copy;              /* n_local: the strategy's gradient */
  double *mine;              /* 2 K: results of this rank's stages, else 0 */
  double *seen;              /* 2 K: of the newest comparison read */
};

/* -- making ------------------------------------------------------------------
 */

static int
streams (const struct agreement *a, int border)
{
  int most = 0;
  for (int i = 0; i < a->s->design->n_phases; i++)
    for (int j = 0; j < ASIDE_WALKS; j++) {
      const int n = a->plan[i][j]->n_streams[border];
      most = n > most ? n : most;
    }
  return most;
}

static enum status
make_stage (const struct agreement *a, const struct local_stage *training,
            struct local_stage *l)
{
  *l = (struct local_stage){.stage = training->stage,
                            .k = training->k,
                            .n_slots = 1,
                            .n_pairs = 1,
                            .own_input = training->own_input,
                            .sent = training->sent,
                            .packed = training->packed,
                            .mix = training->mix,
                            .grow = training->grow,
                            .term = training->term,
                            .coef = training->coef};
  l->n_cot = streams (a, l->k + 1);
  l->n_out = l->own_input ? streams (a, l->k) : 0;
  TRY (MEM_NEW (1, &l->in, "input to compare gradients"));
  TRY (MEM_NEW ((size_t)l->n_cot, &l->cot, "cotangents"));
  return MEM_NEW ((size_t)l->n_out, &l->out, "gradients");
}

static size_t
border_bytes (const struct tensor *t)
{
  return arena_round (TENSOR_HEADER + t->bytes);
}

static size_t
stage_bytes (const struct local_stage *l)
{
  struct tensor in, out;
  stage_border (l->stage, &in, &out);
  return border_bytes (&in) * (size_t)(l->own_input + l->n_out) +
         border_bytes (&out) * (size_t)l->n_cot +
         arena_round (tensor_bytes (NETWORK_PARAM,
                                    (int64_t)stage_aside_size (l->stage)));
}

static void
take_border (struct agreement *a, const struct tensor *like,
             struct border_buffer *b)
{
  char *p = arena_take (&a->memory, TENSOR_HEADER + like->bytes);
  b->t = *like;
  b->t.data = p + TENSOR_HEADER;
  b->request = WIRE_NONE;
}

static void
take_buffers (struct agreement *a, struct local_stage *l, float **copy)
{
  struct tensor in, out;
  stage_border (l->stage, &in, &out);
  l->in->request = WIRE_NONE;
  if (l->own_input)
    take_border (a, &in, l->in);
  for (int i = 0; i < l->n_cot; i++)
    take_border (a, &out, &l->cot[i]);
  for (int i = 0; i < l->n_out; i++)
    take_border (a, &in, &l->out[i]);
  *copy = arena_take (&a->memory, stage_aside_size (l->stage) * sizeof **copy);
}

static enum status
make_buffers (struct agreement *a)
{
  struct session *s = a->s;
  size_t bytes = 0;
  if (wire_replica (s->wire) != 0)
    return OK;
  TRY (MEM_NEW ((size_t)s->n_local, &a->local, "stages to compare"));
  TRY (MEM_NEW ((size_t)s->n_local, &a->copy, "gradients to compare"));
  for (int i = 0; i < s->n_local; i++) {
    TRY (make_stage (a, &s->local[i], &a->local[i]));
    bytes += stage_bytes (&a->local[i]);
  }
  TRY (arena_open (bytes, "gradients to compare", &a->memory));
  for (int i = 0; i < s->n_local; i++)
    take_buffers (a, &a->local[i], &a->copy[i]);
  return OK;
}

/* Of all phases and walks. */
static struct plan *
plan_of (const struct agreement *a, int i)
{
  return a->plan[i / ASIDE_WALKS][i % ASIDE_WALKS];
}

static enum status
make (struct session *s, struct agreement **out)
{
  const struct design *d = s->design;
  struct agreement *a = NULL;
  TRY (MEM_NEW (1, &a, "comparison of gradients"));
  *out = a;
  a->s = s;
  TRY (MEM_NEW (2 * (size_t)d->K, &a->mine, "comparison of gradients"));
  TRY (MEM_NEW (2 * (size_t)d->K, &a->seen, "comparison of gradients"));
  for (int i = 0; i < 2 * d->K; i++)
    a->seen[i] = NAN;
  TRY (MEM_NEW ((size_t)d->n_phases, &a->plan, "plans to compare gradients"));
  for (int i = 0; i < d->n_phases; i++)
    TRY (aside_plans (d, &d->phase[i], a->plan[i]));
  for (int i = 0; i < ASIDE_WALKS * d->n_phases; i++)
    TRY (design_check_tags (d, plan_of (a, i)));
  return make_buffers (a);
}

enum status
agreement_open (struct session *s, struct agreement **out)
{
  const struct design *d = s->design;
  if (d->config.agreement == 0 || d->spec.forward_only)
    return OK;
  TRY (wire_agree (s->wire, make (s, out)));
  for (int i = 0; i < ASIDE_WALKS * d->n_phases; i++)
    TRY (wire_agree (s->wire, wire_same (s->wire, plan_hash (plan_of (*out, i)),
                                         "a plan to compare gradients")));
  return OK;
}

void
agreement_close (struct agreement **it)
{
  struct agreement *a = *it;
  if (!a)
    return;
  for (int i = 0; a->local && i < a->s->n_local; i++) {
    mem_free (&a->local[i].in);
    mem_free (&a->local[i].cot);
    mem_free (&a->local[i].out);
  }
  mem_free (&a->local);
  mem_free (&a->copy);
  mem_free (&a->mine);
  mem_free (&a->seen);
  arena_close (&a->memory);
  for (int i = 0; a->plan && i < ASIDE_WALKS * a->s->design->n_phases; i++)
    plan_destroy (&a->plan[i / ASIDE_WALKS][i % ASIDE_WALKS]);
  mem_free (&a->plan);
  mem_free (it);
}

/* -- walking -----------------------------------------------------------------
 */

/* Heads learn from their own loss in any case, and nothing is updated.  last:
 * the last head was silent in the first walk, since who is not frozen learns
 * from others. */
static bool
belongs (int walk, bool last, enum plan_verb verb)
{
  switch (verb) {
  case PLAN_HEAD:
    return walk == ASIDE_STRATEGY || last;
  case PLAN_TAKE:
  case PLAN_POST_ACT:
  case PLAN_RECV_ACT:
  case PLAN_FORWARD:
  case PLAN_SEND_ACT:
    return walk == ASIDE_STRATEGY;
  case PLAN_POST_GRAD:
  case PLAN_RECV_GRAD:
  case PLAN_PASS:
  case PLAN_SEND_GRAD:
  case PLAN_WEIGHTS:
    return true;
  case PLAN_HEAD_WEIGHTS:
  case PLAN_REDUCE:
  case PLAN_GATHER:
  case PLAN_NORM:
  case PLAN_UPDATE:
  case PLAN_SPREAD:
  case PLAN_VERBS:
    break;
  }
  return false;
}

static enum status
walk_list (struct session *s, int walk, bool last, bool posts, int64_t step)
{
  const struct plan_rank *r = &s->lane.plan->rank[wire_pipe_rank (s->wire)];
  for (int i = 0; i < r->n_ops; i++) {
    const struct plan_op *op = &r->op[i];
    bool post = op->verb == PLAN_POST_ACT || op->verb == PLAN_POST_GRAD;
    if (post != posts || !belongs (walk, last, op->verb))
      continue;
    place_set ((long)step, op->stage, "comparing gradients");
    TRY (session_op (s, op, step));
    wire_poll (s->wire);
  }
  return OK;
}

/* A list posts receives for the step that follows, behind the last reader of
 * the buffer.  Here no step follows: all posts come before the walk. */
static enum status
walk_lane (struct agreement *a, int walk, int64_t step)
{
  struct session *s = a->s;
  const struct lane training = s->lane;
  const struct design *d = s->design;
  const size_t phase = (size_t)(design_phase_at (d, step) - d->phase);
  const enum plan_head *head = a->plan[phase][ASIDE_STRATEGY]->head;
  const bool last = head[d->K - 1] == PLAN_SILENT;
  s->lane =
      (struct lane){.plan = a->plan[phase][walk],
                    .local = a->local,
                    .aside = true,
                    .way = walk == ASIDE_WHOLE ? WIRE_WHOLE : WIRE_COMPARE};
  enum status e = walk_list (s, walk, last, true, step);
  if (e == OK)
    e = walk_list (s, walk, last, false, step);
  s->lane = training;
  return e;
}

static void
judge (struct agreement *a, int i)
{
  double p[3]; /* of the strategy's gradient and the end-to-end one */
  const int k = a->local[i].k;
  stage_aside_compare (a->local[i].stage, a->copy[i], p);
  const bool both = p[0] > 0 && p[2] > 0;
  a->mine[k] = both ? p[1] / sqrt (p[0] * p[2]) : NAN;
  a->mine[a->s->design->K + k] = both ? sqrt (p[0] / p[2]) : NAN;
}

static enum status
compare (struct agreement *a, int64_t step)
{
  const int n = a->s->n_local;
  for (int i = 0; i < n; i++)
    stage_aside (a->local[i].stage);
  TRY (walk_lane (a, ASIDE_STRATEGY, step));
  for (int i = 0; i < n; i++)
    stage_aside_keep (a->local[i].stage, a->copy[i]);
  TRY (walk_lane (a, ASIDE_WHOLE, step));
  for (int i = 0; i < n; i++) {
    judge (a, i);
    stage_aside_end (a->local[i].stage);
  }
  return OK;
}

bool
agreement_due (const struct agreement *a, int64_t step)
{
  return a && (step + 1) % a->s->design->config.agreement == 0;
}

enum status
agreement_walk (struct agreement *a, int64_t step)
{
  double before[CLOCK_CLASSES];
  if (!agreement_due (a, step) || !a->local)
    return OK;
  struct clock_account *c = &a->s->account;
  clock_switch (c, CLOCK_AGREE);
  memcpy (before, c->spent_s, sizeof before);
  mem_close ();
  enum status e = compare (a, step);
  mem_open ();
  clock_switch (c, CLOCK_OTHER);
  /* Whatever it was: training would have been without it. */
  for (int i = 0; i < CLOCK_CLASSES; i++)
    if (i != CLOCK_AGREE)
      clock_move (c, (enum clock_class)i, CLOCK_AGREE,
                  c->spent_s[i] - before[i]);
  return e;
}

enum status
agreement_settle (struct agreement *a)
{
  for (int i = 0; a && a->local && i < a->s->n_local; i++)
    for (int j = 0; j < a->local[i].n_out; j++)
      TRY (session_await (a->s, &a->local[i].out[j].request, NULL));
  return OK;
}

/* -- ballots -----------------------------------------------------------------
 */

int
agreement_votes (const struct agreement *a)
{
  return a ? 2 * a->s->design->K : 0;
}

void
agreement_cast (const struct agreement *a, int64_t step, double *v)
{
  if (agreement_due (a, step))
    memcpy (v, a->mine, 2 * (size_t)a->s->design->K * sizeof *v);
}

void
agreement_read (struct agreement *a, int64_t step, const double *v)
{
  if (agreement_due (a, step))
    memcpy (a->seen, v, 2 * (size_t)a->s->design->K * sizeof *v);
}

const double *
agreement_result (const struct agreement *a)
{
  return a ? a->seen : NULL;
}
