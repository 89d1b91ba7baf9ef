/* ranks: 0 */
/* plan_cut and plan_fold against all cuts there are. */
#include "base/random.h"
#include "plan/plan.h"
#include "tests/tap.h"
#include <string.h>

#define MOST 9

struct brute {
  int n, K;
  const double *cost, *extra;
  int first[MOST + 1], best[MOST + 1];
  double least, limit, uneven; /* limit of the largest range; < 0: none yet */
};

static double
range (const struct brute *b, int k)
{
  double sum = 0;
  for (int i = b->first[k]; i < b->first[k + 1]; i++)
    sum += b->cost[k * b->n + i];
  return b->extra ? sum + b->extra[k * b->n + b->first[k + 1] - 1] : sum;
}

/* Sum of squares of how far borders are from equal parts, from the last on. */
static double
unevenness (const struct brute *b)
{
  double before[MOST + 1] = {0}, sum = 0;
  for (int i = 0; i < b->n; i++) {
    before[i + 1] = before[i];
    for (int k = 0; k < b->K; k++)
      before[i + 1] += b->cost[k * b->n + i];
  }
  for (int k = b->K - 1; k > 0; k--) {
    double all = before[b->n], at = before[b->first[k]];
    double d = (all > 0 ? at / all : 0) - (double)k / b->K;
    sum = d * d + sum;
  }
  return sum;
}

/* All cuts, in lexical order: the first of the best is the one whose earlier
 * stages are smallest.  First the least maximum, then the most even cut within
 * the limit. */
static void
every (struct brute *b, int k, double worst)
{
  if (k == b->K) {
    if (b->first[k] != b->n)
      return;
    b->least = fmin (b->least, worst);
    if (b->limit < 0 || worst > b->limit || unevenness (b) >= b->uneven)
      return;
    b->uneven = unevenness (b);
    memcpy (b->best, b->first, sizeof b->best);
    return;
  }
  for (int end = b->first[k] + 1; end <= b->n; end++) {
    b->first[k + 1] = end;
    every (b, k + 1, fmax (worst, range (b, k)));
  }
}

static void
search (struct brute *b)
{
  b->least = b->uneven = INFINITY;
  b->limit = -1;
  every (b, 0, 0);
  b->limit = 1.02 * b->least;
  every (b, 0, 0);
}

static void
fill (uint64_t seed, int n, double *x)
{
  struct random_key key = {.seed = seed, .purpose = RANDOM_TEST};
  for (int i = 0; i < n; i++)
    x[i] = (double)random_below (&key, (uint64_t)i, 7);
}

static bool
one_cut (int n, int K, uint64_t seed, bool with_extra)
{
  double cost[MOST * MOST], extra[MOST * MOST];
  int first[MOST + 1];
  struct brute b = {.n = n, .K = K, .cost = cost};

  fill (seed, K * n, cost);
  fill (seed + 1000, K * n, extra);
  b.extra = with_extra ? extra : NULL;
  search (&b);
  return plan_cut (n, cost, b.extra, K, first) == OK &&
         memcmp (first, b.best, ((size_t)K + 1) * sizeof *first) == 0;
}

static bool
one_fold (int K, int n_pipe, uint64_t seed)
{
  double cost[MOST], table[MOST * MOST];
  int rank_of[MOST];
  struct brute b = {.n = K, .K = n_pipe, .cost = table};
  bool good;

  fill (seed, K, cost);
  for (int i = 0; i < K * n_pipe; i++)
    table[i] = cost[i % K];
  search (&b);
  good = plan_fold (K, cost, n_pipe, rank_of) == OK;
  for (int r = 0; good && r < n_pipe; r++)
    for (int k = b.best[r]; k < b.best[r + 1]; k++)
      good = good && rank_of[k] == r;
  return good;
}

/* Six equal layers between an embedding and an output, four stages: whichever
 * of two nearly equal heads is the dearer, two ranks get three layers each. */
static void
even (void)
{
  for (int dearer = 0; dearer < 3; dearer++) {
    double cost[4 * 8], extra[4 * 8];
    int first[5], rank_of[4], layers[2] = {0, 0};
    for (int i = 0; i < 32; i++) {
      cost[i] = i % 8 == 0 ? 0.01 : i % 8 < 7 ? 24 : dearer == 2 ? 2.2 : 1.84;
      extra[i] = i / 8 == 3 ? 0 : dearer == 1 ? 1.86 : 1.82;
      if (dearer == 2 && i / 8 < 3 && i % 2)
        extra[i] += 0.3;
    }
    bool good = plan_cut (8, cost, extra, 4, first) == OK;
    double stage[4] = {0};
    for (int k = 0; k < 4; k++)
      for (int i = first[k]; i < first[k + 1]; i++)
        stage[k] += cost[k * 8 + i];
    good = good && plan_fold (4, stage, 2, rank_of) == OK;
    for (int k = 0; good && k < 4; k++)
      for (int i = first[k]; i < first[k + 1]; i++)
        layers[rank_of[k]] += i > 0 && i < 7;
    tap_ok (good && layers[0] == 3 && layers[1] == 3,
            "six layers, four stages, two ranks: %d and %d layers", layers[0],
            layers[1]);
  }
}

static void
refusals (void)
{
  double cost[4] = {1, 1, 1, 1}, wrong[4] = {1, -1, NAN, 1};
  int first[5];

  tap_ok (plan_cut (1, cost, NULL, 2, first) == E_CONFIG, "more stages");
  fail_clear ();
  tap_ok (plan_cut (2, cost, NULL, 0, first) == E_CONFIG, "no stages");
  fail_clear ();
  tap_ok (plan_cut (2, wrong, NULL, 2, first) == E_CONFIG, "a negative cost");
  fail_clear ();
  tap_ok (plan_cut (2, cost, wrong, 2, first) == E_CONFIG, "a bad extra");
  fail_clear ();
  tap_ok (plan_fold (2, cost, 3, first) == E_CONFIG, "more ranks than stages");
  fail_clear ();
  tap_ok (plan_fold (2, cost, 0, first) == E_CONFIG, "no ranks");
  fail_clear ();
}

int
main (void)
{
  for (int n = 1; n <= MOST; n++) {
    int bad = 0, tried = 0;
    for (int K = 1; K <= n; K++)
      for (uint64_t seed = 0; seed < 10; seed++) {
        bad += !one_cut (n, K, seed, false);
        bad += !one_cut (n, K, seed, true);
        bad += !one_fold (n, K, seed);
        tried += 3;
      }
    tap_ok (bad == 0, "%d units: %d of %d differ from brute force", n, bad,
            tried);
  }
  even ();
  refusals ();
  return tap_done ();
}
