/* kern/pool.c -- maximum pooling by the library, global average by own loops.
 *
 * The global average goes from any image layout to plain rows [n, c], which the
 * library would do in two passes.
 */
#include "base/fault.h"
#include "kern/prove_impl.h"

#include <stdio.h>

struct kern_pool {
  struct kern *k;
  enum kern_pool_kind kind;
  struct kern_dims d;
  enum kern_layout l;
  size_t mask_bytes;
  struct kern_op forward, back; /* of KERN_POOL_MAX */
  bool own;                     /* ours in place of these */
  struct kern_own_pool plain;
};

static enum status
make_max (struct kern_pool *p, const struct kern_lib_pool *lp, const char *what)
{
  static const int forward[] = {DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_WORKSPACE};
  static const int back[] = {DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC,
                             DNNL_ARG_WORKSPACE};
  struct kern *k = p->k;
  dnnl_primitive_desc_t desc = NULL, hint = NULL;
  dnnl_status_t lib =
      kern_lib_pool (k->engine, KERN_PASS_TRAIN, lp, NULL, k->attr, &desc);
  if (lib != dnnl_success)
    return kern_lib_failed (lib, "making", what);
  TRY (kern_op_init (k, desc, NULL, what, 3, forward, &p->forward));
  p->mask_bytes =
      dnnl_memory_desc_get_size (kern_op_md (&p->forward, DNNL_ARG_WORKSPACE));
  desc = NULL;
  lib = kern_lib_pool (k->engine, KERN_PASS_TRAIN, lp, NULL, k->attr, &hint);
  if (lib == dnnl_success)
    lib = kern_lib_pool (k->engine, KERN_PASS_BACK, lp, hint, k->attr, &desc);
  if (lib != dnnl_success) {
    if (hint != NULL)
      dnnl_primitive_desc_destroy (hint);
    return kern_lib_failed (lib, "making", what);
  }
  return kern_op_init (k, desc, hint, what, 3, back, &p->back);
}

static enum status
create_max (struct kern_pool *p, int kernel, int stride, int pad)
{
  struct kern_dims o = p->d;
  char what[112];
  o.h = kern_conv_out (p->d.h, kernel, stride, pad);
  o.w = kern_conv_out (p->d.w, kernel, stride, pad);
  snprintf (what, sizeof what,
            "maximum pooling n=%lld c=%lld h=%lld w=%lld kernel=%d stride=%d "
            "pad=%d %s",
            (long long)p->d.n, (long long)p->d.c, (long long)p->d.h,
            (long long)p->d.w, kernel, stride, pad, kern_layout_name (p->l));
  if (kernel < 1 || stride < 1 || pad < 0 || 2 * pad > kernel || o.h < 1 ||
      o.w < 1)
    return fail (E_SHAPE, "%s: the window does not fit", what);
  p->plain = (struct kern_own_pool){kern_view_of (p->k, p->d, p->l),
                                    kern_view_of (p->k, o, p->l),
                                    kernel,
                                    stride,
                                    pad,
                                    p->k->threads};
  kern_md src = NULL, dst = NULL;
  dnnl_status_t lib = kern_md_images (p->k, p->d, p->l, &src);
  if (lib == dnnl_success)
    lib = kern_md_images (p->k, o, p->l, &dst);
  struct kern_lib_pool lp = {src, dst, kernel, stride, pad};
  enum status s = lib == dnnl_success
                      ? make_max (p, &lp, what)
                      : kern_lib_failed (lib, "describing", what);
  kern_lib_md_free (&src);
  kern_lib_md_free (&dst);
  return s;
}

static enum status
create (struct kern *k, enum kern_pool_kind kind, struct kern_dims d,
        enum kern_layout l, int kernel, int stride, int pad,
        struct kern_pool **out)
{
  struct kern_pool *p = NULL;
  TRY (MEM_NEW (1, &p, "pooling"));
  p->k = k;
  p->kind = kind;
  p->d = d;
  p->l = l;
  enum status s =
      kind == KERN_POOL_MAX ? create_max (p, kernel, stride, pad) : OK;
  if (s != OK) {
    kern_pool_destroy (&p);
    return s;
  }
  *out = p;
  return OK;
}

