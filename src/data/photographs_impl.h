/* data/photographs_impl.h -- images kept as files keep them: from bytes of JPEG
 * to the square of pixels that a network sees.
 *
 *   entries  the variable-length bytes of a split, in memory or in the file
 *   view     decoded, cropped, resampled, in buffers made once
 *
 * Local.  Nothing here allocates but the functions named open and load.
 */
#ifndef DATA_PHOTOGRAPHS_IMPL_H
#define DATA_PHOTOGRAPHS_IMPL_H

#include "data/data_impl.h"
#include "data/image.h"

/* -- entries (entries.c) --------------------------------------------------- */

struct data_entries {
  int64_t n;
  int64_t bytes;       /* of all */
  int64_t least, most; /* bytes of the smallest and of the largest */
  int64_t pixels;      /* the most of one; 0: not known */
  size_t ref_bytes;    /* of a reference in the file */
  unsigned char *refs; /* n x ref_bytes as the file has them; owned; NULL
                          when all are in memory because they have to be */
  int64_t *starts;     /* n + 1 offsets into all; NULL: not in memory */
  unsigned char *all;  /* owned */
  const struct data_set *data; /* borrowed */
  enum data_split split;
};
/* Of the open dataset: its type, and the size of every entry.  Entries of a
 * chunked dataset are read to memory.  E_DATA naming file, path, index. */
enum status
data_entries_open (const struct data_set *d, enum data_split which,
                   const struct store_h5_at *at, int64_t n,
                   struct data_entries **out);
void
data_entries_close (struct data_entries **e);
/* Bytes of room that data_entries_get needs. */
size_t
data_entries_room (const struct data_entries *e);
/* All to memory. */
enum status
data_entries_load (struct data_entries *e);
/* Entry i: *bytes points into memory, or into room, to which it is read from
 * the plain file: any thread may do that. */
enum status
data_entries_get (const struct data_entries *e, int64_t i, unsigned char *room,
                  const unsigned char **bytes, size_t *n);

/* -- views (view.c) -------------------------------------------------------- */

struct data_viewer; /* of one thread */
/* Buffers for images of at most that many pixels and entries of room bytes. */
enum status
data_viewer_open (int size, int64_t pixels, size_t room,
                  struct data_viewer **out);
void
data_viewer_close (struct data_viewer **v);
/* Memory of such a viewer. */
double
data_viewer_bytes (int size, int64_t pixels, size_t room);
/* How an image is to be seen: at random from (seed, epoch), or in the middle.
 */
struct data_seen {
  bool random;
  uint64_t seed;
  int64_t epoch;
};
/* Sample i of a split as planes [3, size, size]; E_DATA naming file, path and
 * index for what does not decode. */
enum status
data_view (struct data_viewer *v, const struct data_entries *e, int64_t i,
           const struct data_seen *seen, unsigned char *out);
/* Decode it, and nothing more. */
enum status
data_view_check (struct data_viewer *v, const struct data_entries *e,
                 int64_t i);

#endif
