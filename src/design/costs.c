/* design/costs.c -- what blocks and messages take on a machine, measured once
 * and used for many predictions. */
#include "design/design_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status
design_costs_open (struct design_costs *c)
{
  size_t n = (size_t)c->n_sizes * (size_t)c->n_units * DESIGN_COST_NUMBERS;
  return MEM_NEW (n, &c->seconds, "calibrated costs");
}

void
design_costs_close (struct design_costs *c)
{
  mem_free (&c->seconds);
}

/* What the seconds depend on but the number of samples. */
static void
name_network (const struct network *net, const char *head,
              char out[CONFIG_TEXT])
{
  snprintf (out, CONFIG_TEXT, "%d units, %lld parameters, head %.256s",
            network_units (net), (long long)network_params (net), head);
}

static double *
numbers (const struct design_costs *c, int size, int unit)
{
  return c->seconds + (size_t)(size * c->n_units + unit) * DESIGN_COST_NUMBERS;
}

/* -- measuring ---------------------------------------------------------------
 */

/* Blocks are measured so often, and the medians count.  A measurement is the
 * best of a few walks already; the best of many would promise what a machine
 * reaches once, and runs take what it does most of the time. */
#define ROUNDS 9

static void
note (const struct unit_costs *u, double *seconds)
{
  for (int i = 0; i < u->n; i++) {
    const struct stage_cost *a = &u->unit[i], *b = &u->head[i];
    const double v[DESIGN_COST_NUMBERS] = {a->forward, a->data, a->weights,
                                           b->forward, b->data, b->weights,
                                           a->saved,   a->input};
    memcpy (seconds + (size_t)i * DESIGN_COST_NUMBERS, v, sizeof v);
  }
}

