/* verify/check_gradient.c -- gradients against finite differences of the loss
 * that the route states: those of each stage, and that of the matrix that
 * stages share.
 */
#include "verify/verify_impl.h"

#include <math.h>
#include <string.h>

/* -- gradients ----------------------------------------------------------------
 *
 * The direction is the gradient itself, scaled to length one, plus a random one
 * of length one: along it the slope is large against rounding and kinks, and
 * both a gradient of another loss and one that is off sideways are noticed.
 */

struct probe {
  int stage;         /* whose gradient is taken */
  int n;             /* its tensors; 0 where the stage is not here */
  float **direction; /* n; NULL: not part of the check; owned */
  double slope;      /* gradient . direction */
};

/* The matrix that stages share, as the file names it. */
static bool
is_shared (const struct session *s, const struct local_stage *l,
           const struct tensor_info *info)
{
  const char *name = network_shared_name (s->design->net);
  return shared_is_mine (s, l) && strcmp (info->name, name) == 0;
}

/* Heads and the output unit follow their own loss, not the route; a shared
 * matrix follows several. */
static bool
is_probed (const struct session *s, struct local_stage *l, int i,
           struct tensor_info *info)
{
  bool head, statistic;
  stage_tensor (l->stage, i, info, &head, &statistic);
  return !head && !statistic && strncmp (info->name, "fc.", 3) != 0 &&
         !is_shared (s, l, info);
}

static void
probe_clear (struct probe *p)
{
  for (int i = 0; i < p->n; i++)
    mem_free (&p->direction[i]);
  mem_free (&p->direction);
}

static void
random_direction (const char *name, float *d, size_t n)
{
  struct random_key key = {
      .seed = 99, .purpose = RANDOM_TEST, .a = hash_text (name, 0)};
  for (size_t i = 0; i < n; i++)
    d[i] = (float)random_normal (&key, i);
}

/* Squares of all gradients and of all random directions of the stage. */
static enum status
lengths (const struct session *s, struct local_stage *l, struct probe *p,
         double *g2, double *r2)
{
  struct tensor_info info;
  float *r = NULL;
  for (int i = 0; i < p->n; i++) {
    if (!is_probed (s, l, i, &info))
      continue;
    size_t n = (size_t)tensor_info_count (&info);
    TRY (MEM_NEW (n, &p->direction[i], "direction"));
    TRY (stage_tensor_out (l->stage, i, STAGE_GRAD, p->direction[i]));
    TRY (MEM_NEW (n, &r, "direction"));
    random_direction (info.name, r, n);
    for (size_t j = 0; j < n; j++) {
      *g2 += (double)p->direction[i][j] * p->direction[i][j];
      *r2 += (double)r[j] * r[j];
    }
    mem_free (&r);
  }
  return OK;
}

/* Directions from gradients, and the slope along them. */
static enum status
make_directions (const struct session *s, struct local_stage *l,
                 struct probe *p)
{
  struct tensor_info info;
  double g2 = 0, r2 = 0;
  float *r = NULL;
  p->n = stage_tensors (l->stage);
  TRY (MEM_NEW ((size_t)p->n, &p->direction, "directions"));
  TRY (lengths (s, l, p, &g2, &r2));
  for (int i = 0; i < p->n; i++) {
    if (!is_probed (s, l, i, &info))
      continue;
    size_t n = (size_t)tensor_info_count (&info);
    TRY (MEM_NEW (n, &r, "direction"));
    random_direction (info.name, r, n);
    for (size_t j = 0; j < n; j++) {
      double g = p->direction[i][j];
      double d = g / sqrt (g2 + 1e-300) + r[j] / sqrt (r2);
      p->direction[i][j] = (float)d;
      p->slope += g * (float)d;
    }
    mem_free (&r);
  }
  return OK;
}

static void
on_gradients (struct session *s, struct local_stage *l, int64_t step,
              void *context)
{
  struct probe *p = context;
  (void)step;
  if (l->k != p->stage || p->n > 0)
    return;
  mem_open ();
  if (make_directions (s, l, p) != OK)
    wire_abort (E_MEMORY);
  mem_close ();
}

