/* kern/conv.c -- convolution in three directions.
 *
 * Layouts.  Each primitive of the library chooses how it wants the weights. The
 * master weights have the layout of the forward primitive.  If backward data
 * wants another one, it reads a copy of its own, which kern_conv_refresh renews
 * after an update.  If the weight gradient comes in another one, it is written
 * to the side buffer and reordered from there.  Plain images in front of
 * channels-last tensors are converted in the side buffer, too, because the
 * library has only a very slow implementation for that pair.
 *
 * Trust.  No kernel of the library is used before prove.c has compared it with
 * plain arithmetic.  In place of one that is wrong the next algorithm is tried,
 * and at last a plain kernel of our own (own.c), whose weights are plain.
 */
#include "kern/prove_impl.h"
#include "kern/winograd_impl.h"
#include "base/fault.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

struct kern_conv {
  struct kern *k;
  struct kern_conv_shape s;
  enum kern_algo algo[3];
  struct kern_op op[3];       /* by direction */
  bool own[3];                /* ours in place of op */
  struct kern_own_conv plain; /* for ours */
  struct kern_wino wino[3];   /* ours by products of tiles, where m is not 0 */
  size_t weight_bytes;        /* of the master, padding included */
  size_t grad_bytes;          /* of the gradient as it is made */
  float *data_copy;       /* weights as backward data wants them; owned; NULL:
                             the master will do */
  struct kern_op to_copy; /* master -> data_copy */
  struct kern_op to_grad; /* weight gradient -> master's layout; not made when
                             it has that already */
  struct kern_op in, out; /* plain -> master -> plain */
  struct kern_op src_in;  /* plain images -> what the primitives read */
  struct kern_op src_out; /* and back; both not made when equal */
  /* Offsets in floats. */
  size_t side_src, side_grad, side_master, side_bias, side_wino;
  bool fresh; /* data_copy holds what kern_conv_refresh last saw */
};

/* -- names and arithmetic -------------------------------------------------- */

static const dnnl_alg_kind_t algo_kinds[KERN_ALGOS] = {
    [KERN_DIRECT] = dnnl_convolution_direct,
    [KERN_WINOGRAD] = dnnl_convolution_winograd,
    [KERN_AUTO] = dnnl_convolution_auto,
    [KERN_OTHER] = dnnl_convolution_direct,
    [KERN_OWN] = dnnl_convolution_direct,
    [KERN_WINOGRAD_2] = dnnl_convolution_direct,
    [KERN_WINOGRAD_4] = dnnl_convolution_direct};

int64_t
kern_conv_out (int64_t size, int kernel, int stride, int pad)
{
  return (size + 2 * pad - kernel) / stride + 1;
}

double
kern_conv_flops (const struct kern_conv_shape *s)
{
  double oh = (double)kern_conv_out (s->h, s->kernel, s->stride, s->pad);
  double ow = (double)kern_conv_out (s->w, s->kernel, s->stride, s->pad);
  return 2.0 * (double)s->n * (double)s->c * (double)s->out_c * oh * ow *
         s->kernel * s->kernel;
}

static enum status
check_shape (const struct kern_conv_shape *s)
{
  char text[KERN_SHAPE_TEXT];
  kern_conv_text (s, text);
  if (s->n < 1 || s->c < 1 || s->out_c < 1 || s->kernel < 1 || s->stride < 1 ||
      s->pad < 0)
    return fail (E_SHAPE, "%s: sizes must be positive", text);
  if (s->h + 2 * s->pad < s->kernel || s->w + 2 * s->pad < s->kernel)
    return fail (E_SHAPE, "%s: the kernel is larger than the padded image",
                 text);
  return OK;
}

/* -- making ---------------------------------------------------------------- */

struct parts { /* descriptors while a convolution is made; all owned */
  kern_md src, weights, bias, dst;
  kern_md plain;  /* weights as files have them */
  kern_md images; /* the source as the caller has it; NULL: as src */
  kern_md src_other, dst_other; /* for KERN_OTHER; NULL: not the same memory */
};

