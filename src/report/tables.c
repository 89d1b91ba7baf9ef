/* report/tables.c -- which tables there are, and what goes into them. */
#include "base/clock.h"
#include "report/report_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- numbers of a run ------------------------------------------------------ */

static double
of_last (const struct report *r, const struct run *run, const void *how)
{
  (void)r;
  enum run_axis axis = *(const enum run_axis *)how;
  double last = NAN;
  for (int i = 0; i < run->metrics.n_rows; i++)
    if (isfinite (run->x[axis][i]))
      last = run->x[axis][i];
  return last;
}

static double
of_fact (const struct report *r, const struct run *run, const void *how)
{
  (void)r;
  return words_number (&run->facts, how);
}

/* Operations of a sample; how: "useful", "executed", "ratio". */
static double
of_flops (const struct report *r, const struct run *run, const void *how)
{
  (void)r;
  const char *word = how;
  double v = word[0] == 'u' ? run->useful : run->executed;
  return v / (word[0] == 'r' ? run->useful : run->batch);
}

/* Measured milliseconds of a step. */
static double
of_step (const struct report *r, const struct run *run, const void *how)
{
  (void)r;
  (void)how;
  return run_step_s (run);
}

/* Share of the training time of its ranks spent waiting for a neighbour or for
 * messages. */
static double
of_waiting (const struct report *r, const struct run *run, const void *how)
{
  static const char *const names[] = {"wait",  "exposed", "plain",
                                      "extra", "heads",   "data"};
  double part[6] = {0};
  (void)r;
  (void)how;
  for (int i = 0; i < run->summary.n_rows; i++)
    for (int c = 0; c < 6; c++)
      part[c] +=
          sheet_at (&run->summary, i, sheet_column (&run->summary, names[c]));
  double all = part[0] + part[1] + part[2] + part[3] + part[4] + part[5];
  return (part[0] + part[1]) / all; /* NAN where nothing is there */
}

#define PERCENT 100, 2

/* A last column, where the table has none of that name. */
static bool
more_column (struct report *r, struct table *t, struct column c)
{
  for (int i = 0; i < t->n_columns; i++)
    if (strcmp (t->column[i].name, c.name) == 0)
      return false;
  size_t n = (size_t)t->n_columns;
  struct column *all = pool_take (&r->pool, n + 1, sizeof *all);
  memcpy (all, t->column, n * sizeof *all);
  all[t->n_columns++] = c;
  t->column = all;
  return true;
}

/* -- cost ------------------------------------------------------------------ */

static const struct column cost_columns[] = {
    {"strategy", "strategy", COLUMN_TEXT, 1, 0},
    {"seconds", "training s", COLUMN_STAT, 1, 1},
    {"step_s", "step ms", COLUMN_STAT, 1e3, 2},
    {"predicted_step_s", "step ms, predicted", COLUMN_STAT, 1e3, 2},
    {"waiting", "waiting %", COLUMN_STAT, 100, 1},
    {"useful_flops", "useful MFLOP a sample", COLUMN_STAT, 1e-6, 2},
    {"executed_flops", "executed MFLOP a sample", COLUMN_STAT, 1e-6, 2},
    {"executed_over_useful", "executed / useful", COLUMN_STAT, 1, 3},
    {"peak_bytes", "peak MB of a rank", COLUMN_STAT, 1e-6, 1},
    {"peak_bytes_all", "peak MB of all", COLUMN_STAT, 1e-6, 1},
};

static double
of_predicted (const struct report *r, const struct run *run, const void *how)
{
  (void)r;
  return run->on_s[*(const int *)how];
}

static void
more_predicted (struct report *r, struct table *t)
{
  for (int i = 0; i < r->spec->n_on; i++)
    more_column (
        r, t,
        (struct column){
            pool_text (&r->pool, "predicted_step_s_on_%d", r->spec->on[i]),
            pool_text (&r->pool, "step ms, predicted %s", predict_words (r, i)),
            COLUMN_STAT, 1e3, 2});
}

