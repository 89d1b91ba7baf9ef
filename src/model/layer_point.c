/* model/layer_point.c -- what is done to each number of a row by itself, [B, T,
 * D]: GELU, ReLU, dropout; or to each pair, [B, T, 2 D] to [B, T, D]: SwiGLU.
 * No parameters.
 */
#include "model/layer_impl.h"
#include <string.h>

struct point_layer {
  struct layer layer;
  int64_t width, length; /* D, T */
  struct kern_drop drop; /* but for the moment; of dropout */
};

/* Numbers of this call. */
static size_t
numbers (const struct layer *l, const struct work *w)
{
  return (size_t)(w->rows * ((const struct point_layer *)l)->width);
}

static enum status
point_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  struct point_layer *p = (struct point_layer *)l;
  p->width = s->out.c;
  p->length = s->in.h;
  p->drop = layer_drop_of (s);
  l->x_bytes = l->y_bytes = maker_row_bytes (m, p->width);
  return OK;
}

/* -- GELU ------------------------------------------------------------------ */

static void
gelu_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->flops += 20 * (double)s->in.h * (double)s->out.c;
}

static enum status
gelu_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  kern_gelu (w->k, numbers (l, w), x, y);
  return OK;
}

static enum status
gelu_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  layer_saved (l, w)->x = x;
  return gelu_eval (l, w, x, y);
}

static enum status
gelu_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  if (d_x)
    kern_gelu_back (w->k, numbers (l, w), layer_saved (l, w)->x, d_y, d_x);
  return OK;
}

const struct layer_kind layer_gelu = {
    .name = "GELU",
    .cost = gelu_cost,
    .size = sizeof (struct point_layer),
    .saved = sizeof (struct layer_saved),
    .make = point_make,
    .forward = gelu_forward,
    .eval = gelu_eval,
    .back = gelu_back,
};

/* -- SwiGLU: gates, then what they let through ------------------------------
 */

static void
swiglu_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->flops += 20 * (double)s->in.h * (double)s->out.c;
}

static enum status
swiglu_make (struct layer_maker *m, const struct recipe_step *s,
             struct layer *l)
{
  TRY (point_make (m, s, l));
  l->x_bytes = maker_row_bytes (m, s->in.c);
  return OK;
}

static enum status
swiglu_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  kern_swiglu (w->k, w->rows, ((struct point_layer *)l)->width, x, y);
  return OK;
}

static enum status
swiglu_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  layer_saved (l, w)->x = x;
  return swiglu_eval (l, w, x, y);
}

static enum status
swiglu_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  if (d_x)
    kern_swiglu_back (w->k, w->rows, ((struct point_layer *)l)->width,
                      layer_saved (l, w)->x, d_y, d_x);
  return OK;
}

const struct layer_kind layer_swiglu = {
    .name = "SwiGLU",
    .cost = swiglu_cost,
    .size = sizeof (struct point_layer),
    .saved = sizeof (struct layer_saved),
    .make = swiglu_make,
    .forward = swiglu_forward,
    .eval = swiglu_eval,
    .back = swiglu_back,
};

/* -- ReLU ------------------------------------------------------------------ */

static enum status
rectify_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  kern_relu (w->k, numbers (l, w), x, y);
  return OK;
}

static enum status
rectify_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  layer_saved (l, w)->y = y;
  return rectify_eval (l, w, x, y);
}

static enum status
rectify_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  if (d_x)
    kern_relu_back (w->k, numbers (l, w), d_y, layer_saved (l, w)->y, d_x);
  return OK;
}

const struct layer_kind layer_rectify = {
    .name = "ReLU of rows",
    .size = sizeof (struct point_layer),
    .saved = sizeof (struct layer_saved),
    .make = point_make,
    .forward = rectify_forward,
    .eval = rectify_eval,
    .back = rectify_back,
};

/* -- dropout --------------------------------------------------------------- */

static enum status
drop_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  memcpy (y, x, numbers (l, w) * sizeof *y);
  return OK;
}

/* Which numbers go is drawn anew in backward from (seed, step, sample, place):
 * nothing has to be kept. */
static void
drop (struct layer *l, struct work *w, const float *x, float *y)
{
  struct point_layer *p = (struct point_layer *)l;
  const struct kern_drop d = layer_drop_now (p->drop, w);
  kern_dropout (w->k, &d, w->rows / p->length, p->length * p->width, x, y);
}

static enum status
drop_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  drop (l, w, x, y);
  return OK;
}

static enum status
drop_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  if (d_x)
    drop (l, w, d_y, d_x);
  return OK;
}

const struct layer_kind layer_dropout = {
    .name = "dropout",
    .size = sizeof (struct point_layer),
    .make = point_make,
    .forward = drop_forward,
    .eval = drop_eval,
    .back = drop_back,
};
