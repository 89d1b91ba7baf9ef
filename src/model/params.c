/* model/params.c -- one block of parameters, and the loops over it.
 *
 * See params_impl.h.  Names, layouts and first values are here; what a layer
 * computes with them is not.
 */
#include "model/params_impl.h"
#include "base/hash.h"
#include "base/random.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void
params_init (struct params *p, struct kern *k, const char *prefix)
{
  *p = (struct params){.k = k};
  snprintf (p->prefix, sizeof p->prefix, "%s", prefix);
}

void
params_clear (struct params *p)
{
  mem_free (&p->list);
  mem_free (&p->range);
  mem_free (&p->bucket);
  arena_close (&p->memory);
}

/* Floats up to the first cache line behind a tensor that begins `at`. */
static size_t
line_end (const struct param *q, size_t at)
{
  return arena_round ((at + q->n) * sizeof (float)) / sizeof (float);
}

static size_t
end_of (const struct param *q)
{
  return line_end (q, q->at);
}

enum status
params_add (struct params *p, const struct param *want, size_t floats, int *id)
{
  if (p->n == p->room) {
    int room = p->room ? 2 * p->room : 64;
    TRY (mem_grow (&p->list, (size_t)p->room, (size_t)room, sizeof *p->list,
                   "parameter names"));
    p->room = room;
  }
  struct param *q = &p->list[p->n];
  size_t *end = want->statistic ? &p->n_stats : &p->n_values;
  *q = *want;
  q->n = floats ? floats : (size_t)tensor_info_count (&q->info);
  q->at = q->joined ? q[-1].at + q[-1].n : *end;
  q->written = false;
  *end = end_of (q);
  if (q->factor) {
    q->factor_at = q->joined ? q[-1].factor_at + q[-1].n : p->n_factors;
    p->n_factors = line_end (q, q->factor_at);
  }
  *id = p->n++;
  return OK;
}

struct param
params_matrix (int64_t rows, int64_t columns)
{
  return (struct param){.info = {.n_dims = 2, .dims = {rows, columns}},
                        .init = PARAMS_NORMAL,
                        .spread = PARAMS_TOKEN_SPREAD};
}

struct param
params_vector (int64_t n, enum params_init_kind init)
{
  return (struct param){.info = {.n_dims = 1, .dims = {n}}, .init = init};
}

/* -- memory and first values ----------------------------------------------- */

/* First values, in plain layout, from the seed and the full name alone: the
 * same whatever stage, rank or layout the tensor is in. */
static void
first_values (const struct params *p, const struct param *q, uint64_t seed,
              float *t)
{
  char name[TENSOR_NAME + sizeof p->prefix];
  int64_t n = tensor_info_count (&q->info);
  snprintf (name, sizeof name, "%s%s", p->prefix, q->info.name);
  struct random_key key = {seed, RANDOM_INIT, hash_text (name, 0), 0};
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; i++)
    switch (q->init) {
    case PARAMS_ZERO:
      t[i] = 0.0f;
      break;
    case PARAMS_ONE:
      t[i] = 1.0f;
      break;
    case PARAMS_NORMAL:
      t[i] = (float)(q->spread * random_normal (&key, (uint64_t)i));
      break;
    case PARAMS_UNIFORM:
      t[i] =
          (float)(q->spread * (2.0 * random_uniform (&key, (uint64_t)i) - 1.0));
      break;
    }
}

static enum status
fill (struct params *p, uint64_t seed)
{
  size_t most = 0;
  float *plain = NULL;
  enum status s = OK;
  for (int i = 0; i < p->n; i++) {
    size_t n = (size_t)tensor_info_count (&p->list[i].info);
    most = n > most ? n : most;
  }
  TRY (MEM_NEW (most, &plain, "first values"));
  for (int i = 0; i < p->n && s == OK; i++) {
    first_values (p, &p->list[i], seed, plain);
    s = params_in (p, i, STAGE_VALUE, plain);
  }
  mem_free (&plain);
  return s;
}

/* Bytes of the rounded copies. */
static size_t
factor_bytes (const struct params *p)
{
  return kern_precision (p->k) == KERN_F32 ? 0 : p->n_factors * sizeof (float);
}

static void
take_factors (struct params *p)
{
  const size_t bytes = factor_bytes (p);
  p->factor = bytes > 0 ? arena_take (&p->memory, bytes) : NULL;
}

/* Neighbours that decay alike become one range, so that an update is a few long
 * loops.  Without `decay all` only tensors of two dims and more decay: weights,
 * but not biases and scales. */
