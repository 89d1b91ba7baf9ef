/* model/stage_token.c -- heads of Transformers, their shared matrix, and one
 * sequence that grows.
 *
 * A head is layers over rows (LayerNorm; may be missing) and a projection to
 * the vocabulary.  Logits of all rows would be larger than everything else, so
 * some rows at a time go through product, loss, and the three products of the
 * gradient, and are forgotten.
 */
#include "model/stage_impl.h"
#include "base/clock.h"
#include "base/random.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* -- making ---------------------------------------------------------------- */

static bool
is_last (const struct stage *s)
{
  return s->spec.unit_end == network_units (s->spec.net);
}

enum status
stage_token_project (struct stage *s, const struct stage_spec *spec,
                     const struct recipe *r)
{
  const struct recipe_step *step = recipe_projects (r);
  if (!step)
    return OK;
  const bool copy = step->shared && !is_last (s);
  struct params *params =
      copy ? &s->shared[STAGE_HEAD] : &s->params[STAGE_HEAD];
  s->project = (struct project){
      .on = true,
      .params = params,
      .width = step->in.c,
      .words = step->out.c,
      .taken = network_positions (spec->net, !is_last (s)),
      .chunk = (int64_t)project_chunk ((double)(s->spec.n_samples * s->length),
                                       step->out.c),
      .learns = !(copy && spec->head_observes)};
  const struct kern_linear_shape shape = {
      .n = s->project.chunk,
      .in = step->in.c,
      .out = step->out.c,
      .learns = spec->training && s->project.learns,
      .rest = s->spec.n_samples * s->project.taken % s->project.chunk,
      .primitives = true};
  struct param weight = params_matrix (step->out.c, step->in.c);
  TRY (kern_linear_create (s->k, &shape, spec->tuning, &s->project.linear));
  weight.factor = true;
  weight.linear = s->project.linear;
  return maker_param (params, step, "weight", weight, 0, &s->project.id);
}

enum status
stage_token_shared (struct stage *s)
{
  struct params *body = &s->shared[STAGE_BODY], *head = &s->shared[STAGE_HEAD];
  const struct project *j = &s->project;
  const bool training = s->spec.training;
  const enum params_keep keep = training ? PARAMS_GRADIENTS : PARAMS_VALUES;
  if (body->n > 0 && j->on && is_last (s))
    TRY (params_borrow (body, params_value (j->params, j->id), training));
  else
    TRY (params_make (body, s->spec.seed, &s->spec.optimizer, keep));
  if (head->n == 0)
    return OK;
  if (body->n > 0)
    return params_borrow (head, body->value, training && j->learns);
  return params_make (head, s->spec.seed, &s->spec.optimizer,
                      j->learns ? keep : PARAMS_VALUES);
}

static bool
takes_all (const struct stage *s)
{
  return s->project.taken == s->length;
}

static int64_t
taken_rows (const struct stage *s)
{
  return s->in.n * s->project.taken;
}

static size_t
floats_bytes (int64_t rows, int64_t width)
{
  return arena_round ((size_t)(rows * width) * sizeof (float));
}

size_t
stage_token_slot (const struct stage *s)
{
  return s->project.on && !takes_all (s)
             ? floats_bytes (taken_rows (s), s->out.c)
             : 0;
}

size_t
stage_token_scratch (const struct stage *s)
{
  const struct project *j = &s->project;
  const int64_t rows = stage_rows (s);
  if (!j->on)
    return 0;
  size_t sum = floats_bytes (j->chunk, j->words) + floats_bytes (rows, 1);
  if (s->head)
    sum += 2 * floats_bytes (rows, j->width);
  if (!takes_all (s))
    sum += floats_bytes (taken_rows (s), s->out.c) +
           arena_round ((size_t)taken_rows (s) * sizeof (int64_t));
  return sum;
}

/* -- loss -------------------------------------------------------------------
 */

/* The rows a head looks at in a training step. */
struct looked_at {
  int64_t rows;
  const float *x;        /* [rows, D] */
  const int32_t *labels; /* [rows] */
  const int64_t *index;  /* their places in the micro-batch; NULL: all */
  bool watched;          /* what they give to a shared matrix is left out */
};

/* `taken` of the positions of each sample, each as likely, in their order
 * (selection sampling: Knuth, The Art of Computer Programming 2, 3.4.2 S). */
static void
choose_positions (const struct stage *s, const struct when *when,
                  int64_t *index)
{
  for (int64_t b = 0; b < s->in.n; b++) {
    const struct random_key key = {when->seed, RANDOM_POSITIONS,
                                   (uint64_t)when->step,
                                   (uint64_t)(when->first_sample + b)};
    int64_t left = s->project.taken;
    for (int64_t t = 0; left > 0; t++)
      if ((int64_t)random_below (&key, (uint64_t)t, (uint64_t)(s->length - t)) <
          left) {
        *index++ = b * s->length + t;
        left--;
      }
  }
}

