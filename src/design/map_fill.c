/* design/map_fill.c -- predictions for a map: the plan of every cell.
 *
 * Up to as many stages as the network has blocks a cell is what `plan` says of
 * the network.  Beyond that there is nothing to cut; there a cell is a chain,
 * one stage a rank, of the mean block between the first and the output: its
 * times, its head, its border.
 */
#include "design/design_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct mapper {
  struct design d;
  const struct design_plan_spec *o;
  struct map *m;
  int units, pipe; /* blocks; ranks of a replica, 0: as many as stages */
  struct plan_cost block, output; /* of a chain: inner stages, the last */
  struct plan_cost *chain;        /* room for the deepest */
};

/* -- a network cut into stages ----------------------------------------------
 */

static enum status
model_cell (struct mapper *x, int K, int pipe, struct map_cell *c)
{
  struct design *d = &x->d;
  d->K = K;
  TRY (design_replan (d, pipe));
  c->cycle_s = d->plan->cycle_s;
  c->bytes = 0;
  for (int r = 0; r < pipe; r++)
    c->bytes = fmax (c->bytes, design_rank_bytes (d, r));
  return OK;
}

/* -- a chain -----------------------------------------------------------------
 */

/* Of the head behind a stage that is unit i alone. */
static enum status
head_cost (const struct design *d, int i, struct stage_cost *out)
{
  char grammar[CONFIG_TEXT];
  *out = d->costs.head[i];
  if (!config_head_is_auto (d->config.head) || out->forward > 0)
    return OK; /* one that is given is told with the blocks */
  TRY (design_head_of (d, 0, i, i + 1, grammar));
  return design_head_guess (d, i, i + 1, grammar, out);
}

/* From the costs of units in d. */
static enum status
mean_block (struct mapper *x)
{
  const struct design *d = &x->d;
  int first = 1, end = x->units - 1, n = end - first;
  struct plan_cost sum = {0};
  const struct stage_cost *out = &d->costs.unit[end];
  for (int i = first; i < end; i++) {
    const struct stage_cost *u = &d->costs.unit[i];
    const struct stage_cost border = unit_costs_border (d, i);
    struct stage_cost h;
    TRY (head_cost (d, i, &h));
    struct network_unit info;
    network_unit (d->net, i, &info);
    sum.forward += (u->forward + border.forward) / n;
    sum.data += (u->data + border.data) / n;
    sum.weights += u->weights / n;
    sum.saved += u->saved / n;
    sum.input += (u->input + border.input) / n;
    sum.head += (h.forward + h.data) / n;
    sum.head_weights += h.weights / n;
    sum.update += (double)info.params * DESIGN_UPDATE_S / n;
    sum.squares += (double)info.params * DESIGN_SQUARES_S / n;
    sum.output_bytes += network_message_bytes (info.out, (double)d->n_samples,
                                               derive_narrow (&d->config)) /
                        n;
  }
  x->block = sum;
  x->output = sum;
  x->output.head = out->forward + out->data;
  x->output.head_weights = out->weights;
  if (d->spec.unit_costs)
    x->block = x->output =
        (struct plan_cost){.forward = 1, .data = 1, .weights = 1};
  return OK;
}

static bool
like_before (const struct plan *p, int k)
{
  return k > 1 && p->n_slots[k] == p->n_slots[k - 1] &&
         p->n_pairs[k] == p->n_pairs[k - 1] &&
         p->n_streams[k + 1] == p->n_streams[k] && p->head[k] == p->head[k - 1];
}

static double
range_bytes (const struct mapper *x, const struct plan *p, int k, int from,
             int end)
{
  struct design_needs need = {.n_slots = 0};
  design_needs_raise (p, k, &need);
  const struct stage_bytes b = design_range_bytes (&x->d, &need, from, end);
  return b.held + b.work;
}

/* The stage that needs most, each as the mean of what it would with any of the
 * blocks. */
