/* plan/chain.c -- plans of long pipes under regular strategies.
 *
 * A table of K x K weights and the search for proportional columns (stream.c)
 * would take too long for thousands of stages.  But stages far from both ends
 * are all alike: the same streams and passes.  So these are made for a short
 * pipe, the template, and copied; the timetable is then made as for any plan.
 */
#include "base/memory.h"
#include "plan/plan_impl.h"
#include <string.h>

/* Stages at an end that may differ from those inside, on either side. */
static int
margin (const struct plan_chain *a)
{
  return a->span == a->K ? 1 : a->span;
}

/* Length of the template: both ends and one or two stages inside. */
static int
template_length (const struct plan_chain *a)
{
  int n = a->span == a->K ? 3 : 2 * a->span + 2;

  return n < a->K ? n : a->K;
}

/* The stage of the template that stage k of the chain is like. */
static int
like (const struct plan_chain *a, int length, int k)
{
  if (k < margin (a) || length == a->K)
    return k;
  return k >= a->K - margin (a) ? length - (a->K - k) : margin (a);
}

static enum status
make_template (const struct plan_chain *a, struct plan *t)
{
  enum status s;
  int K = template_length (a);

  t->K = K;
  t->n_pipe = 1;
  t->grows = a->grows;
  TRY (plan_allocate (t, true));
  s = plan_route (K, a->span == a->K ? K : a->span, a->mix, t->route);
  return s == OK ? plan_streams (t) : s;
}

static enum status
copy_pass (const struct plan_pass *from, int stage, struct plan_pass *to)
{
  size_t n = (size_t)from->n_in;

  *to = *from;
  to->stage = stage;
  to->in = NULL;
  to->coef = NULL;
  TRY (MEM_NEW (n, &to->in, "pass"));
  TRY (MEM_NEW (n, &to->coef, "pass"));
  memcpy (to->in, from->in, n * sizeof *to->in);
  memcpy (to->coef, from->coef, n * sizeof *to->coef);
  return OK;
}

static enum status
copy_stage (const struct plan_chain *a, const struct plan *t, int k,
            struct plan *p)
{
  int from = like (a, t->K, k), last = t->K - 1;

  p->window_first[k] = t->window_first[from];
  if (a->span < a->K && p->window_first[k] >= 0)
    p->window_first[k] += k - from;
  TRY (MEM_NEW ((size_t)t->n_streams[from], &p->stream[k], "streams"));
  p->n_streams[k] = t->n_streams[from];
  for (int i = 0; i < p->n_streams[k]; i++) {
    struct plan_stream *s = &p->stream[k][i];
    int head = t->stream[from][i].window;
    *s = (struct plan_stream){.border = k, .index = i};
    s->window = head == last ? a->K - 1 : head + k - from;
  }
  TRY (MEM_NEW ((size_t)t->n_passes[from], &p->pass[k], "passes"));
  for (int i = 0; i < t->n_passes[from]; i++) {
    p->n_passes[k] = i + 1;
    TRY (copy_pass (&t->pass[from][i], k, &p->pass[k][i]));
  }
  return OK;
}

static enum status
fill (const struct plan_chain *a, const struct plan *t, struct plan *p)
{
  TRY (plan_allocate (p, false));
  for (int k = 0; k < p->K; k++) {
    p->rank_of[k] = k;
    p->cost[k] = a->cost[k];
    TRY (plan_check_cost (&a->cost[k], k));
    TRY (copy_stage (a, t, k, p));
  }
  plan_number_streams (p);
  plan_set_heads (p, a->heads_all);
  TRY (plan_set_joint (p, &a->joint));
  return plan_make_timetable (p);
}

int
plan_chain_enough (int K, int span)
{
  int enough = span <= 4 ? 64 : 16 * span;

  return span < K && enough < K ? enough : K;
}

static enum status
check_ask (const struct plan_chain *a)
{
  if (a->K < 1 || a->n_micro < 1)
    return fail (E_CONFIG, "%d stages, %d micro-batches", a->K, a->n_micro);
  if (a->span < 1 || (a->span > PLAN_CHAIN_SPAN && a->span != a->K) ||
      a->span > a->K)
    return fail (E_CONFIG, "span %d of a chain of %d: 1 to %d, or all of them",
                 a->span, a->K, PLAN_CHAIN_SPAN);
  if ((unsigned)a->order > PLAN_FILLDRAIN)
    return fail (E_CONFIG, "no order %d", (int)a->order);
  if (!(a->latency_s >= 0 && a->latency_s <= 1e6) || !(a->bytes_per_s >= 0))
    return fail (E_CONFIG, "latency %g s, bandwidth %g bytes/s", a->latency_s,
                 a->bytes_per_s);
  return OK;
}

enum status
plan_chain_create (const struct plan_chain *ask, struct plan **out)
{
  struct plan *p = NULL, *t = NULL;
  enum status s;

  TRY (check_ask (ask));
  TRY_GOTO (MEM_NEW (1, &t, "plan"), done);
  TRY_GOTO (MEM_NEW (1, &p, "plan"), done);
  p->K = p->n_pipe = ask->K;
  p->n_micro = ask->n_micro;
  p->n_replicas = 1;
  p->order = ask->order;
  p->latency_s = ask->latency_s;
  p->bytes_per_s = ask->bytes_per_s;
  TRY_GOTO (make_template (ask, t), done);
  TRY_GOTO (fill (ask, t, p), done);
  *out = p;
  p = NULL;
  s = OK;
done:
  plan_destroy (&t);
  plan_destroy (&p);
  return s;
}