static struct looked_at
look (struct stage *s, struct place *p, struct work *w, const int32_t *labels)
{
  const float *x = stage_output_of (s, p);
  if (takes_all (s))
    return (struct looked_at){stage_rows (s), x, labels, NULL, false};
  const int64_t rows = taken_rows (s);
  int64_t *index = work_take (w, (size_t)rows * sizeof *index);
  int32_t *some = work_take (w, (size_t)rows * sizeof *some);
  choose_positions (s, &p->when, index);
  kern_rows_take (w->k, rows, s->out.c, index, x, p->chosen);
  for (int64_t i = 0; i < rows; i++)
    some[i] = labels[index[i]];
  return (struct looked_at){rows, p->chosen, some, index, false};
}

/* The loss of all rows of z [rows, D], some at a time.  The logits of a chunk
 * [chunk, words] become their own gradient in place; from that come at once the
 * gradient of z (if d_z is given) and that of the matrix [words, D], and then
 * the next chunk overwrites them. */
static enum status
loss_in_chunks (struct stage *s, struct work *w, const float *z,
                const struct looked_at *at, struct kern_target t, float *d_z,
                struct stage_loss *out)
{
  const struct project *j = &s->project;
  const float *matrix = params_factor (j->params, j->id);
  float *logits = work_take (w, (size_t)(j->chunk * j->words) * sizeof *logits);
  struct stage_loss sum = {0};
  for (int64_t i = 0; i < at->rows; i += j->chunk) {
    const int64_t n = at->rows - i < j->chunk ? at->rows - i : j->chunk;
    const float *x = z + i * j->width;
    double loss;
    int64_t correct;
    TRY (kern_linear_run (j->linear, n, x, matrix, NULL, logits));
    t.labels = at->labels + i;
    TRY (kern_loss (w->k, n, j->words, logits, &t, &loss, &correct,
                    d_z ? logits : NULL));
    sum.loss += loss;
    sum.correct += correct;
    pulse ();
    if (!d_z)
      continue;
    stage_settle (s, (size_t)(n * j->words), logits);
    TRY (kern_linear_run_data (j->linear, n, logits, matrix,
                               d_z + i * j->width));
    stage_settle (s, (size_t)(n * j->width), d_z + i * j->width);
    if (j->learns && !at->watched) {
      bool add;
      float *grad = params_grad (j->params, j->id, &add);
      TRY (kern_linear_run_weights (j->linear, n, x, logits, add, grad, NULL));
    }
    pulse ();
  }
  for (int64_t i = 0; i < at->rows; i++)
    sum.counted += at->labels[i] >= 0;
  *out = sum;
  return OK;
}

enum status
stage_token_head (struct stage *s, struct place *p, const int32_t *labels,
                  float scale, bool witness, struct stage_loss *out)
{
  struct work w = stage_work (s, STAGE_HEAD, p, p->head, NULL);
  struct looked_at at = look (s, p, &w, labels);
  at.watched = witness && s->project.params == &s->shared[STAGE_HEAD];
  const size_t z_bytes = (size_t)(at.rows * s->project.width) * sizeof (float);
  const float *z = at.x;
  float *d_x =
      at.index ? work_take (&w, (size_t)(at.rows * s->out.c) * sizeof (float))
               : p->head_grad;
  float *d_z = d_x;
  w.rows = at.rows;
  if (s->head) {
    float *inner = work_take (&w, z_bytes);
    d_z = s->project.keeps ? (float *)(p->head_pair + s->project.kept_at)
                           : work_take (&w, z_bytes);
    TRY (layer_forward (s->head, &w, at.x, inner));
    z = inner;
  }
  /* Fewer positions stand for all: the loss is still a mean over a sample. */
  const float part = (float)s->length / (float)s->project.taken;
  char *mark = w.scratch;
  const struct kern_target t = {NULL, scale * part, s->spec.smoothing};
  TRY (loss_in_chunks (s, &w, z, &at, t, d_z, out));
  w.scratch = mark;
  w.pair = p->head_pair;
  if (s->head)
    TRY (layer_back (s->head, &w, d_z, witness ? NULL : d_x));
  if (at.index && !witness)
    kern_rows_put (w.k, at.rows, stage_rows (s), s->out.c, at.index, d_x,
                   p->head_grad);
  return OK;
}

/* Rows z [rows, D'] behind the layers in front of the projection, of x [rows,
 * D], in evaluation; where there are none, x itself. */
static enum status
inner_rows (struct stage *s, struct work *w, const float *x, const float **z)
{
  *z = x;
  if (!s->head)
    return OK;
  float *inner =
      work_take (w, (size_t)(w->rows * s->project.width) * sizeof *inner);
  TRY (layer_eval (s->head, w, x, inner));
  *z = inner;
  return OK;
}

enum status
stage_token_eval (struct stage *s, const int32_t *labels,
                  struct stage_loss *out)
{
  struct work w = stage_work (s, STAGE_HEAD, &s->eval, NULL, NULL);
  struct looked_at at = {stage_rows (s), stage_output_of (s, &s->eval), labels,
                         NULL, false};
  const float *z;
  TRY (inner_rows (s, &w, at.x, &z));
  return loss_in_chunks (s, &w, z, &at, (struct kern_target){NULL, 1, 0}, NULL,
                         out);
}

