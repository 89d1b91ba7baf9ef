/* ranks: 0 */
/* Batch normalisation against its twin in every layout, with and without ReLU,
 * by the library and in fused passes; gradients against finite differences; the
 * end of a residual block. */
#include "tests/kern/twin.h"

static struct kern *k;

/* -- the twin -------------------------------------------------------------- */

struct twin { /* all plain; per channel, or per element */
  double *y, *mean, *var, *d_x, *d_scale, *d_shift;
  double *y_reach, *mean_reach, *var_reach, *d_x_reach, *d_scale_reach,
      *d_shift_reach; /* how far float may lie from them */
  double kink; /* how far the nearest ReLU is from its kink, over reach */
};
#define TWIN_ARRAYS 12

static double
channel_count (struct kern_dims d)
{
  return (double)(d.n * d.h * d.w);
}

#define EACH(d, c_, i_)                                                      \
  for (int64_t n_ = 0; n_ < (d).n; n_++)                                     \
    for (int64_t j_ = 0; j_ < (d).h * (d).w; j_++)                           \
      for (int64_t i_ = (n_ * (d).c + (c_)) * (d).h * (d).w + j_, once_ = 1; \
           once_; once_ = 0)

/* fault: the planted one leaves out the term of the variance's gradient. */
static void
twin_channel (struct kern_dims d, int64_t c, bool relu, const float *x,
              const float *scale, const float *shift, const float *d_y,
              bool fault, struct twin *t)
{
  const int64_t m = (int64_t)channel_count (d);
  double *v = doubles ((size_t)m), *g = doubles ((size_t)m);
  double *back = doubles ((size_t)m), *back_reach = doubles ((size_t)m);
  struct twin_moments w;
  int64_t at = 0;
  EACH (d, c, i)
  v[at++] = x[i];
  twin_moments_of (m, v, 1e-5, &w);
  t->mean[c] = w.mean;
  t->var[c] = w.var;
  t->mean_reach[c] = w.mean_reach;
  t->var_reach[c] = w.var_reach;
  at = 0;
  EACH (d, c, i)
  {
    double unit = (x[i] - w.mean) * w.inv;
    double y = scale[c] * unit + shift[c];
    t->y_reach[i] = fabs (scale[c]) * twin_unit_reach (&w, x[i]) +
                    rounding (3) * (fabs (scale[c] * unit) + fabs (shift[c]));
    if (relu)
      t->kink = fmin (t->kink, fabs (y) / t->y_reach[i]);
    t->y[i] = relu && y <= 0 ? 0 : y;
    g[at++] = relu && y <= 0 ? 0 : d_y[i];
  }
  struct twin_sums s = twin_normal_back (m, &w, v, g, fault, back, back_reach);
  t->d_shift[c] = s.sum;
  t->d_scale[c] = s.along;
  t->d_shift_reach[c] = s.sum_reach;
  t->d_scale_reach[c] = s.along_reach;
  at = 0;
  EACH (d, c, i)
  {
    t->d_x[i] = scale[c] * back[at];
    t->d_x_reach[i] = fabs (scale[c]) * back_reach[at++];
  }
  mem_free (&v);
  mem_free (&g);
  mem_free (&back);
  mem_free (&back_reach);
}

static void
twin_clear (struct twin *t)
{
  double **all[TWIN_ARRAYS] = {
      &t->y,         &t->mean,      &t->var,           &t->d_x,
      &t->d_scale,   &t->d_shift,   &t->y_reach,       &t->mean_reach,
      &t->var_reach, &t->d_x_reach, &t->d_scale_reach, &t->d_shift_reach};
  for (int i = 0; i < TWIN_ARRAYS; i++)
    mem_free (all[i]);
}

/* -- a case ---------------------------------------------------------------- */

struct rig {
  struct kern_dims d;
  enum kern_layout l;
  bool relu;
  enum kern_bn_way way;
  struct kern_bn *bn;
  float *x, *d_y, *scale, *shift; /* plain */
  float *src, *d_dst, *dst, *d_src;
  float *mean, *var, *d_scale, *d_shift;
  char *mask;
};