/* Move the stage's parameters along the direction. */
static enum status
move (struct session *s, const struct probe *p, double by)
{
  if (p->n == 0)
    return OK;
  struct local_stage *l = session_local (s, p->stage);
  for (int i = 0; i < p->n; i++) {
    struct tensor_info info;
    float *v = NULL;
    if (!p->direction[i])
      continue;
    stage_tensor (l->stage, i, &info, &(bool){false}, &(bool){false});
    size_t n = (size_t)tensor_info_count (&info);
    TRY (MEM_NEW (n, &v, "values"));
    enum status e = stage_tensor_out (l->stage, i, STAGE_VALUE, v);
    for (size_t j = 0; j < n; j++)
      v[j] += (float)(by * p->direction[i][j]);
    if (e == OK)
      e = stage_tensor_in (l->stage, i, STAGE_VALUE, v);
    mem_free (&v);
    TRY (e);
  }
  return stage_refresh (l->stage);
}

/* Add the penalty on what stage k hands on, of the step just taken. */
static enum status
add_penalty (struct session *s, int k, double *out)
{
  const struct design *d = s->design;
  double *all = NULL, squares = 0;
  TRY (MEM_NEW ((size_t)wire_size (s->wire), &all, "squares"));
  enum status e = wire_all_gather (s->wire, &s->flow.output[k], 1, all);
  for (int r = 0; e == OK && r < wire_size (s->wire); r++)
    squares += all[r];
  mem_free (&all);
  *out += d->config.grow * squares / session_numbers (d, k);
  return e;
}

/* One step without learning: the mean losses, weighted, and the penalty on the
 * output of a stage (grown; -1: none). */
static enum status
weighted_loss (struct session *s, const double *weight, int grown,
               int64_t *step, double *out)
{
  const struct design *d = s->design;
  struct stage_loss *loss = NULL;
  double sum = 0;
  TRY (MEM_NEW ((size_t)d->K, &loss, "losses"));
  s->flow.on = true;
  enum status e = train_lone_step (s, *step, loss);
  for (int h = 0; h < d->K; h++)
    if (weight[h] != 0)
      sum +=
          weight[h] * (loss[h].loss + design_rebuilds (d, h) * loss[h].rebuilt);
  mem_free (&loss);
  *out = sum / (double)(d->batch * d->length);
  ++*step;
  if (e == OK && grown >= 0 && plan_grows (d->plan, grown))
    e = add_penalty (s, grown, out);
  return e;
}

/* The same with the weights that the route gives stage k. */
static enum status
routed_loss (struct session *s, int k, int64_t *step, double *out)
{
  const struct design *d = s->design;
  return weighted_loss (s, &d->route[k * d->K], k, step, out);
}

/* The slope is known where the stage is: sum over one replica. */
static enum status
share_slope (struct session *s, const struct probe *p, double *out)
{
  double *all = NULL, slope = 0;
  double mine = wire_replica (s->wire) == 0 ? p->slope : 0;
  TRY (MEM_NEW ((size_t)wire_size (s->wire), &all, "slopes"));
  enum status e = wire_all_gather (s->wire, &mine, 1, all);
  for (int r = 0; e == OK && r < wire_size (s->wire); r++)
    slope += all[r];
  mem_free (&all);
  *out = slope;
  return e;
}

/* Rounding spoils the small ones and curvature the large ones. */
static const double widths[CHECK_WIDTHS] = {3e-2, 6e-3, 1.5e-3, 4e-4};

/* Relative error of one stage, the smallest over the widths. */
static enum status
check_stage (struct session *s, struct probe *p, int64_t *step, double *error)
{
  double slope, loss[2], best = INFINITY;
  s->on_gradients = on_gradients;
  s->on_gradients_context = p;
  TRY (routed_loss (s, p->stage, step, &loss[0]));
  s->on_gradients = NULL;
  TRY (share_slope (s, p, &slope));
  for (int i = 0; i < CHECK_WIDTHS; i++) {
    double h = widths[i];
    TRY (move (s, p, h));
    TRY (routed_loss (s, p->stage, step, &loss[0]));
    TRY (move (s, p, -2 * h));
    TRY (routed_loss (s, p->stage, step, &loss[1]));
    TRY (move (s, p, h));
    double difference = (loss[0] - loss[1]) / (2 * h);
    double relative = fabs (difference - slope) / fabs (slope);
    best = relative < best ? relative : best;
  }
  *error = best;
  return OK;
}

