/* data/image.h -- from bytes of JPEG and PNG to pixels, and back.
 *
 *   codec    libjpeg-turbo, and what stands in for it where it was not there
 *   crop     which part of an image is taken, and how large it becomes
 *   resample a part of an image, made smaller or larger
 *
 * Local.  Nothing here allocates but the functions named open.
 */
#ifndef DATA_IMAGE_H
#define DATA_IMAGE_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -- codec (codec.c, codec_absent.c) --------------------------------------- */

/* Bytes that decoding needs for a pixel; the pixel itself has three. */
#define CODEC_PIXEL 4
#define CODEC_SIDE_MOST 65500
#define CODEC_PIXELS_MOST ((int64_t)1 << 28)

struct data_codec; /* of one thread */
/* E_UNSUPPORTED with the way to get it, where libjpeg-turbo is not there; who
 * begins the message. */
enum status
data_codec_open (const char *who, struct data_codec **out);
void
data_codec_close (struct data_codec **c);
/* Why the last call on c failed, or of what the last decoding warned; borrowed
 * until the next. */
const char *
data_codec_why (const struct data_codec *c);
/* Width and height; false when the bytes are no JPEG image, or one of more than
 * CODEC_PIXELS_MOST. */
bool
data_codec_size (struct data_codec *c, const unsigned char *jpeg, size_t n,
                 int *width, int *height);
/* To red, green, blue of each pixel in turn, in a room of width x height x
 * CODEC_PIXEL bytes; grey becomes three equal ones, CMYK is taken as Adobe
 * writes it, inverted.  False for what cannot be decoded or ends too early;
 * *warned for what libjpeg-turbo finds odd but decodes. */
bool
data_codec_decode (struct data_codec *c, const unsigned char *jpeg, size_t n,
                   int width, int height, unsigned char *rgb, bool *warned);
/* The same, and false for all that is damaged, where the decoder only warns:
 * spoiled codes, and scans that are missing at the end of a progressive image.
 * For what is to become part of a data set. */
bool
data_codec_decode_whole (struct data_codec *c, const unsigned char *jpeg,
                         size_t n, int width, int height, unsigned char *rgb,
                         bool *warned);
/* Whether a progressive JPEG has all its scans; true for what is none
 * (scans.c). */
bool
data_scans_whole (const unsigned char *jpeg, size_t n);
/* Bytes that encoding may need. */
size_t
data_codec_bound (int width, int height);
/* To JPEG of quality 95 without subsampling of colours; *n: the bytes of out,
 * at least data_codec_bound, then those used. */
bool
data_codec_encode (struct data_codec *c, const unsigned char *rgb, int width,
                   int height, unsigned char *out, size_t *n);

/* -- PNG (png.c) ----------------------------------------------------------- */

bool
data_png_is (const unsigned char *data, size_t n);
/* "libpng 1.6.39", or NULL. */
const char *
data_png_describe (void);
/* Width and height.  E_DATA naming who; E_UNSUPPORTED where libpng is not
 * there. */
enum status
data_png_size (const char *who, const unsigned char *data, size_t n, int *width,
               int *height);
/* Red, green, blue of each pixel in turn, as they lie in the file: the upper
 * byte of 16 bits, gamma and profiles not applied, alpha dropped. */
enum status
data_png_decode (const char *who, const unsigned char *data, size_t n,
                 int width, int height, unsigned char *rgb);

/* -- which part (crop.c) --------------------------------------------------- */

/* Part (x, y, width, height) of an image is resized to out_width x out_height,
 * of which a window of a given size at (left, top) is seen. */
struct data_part {
  int x, y, width, height;
  int out_width, out_height;
  int left, top;
};
/* The shorter side becomes `shorter`, and the middle is seen, as torchvision's
 * Resize and CenterCrop. */
void
data_part_centre (int width, int height, int size, int shorter,
                  struct data_part *out);
/* size x 256 / 224, rounded: the shorter side for images of that size. */
int
data_part_shorter (int size);
/* torchvision's RandomResizedCrop, from (seed, epoch, sample) alone. */
void
data_part_random (uint64_t seed, int64_t epoch, int64_t sample, int width,
                  int height, int size, struct data_part *out);

/* -- resampling (resample.c) ----------------------------------------------- */

struct data_resampler;
/* For windows of size x size of images whose sides are at most side_most. */
enum status
data_resampler_open (int size, int side_most, struct data_resampler **out);
void
data_resampler_close (struct data_resampler **r);
/* Memory of such a resampler. */
double
data_resampler_bytes (int size, int side_most);
/* The window of a part of an image [height, width, 3] of that width as planes
 * out [3, size, size]: bilinear, the triangle widened where the image shrinks,
 * in float, rounded. */
void
data_resample (struct data_resampler *r, const unsigned char *rgb, int width,
               const struct data_part *part, unsigned char *out);

#endif
