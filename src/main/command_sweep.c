/* main/command_sweep.c -- the command `sweep`.
 *
 * Every rank of `run` expands the same file, whose text comes from the root
 * rank; what depends on the state of run directories is decided there.
 */
#include "main/sweep_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include "design/ask.h"
#include "train/train.h"
#include "wire/wire.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct options {
  struct given given;
  const char *file, *what;
  const char *run; /* of run and dir: its number or id; NULL: none */
  const char *split, *script;
  int pack, at_once;
  bool csv, missing, dry;
  struct start start;
};

/* -- rows -------------------------------------------------------------------
 */

/* clang-format off */
static const struct flag flags[] = {
  { "split", 0, "NAME",
    "of a table, which split: train, valid or test; default: test, or valid "
    "where there is none",
    INTO_SPLIT (split) },
  { "missing", 0, NULL, "run: all that are neither finished nor under way",
    INTO_BOOL (missing) },
  { "csv", 0, NULL, "a table as comma-separated lines", INTO_BOOL (csv) },
  { "pack", 0, "N",
    "submit: N runs side by side in one job; default: the file's, else 1",
    INTO_INT (pack, 1, 1 << 16) },
  { "at-once", 0, "N",
    "submit: at most N jobs of an array at once; default: the file's, else no "
    "limit",
    INTO_INT (at_once, 1, 1 << 20) },
  { "dry-run", 0, NULL, "submit: print the commands only", INTO_BOOL (dry) },
  { "script", 0, "FILE",
    "submit: the job script; default: sweep.sbatch, beside the sweep file or in "
    "jobs/",
    INTO_TEXT (script) },
  FRESH ("of run I: "),
  THREADS,
  { 0 }
};
/* clang-format on */

/* -- check ------------------------------------------------------------------
 */

#define WHAT "list check run submit table dir"

static bool
is (const struct options *o, const char *what)
{
  return strcmp (o->what, what) == 0;
}

/* What there is beside a thing to do that is known. */
static void
check_rest (const struct options *o, struct text *wrong)
{
  const struct given *g = &o->given;
  bool run = is (o, "run");
  if (g->n_words > 0 && !run)
    text_add (wrong, "%s: section.key=value is for sweep run\n", g->words[0]);
  if (o->start.fresh && (!run || o->missing))
    text_add (wrong, "--fresh is for one run: sweep run I --fresh\n");
  if (g->n_rest > 0 && !is (o, "submit"))
    text_add (wrong,
              "-- %s: words behind -- are for sbatch, that is for "
              "sweep submit\n",
              g->rest[0]);
}

static void
check (void *options, struct text *wrong)
{
  struct options *o = options;
  const struct given *g = &o->given;
  char near[TEXT_NEAR] = "";
  if (g->n_names == 0)
    return;
  o->file = g->names[0];
  o->what = g->n_names > 1 ? g->names[1] : "list";
  o->run = g->n_names > 2 ? g->names[2] : NULL;
  if (text_among (WHAT, o->what, near) < 0) {
    text_add (wrong, "sweep %s: wanted one of " WHAT "%s%s%s\n", o->what,
              near[0] ? "; did you mean " : "", near, near[0] ? "?" : "");
    return;
  }
  int wanted = (is (o, "run") && !o->missing) || is (o, "dir");
  if (!o->run && wanted)
    text_add (wrong, "sweep %s wants a run: its number or its id%s\n", o->what,
              is (o, "run") ? ", or --missing" : "");
  else if (g->n_names > 2 + wanted)
    text_add (wrong, "%s: too many words for sweep %s\n", g->names[2 + wanted],
              o->what);
  check_rest (o, wrong);
  if (is (o, "run"))
    o->given.needs = NEEDS_RANKS | NEEDS_STOP;
}

/* -- run --------------------------------------------------------------------
 */

/* A run may be refused before its directory is opened.  If the directory says
 * nothing yet, it gets a status, so that the run is listed as failed. */
