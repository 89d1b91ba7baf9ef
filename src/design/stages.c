/* design/stages.c -- which units each stage has and which head stands behind
 * it.
 *
 * With stages.cut = auto and stages.head = auto both follow from the
 * configuration alone: from operations that are counted (model/work.c), not
 * from times, ranks, threads or the strategy.  First the cut, by the work of
 * bodies and of the output; then, for each stage as it is cut, its head.  So
 * runs that are compared have their borders in the same places.
 *
 * With stages.cut = measured times come first; it is made in timetable.c, when
 * they are known.
 */
#include "design/design_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* -- the cut ----------------------------------------------------------------
 */

double
design_counted (const struct design *d, int from, int end)
{
  double sum = 0;
  for (int i = from; i < end; i++) {
    struct network_unit u;
    network_unit (d->net, i, &u);
    sum += network_work_sum (u.work);
  }
  return sum;
}

/* An output that is more than a stage of equal ones is a stage by itself,
 * however much it is: the others are even among themselves. */
static void
hold_output (double *work, int n, int K)
{
  double body = 0;
  for (int i = 0; i < n - 1; i++)
    body += work[i];
  if (K > 1 && work[n - 1] > floor (body / (K - 1)))
    work[n - 1] = floor (body / (K - 1));
}

enum status
design_counted_cut (const struct design *d, int *first)
{
  const int n = network_units (d->net);
  double *cost = NULL;
  TRY (MEM_NEW ((size_t)(n * d->K), &cost, "counted work"));
  for (int i = 0; i < n; i++)
    cost[i] = design_counted (d, i, i + 1);
  hold_output (cost, n, d->K);
  for (int i = n; i < n * d->K; i++)
    cost[i] = cost[i - n];
  enum status e = plan_cut (n, cost, NULL, d->K, first);
  mem_free (&cost);
  return e;
}

/* -- heads ------------------------------------------------------------------
 */

/* Whether stages may have different ones. */
static bool
by_stage (const struct design *d)
{
  return config_head_is_auto (d->config.head) ||
         config_head_is_list (d->config.head);
}

bool
design_wants_heads (const struct design *d)
{
  bool wants = d->spec.heads || d->config.heads_all;
  for (int i = 0; i < d->n_phases; i++)
    wants = wants || plan_route_inner (d->K, d->phase[i].route);
  return wants;
}

enum status
design_head_auto (const struct design *d, int from, int end,
                  char grammar[CONFIG_TEXT], double *share)
{
  const double body = design_counted (d, from, end);
  const char *suffix = config_head_is_auto (d->config.head)
                           ? config_head_suffix (d->config.head)
                           : "";
  double least = INFINITY;
  char known[NETWORK_HEAD];
  for (int i = 0; network_head_known (d->net, end - 1, i, known); i++) {
    struct network_unit u;
    if (!known[0])
      continue;
    TRY (network_head (d->net, end - 1, known, &u));
    const double work = network_work_sum (u.work);
    if (work >= least)
      continue;
    least = work;
    snprintf (grammar, CONFIG_TEXT, "%s%s", known, suffix);
    if (work <= d->config.head_cost * body)
      break;
  }
  *share = least / body;
  return OK;
}

enum status
design_head_of (const struct design *d, int k, int from, int end,
                char grammar[CONFIG_TEXT])
{
  double share;
  if (config_head_is_auto (d->config.head))
    return design_head_auto (d, from, end, grammar, &share);
  return config_head_parse (d->config.head, d->K, k, grammar);
}

const char *
design_head (const struct design *d, int k)
{
  return d->head[k];
}

double
design_rebuilds (const struct design *d, int k)
{
  return k < d->K - 1 && d->has_head[k] ? network_head_rebuilds (d->head[k])
                                        : 0;
}

bool
design_rebuilds_any (const struct design *d)
{
  bool any = false;
  for (int k = 0; k < d->K; k++)
    any = any || design_rebuilds (d, k) > 0;
  return any;
}

