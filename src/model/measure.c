/* model/measure.c -- what units and heads cost on this machine.
 *
 * A stage is made of each, and all are walked through like a step: forwards in
 * order of depth, then backwards.  So what a unit kept for its backward has had
 * time to leave the cache.  Times are for cuts and predictions only; no result
 * depends on them.
 */
#include "model/stage_impl.h"
#include "base/clock.h"
#include "base/halt.h"
#include "base/log.h"
#include "base/random.h"
#include <math.h>

#define WALKS 6        /* at most, behind one to warm up */
#define LEAST_WALKS 2  /* one of each kind */
#define ENOUGH_S 0.15  /* no more of them after this */
#define HEAD_FLOPS 3e9 /* a longer head: on a part of the batch */

/* Back in even walks: data gradient, weight gradient, the former once more but
 * not that of the input; in odd ones the first two in one pass. */
enum { FORWARD, DATA, WEIGHTS, INSIDE, TOGETHER, TIMES };

struct bench {
  struct stage *s;
  bool head;    /* time the head, else the body */
  int64_t n;    /* samples: of the batch, or of a part of it */
  double whole; /* batch : n */
  float *x, *d_y, *d_x;
  float *picture; /* of heads that make images again, else NULL */
  int32_t *labels;
  double time[TIMES][WALKS]; /* INFINITY: not taken in that walk */
};

/* Tokens or labels 0 .. words - 1 by turns. */
static void
fill_tokens (int32_t *t, size_t n, int words)
{
  for (size_t i = 0; i < n; i++)
    t[i] = (int32_t)(i * 7919 % (size_t)words);
}

/* Small numbers of both signs; a period keeps the filling cheap. */
static void
fill (float *t, size_t n)
{
  const struct random_key key = {1, RANDOM_INIT, 0, 0};
  const size_t period = 4099;
  for (size_t i = 0; i < n; i++)
    t[i] = i < period ? (float)random_normal (&key, i) : t[i - period];
}

static enum status
part_of_batch (const struct network *net, const struct stage_measured *m,
               int threads, int64_t *n)
{
  struct network_unit info;
  if (!m->head)
    return OK;
  TRY (network_head (net, m->unit, m->head, &info));
  while (info.flops * (double)*n > HEAD_FLOPS && *n % 2 == 0 &&
         *n / 2 >= 4 * threads)
    *n /= 2;
  return OK;
}

static enum status
copy_choices (struct kern *k, const struct kern_tuning *from,
              const struct recipe *r, int64_t n, int64_t part,
              struct kern_tuning *to)
{
  for (int i = 0; i < recipe_steps (r); i++) {
    const struct recipe_step *step = recipe_step_at (r, i);
    if (!layer_kind (step)->chooses)
      continue;
    struct kern_conv_shape s =
        recipe_shape (step, n, kern_tuning_layout (from));
    for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++) {
      s.n = n;
      struct kern_choice c = kern_tuning_get (from, &s, (enum kern_direction)d);
      s.n = part;
      if (c.algo != KERN_NO_ALGO)
        TRY (kern_tuning_put (k, to, &s, (enum kern_direction)d, c));
    }
  }
  return OK;
}

/* Algorithms are chosen by shape, and the batch is part of it: the stage on a
 * part of the batch is to use what the whole one does. */
static enum status
create_part (struct kern *k, struct stage_spec *spec, int64_t whole,
             struct stage **out)
{
  struct kern_tuning *t = NULL;
  struct recipe_row head;
  const struct recipe *body = network_recipe (spec->net, spec->unit_first);
  enum status s;
  TRY (recipe_head (spec->head, spec->net, spec->unit_first, &head));
  TRY (kern_tuning_create (&t));
  kern_tuning_layout_set (t, kern_tuning_layout (spec->tuning));
  kern_tuning_go_on (t, spec->tuning);
  TRY_GOTO (copy_choices (k, spec->tuning, body, whole, spec->n_samples, t),
            done);
  for (int i = 0; i < recipe_row_parts (&head); i++)
    TRY_GOTO (copy_choices (k, spec->tuning, &head.part[i], whole,
                            spec->n_samples, t),
              done);
  spec->tuning = t;
  s = stage_create (k, spec, out);
done:
  kern_tuning_destroy (&t);
  return s;
}

