/* model/work.c -- what a step takes by count: its operations, each weighed by
 * what one of its kind takes beside those of other kinds.
 *
 * By these numbers stages are made even and heads are chosen, so they are part
 * of what a configuration means: no clock, machine or rank enters.
 */
#include "model/layer_impl.h"
#include <math.h>
#include <string.h>

/* Ways forward, of the gradient of the input, of those of the parameters.  The
 * unit is a quarter of a floating-point operation of a 3x3 convolution. */
struct weight {
  int forward, data, weights;
};

/* Of an operation, as the kind counts them (cost); and of a number of the input
 * or the output, whichever has more, where the time goes into memory. */
struct work_weights {
  struct weight flop, number;
};

/* How they were found: blocks and heads of resnet20, of resnet34 with the stem
 * for small images, of gpt-nano and of narrow Transformers (d_model 64 and 256,
 * vocabularies of 256 and 50257) were measured (`plan --calibrate`, `plan
 * --measure`) on a machine with AVX-512 and on the same one held to AVX2
 * (run.isa = avx2), one thread a rank, beside other work; least squares of
 * relative errors told what an operation and a number take, and these figures
 * lie between the two; the loops of RMSNorm, queries and keys, and SwiGLU were
 * timed beside those of LayerNorm and GELU.  They are relative weights, not a
 * promise: times of single blocks differ from them by a third and more. */
/* clang-format off */
static const struct work_weights table[] = {
  [RECIPE_CONV]      = { { 4, 5, 4 }, { 0, 0, 0 } },
  [RECIPE_BN]        = { { 0, 0, 0 }, { 600, 1000, 0 } }, /* and ReLU */
  [RECIPE_RELU]      = { { 0, 0, 0 }, { 100, 150, 0 } },
  [RECIPE_MAXPOOL]   = { { 0, 0, 0 }, { 200, 200, 0 } },
  [RECIPE_GAP]       = { { 0, 0, 0 }, { 100, 100, 0 } },
  [RECIPE_MEAN]      = { { 0, 0, 0 }, { 100, 100, 0 } },
  [RECIPE_FLATTEN]   = { { 0, 0, 0 }, { 50, 50, 0 } },
  [RECIPE_LINEAR]    = { { 4, 4, 4 }, { 0, 0, 0 } },
  [RECIPE_BORDER]    = { { 0, 0, 0 }, { 200, 300, 0 } },
  [RECIPE_EMBED]     = { { 0, 0, 0 }, { 100, 0, 100 } },
  [RECIPE_NORM]      = { { 0, 0, 0 }, { 200, 300, 100 } },
  [RECIPE_RMS]       = { { 0, 0, 0 }, { 150, 250, 100 } },
  [RECIPE_DENSE]     = { { 4, 4, 4 }, { 0, 0, 0 } },
  [RECIPE_QK]        = { { 0, 0, 0 }, { 200, 200, 0 } },
  [RECIPE_ATTENTION] = { { 10, 20, 0 }, { 0, 0, 0 } },
  [RECIPE_GELU]      = { { 0, 0, 0 }, { 300, 400, 0 } },
  [RECIPE_SWIGLU]    = { { 0, 0, 0 }, { 300, 500, 0 } },
  [RECIPE_JOIN]      = { { 0, 0, 0 }, { 100, 100, 0 } }, /* an addition */
  [RECIPE_PROJECT]   = { { 4, 4, 4 }, { 300, 150, 0 } }, /* and softmax */
  [RECIPE_BILINEAR]  = { { 0, 0, 0 }, { 150, 150, 0 } },
};
/* clang-format on */
/* A convolution of one pixel, which reads more for what it does; the addition
 * at the end of a residual block; a kind without a row. */
static const struct work_weights pixel = {{6, 7, 6}, {0, 0, 0}};
static const struct work_weights addition = {{0, 0, 0}, {100, 100, 0}};
static const struct work_weights other = {{4, 4, 4}, {100, 150, 0}};

static const struct work_weights none;

static const struct work_weights *
weights_of (const struct recipe_step *s)
{
  const struct work_weights *row =
      (size_t)s->kind < sizeof table / sizeof *table ? &table[s->kind] : &none;
  if (s->kind == RECIPE_BRANCH)
    return &none;
  if (s->kind == RECIPE_CONV && s->kernel == 1)
    return &pixel;
  return memcmp (row, &none, sizeof none) == 0 ? &other : row;
}

static void
add (const struct work_weights *by, double flops, double numbers,
     struct network_work *w)
{
  w->forward += by->flop.forward * flops + by->number.forward * numbers;
  w->data += by->flop.data * flops + by->number.data * numbers;
  w->weights += by->flop.weights * flops + by->number.weights * numbers;
}

static double
numbers_of (const struct kern_dims *d)
{
  return (double)(d->c * d->h * d->w);
}

void
work_add (const struct recipe_step *s, double flops, struct network_work *w)
{
  const double share = s->kind == RECIPE_PROJECT ? s->share : 1;
  const double most = fmax (numbers_of (&s->in), numbers_of (&s->out));
  add (weights_of (s), round (flops), round (share * most), w);
}

void
work_add_sum (const struct kern_dims *d, struct network_work *w)
{
  add (&addition, 0, numbers_of (d), w);
}