/* -- the matrix that stages share ---------------------------------------------
 *
 * Its gradient is a sum: what the route gives stage 0 by way of the embedding,
 * and each head's own loss by way of that head.  So each copy is moved while
 * the others stay, and the differences of what each follows are added.
 */

struct shared_probe {
  float *origin, *direction; /* n; owned */
  size_t n;                  /* 0 where the matrix is not used */
  struct probe slope;        /* of the owner's gradient along direction */
};

static bool
shared_heads (const struct session *s)
{
  return network_head_shares (s->design->config.head);
}

/* What the copy of stage k follows: K weights of losses, and whose output's
 * size; false: nothing. */
static bool
follows (const struct session *s, int k, double *weight, int *grown)
{
  const struct design *d = s->design;
  const bool embeds = k == 0 && network_spec (d->net)->tied;
  const bool heads =
      k == d->K - 1 || (shared_heads (s) && d->plan->head[k] == PLAN_ACTIVE);
  *grown = embeds ? k : -1;
  for (int h = 0; h < d->K; h++)
    weight[h] = embeds ? d->route[k * d->K + h] : heads && h == k;
  return embeds || heads;
}

/* A tied embedding and the head of its stage use one place in memory and cannot
 * be moved apart; where the route gives the first a part of the loss of the
 * second, no difference is the gradient. */
static bool
shared_is_measurable (const struct session *s)
{
  const struct design *d = s->design;
  const double own = d->route[0];
  return !(network_spec (d->net)->tied && d->K > 1 && shared_heads (s) &&
           own != 0 && own != 1);
}

/* The owner's gradient as a direction in the place of its values. */
static void
on_shared_gradient (struct session *s, struct local_stage *l, int64_t step,
                    void *context)
{
  struct shared_probe *p = context;
  struct tensor_info info;
  bool ignored;
  double g2 = 0, r2 = 0;
  (void)step;
  if (!shared_is_mine (s, l) || p->slope.slope != 0)
    return;
  mem_open ();
  float *g = NULL;
  int i = 0;
  stage_tensor (l->stage, i, &info, &ignored, &ignored);
  while (!is_shared (s, l, &info))
    stage_tensor (l->stage, ++i, &info, &ignored, &ignored);
  if (MEM_NEW (p->n, &g, "gradient") != OK ||
      stage_tensor_out (l->stage, i, STAGE_GRAD, g) != OK)
    wire_abort (E_MEMORY);
  random_direction (info.name, p->direction, p->n);
  for (size_t j = 0; j < p->n; j++) {
    g2 += (double)g[j] * g[j];
    r2 += (double)p->direction[j] * p->direction[j];
  }
  for (size_t j = 0; j < p->n; j++) {
    double d = g[j] / sqrt (g2 + 1e-300) + p->direction[j] / sqrt (r2);
    p->direction[j] = (float)d;
    p->slope.slope += g[j] * (double)(float)d;
  }
  mem_free (&g);
  mem_close ();
}

/* Every copy on this rank as it was, that of stage k moved. */
static void
shared_set (struct session *s, const struct shared_probe *p, int k, double by)
{
  float *value;
  size_t n;
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    if (stage_shared (l->stage) == STAGE_SHARED_NONE)
      continue;
    stage_shared_value (l->stage, &value, &n);
    memcpy (value, p->origin, n * sizeof *value);
    for (size_t j = 0; l->k == k && j < n; j++)
      value[j] += (float)(by * p->direction[j]);
  }
}

static float *
shared_here (struct session *s, size_t *n)
{
  float *value = NULL;
  *n = 0;
  for (int i = 0; i < s->n_local; i++)
    if (stage_shared (s->local[i].stage) != STAGE_SHARED_NONE)
      stage_shared_value (s->local[i].stage, &value, n);
  return value;
}

