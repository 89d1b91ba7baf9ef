/* report/svg.c -- scales, frames, texts and legends of pictures.
 *
 * Colours are variables of the page's style (page.c), so that a picture is
 * light or dark as the page is.
 */
#include "report/report_impl.h"

#include "base/utf8.h"
#include <stdio.h>
#include <string.h>

/* -- colours --------------------------------------------------------------- */

/* Those of Okabe and Ito, which the colour-blind can tell apart, darker on
 * light ground and lighter on dark; dashes tell apart what colours do not. */
#define COLOURS 6
static const char *const light[COLOURS] = {"#0072b2", "#d55e00", "#008a66",
                                           "#b0558f", "#8a6d00", "#3aa0d8"};
static const char *const dark[COLOURS] = {"#56a8e8", "#f08a4b", "#3cc79e",
                                          "#e08fc4", "#dcc04a", "#8fd3f5"};

static void
add_colours (const char *before, const char *const *colour, const char *after,
             struct text *out)
{
  text_add (out, "%s:root{", before);
  for (int i = 0; i < COLOURS; i++)
    text_add (out, "--c%d:%s;", i, colour[i]);
  text_add (out, "}%s\n", after);
}

void
svg_lines_style (bool page, struct text *out)
{
  static const char *const dashes[] = {"none", "7 3", "2 3", "9 3 2 3"};
  char colour[16];
  if (page) {
    add_colours ("", light, "", out);
    add_colours ("@media (prefers-color-scheme:dark){", dark, "}", out);
    add_colours ("@media print{", light, "}", out);
  }
  text_add (out, ".line{fill:none;stroke-width:2;stroke-linejoin:round}"
                 ".band{stroke:none;opacity:.16}.dot{stroke:none}\n");
  for (int i = 0; i < REPORT_SHOWN; i++) {
    if (page)
      snprintf (colour, sizeof colour, "var(--c%d)", i % COLOURS);
    else
      snprintf (colour, sizeof colour, "%s", light[i % COLOURS]);
    text_add (out,
              ".line.s%d{stroke:%s;stroke-dasharray:%s}"
              ".band.s%d,.dot.s%d{fill:%s}\n",
              i, colour, dashes[i % 4], i, i, colour);
  }
  text_add (out, ".line.mark{stroke-dasharray:none;stroke-width:1.5}\n");
}

/* -- scales ---------------------------------------------------------------- */

/* 1, 2 or 5 times a power of ten, at least v. */
static double
round_step (double v)
{
  double power = pow (10, floor (log10 (v)));
  double lead = v / power;
  double nice = lead <= 1.0000001 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10;
  return nice * power;
}

static int
step_digits (double step)
{
  int digits = step >= 1 ? 0 : (int)ceil (-log10 (step) - 1e-9);
  return digits > 9 ? 9 : digits;
}

/* Ends become multiples of the step.  A little is allowed at both, so that an
 * end which is a multiple but for rounding does not get one more step. */
void
axis_make (struct axis *a, int ticks, bool from_zero)
{
  if (a->unit == 0)
    a->unit = 1;
  double low = from_zero ? 0 : a->low / a->unit, high = a->high / a->unit;
  if (!(isfinite (low) && isfinite (high) && low <= high))
    low = 0, high = 1;
  if (!(high - low > 1e-9 * fabs (high))) {
    double around = high != 0 ? 0.05 * fabs (high) : 1;
    high += around;
    low -= from_zero ? 0 : around;
  }
  double step = round_step ((high - low) / ticks);
  a->step = step * a->unit;
  a->low = floor (low / step + 1e-6) * step * a->unit;
  a->high = ceil (high / step - 1e-6) * step * a->unit;
  a->digits = step_digits (step);
}

static void
power_unit (struct axis *a, const char *name)
{
  int power = a->high > 0 ? 3 * (int)floor (log10 (a->high) / 3) : 0;
  if (power < 6 && a->high < 2e4)
    power = 0;
  a->unit = pow (10, power);
  if (power == 0)
    snprintf (a->title, sizeof a->title, "%s", name);
  else
    snprintf (a->title, sizeof a->title, "%s, in units of 1e%d", name, power);
}

/* Days, hours, minutes or seconds behind what the time is of. */
static void
time_unit (struct axis *a, const char *of)
{
  static const struct {
    double above, unit;
    const char *name;
  } units[] = {{3 * 86400, 86400, "days"},
               {3 * 3600, 3600, "hours"},
               {5 * 60, 60, "minutes"},
               {-INFINITY, 1, "seconds"}};
  int i = 0;
  while (i < 3 && !(a->high > units[i].above))
    i++;
  a->unit = units[i].unit;
  snprintf (a->title, sizeof a->title, "%s, %s", of, units[i].name);
}

