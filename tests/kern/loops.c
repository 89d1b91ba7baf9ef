/* ranks: 0 */
/* Own loops against the formula they stand for, at lengths around the units of
 * work; optimizers against twins in double; layouts. */
#include "tests/kern/twin.h"

static struct kern *one, *two;

/* -- elementwise ----------------------------------------------------------- */

enum what { ADD_RELU, RELU, RELU_BACK, ADD_GATE, AXPY, COMBINE, ZERO, WHATS };
static const char *const what_names[WHATS] = {
    "add_relu", "relu", "relu_back", "add_gate", "axpy", "combine", "zero"};

static void
run (struct kern *k, enum what what, size_t n, const float *const x[3],
     float *y)
{
  const float a[3] = {0.5f, -2, 0.25f};
  switch (what) {
  case ADD_RELU:
    kern_add_relu (k, n, x[0], x[1], y);
    break;
  case RELU:
    kern_relu (k, n, x[0], y);
    break;
  case RELU_BACK:
    kern_relu_back (k, n, x[0], x[1], y);
    break;
  case ADD_GATE:
    kern_add_gate (k, n, x[0], x[1], y);
    break;
  case AXPY:
    kern_axpy (k, n, 3, x[0], y);
    break;
  case COMBINE:
    kern_combine (k, n, 3, x, a, y);
    break;
  default:
    kern_zero (k, n, y);
  }
}

/* How far float may be off: of formula, in roundings of its terms. */
static double
reach (enum what what, const float *const x[3], double y, size_t i)
{
  double terms = fabs (y) + 3 * fabs (x[0][i]) + 2 * fabs (x[1][i]) +
                 0.25 * fabs (x[2][i]);
  return what == ZERO || what == RELU || what == RELU_BACK
             ? 0
             : rounding (4) * terms;
}

static double
formula (enum what what, const float *const x[3], double y, size_t i)
{
  switch (what) {
  case ADD_RELU:
    return fmax ((double)x[0][i] + x[1][i], 0);
  case RELU:
    return fmax (x[0][i], 0);
  case RELU_BACK:
    return x[1][i] > 0 ? x[0][i] : 0;
  case ADD_GATE:
    return x[1][i] > 0 ? y + x[0][i] : 0;
  case AXPY:
    return y + 3 * (double)x[0][i];
  case COMBINE:
    return 0.5 * x[0][i] - 2.0 * x[1][i] + 0.25 * x[2][i];
  default:
    return 0;
  }
}

/* The number behind the end must survive. */
static void
test_elementwise (enum what what, size_t n)
{
  float *x[3] = {noise (n, 1), noise (n, 2), noise (n, 3)};
  const float *const xs[3] = {x[0], x[1], x[2]};
  float *y = noise (n + 1, 4), *y2 = noise (n + 1, 4), *old = noise (n + 1, 4);
  run (one, what, n, xs, y);
  run (two, what, n, xs, y2);
  bool good = y[n] == old[n] && memcmp (y, y2, (n + 1) * sizeof *y) == 0;
  for (size_t i = 0; i < n; i++)
    good = good && fabs (y[i] - formula (what, xs, old[i], i)) <=
                       reach (what, xs, old[i], i);
  tap_ok (good, "%s of %zu, on one thread and on two", what_names[what], n);
  for (int i = 0; i < 3; i++)
    mem_free (&x[i]);
  mem_free (&y);
  mem_free (&y2);
  mem_free (&old);
}

