/* kern/linear_impl.h -- the primitives of linear layers, as their files see
 * them.
 */
#ifndef KERN_LINEAR_IMPL_H
#define KERN_LINEAR_IMPL_H

#include "kern/half_impl.h"

enum linear_what {
  LINEAR_FORWARD,
  LINEAR_DATA,
  LINEAR_SET, /* the gradient of W, overwritten */
  LINEAR_ADD, /* and added */
  LINEAR_OPS
};

/* Primitives for one number of rows; those that are not made are left to
 * others. */
struct linear_rows {
  int64_t n;
  struct kern_op op[LINEAR_OPS];
};

#define LINEAR_ROWS 4
struct kern_linear {
  struct kern *k;
  struct kern_linear_shape s;
  bool by_sgemm; /* as earlier versions did */
  int n_rows;
  struct linear_rows rows[LINEAR_ROWS]; /* most rows first */
  struct kern_half *half;               /* owned; NULL: all of it is f32 */
};

/* Make the primitive of one product for n rows, the given way first, and prove
 * it.  Where that is wrong or not offered the other way is taken, unless
 * `alone`; where none is right op is left empty. */
enum status
kern_linear_op (const struct kern_linear *l, enum linear_what what, int64_t n,
                enum kern_way way, bool alone, struct kern_op *op);
/* The product itself, rows packed. */
struct kern_product
kern_linear_product (const struct kern_linear_shape *s, enum linear_what what,
                     int64_t n);

/* -- the table ------------------------------------------------------------- */

/* The way of a direction: of the table, else by rule. */
enum kern_way
kern_linear_choice (const struct kern_tuning *t,
                    const struct kern_linear_shape *s, enum kern_direction d);

#endif
