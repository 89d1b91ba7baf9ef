/* kern/prove.c -- convolutions of the library against plain arithmetic.
 *
 * A plain convolution to compare with would cost far more than the library's.
 * So the channels of one side are added up first, each times an odd factor:
 * that sum of all results is itself the result of a convolution with a single
 * channel there, which costs next to nothing, and one wrong number anywhere
 * changes it. Inputs are whole numbers so small that all sums are exact in
 * double.
 */
#include "base/fault.h"
#include "kern/prove_impl.h"

#include <math.h>
#include <stdio.h>

/* Of a proof, per thread.  With one sample each, what a kernel carries over
 * from a sample to the next would not be seen. */
#define SAMPLES 2

struct proof {
  struct kern *k;
  struct kern_conv *c; /* small */
  struct kern_conv_shape s;
  struct kern_view in, out;
  int taps;
  float *src, *dst, *plain, *master, *bias; /* owned */
  double *coef, *want, *got;                /* owned */
  bool rounds;                              /* the algorithm itself does */
};

static void
proof_clear (struct proof *p)
{
  kern_conv_destroy (&p->c);
  mem_free (&p->src);
  mem_free (&p->dst);
  mem_free (&p->plain);
  mem_free (&p->master);
  mem_free (&p->bias);
  mem_free (&p->coef);
  mem_free (&p->want);
  mem_free (&p->got);
}

/* An odd factor for a channel. */
static double
factor (int64_t c)
{
  static const double f[] = {1, -3, 5, 7, -1, 3, -7, -5};
  return f[(c * 5 + c / 8) % 8];
}

static size_t
floats_of (const struct kern_view *v)
{
  return (size_t)(v->n * v->groups * v->wide * v->h * v->w);
}

/* Padding of channels is zero. */
static void
clear_padding (const struct kern_view *v, float *x)
{
  for (int64_t c = v->c; c < v->groups * v->wide; c++)
    for (int64_t n = 0; n < v->n; n++)
      for (int64_t i = 0; i < v->h * v->w; i++)
        x[kern_view_channel (v, n, c, 0, 0) + i * v->wide] = 0;
}

static enum status
proof_make (struct proof *p, const enum kern_algo algo[3], unsigned wanted)
{
  const struct kern_conv_shape *s = &p->s;
  struct kern_dims in = {s->n, s->c, s->h, s->w};
  struct kern_dims out = {s->n, s->out_c,
                          kern_conv_out (s->h, s->kernel, s->stride, s->pad),
                          kern_conv_out (s->w, s->kernel, s->stride, s->pad)};
  p->in = kern_view_of (p->k, in, s->src);
  p->out = kern_view_of (p->k, out, s->dst);
  p->taps = s->kernel * s->kernel;
  TRY (kern_conv_create_as (p->k, s, algo, wanted, &p->c));
  TRY (kern_aside_seal (p->k));
  const size_t weights = (size_t)(s->out_c * s->c * p->taps);
  const int64_t channels =
      p->in.groups * p->in.wide > p->out.groups * p->out.wide
          ? p->in.groups * p->in.wide
          : p->out.groups * p->out.wide;
  const size_t sums =
      (size_t)(s->n * s->h * s->w + out.n * out.h * out.w + p->taps * channels);
  TRY (MEM_NEW (floats_of (&p->in) + KERN_GUARD, &p->src, "proof"));
  TRY (MEM_NEW (floats_of (&p->out) + KERN_GUARD, &p->dst, "proof"));
  TRY (MEM_NEW (weights, &p->plain, "proof"));
  TRY (MEM_NEW (kern_conv_weight_bytes (p->c) / sizeof (float) + KERN_GUARD,
                &p->master, "proof"));
  TRY (MEM_NEW ((size_t)s->out_c + KERN_GUARD, &p->bias, "proof"));
  TRY (MEM_NEW ((size_t)(p->taps * channels), &p->coef, "proof"));
  TRY (MEM_NEW (sums, &p->want, "proof"));
  return MEM_NEW (sums, &p->got, "proof");
}

/* -- the twin -------------------------------------------------------------- */

/* coef[tap][c]: the weights of channel c, added up over the other side's
 * channels times their factors: the weights of the convolution with one
 * channel. over_out: over outputs, for forward; else over inputs, for backward
 * data. */