/* -- proof ----------------------------------------------------------------- */

struct trial { /* owned: x, its gradient and ours; y, its gradient and ours */
  float *x, *dx, *dx2, *y, *g, *y2;
  void *mask;
  int64_t *mask2;
};

static size_t
floats_of (const struct kern_view *v)
{
  return (size_t)(v->n * v->groups * v->wide * v->h * v->w);
}

static enum status
trial_make (const struct kern_pool *p, struct trial *t)
{
  const size_t n = floats_of (&p->plain.src), m = floats_of (&p->plain.dst);
  TRY (MEM_NEW (n, &t->x, "proof"));
  TRY (MEM_NEW (n + KERN_GUARD, &t->dx, "proof"));
  TRY (MEM_NEW (n, &t->dx2, "proof"));
  TRY (MEM_NEW (m + KERN_GUARD, &t->y, "proof"));
  TRY (MEM_NEW (m, &t->g, "proof"));
  TRY (MEM_NEW (m, &t->y2, "proof"));
  TRY (mem_new (1, p->mask_bytes, "proof", &t->mask));
  return MEM_NEW (m, &t->mask2, "proof");
}

static void
trial_clear (struct trial *t)
{
  mem_free (&t->x);
  mem_free (&t->dx);
  mem_free (&t->dx2);
  mem_free (&t->y);
  mem_free (&t->g);
  mem_free (&t->y2);
  mem_free (&t->mask);
  mem_free (&t->mask2);
}

/* Whole numbers that differ from their neighbours; padding zero. */
static void
trial_fill (const struct kern_view *v, uint32_t range, float *x)
{
  for (int64_t n = 0; n < v->n; n++)
    for (int64_t c = 0; c < v->groups * v->wide; c++)
      for (int64_t i = 0; i < v->h * v->w; i++) {
        const int64_t at = kern_view_channel (v, n, c, i / v->w, i % v->w);
        const uint32_t word = (uint32_t)at * 2654435761u >> 8;
        x[at] = c < v->c ? (float)(word % range) - (float)(range / 2) : 0;
      }
}

static bool
same (size_t n, const float *a, const float *b)
{
  for (size_t i = 0; i < n; i++)
    if (!(a[i] == b[i]))
      return false;
  return true;
}

/* The maximum is exact, and sums of a few whole numbers are. */
static enum status
try_small (struct kern_pool *p, struct trial *t, bool *right)
{
  const size_t n = floats_of (&p->plain.src), m = floats_of (&p->plain.dst);
  TRY (kern_aside_seal (p->k));
  TRY (trial_make (p, t));
  trial_fill (&p->plain.src, 1u << 24, t->x);
  trial_fill (&p->plain.dst, 1u << 12, t->g);
  kern_own_pool_forward (&p->plain, t->x, t->y2, t->mask2);
  kern_own_pool_back (&p->plain, t->g, t->mask2, t->dx2);
  *right = true;
  for (int kind = 0; kind < 2; kind++) {
    kern_aside_spoil (p->k, kind);
    kern_spoil (t->y, m + KERN_GUARD, kind);
    kern_spoil (t->dx, n + KERN_GUARD, kind);
    TRY (kern_pool_forward (p, t->x, t->y, t->mask));
    TRY (kern_pool_back (p, t->g, t->mask, t->dx));
    *right = *right && same (m, t->y, t->y2) && same (n, t->dx, t->dx2) &&
             kern_spoilt (t->y + m, KERN_GUARD, kind) &&
             kern_spoilt (t->dx + n, KERN_GUARD, kind) &&
             kern_aside_whole (p->k, p->k->scratch_bytes, kind);
  }
  return OK;
}

