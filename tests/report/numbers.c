/* ranks: 0 */
/* tests/report/numbers.c -- statistics against printed tables; what is read
 * from files that are not whole; the clock of a run that was stopped; budgets
 * and refusals.
 */
#include "tests/report/made.h"
#include "tests/tap.h"

static void
test_student (void)
{
  /* Any printed table of the 97.5 % points. */
  static const double row[][2] = {{1, 12.7062}, {2, 4.3027},  {4, 2.7764},
                                  {9, 2.2622},  {30, 2.0423}, {120, 1.9799}};
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    tap_near (stat_student (0.975, (int)row[i][0]), row[i][1], 5e-5,
              "Student's t, %g degrees of freedom", row[i][0]);
  const double v[] = {2, 4, NAN, 4, 6};
  struct spread s = stat_of (5, v);
  tap_ok (s.n == 4 && s.mean == 4 && s.least == 2 && s.most == 6,
          "mean of the numbers that are there");
  tap_near (s.sd, sqrt (8.0 / 3), 1e-12, "deviation of a sample");
  tap_near (s.high - s.mean, 3.1824463 * sqrt (8.0 / 3) / 2, 1e-6,
            "half of the confidence interval");
  double low, high;
  stat_band (&s, &low, &high);
  tap_ok (low == s.low && high == s.high && low < s.least,
          "a band is the confidence, which is wider than the numbers");
  s = stat_of (2, v);
  stat_band (&s, &low, &high);
  tap_ok (low == 2 && high == 4, "that of two are the numbers");
  s = stat_of (1, v);
  tap_ok (s.n == 1 && isnan (s.sd) && isnan (s.low), "one number has no width");
}

static void
test_sheet (void)
{
  struct pool p = {0};
  struct sheet s;
  sheet_read (&p, "a,split,b\n1,valid,2.5\n2,train,\nx,test,1e3\n3,valid,4",
              &s);
  tap_ok (s.n_rows == 3 && s.n_columns == 3, "half a line is left out");
  tap_ok (sheet_at (&s, 0, 1) == DATA_VALID && sheet_at (&s, 0, 2) == 2.5 &&
              isnan (sheet_at (&s, 1, 2)) && isnan (sheet_at (&s, 2, 0)) &&
              sheet_at (&s, 2, 2) == 1000,
          "numbers, splits and gaps");
  sheet_read (&p, "a,b\n1\n1,2,3\n4,5\n", &s);
  tap_ok (s.n_rows == 1 && sheet_at (&s, 0, 1) == 5,
          "rows of another length are left out");
  sheet_read (&p, "a,b", &s);
  tap_ok (s.n_rows == 0 && sheet_column (&s, "a") == -1, "half a header");
  struct words w;
  words_read (&p, "[a]\nb = 1 2\n;c = 3\nd=\n[e]\nb=x = y\nf = 4", &w);
  tap_ok (strcmp (words_get (&w, "a.b"), "1 2") == 0 &&
              strcmp (words_get (&w, "e.b"), "x = y") == 0 &&
              words_number (&w, "e.f") == 4 && w.n == 4 &&
              strcmp (words_get (&w, "a.c"), "") == 0,
          "keys and values");
  pool_clear (&p);
}

/* A file of two kilobytes, or of many, must not ask for more memory than a few
 * times its size: columns by lines would. */
