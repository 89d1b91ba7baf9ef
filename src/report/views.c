/* report/views.c -- losses and accuracies while runs learn: along samples,
 * steps, time, operations and core-hours, as the reader chooses.
 */
#include "report/report_impl.h"

#include <string.h>

static const struct {
  enum run_axis axis;
  const char *name;
} views[] = {{AXIS_SAMPLES, "samples"},
             {AXIS_STEPS, "steps"},
             {AXIS_SECONDS, "training time"},
             {AXIS_FLOPS, "executed FLOPs"},
             {AXIS_CORES, "core-hours"}};
#define VIEWS (int)(sizeof views / sizeof *views)

/* The v-th view; false: there are no more. */
static bool
view_at (struct report *r, int v, enum run_axis *axis, const char **name)
{
  if (v >= VIEWS + r->spec->n_on)
    return false;
  *axis = v < VIEWS ? views[v].axis : (enum run_axis) (AXIS_ON + v - VIEWS);
  *name = v < VIEWS ? views[v].name
                    : pool_text (&r->pool, "predicted time %s",
                                 predict_words (r, v - VIEWS));
  return true;
}

/* Is there more than a last evaluation? */
static enum data_split
split_of_curves (struct report *r)
{
  for (int i = 0; i < r->n_groups; i++) {
    struct curve c;
    group_curve (r, &r->group[i], r->split, "output loss", AXIS_STEPS, &c);
    if (c.n > 1)
      return r->split;
  }
  return DATA_TRAIN;
}

/* chart: adds one view; its charts, or nothing. */
static void
add_views (struct report *r, struct text *out, const char *name,
           void (*chart) (struct report *r, struct text *out,
                          enum run_axis axis))
{
  struct text body;
  enum run_axis axis;
  const char *label;
  int n = 0;
  text_init (&body);
  text_add (out, "<div class=\"tabs\">");
  for (int v = 0; view_at (r, v, &axis, &label); v++) {
    size_t before = body.size;
    text_add (&body, "<section>\n");
    size_t empty = body.size;
    chart (r, &body, axis);
    if (body.size == empty) {
      body.data[body.size = before] = '\0';
      continue;
    }
    text_add (&body, "</section>\n");
    text_add (out,
              "<input type=\"radio\" name=\"%s\" id=\"%s-%d\"%s/>"
              "<label for=\"%s-%d\">%s</label>\n",
              name, name, n, n == 0 ? " checked=\"checked\"" : "", name, n,
              label);
    n++;
  }
  text_add (out, "%s</div>\n", body.data);
  text_clear (&body);
}

struct shown {
  const char *column, *title, *unit; /* unit: with what stands before it */
};

/* What curves are of: accuracy and loss; where runs are compared by the loss,
 * that comes first, in its unit. */
static struct shown
shown_of (struct report *r, int i)
{
  const struct measure *m = r->measure;
  if (i == (m->lower ? 1 : 0))
    return (struct shown){METRIC_ACCURACY, "accuracy", ""};
  if (!m->lower)
    return (struct shown){METRIC_LOSS, "loss", ""};
  return (struct shown){m->column, m->title,
                        pool_text (&r->pool, ", %s", m->unit)};
}

static void
output_view (struct report *r, struct text *out, enum run_axis axis)
{
  enum data_split split = split_of_curves (r);
  const char *name = data_split_name (split);
  for (int i = 0; i < 2; i++) {
    struct shown what = shown_of (r, i);
    line_chart (r, out, split, pool_text (&r->pool, "output %s", what.column),
                axis, CHART_FULL,
                pool_text (&r->pool, "%s of the output, %s%s", what.title, name,
                           what.unit));
  }
}

void
picture_output (struct report *r, struct text *out)
{
  size_t before = out->size;
  text_add (out,
            "<figure id=\"output\"><figcaption>The network's own output "
            "while it learns. Lines are means over seeds, bands the "
            "95 %% confidence of the mean (Student's t; of two seeds they "
            "reach from one to the other). %sAlong:</figcaption>\n",
            curve_marked (r) ? "Where a strategy changes there is a tick, with "
                               "the reach from there on. "
                             : "");
  size_t empty = out->size;
  add_views (r, out, "output-axis", output_view);
  if (out->size == empty)
    out->data[out->size = before] = '\0';
  else
    text_add (out, "</figure>\n");
}

void
series_row (struct report *r, struct text *out, const struct series *s,
            enum run_axis axis)
{
  char name[METRIC_NAME];
  int K = 0;
  for (int i = 0; i < r->n_groups; i++)
    K = r->group[i].K > K ? r->group[i].K : K;
  size_t before = out->size;
  text_add (out, "<div class=\"row\">");
  size_t empty = out->size;
  for (int k = 0; k < K; k++)
    line_chart (r, out, s->split, s->name (k, s->metric, name), axis,
                CHART_SMALL,
                pool_text (&r->pool, "%s %d: %s", s->place, k, s->title));
  if (out->size == empty)
    out->data[out->size = before] = '\0';
  else
    text_add (out, "</div>\n");
}

static void
add_heads (struct report *r, struct text *out, enum data_split split,
           struct shown what, enum run_axis axis)
{
  const struct series s = {split, store_metric_head, "head", what.column,
                           pool_text (&r->pool, "%s, %s%s", what.title,
                                      data_split_name (split), what.unit)};
  series_row (r, out, &s, axis);
}

static void
heads_view (struct report *r, struct text *out, enum run_axis axis)
{
  enum data_split split = split_of_curves (r);
  for (int i = 0; i < 2; i++)
    add_heads (r, out, split, shown_of (r, i), axis);
  if (split != DATA_TRAIN)
    add_heads (r, out, DATA_TRAIN, shown_of (r, r->measure->lower ? 0 : 1),
               axis);
}

void
picture_heads (struct report *r, struct text *out)
{
  text_add (out, "<figure id=\"heads\"><figcaption>Every head; the last is the "
                 "output. Scales differ between charts.");
  card_cuts (r, out);
  text_add (out, " Along:</figcaption>\n");
  svg_legend (r, out);
  add_views (r, out, "heads-axis", heads_view);
  text_add (out, "</figure>\n");
}
