/* report/stat.c -- mean, deviation, confidence. */
#include "report/report_impl.h"

/* The incomplete beta function by its continued fraction (Numerical Recipes,
 * section 6.4; Lentz's method). */
static double
beta_fraction (double a, double b, double x)
{
  const double tiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (fabs (d) < tiny ? tiny : d);
  double h = d;
  for (int m = 1; m < 500; m++) {
    double up = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    double down = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    const double step[2] = {up, down};
    double change = 1;
    for (int i = 0; i < 2; i++) {
      d = 1 + step[i] * d;
      d = 1 / (fabs (d) < tiny ? tiny : d);
      c = 1 + step[i] / c;
      c = fabs (c) < tiny ? tiny : c;
      change = c * d;
      h *= change;
    }
    if (fabs (change - 1) < 1e-15)
      break;
  }
  return h;
}

static double
beta_part (double a, double b, double x)
{
  if (x <= 0 || x >= 1)
    return x <= 0 ? 0 : 1;
  double front = exp (lgamma (a + b) - lgamma (a) - lgamma (b) + a * log (x) +
                      b * log1p (-x));
  if (x < (a + 1) / (a + b + 2))
    return front * beta_fraction (a, b, x) / a;
  return 1 - front * beta_fraction (b, a, 1 - x) / b;
}

/* Share of Student's t below t >= 0. */
static double
student_below (double t, double freedom)
{
  return 1 - beta_part (freedom / 2, 0.5, freedom / (freedom + t * t)) / 2;
}

/* The inverse by bisection: the share rises with t, and speed does not matter.
 */
double
stat_student (double p, int freedom)
{
  double low = 0, high = 1;
  if (freedom < 1 || !(p >= 0.5 && p < 1))
    return NAN;
  while (student_below (high, freedom) < p && high < 1e12)
    high *= 2;
  for (int i = 0; i < 200; i++) {
    double middle = (low + high) / 2;
    if (student_below (middle, freedom) < p)
      low = middle;
    else
      high = middle;
  }
  return (low + high) / 2;
}

/* The 97.5 % point, which pictures ask for at each of their points. */
static double
confidence (int freedom)
{
  static _Thread_local double known[32];
  if (freedom >= 32)
    return stat_student (0.975, freedom);
  if (!(known[freedom] > 0))
    known[freedom] = stat_student (0.975, freedom);
  return known[freedom];
}

struct spread
stat_of (int n, const double *v)
{
  struct spread s = {.mean = NAN,
                     .sd = NAN,
                     .low = NAN,
                     .high = NAN,
                     .least = NAN,
                     .most = NAN};
  double sum = 0, squares = 0;
  for (int i = 0; i < n; i++)
    if (isfinite (v[i])) {
      sum += v[i];
      s.least = s.n > 0 ? fmin (s.least, v[i]) : v[i];
      s.most = s.n > 0 ? fmax (s.most, v[i]) : v[i];
      s.n++;
    }
  if (s.n == 0)
    return s;
  s.mean = sum / s.n;
  for (int i = 0; i < n; i++)
    if (isfinite (v[i]))
      squares += (v[i] - s.mean) * (v[i] - s.mean);
  if (s.n < 2)
    return s;
  s.sd = sqrt (squares / (s.n - 1));
  double half = confidence (s.n - 1) * s.sd / sqrt (s.n);
  s.low = s.mean - half;
  s.high = s.mean + half;
  return s;
}

void
stat_band (const struct spread *s, double *low, double *high)
{
  *low = s->n > 2 ? s->low : s->least;
  *high = s->n > 2 ? s->high : s->most;
}
