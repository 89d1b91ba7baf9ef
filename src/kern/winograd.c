/* kern/winograd.c -- convolutions by Winograd's products of tiles: what is done
 * in which order, and where.
 *
 * A thread takes a block of tiles at a time through all that is to be done with
 * it, so that what is in between stays in its cache: the source transformed,
 * then, some output channels after the other, the products and what comes back.
 * For the gradient of the weights all threads transform a few tiles, and share
 * out the products of these, each adding to its own numbers of the sum.
 *
 * Relies on kern_side for memory; weights are transformed in each call.
 */
#include "kern/winograd_impl.h"
#include "base/fault.h"
#include "kern/kern_impl.h"

#include <omp.h>
#include <stdio.h>

#define TILES 32 /* in a block ... */
#define MANY 64  /* where the weights alone fill a cache of CACHE bytes */
#define CACHE 1e6
#define CHANNELS 64 /* of the output at a time */
#define SOME 256    /* tiles between two sums of the weights' gradient */
#define PARTS 8     /* of the tiles, at most, with sums of their own */
/* Planes lie this many numbers further apart than they are long: at powers of
 * two they would share few lines of the first cache. */
#define GAP 16

/* -- shapes ---------------------------------------------------------------- */

/* Of m = 4, 5/8 and 3/2: of the pairs that were tried those that lose least to
 * rounding.  Results lie twice as far off as plain sums of the library, with 1
 * and 2 (Lavin and Gray) more than four times. */
static struct kern_wino_numbers
numbers_of (int m)
{
  const double a = m == 2 ? 1 : 0.625, b = 1.5, aa = a * a, bb = b * b;
  struct kern_wino_numbers p = {.a = (float)a,
                                .b = (float)b,
                                .aa = (float)aa,
                                .bb = (float)bb,
                                .aaa = (float)(a * aa),
                                .bbb = (float)(b * bb),
                                .both = (float)(aa * bb),
                                .sum = (float)(aa + bb),
                                .g0 = 1,
                                .ga = 0.5f};
  if (m == 4) {
    p.g0 = (float)(1 / (aa * bb));
    p.ga = (float)(1 / (2 * aa * (aa - bb)));
    p.gb = (float)(1 / (2 * bb * (bb - aa)));
  }
  if (fault_here ("winograd"))
    p.ga *= 1.001f;
  return p;
}

/* All but the numbers. */
static bool
wino_shape (const struct kern *k, const struct kern_conv_shape *s, int m,
            struct kern_wino *w)
{
  const struct kern_dims in = {s->n, s->c, s->h, s->w};
  const struct kern_dims out = {s->n, s->out_c, s->h, s->w};
  if (s->kernel != 3 || s->stride != 1 || s->pad != 1 || s->src != s->dst ||
      s->src == KERN_PLAIN)
    return false;
  *w = (struct kern_wino){.level = kern_wino_level (k),
                          .src = kern_view_of (k, in, s->src),
                          .dst = kern_view_of (k, out, s->dst),
                          .m = m,
                          .threads = k->threads};
  /* Channels come in whole vectors, half a panel. */
  return w->src.wide % (w->level->wide / 2) == 0 &&
         w->dst.wide % (w->level->wide / 2) == 0;
}

bool
kern_wino_init (const struct kern *k, const struct kern_conv_shape *s, int m,
                struct kern_wino *w)
{
  if (!wino_shape (k, s, m, w))
    return false;
  w->numbers = numbers_of (m);
  return true;
}

static int64_t
up (int64_t n, int64_t unit)
{
  return (n + unit - 1) / unit;
}

/* Panels of all channels, padding included. */
static int64_t
panels_of (const struct kern_wino *w, const struct kern_view *v)
{
  return up (v->groups * v->wide, w->level->wide);
}

static int64_t
points_of (const struct kern_wino *w)
{
  return (w->m + 2) * (w->m + 2);
}

