/* ranks: 0 */
/* tests/bench/step.c -- what a training step costs beyond its primitives.
 *
 *     tests/bench/step [batch=128] [rounds=5] [threads=0] [seconds=2]
 *                      [sets=3] [model=both|resnet32|resnet34]
 *                      [detail=no|yes] [precision=both|f32|bf16]
 *                      [serve=no|yes]
 *
 * One rank, K = 1, end to end, on images drawn in a temporary folder:
 * resnet32, and resnet34 with the CIFAR stem of 64 channels.  Whole steps and
 * their primitives (tests/bench/primitives.h) are timed in turn, in one run: a
 * round goes through all primitives, and steps for `seconds` are spread evenly
 * among them, so that a machine whose speed drifts is slow for both.  Printed
 * are medians over the rounds, and all rounds.  threads=0: all cores.
 *
 * sets: of tensors that the calls of a primitive use in turn.  Few sets stay in
 * a large cache; the tensors of a whole step do not.  So the sum is also shown
 * with all tensors from memory; a step is in between.
 *
 * Before that, the time from the start of the engine (MPI included, loading the
 * program excluded) to the end of the first step, in a process of its own: in a
 * fresh run directory, and again in the same one.
 *
 * All that is f32; whole steps in bf16 come after it, where there is such a
 * train.precision.  serve: of one model, takes steps in one precision when it
 * is told (tests/bench/serve.h).
 *
 * Figures, no pass marks.
 */
#include "import/import.h"
#include "tests/bench/primitives.h"
#include "tests/bench/serve.h"
#include "tests/scratch.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS_MOST 400 /* of one round */

struct options {
  int64_t batch, rounds, threads, sets;
  double seconds;
  const char *model, *precision;
  bool detail, serve;
};

struct bench {
  struct options o;
  char folder[256];
};

/* -- options ----------------------------------------------------------------
 */

static bool
model_word (const char *word, const char **out)
{
  *out = word;
  return strcmp (word, "both") == 0 || strcmp (word, "resnet32") == 0 ||
         strcmp (word, "resnet34") == 0;
}

static bool
sets_word (const char *word, int64_t *out)
{
  return text_to_long (word, out) && *out >= 1 && *out <= SETS_MOST;
}

static bool
read_option (char *word, struct options *o)
{
  char *value = strchr (word, '=');
  if (!value)
    return false;
  *value++ = '\0';
  if (strcmp (word, "batch") == 0)
    return text_to_long (value, &o->batch) && o->batch >= 1;
  if (strcmp (word, "rounds") == 0)
    return text_to_long (value, &o->rounds) && o->rounds >= 1 &&
           o->rounds <= ROUNDS;
  if (strcmp (word, "threads") == 0)
    return text_to_long (value, &o->threads) && o->threads >= 0;
  if (strcmp (word, "sets") == 0)
    return sets_word (value, &o->sets);
  if (strcmp (word, "seconds") == 0)
    return text_to_double (value, &o->seconds) && o->seconds >= 0;
  if (strcmp (word, "model") == 0)
    return model_word (value, &o->model);
  if (strcmp (word, "precision") == 0)
    return bench_precision_word (value, &o->precision);
  if (strcmp (word, "serve") == 0)
    return bench_yes_or_no (value, &o->serve);
  return strcmp (word, "detail") == 0 && bench_yes_or_no (value, &o->detail);
}

/* -- a session --------------------------------------------------------------
 */

static enum status
make_data (struct bench *b)
{
  const char *options[] = {"train=1024", "valid=16", "test=16", "seed=3"};
  char path[300];
  snprintf (path, sizeof path, "%s/data.h5", b->folder);
  return import_run ("synthetic", 0, NULL, 4, options, path);
}

