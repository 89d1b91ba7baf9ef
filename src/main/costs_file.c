/* main/costs_file.c -- calibrated costs as a file: one INI section.
 *
 *     [costs]
 *     network = 12 units, 269722 parameters, head gap-fc
 *     ranks = 2
 *     latency = 1.9e-06
 *     unit = 128 0 FORWARD DATA WEIGHTS, of the head the same, SAVED INPUT
 *
 * SAVED: by data and weights of the block in one pass.  INPUT: what of data is
 * for the gradient of the block's input.  Both may be missing, as in older
 * files.
 */
#include "main/main.h"

#include "base/memory.h"
#include "design/ask.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SECTION "costs"

void
costs_write (const struct design_costs *c, struct text *out)
{
  const double *v = c->seconds;
  text_add (
      out,
      "; made by interlock plan --calibrate; for interlock plan --costs\n"
      "; unit: samples, number; forward, data, weights in seconds per\n"
      "; micro-batch; the same of the head behind it; saved where data\n"
      "; and weights are one pass; of data for the gradient of the input\n"
      "[" SECTION "]\nnetwork = %s\nunits = %d\nranks = %d\n"
      "threads = %d\nlatency = %.9g\nbandwidth = %.9g\n"
      "bandwidth_both = %.9g\n",
      c->network, c->n_units, c->ranks, c->threads, c->link.latency_s,
      c->link.bytes_per_s, c->link.both_bytes_per_s);
  for (int i = 0; i < c->n_sizes; i++)
    for (int j = 0; j < c->n_units; j++, v += DESIGN_COST_NUMBERS) {
      text_add (out, "unit = %lld %d", (long long)c->samples[i], j);
      for (int k = 0; k < DESIGN_COST_NUMBERS; k++)
        text_add (out, " %.9g", v[k]);
      text_add (out, "\n");
    }
}

struct reader {
  const char *path;
  struct design_costs c;
  int64_t n_units, ranks, threads;
  int lines; /* of units */
  struct text bad;
};

static void
complain (struct reader *r, int line, const char *what)
{
  text_add (&r->bad, "%s:%d: %s\n", r->path, line, what);
}

static bool
take_unit (struct reader *r, const char *value)
{
  long long samples;
  int unit, end = 0, more = 0, size = r->c.n_sizes - 1;
  double v[DESIGN_COST_NUMBERS] = {0};
  if (sscanf (value, "%lld %d %lf %lf %lf %lf %lf %lf %n%lf %lf %n", &samples,
              &unit, v, v + 1, v + 2, v + 3, v + 4, v + 5, &end, v + 6, v + 7,
              &more) < 8 ||
      value[more > 0 ? more : end] != '\0' || samples < 1)
    return false;
  for (int i = 0; i < DESIGN_COST_NUMBERS; i++)
    if (!(v[i] >= 0 && v[i] < 1e6))
      return false;
  if (size < 0 || r->c.samples[size] != samples) {
    if (++size == DESIGN_SIZES ||
        (size > 0 && r->c.samples[size - 1] >= samples))
      return false;
    r->c.samples[size] = samples;
    r->c.n_sizes = size + 1;
  }
  int64_t n = r->n_units;
  if (n < 1 || unit != r->lines % n || size != r->lines / n)
    return false;
  if (!r->c.seconds) {
    r->c.n_units = (int)n;
    r->c.n_sizes = DESIGN_SIZES; /* room for all */
    enum status s = design_costs_open (&r->c);
    if (s != OK)
      status_end (s);
    r->c.n_sizes = 1;
  }
  memcpy (r->c.seconds + (size_t)r->lines++ * DESIGN_COST_NUMBERS, v, sizeof v);
  return true;
}

static bool
positive (const char *value, double *out)
{
  double v;
  if (!text_to_double (value, &v) || !(v > 0 && v < 1e18))
    return false;
  *out = v;
  return true;
}

static bool
count (const char *value, int64_t *out)
{
  return text_to_long (value, out) && *out >= 1 && *out <= 1 << 20;
}

static void
take_line (struct reader *r, const struct ini_line *l)
{
  const char *name = l->name, *value = l->value;
  int line = l->number;
  bool good = true;
  if (l->bad)
    complain (r, line, l->bad);
  else if (strcmp (l->section, SECTION) != 0)
    complain (r, line, "not a key of calibrated costs");
  else if (strcmp (name, "network") == 0)
    snprintf (r->c.network, sizeof r->c.network, "%s", value);
  else if (strcmp (name, "units") == 0)
    good = count (value, &r->n_units) && !r->c.seconds;
  else if (strcmp (name, "ranks") == 0)
    good = count (value, &r->ranks);
  else if (strcmp (name, "threads") == 0)
    good = count (value, &r->threads);
  else if (strcmp (name, "latency") == 0)
    good = positive (value, &r->c.link.latency_s);
  else if (strcmp (name, "bandwidth") == 0)
    good = positive (value, &r->c.link.bytes_per_s);
  else if (strcmp (name, "bandwidth_both") == 0)
    good = positive (value, &r->c.link.both_bytes_per_s);
  else if (strcmp (name, "unit") == 0)
    good = take_unit (r, value);
  else
    complain (r, line, "not a key of calibrated costs");
  if (!good) {
    struct text what;
    text_init (&what);
    text_add (&what, "%s = %.80s is not what --calibrate writes", name, value);
    complain (r, line, what.data);
    text_clear (&what);
  }
}

static enum status
whole (struct reader *r)
{
  if (r->bad.size == 0 &&
      (!r->c.seconds || r->lines != r->c.n_units * r->c.n_sizes ||
       r->c.link.latency_s <= 0 || r->c.link.both_bytes_per_s <= 0 ||
       !r->c.network[0]))
    text_add (&r->bad, "%s: not whole; make it with plan --calibrate\n",
              r->path);
  if (r->bad.size == 0)
    return OK;
  r->bad.data[r->bad.size - 1] = '\0';
  return fail (E_CONFIG, "%s", r->bad.data);
}

enum status
costs_read (const char *path, struct design_costs *out)
{
  struct reader r = {.path = path};
  struct ini ini;
  char *text = NULL;
  TRY (file_read (path, &text));
  text_init (&r.bad);
  ini_open (text, SECTION, &ini);
  mem_free (&text);
  for (int i = 0; i < ini.n; i++)
    take_line (&r, &ini.line[i]);
  ini_close (&ini);
  r.c.ranks = (int)r.ranks;
  r.c.threads = (int)r.threads;
  enum status s = whole (&r);
  text_clear (&r.bad);
  if (s == OK)
    *out = r.c;
  else
    design_costs_close (&r.c);
  return s;
}