static enum status
make_ranges (struct params *p, bool decay_all)
{
  TRY (MEM_NEW ((size_t)p->n, &p->range, "decay ranges"));
  for (int i = 0; i < p->n; i++) {
    const struct param *q = &p->list[i];
    if (q->statistic)
      continue;
    const size_t end = end_of (q);
    bool decay = decay_all || q->info.n_dims >= 2;
    struct params_range *r = &p->range[p->n_ranges];
    if (p->n_ranges == 0 || r[-1].decay != decay) {
      *r = (struct params_range){q->at, 0, decay};
      p->n_ranges++;
    } else
      r--;
    r->n = end - r->at;
  }
  return OK;
}

enum status
params_make (struct params *p, uint64_t seed, const struct optimizer *o,
             enum params_keep keep)
{
  if (p->n == 0)
    return OK;
  const bool two = o->kind == OPTIMIZER_ADAMW;
  const size_t blocks = keep == PARAMS_VALUES      ? 1
                        : keep == PARAMS_GRADIENTS ? 2
                                                   : 3 + two;
  size_t block = p->n_values * sizeof (float), moment = block;
  size_t stats = p->n_stats * sizeof (float);
  if (keep == PARAMS_MOMENTS && params_shares (p)) {
    TRY (params_share_cut (p, &moment));
    moment = arena_round (moment * sizeof (float));
  }
  const size_t moments = blocks > 2 ? blocks - 2 : 0;
  TRY (arena_open (block * (blocks - moments) + moment * moments + stats +
                       factor_bytes (p),
                   "parameters", &p->memory));
  p->value = arena_take (&p->memory, block);
  if (keep >= PARAMS_GRADIENTS)
    p->grad = arena_take (&p->memory, block);
  if (keep == PARAMS_MOMENTS) {
    p->moment1 = arena_take (&p->memory, moment);
    p->moment2 = two ? arena_take (&p->memory, moment) : NULL;
  }
  p->stat = arena_take (&p->memory, stats);
  take_factors (p);
  TRY (make_ranges (p, o->decay_all));
  TRY (fill (p, seed));
  return params_refresh (p);
}

enum status
params_borrow (struct params *p, float *value, bool gradients)
{
  const size_t block = gradients ? p->n_values * sizeof (float) : 0;
  p->value = value;
  if (block + factor_bytes (p) == 0)
    return OK;
  TRY (arena_open (block + factor_bytes (p), "gradients", &p->memory));
  if (gradients)
    p->grad = arena_take (&p->memory, block);
  take_factors (p);
  return params_refresh (p);
}

/* -- for layers ------------------------------------------------------------ */

float *
params_value (const struct params *p, int id)
{
  return p->value + p->list[id].at;
}

const float *
params_factor (const struct params *p, int id)
{
  return p->factor ? p->factor + p->list[id].factor_at : params_value (p, id);
}

float *
params_stat (const struct params *p, int id)
{
  return p->stat + p->list[id].at;
}

float *
params_grad (struct params *p, int id, bool *add)
{
  struct param *q = &p->list[id];
  CHECK (p->grad, "gradient of %s: the stage is not made for training",
         q->info.name);
  *add = q->written;
  q->written = true;
  p->touched = true;
  p->shown = STAGE_VALUE;
  if (p->bucket)
    params_note (p, q);
  return p->grad + q->at;
}

/* -- for the stage --------------------------------------------------------- */

void
params_begin (struct params *p)
{
  for (int i = 0; i < p->n; i++)
    p->list[i].written = false;
  p->touched = false;
  params_take_back (p);
}

/* Backward may not reach all tensors (a head that no batch has seen): what
 * nobody wrote still holds the gradient of the batch before. */
void
params_settle (struct params *p)
{
  if (!p->grad)
    return;
  for (int i = 0; i < p->n; i++) {
    struct param *q = &p->list[i];
    if (q->statistic || q->written)
      continue;
    kern_zero (p->k, q->n, p->grad + q->at);
    q->written = true;
  }
}

double
params_squares (struct params *p)
{
  if (!p->grad)
    return 0.0;
  params_settle (p);
  return kern_sum_squares (p->k, p->n_values, p->grad);
}

