/* store/saver_impl.h -- what both ways of writing a checkpoint share
 * (checkpoint_create.c), and the saver's disk (saver_disk.c).
 */
#ifndef STORE_SAVER_IMPL_H
#define STORE_SAVER_IMPL_H

#include "store/checkpoint_impl.h"
#include "store/saver.h"

/* The list of all ranks' tensors on every rank; digest "-" for a tensor without
 * data.  Collective on world. */
enum status
store_list_share (struct wire *w, const struct store_tensor *tensors, int n,
                  struct store_list *out);

/* PATH.HOST.PID.part: the name while writing. */
void
store_part_name (const char *path, struct text *out);
/* The file with all but the data of its tensors, closed; offset[i], where the
 * data of entry i belong (list->n; may be NULL).  E_IO.  Local. */
#define STORE_ALIGNED_FROM STORE_PAGED /* data of so many bytes ... */
#define STORE_ALIGNED_TO STORE_PAGE    /* ... begin at a multiple of this */
enum status
store_checkpoint_create (const char *part, const struct store_list *list,
                         const struct store_attributes *a, int64_t *offset);
/* Open it again and compare everything but the data.  E_IO. */
enum status
store_checkpoint_compare (const char *part, const struct store_list *list,
                          const struct store_attributes *a,
                          const int64_t *offset);
/* For fault_here ("damage"): what a disk may do.  Turns a bit of a byte. */
enum status
store_checkpoint_damage (const char *part, int64_t offset);

/* What a rank writes of a file whose places are known. */
#define STORE_BLOCK_BYTES ((size_t)8 << 20)
struct store_own {
  const char *part; /* the file */
  const struct store_list *list;
  void *const *data;     /* list->n; NULL for tensors of other ranks */
  const int64_t *offset; /* list->n */
  unsigned char *block;  /* STORE_BLOCK_BYTES, on a page */
};
/* Write and sync; E_IO.  fault_here ("write"). */
enum status
store_own_write (const struct store_own *v);
/* Read from the disk and compare; E_IO. */
enum status
store_own_read_back (const struct store_own *v);

#endif
