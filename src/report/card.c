/* report/card.c -- what was run: the facts of an experiment, once where they
 * are alike over all runs, else for each strategy; how to run it again.
 */
#include "report/report_impl.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define JOINED 8 /* values of a group that are listed */

/* -- facts of a run, "" where they are not recorded ------------------------ */

typedef const char *
fact (struct report *r, const struct run *run);

static const char *
key_of (const struct run *run, const char *key)
{
  return run->config.n > 0 ? group_value (run, key) : "";
}

static const char *
said_fact (const struct run *run, const char *name)
{
  return words_get (&run->facts, name);
}

/* "4 x 1" of a: what is not there makes the whole empty. */
static const char *
pair_of (struct report *r, const char *a, const char *between, const char *b)
{
  return a[0] && b[0] ? pool_text (&r->pool, "%s%s%s", a, between, b) : "";
}

/* All that the run's configuration says of the network. */
static const char *
fact_model (struct report *r, const struct run *run)
{
  const char *section = KEY_OF (family)->section;
  const size_t n = strlen (section);
  const char *out = key_of (run, KEY_NAME (preset));
  const char *family = key_of (run, KEY_NAME (family));
  out = out[0] ? pool_text (&r->pool, "%s (%s)", out, family) : family;
  for (int i = 0; i < run->config.n; i++) {
    char *const *pair = run->config.pair[i];
    if (strncmp (pair[0], section, n) == 0 && pair[0][n] == '.' && pair[1][0] &&
        strcmp (pair[0], KEY_NAME (family)) != 0 &&
        strcmp (pair[0], KEY_NAME (preset)) != 0)
      out = pool_text (&r->pool, "%s, %s %s", out, pair[0] + n + 1, pair[1]);
  }
  return out;
}

static const char *
fact_parameters (struct report *r, const struct run *run)
{
  const double v = words_number (&run->facts, "facts.parameters");
  const char *blocks = said_fact (run, "facts.blocks");
  if (!(v >= 0 && v < 1e18))
    return "";
  return pool_text (&r->pool, "%s in %s blocks", text_count ((int64_t)v),
                    blocks[0] ? blocks : "?");
}

static const char *
fact_data (struct report *r, const struct run *run)
{
  const char *file = key_of (run, KEY_NAME (file));
  const char *digest = said_fact (run, "facts.data");
  const double n = words_number (&run->facts, "facts.train_samples");
  const char *slash = strrchr (file, '/');
  if (!file[0])
    return "";
  const char *out =
      pool_text (&r->pool, "%s, digest %s", slash ? slash + 1 : file,
                 digest[0] ? digest : "not recorded");
  if (n >= 0 && n < 1e18)
    out = pool_text (&r->pool, "%s, %s to train on", out,
                     text_count ((int64_t)n));
  return out;
}

static const char *
fact_batch (struct report *r, const struct run *run)
{
  return pair_of (r, key_of (run, KEY_NAME (batch)),
                  " samples in micro-batches ", key_of (run, KEY_NAME (micro)));
}

static const char *
fact_steps (struct report *r, const struct run *run)
{
  const char *steps = said_fact (run, "facts.steps");
  const double n = words_number (&run->facts, "facts.train_samples");
  const double epochs =
      words_number (&run->facts, "facts.steps") * run->batch / n;
  if (!steps[0])
    steps = key_of (run, KEY_NAME (steps));
  return isfinite (epochs) && steps[0]
             ? pool_text (&r->pool, "%s (%.3g epochs)", steps, epochs)
             : steps;
}

static const char *
fact_schedule (struct report *r, const struct run *run)
{
  const char *out = key_of (run, KEY_NAME (schedule));
  const char *at = words_get (&run->config, KEY_NAME (milestones));
  if (!out[0])
    return "";
  out = pool_text (&r->pool, "%s, %s steps of warm-up", out,
                   key_of (run, KEY_NAME (warmup)));
  return at[0] ? pool_text (&r->pool, "%s, milestones %s", out, at) : out;
}

static const char *
fact_lr (struct report *r, const struct run *run)
{
  (void)r;
  return key_of (run, KEY_NAME (lr));
}

static const char *
fact_optimizer (struct report *r, const struct run *run)
{
  return pair_of (r, key_of (run, KEY_NAME (optimizer)), ", weight decay ",
                  key_of (run, KEY_NAME (weight_decay)));
}

static const char *
fact_precision (struct report *r, const struct run *run)
{
  (void)r;
  return key_of (run, KEY_NAME (precision));
}

