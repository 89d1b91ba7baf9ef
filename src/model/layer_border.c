/* model/layer_border.c -- what enters a stage, or a head of images that begins
 * with ln, is normalised: rows of `each` numbers, by their root mean square or,
 * centred, as LayerNorm does.  No parameters.  A row is a token's vector, or
 * all channels and pixels of an image: one factor per image leaves places and
 * channels in proportion, and no sample depends on others.
 *
 * Backward works on the output, which the next layer keeps anyhow.
 */
#include "model/layer_impl.h"

struct border_layer {
  struct layer layer;
  int64_t each;
  bool centred;
  size_t stats_at; /* in the slot: 1 / deviation of all rows */
};

/* Rows of a sample. */
static double
rows_of (const struct recipe_step *s)
{
  return (double)(s->in.c * s->in.h * s->in.w / s->each);
}

/* A square, a sum, a product; centred a sum and two differences more. */
static void
border_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->flops += (s->centred ? 6 : 3) * (double)s->each * rows_of (s);
  u->act_bytes += rows_of (s) * (double)tensor_bytes (NETWORK_BORDER, 1);
}

static float *
stats_of (const struct layer *l, const struct work *w)
{
  return (float *)(w->slot + ((const struct border_layer *)l)->stats_at);
}

static enum status
border_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct border_layer *b = (struct border_layer *)l;
  kern_norm_bare (w->k, w->rows, b->each, b->centred, x, y, NULL);
  return OK;
}

static enum status
border_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct border_layer *b = (struct border_layer *)l;
  layer_saved (l, w)->y = y;
  kern_norm_bare (w->k, w->rows, b->each, b->centred, x, y, stats_of (l, w));
  return OK;
}

static enum status
border_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct border_layer *b = (struct border_layer *)l;
  if (d_x)
    kern_norm_bare_back (w->k, w->rows, b->each, b->centred,
                         layer_saved (l, w)->y, d_y, stats_of (l, w), d_x);
  return OK;
}

static enum status
border_make (struct layer_maker *m, const struct recipe_step *s,
             struct layer *l)
{
  struct border_layer *b = (struct border_layer *)l;
  const size_t numbers =
      (size_t)(m->n * s->in.c * s->in.h * s->in.w); /* without padding */
  b->each = s->each;
  b->centred = s->centred;
  l->x_bytes = l->y_bytes = maker_bytes (m, s->out, s->flat);
  if (layer_numbers (l->y_bytes) != numbers)
    return fail (E_UNSUPPORTED,
                 "normalising images (stages.border, or ln in stages.head): "
                 "%lld channels do not fill the blocks of the kernels' layout "
                 "(train.tune)",
                 (long long)s->in.c);
  b->stats_at = maker_slot (m, tensor_bytes (NETWORK_BORDER, maker_rows (m)));
  return OK;
}

const struct layer_kind layer_border = {
    .name = "border",
    .cost = border_cost,
    .bare = true,
    .size = sizeof (struct border_layer),
    .saved = sizeof (struct layer_saved),
    .make = border_make,
    .forward = border_forward,
    .eval = border_eval,
    .back = border_back,
};