static void
parts_clear (struct parts *p)
{
  kern_lib_md_free (&p->src);
  kern_lib_md_free (&p->weights);
  kern_lib_md_free (&p->bias);
  kern_lib_md_free (&p->dst);
  kern_lib_md_free (&p->plain);
  kern_lib_md_free (&p->images);
  kern_lib_md_free (&p->src_other);
  kern_lib_md_free (&p->dst_other);
}

/* With exactly one block of channels on either side, blocked and channels-last
 * tensors are the same in memory, so either primitive may be used. */
static bool
has_other (const struct kern *k, const struct kern_conv_shape *s)
{
  return s->c == k->block && s->out_c == k->block && s->src == s->dst &&
         s->src != KERN_PLAIN;
}

static dnnl_status_t
parts_make (const struct kern *k, const struct kern_conv_shape *s,
            struct parts *p)
{
  struct kern_dims src = {s->n, s->c, s->h, s->w};
  struct kern_dims dst = {s->n, s->out_c,
                          kern_conv_out (s->h, s->kernel, s->stride, s->pad),
                          kern_conv_out (s->w, s->kernel, s->stride, s->pad)};
  const int64_t w[] = {s->out_c, s->c, s->kernel, s->kernel};
  bool convert = s->src == KERN_PLAIN && s->dst == KERN_LAST;
  dnnl_status_t lib =
      kern_md_images (k, src, convert ? KERN_LAST : s->src, &p->src);
  if (lib == dnnl_success && convert)
    lib = kern_md_images (k, src, KERN_PLAIN, &p->images);
  if (lib == dnnl_success)
    lib = kern_md_images (k, dst, s->dst, &p->dst);
  if (lib == dnnl_success)
    lib = kern_lib_md (4, w, dnnl_format_tag_any, &p->weights);
  if (lib == dnnl_success)
    lib = kern_lib_md (4, w, dnnl_oihw, &p->plain);
  if (lib == dnnl_success && s->bias)
    lib = kern_lib_md (1, &s->out_c, dnnl_x, &p->bias);
  enum kern_layout other = s->src == KERN_LAST ? KERN_BLOCKED : KERN_LAST;
  if (lib == dnnl_success && has_other (k, s))
    lib = kern_md_images (k, src, other, &p->src_other);
  if (lib == dnnl_success && has_other (k, s))
    lib = kern_md_images (k, dst, other, &p->dst_other);
  return lib;
}

/* The descriptor of one direction, with the forward hint that it needs. */
static dnnl_status_t
describe (struct kern *k, const struct kern_conv_shape *s,
          const struct parts *p, enum kern_direction d, enum kern_algo algo,
          dnnl_primitive_desc_t *desc, dnnl_primitive_desc_t *hint)
{
  struct kern_lib_conv c = {.direction = KERN_FORWARD,
                            .algo = algo_kinds[algo],
                            .src = p->src,
                            .weights = p->weights,
                            .bias = p->bias,
                            .dst = p->dst,
                            .stride = s->stride,
                            .pad = s->pad};
  if (algo == KERN_OTHER) {
    if (p->dst_other == NULL)
      return dnnl_unimplemented;
    c.src = p->src_other;
    c.dst = p->dst_other;
  }
  if (d == KERN_FORWARD)
    return kern_lib_conv (k->engine, &c, NULL, k->attr, desc);
  dnnl_status_t lib = kern_lib_conv (k->engine, &c, NULL, k->attr, hint);
  if (lib != dnnl_success)
    return lib;
  c.direction = d;
  lib = kern_lib_conv (k->engine, &c, *hint, k->attr, desc);
  if (lib != dnnl_success) {
    dnnl_primitive_desc_destroy (*hint);
    *hint = NULL;
  }
  return lib;
}

static int
list_args (enum kern_direction d, bool bias, int args[4])
{
  static const int lists[3][4] = {
      [KERN_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST,
                        DNNL_ARG_BIAS},
      [KERN_BACK_DATA] = {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS,
                          DNNL_ARG_DIFF_SRC, 0},
      [KERN_BACK_WEIGHTS] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST,
                             DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS}};
  memcpy (args, lists[d], sizeof lists[d]);
  return bias && d != KERN_BACK_DATA ? 4 : 3;
}