static void
rig_init (struct rig *r, struct kern_dims d, enum kern_layout l, bool relu,
          enum kern_bn_way way)
{
  size_t c = (size_t)d.c;
  *r = (struct rig){.d = d, .l = l, .relu = relu, .way = way};
  MUST (kern_bn_create (k, d, l, relu, way, &r->bn));
  MUST (kern_seal (k));
  r->x = noise (count (d), 1);
  r->d_y = noise (count (d), 2);
  r->scale = noise (c, 3);
  r->shift = noise (c, 4);
  /* A mean far from zero shows sums that cancel. */
  for (size_t i = 0; i < count (d); i++)
    r->x[i] = 2 * r->x[i] + 3;
  r->src = laid_out (k, d, l, r->x);
  r->d_dst = laid_out (k, d, l, r->d_y);
  r->dst = noise (kern_bytes (k, d, l) / 4, 5);
  r->d_src = noise (kern_bytes (k, d, l) / 4, 6);
  r->mean = noise (c, 7);
  r->var = noise (c, 8);
  r->d_scale = noise (c, 9);
  r->d_shift = noise (c, 10);
  MUST (mem_new (kern_bn_mask_bytes (r->bn), 1, "mask", (void **)&r->mask));
}

static void
rig_clear (struct rig *r)
{
  kern_bn_destroy (&r->bn);
  float **all[] = {&r->x,    &r->d_y,     &r->scale,   &r->shift,
                   &r->src,  &r->d_dst,   &r->dst,     &r->d_src,
                   &r->mean, &r->d_scale, &r->d_shift, &r->var};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (all[i]);
  mem_free (&r->mask);
}

static void
forward (struct rig *r, const float *src, const float *scale,
         const float *shift)
{
  MUST (kern_bn_forward (r->bn, src, scale, shift, r->dst, r->mean, r->var,
                         r->mask));
}

static void
back (struct rig *r, const float *d_dst, float *d_src)
{
  MUST (kern_bn_back (r->bn, r->src, d_dst, r->scale, r->shift, r->mean, r->var,
                      r->mask, d_src, r->d_scale, r->d_shift));
}

static void
twin_run (struct rig *r, bool fault, struct twin *t)
{
  size_t n = count (r->d), c = (size_t)r->d.c;
  *t = (struct twin){doubles (n), doubles (c), doubles (c), doubles (n),
                     doubles (c), doubles (c), doubles (n), doubles (c),
                     doubles (c), doubles (n), doubles (c), doubles (c),
                     INFINITY};
  for (int64_t i = 0; i < r->d.c; i++)
    twin_channel (r->d, i, r->relu, r->x, r->scale, r->shift, r->d_y, fault, t);
}

static bool
good (struct rig *r, bool fault)
{
  size_t n = count (r->d), c = (size_t)r->d.c;
  struct twin t;
  twin_run (r, fault, &t);
  float *y = plain_of (k, r->d, r->l, r->dst);
  float *d_x = plain_of (k, r->d, r->l, r->d_src);
  /* No ReLU may be so near its kink that rounding could decide. */
  bool fine = t.kink > 1 && close_to (n, y, t.y, t.y_reach, 1) &&
              close_to (c, r->mean, t.mean, t.mean_reach, 1) &&
              close_to (c, r->var, t.var, t.var_reach, 1) &&
              close_to (n, d_x, t.d_x, t.d_x_reach, 1) &&
              close_to (c, r->d_scale, t.d_scale, t.d_scale_reach, 1) &&
              close_to (c, r->d_shift, t.d_shift, t.d_shift_reach, 1) &&
              padding_is_zero (k, r->d, r->l, r->dst) &&
              padding_is_zero (k, r->d, r->l, r->d_src);
  twin_clear (&t);
  mem_free (&y);
  mem_free (&d_x);
  return fine;
}

/* One number against f, the factor of the channel.  It is rounded twice. */
static bool
is_scaled (const struct rig *r, double f, bool on, int64_t j, float got)
{
  double want = r->relu && !on ? 0 : f * r->d_y[j];
  return fabs (got - want) <= rounding (3) * fabs (f * r->d_y[j]);
}