static void
test_in_place (void)
{
  size_t n = 1000;
  float *x = noise (n, 1), *y = noise (n, 2), *z = noise (n, 2);
  kern_add_relu (one, n, x, z, z);
  bool good = true;
  for (size_t i = 0; i < n; i++)
    good = good && z[i] == (x[i] + y[i] > 0 ? x[i] + y[i] : 0);
  tap_ok (good, "add_relu over its own input");
  const float *const terms[2] = {z, x};
  const float a[2] = {2, -3};
  memcpy (z, y, n * sizeof *z);
  kern_combine (one, n, 2, terms, a, z);
  for (size_t i = 0; i < n; i++)
    good = good && fabs (z[i] - (2.0 * y[i] - 3.0 * x[i])) <=
                       rounding (3) * (fabs (2.0 * y[i]) + fabs (3.0 * x[i]));
  memcpy (z, y, n * sizeof *z);
  kern_relu_back (one, n, z, x, z);
  for (size_t i = 0; i < n; i++)
    good = good && z[i] == (x[i] > 0 ? y[i] : 0);
  tap_ok (good, "combine over its first term, relu_back over its gradient");
  /* Bit for bit what the two passes give that it stands for. */
  float *d = noise (n, 3), *e = noise (n, 3);
  kern_add_gate (one, n, x, y, d);
  kern_axpy (one, n, 1, x, e);
  kern_relu_back (one, n, e, y, e);
  tap_ok (memcmp (d, e, n * sizeof *d) == 0, "add_gate: axpy, then relu_back");
  mem_free (&d);
  mem_free (&e);
  float odd[4] = {NAN, INFINITY, -INFINITY, -0.0f}, out[4];
  kern_relu (one, 4, odd, out);
  tap_ok (isnan (out[0]) && out[1] == INFINITY && out[2] == 0 && out[3] == 0,
          "relu keeps NaN and infinity");
  kern_add_relu (one, 4, odd, odd, out);
  tap_ok (isnan (out[0]) && out[1] == INFINITY && out[2] == 0,
          "add_relu keeps NaN and infinity");
  mem_free (&x);
  mem_free (&y);
  mem_free (&z);
}

static void
test_squares (size_t n)
{
  float *x = noise (n, 1);
  double want = dot (n, x, x), got = kern_sum_squares (one, n, x);
  double other = kern_sum_squares (two, n, x);
  double room = 2 * roundings ((double)n + 1, DOUBLE_UNIT) * want;
  tap_ok (fabs (got - want) <= room && got == other,
          "sum of %zu squares, on one thread and on two", n);
  if (n > 0) {
    x[n / 2] = NAN;
    tap_ok (isnan (kern_sum_squares (two, n, x)), "NaN is not lost");
  }
  mem_free (&x);
}

static void
test_dot (size_t n)
{
  float *x = noise (n, 1), *y = noise (n, 2);
  double want = dot (n, x, y), got = kern_dot (one, n, x, y);
  /* Both sums round, and |x| |y| is no less than the sum of absolute terms. */
  double room = 2 * roundings ((double)n + 1, DOUBLE_UNIT) *
                sqrt (dot (n, x, x)) * sqrt (dot (n, y, y));
  tap_ok (fabs (got - want) <= room && got == kern_dot (two, n, x, y) &&
              kern_dot (one, n, x, x) == kern_sum_squares (two, n, x),
          "sum of %zu products, on one thread and on two", n);
  mem_free (&x);
  mem_free (&y);
}

/* -- optimizers ------------------------------------------------------------ */

/* A number of a twin, and the sum of absolute values of the terms behind it. */
struct sized {
  double *v, *size;
};

static struct sized
sized_new (size_t n, const float *from)
{
  struct sized s = {doubles (n), doubles (n)};
  for (size_t i = 0; from && i < n; i++) {
    s.v[i] = from[i];
    s.size[i] = fabs (from[i]);
  }
  return s;
}

static void
sized_clear (struct sized *s)
{
  mem_free (&s->v);
  mem_free (&s->size);
}

/* x = keep x + a y */
static void
sized_step (struct sized *x, size_t i, double keep, double a, double y,
            double y_size)
{
  x->v[i] = keep * x->v[i] + a * y;
  x->size[i] = fabs (keep) * x->size[i] + fabs (a) * y_size;
}

static bool
sized_close (size_t n, const float *got, const struct sized *want, double most)
{
  return close_to (n, got, want->v, want->size, rounding (most));
}

