/* run/check.c -- what self-checks and tests are made of: digests of all
 * tensors, and gradients against finite differences of the loss that the route
 * states.
 */
#include "run/run_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- digests ------------------------------------------------------------------
 */

static enum status
tensor_digest (struct session *s, struct local_stage *l, int i, int slot,
               struct text *out)
{
  struct store_tensor t = {0};
  float *plain = NULL;
  char digest[33];
  size_t n = 1;
  if (!session_has (l, i, session_what (slot)))
    return OK;
  session_tensor (s, l, i, session_what (slot), l->k, &t);
  for (int d = 0; d < t.n_dims; d++)
    n *= (size_t)t.dims[d];
  TRY (MEM_NEW (n, &plain, "tensor to compare"));
  enum status e = stage_tensor_out (l->stage, i, session_what (slot), plain);
  if (e == OK) {
    hash_digest (plain, n * sizeof *plain, digest);
    text_add (out, "%s %s\n", t.path, digest);
  }
  mem_free (&plain);
  return e;
}

enum status
check_digests (struct session *s, bool slots, struct text *out)
{
  for (int i = 0; i < s->n_local; i++)
    for (int j = 0; j < stage_tensors (s->local[i].stage); j++)
      for (int w = 0; w <= (slots ? session_moments (s) : 0); w++)
        TRY (tensor_digest (s, &s->local[i], j, w, out));
  return OK;
}

static int
by_text (const void *a, const void *b)
{
  return strcmp (*(char *const *)a, *(char *const *)b);
}

/* The lines of all texts, sorted, as one text. */
static enum status
sort_lines (char **texts, int n, char **out)
{
  struct text all;
  size_t lines = 0;
  char **line = NULL;
  text_init (&all);
  for (int i = 0; i < n; i++)
    text_add (&all, "%s", texts[i]);
  for (size_t i = 0; i < all.size; i++)
    lines += all.data[i] == '\n';
  enum status e = MEM_NEW (lines, &line, "lines");
  if (e == OK) {
    size_t i = 0;
    char *save = NULL;
    for (char *p = lines ? strtok_r (all.data, "\n", &save) : NULL; p;
         p = strtok_r (NULL, "\n", &save))
      line[i++] = p;
    qsort (line, i, sizeof *line, by_text);
    struct text sorted;
    text_init (&sorted);
    for (size_t j = 0; j < i; j++)
      text_add (&sorted, "%s\n", line[j]);
    e = mem_text (sorted.data, out);
    text_clear (&sorted);
  }
  mem_free (&line);
  text_clear (&all);
  return e;
}

static enum status
all_digests (struct session *s, bool slots, char **out)
{
  struct text mine;
  char **texts = NULL;
  *out = NULL;
  text_init (&mine);
  enum status e = OK;
  if (wire_replica (s->wire) == 0)
    e = check_digests (s, slots, &mine);
  e = wire_agree (s->wire, e);
  if (e == OK)
    e = wire_gather_text (s->wire, mine.data, &texts);
  text_clear (&mine);
  if (e == OK && texts) {
    e = sort_lines (texts, wire_size (s->wire), out);
    for (int r = 0; r < wire_size (s->wire); r++)
      mem_free (&texts[r]);
    mem_free (&texts);
  }
  return wire_agree (s->wire, e);
}

enum status
check_all_digests (struct session *s, char **out)
{
  return all_digests (s, false, out);
}

enum status
check_state_digests (struct session *s, char **out)
{
  return all_digests (s, true, out);
}

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

/* Heads and the output unit follow their own loss, not the route. */
static bool
is_probed (struct local_stage *l, int i, struct tensor_info *info)
{
  bool head, statistic;
  stage_tensor (l->stage, i, info, &head, &statistic);
  return !head && !statistic && strncmp (info->name, "fc.", 3) != 0;
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
lengths (struct local_stage *l, struct probe *p, double *g2, double *r2)
{
  struct tensor_info info;
  float *r = NULL;
  for (int i = 0; i < p->n; i++) {
    if (!is_probed (l, i, &info))
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
make_directions (struct local_stage *l, struct probe *p)
{
  struct tensor_info info;
  double g2 = 0, r2 = 0;
  float *r = NULL;
  p->n = stage_tensors (l->stage);
  TRY (MEM_NEW ((size_t)p->n, &p->direction, "directions"));
  TRY (lengths (l, p, &g2, &r2));
  for (int i = 0; i < p->n; i++) {
    if (!is_probed (l, i, &info))
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
  if (make_directions (l, p) != OK)
    wire_abort (E_MEMORY);
  mem_close ();
  (void)s;
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

/* One step without learning: mean loss that the route gives stage k. */
static enum status
routed_loss (struct session *s, int k, int64_t *step, double *out)
{
  bool stop;
  TRY (session_step (s, *step));
  TRY (ballot_cast (s, *step, false));
  /* The lag may be longer than one step: only this ballot is under way. */
  TRY (ballot_read (s, *step, &stop));
  double sum = 0;
  for (int h = k; h < s->K; h++)
    sum += s->route[k * s->K + h] * s->last_loss[h].loss;
  *out = sum / (double)s->batch;
  ++*step;
  return OK;
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

/* Relative error of one stage; the smallest over some step widths, since
 * rounding spoils the small ones and curvature the large ones. */
static enum status
check_stage (struct session *s, struct probe *p, int64_t *step, double *error)
{
  static const double widths[CHECK_WIDTHS] = {3e-2, 6e-3, 1.5e-3, 4e-4};
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

enum status
check_gradients (struct session *s, double *worst, int *stage)
{
  int64_t step = 0;
  double most = 0;
  int where = 0;
  TRY (session_begin (s, 0, (int64_t)s->K * CHECK_STEPS));
  for (int k = 0; k < s->K; k++) {
    struct probe p = {.stage = k};
    double error = INFINITY;
    enum status e = check_stage (s, &p, &step, &error);
    probe_clear (&p);
    if (e != OK)
      wire_abort (e);
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
