/* weights/weights_impl.h -- files of tensors, tables of names, and writing. */
#ifndef WEIGHTS_WEIGHTS_IMPL_H
#define WEIGHTS_WEIGHTS_IMPL_H

#include "base/tensor.h"
#include "store/checkpoint.h"
#include "weights/weights.h"

/* -- a file of tensors (file.c, safetensors.c) ----------------------------- */

enum weights_type {
  WEIGHTS_F64,
  WEIGHTS_F32,
  WEIGHTS_F16,
  WEIGHTS_BF16,
  WEIGHTS_OTHER /* no float that is read */
};

struct weights_tensor {
  char name[TENSOR_NAME]; /* without /model/; "heads.1.0.weight" */
  int n_dims;
  int64_t dims[TENSOR_DIMS];
  enum weights_type type;
  char word[16];               /* the file's own word for the type */
  int64_t begin, end;          /* bytes of the file; not of HDF5 */
  char path[TENSOR_NAME + 64]; /* in an HDF5 file */
};
int64_t
weights_count (const struct weights_tensor *t);

struct weights_file {
  const char *path;              /* borrowed */
  struct weights_tensor *tensor; /* n; owned */
  int n;
  int fd;                      /* of safetensors; -1: HDF5 */
  struct store_checkpoint *h5; /* NULL: safetensors */
};
/* Either format, by its first bytes; heads: with those of inner stages.
 * E_MISSING, E_CHECKPOINT, E_MEMORY. */
enum status
weights_open (const char *path, bool heads, struct weights_file *f);
void
weights_close (struct weights_file *f);
/* weights_count numbers; a checkpoint's are compared with their digests. */
enum status
weights_read (const struct weights_file *f, const struct weights_tensor *t,
              float *out);

/* Reads and checks the header: every byte of the data belongs to one tensor. */
enum status
weights_header_read (struct weights_file *f);
/* n numbers of 16 or 64 bits as floats. */
void
weights_widen (enum weights_type type, const void *from, size_t n, float *out);

/* -- names (names.c) ------------------------------------------------------- */

/* How a tensor of theirs lies where it is not as here. */
enum { WEIGHTS_TURNED = 1, WEIGHTS_POINT = 2, WEIGHTS_NEEDED = 4 };

struct weights_names; /* whose names: a table */
/* Table i, NULL behind the last; word: of the option, model: whose. */
const struct weights_names *
weights_names_at (int i);
const char *
weights_names_word (const struct weights_names *t);
const char *
weights_names_model (const struct weights_names *t);
/* Their name for our `name`, and the other way round, where a prefix of
 * wrappers (module., _orig_mod.) or the table's root may be missing.  *how:
 * bits of above.  False: such a model has no such tensor. */
bool
weights_name_out (const struct weights_names *t, const char *name,
                  char out[TENSOR_NAME], unsigned *how);
bool
weights_name_in (const struct weights_names *t, const char *name,
                 char out[TENSOR_NAME], unsigned *how);
/* Our pattern that such a model has, and none of f's tensors matches; NULL:
 * there is none. */
const char *
weights_names_missing (const struct weights_names *t,
                       const struct weights_file *f);
/* What models carry beside their parameters. */
bool
weights_name_is_extra (const char *name);
/* "heads.1.0.weight" */
bool
weights_name_is_head (const char *name);

/* -- writing (write.c) ----------------------------------------------------- */

struct weights_entry {
  char name[TENSOR_NAME];
  int n_dims;
  int64_t dims[TENSOR_DIMS];
  int from;      /* of the file that is read; -1: a counter, a 64-bit integer */
  int64_t value; /* of a counter */
  bool turned;   /* rows and columns change places */
};
/* All entries to `output`, whole or not at all.  E_IO, E_USAGE. */
enum status
weights_write (const struct weights_file *f, const struct weights_entry *e,
               int n, enum weights_form form, const char *output);

#endif
