/* kern/product.c -- products of matrices by the library's sgemm, once it was
 * proven.
 *
 * The library chooses its code by the forms of the matrices and by their sizes:
 * how many whole blocks of its kernels, up to a few, and what is left over.
 * Products that agree in these are one class.  Before the first product of a
 * class a small one is tried with whole numbers, of which every sum is exact.
 * All its results are looked at, through sums over columns with odd factors.
 */
#include "base/fault.h"
#include "kern/prove_impl.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>

#define M 64      /* rows: a few blocks of the kernels' registers */
#define N 64      /* columns */
#define INNER 384 /* one block of the inner side, and more */
#define ROOM ((2 * M) * (2 * INNER) + (2 * INNER) * (2 * N) + (2 * M) * (2 * N))

enum status
kern_product_run (const struct kern_product *p, const float *a, const float *b,
                  float *c)
{
  dnnl_status_t s =
      dnnl_sgemm (p->a_form, p->b_form, p->m, p->n, p->inner, p->alpha, a,
                  p->lda, b, p->ldb, p->beta, c, p->ldc);
  if (s == dnnl_success)
    return OK;
  char what[112];
  snprintf (what, sizeof what, "m=%lld n=%lld inner=%lld", (long long)p->m,
            (long long)p->n, (long long)p->inner);
  return kern_lib_failed (s, "matrix product", what);
}

/* The smallest product of p's class: sizes up to a few blocks, row distances as
 * close as they can be, since the library's code does not depend on these. */
static struct kern_product
small_of (const struct kern_product *p)
{
  struct kern_product s = {.a_form = p->a_form,
                           .b_form = p->b_form,
                           .m = kern_reduced (p->m, M),
                           .n = kern_reduced (p->n, N),
                           .inner = kern_reduced (p->inner, INNER),
                           .alpha = p->alpha == 1 ? 1 : 0.5f,
                           .beta = p->beta == 0 ? 0 : 1};
  s.lda = p->a_form == 'N' ? s.inner : s.m;
  s.ldb = p->b_form == 'N' ? s.n : s.inner;
  s.ldc = s.n;
  return s;
}

/* The class as one number: sizes after kern_reduced are below 2^10, the inner
 * one below 2^12. */
static uint64_t
sizes_of (const struct kern_product *s, bool alone)
{
  uint64_t code = (s->a_form == 'T') | (s->b_form == 'T') << 1 |
                  (s->alpha != 1) << 2 | (s->beta != 0) << 3 | alone << 4;
  code = code << 10 | (uint64_t)s->m;
  code = code << 10 | (uint64_t)s->n;
  return code << 12 | (uint64_t)s->inner;
}

static double
factor (int64_t j)
{
  static const double f[] = {1, -3, 5, 7, -1, 3, -7, -5};
  return f[(j * 5 + j / 8) % 8];
}

/* B's columns are added up first, each times its factor: then one column of
 * sums per row of A is to be compared, not a whole matrix. */
double
kern_product_difference (const struct kern_product *p, const float *a,
                         const float *b, const float *c, const float *bias,
                         float before, double amplitude, double *sum)
{
  double worst = 0, factors = 0, size = 0, extra = 0;
  for (int64_t l = 0; l < p->inner; l++) {
    sum[l] = 0;
    for (int64_t j = 0; j < p->n; j++)
      sum[l] +=
          factor (j) * b[p->b_form == 'N' ? l * p->ldb + j : j * p->ldb + l];
  }
  for (int64_t j = 0; j < p->n; j++) {
    factors += factor (j);
    extra += bias == NULL ? 0 : factor (j) * bias[j];
    size += fabs (factor (j)) * (double)(p->inner + 1) * 2 * amplitude;
  }
  for (int64_t i = 0; i < p->m; i++) {
    double want = extra + (double)p->beta * before * factors, got = 0;
    for (int64_t l = 0; l < p->inner; l++)
      want += (double)p->alpha * sum[l] *
              a[p->a_form == 'N' ? i * p->lda + l : l * p->lda + i];
    for (int64_t j = 0; j < p->n; j++)
      got += factor (j) * c[i * p->ldc + j];
    double e = fabs (got - want) / size;
    if (!(e <= worst))
      worst = isfinite (e) ? e : INFINITY;
  }
  return worst;
}

static enum status
try_product (struct kern *k, const struct kern_product *p, double *error)
{
  float *a = k->verdicts->product_room;
  float *b = a + p->m * p->inner, *c = b + p->inner * p->n;
  const int amplitude = kern_amplitude ((double)p->inner + 1);
  *error = 0;
  kern_fill_whole (a, (size_t)(p->m * p->inner), amplitude, 1);
  kern_fill_whole (b, (size_t)(p->inner * p->n), 2, 2);
  for (int kind = 0; kind < 2; kind++) {
    const float before = (float)(kind + 1);
    kern_spoil (c, (size_t)(p->m * p->n), kind);
    for (int64_t i = 0; p->beta != 0 && i < p->m * p->n; i++)
      c[i] = before;
    TRY (kern_product_run (p, a, b, c));
    double e = kern_product_difference (p, a, b, c, NULL, before, amplitude,
                                        k->verdicts->product_sums);
    if (!(e <= *error))
      *error = e;
  }
  return OK;
}

/* The verdict on a class that is met for the first time. */
static enum status
judge (struct kern *k, const struct kern_product *s, bool alone, bool *right)
{
  char key[KERN_KEY], why[96];
  double error = -1;
  snprintf (key, sizeof key,
            "product %c%c m=%lld n=%lld inner=%lld alpha=%g beta=%g by sgemm%s",
            s->a_form, s->b_form, (long long)s->m, (long long)s->n,
            (long long)s->inner, (double)s->alpha, (double)s->beta,
            alone ? ", one thread" : "");
  enum kern_known known = kern_verdict_get (k, key);
  *right = known == KERN_RIGHT;
  if (known != KERN_UNKNOWN)
    return OK;
  omp_set_num_threads (alone ? 1 : k->threads);
  if (!k->distrust)
    TRY (try_product (k, s, &error));
  if (fault_here ("verdict"))
    error = 1;
  *right = error == 0;
  snprintf (why, sizeof why, "wrong by %.2g of what its terms add up to",
            error);
  /* Within a step no memory may be taken: then the class alone is kept. */
  if ((size_t)k->verdicts->n == k->verdicts->room)
    return OK;
  return kern_verdict_put (k, key, *right, error,
                           k->distrust ? "not believed" : why);
}

enum status
kern_product_prove (struct kern *k, const struct kern_product *p, bool alone,
                    bool *right)
{
  struct kern_verdicts *t = k->verdicts;
  const struct kern_product s = small_of (p);
  const uint64_t sizes = sizes_of (&s, alone);
  for (int i = 0; i < t->n_classes; i++)
    if (t->classes[i].sizes == sizes) {
      *right = t->classes[i].right;
      return OK;
    }
  *right = false; /* unknown, and no proof can run beside other threads */
  if (omp_in_parallel ())
    return OK;
  TRY (judge (k, &s, alone, right));
  if (t->n_classes < KERN_CLASSES)
    t->classes[t->n_classes++] = (struct kern_product_class){sizes, *right};
  return OK;
}

enum status
kern_products_open (struct kern *k)
{
  TRY (MEM_NEW (ROOM, &k->verdicts->product_room, "proofs"));
  TRY (MEM_NEW (2 * INNER, &k->verdicts->product_sums, "proofs"));
  TRY (kern_verdicts_reserve (k));
  return MEM_NEW (KERN_CLASSES, &k->verdicts->classes, "proofs");
}