static void
test_sheet_memory (void)
{
  enum { COLUMNS = 5000, LINES = 5000 };
  struct pool p = {0};
  struct sheet wide, tall;
  struct text t;
  size_t before, now, blocks, peak;
  text_init (&t);
  text_add (&t, "step,split");
  for (int i = 0; i < COLUMNS; i++)
    text_add (&t, ",a");
  for (int i = 0; i < LINES; i++)
    text_add (&t, "\n");
  text_add (&t, "7,valid");
  for (int i = 0; i < COLUMNS; i++)
    text_add (&t, ",%d", i % 10);
  text_add (&t, "\n");
  mem_count (&before, &blocks, &peak);
  sheet_read (&p, t.data, &wide);
  mem_count (&now, &blocks, &peak);
  tap_ok (wide.n_rows == 1 && wide.n_columns == COLUMNS + 2 &&
              sheet_at (&wide, 0, 0) == 7 &&
              sheet_at (&wide, 0, COLUMNS + 1) == (COLUMNS - 1) % 10,
          "one row among empty lines");
  tap_ok (now - before < 64 * t.size, "%zu bytes for a text of %zu",
          now - before, t.size);
  text_clear (&t);
  text_init (&t);
  text_add (&t, "step\n");
  for (int i = 0; i < LINES; i++)
    text_add (&t, "0\n");
  sheet_read (&p, t.data, &tall);
  mem_count (&before, &blocks, &peak);
  sheet_precede (&p, &tall, &wide);
  mem_count (&now, &blocks, &peak);
  tap_ok (tall.n_rows == LINES && now - before < 1 << 20 && wide.n_rows == 1,
          "%zu bytes for %d short rows before a long one", now - before, LINES);
  text_clear (&t);
  pool_clear (&p);
}

/* Three stages to step 30, then two, from the checkpoint at 20. */
static void
test_files (void)
{
  struct made m = {"other-stages", "1", "gap-fc", "0.1", 1, 2, 0.9, 1};
  char dir[512];
  struct pool p = {0};
  struct run r;
  made_run (&m, dir);
  made_put (dir, "metrics-1.csv",
            "step,epoch,split,head0_loss,head0_accuracy,head1_loss,"
            "head1_accuracy,head2_loss,head2_accuracy,lr,seconds,"
            "samples_per_s\n"
            "10,0,valid,5,0.1,4,0.2,3,0.3,0.1,10,\n"
            "20,0,valid,5,0.1,4,0.2,2,0.4,0.1,20,\n"
            "30,0,valid,5,0.1,4,0.2,9,0.9,0.1,30,\n");
  made_put (dir, "metrics.csv",
            "step,epoch,split,head0_loss,head0_accuracy,head1_loss,"
            "head1_accuracy,lr,seconds,samples_per_s\n"
            "30,0,valid,1,0.5,1,0.6,0.1,10,\n"
            "40,0,valid,1,0.7,1,0.8,0.1,20,\n");
  tap_ok (run_read (&p, dir, &r) == OK && r.K == 2 && r.metrics.n_rows == 4,
          "a run that went on with fewer stages: rows of both files, none "
          "twice");
  int output = sheet_column (&r.metrics, "head1_accuracy");
  int inner = sheet_column (&r.metrics, "head0_accuracy");
  tap_near (sheet_at (&r.metrics, 0, output), 0.3, 1e-12,
            "the output is the last head of either");
  tap_near (sheet_at (&r.metrics, 2, output), 0.6, 1e-12, "and later");
  tap_ok (isnan (sheet_at (&r.metrics, 1, inner)) &&
              fabs (sheet_at (&r.metrics, 3, inner) - 0.7) < 1e-12,
          "an inner head is not another one's beginning");
  pool_clear (&p);
}

/* Start to step 50 at 1 s a step with a checkpoint at 20 (rows to 20 are left);
 * from there on at 2 s a step. */
