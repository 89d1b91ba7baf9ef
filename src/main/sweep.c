/* main/sweep.c -- the command `sweep`: what the room of that name asks about
 * configurations, and the parts that need one: check and run.
 *
 * Every rank of `run` expands the same file, whose text comes from the root
 * rank; what depends on the state of run directories is decided there.
 */
#include "main/main.h"

#include "base/log.h"
#include "base/memory.h"
#include "store/store.h"
#include "sweep/sweep.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct set {
  struct sweep sweep;
  struct sweep_door door;
  char *text, *base_text; /* owned */
  struct config_source source;
  struct run_config c; /* of the words that were resolved last */
  bool count;          /* steps that depend on the data set are wanted */
  char data[RUN_PATH]; /* the set that was looked at last ... */
  struct store_dataset_info info; /* ... and what is in it */
};

/* -- what a sweep asks ------------------------------------------------------
 */

/* section.key; NULL when there is none. */
static const struct key *
find_key (const char *name, char section[RUN_WORD])
{
  const char *dot = strchr (name, '.');
  size_t n = dot ? (size_t)(dot - name) : 0;
  section[0] = '\0';
  if (!dot || n >= RUN_WORD)
    return NULL;
  memcpy (section, name, n);
  section[n] = '\0';
  return key_find (section, dot + 1);
}

static bool
door_key (void *context, const char *name, bool *list, struct text *near)
{
  char section[RUN_WORD];
  const struct key *k = find_key (name, section);
  (void)context;
  if (k)
    *list = k->kind == KEY_LIST;
  else if (!section[0])
    key_suggest ("", name, near);
  else if (!key_section_known (section))
    key_suggest_section (section, near);
  else
    key_suggest (section, name + strlen (section) + 1, near);
  return k != NULL;
}

static bool
door_value (void *context, const char *name, const char *value,
            struct text *why)
{
  char section[RUN_WORD];
  const struct key *k = find_key (name, section);
  struct run_config scratch;
  (void)context;
  memset (&scratch, 0, sizeof scratch);
  /* Known but not in this version: said with the run it would give. */
  if (!k || words_find (k->later, value, NULL) >= 0 ||
      key_set (k, value, &scratch))
    return true;
  text_add (why, "wanted ");
  key_wanted (k, why);
  return false;
}

static int
door_resolve (void *context, int n, const char *const *words,
              struct text *wrong)
{
  struct set *t = context;
  struct complaints said = {.n = 0};
  enum log_level level = log_level_get ();
  text_init (&said.lines);
  t->source.n_words = n;
  t->source.words = words;
  log_level_set (LOG_ERROR); /* warnings come when the run does */
  config_parse (&t->source, &t->c, &said);
  log_level_set (level);
  text_add (wrong, "%s", said.lines.data);
  text_clear (&said.lines);
  return said.n;
}

static void
door_get (void *context, const char *name, const char *value, struct text *out)
{
  struct set *t = context;
  char section[RUN_WORD];
  const struct key *k = find_key (name, section);
  if (k)
    config_get (&t->c, k, value, out);
}

/* Words of keys that this version does not use keep their runs apart too. */
static void
door_canonical (void *context, struct text *out)
{
  struct set *t = context;
  char section[RUN_WORD], name[2 * RUN_WORD];
  config_canonical (&t->c, out);
  for (int i = 0; i < t->source.n_words; i++) {
    const char *word = t->source.words[i];
    const char *value = strchr (word, '=') + 1;
    snprintf (name, sizeof name, "%.*s", (int)(value - 1 - word), word);
    const struct key *k = find_key (name, section);
    if (k &&
        (!key_applies (k, &t->c) || words_find (k->later, value, NULL) >= 0))
      text_add (out, "%s\n", word);
  }
}

static int
door_ranks (void *context, int most)
{
  const struct run_config *c = &((struct set *)context)->c;
  int64_t pipe = most > 0 ? most / c->replicas : c->count;
  if (pipe > c->count)
    pipe = c->count;
  return (int)(c->replicas * (pipe < 1 ? 1 : pipe));
}

