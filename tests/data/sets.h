/* tests/data/sets.h -- small data sets, written with HDF5 alone so that a
 * mistake of the room's writer cannot hide one of its reader.
 */
#ifndef TESTS_DATA_SETS_H
#define TESTS_DATA_SETS_H

#include "base/random.h"
#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SETS_FN static inline __attribute__ ((unused))

enum { SET_C = 3, SET_H = 7, SET_W = 5, SET_CLASSES = 4, SET_VALUES = 105 };

/* What to spoil, one at a time. */
enum spoil {
  SPOIL_NOTHING,
  SPOIL_FORMAT,  /* another interlock_format */
  SPOIL_VERSION, /* version 2 */
  SPOIL_KIND,    /* sounds */
  SPOIL_NO_NAME,
  SPOIL_LABEL_HIGH,  /* valid[2] = classes */
  SPOIL_LABEL_LOW,   /* train[4] = -1 */
  SPOIL_LABEL_COUNT, /* one label less than images */
  SPOIL_LABEL_FLOAT,
  SPOIL_LABEL_RANK,
  SPOIL_NO_LABELS,
  SPOIL_IMAGE_RANK,  /* [N, values] */
  SPOIL_IMAGE_SHAPE, /* valid has another height */
  SPOIL_IMAGE_TYPE,  /* 16-bit integers */
  SPOIL_MIXED,       /* train bytes, valid floats */
  SPOIL_NO_MEAN,
  SPOIL_STD_ZERO,
  SPOIL_STD_LENGTH,
  SPOIL_NO_SPLITS,
  SPOIL_ONE_CLASS,
  SPOIL_JPEG /* train has jpeg in place of images */
};

struct set_spec {
  enum spoil spoil;
  bool floats;  /* float images */
  bool chunked; /* chunked and deflated */
  bool big;     /* big-endian 64-bit labels, big-endian floats */
  int64_t train, valid;
};

/* Pixel i of sample n of a split, as a byte and as a float. */
SETS_FN unsigned char
set_byte (int split, int64_t n, int i)
{
  struct random_key key = {5, RANDOM_TEST, (uint64_t)split, (uint64_t)n};
  return (unsigned char)random_u32 (&key, (uint64_t)i);
}

SETS_FN float
set_float (int split, int64_t n, int i)
{
  return ((float)set_byte (split, n, i) - 100.0f) / 32.0f;
}

SETS_FN int
set_label (int split, int64_t n)
{
  return (int)((n * 3 + split) % SET_CLASSES);
}

static const double set_mean[SET_C] = {0.5, 0.25, 0.4};
static const double set_std[SET_C] = {0.25, 0.125, 0.3};