static void
test_clock (void)
{
  struct made m = {"stopped", "1", "gap-fc", "0.1", 1, 2, 0.9, 1};
  char dir[512];
  struct pool p = {0};
  struct run r;
  made_run (&m, dir);
  made_put (dir, "events.jsonl",
            "{\"event\":\"start\",\"time\":1,\"step\":0,\"threads\":1,"
            "\"ranks\":2}\n"
            "{\"event\":\"resume\",\"time\":60,\"step\":20,\"threads\":1,"
            "\"ranks\":4,\"lost\":30}\n{\"event\":\"resu");
  made_put (dir, "metrics.csv",
            "step,epoch,split,head0_loss,head0_accuracy,head1_loss,"
            "head1_accuracy,lr,seconds,samples_per_s\n"
            "10,0,valid,1,0.1,1,0.2,0.1,10,\n16,0,valid,1,0.1,1,0.4,0.1,16,\n"
            "30,0,valid,1,0.1,1,0.6,0.1,20,\n40,0,valid,1,0.1,1,0.8,0.1,40,\n"
            "50,0,val");
  tap_ok (run_read (&p, dir, &r) == OK && r.n_starts == 2 && r.lost == 30,
          "a run of two starts");
  tap_near (r.x[AXIS_SECONDS][1], 16, 1e-9, "seconds of the first start");
  tap_near (r.x[AXIS_SECONDS][3], 60, 1e-9,
            "those of the second go on from step 20 of the first");
  tap_near (r.x[AXIS_CORES][3] * 3600, 20 * 2 + 40 * 4, 1e-9,
            "core-seconds count the cores of each start");
  tap_ok (r.K == 2 && r.steps == 40, "heads and steps as recorded");
  tap_near (run_at (&p, &r, DATA_VALID, "head1_accuracy", AXIS_STEPS, 35), 0.7,
            1e-12, "between two evaluations lies their line");
  tap_ok (
      isnan (run_at (&p, &r, DATA_VALID, "head1_accuracy", AXIS_STEPS, 41)) &&
          isnan (run_at (&p, &r, DATA_VALID, "head1_accuracy", AXIS_STEPS, 9)),
      "outside of them nothing is made up");
  tap_near (run_reach (&p, &r, DATA_VALID, "head1_accuracy", AXIS_SECONDS, 0.7),
            50, 1e-9, "the time to an accuracy");
  tap_ok (isnan (run_reach (&p, &r, DATA_VALID, "head1_accuracy", AXIS_SECONDS,
                            0.9)),
          "which may not be reached");
  pool_clear (&p);
}

static enum status
make (int n, char (*dirs)[512], bool unlike, enum report_form form,
      struct text *out)
{
  const char *paths[16];
  for (int i = 0; i < n; i++)
    paths[i] = dirs[i];
  struct report_spec spec = {
      .n_paths = n, .paths = paths, .form = form, .unlike = unlike};
  return report_make (&spec, out);
}

/* Equal wall time: the one at half the pace has had half the steps. */
static void
test_budget (void)
{
  struct made m[] = {{"fast", "1", "gap-fc", "0.1", 1, 2, 0.8, 0.5},
                     {"slow", "all", "gap-fc", "0.1", 1, 2, 0.8, 1}};
  char dirs[2][512];
  struct text out;
  for (int i = 0; i < 2; i++)
    made_run (&m[i], dirs[i]);
  text_init (&out);
  tap_ok (make (2, dirs, false, REPORT_CSV, &out) == OK, "two runs compared");
  struct pool p = {0};
  /* Its first column is a name, which is no number. */
  struct sheet s;
  sheet_read (&p, out.data, &s);
  int at = sheet_column (&s, "accuracy_at_seconds");
  tap_near (sheet_at (&s, 0, at), 0.8, 1e-9, "the fast one is at its end");
  tap_near (sheet_at (&s, 1, at), 0.4, 1e-9, "the slow one at its half");
  at = sheet_column (&s, "accuracy_at_samples");
  tap_ok (sheet_at (&s, 0, at) == 0.8 && sheet_at (&s, 1, at) == 0.8,
          "at equal samples both are at their end");
  bool told = true;
  for (int row = 0; row < 2; row++)
    told = told && sheet_at (&s, row, s.n_columns - 5) == 6400 &&
           sheet_at (&s, row, sheet_column (&s, "equal_samples")) == 6400 &&
           sheet_at (&s, row, sheet_column (&s, "equal_flops")) == 1.25e11 &&
           sheet_at (&s, row, sheet_column (&s, "equal_seconds")) == 50 &&
           fabs (sheet_at (&s, row, sheet_column (&s, "equal_core_hours")) -
                 100 / 3600.0) < 1e-10 &&
           sheet_at (&s, row, sheet_column (&s, "accuracy_to_reach")) == 0.8;
  tap_ok (told, "what is equal is told in every row, in the last columns");
  pool_clear (&p);
  text_clear (&out);
}

/* The first run takes a second a step on one rank and half of it on two, the
 * other twice as long, but first half as long; and nobody knows how long on
 * three. */
