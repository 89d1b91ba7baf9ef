/* sweep/print.c -- the set as a table: states, and what came out. */
#include "sweep/sweep_impl.h"

#include "base/csv.h"
#include "base/memory.h"
#include "store/metrics.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADS 64 /* stages.count goes so far */

static int
id_width (const struct sweep *s)
{
  int width = 3;
  for (int i = 0; i < s->n_runs; i++)
    if ((int)strlen (s->run[i].id) > width)
      width = (int)strlen (s->run[i].id);
  return width;
}

/* "24 runs: 3 finished, 1 failed, 20 missing; 2 of them in the queue". */
static void
add_counts (const struct sweep *s, struct text *out)
{
  int count[5] = {0}, queued = 0;
  for (int i = 0; i < s->n_runs; i++) {
    count[s->run[i].look.state]++;
    queued += s->run[i].job[0] != '\0';
  }
  text_add (out, "%d run%s", s->n_runs, s->n_runs == 1 ? "" : "s");
  const char *before = ": ";
  for (int k = STORE_RUN_MISSING; k <= STORE_RUN_FAILED; k++)
    if (count[k] > 0) {
      text_add (out, "%s%d %s", before, count[k],
                store_run_state_name ((enum store_run_state)k));
      before = ", ";
    }
  if (queued > 0)
    text_add (out, "; %d in Slurm's queue", queued);
  if (s->n_excluded > 0)
    text_add (out, "; %d combination%s excluded", s->n_excluded,
              s->n_excluded == 1 ? "" : "s");
  if (s->n_equal > 0)
    text_add (out, "; %d the same as another", s->n_equal);
  text_add (out, "\n");
}

/* The name in a folder that comes next behind `last`, into it; false: none. */
static bool
next_name (const char *path, char last[256])
{
  char next[256] = "";
  DIR *dir = opendir (path);
  for (struct dirent *e; dir && (e = readdir (dir));)
    if (strcmp (e->d_name, last) > 0 &&
        (!next[0] || strcmp (e->d_name, next) < 0))
      snprintf (next, sizeof next, "%.255s", e->d_name);
  if (dir)
    closedir (dir);
  snprintf (last, 256, "%s", next);
  return next[0] != '\0';
}

/* "cut 3,2,2,4 is shared (ROOT/cuts/FILE)": where stages.cut = measured. */
static void
add_cuts (const struct sweep *s, struct text *out)
{
  char name[256] = "";
  struct text dir;
  text_init (&dir);
  text_add (&dir, "%s/" SWEEP_CUTS, s->root);
  while (next_name (dir.data, name)) {
    const char *end = strrchr (name, '.'), *cut;
    char *text = NULL;
    if (end && strcmp (end, ".txt") == 0 &&
        store_run_get (dir.data, name, &text) == OK &&
        (cut = strstr (text, "\ncut ")))
      text_add (out, "cut %.*s is shared (%s/%s)\n",
                (int)strcspn (cut + 5, "\n"), cut + 5, dir.data, name);
    fail_clear ();
    mem_free (&text);
  }
  text_clear (&dir);
}

static void
add_steps (const struct sweep_run *r, struct text *out)
{
  text_add (out, "%lld/", (long long)r->look.step);
  if (r->steps > 0)
    text_add (out, "%lld", (long long)r->steps);
  else
    text_add (out, "?");
}

void
sweep_list (const struct sweep *s, bool csv, struct text *out)
{
  int width = id_width (s);
  if (csv)
    text_add (out, "number,run,state,step,steps,ranks,code,job,dir\n");
  else
    text_add (out, "%5s  %-*s  %-8s  %13s  %5s  %s\n", "", width, "run",
              "state", "step", "ranks", "job");
  for (int i = 0; i < s->n_runs; i++) {
    const struct sweep_run *r = &s->run[i];
    const char *state = store_run_state_name (r->look.state);
    const char *job = r->job[0]                            ? r->job
                      : r->look.state == STORE_RUN_RUNNING ? r->look.job
                                                           : "";
    struct text steps;
    if (csv) {
      text_add (out, "%d,%s,%s,%lld,%lld,%d,%d,%s,%s\n", i + 1, r->id, state,
                (long long)r->look.step, (long long)r->steps, r->ranks,
                r->look.code, job, r->dir);
      continue;
    }
    text_init (&steps);
    add_steps (r, &steps);
    text_add (out, "%5d  %-*s  %-8s  %13s  %5d  %s", i + 1, width, r->id, state,
              steps.data, r->ranks, job);
    if (r->look.state == STORE_RUN_FAILED)
      text_add (out, "(code %d)", r->look.code);
    while (out->size > 0 && out->data[out->size - 1] == ' ')
      out->data[--out->size] = '\0';
    text_add (out, "\n");
    text_clear (&steps);
  }
  if (csv)
    return;
  add_counts (s, out);
  add_cuts (s, out);
}

/* -- what came out --------------------------------------------------------- */

struct result {
  char split[16]; /* "" : no row */
  int64_t step;
  int n_heads;                               /* the last is the output */
  char accuracy[HEADS][24], loss[HEADS][24]; /* as they stand; "" : none */
};

/* Of a row; "" where there is no such column. */
static void
take (const char *header, const char *row, const char *column, char *out,
      size_t size)
{
  size_t n = 0;
  int at = csv_find (header, column);
  const char *word = at < 0 ? "" : csv_field (row, at, &n);
  snprintf (out, size, "%.*s", (int)n, word);
}