/* The stage on a part of the batch where the head is long and the algorithms
 * offer that, else on the whole batch. */
static enum status
create (struct kern *k, const struct stage_spec *whole,
        const struct stage_measured *m, struct bench *b)
{
  struct stage_spec spec = *whole;
  TRY (part_of_batch (spec.net, m, kern_threads (k), &spec.n_samples));
  if (spec.n_samples < whole->n_samples) {
    enum status s = create_part (k, &spec, whole->n_samples, &b->s);
    b->n = spec.n_samples;
    if (s != E_CONFIG)
      return s;
    fail_clear (); /* an algorithm that is not offered for so few */
  }
  b->n = whole->n_samples;
  return stage_create (k, whole, &b->s);
}

/* Any images will do. */
static enum status
open_picture (const struct model_spec *model, struct bench *b)
{
  const size_t n =
      (size_t)(b->n * model->channels * model->height * model->width_px);
  if (!stage_rebuilds (b->s))
    return OK;
  TRY (MEM_NEW (n, &b->picture, "measuring"));
  fill (b->picture, n);
  stage_picture (b->s, 0, b->picture, NULL, NULL);
  return OK;
}

static enum status
bench_open (struct kern *k, const struct network *net,
            const struct kern_tuning *tuning, int64_t n_samples,
            const struct stage_measured *m, struct bench *b)
{
  const int units = network_units (net);
  struct tensor in, out;
  const struct stage_spec spec = {.net = net,
                                  .tuning = tuning,
                                  .k = m->unit,
                                  .n_stages = units,
                                  .unit_first = m->unit,
                                  .unit_end = m->unit + 1,
                                  .head = m->head,
                                  .n_samples = n_samples,
                                  .n_slots = 1,
                                  .n_pairs = 1,
                                  .seed = 1,
                                  .optimizer = {.kind = OPTIMIZER_SGD},
                                  .training = true};
  CHECK (!m->head || m->unit < units - 1, "a head behind the output unit");
  b->head = m->head || m->unit == units - 1;
  TRY (create (k, &spec, m, b));
  b->whole = (double)n_samples / (double)b->n;
  stage_border (b->s, &in, &out);
  TRY (MEM_NEW (in.bytes / sizeof (float), &b->x, "measuring"));
  TRY (MEM_NEW (in.bytes / sizeof (float), &b->d_x, "measuring"));
  TRY (MEM_NEW (out.bytes / sizeof (float), &b->d_y, "measuring"));
  const struct model_spec *model = network_spec (net);
  const size_t n = (size_t)(b->n * model->context);
  TRY (MEM_NEW (n, &b->labels, "measuring"));
  /* Padding takes part in nothing, so it may be filled as well. */
  fill (b->x, in.bytes / sizeof (float));
  fill_tokens (b->labels, n, model->classes);
  if (in.form.type == TENSOR_I32)
    fill_tokens ((int32_t *)(void *)b->x, n, model->classes);
  fill (b->d_y, out.bytes / sizeof (float));
  return open_picture (model, b);
}

static void
bench_close (struct bench *b)
{
  stage_destroy (&b->s);
  mem_free (&b->x);
  mem_free (&b->d_x);
  mem_free (&b->d_y);
  mem_free (&b->picture);
  mem_free (&b->labels);
}

/* The way down the network, and a head on the way. */
static enum status
go_forward (struct bench *b, double s[TIMES])
{
  struct stage_loss loss;
  double t0 = clock_now_s ();
  TRY (stage_forward (b->s, 0, b->x));
  double t1 = clock_now_s ();
  s[FORWARD] = t1 - t0;
  if (!b->head)
    return OK;
  TRY (stage_head (b->s, 0, b->labels, 1.0f, false, &loss));
  double t2 = clock_now_s ();
  TRY (stage_head_weights (b->s, 0));
  s[FORWARD] = t2 - t1;
  s[DATA] = s[INSIDE] = 0;
  s[WEIGHTS] = s[TOGETHER] = clock_now_s () - t2;
  return OK;
}