static const char *
fact_stages (struct report *r, const struct run *run)
{
  const char *said = said_fact (run, "facts.stages");
  return said[0] || run->K == 0 ? said : pool_text (&r->pool, "%d", run->K);
}

static const char *
fact_cut (struct report *r, const struct run *run)
{
  (void)r;
  return words_get (&run->config, KEY_NAME (cut));
}

static const char *
fact_heads (struct report *r, const struct run *run)
{
  (void)r;
  return key_of (run, KEY_NAME (head));
}

static const char *
fact_seed (struct report *r, const struct run *run)
{
  return isfinite (run->seed) ? pool_text (&r->pool, "%.0f", run->seed) : "";
}

static const char *
fact_processor (struct report *r, const struct run *run)
{
  const char *isa = said_fact (run, "facts.isa");
  return isa[0] && run->processor[0]
             ? pool_text (&r->pool, "%s (%s)", run->processor, isa)
             : run->processor;
}

static const char *
fact_cores (struct report *r, const struct run *run)
{
  const struct start *last = &run->start[run->n_starts - 1];
  return isfinite (last->ranks) && isfinite (last->threads)
             ? pool_text (&r->pool, "%.0f x %.0f", last->ranks, last->threads)
             : "";
}

static const char *
fact_program (struct report *r, const struct run *run)
{
  (void)r;
  return run->program;
}

static const char *
fact_libraries (struct report *r, const struct run *run)
{
  const char *const both[] = {run->libraries, run->mpi};
  const int first = both[0][0] == '\0';
  return first || !both[1][0]
             ? both[first]
             : pool_text (&r->pool, "%s; %s", both[0], both[1]);
}

/* The day, as the world's clock has it. */
static const char *
fact_date (struct report *r, const struct run *run)
{
  char day[32];
  const time_t t = run->begun > 0 && run->begun < 2e11 ? (time_t)run->begun : 0;
  struct tm at;
  if (t == 0 || !gmtime_r (&t, &at))
    return "";
  strftime (day, sizeof day, "%Y-%m-%d", &at);
  return pool_text (&r->pool, "%s", day);
}

static const struct {
  const char *name, *title;
  fact *of;
} facts[] = {{"model", "model", fact_model},
             {"parameters", "parameters", fact_parameters},
             {"data", "data set", fact_data},
             {"batch", "batch", fact_batch},
             {"steps", "steps", fact_steps},
             {"lr", "learning rate", fact_lr},
             {"schedule", "schedule", fact_schedule},
             {"optimizer", "optimizer", fact_optimizer},
             {"precision", "precision", fact_precision},
             {"stages", "stages", fact_stages},
             {"cut", "cut (blocks of each stage)", fact_cut},
             {"heads", "heads", fact_heads},
             {"seeds", "seeds", fact_seed},
             {"processor", "processor", fact_processor},
             {"cores", "ranks x threads", fact_cores},
             {"program", "program", fact_program},
             {"libraries", "libraries", fact_libraries},
             {"date", "begun (UTC)", fact_date}};
#define FACTS (int)(sizeof facts / sizeof *facts)

/* -- over runs ------------------------------------------------------------- */

/* Values of n runs, each once, in order. */
static const char *
join (struct report *r, int n, const int *run, fact *of)
{
  const char **seen = pool_take (&r->pool, (size_t)n + 1, sizeof *seen);
  const char *out = "";
  int found = 0;
  for (int i = 0; i < n; i++) {
    const char *v = of (r, &r->run[run[i]]);
    int at = 0;
    v = v[0] ? v : "not recorded";
    while (at < found && group_natural (seen[at], v) < 0)
      at++;
    if (at < found && strcmp (seen[at], v) == 0)
      continue;
    memmove (seen + at + 1, seen + at, (size_t)(found - at) * sizeof *seen);
    seen[at] = v;
    found++;
  }
  for (int i = 0; i < found && i < JOINED; i++)
    out = pool_text (&r->pool, "%s%s%s", out, i ? "; " : "", seen[i]);
  return found > JOINED
             ? pool_text (&r->pool, "%s; %d more", out, found - JOINED)
             : out;
}

static const char *
of_group (struct report *r, int g, fact *of)
{
  return join (r, r->group[g].n, r->group[g].run, of);
}

static bool
alike (struct report *r, fact *of)
{
  for (int i = 1; i < r->n_groups; i++)
    if (strcmp (of_group (r, i, of), of_group (r, 0, of)) != 0)
      return false;
  return true;
}

/* -- tables ---------------------------------------------------------------- */