static void
take_row (const char *header, const char *row, struct result *out)
{
  char name[METRIC_NAME], word[32];
  take (header, row, METRIC_STEP, word, sizeof word);
  out->step = strtoll (word, NULL, 10);
  for (int h = 0; h < HEADS; out->n_heads = ++h) {
    if (csv_find (header, store_metric_head (h, METRIC_ACCURACY, name)) < 0)
      break;
    take (header, row, name, out->accuracy[h], sizeof out->accuracy[h]);
    take (header, row, store_metric_head (h, METRIC_LOSS, name), out->loss[h],
          sizeof out->loss[h]);
  }
}

/* The last row of a split in what metrics.csv holds. */
static bool
find_row (const char *text, const char *split, struct result *out)
{
  const char *last = NULL;
  char word[16];
  for (const char *line = csv_next (text); *line; line = csv_next (line)) {
    take (text, line, METRIC_SPLIT, word, sizeof word);
    if (strcmp (word, split) == 0)
      last = line;
  }
  if (!last)
    return false;
  take_row (text, last, out);
  snprintf (out->split, sizeof out->split, "%s", split);
  return true;
}

static enum status
read_result (const struct sweep_run *r, const char *split, struct result *out)
{
  char *text = NULL;
  memset (out, 0, sizeof *out);
  if (r->like == SWEEP_OTHER)
    return OK;
  enum status e = store_run_get (r->dir, "metrics.csv", &text);
  if (e == E_MISSING) {
    fail_clear ();
    return OK;
  }
  TRY (e);
  if (split)
    find_row (text, split, out);
  else if (!find_row (text, "test", out))
    find_row (text, "valid", out);
  mem_free (&text);
  return OK;
}

static void
csv_header (const struct sweep *s, int heads, struct text *out)
{
  char accuracy[METRIC_NAME], loss[METRIC_NAME];
  text_add (out, "run,state");
  for (int i = 0; i < s->n_axes; i++)
    text_add (out, ",%s", s->axis[i].key);
  text_add (out, ",split,step,accuracy,loss");
  for (int h = 0; h < heads; h++)
    text_add (out, ",%s,%s", store_metric_head (h, METRIC_ACCURACY, accuracy),
              store_metric_head (h, METRIC_LOSS, loss));
  text_add (out, "\n");
}

/* A value with a comma of its own is quoted. */
static void
csv_value (const char *value, struct text *out)
{
  text_add (out, strchr (value, ',') ? ",\"%s\"" : ",%s", value);
}

static void
csv_row (const struct sweep *s, const struct sweep_run *r,
         const struct result *x, int heads, struct text *out)
{
  int last = x->n_heads - 1;
  text_add (out, "%s,%s", r->id, store_run_state_name (r->look.state));
  for (int i = 0; i < s->n_axes; i++)
    csv_value (s->axis[i].value[r->choice[i]], out);
  text_add (out, ",%s,%lld,%s,%s", x->split, (long long)x->step,
            last >= 0 ? x->accuracy[last] : "", last >= 0 ? x->loss[last] : "");
  for (int h = 0; h < heads; h++)
    text_add (out, ",%s,%s", x->accuracy[h], x->loss[h]);
  text_add (out, "\n");
}

static void
add_percent (const char *share, struct text *out)
{
  double v;
  if (text_to_double (share, &v))
    text_add (out, " %6.2f", 100 * v);
  else
    text_add (out, " %6s", "-");
}

static void
table_row (const struct sweep_run *r, const struct result *x, int width,
           struct text *out)
{
  text_add (out, "%-*s  %-8s  %-5s  %8lld ", width, r->id,
            store_run_state_name (r->look.state), x->split[0] ? x->split : "-",
            (long long)x->step);
  add_percent (x->n_heads > 0 ? x->accuracy[x->n_heads - 1] : "", out);
  for (int h = 0; h < x->n_heads; h++)
    add_percent (x->accuracy[h], out);
  text_add (out, "\n");
}

static void
table_header (int width, int heads, struct text *out)
{
  text_add (out, "%-*s  %-8s  %-5s  %8s  %6s", width, "run", "state", "split",
            "step", "output");
  for (int h = 0; h < heads; h++) {
    char name[16];
    snprintf (name, sizeof name, "head%d", h);
    text_add (out, " %6s", name);
  }
  text_add (out, "\n");
}

enum status
sweep_table (const struct sweep *s, const char *split, bool csv,
             struct text *out)
{
  struct result *x = NULL;
  int heads = 0, width = id_width (s);
  enum status e = MEM_NEW ((size_t)s->n_runs + 1, &x, "results");
  for (int i = 0; e == OK && i < s->n_runs; i++) {
    e = read_result (&s->run[i], split, &x[i]);
    heads = x[i].n_heads > heads ? x[i].n_heads : heads;
  }
  if (e == OK && csv)
    csv_header (s, heads, out);
  else if (e == OK)
    table_header (width, heads, out);
  for (int i = 0; e == OK && i < s->n_runs; i++)
    if (csv)
      csv_row (s, &s->run[i], &x[i], heads, out);
    else
      table_row (&s->run[i], &x[i], width, out);
  if (e == OK && !csv) {
    text_add (out, "accuracy in %%; - : a head that is not trained, or no "
                   "result yet\n");
    add_counts (s, out);
  }
  mem_free (&x);
  return e;
}
