/* report/heat.c -- a sweep over depth and reach as a map. */
#include "report/report_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAT_MOST 24 /* values of an axis */

struct heat {
  const char *key; /* of the rows */
  const char *row[HEAT_MOST], *column[HEAT_MOST];
  int n_rows, n_columns;
  double *value; /* n_rows x n_columns */
};

static void
add_once (const char **list, int *n, const char *value)
{
  int at = 0;
  while (at < *n && group_natural (list[at], value) < 0)
    at++;
  if (*n == HEAT_MOST || (at < *n && strcmp (list[at], value) == 0))
    return;
  memmove (list + at + 1, list + at, (size_t)(*n - at) * sizeof *list);
  list[at] = value;
  ++*n;
}

static int
find (const char *const *list, int n, const char *value)
{
  for (int i = 0; i < n; i++)
    if (strcmp (list[i], value) == 0)
      return i;
  return -1;
}

/* Finds rows (depth) and columns (reach) of the map; false where the runs are
 * no sweep over both. */
static bool
heat_axes (const struct report *r, struct heat *h)
{
  for (int i = 0; i < r->n_groups; i++)
    add_once (h->column, &h->n_columns,
              group_value (&r->run[r->group[i].run[0]], KEY_NAME (span)));
  const char *const depths[] = {KEY_NAME (preset), KEY_NAME (groups),
                                KEY_NAME (layers), KEY_NAME (d_model),
                                KEY_NAME (count)};
  for (size_t d = 0; d < sizeof depths / sizeof *depths && h->n_rows < 2; d++) {
    h->key = depths[d];
    h->n_rows = 0;
    for (int i = 0; i < r->n_groups; i++)
      add_once (h->row, &h->n_rows,
                group_value (&r->run[r->group[i].run[0]], h->key));
  }
  return h->n_rows > 1 && h->n_columns > 1;
}

/* Several groups fall into one cell where other keys differ, too: the best of
 * them is shown. */
static void
heat_fill (struct report *r, struct heat *h, bool higher,
           double (*of) (const struct report *, const struct run *,
                         const void *))
{
  size_t cells = (size_t)(h->n_rows * h->n_columns);
  h->value = pool_take (&r->pool, cells, sizeof *h->value);
  for (size_t i = 0; i < cells; i++)
    h->value[i] = NAN;
  for (int i = 0; i < r->n_groups; i++) {
    const struct run *first = &r->run[r->group[i].run[0]];
    int row = find (h->row, h->n_rows, group_value (first, h->key));
    int column =
        find (h->column, h->n_columns, group_value (first, KEY_NAME (span)));
    if (row < 0 || column < 0)
      continue;
    double *cell = &h->value[row * h->n_columns + column];
    double v = group_stat (r, &r->group[i], of, NULL).mean;
    *cell = higher ? fmax (*cell, v) : fmin (*cell, v);
  }
}

/* From dark blue to yellow: points of the map "viridis", whose steps look
 * equally large, also to the colour-blind. */
static void
heat_colour (double t, int out[3])
{
  static const double stop[][3] = {{68, 1, 84},
                                   {59, 82, 139},
                                   {33, 145, 140},
                                   {94, 201, 98},
                                   {253, 231, 37}};
  t = fmin (fmax (t, 0), 1) * 4;
  int i = t >= 4 ? 3 : (int)t;
  for (int k = 0; k < 3; k++)
    out[k] = (int)lround (stop[i][k] + (t - i) * (stop[i + 1][k] - stop[i][k]));
}

void
heat_cell (struct text *out, double v, const struct scale *s, bool number,
           const double box[4])
{
  char words[32];
  int c[3];
  if (!isfinite (v)) {
    text_add (out,
              "<rect class=\"empty\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
              "height=\"%.1f\"/>",
              box[0], box[1], box[2], box[3]);
    return;
  }
  heat_colour (s->high > s->low ? (v - s->low) / (s->high - s->low) : 0.5, c);
  bool dark = 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2] < 130;
  snprintf (words, sizeof words, "%.*f", s->digits, v * s->unit);
  text_add (out,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
            "fill=\"#%02x%02x%02x\"/>",
            box[0], box[1], box[2], box[3], c[0], c[1], c[2]);
  if (number)
    svg_text (out, box[0] + box[2] / 2, box[1] + box[3] / 2 + 4, "middle",
              dark ? "on-dark" : "on-light", words);
}

static double
column_width (struct report *r, const struct heat *h)
{
  double most = 64;
  for (int i = 0; i < h->n_columns; i++)
    most = fmax (most,
                 svg_width (svg_short (&r->pool, h->column[i], 14), 11) + 12);
  return most;
}

static void
heat_draw (struct report *r, struct text *out, const struct heat *h,
           const char *title, double unit, int digits)
{
  double left = 40, wide = column_width (r, h), high = 30, top = 64;
  struct spread all = stat_of (h->n_rows * h->n_columns, h->value);
  const struct scale scale = {all.least, all.most, unit, digits};
  for (int i = 0; i < h->n_rows; i++)
    left =
        fmax (left, svg_width (svg_short (&r->pool, h->row[i], 24), 11) + 16);
  double width =
      fmax (left + wide * h->n_columns + 10, svg_width (title, 12) + 20);
  svg_begin (out, width, top + high * h->n_rows + 8);
  text_add (out, "%s</title>\n", title);
  svg_text (out, 4, 14, "start", "name", title);
  svg_text (out, left, 36, "start", "tick", KEY_NAME (span));
  svg_text (out, 4, 54, "start", "tick", strchr (h->key, '.') + 1);
  for (int k = 0; k < h->n_columns; k++)
    svg_text (out, left + wide * (k + 0.5), 54, "middle", "tick",
              svg_short (&r->pool, h->column[k], 14));
  for (int i = 0; i < h->n_rows; i++) {
    svg_text (out, left - 8, top + high * (i + 0.5) + 4, "end", "tick",
              svg_short (&r->pool, h->row[i], 24));
    for (int k = 0; k < h->n_columns; k++) {
      const double box[] = {left + wide * k, top + high * i, wide - 2,
                            high - 2};
      heat_cell (out, h->value[i * h->n_columns + k], &scale, true, box);
    }
  }
  svg_end (out);
}

static double
step_seconds (const struct report *r, const struct run *run, const void *how)
{
  (void)r;
  (void)how;
  return run_step_s (run);
}

void
picture_sweep (struct report *r, struct text *out)
{
  struct heat h = {0};
  if (!heat_axes (r, &h))
    return;
  text_add (out,
            "<figure id=\"sweep\"><figcaption>The sweep: depth down, "
            "reach of the gradients across%s.</figcaption>\n"
            "<div class=\"row\">",
            r->n_groups > h.n_rows * h.n_columns
                ? "; of several runs in a cell the best"
                : "");
  const struct measure *m = r->measure;
  heat_fill (r, &h, !m->lower, measure_last);
  heat_draw (r, out, &h,
             pool_text (&r->pool, "%s, %s, %s", m->title,
                        data_split_name (r->split), m->unit),
             m->scale, m->digits);
  heat_fill (r, &h, false, step_seconds);
  heat_draw (r, out, &h, "milliseconds of a step", 1e3, 1);
  text_add (out, "</div></figure>\n");
}
