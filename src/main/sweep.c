/* main/sweep.c -- the command `sweep`.
 *
 * Every rank of `run` expands the same file, whose text comes from the root
 * rank; what depends on the state of run directories is decided there.
 */
#include "main/sweep_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* -- run --------------------------------------------------------------------
 */

/* A run that is refused before its directory is opened is one that failed,
 * where nothing is known of it yet. */
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
  t->source.words = words;
  t->source.n_words = s->n_axes + 1;
  if (o->n_words == 0)
    return run_configure (&t->source, CONFIG_TRAIN, c);
  text_init (&said.lines); /* words may be what was missing */
  run_configure_parse (&t->source, &set, &said);
  text_clear (&said.lines);
  t->source.n_words += o->n_words;
  TRY (run_configure (&t->source, CONFIG_TRAIN, c));
  return sweep_set_words (s, i, &set, c, o);
}

/* Collective on world. */
static enum status
start_run (struct sweep_set *t, const struct options *o, struct wire *w, int i)
{
  const struct sweep *s = &t->sweep;
  const char **words = NULL;
  struct config c;
  struct text dir;
  TRY (wire_agree (
      w, MEM_NEW ((size_t)(s->n_axes + 1 + o->n_words), &words, "words")));
  sweep_words (s, i, words, &dir);
  for (int j = 0; j < o->n_words; j++)
    words[s->n_axes + 1 + j] = o->words[j];
  say (LOG_INFO, "run %d of %d: %s", i + 1, s->n_runs, s->run[i].id);
  enum status e = resolve (t, o, i, words, &c);
  if (e != OK && o->n_words == 0 && wire_rank (w) == 0)
    note_refusal (&s->run[i], e);
  e = wire_agree (w, e);
  if (e == OK) {
    options_config (o, &c);
    wire_patience (w, c.patience);
    e = train_run (w, &c);
  }
  mem_free (&words);
  text_clear (&dir);
  return e;
}

/* Others may be at work on the same set.  Collective on world. */
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
      return e; /* whoever asked for that means all of them */
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
  TRY (wire_agree (w, sweep_find (&t->sweep, o->inputs[0], &i)));
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
  struct sweep_submit how = {.program = program,
                             .script = o->script,
                             .at_once = o->at_once,
                             .pack = o->pack,
                             .dry = o->dry_run,
                             .n_words = o->n_rest,
                             .words = o->rest};
  return sweep_submit (&t->sweep, &how, out);
}

static enum status
show (struct sweep_set *t, const struct options *o, struct text *out)
{
  struct sweep *s = &t->sweep;
  int i;
  if (strcmp (o->kind, "check") == 0)
    return sweep_set_check (t, out);
  if (strcmp (o->kind, "submit") == 0)
    return submit (t, o, out);
  if (strcmp (o->kind, "dir") == 0) {
    TRY (sweep_find (s, o->inputs[0], &i));
    text_add (out, "%s\n", s->run[i].dir);
    return OK;
  }
  TRY (sweep_look (s));
  if (strcmp (o->kind, "table") == 0)
    return sweep_table (s, o->split, o->csv, out);
  sweep_list (s, o->csv, out);
  return OK;
}

bool
command_sweep_trains (const struct options *o)
{
  return o->command->bit & CMD_SWEEP && o->kind && strcmp (o->kind, "run") == 0;
}

enum status
command_sweep (const struct options *o, struct wire *w)
{
  struct sweep_set *t = NULL; /* large */
  struct text out;
  enum status e = wire_agree (w, MEM_NEW (1, &t, "a sweep"));
  if (e != OK)
    return e;
  text_init (&out);
  t->count = strcmp (o->kind, "list") == 0;
  e = sweep_set_open (t, o->path, w);
  if (e == OK && command_sweep_trains (o))
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