static void
cost_fill (struct report *r, struct table *t)
{
  static const enum run_axis seconds = AXIS_SECONDS;
  struct filling f = {r, t, 0};
  more_predicted (r, t);
  table_rows (r, t, r->n_groups);
  for (int i = 0; i < r->n_groups; i++) {
    const struct group *g = &r->group[i];
    table_put_text (&f, g->label);
    table_put_stat (&f, g, of_last, &seconds);
    table_put_stat (&f, g, of_step, NULL);
    table_put_stat (&f, g, of_fact, "facts.cycle_s");
    table_put_stat (&f, g, of_waiting, NULL);
    table_put_stat (&f, g, of_flops, "useful");
    table_put_stat (&f, g, of_flops, "executed");
    table_put_stat (&f, g, of_flops, "ratio");
    table_put_stat (&f, g, of_fact, "measured.peak_bytes");
    table_put_stat (&f, g, of_fact, "measured.peak_bytes_all");
    for (int k = 0; k < r->spec->n_on; k++)
      table_put_stat (&f, g, of_predicted, &k);
  }
  text_add (&t->note,
            "Useful operations are those of plain backpropagation through the "
            "network; executed ones add inner heads and further gradient "
            "passes, and leave out gradients that nobody needs. Evaluation "
            "and updates are not counted. Waiting: share of the ranks' time in "
            "training steps spent waiting for a neighbour or for messages. "
            "Peak: resident memory.");
  if (r->spec->n_on > 0)
    text_add (&t->note, " %s", predict_note);
}

/* -- heads ----------------------------------------------------------------- */

static const struct column heads_columns[] = {
    {"strategy", "strategy", COLUMN_TEXT, 1, 0},
    {"head", "head", COLUMN_NUMBER, 1, 0},
    {"accuracy", "accuracy %", COLUMN_STAT, PERCENT},
    {"loss", "loss", COLUMN_STAT, 1, 4},
};

static double
of_head (const struct report *r, const struct run *run, const void *how)
{
  return run_last (run, r->split, how);
}

static void
put_head (struct filling *f, const struct group *g, int head, const char *what)
{
  char name[METRIC_NAME];
  table_put_stat (f, g, of_head, store_metric_head (head, what, name));
  if (f->t->cell[f->at - 1].s.n == 0)
    f->t->cell[f->at - 1].text = "silent";
}

static void
heads_fill (struct report *r, struct table *t)
{
  const struct measure *m = r->measure;
  struct filling f = {r, t, 0};
  int rows = 0;
  bool more = more_column (
      r, t,
      (struct column){m->column, m->unit, COLUMN_STAT, m->scale, m->digits});
  for (int i = 0; i < r->n_groups; i++)
    rows += r->group[i].K;
  table_rows (r, t, rows);
  for (int i = 0; i < r->n_groups; i++)
    for (int k = 0; k < r->group[i].K; k++) {
      const struct group *g = &r->group[i];
      table_put_text (&f, g->label);
      table_put_number (&f, k);
      put_head (&f, g, k, METRIC_ACCURACY);
      put_head (&f, g, k, METRIC_LOSS);
      if (more)
        put_head (&f, g, k, m->column);
    }
  text_add (&t->note,
            "The newest evaluation on the split %s. The last head is the "
            "network's own output; a silent head is one from which no stage "
            "learns.",
            data_split_name (r->split));
}

/* -- time ------------------------------------------------------------------ */

static const struct column time_columns[] = {
    {"strategy", "strategy", COLUMN_TEXT, 1, 0},
    {"rank", "rank", COLUMN_NUMBER, 1, 0},
    {"plain", "plain s", COLUMN_STAT, 1, 2},
    {"extra", "extra s", COLUMN_STAT, 1, 2},
    {"heads", "heads s", COLUMN_STAT, 1, 2},
    {"wait", "wait s", COLUMN_STAT, 1, 2},
    {"exposed", "exposed s", COLUMN_STAT, 1, 2},
    {"data", "data s", COLUMN_STAT, 1, 2},
    {"eval", "eval s", COLUMN_STAT, 1, 2},
    {"agree", "agree s", COLUMN_STAT, 1, 2},
    {"other", "other s", COLUMN_STAT, 1, 2},
    {"predicted_busy_s", "predicted busy ms a step", COLUMN_STAT, 1e3, 2},
    {"others", "used by others %", COLUMN_STAT, 100, 1},
};
_Static_assert(sizeof time_columns / sizeof *time_columns == 4 + CLOCK_CLASSES,
               "a column for each class");

struct place {
  int rank;
  const char *column;
};

static double
of_place (const struct report *r, const struct run *run, const void *how)
{
  const struct place *p = how;
  (void)r;
  return sheet_at (&run->summary, p->rank,
                   sheet_column (&run->summary, p->column));
}

/* Busy seconds of a cycle that the plan has for a rank. */
static double
of_busy (const struct report *r, const struct run *run, const void *how)
{
  (void)r;
  return run_planned (run, *(const int *)how);
}

