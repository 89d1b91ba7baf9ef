/* ranks: 0 */
/* tests/report/insight.c -- what probes have left and how gradients agree:
 * whose numbers they are, which of several count, that they are those of the
 * files, and that no other table sees them.
 */
#include "tests/report/made.h"
#include "tests/tap.h"

/* A table of some runs as a sheet; its memory is the pool's. */
static bool
table_of (struct pool *p, int n, char (*dirs)[512], const char *name,
          struct sheet *out)
{
  const char *paths[16];
  struct text text;
  for (int i = 0; i < n; i++)
    paths[i] = dirs[i];
  struct report_spec spec = {.n_paths = n,
                             .paths = paths,
                             .form = REPORT_CSV,
                             .table = name,
                             .unlike = true};
  text_init (&text);
  bool good = report_make (&spec, &text) == OK;
  sheet_read_with (p, text.data ? text.data : "", "strategy", out);
  text_clear (&text);
  return good;
}

static double
cell (const struct sheet *s, int row, const char *column)
{
  return sheet_at (s, row, sheet_column (s, column));
}

/* Runs named a0, a1, ... below a folder; spans 1 and 2 take turns. */
static void
make_runs (const char *folder, int n, char (*dirs)[512])
{
  char name[600];
  snprintf (name, sizeof name, "%s/%s", scratch_folder, folder);
  mkdir (name, 0777);
  for (int i = 0; i < n; i++) {
    snprintf (name, sizeof name, "%s/a%d", folder, i);
    struct made m = {
        name, i % 2 ? "2" : "1", "gap-fc", "0.1", 1 + i / 2, 3, 0.8, 1};
    made_run (&m, dirs[i]);
  }
}

/* Two strategies, two seeds each; a call for each seed. */
static void
test_groups (void)
{
  static char dirs[4][512];
  struct pool p = {0};
  struct sheet s;
  make_runs ("groups", 4, dirs);
  for (int seed = 0; seed < 2; seed++) {
    char path[2][600];
    for (int k = 0; k < 2; k++)
      snprintf (path[k], sizeof path[k], "%s/checkpoints/step-50.h5",
                dirs[2 * seed + k]);
    made_probe (dirs[2 * seed], "step-50-valid-pooled-with-1", 2,
                (const char *const[]){path[0], path[1]}, 50, 3, false);
  }
  /* The third run again, later and alone: side 0. */
  made_probe (dirs[2], "step-90-valid-pooled", 1,
              (const char *const[]){dirs[2]}, 90, 3, false);
  tap_ok (table_of (&p, 4, dirs, "probe", &s) && s.n_rows == 6,
          "a row for each strategy and stage");
  tap_near (cell (&s, 1, "accuracy"), 0.11, 1e-12, "local, stage 1");
  tap_near (cell (&s, 5, "accuracy"), 0.32, 1e-12, "2-wise, stage 2");
  tap_ok (cell (&s, 4, "effective_rank") == 4 &&
              cell (&s, 4, "participation_ratio") == 2 &&
              cell (&s, 4, "accuracy_n") == 2 && cell (&s, 4, "features") == 16,
          "ranks, and how many runs there are");
  tap_ok (isnan (cell (&s, 0, "bits_per_token")), "images have no bits");
  tap_ok (table_of (&p, 4, dirs, "cka", &s) && s.n_rows == 27,
          "maps of each strategy, and between them");
  tap_near (cell (&s, 2, "cka"), 1.0 / 3, 1e-8, "stages 0 and 2 of one");
  tap_near (cell (&s, 18 + 5, "cka"), 1.0 / 7, 1e-8, "stages 1 and 2 of two");
  tap_ok (cell (&s, 18, "cka_n") == 1,
          "a checkpoint that is not the newest is in no pair");
  pool_clear (&p);
}

/* The map of two strategies is the same whichever was named first. */
static void
test_turn (void)
{
  static char dirs[2][512];
  struct pool p = {0};
  struct sheet s;
  make_runs ("turn", 2, dirs);
  char path[2][600];
  for (int k = 0; k < 2; k++)
    snprintf (path[k], sizeof path[k], "%s/checkpoints/c.h5", dirs[!k]);
  made_probe (dirs[0], "step-50-valid-pooled-with-1", 2,
              (const char *const[]){path[0], path[1]}, 50, 3, false);
  tap_ok (table_of (&p, 2, dirs, "cka", &s) && s.n_rows == 27 &&
              strcmp (s.text[18], "local") == 0,
          "the first strategy comes first");
  tap_near (cell (&s, 18 + 5, "cka"), 1.0 / 9, 1e-8,
            "stage 1 of the first, 2 of the second");
  tap_near (cell (&s, 18 + 7, "cka"), 1.0 / 7, 1e-8,
            "stage 2 of the first, 1 of the second");
  pool_clear (&p);
}

