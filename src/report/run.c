/* report/run.c -- one run: its files, and what its rows stand for in samples,
 * seconds, operations and core-hours.
 *
 * The seconds of metrics.csv begin anew with each start of a run that was
 * stopped.  Rows beyond the checkpoint from which a start went on are gone, so
 * that a row belongs to the newest start that began before its step, and the
 * starts before it are added up to where it took over.
 */
#include "report/report_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *
get (struct pool *p, const char *dir, const char *name)
{
  char *text = NULL, *out = NULL;
  if (store_run_get (dir, name, &text) == OK)
    out = pool_text (p, "%s", text);
  else
    fail_clear ();
  mem_free (&text);
  return out;
}

/* -- starts ---------------------------------------------------------------- */

static double
event_number (const struct store_history *h, int i, const char *name)
{
  double v;
  return text_to_double (store_history_word (h, i, name), &v) ? v : NAN;
}

/* "interlock 0.2.0 (build 54f803f7)". */
static char *
program_of (struct pool *p, const struct store_history *h, int i)
{
  const char *version = store_history_word (h, i, "program");
  const char *build = store_history_word (h, i, "build");
  if (!version[0])
    return "";
  return build[0] ? pool_text (p, "interlock %s (build %.8s)", version, build)
                  : pool_text (p, "interlock %s", version);
}

static void
read_starts (struct pool *p, struct run *r)
{
  struct store_history *h = NULL;
  int n = 0;
  if (store_history_read (r->path, &h) == OK)
    n = store_history_count (h);
  else
    fail_clear ();
  r->start = pool_take (p, (size_t)n + 1, sizeof *r->start);
  for (int i = 0; i < n; i++) {
    const char *event = store_history_word (h, i, "event");
    if (strcmp (event, "start") != 0 && strcmp (event, "resume") != 0)
      continue;
    double step = event_number (h, i, "step");
    double lost = event_number (h, i, "lost");
    r->start[r->n_starts++] =
        (struct start){.step = isfinite (step) ? step : 0,
                       .ranks = event_number (h, i, "ranks"),
                       .threads = event_number (h, i, "threads")};
    r->lost += isfinite (lost) ? lost : 0;
    r->processor = pool_text (p, "%s", store_history_word (h, i, "processor"));
    r->begun = fmin (r->begun, event_number (h, i, "time"));
    r->program = program_of (p, h, i);
    r->libraries = pool_text (p, "%s", store_history_word (h, i, "kernels"));
    r->mpi = pool_text (p, "%s", store_history_word (h, i, "mpi"));
  }
  store_history_destroy (&h);
  if (r->n_starts == 0)
    r->start[r->n_starts++] = (struct start){.ranks = NAN, .threads = NAN};
}

/* The start to which a row belongs, among the first n. */
static int
owner (const struct run *r, int n, double step)
{
  int i = n - 1;
  while (i > 0 && r->start[i].step >= step)
    i--;
  return i;
}

/* Rows of splits that are none of the data's (or that nobody knows) say nothing
 * about time and progress. */
static bool
row_counts (const struct run *r, int row)
{
  double split = sheet_at (&r->metrics, row, r->metrics.split);
  return split >= 0 && split < DATA_SPLITS;
}

/* How many training seconds lay before start i: those at the newest row that
 * the starts before have left, and for the steps from there on the same pace.
 */
static void
begin_clock (struct run *r, int i)
{
  struct start *s = &r->start[i];
  int steps = sheet_column (&r->metrics, METRIC_STEP);
  int seconds = sheet_column (&r->metrics, METRIC_SECONDS);
  for (int row = 0; row < r->metrics.n_rows; row++) {
    double step = sheet_at (&r->metrics, row, steps);
    double took = sheet_at (&r->metrics, row, seconds);
    const struct start *by = &r->start[owner (r, i, step)];
    if (!row_counts (r, row) || !(step <= s->step) || !isfinite (took) ||
        step <= by->step)
      continue;
    took *= (s->step - by->step) / (step - by->step);
    s->clock_s = by->clock_s + took;
    s->core_s = by->core_s + took * by->ranks * by->threads;
  }
}

static void
read_axes (struct pool *p, struct run *r)
{
  const struct sheet *m = &r->metrics;
  int steps = sheet_column (m, METRIC_STEP),
      seconds = sheet_column (m, METRIC_SECONDS);
  for (int a = 0; a < AXES; a++)
    r->x[a] = pool_take (p, (size_t)m->n_rows + 1, sizeof (double));
  for (int i = 1; i < r->n_starts; i++)
    begin_clock (r, i);
  for (int row = 0; row < m->n_rows; row++) {
    bool counts = row_counts (r, row);
    double step = sheet_at (m, row, steps);
    double took = counts ? sheet_at (m, row, seconds) : NAN;
    const struct start *by = &r->start[owner (r, r->n_starts, step)];
    for (int i = 0; i < REPORT_ON; i++)
      r->x[AXIS_ON + i][row] = NAN;
    r->x[AXIS_STEPS][row] = step;
    r->x[AXIS_SAMPLES][row] = step * r->batch;
    r->x[AXIS_SECONDS][row] = by->clock_s + took;
    r->x[AXIS_FLOPS][row] = step * r->executed;
    r->x[AXIS_CORES][row] =
        (by->core_s + took * by->ranks * by->threads) / 3600;
    if (counts && step > r->steps)
      r->steps = step;
  }
}

