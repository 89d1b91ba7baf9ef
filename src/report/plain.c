/* report/plain.c -- the report for a terminal. */
#include "report/report_impl.h"

#include <string.h>

#define PLOT_WIDTH 64
#define PLOT_HEIGHT 14

/* The measure of the output over samples, a letter for each group. */
static void
plot_fill (struct report *r, const struct axis *x, const struct axis *y,
           const struct curve *c, char cell[PLOT_HEIGHT][PLOT_WIDTH + 1])
{
  memset (cell, ' ', PLOT_HEIGHT * (PLOT_WIDTH + 1));
  for (int i = 0; i < r->n_groups; i++)
    for (int k = 0; k < c[i].n && r->group[i].style >= 0; k++) {
      double across = (c[i].x[k] - x->low) / (x->high - x->low);
      double up = (c[i].mean[k] - y->low) / (y->high - y->low);
      int column = (int)lround (across * (PLOT_WIDTH - 1));
      int row = (int)lround ((1 - up) * (PLOT_HEIGHT - 1));
      if (column >= 0 && column < PLOT_WIDTH && row >= 0 && row < PLOT_HEIGHT)
        cell[row][column] = (char)('a' + r->group[i].style);
    }
  for (int row = 0; row < PLOT_HEIGHT; row++) {
    int n = PLOT_WIDTH;
    while (n > 0 && cell[row][n - 1] == ' ')
      n--;
    cell[row][n] = '\0';
  }
}

static void
plot_print (struct report *r, const struct axis *x, const struct axis *y,
            const struct curve *c, struct text *out)
{
  char cell[PLOT_HEIGHT][PLOT_WIDTH + 1];
  plot_fill (r, x, y, c, cell);
  const struct measure *m = r->measure;
  text_add (out, "%s of the output in %s, %s\n", m->title, m->unit,
            data_split_name (r->split));
  double each = m->scale * (y->high - y->low) / (PLOT_HEIGHT - 1);
  int digits = each < 0.1 ? (int)fmin (ceil (-log10 (each)), 5) : 1;
  for (int row = 0; row < PLOT_HEIGHT; row++) {
    double v = y->high - (y->high - y->low) * row / (PLOT_HEIGHT - 1);
    text_add (out, "%7.*f |%s\n", digits, m->scale * v, cell[row]);
  }
  text_add (out, "        +");
  for (int i = 0; i < PLOT_WIDTH; i++)
    text_add (out, "-");
  text_add (out, "\n         0%*.*f  %s\n", PLOT_WIDTH - 1,
            x->high / x->unit < 100 ? 1 : 0, x->high / x->unit, x->title);
  for (int i = 0; i < r->n_groups; i++)
    if (r->group[i].style >= 0 && c[i].n > 0)
      text_add (out, "         %c  %s\n", 'a' + r->group[i].style,
                r->group[i].label);
  text_add (out, "\n");
}

static void
add_plot (struct report *r, struct text *out)
{
  struct axis x = {.high = NAN}, y = {.low = NAN, .high = NAN};
  struct curve *c = pool_take (&r->pool, (size_t)r->n_groups, sizeof *c);
  int most = 0;
  for (int i = 0; i < r->n_groups; i++) {
    group_curve (r, &r->group[i], r->split,
                 pool_text (&r->pool, "output %s", r->measure->column),
                 AXIS_SAMPLES, &c[i]);
    most = c[i].n > most ? c[i].n : most;
    for (int k = 0; k < c[i].n; k++) {
      x.high = fmax (x.high, c[i].x[k]);
      y.low = fmin (y.low, c[i].mean[k]);
      y.high = fmax (y.high, c[i].mean[k]);
    }
  }
  if (most < 2)
    return;
  axis_run (r, &x, AXIS_SAMPLES, 4);
  axis_make (&y, 4, false);
  plot_print (r, &x, &y, c, out);
}

void
plain_make (struct report *r, struct text *out)
{
  static const char *const names[] = {
      "card",  "differs",   "compare", "cost", "heads", "time",
      "probe", "agreement", "scale",   "runs", "repeat"};
  if (r->unlike.size > 0)
    text_add (out, "UNLIKE RUNS; besides their subject they differ in\n%s\n",
              r->unlike.data);
  if (r->notes.size > 0)
    text_add (out, "%s\n", r->notes.data);
  add_plot (r, out);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct table t;
    table_make (r, names[i], &t);
    if (t.n_rows > 0) {
      table_print (&t, out);
      text_add (out, "\n");
    }
    if (strcmp (names[i], "probe") == 0)
      alike_print (r, out);
    text_clear (&t.note);
  }
}