static enum status
say_pace (int n, const char *const *dirs, int which, int ranks,
          struct report_pace *out)
{
  if (n != 2 || !strstr (dirs[which], which == 0 ? "near" : "far"))
    return fail (E_DATA, "asked about other runs");
  if (ranks == 3)
    return fail (E_CONFIG, "nobody has three");
  *out = (struct report_pace){.n = 1, .step_s = {(which + 1.0) / ranks}};
  if (which == 1) /* the same, faster and then slower */
    *out = (struct report_pace){
        .n = 2, .first = {0, 50}, .step_s = {0.5 / ranks, 3.5 / ranks}};
  return OK;
}

/* The same accuracy after the same steps; the other at half the predicted pace
 * in the mean, whatever the measured one. */
static void
test_on (void)
{
  struct made m[] = {{"near", "1", "gap-fc", "0.1", 1, 2, 0.8, 5},
                     {"far", "all", "gap-fc", "0.1", 1, 2, 0.8, 0.5}};
  char dirs[2][512];
  struct text out;
  struct pool p = {0};
  struct sheet s;
  for (int i = 0; i < 2; i++)
    made_run (&m[i], dirs[i]);
  const char *paths[] = {dirs[0], dirs[1]};
  struct report_spec spec = {.n_paths = 2,
                             .paths = paths,
                             .form = REPORT_CSV,
                             .n_on = 2,
                             .on = {2, 3},
                             .predict = say_pace};
  text_init (&out);
  tap_ok (report_make (&spec, &out) == OK, "times are predicted");
  sheet_read (&p, out.data, &s);
  int at = sheet_column (&s, "accuracy_at_predicted_seconds_on_2");
  tap_near (sheet_at (&s, 0, at), 0.8, 1e-9, "the first is at its end");
  tap_near (sheet_at (&s, 1, at), 0.8 * (50 + 37.5 / 1.75) / 100, 1e-9,
            "the other has had 12.5 s of its first phase, and of its second");
  at = sheet_column (&s, "predicted_seconds_on_2_to_accuracy");
  tap_near (sheet_at (&s, 0, at), 50, 1e-9, "100 steps of half a second");
  tap_near (sheet_at (&s, 1, at), 100, 1e-9,
            "50 steps of a quarter, 50 of 1.75");
  at = sheet_column (&s, "equal_predicted_seconds_on_2");
  tap_near (sheet_at (&s, 1, at), 50, 1e-9, "as far as both have come");
  at = sheet_column (&s, "accuracy_at_predicted_seconds_on_3");
  tap_ok (at >= 0 && isnan (sheet_at (&s, 0, at)),
          "what is not known is left empty");
  text_clear (&out);
  for (int form = REPORT_HTML; form <= REPORT_TEXT; form++) {
    spec.form = (enum report_form)form;
    text_init (&out);
    tap_ok (report_make (&spec, &out) == OK &&
                strstr (out.data, "no time is predicted on 3 ranks for near "
                                  "and 1 more: nobody has three") &&
                strstr (out.data, "step ms, predicted on 2 ranks") &&
                strstr (out.data, "Predicted times are not measured"),
            "form %d says what is predicted, and what is not known", form);
    if (form == REPORT_HTML)
      tap_ok (strstr (out.data, "predicted training time on 2 ranks") &&
                  !strstr (out.data, "predicted training time on 3 ranks"),
              "an axis where the time is known");
    text_clear (&out);
  }
  pool_clear (&p);
}