/* Behind kern_bn_infer: r->dst.  fault: the planted one forgets eps. */
static bool
infer_back_is (struct rig *r, const float *var, bool fault)
{
  float *y = plain_of (k, r->d, r->l, r->dst);
  float *d_x = plain_of (k, r->d, r->l, r->d_src);
  bool fine = padding_is_zero (k, r->d, r->l, r->d_src);
  for (int64_t i = 0; i < r->d.c; i++)
    EACH (r->d, i, j)
    {
      double f = r->scale[i] / sqrt (var[i] + (fault ? 0 : 1e-5));
      fine = fine && is_scaled (r, f, y[j] > 0, j, d_x[j]);
    }
  mem_free (&y);
  mem_free (&d_x);
  return fine;
}

/* With given statistics nothing goes back but the factor; in place as well. */
static bool
good_infer_back (struct rig *r, const float *var)
{
  const size_t bytes = kern_bytes (k, r->d, r->l);
  float *factor = floats ((size_t)r->d.c + 16), *first = floats (bytes / 4);
  bool fine;
  kern_bn_infer_back (r->bn, r->dst, r->d_dst, r->scale, var, factor, r->d_src);
  fine = infer_back_is (r, var, false) && !infer_back_is (r, var, true);
  memcpy (first, r->d_src, bytes);
  memcpy (r->d_src, r->d_dst, bytes);
  kern_bn_infer_back (r->bn, r->dst, r->d_src, r->scale, var, factor, r->d_src);
  fine = fine && memcmp (first, r->d_src, bytes) == 0;
  mem_free (&factor);
  mem_free (&first);
  return fine;
}

/* PyTorch's running statistics and evaluation by them. */
static bool
good_evaluation (struct rig *r)
{
  size_t c = (size_t)r->d.c;
  double m = channel_count (r->d);
  float *mean = noise (c, 11), *var = noise (c, 12), *plain;
  float *old_mean = noise (c, 11), *old_var = noise (c, 12);
  bool fine = true;
  kern_bn_running (r->bn, r->mean, r->var, mean, var);
  for (size_t i = 0; i < c; i++) {
    double unbiased = r->var[i] * (m > 1 ? m / (m - 1) : 1);
    double mean_size = fabs (old_mean[i]) + fabs (r->mean[i]);
    double var_size = fabs (old_var[i]) + unbiased, few = rounding (6);
    fine =
        fine &&
        fabs (mean[i] - (0.9 * old_mean[i] + 0.1 * r->mean[i])) <=
            few * mean_size &&
        fabs (var[i] - (0.9 * old_var[i] + 0.1 * unbiased)) <= few * var_size;
    var[i] = fabsf (var[i]) + 0.1f;
  }
  MUST (kern_bn_infer (r->bn, r->src, r->scale, r->shift, mean, var, r->dst));
  plain = plain_of (k, r->d, r->l, r->dst);
  for (int64_t i = 0; i < r->d.c; i++)
    EACH (r->d, i, j)
    {
      double f = r->scale[i] / sqrt (var[i] + 1e-5);
      double y = f * (r->x[j] - mean[i]) + r->shift[i];
      double size =
          fabs (f) * (fabs (r->x[j]) + fabs (mean[i])) + fabs (r->shift[i]);
      y = r->relu && y < 0 ? 0 : y;
      fine = fine && fabs (plain[j] - y) <= rounding (8) * size;
    }
  fine = fine && padding_is_zero (k, r->d, r->l, r->dst) &&
         good_infer_back (r, var);
  mem_free (&plain);
  mem_free (&old_mean);
  mem_free (&old_var);
  mem_free (&mean);
  mem_free (&var);
  return fine;
}

/* f = <dst, d_dst>, moved in src (0), scale (1) or shift (2).  A ReLU has
 * kinks: only the smooth kind is asked. */
