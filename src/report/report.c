/* report/report.c -- from paths to a report. */
#include "report/report_impl.h"

#include "base/log.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- finding runs ---------------------------------------------------------- */

static bool
is_there (const char *dir, const char *name)
{
  struct text path;
  text_init (&path);
  text_add (&path, "%s/%s", dir, name);
  bool there = access (path.data, F_OK) == 0;
  text_clear (&path);
  return there;
}

static bool
is_run (const char *dir)
{
  return is_there (dir, "config.ini") || is_there (dir, "metrics.csv");
}

static enum status
add_run (struct report *r, const char *path)
{
  TRY (mem_grow (&r->run, (size_t)r->n_runs, (size_t)r->n_runs + 1,
                 sizeof *r->run, "runs"));
  TRY (run_read (&r->pool, path, &r->run[r->n_runs]));
  r->n_runs++;
  return OK;
}

static int
by_name (const void *a, const void *b)
{
  return group_natural (*(char *const *)a, *(char *const *)b);
}

/* Names in a folder, sorted; *list is owned by the caller, its texts by the
 * pool. */
static enum status
folder_names (struct report *r, const char *path, char ***list, int *n)
{
  DIR *dir = opendir (path);
  enum status s = OK;
  for (struct dirent *e; s == OK && dir && (e = readdir (dir));) {
    if (e->d_name[0] == '.')
      continue;
    s = mem_grow (list, (size_t)*n, (size_t)*n + 1, sizeof **list, "names");
    if (s == OK)
      (*list)[(*n)++] = pool_text (&r->pool, "%s/%s", path, e->d_name);
  }
  if (dir)
    closedir (dir);
  if (*n > 1)
    qsort (*list, (size_t)*n, sizeof **list, by_name);
  return s;
}

/* The runs right below a folder. */
static enum status
add_folder (struct report *r, const char *path, int *n)
{
  char **list = NULL;
  int found = 0;
  enum status s = folder_names (r, path, &list, &found);
  for (int i = 0; s == OK && i < found; i++)
    if (is_run (list[i])) {
      s = add_run (r, list[i]);
      ++*n;
    }
  mem_free (&list);
  return s;
}

/* Why a path gives no run. */
static const char *
why_not (const char *path)
{
  struct stat at;
  if (stat (path, &at) != 0)
    return strerror (errno);
  if (!S_ISDIR (at.st_mode))
    return "a file; a run is a directory with config.ini or metrics.csv";
  return "neither a run (a directory with config.ini or metrics.csv) nor a "
         "folder of them";
}

/* Those that give none are told of in one place: as warnings beside the runs
 * that there are, as the error where there is no run at all. */
static enum status
add_paths (struct report *r, struct text *wrong)
{
  for (int i = 0; i < r->spec->n_paths; i++) {
    const char *path = r->spec->paths[i];
    int n = 0;
    if (is_run (path))
      TRY (add_run (r, path));
    else {
      TRY (add_folder (r, path, &n));
      if (n == 0)
        text_add (wrong, "%s%s: %s", wrong->size ? "\n" : "", path,
                  why_not (path));
    }
  }
  if (r->n_runs == 0)
    return fail (E_MISSING, "%s", wrong->data);
  if (wrong->size > 0)
    say (LOG_WARN, "left out: %s", wrong->data);
  return OK;
}

/* The same run by two names counts once. */
static void
drop_twins (struct report *r)
{
  for (int i = 0; i < r->n_runs; i++)
    for (int k = i + 1; k < r->n_runs;)
      if (strcmp (r->run[i].path, r->run[k].path) == 0)
        memmove (&r->run[k], &r->run[k + 1],
                 (size_t)(--r->n_runs - k) * sizeof *r->run);
      else
        k++;
}

/* -- making ---------------------------------------------------------------- */

/* The look that a reach has in all pictures, so that several of them can be
 * read side by side; -1: none of its own. */
static int
usual_style (const struct report *r, const struct group *g)
{
  static const char *const reach[] = {"1", "2", "3", "all"};
  const char *mine = r->run[g->run[0]].reach;
  for (int i = 0; i < 4; i++)
    if (strcmp (mine, reach[i]) == 0)
      return i;
  return -1;
}

/* Of groups that are shown: the usual one, of several the first; then what is
 * left. */
static void
give_styles (struct report *r)
{
  bool taken[REPORT_SHOWN] = {false};
  for (int i = 0; i < r->n_groups; i++) {
    struct group *g = &r->group[i];
    const int usual = usual_style (r, g);
    if (g->style < 0 || usual < 0 || taken[usual])
      continue;
    g->style = usual;
    taken[usual] = true;
  }
  for (int i = 0; i < r->n_groups; i++) {
    struct group *g = &r->group[i];
    if (g->style < REPORT_SHOWN)
      continue;
    for (g->style = 0; taken[g->style];)
      g->style++;
    taken[g->style] = true;
  }
}

