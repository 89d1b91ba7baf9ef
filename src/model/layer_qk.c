/* model/layer_qk.c -- what is done to queries and keys before they meet, [B, T,
 * D
 * + 2 E]: RMSNorm of each head, with one gain for all heads of queries and one
 * for those of keys; then rotary positions.  Values go through.
 */
#include "model/layer_impl.h"

enum { QUERIES, KEYS, SIDES };

struct qk_layer {
  struct layer layer;
  int64_t width, ld, length; /* of a head; D + 2 E; T */
  int64_t heads[SIDES];
  bool normed;
  int gain[SIDES];        /* ids: [width]; where normed */
  size_t stats_at[SIDES]; /* in the slot: 1 / deviation of each row's heads */
  const float *angles;    /* NULL: positions do not turn; borrowed */
};

static void
qk_cost (const struct recipe_step *s, struct network_unit *u)
{
  const double heads = s->heads + s->kv_heads, rows = (double)s->in.h;
  const int64_t width = s->in.c / (s->heads + 2 * s->kv_heads);
  if (s->turned)
    u->flops += 3 * rows * heads * (double)width;
  if (!s->normed)
    return;
  u->params += SIDES * width;
  u->flops += 4 * rows * heads * (double)width;
  u->act_bytes += rows * heads * (double)tensor_bytes (NETWORK_BORDER, 1);
}

static struct kern_rms
pieces_of (const struct qk_layer *q, const struct work *w, int side)
{
  return (struct kern_rms){w->rows, q->heads[side], q->width, q->ld};
}

/* Where a row's keys begin. */
static int64_t
side_at (const struct qk_layer *q, int side)
{
  return side == QUERIES ? 0 : q->heads[QUERIES] * q->width;
}

static void
turn (const struct qk_layer *q, const struct work *w, bool back, const float *x,
      float *y)
{
  const struct kern_rope r = {.n = w->rows,
                              .t = q->length,
                              .first = w->cache ? w->first : 0,
                              .heads = q->heads[QUERIES] + q->heads[KEYS],
                              .width = q->width,
                              .ld = q->ld};
  kern_rope (w->k, &r, q->angles, back, x, y);
}

static void
copy (const struct qk_layer *q, const struct work *w, const float *x, float *y)
{
  kern_combine (w->k, (size_t)(w->rows * q->ld), 1, &x, &(const float){1}, y);
}

/* stats: where the deviations go, by side; NULL: nowhere. */
static void
apply (const struct qk_layer *q, struct work *w, float *const *stats,
       const float *x, float *y)
{
  copy (q, w, x, y);
  for (int side = 0; side < SIDES && q->normed; side++) {
    const struct kern_rms r = pieces_of (q, w, side);
    const int64_t at = side_at (q, side);
    kern_rms_forward (w->k, &r, x + at, params_value (w->params, q->gain[side]),
                      y + at, stats ? stats[side] : NULL);
  }
  if (q->angles)
    turn (q, w, false, y, y);
}

static enum status
qk_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  apply ((struct qk_layer *)l, w, NULL, x, y);
  return OK;
}

static enum status
qk_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct qk_layer *q = (struct qk_layer *)l;
  float *stats[SIDES];
  for (int side = 0; side < SIDES; side++)
    stats[side] = (float *)(w->slot + q->stats_at[side]);
  layer_saved (l, w)->x = x;
  apply (q, w, stats, x, y);
  return OK;
}

/* A linear layer is in front, which always wants d_x. */
static enum status
qk_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct qk_layer *q = (struct qk_layer *)l;
  const float *x = layer_saved (l, w)->x;
  CHECK (d_x, "queries and keys at the beginning of a stage");
  copy (q, w, d_y, d_x);
  if (q->angles)
    turn (q, w, true, d_x, d_x);
  for (int side = 0; side < SIDES && q->normed; side++) {
    const struct kern_rms r = pieces_of (q, w, side);
    const float *rstd = (float *)(w->slot + q->stats_at[side]);
    const int64_t at = side_at (q, side);
    if (w->pair) {
      bool add;
      float *d_gain = params_grad (w->params, q->gain[side], &add);
      kern_rms_back_weights (w->k, &r, x + at, d_x + at, rstd, add, d_gain);
    }
    kern_rms_back (w->k, &r, x + at, d_x + at,
                   params_value (w->params, q->gain[side]), rstd, d_x + at);
  }
  return OK;
}

static enum status
qk_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  struct qk_layer *q = (struct qk_layer *)l;
  q->heads[QUERIES] = s->heads;
  q->heads[KEYS] = s->kv_heads;
  q->ld = s->in.c;
  q->width = q->ld / (s->heads + 2 * s->kv_heads);
  q->length = s->in.h;
  q->normed = s->normed;
  for (int side = 0; side < SIDES && q->normed; side++) {
    TRY (maker_part (m->params, s, side, "weight",
                     params_vector (q->width, PARAMS_ONE), &q->gain[side]));
    q->stats_at[side] = maker_slot (m, maker_row_bytes (m, q->heads[side]));
  }
  if (s->turned)
    TRY (kern_rope_angles (m->k, q->length, q->width, &q->angles));
  l->x_bytes = l->y_bytes = maker_row_bytes (m, q->ld);
  return OK;
}

const struct layer_kind layer_qk = {
    .name = "queries and keys",
    .cost = qk_cost,
    .size = sizeof (struct qk_layer),
    .saved = sizeof (struct layer_saved),
    .make = qk_make,
    .forward = qk_forward,
    .eval = qk_eval,
    .back = qk_back,
};
