/* ranks: 0 */
/* Linear layers and the loss against their twins and finite differences. */
#include "tests/kern/twin.h"

static struct kern *k;

/* -- linear ---------------------------------------------------------------- */

/* out[i][j] = sum over q of a(i, q) b(q, j), with given strides. */
static void
twin_product (int64_t m, int64_t n, int64_t inner, const float *a, int64_t ai,
              int64_t aq, const float *b, int64_t bq, int64_t bj, double *out,
              double *size)
{
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double sum = 0, abs = 0;
      for (int64_t q = 0; q < inner; q++) {
        double t = (double)a[i * ai + q * aq] * b[q * bq + j * bj];
        sum += t;
        abs += fabs (t);
      }
      out[i * n + j] = sum;
      size[i * n + j] = abs;
    }
}

/* d_b is times the sums over n rows, which were added twice. */
static bool
bias_holds (int64_t n, int64_t out, const float *d_y, double times,
            const float *d_b)
{
  bool good = true;
  for (int64_t j = 0; j < out; j++) {
    double sum = 0, size = 0, reach = rounding ((double)n + 2);
    for (int64_t i = 0; i < n; i++) {
      sum += times * d_y[i * out + j];
      size += times * fabs (d_y[i * out + j]);
    }
    good = good && fabs (d_b[j] - sum) <= reach * size &&
           fabs (d_b[j] - sum - 1e-4 * (1 + size)) > reach * size;
  }
  return good;
}

static void
test_linear (int64_t n, int64_t in, int64_t out)
{
  size_t nx = (size_t)(n * in), nw = (size_t)(in * out), ny = (size_t)(n * out);
  size_t most = nx + nw + ny;
  float *x = noise (nx, 1), *w = noise (nw, 2), *b = noise ((size_t)out, 3);
  float *d_y = noise (ny, 4), *y = noise (ny, 5), *d_x = noise (nx, 6);
  float *d_w = noise (nw, 7), *d_b = noise ((size_t)out, 8);
  double *want = doubles (most), *size = doubles (most);
  const double by_in = rounding ((double)in + 1);
  const double by_out = rounding ((double)out), by_rows = rounding ((double)n);
  MUST (kern_linear_forward (k, n, in, out, x, w, NULL, y));
  twin_product (n, out, in, x, in, 1, w, 1, in, want, size);
  bool good = close_to (ny, y, want, size, by_in);
  MUST (kern_linear_forward (k, n, in, out, x, w, b, y));
  for (size_t i = 0; i < ny; i++) {
    want[i] += b[i % (size_t)out];
    size[i] += fabs (b[i % (size_t)out]);
  }
  good = good && close_to (ny, y, want, size, by_in);
  want[ny - 1] += size[ny - 1] * 1e-4 + 1e-4;
  good = good && !close_to (ny, y, want, size, by_in); /* planted */
  tap_ok (good, "linear %d x %d -> %d: forward", (int)n, (int)in, (int)out);
  MUST (kern_linear_back_data (k, n, in, out, d_y, w, d_x));
  twin_product (n, in, out, d_y, out, 1, w, in, 1, want, size);
  tap_ok (close_to (nx, d_x, want, size, by_out),
          "linear %d x %d -> %d: backward data", (int)n, (int)in, (int)out);
  twin_product (out, in, n, d_y, 1, out, x, in, 1, want, size);
  MUST (kern_linear_back_weights (k, n, in, out, x, d_y, 1, false, d_w, d_b));
  good = close_to (nw, d_w, want, size, by_rows);
  MUST (kern_linear_back_weights (k, n, in, out, x, d_y, 0.5f, true, d_w, d_b));
  for (size_t i = 0; i < nw; i++) {
    want[i] *= 1.5;
    size[i] *= 1.5;
  }
  good = good && close_to (nw, d_w, want, size, rounding ((double)n + 2));
  good = good && bias_holds (n, out, d_y, 1.5, d_b);
  MUST (kern_linear_back_weights (k, n, in, out, x, d_y, 1, false, d_w, NULL));
  tap_ok (good, "linear %d x %d -> %d: backward weights and bias", (int)n,
          (int)in, (int)out);
  float *all[] = {x, w, b, d_y, y, d_x, d_w, d_b};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
  mem_free (&want);
  mem_free (&size);
}