static enum status
logits_of (struct stage *s, const float *x, int64_t n, float *logits)
{
  const struct project *j = &s->project;
  struct work w = stage_work (s, STAGE_HEAD, &s->eval, NULL, NULL);
  const float *z;
  CHECK (j->on, "stage %d has no head of tokens", s->spec.k);
  w.rows = n;
  TRY (inner_rows (s, &w, x, &z));
  return kern_linear_run (j->linear, n, z, params_factor (j->params, j->id),
                          NULL, logits);
}

enum status
stage_token_logits (struct stage *s, int slot, int64_t first, int64_t n,
                    float *logits)
{
  const struct place *p = stage_place (s, slot);
  CHECK (first >= 0 && n >= 1 && first + n <= stage_rows (s),
         "positions %lld .. of %lld", (long long)first,
         (long long)stage_rows (s));
  return logits_of (s, stage_output_of (s, p) + first * s->out.c, n, logits);
}

/* -- one sequence that grows ------------------------------------------------
 */

enum status
stage_decode_open (struct stage *s)
{
  CHECK (s->rows, "only what works on rows generates");
  s->cached = s->decoded = 0;
  return s->cache.base
             ? OK
             : arena_open (s->cache_bytes + 64, "keys and values", &s->cache);
}

void
stage_decode_rewind (struct stage *s, int64_t at)
{
  CHECK (at >= 0 && at <= s->cached, "back to %lld of %lld", (long long)at,
         (long long)s->cached);
  s->cached = at;
  s->decoded = 0;
}

int64_t
stage_decode_length (const struct stage *s)
{
  return s->cached;
}

enum status
stage_decode (struct stage *s, const void *x, int64_t n, const float **y)
{
  struct work w = stage_work (s, STAGE_BODY, &s->eval, NULL, NULL);
  CHECK (s->cache.base, "stage_decode before stage_decode_open");
  CHECK (n >= 1 && s->cached + n <= s->length && n <= stage_rows (s),
         "%lld positions behind %lld of %lld", (long long)n,
         (long long)s->cached, (long long)s->length);
  w.rows = n;
  w.cache = s->cache.base;
  w.first = s->cached;
  s->eval.x = x;
  if (s->body)
    TRY (layer_eval (s->body, &w, x, s->eval.y));
  s->cached += n;
  s->decoded = n;
  *y = stage_output_of (s, &s->eval);
  return OK;
}

enum status
stage_decode_logits (struct stage *s, float *logits)
{
  CHECK (s->decoded > 0, "stage_decode_logits before stage_decode");
  return logits_of (s,
                    stage_output_of (s, &s->eval) + (s->decoded - 1) * s->out.c,
                    1, logits);
}

/* -- the shared matrix ------------------------------------------------------
 */

enum stage_shared
stage_shared (const struct stage *s)
{
  if (s->project.on && is_last (s))
    return STAGE_SHARED_OWNER;
  return s->shared[STAGE_BODY].n > 0 || s->shared[STAGE_HEAD].n > 0
             ? STAGE_SHARED_COPY
             : STAGE_SHARED_NONE;
}

/* The matrix as one of the stage's uses knows it. */
static struct params *
any_copy (struct stage *s, int *id)
{
  *id = 0;
  if (stage_shared (s) == STAGE_SHARED_OWNER) {
    *id = s->project.id;
    return s->project.params;
  }
  CHECK (stage_shared (s) == STAGE_SHARED_COPY, "stage %d has no shared matrix",
         s->spec.k);
  return &s->shared[s->shared[STAGE_BODY].n > 0 ? STAGE_BODY : STAGE_HEAD];
}

void
stage_shared_value (struct stage *s, float **value, size_t *n)
{
  int id;
  struct params *p = any_copy (s, &id);
  *value = params_value (p, id);
  *n = (size_t)tensor_info_count (&p->list[id].info);
}

enum status
stage_shared_settle (struct stage *s)
{
  return params_refresh (&s->shared[STAGE_HEAD]);
}

const float *
stage_shared_fold (struct stage *s, const float *below)
{
  int id;
  const struct params *any = any_copy (s, &id);
  const size_t n = (size_t)tensor_info_count (&any->list[id].info);
  CHECK (s->spec.training, "gradients of a stage made for evaluation");
  for (int use = 0; use < 2; use++) {
    struct params *p = &s->shared[use];
    if (p->n == 0 || !p->grad)
      continue;
    params_settle (p);
    if (below)
      kern_axpy (s->k, n, 1.0f, below, p->grad);
    below = p->grad;
    params_begin (p); /* the sum stays until the next batch overwrites it */
  }
  if (stage_shared (s) != STAGE_SHARED_OWNER || !below)
    return below;
  bool add;
  float *grad = params_grad (s->project.params, id, &add);
  if (add)
    kern_axpy (s->k, n, 1.0f, below, grad);
  else
    memcpy (grad, below, n * sizeof *grad);
  return grad;
}