static void
sum_weights (struct proof *p, bool over_out)
{
  const struct kern_view *v = over_out ? &p->in : &p->out;
  const int64_t all = v->groups * v->wide, taps = p->taps;
#pragma omp parallel for schedule(static) num_threads(p->k->threads)
  for (int64_t c = 0; c < all; c++)
    for (int64_t t = 0; t < taps; t++) {
      double sum = 0;
      for (int64_t o = 0; c < v->c && o < (over_out ? p->s.out_c : p->s.c); o++)
        sum += factor (o) * p->plain[over_out ? (o * p->s.c + c) * taps + t
                                              : (c * p->s.c + o) * taps + t];
      p->coef[t * all + c] = sum;
    }
}

/* Sum over channels of x at a pixel, channel c times f[c]. */
static double
pixel_sum (const struct kern_view *v, const float *x, int64_t n, int64_t y,
           int64_t col, const double *f)
{
  double sum = 0;
  for (int64_t g = 0; g < v->groups; g++) {
    const float *a = x + kern_view_at (v, n, g, y, col);
    const double *b = f + g * v->wide;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < v->wide; c++)
      sum += (double)a[c] * b[c];
  }
  return sum;
}

/* The library's result, its channels added up times their factors: to[n][y][x]
 * is what the convolution with one channel gives, if all numbers are right. */
static void
through_factors (const struct proof *p, const struct kern_view *v,
                 const float *x, double *to)
{
  double *f = p->coef; /* not in use at that time */
  for (int64_t c = 0; c < v->groups * v->wide; c++)
    f[c] = c < v->c ? factor (c) : 0;
#pragma omp parallel for schedule(static) num_threads(p->k->threads)
  for (int64_t i = 0; i < v->n * v->h; i++)
    for (int64_t c = 0; c < v->w; c++)
      to[i * v->w + c] = pixel_sum (v, x, i / v->h, i % v->h, c, f);
}

/* Where tap t of output (y, x) is; false: outside. */
static bool
source_of (const struct proof *p, int t, int64_t y, int64_t x, int64_t *sy,
           int64_t *sx)
{
  *sy = y * p->s.stride - p->s.pad + t / p->s.kernel;
  *sx = x * p->s.stride - p->s.pad + t % p->s.kernel;
  return *sy >= 0 && *sy < p->in.h && *sx >= 0 && *sx < p->in.w;
}

/* The twin: the convolution with one channel, into want.  Of forward at every
 * output, of backward data at every input. */
static void
convolve (struct proof *p, bool forward)
{
  const struct kern_view *in = &p->in, *out = &p->out;
  const struct kern_view *v = forward ? in : out;
  const int64_t size = forward ? out->h * out->w : in->h * in->w;
  double extra = 0;
  for (int64_t c = 0; forward && p->s.bias && c < p->s.out_c; c++)
    extra += factor (c) * p->bias[c];
#pragma omp parallel for schedule(static) num_threads(p->k->threads)
  for (int64_t n = 0; n < p->s.n; n++) {
    double *to = p->want + n * size;
    for (int64_t i = 0; i < size; i++)
      to[i] = extra;
    for (int64_t i = 0; i < out->h * out->w; i++)
      for (int t = 0; t < p->taps; t++) {
        int64_t y = i / out->w, x = i % out->w, sy, sx;
        const double *f = p->coef + t * v->groups * v->wide;
        if (!source_of (p, t, y, x, &sy, &sx))
          continue;
        if (forward)
          to[i] += pixel_sum (in, p->src, n, sy, sx, f);
        else
          to[sy * in->w + sx] += pixel_sum (out, p->dst, n, y, x, f);
      }
  }
}

/* want[tap][ic]: of the weight gradient; got holds the output's cotangent
 * through the factors. */
static void
correlate (struct proof *p)
{
  const struct kern_view *in = &p->in, *out = &p->out;
  const int64_t all = in->groups * in->wide;
#pragma omp parallel for schedule(static) num_threads(p->k->threads)
  for (int t = 0; t < p->taps; t++) {
    double *to = p->want + t * all;
    for (int64_t c = 0; c < all; c++)
      to[c] = 0;
    for (int64_t i = 0; i < out->n * out->h * out->w; i++) {
      int64_t x = i % out->w, y = i / out->w % out->h, sy, sx;
      const double g = p->got[i];
      if (!source_of (p, t, y, x, &sy, &sx))
        continue;
      for (int64_t b = 0; b < in->groups; b++) {
        const float *a =
            p->src + kern_view_at (in, i / out->w / out->h, b, sy, sx);
        double *sum = to + b * in->wide;
#pragma omp simd
        for (int64_t c = 0; c < in->wide; c++)
          sum[c] += g * (double)a[c];
      }
    }
  }
}

