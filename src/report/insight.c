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
  card_cuts (r, out);
  text_add (out, "</figcaption>\n");
  text_clear (&note);
  depth_chart (r, out, r->bits ? &bits : &accuracy, CHART_FULL);
  text_add (out, "<div class=\"row\">");
  for (int i = 0; i < 2; i++)
    depth_chart (r, out, &rank[i], CHART_HALF);
  text_add (out, "</div>\n</figure>\n");
}

/* -- numbers of stages while they learn -------------------------------------
 */

/* Of a column of a stage: its mean over training, its last number, its largest.
 */
struct stage_place {
  int split;
  const char *what;
  int stage;
  enum { PLACE_MEAN, PLACE_LAST, PLACE_MOST } how;
};

static double
of_place (const struct report *r, const struct run *run, const void *how)
{
  const struct stage_place *at = how;
  struct pool p = {0};
  char name[METRIC_NAME];
  size_t rows = (size_t)run->metrics.n_rows + 1;
  double *x = pool_take (&p, rows, sizeof *x);
  double *y = pool_take (&p, rows, sizeof *y), sum = 0, most = NAN, out = NAN;
  int n;
  (void)r;
  run_points (run, at->split, store_metric_stage (at->stage, at->what, name),
              AXIS_STEPS, &n, x, y);
  for (int i = 0; i < n; i++) {
    sum += y[i];
    most = fmax (most, y[i]);
  }
  if (n > 0)
    out = at->how == PLACE_LAST   ? y[n - 1]
          : at->how == PLACE_MOST ? most
                                  : sum / n;
  pool_clear (&p);
  return out;
}

/* Stages of which a run of the group has such a column. */
static int
place_stages (const struct report *r, const struct group *g, int split,
              const char *what)
{
  char name[METRIC_NAME];
  int K = 0;
  for (int i = 0; i < g->n; i++)
    for (int k = K; k < g->K; k++) {
      store_metric_stage (k, what, name);
      if (isfinite (run_last (&r->run[g->run[i]], split, name)))
        K = k + 1;
    }
  return K;
}

/* A row for each stage of each group: its name, its number and n places, whose
 * stage is filled in here. */
static void
fill_places (struct report *r, struct table *t, int n,
             const struct stage_place *places)
{
  struct filling f = {r, t, 0};
  const int split = places[0].split;
  const char *what = places[0].what;
  int rows = 0;
  for (int i = 0; i < r->n_groups; i++)
    rows += place_stages (r, &r->group[i], split, what);
  table_rows (r, t, rows);
  for (int i = 0; i < r->n_groups; i++)
    for (int k = 0; k < place_stages (r, &r->group[i], split, what); k++) {
      table_put_text (&f, r->group[i].label);
      table_put_number (&f, k);
      for (int c = 0; c < n; c++) {
        struct stage_place at = places[c];
        at.stage = k;
        table_put_stat (&f, &r->group[i], of_place, &at);
      }
    }
}

/* A figure of two charts by depth, and of n rows of charts over steps; nothing
 * where no run tells of it.  head: from <figure> on, its caption still open. */
