/* model/stage_work.c -- forward, head, backward, update, tensors of a stage.
 *
 * Each call sets up a struct work (which slabs, whose parameters) and lets the
 * layers run.  Scratch is empty again when a call returns.
 */
#include "model/stage_impl.h"
#include <string.h>

static char *
pair_of (const struct stage *s, int pair)
{
  CHECK (pair >= 0 && pair < s->n_pairs, "pair %d of %d", pair, s->n_pairs);
  return s->pair[pair];
}

/* -- forward --------------------------------------------------------------- */

void
stage_set_mode (struct stage *s, enum stage_mode mode)
{
  CHECK (!s->params[STAGE_BODY].touched && !s->aside,
         "stage %d: in the middle of a batch", s->spec.k);
  CHECK (mode >= s->spec.mode, "stage %d: made to stay frozen", s->spec.k);
  s->mode = mode;
}

void
stage_moment (struct stage *s, int slot, int64_t step, int64_t first_sample)
{
  struct place *p = stage_place (s, slot);
  p->when.step = step;
  p->when.first_sample = first_sample;
}

/* x: [B, C, H, W] in the inner layout (of the first stage plain), or [B, T, D]
 * (of the first stage int32_t [B, T]); the output likewise. */
enum status
stage_forward (struct stage *s, int slot, const void *x)
{
  struct place *p = stage_place (s, slot);
  p->when.seed = s->spec.seed;
  CHECK (slot != STAGE_EVAL, "stage_forward on the place of stage_eval");
  p->x = x;
  if (!s->body)
    return OK;
  struct work w = stage_work (s, STAGE_BODY, p, p->body, NULL);
  if (s->mode == STAGE_STILL)
    return layer_eval (s->body, &w, x, p->y);
  return layer_forward (s->body, &w, x, p->y);
}

enum status
stage_eval (struct stage *s, const void *x)
{
  s->eval.x = x;
  if (!s->body)
    return OK;
  struct work w = stage_work (s, STAGE_BODY, &s->eval, NULL, NULL);
  return layer_eval (s->body, &w, x, s->eval.y);
}

double
stage_output_squares (struct stage *s, int slot)
{
  return kern_sum_squares (s->k, s->out_bytes / sizeof (float),
                           stage_output_of (s, stage_place (s, slot)));
}

/* -- head ------------------------------------------------------------------ */

/* Numbers of p->logits and d_logits: [B, classes]. */
static size_t
logits_of (const struct stage *s)
{
  return (size_t)(s->in.n * network_spec (s->spec.net)->classes);
}

static enum status
loss_of (struct stage *s, const struct place *p, struct kern_target t,
         float *d_logits, struct stage_loss *out)
{
  out->counted = 0;
  out->rebuilt = 0;
  for (int64_t i = 0; i < s->in.n; i++)
    out->counted += t.labels[i] >= 0;
  return kern_loss (s->k, s->in.n, network_spec (s->spec.net)->classes,
                    p->logits, &t, &out->loss, &out->correct, d_logits);
}

/* The decoder's output, from what the head reads, and the gradient there over
 * it.  scale: of a sample's gradient. */
static enum status
rebuild (struct stage *s, struct work *w, struct place *p, float scale,
         float *z, float *d_z, double *loss)
{
  const struct rebuild *b = &s->rebuild;
  CHECK (p->picture.x, "stage %d: images to make again are not given",
         s->spec.k);
  TRY (w->slot ? layer_forward (b->decoder, w, stage_output_of (s, p), z)
               : layer_eval (b->decoder, w, stage_output_of (s, p), z));
  p->picture.scale = scale * b->weight;
  kern_picture_loss (s->k, b->dims, z, &p->picture, loss, d_z);
  if (d_z)
    stage_settle (s, b->bytes / sizeof (float), d_z);
  return OK;
}

/* Of both losses, into the parameters and, unless the head is a witness, into
 * the gradient at the output. */