/* Rows of a layer made for n: all are written where rows is n, none behind. */
static bool
forward_holds (struct kern_linear *l, const struct kern_linear_shape *a,
               int64_t rows, const double *want, const double *size)
{
  const size_t all = (size_t)(a->n * a->out), some = (size_t)(rows * a->out);
  float *x = noise ((size_t)(a->n * a->in), 1), *b = noise ((size_t)a->out, 3);
  float *w = noise ((size_t)(a->in * a->out), 2), *y = noise (all, 5);
  for (size_t i = 0; i < all; i++)
    y[i] = NAN;
  MUST (kern_linear_run (l, rows, x, w, a->bias ? b : NULL, y));
  bool good = close_to (some, y, want, size, rounding ((double)a->in + 1));
  for (size_t i = some; i < all; i++)
    good = good && isnan (y[i]);
  mem_free (&x);
  mem_free (&w);
  mem_free (&b);
  mem_free (&y);
  return good;
}

/* Gradients of W and the bias from the first `rows`, set and then added. */
static bool
weights_hold (struct kern_linear *l, const struct kern_linear_shape *a,
              int64_t rows)
{
  const size_t nw = (size_t)(a->in * a->out);
  float *x = noise ((size_t)(a->n * a->in), 1), *d_w = noise (nw, 7);
  float *d_y = noise ((size_t)(a->n * a->out), 4);
  float *d_b = noise ((size_t)a->out, 8);
  double *want = doubles (nw), *size = doubles (nw);
  twin_product (a->out, a->in, rows, d_y, 1, a->out, x, a->in, 1, want, size);
  const double reach = rounding ((double)rows + 2);
  MUST (kern_linear_run_weights (l, rows, x, d_y, false, d_w, d_b));
  bool good = close_to (nw, d_w, want, size, reach);
  MUST (kern_linear_run_weights (l, rows, x, d_y, true, d_w, NULL));
  good = good && !close_to (nw, d_w, want, size, reach);
  MUST (kern_linear_run_weights (l, rows, x, d_y, true, d_w, d_b));
  for (size_t i = 0; i < nw; i++) {
    want[i] *= 3;
    size[i] *= 3;
  }
  good = good && close_to (nw, d_w, want, size, reach) &&
         bias_holds (rows, a->out, d_y, 2, d_b);
  float *all[] = {x, d_w, d_y, d_b};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
  mem_free (&want);
  mem_free (&size);
  return good;
}

static bool
data_holds (struct kern_linear *l, const struct kern_linear_shape *a,
            int64_t rows)
{
  const size_t nx = (size_t)(rows * a->in);
  float *d_y = noise ((size_t)(a->n * a->out), 4), *d_x = noise (nx, 6);
  float *w = noise ((size_t)(a->in * a->out), 2);
  double *want = doubles (nx), *size = doubles (nx);
  twin_product (rows, a->in, a->out, d_y, a->out, 1, w, a->in, 1, want, size);
  MUST (kern_linear_run_data (l, rows, d_y, w, d_x));
  const double reach = rounding ((double)a->out);
  bool good = close_to (nx, d_x, want, size, reach);
  want[nx - 1] += 1e-4 * (1 + size[nx - 1]);
  good = good && !close_to (nx, d_x, want, size, reach); /* planted */
  float *all[] = {d_y, d_x, w};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
  mem_free (&want);
  mem_free (&size);
  return good;
}

/* Every way of every direction, and as earlier versions computed. */
static const char *const ways[] = {
    "products = matmul\n", "", NULL,
    "forward=first back_data=first back_weights=first",
    "forward=gemm back_data=gemm back_weights=gemm"};
#define N_WAYS (int)(sizeof ways / sizeof *ways)

static struct kern_tuning *
table_of (int way, int64_t n, int64_t in, int64_t out)
{
  char text[200];
  struct kern_tuning *t = NULL;
  if (!ways[way])
    return NULL;
  MUST (kern_tuning_create (&t));
  snprintf (text, sizeof text, "%s", ways[way]);
  if (way > 2)
    snprintf (text, sizeof text,
              "products = matmul\nlinear n=%lld in=%lld out=%lld %s\n",
              (long long)n, (long long)in, (long long)out, ways[way]);
  MUST (kern_tuning_parse (text, "here", t));
  return t;
}

