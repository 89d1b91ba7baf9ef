/* data/entries.c -- variable-length bytes in an HDF5 file.
 *
 * Where the dataset is contiguous its storage is a list of references, each of
 * four bytes of length, the address of a collection in the file and a number
 * in it (HDF5 File Format Specification 3, "Global Heap" and "Variable-Length
 * Types"); the bytes lie as they are in that collection.  So any thread can
 * read them from the plain file, one transfer for an image, and their sizes
 * are known without reading them.  Datasets that are not contiguous, and files
 * with other widths, are read by HDF5, whole, by the thread that opens them.
 */
#include "data/photographs_impl.h"

#include "base/memory.h"
#include "store/file.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
  REF = 16,       /* bytes of a reference: length, address, number */
  HEAP_HEAD = 16, /* of a collection, and of an object in it */
  BYTES_MOST = 1 << 30
};

static uint64_t
little (const unsigned char *p, int n)
{
  uint64_t v = 0;
  for (int i = n - 1; i >= 0; i--)
    v = v << 8 | p[i];
  return v;
}

static const char *
path_of (const struct data_entries *e, char out[48])
{
  data_path (e->data, e->split, out);
  return out;
}

static enum status
damaged (const struct data_entries *e, int64_t i, const char *why)
{
  char path[48];
  return fail (E_DATA, "%s: %s[%lld]: %s", e->data->path, path_of (e, path),
               (long long)i, why);
}

/* -- plain bytes of the file ----------------------------------------------- */

/* Up to n bytes; *got fewer at the end of the file. */
static enum status
read_some (const struct data_entries *e, int64_t i, uint64_t offset,
           unsigned char *out, size_t n, size_t *got)
{
  size_t done = 0;
  while (done < n) {
    ssize_t k =
        pread (e->data->fd, out + done, n - done, (off_t)(offset + done));
    if (k < 0 && errno == EINTR)
      continue;
    char path[48];
    if (k < 0)
      return fail (E_IO, "%s: %s[%lld]: %s", e->data->path, path_of (e, path),
                   (long long)i, strerror (errno));
    if (k == 0)
      break;
    done += (size_t)k;
  }
  *got = done;
  return OK;
}

/* The object of that number in a collection whose first bytes are at out,
 * looked for one by one: its offset from the collection. */
static enum status
find_object (const struct data_entries *e, int64_t i, uint64_t heap,
             uint64_t heap_bytes, uint64_t number, size_t n, uint64_t *offset)
{
  unsigned char head[HEAP_HEAD];
  uint64_t at = HEAP_HEAD;
  while (at + HEAP_HEAD <= heap_bytes) {
    size_t got;
    TRY (read_some (e, i, heap + at, head, HEAP_HEAD, &got));
    uint64_t found = little (head, 2), bytes = little (head + 8, 8);
    if (got < HEAP_HEAD || found == 0 || bytes > heap_bytes)
      break;
    if (found == number && bytes == n && at + HEAP_HEAD + n <= heap_bytes) {
      *offset = at + HEAP_HEAD;
      return OK;
    }
    at += HEAP_HEAD + (bytes + 7) / 8 * 8;
  }
  return damaged (e, i, "damaged: its bytes are not where the file says");
}

/* Most images have a collection of their own, so that its beginning and the
 * bytes come in one transfer. */
static enum status
read_entry (const struct data_entries *e, int64_t i, unsigned char *room,
            const unsigned char **bytes, size_t *n)
{
  const unsigned char *ref = e->refs + (size_t)i * e->ref_bytes;
  uint64_t size = little (ref, 4), heap = little (ref + 4, 8);
  uint64_t number = little (ref + 12, 4), offset = 2 * HEAP_HEAD;
  size_t wanted = 2 * HEAP_HEAD + size, got;
  TRY (read_some (e, i, heap, room, wanted, &got));
  if (got < HEAP_HEAD)
    return damaged (e, i, "cut off");
  if (memcmp (room, "GCOL\1", 5) != 0)
    return damaged (e, i, "damaged: its bytes are not where the file says");
  const unsigned char *first = room + HEAP_HEAD;
  if (got < 2 * HEAP_HEAD || little (first, 2) != number ||
      little (first + 8, 8) != size) {
    TRY (find_object (e, i, heap, little (room + 8, 8), number, size, &offset));
    TRY (read_some (e, i, heap + offset, room + 2 * HEAP_HEAD, size, &got));
    got += 2 * HEAP_HEAD;
  }
  if (got < wanted)
    return damaged (e, i, "cut off");
  *bytes = room + 2 * HEAP_HEAD;
  *n = size;
  return e->data->split[e->split].blocks
             ? data_block_compare (e->data, e->split, i, *bytes, size)
             : OK;
}

