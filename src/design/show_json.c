/* design/show_json.c -- a plan as one JSON document: what show.c tells in
 * words, for programs.  Seconds, bytes and numbers; with unit costs, units
 * instead of seconds.
 */
#include "design/design_impl.h"

#include "store/json.h"
#include <math.h>

static json_t *
stage_times (const struct plan_cost *c)
{
  return json_pack ("{s:o, s:o, s:o, s:o, s:o, s:o}", "forward",
                    store_json_number (c->forward), "data",
                    store_json_number (c->data), "weights",
                    store_json_number (c->weights), "head",
                    store_json_number (c->head), "head_weights",
                    store_json_number (c->head_weights), "update",
                    store_json_number (c->update));
}

static json_t *
stage_object (const struct design *d, int k)
{
  struct network_unit u;
  struct design_needs need;
  int64_t params = 0;
  double flops = 0;
  json_t *blocks = json_array ();
  for (int i = d->first[k]; i < d->first[k + 1]; i++) {
    network_unit (d->net, i, &u);
    params += u.params;
    flops += u.flops;
    json_array_append_new (blocks, json_string (u.name));
  }
  design_stage_needs (d, k, &need);
  const struct stage_bytes bytes =
      design_range_bytes (d, &need, d->first[k], d->first[k + 1]);
  const bool head = k < d->K - 1 && d->has_head[k];
  return json_pack (
      "{s:i, s:i, s:o, s:I, s:o, s:o, s:s?, s:o, s:o}", "stage", k, "rank",
      d->plan->rank_of[k], "blocks", blocks, "parameters", (json_int_t)params,
      "flops", store_json_number (flops), "times", stage_times (&d->cost[k]),
      "head", head ? d->head[k] : NULL, "output_bytes",
      store_json_number (d->cost[k].output_bytes), "memory_bytes",
      store_json_number (bytes.held + bytes.work));
}

static json_t *
rank_object (const struct design *d, const struct plan *p, int r)
{
  return json_pack ("{s:i, s:i, s:i, s:o, s:o}", "rank", r, "first_stage",
                    p->rank[r].first_stage, "stages",
                    p->rank[r].end_stage - p->rank[r].first_stage, "busy",
                    store_json_number (p->busy_s[r]), "memory_bytes",
                    store_json_number (design_rank_bytes (d, r)));
}

/* By stage: weights of all losses, one row of the table of the strategy. */
static json_t *
route_array (const struct design *d, const double *route)
{
  json_t *rows = json_array ();
  for (int k = 0; k < d->K; k++) {
    json_t *row = json_array ();
    for (int h = 0; h < d->K; h++)
      json_array_append_new (row, json_real (route[k * d->K + h]));
    json_array_append_new (rows, row);
  }
  return rows;
}

static json_t *
phase_object (const struct design *d, int i)
{
  const struct design_phase *phase = &d->phase[i];
  const struct plan *p = phase->plan;
  const double rate = d->spec.unit_costs ? NAN : (double)d->batch / p->cycle_s;
  int activations, gradients;
  json_t *ranks = json_array ();
  for (int r = 0; r < p->n_pipe; r++)
    json_array_append_new (ranks, rank_object (d, p, r));
  plan_messages (p, &activations, &gradients);
  return json_pack (
      "{s:s?, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:o}", "dial", phase->words,
      "first_step",
      phase->first >= 0 ? json_integer (phase->first) : json_null (), "share",
      store_json_number (phase->share), "route", route_array (d, phase->route),
      "cycle", store_json_number (p->cycle_s), "samples_per_s",
      store_json_number (rate), "activations", activations, "gradients",
      gradients, "ranks", ranks);
}

enum status
design_plan_json (const struct design *d, struct text *out)
{
  json_t *stages = json_array (), *phases = json_array ();
  for (int k = 0; k < d->K; k++)
    json_array_append_new (stages, stage_object (d, k));
  for (int i = 0; i < d->n_phases; i++)
    json_array_append_new (phases, phase_object (d, i));
  const char *times = d->spec.unit_costs ? "units"
                      : d->spec.costs    ? "calibrated"
                      : d->kernels       ? "measured"
                                         : "guessed";
  json_t *j = json_pack (
      "{s:I, s:i, s:I, s:I, s:i, s:i, s:i, s:s, s:o, s:o}", "parameters",
      (json_int_t)network_params (d->net), "blocks", network_units (d->net),
      "batch", (json_int_t)d->batch, "micro_batch", (json_int_t)d->n_samples,
      "micro_batches", d->M, "replicas", d->R, "ranks", d->plan->n_pipe,
      "times_are", times, "stages", stages, "phases", phases);
  return store_json_put (j, JSON_INDENT (1), "the plan", out);
}
