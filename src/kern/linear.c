/* kern/linear.c -- linear layers by the library's sgemm and matmul primitive.
 *
 * W is [out, in] row-major as files have it, so nothing is ever reordered: the
 * transpositions are flags or strides.  Bias gradients are own loops.
 */
#include "base/clock.h"
#include "kern/kern_impl.h"

#include <omp.h>
#include <stdio.h>

/* C [m, n] = alpha op(A) op(B) + beta C, all row-major; A has lda numbers in a
 * row, and so on. */
struct product {
  char a_form, b_form; /* N or T */
  int64_t m, n, inner;
  int64_t lda, ldb;
  float alpha, beta;
};

static enum status
multiply (struct kern *k, const struct product *p, const float *a,
          const float *b, float *c)
{
  omp_set_num_threads (k->threads);
  dnnl_status_t s =
      dnnl_sgemm (p->a_form, p->b_form, p->m, p->n, p->inner, p->alpha, a,
                  p->lda, b, p->ldb, p->beta, c, p->n);
  if (s == dnnl_success)
    return OK;
  char what[112];
  snprintf (what, sizeof what, "m=%lld n=%lld inner=%lld", (long long)p->m,
            (long long)p->n, (long long)p->inner);
  return kern_lib_failed (s, "matrix product", what);
}

KERN_CLONES static void
set_rows (int64_t rows, int64_t out, const float *restrict bias,
          float *restrict y)
{
  for (int64_t i = 0; i < rows; i++)
#pragma omp simd
    for (int64_t j = 0; j < out; j++)
      y[i * out + j] = bias[j];
}

enum status
kern_linear_forward (struct kern *k, int64_t n, int64_t in, int64_t out,
                     const float *x, const float *w, const float *bias,
                     float *y)
{
  struct product p = {.a_form = 'N',
                      .b_form = 'T',
                      .m = n,
                      .n = out,
                      .inner = in,
                      .lda = in,
                      .ldb = in,
                      .alpha = 1,
                      .beta = bias == NULL ? 0 : 1};
  if (bias != NULL) {
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * out > KERN_ALONE)
    for (int64_t i = 0; i < n; i++)
      set_rows (1, out, bias, y + i * out);
  }
  return multiply (k, &p, x, w, y);
}

/* -- with a primitive ------------------------------------------------------ */

struct kern_linear {
  struct kern *k;
  int64_t n, in, out;
  bool bias;
  struct kern_op forward, set, add; /* the last two: gradient of W; not made:
                                       sgemm */
};

/* Where the primitive was the faster one, on two cores with AVX-512.  Forward
 * with a bias: both multiply alike, but sgemm has to find the bias in y, which
 * is written and read once more.  A long inner side: 1.3 times; sgemm cuts it
 * among threads and adds the parts.  A far wider result: 1.05 to 1.2 times. */
#define WIDE 16
static bool
forward_is_faster (int64_t in, int64_t out, bool bias)
{
  return bias || in > out || out >= WIDE * in;
}

/* The gradient of W: 1.03 to 1.17 times where it has many more rows than
 * columns, elsewhere slower. */
#define TALL 4
static bool
weights_is_faster (int64_t in, int64_t out)
{
  return out >= TALL * in;
}

struct matrix { /* seen as [rows, columns]; turned: as its transpose is stored
                 */
  int64_t rows, columns;
  bool turned;
};

/* C = A B, with a bias [1, columns of C] where that is told. */
static dnnl_status_t
describe (const struct kern_linear *l, const struct matrix abc[3], bool bias,
          bool add, dnnl_primitive_desc_t *desc)
{
  kern_md md[4] = {NULL, NULL, NULL, NULL};
  const int64_t row[] = {1, abc[2].columns};
  dnnl_status_t s = dnnl_success;
  for (int i = 0; i < 3 && s == dnnl_success; i++)
    s = kern_lib_md (2, (const int64_t[]){abc[i].rows, abc[i].columns},
                     abc[i].turned ? dnnl_ba : dnnl_ab, &md[i]);
  if (s == dnnl_success && bias)
    s = kern_lib_md (2, row, dnnl_ab, &md[3]);
  struct kern_lib_matmul m = {
      .src = md[0], .weights = md[1], .dst = md[2], .bias = md[3]};
  omp_set_num_threads (l->k->threads);
  if (s == dnnl_success)
    s = kern_lib_matmul (l->k->engine, &m, add ? l->k->attr_add : l->k->attr,
                         desc);
  for (int i = 0; i < 4; i++)
    kern_lib_md_free (&md[i]);
  return s;
}

