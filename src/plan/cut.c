/* plan/cut.c -- a row of costs cut into ranges, the largest as small as can be.
 *
 * Exact, by dynamic programming from the end: best[k][i] is the smallest
 * possible maximum when the units from i on are cut into the last k ranges.
 */
#include "base/memory.h"
#include "plan/plan.h"
#include <math.h>

struct cutter {
  int n, K;
  const double *cost, *extra; /* K x n; extra may be NULL */
  double *best;               /* (K + 1) x (n + 1) */
};

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

/* Each range ends as early as the best maximum of all allows. */
static void
trace (const struct cutter *c, int *first)
{
  double limit = *best_at (c, c->K, 0);
  first[0] = 0;
  for (int k = 0; k < c->K; k++) {
    double sum = 0;
    int j = first[k];
    for (; j < c->n; j++) {
      sum += c->cost[k * c->n + j];
      if (closed (c, k, sum, j) <= limit &&
          *best_at (c, c->K - k - 1, j + 1) <= limit)
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
  TRY (MEM_NEW (cells, &c.best, "cut"));
  fill (&c);
  trace (&c, first);
  mem_free (&c.best);
  return OK;
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