/* A layer made for n rows, on n rows, on the rest, and on fewer. */
static void
test_made_so (int64_t n, int64_t in, int64_t out, bool bias, int way)
{
  const struct kern_linear_shape a = {
      n, in, out, bias, true, n > 3 ? 3 : 0, way % 2 == 0};
  struct kern_tuning *t = table_of (way, n, in, out);
  const size_t ny = (size_t)(n * out);
  struct kern_linear *l = NULL;
  float *x = noise ((size_t)(n * in), 1), *w = noise ((size_t)(in * out), 2);
  float *b = noise ((size_t)out, 3);
  double *want = doubles (ny), *size = doubles (ny);
  twin_product (n, out, in, x, in, 1, w, 1, in, want, size);
  for (size_t i = 0; bias && i < ny; i++) {
    want[i] += b[i % (size_t)out];
    size[i] += fabs (b[i % (size_t)out]);
  }
  MUST (kern_linear_create (k, &a, t, &l));
  MUST (kern_seal (k));
  bool good = forward_holds (l, &a, n, want, size) && weights_hold (l, &a, n) &&
              data_holds (l, &a, n);
  for (int64_t rows = 1; rows < n; rows += rows == 1 ? 2 : n / 2)
    good = good && forward_holds (l, &a, rows, want, size) &&
           weights_hold (l, &a, rows) && data_holds (l, &a, rows);
  tap_ok (good, "linear layer made for %d x %d -> %d%s, way %d", (int)n,
          (int)in, (int)out, bias ? ", bias" : "", way);
  kern_linear_destroy (&l);
  kern_tuning_destroy (&t);
  mem_free (&x);
  mem_free (&w);
  mem_free (&b);
  mem_free (&want);
  mem_free (&size);
}

static void
test_made (int64_t n, int64_t in, int64_t out, bool bias)
{
  for (int way = 0; way < N_WAYS; way++)
    test_made_so (n, in, out, bias, way);
}

/* -- loss ------------------------------------------------------------------ */

/* *loss_reach and reach [n x classes]: how far float may lie from the loss and
 * from each number of d.  A probability has an exponential, the sum of all and
 * a division; a row's loss adds the logarithm of the sum, the largest logit and
 * that of the label; smoothed, the mean of all, too. */
static double
twin_loss (int64_t n, int64_t classes, const float *z,
           const struct kern_target *t, double *d, int64_t *correct,
           double *loss_reach, double *reach)
{
  const int32_t *labels = t->labels;
  const double scale = t->scale, e = t->smoothing;
  const double share = rounding ((double)classes + EXP_ROUNDINGS + 2);
  double loss = 0;
  *correct = 0;
  *loss_reach = 0;
  for (int64_t i = 0; i < n; i++) {
    const float *row = z + i * classes;
    double sum = 0, top = -INFINITY;
    int64_t best = 0;
    for (int64_t j = 0; j < classes; j++)
      if (row[j] > top) {
        top = row[j];
        best = j;
      }
    for (int64_t j = 0; j < classes; j++)
      sum += exp (row[j] - top);
    for (int64_t j = 0; j < classes; j++) {
      double p = exp (row[j] - top) / sum;
      int64_t at = i * classes + j;
      double target = (1 - e) * (j == labels[i]) + e / (double)classes;
      d[at] = labels[i] < 0 ? 0 : scale * (p - target);
      /* The difference to the largest is rounded before the exponential. */
      reach[at] = scale * p * (share + (top - row[j]) * FLOAT_UNIT) +
                  2 * FLOAT_UNIT * fabs (d[at]) +
                  4 * FLOAT_UNIT * scale * target * (e > 0);
    }
    if (labels[i] < 0)
      continue;
    loss += log (sum) + top - (1 - e) * row[labels[i]];
    for (int64_t j = 0; j < classes; j++)
      loss -= e / (double)classes * row[j];
    *loss_reach +=
        share + rounding (3) * (log (sum) + fabs (top) + fabs (row[labels[i]]));
    *correct += best == labels[i];
  }
  return loss;
}