static void
configure (const struct bench *b, const char *model, int K, const char *span,
           struct config *c)
{
  config_plain (c);
  c->family = CONFIG_RESNET;
  snprintf (c->preset, CONFIG_WORD, "%s", model);
  c->stem = CONFIG_STEM_CIFAR;
  c->stem_width = strcmp (model, "resnet34") == 0 ? 64 : 0;
  snprintf (c->cut, CONFIG_TEXT, "%s", K == 1 ? "rest" : "auto");
  snprintf (c->head, CONFIG_TEXT, "conv128-bn-conv64-bn-gap-fc");
  snprintf (c->span, CONFIG_WORD, "%s", span);
  snprintf (c->file, CONFIG_PATH, "%s/data.h5", b->folder);
  c->augment = CONFIG_AUGMENT_FLIP_CROP4;
  snprintf (c->tune, CONFIG_PATH, "yes");
  snprintf (c->dir, CONFIG_PATH, "%s/run-%d", b->folder, K);
  c->count = K;
  c->batch = b->o.batch;
  c->steps = 1000000;
  c->seed = 1;
  c->lr = 0.01;
  c->momentum = 0.9;
  c->weight_decay = 1e-4;
  c->threads = (int)b->o.threads;
}

/* -- start-up ---------------------------------------------------------------
 */

static enum status
start_up (struct bench *b, int K, const char *span, const char *when)
{
  double start = clock_now_s (), mpi, ready, done;
  int argc = 0;
  char **argv = NULL;
  struct wire *w = NULL;
  struct config c;
  struct session s;
  struct session_spec spec = {0};
  configure (b, "resnet32", K, span, &c);
  TRY (wire_open (&argc, &argv, &w));
  mpi = clock_now_s ();
  TRY (store_run_open (c.dir, &spec.design.run));
  TRY (session_open (w, &c, &spec, &s));
  TRY (session_begin (&s, 0, s.design->steps));
  ready = clock_now_s ();
  TRY (bench_step (&s, 0));
  done = clock_now_s ();
  put ("start-up of resnet32, K = %d, span %-3s %-18s %6.2f s: MPI %.2f, "
       "choices, plan and stages %.2f, first step %.2f\n",
       K, span, when, done - start, mpi - start, ready - mpi, done - ready);
  TRY (session_end (&s));
  session_close (&s);
  store_run_close (&spec.design.run);
  wire_close (&w);
  return OK;
}

/* In a process of its own: neither MPI nor what libraries remember is shared
 * with what comes after. */
static bool
in_child (struct bench *b, int K, const char *span, const char *when)
{
  int code = -1;
  fflush (stdout);
  pid_t pid = fork ();
  if (pid == 0) {
    enum status s = K == 0 ? make_data (b) : start_up (b, K, span, when);
    if (s != OK)
      say (LOG_ERROR, "%s", fail_message ());
    fflush (stdout);
    _exit (s == OK ? 0 : 1);
  }
  return pid > 0 && waitpid (pid, &code, 0) == pid && code == 0;
}

static bool
start_ups (struct bench *b)
{
  static const char *const when[] = {"in a fresh folder", "again"};
  bool good = true;
  for (int i = 0; i < 4; i++)
    good =
        in_child (b, i < 2 ? 1 : 4, i < 2 ? "all" : "1", when[i % 2]) && good;
  return good;
}

/* -- rounds -----------------------------------------------------------------
 */

struct trial { /* of one network */
  struct session s;
  struct kern_tuning *tuning;   /* its choices; owned */
  struct primitives own, other; /* the session's layout; the one left over */
  bool has_other;
  int64_t step;
  int chunk; /* steps of a round */
  double peak, flops;
  double step_s[ROUNDS], own_s[ROUNDS], best_s[ROUNDS], cold_s[ROUNDS];
  double class_s[PRIM_CLASSES][ROUNDS];
  double phase_s[PHASES + 1][ROUNDS]; /* of the stage's calls; and updating */
  double data_s, all_s;               /* over all timed steps */
};

static enum status
take_steps (struct trial *t, int n, double *took)
{
  struct session *s = &t->s;
  for (int i = 0; i < n; i++) {
    double data = s->account.spent_s[CLOCK_DATA], start = clock_now_s ();
    TRY (bench_step (s, t->step++));
    took[i] = clock_now_s () - start;
    t->all_s += took[i];
    t->data_s += s->account.spent_s[CLOCK_DATA] - data;
  }
  return OK;
}