/* A strategy that changes after 30 and after 70 of 100 steps. */
static void
test_phases (void)
{
  struct made m = {"changing", "1", "gap-fc", "0.1", 1, 2, 0.8, 2};
  char dirs[1][512], file[600];
  struct text out;
  struct pool p = {0};
  struct run r;
  made_run (&m, dirs[0]);
  snprintf (file, sizeof file, "%s/config.ini", dirs[0]);
  FILE *f = fopen (file, "a");
  if (f) {
    fputs ("[strategy]\ndial = 0:local, 30%:2 own=0.2, 70:0 1/0 1\n", f);
    fclose (f);
  }
  tap_ok (run_read (&p, dirs[0], &r) == OK && r.n_phases == 3 &&
              r.phase[0].first == 0 && r.phase[1].first == 30 &&
              r.phase[2].first == 70,
          "where phases begin");
  tap_ok (strcmp (r.phase[0].words, "local") == 0 &&
              strcmp (r.phase[1].words, "2 own 0.2") == 0 &&
              strcmp (r.phase[2].words, "table") == 0,
          "what they are called");
  tap_near (run_place (&r, AXIS_SAMPLES, 30), 30 * 64, 1e-9, "in samples");
  tap_near (run_place (&r, AXIS_SECONDS, 35), 70, 1e-9,
            "in seconds, between two rows");
  tap_near (run_place (&r, AXIS_SECONDS, 5), 10, 1e-9, "before the first");
  tap_ok (isnan (run_place (&r, AXIS_SECONDS, 101)), "not behind the last");
  text_init (&out);
  int marks = 0, words = 0;
  tap_ok (make (1, dirs, false, REPORT_HTML, &out) == OK, "a page of it");
  for (const char *at = out.data; (at = strstr (at, " mark\" d=\"M")); at++)
    marks++;
  for (const char *at = out.data; (at = strstr (at, ">2 own 0.2</text>")); at++)
    words++;
  tap_ok (marks > 0 && marks % 2 == 0 && words == 10 &&
              strstr (out.data, "there is a tick"),
          "two ticks on each line (%d), with words in the large ones (%d)",
          marks, words);
  text_clear (&out);
  pool_clear (&p);
}

/* People read what is equal in the note; no column without a title. */
static void
test_aside (void)
{
  struct made m = {"aside", "1", "gap-fc", "0.1", 1, 2, 0.8, 1};
  char dirs[1][512];
  struct text out;
  made_run (&m, dirs[0]);
  for (int form = REPORT_HTML; form <= REPORT_LATEX; form++) {
    if (form == REPORT_CSV)
      continue;
    text_init (&out);
    bool good = make (1, dirs, false, (enum report_form)form, &out) == OK;
    const char *head =
        good ? strstr (out.data, "core-seconds to accuracy") : NULL;
    const char *row = head ? head + strlen ("core-seconds to accuracy") : "";
    tap_ok (strncmp (row, "</th></tr>", 10) == 0 || *row == '\n' ||
                strncmp (row, " \\\\\n", 4) == 0,
            "form %d ends with the time to an accuracy", form);
    text_clear (&out);
  }
}

static void
test_unlike (void)
{
  struct made m[] = {{"one", "1", "gap-fc", "0.1", 1, 2, 0.8, 1},
                     {"two", "1", "gap-fc", "0.05", 1, 2, 0.8, 1},
                     {"three", "2", "ln-gap-fc", "0.1", 2, 2, 0.8, 1}};
  char dirs[3][512];
  struct text out;
  for (int i = 0; i < 3; i++)
    made_run (&m[i], dirs[i]);
  text_init (&out);
  enum status s = make (3, dirs, false, REPORT_TEXT, &out);
  tap_ok (s == E_CONFIG && out.size == 0 &&
              strstr (fail_message (), "train.lr: 0.1 (one and 1 more), 0.05 "
                                       "(two)") &&
              strstr (fail_message (), "--unlike"),
          "another learning rate is refused by its name and values");
  fail_clear ();
  s = make (3, dirs, true, REPORT_TEXT, &out);
  tap_ok (s == OK && strstr (out.data, "UNLIKE") &&
              strstr (out.data, "train.lr: 0.1") &&
              strstr (out.data, "lr 0.05"),
          "compared when asked to, and said");
  text_clear (&out);
  text_init (&out);
  memcpy (dirs[1], dirs[2], sizeof dirs[1]);
  tap_ok (make (2, dirs, false, REPORT_TEXT, &out) == OK,
          "another head, span and seed are the subject");
  text_clear (&out);
}

