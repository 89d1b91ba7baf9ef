/* design/map.c -- axes, cells, and what is best where. */
#include "design/map.h"

#include "base/memory.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum status
map_open (struct map *m)
{
  size_t n = (size_t)m->n_stages * (size_t)m->n_micro * (size_t)m->n_spans;

  CHECK (m->n_spans > 0 && m->span[m->n_spans - 1] == 0,
         "a map without end to end");
  text_init (&m->about);
  return MEM_NEW (n * MAP_ORDERS, &m->cell, "a map");
}

void
map_close (struct map *m)
{
  mem_free (&m->cell);
  text_clear (&m->about);
}

/* -- axes ------------------------------------------------------------------ */

/* 0, end to end, is the longest reach. */
static bool
behind (int a, int b)
{
  return b != 0 && (a == 0 || a > b);
}

static bool
insert (int v, int *n, int list[MAP_AXIS])
{
  int at = *n;

  for (int i = 0; i < *n; i++)
    if (list[i] == v)
      return true;
  if (*n == MAP_AXIS)
    return false;
  for (; at > 0 && behind (list[at - 1], v); at--)
    list[at] = list[at - 1];
  list[at] = v;
  ++*n;
  return true;
}

bool
map_axis (const char *words, int least, int most, bool all, int *n,
          int list[MAP_AXIS])
{
  char copy[512], *save = NULL, *word;
  int found[MAP_AXIS], count = 0;
  int64_t v;

  if (strlen (words) >= sizeof copy)
    return false;
  snprintf (copy, sizeof copy, "%s", words);
  for (word = strtok_r (copy, ",", &save); word;
       word = strtok_r (NULL, ",", &save)) {
    if (all && strcmp (word, "all") == 0)
      v = 0;
    else if (!text_to_long (word, &v) || v < least || v > most)
      return false;
    if (!insert ((int)v, &count, found))
      return false;
  }
  if (count == 0)
    return false;
  memcpy (list, found, sizeof found);
  *n = count;
  return true;
}

const char *
map_span_name (int span)
{
  static char room[8][16];
  static unsigned turn;
  char *s = room[turn++ % 8];

  if (span == 0)
    return "all";
  snprintf (s, sizeof room[0], "%d", span);
  return s;
}

/* -- what is best ---------------------------------------------------------- */

struct map_cell *
map_at (const struct map *m, int k, int micro, int span, int order)
{
  return &m->cell[((k * m->n_micro + micro) * m->n_spans + span) * MAP_ORDERS +
                  order];
}

bool
map_fits (const struct map *m, const struct map_cell *c)
{
  return c->there && (m->most_bytes <= 0 || c->bytes <= m->most_bytes);
}

int
map_best (const struct map *m, int k, int micro, int span)
{
  const struct map_cell *best = NULL;
  int at = -1;

  for (int o = 0; o < MAP_ORDERS; o++) {
    const struct map_cell *c = map_at (m, k, micro, span, o);
    if (!map_fits (m, c))
      continue;
    if (best && c->cycle_s > best->cycle_s * (1 - 1e-9) &&
        (c->cycle_s > best->cycle_s * (1 + 1e-9) || c->bytes >= best->bytes))
      continue;
    best = c;
    at = o;
  }
  return at;
}

static double
speed (const struct map *m, int k, int micro, int span)
{
  int o = map_best (m, k, micro, span);
  return o < 0 ? NAN : map_at (m, k, micro, span, o)->samples_per_s;
}

int
map_fastest (const struct map *m, int k, int micro)
{
  double best = 0;
  int at = -1;

  for (int s = m->n_spans - 1; s >= 0; s--) {
    double v = speed (m, k, micro, s);
    if (v > best * (1 + 1e-9)) {
      best = v;
      at = s;
    }
  }
  return at;
}

double
map_ratio (const struct map *m, int k, int micro, int span)
{
  double mine = speed (m, k, micro, span);
  double whole = speed (m, k, micro, m->n_spans - 1);

  return isnan (mine) ? NAN : isnan (whole) ? INFINITY : mine / whole;
}

int
map_crossover (const struct map *m, int micro, int span)
{
  int from = -1;

  for (int k = 0; k < m->n_stages; k++) {
    if (!map_at (m, k, micro, span, 0)->there)
      continue;
    if (!(map_ratio (m, k, micro, span) >= 1 + m->ahead))
      from = -1;
    else if (from < 0)
      from = k;
  }
  return from;
}