static void
note_refusal (const struct sweep_run *r, enum status e)
{
  struct store_run *run = NULL;
  char *status = NULL, line[256];
  snprintf (line, sizeof line, "failed %d step=0 reason=%s\n", status_exit (e),
            status_text (e));
  char *kept = NULL;
  if (mem_text (fail_message (), &kept) != OK)
    return;
  fail_clear ();
  if (store_run_get (r->dir, "status", &status) != OK &&
      store_run_open (r->dir, &run) == OK)
    (void)store_run_put (run, "status", line);
  store_run_close (&run);
  fail_clear ();
  (void)fail (e, "%s", kept);
  mem_free (&status);
  mem_free (&kept);
}

/* The configuration of run i, and of this start of it.  Local. */
static enum status
resolve (struct sweep_set *t, const struct options *o, int i,
         const char **words, struct config *c)
{
  const struct sweep *s = &t->sweep;
  struct config set;
  struct complaints said = {.n = 0};
  t->sweep.source.words = words;
  t->sweep.source.n_words = s->n_axes + 1;
  if (o->given.n_words == 0)
    return design_configure (&t->sweep.source, CONFIG_TRAIN, c);
  text_init (&said.lines); /* words may be what was missing */
  design_configure_parse (&t->sweep.source, &set, &said);
  text_clear (&said.lines);
  t->sweep.source.n_words += o->given.n_words;
  TRY (design_configure (&t->sweep.source, CONFIG_TRAIN, c));
  return sweep_set_words (s, i, &set, c, &o->given);
}

/* Collective on world. */
static enum status
start_run (struct sweep_set *t, const struct options *o, struct wire *w, int i)
{
  const struct sweep *s = &t->sweep;
  const char **words = NULL;
  struct config c;
  struct text dir;
  TRY (wire_agree (w, MEM_NEW ((size_t)(s->n_axes + 1 + o->given.n_words),
                               &words, "words")));
  sweep_words (s, i, words, &dir);
  for (int j = 0; j < o->given.n_words; j++)
    words[s->n_axes + 1 + j] = o->given.words[j];
  say (LOG_INFO, "run %d of %d: %s", i + 1, s->n_runs, s->run[i].id);
  enum status e = resolve (t, o, i, words, &c);
  if (e != OK && o->given.n_words == 0 && wire_rank (w) == 0)
    note_refusal (&s->run[i], e);
  e = wire_agree (w, e);
  if (e == OK)
    e = configure_start (&o->start, &c);
  if (e == OK)
    snprintf (c.cuts, sizeof c.cuts, "%.*s/" SWEEP_CUTS, CONFIG_PATH - 16,
              s->root);
  if (e == OK) {
    wire_patience (w, c.patience);
    e = train_run (w, &c);
  }
  mem_free (&words);
  text_clear (&dir);
  return e;
}

/* Root looks again right before a run begins, since other jobs may work on the
 * same set.  Collective on world. */
static enum status
is_wanted (struct sweep_set *t, struct wire *w, int i, int *yes)
{
  enum status e = OK;
  if (wire_rank (w) == 0) {
    if (i == 0)
      e = sweep_look (&t->sweep);
    else
      sweep_look_at (&t->sweep.run[i]);
    *yes = sweep_wants (&t->sweep.run[i]);
  }
  TRY (wire_agree (w, e));
  return wire_broadcast (w, yes, sizeof *yes, 0);
}

/* Collective on world. */
static enum status
train_missing (struct sweep_set *t, const struct options *o, struct wire *w)
{
  int n = 0, failed = 0;
  enum status worst = OK;
  for (int i = 0; i < t->sweep.n_runs; i++) {
    int yes = 0;
    TRY (is_wanted (t, w, i, &yes));
    if (!yes)
      continue;
    enum status e = start_run (t, o, w, i);
    if (e == E_STOPPED)
      return e; /* a signal is meant for all of the runs */
    n++;
    failed += e != OK;
    worst = e > worst ? e : worst;
    fail_clear ();
  }
  if (failed > 0)
    return wire_agree (
        w, fail (worst, "%s: %d of the %d runs that were wanting failed",
                 t->sweep.file, failed, n));
  say (LOG_INFO, "%s: %d run%s done, none is wanting", t->sweep.file, n,
       n == 1 ? "" : "s");
  return OK;
}

