/* store/checkpoint_impl.h -- the list of what a checkpoint holds.
 *
 * The list is the same on all ranks and sorted by path, so that the file does
 * not tell who held what.
 */
#ifndef STORE_CHECKPOINT_IMPL_H
#define STORE_CHECKPOINT_IMPL_H

#include "store/raw.h"
#include "store/checkpoint.h"

struct store_entry {
  char path[TENSOR_NAME + 64];
  int owner; /* rank that has the data */
  int n_dims;
  int64_t dims[TENSOR_DIMS];
  enum tensor_type type;
  char digest[33];
};

size_t
store_entry_bytes (const struct store_entry *e);

struct store_list {
  struct store_entry *entry; /* n, sorted by path; owned */
  int n;
  int64_t bytes; /* of all data */
};

/* One line of text per tensor, with the digest of its data. */
void
store_list_write (const struct store_tensor *tensors, int n, struct text *out);
/* From the lines of all ranks, in rank order, each rank's closed by a line "."
 * E_PROTOCOL when a path comes twice. */
enum status
store_list_parse (const char *lines, struct store_list *out);
void
store_list_clear (struct store_list *l);

/* The digest over everything: attributes, paths, shapes, digests. */
void
store_list_digest (const struct store_list *l, const struct store_attributes *a,
                   char out[33]);

/* Weights, optimizer and state, from the digests of the list. */
void
store_list_digests (const struct store_list *l,
                    const struct store_attributes *a,
                    struct store_digests *out);

/* A parameter file without our attributes. */
bool
store_checkpoint_foreign (const struct store_checkpoint *c);

#endif
