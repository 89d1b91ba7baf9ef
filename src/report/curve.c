/* report/curve.c -- the mean of a group's runs along an axis, and the band in
 * which it lies. */
#include "report/report_impl.h"

#include <stdlib.h>
#include <string.h>

#define POINTS 160 /* of a curve at most */

struct points {
  int n;
  double *x, *y;
};

static int
by_value (const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double
between (const struct points *p, double x)
{
  int low = 0, high = p->n - 1;
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (p->x[middle] <= x)
      low = middle;
    else
      high = middle;
  }
  if (x >= p->x[high])
    return p->y[high];
  return p->y[low] +
         (p->y[high] - p->y[low]) * (x - p->x[low]) / (p->x[high] - p->x[low]);
}

/* The places at which a mean is taken: those at which any run has a row, within
 * the stretch that all runs cover; sorted, each once, and thinned out. */
static int
places (struct report *r, const struct points *p, int n, double **out)
{
  double low = -INFINITY, high = INFINITY;
  size_t room = 0;
  for (int i = 0; i < n; i++) {
    low = fmax (low, p[i].x[0]);
    high = fmin (high, p[i].x[p[i].n - 1]);
    room += (size_t)p[i].n;
  }
  double *x = pool_take (&r->pool, room + 1, sizeof *x);
  int m = 0, kept = 0;
  for (int i = 0; i < n; i++)
    for (int k = 0; k < p[i].n; k++)
      if (p[i].x[k] >= low && p[i].x[k] <= high)
        x[m++] = p[i].x[k];
  qsort (x, (size_t)m, sizeof *x, by_value);
  for (int i = 0; i < m; i++)
    if (kept == 0 || x[i] - x[kept - 1] > 1e-9 * fabs (x[m - 1]))
      x[kept++] = x[i];
  int thin = kept > POINTS ? POINTS : kept;
  for (int i = 0; i < thin && thin > 1; i++)
    x[i] = x[(int64_t)i * (kept - 1) / (thin - 1)];
  *out = x;
  return thin;
}

void
curve_room (struct report *r, int n, struct curve *c)
{
  double **row[] = {&c->x, &c->mean, &c->low, &c->high, &c->least, &c->most};
  *c = (struct curve){0};
  for (int i = 0; i < 6; i++)
    *row[i] = pool_take (&r->pool, (size_t)n + 1, sizeof (double));
}

void
curve_add (struct curve *c, double x, const struct spread *s)
{
  if (s->n == 0)
    return;
  c->x[c->n] = x;
  c->mean[c->n] = s->mean;
  c->least[c->n] = s->least;
  c->most[c->n] = s->most;
  stat_band (s, &c->low[c->n], &c->high[c->n]);
  c->n++;
}

bool
curve_marked (const struct report *r)
{
  for (int i = 0; i < r->n_runs; i++)
    if (r->run[i].n_phases > 1)
      return true;
  return false;
}

/* Where the phases of a group's runs begin, in the mean, on the line of their
 * mean. */
static void
add_marks (struct report *r, const struct group *g, enum run_axis axis,
           struct curve *c)
{
  const struct points line = {c->n, c->x, c->mean};
  const struct run *first = &r->run[g->run[0]];
  c->mark = pool_take (&r->pool, (size_t)first->n_phases + 1, sizeof *c->mark);
  for (int i = 1; i < first->n_phases; i++) {
    double sum = 0;
    for (int k = 0; k < g->n; k++)
      sum += run_place (&r->run[g->run[k]], axis, first->phase[i].first);
    const double x = sum / g->n;
    if (x >= c->x[0] && x <= c->x[c->n - 1])
      c->mark[c->n_marks++] =
          (struct mark){x, between (&line, x), first->phase[i].words};
  }
}

void
group_curve (struct report *r, const struct group *g, int split,
             const char *column, enum run_axis axis, struct curve *out)
{
  struct points *p = pool_take (&r->pool, (size_t)g->n, sizeof *p);
  int n = 0;
  *out = (struct curve){0};
  for (int i = 0; i < g->n; i++) {
    const struct run *run = &r->run[g->run[i]];
    const char *name = strncmp (column, "output ", 7) == 0
                           ? run_output (run, column + 7)
                           : column;
    size_t rows = (size_t)run->metrics.n_rows + 1;
    p[n].x = pool_take (&r->pool, rows, sizeof (double));
    p[n].y = pool_take (&r->pool, rows, sizeof (double));
    run_points (run, split, name, axis, &p[n].n, p[n].x, p[n].y);
    n += p[n].n > 0;
  }
  if (n == 0)
    return;
  /* Runs have rows at different places: each is read off between its own. */
  double *x, *y = pool_take (&r->pool, (size_t)n, sizeof *y);
  const int m = places (r, p, n, &x);
  curve_room (r, m, out);
  for (int i = 0; i < m; i++) {
    for (int k = 0; k < n; k++)
      y[k] = between (&p[k], x[i]);
    const struct spread s = stat_of (n, y);
    curve_add (out, x[i], &s);
  }
  add_marks (r, g, axis, out);
}
