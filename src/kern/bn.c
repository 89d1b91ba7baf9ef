/* kern/bn.c -- batch normalisation, alone or with ReLU fused.
 *
 * Three primitives per object: training, evaluation with given statistics, and
 * backward.  The fused ReLU leaves a mask (the library's workspace) that the
 * backward pass reads.
 *
 * The library's ReLU turns NaN into 0, and a run whose numbers have failed
 * would go on with harmless ones.  So channels whose statistics are not finite
 * are filled with NaN here.
 *
 * The three primitives are compared with our own loops (own.c), in double, on a
 * small batch; if they are wrong, our own take their place.  Or none of all
 * this is used, but the loops of fused.c.
 */
#include "base/fault.h"
#include "kern/fused_impl.h"
#include "kern/prove_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BN_EPS 1e-5f
#define BN_MOMENTUM 0.1

struct kern_bn {
  struct kern *k;
  struct kern_dims d;
  enum kern_layout l;
  bool relu, back_shift;
  size_t mask_bytes;
  struct kern_op train, infer, back;
  bool own; /* ours in place of these */
  struct kern_own_bn plain;
  bool is_fused; /* none of the above is made */
  struct kern_fused fused;
};

/* The argument numbers of a pass, in the order in which the calls below give
 * their addresses; returns how many. */
static int
list_args (const struct kern_bn *b, enum kern_lib_pass pass,
           int args[KERN_OP_ARGS])
{
  static const int train[] = {DNNL_ARG_SRC,  DNNL_ARG_SCALE,    DNNL_ARG_SHIFT,
                              DNNL_ARG_MEAN, DNNL_ARG_VARIANCE, DNNL_ARG_DST};
  static const int back[] = {DNNL_ARG_SRC,        DNNL_ARG_SCALE,
                             DNNL_ARG_MEAN,       DNNL_ARG_VARIANCE,
                             DNNL_ARG_DIFF_DST,   DNNL_ARG_DIFF_SRC,
                             DNNL_ARG_DIFF_SCALE, DNNL_ARG_DIFF_SHIFT};
  bool is_back = pass == KERN_PASS_BACK;
  int n = is_back ? 8 : 6;
  memcpy (args, is_back ? back : train, (size_t)n * sizeof *args);
  if (is_back && b->back_shift)
    args[n++] = DNNL_ARG_SHIFT;
  if (b->relu && pass != KERN_PASS_INFER)
    args[n++] = DNNL_ARG_WORKSPACE;
  return n;
}

static enum status
make_pass (struct kern_bn *b, enum kern_lib_pass pass, kern_const_md data,
           const char *what, struct kern_op *op)
{
  struct kern *k = b->k;
  dnnl_primitive_desc_t desc = NULL, hint = NULL;
  dnnl_status_t lib = dnnl_success;
  int args[KERN_OP_ARGS], n = list_args (b, pass, args);
  if (pass == KERN_PASS_BACK)
    lib = kern_lib_bn (k->engine, KERN_PASS_TRAIN, data, BN_EPS, b->relu, NULL,
                       k->attr, &hint);
  if (lib == dnnl_success)
    lib = kern_lib_bn (k->engine, pass, data, BN_EPS, b->relu, hint, k->attr,
                       &desc);
  if (lib != dnnl_success) {
    if (hint != NULL)
      dnnl_primitive_desc_destroy (hint);
    return kern_lib_failed (lib, "making", what);
  }
  return kern_op_init (k, desc, hint, what, n, args, op);
}

static enum status
make_all (struct kern_bn *b)
{
  char what[112];
  snprintf (what, sizeof what,
            "batch normalisation%s n=%lld c=%lld h=%lld w=%lld %s",
            b->relu ? " with ReLU" : "", (long long)b->d.n, (long long)b->d.c,
            (long long)b->d.h, (long long)b->d.w, kern_layout_name (b->l));
  kern_md data = NULL;
  dnnl_status_t lib = kern_md_images (b->k, b->d, b->l, &data);
  if (lib != dnnl_success)
    return kern_lib_failed (lib, "describing", what);
  enum status s = make_pass (b, KERN_PASS_TRAIN, data, what, &b->train);
  if (s == OK)
    s = make_pass (b, KERN_PASS_INFER, data, what, &b->infer);
  if (s == OK)
    s = make_pass (b, KERN_PASS_BACK, data, what, &b->back);
  if (s == OK && b->relu)
    b->mask_bytes =
        dnnl_memory_desc_get_size (kern_op_md (&b->train, DNNL_ARG_WORKSPACE));
  kern_lib_md_free (&data);
  return s;
}

