/* report/pair_rows.c -- two runs' rows of metrics.csv: digests of weights, and
 * losses.
 *
 * A row that a second start has written again counts in place of the first.
 */
#include "report/pair_impl.h"

#include <stdio.h>
#include <string.h>

static void
begin (struct apart *f, const char *kind)
{
  *f = (struct apart){.kind = kind, .same = -1, .step = -1, .stage = -1};
  text_init (&f->words);
}

/* Counts a step that both runs have.  f->step becomes the first one that
 * differs, f->same the last equal one before it. */
static void
count (struct apart *f, int64_t step, bool same)
{
  f->steps++;
  if (same && f->step < 0)
    f->same = step;
  else if (!same && f->step < 0)
    f->step = step;
}

/* -- digests ----------------------------------------------------------------
 */

struct column_words { /* of one stage */
  struct sheet sheet; /* its text is the stage's */
  int steps;          /* column */
};

static int
count_stages (const struct sheet *m)
{
  char name[METRIC_NAME];
  int k = 0;
  while (sheet_column (m, store_metric_stage (k, METRIC_DIGEST, name)) >= 0)
    k++;
  return k;
}

static struct column_words *
read_stages (struct pool *p, const struct side *s, int K)
{
  struct column_words *out = pool_take (p, (size_t)K, sizeof *out);
  for (int k = 0; k < K; k++) {
    char name[METRIC_NAME];
    sheet_read_with (p, s->metrics, store_metric_stage (k, METRIC_DIGEST, name),
                     &out[k].sheet);
    out[k].steps = sheet_column (&out[k].sheet, METRIC_STEP);
  }
  return out;
}

/* The last row of a step that has a digest; -1: none. */
static int
row_of (const struct column_words *w, double step)
{
  for (int i = w->sheet.n_rows - 1; i >= 0; i--)
    if (sheet_at (&w->sheet, i, w->steps) == step && w->sheet.text[i][0])
      return i;
  return -1;
}

/* Two rows of one step; the stages that differ are told. */
static void
compare_digests (const struct column_words *a, int i,
                 const struct column_words *b, int j, int K, struct apart *f)
{
  int n = 0, first = -1;
  bool tell = f->step < 0;
  struct text list;
  text_init (&list);
  for (int k = 0; k < K; k++)
    if (strcmp (a[k].sheet.text[i], b[k].sheet.text[j]) != 0) {
      first = first < 0 ? k : first;
      text_add (&list, "%s%d", n++ ? ", " : "", k);
    }
  count (f, (int64_t)sheet_at (&a->sheet, i, a->steps), n == 0);
  if (n > 0 && tell) {
    f->stage = first;
    text_add (&f->words, "stage%s %s of 0 to %d; stage %d: %s and %s",
              n == 1 ? "" : "s", list.data, K - 1, first,
              a[first].sheet.text[i], b[first].sheet.text[j]);
  }
  text_clear (&list);
}

void
pair_digests (struct pool *p, const struct side *a, const struct side *b,
              struct apart *f)
{
  int K = count_stages (&a->run.metrics);
  begin (f, "digests of weights");
  if (K == 0 || count_stages (&b->run.metrics) == 0) {
    text_add (&f->words, "not both have them (run.digests)");
    return;
  }
  if (K != count_stages (&b->run.metrics) || !pair_same_stages (a, b)) {
    text_add (&f->words, "their stages are not the same blocks");
    return;
  }
  struct column_words *of_a = read_stages (p, a, K),
                      *of_b = read_stages (p, b, K);
  for (int i = 0; i < of_a->sheet.n_rows; i++) {
    double step = sheet_at (&of_a->sheet, i, of_a->steps);
    int j = row_of (of_b, step);
    if (row_of (of_a, step) == i && j >= 0)
      compare_digests (of_a, i, of_b, j, K, f);
  }
}

/* -- losses ------------------------------------------------------------------
 */

/* The same split and step in another run; -1: none. */
static int
like (const struct sheet *s, double split, double step)
{
  int steps = sheet_column (s, METRIC_STEP);
  for (int i = s->n_rows - 1; i >= 0; i--)
    if (sheet_at (s, i, s->split) == split && sheet_at (s, i, steps) == step)
      return i;
  return -1;
}

/* Step of the row before of the same split; 0: none. */
static double
step_before (const struct sheet *s, int row)
{
  int steps = sheet_column (s, METRIC_STEP);
  double split = sheet_at (s, row, s->split);
  for (int i = row - 1; i >= 0; i--)
    if (sheet_at (s, i, s->split) == split)
      return sheet_at (s, i, steps);
  return 0;
}

