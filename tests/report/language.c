/* ranks: 0 */
/* tests/report/language.c -- language models are compared by their loss: bits
 * per byte where all have it, the lowest is the best, and what is reached is
 * reached from above.
 */
#include "tests/report/made.h"
#include "tests/tap.h"

/* A report of language models. */
static enum status
make (int n, char (*dirs)[512], struct report_spec spec, struct text *out)
{
  const char *paths[16];
  for (int i = 0; i < n; i++)
    paths[i] = dirs[i];
  spec.n_paths = n;
  spec.paths = paths;
  text_init (out);
  return report_make (&spec, out);
}

static double
cell (const struct sheet *s, int row, const char *column)
{
  return sheet_at (s, row, sheet_column (s, column));
}

/* The table of that name; empty where there is none. */
static void
table_of (struct pool *p, int n, char (*dirs)[512], const char *name,
          double loss, struct sheet *out)
{
  struct text text;
  struct report_spec spec = {.form = REPORT_CSV, .table = name, .loss = loss};
  enum status s = make (n, dirs, spec, &text);
  sheet_read_with (p, s == OK ? text.data : "", "strategy", out);
  text_clear (&text);
}

static void
make_two (char (*dirs)[512], const char *name, bool bits)
{
  char names[2][32];
  for (int i = 0; i < 2; i++) {
    snprintf (names[i], sizeof names[i], "%s%d", name, i);
    struct made m = {names[i], i ? "all" : "1", "ln-fc",      "0.1", 1,
                     2,        i ? 1.234 : 1.0, i ? 1.0 : 0.5};
    made_run (&m, dirs[i]);
    made_language (&m, dirs[i], bits);
  }
}

/* The fast one falls from 1.9 to 1 in 50 s, the slow one to 1.234 in 100. */
static void
test_compare (void)
{
  static char dirs[2][512];
  struct pool p = {0};
  struct sheet s;
  make_two (dirs, "two", true);
  table_of (&p, 2, dirs, "compare", 0, &s);
  tap_ok (s.n_rows == 2 && sheet_column (&s, "accuracy_at_samples") < 0,
          "a comparison without accuracies");
  tap_near (cell (&s, 0, "bits_per_byte_at_samples"), 1, 1e-8,
            "bits per byte at equal samples");
  tap_near (cell (&s, 1, "bits_per_byte_at_flops"), 1.234, 1e-8,
            "at equal operations");
  tap_near (cell (&s, 1, "bits_per_byte_at_seconds"), 1.734, 1e-8,
            "at equal wall time");
  tap_near (cell (&s, 1, "bits_per_byte_at_core_hours"), 1.734, 1e-8,
            "at equal core-hours");
  tap_near (cell (&s, 0, "bits_per_byte_to_reach"), 1.24, 1e-12,
            "the lowest that both reach, in hundredths");
  tap_near (cell (&s, 0, "seconds_to_bits_per_byte"), 38, 1e-6,
            "the time to it");
  tap_near (cell (&s, 1, "seconds_to_bits_per_byte"), 99.4, 1e-6,
            "of the slow one");
  table_of (&p, 2, dirs, "compare", 1.1, &s);
  tap_near (cell (&s, 0, "core_hours_to_bits_per_byte"), 45 * 2 / 3600.0, 1e-8,
            "the time to a loss that is asked for");
  tap_ok (cell (&s, 0, "bits_per_byte_to_reach") == 1.1 &&
              cell (&s, 1, "seconds_to_bits_per_byte_n") == 0,
          "which one does not reach");
  table_of (&p, 2, dirs, "compare", 7, &s);
  tap_ok (cell (&s, 0, "seconds_to_bits_per_byte") == 5,
          "one that is had from the first evaluation");
  pool_clear (&p);
}

static void
test_seeds (void)
{
  static char dirs[2][512];
  struct pool p = {0};
  struct sheet s;
  for (int i = 0; i < 2; i++) {
    struct made m = {i ? "seed2" : "seed1", "1", "ln-fc", "0.1", 1 + i, 2,
                     1 + 0.5 * i,           1};
    made_run (&m, dirs[i]);
    made_language (&m, dirs[i], true);
  }
  table_of (&p, 2, dirs, "compare", 0, &s);
  tap_near (cell (&s, 0, "bits_per_byte_at_samples"), 1.25, 1e-8, "the mean");
  tap_near (cell (&s, 0, "bits_per_byte_at_samples_sd"), 0.5 / sqrt (2), 1e-8,
            "the deviation");
  tap_near (cell (&s, 0, "bits_per_byte_at_samples_high"),
            1.25 + 12.7062 * 0.25, 1e-4, "and the confidence");
  pool_clear (&p);
}

static void
test_tables (void)
{
  static char dirs[2][512];
  struct pool p = {0};
  struct sheet s;
  make_two (dirs, "tables", true);
  table_of (&p, 2, dirs, "heads", 0, &s);
  tap_ok (s.n_rows == 4 && cell (&s, 1, "bits_per_byte") == 1 &&
              cell (&s, 0, "bits_per_byte") == 1.25 &&
              cell (&s, 0, "accuracy") == 0.25,
          "heads have bits beside accuracies");
  table_of (&p, 2, dirs, "runs", 0, &s);
  tap_ok (cell (&s, 1, "valid_bits_per_byte") == 1.234 &&
              isnan (cell (&s, 1, "test_bits_per_byte")) &&
              cell (&s, 1, "valid_accuracy") == 0.25,
          "and so have runs");
  pool_clear (&p);
}