static enum status
head_back (struct stage *s, struct work *w, struct place *p, bool witness)
{
  const struct rebuild *b = &s->rebuild;
  char *mark = w->scratch;
  TRY (layer_back (s->head, w, p->d_logits, witness ? NULL : p->head_grad));
  if (!b->decoder)
    return OK;
  float *side = witness ? NULL : work_take (w, s->out_bytes);
  TRY (layer_back (b->decoder, w, (float *)(w->slot + b->at), side));
  if (side) {
    kern_axpy (s->k, s->out_bytes / sizeof (float), 1.0f, side, p->head_grad);
    stage_settle (s, s->out_bytes / sizeof (float), p->head_grad);
  }
  w->scratch = mark;
  return OK;
}

enum status
stage_head (struct stage *s, int slot, const int32_t *labels, float scale,
            bool witness, struct stage_loss *out)
{
  struct place *p = stage_place (s, slot);
  CHECK (stage_has_head (s), "stage %d has no head", s->spec.k);
  CHECK (slot != STAGE_EVAL && p->x, "stage_head before stage_forward");
  if (s->project.on)
    return stage_token_head (s, p, labels, scale, witness, out);
  struct work w = stage_work (s, STAGE_HEAD, p, p->head, NULL);
  TRY (layer_forward (s->head, &w, stage_output_of (s, p), p->logits));
  const struct kern_target t = {labels, scale, s->spec.smoothing};
  TRY (loss_of (s, p, t, p->d_logits, out));
  stage_settle (s, logits_of (s), p->d_logits);
  if (s->rebuild.decoder) {
    float *z = (float *)(p->head + s->rebuild.at);
    TRY (rebuild (s, &w, p, scale, z, z, &out->rebuilt));
  }
  /* The head has a pair of its own in every slot: its weight gradients may come
   * at any time before the update. */
  w.pair = p->head_pair;
  return head_back (s, &w, p, witness);
}

const float *
stage_head_grad (const struct stage *s, int slot)
{
  return stage_place (s, slot)->head_grad;
}

enum status
stage_head_eval (struct stage *s, const int32_t *labels, struct stage_loss *out)
{
  struct place *p = &s->eval;
  CHECK (stage_has_head (s), "stage %d has no head", s->spec.k);
  CHECK (p->x, "stage_head_eval before stage_eval");
  if (s->project.on)
    return stage_token_eval (s, labels, out);
  struct work w = stage_work (s, STAGE_HEAD, p, NULL, NULL);
  TRY (layer_eval (s->head, &w, stage_output_of (s, p), p->logits));
  TRY (loss_of (s, p, (struct kern_target){labels, 1, 0}, NULL, out));
  if (!s->rebuild.decoder)
    return OK;
  return rebuild (s, &w, p, 1, work_take (&w, s->rebuild.bytes), NULL,
                  &out->rebuilt);
}

const float *
stage_logits (const struct stage *s, int slot)
{
  CHECK (!s->project.on, "logits of tokens are not kept");
  return stage_place (s, slot)->logits;
}

/* -- backward -------------------------------------------------------------- */

/* cotangent: shaped as the output; d_x: as the input.  pair NULL: only d_x is
 * wanted.  An empty body hands on what it gets, as in forward. */
static enum status
back (struct stage *s, int slot, const float *cotangent, char *pair, bool now,
      float *d_x)
{
  struct place *p = stage_place (s, slot);
  CHECK (slot != STAGE_EVAL && p->x, "backward before stage_forward");
  CHECK (!d_x || !stage_is_first (s), "no gradient flows to the images");
  if (!s->body) {
    if (d_x)
      memcpy (d_x, cotangent, s->out_bytes);
    return OK;
  }
  if (!pair && !d_x)
    return OK;
  CHECK (pair ? s->mode == STAGE_LEARNS : s->mode != STAGE_STILL,
         "stage %d is frozen", s->spec.k);
  struct work w = stage_work (s, STAGE_BODY, p, p->body, pair);
  w.now = now;
  return layer_back (s->body, &w, cotangent, d_x);
}

enum status
stage_back_data (struct stage *s, int slot, const float *cotangent, bool learn,
                 int pair, float *d_x)
{
  return back (s, slot, cotangent, learn ? pair_of (s, pair) : NULL, false,
               d_x);
}

enum status
stage_back_both (struct stage *s, int slot, const float *cotangent, int pair,
                 float *d_x)
{
  /* Layers over rows have no joined form: the two calls, one after the other.
   */
  if (s->rows) {
    TRY (back (s, slot, cotangent, pair_of (s, pair), false, d_x));
    return stage_back_weights (s, slot, pair);
  }
  return back (s, slot, cotangent, pair_of (s, pair), true, d_x);
}