/* -- sizes ----------------------------------------------------------------- */

static enum status
count_entry (struct data_entries *e, int64_t i, int64_t bytes)
{
  if (bytes == 0)
    return damaged (e, i, "an empty entry, expected an image");
  if (bytes > BYTES_MOST)
    return damaged (e, i, "an entry of more than 1 GiB");
  e->bytes += bytes;
  if (i == 0 || bytes < e->least)
    e->least = bytes;
  if (bytes > e->most)
    e->most = bytes;
  return OK;
}

/* References as they are, where the file is such that we can follow them. */
static bool
is_plain (const struct data_entries *e, const struct store_h5_at *at)
{
  size_t address = 0, length = 0;
  hsize_t block = 1;
  hid_t create = H5Fget_create_plist (e->data->file);
  bool good = H5Pget_sizes (create, &address, &length) >= 0 && address == 8 &&
              length == 8 && H5Pget_userblock (create, &block) >= 0 &&
              block == 0;
  H5Pclose (create);
  return good && H5Dget_offset (at->id) != HADDR_UNDEF &&
         H5Dget_storage_size (at->id) == (hsize_t)e->n * REF;
}

static enum status
read_refs (struct data_entries *e, const struct store_h5_at *at)
{
  size_t bytes = (size_t)e->n * REF, got;
  uint64_t file = (uint64_t)store_file_bytes (e->data->path);
  e->ref_bytes = REF;
  TRY (mem_new ((size_t)e->n, REF, "references", (void **)&e->refs));
  TRY (
      read_some (e, 0, (uint64_t)H5Dget_offset (at->id), e->refs, bytes, &got));
  if (got < bytes)
    return damaged (e, (int64_t)(got / REF), "cut off");
  for (int64_t i = 0; i < e->n; i++) {
    const unsigned char *ref = e->refs + (size_t)i * REF;
    uint64_t heap = little (ref + 4, 8), size = little (ref, 4);
    TRY (count_entry (e, i, (int64_t)size));
    if (heap > file || file - heap < size)
      return damaged (e, i, "cut off");
  }
  return OK;
}

/* -- by HDF5 --------------------------------------------------------------- */

struct bump { /* hands out what has been made before */
  unsigned char *next;
  size_t left;
};

static void *
bump_take (size_t n, void *context)
{
  struct bump *b = context;
  unsigned char *p = b->next;
  if (n > b->left)
    return NULL;
  b->next += n;
  b->left -= n;
  return p;
}

static void
bump_give (void *p, void *context)
{
  (void)p, (void)context;
}

static enum status
read_by_h5 (struct data_entries *e, const struct store_h5_at *at, hid_t type,
            hid_t space, hid_t transfer)
{
  hsize_t one = 1;
  hid_t memory = H5Screate_simple (1, &one, NULL);
  enum status s = OK;
  for (int64_t i = 0; s == OK && i < e->n; i++) {
    hsize_t place = (hsize_t)i;
    hvl_t value = {0};
    H5Sselect_hyperslab (space, H5S_SELECT_SET, &place, NULL, &one, NULL);
    if (H5Dread (at->id, type, memory, space, transfer, &value) < 0)
      s = damaged (e, i, "not read by HDF5");
    else
      s = count_entry (e, i, (int64_t)value.len);
    e->starts[i + 1] = e->bytes;
  }
  H5Sclose (memory);
  return s;
}