static enum status
prove (const struct kern_pool *p, const char *key, bool *right)
{
  struct kern_aside aside;
  struct kern_pool *small = NULL;
  struct trial t = {0};
  struct kern *k = p->k;
  const struct kern_own_pool *o = &p->plain;
  struct kern_dims d = p->d;
  const int64_t n = 2 * k->threads;
  d.n = n < d.n ? n : d.n;
  *right = false;
  kern_aside_open (k, &aside);
  enum status s =
      create (k, KERN_POOL_MAX, d, p->l, o->kernel, o->stride, o->pad, &small);
  if (s == OK && !k->distrust)
    s = try_small (small, &t, right);
  trial_clear (&t);
  kern_pool_destroy (&small);
  kern_aside_close (k, &aside);
  TRY (s);
  if (fault_here ("verdict"))
    *right = false;
  return kern_verdict_put (k, key, *right,
                           *right        ? 0
                           : k->distrust ? -1
                                         : 1,
                           k->distrust ? "not believed" : "wrong");
}

enum status
kern_pool_create (struct kern *k, enum kern_pool_kind kind, struct kern_dims d,
                  enum kern_layout l, int kernel, int stride, int pad,
                  struct kern_pool **out)
{
  struct kern_pool *p = NULL;
  char key[KERN_KEY];
  TRY (create (k, kind, d, l, kernel, stride, pad, &p));
  snprintf (
      key, sizeof key,
      "maximum pooling c=%lld h=%lld w=%lld kernel=%d stride=%d pad=%d %s "
      "by %s and %s",
      (long long)d.c, (long long)d.h, (long long)d.w, kernel, stride, pad,
      kern_layout_name (l), p->forward.impl, p->back.impl);
  enum status s = OK;
  bool right = true;
  if (kind == KERN_POOL_MAX) {
    enum kern_known known = kern_verdict_get (k, key);
    right = known == KERN_RIGHT;
    s = known == KERN_UNKNOWN ? prove (p, key, &right) : OK;
  }
  if (s != OK) {
    kern_pool_destroy (&p);
    return s;
  }
  if (!right) { /* our own loops keep an index per result for a mask */
    kern_op_clear (&p->forward);
    kern_op_clear (&p->back);
    p->own = true;
    p->mask_bytes = floats_of (&p->plain.dst) * sizeof (int64_t);
  }
  *out = p;
  return OK;
}

void
kern_pool_destroy (struct kern_pool **pp)
{
  struct kern_pool *p = *pp;
  if (p == NULL)
    return;
  kern_op_clear (&p->forward);
  kern_op_clear (&p->back);
  mem_free (pp);
}

size_t
kern_pool_mask_bytes (const struct kern_pool *p)
{
  return p->mask_bytes;
}

/* -- global average -------------------------------------------------------- */

/* An image is groups of `wide` neighbouring channels: a whole block, all
 * channels, or one; pixels of a group are `wide` apart, groups wide x pixels.
 */
struct groups {
  int64_t wide, count, pixels;
};

static struct groups
groups_of (const struct kern_pool *p)
{
  struct groups g = {.wide = 1, .count = p->d.c, .pixels = p->d.h * p->d.w};
  if (p->l == KERN_LAST) {
    g.wide = p->d.c;
    g.count = 1;
  } else if (p->l == KERN_BLOCKED) {
    g.wide = p->k->block;
    g.count = (p->d.c + g.wide - 1) / g.wide;
  }
  return g;
}

/* Channels of the tile that begins at channel c0 of group i, padding not
 * counted; tiles keep the sums in registers. */
#define TILE 64
static int64_t
real_channels (const struct kern_pool *p, struct groups g, int64_t i,
               int64_t c0)
{
  int64_t end = (i + 1) * g.wide < p->d.c ? (i + 1) * g.wide : p->d.c;
  int64_t n = end - (i * g.wide + c0);
  return n < 0 ? 0 : n < TILE ? n : TILE;
}