/* Collective on world. */
static enum status
train (struct sweep_set *t, const struct options *o, struct wire *w)
{
  int i = 0;
  if (o->missing)
    return train_missing (t, o, w);
  TRY (wire_agree (w, sweep_find (&t->sweep, o->run, &i)));
  return start_run (t, o, w, i);
}

/* -- the command ------------------------------------------------------------
 */

static enum status
submit (struct sweep_set *t, const struct options *o, struct text *out)
{
  char program[CONFIG_PATH] = "";
  struct text sound;
  text_init (&sound);
  enum status e = sweep_set_check (t, &sound);
  text_clear (&sound);
  if (e != OK)
    return e;
  if (readlink ("/proc/self/exe", program, sizeof program - 1) <= 0)
    return fail (E_MISSING, "the path of this program cannot be found out");
  struct text jobs;
  text_init (&jobs);
  if (where_is ("jobs", &jobs) != OK)
    fail_clear (); /* the script may be elsewhere */
  else
    text_add (&jobs, "/");
  struct sweep_submit how = {.program = program,
                             .script = o->script,
                             .jobs = jobs.size ? jobs.data : NULL,
                             .at_once = o->at_once,
                             .pack = o->pack,
                             .dry = o->dry,
                             .n_words = o->given.n_rest,
                             .words = o->given.rest};
  e = sweep_submit (&t->sweep, &how, out);
  text_clear (&jobs);
  return e;
}

static enum status
show (struct sweep_set *t, const struct options *o, struct text *out)
{
  struct sweep *s = &t->sweep;
  int i;
  if (is (o, "check"))
    return sweep_set_check (t, out);
  if (is (o, "submit"))
    return submit (t, o, out);
  if (is (o, "dir")) {
    TRY (sweep_find (s, o->run, &i));
    text_add (out, "%s\n", s->run[i].dir);
    return OK;
  }
  TRY (sweep_look (s));
  if (is (o, "table"))
    return sweep_table (s, o->split, o->csv, out);
  sweep_list (s, o->csv, out);
  return OK;
}

static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  struct sweep_set *t = NULL; /* large */
  struct text out;
  enum status e = wire_agree (w, MEM_NEW (1, &t, "a sweep"));
  if (e != OK)
    return e;
  text_init (&out);
  t->sweep.count = is (o, "list");
  e = sweep_set_open (t, o->file, w);
  if (e == OK && is (o, "run"))
    e = train (t, o, w);
  else if (e == OK) {
    e = show (t, o, &out);
    if (out.size > 0)
      file_print (&out);
    e = wire_agree (w, e);
  }
  text_clear (&out);
  sweep_set_close (t);
  mem_free (&t);
  return e;
}

const struct command command_sweep = {
    .name = "sweep",
    .usage = "sweep FILE [list|check|run|submit|table|dir] [...]",
    .summary = "expand a sweep file and run its parts",
    .detail =
        "A sweep file crosses values of the configuration; interlock(5) has "
        "its grammar. list (default): the runs and how far each is. check: "
        "everything that can be found wrong before a job runs. run I: trains "
        "run I, a number from 1 or an id, under MPI; run --missing: one after "
        "the other, those that are not finished. submit: gives those to "
        "sbatch, as job arrays; words behind -- go to sbatch. table: the last "
        "accuracy of every head. dir I: the run directory of I.",
    .flags = flags,
    .size = sizeof (struct options),
    .needs = NEEDS_STDOUT,
    .least = 1,
    .wants = "a sweep file",
    .names_first = 2,
    .rest = true,
    .then = WHAT,
    .check = check,
    .work = work,
};