static enum status
make_op (struct kern_linear *l, const char *name, const struct matrix abc[3],
         bool bias, bool add, struct kern_op *op)
{
  static const int args[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST,
                             DNNL_ARG_BIAS};
  char what[112];
  dnnl_primitive_desc_t desc = NULL;
  snprintf (what, sizeof what, "%s n=%lld in=%lld out=%lld", name,
            (long long)l->n, (long long)l->in, (long long)l->out);
  dnnl_status_t s = describe (l, abc, bias, add, &desc);
  if (s != dnnl_success)
    return kern_lib_failed (s, "making", what);
  return kern_op_init (l->k, desc, NULL, what, bias ? 4 : 3, args, op);
}

/* W is [out, in] in memory, so forward sees it turned. */
static enum status
make_forward (struct kern_linear *l)
{
  const struct matrix abc[] = {
      {l->n, l->in, false}, {l->in, l->out, true}, {l->n, l->out, false}};
  return make_op (l, "linear", abc, l->bias, false, &l->forward);
}

static enum status
make_weights (struct kern_linear *l)
{
  const struct matrix abc[] = {
      {l->out, l->n, true}, {l->n, l->in, false}, {l->out, l->in, false}};
  TRY (make_op (l, "linear, gradient", abc, false, false, &l->set));
  return make_op (l, "linear, gradient added", abc, false, true, &l->add);
}

enum status
kern_linear_create (struct kern *k, const struct kern_linear_shape *shape,
                    struct kern_linear **lp)
{
  struct kern_linear *l = NULL;
  enum status s = OK;
  TRY (MEM_NEW (1, &l, "linear layer"));
  *l = (struct kern_linear){.k = k,
                            .n = shape->n,
                            .in = shape->in,
                            .out = shape->out,
                            .bias = shape->bias};
  if (forward_is_faster (l->in, l->out, l->bias))
    s = make_forward (l);
  if (s == OK && shape->learns && weights_is_faster (l->in, l->out))
    s = make_weights (l);
  if (s != OK)
    kern_linear_destroy (&l);
  else
    *lp = l;
  return s;
}

void
kern_linear_destroy (struct kern_linear **l)
{
  if (*l != NULL) {
    kern_op_clear (&(*l)->forward);
    kern_op_clear (&(*l)->set);
    kern_op_clear (&(*l)->add);
  }
  mem_free (l);
}

enum status
kern_linear_run (struct kern_linear *l, int64_t rows, const float *x,
                 const float *w, const float *bias, float *y)
{
  CHECK ((bias != NULL) == l->bias, "a linear layer made for the other kind");
  if (rows != l->n || l->forward.primitive == NULL)
    return kern_linear_forward (l->k, rows, l->in, l->out, x, w, bias, y);
  return kern_op_run (l->k, &l->forward, (const void *[]){x, w, y, bias});
}

/* -- backward -------------------------------------------------------------- */

enum status
kern_linear_back_data (struct kern *k, int64_t n, int64_t in, int64_t out,
                       const float *d_y, const float *w, float *d_x)
{
  struct product p = {.a_form = 'N',
                      .b_form = 'N',
                      .m = n,
                      .n = in,
                      .inner = out,
                      .lda = out,
                      .ldb = in,
                      .alpha = 1};
  return multiply (k, &p, d_y, w, d_x);
}

/* Sums of n rows over m <= COLUMNS columns, each in row order; rows of ld
 * numbers. */