static int
group_ranks (const struct report *r, const struct group *g)
{
  int most = 0;
  for (int i = 0; i < g->n; i++)
    if (r->run[g->run[i]].summary.n_rows > most)
      most = r->run[g->run[i]].summary.n_rows;
  return most;
}

#define DISTURBED 0.1 /* of the cores: more than bookkeeping of the system */

/* Runs beside which others were at work. */
static void
note_others (struct report *r, struct table *t)
{
  double most = 0, stolen = 0;
  int n = 0, known = 0;
  for (int i = 0; i < r->n_runs; i++) {
    const double v = words_number (&r->run[i].facts, "measured.others");
    known += isfinite (v);
    n += v > DISTURBED;
    if (v > most) {
      most = v;
      stolen = words_number (&r->run[i].facts, "measured.stolen");
    }
  }
  if (known > 0)
    text_add (&t->note, " Used by others: share of the cores on which a run "
                        "was at work, all its ranks together.");
  if (n == 0)
    return;
  text_add (&t->note,
            " Others used up to %.0f %% of these cores while %d of %d runs "
            "were at work: times are not comparable.",
            100 * most, n, r->n_runs);
  if (stolen > DISTURBED)
    text_add (&t->note,
              " Up to %.0f %% went to other virtual machines (steal).",
              100 * stolen);
}

static void
time_fill (struct report *r, struct table *t)
{
  struct filling f = {r, t, 0};
  int rows = 0;
  for (int i = 0; i < r->n_groups; i++)
    rows += group_ranks (r, &r->group[i]);
  table_rows (r, t, rows);
  for (int i = 0; i < r->n_groups; i++)
    for (int rank = 0; rank < group_ranks (r, &r->group[i]); rank++) {
      table_put_text (&f, r->group[i].label);
      table_put_number (&f, rank);
      for (int k = 2; k < t->n_columns - 2; k++) {
        struct place p = {rank, t->column[k].name};
        table_put_stat (&f, &r->group[i], of_place, &p);
      }
      table_put_stat (&f, &r->group[i], of_busy, &rank);
      table_put_stat (&f, &r->group[i], of_fact, "measured.others");
    }
  text_add (&t->note,
            "Seconds of the newest start of each run. plain: arithmetic of "
            "plain backpropagation; extra: further gradient passes; heads: "
            "those that are not the output; wait: for a neighbour; exposed: "
            "messages; data: for the data set; agree: comparing gradients; "
            "other: start, checkpoints, log.");
  note_others (r, t);
}

/* -- runs ------------------------------------------------------------------ */

static const struct column runs_columns[] = {
    {"run", "run", COLUMN_TEXT, 1, 0},
    {"strategy", "strategy", COLUMN_TEXT, 1, 0},
    {"state", "state", COLUMN_TEXT, 1, 0},
    {"seed", "seed", COLUMN_NUMBER, 1, 0},
    {"ranks", "ranks", COLUMN_NUMBER, 1, 0},
    {"threads", "threads", COLUMN_NUMBER, 1, 0},
    {"steps", "steps", COLUMN_NUMBER, 1, 0},
    {"starts", "starts", COLUMN_NUMBER, 1, 0},
    {"lost", "steps lost", COLUMN_NUMBER, 1, 0},
    {"seconds", "training s", COLUMN_NUMBER, 1, 1},
    {"valid_accuracy", "valid %", COLUMN_NUMBER, PERCENT},
    {"test_accuracy", "test %", COLUMN_NUMBER, PERCENT},
};

/* Columns of the measure on two splits, where the table has none yet. */
static bool
more_measured (struct report *r, struct table *t)
{
  const struct measure *m = r->measure;
  bool more = false;
  for (int i = 0; i < 2; i++) {
    const char *split = i == 0 ? "valid" : "test";
    const struct column c = {pool_text (&r->pool, "%s_%s", split, m->column),
                             pool_text (&r->pool, "%s %s", split, m->unit),
                             COLUMN_NUMBER, m->scale, m->digits};
    more = more_column (r, t, c);
  }
  return more;
}