/* -- the library's turn ---------------------------------------------------- */

struct finding {
  double error; /* as a part of what the terms add up to; INFINITY: nonsense */
  bool beyond;  /* memory that is not its own was written */
};

/* Raises f->error to the largest difference, as a part of size.  Written so
 * that a NaN counts as larger than anything. */
static void
compare (const double *want, const double *got, int64_t n, double size,
         struct finding *f)
{
  for (int64_t i = 0; i < n; i++) {
    double e = fabs (got[i] - want[i]) / size;
    if (!(e <= f->error))
      f->error = isfinite (e) ? e : INFINITY;
  }
}

/* Sum of the factors' sizes over m channels. */
static double
factor_sum (int64_t m)
{
  double sum = 0;
  for (int64_t c = 0; c < m; c++)
    sum += fabs (factor (c));
  return sum;
}

/* Whether something was written behind the result or behind the scratchpad. */
static void
look_beyond (struct proof *p, enum kern_direction d, const float *result,
             size_t n, int kind, struct finding *f)
{
  f->beyond = f->beyond || !kern_spoilt (result + n, KERN_GUARD, kind) ||
              !kern_aside_whole (p->k, kern_conv_scratch (p->c, d), kind);
}

static enum status
try_forward (struct proof *p, double terms, int amplitude, struct finding *f)
{
  const size_t n = floats_of (&p->out);
  const double size = terms * 2 * amplitude * factor_sum (p->s.out_c);
  kern_fill_whole (p->src, floats_of (&p->in), amplitude, 1);
  clear_padding (&p->in, p->src);
  kern_fill_whole (p->bias, (size_t)p->s.out_c, 2, 3);
  sum_weights (p, true);
  convolve (p, true);
  for (int kind = 0; kind < 2; kind++) {
    kern_aside_spoil (p->k, kind);
    kern_spoil (p->dst, n + KERN_GUARD, kind);
    TRY (kern_conv_forward (p->c, p->src, p->master, p->s.bias ? p->bias : NULL,
                            p->dst));
    through_factors (p, &p->out, p->dst, p->got);
    compare (p->want, p->got, p->s.n * p->out.h * p->out.w, size, f);
    look_beyond (p, KERN_FORWARD, p->dst, n, kind, f);
  }
  return OK;
}

static enum status
try_back_data (struct proof *p, double terms, int amplitude, struct finding *f)
{
  const size_t n = floats_of (&p->in);
  const double size = terms * 2 * amplitude * factor_sum (p->s.c);
  kern_fill_whole (p->dst, floats_of (&p->out), amplitude, 4);
  clear_padding (&p->out, p->dst);
  sum_weights (p, false);
  convolve (p, false);
  for (int kind = 0; kind < 2; kind++) {
    kern_aside_spoil (p->k, kind);
    kern_spoil (p->src, n + KERN_GUARD, kind);
    TRY (kern_conv_back_data (p->c, p->dst, p->master, p->src));
    through_factors (p, &p->in, p->src, p->got);
    compare (p->want, p->got, p->s.n * p->in.h * p->in.w, size, f);
    look_beyond (p, KERN_BACK_DATA, p->src, n, kind, f);
  }
  return OK;
}

/* The gradient through the factors, as correlate has it. */
static void
gradient_sums (struct proof *p)
{
  const int64_t all = p->in.groups * p->in.wide, taps = p->taps, c = p->s.c;
#pragma omp parallel for schedule(static) num_threads(p->k->threads)
  for (int64_t i = 0; i < taps * all; i++) {
    double sum = 0;
    for (int64_t o = 0; i % all < c && o < p->s.out_c; o++)
      sum += factor (o) * p->plain[(o * c + i % all) * taps + i / all];
    p->got[i] = sum;
  }
}

static void
compare_bias (const struct proof *p, double size, struct finding *f)
{
  for (int64_t c = 0; p->s.bias && c < p->s.out_c; c++) {
    double want = 0, got = p->bias[c];
    for (int64_t n = 0; n < p->s.n; n++)
      for (int64_t i = 0; i < p->out.h * p->out.w; i++)
        want +=
            p->dst[kern_view_channel (&p->out, n, c, 0, 0) + i * p->out.wide];
    compare (&want, &got, 1, size, f);
  }
}

