/* model/layer_attention.c -- causal attention between two linear layers.
 *
 * Keeps the log-sums of its rows for backward; with a cache it works on the
 * next positions of one sequence.
 */
#include "model/layer_impl.h"
#include "base/hash.h"

struct attention_layer {
  struct layer layer;
  struct kern_attention shape;
  struct kern_drop drop; /* but for the moment */
  size_t lse_at;         /* in the slot */
  size_t cache_at;       /* in the cache */
  size_t lse_bytes;
};

struct attention_saved {
  const float *x, *y;
};

static struct attention_saved *
saved_of (const struct layer *l, const struct work *w)
{
  return (struct attention_saved *)(w->slot + l->saved_at);
}

static struct kern_drop
drop_of (const struct attention_layer *a, const struct work *w)
{
  struct kern_drop d = a->drop;
  d.seed = w->at->seed;
  d.step = w->at->step;
  d.first_sample = w->at->first_sample;
  return d;
}

static enum status
attention_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct attention_layer *a = (struct attention_layer *)l;
  struct kern_drop drop = drop_of (a, w);
  *saved_of (l, w) = (struct attention_saved){x, y};
  return kern_attention_forward (w->k, &a->shape, &drop, x, y,
                                 (float *)(w->slot + a->lse_at));
}

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
  const struct attention_saved *saved = saved_of (l, w);
  struct kern_drop drop = drop_of (a, w);
  if (!d_x)
    return OK;
  return kern_attention_back (w->k, &a->shape, &drop, saved->x, saved->y,
                              (float *)(w->slot + a->lse_at), d_y, d_x);
}

static const struct layer_kind attention_kind = {
    "attention", attention_forward, attention_eval, attention_back, NULL, NULL};

enum status
layer_attention (struct layer_maker *m, const struct recipe_step *s,
                 struct layer **out)
{
  struct attention_layer *a = NULL;
  const int64_t d = s->out.c, t = s->in.h;
  TRY (MEM_NEW (1, &a, "attention"));
  a->layer.kind = &attention_kind;
  a->shape = (struct kern_attention){m->n, t, s->heads, d / s->heads};
  a->drop =
      (struct kern_drop){.p = (float)s->drop, .site = hash_text (s->name, 0)};
  *out = &a->layer;
  enum status status = kern_attention_want (m->k, &a->shape);
  if (status != OK) {
    layer_destroy (out);
    return status;
  }
  a->lse_bytes = (size_t)(m->n * s->heads * t) * sizeof (float);
  a->layer.saved_at = maker_slot (m, sizeof (struct attention_saved));
  a->lse_at = maker_slot (m, a->lse_bytes);
  a->cache_at = maker_cache (m, (size_t)(2 * d * t) * sizeof (float));
  a->layer.scratch_bytes = arena_round (a->lse_bytes);
  a->layer.x_bytes = (size_t)(maker_rows (m) * 3 * d) * sizeof (float);
  a->layer.y_bytes = (size_t)(maker_rows (m) * d) * sizeof (float);
  return OK;
}