static enum status
begin (struct kern *k, struct kern_dims d, enum kern_layout l, bool relu,
       struct kern_bn **out)
{
  struct kern_bn *b = NULL;
  TRY (MEM_NEW (1, &b, "batch normalisation"));
  b->k = k;
  b->d = d;
  b->l = l;
  b->relu = relu;
  b->back_shift = kern_lib_bn_back_shift ();
  b->plain = (struct kern_own_bn){kern_view_of (k, d, l), BN_EPS, k->threads};
  *out = b;
  return OK;
}

static enum status
create (struct kern *k, struct kern_dims d, enum kern_layout l, bool relu,
        struct kern_bn **out)
{
  struct kern_bn *b = NULL;
  TRY (begin (k, d, l, relu, &b));
  enum status s = make_all (b);
  if (s != OK) {
    kern_bn_destroy (&b);
    return s;
  }
  *out = b;
  return OK;
}

/* -- proof ----------------------------------------------------------------- */

/* Numbers of a proof, about. */
#define PROOF 65536

struct trial {
  struct kern_bn *b; /* small */
  size_t n, c;
  float *v;              /* owned: all that follows */
  float *x, *g, *y, *dx; /* of the library; n + KERN_GUARD each */
  float *y2, *dx2;       /* ours */
  float *scale, *shift, *mean, *var, *ds, *db, *mean2, *var2, *ds2, *db2;
  uint8_t *gate, *mask; /* owned; where y is above 0, and the library's */
};

static enum status
trial_make (struct trial *t)
{
  float **const large[] = {&t->x, &t->g, &t->y, &t->dx, &t->y2, &t->dx2};
  float **const small[] = {&t->scale, &t->shift, &t->mean, &t->var, &t->ds,
                           &t->db,    &t->mean2, &t->var2, &t->ds2, &t->db2};
  t->n = kern_bytes (t->b->k, t->b->d, t->b->l) / sizeof (float);
  t->c = (size_t)t->b->d.c;
  const size_t c = arena_round (t->c * 4) / 4, n = arena_round (t->n * 4) / 4;
  TRY (MEM_NEW (6 * (n + KERN_GUARD) + 10 * c, &t->v, "proof"));
  TRY (mem_new (1, t->n, "proof", (void **)&t->gate));
  TRY (mem_new (1, t->b->mask_bytes, "proof", (void **)&t->mask));
  float *at = t->v;
  for (int i = 0; i < 6; i++, at += n + KERN_GUARD)
    *large[i] = at;
  for (int i = 0; i < 10; i++, at += c)
    *small[i] = at;
  return OK;
}

/* Whole numbers over 64, padding zero. */
static void
trial_fill (const struct trial *t, float *x, uint32_t seed)
{
  const struct kern_view *v = &t->b->plain.v;
  kern_fill_whole (x, t->n, 64, seed);
  for (size_t i = 0; i < t->n; i++)
    x[i] /= 64;
  for (int64_t c = v->c; c < v->groups * v->wide; c++)
    for (int64_t n = 0; n < v->n; n++)
      for (int64_t i = 0; i < v->h * v->w; i++)
        x[kern_view_channel (v, n, c, 0, 0) + i * v->wide] = 0;
}

/* The largest difference as a part of its bound raises *worst. */
static void
compare (size_t n, const float *got, const float *want, double bound,
         double *worst)
{
  for (size_t i = 0; i < n; i++) {
    double e = fabs ((double)got[i] - (double)want[i]) / bound;
    if (!(e <= *worst))
      *worst = isfinite (e) ? e : INFINITY;
  }
}

/* Every sum has `count` terms of at most 1 (x), or what that becomes when
 * divided by the deviation, which is at least half: rounded count times, and a
 * few operations more. */