void
axis_run (struct report *r, struct axis *a, enum run_axis what, int ticks)
{
  static const char *const names[AXES] = {[AXIS_SAMPLES] = "samples",
                                          [AXIS_STEPS] = "steps",
                                          [AXIS_FLOPS] = "executed FLOPs",
                                          [AXIS_CORES] = "core-hours"};
  if (what == AXIS_SECONDS)
    time_unit (a, "training time");
  else if (what >= AXIS_ON)
    time_unit (a, pool_text (&r->pool, "predicted training time %s",
                             predict_words (r, (int)what - AXIS_ON)));
  else if (what == AXIS_CORES && a->high < 0.1) {
    a->unit = 1.0 / 3600;
    snprintf (a->title, sizeof a->title, "core-seconds");
  } else
    power_unit (a, names[what]);
  double end = a->high;
  axis_make (a, ticks, true);
  if (end > 0) /* no empty stretch behind the data */
    a->high = end;
}

/* -- texts ----------------------------------------------------------------- */

/* Fonts are the reader's, so widths are guessed per kind of letter, rather too
 * wide than too narrow. */
double
svg_width (const char *s, double size)
{
  double w = 0;
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (!utf8_begins (*s))
      continue;
    w += c >= 0xe1              ? 1.05 /* wide scripts */
         : strchr ("mwMW@%", c) ? 0.95
         : c >= 'A' && c <= 'Z' ? 0.75
                                : 0.6;
  }
  return w * size;
}

void
svg_text (struct text *out, double x, double y, const char *anchor,
          const char *css, const char *s)
{
  text_add (out, "<text x=\"%.1f\" y=\"%.1f\"", x, y);
  if (strcmp (anchor, "start") != 0)
    text_add (out, " text-anchor=\"%s\"", anchor);
  if (css)
    text_add (out, " class=\"%s\"", css);
  text_add (out, ">");
  escape_html (s, out);
  text_add (out, "</text>\n");
}

const char *
svg_short (struct pool *p, const char *s, int most)
{
  int n = utf8_count (s), front = (most - 1) / 3;
  if (n <= most)
    return s;
  return pool_text (p, "%.*s…%s", (int)(utf8_at (s, front) - s), s,
                    utf8_at (s, n - (most - 1 - front)));
}

/* -- pictures of a page -----------------------------------------------------
 */

#define SMALLEST 0.8 /* of its size: then letters are still readable */

void
svg_begin (struct text *out, double width, double height)
{
  text_add (out,
            "<div class=\"chart\"><svg xmlns=\"http://www.w3.org/2000/svg\" "
            "viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
            "style=\"min-width:%.0fpx\" role=\"img\"><title>",
            width, height, width, height, SMALLEST * width);
}

void
svg_end (struct text *out)
{
  text_add (out, "</svg></div>\n");
}

/* -- frames ---------------------------------------------------------------- */

double
frame_x (const struct frame *f, double v)
{
  double w = f->width - f->left - f->right;
  return f->left + w * (v - f->x.low) / (f->x.high - f->x.low);
}

double
frame_y (const struct frame *f, double v)
{
  double h = f->height - f->top - f->bottom;
  return f->height - f->bottom - h * (v - f->y.low) / (f->y.high - f->y.low);
}

static void
tick_text (const struct axis *a, double v, char *out, size_t size)
{
  double shown = v / a->unit;
  snprintf (out, size, "%.*f", a->digits,
            fabs (shown) < 1e-9 * a->step / a->unit ? 0 : shown);
}

static int
tick_count (const struct axis *a)
{
  if (a->step > 2 * (a->high - a->low) && a->low > 0)
    return 0;
  return (int)floor ((a->high - a->low) / a->step + 1e-6) + 1;
}

/* The longer label of the ends; how many characters it has. */
static int
widest_tick (const struct axis *a, char *out, size_t size)
{
  char high[48];
  tick_text (a, a->low, out, size);
  tick_text (a, a->high, high, sizeof high);
  if (strlen (high) > strlen (out))
    snprintf (out, size, "%s", high);
  return (int)strlen (out);
}

/* Labels of the y axis stand whole: very large or small ones in units of a
 * power of ten, which the title tells; then the margin is made for them. */
static void
fit_labels (struct frame *f)
{
  struct axis *y = &f->y;
  char words[48];
  if (!(y->unit > 0)) /* bars have no scale here */
    return;
  double most = fmax (fabs (y->low), fabs (y->high)) / y->unit;
  int power = most > 0 ? 3 * (int)floor (log10 (most) / 3) : 0;
  if (widest_tick (y, words, sizeof words) > 7 && power != 0) {
    size_t n = strlen (y->title);
    y->unit *= pow (10, power);
    y->digits = step_digits (y->step / y->unit);
    snprintf (y->title + n, sizeof y->title - n, " (in 1e%d)", power);
    widest_tick (y, words, sizeof words);
  }
  f->left = fmax (f->left, svg_width (words, 11) + 8);
}