#define COLUMNS 512
KERN_CLONES static void
column_sums (int64_t n, int64_t ld, int64_t m, const float *restrict d_y,
             float *restrict sum)
{
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const float *a = d_y + i * ld;
#pragma omp simd
    for (int64_t j = 0; j < m; j++)
      sum[j] = (((sum[j] + a[j]) + a[ld + j]) + a[2 * ld + j]) + a[3 * ld + j];
  }
  for (; i < n; i++)
#pragma omp simd
    for (int64_t j = 0; j < m; j++)
      sum[j] += d_y[i * ld + j];
}

/* Strips of columns, wide enough to read whole pages of a row; how wide changes
 * no bit. */
static void
bias_gradient (const struct kern *k, int64_t n, int64_t out, float scale,
               bool accumulate, const float *d_y, float *d_bias)
{
  int64_t strip = (out / k->threads + 15) / 16 * 16;
  strip = strip < 16 ? 16 : strip > COLUMNS ? COLUMNS : strip;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * out > KERN_ALONE)
  for (int64_t c = 0; c < out; c += strip) {
    const int64_t m = out - c < strip ? out - c : strip;
    float sum[COLUMNS] = {0};
    column_sums (n, out, m, d_y + c, sum);
    for (int64_t j = 0; j < m; j++)
      d_bias[c + j] = (accumulate ? d_bias[c + j] : 0) + scale * sum[j];
  }
}

enum status
kern_linear_back_weights (struct kern *k, int64_t n, int64_t in, int64_t out,
                          const float *x, const float *d_y, float scale,
                          bool accumulate, float *d_w, float *d_bias)
{
  struct product p = {.a_form = 'T',
                      .b_form = 'N',
                      .m = out,
                      .n = in,
                      .inner = n,
                      .lda = out,
                      .ldb = in,
                      .alpha = scale,
                      .beta = accumulate ? 1 : 0};
  if (d_bias != NULL)
    bias_gradient (k, n, out, scale, accumulate, d_y, d_bias);
  return multiply (k, &p, d_y, x, d_w);
}

enum status
kern_linear_run_weights (struct kern_linear *l, int64_t rows, const float *x,
                         const float *d_y, bool accumulate, float *d_w,
                         float *d_bias)
{
  struct kern_op *op = accumulate ? &l->add : &l->set;
  if (rows != l->n || op->primitive == NULL)
    return kern_linear_back_weights (l->k, rows, l->in, l->out, x, d_y, 1.0f,
                                     accumulate, d_w, d_bias);
  if (d_bias != NULL)
    bias_gradient (l->k, rows, l->out, 1.0f, accumulate, d_y, d_bias);
  return kern_op_run (l->k, op, (const void *[]){d_y, x, d_w});
}

/* -- the machine's rate ---------------------------------------------------- */

enum status
kern_peak_flops (struct kern *k, double *flops)
{
  enum { SIDE = 2048, ROUNDS = 3 };
  struct product p = {.a_form = 'N',
                      .b_form = 'N',
                      .m = SIDE,
                      .n = SIDE,
                      .inner = SIDE,
                      .lda = SIDE,
                      .ldb = SIDE,
                      .alpha = 1};
  size_t one = (size_t)SIDE * SIDE;
  float *a = NULL;
  TRY (mem_new (3 * one, sizeof *a, "matrices", (void **)&a));
  for (size_t i = 0; i < 2 * one; i++)
    a[i] = (float)(i % 7) - 3;
  enum status s = multiply (k, &p, a, a + one, a + 2 * one);
  double best = 1e30;
  for (int i = 0; i < ROUNDS && s == OK; i++) {
    double start = clock_now_s ();
    s = multiply (k, &p, a, a + one, a + 2 * one);
    double t = clock_now_s () - start;
    best = t < best ? t : best;
  }
  mem_free (&a);
  if (s == OK)
    *flops = 2.0 * SIDE * SIDE * SIDE / best;
  return s;
}
