/* report/picture.c -- a picture that stands alone, for a paper or a README:
 * what strategies reach in which time, a panel for each data set.
 */
#include "report/report_impl.h"

#include <string.h>

#define EDGE 16.0
#define LINE_HIGH 15.0
#define PANEL_GAP 22.0

/* The most ranks for which the time of all runs is predicted. */
static enum run_axis
axis_of (const struct report *r)
{
  int best = -1;
  for (int i = 0; i < r->spec->n_on; i++) {
    bool all = true;
    for (int k = 0; k < r->n_runs; k++)
      all = all && isfinite (r->run[k].on_s[i]);
    if (all && (best < 0 || r->spec->on[i] > r->spec->on[best]))
      best = i;
  }
  return best < 0 ? AXIS_SECONDS : (enum run_axis) (AXIS_ON + best);
}

/* What all runs have in common: "resnet20, 8 stages, cifar10.h5". */
static const char *
subject (struct report *r)
{
  const struct run *first = &r->run[0];
  const char *preset = group_value (first, KEY_NAME (preset));
  const char *layers = group_value (first, KEY_NAME (layers));
  const char *file = group_value (first, KEY_NAME (file));
  const char *slash = strrchr (file, '/');
  struct text t;
  text_init (&t);
  if (preset[0] && !layers[0])
    text_add (&t, "%s", preset);
  else
    text_add (&t, "%s", group_value (first, KEY_NAME (family)));
  if (layers[0])
    text_add (&t, ", %s layers of width %s", layers,
              group_value (first, KEY_NAME (d_model)));
  bool same = true;
  for (int i = 0; i < r->n_groups; i++)
    same = same && r->group[i].K == r->group[0].K;
  if (same)
    text_add (&t, ", %d stages", r->group[0].K);
  text_add (&t, ", %s", slash ? slash + 1 : file);
  const char *out = pool_text (&r->pool, "%s", t.data);
  text_clear (&t);
  return out;
}

/* How many runs there are of a line. */
static const char *
runs_of (struct report *r)
{
  int least = r->n_runs, most = 0;
  for (int i = 0; i < r->n_groups; i++) {
    least = r->group[i].n < least ? r->group[i].n : least;
    most = r->group[i].n > most ? r->group[i].n : most;
  }
  if (most == 1)
    return "One run each.";
  return pool_text (&r->pool,
                    least == most ? "Means of %d seeds; bands and ±: 95 %% "
                                    "confidence of the mean (Student's t%s)."
                                  : "Means of up to %d seeds; bands and ±: "
                                    "95 %% confidence of the mean (Student's "
                                    "t%s).",
                    most, least <= 2 && 2 <= most ? "; of two: both" : "");
}

/* Groups with fewer runs than others say so. */
static void
label_counts (struct report *r)
{
  int most = 0;
  for (int i = 0; i < r->n_groups; i++)
    most = r->group[i].n > most ? r->group[i].n : most;
  for (int i = 0; i < r->n_groups; i++)
    if (r->group[i].n < most)
      r->group[i].label =
          pool_text (&r->pool, "%s (%d run%s)", r->group[i].label,
                     r->group[i].n, r->group[i].n == 1 ? "" : "s");
}

static void
add_line (double *y, const char *words, struct text *out)
{
  svg_text (out, EDGE, *y, "start", "about", words);
  *y += LINE_HIGH;
}

void
picture_panel (struct report *r, double *height, struct text *out)
{
  const struct measure *m = r->measure;
  const enum run_axis axis = axis_of (r);
  double y = *height + (*height > 0 ? PANEL_GAP : EDGE);
  label_counts (r);
  svg_text (out, EDGE, y + LINE_HIGH, "start", "title", subject (r));
  y += LINE_HIGH + 8;
  text_add (out, "<g transform=\"translate(%.0f %.0f)\">\n", EDGE, y);
  line_chart (r, out, r->split, pool_text (&r->pool, "output %s", m->column),
              axis, CHART_ALONE,
              pool_text (&r->pool, "%s of the output, %s%s%s", m->title,
                         data_split_name (r->split), m->lower ? ", " : "",
                         m->lower ? m->unit : ""));
  text_add (out, "</g>\n");
  y += CHART_ALONE_HEIGHT + LINE_HIGH;
  add_line (&y, runs_of (r), out);
  if (curve_marked (r))
    add_line (&y,
              "Where a strategy changes there is a tick, with the reach from "
              "there on.",
              out);
  if (axis >= AXIS_ON)
    add_line (&y,
              "The time is predicted by the plan, from what blocks took in "
              "these runs; what was learned is measured.",
              out);
  *height = y;
}

void
picture_whole (const char *panels, double height, struct text *out)
{
  const double width = CHART_ALONE_WIDTH + 2 * EDGE;
  text_add (out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f "
            "%.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\"><title>"
            "What strategies reach in which time</title>\n<style>\n"
            "text{font:11px sans-serif;fill:#1b1e23}.tick{fill:#5b6270}"
            ".name,.label{font-size:12px}"
            ".title{font-size:15px;font-weight:bold}"
            ".about{font-size:12px;fill:#5b6270}\n"
            ".grid{stroke:#e3e6ea}.axis{stroke:#5b6270}"
            ".lead{stroke:#5b6270;stroke-width:.7;fill:none;opacity:.7}\n",
            width, height + EDGE, width, height + EDGE);
  svg_lines_style (false, out);
  text_add (out,
            "</style>\n<rect width=\"100%%\" height=\"100%%\" "
            "fill=\"#fff\"/>\n%s</svg>\n",
            panels);
}
