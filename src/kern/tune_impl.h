/* kern/tune_impl.h -- the table of algorithms, as tune.c and measure.c see it.
 */
#ifndef KERN_TUNE_IMPL_H
#define KERN_TUNE_IMPL_H

#include "kern/kern_impl.h"

struct kern_tuning_entry {
  struct kern_conv_shape s;
  int algo[3];       /* enum kern_algo by direction, or KERN_NO_ALGO */
  double seconds[3]; /* of the chosen algorithm; 0: not measured here */
};

struct kern_linear_entry {
  int64_t n, in, out;
  enum kern_way way[3]; /* by direction */
};

struct kern_tuning {
  enum kern_layout layout;
  enum kern_bn_way bn;
  char machine[KERN_MACHINE];        /* "" when nothing was measured or read */
  struct kern_tuning_entry *entries; /* owned */
  size_t n, room;
  bool by_sgemm; /* products of matrices, as earlier versions computed them */
  struct kern_linear_entry *linear; /* owned */
  size_t n_linear, linear_room;
  char proven[KERN_MACHINE]; /* where the verdicts were found; "": none */
  struct text verdicts;      /* lines "right KEY" and "wrong KEY" */
};

/* The entry of a shape, a bias aside; NULL: none.  Borrowed until the next
 * kern_tuning_add. */
struct kern_tuning_entry *
kern_tuning_find (const struct kern_tuning *t, const struct kern_conv_shape *s);
enum status
kern_tuning_add (struct kern_tuning *t, const struct kern_tuning_entry *e);

/* Lines of linear layers: what stands behind "linear ", and all of them. */
enum status
kern_linear_parse (const char *line, const char *at, struct kern_tuning *t);
void
kern_linear_print (const struct kern_tuning *t, struct text *out);

#endif
