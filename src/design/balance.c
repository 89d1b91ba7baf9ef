/* design/balance.c -- how even the cut is and what heads cost, as text: by
 * count, and in time where that is known.
 */
#include "design/design_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool
has_head (const struct design *d, int k)
{
  return k < d->K - 1 && d->has_head[k];
}

/* Times are measured here, or were. */
static bool
knows_times (const struct design *d)
{
  return (d->kernels || d->spec.costs) && !d->spec.unit_costs;
}

/* -- the cut ----------------------------------------------------------------
 */

/* Seconds of the units from .. end - 1 as stage k; heads: with that behind it.
 */
static double
seconds_of (const struct design *d, int k, int from, int end, bool heads)
{
  double s = 0;
  for (int i = from; i < end; i++) {
    const struct stage_cost *u = &d->costs.unit[i];
    s += u->forward + d->does[k].passes * u->data +
         d->does[k].learns * u->weights;
  }
  const struct stage_cost *h = &d->costs.head[end - 1];
  return heads && has_head (d, k) ? s + h->forward + h->data + h->weights : s;
}

/* The largest stage; *uneven: over the mean. */
static double
largest (const struct design *d, const int *first, bool timed, bool heads,
         double *uneven)
{
  double sum = 0, most = 0;
  for (int k = 0; k < d->K; k++) {
    const double work = timed ? seconds_of (d, k, first[k], first[k + 1], heads)
                              : design_counted (d, first[k], first[k + 1]);
    sum += work;
    most = fmax (most, work);
  }
  *uneven = sum > 0 ? most * d->K / sum : 1;
  return most;
}

static void
add_cut (const struct design *d, const int *first, struct text *out)
{
  for (int k = 0; k < d->K; k++)
    text_add (out, "%s%d", k ? "," : "", first[k + 1] - first[k]);
}

static void
show_gain (const struct design *d, struct text *out)
{
  const bool heads = design_knows_heads (d);
  int *first = NULL;
  double now, then, uneven;
  now = largest (d, d->first, true, heads, &uneven);
  text_add (out, "; %.2f x in time%s", uneven, heads ? "" : ", heads aside");
  if (MEM_NEW ((size_t)d->K + 1, &first, "cut") == OK &&
      design_measured_cut (d, first) == OK &&
      (then = largest (d, first, true, heads, &uneven)) < 0.995 * now) {
    text_add (out, "; stages.cut = measured would be ");
    add_cut (d, first, out);
    text_add (out, ", its largest stage %.0f %% shorter",
              100 * (1 - then / now));
  }
  fail_clear ();
  mem_free (&first);
}

static void
show_cut (const struct design *d, struct text *out)
{
  double uneven;
  largest (d, d->first, false, false, &uneven);
  text_add (out, "cut ");
  add_cut (d, d->first, out);
  text_add (out, ": the largest stage has %.2f x the mean of counted work",
            uneven);
  if (knows_times (d))
    show_gain (d, out);
  text_add (out, "\n");
}

/* -- heads ------------------------------------------------------------------
 */

struct shares {
  double least, most; /* of counted work */
  int at;             /* the stage of the most */
  double timed;       /* the most of measured time */
};

static void
add_share (const struct design *d, int k, struct shares *s)
{
  const int from = d->first[k], end = d->first[k + 1];
  const struct stage_cost *h = &d->costs.head[end - 1];
  struct network_unit u;
  double time = 0;
  if (network_head (d->net, end - 1, design_head (d, k), &u) != OK)
    fail_clear (); /* the grammar was checked before */
  const double share =
      network_work_sum (u.work) / design_counted (d, from, end);
  for (int i = from; i < end; i++)
    time += d->costs.unit[i].forward + d->costs.unit[i].data +
            d->costs.unit[i].weights;
  s->least = fmin (s->least, share);
  if (share > s->most)
    s->at = k;
  s->most = fmax (s->most, share);
  s->timed = fmax (s->timed, (h->forward + h->data + h->weights) / time);
}

static void
suggest (const struct design *d, const struct shares *s, struct text *out)
{
  char other[CONFIG_TEXT];
  double share;
  if (s->most <= d->config.head_cost ||
      design_head_auto (d, d->first[s->at], d->first[s->at + 1], other,
                        &share) != OK)
    return fail_clear ();
  if (strcmp (other, design_head (d, s->at)) == 0)
    text_add (out, "; no cheaper one is known%s",
              network_family (d->net)->rows
                  ? ": stages.head_tokens makes it less"
                  : "");
  else
    text_add (out, "; stages.head = auto would take %s, %.0f %%", other,
              100 * share);
}

/* One line for neighbours that have the same. */
static void
show_heads (const struct design *d, struct text *out)
{
  for (int k = 0, end; k < d->K - 1; k = end) {
    struct shares s = {.least = INFINITY};
    for (end = k; end < d->K - 1 && has_head (d, end) == has_head (d, k) &&
                  strcmp (design_head (d, end), design_head (d, k)) == 0;
         end++)
      add_share (d, end, &s);
    if (!has_head (d, k))
      continue;
    if (end - k > 1)
      text_add (out, "heads %d..%d: %s, %.1f to ", k, end - 1,
                design_head (d, k), 100 * s.least);
    else
      text_add (out, "head %d: %s, ", k, design_head (d, k));
    text_add (out, "%.1f %% of the stage's work", 100 * s.most);
    if (knows_times (d))
      text_add (out, ", %.1f %% of its time", 100 * s.timed);
    suggest (d, &s, out);
    text_add (out, "\n");
  }
}

void
design_show_balance (const struct design *d, struct text *out)
{
  if (d->K > 1)
    show_cut (d, out);
  show_heads (d, out);
}