/* -- the whole ------------------------------------------------------------- */

static void
read_state (struct pool *p, struct run *r)
{
  struct store_run_look look;
  store_run_look (r->path, &look);
  r->state = pool_text (p, "%s", store_run_state_name (look.state));
}

static const char *
base_name (const char *path)
{
  const char *slash = strrchr (path, '/');
  return slash && slash[1] ? slash + 1 : path;
}

static char *
without_slash (struct pool *p, const char *path)
{
  size_t n = strlen (path);
  while (n > 1 && path[n - 1] == '/')
    n--;
  return pool_text (p, "%.*s", (int)n, path);
}

/* metrics.csv, and the files that were kept when a start went on with other
 * columns. */
static void
read_metrics (struct pool *p, const char *path, const char *newest,
              struct sheet *out)
{
  char name[32];
  int n = 0;
  char *text = NULL;
  do
    snprintf (name, sizeof name, "metrics-%d.csv", n + 1);
  while ((text = get (p, path, name)) && ++n);
  sheet_read (p, newest ? newest : "", out);
  for (int i = n; i > 0; i--) {
    struct sheet was;
    snprintf (name, sizeof name, "metrics-%d.csv", i);
    text = get (p, path, name);
    sheet_read (p, text ? text : "", &was);
    if (out->n_columns == 0)
      *out = was;
    else
      sheet_precede (p, &was, out);
  }
}

/* In fewest words; of a version that knows more, as it was written. */
static const char *
reach_of (struct pool *p, const struct run *r)
{
  const char *route = words_get (&r->config, KEY_NAME (route));
  const char *dial = words_get (&r->config, KEY_NAME (dial));
  const char *word = words_get (&r->config, KEY_NAME (span));
  struct text list;
  int64_t span;
  if (route[0] || dial[0])
    return dial[0] ? dial : route;
  text_init (&list);
  if (r->K > 0 && strchr (word, ',')) {
    if (config_span_show (word, r->K, &list) == OK)
      word = pool_text (p, "%s", list.data);
    fail_clear ();
  }
  text_clear (&list);
  return r->K > 0 && text_to_long (word, &span) && span >= r->K ? "all" : word;
}

static const char *
phase_words (struct pool *p, const struct config_phase *phase)
{
  struct text words;
  if (config_phase_is_table (phase))
    return "table";
  text_init (&words);
  config_phase_words (phase, &words);
  const char *out = phase->own > 0
                        ? pool_text (p, "%s own %g", words.data, phase->own)
                        : pool_text (p, "%s", words.data);
  text_clear (&words);
  return out;
}

/* Of a dial that this version can read. */
static void
read_phases (struct pool *p, struct run *r)
{
  const char *words = words_get (&r->config, KEY_NAME (dial));
  const double steps = words_number (&r->facts, "facts.steps");
  int64_t first[CONFIG_PHASES];
  struct config_dial d;
  if (words[0] && steps > 0 && config_dial_parse (words, &d) == OK &&
      config_dial_steps (&d, (int64_t)steps, first) == OK) {
    r->phase = pool_take (p, (size_t)d.n, sizeof *r->phase);
    r->n_phases = d.n;
    for (int i = 0; i < d.n; i++)
      r->phase[i] =
          (struct phase){(double)first[i], phase_words (p, &d.phase[i])};
  }
  fail_clear ();
}

enum status
run_read (struct pool *p, const char *path, struct run *r)
{
  char *config = get (p, path, "config.ini");
  char *metrics = get (p, path, "metrics.csv");
  char *facts = get (p, path, "facts.ini");
  char *summary = get (p, path, "summary.csv");
  if (!config && !metrics)
    return fail (E_MISSING,
                 "%s: neither config.ini nor metrics.csv: not a run "
                 "directory",
                 path);
  *r = (struct run){.path = without_slash (p, path)};
  r->name = pool_text (p, "%s", base_name (r->path));
  words_read (p, config ? config : "", &r->config);
  words_read (p, facts ? facts : "", &r->facts);
  read_metrics (p, path, metrics, &r->metrics);
  sheet_read (p, summary ? summary : "", &r->summary);
  r->K = sheet_heads (&r->metrics);
  r->reach = reach_of (p, r);
  r->batch = words_number (&r->config, KEY_NAME (batch));
  r->seed = words_number (&r->config, KEY_NAME (seed));
  r->useful = words_number (&r->facts, "facts.useful_flops");
  r->executed = words_number (&r->facts, "facts.executed_flops");
  r->cycle_s = words_number (&r->facts, "facts.cycle_s");
  r->processor = r->program = r->libraries = r->mpi = "";
  r->begun = NAN;
  read_starts (p, r);
  const struct start *last = &r->start[r->n_starts - 1];
  r->cores = last->ranks * last->threads;
  read_phases (p, r);
  read_axes (p, r);
  read_state (p, r);
  return OK;
}

