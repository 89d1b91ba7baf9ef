/* model/layer_embed.c -- token and, where positions are learned, position,
 * int32_t [B, T] to [B, T, D].
 *
 * With a tied output the table of tokens lies in another block than the
 * positions, which the stage shares with the output (params.c).
 */
#include "model/layer_impl.h"

struct embed_layer {
  struct layer layer;
  int64_t width, length; /* D, T */
  int table, place;      /* ids: [words, D], [T, D]; place -1: none */
  struct params *shared; /* where the table is; NULL: with the positions */
};

static void
embed_cost (const struct recipe_step *s, struct network_unit *u)
{
  const bool learned = s->n_parts > 1;
  u->params += (s->words + (learned ? s->in.h : 0)) * s->out.c;
  u->flops += learned ? (double)s->in.h * (double)s->out.c : 0;
}

/* Tokens travel in the place of a border's floats. */
static const int32_t *
tokens_of (const float *x)
{
  return (const int32_t *)(const void *)x;
}

static enum status
embed_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct embed_layer *e = (struct embed_layer *)l;
  const struct params *table = e->shared ? e->shared : w->params;
  kern_embed (w->k, w->rows, e->width, e->length, w->cache ? w->first : 0,
              tokens_of (x), params_value (table, e->table),
              e->place < 0 ? NULL : params_value (w->params, e->place), y);
  return OK;
}

static enum status
embed_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  layer_saved (l, w)->x = x;
  return embed_eval (l, w, x, y);
}

static enum status
embed_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  CHECK (!d_x, "no gradient flows to tokens");
  if (w->pair)
    layer_kept (l, w)->d_y = d_y;
  return OK;
}

/* Where a gradient is added to, zero at the first of the batch: most rows of
 * the table are touched by no token. */
static float *
grad_of (struct work *w, struct params *p, int id)
{
  bool add;
  float *g = params_grad (p, id, &add);
  if (!add)
    kern_zero (w->k, p->list[id].n, g);
  return g;
}

static enum status
embed_weights (struct layer *l, struct work *w)
{
  struct embed_layer *e = (struct embed_layer *)l;
  float *table = grad_of (w, e->shared ? e->shared : w->params, e->table);
  float *place = e->place < 0 ? NULL : grad_of (w, w->params, e->place);
  kern_embed_back (w->k, w->rows, e->width, e->length,
                   tokens_of (layer_saved (l, w)->x), layer_kept (l, w)->d_y,
                   table, place);
  return OK;
}

static enum status
embed_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  struct embed_layer *e = (struct embed_layer *)l;
  struct params *table = m->shared ? m->shared : m->params;
  e->width = s->out.c;
  e->length = s->in.h;
  e->shared = m->shared;
  e->place = -1;
  TRY (maker_part (table, s, 0, "weight", params_matrix (s->words, e->width),
                   &e->table));
  if (s->n_parts > 1)
    TRY (maker_part (m->params, s, 1, "weight",
                     params_matrix (e->length, e->width), &e->place));
  l->x_bytes = tensor_bytes (TENSOR_I32, maker_rows (m));
  l->y_bytes = maker_row_bytes (m, e->width);
  return OK;
}

const struct layer_kind layer_embed = {
    .name = "embedding",
    .cost = embed_cost,
    .size = sizeof (struct embed_layer),
    .saved = sizeof (struct layer_saved),
    .keeps = true,
    .make = embed_make,
    .forward = embed_forward,
    .eval = embed_eval,
    .back = embed_back,
    .weights = embed_weights,
};
