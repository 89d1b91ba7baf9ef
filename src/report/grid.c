/* report/grid.c -- tables as a picture that stands alone: light, with its style
 * inside, for a paper or a browser. */
#include "report/report_impl.h"

#include <stdio.h>
#include <string.h>

#define CELL_HIGH 34.0
#define CELL_WIDE 62.0
#define LINE_HIGH 16.0
#define GRID_GAP 30.0
#define EDGE 16.0

/* From blue by white to orange, told apart by the colour-blind; a value of 3 or
 * more has the full colour. */
static void
two_sided (double v, int out[3])
{
  static const double low[] = {69, 117, 180}, high[] = {230, 133, 53};
  const double *end = v < 0 ? low : high;
  double t = 0.8 * fmin (fabs (v) / 3, 1);
  for (int i = 0; i < 3; i++)
    out[i] = (int)lround (255 + t * (end[i] - 255));
}

static void
draw_cell (const struct report_cell *c, double x, double y, struct text *out)
{
  int rgb[3] = {236, 236, 236};
  bool two = c->below[0] != '\0';
  if (!c->words[0])
    return;
  if (isfinite (c->value))
    two_sided (c->value, rgb);
  text_add (out,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
            "fill=\"#%02x%02x%02x\"%s/>\n",
            x + 1.5, y + 1.5, CELL_WIDE - 3, CELL_HIGH - 3, rgb[0], rgb[1],
            rgb[2], c->marked ? " class=\"best\"" : "");
  svg_text (out, x + CELL_WIDE / 2, y + CELL_HIGH / 2 + (two ? -2 : 4),
            "middle", "value", c->words);
  if (two)
    svg_text (out, x + CELL_WIDE / 2, y + CELL_HIGH / 2 + 12, "middle", "value",
              c->below);
}

static double
left_of (const struct report_grid *g)
{
  double left = svg_width (g->rows, 12);
  for (int i = 0; i < g->n_rows; i++)
    left = fmax (left, svg_width (g->row[i].words, 12));
  return EDGE + left + 10;
}

static double
width_of (const struct report_grid *g)
{
  double heads =
      left_of (g) + svg_width (g->columns, 12) + svg_width (g->title, 13);
  return fmax (left_of (g) + CELL_WIDE * g->n_columns, heads) + EDGE;
}

static double
height_of (const struct report_grid *g)
{
  return GRID_GAP + 2 * LINE_HIGH + CELL_HIGH * g->n_rows;
}

static void
draw_grid (const struct report_grid *g, double y, struct text *out)
{
  double left = left_of (g);
  y += GRID_GAP;
  svg_text (out, EDGE, y, "start", "name", g->title);
  y += LINE_HIGH;
  svg_text (out, left - 8, y, "end", NULL, g->rows);
  for (int k = 0; k < g->n_columns; k++)
    svg_text (out, left + CELL_WIDE * (k + 0.5), y, "middle", NULL,
              g->column[k].words);
  svg_text (out, left + CELL_WIDE * g->n_columns, y - LINE_HIGH, "end", NULL,
            g->columns);
  y += LINE_HIGH / 2;
  for (int i = 0; i < g->n_rows; i++, y += CELL_HIGH) {
    svg_text (out, left - 8, y + CELL_HIGH / 2 + 4, "end", NULL,
              g->row[i].words);
    for (int k = 0; k < g->n_columns; k++)
      draw_cell (&g->cell[i * g->n_columns + k], left + CELL_WIDE * k, y, out);
  }
}

/* Each line of about as a text; *y is behind the last. */
static void
draw_about (const char *about, double *y, struct text *out)
{
  char line[256];
  while (*about) {
    int n = (int)strcspn (about, "\n");
    snprintf (line, sizeof line, "%.*s", n, about);
    svg_text (out, EDGE, *y, "start", "about", line);
    *y += LINE_HIGH;
    about += n + (about[n] == '\n');
  }
}

static double
about_width (const char *about)
{
  char line[256];
  double most = 0;
  while (*about) {
    int n = (int)strcspn (about, "\n");
    snprintf (line, sizeof line, "%.*s", n, about);
    most = fmax (most, svg_width (line, 12));
    about += n + (about[n] == '\n');
  }
  return most + 2 * EDGE;
}

static int
lines_of (const char *s)
{
  int n = *s ? 1 : 0;
  for (; *s; s++)
    n += *s == '\n' && s[1];
  return n;
}

void
report_grids (const char *title, const char *about, int n,
              const struct report_grid *grids, struct text *out)
{
  double width = fmax (about_width (about), svg_width (title, 16) + 2 * EDGE);
  double y = EDGE + 18 + LINE_HIGH * lines_of (about), height = y + EDGE;
  for (int i = 0; i < n; i++) {
    width = fmax (width, width_of (&grids[i]));
    height += height_of (&grids[i]);
  }
  text_add (out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f "
            "%.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\"><title>",
            width, height, width, height);
  escape_html (title, out);
  text_add (
      out,
      "</title>\n<style>text { font: 12px sans-serif; fill: #222 }\n"
      ".title { font-size: 16px; font-weight: bold }\n"
      ".name { font-size: 13px; font-weight: bold }\n.about { fill: #555 }\n"
      ".value { font-size: 11px }\n"
      ".best { stroke: #111; stroke-width: 2 }</style>\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n");
  svg_text (out, EDGE, EDGE + 12, "start", "title", title);
  y = EDGE + 34;
  draw_about (about, &y, out);
  y -= LINE_HIGH;
  for (int i = 0; i < n; i++) {
    draw_grid (&grids[i], y, out);
    y += height_of (&grids[i]);
  }
  text_add (out, "</svg>\n");
}
