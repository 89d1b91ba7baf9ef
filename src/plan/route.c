/* plan/route.c -- a strategy as a table of numbers. */
#include "plan/plan.h"
#include <math.h>
#include <string.h>

/* -- tables ------------------------------------------------------------------
 */

static double
weight_of (int n, bool last, enum plan_mix mix)
{
  switch (mix) {
  case PLAN_FURTHEST:
    return last ? 1.0 : 0.0;
  case PLAN_SUM:
    return 1.0;
  case PLAN_MEAN:
    return 1.0 / n;
  }
  CHECK (false, "no mix %d", (int)mix);
  return 0;
}

enum status
plan_route (int K, int span, enum plan_mix mix, double *route)
{
  if (K < 1)
    return fail (E_CONFIG, "%d stages: at least one is needed", K);
  if (span < 1 || span > K)
    return fail (E_CONFIG, "span %d with %d stages: 1 to %d is possible", span,
                 K, K);
  for (int k = 0; k < K; k++) {
    int last = k + span - 1 < K - 1 ? k + span - 1 : K - 1;
    for (int h = 0; h < K; h++) {
      bool inside = h >= k && h <= last;
      route[k * K + h] =
          inside ? weight_of (last - k + 1, h == last, mix) : 0.0;
    }
  }
  return OK;
}

void
plan_route_plain (int K, double *route)
{
  for (int i = 0; i < K * K; i++)
    route[i] = i % K == K - 1 ? 1.0 : 0.0;
}

enum status
plan_route_check (int K, const double *route)
{
  for (int k = 0; k < K; k++) {
    bool any = false;
    for (int h = 0; h < K; h++) {
      double w = route[k * K + h];
      if (!isfinite (w) || w < 0)
        return fail (E_CONFIG,
                     "route row %d, column %d: %g is not a finite number >= 0",
                     k, h, w);
      if (h < k && w != 0)
        return fail (E_CONFIG,
                     "route row %d, column %d: stage %d cannot learn from the "
                     "earlier head %d (%g, must be 0)",
                     k, h, k, h, w);
      any = any || w != 0;
    }
    if (!any)
      return fail (E_CONFIG,
                   "route row %d is zero in columns %d to %d: stage %d would "
                   "learn from nothing",
                   k, k, K - 1, k);
  }
  return OK;
}

bool
plan_route_inner (int K, const double *route)
{
  for (int k = 0; k < K; k++)
    for (int h = 0; h < K - 1; h++)
      if (route[k * K + h] != 0)
        return true;
  return false;
}