static const char *
quoted (struct report *r, const char *path)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                              "WXYZ0123456789/._-+=,:@%";
  struct text t;
  if (path[strspn (path, plain)] == '\0')
    return path;
  text_init (&t);
  for (; *path; path++)
    text_add (&t, *path == '\'' ? "'\\''" : "%c", *path);
  const char *out = pool_text (&r->pool, "'%s'", t.data);
  text_clear (&t);
  return out;
}

static const char *
command_of (struct report *r, const struct run *run, const char *path)
{
  const struct start *last = &run->start[run->n_starts - 1];
  const char *by = "";
  if (isfinite (last->threads))
    by = pool_text (&r->pool, "OMP_NUM_THREADS=%.0f ", last->threads);
  if (last->ranks > 1)
    by = pool_text (&r->pool, "%smpirun -n %.0f ", by, last->ranks);
  return pool_text (&r->pool, "%sinterlock train %s/config.ini run.dir=NEW", by,
                    path);
}

static const char *
fact_repeat (struct report *r, const struct run *run)
{
  if (run->config.n == 0)
    return "";
  return command_of (r, run, r->n_runs == 1 ? quoted (r, run->path) : "RUN");
}

void
card_fill (struct report *r, struct table *t)
{
  static const struct column columns[] = {{"fact", "", COLUMN_TEXT, 1, 0},
                                          {"value", "", COLUMN_TEXT, 1, 0}};
  struct filling f = {r, t, 0};
  t->column = columns;
  t->n_columns = 2;
  table_rows (r, t, FACTS + 2);
  const char *labels = "";
  for (int i = 0; i < r->n_groups; i++)
    labels = pool_text (&r->pool, "%s%s%s", labels, i ? "; " : "",
                        r->group[i].label);
  table_put_text (&f, "strategies");
  table_put_text (&f, labels);
  for (int i = 0; i < FACTS; i++)
    if (alike (r, facts[i].of)) {
      table_put_text (&f, facts[i].title);
      table_put_text (&f, of_group (r, 0, facts[i].of));
    }
  if (alike (r, fact_repeat)) {
    table_put_text (&f, "to repeat");
    table_put_text (&f, of_group (r, 0, fact_repeat));
  }
  t->n_rows = f.at / 2;
}

void
card_differs (struct report *r, struct table *t)
{
  struct column *columns =
      pool_take (&r->pool, (size_t)FACTS + 1, sizeof *columns);
  fact *of[FACTS];
  struct filling f = {r, t, 0};
  int n = 0;
  columns[0] = (struct column){"strategy", "strategy", COLUMN_TEXT, 1, 0};
  for (int i = 0; i < FACTS; i++)
    if (!alike (r, facts[i].of)) {
      of[n++] = facts[i].of;
      columns[n] =
          (struct column){facts[i].name, facts[i].title, COLUMN_TEXT, 1, 0};
    }
  t->column = columns;
  t->n_columns = n + 1;
  table_rows (r, t, n > 0 ? r->n_groups : 0);
  for (int i = 0; i < t->n_rows; i++) {
    table_put_text (&f, r->group[i].label);
    for (int k = 0; k < n; k++)
      table_put_text (&f, of_group (r, i, of[k]));
  }
}

void
card_repeat (struct report *r, struct table *t)
{
  static const struct column columns[] = {
      {"run", "run", COLUMN_TEXT, 1, 0},
      {"command", "command", COLUMN_TEXT, 1, 0}};
  struct filling f = {r, t, 0};
  t->column = columns;
  t->n_columns = 2;
  table_rows (r, t, r->n_runs);
  for (int i = 0; i < r->n_groups; i++)
    for (int k = 0; k < r->group[i].n; k++) {
      const struct run *run = &r->run[r->group[i].run[k]];
      table_put_text (&f, run->name);
      table_put_text (&f, run->config.n > 0
                              ? command_of (r, run, quoted (r, run->path))
                              : "not recorded");
    }
  text_add (&t->note, "NEW: a directory for the new run; the configuration is "
                      "whole in each config.ini.");
}

/* -- cuts ------------------------------------------------------------------ */

void
card_cuts (struct report *r, struct text *out)
{
  if (alike (r, fact_cut))
    return;
  text_add (out, " Stages of the same number are not the same blocks: the "
                 "cuts differ (blocks of each stage:");
  for (int i = 0; i < r->n_groups; i++)
    if (r->group[i].style >= 0) {
      text_add (out, "%s ", i ? ";" : "");
      escape_html (r->group[i].label, out);
      text_add (out, " ");
      escape_html (of_group (r, i, fact_cut), out);
    }
  text_add (out, ").");
}