/* The kind that most runs have is shown; a later checkpoint replaces one. */
static void
test_choice (void)
{
  static char dirs[2][512];
  struct pool p = {0};
  struct sheet s;
  make_runs ("choice", 2, dirs);
  for (int i = 0; i < 2; i++)
    made_probe (dirs[i], "step-50-test-pooled", 1,
                (const char *const[]){dirs[i]}, 50, 3, false);
  made_probe (dirs[0], "step-90-valid-maps", 2,
              (const char *const[]){"x/other/c.h5", dirs[0]}, 90, 3, true);
  tap_ok (table_of (&p, 2, dirs, "probe", &s) && s.n_rows == 6 &&
              isnan (cell (&s, 0, "bits_per_token")),
          "one kind for all, though another is that of the split");
  made_probe (dirs[1], "step-90-valid-maps", 1, (const char *const[]){dirs[1]},
              90, 3, true);
  tap_ok (table_of (&p, 2, dirs, "probe", &s) && s.n_rows == 6 &&
              cell (&s, 1, "bits_per_token") == 4,
          "where both cover all, that of the split");
  const char *paths[] = {dirs[0], dirs[1]};
  struct report_spec spec = {.n_paths = 2, .paths = paths};
  struct text page;
  text_init (&page);
  tap_ok (report_make (&spec, &page) == OK &&
              strstr (page.data, "bits per token of the probe") &&
              !strstr (page.data, "accuracy of the probe") &&
              strstr (page.data, "split valid, features maps, 320 samples"),
          "the picture of a language model is of bits");
  text_clear (&page);
  pool_clear (&p);
}

/* Two folders of the same layout, probed from inside of each: a path means the
 * run beside the file, not its namesake. */
static void
test_paths (void)
{
  static char dirs[5][512];
  struct pool p = {0};
  struct sheet s;
  static const char *const from_there[] = {"east/a0/checkpoints/step-50.h5",
                                           "east/a1/checkpoints/step-50.h5"};
  make_runs ("west", 2, dirs);
  make_runs ("east", 2, dirs + 2);
  struct made far = {"east/far", "3", "gap-fc", "0.1", 9, 3, 0.8, 1};
  made_run (&far, dirs[4]);
  made_probe (dirs[2], "step-50-valid-pooled-with-1", 2, from_there, 50, 3,
              false);
  tap_ok (table_of (&p, 5, dirs, "probe", &s) && s.n_rows == 6 &&
              cell (&s, 0, "accuracy_n") == 1 &&
              cell (&s, 3, "accuracy_n") == 1,
          "one run of each name has numbers");
  tap_ok (table_of (&p, 2, dirs, "probe", &s) && s.n_rows == 0,
          "and it is not the one in the other folder");
  static const char *const gone[] = {"/gone/b/checkpoints/x.h5",
                                     "/gone/far/checkpoints/x.h5",
                                     "/gone/a1/checkpoints/x.h5"};
  made_probe (dirs[2], "step-60-valid-pooled-with-2", 3, gone, 60, 3, false);
  tap_ok (table_of (&p, 5, dirs, "probe", &s) && s.n_rows == 9 &&
              fabs (cell (&s, 6, "accuracy") - 0.3) < 1e-12,
          "a run that was moved is known by a name that is its alone");
  tap_near (cell (&s, 3, "accuracy"), 0.3, 1e-12,
            "not by one that two runs have");
  tap_near (cell (&s, 0, "accuracy"), 0.1, 1e-12,
            "the first is the one in whose directory the file lies");
  pool_clear (&p);
}

