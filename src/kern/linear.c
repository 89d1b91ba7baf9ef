/* kern/linear.c -- linear layers by the library's sgemm and matmul primitive.
 *
 * W is [out, in] row-major as files have it, so nothing is ever reordered: the
 * transpositions are flags or strides.  Bias gradients are own loops.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "kern/half_impl.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>

/* By the library where it is right (product.c), else by our own loops. */
static enum status
multiply (struct kern *k, const struct kern_product *p, const float *a,
          const float *b, float *c)
{
  bool right = true;
  omp_set_num_threads (k->threads);
  TRY (kern_product_prove (k, p, false, &right));
  if (right)
    return kern_product_run (p, a, b, c);
  kern_own_product (k->threads, p, a, b, c);
  return OK;
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
  struct kern_product p = {.a_form = 'N',
                           .b_form = 'T',
                           .m = n,
                           .n = out,
                           .inner = in,
                           .lda = in,
                           .ldb = in,
                           .ldc = out,
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
  struct kern_half *half;           /* owned; NULL: all of it is f32 */
};

/* Whether the primitive is used in place of sgemm: where it was faster,
 * measured on two cores with AVX-512.  With a bias: sgemm needs it in y
 * beforehand, so y is written and read once more.  With a long inner side, 1.3
 * times: sgemm splits that among threads and has to add their parts.  With a
 * far wider result, 1.05 to 1.2 times. */
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

static enum status
make (struct kern *k, const struct kern_linear_shape *shape, bool forward,
      bool weights, struct kern_linear **lp)
{
  struct kern_linear *l = NULL;
  enum status s = OK;
  TRY (MEM_NEW (1, &l, "linear layer"));
  *l = (struct kern_linear){.k = k,
                            .n = shape->n,
                            .in = shape->in,
                            .out = shape->out,
                            .bias = shape->bias};
  if (forward)
    s = make_forward (l);
  if (s == OK && weights)
    s = make_weights (l);
  if (s != OK)
    kern_linear_destroy (&l);
  else
    *lp = l;
  return s;
}

/* -- proofs of primitives -------------------------------------------------- */

#define MOST_ROWS 64
#define MOST_SIDE 384

enum { FORWARD, SET, ADD, OPS };

static struct kern_op *
op_of (struct kern_linear *l, int which)
{
  return which == FORWARD ? &l->forward : which == SET ? &l->set : &l->add;
}

static bool
same_ops (struct kern_linear *a, struct kern_linear *b)
{
  for (int i = 0; i < OPS; i++)
    if (strcmp (op_of (a, i)->impl, op_of (b, i)->impl) != 0)
      return false;
  return true;
}

static struct kern_product
product_of (const struct kern_linear *l, int which)
{
  const bool ahead = which == FORWARD;
  return (struct kern_product){.a_form = ahead ? 'N' : 'T',
                               .b_form = ahead ? 'T' : 'N',
                               .m = ahead ? l->n : l->out,
                               .n = ahead ? l->out : l->in,
                               .inner = ahead ? l->in : l->n,
                               .lda = ahead ? l->in : l->out,
                               .ldb = l->in,
                               .ldc = ahead ? l->out : l->in,
                               .alpha = 1,
                               .beta = which == ADD};
}

/* One run of whole numbers; kind: of the nonsense before. */
static enum status
try_op (struct kern_linear *l, int which, float *v, double *sum, int kind,
        double *error)
{
  const struct kern_product p = product_of (l, which);
  float *a = v, *b = a + p.m * p.inner, *c = b + p.inner * p.n;
  float *bias = c + p.m * p.n + KERN_GUARD;
  const int amplitude = kern_amplitude ((double)p.inner + 1);
  const float before = (float)(kind + 1);
  kern_fill_whole (a, (size_t)(p.m * p.inner), amplitude, 1);
  kern_fill_whole (b, (size_t)(p.inner * p.n), 2, 2);
  kern_fill_whole (bias, (size_t)l->out, 2, 3);
  kern_spoil (c, (size_t)(p.m * p.n) + KERN_GUARD, kind);
  for (int64_t i = 0; which == ADD && i < p.m * p.n; i++)
    c[i] = before;
  kern_aside_spoil (l->k, kind);
  TRY (kern_op_run (l->k, op_of (l, which), (const void *[]){a, b, c, bias}));
  double e = kern_product_difference (&p, a, b, c,
                                      which == FORWARD && l->bias ? bias : NULL,
                                      before, amplitude, sum);
  if (!kern_spoilt (c + p.m * p.n, KERN_GUARD, kind) ||
      !kern_aside_whole (l->k, op_of (l, which)->scratch_bytes, kind))
    e = INFINITY;
  if (!(e <= *error))
    *error = e;
  return OK;
}

static enum status
try_twice (struct kern_linear *l, int which, double *error)
{
  const int64_t n = l->n, in = l->in, out = l->out;
  float *v = NULL;
  double *sum = NULL;
  *error = 0;
  TRY (MEM_NEW ((size_t)(n * in + in * out + n * out + out) + KERN_GUARD, &v,
                "proof"));
  enum status s = MEM_NEW ((size_t)(n > in ? n : in), &sum, "proof");
  for (int kind = 0; kind < 2 && s == OK; kind++)
    s = try_op (l, which, v, sum, kind, error);
  mem_free (&sum);
  mem_free (&v);
  return s;
}

/* A small one with the same primitives; how: 0 smallest, 1 in rows, 2 not. */
static enum status
make_small (struct kern_linear *l, int how, struct kern_linear **out)
{
  const struct kern_linear_shape small = {
      .n = how < 2 ? kern_reduced (l->n, MOST_ROWS) : l->n,
      .in = how < 1 ? kern_reduced (l->in, MOST_SIDE) : l->in,
      .out = how < 1 ? kern_reduced (l->out, MOST_SIDE) : l->out,
      .bias = l->bias};
  TRY (make (l->k, &small, l->forward.primitive != NULL,
             l->set.primitive != NULL, out));
  return kern_aside_seal (l->k);
}

static enum status
judge (struct kern_linear *l, struct kern_linear *small, int which)
{
  static const char *const names[] = {"forward", "gradient", "gradient added"};
  char key[KERN_KEY], why[96];
  double error = -1;
  struct kern_op *op = op_of (l, which);
  if (op->primitive == NULL)
    return OK;
  snprintf (key, sizeof key, "linear %s n=%lld in=%lld out=%lld%s by %s",
            names[which], (long long)small->n, (long long)small->in,
            (long long)small->out, l->bias ? " with bias" : "", op->impl);
  enum kern_known known = kern_verdict_get (l->k, key);
  if (known == KERN_UNKNOWN) {
    if (!l->k->distrust)
      TRY (try_twice (small, which, &error));
    if (fault_here ("verdict"))
      error = 1;
    known = error == 0 ? KERN_RIGHT : KERN_WRONG;
    snprintf (why, sizeof why, "wrong by %.2g of what its terms add up to",
              error);
    TRY (kern_verdict_put (l->k, key, known == KERN_RIGHT, error,
                           l->k->distrust ? "not believed" : why));
  }
  if (known == KERN_WRONG)
    kern_op_clear (op); /* sgemm computes in its place */
  return OK;
}

static enum status
prove (struct kern_linear *l)
{
  struct kern_aside aside;
  struct kern_linear *small = NULL;
  kern_aside_open (l->k, &aside);
  enum status s = make_small (l, 0, &small);
  for (int how = 1; how < 3 && s == OK && !same_ops (l, small); how++) {
    kern_linear_destroy (&small);
    arena_close (&l->k->slab);
    s = make_small (l, how, &small);
  }
  for (int i = 0; i < OPS && s == OK; i++)
    s = judge (l, small, i);
  kern_linear_destroy (&small);
  kern_aside_close (l->k, &aside);
  return s;
}

/* The products that stand in for primitives, that have none, and of one row. */
enum status
kern_linear_prove (struct kern *k, const struct kern_linear_shape *s)
{
  bool right;
  for (int one = 0; one < 2; one++) {
    const int64_t n = one ? 1 : s->n;
    const struct kern_product p[] = {
        {'N', 'T', n, s->out, s->in, 0, 0, 0, 1, s->bias},
        {'N', 'N', n, s->in, s->out, 0, 0, 0, 1, 0},
        {'T', 'N', s->out, s->in, n, 0, 0, 0, 1, 0},
        {'T', 'N', s->out, s->in, n, 0, 0, 0, 1, 1}};
    for (int i = 0; i < (one || !s->learns ? 1 : 4); i++)
      TRY (kern_product_prove (k, &p[i], false, &right));
  }
  return kern_verdicts_reserve (k);
}

enum status
kern_linear_create (struct kern *k, const struct kern_linear_shape *shape,
                    struct kern_linear **lp)
{
  struct kern_linear *l = NULL;
  enum status s = OK;
  TRY (kern_linear_prove (k, shape));
  TRY (make (k, shape, forward_is_faster (shape->in, shape->out, shape->bias),
             shape->learns && weights_is_faster (shape->in, shape->out), &l));
  if (l->forward.primitive != NULL || l->set.primitive != NULL)
    s = prove (l);
  if (s == OK && kern_native (k))
    s = kern_half_create (k, shape, &l->half);
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
    kern_half_destroy (&(*l)->half);
  }
  mem_free (l);
}

