/* ranks: 0 */
/* tests/bench/language.c -- what a training step of a language model costs
 * beyond its primitives, and what memory it takes.
 *
 *     tests/bench/language [rounds=5] [threads=2] [seconds=2] [sets=3]
 *                          [model=both|small|large] [detail=no|yes]
 *                          [memory=yes|no] [precision=both|f32|bf16]
 *                          [serve=no|yes]
 *
 * One rank, K = 1, end to end, AdamW, tied matrices, random tokens:
 *   small: width 256, 4 layers, 4 heads, context 128, vocabulary 8192, batch
 *   16; large: width 768, 12 layers, 12 heads, context 256, vocabulary 32768,
 *   batch 4.
 * Whole steps and their primitives (tests/bench/language.h) are timed in turn,
 * in one run: a round goes through all primitives, and steps for `seconds`, at
 * least four, are spread evenly among them.  Printed are medians over the
 * rounds and all rounds; and the lower quartiles of both.  threads=0: all
 * cores.  sets: of tensors that the calls of a primitive use in turn.
 *
 * Before that, in a process of its own, a few steps alone: the largest resident
 * memory beside what `interlock plan` says.
 *
 * All that is f32; whole steps in bf16 come after it, where there is such a
 * train.precision.  serve: of one model, takes steps in one precision when it
 * is told (tests/bench/serve.h).
 *
 * Figures, no pass marks.
 */
#include "import/import.h"
#include "tests/bench/language.h"
#include "tests/bench/serve.h"
#include "tests/scratch.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS_MOST 400 /* of one round */
#define TOKENS 200000

struct options {
  int64_t rounds, threads, sets;
  double seconds;
  const char *model, *precision;
  bool detail, memory, serve;
};

struct shape {
  const char *name;
  int64_t d, layers, heads, context, words, batch;
};
static const struct shape shapes[] = {{"small", 256, 4, 4, 128, 8192, 16},
                                      {"large", 768, 12, 12, 256, 32768, 4}};

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
  return strcmp (word, "both") == 0 || strcmp (word, "small") == 0 ||
         strcmp (word, "large") == 0;
}

static bool
whole_word (const char *word, int64_t least, int64_t most, int64_t *out)
{
  return text_to_long (word, out) && *out >= least && *out <= most;
}

static bool
read_option (char *word, struct options *o)
{
  char *value = strchr (word, '=');
  if (!value)
    return false;
  *value++ = '\0';
  if (strcmp (word, "rounds") == 0)
    return whole_word (value, 1, ROUNDS, &o->rounds);
  if (strcmp (word, "threads") == 0)
    return whole_word (value, 0, 1 << 20, &o->threads);
  if (strcmp (word, "sets") == 0)
    return whole_word (value, 1, SETS_MOST, &o->sets);
  if (strcmp (word, "seconds") == 0)
    return text_to_double (value, &o->seconds) && o->seconds >= 0;
  if (strcmp (word, "model") == 0)
    return model_word (value, &o->model);
  if (strcmp (word, "memory") == 0)
    return bench_yes_or_no (value, &o->memory);
  if (strcmp (word, "precision") == 0)
    return bench_precision_word (value, &o->precision);
  if (strcmp (word, "serve") == 0)
    return bench_yes_or_no (value, &o->serve);
  return strcmp (word, "detail") == 0 && bench_yes_or_no (value, &o->detail);
}

/* -- a session --------------------------------------------------------------
 */

static enum status
make_data (const struct bench *b, const struct shape *m)
{
  char ids[300], path[300], vocab[32];
  uint16_t *token = NULL;
  const struct random_key key = {.seed = 7, .purpose = RANDOM_TEST};
  snprintf (ids, sizeof ids, "%s/%s.bin", b->folder, m->name);
  snprintf (path, sizeof path, "%s/%s.h5", b->folder, m->name);
  snprintf (vocab, sizeof vocab, "vocab=%lld", (long long)m->words);
  TRY (MEM_NEW (TOKENS, &token, "tokens"));
  for (size_t i = 0; i < TOKENS; i++)
    token[i] = (uint16_t)random_below (&key, i, (uint64_t)m->words);
  FILE *f = fopen (ids, "wb");
  bool good = f && fwrite (token, sizeof *token, TOKENS, f) == TOKENS;
  good = f && fclose (f) == 0 && good;
  mem_free (&token);
  if (!good)
    return fail (E_IO, "%s: not written", ids);
  return import_run ("tokens", 1, (const char *[]){ids}, 2,
                     (const char *[]){vocab, "format=uint16"}, path);
}

