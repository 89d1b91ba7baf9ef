/* store/checkpoint.h -- checkpoints, written and read.
 *
 * The format is that of the manual page interlock(5).  Local unless it says
 * Collective.
 */
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include "base/status.h"
#include "base/tensor.h"
#include "base/text.h"
#include "wire/wire.h"
#include <stdbool.h>
#include <stdint.h>

/* -- written by all ranks at once ------------------------------------------ */

/* Three digests of a whole training state: the same lines give the same words,
 * whoever held the tensors. */
struct store_digests {
  char weights[33];   /* of /model and /heads */
  char optimizer[33]; /* of /optimizer */
  char state[33];     /* of step, epoch, sample, seed, order, data set */
};

struct store_attributes {
  int64_t step, epoch, sample, seed;
  const char *config;   /* resolved configuration, text */
  const char *tuning;   /* kernel choices, text; may be "" */
  const char *library;  /* library versions, threads, ISA */
  const char *order;    /* "shuffle", "sequential"; NULL or "": not known */
  const char *data;     /* digest of the data set; NULL or "": not known */
  const char *metrics;  /* rows of metrics.csv without times; as order */
  const char *progress; /* sums of the row under way; as order */
  /* As the file says; empty where it does not.  Not read by writing, which
   * computes them. */
  struct store_digests digests;
};
/* From lines "PATH DIGEST", sorted, of all tensors of a checkpoint. */
void
store_checkpoint_digests (const char *lines, const struct store_attributes *a,
                          struct store_digests *out);
/* One tensor of this rank.  path: full ("/model/conv1.weight",
 * "/heads/1/0.weight", "/optimizer/momentum/model/conv1.weight"). */
struct store_tensor {
  char path[TENSOR_NAME + 64];
  int n_dims;
  int64_t dims[TENSOR_DIMS];
  void *data; /* plain layout; borrowed during the call */
  enum tensor_type type;
};
size_t
store_tensor_bytes (const struct store_tensor *t);
struct store_run;
struct store_saved;
struct store_spec {
  bool collective;             /* transfers of parallel HDF5 */
  const struct store_run *run; /* root: asked store_run_mine before the rename;
                                  NULL: nobody else is about */
  struct store_saved *saved;   /* filled but for message; may be NULL */
};
/* Write a whole checkpoint: every tensor is given by exactly one rank of the
 * world (n may be 0).  Parallel HDF5 under another name, closed, synced, read
 * back and verified against the digests, renamed.  E_IO leaves the old files
 * untouched.  spec NULL: independent.  Collective on world; all ranks return
 * the same. */
enum status
store_checkpoint_write (struct wire *w, const char *path,
                        const struct store_attributes *a,
                        const struct store_tensor *tensors, int n,
                        const struct store_spec *spec);

/* A parameter file without attributes and digests, as other programs make them,
 * with everything but its data: tensor i, of the path, shape and type of t[i],
 * has its bytes, little-endian and plain, at offset[i].  The place of the file
 * is reserved.  E_IO.  Local. */
enum status
store_parameters_create (const char *part, const struct store_tensor *t, int n,
                         int64_t *offset);

/* -- read ------------------------------------------------------------------ */

struct store_checkpoint; /* open for reading */
/* Checks format and version; E_CHECKPOINT, E_MISSING. */
enum status
store_checkpoint_open (const char *path, struct store_checkpoint **out);
void
store_checkpoint_close (struct store_checkpoint **c);
/* Strings live until close. */
void
store_checkpoint_attributes (const struct store_checkpoint *c,
                             struct store_attributes *out);
bool
store_checkpoint_has (const struct store_checkpoint *c, const char *path);
/* Read t->path into t->data; another shape, a missing tensor or one that is not
 * what its digest says (a checkpoint of ours has one for each): E_CHECKPOINT
 * naming file, path and both shapes. */
enum status
store_checkpoint_read (const struct store_checkpoint *c,
                       const struct store_tensor *t);
/* The shape of the tensor t->path.  E_CHECKPOINT, also when it has too many
 * dims. */
enum status
store_checkpoint_shape (const struct store_checkpoint *c,
                        struct store_tensor *t);
/* Whether it would be read: there, and of this shape.  data is not touched. */
enum status
store_checkpoint_fits (const struct store_checkpoint *c,
                       const struct store_tensor *t);
/* Whether attributes and the tensors' digests are those that the digest over
 * all was made of; the data themselves are compared where they are read.
 * E_CHECKPOINT; a parameter file of other programs has none and agrees. */
enum status
store_checkpoint_agrees (const struct store_checkpoint *c);
/* The digest that the file tells of a tensor: that of its numbers as 32-bit
 * floats.  E_CHECKPOINT when it tells none. */
enum status
store_checkpoint_digest (const struct store_checkpoint *c, const char *path,
                         char out[33]);
/* Floats with a shape, unlike a counter. */
bool
store_checkpoint_is_weight (const struct store_checkpoint *c, const char *path);
/* Paths of all tensors, sorted, one a line. */
enum status
store_checkpoint_paths (const struct store_checkpoint *c, struct text *out);
/* Read all of a file from the disk and compare every digest: E_CHECKPOINT when
 * it is damaged.  *n_tensors may be NULL. */
enum status
store_checkpoint_verify (const char *path, int *n_tensors);
/* What `interlock info` prints; check: verify every digest. */
enum status
store_checkpoint_print (const char *path, bool check, struct text *out);
/* -- those of a run directory ---------------------------------------------- */

/* Newest whole checkpoint of a run directory ("" when none). */
enum status
store_checkpoint_newest (const char *run_dir, struct text *path);

struct store_found { /* a checkpoint of a run directory */
  char path[512];
  int64_t step;
};
/* The checkpoints of a run directory that can be opened, newest first, not yet
 * verified; the others are named in a warning.  *list is owned by the caller.
 * *n_files counts all files under such names. */
enum status
store_checkpoint_candidates (const char *run_dir, struct store_found **list,
                             int *n, int *n_files);

/* Remove all but the `keep` newest readable checkpoints of a run directory
 * (keep < 1: none is removed), and never `good`, RUN/checkpoints/NAME, which
 * has just been verified: newer ones may be damaged.  E_IO. */
enum status
store_checkpoint_prune (const char *run_dir, int64_t keep, const char *good);

#endif
