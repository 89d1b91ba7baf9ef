/* plan/route.c -- a strategy as a table of numbers. */
#include "plan/plan.h"
#include <math.h>
#include <string.h>

/* -- tables ------------------------------------------------------------------
 */

/* Of one of n heads in reach. */
static double
weight_of (int n, bool last, bool first, enum plan_mix mix, double own)
{
  switch (mix) {
  case PLAN_FURTHEST:
    return last ? 1.0 : first ? own : 0.0;
  case PLAN_SUM:
    return 1.0;
  case PLAN_MEAN:
    return 1.0 / n;
  }
  CHECK (false, "no mix %d", (int)mix);
  return 0;
}

static enum status
bad_span (int K, int span)
{
  return fail (E_CONFIG, "span %d with %d stages: 1 to %d is possible", span, K,
               K);
}

enum status
plan_route_row (int K, int k, const struct plan_reach *r, double *row)
{
  const int span = r->span;
  if (K < 1)
    return fail (E_CONFIG, "%d stages: at least one is needed", K);
  if (span < 0 || span > K)
    return bad_span (K, span);
  int last = k + span - 1 < K - 1 ? k + span - 1 : K - 1;
  for (int h = 0; h < K; h++)
    row[h] = h < k || h > last
                 ? 0.0
                 : weight_of (last - k + 1, h == last, h == k, r->mix, r->own);
  return OK;
}

enum status
plan_route (int K, int span, enum plan_mix mix, double *route)
{
  const struct plan_reach reach = {.span = span, .mix = mix};
  int k = 0;
  if (span < 1) /* nothing would learn */
    return bad_span (K, span);
  do /* no stage at all is refused, too */
    TRY (plan_route_row (K, k, &reach, route + k * K));
  while (++k < K);
  return OK;
}

bool
plan_route_frozen (int K, int k, const double *route)
{
  for (int h = 0; h < K; h++)
    if (route[k * K + h] != 0)
      return false;
  return true;
}

void
plan_route_plain (int K, const double *like, double *route)
{
  for (int i = 0; i < K * K; i++) {
    const bool frozen = like && plan_route_frozen (K, i / K, like);
    route[i] = i % K == K - 1 && !frozen ? 1.0 : 0.0;
  }
}

static enum status
check_numbers (int K, int k, const double *row)
{
  for (int h = 0; h < K; h++) {
    double w = row[h];
    if (!isfinite (w) || w < 0)
      return fail (E_CONFIG,
                   "route row %d, column %d: %g is not a finite number >= 0", k,
                   h, w);
    if (h < k && w != 0)
      return fail (E_CONFIG,
                   "route row %d, column %d: stage %d cannot learn from the "
                   "earlier head %d (%g, must be 0)",
                   k, h, k, h, w);
  }
  return OK;
}

enum status
plan_route_check_row (int K, int k, const double *row)
{
  TRY (check_numbers (K, k, row));
  if (plan_route_frozen (K, 0, row))
    return fail (E_CONFIG,
                 "route row %d is zero in columns %d to %d: stage %d would "
                 "learn from nothing (if that is meant, the row is the word "
                 "frozen)",
                 k, k, K - 1, k);
  return OK;
}

enum status
plan_route_check (int K, const double *route)
{
  bool any = false;
  for (int k = 0; k < K; k++) {
    TRY (check_numbers (K, k, route + k * K));
    any = any || !plan_route_frozen (K, k, route);
  }
  if (!any)
    return fail (E_CONFIG, "all %d stages are frozen: nothing would learn", K);
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