static struct kern_wino_tiles
tiles_of (const struct kern_wino *w, const struct kern_view *v, int64_t panels,
          int64_t rows)
{
  return (struct kern_wino_tiles){.numbers = &w->numbers,
                                  .v = v,
                                  .m = w->m,
                                  .down = up (v->h, w->m),
                                  .across = up (v->w, w->m),
                                  .plane = panels * rows * w->level->wide + GAP,
                                  .rows = rows};
}

static int64_t
count_of (const struct kern_wino *w, const struct kern_view *v)
{
  return v->n * up (v->h, w->m) * up (v->w, w->m);
}

/* -- forward, and backward data -------------------------------------------- */

struct pass {
  const struct kern_wino *w;
  const struct kern_view *in, *out;
  struct kern_wino_weights weights;
  struct kern_wino_tiles before, after; /* of a block */
  int64_t in_panels, out_panels, step;  /* panels of the output at a time */
  int64_t tiles, blocks;
  size_t own; /* floats of a thread */
};

static struct pass
pass_of (const struct kern_wino *w, bool back)
{
  struct pass p = {
      .w = w, .in = back ? &w->dst : &w->src, .out = back ? &w->src : &w->dst};
  const int64_t wide = w->level->wide, taps = 9;
  p.in_panels = panels_of (w, p.in);
  p.out_panels = panels_of (w, p.out);
  p.step = CHANNELS / wide < p.out_panels ? CHANNELS / wide : p.out_panels;
  p.tiles = count_of (w, p.in);
  const double bytes = (double)(points_of (w) * p.in->c * p.out->c) * 4;
  p.blocks = up (p.tiles, bytes > CACHE ? MANY : TILES);
  p.blocks = up (p.blocks, w->threads) * w->threads;
  const int64_t rows = up (p.tiles, p.blocks);
  p.blocks = up (p.tiles, rows);
  p.before = tiles_of (w, p.in, p.in_panels, rows);
  p.after = tiles_of (w, p.out, p.step, rows);
  p.weights =
      (struct kern_wino_weights){.numbers = &w->numbers,
                                 .m = w->m,
                                 .in = p.in->c,
                                 .out = p.out->c,
                                 .plane = p.out_panels * p.in->c * wide + GAP,
                                 .step_in = back ? p.out->c * taps : taps,
                                 .step_out = back ? taps : p.in->c * taps,
                                 .turned = back};
  p.own = (size_t)(points_of (w) * (p.before.plane + p.after.plane));
  return p;
}

static size_t
pass_room (const struct pass *p)
{
  return (size_t)(points_of (p->w) * p->weights.plane +
                  p->out_panels * p->w->level->wide) +
         (size_t)p->w->threads * p->own;
}

/* One block of tiles, from x to y. */
static void
pass_block (const struct pass *p, int64_t block, const float *x,
            const float *weights, const float *bias, float *own, float *y)
{
  const struct kern_wino_level *l = p->w->level;
  struct kern_wino_tiles before = p->before, after = p->after;
  float *sums = own + points_of (p->w) * before.plane;
  before.first = after.first = block * before.rows;
  before.n = p->tiles - before.first < before.rows ? p->tiles - before.first
                                                   : before.rows;
  after.n = before.n;
  l->source (&before, x, own);
  for (int64_t o = 0; o < p->out_panels; o += p->step) {
    const int64_t n = p->out_panels - o < p->step ? p->out_panels - o : p->step;
    for (int64_t i = 0; i < points_of (p->w); i++)
      for (int64_t q = 0; q < n; q++)
        l->product (before.n, p->out->groups * p->out->wide - (o + q) * l->wide,
                    p->in->c, before.rows, own + i * before.plane,
                    weights + i * p->weights.plane +
                        (o + q) * p->in->c * l->wide,
                    sums + i * after.plane + q * after.rows * l->wide);
    l->result (&after, o * l->wide, n, sums, bias, y);
  }
}

