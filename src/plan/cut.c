/* plan/cut.c -- cuts a row of costs into ranges, the largest as small as it can
 * be.
 *
 * Exact, by dynamic programming from the end: best[k][i] is the smallest
 * possible maximum when the units from i on are cut into the last k ranges.
 *
 * Many cuts come within a few per cent of that, less than two measurements of
 * one block differ.  Of these the most even one is taken, by a second program
 * of the same kind: the one whose borders are nearest to where equal ranges
 * would have them.  So ranks that hold several ranges have equal work, too.
 */
#include "base/memory.h"
#include "plan/plan.h"
#include <math.h>

struct cutter {
  int n, K;
  const double *cost, *extra; /* K x n; extra may be NULL */
  double *best;               /* (K + 1) x (n + 1) */
  double *uneven;             /* the same of the second pass */
  double *before;             /* n + 1: part of all work in front of unit i */
};

/* Cuts whose maximum is within this part of the smallest one count as good. */
#define ALIKE 0.02

static double *
best_at (const struct cutter *c, int k, int i)
{
  return &c->best[(size_t)k * (size_t)(c->n + 1) + (size_t)i];
}

/* Cost of range k whose units sum up to `sum` and whose last unit is i. */
static double
closed (const struct cutter *c, int k, double sum, int i)
{
  return c->extra ? sum + c->extra[k * c->n + i] : sum;
}

/* best[k][i]: the first of the last k ranges takes units i .. j, the others cut
 * what is left as well as possible; the best j counts. */
static void
fill (struct cutter *c)
{
  for (int i = 0; i <= c->n; i++)
    *best_at (c, 0, i) = i == c->n ? 0.0 : INFINITY;
  for (int k = 1; k <= c->K; k++)
    for (int i = 0; i <= c->n; i++) {
      double sum = 0, best = INFINITY;
      for (int j = i; j < c->n; j++) {
        sum += c->cost[(c->K - k) * c->n + j];
        double worst =
            fmax (closed (c, c->K - k, sum, j), *best_at (c, k - 1, j + 1));
        best = fmin (best, worst);
      }
      *best_at (c, k, i) = best;
    }
}

static double *
uneven_at (const struct cutter *c, int k, int i)
{
  return &c->uneven[(size_t)k * (size_t)(c->n + 1) + (size_t)i];
}

/* The work of a unit is its mean over the stages. */
static void
place_units (struct cutter *c)
{
  c->before[0] = 0;
  for (int i = 0; i < c->n; i++) {
    c->before[i + 1] = c->before[i];
    for (int k = 0; k < c->K; k++)
      c->before[i + 1] += c->cost[k * c->n + i];
  }
  double all = c->before[c->n];
  for (int i = 0; i <= c->n && all > 0; i++)
    c->before[i] /= all;
}

/* How far a border in front of unit i, with k ranges behind it, is off. */
static double
off (const struct cutter *c, int k, int i)
{
  double d = c->before[i] - (double)(c->K - k) / c->K;
  return d * d;
}

/* Unevenness when the last k of the ranges begin at i and the next behind j. */
static double
going_on (const struct cutter *c, int k, int j)
{
  return (k > 1 ? off (c, k - 1, j + 1) : 0) + *uneven_at (c, k - 1, j + 1);
}

/* The same for unevenness, among the cuts whose ranges all stay below limit. */
static void
fill_uneven (struct cutter *c, double limit)
{
  for (int i = 0; i <= c->n; i++)
    *uneven_at (c, 0, i) = i == c->n ? 0.0 : INFINITY;
  for (int k = 1; k <= c->K; k++)
    for (int i = 0; i <= c->n; i++) {
      double sum = 0, least = INFINITY;
      for (int j = i; j < c->n; j++) {
        sum += c->cost[(c->K - k) * c->n + j];
        if (closed (c, c->K - k, sum, j) <= limit)
          least = fmin (least, going_on (c, k, j));
      }
      *uneven_at (c, k, i) = least;
    }
}

/* Reads the cut from the table.  Each range ends as early as an optimal cut
 * allows, so that the result is one cut, the same on all ranks. */
static void
trace (const struct cutter *c, double limit, int *first)
{
  first[0] = 0;
  for (int k = 0; k < c->K; k++) {
    double sum = 0;
    int j = first[k], left = c->K - k;
    for (; j < c->n; j++) {
      sum += c->cost[k * c->n + j];
      if (closed (c, k, sum, j) <= limit &&
          going_on (c, left, j) == *uneven_at (c, left, first[k]))
        break;
    }
    CHECK (j < c->n, "no end for range %d", k);
    first[k + 1] = j + 1;
  }
}

static enum status
check_costs (int n, int K, const double *cost, const double *extra)
{
  for (int i = 0; i < n * K; i++) {
    if (!isfinite (cost[i]) || cost[i] < 0)
      return fail (E_CONFIG, "cost of unit %d in stage %d: %g", i % n, i / n,
                   cost[i]);
    if (extra && (!isfinite (extra[i]) || extra[i] < 0))
      return fail (E_CONFIG, "extra cost of stage %d behind unit %d: %g", i / n,
                   i % n, extra[i]);
  }
  return OK;
}

enum status
plan_cut (int n_units, const double *cost, const double *extra, int K,
          int *first)
{
  if (K < 1 || K > n_units)
    return fail (E_CONFIG, "%d units cannot be cut into %d stages, none empty",
                 n_units, K);
  TRY (check_costs (n_units, K, cost, extra));
  struct cutter c = {.n = n_units, .K = K, .cost = cost, .extra = extra};
  size_t cells = (size_t)(K + 1) * (size_t)(n_units + 1);
  enum status s = MEM_NEW (cells, &c.best, "cut");
  if (s == OK)
    s = MEM_NEW (cells, &c.uneven, "cut");
  if (s == OK)
    s = MEM_NEW ((size_t)n_units + 1, &c.before, "cut");
  if (s == OK) {
    fill (&c);
    double limit = (1 + ALIKE) * *best_at (&c, K, 0);
    place_units (&c);
    fill_uneven (&c, limit);
    trace (&c, limit, first);
  }
  mem_free (&c.best);
  mem_free (&c.uneven);
  mem_free (&c.before);
  return s;
}

enum status
plan_fold (int K, const double *cost, int n_pipe, int *rank_of)
{
  double *table = NULL; /* every rank is the same */
  int *first = NULL;
  enum status s;

  if (n_pipe < 1 || n_pipe > K)
    return fail (E_CONFIG, "%d stages cannot be folded onto %d ranks", K,
                 n_pipe);
  TRY_GOTO (MEM_NEW ((size_t)n_pipe + 1, &first, "fold"), out);
  TRY_GOTO (MEM_NEW ((size_t)n_pipe * (size_t)K, &table, "fold"), out);
  for (int i = 0; i < n_pipe * K; i++)
    table[i] = cost[i % K];
  TRY_GOTO (plan_cut (K, table, NULL, n_pipe, first), out);
  for (int r = 0; r < n_pipe; r++)
    for (int k = first[r]; k < first[r + 1]; k++)
      rank_of[k] = r;
out:
  mem_free (&table);
  mem_free (&first);
  return s;
}