static void
configure (const struct bench *b, const struct shape *m, struct config *c)
{
  config_plain (c);
  c->family = CONFIG_TRANSFORMER;
  c->layers = m->layers;
  c->d_model = m->d;
  c->heads = m->heads;
  c->context = m->context;
  c->mlp_ratio = 4;
  c->tied = true;
  snprintf (c->head, CONFIG_TEXT, "ln-fc");
  snprintf (c->file, CONFIG_PATH, "%s/%s.h5", b->folder, m->name);
  c->optimizer = CONFIG_ADAMW;
  c->decay = CONFIG_DECAY_MATRICES;
  snprintf (c->tune, CONFIG_PATH, "yes");
  snprintf (c->dir, CONFIG_PATH, "%s/run", b->folder);
  c->batch = m->batch;
  c->steps = 1000000;
  c->seed = 1;
  c->lr = 1e-4;
  c->weight_decay = 0.01;
  c->threads = (int)b->o.threads;
}

/* -- memory -----------------------------------------------------------------
 */

/* Largest resident memory of this process so far, in bytes. */
static double
resident_bytes (void)
{
  char line[256];
  long long kb = 0;
  FILE *f = fopen ("/proc/self/status", "r");
  while (f && fgets (line, sizeof line, f))
    if (sscanf (line, "VmHWM: %lld", &kb) == 1)
      break;
  if (f)
    fclose (f);
  return (double)kb * 1024;
}

static enum status
take_alone (struct bench *b, const struct shape *m)
{
  int argc = 0;
  char **argv = NULL;
  struct wire *w = NULL;
  struct config c;
  struct design_estimate said;
  struct session s;
  const struct session_spec spec = {.design = {.guess_costs = true}};
  configure (b, m, &c);
  TRY (wire_open (&argc, &argv, &w));
  const double base = resident_bytes ();
  TRY (session_open (w, &c, &spec, &s));
  TRY (session_begin (&s, 0, s.design->steps));
  for (int64_t step = 0; step < 4; step++)
    TRY (bench_step (&s, step));
  const double most = resident_bytes ();
  TRY (session_end (&s));
  session_close (&s);
  wire_close (&w);
  TRY (design_estimate (&c, 1, &said));
  put ("%s: largest resident memory %s, of which %s with MPI open and nothing "
       "made; `plan` says %s: measured : said = %.3f\n",
       m->name, text_bytes (most), text_bytes (base),
       text_bytes (said.most_bytes), most / said.most_bytes);
  return OK;
}

/* In a process of its own: neither memory nor MPI is shared with what comes
 * after. */
static bool
in_child (struct bench *b, const struct shape *m, bool data)
{
  int code = -1;
  fflush (stdout);
  pid_t pid = fork ();
  if (pid == 0) {
    enum status s = data ? make_data (b, m) : take_alone (b, m);
    if (s != OK)
      say (LOG_ERROR, "%s", fail_message ());
    fflush (stdout);
    _exit (s == OK ? 0 : 1);
  }
  return pid > 0 && waitpid (pid, &code, 0) == pid && code == 0;
}

/* -- rounds -----------------------------------------------------------------
 */

enum phase { PHASE_FORWARD, PHASE_HEAD, PHASE_BACK, PHASE_UPDATE, PHASES };
static const char *const phase_names[PHASES] = {"forward", "head and loss",
                                                "backward", "update"};

struct trial { /* of one network */
  struct session s;
  struct sum sum;
  int64_t step;
  int chunk; /* steps of a round */
  double peak, flops;
  double step_s[ROUNDS], sum_s[ROUNDS], tiles_s[ROUNDS];
  double class_s[SUM_CLASSES][ROUNDS], phase_s[PHASES][ROUNDS];
};

