/* run/aside.c -- timetables of what is walked beside training: a step's first
 * micro-batch as the strategy has it, and back again from the last loss to
 * every stage, to compare the gradients.
 */
#include "run/session.h"

/* What each operation costs that is in the walk. */
static void
walk_costs (const struct session *s, int walk, struct plan_cost *out)
{
  for (int k = 0; k < s->K; k++) {
    out[k] = s->cost[k];
    out[k].head_weights = out[k].update = 0;
    if (walk == ASIDE_WHOLE)
      out[k].forward = out[k].head = 0;
  }
}

static enum status
make_plan (const struct session *s, int walk, double *route,
           struct plan_cost *cost, struct plan **out)
{
  const struct plan_ask ask = {
      .K = s->K,
      .route = walk == ASIDE_WHOLE ? route : s->route,
      .n_micro = 1,
      .n_pipe = s->plan->n_pipe,
      .n_replicas = 1,
      .rank_of = s->plan->rank_of,
      .cost = cost,
      .latency_s = s->plan->latency_s,
      .bytes_per_s = s->plan->bytes_per_s,
  };
  plan_route_plain (s->K, route);
  walk_costs (s, walk, cost);
  return plan_create (&ask, out);
}

enum status
aside_plans (const struct session *s, struct plan *plan[ASIDE_WALKS])
{
  double *route = NULL;
  struct plan_cost *cost = NULL;
  enum status e = MEM_NEW ((size_t)(s->K * s->K), &route, "route");
  if (e == OK)
    e = MEM_NEW ((size_t)s->K, &cost, "stage costs");
  for (int i = 0; e == OK && i < ASIDE_WALKS; i++)
    e = make_plan (s, i, route, cost, &plan[i]);
  mem_free (&route);
  mem_free (&cost);
  return e;
}

double
aside_seconds (const struct session *s)
{
  struct plan *plan[ASIDE_WALKS] = {NULL};
  double sum = 0;
  if (aside_plans (s, plan) != OK)
    fail_clear (); /* a plan is worth showing without it */
  for (int i = 0; i < ASIDE_WALKS; i++) {
    if (plan[i])
      sum += plan_time (plan[i], 1);
    plan_destroy (&plan[i]);
  }
  return sum;
}
