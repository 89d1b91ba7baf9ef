/* kern/linear.c -- linear layers by primitives that are made beforehand
 * (linear_op.c), and in runs that earlier versions began by sgemm as well.
 *
 * Bias gradients are own loops.
 */
#include "base/clock.h"
#include "kern/linear_impl.h"

#include <omp.h>

/* By sgemm where it is right (product.c), else by our own loops. */
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

/* -- as earlier versions did ----------------------------------------------- */

/* Whether the primitive was used in place of sgemm: where it was faster,
 * measured on two cores with AVX-512.  With a bias: sgemm needs it in y
 * beforehand, so y is written and read once more.  With a long inner side, 1.3
 * times: sgemm splits that among threads and has to add their parts.  With a
 * far wider result, 1.05 to 1.2 times. */
#define WIDE 16
static bool
forward_is_faster (const struct kern_linear_shape *s)
{
  return s->bias || s->in > s->out || s->out >= WIDE * s->in;
}

/* The gradient of W: 1.03 to 1.17 times where it has many more rows than
 * columns, elsewhere slower. */
#define TALL 4
static bool
weights_is_faster (const struct kern_linear_shape *s)
{
  return s->out >= TALL * s->in;
}

/* The products that stand in for primitives, that have none, and of one row. */
static enum status
prove_sgemm (struct kern *k, const struct kern_linear_shape *s)
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

static enum status
make_old (struct kern_linear *l)
{
  struct linear_rows *r = &l->rows[0];
  const int64_t n = l->s.n;
  TRY (prove_sgemm (l->k, &l->s));
  l->n_rows = 1;
  r->n = n;
  if (l->s.primitives && forward_is_faster (&l->s))
    TRY (kern_linear_op (l, LINEAR_FORWARD, n, KERN_FIRST, true,
                         &r->op[LINEAR_FORWARD]));
  for (int i = LINEAR_SET; i <= LINEAR_ADD; i++)
    if (l->s.primitives && l->s.learns && weights_is_faster (&l->s))
      TRY (kern_linear_op (l, (enum linear_what)i, n, KERN_FIRST, true,
                           &r->op[i]));
  return OK;
}

/* -- making ---------------------------------------------------------------- */

/* Rows in a piece, where a call has another number than the layer is made
 * for. */
#define PIECE 32

static enum kern_direction
direction_of (int what)
{
  return what == LINEAR_FORWARD ? KERN_FORWARD
         : what == LINEAR_DATA  ? KERN_BACK_DATA
                                : KERN_BACK_WEIGHTS;
}

/* All products of n rows, or forward alone; of a number that is there, no
 * more. */
static enum status
add_rows (struct kern_linear *l, int64_t n, bool all,
          const struct kern_tuning *t)
{
  for (int i = 0; i < l->n_rows; i++)
    if (l->rows[i].n == n)
      return OK;
  struct linear_rows *r = &l->rows[l->n_rows++];
  r->n = n;
  const int end = !all ? LINEAR_DATA : l->s.learns ? LINEAR_OPS : LINEAR_SET;
  for (int i = 0; i < end; i++)
    TRY (kern_linear_op (l, (enum linear_what)i, n,
                         kern_linear_choice (t, &l->s, direction_of (i)), false,
                         &r->op[i]));
  return OK;
}

static enum status
make (struct kern_linear *l, const struct kern_tuning *t)
{
  if (l->by_sgemm)
    return make_old (l);
  TRY (add_rows (l, l->s.n, true, t));
  if (l->s.rest > 0)
    TRY (add_rows (l, l->s.rest, true, t));
  if (l->s.n > PIECE)
    TRY (add_rows (l, PIECE, false, t));
  return add_rows (l, 1, false, t);
}

enum status
kern_linear_create (struct kern *k, const struct kern_linear_shape *shape,
                    const struct kern_tuning *t, struct kern_linear **lp)
{
  struct kern_linear *l = NULL;
  CHECK (shape->rest < shape->n, "a rest of %lld rows of %lld",
         (long long)shape->rest, (long long)shape->n);
  TRY (MEM_NEW (1, &l, "linear layer"));
  *l = (struct kern_linear){
      .k = k, .s = *shape, .by_sgemm = kern_tuning_by_sgemm (t)};
  enum status s = make (l, t);
  if (s == OK && shape->primitives && kern_native (k))
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
  for (int i = 0; *l != NULL && i < (*l)->n_rows; i++)
    for (int j = 0; j < LINEAR_OPS; j++)
      kern_op_clear (&(*l)->rows[i].op[j]);
  if (*l != NULL)
    kern_half_destroy (&(*l)->half);
  mem_free (l);
}

void
kern_linear_refresh (struct kern_linear *l, const float *w)
{
  if (l->half != NULL)
    kern_half_refresh (l->half, w);
}

/* -- running --------------------------------------------------------------- */

/* The primitive for so many rows; NULL: none, or one that was wrong. */
static struct kern_op *
op_for (struct kern_linear *l, enum linear_what what, int64_t rows)
{
  for (int i = 0; i < l->n_rows; i++)
    if (l->rows[i].n == rows)
      return l->rows[i].op[what].primitive ? &l->rows[i].op[what] : NULL;
  return NULL;
}

static void
by_own_loops (const struct kern_linear *l, enum linear_what what, int64_t rows,
              const float *a, const float *b, float *c)
{
  const struct kern_product p = kern_linear_product (&l->s, what, rows);
  kern_own_product (l->k->threads, &p, a, b, c);
}

