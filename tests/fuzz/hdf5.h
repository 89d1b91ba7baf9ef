/* tests/fuzz/hdf5.h -- damage of HDF5 files: what a fuzzer makes up by itself
 * is none, so an input says what is changed in a good one.
 *
 * Each five bytes are a place (four, little-endian, modulo the size) and what
 * is exclusive-ored there; a change by 0 cuts the file at that place.
 */
#ifndef TESTS_FUZZ_HDF5_H
#define TESTS_FUZZ_HDF5_H

#include "tests/fuzz/fuzz.h"

struct fuzz_whole {
  unsigned char *data;
  size_t n;
  size_t heap, heap_end; /* is left alone */
};

/* The heap in which others' files have strings of variable length: HDF5
 * believes the sizes in it (H5HG_read copies beyond its memory, in all
 * versions up to 1.10.8 at least), and there is no way to ask it first. */
FUZZ_FN void
fuzz_find_heap (struct fuzz_whole *w)
{
  for (size_t i = 0; i + 16 <= w->n && w->heap_end == 0; i += 8)
    if (memcmp (w->data + i, "GCOL", 4) == 0) {
      w->heap = i;
      w->heap_end = i + ((size_t)w->data[i + 8] | (size_t)w->data[i + 9] << 8);
    }
}

FUZZ_FN void
fuzz_keep (const char *path, struct fuzz_whole *out)
{
  out->n = (size_t)scratch_bytes (path);
  out->data = malloc (out->n);
  FILE *f = fopen (path, "rb");
  if (!f || fread (out->data, 1, out->n, f) != out->n || fclose (f) != 0)
    abort ();
  fuzz_find_heap (out);
}

/* The damaged copy as a file of the folder. */
FUZZ_FN const char *
fuzz_damage (const struct fuzz_whole *whole, const uint8_t *edit, size_t n)
{
  size_t size = whole->n;
  unsigned char *copy = malloc (size);
  memcpy (copy, whole->data, size);
  for (; n >= 5 && size > 0; edit += 5, n -= 5) {
    size_t at = ((size_t)edit[0] | (size_t)edit[1] << 8 |
                 (size_t)edit[2] << 16 | (size_t)edit[3] << 24) %
                size;
    if (edit[4] == 0)
      size = at;
    else if (at < whole->heap || at >= whole->heap_end)
      copy[at] ^= edit[4];
  }
  const char *path = fuzz_file ("damaged.h5", copy, size);
  free (copy);
  return path;
}

/* After reading: what was taken from base has been given back.  What HDF5 keeps
 * after a failure is its own, and not looked at. */
FUZZ_FN void
fuzz_balance (void)
{
  static size_t before;
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  if (before > 0 && blocks > before) {
    fprintf (stderr, "%zu blocks are left, %zu before\n", blocks, before);
    abort ();
  }
  before = blocks;
}

#endif
