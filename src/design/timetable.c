/* design/timetable.c -- from what blocks cost to the cut into stages, their
 * folding onto ranks and the timetable.
 */
#include "design/design_impl.h"

#include <stdio.h>

/* A cut by times: what unit i costs in stage k, given how many passes the
 * strategy sends through that stage, and the head behind it, where it is known
 * before the cut. */
enum status
design_measured_cut (const struct design *d, const struct plan *probe,
                     int *first)
{
  int n = network_units (d->net), K = d->K;
  double *cost = NULL, *extra = NULL;
  enum status e = MEM_NEW ((size_t)(n * K), &cost, "cut costs");
  if (e == OK)
    e = MEM_NEW ((size_t)(n * K), &extra, "cut costs of heads");
  for (int k = 0; e == OK && k < K; k++)
    for (int i = 0; i < n; i++) {
      const struct stage_cost *u = &d->costs.unit[i], *h = &d->costs.head[i];
      cost[k * n + i] = u->forward + probe->n_passes[k] * u->data + u->weights;
      bool head = probe->head[k] != PLAN_SILENT && k < K - 1;
      extra[k * n + i] = head ? h->forward + h->data + h->weights : 0;
    }
  if (e == OK)
    e = plan_cut (n, cost, extra, K, first);
  mem_free (&cost);
  mem_free (&extra);
  return e;
}

/* The matrix of a tied embedding is updated in the last stage. */
static double
shared_moves (const struct design *d, int k)
{
  const struct model_spec *m = network_spec (d->net);
  const double n = (double)m->classes * (double)m->d_model;
  if (!m->tied)
    return 0;
  return (k == d->K - 1 ? n : 0) - (k == 0 ? n : 0);
}

void
design_joint (const struct design *d, struct plan_joint *out)
{
  const struct model_spec *m = network_spec (d->net);
  const double n = (double)m->classes * (double)m->d_model;
  *out = (struct plan_joint){
      .norms = d->config.clip > 0,
      .first = network_shares (d->net, NULL),
      .heads = network_head_shares (d->config.head),
      .matrix_bytes = d->spec.unit_costs ? 0 : network_param_bytes (n),
      .fold_s = d->spec.unit_costs ? 0 : n * DESIGN_FOLD_S,
      .copy_s = d->spec.unit_costs ? 0 : n * DESIGN_COPY_S,
  };
}

static void
stage_costs (struct design *d, const struct plan *probe)
{
  int n = network_units (d->net);
  for (int k = 0; k < d->K; k++) {
    const struct stage_cost border = unit_costs_border (d, d->first[k]);
    struct plan_cost c = {.forward = border.forward,
                          .data = border.data,
                          .input =
                              d->costs.unit[d->first[k]].input + border.input};
    struct network_unit u;
    double params = 0;
    bool last = k == d->K - 1;
    for (int i = d->first[k]; i < d->first[k + 1]; i++) {
      network_unit (d->net, i, &u);
      params += (double)u.params;
      if (last && i == n - 1)
        break; /* the output unit is the head */
      c.forward += d->costs.unit[i].forward;
      c.data += d->costs.unit[i].data;
      c.weights += d->costs.unit[i].weights;
      c.saved += d->costs.unit[i].saved;
    }
    int end = d->first[k + 1] - 1;
    const struct stage_cost *h =
        last ? &d->costs.unit[n - 1] : &d->costs.head[end];
    if (last || probe->head[k] != PLAN_SILENT) {
      c.head = h->forward + h->data;
      c.head_weights = h->weights;
    }
    network_unit (d->net, last ? end - 1 : end, &u);
    c.output_bytes = network_border_bytes (u.out, (double)d->n_samples);
    params += shared_moves (d, k);
    c.update = params * DESIGN_UPDATE_S;
    c.squares = params * DESIGN_SQUARES_S;
    d->cost[k] = c;
  }
}

/* Total work of a stage, for folding. */
static double
stage_work (const struct design *d, const struct plan *probe, int k)
{
  const struct plan_cost *c = &d->cost[k];
  return c->forward + probe->n_passes[k] * c->data + c->weights + c->head +
         c->head_weights + c->update;
}

static enum status
follow_times (struct design *d, const struct plan *probe)
{
  TRY (MEM_NEW ((size_t)d->K + 1, &d->first, "cut"));
  TRY (design_measured_cut (d, probe, d->first));
  return d->head ? OK : design_heads (d);
}

enum status
design_make_plan (struct design *d, int n_pipe)
{
  int K = d->K;
  int *rank_of = NULL;
  double *work = NULL;
  struct plan *probe = NULL;
  struct plan_spec spec = {.K = K,
                           .heads_all = d->config.heads_all,
                           .n_micro = d->M,
                           .n_pipe = 1,
                           .n_replicas = d->R};
  enum status e;
  design_joint (d, &spec.joint);
  TRY (derive_work (n_pipe, K, d->R,
                    "fewer ranks, more stages.count, or more run.replicas"));
  TRY (MEM_NEW ((size_t)K, &rank_of, "folding"));
  e = MEM_NEW ((size_t)K, &work, "stage work");
  if (e == OK && !d->cost)
    e = MEM_NEW ((size_t)K, &d->cost, "stage costs");
  spec.order = derive_order (&d->config);
  spec.route = d->route;
  spec.rank_of = rank_of;
  if (e == OK)
    e = plan_create (&spec, &probe); /* all stages on one rank: passes, heads */
  if (e == OK && !d->first)
    e = follow_times (d, probe);
  if (e == OK)
    e = design_head_costs (d);
  if (e == OK) {
    stage_costs (d, probe);
    for (int k = 0; k < K; k++)
      work[k] = stage_work (d, probe, k);
    e = plan_fold (K, work, n_pipe, rank_of);
  }
  spec.n_pipe = n_pipe;
  spec.cost = d->spec.unit_costs ? NULL : d->cost;
  spec.latency_s = d->spec.unit_costs ? 0 : d->latency_s;
  spec.bytes_per_s = d->spec.unit_costs ? 0 : d->bytes_per_s;
  if (e == OK)
    e = plan_create (&spec, &d->plan);
  plan_destroy (&probe);
  mem_free (&work);
  mem_free (&rank_of);
  return e;
}

enum status
design_check_tags (const struct design *d, const struct plan *p)
{
  char what[128];
  snprintf (what, sizeof what,
            "a timetable of %d stages x %d micro-batch%s (lower train.micro "
            "or stages.count)",
            p->K, p->n_micro, p->n_micro == 1 ? "" : "es");
  return wire_tags (d->wire, plan_tags (p), what);
}