static enum status
try_back_weights (struct proof *p, double terms, int amplitude,
                  struct finding *f)
{
  const size_t n = kern_conv_weight_bytes (p->c) / sizeof (float);
  const double size = terms * 2 * amplitude;
  kern_fill_whole (p->src, floats_of (&p->in), amplitude, 5);
  clear_padding (&p->in, p->src);
  kern_fill_whole (p->dst, floats_of (&p->out), 2, 6);
  clear_padding (&p->out, p->dst);
  through_factors (p, &p->out, p->dst, p->got);
  correlate (p);
  for (int kind = 0; kind < 2; kind++) {
    kern_aside_spoil (p->k, kind);
    kern_spoil (p->master, n + KERN_GUARD, kind);
    kern_spoil (p->bias, (size_t)p->s.out_c + KERN_GUARD, kind);
    TRY (kern_conv_back_weights (p->c, p->src, p->dst, 1, false, p->master,
                                 p->s.bias ? p->bias : NULL));
    look_beyond (p, KERN_BACK_WEIGHTS, p->master, n, kind, f);
    TRY (kern_conv_weights_out (p->c, p->master, p->plain));
    gradient_sums (p);
    compare (p->want, p->got, p->taps * p->in.groups * p->in.wide,
             size * factor_sum (p->s.out_c), f);
    compare_bias (p, size, f);
  }
  return OK;
}

static enum status
try_direction (struct proof *p, enum kern_direction d, struct finding *f)
{
  const double taps = p->taps, pixels = (double)(p->out.h * p->out.w);
  const double terms[] = {[KERN_FORWARD] = (double)p->s.c * taps + 1,
                          [KERN_BACK_DATA] = (double)p->s.out_c * taps,
                          [KERN_BACK_WEIGHTS] = (double)p->s.n * pixels};
  const int amplitude = kern_amplitude (terms[d]);
  *f = (struct finding){0};
  if (d == KERN_BACK_WEIGHTS)
    return try_back_weights (p, terms[d], amplitude, f);
  const size_t n = (size_t)(p->s.out_c * p->s.c * p->taps);
  kern_fill_whole (p->plain, n, 2, 2);
  TRY (kern_conv_weights_in (p->c, p->plain, p->master));
  TRY (kern_conv_refresh (p->c, p->master));
  return d == KERN_FORWARD ? try_forward (p, terms[d], amplitude, f)
                           : try_back_data (p, terms[d], amplitude, f);
}

/* -- verdicts -------------------------------------------------------------- */

/* Not to be run at all, on any version so far: the backward-weights kernel that
 * copies a 1x1 convolution's source to unit stride counts whole blocks of
 * channels where channels-last sources have fewer.  It writes beyond its
 * scratchpad, over the barrier of its own threads (who then wait for ever) or
 * over anything else.  AVX2 with fewer than 8 and AVX-512 with fewer than 16
 * input channels alike; issue 6035 of the library. */
static bool
writes_beyond (const struct kern *k, const struct kern_conv_shape *s,
               enum kern_direction d, const char *impl)
{
  const bool last =
      s->src == KERN_LAST || (s->src == KERN_PLAIN && s->dst == KERN_LAST);
  return d == KERN_BACK_WEIGHTS && strstr (impl, "jit_1x1") != NULL && last &&
         s->stride > 1 && s->c < k->block;
}

static void
key_of (const struct kern_conv *c, const enum kern_algo algo[3],
        enum kern_direction d, char key[KERN_KEY])
{
  const struct kern_conv_shape *s = kern_conv_shape_of (c);
  snprintf (key, KERN_KEY,
            "%s c=%lld h=%lld w=%lld out=%lld kernel=%d stride=%d pad=%d "
            "src=%s dst=%s%s by %s%s, weights of %s",
            kern_direction_name (d), (long long)s->c, (long long)s->h,
            (long long)s->w, (long long)s->out_c, s->kernel, s->stride, s->pad,
            kern_layout_name (s->src), kern_layout_name (s->dst),
            s->bias ? " with bias" : "", kern_conv_impl (c, d),
            algo[d] == KERN_OTHER ? " (other)" : "",
            kern_conv_impl (c, KERN_FORWARD));
}

static struct kern_conv_shape
small_of (const struct kern *k, const struct kern_conv_shape *s)
{
  struct kern_conv_shape small = *s;
  const int64_t n = SAMPLES * (int64_t)k->threads;
  small.n = n < s->n ? n : s->n;
  return small;
}

/* Where the library has no fast kernel it uses plain loops, which are slow and
 * the same code for all sizes: they are tried on a corner of the images. */