/* One of ours. */
static enum status
make_own (struct kern_conv *c, enum kern_direction d, enum kern_algo algo,
          const char *what)
{
  const int m = algo == KERN_WINOGRAD_2 ? 2 : algo == KERN_WINOGRAD_4 ? 4 : 0;
  if (m != 0 && !kern_wino_init (c->k, &c->s, m, &c->wino[d]))
    return fail (E_UNSUPPORTED, "%s: not for this shape", what);
  c->own[d] = true;
  snprintf (c->op[d].what, sizeof c->op[d].what, "%s", what);
  snprintf (c->op[d].impl, sizeof c->op[d].impl,
            m == 0 ? "own" : "own:wino%dx%d", m, m);
  return OK;
}

static enum status
make_direction (struct kern_conv *c, const struct parts *p,
                enum kern_direction d, enum kern_algo algo)
{
  dnnl_primitive_desc_t desc = NULL, hint = NULL;
  int args[4], n = list_args (d, c->s.bias, args);
  char text[KERN_SHAPE_TEXT], what[KERN_SHAPE_TEXT + 40];
  kern_conv_text (&c->s, text);
  snprintf (what, sizeof what, "%s %s %s", kern_direction_name (d),
            kern_algo_name (algo), text);
  if (algo >= KERN_OWN)
    return make_own (c, d, algo, what);
  dnnl_status_t lib = describe (c->k, &c->s, p, d, algo, &desc, &hint);
  if (lib != dnnl_success)
    return kern_lib_failed (lib, "making", what);
  return kern_op_init (c->k, desc, hint, what, n, args, &c->op[d]);
}

static bool
is_made (const struct kern_conv *c, enum kern_direction d)
{
  return c->own[d] || c->op[d].primitive != NULL;
}

/* How a direction wants the weights or gives their gradient. */
static kern_const_md
weights_md (const struct kern_conv *c, const struct parts *p,
            enum kern_direction d)
{
  if (c->own[d])
    return p->plain;
  return kern_op_md (&c->op[d], d == KERN_BACK_WEIGHTS ? DNNL_ARG_DIFF_WEIGHTS
                                                       : DNNL_ARG_WEIGHTS);
}

/* The reorders between the master weights and everybody else's. */
static enum status
make_reorders (struct kern_conv *c, const struct parts *p)
{
  kern_const_md master = weights_md (c, p, KERN_FORWARD);
  c->weight_bytes = dnnl_memory_desc_get_size (master);
  TRY (kern_op_reorder (c->k, p->plain, master, "weights in", &c->in));
  TRY (kern_op_reorder (c->k, master, p->plain, "weights out", &c->out));
  if (is_made (c, KERN_BACK_DATA)) {
    kern_const_md md = weights_md (c, p, KERN_BACK_DATA);
    if (!dnnl_memory_desc_equal (md, master)) {
      TRY (kern_op_reorder (c->k, master, md, "weights for backward data",
                            &c->to_copy));
      TRY (mem_new (1, dnnl_memory_desc_get_size (md),
                    "weights for backward data", (void **)&c->data_copy));
    }
  }
  if (is_made (c, KERN_BACK_WEIGHTS)) {
    kern_const_md md = weights_md (c, p, KERN_BACK_WEIGHTS);
    c->grad_bytes = dnnl_memory_desc_get_size (md);
    if (!dnnl_memory_desc_equal (md, master))
      TRY (kern_op_reorder (c->k, md, master, "weight gradient", &c->to_grad));
  }
  if (p->images != NULL) {
    TRY (kern_op_reorder (c->k, p->images, p->src, "images in", &c->src_in));
    TRY (kern_op_reorder (c->k, p->src, p->images, "images out", &c->src_out));
  }
  return OK;
}

