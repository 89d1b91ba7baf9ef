/* store/saver_disk.c -- a rank's own tensors to their places in the file, and
 * back from the disk for comparison.  No HDF5, no MPI: for the saver's thread.
 */
#define _GNU_SOURCE
#include "base/fault.h"
#include "base/place.h"
#include "store/file.h"
#include "store/saver_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The data go to the file as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "tensors in the file are little-endian");

/* Large tensors go past the page cache (O_DIRECT).  Copying them into it would
 * take time from the cores, which train; and what is read back then comes from
 * the disk, not from memory.  Pieces that do not fill whole pages, and
 * everything on a file system that does not offer it, go the ordinary way. */
struct way {
  int fd, direct; /* direct -1: not offered here */
};

static enum status
way_open (const struct store_own *v, int flags, struct way *out)
{
  out->direct = -1;
  out->fd = open (v->part, flags | O_CLOEXEC);
  if (out->fd < 0)
    return fail (E_IO, "%s: not opened: %s", v->part, strerror (errno));
#ifdef O_DIRECT
  out->direct = open (v->part, flags | O_DIRECT | O_CLOEXEC);
#endif
  return OK;
}

static enum status
way_close (const struct store_own *v, struct way *w)
{
  bool good = w->direct < 0 || close (w->direct) == 0;
  if (close (w->fd) != 0 || !good)
    return fail (E_IO, "%s: not closed: %s", v->part, strerror (errno));
  return OK;
}

/* Bytes of entry i that may go directly, whole pages from its beginning. */
static size_t
direct_bytes (const struct store_own *v, const struct way *w, int i)
{
  size_t size = store_entry_bytes (&v->list->entry[i]);
  bool fits = w->direct >= 0 && size >= STORE_ALIGNED_FROM &&
              v->offset[i] % STORE_ALIGNED_TO == 0 &&
              (uintptr_t)v->data[i] % STORE_ALIGNED_TO == 0;
  return fits ? size - size % STORE_ALIGNED_TO : 0;
}

/* Moves the next piece of entry i, of which `done` bytes are there already, and
 * returns what pread or pwrite did.  If the file system refuses a direct
 * transfer (EINVAL) after all, the ordinary way is taken from then on. */
static ssize_t
piece (const struct store_own *v, struct way *w, int i, size_t done,
       unsigned char *into)
{
  for (;;) {
    size_t direct = direct_bytes (v, w, i);
    bool past = done >= direct || done % STORE_ALIGNED_TO != 0;
    size_t left =
        (past ? store_entry_bytes (&v->list->entry[i]) : direct) - done;
    size_t n = left < STORE_BLOCK_BYTES ? left : STORE_BLOCK_BYTES;
    int fd = past ? w->fd : w->direct;
    off_t at = (off_t)v->offset[i] + (off_t)done;
    ssize_t moved = into ? pread (fd, into, n, at)
                         : pwrite (fd, (const char *)v->data[i] + done, n, at);
    if (moved < 0 && errno == EINVAL && !past) {
      close (w->direct);
      w->direct = -1;
    } else if (moved >= 0 || errno != EINTR) {
      return moved;
    }
  }
}

static enum status
write_at (const struct store_own *v, struct way *w, int i)
{
  size_t size = store_entry_bytes (&v->list->entry[i]);
  for (size_t done = 0; done < size;) {
    ssize_t n = piece (v, w, i, done, NULL);
    if (n <= 0)
      return fail (E_IO, "%s: %s: not written: %s", v->part,
                   v->list->entry[i].path, strerror (n < 0 ? errno : EIO));
    done += (size_t)n;
    place_move ();
  }
  return OK;
}

static enum status
write_own (const struct store_own *v, struct way *w)
{
  int last = -1;
  for (int i = 0; i < v->list->n; i++)
    if (v->data[i]) {
      TRY (write_at (v, w, i));
      last = i;
    }
  fault_hang ("hang-write");
  if (last >= 0 && fault_here ("write"))
    return fail (E_IO, "%s: %s: not written: %s (planted)", v->part,
                 v->list->entry[last].path, strerror (ENOSPC));
  if (fsync (w->fd) != 0)
    return fail (E_IO, "%s: not synced: %s", v->part, strerror (errno));
  return OK;
}

static enum status
read_back_one (const struct store_own *v, struct way *w, int i)
{
  const char *data = (const char *)v->data[i];
  size_t size = store_entry_bytes (&v->list->entry[i]);
  for (size_t done = 0; done < size;) {
    ssize_t n = piece (v, w, i, done, v->block);
    if (n <= 0)
      return fail (E_IO, "%s: %s: not read back: %s", v->part,
                   v->list->entry[i].path,
                   n < 0 ? strerror (errno) : "the file ends");
    if (memcmp (v->block, data + done, (size_t)n) != 0)
      return fail (E_IO, "%s: %s: written, but wrong when read back", v->part,
                   v->list->entry[i].path);
    done += (size_t)n;
    place_move ();
  }
  return OK;
}

enum status
store_own_write (const struct store_own *v)
{
  struct way w;
  TRY (way_open (v, O_WRONLY, &w));
  enum status s = write_own (v, &w);
  enum status closed = way_close (v, &w);
  return s == OK ? closed : s;
}

enum status
store_own_read_back (const struct store_own *v)
{
  struct way w;
  store_file_forget (v->part);
  TRY (way_open (v, O_RDONLY, &w));
  enum status s = OK;
  for (int i = 0; s == OK && i < v->list->n; i++)
    if (v->data[i])
      s = read_back_one (v, &w, i);
  (void)way_close (v, &w);
  return s;
}