/* Keys that an older version did not know: what it did. */
static void
test_older (void)
{
  struct made m[] = {{"newer", "1", "gap-fc", "0.1", 1, 2, 0.8, 1},
                     {"older", "1", "gap-fc", "0.1", 2, 2, 0.8, 1}};
  char dirs[2][512], file[600];
  struct text out;
  for (int i = 0; i < 2; i++)
    made_run (&m[i], dirs[i]);
  snprintf (file, sizeof file, "%s/config.ini", dirs[0]);
  FILE *f = fopen (file, "a");
  if (f) {
    fputs ("smoothing = 0\n[model]\nresidual = plain\n", f);
    fclose (f);
  }
  text_init (&out);
  tap_ok (make (2, dirs, false, REPORT_CSV, &out) == OK &&
              strstr (out.data, "\nlocal,2,"),
          "are no difference");
  text_clear (&out);
  f = fopen (file, "a");
  if (f) {
    fputs ("[train]\nclip = 2\n", f);
    fclose (f);
  }
  text_init (&out);
  tap_ok (make (2, dirs, false, REPORT_CSV, &out) == E_CONFIG &&
              strstr (fail_message (), "train.clip: 2 (newer), 0 (older)"),
          "unless the newer run does something else");
  fail_clear ();
  text_clear (&out);
}

/* One of two seeds has no evaluation before the time at which all are compared;
 * where a run is not the like of others, a table for print says so as well. */
static void
test_print (void)
{
  struct made m[] = {{"quick", "1", "gap-fc", "0.1", 1, 2, 0.8, 0.05},
                     {"slow", "2", "gap-fc", "0.1", 1, 2, 0.8, 1},
                     {"slow2", "2", "gap-fc", "0.1", 2, 2, 0.8, 0.05},
                     {"other", "2", "gap-fc", "0.5", 2, 2, 0.8, 0.05}};
  char dirs[4][512];
  struct text out;
  for (int i = 0; i < 4; i++)
    made_run (&m[i], dirs[i]);
  text_init (&out);
  tap_ok (make (3, dirs, false, REPORT_LATEX, &out) == OK &&
              strstr (out.data, "$ {\\scriptsize 1 of 2 runs} &"),
          "a mean over some of the runs is marked in LaTeX");
  tap_ok (strncmp (out.data, "% ", 2) == 0 &&
              strstr (out.data, "6,400 samples") &&
              strstr (out.data, "6,400 samples") < strstr (out.data, "\\begin"),
          "what is equal is told above the table");
  text_clear (&out);
  text_init (&out);
  tap_ok (make (4, dirs, true, REPORT_LATEX, &out) == OK &&
              strncmp (out.data, "% train.lr: 0.1", 15) == 0,
          "and what is unlike");
  text_clear (&out);
}

/* Networks for images, word by word. */
static void
test_images (void)
{
  static const char golden[] =
      "% Accuracy of the network's own output on the split valid; mean ± "
      "standard deviation, [95 % confidence of the mean, Student's t]. Equal "
      "means what every run has reached: 6,400 samples; 1.25e+11 executed "
      "FLOPs; 1 min 40 s of training; 0.0556 core-hours; between two "
      "evaluations the line between them is taken. Wall time is that of "
      "training steps, over all starts of a run, without evaluation and "
      "without steps that were lost. The accuracy to be reached is 80 %.\n"
      "% needs \\usepackage{booktabs,textcomp} and [T1]{fontenc}\n"
      "\\begin{tabular}{lrrrrrrr}\n"
      "\\toprule\n"
      "strategy & runs & \\% at equal samples & \\% at equal executed FLOPs & "
      "\\% at equal wall time & \\% at equal core-hours & seconds to accuracy "
      "& core-seconds to accuracy \\\\\n"
      "\\midrule\n"
      "local & $1$ & $80.00$ & $80.00$ & $80.00$ & $80.00$ & $100.0$ & $200.0$ "
      "\\\\\n"
      "\\bottomrule\n"
      "\\end{tabular}\n"
      "% The newest evaluation on the split valid. The last head is the "
      "network's own output; a silent head is one from which no stage learns.\n"
      "% needs \\usepackage{booktabs,textcomp} and [T1]{fontenc}\n"
      "\\begin{tabular}{lrrr}\n"
      "\\toprule\n"
      "strategy & head & accuracy \\% & loss \\\\\n"
      "\\midrule\n"
      "local & $0$ & $40.00$ & $0.3000$ \\\\\n"
      "local & $1$ & $80.00$ & $0.4000$ \\\\\n"
      "\\bottomrule\n"
      "\\end{tabular}\n"
      "% Left out, since no run tells: test %.\n"
      "% needs \\usepackage{booktabs,textcomp} and [T1]{fontenc}\n"
      "\\begin{tabular}{lllrrrrrrrr}\n"
      "\\toprule\n"
      "run & strategy & state & seed & ranks & threads & steps & starts & "
      "steps lost & training s & valid \\% \\\\\n"
      "\\midrule\n"
      "image & local & finished & $1$ & $2$ & $1$ & $100$ & $1$ & $0$ & "
      "$100.0$ & $80.00$ \\\\\n"
      "\\bottomrule\n"
      "\\end{tabular}\n";
  struct made m = {"image", "1", "gap-fc", "0.1", 1, 2, 0.8, 1};
  char dir[512];
  struct text out;
  made_run (&m, dir);
  text_init (&out);
  for (int i = 0; i < 3; i++) {
    static const char *const tables[] = {"compare", "heads", "runs"};
    struct report_spec spec = {.n_paths = 1,
                               .paths = (const char *const[]){dir},
                               .form = REPORT_LATEX,
                               .table = tables[i]};
    report_make (&spec, &out);
  }
  bool good = strcmp (out.data, golden) == 0;
  tap_ok (good, "networks for images are compared by accuracy, in these words");
  if (!good)
    fprintf (stderr, "%s", out.data);
  text_clear (&out);
}