/* Which groups pictures tell apart: all, or the best. */
static void
choose_shown (struct report *r)
{
  for (int i = 0; i < r->n_groups; i++) {
    double mine = group_stat (r, &r->group[i], measure_last, NULL).mean;
    int better = 0;
    for (int k = 0; k < r->n_groups && r->n_groups > REPORT_SHOWN; k++) {
      double v = group_stat (r, &r->group[k], measure_last, NULL).mean;
      better += measure_better (r, v, mine) ||
                (!isfinite (mine) && isfinite (v)) ||
                (k < i && !measure_better (r, mine, v) &&
                 !(isfinite (mine) && !isfinite (v)));
    }
    r->group[i].style = better < REPORT_SHOWN ? REPORT_SHOWN : -1;
  }
  give_styles (r);
  if (r->n_groups > REPORT_SHOWN)
    text_add (&r->notes,
              "pictures show the %d groups with the %s, of %d; "
              "tables and maps have all\n",
              REPORT_SHOWN, r->measure->best, r->n_groups);
}

static void
warn_notes (const struct report *r)
{
  /* A table for programs has no room for words, nor a picture; each ends its
   * line. */
  if (r->unlike.size > 0)
    say (LOG_WARN, "runs that differ in\n%.*s", (int)r->unlike.size - 1,
         r->unlike.data);
  if (r->notes.size > 0)
    say (LOG_WARN, "%.*s", (int)r->notes.size - 1, r->notes.data);
}

static void
one_table (struct report *r, struct text *out)
{
  struct table t;
  table_make (r, r->spec->table ? r->spec->table : "compare", &t);
  if (r->spec->form == REPORT_LATEX)
    table_latex (r, &t, out);
  else if (r->spec->form == REPORT_MARKDOWN)
    table_markdown (r, &t, out);
  else {
    warn_notes (r);
    table_csv (&t, out);
  }
  text_clear (&t.note);
}

/* What is not finished would end the lines of the others of its group. */
static void
drop_unfinished (struct report *r)
{
  const char *finished = store_run_state_name (STORE_RUN_FINISHED);
  int n = 0;
  for (int i = 0; i < r->n_runs; i++)
    if (strcmp (r->run[i].state, finished) == 0)
      r->run[n++] = r->run[i];
  if (n == 0 || n == r->n_runs)
    return;
  text_add (&r->notes, "%d of %d runs are not finished and are left out\n",
            r->n_runs - n, r->n_runs);
  r->n_runs = n;
}

/* The runs of the same data set as the first; those go to the end of the list.
 */
static int
same_data (struct report *r)
{
  int n = 0;
  for (int i = 0; i < r->n_runs; i++)
    if (strcmp (group_data (&r->run[i]), group_data (&r->run[0])) == 0) {
      struct run run = r->run[i];
      memmove (r->run + n + 1, r->run + n, (size_t)(i - n) * sizeof run);
      r->run[n++] = run;
    }
  return n;
}

static enum status
one_panel (struct report *all, int n, double *height, struct text *out)
{
  struct report r = {.pool = all->pool,
                     .spec = all->spec,
                     .run = all->run,
                     .n_runs = n,
                     .clip = all->clip};
  text_init (&r.notes);
  text_init (&r.unlike);
  drop_unfinished (&r);
  enum status e = group_runs (&r);
  if (e == OK) {
    choose_shown (&r);
    warn_notes (&r);
    picture_panel (&r, height, out);
  }
  text_clear (&r.notes);
  text_clear (&r.unlike);
  all->pool = r.pool;
  all->clip = r.clip;
  return e;
}

/* Other data sets are other comparisons: each has a panel. */
static enum status
picture (struct report *r, struct text *out)
{
  struct run *const runs = r->run;
  struct text panels;
  double height = 0;
  enum status e = OK;
  text_init (&panels);
  warn_notes (r);
  while (e == OK && r->n_runs > 0) {
    const int n = same_data (r);
    e = one_panel (r, n, &height, &panels);
    r->run += n;
    r->n_runs -= n;
  }
  r->run = runs;
  if (e == OK)
    picture_whole (panels.data, height, out);
  text_clear (&panels);
  return e;
}

static enum status
make (struct report *r, struct text *out)
{
  struct text wrong;
  text_init (&wrong);
  enum status s = add_paths (r, &wrong);
  text_clear (&wrong);
  if (s != OK)
    return s;
  drop_twins (r);
  predict_all (r);
  if (r->spec->form == REPORT_SVG)
    return picture (r, out);
  TRY (group_runs (r));
  TRY (probe_collect (r));
  choose_shown (r);
  if (r->spec->form == REPORT_HTML)
    page_make (r, out);
  else if (r->spec->form == REPORT_TEXT)
    plain_make (r, out);
  else if (r->spec->form == REPORT_JSON)
    return json_make (r, out);
  else
    one_table (r, out);
  return OK;
}

enum status
report_make (const struct report_spec *spec, struct text *out)
{
  struct report r = {.spec = spec};
  text_init (&r.notes);
  text_init (&r.unlike);
  enum status s = make (&r, out);
  text_clear (&r.notes);
  text_clear (&r.unlike);
  mem_free (&r.run);
  pool_clear (&r.pool);
  return s;
}
