/* main/map_options.c -- the options of a map and of a calibration: lists, times
 * and rates with their units. */
#include "main/main.h"

#include <stdlib.h>
#include <string.h>

struct unit {
  const char *name;
  double factor;
};

/* A positive number and one of the units behind it. */
static bool
with_unit (const char *word, const struct unit *units, double *out)
{
  char *end;
  double v = strtod (word, &end);
  if (end == word || !(v >= 0) || v > 1e18)
    return false;
  while (*end == ' ')
    end++;
  for (; units->name; units++)
    if (strcmp (end, units->name) == 0) {
      *out = v * units->factor;
      return true;
    }
  return false;
}

static const struct unit times[] = {
    {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {NULL, 0}};
static const struct unit rates[] = {
    {"B/s", 1},        {"kB/s", 1e3},     {"MB/s", 1e6}, {"GB/s", 1e9},
    {"Mbit/s", 125e3}, {"Gbit/s", 125e6}, {NULL, 0}};

static void
axis (const char *name, const char *value, int most, bool all, int *n,
      int list[MAP_AXIS], struct text *lines)
{
  if (!map_axis (value, 1, most, all, n, list))
    text_add (lines,
              "--%s %s: wanted up to %d integers from 1 to %d%s, with commas "
              "between\n",
              name, value, MAP_AXIS, most, all ? ", or all" : "");
}

static void
latency (struct options *o, const char *value, struct text *lines)
{
  if (!with_unit (value, times, &o->map.latency_s) || o->map.latency_s > 1e3)
    text_add (lines,
              "--latency %s: wanted a time such as 2us (s, ms, us, ns)\n",
              value);
}

static void
bandwidth (struct options *o, const char *value, struct text *lines)
{
  if (!with_unit (value, rates, &o->map.bytes_per_s) || o->map.bytes_per_s < 1)
    text_add (lines,
              "--bandwidth %s: wanted a rate such as 10GB/s (B/s, kB/s, MB/s, "
              "GB/s, Mbit/s, Gbit/s)\n",
              value);
}

static void
ahead (struct options *o, const char *value, struct text *lines)
{
  double percent;
  if (text_to_double (value, &percent) && percent >= 0 && percent <= 1e6)
    o->map.ahead = percent / 100;
  else
    text_add (lines, "--ahead %s: wanted per cent, 0 or more\n", value);
}

void
map_option (struct options *o, int letter, const char *value,
            struct text *lines)
{
  struct map *m = &o->map.axes;
  switch (letter) {
  case OPT_MAP:
    o->map.wanted = true;
    break;
  case OPT_STAGES:
    axis ("stages", value, MAP_DEEPEST, false, &m->n_stages, m->stages, lines);
    break;
  case OPT_MICRO:
    axis ("micro", value, 4096, false, &m->n_micro, m->micro, lines);
    break;
  case OPT_SPANS:
    axis ("spans", value, PLAN_CHAIN_SPAN, true, &m->n_spans, m->span, lines);
    break;
  case OPT_LATENCY:
    latency (o, value, lines);
    break;
  case OPT_BANDWIDTH:
    bandwidth (o, value, lines);
    break;
  case OPT_AHEAD:
    ahead (o, value, lines);
    break;
  case OPT_CSV_FILE:
    o->map.csv = value;
    break;
  case OPT_SVG:
    o->map.svg = value;
    break;
  case OPT_COSTS:
    o->map.costs = value;
    break;
  case OPT_CALIBRATE:
    o->map.calibrate = value;
    break;
  default:
    CHECK (false, "option %d has no meaning", letter);
  }
}

/* Axes that were not given. */
static void
defaults (struct options *o)
{
  struct map *m = &o->map.axes;
  bool all = true;
  o->map.micro_given = m->n_micro > 0;
  if (m->n_stages == 0)
    all = map_axis ("2,4,8,16,32,64,128,256,512,1024", 1, MAP_DEEPEST, false,
                    &m->n_stages, m->stages);
  if (m->n_micro == 0)
    all = all && map_axis ("1,2,4,8", 1, 4096, false, &m->n_micro, m->micro);
  if (m->n_spans == 0)
    all = all && map_axis ("1,2,3,all", 1, PLAN_CHAIN_SPAN, true, &m->n_spans,
                           m->span);
  CHECK (all, "defaults of a map");
  /* All are compared with end to end. */
  if (m->span[m->n_spans - 1] != 0 && m->n_spans < MAP_AXIS)
    m->span[m->n_spans++] = 0;
}

void
map_options_check (struct options *o, struct text *lines)
{
  struct map *m = &o->map.axes;
  bool maps = o->map.wanted, calibrates = o->map.calibrate != NULL;
  if (!maps && (m->n_stages || m->n_spans || o->map.csv || o->map.svg ||
                o->map.ahead >= 0 || o->probe.memory_bytes > 0))
    text_add (lines, "--stages, --spans, --ahead, --memory, --csv and --svg "
                     "want --map\n");
  if (!maps && !calibrates && m->n_micro)
    text_add (lines, "--micro wants --map or --calibrate\n");
  if (maps && calibrates)
    text_add (lines, "--map and --calibrate exclude each other: the first "
                     "reads by --costs what the second writes\n");
  if (calibrates && (o->unit || o->measure || o->map.costs))
    text_add (lines, "--calibrate measures: --unit, --measure and --costs do "
                     "not go with it\n");
  if (o->map.costs && (o->unit || o->measure))
    text_add (lines, "--costs excludes --unit and --measure\n");
  if (maps && o->list)
    text_add (lines, "--list is of one plan, not of a map\n");
  if (m->n_spans == MAP_AXIS && m->span[MAP_AXIS - 1] != 0)
    text_add (lines, "--spans: %d of them and all are too many\n", MAP_AXIS);
  defaults (o);
  m->most_bytes = maps ? o->probe.memory_bytes : 0;
  m->ahead = o->map.ahead >= 0 ? o->map.ahead : 0.1;
}
