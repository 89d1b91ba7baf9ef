/* data/images_impl.h -- what kinds of images share; their own begins with it.
 *
 * Classes are labels; pixels are normalised by mean and std of each channel.
 */
#ifndef DATA_IMAGES_IMPL_H
#define DATA_IMAGES_IMPL_H

#include "data/data_impl.h"

struct data_images {
  struct text classes; /* names, joined by newlines */
  bool floats;         /* float32, used as they are */
  double *mean, *std;  /* C each; NULL for floats */
  float *table;        /* C x 256: byte to normalised value; NULL: floats */
};
extern const struct data_attribute data_images_attributes[];

/* Parts of a row. */
enum status
data_images_header (struct data_set *d);
enum status
data_images_finish (struct data_set *d);
void
data_images_close (struct data_set *d);
int64_t
data_images_samples (const struct data_info *info, enum data_split split,
                     int64_t context, int64_t stride, bool shuffle);
enum status
data_images_print_split (const struct data_set *d, enum data_split which,
                         struct text *out);

/* Of header, shape and numbers of samples. */
uint64_t
data_images_digest (const struct data_set *d);
/* form: how they are kept. */
void
data_images_print (const struct data_set *d, const char *form,
                   struct text *out);
/* Samples first .. first+n-1 [n, C, H, W]; those past the end repeat the last.
 * raw: their bytes. */
enum status
data_images_read (struct data_set *d, enum data_split which, int64_t first,
                  int64_t n,
                  enum status (*raw) (const struct data_set *d,
                                      enum data_split which, int64_t first,
                                      int64_t n, unsigned char *out),
                  float *x);

/* One sample's raw bytes as normalised floats [C, H, W]: pixel (y, x) is pixel
 * (y + dy - 4, x' + dx - 4), x' mirrored when flip; zero outside. */
void
data_augment_sample (const struct data_set *d, const unsigned char *raw,
                     bool flip, int dy, int dx, float *x);
/* What (seed, epoch, sample) decides; dy = dx = 4: not moved. */
void
data_augment_draw (int augment, uint64_t seed, int64_t epoch, int64_t sample,
                   bool *flip, int *dy, int *dx);

#endif