static void
update_range (struct params *p, const struct params_range *part,
              const struct params_rates *r, size_t kept)
{
  const struct optimizer *o = r->o;
  float *w = p->value + part->at, *g = p->grad + part->at;
  float *m = p->moment1 + kept;
  const float decay = part->decay ? (float)o->weight_decay : 0.0f;
  if (o->kind == OPTIMIZER_SGD) {
    struct kern_sgd sgd = {.lr = (float)r->lr,
                           .momentum = (float)o->momentum,
                           .weight_decay = decay,
                           .nesterov = o->nesterov,
                           .first = r->step == 1,
                           .grad_scale = (float)r->clip};
    kern_sgd (p->k, part->n, &sgd, w, g, m);
  } else {
    struct kern_adamw adamw = {.lr = (float)r->lr,
                               .beta1 = (float)o->beta1,
                               .beta2 = (float)o->beta2,
                               .eps = (float)o->eps,
                               .weight_decay = decay,
                               .step = r->step,
                               .grad_scale = (float)r->clip};
    kern_adamw (p->k, part->n, &adamw, w, g, m, p->moment2 + kept);
  }
}

void
params_update_some (struct params *p, const struct params_rates *r, size_t at,
                    size_t n, size_t kept)
{
  const size_t end = at + n;
  for (int i = 0; i < p->n_ranges; i++) {
    struct params_range part = p->range[i];
    size_t stop = part.at + part.n;
    part.at = part.at > at ? part.at : at;
    stop = stop < end ? stop : end;
    if (part.at >= stop)
      continue;
    part.n = stop - part.at;
    update_range (p, &part, r, kept + part.at - at);
  }
}

enum status
params_update (struct params *p, const struct optimizer *o, double lr,
               double clip, int64_t step)
{
  if (!p->touched) {
    params_begin (p);
    return OK;
  }
  const struct params_rates r = {o, lr, clip, step};
  params_settle (p);
  if (params_shares (p))
    return params_share_update (p, &r);
  params_update_some (p, &r, 0, p->n_values, 0);
  params_begin (p);
  return params_refresh (p);
}

enum status
params_refresh (struct params *p)
{
  for (int i = 0; i < p->n; i++) {
    const struct param *q = &p->list[i];
    if (p->factor && q->factor)
      kern_round (p->k, q->n, p->value + q->at, p->factor + q->factor_at);
    if (q->conv)
      TRY (kern_conv_refresh (q->conv, params_factor (p, i)));
  }
  for (int i = 0; i < p->n; i++)
    if (p->list[i].linear)
      kern_linear_refresh (p->list[i].linear, params_factor (p, i));
  return OK;
}

/* -- tensors as files see them --------------------------------------------- */

static bool
is_moment (enum stage_what what)
{
  return what == STAGE_MOMENT_1 || what == STAGE_MOMENT_2;
}

static float *
place_of (struct params *p, int id, enum stage_what what)
{
  const struct param *q = &p->list[id];
  float *block[] = {q->statistic ? p->stat : p->value, p->grad, p->moment1,
                    p->moment2};
  if (params_shares (p) && is_moment (what)) /* share.c */
    what = STAGE_GRAD;
  CHECK (what == STAGE_VALUE || !q->statistic, "%s has no gradient or moments",
         q->info.name);
  CHECK (block[what], "%s: the stage does not keep what is asked for",
         q->info.name);
  return block[what] + q->at;
}

enum status
params_out (struct params *p, int id, enum stage_what what, float *plain)
{
  const struct param *q = &p->list[id];
  if (what == STAGE_GRAD)
    params_settle (p);
  CHECK (!params_shares (p) || !is_moment (what) || p->shown == what,
         "%s: moments that twins share were not shown", q->info.name);
  float *t = place_of (p, id, what);
  if (q->conv)
    return kern_conv_weights_out (q->conv, t, plain);
  memcpy (plain, t, (size_t)tensor_info_count (&q->info) * sizeof *plain);
  return OK;
}

enum status
params_view (struct params *p, int id, float *room, const float **out)
{
  const struct param *q = &p->list[id];
  float *t = place_of (p, id, STAGE_VALUE);
  *out = q->conv ? room : t;
  return q->conv && room ? kern_conv_weights_out (q->conv, t, room) : OK;
}

enum status
params_in (struct params *p, int id, enum stage_what what, const float *plain)
{
  const struct param *q = &p->list[id];
  float *t = place_of (p, id, what);
  if (what == STAGE_GRAD) { /* the others of the batch stay as they are */
    params_settle (p);
    p->touched = true;
  }
  if (q->conv)
    TRY (kern_conv_weights_in (q->conv, plain, t));
  else
    memcpy (t, plain, (size_t)tensor_info_count (&q->info) * sizeof *plain);
  if (params_shares (p) && is_moment (what))
    params_share_keep (p, q, what);
  return OK;
}