enum status
stage_back_weights (struct stage *s, int slot, int pair)
{
  struct place *p = stage_place (s, slot);
  CHECK (slot != STAGE_EVAL, "stage_back_weights in evaluation");
  if (!s->body)
    return OK;
  struct work w = stage_work (s, STAGE_BODY, p, p->body, pair_of (s, pair));
  return s->body->kind->weights (s->body, &w);
}

enum status
stage_head_weights (struct stage *s, int slot)
{
  struct place *p = stage_place (s, slot);
  CHECK (stage_has_head (s) && slot != STAGE_EVAL, "stage %d: no head to learn",
         s->spec.k);
  struct work w = stage_work (s, STAGE_HEAD, p, p->head, p->head_pair);
  if (s->project.on) /* it has seen no others */
    w.rows = s->in.n * s->project.taken;
  if (s->head && s->head->kind->weights)
    TRY (s->head->kind->weights (s->head, &w));
  const struct layer *decoder = s->rebuild.decoder;
  return decoder ? decoder->kind->weights (s->rebuild.decoder, &w) : OK;
}

void
stage_combine (struct stage *s, int m, const float *const *x, const float *a,
               float *y)
{
  const size_t n = s->out_bytes / sizeof (float);
  kern_combine (s->k, n, m, x, a, y);
  stage_settle (s, n, y);
}

/* -- update ---------------------------------------------------------------- */

static bool
is_frozen (const struct stage *s, enum stage_part part)
{
  return part == STAGE_BODY && s->mode != STAGE_LEARNS;
}

void
stage_gradients (struct stage *s, enum stage_part part, float **block,
                 size_t *n)
{
  struct params *p = &s->params[part];
  *block = p->grad;
  *n = p->grad && !is_frozen (s, part) ? p->n_values : 0;
  if (*n > 0)
    params_settle (p);
}

enum status
stage_buckets (struct stage *s, const struct stage_taker *t)
{
  TRY (params_buckets (&s->params[STAGE_BODY], t));
  return params_buckets (&s->params[STAGE_HEAD], t);
}

int
stage_bucket_count (const struct stage *s, enum stage_part part, size_t *most)
{
  const struct params *p = &s->params[part];
  *most = 0;
  for (int i = 0; i < p->n_buckets; i++)
    *most = p->bucket[i].n > *most ? p->bucket[i].n : *most;
  return p->n_buckets;
}

void
stage_last_micro (struct stage *s, bool last)
{
  params_last (&s->params[STAGE_BODY], last);
}

enum status
stage_hand_out (struct stage *s, enum stage_part part)
{
  return is_frozen (s, part) ? OK : params_hand_rest (&s->params[part]);
}

void
stage_statistics (struct stage *s, enum stage_part part, float **block,
                  size_t *n)
{
  *block = s->params[part].stat;
  *n = is_frozen (s, part) ? 0 : s->params[part].n_stats;
}

double
stage_gradient_squares (struct stage *s, enum stage_part part)
{
  return is_frozen (s, part) ? 0.0 : params_squares (&s->params[part]);
}

enum status
stage_update_part (struct stage *s, enum stage_part part, double lr, float clip,
                   int64_t step)
{
  CHECK (s->spec.training, "update of a stage made for evaluation");
  CHECK (step >= 1, "steps count from 1");
  return params_update (&s->params[part], &s->spec.optimizer, lr, clip, step);
}

enum status
stage_update (struct stage *s, double lr, const float clip[2], int64_t step)
{
  TRY (stage_update_part (s, STAGE_BODY, lr, clip[STAGE_BODY], step));
  return stage_update_part (s, STAGE_HEAD, lr, clip[STAGE_HEAD], step);
}

enum status
stage_update_end (struct stage *s)
{
  TRY (params_share_end (&s->params[STAGE_BODY]));
  return params_share_end (&s->params[STAGE_HEAD]);
}

enum status
stage_show_moment (struct stage *s, enum stage_what what)
{
  for (int part = 0; part < 2; part++)
    if (params_shares (&s->params[part]))
      TRY (params_share_show (&s->params[part], what));
  return OK;
}