/* Share out the side buffer: what one call may need at the same time. */
static void
plan_side (struct kern_conv *c)
{
  size_t at = 0;
  if (c->src_in.primitive != NULL) {
    c->side_src = at;
    at += arena_round (kern_bytes (
        c->k, (struct kern_dims){c->s.n, c->s.c, c->s.h, c->s.w}, KERN_LAST));
  }
  if (is_made (c, KERN_BACK_WEIGHTS)) {
    c->side_grad = at;
    at += arena_round (c->grad_bytes);
    c->side_master = at;
    at += arena_round (c->weight_bytes);
    c->side_bias = at;
    at += arena_round ((size_t)c->s.out_c * sizeof (float));
  }
  c->side_wino = at;
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
    if (c->wino[d].m != 0) {
      const size_t room =
          kern_wino_room (&c->wino[d], (enum kern_direction)d) * sizeof (float);
      at = at > c->side_wino + room ? at : c->side_wino + room;
    }
  c->side_src /= sizeof (float);
  c->side_grad /= sizeof (float);
  c->side_master /= sizeof (float);
  c->side_bias /= sizeof (float);
  c->side_wino /= sizeof (float);
  kern_side_want (c->k, at);
}

static enum status
make_all (struct kern_conv *c, const enum kern_algo algo[3], unsigned wanted)
{
  struct parts p = {0};
  enum status s = OK;
  dnnl_status_t lib = parts_make (c->k, &c->s, &p);
  if (lib != dnnl_success)
    s = kern_lib_failed (lib, "describing", "a convolution");
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS && s == OK; d++)
    if (d == KERN_FORWARD || (wanted & (1u << d)) != 0)
      s = make_direction (c, &p, (enum kern_direction)d, algo[d]);
  if (s == OK)
    s = make_reorders (c, &p);
  if (s == OK)
    plan_side (c);
  parts_clear (&p);
  return s;
}

/* The tensors as our own kernels see them: after the same conversion of plain
 * images as for the library. */
static void
plain_make (struct kern_conv *c)
{
  const struct kern_conv_shape *s = &c->s;
  const bool convert = s->src == KERN_PLAIN && s->dst == KERN_LAST;
  const struct kern_dims in = {s->n, s->c, s->h, s->w};
  const struct kern_dims out = {
      s->n, s->out_c, kern_conv_out (s->h, s->kernel, s->stride, s->pad),
      kern_conv_out (s->w, s->kernel, s->stride, s->pad)};
  c->plain = (struct kern_own_conv){
      .src = kern_view_of (c->k, in, convert ? KERN_LAST : s->src),
      .dst = kern_view_of (c->k, out, s->dst),
      .kernel = s->kernel,
      .stride = s->stride,
      .pad = s->pad,
      .threads = c->k->threads};
}

enum status
kern_conv_create_as (struct kern *k, const struct kern_conv_shape *s,
                     const enum kern_algo algo[3], unsigned wanted,
                     struct kern_conv **out)
{
  TRY (check_shape (s));
  struct kern_conv *c = NULL;
  TRY (MEM_NEW (1, &c, "convolution"));
  c->k = k;
  c->s = *s;
  plain_make (c);
  enum status status = make_all (c, algo, wanted);
  if (status != OK) {
    kern_conv_destroy (&c);
    return status;
  }
  *out = c;
  return OK;
}

/* What the library does not offer of a table. */
static enum status
not_offered (const struct kern *k, const struct kern_conv_shape *s,
             const enum kern_algo algo[3])
{
  char text[KERN_SHAPE_TEXT];
  kern_conv_text (s, text);
  fail_clear ();
  return fail (E_CONFIG,
               "the tuning asks for forward=%s back_data=%s back_weights=%s "
               "in %s, which this library (%s) does not offer; tune again",
               kern_algo_name (algo[0]), kern_algo_name (algo[1]),
               kern_algo_name (algo[2]), text, k->describe);
}

/* The algorithm that comes next where one is wrong; the last is our own. */
static enum kern_algo
next_algo (unsigned tried)
{
  static const enum kern_algo order[] = {KERN_DIRECT, KERN_AUTO, KERN_WINOGRAD,
                                         KERN_OTHER};
  for (size_t i = 0; i < sizeof order / sizeof *order; i++)
    if (!(tried & (1u << order[i])))
      return order[i];
  return KERN_OWN;
}

