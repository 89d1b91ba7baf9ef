/* kern/prove_impl.h -- verdicts on the library's kernels, and how they come
 * about.
 *
 * A kernel is named by what decides which machine code runs: direction, sizes
 * but for the batch, layouts, and the library's name of the implementation.
 *
 * It is run twice on small data, with a scratchpad of its own.  Before each run
 * the scratchpad and the results are filled with nonsense, of another kind each
 * time, so that a kernel that reads what it should not gives two different
 * results.  It is right when both are what plain arithmetic in double says, and
 * nothing behind the scratchpad was touched.
 *
 * Data are whole numbers, so small that sums in any order are exact: the
 * difference has to be 0, but where the algorithm itself rounds (Winograd).
 */
#ifndef KERN_PROVE_IMPL_H
#define KERN_PROVE_IMPL_H

#include "kern/kern_impl.h"
#include "kern/own_impl.h"

#define KERN_KEY 256
struct kern_verdict {
  char key[KERN_KEY];
  bool right;
  double error; /* largest, as a part of what the terms add up to; < 0: told by
                   a text */
  char why[96]; /* it is wrong; "": told by a text or another rank */
};

#define KERN_CLASSES 256
struct kern_product_class {
  uint64_t sizes;
  bool right;
};

struct kern_verdicts {
  struct kern_verdict *v; /* owned */
  int n;
  size_t room;
  uint64_t *foreign; /* owned: hashes of keys that another rank found wrong */
  int n_foreign;
  size_t foreign_room;
  float *product_room;                /* owned: memory for proofs of products */
  double *product_sums;               /* likewise */
  struct kern_product_class *classes; /* owned; of products that are known */
  int n_classes;
  bool aloud;        /* wrong ones are named in the log */
  struct arena slab; /* of the last proof, for the next */
};

enum kern_known { KERN_UNKNOWN, KERN_RIGHT, KERN_WRONG };
enum kern_known
kern_verdict_get (const struct kern *k, const char *key);
/* Keep a verdict; why: what a new wrong one is dropped for (NULL: told by a
 * text). */
enum status
kern_verdict_put (struct kern *k, const char *key, bool right, double error,
                  const char *why);
void
kern_verdicts_clear (struct kern *k);
/* What proofs keep for each other goes. */
void
kern_proofs_done (struct kern *k);

/* -- a kern within the kern ------------------------------------------------ */

/* While open, what is made and sealed has a scratchpad of its own, with room
 * behind it that nobody may touch. */
struct kern_aside {
  size_t scratch_bytes, side_bytes, side_offset;
  struct arena slab;
};
void
kern_aside_open (struct kern *k, struct kern_aside *a);
enum status
kern_aside_seal (struct kern *k);
void
kern_aside_close (struct kern *k, struct kern_aside *a);
/* Fill the scratchpad with nonsense of kind 0 or 1. */
void
kern_aside_spoil (struct kern *k, int kind);
/* Whether all behind a scratchpad of that many bytes, and behind the side
 * buffer, is as spoilt. */
bool
kern_aside_whole (const struct kern *k, size_t scratch_bytes, int kind);
/* The same nonsense for n numbers of a result, and GUARD behind them. */
#define KERN_GUARD 1024
void
kern_spoil (float *x, size_t n, int kind);
bool
kern_spoilt (const float *x, size_t n, int kind);

/* n whole numbers from -amplitude to amplitude, none of them 0 beyond need. */
void
kern_fill_whole (float *x, size_t n, int amplitude, uint32_t seed);
/* The largest amplitude of one factor, the other's at most 2, for which sums of
 * so many terms are exact. */
int
kern_amplitude (double terms);
/* x up to twice `most` as it is; else `most` and what is left over of it. */
int64_t
kern_reduced (int64_t x, int64_t most);

#define KERN_ROUNDOFF 5.9604644775390625e-8 /* 2^-24 */

/* -- families -------------------------------------------------------------- */

/* *wrong: directions of `wanted` whose kernel is known, or found, to be wrong.
 * c was made with these algorithms. */
enum status
kern_conv_prove (struct kern *k, const struct kern_conv *c,
                 const enum kern_algo algo[3], unsigned wanted,
                 unsigned *wrong);
/* The shape of a convolution and the scratchpad of its direction. */
const struct kern_conv_shape *
kern_conv_shape_of (const struct kern_conv *c);
size_t
kern_conv_scratch (const struct kern_conv *c, enum kern_direction d);
/* Products of matrices by the library's sgemm.  prove: whether those of such
 * sizes are right, from small ones the first time; takes no memory after
 * kern_open.  alone: by one thread of many, where only what was asked before
 * outside is right. */
enum status
kern_product_prove (struct kern *k, const struct kern_product *p, bool alone,
                    bool *right);
/* The largest difference of C from A B and what was there before (and a bias,
 * if not NULL), as a part of what a row's terms add up to; sum: inner numbers.
 */
double
kern_product_difference (const struct kern_product *p, const float *a,
                         const float *b, const float *c, const float *bias,
                         float before, double amplitude, double *sum);
enum status
kern_products_open (struct kern *k);
/* Room for more verdicts than a step can come to. */
enum status
kern_verdicts_reserve (struct kern *k);
enum status
kern_product_run (const struct kern_product *p, const float *a, const float *b,
                  float *c);

#endif
