/* run/sums.c -- sums over replicas: of gradients, and of running statistics.
 *
 * A stage cuts its gradients into buckets and hands each out when the layers of
 * the bucket are done with the last micro-batch.  The sum begins then, and goes
 * on while backward does; UPDATE (or NORM) waits for all of them.  Each bucket
 * is summed number by number along one tree, so buckets and their timing change
 * no bit.  All replicas walk the same list through the same layers, so they
 * begin the same sums in the same order.
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

static enum status
take (void *context, float *block, size_t n)
{
  struct local_stage *l = context;
  struct clock_account *a = &l->session->account;
  const enum clock_class was = a->running;
  clock_switch (a, CLOCK_EXPOSED);
  enum status e = begin (l, block, n);
  clock_switch (a, was);
  return e;
}

enum status
sums_make (struct session *s)
{
  size_t most = 0;
  int n = 0;
  for (int i = 0; i < s->n_local && s->design->R > 1; i++) {
    struct local_stage *l = &s->local[i];
    const struct stage_taker taker = {take, l};
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

enum status
sums_finish (struct session *s, struct local_stage *l)
{
  const struct design *d = s->design;
  if (d->R == 1 || !plan_updates (s->lane.plan, l->k))
    return OK;
  clock_switch (&s->account, CLOCK_EXPOSED);
  for (int i = 0; i < l->n_sums; i++)
    TRY (wire_reduce_wait (s->wire, &l->sum[i]));
  l->n_sums = 0;
  for (int part = 0; part < 2; part++) { /* statistics: the mean */
    float *block;
    size_t n;
    stage_statistics (l->stage, (enum stage_part)part, &block, &n);
    for (size_t i = 0; i < n && !rests (s, l, part); i++)
      block[i] /= (float)d->R;
  }
  return OK;
}