/* The calls of a step, one by one, on what the last step left. */
static enum status
run_phases (struct trial *t, int round)
{
  static const float none[2] = {1, 1};
  struct session *s = &t->s;
  struct stage *stage = s->local[0].stage;
  struct stage_loss loss;
  double at[PHASES + 2];
  at[0] = clock_now_s ();
  TRY (stage_forward (stage, 0, s->local[0].in[0].t.data));
  at[1] = clock_now_s ();
  TRY (stage_head (stage, 0, s->labels, 1.0f / (float)s->design->batch, false,
                   &loss));
  at[2] = clock_now_s ();
  TRY (stage_back_both (stage, 0, stage_head_grad (stage, 0), 0, NULL));
  TRY (stage_head_weights (stage, 0));
  at[3] = clock_now_s ();
  TRY (stage_update (stage, schedule_lr (&s->design->schedule, t->step), none,
                     t->step + 1));
  at[4] = clock_now_s ();
  for (int i = 0; i <= PHASES; i++)
    t->phase_s[i][round] = at[i + 1] - at[i];
  return OK;
}

static enum status
run_round (struct trial *t, int round)
{
  double took[STEPS_MOST], by_class[PRIM_CLASSES];
  int done = 0, things = t->own.n_things;
  TRY (run_phases (t, round));
  for (int i = 0; i < things; i++) {
    int due = (i + 1) * t->chunk / things;
    TRY (prim_time (&t->own, i, true, round));
    TRY (prim_time (&t->own, i, false, round));
    if (t->has_other)
      TRY (prim_time (&t->other, i, false, round));
    TRY (take_steps (t, due - done, took + done));
    done = due;
  }
  t->step_s[round] = bench_median ((size_t)done, took);
  t->cold_s[round] = prim_sum (&t->own, NULL, true, by_class);
  t->best_s[round] =
      prim_sum (&t->own, t->has_other ? &t->other : NULL, false, by_class);
  t->own_s[round] = prim_sum (&t->own, NULL, false, by_class);
  for (int c = 0; c < PRIM_CLASSES; c++)
    t->class_s[c][round] = by_class[c];
  return OK;
}

/* Forward, and twice that backward, but for the images' gradient. */
static double
useful_flops (const struct session *s)
{
  double flops = 0;
  struct network_unit u;
  for (int i = 0; i < network_units (s->design->net); i++) {
    network_unit (s->design->net, i, &u);
    flops += 3 * u.flops;
  }
  struct kern_conv_shape first = recipe_shape (
      recipe_step_at (network_recipe (s->design->net, 0), 0), 1, KERN_LAST);
  return (flops - kern_conv_flops (&first)) * (double)s->design->batch;
}

static enum status
trial_prepare (struct bench *b, struct trial *t)
{
  struct session *s = &t->s;
  double took[3], peak = 0;
  struct text choices;
  text_init (&choices);
  kernels_print (s->design->kernels, &choices);
  TRY (kern_tuning_create (&t->tuning));
  TRY (kern_tuning_parse (choices.data, "the session's choices", t->tuning));
  text_clear (&choices);
  enum kern_layout inner = kern_tuning_layout (t->tuning);
  enum kern_layout left = inner == KERN_BLOCKED ? KERN_LAST : KERN_BLOCKED;
  bool divides = true;
  for (int i = 0; i < network_units (s->design->net); i++)
    divides = divides && recipe_divides (network_recipe (s->design->net, i),
                                         kernels_block (s->design->kernels));
  t->flops = useful_flops (s);
  t->own = (struct primitives){.tuning = t->tuning,
                               .inner = inner,
                               .n = s->design->n_samples,
                               .sets = (int)b->o.sets};
  t->other = t->own;
  t->other.inner = left;
  TRY (prim_open (s->design->net, s->design->threads,
                  prim_kept_bytes (s->design->net, s->design->n_samples),
                  &t->own));
  t->has_other = divides;
  if (divides)
    TRY (prim_open (s->design->net, s->design->threads, 0, &t->other));
  TRY (kern_peak_flops (t->own.k, &t->peak));
  TRY (session_begin (s, 0, s->design->steps));
  TRY (take_steps (t, 3, took)); /* warms up */
  t->data_s = t->all_s = 0;
  int chunk = (int)(b->o.seconds / took[2]);
  t->chunk = chunk < 4 ? 4 : chunk > STEPS_MOST ? STEPS_MOST : chunk;
  for (int i = 0; i < b->o.rounds; i++)
    TRY (run_round (t, i));
  TRY (kern_peak_flops (t->own.k, &peak));
  t->peak = peak > t->peak ? peak : t->peak;
  return session_end (s);
}

/* -- printing ---------------------------------------------------------------
 */