void
kern_linear_refresh (struct kern_linear *l, const float *w)
{
  if (l->half != NULL)
    kern_half_refresh (l->half, w);
}

enum status
kern_linear_run (struct kern_linear *l, int64_t rows, const float *x,
                 const float *w, const float *bias, float *y)
{
  CHECK ((bias != NULL) == l->bias, "a linear layer made for the other kind");
  if (kern_half_does (l->half, HALF_FORWARD, rows))
    return kern_half_run (l->half, HALF_FORWARD, x, NULL, bias, y);
  if (rows != l->n || l->forward.primitive == NULL)
    return kern_linear_forward (l->k, rows, l->in, l->out, x, w, bias, y);
  return kern_op_run (l->k, &l->forward, (const void *[]){x, w, y, bias});
}

/* -- backward -------------------------------------------------------------- */

enum status
kern_linear_back_data (struct kern *k, int64_t n, int64_t in, int64_t out,
                       const float *d_y, const float *w, float *d_x)
{
  struct kern_product p = {.a_form = 'N',
                           .b_form = 'N',
                           .m = n,
                           .n = in,
                           .inner = out,
                           .lda = out,
                           .ldb = in,
                           .ldc = in,
                           .alpha = 1};
  return multiply (k, &p, d_y, w, d_x);
}