static int
by_size (const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* seconds: n numbers of each round, one round after the other; NAN: not known
 * in that round.  *out: of each, sorted, the one that is so far from the least
 * to the largest (0.5: the median); NAN where none knows it. */
static enum status
quantiles (int rounds, double share, const double *seconds, size_t n,
           double *out)
{
  double *v = NULL;
  TRY (MEM_NEW ((size_t)rounds + 1, &v, "rounds of costs"));
  for (size_t i = 0; i < n; i++) {
    int known = 0;
    for (int r = 0; r < rounds; r++)
      if (!isnan (seconds[(size_t)r * n + i]))
        v[known++] = seconds[(size_t)r * n + i];
    qsort (v, (size_t)known, sizeof *v, by_size);
    out[i] = known > 0 ? v[(int)(share * (known - 1))] : NAN;
  }
  mem_free (&v);
  return OK;
}

static enum status
measure_size (struct design *d, int size, double *seconds,
              struct design_costs *c)
{
  size_t n = (size_t)c->n_units * DESIGN_COST_NUMBERS;
  say (LOG_INFO, "measuring %d blocks in micro-batches of %lld samples",
       c->n_units, (long long)c->samples[size]);
  for (int round = 0; round < ROUNDS; round++) {
    TRY (design_recost (d, c->samples[size], round > 0));
    note (&d->costs, seconds + (size_t)round * n);
  }
  return quantiles (ROUNDS, 0.5, seconds, n, numbers (c, size, 0));
}

static enum status
measure_sizes (struct wire *w, struct design *d, struct design_costs *c)
{
  double *seconds = NULL;
  c->n_units = network_units (d->net);
  size_t n = (size_t)c->n_units * DESIGN_COST_NUMBERS;
  enum status e = MEM_NEW (ROUNDS * n, &seconds, "rounds of costs");
  e = wire_agree (w, e == OK ? design_costs_open (c) : e);
  for (int i = 0; e == OK && i < c->n_sizes; i++)
    e = measure_size (d, i, seconds, c);
  mem_free (&seconds);
  c->threads = d->threads;
  name_network (d->net, d->config.head, c->network);
  return e;
}

enum status
design_calibrate (struct wire *w, const struct config *c, int n_sizes,
                  const int64_t *samples, struct design_costs *out)
{
  /* Maps ask for the costs of all heads. */
  const struct design_spec spec = {
      .heads = true, .measure = true, .anew = true};
  struct design_costs found = {.n_sizes = n_sizes, .ranks = wire_size (w)};
  struct design d;
  memcpy (found.samples, samples, (size_t)n_sizes * sizeof *samples);
  TRY (wire_grid (w, 1));
  TRY (wire_calibrate (w, &found.link));
  say (LOG_INFO, "link: latency %s, %s/s; %s/s while as much comes back",
       text_seconds (found.link.latency_s), text_bytes (found.link.bytes_per_s),
       text_bytes (found.link.both_bytes_per_s));
  TRY (design_blocks (w, c, &spec, &d));
  enum status e = wire_agree (w, design_stages (&d));
  if (e == OK)
    e = measure_sizes (w, &d, &found);
  design_close (&d);
  if (e != OK)
    design_costs_close (&found);
  else
    *out = found;
  return e;
}

/* -- using -------------------------------------------------------------------
 */

/* The sizes whose line is followed at n, and how far from a to b. */
static double
place (const struct design_costs *c, int64_t n, int *a, int *b)
{
  int i = 0;
  while (i < c->n_sizes && c->samples[i] < n)
    i++;
  if (i < c->n_sizes && c->samples[i] == n) {
    *a = *b = i;
    return 0;
  }
  i = i < 1 ? 1 : i > c->n_sizes - 1 ? c->n_sizes - 1 : i;
  *a = i - 1;
  *b = i;
  return (double)(n - c->samples[*a]) /
         (double)(c->samples[*b] - c->samples[*a]);
}

/* Between sizes on their line, beyond them too, as far as it stays above what
 * is in proportion to the samples: there is no arithmetic for nothing. */
static double
at_size (const struct design_costs *c, int64_t n, int unit, int which)
{
  int a = 0, b = 0;
  if (c->n_sizes == 1)
    return numbers (c, 0, unit)[which] * (double)n / (double)c->samples[0];
  double t = place (c, n, &a, &b);
  double x = numbers (c, a, unit)[which], y = numbers (c, b, unit)[which];
  double least = fmin (x / (double)c->samples[a], y / (double)c->samples[b]);
  return fmax (x + t * (y - x), 0.5 * least * (double)n);
}

/* Numbers from, from + 1, from + 2. */
static struct stage_cost
cost_of (const struct design_costs *c, int64_t n, int unit, int from)
{
  return (struct stage_cost){.forward = at_size (c, n, unit, from),
                             .data = at_size (c, n, unit, from + 1),
                             .weights = at_size (c, n, unit, from + 2)};
}

enum status
design_costs_take (const struct design_costs *c, const struct network *net,
                   int64_t n_samples, const char *head, struct unit_costs *out)
{
  char network[CONFIG_TEXT];
  struct unit_costs u;
  name_network (net, head, network);
  if (strcmp (network, c->network) != 0 || c->n_units != network_units (net))
    return fail (E_CONFIG,
                 "the costs were measured on another network (%s), this one "
                 "has %s",
                 c->network, network);
  TRY (unit_costs_guess (net, n_samples, NULL, &u));
  for (int i = 0; i < u.n; i++) {
    u.unit[i] = cost_of (c, n_samples, i, 0);
    u.unit[i].input = fmin (at_size (c, n_samples, i, 7), u.unit[i].data);
    u.unit[i].saved = at_size (c, n_samples, i, 6);
    u.head[i] = cost_of (c, n_samples, i, 3);
  }
  *out = u;
  return OK;
}

/* Numbers of what the heads take, of a unit's. */
static bool
of_head (size_t i)
{
  return i % DESIGN_COST_NUMBERS >= 3 && i % DESIGN_COST_NUMBERS < 6;
}

/* A round of each text that is of d's network, into seconds; their number. */
static int
read_kept (const struct design *d, size_t n, double *seconds)
{
  int rounds = 0;
  for (int t = 0; t < d->spec.n_kept; t++) {
    struct unit_costs u;
    bool heads;
    double *round = seconds + (size_t)rounds * n;
    if (!design_costs_parse (d, d->spec.kept[t], &heads, &u))
      continue;
    note (&u, round);
    unit_costs_clear (&u);
    for (size_t i = 0; i < n && !heads; i++)
      if (of_head (i))
        round[i] = NAN;
    rounds++;
  }
  return rounds;
}

enum status
design_costs_kept (const struct design *d, struct unit_costs *out)
{
  struct design_costs c = {.n_sizes = 1, .n_units = network_units (d->net)};
  const size_t n = (size_t)c.n_units * DESIGN_COST_NUMBERS;
  double *seconds = NULL;
  c.samples[0] = d->n_samples;
  name_network (d->net, d->config.head, c.network);
  TRY (MEM_NEW (n * (size_t)d->spec.n_kept, &seconds, "costs of runs"));
  enum status e = design_costs_open (&c);
  const int rounds = e == OK ? read_kept (d, n, seconds) : 0;
  if (e == OK && rounds == 0)
    e = fail (E_CONFIG, "its costs.txt is missing, or of another network, "
                        "batch or number of micro-batches");
  if (e == OK)
    /* Other work beside a run can only make it slower. */
    e = quantiles (rounds, 0.25, seconds, n, c.seconds);
  for (size_t i = 0; e == OK && i < n; i++)
    if (isnan (c.seconds[i]) && !design_wants_heads (d))
      c.seconds[i] = 0;
    else if (isnan (c.seconds[i]))
      e = fail (E_CONFIG, "its costs.txt tells nothing of its heads");
  if (e == OK)
    e = design_costs_take (&c, d->net, d->n_samples, d->config.head, out);
  design_costs_close (&c);
  mem_free (&seconds);
  return e;
}
