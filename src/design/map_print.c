/* design/map_print.c -- a map as tables for the terminal and as comma-separated
 * lines.
 */
#include "design/map.h"

#include <math.h>
#include <stdio.h>

#define CELL 23 /* characters of a column */

static const char *
order_name (int order)
{
  return plan_order_name ((enum plan_order)order);
}

/* Samples/s, or in units the length of a cycle. */
static double
shown (const struct map *m, const struct map_cell *c)
{
  return m->units ? c->cycle_s : c->samples_per_s;
}

/* What a span needs at least. */
static double
least_bytes (const struct map *m, int k, int micro, int span)
{
  double least = INFINITY;

  for (int o = 0; o < MAP_ORDERS; o++)
    least = fmin (least, map_at (m, k, micro, span, o)->bytes);
  return least;
}

static void
add_cell (const struct map *m, int k, int micro, int span, struct text *out)
{
  char words[64], ratio[16] = "";
  int o = map_best (m, k, micro, span);
  double r = map_ratio (m, k, micro, span);

  if (!map_at (m, k, micro, span, 0)->there)
    snprintf (words, sizeof words, "-");
  else if (o < 0)
    snprintf (words, sizeof words, "over: %s",
              text_bytes (least_bytes (m, k, micro, span)));
  else {
    if (span < m->n_spans - 1 && isfinite (r))
      snprintf (ratio, sizeof ratio, " x%.2f", r);
    snprintf (words, sizeof words, "%.5g%s %s",
              shown (m, map_at (m, k, micro, span, o)), ratio, order_name (o));
  }
  text_add (out, " %*s", CELL, words);
}

static void
add_table (const struct map *m, int micro, struct text *out)
{
  text_add (out, "\n%d micro-batch%s\n%6s %6s", m->micro[micro],
            m->micro[micro] == 1 ? "" : "es", "stages", "ranks");
  for (int s = 0; s < m->n_spans; s++) {
    char name[32];
    snprintf (name, sizeof name, "span %s", map_span_name (m->span[s]));
    text_add (out, " %*s", CELL, name);
  }
  text_add (out, "  fastest\n");
  for (int k = 0; k < m->n_stages; k++) {
    int best = map_fastest (m, k, micro);
    text_add (out, "%6d %6d", m->stages[k], m->ranks[k]);
    for (int s = 0; s < m->n_spans; s++)
      add_cell (m, k, micro, s, out);
    if (best < 0) {
      text_add (out, "  none fits\n");
      continue;
    }
    int o = map_best (m, k, micro, best);
    text_add (out, "  span %s, %s, %s\n", map_span_name (m->span[best]),
              order_name (o),
              text_bytes (map_at (m, k, micro, best, o)->bytes));
  }
}

static void
add_crossovers (const struct map *m, struct text *out)
{
  text_add (out, "\nahead of end to end by %g %%, from how many stages on:\n",
            100 * m->ahead);
  for (int s = 0; s < m->n_spans - 1; s++) {
    text_add (out, "span %s:", map_span_name (m->span[s]));
    for (int i = 0; i < m->n_micro; i++) {
      int k = map_crossover (m, i, s);
      text_add (out, "%s ", i ? ";" : "");
      if (k < 0)
        text_add (out, "never");
      else
        text_add (out, "%d", m->stages[k]);
      text_add (out, " (%d micro-batch%s)", m->micro[i],
                m->micro[i] == 1 ? "" : "es");
    }
    text_add (out, "\n");
  }
}

void
map_print (const struct map *m, struct text *out)
{
  text_add (out, "%s", m->about.data);
  text_add (out,
            "%s of the fastest order, x: times the samples/s of end to "
            "end; memory: of the rank that needs most\n",
            m->units ? "units of a cycle" : "samples/s");
  for (int i = 0; i < m->n_micro; i++)
    add_table (m, i, out);
  add_crossovers (m, out);
}

static void
add_row (const struct map *m, const int at[4], struct text *out)
{
  int k = at[0], micro = at[1], s = at[2], o = at[3];
  const struct map_cell *c = map_at (m, k, micro, s, o);
  int whole = map_best (m, k, micro, m->n_spans - 1);
  bool best = map_best (m, k, micro, s) == o;

  if (!c->there)
    return;
  text_add (out, "%d,%d,%s,%d,%s,%s,%.9g,%.9g,", m->stages[k], m->ranks[k],
            m->chain[k] ? "chain" : "model", m->micro[micro],
            map_span_name (m->span[s]), order_name (o), c->cycle_s,
            c->samples_per_s);
  if (whole >= 0)
    text_add (out, "%.6g",
              c->samples_per_s /
                  map_at (m, k, micro, m->n_spans - 1, whole)->samples_per_s);
  text_add (out, ",%.0f,%d,%d,%d\n", c->bytes, map_fits (m, c), best,
            best && map_fastest (m, k, micro) == s);
}

void
map_csv (const struct map *m, struct text *out)
{
  int at[4];

  text_add (out, "stages,ranks,network,micro,span,order,cycle_s,samples_per_s,"
                 "ratio,memory_bytes,fits,best,fastest\n");
  for (at[0] = 0; at[0] < m->n_stages; at[0]++)
    for (at[1] = 0; at[1] < m->n_micro; at[1]++)
      for (at[2] = 0; at[2] < m->n_spans; at[2]++)
        for (at[3] = 0; at[3] < MAP_ORDERS; at[3]++)
          add_row (m, at, out);
}