enum status
kern_conv_create (struct kern *k, const struct kern_conv_shape *s,
                  const struct kern_tuning *t, struct kern_conv **out)
{
  enum kern_algo algo[3];
  unsigned tried[3] = {0}, wrong = 0;
  /* The direction whose algorithm was changed last: if the library does not
   * offer what was put there, the next one is tried. */
  int changed = -1;
  bool asked = false;
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++) {
    algo[d] = kern_tuning_choice (t, s, (enum kern_direction)d);
    asked = asked || algo[d] != KERN_DIRECT;
  }
  for (;;) {
    struct kern_conv *c = NULL;
    enum status status = kern_conv_create_as (k, s, algo, 7, &c);
    if (status == OK)
      status = kern_conv_prove (k, c, algo, 7, &wrong);
    if (status == OK && wrong == 0) {
      memcpy (c->algo, algo, sizeof algo);
      *out = c;
      return OK;
    }
    kern_conv_destroy (&c);
    if (status == E_UNSUPPORTED && changed >= 0)
      fail_clear ();
    else if (status != OK)
      return status == E_UNSUPPORTED && asked ? not_offered (k, s, algo)
                                              : status;
    else
      for (changed = 0; !(wrong & (1u << changed));)
        changed++;
    tried[changed] |= 1u << algo[changed];
    algo[changed] = next_algo (tried[changed]);
  }
}

enum kern_algo
kern_conv_algo (const struct kern_conv *c, enum kern_direction d)
{
  return c->algo[d];
}

const struct kern_conv_shape *
kern_conv_shape_of (const struct kern_conv *c)
{
  return &c->s;
}

size_t
kern_conv_scratch (const struct kern_conv *c, enum kern_direction d)
{
  return c->op[d].scratch_bytes;
}

void
kern_conv_destroy (struct kern_conv **cp)
{
  struct kern_conv *c = *cp;
  if (c == NULL)
    return;
  for (int d = 0; d < 3; d++)
    kern_op_clear (&c->op[d]);
  kern_op_clear (&c->to_copy);
  kern_op_clear (&c->to_grad);
  kern_op_clear (&c->in);
  kern_op_clear (&c->out);
  kern_op_clear (&c->src_in);
  kern_op_clear (&c->src_out);
  mem_free (&c->data_copy);
  mem_free (cp);
}

/* -- weights --------------------------------------------------------------- */

size_t
kern_conv_weight_bytes (const struct kern_conv *c)
{
  return c->weight_bytes;
}

enum status
kern_conv_weights_in (struct kern_conv *c, const float *plain, float *master)
{
  return kern_op_run (c->k, &c->in, (const void *[]){plain, master});
}

enum status
kern_conv_weights_out (struct kern_conv *c, const float *master, float *plain)
{
  return kern_op_run (c->k, &c->out, (const void *[]){master, plain});
}

enum status
kern_conv_refresh (struct kern_conv *c, const float *master)
{
  if (c->data_copy != NULL)
    TRY (kern_op_run (c->k, &c->to_copy,
                      (const void *[]){master, c->data_copy}));
  c->fresh = true;
  return OK;
}

/* -- the three directions -------------------------------------------------- */

/* The source as the primitives read it. */
static enum status
source (struct kern_conv *c, const float *src, const float **out)
{
  *out = src;
  if (c->src_in.primitive == NULL)
    return OK;
  float *copy = kern_side (c->k) + c->side_src;
  *out = copy;
  return kern_op_run (c->k, &c->src_in, (const void *[]){src, copy});
}

