/* tests/run/h5.h -- data set files of floats, written without our own store, as
 * somebody else would.
 */
#ifndef TESTS_RUN_H5_H
#define TESTS_RUN_H5_H

#include "tests/run/rig.h"
#include <hdf5.h>

RIG_FN void
h5_put (hid_t at, const char *path, hid_t type, int n_dims, const hsize_t *dims,
        const void *data)
{
  hid_t links = H5Pcreate (H5P_LINK_CREATE);
  H5Pset_create_intermediate_group (links, 1);
  hid_t space = H5Screate_simple (n_dims, dims, NULL);
  hid_t id =
      H5Dcreate2 (at, path, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
  bool good = H5Dwrite (id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
  H5Dclose (id);
  H5Sclose (space);
  H5Pclose (links);
  rig_must (good ? OK : fail (E_IO, "%s: not written", path));
}

/* n strings of 16 bytes as an attribute; n 0: a single one. */
RIG_FN void
h5_put_words (hid_t at, const char *name, hsize_t n, const char *words)
{
  hid_t type = H5Tcopy (H5T_C_S1);
  H5Tset_size (type, 16);
  hid_t space = n ? H5Screate_simple (1, &n, NULL) : H5Screate (H5S_SCALAR);
  hid_t a = H5Acreate2 (at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  bool good = H5Awrite (a, type, words) >= 0;
  H5Aclose (a);
  H5Sclose (space);
  H5Tclose (type);
  rig_must (good ? OK : fail (E_IO, "attribute %s: not written", name));
}

/* A training split of n RGB images of size x size, used as they are. */
RIG_FN void
h5_write_data (const char *path, size_t n, int size, int classes,
               const float *images, const int *labels)
{
  char words[10][16] = {"dataset"};
  int version = 1;
  hid_t f = H5Fcreate (path, H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
  rig_must (f >= 0 && classes <= 10 ? OK : fail (E_IO, "%s: not made", path));
  h5_put_words (f, "interlock_format", 0, words[0]);
  h5_put_words (f, "kind", 0, "images\0\0\0\0\0\0\0\0\0");
  h5_put_words (f, "name", 0, "a test\0\0\0\0\0\0\0\0\0");
  h5_put_words (f, "origin", 0, "a test\0\0\0\0\0\0\0\0\0");
  for (int i = 0; i < classes; i++)
    snprintf (words[i], sizeof words[i], "class %c", (char)('0' + i));
  h5_put_words (f, "classes", (hsize_t)classes, words[0]);
  hid_t space = H5Screate (H5S_SCALAR);
  hid_t a = H5Acreate2 (f, "version", H5T_NATIVE_INT, space, H5P_DEFAULT,
                        H5P_DEFAULT);
  H5Awrite (a, H5T_NATIVE_INT, &version);
  H5Aclose (a);
  H5Sclose (space);
  hsize_t dims[] = {n, 3, (hsize_t)size, (hsize_t)size};
  h5_put (f, "/train/images", H5T_NATIVE_FLOAT, 4, dims, images);
  h5_put (f, "/train/labels", H5T_NATIVE_INT, 1, dims, labels);
  H5Fclose (f);
}

/* Splits of n tokens to train on, and of others. */
RIG_FN void
h5_write_tokens (const char *path, int vocab, size_t n,
                 const unsigned short *train, size_t n_valid,
                 const unsigned short *valid)
{
  const int numbers[2] = {1, vocab};
  const char *const names[2] = {"version", "vocab_size"};
  hid_t f = H5Fcreate (path, H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
  rig_must (f >= 0 ? OK : fail (E_IO, "%s: not made", path));
  h5_put_words (f, "interlock_format", 0, "dataset\0\0\0\0\0\0\0\0");
  h5_put_words (f, "kind", 0, "tokens\0\0\0\0\0\0\0\0\0");
  h5_put_words (f, "name", 0, "a test\0\0\0\0\0\0\0\0\0");
  h5_put_words (f, "origin", 0, "a test\0\0\0\0\0\0\0\0\0");
  h5_put_words (f, "tokenizer", 0, "ids\0\0\0\0\0\0\0\0\0\0\0\0");
  for (int i = 0; i < 2; i++) {
    hid_t space = H5Screate (H5S_SCALAR);
    hid_t a = H5Acreate2 (f, names[i], H5T_NATIVE_INT, space, H5P_DEFAULT,
                          H5P_DEFAULT);
    H5Awrite (a, H5T_NATIVE_INT, &numbers[i]);
    H5Aclose (a);
    H5Sclose (space);
  }
  hsize_t dims[] = {n};
  h5_put (f, "/train/tokens", H5T_NATIVE_USHORT, 1, dims, train);
  dims[0] = n_valid;
  h5_put (f, "/valid/tokens", H5T_NATIVE_USHORT, 1, dims, valid);
  H5Fclose (f);
}

/* A drawn data set of language, folder/NAME.h5, with n samples to train on, the
 * first half of which is there to evaluate on, too.  Collective on world. */
RIG_FN void
h5_language (const struct rig *r, const char *name, size_t n)
{
  enum { MOST = 40 * RIG_LENGTH + 1 };
  unsigned short row[MOST];
  const struct random_key key = {5, RANDOM_TEST, 6, 7};
  char path[CONFIG_PATH + 16];
  n = n * RIG_LENGTH + 1;
  CHECK (n <= MOST, "%zu tokens", n);
  for (size_t i = 0; i < n; i++)
    row[i] = (unsigned short)random_below (&key, i, RIG_WORDS);
  snprintf (path, sizeof path, "%s/%s.h5", r->folder, name);
  if (wire_rank (r->w) == 0)
    h5_write_tokens (path, RIG_WORDS, n, row, n / 2, row);
  wire_barrier (r->w);
}

#endif