static bool
good_slope (struct rig *r, int where)
{
  size_t n = where == 0 ? count (r->d) : (size_t)r->d.c;
  size_t all = kern_bytes (k, r->d, r->l) / sizeof (float);
  const float *base[] = {r->x, r->scale, r->shift};
  float *u = noise (n, 13), *plain = NULL;
  struct slope f = {.step = 0.01};
  for (int i = 0; i < 4; i++) {
    float *p = moved (n, base[where], slope_steps[i] * f.step, u);
    float *src = where == 0 ? laid_out (k, r->d, r->l, p) : NULL;
    forward (r, where == 0 ? src : r->src, where == 1 ? p : r->scale,
             where == 2 ? p : r->shift);
    f.at[i] = dot (all, r->dst, r->d_dst);
    mem_free (&p);
    mem_free (&src);
  }
  struct twin t;
  twin_run (r, false, &t);
  double most = 0;
  for (size_t i = 0; i < count (r->d); i++)
    most = fmax (most, t.y_reach[i]);
  twin_clear (&t);
  /* Roundings of results are as often up as down: they add like a walk. */
  f.noise = most * sqrt (dot (all, r->d_dst, r->d_dst));
  forward (r, r->src, r->scale, r->shift);
  back (r, r->d_dst, r->d_src);
  if (where == 0)
    plain = plain_of (k, r->d, r->l, r->d_src);
  double g = dot (n,
                  where == 0   ? plain
                  : where == 1 ? r->d_scale
                               : r->d_shift,
                  u);
  bool fine = slope_agrees (&f, g) && !slope_agrees (&f, 1.5 * g + 0.5);
  mem_free (&u);
  mem_free (&plain);
  return fine;
}

static void
test_case (struct kern_dims d, enum kern_layout l, bool relu,
           enum kern_bn_way way)
{
  struct rig r;
  char name[128];
  rig_init (&r, d, l, relu, way);
  snprintf (name, sizeof name, "%dx%dx%dx%d %s%s%s", (int)d.n, (int)d.c,
            (int)d.h, (int)d.w, kern_layout_name (l), relu ? " relu" : "",
            way == KERN_BN_FUSED ? " fused" : "");
  size_t bytes, blocks, after, peak;
  mem_count (&bytes, &blocks, &peak);
  mem_close ();
  forward (&r, r.src, r.scale, r.shift);
  back (&r, r.d_dst, r.d_src);
  mem_open ();
  mem_count (&bytes, &after, &peak);
  bool fine = good (&r, false);
  tap_ok (fine && blocks == after, "%s: forward and backward", name);
  float *first = floats (kern_bytes (k, d, l) / 4);
  memcpy (first, r.d_src, kern_bytes (k, d, l));
  memcpy (r.d_src, r.d_dst, kern_bytes (k, d, l));
  back (&r, r.d_src, r.d_src);
  tap_ok (memcmp (first, r.d_src, kern_bytes (k, d, l)) == 0,
          "%s: in place gives the same bits", name);
  mem_free (&first);
  if (channel_count (d) > 8)
    tap_ok (!good (&r, true), "%s: a planted fault is noticed", name);
  tap_ok (good_evaluation (&r), "%s: running statistics, evaluation", name);
  if (!relu)
    tap_ok (channel_count (d) < 8 || (good_slope (&r, 0) &&
                                      good_slope (&r, 1) && good_slope (&r, 2)),
            "%s: gradients are slopes", name);
  rig_clear (&r);
}

/* A number that is not finite may not vanish behind a ReLU. */
static void
test_not_finite (enum kern_layout l, bool relu, enum kern_bn_way way)
{
  struct rig r;
  rig_init (&r, (struct kern_dims){2, 16, 4, 4}, l, relu, way);
  r.src[37] = NAN;
  forward (&r, r.src, r.scale, r.shift);
  double sum = dot (count (r.d), r.dst, r.dst);
  tap_ok (isnan (sum), "a NaN goes through, %s%s%s", kern_layout_name (l),
          relu ? ", relu" : "", way == KERN_BN_FUSED ? ", fused" : "");
  rig_clear (&r);
}

/* -- the end of a residual block ------------------------------------------- */