static void
trial_compare (struct trial *t, bool relu, double *worst)
{
  const double count = (double)(t->b->d.n * t->b->d.h * t->b->d.w);
  const double u = KERN_ROUNDOFF * (4 * count + 64);
  const struct kern_own_bn *o = &t->b->plain;
  compare (t->c, t->mean, t->mean2, u, worst);
  compare (t->c, t->var, t->var2, 2 * u, worst);
  kern_own_bn_apply (o, t->x, t->scale, t->shift, t->mean2, t->var2, relu,
                     t->y2, NULL);
  /* rstd of the few values that there may be: its largest counts */
  double rstd = 1;
  for (size_t i = 0; i < t->c; i++)
    rstd = fmax (rstd, 1 / sqrt ((double)t->var2[i] + (double)BN_EPS));
  const double r3 = rstd * rstd * rstd;
  compare (t->n, t->y, t->y2, 8 * u * r3, worst);
  for (size_t i = 0; i < t->n; i++)
    t->gate[i] = t->y[i] > 0;
  kern_own_bn_back (o, t->x, t->g, t->scale, t->mean, t->var,
                    relu ? t->gate : NULL, t->dx2, t->ds2, t->db2);
  compare (t->c, t->db, t->db2, u * count, worst);
  compare (t->c, t->ds, t->ds2, 4 * u * count * r3, worst);
  compare (t->n, t->dx, t->dx2, 16 * u * r3 * rstd, worst);
}

/* Forward, backward and evaluation once, behind nonsense of one kind. */
static enum status
trial_run (struct trial *t, int kind, double *worst)
{
  struct kern *k = t->b->k;
  const struct kern_bn *b = t->b;
  kern_aside_spoil (k, kind);
  kern_spoil (t->y, t->n + KERN_GUARD, kind);
  kern_spoil (t->dx, t->n + KERN_GUARD, kind);
  TRY (kern_bn_forward (t->b, t->x, t->scale, t->shift, t->y, t->mean, t->var,
                        t->mask));
  TRY (kern_bn_back (t->b, t->x, t->g, t->scale, t->shift, t->mean, t->var,
                     t->mask, t->dx, t->ds, t->db));
  trial_compare (t, b->relu, worst);
  if (!kern_spoilt (t->y + t->n, KERN_GUARD, kind) ||
      !kern_spoilt (t->dx + t->n, KERN_GUARD, kind))
    *worst = INFINITY;
  kern_spoil (t->y, t->n, kind);
  TRY (kern_bn_infer (t->b, t->x, t->scale, t->shift, t->mean, t->var, t->y));
  kern_own_bn_apply (&b->plain, t->x, t->scale, t->shift, t->mean, t->var,
                     false, t->y2, NULL);
  for (size_t i = 0; i < t->n && b->relu; i++)
    t->y2[i] = t->y2[i] > 0 ? t->y2[i] : 0;
  double rstd = 1;
  for (size_t i = 0; i < t->c; i++)
    rstd = fmax (rstd, 1 / sqrt ((double)t->var[i] + (double)BN_EPS));
  compare (t->n, t->y, t->y2, 64 * KERN_ROUNDOFF * rstd, worst);
  if (!kern_aside_whole (k, k->scratch_bytes, kind))
    *worst = INFINITY;
  return OK;
}

static enum status
try_small (struct kern_bn *small, double *worst)
{
  struct trial t = {.b = small};
  enum status s = kern_aside_seal (small->k);
  if (s == OK)
    s = trial_make (&t);
  if (s == OK) {
    trial_fill (&t, t.x, 1);
    trial_fill (&t, t.g, 2);
    for (size_t i = 0; i < t.c; i++) {
      t.scale[i] = 1 + (float)(i % 3) / 4;
      t.shift[i] = (float)(i % 5) / 4 - 0.5f;
    }
    kern_own_bn_statistics (&small->plain, t.x, t.mean2, t.var2);
  }
  for (int kind = 0; kind < 2 && s == OK; kind++)
    s = trial_run (&t, kind, worst);
  mem_free (&t.v);
  mem_free (&t.gate);
  mem_free (&t.mask);
  return s;
}

static struct kern_dims
small_dims (const struct kern *k, struct kern_dims d)
{
  int64_t n = PROOF / (d.c * d.h * d.w);
  n = n < k->threads ? k->threads : n > 4 * k->threads ? 4 * k->threads : n;
  n = n < 2 ? 2 : n; /* one value has no deviation */
  d.n = n < d.n ? n : d.n;
  return d;
}

static enum status
prove (struct kern_bn *b, const char *key, bool *right)
{
  struct kern_aside aside;
  struct kern_bn *small = NULL;
  struct kern *k = b->k;
  char why[96];
  double worst = k->distrust ? -1 : 0;
  kern_aside_open (k, &aside);
  enum status s = create (k, small_dims (k, b->d), b->l, b->relu, &small);
  if (s == OK && !k->distrust)
    s = try_small (small, &worst);
  kern_bn_destroy (&small);
  kern_aside_close (k, &aside);
  TRY (s);
  if (fault_here ("verdict"))
    worst = 2;
  *right = worst >= 0 && worst <= 1;
  snprintf (why, sizeof why, "wrong by %.2g of the bound of its rounding",
            worst);
  return kern_verdict_put (k, key, *right, worst,
                           k->distrust ? "not believed" : why);
}