/* -- tensors as files see them --------------------------------------------- */

int
stage_tensors (const struct stage *s)
{
  return s->params[STAGE_BODY].n + s->params[STAGE_HEAD].n;
}

/* The part and index there of tensor i. */
static struct params *
part_of (const struct stage *s, int *i)
{
  const struct params *body = &s->params[STAGE_BODY];
  CHECK (*i >= 0 && *i < stage_tensors (s), "tensor %d of %d", *i,
         stage_tensors (s));
  bool head = *i >= body->n;
  *i -= head ? body->n : 0;
  return (struct params *)&s->params[head ? STAGE_HEAD : STAGE_BODY];
}

void
stage_tensor (const struct stage *s, int i, struct tensor_info *info,
              bool *head, bool *statistic)
{
  const struct params *p = part_of (s, &i);
  *info = p->list[i].info;
  *head = p == &s->params[STAGE_HEAD] &&
          s->spec.unit_end < network_units (s->spec.net);
  *statistic = p->list[i].statistic;
}

enum status
stage_tensor_out (struct stage *s, int i, enum stage_what what, float *plain)
{
  struct params *p = part_of (s, &i);
  return params_out (p, i, what, plain);
}

enum status
stage_tensor_view (struct stage *s, int i, float *room, const float **out)
{
  struct params *p = part_of (s, &i);
  return params_view (p, i, room, out);
}

enum status
stage_tensor_in (struct stage *s, int i, enum stage_what what,
                 const float *plain)
{
  struct params *p = part_of (s, &i);
  return params_in (p, i, what, plain);
}

enum status
stage_refresh (struct stage *s)
{
  TRY (params_refresh (&s->params[STAGE_BODY]));
  return params_refresh (&s->params[STAGE_HEAD]);
}

/* -- rows -------------------------------------------------------------------
 */

int64_t
stage_row_width (const struct stage *s, bool pooled)
{
  return pooled ? s->out.c : s->out.c * s->out.h * s->out.w;
}

/* Where channel c of sample i begins; *step: floats from one pixel to the next.
 */
static size_t
channel_place (const struct stage *s, int64_t i, int64_t c, int64_t *step)
{
  int64_t pixels = s->out.h * s->out.w, b = kern_block (s->k);
  int64_t sample = (int64_t)(s->out_bytes / sizeof (float)) / s->out.n;
  switch (s->inner) {
  case KERN_BLOCKED:
    *step = b;
    return (size_t)(i * sample + c / b * b * pixels + c % b);
  case KERN_LAST:
    *step = s->out.c;
    return (size_t)(i * sample + c);
  case KERN_PLAIN:
    break;
  }
  *step = 1;
  return (size_t)(i * sample + c * pixels);
}

void
stage_output_rows (const struct stage *s, int64_t n, bool pooled, float *rows)
{
  struct tensor y;
  int64_t pixels = s->out.h * s->out.w, step;
  stage_output (s, STAGE_EVAL, &y);
  CHECK (n <= s->out.n, "%lld samples of a batch of %lld", (long long)n,
         (long long)s->out.n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = 0; c < s->out.c; c++) {
      const float *x = (const float *)y.data + channel_place (s, i, c, &step);
      double sum = 0;
      for (int64_t at = 0; at < pixels; at++)
        if (pooled)
          sum += (double)x[at * step];
        else
          *rows++ = x[at * step];
      if (pooled)
        *rows++ = (float)(sum / (double)pixels);
    }
}

void
stage_output_places (const struct stage *s, int64_t n, const int64_t *place,
                     int64_t base, float *rows)
{
  struct tensor y;
  const size_t d = (size_t)s->out.c;
  stage_output (s, STAGE_EVAL, &y);
  CHECK (s->inner == KERN_LAST, "places are of rows that lie together");
  for (int64_t i = 0; i < n; i++) {
    int64_t at = place[i] - base;
    CHECK (at >= 0 && at < s->out.n * s->out.h, "place %lld of %lld",
           (long long)at, (long long)(s->out.n * s->out.h));
    memcpy (rows + (size_t)i * d, (const float *)y.data + (size_t)at * d,
            d * sizeof *rows);
  }
}
