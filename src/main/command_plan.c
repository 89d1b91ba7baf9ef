/* main/command_plan.c -- the command `plan`: one plan, a map of many, or the
 * calibration of both. */
#include "main/main.h"

#include "design/map.h"
#include "design/ask.h"
#include "wire/wire.h"
#include <stdlib.h>
#include <string.h>

#define MICRO_MOST 4096

struct options {
  struct given given;
  struct design_plan_spec plan;
  bool map, micro_given;
  struct map axes; /* cells: none */
  const char *costs, *calibrate, *csv, *svg;
};

/* -1: not given */
static const struct options defaults = {
    .plan = {.columns = 100, .latency_s = -1}, .axes = {.ahead = -1}};

/* -- lists, times and rates -------------------------------------------------
 */

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

static bool
stages (void *axes, const char *list)
{
  struct map *m = axes;
  return map_axis (list, 1, MAP_DEEPEST, false, &m->n_stages, m->stages);
}

static bool
micro (void *axes, const char *list)
{
  struct map *m = axes;
  return map_axis (list, 1, MICRO_MOST, false, &m->n_micro, m->micro);
}

static bool
spans (void *axes, const char *list)
{
  struct map *m = axes;
  return map_axis (list, 1, PLAN_CHAIN_SPAN, true, &m->n_spans, m->span);
}

static bool
latency (void *seconds, const char *word)
{
  double *s = seconds;
  return with_unit (word, times, s) && *s <= 1e3;
}

static bool
bandwidth (void *bytes_per_s, const char *word)
{
  double *rate = bytes_per_s;
  return with_unit (word, rates, rate) && *rate >= 1;
}

/* "... from 1 to 4096, ..." */
#define WORD(number) #number
#define LIST(most, axis, or)                                                  \
  "up to " WORD (axis) " integers from 1 to " WORD (most) or ", with commas " \
                                                             "between"
#define LIST_TO(most, or) LIST (most, MAP_AXIS, or)

/* -- rows -------------------------------------------------------------------
 */

/* clang-format off */
static const struct flag flags[] = {
  { "memory", 0, "GB",
    "of a map: leave out what needs more on a rank; default: no limit",
    INTO_BYTES (axes.most_bytes) },
  { "map", 0, NULL,
    "where which span and order is fastest: a table over stages, micro-batches "
    "and spans",
    INTO_BOOL (map) },
  { "stages", 0, "LIST",
    "of a map: numbers of stages; default: 2,4,8,16,32,64,128,256,512,1024",
    BY (stages, axes), .wanted = LIST_TO (MAP_DEEPEST, "") },
  { "micro", 0, "LIST",
    "of a map or calibration: numbers of micro-batches; default: those of "
    "1,2,4,8 that divide the batch",
    BY (micro, axes), .wanted = LIST_TO (MICRO_MOST, "") },
  { "spans", 0, "LIST", "of a map: 1 to 32, or all; default: 1,2,3,all",
    BY (spans, axes),
    .wanted = LIST_TO (PLAN_CHAIN_SPAN, ", or all") },
  { "ahead", 0, "PERCENT",
    "of a map: tell from how many stages on a span is so much faster than end "
    "to end; default: 10",
    INTO_REAL (axes.ahead, 0, 1000000, 0.01),
    .wanted = "per cent, 0 or more" },
  { "latency", 0, "TIME",
    "of a message, such as 2us; default: as calibrated, else 20us",
    BY (latency, plan.latency_s),
    .wanted = "a time such as 2us (s, ms, us, ns)" },
  { "bandwidth", 0, "RATE",
    "of a link, one way, such as 10GB/s; default: as calibrated, else 5GB/s",
    BY (bandwidth, plan.bytes_per_s),
    .wanted = "a rate such as 10GB/s (B/s, kB/s, MB/s, GB/s, Mbit/s, Gbit/s)" },
  { "costs", 0, "FILE", "blocks and messages as --calibrate measured them",
    INTO_TEXT (costs) },
  { "calibrate", 0, "FILE",
    "under mpirun or srun: measure blocks and messages, and write them",
    INTO_TEXT (calibrate) },
  { "csv", 0, "FILE", "of a map: every cell as comma-separated lines",
    INTO_TEXT (csv) },
  { "svg", 0, "FILE", "of a map: a picture", INTO_TEXT (svg) },
  { "ranks", 0, "N",
    "plan for N ranks; default: one for each stage and replica",
    INTO_INT (plan.ranks, 1, 1 << 20) },
  { "columns", 0, "N", "characters of a line of the timetable; default 100",
    INTO_INT (plan.columns, 20, 10000) },
  { "unit", 0, NULL,
    "forward, data gradient and weight gradient cost 1 each",
    INTO_BOOL (plan.unit_costs) },
  { "measure", 0, NULL, "measure the blocks on this machine",
    INTO_BOOL (plan.measure) },
  { "list", 0, NULL, "print every operation of every rank",
    INTO_BOOL (plan.list) },
  { "json", 0, NULL, "print one JSON document in place of words and timetable",
    INTO_BOOL (plan.json) },
  { 0 }
};
/* clang-format on */