/* PyTorch's documentation, line by line.  fault: the step is taken along the
 * gradient of before the decay. */
static void
twin_sgd (const struct kern_sgd *o, bool fault, struct sized *w, size_t i,
          double g, struct sized *v)
{
  double decay = fault ? 0 : o->weight_decay;
  double d = o->grad_scale * g + decay * w->v[i];
  double d_size = fabs (o->grad_scale * g) + decay * w->size[i];
  sized_step (v, i, o->first ? 0 : o->momentum, 1, d, d_size);
  sized_step (w, i, 1, -o->lr,
              o->nesterov ? d + o->momentum * v->v[i] : v->v[i],
              o->nesterov ? d_size + o->momentum * v->size[i] : v->size[i]);
}

static void
twin_adamw (const struct kern_adamw *o, struct sized *w, size_t i, double g,
            struct sized *m, struct sized *v)
{
  double d = o->grad_scale * g;
  sized_step (m, i, o->beta1, 1 - (double)o->beta1, d, fabs (d));
  sized_step (v, i, o->beta2, 1 - (double)o->beta2, d * d, d * d);
  double m_free = 1 - pow (o->beta1, (double)o->step);
  double v_free = 1 - pow (o->beta2, (double)o->step);
  double under = sqrt (v->v[i] / v_free) + o->eps;
  sized_step (w, i, 1 - (double)o->lr * o->weight_decay, -o->lr,
              m->v[i] / m_free / under, m->size[i] / m_free / under);
}

/* Roundings of one step, in a row: of sgd and of adamw, whose factors are
 * rounded as well. */
enum { SGD_ROUNDINGS = 8, ADAMW_ROUNDINGS = 16 };

static void
test_sgd (struct kern *k, bool nesterov, float momentum, size_t n)
{
  struct kern_sgd o = {0.1f, momentum, 0.01f, nesterov, true, 0.5f};
  float *w = noise (n, 1), *v = floats (n);
  struct sized w2 = sized_new (n, w), w3 = sized_new (n, w);
  struct sized v2 = sized_new (n, NULL), v3 = sized_new (n, NULL);
  enum { STEPS = 4 };
  for (size_t i = 0; i < n; i++)
    v[i] = NAN; /* whatever it holds at first */
  for (int step = 0; step < STEPS; step++, o.first = false) {
    float *g = noise (n, 10 + (uint64_t)step);
    kern_sgd (k, n, &o, w, g, v);
    for (size_t i = 0; i < n; i++) {
      twin_sgd (&o, true, &w3, i, g[i], &v3);
      twin_sgd (&o, false, &w2, i, g[i], &v2);
    }
    mem_free (&g);
  }
  tap_ok (sized_close (n, w, &w2, STEPS * SGD_ROUNDINGS) &&
              sized_close (n, v, &v2, STEPS * SGD_ROUNDINGS) &&
              !sized_close (n, w, &w3, STEPS * SGD_ROUNDINGS),
          "sgd of %zu, momentum %g%s; a planted fault is noticed", n, momentum,
          nesterov ? ", nesterov" : "");
  mem_free (&w);
  mem_free (&v);
  sized_clear (&w2);
  sized_clear (&w3);
  sized_clear (&v2);
  sized_clear (&v3);
}