/* Samples of the training split; 0 when that cannot be told. */
static int64_t
training_samples (struct set *t)
{
  static const char *const names[] = {"train", "valid", "test"};
  struct store_dataset *d = NULL;
  if (strcmp (t->data, t->c.file) != 0) {
    snprintf (t->data, sizeof t->data, "%s", t->c.file);
    memset (&t->info, 0, sizeof t->info);
    if (store_dataset_open (t->c.file, &d) == OK)
      store_dataset_info (d, &t->info);
    store_dataset_close (&d);
    fail_clear ();
  }
  for (int i = 0; i < STORE_SPLITS; i++)
    if (strcmp (names[i], t->c.train) == 0) {
      int64_t n = t->info.samples[i];
      return t->c.limit > 0 && t->c.limit < n ? t->c.limit : n;
    }
  return 0;
}

static int64_t
door_steps (void *context)
{
  struct set *t = context;
  if (t->c.steps == 0 && (!t->count || t->c.file[0] == '\0'))
    return 0;
  return run_steps (&t->c, t->c.steps > 0 ? 0 : training_samples (t));
}

/* -- opening ----------------------------------------------------------------
 */

static void
take_key (void *context, int line, const char *section, const char *name,
          const char *value)
{
  if (strcmp (section, "sweep") == 0)
    sweep_item (&((struct set *)context)->sweep, line, name, value);
}

/* Said when the file is read as a configuration. */
static void
pass_bad (void *context, int line, const char *what)
{
  (void)context;
  (void)line;
  (void)what;
}

static bool
begins (const char *line, const char *file)
{
  size_t n = file ? strlen (file) : 0;
  return file && strncmp (line, file, n) == 0 && line[n] == ':';
}

/* What is wrong with the lines of the files, whatever the run. */
static enum status
refuse_lines (struct set *t)
{
  struct sweep *s = &t->sweep;
  struct complaints said = {.lines = s->wrong, .n = s->n_wrong};
  struct text wrong;
  char *save = NULL;
  text_init (&wrong);
  door_resolve (t, 0, NULL, &wrong);
  for (char *line = wrong.size ? strtok_r (wrong.data, "\n", &save) : NULL;
       line; line = strtok_r (NULL, "\n", &save))
    if (begins (line, s->file) || begins (line, s->base)) {
      text_add (&said.lines, "%s\n", line);
      said.n++;
    }
  text_clear (&wrong);
  s->wrong = said.lines;
  return config_refuse (s->file, &said);
}

static enum status
expand (struct set *t)
{
  struct sweep *s = &t->sweep;
  TRY (refuse_lines (t));
  TRY (sweep_expand (s));
  struct complaints said = {.lines = s->wrong, .n = s->n_wrong};
  TRY (config_refuse (s->file, &said));
  if (s->n_runs == 0)
    return fail (E_CONFIG, "%s: no run is left: %d combination%s excluded",
                 s->file, s->n_excluded, s->n_excluded == 1 ? "" : "s");
  return OK;
}

/* Collective on world. */
static enum status
set_open (struct set *t, const char *path, struct wire *w)
{
  struct ini_sink sink = {
      .also = "sweep", .key = take_key, .bad = pass_bad, .context = t};
  t->door = (struct sweep_door){.context = t,
                                .key = door_key,
                                .value = door_value,
                                .resolve = door_resolve,
                                .get = door_get,
                                .canonical = door_canonical,
                                .ranks = door_ranks,
                                .steps = door_steps};
  TRY (wire_agree (w, sweep_init (&t->sweep, path, &t->door)));
  TRY (file_share (w, path, &t->text));
  ini_read (t->text, &sink);
  if (t->sweep.base)
    TRY (file_share (w, t->sweep.base, &t->base_text));
  t->source = (struct config_source){.name = path,
                                     .text = t->text,
                                     .base = t->sweep.base,
                                     .base_text = t->base_text,
                                     .also = "sweep"};
  return wire_agree (w, expand (t));
}

static void
set_close (struct set *t)
{
  sweep_clear (&t->sweep);
  mem_free (&t->text);
  mem_free (&t->base_text);
}

/* -- check ------------------------------------------------------------------
 */

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