/* -- check ------------------------------------------------------------------
 */

/* Axes that were not given. */
static void
fill_axes (struct map *m)
{
  bool all = true;
  if (m->n_stages == 0)
    all = map_axis ("2,4,8,16,32,64,128,256,512,1024", 1, MAP_DEEPEST, false,
                    &m->n_stages, m->stages);
  if (m->n_micro == 0)
    all = all &&
          map_axis ("1,2,4,8", 1, MICRO_MOST, false, &m->n_micro, m->micro);
  if (m->n_spans == 0)
    all = all && map_axis ("1,2,3,all", 1, PLAN_CHAIN_SPAN, true, &m->n_spans,
                           m->span);
  CHECK (all, "defaults of a map");
  /* All are compared with end to end. */
  if (m->span[m->n_spans - 1] != 0 && m->n_spans < MAP_AXIS)
    m->span[m->n_spans++] = 0;
}

static void
check (void *options, struct text *wrong)
{
  struct options *o = options;
  struct map *m = &o->axes;
  bool unit = o->plan.unit_costs, measure = o->plan.measure;
  if (!o->map && (m->n_stages || m->n_spans || o->csv || o->svg ||
                  m->ahead >= 0 || m->most_bytes > 0))
    text_add (wrong, "--stages, --spans, --ahead, --memory, --csv and --svg "
                     "want --map\n");
  if (!o->map && !o->calibrate && m->n_micro)
    text_add (wrong, "--micro wants --map or --calibrate\n");
  if (o->map && o->calibrate)
    text_add (wrong, "--map and --calibrate exclude each other: the first "
                     "reads by --costs what the second writes\n");
  if (o->calibrate && (unit || measure || o->costs))
    text_add (wrong, "--calibrate measures: --unit, --measure and --costs do "
                     "not go with it\n");
  if (o->costs && (unit || measure))
    text_add (wrong, "--costs excludes --unit and --measure\n");
  if (o->map && o->plan.list)
    text_add (wrong, "--list is of one plan, not of a map\n");
  if (m->n_spans == MAP_AXIS && m->span[MAP_AXIS - 1] != 0)
    text_add (wrong, "--spans: %d of them and all are too many\n", MAP_AXIS);
  if (o->plan.json && (o->map || o->calibrate || o->plan.list))
    text_add (wrong, "--json does not go with --map, --calibrate and --list\n");
  if (unit && measure)
    text_add (wrong, "--unit and --measure exclude each other\n");
  o->micro_given = m->n_micro > 0;
  fill_axes (m);
  if (m->ahead < 0)
    m->ahead = 0.1;
  if (o->calibrate)
    o->given.needs |= NEEDS_RANKS;
}

/* -- work -------------------------------------------------------------------
 */

static enum status
plan (const struct config *c, struct design_plan_spec *p)
{
  struct text out;
  if (p->ranks == 0)
    p->ranks = (int)(c->count * c->replicas);
  text_init (&out);
  enum status s = design_plan (c, p, &out);
  if (s == OK)
    file_print (&out);
  text_clear (&out);
  return s;
}

static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  const struct start start = {0};
  struct design_plan_spec p = o->plan;
  struct design_costs costs = {0};
  struct config c;
  TRY (configure_file (o->given.names[0], &o->given, &start, CONFIG_PLAN, w,
                       &c));
  if (o->calibrate)
    return map_calibrate (&o->axes, o->calibrate, &c, w);
  if (o->costs) {
    TRY (wire_agree (w, costs_read (o->costs, &costs)));
    p.costs = &costs;
    if (p.latency_s < 0)
      p.latency_s = costs.link.latency_s;
    if (p.bytes_per_s <= 0) /* activations and gradients cross */
      p.bytes_per_s = costs.link.both_bytes_per_s;
  }
  enum status s =
      o->map ? map_make (&o->axes, o->micro_given, &c, &p, o->csv, o->svg)
             : plan (&c, &p);
  design_costs_close (&costs);
  return wire_agree (w, s);
}

const struct command command_plan = {
    .name = "plan",
    .usage = "plan [CONFIG.ini] [section.key=value ...] [options]",
    .summary =
        "stages, windows, timetable, predicted time and memory; needs no MPI",
    .detail =
        "Shows what training would do on a number of ranks, without doing it. "
        "With --map: samples/s and memory for many numbers of stages and "
        "micro-batches, every span and order, and from how many stages on "
        "which span is ahead of end to end. With --calibrate, under MPI: "
        "measures for that.",
    .flags = flags,
    .size = sizeof (struct options),
    .defaults = &defaults,
    .needs = NEEDS_STDOUT,
    .most = 1,
    .keys = true,
    .check = check,
    .work = work,
};
