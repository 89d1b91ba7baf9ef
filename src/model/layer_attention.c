/* model/layer_attention.c -- causal attention between two linear layers, [B, T,
 * D + 2 E] (query, key, value) to [B, T, D]; E is D, or less where several
 * heads of queries use the same keys and values.
 *
 * Keeps the log-sums of its rows for backward; with a cache it works on the
 * next positions of one sequence.
 */
#include "model/layer_impl.h"

struct attention_layer {
  struct layer layer;
  struct kern_attention shape;
  struct kern_drop drop; /* but for the moment */
  size_t lse_at;         /* in the slot: log-sums [B, heads, T] */
  size_t cache_at;       /* in the cache: keys and values [T, 2 E] */
  size_t lse_bytes;
};

static void
attention_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->mixes = true;
  const double t = (double)s->in.h, d = (double)s->out.c;
  u->flops += 2 * t * (t + 1) * d; /* half of all pairs, two products */
  u->act_bytes += s->heads * t * (double)tensor_bytes (NETWORK_BORDER, 1);
}

static struct kern_attention
shape_of (const struct recipe_step *s, int64_t n, const struct kern_tuning *t)
{
  return (struct kern_attention){n,           s->in.h,
                                 s->heads,    s->out.c / s->heads,
                                 s->kv_heads, kern_tuning_by_sgemm (t)};
}

static enum status
attention_prove (struct kern *k, const struct recipe_step *s, int64_t n,
                 struct kern_tuning *t)
{
  const struct kern_attention shape = shape_of (s, n, t);
  return kern_attention_want (k, &shape);
}

static enum status
attention_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct attention_layer *a = (struct attention_layer *)l;
  const struct kern_drop drop = layer_drop_now (a->drop, w);
  *layer_saved (l, w) = (struct layer_saved){x, y};
  return kern_attention_forward (w->k, &a->shape, &drop, x, y,
                                 (float *)(w->slot + a->lse_at));
}

/* With a cache [T, 2 E] only the new rows are asked; what is before them was
 * kept.  Else all rows at once, and their log-sums are thrown away. */
static enum status
attention_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct attention_layer *a = (struct attention_layer *)l;
  if (w->cache) {
    kern_attention_decode (w->k, &a->shape, w->first, w->rows, x,
                           (float *)(w->cache + a->cache_at), y);
    return OK;
  }
  char *mark = w->scratch;
  float *lse = work_take (w, a->lse_bytes);
  enum status s = kern_attention_forward (w->k, &a->shape, NULL, x, y, lse);
  w->scratch = mark;
  return s;
}

static enum status
attention_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct attention_layer *a = (struct attention_layer *)l;
  const struct layer_saved *saved = layer_saved (l, w);
  const struct kern_drop drop = layer_drop_now (a->drop, w);
  if (!d_x)
    return OK;
  return kern_attention_back (w->k, &a->shape, &drop, saved->x, saved->y,
                              (float *)(w->slot + a->lse_at), d_y, d_x);
}

static enum status
attention_make (struct layer_maker *m, const struct recipe_step *s,
                struct layer *l)
{
  struct attention_layer *a = (struct attention_layer *)l;
  const int64_t d = s->out.c, T = s->in.h;
  a->shape = shape_of (s, m->n, m->tuning);
  a->drop = layer_drop_of (s);
  TRY (kern_attention_want (m->k, &a->shape));
  a->lse_bytes = maker_row_bytes (m, s->heads);
  a->lse_at = maker_slot (m, a->lse_bytes);
  a->cache_at =
      maker_cache (m, tensor_bytes (NETWORK_BORDER, (s->in.c - d) * T));
  l->scratch_bytes = arena_round (a->lse_bytes);
  l->x_bytes = maker_row_bytes (m, s->in.c);
  l->y_bytes = maker_row_bytes (m, d);
  return OK;
}

const struct layer_kind layer_attention = {
    .name = "attention",
    .cost = attention_cost,
    .prove = attention_prove,
    .size = sizeof (struct attention_layer),
    .saved = sizeof (struct layer_saved),
    .make = attention_make,
    .forward = attention_forward,
    .eval = attention_eval,
    .back = attention_back,
};