/* All entries, one behind the other. */
static enum status
load_by_h5 (struct data_entries *e, const struct store_h5_at *at)
{
  hid_t type = H5Tvlen_create (H5T_NATIVE_UINT8);
  hid_t space = H5Dget_space (at->id);
  hid_t transfer = H5Pcreate (H5P_DATASET_XFER);
  hsize_t bytes = 0;
  struct bump b = {0};
  char why[256];
  enum status s = OK;
  if (H5Dvlen_get_buf_size (at->id, type, space, &bytes) < 0)
    s = fail (E_DATA, "%s: %s: not read: %s", at->file, at->path,
              store_h5_why (why));
  if (s == OK)
    s = MEM_NEW ((size_t)e->n + 1, &e->starts, "places of images");
  if (s == OK)
    s = mem_new ((size_t)bytes, 1, "images", (void **)&e->all);
  if (s == OK) {
    b = (struct bump){e->all, (size_t)bytes};
    H5Pset_vlen_mem_manager (transfer, bump_take, &b, bump_give, &b);
    s = read_by_h5 (e, at, type, space, transfer);
  }
  H5Pclose (transfer);
  H5Sclose (space);
  H5Tclose (type);
  return s;
}

/* -- open, load, get ------------------------------------------------------- */

static enum status
check_type (const struct store_h5_at *at)
{
  hid_t type = H5Dget_type (at->id);
  bool good = H5Tget_class (type) == H5T_VLEN;
  if (good) {
    hid_t base = H5Tget_super (type);
    good = H5Tequal (base, H5T_NATIVE_UINT8) > 0;
    H5Tclose (base);
  }
  H5Tclose (type);
  return good ? OK
              : fail (E_DATA,
                      "%s: %s: expected unsigned bytes of variable "
                      "length",
                      at->file, at->path);
}

/* The most pixels of an image: the file may know. */
static enum status
read_pixels (struct data_entries *e, const struct store_h5_at *at)
{
  if (!store_h5_has_attribute (at->id, "pixels"))
    return OK;
  TRY (store_h5_get_int (at, "pixels", &e->pixels));
  if (e->pixels < 1 || e->pixels > CODEC_PIXELS_MOST)
    return fail (E_DATA, "%s: %s: attribute \"pixels\" is %lld", at->file,
                 at->path, (long long)e->pixels);
  return OK;
}

enum status
data_entries_open (const struct data_set *d, enum data_split which,
                   const struct store_h5_at *at, int64_t n,
                   struct data_entries **out)
{
  struct data_entries *e = NULL;
  TRY (check_type (at));
  TRY (store_h5_written (at));
  TRY (MEM_NEW (1, &e, "entries"));
  e->n = n;
  e->data = d;
  e->split = which;
  enum status s = read_pixels (e, at);
  if (s == OK)
    s = is_plain (e, at) ? read_refs (e, at) : load_by_h5 (e, at);
  if (s != OK)
    data_entries_close (&e);
  else
    *out = e;
  return s;
}

void
data_entries_close (struct data_entries **out)
{
  struct data_entries *e = *out;
  if (!e)
    return;
  mem_free (&e->refs);
  mem_free (&e->starts);
  mem_free (&e->all);
  mem_free (out);
}

size_t
data_entries_room (const struct data_entries *e)
{
  return (size_t)e->most + 2 * HEAP_HEAD;
}

/* Bytes are read behind where they belong and moved. */
enum status
data_entries_load (struct data_entries *e)
{
  if (e->all)
    return OK;
  unsigned char *all = NULL;
  int64_t *starts = NULL, at = 0;
  size_t n;
  const unsigned char *bytes;
  TRY (MEM_NEW ((size_t)e->n + 1, &starts, "places of images"));
  enum status s =
      mem_new ((size_t)e->bytes + 2 * HEAP_HEAD, 1, "images", (void **)&all);
  for (int64_t i = 0; s == OK && i < e->n; i++) {
    s = read_entry (e, i, all + at, &bytes, &n);
    if (s != OK)
      break;
    memmove (all + at, bytes, n);
    at += (int64_t)n;
    starts[i + 1] = at;
  }
  if (s != OK) {
    mem_free (&all);
    mem_free (&starts);
    return s;
  }
  e->all = all;
  e->starts = starts;
  return OK;
}

enum status
data_entries_get (const struct data_entries *e, int64_t i, unsigned char *room,
                  const unsigned char **bytes, size_t *n)
{
  CHECK (i >= 0 && i < e->n, "entry %lld of %lld", (long long)i,
         (long long)e->n);
  if (!e->all)
    return read_entry (e, i, room, bytes, n);
  *bytes = e->all + e->starts[i];
  *n = (size_t)(e->starts[i + 1] - e->starts[i]);
  return OK;
}