/* One of them does not tell bits; another has not begun. */
static void
test_units (void)
{
  static char dirs[3][512];
  struct pool p = {0};
  struct sheet s;
  make_two (dirs, "unit", true);
  struct made m = {"unit2", "2", "ln-fc", "0.1", 1, 3, 1.1, 1};
  made_run (&m, dirs[2]);
  made_put (dirs[2], "metrics.csv", "");
  table_of (&p, 3, dirs, "compare", 0, &s);
  tap_near (cell (&s, 0, "bits_per_byte_at_samples"), 1, 1e-8,
            "a run without a row is of any kind");
  made_language (&m, dirs[2], false);
  table_of (&p, 3, dirs, "compare", 0, &s);
  tap_ok (s.n_rows == 3 && sheet_column (&s, "bits_per_byte_at_samples") < 0,
          "where one run has no bits, none is compared by them");
  tap_near (cell (&s, 2, "loss_at_samples"), 1.1 * log (2), 1e-8,
            "but by nats per token");
  tap_near (cell (&s, 1, "loss_to_reach"), 0.86, 1e-12,
            "and so is what is to be reached");
  table_of (&p, 3, dirs, "heads", 0, &s);
  tap_ok (s.n_rows == 7 && s.n_columns == 12,
          "the loss is in the table of heads once");
  pool_clear (&p);
}

static void
test_refusals (void)
{
  static char dirs[3][512];
  struct text out;
  struct made m = {"image", "1", "gap-fc", "0.1", 1, 2, 0.8, 1};
  make_two (dirs, "refused", true);
  made_run (&m, dirs[2]);
  enum status s = make (2, dirs, (struct report_spec){.accuracy = 0.5}, &out);
  tap_ok (s == E_CONFIG && out.size == 0 &&
              strstr (fail_message (), "--loss") &&
              strstr (fail_message (), "bits/byte"),
          "an accuracy of language models is refused, and what to ask is said");
  fail_clear ();
  text_clear (&out);
  s = make (1, dirs + 2, (struct report_spec){.loss = 2}, &out);
  tap_ok (s == E_CONFIG && out.size == 0 &&
              strstr (fail_message (), "--accuracy"),
          "so is a loss of others");
  fail_clear ();
  text_clear (&out);
  struct pool p = {0};
  struct sheet t;
  s = make (3, dirs, (struct report_spec){.form = REPORT_CSV, .unlike = true},
            &out);
  sheet_read (&p, out.data ? out.data : "", &t);
  tap_ok (s == OK && sheet_column (&t, "accuracy_at_samples") > 0,
          "both kinds side by side have accuracies alone in common");
  pool_clear (&p);
  text_clear (&out);
}

/* The terminal's picture falls from the left to the right. */
static void
test_plot (void)
{
  static char dirs[2][512];
  struct text out;
  make_two (dirs, "plot", true);
  tap_ok (make (1, dirs, (struct report_spec){.form = REPORT_TEXT}, &out) == OK,
          "a text for the terminal");
  const char *top =
      strstr (out.data, "loss of the output in bits/byte, valid\n");
  int at = 0, falls = 0, rows = 0, scale = 0;
  char line[100];
  while (top && rows < 14 && (top = strchr (top, '\n'))) {
    top++;
    snprintf (line, sizeof line, "%.*s", (int)strcspn (top, "\n"), top);
    scale += atof (line) >= 0.9 && atof (line) <= 2.5;
    const char *a = strchr (line, 'a');
    falls += a && (int)(a - line) > at;
    at = a ? (int)(a - line) : at;
    rows++;
  }
  tap_ok (falls >= 8 && scale == 14 &&
              !strstr (out.data, "accuracy of the output"),
          "its picture is of the loss, which falls (%d times)", falls);
  text_clear (&out);
}

/* Thirteen groups; all but the worst are drawn.  Two are in one cell of a map:
 * the lower counts. */
static void
test_best (void)
{
  static char dirs[13][512];
  struct text out;
  for (int i = 0; i < 13; i++) {
    char name[16], lr[16];
    snprintf (name, sizeof name, "best%d", i);
    snprintf (lr, sizeof lr, "0.%03d", i + 1);
    struct made m = {name, i % 2 ? "2" : "1", "ln-fc",     lr,
                     1,    2 + i / 2 % 2,     3 - 0.1 * i, 1};
    made_run (&m, dirs[i]);
    made_language (&m, dirs[i], true);
  }
  struct report_spec spec = {.form = REPORT_TEXT, .unlike = true};
  tap_ok (make (13, dirs, spec, &out) == OK &&
              strstr (out.data, "the 12 groups with the fewest bits per byte"),
          "of thirteen groups the best are drawn");
  tap_ok (!strstr (out.data, "lr 0.001, K = 2, local\n") &&
              strstr (out.data, "lr 0.013, K = 2, local\n"),
          "the lowest is the best");
  text_clear (&out);
  spec.form = REPORT_HTML;
  tap_ok (make (13, dirs, spec, &out) == OK, "a page of them");
  const char *map = out.data ? strstr (out.data, "<figure id=\"sweep\"") : NULL;
  tap_ok (map && strstr (map, ">1.8000</text>") &&
              !strstr (map, ">3.0000</text>"),
          "a cell of the map has the lowest");
  text_clear (&out);
}

int
main (void)
{
  if (!scratch_open ()) {
    tap_bail ("no folder for scratch files");
    return tap_done ();
  }
  test_compare ();
  test_seeds ();
  test_tables ();
  test_units ();
  test_refusals ();
  test_plot ();
  test_best ();
  scratch_close ();
  return tap_done ();
}