static void
become_own (struct kern_bn *b)
{
  kern_op_clear (&b->train);
  kern_op_clear (&b->infer);
  kern_op_clear (&b->back);
  b->own = true;
  b->mask_bytes = b->relu ? kern_bytes (b->k, b->d, b->l) / sizeof (float) : 0;
}

static enum status
create_fused (struct kern *k, struct kern_dims d, enum kern_layout l, bool relu,
              struct kern_bn **out)
{
  TRY (begin (k, d, l, relu, out));
  (*out)->is_fused = true;
  (*out)->fused = kern_fused_of (k, d, l, BN_EPS);
  kern_side_want (k, kern_fused_bytes (&(*out)->fused));
  return OK;
}

enum status
kern_bn_create (struct kern *k, struct kern_dims d, enum kern_layout l,
                bool relu, enum kern_bn_way way, struct kern_bn **out)
{
  struct kern_bn *b = NULL;
  char key[KERN_KEY];
  if (way == KERN_BN_FUSED)
    return create_fused (k, d, l, relu, out);
  TRY (create (k, d, l, relu, &b));
  snprintf (key, sizeof key,
            "batch normalisation%s c=%lld h=%lld w=%lld %s by %s and %s",
            relu ? " with ReLU" : "", (long long)d.c, (long long)d.h,
            (long long)d.w, kern_layout_name (l), b->train.impl, b->back.impl);
  enum kern_known known = kern_verdict_get (k, key);
  bool right = known == KERN_RIGHT;
  enum status s = known == KERN_UNKNOWN ? prove (b, key, &right) : OK;
  if (s != OK) {
    kern_bn_destroy (&b);
    return s;
  }
  if (!right)
    become_own (b);
  *out = b;
  return OK;
}

void
kern_bn_destroy (struct kern_bn **bp)
{
  struct kern_bn *b = *bp;
  if (b == NULL)
    return;
  kern_op_clear (&b->train);
  kern_op_clear (&b->infer);
  kern_op_clear (&b->back);
  mem_free (bp);
}

size_t
kern_bn_mask_bytes (const struct kern_bn *b)
{
  return b->mask_bytes;
}

/* All elements of channel c become NaN. */
static void
poison (const struct kern_bn *b, int64_t c, float *dst)
{
  int64_t pixels = b->d.h * b->d.w, block = 1, channels = b->d.c;
  if (b->l == KERN_BLOCKED) {
    block = b->k->block;
    channels = (channels + block - 1) / block * block;
  } else if (b->l == KERN_LAST)
    block = channels;
  for (int64_t n = 0; n < b->d.n; n++) {
    float *group = dst + (n * channels + c / block * block) * pixels;
    for (int64_t j = 0; j < pixels; j++)
      group[j * block + c % block] = NAN;
  }
}

static void
keep_bad_numbers (const struct kern_bn *b, const float *mean, const float *var,
                  float *dst)
{
  for (int64_t c = 0; c < b->d.c && b->relu; c++)
    if (!isfinite (mean[c]) || !isfinite (var[c]))
      poison (b, c, dst);
}

enum status
kern_bn_forward (struct kern_bn *b, const float *src, const float *scale,
                 const float *shift, float *dst, float *mean, float *var,
                 void *mask)
{
  if (b->is_fused) {
    const struct kern_fused_out out = {NULL, b->relu, dst};
    kern_fused_forward (&b->fused, kern_side (b->k), src, scale, shift, mean,
                        var, &out);
    return OK;
  }
  if (b->own) {
    kern_own_bn_statistics (&b->plain, src, mean, var);
    kern_own_bn_apply (&b->plain, src, scale, shift, mean, var, b->relu, dst,
                       b->relu ? mask : NULL);
    return OK;
  }
  TRY (kern_op_run (b->k, &b->train,
                    (const void *[]){src, scale, shift, mean, var, dst, mask}));
  keep_bad_numbers (b, mean, var, dst);
  return OK;
}