static void
stages_figure (struct report *r, struct text *out, const char *head,
               const struct depth by_depth[2], int n,
               const struct series *over_steps)
{
  const size_t before = out->size;
  text_add (out, "%s", head);
  card_cuts (r, out);
  text_add (out, "</figcaption>\n");
  svg_legend (r, out);
  text_add (out, "<div class=\"row\">");
  const size_t empty = out->size;
  for (int i = 0; i < 2; i++)
    depth_chart (r, out, &by_depth[i], CHART_HALF);
  if (out->size == empty) {
    out->data[out->size = before] = '\0';
    return;
  }
  text_add (out, "</div>\n");
  for (int i = 0; i < n; i++)
    series_row (r, out, &over_steps[i], AXIS_STEPS);
  text_add (out, "</figure>\n");
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

void
insight_agreement (struct report *r, struct table *t)
{
  static const struct stage_place places[] = {
      {SPLIT_AGREEMENT, METRIC_COSINE, 0, PLACE_MEAN},
      {SPLIT_AGREEMENT, METRIC_COSINE, 0, PLACE_LAST},
      {SPLIT_AGREEMENT, METRIC_NORM_RATIO, 0, PLACE_MEAN},
      {SPLIT_AGREEMENT, METRIC_NORM_RATIO, 0, PLACE_LAST}};
  COLUMNS (t, agreement_columns);
  fill_places (r, t, 4, places);
  text_add (&t->note,
            "The gradient from which a stage learns against that of the last "
            "loss end to end, of one micro-batch: cosine, and norm of the "
            "first over that of the second.");
}

static double
mean_cosine (const struct report *r, const struct run *run, int stage)
{
  return of_place (
      r, run,
      &(struct stage_place){SPLIT_AGREEMENT, METRIC_COSINE, stage, PLACE_MEAN});
}

static double
mean_ratio (const struct report *r, const struct run *run, int stage)
{
  return of_place (r, run,
                   &(struct stage_place){SPLIT_AGREEMENT, METRIC_NORM_RATIO,
                                         stage, PLACE_MEAN});
}

void
picture_agreement (struct report *r, struct text *out)
{
  static const struct series over_steps[] = {
      {SPLIT_AGREEMENT, store_metric_stage, "stage", METRIC_COSINE, "cosine"},
      {SPLIT_AGREEMENT, store_metric_stage, "stage", METRIC_NORM_RATIO,
       "norm ratio"}};
  static const struct depth by_depth[] = {
      {.of = mean_cosine, .title = "cosine, mean over training"},
      {.of = mean_ratio, .title = "norm ratio, mean over training"}};
  stages_figure (
      r, out,
      "<figure id=\"agreement\"><figcaption>Where the gradients point: "
      "cosine between the gradient from which a stage learns and that of "
      "the last loss end to end, of one micro-batch (1: the same "
      "direction), and the ratio of their norms; by depth, and over "
      "steps.",
      by_depth, 2, over_steps);
}

/* -- how large outputs and gradients are ----------------------------------- */

static const struct column scale_columns[] = {
    {"strategy", "strategy", COLUMN_TEXT, 1, 0},
    {"stage", "stage", COLUMN_NUMBER, 1, 0},
    {"rms_last", "RMS of the output, last", COLUMN_STAT, 1, 3},
    {"rms_most", "largest", COLUMN_STAT, 1, 3},
    {"gradient_norm_mean", "norm of the gradient, mean", COLUMN_STAT, 1, 4},
    {"gradient_norm_last", "last", COLUMN_STAT, 1, 4},
};

void
insight_scale (struct report *r, struct table *t)
{
  static const struct stage_place places[] = {
      {DATA_TRAIN, METRIC_RMS, 0, PLACE_LAST},
      {DATA_TRAIN, METRIC_RMS, 0, PLACE_MOST},
      {DATA_TRAIN, METRIC_GRADIENT, 0, PLACE_MEAN},
      {DATA_TRAIN, METRIC_GRADIENT, 0, PLACE_LAST}};
  COLUMNS (t, scale_columns);
  fill_places (r, t, 4, places);
  text_add (&t->note,
            "Of the steps with which rows of training end: root mean square of "
            "all numbers that a stage hands on, before any border, and norm of "
            "the gradient that its body follows, before clipping.");
}

static double
last_rms (const struct report *r, const struct run *run, int stage)
{
  return of_place (
      r, run, &(struct stage_place){DATA_TRAIN, METRIC_RMS, stage, PLACE_LAST});
}

static double
mean_gradient (const struct report *r, const struct run *run, int stage)
{
  return of_place (
      r, run,
      &(struct stage_place){DATA_TRAIN, METRIC_GRADIENT, stage, PLACE_MEAN});
}

void
picture_scale (struct report *r, struct text *out)
{
  static const struct series rms = {DATA_TRAIN, store_metric_stage, "stage",
                                    METRIC_RMS, "RMS of the output"};
  static const struct depth by_depth[] = {
      {.of = last_rms,
       .from_zero = true,
       .title = "RMS of a stage's output, last"},
      {.of = mean_gradient,
       .from_zero = true,
       .title = "norm of a stage's gradient, mean over training"}};
  stages_figure (r, out,
                 "<figure id=\"scale\"><figcaption>How large what stages hand "
                 "on is, and how large the gradients that they follow are: by "
                 "depth, and over steps. Scales differ between charts.",
                 by_depth, 1, &rms);
}