static void
test_loss (int64_t n, int64_t classes, float spread, float smoothing)
{
  size_t all = (size_t)(n * classes);
  float *z = noise (all, 1), *d = noise (all, 2), *u = noise (all, 3);
  int32_t *labels = NULL;
  double *want = doubles (all), *reach = doubles (all), loss, again, off;
  int64_t correct, right, ignored;
  MUST (MEM_NEW ((size_t)n, &labels, "labels"));
  for (size_t i = 0; i < all; i++)
    z[i] = roundf (64 * spread * z[i]) / 64; /* equals happen */
  for (int64_t i = 0; i < n; i++)
    labels[i] = i % 7 == 3 ? -1 : (int32_t)((i * 5 + i / 3) % classes);
  const struct kern_target t = {labels, 0.25f, smoothing};
  double twin = twin_loss (n, classes, z, &t, want, &right, &off, reach);
  mem_close ();
  MUST (kern_loss (k, n, classes, z, &t, &loss, &correct, d));
  MUST (kern_loss (k, n, classes, z, &t, &again, &ignored, NULL));
  mem_open ();
  tap_ok (fabs (loss - twin) <= off && again == loss && correct == right &&
              ignored == right && close_to (all, d, want, reach, 1),
          "loss of %d rows of %d classes, spread %g, smoothing %g", (int)n,
          (int)classes, spread, smoothing);
  if (smoothing > 0 && classes > 1) {
    const struct kern_target sharp = {labels, 0.25f, 0};
    double other = twin_loss (n, classes, z, &sharp, want, &right, &off, reach);
    tap_ok (fabs (loss - other) > off && !close_to (all, d, want, reach, 1),
            "planted: labels as they are");
    twin_loss (n, classes, z, &t, want, &right, &off, reach);
  }
  want[all / 2] += 1e-5;
  tap_ok (!close_to (all, d, want, reach, 1), "a planted fault is noticed");
  struct slope f = {.step = 0.02, .noise = 2 * off};
  for (int i = 0; i < 4; i++) {
    float *p = moved (all, z, slope_steps[i] * f.step, u);
    MUST (kern_loss (k, n, classes, p, &t, &f.at[i], &ignored, NULL));
    mem_free (&p);
  }
  double g = 4 * dot (all, d, u);
  tap_ok (slope_agrees (&f, g) && !slope_agrees (&f, 1.2 * g + 0.1),
          "its gradient is a slope");
  mem_free (&z);
  mem_free (&d);
  mem_free (&u);
  mem_free (&labels);
  mem_free (&want);
  mem_free (&reach);
}

/* Closed forms, and numbers that are none. */
static void
test_loss_edges (void)
{
  float even[4] = {2, 2, 2, 2}, d[4], far[4] = {0, 3e4f, -3e4f, 0};
  int32_t label = 0, second = 1;
  double loss;
  int64_t correct;
  MUST (kern_loss (k, 1, 4, even, &(struct kern_target){&label, 1, 0}, &loss,
                   &correct, d));
  tap_ok (fabs (loss - log (4)) <= rounding (16) * log (4) && correct == 1 &&
              d[1] == 0.25f && d[0] == -0.75f,
          "equal logits: log 4, and the first of equals wins");
  MUST (kern_loss (k, 1, 4, even, &(struct kern_target){&second, 1, 0}, &loss,
                   &correct, d));
  tap_ok (correct == 0, "the second of equals does not");
  MUST (kern_loss (k, 1, 4, far, &(struct kern_target){&label, 1, 0}, &loss,
                   &correct, d));
  tap_ok (loss == 3e4 && d[1] == 1 && d[0] == -1 && d[2] == 0,
          "logits far apart neither overflow nor underflow");
  const float bad[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < 3; i++) {
    float z[4] = {0, 1, 2, 3};
    z[2] = bad[i];
    MUST (kern_loss (k, 1, 4, z, &(struct kern_target){&label, 1, 0}, &loss,
                     &correct, d));
    tap_ok (isnan (loss) && isnan (d[0]) && correct == 0,
            "a logit of %g makes loss and gradient NaN", bad[i]);
  }
  const struct kern_target half = {&label, 1, 0.5f};
  MUST (kern_loss (k, 1, 4, even, &half, &loss, &correct, d));
  tap_ok (fabs (loss - log (4)) <= rounding (16) * log (4) && d[0] == -0.375f &&
              d[3] == 0.125f,
          "equal logits, half of the label shared out: log 4");
  label = -5;
  MUST (kern_loss (k, 1, 4, bad, &(struct kern_target){&label, 1, 0}, &loss,
                   &correct, d));
  tap_ok (loss == 0 && correct == 0 && d[0] == 0 && d[3] == 0,
          "a negative label takes the row out");
}

int
main (void)
{
  for (int threads = 1; threads <= 2; threads++) {
    MUST (kern_open (threads, &k));
    test_linear (1, 1, 1);
    test_linear (5, 7, 3);
    test_linear (32, 64, 10);
    test_linear (33, 129, 100);
    for (int bias = 0; bias < 2; bias++) {
      test_made (6, 20, 20, bias); /* as wide as deep, narrower, far wider */
      test_made (33, 129, 47, bias);
      test_made (5, 7, 200, bias);
    }
    test_made (64, 300, 64, true);
    test_made (70, 40, 30, true); /* pieces */
    for (int smooth = 0; smooth < 2; smooth++) {
      const float e = smooth ? 0.1f : 0;
      test_loss (1, 1, 1, e);
      test_loss (37, 10, 4, e);
      test_loss (6, 1000, 20, e);
      test_loss (3, 8193, 9, e);
      if (threads == 1)
        test_loss (1500, 10, 3, e);
    }
    test_loss_edges ();
    kern_close (&k);
  }
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left behind");
  return tap_done ();
}