/* Others who use the machine add time, and never take any away: the lower
 * quartile over the rounds, of the step and of each primitive by itself.  A
 * short call finds a quiet moment more easily than a step. */
static void
show_quiet (struct trial *t, size_t n)
{
  double by_class[PRIM_CLASSES], step = bench_quiet (n, t->step_s);
  struct primitives *other = t->has_other ? &t->other : NULL;
  prim_quiet (&t->own, (int)n);
  if (other)
    prim_quiet (other, (int)n);
  double own = prim_sum (&t->own, NULL, false, by_class);
  double best = prim_sum (&t->own, other, false, by_class);
  double cold = prim_sum (&t->own, NULL, true, by_class);
  put ("  %-34s %9.2f ms   step : alone = %.3f, better layout %.3f, from "
       "memory %.3f\n",
       "step, lower quartiles of rounds", step * 1e3, step / own, step / best,
       step / cold);
}

static void
show_phases (const struct trial *t, size_t n)
{
  static const char *const names[PHASES + 1] = {"forward", "head and loss",
                                                "backward", "update"};
  double sum = 0;
  put ("\n  %-34s %9s %12s\n", "call of the stage", "ms", "primitives");
  for (int i = 0; i <= PHASES; i++) {
    double own = bench_middle (t->phase_s[i], n), prim = 0;
    for (int c = 0; c < PRIM_CLASSES; c++)
      if ((int)prim_about[c].phase == i)
        prim += bench_middle (t->class_s[c], n);
    sum += own;
    put ("  %-34s %9.2f %12.2f\n", names[i], own * 1e3, prim * 1e3);
  }
  put ("  %-34s %9.2f\n", "rest of the step (data, lists)",
       (bench_middle (t->step_s, n) - sum) * 1e3);
}

static void
show_classes (const struct trial *t, size_t n)
{
  double total = bench_middle (t->own_s, n), flops[PRIM_CLASSES] = {0};
  for (int i = 0; i < t->own.n_things; i++)
    for (int part = 0; part < PARTS; part++)
      if (prim_wanted (&t->own.thing[i], part))
        flops[thing_part[t->own.thing[i].kind][part]] +=
            t->own.thing[i].count * prim_flops (&t->own, &t->own.thing[i]);
  put ("\n  %-34s %9s %7s %9s\n", "primitives", "ms", "share", "GFLOP/s");
  for (int c = 0; c < PRIM_CLASSES; c++) {
    double s = bench_middle (t->class_s[c], n);
    put ("  %-34s %9.2f %5.1f %%", prim_about[c].name, s * 1e3,
         100 * s / total);
    if (flops[c] > 0)
      put (" %9.1f", flops[c] / s * 1e-9);
    put ("\n");
  }
}

/* Every distinct primitive, in quiet rounds. */
static void
show_details (const struct primitives *p)
{
  put ("\n  layout %s: each primitive, one call, lower quartiles\n",
       kern_layout_name (p->inner));
  for (int i = 0; i < p->n_things; i++)
    for (int part = 0; part < PARTS; part++) {
      const struct thing *t = &p->thing[i];
      const struct recipe_step *s = &t->step;
      if (!prim_wanted (t, part))
        continue;
      enum prim_class c = thing_part[t->kind][part];
      put ("  %2d x %-34s %4lld x %3lld x %3lld -> %4lld, %dx%d/%d %9.3f ms",
           t->count, prim_about[c].name, (long long)s->in.c, (long long)s->in.h,
           (long long)s->in.w, (long long)s->out.c, s->kernel, s->kernel,
           s->stride, t->seconds[0][part] * 1e3);
      if (t->conv)
        put (" %7.1f GFLOP/s  %s",
             prim_flops (p, t) / t->seconds[0][part] * 1e-9,
             kern_conv_impl (t->conv, (enum kern_direction)part));
      put ("\n");
    }
}

