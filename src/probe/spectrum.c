/* probe/spectrum.c -- eigenvalues of the covariance of a stage's output, and
 * how many directions they amount to. */
#include "probe/probe_impl.h"

#include <float.h>
#include <math.h>

static int
order_of (const struct probe *p, int64_t width)
{
  return width > p->n ? p->n : (int)width;
}

double
spectrum_bytes (const struct probe *p, int64_t width)
{
  int n = order_of (p, width);
  return matrix_bytes (&p->grid, n, n, p->spec.wide) +
         matrix_eigen_bytes (&p->grid, n, p->spec.wide) + 8.0 * n;
}

void
spectrum_measure (struct spectrum *s, int64_t width, int64_t n_samples,
                  bool wide)
{
  double sum = 0, squares = 0, entropy = 0;
  double most = s->n > 0 ? s->value[0] : 0;
  double size = (double)(width > n_samples ? width : n_samples);
  double noise = most * size * (wide ? DBL_EPSILON : FLT_EPSILON);
  s->rank = 0;
  for (int i = 0; i < s->n; i++) {
    if (s->value[i] < 0) /* rounding */
      s->value[i] = 0;
    sum += s->value[i];
    squares += s->value[i] * s->value[i];
    s->rank += s->value[i] > noise;
  }
  for (int i = 0; i < s->n && sum > 0; i++) {
    double share = s->value[i] / sum;
    entropy -= share > 0 ? share * log (share) : 0;
  }
  s->trace = sum;
  s->effective = sum > 0 ? exp (entropy) : 0;
  s->participation = squares > 0 ? sum * sum / squares : 0;
}

/* Eigenvalues of X'X, or of XX' where a sample has more features than there are
 * samples: those that are not zero are the same.  The library gives them in
 * rising order; here the largest comes first. */
enum status
spectrum_study (struct probe *p, struct view *v, struct spectrum *out)
{
  struct spectrum s = {.n = order_of (p, v->width)};
  struct matrix c = {0};
  enum status e = matrix_create (&p->grid, s.n, s.n, 0, p->spec.wide, &c);
  if (e == OK)
    e = MEM_NEW ((size_t)s.n, &s.value, "eigenvalues");
  e = wire_agree (p->wire, e);
  if (e == OK && v->dual)
    matrix_shifted (&v->x, s.n, 0, &c);
  else if (e == OK)
    part_gram (part_whole (&v->x), true, &c);
  if (e == OK)
    e = matrix_eigenvalues (&c, s.n, s.value);
  matrix_clear (&c);
  if (e != OK) {
    mem_free (&s.value);
    return e;
  }
  for (int i = 0, j = s.n - 1; i < j; i++, j--) {
    double t = s.value[i];
    s.value[i] = s.value[j];
    s.value[j] = t;
  }
  for (int i = 0; i < s.n; i++)
    s.value[i] /= p->n - 1;
  spectrum_measure (&s, v->width, p->n, p->spec.wide);
  *out = s;
  return OK;
}