/* What a block does one after the other, and all at once. */
struct block {
  float *side, *more, *y, *g, *d_x; /* each as long as src */
  float *sums[2];                   /* mean, var, d_scale, d_shift */
};

static float **const *
block_arrays (struct block *b)
{
  static float **all[7];
  float **const list[7] = {&b->side, &b->more,    &b->y,      &b->g,
                           &b->d_x,  &b->sums[0], &b->sums[1]};
  memcpy (all, list, sizeof all);
  return all;
}

static void
keep_sums (const struct rig *r, float *to)
{
  const float *const all[] = {r->mean, r->var, r->d_scale, r->d_shift};
  for (size_t i = 0; i < 4; i++)
    memcpy (to + i * (size_t)r->d.c, all[i], (size_t)r->d.c * sizeof *to);
}

/* By normalisation alone and plain loops; fault: the gate of the sum is that of
 * the normalised numbers. */
static void
block_apart (struct rig *r, struct block *b, size_t n, bool fault)
{
  forward (r, r->src, r->scale, r->shift);
  for (size_t i = 0; i < n; i++) {
    const float y = r->dst[i] + b->side[i];
    b->y[i] = 0.0f > y ? 0.0f : y;
    b->g[i] = (fault ? r->dst[i] : b->y[i]) > 0 ? r->d_dst[i] + b->more[i] : 0;
  }
  back (r, b->g, b->d_x);
  keep_sums (r, b->sums[0]);
}

/* All at once, in place where it may be: the same bits. */
static bool
block_is (struct rig *r, struct block *b, size_t n, bool given)
{
  const size_t bytes = n * sizeof (float);
  float *g = noise (n, 22), *d_x = noise (n, 0);
  if (given)
    kern_bn_join_infer (r->bn, r->src, r->scale, r->shift, r->mean, r->var,
                        b->side, r->dst);
  else
    kern_bn_join (r->bn, r->src, r->scale, r->shift, b->side, r->dst, r->mean,
                  r->var);
  memcpy (d_x, r->d_dst, bytes);
  memcpy (g, b->more, bytes);
  const struct kern_bn_joined j = {r->dst, d_x, g, g};
  kern_bn_join_back (r->bn, r->src, &j, r->scale, r->mean, r->var, d_x,
                     r->d_scale, r->d_shift);
  keep_sums (r, b->sums[1]);
  bool same = memcmp (r->dst, b->y, bytes) == 0 &&
              memcmp (d_x, b->d_x, bytes) == 0 &&
              memcmp (b->sums[0], b->sums[1], 16 * (size_t)r->d.c) == 0;
  same = same && memcmp (g, b->g, bytes) == 0;
  memcpy (g, b->more, bytes);
  kern_bn_join_gate (r->bn, &(struct kern_bn_joined){r->dst, r->d_dst, g, g});
  same = same && memcmp (g, b->g, bytes) == 0;
  mem_free (&g);
  mem_free (&d_x);
  return same;
}

static void
test_block (struct kern_dims d, enum kern_layout l)
{
  struct rig r;
  struct block b;
  rig_init (&r, d, l, false, KERN_BN_FUSED);
  const size_t n = kern_bytes (k, d, l) / sizeof (float);
  float **const *all = block_arrays (&b);
  for (int i = 0; i < 7; i++)
    *all[i] = noise (i < 5 ? n : 4 * (size_t)d.c, 15 + (uint64_t)i);
  block_apart (&r, &b, n, false);
  bool fine = block_is (&r, &b, n, false) && block_is (&r, &b, n, true);
  block_apart (&r, &b, n, true);
  tap_ok (fine && !block_is (&r, &b, n, false),
          "%dx%dx%dx%d %s: sum and ReLU in the same passes", (int)d.n, (int)d.c,
          (int)d.h, (int)d.w, kern_layout_name (l));
  for (int i = 0; i < 7; i++)
    mem_free (all[i]);
  rig_clear (&r);
}

/* -- threads --------------------------------------------------------------- */

