/* store/import_impl.h -- between the importers and the writer of data sets. */
#ifndef STORE_IMPORT_IMPL_H
#define STORE_IMPORT_IMPL_H

#include "base/text.h"
#include "store/store.h"

/* -- input files ----------------------------------------------------------- */

/* A whole file, decompressed when its first bytes say gzip or xz. */
struct store_input {
  unsigned char *data; /* owned */
  size_t size;
};
/* E_MISSING when there is none, E_DATA when the compressed stream is damaged or
 * cut off. */
enum status
store_input_read (const char *path, struct store_input *out);
void
store_input_clear (struct store_input *in);
/* The first that exists of folder/name, and the same with .xz and .gz; false
 * when none does. */
bool
store_input_find (const char *folder, const char *name, struct text *out);

/* -- images in memory ------------------------------------------------------ */

struct store_images_split {
  int64_t n, room;
  unsigned char *pixels; /* n x C x H x W; owned */
  unsigned char *labels; /* n; owned */
};

struct store_images {
  const char *name;
  struct text origin;
  struct text classes; /* names joined by newlines */
  int n_classes;
  int channels, height, width;
  struct store_images_split split[STORE_SPLITS];
};

void
store_images_init (struct store_images *m);
void
store_images_clear (struct store_images *m);
/* Room for n more samples of a split; they are written at pixels and labels
 * behind n, which the caller then raises. */
enum status
store_images_room (struct store_images *m, enum store_split split, int64_t n);
/* Move the last n of train to valid (n < 0: a tenth).  E_CONFIG when nothing
 * would be left. */
enum status
store_images_hold_out (struct store_images *m, int64_t n);
/* The data set file, under another name first. */
enum status
store_images_write (const struct store_images *m, const char *output);

/* -- options --------------------------------------------------------------- */

struct store_option {
  const char *key;
  int64_t value; /* the default, until parsed */
  int64_t least, most;
  const char **text; /* where a text goes, borrowed; NULL: a number */
};
/* Words "key=value"; E_CONFIG naming word, kind and the nearest known key. */
enum status
store_options_parse (const char *kind, int n_options,
                     const char *const *options, struct store_option *known,
                     int n_known);

/* -- importers ------------------------------------------------------------- */

struct store_import {
  const char *kind;
  int n_inputs;
  const char *const *inputs;
  int n_options;
  const char *const *options;
  const char *output;
};
enum status
store_import_cifar10 (const struct store_import *job, struct store_images *m);
enum status
store_import_cifar100 (const struct store_import *job, struct store_images *m);
enum status
store_import_idx (const struct store_import *job, struct store_images *m);
enum status
store_import_synthetic (const struct store_import *job, struct store_images *m);
/* These write the file themselves, in constant memory. */
enum status
store_import_text (const struct store_import *job);
enum status
store_import_tokens (const struct store_import *job);
enum status
store_import_folder (const struct store_import *job);

/* The drawing alone: sample number `sample` of a split, [3, size, size].  size
 * a divisor or multiple of 32, 8 to 128. */
void
store_synthetic_draw (uint64_t seed, enum store_split split, int64_t sample,
                      int label, int size, unsigned char *out);

#endif