static void
runs_fill (struct report *r, struct table *t)
{
  static const enum run_axis seconds = AXIS_SECONDS;
  struct filling f = {r, t, 0};
  bool more = more_measured (r, t);
  table_rows (r, t, r->n_runs);
  for (int i = 0; i < r->n_groups; i++)
    for (int k = 0; k < r->group[i].n; k++) {
      const struct run *run = &r->run[r->group[i].run[k]];
      const struct start *last = &run->start[run->n_starts - 1];
      const char *accuracy = run_output (run, METRIC_ACCURACY);
      table_put_text (&f, run->name);
      table_put_text (&f, r->group[i].label);
      table_put_text (&f, run->state);
      table_put_number (&f, run->seed);
      table_put_number (&f, last->ranks);
      table_put_number (&f, last->threads);
      table_put_number (&f, run->steps);
      table_put_number (&f, run->n_starts);
      table_put_number (&f, run->lost);
      table_put_number (&f, of_last (r, run, &seconds));
      table_put_number (&f, run_last (run, DATA_VALID, accuracy));
      table_put_number (&f, run_last (run, DATA_TEST, accuracy));
      for (int s = 0; s < 2 && more; s++)
        table_put_number (&f, run_last (run, s == 0 ? DATA_VALID : DATA_TEST,
                                        measure_output (r, run)));
    }
}

/* -- columns that tell nothing -----------------------------------------------
 */

/* Whether no row has anything in a column: no number, nor a word on why. */
static bool
is_bare (const struct table *t, int k)
{
  for (int i = 0; i < t->n_rows; i++) {
    const struct cell *c = &t->cell[i * t->n_columns + k];
    if (c->s.n > 0 || (c->text && c->text[0] && strcmp (c->text, "-") != 0))
      return false;
  }
  return t->n_rows > 0;
}

/* People need no column of dashes: its name goes into the note. */
static void
drop_bare (struct report *r, struct table *t)
{
  const int n = t->n_columns, shown = table_shown (t);
  struct column *column = pool_take (&r->pool, (size_t)n, sizeof *column);
  int *from = pool_take (&r->pool, (size_t)n, sizeof *from);
  int kept = 0;
  const char *left = "";
  for (int k = 0; k < n; k++)
    if (k < shown && is_bare (t, k))
      left = pool_text (&r->pool, "%s%s%s", left, left[0] ? ", " : "",
                        t->column[k].title);
    else {
      column[kept] = t->column[k];
      from[kept++] = k;
    }
  if (kept == n)
    return;
  for (int i = 0; i < t->n_rows; i++)
    for (int k = 0; k < kept; k++)
      t->cell[i * kept + k] = t->cell[i * n + from[k]];
  t->column = column;
  t->n_columns = kept;
  text_add (&t->note, "%sLeft out, since no run tells: %s.",
            t->note.size ? " " : "", left);
}

/* -- the list -------------------------------------------------------------- */

#define COLUMNS(c) (int)(sizeof (c) / sizeof *(c)), c
static const struct {
  const char *name, *title;
  int n_columns;
  const struct column *column;
  void (*fill) (struct report *r, struct table *t);
} tables[] = {
    {"compare", "The comparison", 0, NULL, compare_fill},
    {"cost", "What it costs", COLUMNS (cost_columns), cost_fill},
    {"heads", "Every head", COLUMNS (heads_columns), heads_fill},
    {"time", "Where the time went", COLUMNS (time_columns), time_fill},
    {"probe", "What stages still know", 0, NULL, insight_probe},
    {"cka", "Similarity of stages", 0, NULL, insight_cka},
    {"agreement", "Agreement of gradients", 0, NULL, insight_agreement},
    {"scale", "How large outputs and gradients are", 0, NULL, insight_scale},
    {"results", "What was reached", 0, NULL, results_fill},
    {"runs", "The runs", COLUMNS (runs_columns), runs_fill},
    {"card", "What was run", 0, NULL, card_fill},
    {"differs", "Where the runs differ", 0, NULL, card_differs},
    {"repeat", "To repeat", 0, NULL, card_repeat},
};

const char *
report_tables (void)
{
  return "compare cost heads time probe cka agreement scale results runs card "
         "differs repeat";
}

void
table_make (struct report *r, const char *name, struct table *out)
{
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    if (strcmp (tables[i].name, name) == 0) {
      *out = (struct table){.name = tables[i].name,
                            .title = tables[i].title,
                            .n_columns = tables[i].n_columns,
                            .column = tables[i].column};
      text_init (&out->note);
      tables[i].fill (r, out);
      if (r->spec->form != REPORT_CSV && r->spec->form != REPORT_JSON)
        drop_bare (r, out);
      return;
    }
  CHECK (false, "no table %s", name);
}