KERN_CLONES static void
average_tile (const float *restrict x, int64_t step, int64_t pixels, int64_t n,
              float *restrict y)
{
  float sum[TILE] = {0};
  for (int64_t j = 0; j < pixels; j++)
#pragma omp simd
    for (int64_t c = 0; c < n; c++)
      sum[c] += x[j * step + c];
  for (int64_t c = 0; c < n; c++)
    y[c] = sum[c] / (float)pixels;
}

/* One channel by itself: the sum goes along the pixels. */
KERN_CLONES static void
average_line (const float *restrict x, int64_t pixels, float *restrict y)
{
  float sum;
  KERN_SUM (float, pixels, x[i], sum);
  *y = sum / (float)pixels;
}

static void
global_forward (const struct kern_pool *p, const float *src, float *dst)
{
  struct groups g = groups_of (p);
#pragma omp parallel for collapse(2) schedule(static) num_threads(p->k->threads)
  for (int64_t n = 0; n < p->d.n; n++)
    for (int64_t i = 0; i < g.count; i++) {
      const float *x = src + (n * g.count + i) * g.wide * g.pixels;
      float *y = dst + n * p->d.c + i * g.wide;
      if (g.wide == 1)
        average_line (x, g.pixels, y);
      else
        for (int64_t c = 0; c < g.wide; c += TILE)
          average_tile (x + c, g.wide, g.pixels, real_channels (p, g, i, c),
                        y + c);
    }
}

KERN_CLONES static void
spread (const float *restrict d_y, int64_t real, int64_t wide, int64_t pixels,
        float *restrict d_x)
{
  float one = 1 / (float)pixels;
  for (int64_t j = 0; j < pixels; j++) {
#pragma omp simd
    for (int64_t c = 0; c < real; c++)
      d_x[j * wide + c] = d_y[c] * one;
    for (int64_t c = real; c < wide; c++)
      d_x[j * wide + c] = 0;
  }
}

KERN_CLONES static void
spread_line (float d_y, int64_t pixels, float *restrict d_x)
{
  float v = d_y * (1 / (float)pixels);
#pragma omp simd
  for (int64_t j = 0; j < pixels; j++)
    d_x[j] = v;
}

static void
global_back (const struct kern_pool *p, const float *d_dst, float *d_src)
{
  struct groups g = groups_of (p);
#pragma omp parallel for collapse(2) schedule(static) num_threads(p->k->threads)
  for (int64_t n = 0; n < p->d.n; n++)
    for (int64_t i = 0; i < g.count; i++) {
      const float *d_y = d_dst + n * p->d.c + i * g.wide;
      float *d_x = d_src + (n * g.count + i) * g.wide * g.pixels;
      int64_t real = p->d.c - i * g.wide;
      if (g.wide == 1)
        spread_line (*d_y, g.pixels, d_x);
      else
        spread (d_y, real < g.wide ? real : g.wide, g.wide, g.pixels, d_x);
    }
}

/* -- calls ----------------------------------------------------------------- */

enum status
kern_pool_forward (struct kern_pool *p, const float *src, float *dst,
                   void *mask)
{
  if (p->own) {
    kern_own_pool_forward (&p->plain, src, dst, mask);
    return OK;
  }
  if (p->kind == KERN_POOL_MAX)
    return kern_op_run (p->k, &p->forward, (const void *[]){src, dst, mask});
  global_forward (p, src, dst);
  return OK;
}

enum status
kern_pool_back (struct kern_pool *p, const float *d_dst, const void *mask,
                float *d_src)
{
  if (p->own) {
    kern_own_pool_back (&p->plain, d_dst, mask, d_src);
    return OK;
  }
  if (p->kind == KERN_POOL_MAX)
    return kern_op_run (p->k, &p->back, (const void *[]){d_dst, d_src, mask});
  global_back (p, d_dst, d_src);
  return OK;
}