static double
chain_bytes (const struct mapper *x, const struct plan *p)
{
  int first = 1, end = x->units - 1;
  double most = range_bytes (x, p, p->K - 1, end - 1, end + 1);
  for (int k = 0; k < p->K - 1; k++) {
    double mean = 0;
    if (like_before (p, k))
      continue;
    for (int i = first; i < end; i++)
      mean += range_bytes (x, p, k, i, i + 1) / (end - first);
    most = fmax (most, mean);
  }
  return most;
}

/* A gradient that stays near sees no end of a long pipe; a shared matrix goes
 * all the way. */
static int
chain_length (const struct design *d, int K, int span)
{
  struct plan_joint j;
  design_joint (d, &j);
  return j.first || j.heads ? K : plan_chain_enough (K, span);
}

static enum status
chain_cell (struct mapper *x, int K, int span, enum plan_order order,
            struct map_cell *c)
{
  const struct design *d = &x->d;
  struct plan *p = NULL;
  struct plan_chain ask = {.span = span,
                           .heads_all = d->config.heads_all,
                           .grows = d->config.grow > 0,
                           .n_micro = d->M,
                           .order = order,
                           .cost = x->chain,
                           .latency_s = d->spec.unit_costs ? 0 : d->latency_s,
                           .bytes_per_s =
                               d->spec.unit_costs ? 0 : d->bytes_per_s};
  design_joint (d, &ask.joint);
  ask.K = chain_length (d, K, span);
  ask.mix = derive_mix (&d->config);
  for (int k = 0; k < ask.K; k++)
    x->chain[k] = k < ask.K - 1 ? x->block : x->output;
  TRY (plan_chain_create (&ask, &p));
  c->cycle_s = p->cycle_s;
  c->bytes = chain_bytes (x, p);
  plan_destroy (&p);
  return OK;
}

/* The cell of a depth before this one that is the same chain. */
static bool
known_chain (const struct mapper *x, const int at[4], struct map_cell *c)
{
  int span = x->m->span[at[2]], k = at[0] - 1;
  if (span == 0 || k < 0 || !x->m->chain[k] ||
      chain_length (&x->d, x->m->stages[k], span) !=
          chain_length (&x->d, x->m->stages[k + 1], span))
    return false;
  *c = *map_at (x->m, k, at[1], at[2], at[3]);
  return c->there;
}

/* -- the whole ---------------------------------------------------------------
 */

/* Positions: stages, micro-batches, span, order. */
static enum status
fill_cell (struct mapper *x, const int at[4])
{
  struct map *m = x->m;
  struct design *d = &x->d;
  int K = m->stages[at[0]], span = m->span[at[2]];
  enum plan_order order = (enum plan_order)at[3];
  struct map_cell c = {0};
  if (span >= K)
    return OK; /* told as end to end */
  snprintf (d->config.span, sizeof d->config.span, "%s", map_span_name (span));
  CHECK (key_set (KEY_OF (run_schedule), plan_order_name (order), &d->config),
         "plan has an order that the configuration has not");
  if (!m->chain[at[0]])
    TRY (model_cell (x, K, m->ranks[at[0]], &c));
  else if (!known_chain (x, at, &c))
    TRY (chain_cell (x, K, span == 0 ? K : span, order, &c));
  c.there = true;
  c.samples_per_s = c.cycle_s > 0 ? m->batch / c.cycle_s : INFINITY;
  *map_at (m, at[0], at[1], at[2], at[3]) = c;
  return OK;
}

static enum status
fill_micro (struct mapper *x, int micro)
{
  struct map *m = x->m;
  struct design *d = &x->d;
  int64_t n_samples;
  TRY (derive_micro_of (&d->config, m->micro[micro], &n_samples));
  d->M = m->micro[micro];
  TRY (design_recost (d, n_samples, false));
  TRY (mean_block (x));
  int at[4] = {0, micro, 0, 0};
  for (at[0] = 0; at[0] < m->n_stages; at[0]++)
    for (at[2] = 0; at[2] < m->n_spans; at[2]++)
      for (at[3] = 0; at[3] < MAP_ORDERS; at[3]++)
        TRY (fill_cell (x, at));
  return OK;
}