/* Data, network, plan: what only shows when they are made. */
static enum status
check_plan (const struct set *t, int i, const struct run_config *c,
            struct findings *f)
{
  const struct sweep_run *r = &t->sweep.run[i];
  struct run_estimate x = {0};
  const char *whose;
  double limit = memory_limit (&t->sweep, &whose);
  enum status e = run_estimate (c, r->ranks, &x);
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
check_run (struct set *t, int i, const char **words, struct findings *f)
{
  struct complaints said = {.n = 0};
  struct run_config c;
  struct text dir;
  enum status e = OK;
  char *save = NULL;
  text_init (&said.lines);
  sweep_words (&t->sweep, i, words, &dir);
  t->source.words = words;
  t->source.n_words = t->sweep.n_axes + 1;
  config_collect (&t->source, CONFIG_TRAIN, &c, &said);
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
conclude (const struct set *t, const struct findings *f, struct text *out)
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

static enum status
check (struct set *t, struct text *out)
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

/* -- run --------------------------------------------------------------------
 */

/* Collective on world. */
static enum status
train_run (struct set *t, const struct options *o, struct wire *w, int i)
{
  const struct sweep *s = &t->sweep;
  const char **words = NULL;
  struct run_config c;
  struct text dir;
  TRY (wire_agree (
      w, MEM_NEW ((size_t)(s->n_axes + 1 + o->n_words), &words, "words")));
  sweep_words (s, i, words, &dir);
  for (int j = 0; j < o->n_words; j++)
    words[s->n_axes + 1 + j] = o->words[j];
  t->source.words = words;
  t->source.n_words = s->n_axes + 1 + o->n_words;
  say (LOG_INFO, "run %d of %d: %s", i + 1, s->n_runs, s->run[i].id);
  enum status e = wire_agree (w, config_resolve (&t->source, CONFIG_TRAIN, &c));
  if (e == OK) {
    c.threads = o->threads;
    c.force_threads = o->threads > 0;
    e = run_train (w, &c, config_write);
  }
  mem_free (&words);
  text_clear (&dir);
  return e;
}

/* Others may be at work on the same set.  Collective on world. */
static enum status
is_wanted (struct set *t, struct wire *w, int i, int *yes)
{
  enum status e = OK;
  if (wire_rank (w) == 0) {
    if (i == 0)
      e = sweep_look (&t->sweep);
    else
      store_run_look (t->sweep.run[i].dir, &t->sweep.run[i].look);
    *yes = sweep_wants (&t->sweep.run[i]);
  }
  TRY (wire_agree (w, e));
  return wire_broadcast (w, yes, sizeof *yes, 0);
}

/* Collective on world. */
static enum status
train_missing (struct set *t, const struct options *o, struct wire *w)
{
  int n = 0, failed = 0;
  enum status worst = OK;
  for (int i = 0; i < t->sweep.n_runs; i++) {
    int yes = 0;
    TRY (is_wanted (t, w, i, &yes));
    if (!yes)
      continue;
    enum status e = train_run (t, o, w, i);
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
train (struct set *t, const struct options *o, struct wire *w)
{
  int i = 0;
  if (o->missing)
    return train_missing (t, o, w);
  TRY (wire_agree (w, sweep_find (&t->sweep, o->inputs[0], &i)));
  return train_run (t, o, w, i);
}

/* -- the command ------------------------------------------------------------
 */

static enum status
submit (struct set *t, const struct options *o, struct text *out)
{
  char program[RUN_PATH] = "";
  struct text sound;
  text_init (&sound);
  enum status e = check (t, &sound);
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
show (struct set *t, const struct options *o, struct text *out)
{
  struct sweep *s = &t->sweep;
  int i;
  if (strcmp (o->kind, "check") == 0)
    return check (t, out);
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
  struct set *t = NULL; /* large */
  struct text out;
  enum status e = wire_agree (w, MEM_NEW (1, &t, "a sweep"));
  if (e != OK)
    return e;
  text_init (&out);
  t->count = strcmp (o->kind, "list") == 0;
  e = set_open (t, o->path, w);
  if (e == OK && command_sweep_trains (o))
    e = train (t, o, w);
  else if (e == OK) {
    e = show (t, o, &out);
    if (out.size > 0)
      file_print (&out);
    e = wire_agree (w, e);
  }
  text_clear (&out);
  set_close (t);
  mem_free (&t);
  return e;
}