static void
pass_run (const struct pass *p, const float *x, const float *plain,
          const float *bias, float *room, float *y)
{
  const int64_t wide = p->w->level->wide;
  float *more = room + points_of (p->w) * p->weights.plane;
  float *own = more + p->out_panels * wide;
  for (int64_t c = 0; bias && c < p->out_panels * wide; c++)
    more[c] = c < p->out->c ? bias[c] : 0;
#pragma omp parallel num_threads(p->w->threads)
  {
#pragma omp for schedule(static)
    for (int64_t o = 0; o < p->out_panels; o++)
      p->w->level->weights (&p->weights, o, plain, room);
#pragma omp for schedule(static)
    for (int64_t b = 0; b < p->blocks; b++)
      pass_block (p, b, x, room, bias ? more : NULL,
                  own + (size_t)omp_get_thread_num () * p->own, y);
  }
}

void
kern_wino_forward (const struct kern_wino *w, const float *src,
                   const float *weights, const float *bias, float *room,
                   float *dst)
{
  const struct pass p = pass_of (w, false);
  pass_run (&p, src, weights, bias, room, dst);
}

void
kern_wino_back_data (const struct kern_wino *w, const float *d_dst,
                     const float *weights, float *room, float *d_src)
{
  const struct pass p = pass_of (w, true);
  pass_run (&p, d_dst, weights, NULL, room, d_src);
}

/* -- backward weights ------------------------------------------------------ */

/* Of few channels, up to 128 or so, threads take parts of the tiles, each with
 * a sum of its own; the number of parts follows from the shape.  Of many the
 * part is one, and threads share out the numbers of the sum: to read and write
 * several of them would take longer. */
struct sums {
  const struct kern_wino *w;
  struct kern_wino_weights weights;
  struct kern_wino_tiles src, dst; /* of some tiles */
  int64_t panels, tiles, parts;
  int64_t sum; /* floats of a part's */
  size_t own;  /* floats of what is transformed: of a thread, or of all */
};

static struct sums
sums_of (const struct kern_wino *w)
{
  struct sums s = {.w = w, .panels = panels_of (w, &w->dst)};
  s.weights = (struct kern_wino_weights){
      .numbers = &w->numbers,
      .m = w->m,
      .in = w->src.c,
      .out = w->dst.c,
      .plane = s.panels * w->src.c * w->level->wide + GAP,
      .step_in = 9,
      .step_out = w->src.c * 9};
  s.sum = points_of (w) * s.weights.plane;
  s.tiles = count_of (w, &w->src);
  const bool few = (double)(s.sum * 4) <= 3 * CACHE;
  s.parts = few ? up (s.tiles, MANY) : 1;
  s.parts = s.parts < PARTS ? s.parts : PARTS;
  const int64_t most = few ? TILES : SOME;
  const int64_t rows = s.tiles < most ? s.tiles : most;
  s.src = tiles_of (w, &w->src, panels_of (w, &w->src), rows);
  s.dst = tiles_of (w, &w->dst, s.panels, rows);
  s.own = (size_t)(points_of (w) * (s.src.plane + s.dst.plane));
  return s;
}

static size_t
sums_room (const struct sums *s)
{
  const size_t owners = s->parts > 1 ? (size_t)s->w->threads : 1;
  return (size_t)(s->parts * s->sum) + owners * s->own;
}

/* n tiles from `first` on, of both sides, as the tiles `at` of those in work.
 */
static void
sums_tiles (const struct sums *s, int64_t first, int64_t at, int64_t n,
            const float *src, const float *d_dst, float *own)
{
  struct kern_wino_tiles t = s->src, u = s->dst;
  t.first = u.first = first + at;
  t.n = u.n = n;
  own += at * s->w->level->wide;
  s->w->level->source (&t, src, own);
  s->w->level->spread (&u, d_dst, own + points_of (s->w) * s->src.plane);
}

/* Number i of n tiles, of the output channels of panel o. */
static void
sums_add (const struct sums *s, int64_t i, int64_t o, int64_t n, bool add,
          const float *own, float *sum)
{
  const struct kern_wino_level *l = s->w->level;
  const float *b = own + points_of (s->w) * s->src.plane;
  l->correlate (n, s->weights.out - o * l->wide, s->weights.in, s->src.rows,
                own + i * s->src.plane,
                b + i * s->dst.plane + o * s->dst.rows * l->wide, add,
                sum + i * s->weights.plane + o * s->weights.in * l->wide);
}