/* -- rows as points -------------------------------------------------------- */

const char *
run_output (const struct run *r, const char *what)
{
  static _Thread_local char name[METRIC_NAME];
  return store_metric_head (r->K - 1, what, name);
}

void
run_points (const struct run *r, int split, const char *column,
            enum run_axis axis, int *n, double *x, double *y)
{
  int at = sheet_column (&r->metrics, column);
  *n = 0;
  for (int row = 0; at >= 0 && row < r->metrics.n_rows; row++) {
    double v = sheet_at (&r->metrics, row, at), where = r->x[axis][row];
    if (sheet_at (&r->metrics, row, r->metrics.split) != split ||
        !isfinite (v) || !isfinite (where) || (*n > 0 && where < x[*n - 1]))
      continue;
    /* A second evaluation at the same place is the one that counts. */
    if (*n > 0 && where == x[*n - 1])
      --*n;
    x[*n] = where;
    y[(*n)++] = v;
  }
}

static int
points (struct pool *p, const struct run *r, enum data_split split,
        const char *column, enum run_axis axis, double **x, double **y)
{
  int n;
  *x = pool_take (p, (size_t)r->metrics.n_rows + 1, sizeof **x);
  *y = pool_take (p, (size_t)r->metrics.n_rows + 1, sizeof **y);
  run_points (r, split, column, axis, &n, *x, *y);
  return n;
}

double
run_at (struct pool *p, const struct run *r, enum data_split split,
        const char *column, enum run_axis axis, double where)
{
  double *x, *y;
  int n = points (p, r, split, column, axis, &x, &y);
  /* x may be a budget that was computed from these very rows, and off by the
   * rounding of the last bit. */
  double slack = 1e-9 * fabs (where);
  if (n == 0 || !(where >= x[0] - slack && where <= x[n - 1] + slack))
    return NAN;
  for (int i = 0; i < n; i++) {
    if (fabs (x[i] - where) <= slack)
      return y[i];
    if (x[i] > where)
      return y[i - 1] +
             (y[i] - y[i - 1]) * (where - x[i - 1]) / (x[i] - x[i - 1]);
  }
  return y[n - 1];
}

/* Where the line through the points first is at goal or, times sign, above. */
static double
first_at (int n, const double *x, const double *y, int sign, double goal)
{
  for (int i = 0; i < n; i++)
    if (sign * y[i] >= sign * goal)
      return i == 0 ? x[0]
                    : x[i - 1] + (x[i] - x[i - 1]) * (goal - y[i - 1]) /
                                     (y[i] - y[i - 1]);
  return NAN;
}

double
run_reach (struct pool *p, const struct run *r, enum data_split split,
           const char *column, enum run_axis axis, double goal)
{
  double *x, *y;
  int n = points (p, r, split, column, axis, &x, &y);
  return first_at (n, x, y, 1, goal);
}

double
run_fall (struct pool *p, const struct run *r, enum data_split split,
          const char *column, enum run_axis axis, double goal)
{
  double *x, *y;
  int n = points (p, r, split, column, axis, &x, &y);
  return first_at (n, x, y, -1, goal);
}

double
run_last (const struct run *r, int split, const char *column)
{
  int at = sheet_column (&r->metrics, column);
  double last = NAN;
  for (int row = 0; row < r->metrics.n_rows; row++) {
    double v = sheet_at (&r->metrics, row, at);
    if (sheet_at (&r->metrics, row, r->metrics.split) == split && isfinite (v))
      last = v;
  }
  return last;
}

double
run_planned (const struct run *r, int rank)
{
  double pipe = words_number (&r->facts, "facts.pipe"), v = NAN;
  const char *list = words_get (&r->facts, "facts.busy_s");
  /* Ranks are numbered along the pipe, then over replicas. */
  for (int i = pipe >= 1 ? rank % (int)pipe : -1; i >= 0; i--) {
    char *end;
    v = strtod (list, &end);
    if (end == list)
      return NAN;
    list = end;
  }
  return v;
}

double
run_step_s (const struct run *r)
{
  double last = NAN;
  for (int i = 0; i < r->metrics.n_rows; i++)
    last = fmax (last, r->x[AXIS_SECONDS][i]);
  return last / r->steps;
}

double
run_place (const struct run *r, enum run_axis axis, double step)
{
  double at = 0, x = 0;
  for (int i = 0; i < r->metrics.n_rows; i++) {
    const double next = r->x[AXIS_STEPS][i], to = r->x[axis][i];
    if (!row_counts (r, i) || !isfinite (to) || !(next > at))
      continue;
    if (next >= step)
      return x + (to - x) * (step - at) / (next - at);
    at = next;
    x = to;
  }
  return NAN;
}
