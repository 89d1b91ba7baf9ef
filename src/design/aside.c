/* design/aside.c -- timetables of what is walked beside training: a step's
 * first micro-batch as the strategy has it, and back again from the last loss
 * to every stage, to compare the gradients.
 */
#include "design/design_impl.h"

/* What each operation costs that is in the walk. */
static void
walk_costs (const struct design *d, int walk, struct plan_cost *out)
{
  for (int k = 0; k < d->K; k++) {
    out[k] = d->cost[k];
    out[k].head_weights = out[k].update = 0;
    if (walk == ASIDE_WHOLE)
      out[k].forward = out[k].head = 0;
  }
}

static enum status
make_plan (const struct design *d, const struct design_phase *phase, int walk,
           double *route, struct plan_cost *cost, struct plan **out)
{
  const struct plan_spec spec = {
      .K = d->K,
      .route = walk == ASIDE_WHOLE ? route : phase->route,
      .grows = walk != ASIDE_WHOLE && d->config.grow > 0,
      .n_micro = 1,
      .n_pipe = d->plan->n_pipe,
      .n_replicas = 1,
      .rank_of = d->plan->rank_of,
      .cost = cost,
      .latency_s = d->plan->latency_s,
      .bytes_per_s = d->plan->bytes_per_s,
  };
  plan_route_plain (d->K, phase->route, route);
  walk_costs (d, walk, cost);
  return plan_create (&spec, out);
}

enum status
aside_plans (const struct design *d, const struct design_phase *phase,
             struct plan *plan[ASIDE_WALKS])
{
  double *route = NULL;
  struct plan_cost *cost = NULL;
  enum status e = MEM_NEW ((size_t)(d->K * d->K), &route, "route");
  if (e == OK)
    e = MEM_NEW ((size_t)d->K, &cost, "stage costs");
  for (int i = 0; e == OK && i < ASIDE_WALKS; i++)
    e = make_plan (d, phase, i, route, cost, &plan[i]);
  mem_free (&route);
  mem_free (&cost);
  return e;
}

double
aside_seconds (const struct design *d, const struct design_phase *phase)
{
  struct plan *plan[ASIDE_WALKS] = {NULL};
  double sum = 0;
  if (aside_plans (d, phase, plan) != OK)
    fail_clear (); /* a plan is worth showing without it */
  for (int i = 0; i < ASIDE_WALKS; i++) {
    if (plan[i])
      sum += plan_time (plan[i], 1);
    plan_destroy (&plan[i]);
  }
  return sum;
}