static enum status
set_depths (struct mapper *x)
{
  struct map *m = x->m;
  x->units = network_units (x->d.net);
  for (int i = 0; i < m->n_stages; i++) {
    int K = m->stages[i];
    m->chain[i] = K > x->units;
    m->ranks[i] = x->pipe > 0 && x->pipe < K ? x->pipe : K;
    if (m->chain[i] && m->ranks[i] < K)
      return fail (E_CONFIG,
                   "%d stages on %d ranks: the network has %d blocks, and a "
                   "chain of more has a rank for each (leave out --ranks, or "
                   "the depths above %d)",
                   K, m->ranks[i], x->units, x->units);
    /* A cut is for one number of stages. */
    if (K != x->d.config.count)
      snprintf (x->d.config.cut, sizeof x->d.config.cut, "auto");
  }
  if (x->units < 3 && m->chain[m->n_stages - 1])
    return fail (E_CONFIG, "a network of %d blocks has none inside to repeat",
                 x->units);
  return MEM_NEW ((size_t)m->stages[m->n_stages - 1], &x->chain, "a chain");
}

static void
tell_about (struct mapper *x)
{
  const struct design *d = &x->d;
  struct text *out = &x->m->about;
  text_add (out, "%s parameters in %d blocks, batch %lld, mix %s, head %s\n",
            text_count (network_params (d->net)), x->units, (long long)d->batch,
            key_word (KEY_OF (mix), &d->config), d->config.head);
  if (d->spec.unit_costs) {
    text_add (out, "forward, data gradient and weight gradient cost 1 each, "
                   "heads and messages nothing\n");
  } else {
    text_add (out, "blocks %s; messages: %s and %s/s\n",
              x->d.spec.costs ? "as calibrated"
              : x->d.spec.measure
                  ? "measured here"
                  : "guessed from counted work (--measure, or --costs)",
              text_seconds (d->latency_s), text_bytes (d->bytes_per_s));
  }
  if (x->m->chain[x->m->n_stages - 1])
    text_add (out,
              "up to %d stages: this network; more: a chain of its mean block, "
              "a stage each\n",
              x->units);
  if (x->m->most_bytes > 0)
    text_add (out, "left out: what needs more than %s on a rank\n",
              text_bytes (x->m->most_bytes));
}

static enum status
fill (struct mapper *x)
{
  x->m->batch = (double)x->d.batch;
  x->m->units = x->d.spec.unit_costs;
  TRY (set_depths (x));
  for (int i = 0; i < x->m->n_micro; i++)
    TRY (fill_micro (x, i));
  tell_about (x);
  return OK;
}

enum status
design_map (const struct config *c, const struct design_plan_spec *o,
            struct map *m)
{
  struct mapper x = {.o = o, .m = m};
  struct design_spec spec = design_spec_of (o);
  struct wire *alone = NULL;
  if (c->route[0] || c->dial[0] || c->own > 0)
    return fail (E_CONFIG,
                 "a map is over spans, the same for all stages and steps: %s "
                 "has no place in it",
                 c->route[0]  ? KEY_NAME (route)
                 : c->dial[0] ? KEY_NAME (dial)
                              : KEY_NAME (own));
  if (config_head_is_list (c->head))
    return fail (
        E_CONFIG,
        "a map is over numbers of stages: %s has to be one grammar, or "
        "auto, not %s",
        KEY_NAME (head), c->head);
  TRY (derive_pipe (c, o->ranks, &x.pipe));
  spec.heads = true;
  TRY (wire_open_alone (&alone));
  enum status e = design_blocks (alone, c, &spec, &x.d);
  if (e == OK) {
    e = design_stages (&x.d);
    if (e == OK)
      e = fill (&x);
    design_close (&x.d);
  }
  mem_free (&x.chain);
  wire_close (&alone);
  return e;
}