/* Where ticks of the x axis would touch, only every other is labelled. */
static int
tick_every (const struct frame *f)
{
  char low[48], high[48];
  int n = tick_count (&f->x), every = 1;
  tick_text (&f->x, f->x.low, low, sizeof low);
  tick_text (&f->x, f->x.high, high, sizeof high);
  double wide = fmax (svg_width (low, 11), svg_width (high, 11)) + 8;
  double room =
      (f->width - f->left - f->right) * f->x.step / (f->x.high - f->x.low);
  while (every < n && room * every < wide)
    every++;
  return every;
}

static void
frame_ticks_y (const struct frame *f)
{
  char words[48];
  for (int i = 0; i < tick_count (&f->y); i++) {
    double v = f->y.low + i * f->y.step, y = frame_y (f, v);
    text_add (f->out,
              "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
              "y2=\"%.1f\"/>",
              f->left, f->width - f->right, y, y);
    tick_text (&f->y, v, words, sizeof words);
    svg_text (f->out, f->left - 6, y + 4, "end", "tick", words);
  }
}

static void
frame_ticks_x (const struct frame *f)
{
  char words[48];
  double base = f->height - f->bottom, end = -INFINITY;
  int every = tick_every (f);
  for (int i = 0; i < tick_count (&f->x); i++) {
    double v = f->x.low + i * f->x.step, x = frame_x (f, v);
    text_add (f->out,
              "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
              "y2=\"%.1f\"/>",
              x, x, base, base + 4);
    tick_text (&f->x, v, words, sizeof words);
    double half = svg_width (words, 11) / 2;
    double at = fmin (x, f->width - half - 1); /* whole at the right edge */
    if (i % every != 0 || at - half < end + 4)
      continue;
    svg_text (f->out, at, base + 17, "middle", "tick", words);
    end = at + half;
  }
  text_add (f->out,
            "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
            "y2=\"%.1f\"/>\n",
            f->left, f->width - f->right, base, base);
}

/* A title in at most so many px, without its middle where that is not enough.
 */
static void
fit_title (struct report *r, char *title, size_t size, double most)
{
  int n = utf8_count (title);
  const char *fits = title;
  while (n > 8 && svg_width (fits, 12) > most)
    fits = svg_short (&r->pool, title, --n);
  if (fits != title)
    snprintf (title, size, "%s", fits);
}

/* Below the middle of the data, and whole. */
static void
title_x (const struct frame *f)
{
  const double half = svg_width (f->x.title, 12) / 2;
  const double middle = (f->left + f->width - f->right) / 2;
  svg_text (f->out, fmax (fmin (middle, f->width - half - 2), half + 2),
            f->height - 6, "middle", "name", f->x.title);
}

void
frame_begin (struct report *r, struct frame *f, const char *about)
{
  f->clip = r->clip++;
  fit_labels (f);
  fit_title (r, f->y.title, sizeof f->y.title, f->width - 8);
  fit_title (r, f->x.title, sizeof f->x.title, f->width - 8);
  if (f->alone)
    text_add (f->out,
              "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f "
              "%.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\"><title>",
              f->width, f->height, f->width, f->height);
  else
    svg_begin (f->out, f->width, f->height);
  escape_html (about, f->out);
  text_add (f->out,
            "</title>\n<clipPath id=\"clip%d\"><rect x=\"%.1f\" y=\"%.1f\" "
            "width=\"%.1f\" height=\"%.1f\"/></clipPath>\n",
            f->clip, f->left - 3, f->top - 3, f->width - f->left - f->right + 6,
            f->height - f->top - f->bottom + 6);
  svg_text (f->out, 4, 13, "start", "name", f->y.title);
  frame_ticks_y (f);
  frame_ticks_x (f);
  title_x (f);
  text_add (f->out, "<g clip-path=\"url(#clip%d)\">\n", f->clip);
}

void
frame_data_end (struct frame *f)
{
  text_add (f->out, "</g>\n");
}

void
frame_end (struct frame *f)
{
  if (f->alone)
    text_add (f->out, "</svg>\n");
  else
    svg_end (f->out);
}

/* -- legend ---------------------------------------------------------------- */

void
svg_legend (struct report *r, struct text *out)
{
  text_add (out, "<ul class=\"legend\">");
  for (int i = 0; i < r->n_groups; i++) {
    const struct group *g = &r->group[i];
    if (g->style < 0)
      continue;
    text_add (out,
              "<li><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"34\" "
              "height=\"10\" aria-hidden=\"true\"><path class=\"line s%d\" "
              "d=\"M1 5H33\"/></svg> ",
              g->style);
    escape_html (g->label, out);
    if (g->n > 1)
      text_add (out, " <small>(%d runs)</small>", g->n);
    text_add (out, "</li>");
  }
  text_add (out, "</ul>\n");
}