/* What comes out of a large one: results, and sums of channels. */
static float *
by_threads (int threads, struct kern_dims d, enum kern_layout l, size_t *bytes)
{
  struct rig r;
  MUST (kern_open (threads, &k));
  rig_init (&r, d, l, true, KERN_BN_FUSED);
  const size_t n = kern_bytes (k, d, l) / sizeof (float);
  float *out = floats (2 * n + 4 * (size_t)d.c);
  forward (&r, r.src, r.scale, r.shift);
  back (&r, r.d_dst, r.d_src);
  memcpy (out, r.dst, n * sizeof *out);
  memcpy (out + n, r.d_src, n * sizeof *out);
  keep_sums (&r, out + 2 * n);
  *bytes = (2 * n + 4 * (size_t)d.c) * sizeof *out;
  rig_clear (&r);
  kern_close (&k);
  return out;
}

static void
test_threads (struct kern_dims d, enum kern_layout l)
{
  size_t bytes;
  bool same = true;
  float *one = by_threads (1, d, l, &bytes);
  for (int threads = 2; threads <= 5; threads++) {
    float *more = by_threads (threads, d, l, &bytes);
    same = same && memcmp (one, more, bytes) == 0;
    mem_free (&more);
  }
  tap_ok (same, "fused, %s: the same bits for 1 to 5 threads",
          kern_layout_name (l));
  mem_free (&one);
}

/* A mean that is large beside the deviation cancels nowhere, and equal numbers
 * have no variance. */
static void
test_far (float deviation)
{
  const struct kern_dims d = {8, 16, 16, 16};
  struct rig r;
  rig_init (&r, d, KERN_LAST, false, KERN_BN_FUSED);
  const size_t n = count (d);
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++)
    r.src[i] = 1000.0f + deviation * (float)((int)(i / 16 % 5) - 2);
  for (size_t i = 0; i < n / 16; i++)
    sum += r.src[16 * i] - 1000.0;
  sum /= (double)n / 16;
  for (size_t i = 0; i < n / 16; i++) {
    const double x = r.src[16 * i] - 1000.0 - sum;
    squares += x * x / ((double)n / 16);
  }
  forward (&r, r.src, r.scale, r.shift);
  bool fine = true;
  for (int c = 0; c < 16; c++)
    fine = fine && fabs (r.var[c] - squares) <= 1e-5 * squares &&
           fabs (r.mean[c] - 1000 - sum) <= rounding (1) * 1001;
  tap_ok (fine, "around 1000 with a deviation of %g", (double)deviation);
  rig_clear (&r);
}

static void
test_all (enum kern_bn_way way)
{
  static const struct kern_dims dims[] = {
      {4, 16, 8, 8},   {3, 3, 5, 3},  {2, 5, 7, 7},
      {6, 20, 1, 1},   {1, 16, 1, 1}, {2, 64, 4, 5},
      {128, 16, 1, 1}, {5, 12, 3, 3}, {5, 40, 16, 15}};
  for (int threads = 1; threads <= 2; threads++) {
    MUST (kern_open (threads, &k));
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
      for (int l = KERN_PLAIN; l <= KERN_LAST; l++)
        if (threads == 1 || i < 2) {
          test_case (dims[i], (enum kern_layout)l, false, way);
          if (i + 1 < sizeof dims / sizeof *dims)
            test_case (dims[i], (enum kern_layout)l, true, way);
          if (way == KERN_BN_FUSED)
            test_block (dims[i], (enum kern_layout)l);
        }
    kern_close (&k);
  }
  MUST (kern_open (1, &k));
  for (int l = KERN_PLAIN; l <= KERN_LAST; l++) {
    test_not_finite ((enum kern_layout)l, false, way);
    test_not_finite ((enum kern_layout)l, true, way);
  }
  if (way == KERN_BN_FUSED) {
    test_far (1);
    test_far (0.01f);
    test_far (0);
  }
  kern_close (&k);
}

int
main (void)
{
  test_all (KERN_BN_LIBRARY);
  test_all (KERN_BN_FUSED);
  for (int l = KERN_PLAIN; l <= KERN_LAST; l++)
    test_threads ((struct kern_dims){7, 40, 17, 15}, (enum kern_layout)l);
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left behind");
  return tap_done ();
}