enum status
kern_conv_forward (struct kern_conv *c, const float *src, const float *master,
                   const float *bias, float *dst)
{
  struct kern_op *op = &c->op[KERN_FORWARD];
  CHECK ((bias != NULL) == c->s.bias, "%s: bias given or missing", op->what);
  if (!c->k->proving)
    fault_hang ("hang-kernel");
  if (!c->k->proving && fault_here ("kernel"))
    return fail (E_FAULT, "%s (%s): planted fault", op->what, op->impl);
  TRY (source (c, src, &src));
  if (c->wino[KERN_FORWARD].m != 0)
    kern_wino_forward (&c->wino[KERN_FORWARD], src, master, bias,
                       kern_side (c->k) + c->side_wino, dst);
  else if (c->own[KERN_FORWARD])
    kern_own_conv_forward (&c->plain, src, master, bias, dst);
  if (c->own[KERN_FORWARD])
    return OK;
  return kern_op_run (c->k, op, (const void *[]){src, master, dst, bias});
}

enum status
kern_conv_back_data (struct kern_conv *c, const float *d_dst,
                     const float *master, float *d_src)
{
  struct kern_op *op = &c->op[KERN_BACK_DATA];
  CHECK (is_made (c, KERN_BACK_DATA), "backward data was not made");
  CHECK (c->data_copy == NULL || c->fresh,
         "%s: kern_conv_refresh was not called", op->what);
  const float *w = c->data_copy != NULL ? c->data_copy : master;
  float *to = d_src;
  if (c->src_out.primitive != NULL)
    to = kern_side (c->k) + c->side_src;
  if (c->wino[KERN_BACK_DATA].m != 0)
    kern_wino_back_data (&c->wino[KERN_BACK_DATA], d_dst, w,
                         kern_side (c->k) + c->side_wino, to);
  else if (c->own[KERN_BACK_DATA])
    kern_own_conv_back_data (&c->plain, d_dst, w, to);
  else
    TRY (kern_op_run (c->k, op, (const void *[]){d_dst, w, to}));
  if (to == d_src)
    return OK;
  return kern_op_run (c->k, &c->src_out, (const void *[]){to, d_src});
}

/* dst (+)= scale x src. */
static void
put_gradient (struct kern *k, size_t n, float scale, bool accumulate,
              const float *src, float *dst)
{
  if (accumulate)
    kern_axpy (k, n, scale, src, dst);
  else
    kern_combine (k, n, 1, &src, &scale, dst);
}

enum status
kern_conv_back_weights (struct kern_conv *c, const float *src,
                        const float *d_dst, float scale, bool accumulate,
                        float *d_master, float *d_bias)
{
  struct kern_op *op = &c->op[KERN_BACK_WEIGHTS];
  CHECK (is_made (c, KERN_BACK_WEIGHTS), "backward weights was not made");
  CHECK ((d_bias != NULL) == c->s.bias, "%s: bias given or missing", op->what);
  /* Where the final numbers are wanted as they come, nothing is copied. */
  bool direct = !accumulate && scale == 1;
  bool reorder = c->to_grad.primitive != NULL;
  float *side = kern_side (c->k);
  float *sum = direct ? d_master : side + c->side_master;
  float *grad = reorder ? side + c->side_grad : sum;
  float *bias = direct ? d_bias : side + c->side_bias;
  TRY (source (c, src, &src));
  if (c->wino[KERN_BACK_WEIGHTS].m != 0)
    kern_wino_back_weights (&c->wino[KERN_BACK_WEIGHTS], src, d_dst,
                            side + c->side_wino, grad, bias);
  else if (c->own[KERN_BACK_WEIGHTS])
    kern_own_conv_back_weights (&c->plain, src, d_dst, grad, bias);
  else
    TRY (kern_op_run (c->k, op, (const void *[]){src, d_dst, grad, bias}));
  if (reorder)
    TRY (kern_op_run (c->k, &c->to_grad, (const void *[]){grad, sum}));
  if (direct)
    return OK;
  put_gradient (c->k, c->weight_bytes / sizeof (float), scale, accumulate, sum,
                d_master);
  if (c->s.bias)
    put_gradient (c->k, (size_t)c->s.out_c, scale, accumulate, bias, d_bias);
  return OK;
}

const char *
kern_conv_impl (const struct kern_conv *c, enum kern_direction d)
{
  return is_made (c, d) ? c->op[d].impl : "none";
}
