/* main/map.c -- `plan --map` and `plan --calibrate`. */
#include "main/main.h"

#include "base/log.h"
#include "base/memory.h"
#include "design/map.h"
#include "report/report.h"
#include "design/ask.h"
#include "store/file.h"
#include "wire/wire.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* -- calibration ------------------------------------------------------------
 */

/* Sizes of a micro-batch, ascending; those of the list that are whole. */
static int
sizes (const struct config *c, const struct map *axes,
       int64_t out[DESIGN_SIZES])
{
  int n = 0;
  for (int i = axes->n_micro - 1; i >= 0 && n < DESIGN_SIZES; i--) {
    int64_t parts = axes->micro[i] * c->replicas;
    if (c->batch % parts == 0)
      out[n++] = c->batch / parts;
  }
  return n;
}

enum status
map_calibrate (const struct map *axes, const char *path, const struct config *c,
               struct wire *w)
{
  struct design_costs costs = {0};
  int64_t samples[DESIGN_SIZES];
  int n = sizes (c, axes, samples);
  struct text out;
  enum status s = OK;
  if (n == 0)
    s = fail (E_USAGE,
              "%s = %lld divides into none of the numbers of "
              "micro-batches",
              KEY_NAME (batch), (long long)c->batch);
  TRY (wire_agree (w, s));
  TRY (wire_agree (w, design_calibrate (w, c, n, samples, &costs)));
  text_init (&out);
  costs_write (&costs, &out);
  if (wire_rank (w) == 0)
    s = store_output_put (path, out.data, out.size);
  if (s == OK)
    say (LOG_INFO, "written: %s", path);
  text_clear (&out);
  design_costs_close (&costs);
  return file_verdict (w, s);
}

/* -- the picture ------------------------------------------------------------
 */

/* A cell's words and value in the picture of one number of micro-batches. */
static void
ratio_cell (const struct map *m, int k, int micro, int span,
            struct report_cell *out)
{
  int best = map_best (m, k, micro, span);
  double r = map_ratio (m, k, micro, span);
  *out = (struct report_cell){.value = NAN};
  if (!map_at (m, k, micro, span, 0)->there)
    return;
  if (best < 0) {
    snprintf (out->words, sizeof out->words, "memory");
    return;
  }
  double v = m->units ? map_at (m, k, micro, span, best)->cycle_s
                      : map_at (m, k, micro, span, best)->samples_per_s;
  char order = plan_order_name ((enum plan_order)best)[0];
  snprintf (out->words, sizeof out->words, "%.4g %c", v, order);
  if (isfinite (r)) {
    snprintf (out->below, sizeof out->below, "x%.*f", r < 100 ? 2 : 0, r);
    out->value = log2 (r);
  }
  out->marked = map_fastest (m, k, micro) == span;
}

static enum status
fill_grid (const struct map *m, int micro, struct report_grid *g)
{
  size_t n = (size_t)m->n_spans * (size_t)m->n_stages;
  snprintf (g->title, sizeof g->title, "%d micro-batch%s", m->micro[micro],
            m->micro[micro] == 1 ? "" : "es");
  g->n_rows = m->n_spans;
  g->n_columns = m->n_stages;
  snprintf (g->rows, sizeof g->rows, "span");
  snprintf (g->columns, sizeof g->columns, "stages");
  TRY (MEM_NEW (n, &g->cell, "a picture"));
  TRY (MEM_NEW ((size_t)g->n_rows, &g->row, "a picture"));
  TRY (MEM_NEW ((size_t)g->n_columns, &g->column, "a picture"));
  for (int s = 0; s < m->n_spans; s++)
    snprintf (g->row[s].words, sizeof g->row[s].words, "%s",
              map_span_name (m->span[s]));
  for (int k = 0; k < m->n_stages; k++)
    snprintf (g->column[k].words, sizeof g->column[k].words, "%d",
              m->stages[k]);
  for (int s = 0; s < m->n_spans; s++)
    for (int k = 0; k < m->n_stages; k++)
      ratio_cell (m, k, micro, s, &g->cell[s * m->n_stages + k]);
  return OK;
}

static enum status
draw (const struct map *m, struct text *out)
{
  struct report_grid *g = NULL;
  struct text about;
  enum status s;
  text_init (&about);
  TRY_GOTO (MEM_NEW ((size_t)m->n_micro, &g, "a picture"), done);
  for (int i = 0; i < m->n_micro; i++)
    TRY_GOTO (fill_grid (m, i, &g[i]), done);
  text_add (&about, "%s", m->about.data);
  text_add (
      &about,
      "%s of the fastest order (e eager, 1 1f1b, f filldrain); below, "
      "times the samples/s of span all,\nwhich is end to end; framed: the "
      "fastest span; grey: needs more memory on every order",
      m->units ? "units of a cycle" : "samples/s");
  report_grids ("Where which span is fastest", about.data, m->n_micro, g, out);
  s = OK;
done:
  for (int i = 0; g && i < m->n_micro; i++) {
    mem_free (&g[i].cell);
    mem_free (&g[i].row);
    mem_free (&g[i].column);
  }
  mem_free (&g);
  text_clear (&about);
  return s;
}

/* -- the map ----------------------------------------------------------------
 */

static enum status
write_file (const char *path, void (*make) (const struct map *, struct text *),
            const struct map *m)
{
  struct text out;
  enum status s;
  text_init (&out);
  if (make)
    make (m, &out);
  s = make ? OK : draw (m, &out);
  if (s == OK)
    s = store_output_put (path, out.data, out.size);
  if (s == OK)
    say (LOG_INFO, "written: %s, %s", path, text_bytes ((double)out.size));
  text_clear (&out);
  return s;
}

static enum status
show (const struct map *m, const char *csv, const char *svg)
{
  struct text out;
  text_init (&out);
  map_print (m, &out);
  file_print (&out);
  text_clear (&out);
  if (csv)
    TRY (write_file (csv, map_csv, m));
  return svg ? write_file (svg, NULL, m) : OK;
}

enum status
map_make (const struct map *axes, bool micro_given, const struct config *c,
          const struct design_plan_spec *p, const char *csv, const char *svg)
{
  struct map m = *axes;
  int kept = 0;
  /* Those that were not asked for need not divide the batch. */
  for (int i = 0; !micro_given && i < m.n_micro; i++)
    if (c->batch % (m.micro[i] * c->replicas) == 0)
      m.micro[kept++] = m.micro[i];
  m.n_micro = kept > 0 ? kept : m.n_micro;
  TRY (map_open (&m));
  enum status s = design_map (c, p, &m);
  if (s == OK)
    s = show (&m, csv, svg);
  map_close (&m);
  return s;
}