static void
show (const struct bench *b, const char *model, struct trial *t)
{
  size_t n = (size_t)b->o.rounds;
  double step = bench_middle (t->step_s, n), rate = t->flops / step;
  put ("\n%s, %s parameters, batch %lld, layout %s, %d rounds of %d steps\n",
       model, text_count (network_params (t->s.design->net)),
       (long long)t->s.design->batch, kern_layout_name (t->own.inner), (int)n,
       t->chunk);
  put ("  %-34s %9.2f ms   %.0f images/s\n", "whole training step", step * 1e3,
       (double)t->s.design->batch / step);
  bench_show_ratio ("its primitives alone", t->step_s, t->own_s, n);
  if (t->has_other)
    bench_show_ratio ("... each in the better layout", t->step_s, t->best_s, n);
  bench_show_ratio ("... on tensors from memory", t->step_s, t->cold_s, n);
  show_quiet (t, n);
  put ("  %-34s %9.1f GFLOP/s   %.1f GFLOP a step\n", "useful arithmetic",
       rate * 1e-9, t->flops * 1e-9);
  bench_show_peak (t->flops, step, t->peak);
  put ("  %-34s %9.3f %% of the steps\n", "waiting for data",
       100 * t->data_s / t->all_s);
  show_phases (t, n);
  show_classes (t, n);
  if (b->o.detail)
    show_details (&t->own);
  if (b->o.detail && t->has_other)
    show_details (&t->other);
  fflush (stdout);
}

/* -- main -------------------------------------------------------------------
 */

static enum status
bench_model (struct bench *b, struct wire *alone, const char *model)
{
  struct trial *t = NULL;
  struct config c;
  struct session_spec spec = {.design = {.guess_costs = true}};
  if (strcmp (b->o.model, "both") != 0 && strcmp (b->o.model, model) != 0)
    return OK;
  TRY (MEM_NEW (1, &t, "figures"));
  configure (b, model, 1, "all", &c);
  enum status s = session_open (alone, &c, &spec, &t->s);
  if (s == OK) {
    s = trial_prepare (b, t);
    if (s == OK)
      show (b, model, t);
    prim_close (&t->own);
    prim_close (&t->other);
    kern_tuning_destroy (&t->tuning);
    session_close (&t->s);
  }
  if (s == OK && strcmp (b->o.precision, "f32") != 0)
    s = bench_narrow (alone, &c, &spec, (int)b->o.rounds, b->o.seconds,
                      t->flops, bench_middle (t->step_s, (size_t)b->o.rounds),
                      t->peak);
  mem_free (&t);
  return s;
}

static enum status
serve_model (struct bench *b, struct wire *alone)
{
  struct config c;
  struct session s;
  const struct session_spec spec = {.design = {.guess_costs = true}};
  configure (b, b->o.model, 1, "all", &c);
  TRY (bench_set_precision (b->o.precision, &c));
  TRY (session_open (alone, &c, &spec, &s));
  enum status e = bench_serve (&s, useful_flops (&s));
  session_close (&s);
  return e;
}

static enum status
bench_all (struct bench *b)
{
  struct wire *alone = NULL;
  if (!in_child (b, 0, NULL, NULL) || (!b->o.serve && !start_ups (b)))
    return fail (E_FAULT, "a process of the benchmark failed");
  TRY (wire_open_alone (&alone));
  if (b->o.serve) {
    enum status served = serve_model (b, alone);
    wire_close (&alone);
    return served;
  }
  put ("\ninterlock %s, one rank, %s\n", PACKAGE_VERSION,
       design_describe_kernels ());
  enum status s = bench_model (b, alone, "resnet32");
  if (s == OK)
    s = bench_model (b, alone, "resnet34");
  wire_close (&alone);
  return s;
}

int
main (int argc, char **argv)
{
  struct bench b = {.o = {.batch = 128,
                          .rounds = 5,
                          .sets = 3,
                          .seconds = 2,
                          .model = "both",
                          .precision = "both"}};
  const char *base = getenv ("TMPDIR");
  log_level_set (LOG_ERROR);
  for (int i = 1; i < argc; i++)
    if (!read_option (argv[i], &b.o)) {
      say (LOG_ERROR, "%s: not understood; see the head of tests/bench/step.c",
           argv[i]);
      return 64;
    }
  snprintf (b.folder, sizeof b.folder, "%s/interlock-bench-XXXXXX",
            base && base[0] ? base : "/tmp");
  if (!mkdtemp (b.folder)) {
    say (LOG_ERROR, "%s: cannot be made", b.folder);
    return 74;
  }
  enum status s = bench_all (&b);
  if (s != OK)
    say (LOG_ERROR, "%s", fail_message ());
  scratch_remove (b.folder);
  return s == OK ? 0 : 70;
}
