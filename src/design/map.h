/* design/map.h -- where which strategy is fastest.
 *
 * A map is a table of predictions: stages x micro-batches x spans x orders.
 * Somebody else predicts and fills in the cells; here is what follows from
 * them: the best order of a span, the fastest span, from which depth on a span
 * is ahead of end to end, and how all that is shown.  All functions are Local.
 */
#ifndef DESIGN_MAP_H
#define DESIGN_MAP_H

#include "base/status.h"
#include "base/text.h"
#include "plan/plan.h"
#include <stdbool.h>
#include <stddef.h>

#define MAP_AXIS 24       /* values of an axis, at most */
#define MAP_ORDERS 3      /* enum plan_order */
#define MAP_DEEPEST 65536 /* stages */

struct map_cell {
  bool there; /* predicted; a span of K or more is told as all alone */
  double cycle_s;
  double samples_per_s;
  double bytes; /* of the rank that needs most */
};

struct map {
  int n_stages, stages[MAP_AXIS]; /* ascending */
  int n_micro, micro[MAP_AXIS];
  int n_spans, span[MAP_AXIS]; /* ascending; the last is 0: end to end */
  int ranks[MAP_AXIS];         /* by stages: of one replica */
  bool chain[MAP_AXIS];        /* by stages: a chain of mean blocks, since the
                                  network has not so many */
  double batch;
  double most_bytes; /* of a rank; 0: no limit */
  double ahead;      /* a span counts as ahead from 1 + this on */
  bool units;        /* costs are units: there are no seconds */
  struct text about; /* a line each: what the figures rest on */
  struct map_cell *cell;
};

/* Axes, limits and flags of m are set; makes the cells and the text. */
enum status
map_open (struct map *m);
void
map_close (struct map *m);
/* Numbers "2,4,8" (and "all" where it is allowed: 0), each from `least` to
 * `most`, ascending, without repetition; false when it is no such list. */
bool
map_axis (const char *words, int least, int most, bool all, int *n,
          int list[MAP_AXIS]);
/* By positions on the axes. */
struct map_cell *
map_at (const struct map *m, int k, int micro, int span, int order);

bool
map_fits (const struct map *m, const struct map_cell *c);
/* The order in which a span is fastest among those that fit (of equals the one
 * that needs least memory); -1: none. */
int
map_best (const struct map *m, int k, int micro, int span);
/* The fastest span, of equals the longest; -1: nothing fits. */
int
map_fastest (const struct map *m, int k, int micro);
/* Samples/s of the span's best order : those of end to end; INFINITY where end
 * to end does not fit, NAN where the span does not. */
double
map_ratio (const struct map *m, int k, int micro, int span);
/* Position of the least depth from which on (at every depth of the map where
 * there is the span) it is ahead; -1: none. */
int
map_crossover (const struct map *m, int micro, int span);
/* "all", "3"; one of a few rotating buffers. */
const char *
map_span_name (int span);

/* Tables for the terminal; every cell as comma-separated lines. */
void
map_print (const struct map *m, struct text *out);
void
map_csv (const struct map *m, struct text *out);

#endif