/* Values, direction and slope on all ranks that use the matrix: the owner's
 * direction travels as its values do. */
static enum status
shared_probe_make (struct session *s, struct shared_probe *p, int64_t *step)
{
  double ignored;
  const float *value = shared_here (s, &p->n);
  TRY (MEM_NEW (p->n + 1, &p->origin, "values"));
  TRY (MEM_NEW (p->n + 1, &p->direction, "direction"));
  if (p->n > 0)
    memcpy (p->origin, value, p->n * sizeof *value);
  s->on_gradients = on_shared_gradient;
  s->on_gradients_context = p;
  TRY (routed_loss (s, s->design->K - 1, step, &ignored));
  s->on_gradients = NULL;
  struct local_stage *last = &s->local[s->n_local - 1];
  if (shared_is_mine (s, last)) {
    float *own;
    size_t n;
    stage_shared_value (last->stage, &own, &n);
    memcpy (own, p->direction, n * sizeof *own);
  }
  TRY (shared_spread (s, *step));
  value = shared_here (s, &p->n);
  if (p->n > 0)
    memcpy (p->direction, value, p->n * sizeof *value);
  shared_set (s, p, -1, 0);
  return OK;
}

/* Sum over the copies of the difference of what each follows. */
static enum status
shared_difference (struct session *s, const struct shared_probe *p, double h,
                   double *weight, int64_t *step, double *out)
{
  double loss[2];
  int grown;
  *out = 0;
  for (int k = 0; k < s->design->K; k++) {
    if (!follows (s, k, weight, &grown))
      continue;
    for (int side = 0; side < 2; side++) {
      shared_set (s, p, k, side == 0 ? h : -h);
      TRY (weighted_loss (s, weight, grown, step, &loss[side]));
    }
    *out += (loss[0] - loss[1]) / (2 * h);
  }
  shared_set (s, p, -1, 0);
  return OK;
}

static enum status
check_shared (struct session *s, struct shared_probe *p, int64_t *step,
              double *error)
{
  double slope, *weight = NULL, difference, best = INFINITY;
  TRY (shared_probe_make (s, p, step));
  TRY (share_slope (s, &p->slope, &slope));
  TRY (MEM_NEW ((size_t)s->design->K, &weight, "weights of losses"));
  enum status e = OK;
  for (int i = 0; e == OK && i < CHECK_WIDTHS; i++) {
    e = shared_difference (s, p, widths[i], weight, step, &difference);
    double relative = fabs (difference - slope) / fabs (slope);
    best = relative < best ? relative : best;
  }
  mem_free (&weight);
  *error = best;
  return e;
}

/* -- all of them -------------------------------------------------------------
 */

/* -1: not measured. */
static double
shared_error (struct session *s, int64_t *step)
{
  struct shared_probe p = {.n = 0};
  double error = INFINITY;
  if (!s->design->plan->shares || !shared_is_measurable (s))
    return -1;
  enum status e = check_shared (s, &p, step, &error);
  mem_free (&p.origin);
  mem_free (&p.direction);
  if (e != OK)
    wire_abort (e);
  return error;
}

static double
stage_error (struct session *s, int k, int64_t *step)
{
  struct probe p = {.stage = k};
  double error = INFINITY;
  enum status e = check_stage (s, &p, step, &error);
  probe_clear (&p);
  if (e != OK)
    wire_abort (e);
  return error;
}

enum status
check_gradients (struct session *s, double *worst, int *stage)
{
  const struct design *d = s->design;
  int64_t step = 0;
  double most = 0;
  int where = 0;
  TRY (session_begin (s, 0, (int64_t)d->K * CHECK_STEPS));
  for (int k = 0; k <= d->K; k++) {
    double error =
        k < d->K ? stage_error (s, k, &step) : shared_error (s, &step);
    if (!(error <= most)) {
      most = error;
      where = k;
    }
  }
  TRY (session_end (s));
  *worst = most;
  *stage = where;
  return OK;
}