static enum status
take_steps (struct trial *t, int n, double *took)
{
  for (int i = 0; i < n; i++) {
    double start = clock_now_s ();
    TRY (bench_step (&t->s, t->step++));
    took[i] = clock_now_s () - start;
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
  double at[PHASES + 1];
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
  for (int i = 0; i < PHASES; i++)
    t->phase_s[i][round] = at[i + 1] - at[i];
  return OK;
}

static enum status
run_round (struct trial *t, int round)
{
  double took[STEPS_MOST], by_class[SUM_CLASSES];
  int done = 0;
  TRY (run_phases (t, round));
  for (int i = 0; i < t->sum.n; i++) {
    int due = (i + 1) * t->chunk / t->sum.n;
    TRY (sum_time (&t->sum, i, round));
    TRY (take_steps (t, due - done, took + done));
    done = due;
  }
  t->step_s[round] = bench_median ((size_t)done, took);
  t->tiles_s[round] = sum_of (&t->sum, round, 0, true, by_class, NULL);
  t->sum_s[round] = sum_of (&t->sum, round, 0, false, by_class, NULL);
  for (int c = 0; c < SUM_CLASSES; c++)
    t->class_s[c][round] = by_class[c];
  return OK;
}

/* Forward, and twice that backward; of attention the pairs that count. */
static double
useful_flops (const struct session *s)
{
  double flops = 0;
  struct network_unit u;
  for (int i = 0; i < network_units (s->design->net); i++) {
    network_unit (s->design->net, i, &u);
    flops += 3 * u.flops;
  }
  return flops * (double)s->design->batch;
}

static enum status
trial_run (struct bench *b, struct trial *t)
{
  struct session *s = &t->s;
  double took[3], peak = 0;
  t->flops = useful_flops (s);
  t->sum.sets = (int)b->o.sets;
  TRY (sum_open (network_spec (s->design->net), s->design->batch,
                 s->design->threads, &t->sum));
  TRY (kern_peak_flops (t->sum.k, &t->peak));
  TRY (session_begin (s, 0, s->design->steps));
  TRY (take_steps (t, 3, took)); /* warms up */
  int chunk = (int)(b->o.seconds / took[2]);
  t->chunk = chunk < 4 ? 4 : chunk > STEPS_MOST ? STEPS_MOST : chunk;
  for (int i = 0; i < b->o.rounds; i++)
    TRY (run_round (t, i));
  TRY (kern_peak_flops (t->sum.k, &peak));
  t->peak = peak > t->peak ? peak : t->peak;
  return session_end (s);
}

/* -- printing ---------------------------------------------------------------
 */

static void
show_classes (const struct trial *t, size_t n)
{
  double flops[SUM_CLASSES] = {0}, by_class[SUM_CLASSES], sum = 0;
  sum_of (&t->sum, 0, 0, false, by_class, flops);
  put ("\n  %-34s %9s %9s\n", "primitives", "ms", "GFLOP/s");
  for (int c = 0; c < SUM_CLASSES; c++) {
    double s = bench_middle (t->class_s[c], n);
    put ("  %-34s %9.2f", sum_names[c], s * 1e3);
    if (flops[c] > 0)
      put (" %9.1f", flops[c] / s * 1e-9);
    put ("\n");
  }
  put ("\n  %-34s %9s\n", "call of the stage", "ms");
  for (int i = 0; i < PHASES; i++) {
    double s = bench_middle (t->phase_s[i], n);
    sum += s;
    put ("  %-34s %9.2f\n", phase_names[i], s * 1e3);
  }
  put ("  %-34s %9.2f\n", "rest of the step (data, lists)",
       (bench_middle (t->step_s, n) - sum) * 1e3);
}

static void
show_details (const struct sum *p, int rounds)
{
  static const char *const way[] = {"", "dnnl_sgemm", "tiles", "tiles, back"};
  put ("\n  each way of each piece of work, one call, lower quartiles\n");
  for (int i = 0; i < p->n; i++) {
    const struct item *t = &p->item[i];
    double s = sum_seconds (t, -1, rounds);
    put ("  work %2d, %3d x %-32s %9.3f ms %7.1f GFLOP/s  %s%s\n", t->work,
         t->count, sum_names[t->class], s * 1e3, t->flops / s * 1e-9,
         way[t->way], t->op.impl);
  }
}

static void
show (const struct bench *b, const struct shape *m, struct trial *t)
{
  const size_t n = (size_t)b->o.rounds;
  const double step = bench_middle (t->step_s, n), rate = t->flops / step;
  const double quiet = bench_quiet (n, t->step_s);
  double by_class[SUM_CLASSES];
  put ("\n%s: width %lld, %lld layers, %lld heads, context %lld, vocabulary "
       "%lld, batch %lld; %s parameters; %d rounds of %d steps\n",
       m->name, (long long)m->d, (long long)m->layers, (long long)m->heads,
       (long long)m->context, (long long)m->words, (long long)m->batch,
       text_count (network_params (t->s.design->net)), (int)n, t->chunk);
  put ("  %-34s %9.2f ms   %.0f tokens/s\n", "whole training step", step * 1e3,
       (double)(m->batch * m->context) / step);
  bench_show_ratio ("its primitives alone", t->step_s, t->sum_s, n);
  bench_show_ratio ("... attention in tiles where faster", t->step_s,
                    t->tiles_s, n);
  put ("  %-34s %9.2f ms   step : alone = %.3f, in tiles %.3f\n",
       "step, lower quartiles of rounds", quiet * 1e3,
       quiet / sum_of (&t->sum, -1, (int)n, false, by_class, NULL),
       quiet / sum_of (&t->sum, -1, (int)n, true, by_class, NULL));
  put ("  %-34s %9.1f GFLOP/s   %.1f GFLOP a step\n", "useful arithmetic",
       rate * 1e-9, t->flops * 1e-9);
  bench_show_peak (t->flops, step, t->peak);
  show_classes (t, n);
  if (b->o.detail)
    show_details (&t->sum, (int)n);
  fflush (stdout);
}

/* -- main -------------------------------------------------------------------
 */

static enum status
bench_model (struct bench *b, struct wire *alone, const struct shape *m)
{
  struct trial *t = NULL;
  struct config c;
  const struct session_spec spec = {.design = {.guess_costs = true}};
  TRY (MEM_NEW (1, &t, "figures"));
  configure (b, m, &c);
  enum status s = session_open (alone, &c, &spec, &t->s);
  if (s == OK) {
    s = trial_run (b, t);
    if (s == OK)
      show (b, m, t);
    sum_close (&t->sum);
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
serve_model (struct bench *b, struct wire *alone, const struct shape *m)
{
  struct config c;
  struct session s;
  const struct session_spec spec = {.design = {.guess_costs = true}};
  configure (b, m, &c);
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
  bool wanted[2], good = true;
  for (int i = 0; i < 2; i++) {
    wanted[i] = strcmp (b->o.model, "both") == 0 ||
                strcmp (b->o.model, shapes[i].name) == 0;
    good = good && (!wanted[i] || in_child (b, &shapes[i], true));
    if (wanted[i] && b->o.memory && !b->o.serve)
      good = good && in_child (b, &shapes[i], false);
  }
  if (!good)
    return fail (E_FAULT, "a process of the benchmark failed");
  TRY (wire_open_alone (&alone));
  enum status s = OK;
  if (!b->o.serve)
    put ("\ninterlock %s, one rank, %s\n", PACKAGE_VERSION,
         design_describe_kernels ());
  for (int i = 0; i < 2 && s == OK; i++)
    if (wanted[i])
      s = b->o.serve ? serve_model (b, alone, &shapes[i])
                     : bench_model (b, alone, &shapes[i]);
  wire_close (&alone);
  return s;
}

int
main (int argc, char **argv)
{
  struct bench b = {.o = {.rounds = 5,
                          .threads = 2,
                          .sets = 3,
                          .seconds = 2,
                          .model = "both",
                          .precision = "both",
                          .memory = true}};
  const char *base = getenv ("TMPDIR");
  log_level_set (LOG_ERROR);
  for (int i = 1; i < argc; i++)
    if (!read_option (argv[i], &b.o)) {
      say (LOG_ERROR, "%s: not understood; see tests/bench/language.c",
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