enum status
kern_bn_infer (struct kern_bn *b, const float *src, const float *scale,
               const float *shift, const float *mean, const float *var,
               float *dst)
{
  if (b->is_fused) {
    const struct kern_fused_out out = {NULL, b->relu, dst};
    kern_fused_infer (&b->fused, kern_side (b->k), src, scale, shift, mean, var,
                      &out);
    return OK;
  }
  if (b->own) {
    kern_own_bn_apply (&b->plain, src, scale, shift, mean, var, b->relu, dst,
                       NULL);
    return OK;
  }
  TRY (kern_op_run (b->k, &b->infer,
                    (const void *[]){src, scale, shift, mean, var, dst}));
  keep_bad_numbers (b, mean, var, dst);
  return OK;
}

void
kern_bn_running (const struct kern_bn *b, const float *mean, const float *var,
                 float *running_mean, float *running_var)
{
  double count = (double)b->d.n * (double)b->d.h * (double)b->d.w;
  /* One value has no unbiased variance; its biased one, 0, is used. */
  double unbias = count > 1 ? count / (count - 1) : 1;
  for (int64_t i = 0; i < b->d.c; i++) {
    running_mean[i] =
        (float)((1 - BN_MOMENTUM) * running_mean[i] + BN_MOMENTUM * mean[i]);
    running_var[i] = (float)((1 - BN_MOMENTUM) * running_var[i] +
                             BN_MOMENTUM * unbias * var[i]);
  }
}

enum status
kern_bn_back (struct kern_bn *b, const float *src, const float *d_dst,
              const float *scale, const float *shift, const float *mean,
              const float *var, const void *mask, float *d_src, float *d_scale,
              float *d_shift)
{
  if (b->is_fused) {
    const struct kern_fused_in in = {.d_dst = d_dst, .relu = b->relu};
    kern_fused_back (&b->fused, kern_side (b->k), src, scale, shift, mean, var,
                     &in, d_src, d_scale, d_shift);
    return OK;
  }
  if (b->own) {
    kern_own_bn_back (&b->plain, src, d_dst, scale, mean, var,
                      b->relu ? mask : NULL, d_src, d_scale, d_shift);
    return OK;
  }
  const void *data[KERN_OP_ARGS] = {src,   scale, mean,    var,
                                    d_dst, d_src, d_scale, d_shift};
  int n = 8;
  if (b->back_shift)
    data[n++] = shift;
  if (b->relu)
    data[n++] = mask;
  return kern_op_run (b->k, &b->back, data);
}

void
kern_bn_join (struct kern_bn *b, const float *src, const float *scale,
              const float *shift, const float *side, float *dst, float *mean,
              float *var)
{
  CHECK (b->is_fused && !b->relu, "a sum behind the library's normalisation");
  const struct kern_fused_out out = {side, true, dst};
  kern_fused_forward (&b->fused, kern_side (b->k), src, scale, shift, mean, var,
                      &out);
}

void
kern_bn_join_infer (struct kern_bn *b, const float *src, const float *scale,
                    const float *shift, const float *mean, const float *var,
                    const float *side, float *dst)
{
  CHECK (b->is_fused && !b->relu, "a sum behind the library's normalisation");
  const struct kern_fused_out out = {side, true, dst};
  kern_fused_infer (&b->fused, kern_side (b->k), src, scale, shift, mean, var,
                    &out);
}

void
kern_bn_join_back (struct kern_bn *b, const float *src,
                   const struct kern_bn_joined *j, const float *scale,
                   const float *mean, const float *var, float *d_src,
                   float *d_scale, float *d_shift)
{
  CHECK (b->is_fused && !b->relu, "a sum behind the library's normalisation");
  const struct kern_fused_in in = {
      .d_dst = j->d_dst, .more = j->more, .dst = j->dst, .g = j->g};
  /* without its ReLU the shift is of no use; any numbers do */
  kern_fused_back (&b->fused, kern_side (b->k), src, scale, scale, mean, var,
                   &in, d_src, d_scale, d_shift);
}

void
kern_bn_join_gate (const struct kern_bn *b, const struct kern_bn_joined *j)
{
  const struct kern_fused_in in = {
      .d_dst = j->d_dst, .more = j->more, .dst = j->dst, .g = j->g};
  kern_fused_gate (&b->fused, &in);
}

void
kern_bn_infer_back (const struct kern_bn *b, const float *dst,
                    const float *d_dst, const float *scale, const float *var,
                    float *factor, float *d_src)
{
  kern_own_bn_infer_back (&b->plain, b->relu ? dst : NULL, d_dst, scale, var,
                          factor, d_src);
}