/* The terminal's picture of accuracies that hardly differ. */
static void
test_plot (void)
{
  struct made m = {"flat", "1", "gap-fc", "0.1", 1, 2, 1e-4, 1};
  char dirs[1][512], last[16] = "";
  struct text out;
  int rows = 0, same = 0;
  made_run (&m, dirs[0]);
  text_init (&out);
  tap_ok (make (1, dirs, false, REPORT_TEXT, &out) == OK, "a flat run");
  for (const char *p = out.data; (p = strstr (p, " |")); p++) {
    char here[16];
    snprintf (here, sizeof here, "%.7s", p - 7);
    same += strcmp (here, last) == 0;
    strcpy (last, here);
    rows++;
  }
  tap_ok (rows == 14 && same == 0, "no two of %d rows have the same label (%d)",
          rows, same);
  text_clear (&out);
}

/* Old and broken directories. */
static void
test_missing (void)
{
  struct made m = {"old", "2", "gap-fc", "0.1", 1, 3, 0.8, 1};
  char dirs[3][512];
  struct text out;
  static const char *const files[] = {"facts.ini", "summary.csv",
                                      "events.jsonl", "config.ini"};
  text_init (&out);
  made_run (&m, dirs[0]);
  for (int i = 0; i < 4; i++) {
    char path[1024];
    snprintf (path, sizeof path, "%s/%s", dirs[0], files[i]);
    unlink (path);
    for (int form = REPORT_HTML; form <= REPORT_LATEX; form++)
      tap_ok (make (1, dirs, false, (enum report_form)form, &out) == OK,
              "a run without %s, form %d", files[i], form);
  }
  tap_ok (strstr (out.data, "not recorded") != NULL,
          "what is not there is not recorded");
  made_put (dirs[0], "metrics.csv", "step,ep");
  tap_ok (make (1, dirs, false, REPORT_HTML, &out) == OK,
          "half of a header alone");
  snprintf (dirs[1], sizeof dirs[1], "%s/empty", scratch_folder);
  mkdir (dirs[1], 0777);
  tap_ok (make (1, dirs + 1, false, REPORT_TEXT, &out) == E_MISSING,
          "no run at all");
  fail_clear ();
  text_clear (&out);
}

int
main (void)
{
  if (!scratch_open ()) {
    tap_bail ("no folder for scratch files");
    return tap_done ();
  }
  test_student ();
  test_sheet ();
  test_sheet_memory ();
  test_files ();
  test_clock ();
  test_budget ();
  test_on ();
  test_phases ();
  test_aside ();
  test_unlike ();
  test_older ();
  test_print ();
  test_images ();
  test_plot ();
  test_missing ();
  scratch_close ();
  return tap_done ();
}