/* One part of the tiles. */
static void
sums_part (const struct sums *s, int64_t part, const float *src,
           const float *d_dst, float *own, float *sum)
{
  const int64_t start = part * s->tiles / s->parts;
  const int64_t end = (part + 1) * s->tiles / s->parts;
  for (int64_t first = start; first < end; first += s->src.rows) {
    const int64_t n = end - first < s->src.rows ? end - first : s->src.rows;
    sums_tiles (s, first, 0, n, src, d_dst, own);
    for (int64_t i = 0; i < points_of (s->w); i++)
      for (int64_t o = 0; o < s->panels; o++)
        sums_add (s, i, o, n, first > start, own, sum);
  }
}

/* All tiles, by a team. */
static void
sums_whole (const struct sums *s, const float *src, const float *d_dst,
            float *own, float *sum)
{
  for (int64_t first = 0; first < s->tiles; first += s->src.rows) {
    const int64_t left = s->tiles - first;
    const int64_t n = left < s->src.rows ? left : s->src.rows;
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; i++)
      sums_tiles (s, first, i, 1, src, d_dst, own);
#pragma omp for schedule(static) collapse(2)
    for (int64_t i = 0; i < points_of (s->w); i++)
      for (int64_t o = 0; o < s->panels; o++)
        sums_add (s, i, o, n, first > 0, own, sum);
  }
}

/* The sums of all parts come to that of the first, in their order: n numbers
 * from x on. */
KERN_CLONES static void
join (int64_t n, int64_t parts, int64_t step, float *restrict x)
{
  for (int64_t p = 1; p < parts; p++)
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      x[i] += x[p * step + i];
}

void
kern_wino_back_weights (const struct kern_wino *w, const float *src,
                        const float *d_dst, float *room, float *d_weights,
                        float *d_bias)
{
  const struct sums s = sums_of (w);
  float *sum = room, *own = room + s.parts * s.sum;
#pragma omp parallel num_threads(w->threads)
  {
    if (s.parts == 1)
      sums_whole (&s, src, d_dst, own, sum);
    else {
#pragma omp for schedule(static)
      for (int64_t p = 0; p < s.parts; p++)
        sums_part (&s, p, src, d_dst,
                   own + (size_t)omp_get_thread_num () * s.own,
                   sum + p * s.sum);
#pragma omp for schedule(static)
      for (int64_t i = 0; i < points_of (w); i++)
        join (s.weights.plane - GAP, s.parts, s.sum, sum + i * s.weights.plane);
    }
#pragma omp for schedule(static)
    for (int64_t o = 0; o < s.panels; o++)
      w->level->gradient (&s.weights, o, sum, d_weights);
  }
  if (d_bias)
    kern_own_conv_back_bias (&w->dst, w->threads, d_dst, d_bias);
}

size_t
kern_wino_room (const struct kern_wino *w, enum kern_direction d)
{
  const struct pass p = pass_of (w, d == KERN_BACK_DATA);
  const struct sums s = sums_of (w);
  return d == KERN_BACK_WEIGHTS ? sums_room (&s) : pass_room (&p);
}

size_t
kern_conv_room (const struct kern_conv_shape *s, const char *isa, int threads)
{
  const bool wide = kern_isa_includes (isa, "avx512_core");
  struct kern k = {.threads = threads, .block = wide ? 16 : 8};
  struct kern_conv_shape inner = *s;
  struct kern_wino w;
  size_t most = 0;
  snprintf (k.isa, sizeof k.isa, "%s", isa);
  inner.src = inner.dst = KERN_BLOCKED;
  for (int m = 2; m <= 4; m += 2)
    for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
      if (wino_shape (&k, &inner, m, &w)) {
        const size_t room = kern_wino_room (&w, (enum kern_direction)d);
        most = room > most ? room : most;
      }
  return most * sizeof (float);
}
