/* tests/data/photo_set.h -- a data set of JPEG images, written by HDF5 alone,
 * with one thing wrong or nothing.
 */
#ifndef TESTS_DATA_PHOTO_SET_H
#define TESTS_DATA_PHOTO_SET_H

#include "tests/data/photos.h"
#include "tests/data/sets.h"

#ifdef HAVE_JPEG
enum { TRAIN = 11, VALID = 5, SIZE = 24, VALUES = 3 * SIZE * SIZE, BATCH = 6 };

/* What to spoil, one at a time. */
enum wrong {
  WRONG_NOTHING,
  WRONG_TYPE,    /* 16-bit integers */
  WRONG_FIXED,   /* bytes, but not of variable length */
  WRONG_RANK,    /* [N, 1] */
  WRONG_LABEL,   /* valid[2] = classes */
  WRONG_COUNT,   /* one label less than images */
  WRONG_EMPTY,   /* train[4] has no bytes */
  WRONG_BYTES,   /* train[3] is no JPEG */
  WRONG_SHORT,   /* train[3] is cut off */
  WRONG_TWO,     /* train[3] and train[5] are no JPEG */
  WRONG_NO_SIZE, /* of the root */
  WRONG_SIZE,    /* 0 */
  WRONG_MIXED,   /* valid has pixels */
  WRONG_PIXELS,  /* the attribute is less than an image has */
  WRONG_NUMBER,  /* it is 0 */
};

struct jpeg_set {
  enum wrong wrong;
  bool chunked; /* by which entries are where only HDF5 finds them */
  bool pixels;  /* the attribute is there */
};

/* Sizes are odd on purpose, and one is smaller than what is seen. */
PHOTO_FN void
image_size (int split, int i, int *width, int *height)
{
  static const int sides[] = {31, 90, 47, 24, 64, 17, 120, 33, 55, 41, 28};
  *width = sides[(i + split) % 11];
  *height = sides[(i * 3 + 2) % 11];
}

PHOTO_FN const unsigned char *
image_bytes (int split, int i, size_t *n)
{
  int w, h;
  image_size (split, i, &w, &h);
  return photo_jpeg (100 * split + i, w, h, n);
}

PHOTO_FN void
make_jpeg (hid_t group, const struct jpeg_set *s, int split, int n)
{
  static char text[10] = "some text";
  hid_t type =
      H5Tvlen_create (s->wrong == WRONG_TYPE ? H5T_STD_I16LE : H5T_STD_U8LE);
  hid_t plist = H5Pcreate (H5P_DATASET_CREATE);
  hsize_t dims[2] = {(hsize_t)n, 1}, chunk = 4, one = 1;
  if (s->chunked)
    H5Pset_chunk (plist, 1, &chunk);
  if (s->wrong == WRONG_FIXED)
    type = H5T_STD_U8LE;
  hid_t space = H5Screate_simple (s->wrong == WRONG_RANK ? 2 : 1, dims, NULL);
  hid_t memory = H5Screate_simple (1, &one, NULL);
  hid_t set =
      H5Dcreate2 (group, "jpeg", type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  for (int i = 0; i < n && (s->wrong > WRONG_RANK || s->wrong == WRONG_NOTHING);
       i++) {
    hsize_t at = (hsize_t)i;
    size_t bytes;
    hvl_t value = {.p = (void *)image_bytes (split, i, &bytes)};
    value.len = bytes;
    if (split == 0 && i == 4 && s->wrong == WRONG_EMPTY)
      value.len = 0;
    if (split == 0 && ((i == 3 && s->wrong == WRONG_BYTES) ||
                       ((i == 3 || i == 5) && s->wrong == WRONG_TWO)))
      value = (hvl_t){.len = 10, .p = text};
    if (split == 0 && i == 3 && s->wrong == WRONG_SHORT)
      value.len = bytes - 40;
    H5Sselect_hyperslab (space, H5S_SELECT_SET, &at, NULL, &one, NULL);
    H5Dwrite (set, type, memory, space, H5P_DEFAULT, &value);
  }
  int most = s->wrong == WRONG_NUMBER   ? 0
             : s->wrong == WRONG_PIXELS ? 600
                                        : 14400;
  if (s->pixels)
    set_numbers (set, "pixels", H5T_NATIVE_INT, 0, &most);
  H5Dclose (set);
  H5Sclose (memory);
  H5Sclose (space);
  H5Pclose (plist);
}

PHOTO_FN void
make_split (hid_t file, const struct jpeg_set *s, int split, int n)
{
  static const unsigned char zeros[VALID * VALUES];
  hid_t g = H5Gcreate2 (file, split ? "valid" : "train", H5P_DEFAULT,
                        H5P_DEFAULT, H5P_DEFAULT);
  int64_t labels[TRAIN];
  hsize_t count = (hsize_t)(n - (s->wrong == WRONG_COUNT));
  hsize_t dims[4] = {(hsize_t)n, 3, SIZE, SIZE};
  for (int i = 0; i < n; i++)
    labels[i] = set_label (split, i);
  if (split == 1 && s->wrong == WRONG_LABEL)
    labels[2] = SET_CLASSES;
  set_array (g, "labels", H5T_STD_I32LE, H5T_NATIVE_INT64, 1, &count, false,
             labels);
  if (split == 1 && s->wrong == WRONG_MIXED)
    set_array (g, "images", H5T_STD_U8LE, H5T_NATIVE_UINT8, 4, dims, false,
               zeros);
  else
    make_jpeg (g, s, split, n);
  H5Gclose (g);
}

PHOTO_FN void
make_set (const char *path, const struct jpeg_set *s)
{
  static const char *const names[SET_CLASSES] = {"a", "bb", "c c", "d"};
  int version = 1, size = s->wrong == WRONG_SIZE ? 0 : SIZE;
  hid_t file = H5Fcreate (path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  set_text (file, "interlock_format", "dataset");
  set_numbers (file, "version", H5T_NATIVE_INT, 0, &version);
  set_text (file, "kind", "images");
  set_text (file, "name", "photos");
  set_texts (file, "classes", SET_CLASSES, names);
  if (s->wrong != WRONG_NO_SIZE)
    set_numbers (file, "size", H5T_NATIVE_INT, 0, &size);
  set_numbers (file, "mean", H5T_NATIVE_DOUBLE, SET_C, set_mean);
  set_numbers (file, "std", H5T_NATIVE_DOUBLE, SET_C, set_std);
  make_split (file, s, 0, TRAIN);
  make_split (file, s, 1, VALID);
  H5Fclose (file);
}
#endif

#endif
