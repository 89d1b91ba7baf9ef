/* run/sums.c -- sums over replicas: of gradients, and of running statistics.
 *
 * A stage cuts its gradients into buckets and hands each out when the layers of
 * the bucket are done with the last micro-batch.  The sum begins then, and goes
 * on while backward does; UPDATE (or NORM) waits for all of them.  Each bucket
 * is summed number by number along one tree, so buckets and their timing change
 * no bit.  All replicas walk the same list through the same layers, so they
 * begin the same sums in the same order.
 *
 * Replicas that share the optimizer's state need sums in their own shares
 * alone, unless somebody looks at the gradient of the whole stage: a norm, or
 * who writes it down.  That is the same on all of them in each step.  The
 * updated values then come from the twins, bucket by bucket.
 */
#include "run/session.h"

/* Gradients, and two blocks of statistics. */
static int
most_sums (const struct local_stage *l, size_t *most)
{
  int n = 0;
  for (int part = 0; part < 2; part++) {
    float *block;
    size_t floats;
    n += stage_bucket_count (l->stage, (enum stage_part)part, &floats);
    *most = floats > *most ? floats : *most;
    stage_statistics (l->stage, (enum stage_part)part, &block, &floats);
    *most = floats > *most ? floats : *most;
  }
  return n + 2;
}

static enum status
begin (struct local_stage *l, float *block, size_t n)
{
  return wire_reduce_start (l->session->wire, block, n, &l->sum[l->n_sums++]);
}

bool
session_shares (const struct session *s)
{
  return derive_twins (&s->design->config) > 0 && !s->design->spec.forward_only;
}

/* Whether gradients are summed in the shares of their owners alone. */
static bool
scatters (const struct session *s)
{
  return session_shares (s) && !s->lane.plan->norms && !s->flow.on &&
         !s->on_gradients;
}

static enum status
take (void *context, float *block, size_t n)
{
  struct local_stage *l = context;
  struct session *s = l->session;
  const enum clock_class was = s->account.running;
  clock_switch (&s->account, CLOCK_EXPOSED);
  enum status e = scatters (s)
                      ? wire_scatter_start (s->wire, block, n,
                                            stage_share (n, s->design->R),
                                            &l->sum[l->n_sums++])
                      : begin (l, block, n);
  clock_switch (&s->account, was);
  return e;
}

static enum status
spread (void *context, float *block, size_t n)
{
  struct local_stage *l = context;
  struct session *s = l->session;
  return wire_gather_start (s->wire, block, n, stage_share (n, s->design->R),
                            &l->sum[l->n_sums++]);
}

enum status
sums_make (struct session *s)
{
  size_t most = 0;
  int n = 0;
  for (int i = 0; i < s->n_local && s->design->R > 1; i++) {
    struct local_stage *l = &s->local[i];
    const struct stage_taker taker = {take, l, spread};
    TRY (stage_buckets (l->stage, &taker));
    const int sums = most_sums (l, &most);
    TRY (MEM_NEW ((size_t)sums, &l->sum, "sums over replicas"));
    n += sums;
  }
  return wire_reduce_reserve (s->wire, most, n);
}

static bool
is_last (const struct session *s, int micro)
{
  return !s->lane.aside && micro == s->design->M - 1;
}

void
sums_micro (struct session *s, struct local_stage *l, int micro)
{
  stage_last_micro (l->stage, is_last (s, micro));
}

/* The head is there for another phase: it stays as it is. */
static bool
rests (const struct session *s, const struct local_stage *l, int part)
{
  return part == STAGE_HEAD && s->lane.plan->head[l->k] == PLAN_SILENT;
}

enum status
sums_head (struct session *s, struct local_stage *l, int micro)
{
  return is_last (s, micro) && !shared_is_mine (s, l)
             ? stage_hand_out (l->stage, STAGE_HEAD)
             : OK;
}

enum status
sums_begin (struct session *s, struct local_stage *l)
{
  if (s->design->R == 1)
    return OK;
  clock_switch (&s->account, CLOCK_EXPOSED);
  for (int part = 0; part < 2; part++) {
    float *block;
    size_t n;
    if (rests (s, l, part))
      continue;
    if (part == STAGE_BODY || !shared_is_mine (s, l))
      TRY (stage_hand_out (l->stage, (enum stage_part)part));
    stage_statistics (l->stage, (enum stage_part)part, &block, &n);
    if (n > 0)
      TRY (begin (l, block, n));
  }
  return OK;
}

enum status
sums_owner (struct session *s, struct local_stage *l)
{
  return shared_is_mine (s, l) ? stage_hand_out (l->stage, STAGE_HEAD) : OK;
}

static enum status
wait (struct session *s, struct local_stage *l)
{
  clock_switch (&s->account, CLOCK_EXPOSED);
  for (int i = 0; i < l->n_sums; i++)
    TRY (wire_reduce_wait (s->wire, &l->sum[i]));
  l->n_sums = 0;
  return OK;
}

enum status
sums_finish (struct session *s, struct local_stage *l)
{
  const struct design *d = s->design;
  if (d->R == 1 || !plan_updates (s->lane.plan, l->k))
    return OK;
  TRY (wait (s, l));
  for (int part = 0; part < 2; part++) { /* statistics: the mean */
    float *block;
    size_t n;
    stage_statistics (l->stage, (enum stage_part)part, &block, &n);
    for (size_t i = 0; i < n && !rests (s, l, part); i++)
      block[i] /= (float)d->R;
  }
  return OK;
}

enum status
sums_gather (struct session *s, struct local_stage *l)
{
  if (!session_shares (s))
    return OK;
  TRY (wait (s, l));
  clock_switch (&s->account, CLOCK_PLAIN);
  return stage_update_end (l->stage);
}

void
sums_show (struct session *s, int slot)
{
  enum status e = OK;
  if (slot == 0 || !session_shares (s))
    return;
  const enum clock_class was = s->account.running;
  for (int i = 0; i < s->n_local && e == OK; i++)
    e = stage_show_moment (s->local[i].stage, session_what (slot));
  for (int i = 0; i < s->n_local && e == OK; i++)
    e = wait (s, &s->local[i]);
  if (e != OK)
    wire_abort (e);
  clock_switch (&s->account, was);
}