enum status
kern_linear_run_data (struct kern_linear *l, int64_t rows, const float *d_y,
                      const float *w, float *d_x)
{
  if (kern_half_does (l->half, HALF_DATA, rows))
    return kern_half_run (l->half, HALF_DATA, d_y, NULL, NULL, d_x);
  return kern_linear_back_data (l->k, rows, l->in, l->out, d_y, w, d_x);
}

/* Adds n rows up, m <= COLUMNS columns of them; rows of ld numbers.  Four rows
 * at a time, so that the sums are read and written a quarter as often, but each
 * is still added in row order. */
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
  struct kern_product p = {.a_form = 'T',
                           .b_form = 'N',
                           .m = out,
                           .n = in,
                           .inner = n,
                           .lda = out,
                           .ldb = in,
                           .ldc = in,
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
  const enum half_what half = accumulate ? HALF_ADD : HALF_SET;
  if (kern_half_does (l->half, half, rows)) {
    if (d_bias != NULL)
      bias_gradient (l->k, rows, l->out, 1.0f, accumulate, d_y, d_bias);
    return kern_half_run (l->half, half, d_y, x, NULL, d_w);
  }
  if (rows != l->n || op->primitive == NULL)
    return kern_linear_back_weights (l->k, rows, l->in, l->out, x, d_y, 1.0f,
                                     accumulate, d_w, d_bias);
  if (d_bias != NULL)
    bias_gradient (l->k, rows, l->out, 1.0f, accumulate, d_y, d_bias);
  return kern_op_run (l->k, op, (const void *[]){d_y, x, d_w});
}

/* -- the machine's rate ---------------------------------------------------- */

/* The best of a few products that are large enough for full speed; the first
 * run is not counted, as it proves the product and warms up. */
enum status
kern_peak_flops (struct kern *k, double *flops)
{
  enum { SIDE = 2048, ROUNDS = 3 };
  struct kern_product p = {.a_form = 'N',
                           .b_form = 'N',
                           .m = SIDE,
                           .n = SIDE,
                           .inner = SIDE,
                           .lda = SIDE,
                           .ldb = SIDE,
                           .ldc = SIDE,
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