SETS_FN void
set_texts (hid_t id, const char *name, int n, const char *const *values)
{
  hid_t type = H5Tcopy (H5T_C_S1); /* variable length, as h5py writes them */
  H5Tset_size (type, H5T_VARIABLE);
  H5Tset_cset (type, H5T_CSET_UTF8);
  hsize_t size = (hsize_t)n;
  hid_t space =
      n > 0 ? H5Screate_simple (1, &size, NULL) : H5Screate (H5S_SCALAR);
  hid_t a = H5Acreate2 (id, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite (a, type, values);
  H5Aclose (a);
  H5Sclose (space);
  H5Tclose (type);
}

SETS_FN void
set_text (hid_t id, const char *name, const char *value)
{
  set_texts (id, name, 0, &value);
}

SETS_FN void
set_numbers (hid_t id, const char *name, hid_t type, int n, const void *data)
{
  hsize_t size = (hsize_t)n;
  hid_t space =
      n > 0 ? H5Screate_simple (1, &size, NULL) : H5Screate (H5S_SCALAR);
  hid_t a = H5Acreate2 (id, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite (a, type, data);
  H5Aclose (a);
  H5Sclose (space);
}

SETS_FN void
set_array (hid_t at, const char *name, hid_t file_type, hid_t type, int n_dims,
           const hsize_t *dims, bool chunked, const void *data)
{
  hid_t plist = H5Pcreate (H5P_DATASET_CREATE);
  hsize_t chunk[4] = {2, 1, 4, 4};
  if (chunked) {
    H5Pset_chunk (plist, n_dims, chunk);
    H5Pset_deflate (plist, 1);
  }
  hid_t space = H5Screate_simple (n_dims, dims, NULL);
  hid_t d =
      H5Dcreate2 (at, name, file_type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  H5Dwrite (d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
  H5Dclose (d);
  H5Sclose (space);
  H5Pclose (plist);
}

SETS_FN void
set_split (hid_t file, const struct set_spec *s, int split, int64_t n)
{
  static unsigned char bytes[64 * SET_VALUES];
  static float floats[64 * SET_VALUES];
  int64_t labels[64];
  enum spoil p = s->spoil;
  hid_t g = H5Gcreate2 (file, split == 0 ? "train" : "valid", H5P_DEFAULT,
                        H5P_DEFAULT, H5P_DEFAULT);
  for (int64_t k = 0; k < n; k++) {
    labels[k] = set_label (split, k);
    for (int i = 0; i < SET_VALUES; i++) {
      bytes[k * SET_VALUES + i] = set_byte (split, k, i);
      floats[k * SET_VALUES + i] = set_float (split, k, i);
    }
  }
  if (p == SPOIL_LABEL_HIGH && split == 1)
    labels[2] = SET_CLASSES;
  if (p == SPOIL_LABEL_LOW && split == 0)
    labels[4] = -1;
  hsize_t dims[4] = {(hsize_t)n, SET_C, SET_H, SET_W};
  if (p == SPOIL_IMAGE_SHAPE && split == 1)
    dims[2] = SET_H - 1;
  if (p == SPOIL_IMAGE_RANK)
    dims[1] = SET_VALUES;
  bool as_floats = s->floats || (p == SPOIL_MIXED && split == 1);
  hid_t type = s->big      ? H5T_IEEE_F32BE
               : as_floats ? H5T_IEEE_F32LE
                           : H5T_STD_U8LE;
  if (p == SPOIL_IMAGE_TYPE)
    type = H5T_STD_I16LE;
  set_array (g, p == SPOIL_JPEG ? "jpeg" : "images", type,
             as_floats ? H5T_NATIVE_FLOAT : H5T_NATIVE_UINT8,
             p == SPOIL_IMAGE_RANK ? 2 : 4, dims, s->chunked,
             as_floats ? (void *)floats : (void *)bytes);
  hsize_t count[2] = {(hsize_t)n - (p == SPOIL_LABEL_COUNT), 1};
  if (p != SPOIL_NO_LABELS)
    set_array (g, "labels",
               p == SPOIL_LABEL_FLOAT ? H5T_IEEE_F64LE
               : s->big               ? H5T_STD_I64BE
                                      : H5T_STD_I32LE,
               H5T_NATIVE_INT64, p == SPOIL_LABEL_RANK ? 2 : 1, count, false,
               labels);
  H5Gclose (g);
}

/* At most 64 samples in a split. */
SETS_FN void
set_make (const char *path, const struct set_spec *s)
{
  static const char *const names[SET_CLASSES] = {"a", "bb", "c c", "d"};
  enum spoil p = s->spoil;
  int version = p == SPOIL_VERSION ? 2 : 1;
  double std[SET_C];
  memcpy (std, set_std, sizeof std);
  if (p == SPOIL_STD_ZERO)
    std[1] = 0;
  hid_t file = H5Fcreate (path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  set_text (file, "interlock_format",
            p == SPOIL_FORMAT ? "checkpoint" : "dataset");
  set_numbers (file, "version", H5T_NATIVE_INT, 0, &version);
  set_text (file, "kind", p == SPOIL_KIND ? "sounds" : "images");
  if (p != SPOIL_NO_NAME)
    set_text (file, "name", "small");
  set_texts (file, "classes", p == SPOIL_ONE_CLASS ? 1 : SET_CLASSES, names);
  if (p != SPOIL_NO_MEAN)
    set_numbers (file, "mean", H5T_NATIVE_DOUBLE, SET_C, set_mean);
  set_numbers (file, "std", H5T_NATIVE_DOUBLE,
               p == SPOIL_STD_LENGTH ? SET_C - 1 : SET_C, std);
  if (p != SPOIL_NO_SPLITS) {
    set_split (file, s, 0, s->train);
    set_split (file, s, 1, s->valid);
  }
  H5Fclose (file);
}

/* What a byte becomes, by the definition. */
SETS_FN double
set_normal (int c, int byte)
{
  return (byte / 255.0 - set_mean[c]) / set_std[c];
}

#endif