/* Rows of training are means over the steps since the row before: comparable
 * only if both began at the same step. */
static bool
may_compare (const struct sheet *a, int i, const struct sheet *b, int j)
{
  return sheet_at (a, i, a->split) != DATA_TRAIN ||
         step_before (a, i) == step_before (b, j);
}

struct head_pair {
  int column[2]; /* of the loss */
  int head;      /* in A */
};

/* The heads that can be compared: all if both runs have the same stages, else
 * only the last one, which is the output of the network. */
static int
pair_heads (const struct side *a, const struct side *b,
            struct head_pair out[REPORT_HEADS])
{
  int K[2] = {a->run.K, b->run.K}, n = 0;
  bool same = pair_same_stages (a, b);
  const struct sheet *m[2] = {&a->run.metrics, &b->run.metrics};
  char name[METRIC_NAME];
  for (int h = 0; h < K[0]; h++) {
    struct head_pair *q = &out[n];
    if (!same && h < K[0] - 1)
      continue;
    q->head = h;
    for (int i = 0; i < 2; i++) {
      store_metric_head (same ? h : K[i] - 1, METRIC_LOSS, name);
      q->column[i] = sheet_column (m[i], name);
    }
    n += q->column[0] >= 0 && q->column[1] >= 0;
  }
  return n;
}

/* Number of the first head that differs, n: none; *seen: one has a number. */
static int
first_head (const struct side *a, int i, const struct side *b, int j,
            const struct head_pair *pair, int n, bool *seen)
{
  *seen = false;
  for (int h = 0; h < n; h++) {
    double x = sheet_at (&a->run.metrics, i, pair[h].column[0]);
    double y = sheet_at (&b->run.metrics, j, pair[h].column[1]);
    if (isnan (x) || isnan (y))
      continue;
    *seen = true;
    if (x != y)
      return h;
  }
  return n;
}

/* Row i of A against B's of the same split and step: -1: nothing to compare, n:
 * the same, else the number of the first head that differs. */
static int
judge (const struct side *a, int i, const struct side *b,
       const struct head_pair *pair, int n)
{
  const struct sheet *m[2] = {&a->run.metrics, &b->run.metrics};
  double split = sheet_at (m[0], i, m[0]->split);
  double step = sheet_at (m[0], i, sheet_column (m[0], METRIC_STEP));
  int j = like (m[1], split, step);
  bool seen;
  if (!(split >= 0 && split < DATA_SPLITS) || j < 0 ||
      like (m[0], split, step) != i || !may_compare (m[0], i, m[1], j))
    return -1;
  int h = first_head (a, i, b, j, pair, n, &seen);
  return seen ? h : -1;
}

static void
tell_head (const struct side *a, int i, const struct side *b,
           const struct head_pair *pair, struct apart *f)
{
  const struct sheet *m[2] = {&a->run.metrics, &b->run.metrics};
  double split = sheet_at (m[0], i, m[0]->split);
  int j = like (m[1], split, (double)f->step);
  f->stage = pair_same_stages (a, b) ? pair->head : -1;
  f->before = true;
  text_add (
      &f->words, "%shead %d on %s: %.9g and %.9g", f->words.size ? "; " : "",
      pair->head, data_split_name ((enum data_split)split),
      sheet_at (m[0], i, pair->column[0]), sheet_at (m[1], j, pair->column[1]));
}

void
pair_losses (struct pool *p, const struct side *a, const struct side *b,
             struct apart *f)
{
  const struct sheet *m = &a->run.metrics;
  struct head_pair *pair = pool_take (p, REPORT_HEADS, sizeof *pair);
  int n = pair_heads (a, b, pair), steps = sheet_column (m, METRIC_STEP);
  int row = -1, head = n;
  begin (f, "losses");
  if (!pair_same_stages (a, b))
    text_add (&f->words, "of the last head alone: the stages are not the same "
                         "blocks");
  for (int i = 0; i < m->n_rows; i++) {
    int64_t step = (int64_t)sheet_at (m, i, steps);
    int h = judge (a, i, b, pair, n);
    f->steps += h >= 0;
    if (h >= 0 && h < n && (f->step < 0 || step < f->step)) {
      f->step = step;
      row = i;
      head = h;
    }
  }
  for (int i = 0; i < m->n_rows; i++) {
    int64_t step = (int64_t)sheet_at (m, i, steps);
    if (judge (a, i, b, pair, n) == n && step > f->same &&
        (f->step < 0 || step < f->step))
      f->same = step;
  }
  if (row >= 0)
    tell_head (a, row, b, &pair[head], f);
}