/* ... and back. */
static enum status
go_back (struct bench *b, bool together, double s[TIMES])
{
  float *d_x = stage_is_first (b->s) ? NULL : b->d_x;
  if (b->head)
    return OK;
  for (int i = DATA; i < TIMES; i++)
    s[i] = INFINITY;
  double t0 = clock_now_s ();
  if (together) {
    TRY (stage_back_both (b->s, 0, b->d_y, 0, d_x));
    s[TOGETHER] = clock_now_s () - t0;
    return OK;
  }
  TRY (stage_back_data (b->s, 0, b->d_y, true, 0, d_x));
  double t1 = clock_now_s ();
  TRY (stage_back_weights (b->s, 0, 0));
  double t2 = clock_now_s ();
  s[DATA] = s[INSIDE] = t1 - t0;
  s[WEIGHTS] = t2 - t1;
  if (!d_x)
    return OK;
  TRY (stage_back_data (b->s, 0, b->d_y, true, 0, NULL));
  s[INSIDE] = clock_now_s () - t2;
  return OK;
}

static enum status
walk (struct bench *b, int n, int at)
{
  double s[TIMES];
  for (int i = 0; i < n; i++) {
    TRY (halt_check ("measuring blocks"));
    TRY (go_forward (&b[i], s));
    for (int j = 0; j < TIMES && at >= 0 && (b[i].head || j == FORWARD); j++)
      b[i].time[j][at] = s[j];
  }
  for (int i = n - 1; i >= 0; i--) {
    TRY (halt_check ("measuring blocks"));
    TRY (go_back (&b[i], at % 2 == 1, s));
    for (int j = DATA; j < TIMES && at >= 0 && !b[i].head; j++)
      b[i].time[j][at] = s[j];
  }
  return OK;
}

/* The fastest walk: slower ones were disturbed by other work on the machine. */
static double
best (const double *v, int n)
{
  double least = v[0];
  for (int i = 1; i < n; i++)
    least = v[i] < least ? v[i] : least;
  return least;
}

static struct stage_cost
cost_of (const struct bench *b, int walks)
{
  double s[TIMES];
  for (int j = 0; j < TIMES; j++)
    s[j] = b->whole * best (b->time[j], walks);
  const double apart = s[DATA] + s[WEIGHTS];
  return (struct stage_cost){.forward = s[FORWARD],
                             .data = s[DATA],
                             .weights = s[WEIGHTS],
                             .saved = fmax (0, apart - s[TOGETHER]),
                             .input = fmax (0, s[DATA] - s[INSIDE])};
}

static enum status
walk_some (struct bench *b, int n, struct stage_measured *list)
{
  int walks = 0;
  TRY (walk (b, n, -1));
  for (double start = clock_now_s (); walks < WALKS; walks++) {
    log_progress ("measuring %d blocks: round %d", n, walks + 1);
    if (walks >= LEAST_WALKS && clock_now_s () - start > ENOUGH_S)
      break;
    TRY (walk (b, n, walks));
  }
  for (int i = 0; i < n; i++)
    list[i].cost = cost_of (&b[i], walks);
  return OK;
}

enum status
stage_measure (struct kern *k, const struct network *net,
               const struct kern_tuning *tuning, int64_t n_samples, int n,
               struct stage_measured *list)
{
  struct bench *b = NULL;
  TRY (MEM_NEW ((size_t)n, &b, "measuring"));
  enum status s = OK;
  for (int i = 0; i < n && s == OK; i++) {
    s = halt_check ("measuring blocks");
    if (s == OK)
      s = bench_open (k, net, tuning, n_samples, &list[i], &b[i]);
  }
  if (s == OK)
    s = kern_seal (k);
  if (s == OK)
    s = walk_some (b, n, list);
  for (int i = 0; i < n; i++)
    bench_close (&b[i]);
  mem_free (&b);
  return s;
}
