/* kern/bn.c -- batch normalisation, alone or with ReLU fused.
 *
 * Three primitives per object: training, evaluation with given statistics, and
 * backward.  The fused ReLU leaves a mask (the library's workspace) that the
 * backward pass reads.  The library's ReLU turns NaN into 0, which would hide a
 * failed run behind harmless numbers: channels whose statistics are not finite
 * are therefore filled with NaN.
 */
#include "kern/kern_impl.h"

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

enum status
kern_bn_create (struct kern *k, struct kern_dims d, enum kern_layout l,
                bool relu, struct kern_bn **out)
{
  struct kern_bn *b = NULL;
  TRY (MEM_NEW (1, &b, "batch normalisation"));
  b->k = k;
  b->d = d;
  b->l = l;
  b->relu = relu;
  b->back_shift = kern_lib_bn_back_shift ();
  enum status s = make_all (b);
  if (s != OK) {
    kern_bn_destroy (&b);
    return s;
  }
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
  const void *data[KERN_OP_ARGS] = {src,   scale, mean,    var,
                                    d_dst, d_src, d_scale, d_shift};
  int n = 8;
  if (b->back_shift)
    data[n++] = shift;
  if (b->relu)
    data[n++] = mask;
  return kern_op_run (b->k, &b->back, data);
}