static struct kern_conv_shape
corner_of (const struct kern_conv_shape *s)
{
  struct kern_conv_shape corner = *s;
  const int64_t most = s->kernel + 4 * s->stride;
  corner.h = s->h < most ? s->h : most;
  corner.w = s->w < most ? s->w : most;
  return corner;
}

static unsigned
plain_directions (const struct kern_conv *c)
{
  unsigned plain = 0;
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
    if (strncmp (kern_conv_impl (c, (enum kern_direction)d), "ref", 3) == 0)
      plain |= 1u << d;
  return plain;
}

/* Whether two convolutions use the same kernels of the library: in these
 * directions, and in forward, which decides the layout of the weights. */
static bool
same_kernels (const struct kern_conv *a, const struct kern_conv *b,
              unsigned directions)
{
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
    if ((d == KERN_FORWARD || directions & (1u << d)) &&
        strcmp (kern_conv_impl (a, (enum kern_direction)d),
                kern_conv_impl (b, (enum kern_direction)d)) != 0)
      return false;
  return true;
}

static enum status
judge (struct proof *p, const struct kern_conv *c, const enum kern_algo algo[3],
       enum kern_direction d, unsigned *wrong)
{
  struct finding f;
  char key[KERN_KEY], why[96];
  const double bound =
      strstr (kern_conv_impl (c, d), "wino") != NULL ? 64 * KERN_ROUNDOFF : 0;
  TRY (try_direction (p, d, &f));
  if (fault_here ("verdict"))
    f.error = 1;
  const bool right = f.error <= bound && !f.beyond;
  key_of (c, algo, d, key);
  if (f.beyond)
    snprintf (why, sizeof why, "writes beyond its memory");
  else
    snprintf (why, sizeof why, "wrong by %.2g of what its terms add up to",
              f.error);
  if (!right)
    *wrong |= 1u << d;
  return kern_verdict_put (p->k, key, right, f.error, why);
}

/* Tries the directions of `open` on a small batch, if the library takes the
 * same kernels for it, else on the whole.  Either all of them are the library's
 * plain loops or none. */
static enum status
prove (struct kern *k, const struct kern_conv *c, const enum kern_algo algo[3],
       unsigned wanted, unsigned open, unsigned *wrong)
{
  struct kern_aside aside;
  const struct kern_conv_shape *whole = kern_conv_shape_of (c);
  struct proof p = {.k = k, .s = small_of (k, whole)};
  if (open & plain_directions (c))
    p.s = corner_of (&p.s);
  kern_aside_open (k, &aside);
  enum status s = proof_make (&p, algo, wanted);
  if (s == E_UNSUPPORTED || (s == OK && !same_kernels (c, p.c, open))) {
    fail_clear ();
    proof_clear (&p);
    p.s = *whole;
    arena_close (&k->slab);
    s = proof_make (&p, algo, wanted);
  }
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS && s == OK; d++)
    if (open & (1u << d))
      s = judge (&p, c, algo, (enum kern_direction)d, wrong);
  proof_clear (&p);
  kern_aside_close (k, &aside);
  return s;
}

enum status
kern_conv_prove (struct kern *k, const struct kern_conv *c,
                 const enum kern_algo algo[3], unsigned wanted, unsigned *wrong)
{
  unsigned open = 0;
  *wrong = 0;
  for (int i = KERN_FORWARD; i <= KERN_BACK_WEIGHTS; i++) {
    const enum kern_direction d = (enum kern_direction)i;
    char key[KERN_KEY];
    if (!(wanted & (1u << d)) || algo[d] == KERN_OWN)
      continue;
    key_of (c, algo, d, key);
    enum kern_known known = kern_verdict_get (k, key);
    const bool beyond =
        writes_beyond (k, kern_conv_shape_of (c), d, kern_conv_impl (c, d));
    if (known == KERN_UNKNOWN && (k->distrust || beyond)) {
      TRY (kern_verdict_put (k, key, false, -1,
                             beyond ? "known to write beyond its memory"
                                    : "not believed"));
      known = KERN_WRONG;
    }
    if (known == KERN_WRONG)
      *wrong |= 1u << d;
    if (known == KERN_UNKNOWN)
      open |= 1u << d;
  }
  const unsigned plain = open & plain_directions (c);
  if (open & ~plain)
    TRY (prove (k, c, algo, wanted, open & ~plain, wrong));
  return plain == 0 ? OK : prove (k, c, algo, wanted, plain, wrong);
}