static void
test_damage (void)
{
  static char dirs[1][512];
  struct pool p = {0};
  struct sheet s;
  make_runs ("damage", 1, dirs);
  char path[600];
  snprintf (path, sizeof path, "%s/probe", dirs[0]);
  mkdir (path, 0777);
  made_put (dirs[0], "probe/step-1-valid-pooled-stages.csv", "side,check");
  made_put (dirs[0], "probe/x-stages.csv", "");
  made_put (dirs[0], "probe/-stages.csv", "a\n1\n");
  tap_ok (table_of (&p, 1, dirs, "probe", &s) && s.n_rows == 0,
          "files that are cut off are as if not there");
  made_put (dirs[0], "probe/step-2-valid-pooled-stages.csv",
            "accuracy,stage,side,checkpoint,step\n"
            "0.5,0,0,\"a, \"\"b\"\",/c.h5\",2\nnan,1,0,x,2\n0.7,1e9,0,x,2\n"
            "0.7,-1,0,x,2\n0.7,1,99,x,2\n0.7,1,-1,x,2\n0.6,2,0,x,2\n0.7,2,0");
  made_put (dirs[0], "probe/step-2-valid-pooled-cka.csv",
            "side,stage,other_side,other_stage,cka\n0,0,0,0,1\n0,5,0,0,1\n"
            "0,0,0,-1,1\n0,nan,0,1,1\n0,1,0,");
  tap_ok (table_of (&p, 1, dirs, "probe", &s) && s.n_rows == 3 &&
              cell (&s, 0, "accuracy") == 0.5 &&
              isnan (cell (&s, 1, "accuracy")) &&
              cell (&s, 2, "accuracy") == 0.6 &&
              isnan (cell (&s, 0, "effective_rank")),
          "columns by their names; what is not a number is not there");
  tap_ok (table_of (&p, 1, dirs, "cka", &s) && s.n_rows == 9 &&
              cell (&s, 0, "cka") == 1 && isnan (cell (&s, 1, "cka")),
          "cells that the file does not have are empty");
  const char *paths[] = {dirs[0]};
  for (int form = REPORT_HTML; form <= REPORT_TEXT; form++) {
    struct report_spec spec = {
        .n_paths = 1, .paths = paths, .form = (enum report_form)form};
    struct text out;
    text_init (&out);
    tap_ok (report_make (&spec, &out) == OK && !strstr (out.data, ">nan<"),
            "form %d shows what there is", form);
    text_clear (&out);
  }
  pool_clear (&p);
}

/* Rows of agreement, and of a split that nobody knows. */
static void
test_agreement (void)
{
  static const char *const others[] = {"compare", "cost", "heads", "time",
                                       "probe",   "cka",  "runs"};
  static char dirs[2][512];
  struct pool p = {0};
  struct made m = {"agrees", "1", "gap-fc", "0.1", 1, 3, 0.8, 1};
  made_run (&m, dirs[0]);
  struct sheet before[7], after;
  for (int i = 0; i < 7; i++)
    table_of (&p, 1, dirs, others[i], &before[i]);
  tap_ok (table_of (&p, 1, dirs, "agreement", &after) && after.n_rows == 0,
          "a run without agreement has no such table");
  made_metrics (&m, dirs[0], true);
  for (int i = 0; i < 7; i++) {
    bool same = table_of (&p, 1, dirs, others[i], &after) &&
                after.n_rows == before[i].n_rows;
    for (int k = 0; same && k < after.n_rows * after.n_columns; k++)
      same = after.value[k] == before[i].value[k] ||
             (isnan (after.value[k]) && isnan (before[i].value[k]));
    tap_ok (same, "rows of other splits do not disturb the table %s",
            others[i]);
  }
  tap_ok (table_of (&p, 1, dirs, "agreement", &after) && after.n_rows == 3,
          "a row for each stage");
  tap_near (cell (&after, 0, "cosine_mean"), 0.145, 1e-12, "mean cosine");
  tap_near (cell (&after, 2, "cosine_last"), 0.39, 1e-12, "last cosine");
  tap_ok (cell (&after, 1, "norm_ratio_mean") == 2 &&
              cell (&after, 1, "norm_ratio_last") == 2,
          "norm ratios");
  struct run r;
  double x[100], y[100];
  int n;
  tap_ok (run_read (&p, dirs[0], &r) == OK && r.steps == 100 && r.K == 3,
          "steps and heads are those of training");
  run_points (&r, SPLIT_AGREEMENT, "stage1_cosine", AXIS_STEPS, &n, x, y);
  tap_ok (n == 10 && x[9] == 100 && y[9] == 0.29, "its curve over steps");
  pool_clear (&p);
}

int
main (void)
{
  if (!scratch_open ()) {
    tap_bail ("no folder for scratch files");
    return tap_done ();
  }
  test_groups ();
  test_turn ();
  test_choice ();
  test_paths ();
  test_damage ();
  test_agreement ();
  scratch_close ();
  return tap_done ();
}
