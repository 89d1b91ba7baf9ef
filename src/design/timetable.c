/* design/timetable.c -- from what blocks cost to the cut into stages, their
 * folding onto ranks and the timetable.
 */
#include "base/hash.h"
#include "design/design_impl.h"

#include <math.h>
#include <stdio.h>

bool
design_knows_heads (const struct design *d)
{
  for (int i = 0; i < network_units (d->net) - 1; i++)
    if (!(d->costs.head[i].forward > 0))
      return false;
  return true;
}

/* A cut by times: what unit i costs in stage k, given how many passes the
 * strategy sends through that stage, and the head behind it, where it is known
 * before the cut. */
enum status
design_measured_cut (const struct design *d, int *first)
{
  int n = network_units (d->net), K = d->K;
  const bool knows = design_knows_heads (d);
  double *cost = NULL, *extra = NULL;
  enum status e = MEM_NEW ((size_t)(n * K), &cost, "cut costs");
  if (e == OK)
    e = MEM_NEW ((size_t)(n * K), &extra, "cut costs of heads");
  for (int k = 0; e == OK && k < K; k++)
    for (int i = 0; i < n; i++) {
      const struct stage_cost *u = &d->costs.unit[i], *h = &d->costs.head[i];
      cost[k * n + i] = u->forward + d->does[k].passes * u->data +
                        d->does[k].learns * u->weights;
      extra[k * n + i] =
          k < K - 1 && knows
              ? d->does[k].heads * (h->forward + h->data + h->weights)
              : 0;
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

/* What stage k sums over replicas, of its `params` numbers without moves. Heads
 * of inner stages are small and left out. */
static void
set_sums (const struct design *d, int k, double params, struct plan_cost *c)
{
  const double moved = shared_moves (d, k);
  struct network_unit output = {0};
  double head = 0;
  if (d->R == 1)
    return;
  if (k == d->K - 1) {
    network_unit (d->net, network_units (d->net) - 1, &output);
    head = (double)output.params + fmax (0, moved);
  }
  c->sum_bytes = network_param_bytes (fmax (0, params + moved - head));
  c->head_bytes = network_param_bytes (head);
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
stage_costs (struct design *d)
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
    if (last || d->has_head[k]) {
      c.head = h->forward + h->data;
      c.head_weights = h->weights;
    }
    network_unit (d->net, last ? end - 1 : end, &u);
    c.output_bytes = network_message_bytes (u.out, (double)d->n_samples,
                                            derive_narrow (&d->config));
    set_sums (d, k, params, &c);
    params += shared_moves (d, k);
    c.update = params * DESIGN_UPDATE_S;
    c.squares = params * DESIGN_SQUARES_S;
    d->cost[k] = c;
  }
}

/* Total work of a stage, for folding. */
static double
work_of (const struct design *d, int k)
{
  const struct plan_cost *c = &d->cost[k];
  const double heads = k == d->K - 1 ? 1 : d->does[k].heads;
  return c->forward + d->does[k].passes * c->data +
         d->does[k].learns * c->weights + heads * c->head +
         heads * c->head_weights + d->does[k].learns * c->update;
}

/* The plan of phase i, with all stages on one rank: passes and heads. */
static enum status
look_at_phase (struct design *d, const struct plan_spec *spec, int i)
{
  struct plan *probe = NULL;
  double share = d->phase[i].share;
  if (isnan (share))
    share = 1.0 / d->n_phases;
  TRY (plan_create (spec, &probe));
  for (int k = 0; k < d->K; k++) {
    const bool head = probe->head[k] != PLAN_SILENT;
    d->does[k].passes += share * probe->n_passes[k];
    d->does[k].learns += plan_learns (probe, k) ? share : 0;
    d->does[k].heads += head ? share : 0;
    d->has_head[k] = d->has_head[k] || head;
  }
  plan_destroy (&probe);
  return OK;
}

static enum status
look_at_phases (struct design *d, struct plan_spec *spec)
{
  for (int k = 0; k < d->K; k++) {
    d->has_head[k] = false;
    d->does[k] = (struct design_does){0};
  }
  spec->n_pipe = 1;
  for (int i = 0; i < d->n_phases; i++) {
    spec->route = d->phase[i].route;
    TRY (look_at_phase (d, spec, i));
  }
  return OK;
}

static enum status
follow_times (struct design *d)
{
  TRY (MEM_NEW ((size_t)d->K + 1, &d->first, "cut"));
  TRY (d->shared ? network_cut_parse (d->net, d->shared, d->K, d->first)
                 : design_measured_cut (d, d->first));
  return d->head ? OK : design_heads (d);
}

static enum status
fold (struct design *d, int n_pipe, int *rank_of)
{
  double *work = NULL;
  TRY (MEM_NEW ((size_t)d->K, &work, "stage work"));
  for (int k = 0; k < d->K; k++)
    work[k] = work_of (d, k);
  enum status e = plan_fold (d->K, work, n_pipe, rank_of);
  mem_free (&work);
  return e;
}

/* Stages lie where they lie for the whole run; every phase has a list of its
 * own. */
static enum status
make_plans (struct design *d, struct plan_spec *spec, int n_pipe, int *rank_of)
{
  const bool unit = d->spec.unit_costs;
  design_joint (d, &spec->joint);
  spec->rank_of = rank_of;
  TRY (look_at_phases (d, spec));
  if (!d->first)
    TRY (follow_times (d));
  TRY (design_head_costs (d));
  stage_costs (d);
  TRY (fold (d, n_pipe, rank_of));
  spec->joint.has_head = d->has_head;
  spec->n_pipe = n_pipe;
  spec->cost = unit ? NULL : d->cost;
  spec->latency_s = unit ? 0 : d->latency_s;
  spec->bytes_per_s = unit ? 0 : d->bytes_per_s;
  for (int i = 0; i < d->n_phases; i++) {
    spec->route = d->phase[i].route;
    TRY (plan_create (spec, &d->phase[i].plan));
  }
  d->plan = d->phase->plan;
  return OK;
}

enum status
design_make_plan (struct design *d, int n_pipe)
{
  const size_t K = (size_t)d->K;
  int *rank_of = NULL;
  struct plan_spec spec = {.K = d->K,
                           .heads_all = d->config.heads_all,
                           .grows = d->config.grow > 0,
                           .n_micro = d->M,
                           .n_replicas = d->R,
                           .order = derive_order (&d->config)};
  TRY (derive_work (n_pipe, d->K, d->R,
                    "fewer ranks, more stages.count, or more run.replicas"));
  TRY (MEM_NEW (K, &rank_of, "folding"));
  enum status e = OK;
  if (!d->does)
    e = MEM_NEW (K, &d->does, "stage work");
  if (e == OK && !d->has_head)
    e = MEM_NEW (K, &d->has_head, "heads");
  if (e == OK && !d->cost)
    e = MEM_NEW (K, &d->cost, "stage costs");
  if (e == OK)
    e = make_plans (d, &spec, n_pipe, rank_of);
  mem_free (&rank_of);
  return e;
}

/* -- all phases together -----------------------------------------------------
 */

const struct design_phase *
design_phase_at (const struct design *d, int64_t step)
{
  int i = d->n_phases - 1;
  while (i > 0 && d->phase[i].first > step)
    i--;
  return &d->phase[i];
}

/* The owner of a shared matrix learns from all its uses. */
static bool
learns (const struct plan *p, int k, bool head)
{
  if (head)
    return p->head[k] != PLAN_SILENT || (p->shares && k == p->K - 1);
  return plan_learns (p, k);
}

int64_t
design_updates (const struct design *d, int k, bool head, int64_t step)
{
  int64_t n = 0;
  for (int i = 0; i < d->n_phases && d->phase[i].first <= step; i++) {
    const bool last = i + 1 == d->n_phases || d->phase[i + 1].first > step;
    const int64_t end = last ? step + 1 : d->phase[i + 1].first;
    if (learns (d->phase[i].plan, k, head))
      n += end - d->phase[i].first;
  }
  return n > 0 ? n : 1; /* where there is nothing to update */
}

uint64_t
design_hash (const struct design *d)
{
  uint64_t h = plan_hash (d->plan);
  for (int i = 1; i < d->n_phases; i++) {
    const uint64_t plan = plan_hash (d->phase[i].plan);
    h = hash_bytes (&d->phase[i].first, sizeof d->phase[i].first, h);
    h = hash_bytes (&plan, sizeof plan, h);
  }
  return h;
}

static int
larger (int a, int b)
{
  return a > b ? a : b;
}

/* A pass of the stage adds up, and so needs room for the sum. */
static bool
mixes (const struct plan *p, int k)
{
  if (plan_grows (p, k))
    return true;
  for (int i = 0; i < p->n_passes[k]; i++)
    if (p->pass[k][i].n_in != 1 || p->pass[k][i].coef[0] != 1)
      return true;
  return false;
}

void
design_needs_raise (const struct plan *p, int k, struct design_needs *n)
{
  const bool own = k == 0 || p->rank_of[k - 1] != p->rank_of[k];
  n->k = k;
  n->K = p->K;
  n->own_input = own;
  n->crosses = k + 1 < p->K && p->rank_of[k] != p->rank_of[k + 1];
  n->through = n->through || p->n_passes[k] > 0;
  n->n_slots = larger (n->n_slots, p->n_slots[k]);
  n->n_pairs = larger (n->n_pairs, p->n_pairs[k]);
  n->n_in = larger (n->n_in, p->n_streams[k + 1]);
  n->n_out = larger (n->n_out, p->n_streams[k]);
  n->mixes = n->mixes || mixes (p, k);
  n->head = n->head || (k < p->K - 1 && p->head[k] != PLAN_SILENT);
  n->taught = n->taught || p->head[k] == PLAN_ACTIVE;
}

void
design_stage_needs (const struct design *d, int k, struct design_needs *out)
{
  *out = (struct design_needs){.n_slots = 0};
  for (int i = 0; i < d->n_phases; i++)
    design_needs_raise (d->phase[i].plan, k, out);
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
