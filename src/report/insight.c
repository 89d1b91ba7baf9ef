/* report/insight.c -- why strategies differ, as tables and pictures: what
 * probes have found in the outputs of stages, and where gradients point.
 */
#include "report/report_impl.h"

#include <stdio.h>

#define COLUMNS(t, c) \
  ((t)->column = (c), (t)->n_columns = (int)(sizeof (c) / sizeof *(c)))

/* -- probes ---------------------------------------------------------------- */

static const struct column probe_columns[] = {
    {"strategy", "strategy", COLUMN_TEXT, 1, 0},
    {"stage", "stage", COLUMN_NUMBER, 1, 0},
    {"accuracy", "accuracy %", COLUMN_STAT, 100, 2},
    {"bits_per_token", "bits per token", COLUMN_STAT, 1, 3},
    {"effective_rank", "effective rank", COLUMN_STAT, 1, 2},
    {"participation_ratio", "participation ratio", COLUMN_STAT, 1, 2},
    {"features", "features", COLUMN_NUMBER, 1, 0},
};

void
insight_probe (struct report *r, struct table *t)
{
  static const enum finding shown[] = {FOUND_ACCURACY, FOUND_BITS,
                                       FOUND_EFFECTIVE, FOUND_PARTICIPATION};
  COLUMNS (t, probe_columns);
  struct filling f = {r, t, 0};
  int rows = 0;
  for (int i = 0; i < r->n_groups; i++)
    rows += probe_stages (r, &r->group[i]);
  table_rows (r, t, rows);
  for (int i = 0; i < r->n_groups; i++)
    for (int k = 0; k < probe_stages (r, &r->group[i]); k++) {
      const struct group *g = &r->group[i];
      table_put_text (&f, g->label);
      table_put_number (&f, k);
      for (int c = 0; c < 4; c++) {
        const struct probe_place at = {shown[c], k};
        table_put_stat (&f, g, probe_of, &at);
        if (!r->bits && shown[c] == FOUND_BITS)
          t->cell[f.at - 1].text = "-";
      }
      const struct probe_place width = {FOUND_FEATURES, k};
      table_put_number (&f, group_stat (r, g, probe_of, &width).mean);
    }
  probe_note (r, &t->note);
}

static const struct column cka_columns[] = {
    {"strategy", "strategy", COLUMN_TEXT, 1, 0},
    {"stage", "stage", COLUMN_NUMBER, 1, 0},
    {"other", "other", COLUMN_TEXT, 1, 0},
    {"other_stage", "other stage", COLUMN_NUMBER, 1, 0},
    {"cka", "linear CKA", COLUMN_STAT, 1, 3},
};

void
insight_cka (struct report *r, struct table *t)
{
  COLUMNS (t, cka_columns);
  struct filling f = {r, t, 0};
  const struct likeness *map = r->map;
  int n = r->n_maps, rows = 0;
  for (int i = 0; i < n; i++)
    rows += map[i].n[0] * map[i].n[1];
  table_rows (r, t, rows);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < map[i].n[0] * map[i].n[1]; k++) {
      table_put_text (&f, r->group[map[i].of[0]].label);
      table_put_number (&f, k / map[i].n[1]);
      table_put_text (&f,
                      map[i].within ? "itself" : r->group[map[i].of[1]].label);
      table_put_number (&f, k % map[i].n[1]);
      table_next (&f)->s = map[i].value[k];
    }
  probe_note (r, &t->note);
}

static double
found_accuracy (const struct report *r, const struct run *run, int stage)
{
  return probe_of (r, run, &(struct probe_place){FOUND_ACCURACY, stage});
}

static double
found_bits (const struct report *r, const struct run *run, int stage)
{
  return probe_of (r, run, &(struct probe_place){FOUND_BITS, stage});
}

static double
found_effective (const struct report *r, const struct run *run, int stage)
{
  return probe_of (r, run, &(struct probe_place){FOUND_EFFECTIVE, stage});
}

static double
found_participation (const struct report *r, const struct run *run, int stage)
{
  return probe_of (r, run, &(struct probe_place){FOUND_PARTICIPATION, stage});
}

void
picture_probe (struct report *r, struct text *out)
{
  static const struct depth accuracy = {.of = found_accuracy,
                                        .percent = true,
                                        .title = "accuracy of the probe, %"},
                            bits = {.of = found_bits,
                                    .title = "bits per token of the probe"},
                            rank[] = {{.of = found_effective,
                                       .from_zero = true,
                                       .title = "effective rank"},
                                      {.of = found_participation,
                                       .from_zero = true,
                                       .title = "participation ratio"}};
  if (!r->probed)
    return;
  struct text note;
  text_init (&note);
  probe_note (r, &note);
  text_add (out, "<figure id=\"probe\"><figcaption>What the output of each "
                 "stage still knows: a linear classifier on it, and how many "
                 "directions it uses. ");
  escape_html (note.data, out);
  text_add (out, "</figcaption>\n");
  text_clear (&note);
  depth_chart (r, out, r->bits ? &bits : &accuracy, CHART_FULL);
  text_add (out, "<div class=\"row\">");
  for (int i = 0; i < 2; i++)
    depth_chart (r, out, &rank[i], CHART_HALF);
  text_add (out, "</div>\n</figure>\n");
}