/* Their costs and kernels are asked for where stages end; behind all units
 * where a cut may depend on it.  With costs for all numbers of stages those of
 * heads that differ are told from those of blocks. */
static void
place_heads (struct design *d)
{
  const int n = network_units (d->net);
  const bool all =
      !by_stage (d) && (!d->first || d->spec.heads || d->spec.measure);
  for (int i = 0; i < n; i++)
    d->behind[i] =
        all && i < n - 1 && design_wants_heads (d) ? d->head[0] : NULL;
  for (int k = 0; !all && k < d->K - 1 && design_wants_heads (d); k++)
    if (!d->spec.heads)
      d->behind[d->first[k + 1] - 1] = d->head[k];
}

enum status
design_heads (struct design *d)
{
  const size_t n = (size_t)network_units (d->net);
  if (!d->behind)
    TRY (MEM_NEW (n, &d->behind, "heads behind blocks"));
  if (by_stage (d) && !d->first)
    return OK; /* behind a measured cut */
  TRY (MEM_NEW ((size_t)d->K, &d->head, "heads"));
  for (int k = 0; k < d->K - 1; k++) {
    const int from = d->first ? d->first[k] : 0;
    const int end = d->first ? d->first[k + 1] : 1;
    TRY (design_head_of (d, k, from, end, d->head[k]));
  }
  place_heads (d);
  return OK;
}

void
design_stages_clear (struct design *d)
{
  mem_free (&d->first);
  mem_free (&d->head);
  mem_free (&d->behind);
}

enum status
design_stages (struct design *d)
{
  const char *cut = d->config.cut;
  design_stages_clear (d);
  if (strcmp (cut, "measured") != 0) {
    TRY (MEM_NEW ((size_t)d->K + 1, &d->first, "cut"));
    TRY (strcmp (cut, "auto") == 0
             ? design_counted_cut (d, d->first)
             : network_cut_parse (d->net, cut, d->K, d->first));
  }
  return design_heads (d);
}

/* -- what they come to ------------------------------------------------------
 */

enum status
design_head_guess (const struct design *d, int from, int end,
                   const char *grammar, struct stage_cost *out)
{
  struct network_unit h;
  double s = 0;
  TRY (network_head (d->net, end - 1, grammar, &h));
  for (int i = from; i < end; i++) {
    const struct stage_cost *u = &d->costs.unit[i];
    s += u->forward + u->data + u->weights;
  }
  s /= design_counted (d, from, end);
  *out = (struct stage_cost){.forward = s * (h.work.forward + h.work.data),
                             .weights = s * h.work.weights};
  return OK;
}

enum status
design_head_costs (struct design *d)
{
  if (!by_stage (d)) /* told with those of the blocks, if only as nothing */
    return OK;
  for (int k = 0; k < d->K - 1; k++) {
    const int from = d->first[k], end = d->first[k + 1];
    struct stage_cost *h = &d->costs.head[end - 1];
    if (design_wants_heads (d) && !(h->forward > 0))
      TRY (design_head_guess (d, from, end, d->head[k], h));
  }
  return OK;
}

/* Both become part of the configuration: running the written one again repeats
 * the run. */
void
design_settle_stages (struct design *d)
{
  struct config *c = &d->config;
  struct text cut, head;
  bool alike = true;
  text_init (&cut);
  text_init (&head);
  for (int k = 0; k < d->K; k++)
    text_add (&cut, "%s%d", k ? "," : "", d->first[k + 1] - d->first[k]);
  for (int k = 0; k < d->K - 1; k++) {
    text_add (&head, "%s%s", k ? "," : "", d->head[k]);
    alike = alike && strcmp (d->head[k], d->head[0]) == 0;
  }
  CHECK (cut.size < sizeof c->cut && head.size < sizeof c->head,
         "no room for cut and heads of %d stages", d->K);
  snprintf (c->cut, sizeof c->cut, "%s", cut.data);
  if (d->K > 1)
    snprintf (c->head, sizeof c->head, "%s", alike ? d->head[0] : head.data);
  text_clear (&cut);
  text_clear (&head);
}
