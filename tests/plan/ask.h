/* tests/plan/ask.h -- a plan from few words, for the tests of this room. */
#ifndef TESTS_PLAN_ASK_H
#define TESTS_PLAN_ASK_H

#include "plan/plan.h"
#include "tests/tap.h"

#define ASK_MOST 64

struct ask {
  int K, n_pipe, n_micro, n_replicas;
  enum plan_order order;
  bool heads_all, grows;
  const struct plan_cost *cost;
  double latency_s, bytes_per_s;
  const double *route;
  struct plan_joint joint;
};

/* NULL, with a note, when it cannot be made. */
TAP_FN struct plan *
ask_plan (const struct ask *a)
{
  int rank_of[ASK_MOST];
  double even[ASK_MOST];
  struct plan *p = NULL;
  struct plan_spec spec = {.K = a->K,
                           .route = a->route,
                           .heads_all = a->heads_all,
                           .grows = a->grows,
                           .n_micro = a->n_micro > 0 ? a->n_micro : 1,
                           .n_pipe = a->n_pipe > 0 ? a->n_pipe : a->K,
                           .n_replicas = a->n_replicas > 0 ? a->n_replicas : 1,
                           .rank_of = rank_of,
                           .order = a->order,
                           .cost = a->cost,
                           .latency_s = a->latency_s,
                           .bytes_per_s = a->bytes_per_s,
                           .joint = a->joint};

  for (int k = 0; k < a->K; k++)
    even[k] = 1;
  if (plan_fold (a->K, even, spec.n_pipe, rank_of) != OK ||
      plan_create (&spec, &p) != OK) {
    tap_note ("%s", fail_message ());
    fail_clear ();
  }
  return p;
}

/* The same with a regular table. */
TAP_FN struct plan *
ask_span (struct ask a, int span, enum plan_mix mix)
{
  static double route[ASK_MOST * ASK_MOST];

  if (plan_route (a.K, span, mix, route) != OK)
    return NULL;
  a.route = route;
  return ask_plan (&a);
}

#endif
