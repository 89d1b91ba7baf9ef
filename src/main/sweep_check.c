/* main/sweep_check.c -- `sweep check`: all runs of a set, without starting one.
 *
 * The same mistake in many runs is said once, with how many it is about.
 */
#include "main/sweep_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include "design/ask.h"
#include "train/train.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct finding {
  char *line; /* owned */
  int n;      /* runs it is about */
  int first;  /* one of them */
};

struct findings {
  struct finding *list; /* owned */
  int n;
  enum status worst;
  double most_bytes; /* of a rank */
  int most_run;
};

static enum status
find_one (struct findings *f, int run, const char *line)
{
  for (int i = 0; i < f->n; i++)
    if (strcmp (f->list[i].line, line) == 0) {
      f->list[i].n++;
      return OK;
    }
  size_t n = (size_t)f->n;
  TRY (mem_grow (&f->list, n, n + 1, sizeof *f->list, "findings"));
  f->list[n] = (struct finding){.n = 1, .first = run};
  TRY (mem_text (line, &f->list[n].line));
  f->n++;
  return OK;
}

/* Bytes that a rank may have; where they come from. */
static double
memory_limit (const struct sweep *s, const char **whose)
{
  *whose = "more than the file's memory =";
  if (s->memory_bytes > 0)
    return s->memory_bytes;
  *whose = "more than this machine has (memory = in [sweep] says what others "
           "have):";
  return (double)sysconf (_SC_PHYS_PAGES) * (double)sysconf (_SC_PAGE_SIZE);
}

/* What can only be found out by opening the data set and making network and
 * plan.
 */
static enum status
check_plan (const struct sweep_set *t, int i, const struct config *c,
            struct findings *f)
{
  const struct sweep_run *r = &t->sweep.run[i];
  struct design_estimate x = {0};
  const char *whose;
  double limit = memory_limit (&t->sweep, &whose);
  enum status e = train_foresee (c, r->ranks);
  if (e == OK)
    e = design_estimate (c, r->ranks, &x);
  if (e == OK && x.most_bytes > limit)
    e = fail (E_MEMORY, "rank %d of %d needs %s, %s %s", x.rank, r->ranks,
              text_bytes (x.most_bytes), whose, text_bytes (limit));
  if (x.most_bytes > f->most_bytes) {
    f->most_bytes = x.most_bytes;
    f->most_run = i;
  }
  if (e == OK)
    return OK;
  if (f->worst == OK)
    f->worst = e;
  e = find_one (f, i, fail_message ());
  fail_clear ();
  return e;
}

static enum status
check_run (struct sweep_set *t, int i, const char **words, struct findings *f)
{
  struct complaints said = {.n = 0};
  struct config c;
  struct text dir;
  enum status e = OK;
  char *save = NULL;
  text_init (&said.lines);
  sweep_words (&t->sweep, i, words, &dir);
  t->sweep.source.words = words;
  t->sweep.source.n_words = t->sweep.n_axes + 1;
  design_configure_collect (&t->sweep.source, CONFIG_TRAIN, &c, &said);
  if (said.n == 0)
    e = check_plan (t, i, &c, f);
  else
    f->worst = E_CONFIG;
  for (char *line = said.n ? strtok_r (said.lines.data, "\n", &save) : NULL;
       e == OK && line; line = strtok_r (NULL, "\n", &save))
    e = find_one (f, i, line);
  text_clear (&said.lines);
  text_clear (&dir);
  return e;
}

/* Findings as one refusal, or the good news into out. */
static enum status
conclude (const struct sweep_set *t, const struct findings *f, struct text *out)
{
  const struct sweep *s = &t->sweep;
  if (f->n == 0) {
    text_add (out,
              "%s: %d run%s, nothing wrong; a rank needs %s at most (%s)\n",
              s->file, s->n_runs, s->n_runs == 1 ? "" : "s",
              text_bytes (f->most_bytes), s->run[f->most_run].id);
    return OK;
  }
  for (int i = 0; i < f->n; i++) {
    const struct finding *x = &f->list[i];
    char more[32] = "";
    if (x->n > 1)
      snprintf (more, sizeof more, " and %d more", x->n - 1);
    say (LOG_ERROR, "run %d%s: %s (%s)", x->first + 1, more, x->line,
         s->run[x->first].id);
  }
  return fail (f->worst, "%s: %d thing%s wrong; no run was started", s->file,
               f->n, f->n == 1 ? " is" : "s are");
}

enum status
sweep_set_check (struct sweep_set *t, struct text *out)
{
  struct findings f = {.worst = OK};
  const char **words = NULL;
  enum log_level level = log_level_get ();
  enum status e = MEM_NEW ((size_t)t->sweep.n_axes + 2, &words, "words");
  log_level_set (LOG_ERROR); /* warnings come when the run does */
  for (int i = 0; e == OK && i < t->sweep.n_runs; i++)
    e = check_run (t, i, words, &f);
  log_level_set (level);
  if (e == OK)
    e = conclude (t, &f, out);
  for (int i = 0; i < f.n; i++)
    mem_free (&f.list[i].line);
  mem_free (&f.list);
  mem_free (&words);
  return e;
}