/* -- agreement of gradients ------------------------------------------------ */

static const struct column agreement_columns[] = {
    {"strategy", "strategy", COLUMN_TEXT, 1, 0},
    {"stage", "stage", COLUMN_NUMBER, 1, 0},
    {"cosine_mean", "cosine, mean", COLUMN_STAT, 1, 3},
    {"cosine_last", "cosine, last", COLUMN_STAT, 1, 3},
    {"norm_ratio_mean", "norm ratio, mean", COLUMN_STAT, 1, 3},
    {"norm_ratio_last", "norm ratio, last", COLUMN_STAT, 1, 3},
};

/* Of a column of a stage: its mean over training, or its last number. */
struct agreement_place {
  const char *what;
  int stage;
  bool last;
};

static double
agreement_of (const struct run *run, const struct agreement_place *at)
{
  struct pool p = {0};
  char name[METRIC_NAME];
  size_t rows = (size_t)run->metrics.n_rows + 1;
  double *x = pool_take (&p, rows, sizeof *x);
  double *y = pool_take (&p, rows, sizeof *y), sum = 0, out = NAN;
  int n;
  run_points (run, SPLIT_AGREEMENT,
              store_metric_stage (at->stage, at->what, name), AXIS_STEPS, &n, x,
              y);
  for (int i = 0; i < n; i++)
    sum += y[i];
  if (n > 0)
    out = at->last ? y[n - 1] : sum / n;
  pool_clear (&p);
  return out;
}

static int
agreement_stages (const struct report *r, const struct group *g)
{
  char name[METRIC_NAME];
  int K = 0;
  for (int i = 0; i < g->n; i++)
    for (int k = K; k < g->K; k++) {
      store_metric_stage (k, METRIC_COSINE, name);
      if (isfinite (run_last (&r->run[g->run[i]], SPLIT_AGREEMENT, name)))
        K = k + 1;
    }
  return K;
}

static double
of_agreement (const struct report *r, const struct run *run, const void *how)
{
  (void)r;
  return agreement_of (run, how);
}

void
insight_agreement (struct report *r, struct table *t)
{
  static const char *const name[] = {"cosine", "norm_ratio"};
  COLUMNS (t, agreement_columns);
  struct filling f = {r, t, 0};
  int rows = 0;
  for (int i = 0; i < r->n_groups; i++)
    rows += agreement_stages (r, &r->group[i]);
  table_rows (r, t, rows);
  for (int i = 0; i < r->n_groups; i++)
    for (int k = 0; k < agreement_stages (r, &r->group[i]); k++) {
      table_put_text (&f, r->group[i].label);
      table_put_number (&f, k);
      for (int c = 0; c < 4; c++) {
        const struct agreement_place at = {name[c / 2], k, c % 2};
        table_put_stat (&f, &r->group[i], of_agreement, &at);
      }
    }
  text_add (&t->note,
            "The gradient from which a stage learns against that of the last "
            "loss end to end, of one micro-batch: cosine, and norm of the "
            "first over that of the second.");
}

static double
mean_cosine (const struct report *r, const struct run *run, int stage)
{
  (void)r;
  return agreement_of (run,
                       &(struct agreement_place){METRIC_COSINE, stage, false});
}

static double
mean_ratio (const struct report *r, const struct run *run, int stage)
{
  (void)r;
  return agreement_of (
      run, &(struct agreement_place){METRIC_NORM_RATIO, stage, false});
}

void
picture_agreement (struct report *r, struct text *out)
{
  static const struct series cosine = {SPLIT_AGREEMENT, store_metric_stage,
                                       "stage", METRIC_COSINE, "cosine"},
                             ratio = {SPLIT_AGREEMENT, store_metric_stage,
                                      "stage", METRIC_NORM_RATIO, "norm ratio"};
  static const struct depth by_depth[] = {
      {.of = mean_cosine, .title = "cosine, mean over training"},
      {.of = mean_ratio, .title = "norm ratio, mean over training"}};
  size_t before = out->size;
  text_add (out,
            "<figure id=\"agreement\"><figcaption>Where the gradients point: "
            "cosine between the gradient from which a stage learns and that of "
            "the last loss end to end, of one micro-batch (1: the same "
            "direction), and the ratio of their norms; by depth, and over "
            "steps.</figcaption>\n");
  svg_legend (r, out);
  text_add (out, "<div class=\"row\">");
  size_t empty = out->size;
  for (int i = 0; i < 2; i++)
    depth_chart (r, out, &by_depth[i], CHART_HALF);
  if (out->size == empty) {
    out->data[out->size = before] = '\0';
    return;
  }
  text_add (out, "</div>\n");
  series_row (r, out, &cosine, AXIS_STEPS);
  series_row (r, out, &ratio, AXIS_STEPS);
  text_add (out, "</figure>\n");
}