/* As many rows as a piece has that is not larger. */
static int64_t
piece_of (const struct kern_linear *l, int64_t rows)
{
  int64_t best = 1;
  for (int i = 0; i < l->n_rows; i++)
    if (l->rows[i].n <= rows && l->rows[i].n > best)
      best = l->rows[i].n;
  return best;
}

static void
add_bias (const struct kern_linear *l, int64_t rows, const float *bias,
          float *y)
{
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < l->s.out; j++)
      y[i * l->s.out + j] += bias[j];
}

enum status
kern_linear_run (struct kern_linear *l, int64_t rows, const float *x,
                 const float *w, const float *bias, float *y)
{
  CHECK ((bias != NULL) == l->s.bias, "a linear layer made for the other kind");
  if (kern_half_does (l->half, HALF_FORWARD, rows))
    return kern_half_run (l->half, HALF_FORWARD, x, NULL, bias, y);
  if (l->by_sgemm && op_for (l, LINEAR_FORWARD, rows) == NULL)
    return kern_linear_forward (l->k, rows, l->s.in, l->s.out, x, w, bias, y);
  for (int64_t i = 0; i < rows;) {
    const int64_t n = piece_of (l, rows - i);
    const float *from = x + i * l->s.in;
    float *to = y + i * l->s.out;
    struct kern_op *op = op_for (l, LINEAR_FORWARD, n);
    if (op != NULL)
      TRY (kern_op_run (l->k, op, (const void *[]){from, w, to, bias}));
    else
      by_own_loops (l, LINEAR_FORWARD, n, from, w, to);
    if (op == NULL && bias != NULL)
      add_bias (l, n, bias, to);
    i += n;
  }
  return OK;
}

enum status
kern_linear_run_data (struct kern_linear *l, int64_t rows, const float *d_y,
                      const float *w, float *d_x)
{
  struct kern_op *op = op_for (l, LINEAR_DATA, rows);
  if (kern_half_does (l->half, HALF_DATA, rows))
    return kern_half_run (l->half, HALF_DATA, d_y, NULL, NULL, d_x);
  if (op != NULL)
    return kern_op_run (l->k, op, (const void *[]){d_y, w, d_x});
  if (l->by_sgemm)
    return kern_linear_back_data (l->k, rows, l->s.in, l->s.out, d_y, w, d_x);
  by_own_loops (l, LINEAR_DATA, rows, d_y, w, d_x);
  return OK;
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
  const enum linear_what what = accumulate ? LINEAR_ADD : LINEAR_SET;
  const enum half_what half = accumulate ? HALF_ADD : HALF_SET;
  const bool by_half = kern_half_does (l->half, half, rows);
  struct kern_op *op = op_for (l, what, rows);
  if (!by_half && op == NULL && l->by_sgemm)
    return kern_linear_back_weights (l->k, rows, l->s.in, l->s.out, x, d_y,
                                     1.0f, accumulate, d_w, d_bias);
  if (d_bias != NULL)
    bias_gradient (l->k, rows, l->s.out, 1.0f, accumulate, d_y, d_bias);
  if (by_half)
    return kern_half_run (l->half, half, d_y, x, NULL, d_w);
  if (op != NULL)
    return kern_op_run (l->k, op, (const void *[]){d_y, x, d_w});
  by_own_loops (l, what, rows, d_y, x, d_w);
  return OK;
}

/* -- the machine's rate ---------------------------------------------------- */

#define SIDE 2048

/* The best of a few runs; the first only warms up. */
static enum status
rate_of (struct kern *k, struct kern_op *op, float *a, double *flops)
{
  enum { ROUNDS = 3 };
  const size_t one = (size_t)SIDE * SIDE;
  for (int i = 0; i <= ROUNDS; i++) {
    double start = clock_now_s ();
    TRY (kern_op_run (k, op, (const void *[]){a, a + one, a + 2 * one}));
    double rate = 2.0 * SIDE * SIDE * SIDE / (clock_now_s () - start);
    *flops = i > 0 && rate > *flops ? rate : *flops;
  }
  return OK;
}

/* A product that is large enough for full speed, in every way. */
static enum status
rate_of_ways (struct kern *k, float *a, double *flops)
{
  struct kern_linear l = {.k = k, .s = {.n = SIDE, .in = SIDE, .out = SIDE}};
  struct kern_op op = {0};
  enum status s = OK;
  for (int w = 0; w < KERN_WAYS && s == OK; w++) {
    s = kern_linear_op (&l, LINEAR_DATA, SIDE, (enum kern_way)w, true, &op);
    if (s == OK && op.primitive != NULL)
      s = kern_seal (k);
    if (s == OK && op.primitive != NULL)
      s = rate_of (k, &op, a, flops);
    kern_op_clear (&op);
  }
  return s;
}

enum status
kern_peak_flops (struct kern *k, double *flops)
{
  const struct kern_wishes wishes = kern_wishes_save (k);
  const size_t one = (size_t)SIDE * SIDE;
  float *a = NULL;
  TRY (mem_new (3 * one, sizeof *a, "matrices", (void **)&a));
  for (size_t i = 0; i < 2 * one; i++)
    a[i] = (float)(i % 7) - 3;
  double best = 0;
  enum status s = rate_of_ways (k, a, &best);
  enum status after = kern_wishes_restore (k, wishes);
  mem_free (&a);
  if (s == OK && after == OK)
    *flops = best;
  return s != OK ? s : after;
}