static void
test_adamw (struct kern *k, size_t n)
{
  struct kern_adamw o = {1e-2f, 0.9f, 0.999f, 1e-8f, 0.1f, 1, 2};
  float *w = noise (n, 1), *m = floats (n), *v = floats (n);
  struct sized w2 = sized_new (n, w);
  struct sized m2 = sized_new (n, NULL), v2 = sized_new (n, NULL);
  enum { STEPS = 5 };
  for (; o.step <= STEPS; o.step++) {
    float *g = noise (n, 20 + (uint64_t)o.step);
    g[0] = 0; /* nothing ever happened to it but decay */
    kern_adamw (k, n, &o, w, g, m, v);
    for (size_t i = 0; i < n; i++)
      twin_adamw (&o, &w2, i, g[i], &m2, &v2);
    mem_free (&g);
  }
  bool good = sized_close (n, w, &w2, STEPS * ADAMW_ROUNDINGS) &&
              sized_close (n, m, &m2, STEPS * ADAMW_ROUNDINGS) &&
              sized_close (n, v, &v2, STEPS * ADAMW_ROUNDINGS);
  w2.v[n - 1] *= 1 - 1e-4;
  tap_ok (good && !sized_close (n, w, &w2, STEPS * ADAMW_ROUNDINGS),
          "adamw of %zu; a planted fault is noticed", n);
  mem_free (&w);
  mem_free (&m);
  mem_free (&v);
  sized_clear (&w2);
  sized_clear (&m2);
  sized_clear (&v2);
}

/* -- layouts --------------------------------------------------------------- */

static void
test_layouts (struct kern_dims d)
{
  float *x = noise (count (d), 1);
  bool good = true;
  for (int from = KERN_PLAIN; from <= KERN_LAST; from++)
    for (int to = KERN_PLAIN; to <= KERN_LAST; to++) {
      size_t bytes = kern_bytes (one, d, (enum kern_layout)to);
      float *src = laid_out (one, d, (enum kern_layout)from, x);
      float *want = laid_out (one, d, (enum kern_layout)to, x);
      float *dst = noise (bytes / 4, 2);
      MUST (kern_reorder (one, d, (enum kern_layout)from, (enum kern_layout)to,
                          src, dst));
      good = good && memcmp (want, dst, bytes) == 0;
      mem_free (&src);
      mem_free (&want);
      mem_free (&dst);
    }
  tap_ok (good, "all reorders of %dx%dx%dx%d, padding zero", (int)d.n, (int)d.c,
          (int)d.h, (int)d.w);
  mem_free (&x);
}

static void
test_names (void)
{
  enum kern_layout l = KERN_PLAIN;
  bool good = true;
  for (int i = KERN_PLAIN; i <= KERN_LAST; i++)
    good = good && kern_layout_parse (kern_layout_name (i), &l) && (int)l == i;
  tap_ok (good && !kern_layout_parse ("nchw", &l) && l == KERN_LAST,
          "layout names are read back, others refused");
  tap_ok (kern_block (one) == 16 || kern_block (one) == 8, "blocks of %d, %s",
          kern_block (one), kern_describe (one));
  tap_ok (kern_threads (one) == 1 && kern_threads (two) == 2, "threads");
  tap_ok (kern_conv_out (32, 3, 2, 1) == 16 && kern_conv_out (7, 7, 1, 0) == 1,
          "output sizes");
}

int
main (void)
{
  static const size_t lengths[] = {0, 1, 15, 4096, 4097, 100003};
  MUST (kern_open (1, &one));
  MUST (kern_open (2, &two));
  for (int w = 0; w < WHATS; w++)
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
      test_elementwise ((enum what)w, lengths[i]);
  test_in_place ();
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    test_squares (lengths[i]);
  test_squares (1024 * 4096 + 5);
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    test_dot (lengths[i]);
  test_dot (1024 * 4096 + 5);
  for (int i = 0; i < 4; i++)
    test_sgd (i % 2 ? two : one, i / 2 == 1, i == 0 ? 0 : 0.9f,
              i == 3 ? 70001 : 333);
  test_adamw (one, 333);
  test_adamw (two, 70001);
  test_layouts ((struct kern_dims){2, 3, 5, 7});
  test_layouts ((struct kern_dims){1, 16, 4, 4});
  test_layouts ((struct kern_dims){3, 20, 1, 1});
  test_layouts ((struct kern_dims){2, 64, 3, 2});
  test_names ();
  kern_close (&one);
  kern_close (&two);
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left behind");
  return tap_done ();
}
