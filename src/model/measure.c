/* model/measure.c -- what a unit or a head costs on this machine.
 *
 * A stage of that unit alone is made, fed with numbers and timed.  Times are
 * for cuts and predictions only; no result depends on them.
 */
#include "model/stage_impl.h"
#include "base/clock.h"
#include "base/random.h"

/* One timed call of each kind, in the order of a step. */
struct bench {
  struct stage *s;
  bool head; /* time the head, else the body */
  float *x, *d_y, *d_x;
  int32_t *labels;
};

/* Tokens 0 .. words - 1 by turns. */
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
bench_open (struct kern *k, const struct stage_spec *spec, struct bench *b)
{
  struct tensor in, out;
  TRY (stage_create (k, spec, &b->s));
  TRY (kern_seal (k));
  stage_border (b->s, &in, &out);
  TRY (MEM_NEW (in.bytes / sizeof (float), &b->x, "measuring"));
  TRY (MEM_NEW (in.bytes / sizeof (float), &b->d_x, "measuring"));
  TRY (MEM_NEW (out.bytes / sizeof (float), &b->d_y, "measuring"));
  const struct model_spec *m = network_spec (spec->net);
  const bool tokens = m->family == MODEL_TRANSFORMER;
  const size_t n = (size_t)spec->n_samples * (tokens ? (size_t)m->context : 1);
  TRY (MEM_NEW (n, &b->labels, "measuring"));
  /* Padding takes part in nothing, so it may be filled as well. */
  fill (b->x, in.bytes / sizeof (float));
  if (tokens) {
    fill_tokens (b->labels, n, m->classes);
    if (stage_is_first (b->s))
      fill_tokens ((int32_t *)(void *)b->x, n, m->classes);
  }
  fill (b->d_y, out.bytes / sizeof (float));
  return stage_forward (b->s, 0, b->x);
}

static void
bench_close (struct bench *b)
{
  stage_destroy (&b->s);
  mem_free (&b->x);
  mem_free (&b->d_x);
  mem_free (&b->d_y);
  mem_free (&b->labels);
}

static enum status
time_body (struct bench *b, double s[3])
{
  float *d_x = stage_is_first (b->s) ? NULL : b->d_x;
  double t0 = clock_now_s ();
  TRY (stage_forward (b->s, 0, b->x));
  double t1 = clock_now_s ();
  TRY (stage_back_data (b->s, 0, b->d_y, true, 0, d_x));
  double t2 = clock_now_s ();
  TRY (stage_back_weights (b->s, 0, 0));
  double t3 = clock_now_s ();
  s[0] = t1 - t0;
  s[1] = t2 - t1;
  s[2] = t3 - t2;
  return OK;
}

/* stage_head does forward and data gradient in one call; its evaluation twin
 * tells how much of that is forward. */
static enum status
time_head (struct bench *b, double s[3])
{
  struct stage_loss loss;
  TRY (stage_eval (b->s, b->x));
  double t0 = clock_now_s ();
  TRY (stage_head_eval (b->s, b->labels, &loss));
  double t1 = clock_now_s ();
  TRY (stage_head (b->s, 0, b->labels, 1.0f, false, &loss));
  double t2 = clock_now_s ();
  TRY (stage_head_weights (b->s, 0));
  double t3 = clock_now_s ();
  double both = t2 - t1;
  s[0] = t1 - t0 < both ? t1 - t0 : both;
  s[1] = both - s[0];
  s[2] = t3 - t2;
  return OK;
}

/* Best of some behind a warm-up: at least two, more while they are short. */
static enum status
time_all (struct bench *b, struct stage_cost *out)
{
  const double enough_s = 0.03;
  double best[3] = {0}, start = 0.0;
  for (int i = -1; i < 20; i++) {
    double s[3];
    if (i == 0)
      start = clock_now_s ();
    TRY (b->head ? time_head (b, s) : time_body (b, s));
    for (int j = 0; j < 3; j++)
      if (i <= 0 || s[j] < best[j])
        best[j] = s[j];
    if (i >= 1 && clock_now_s () - start > enough_s)
      break;
  }
  *out = (struct stage_cost){best[0], best[1], best[2]};
  return OK;
}

enum status
stage_measure (struct kern *k, const struct network *net,
               const struct kern_tuning *tuning, int64_t n_samples, int unit,
               const char *head, struct stage_cost *out)
{
  const int units = network_units (net);
  struct stage_spec spec = {.net = net,
                            .tuning = tuning,
                            .k = unit,
                            .n_stages = units,
                            .unit_first = unit,
                            .unit_end = unit + 1,
                            .head = head,
                            .n_samples = n_samples,
                            .n_slots = 1,
                            .n_pairs = 1,
                            .seed = 1,
                            .optimizer = {.kind = OPTIMIZER_SGD},
                            .training = true};
  struct bench b = {.head = head || unit == units - 1};
  CHECK (!head || unit < units - 1, "a head behind the output unit");
  enum status s = bench_open (k, &spec, &b);
  if (s == OK)
    s = time_all (&b, out);
  bench_close (&b);
  return s;
}
