/* store/jpeg_impl.h -- images kept as files keep them: from bytes of JPEG to
 * the square of pixels that a network sees.
 *
 *   codec    libjpeg-turbo, and what stands in for it where it was not there
 *   entries  the variable-length bytes of a split, in memory or in the file
 *   crop     which part of an image is taken, and how large it becomes
 *   resample a part of an image, made smaller or larger
 *   view     all of these in a row, in buffers made once
 *
 * Local.  Nothing here allocates but the functions named open and load.
 */
#ifndef STORE_JPEG_IMPL_H
#define STORE_JPEG_IMPL_H

#include "base/random.h"
#include "store/dataset_impl.h"

/* -- codec (codec.c, codec_absent.c) --------------------------------------- */

/* Bytes that decoding needs for a pixel; the pixel itself has three. */
#define CODEC_PIXEL 4
#define CODEC_SIDE_MOST 65500
#define CODEC_PIXELS_MOST ((int64_t)1 << 28)

struct store_codec; /* of one thread */
/* "libjpeg-turbo 2.1.5, libpng 1.6.39"; says so where one is not there. */
const char *
store_codec_describe (void);
/* E_UNSUPPORTED with the way to get it, where libjpeg-turbo is not there; who
 * begins the message. */
enum status
store_codec_open (const char *who, struct store_codec **out);
void
store_codec_close (struct store_codec **c);
/* Why the last call on c failed, or of what the last decoding warned; borrowed
 * until the next. */
const char *
store_codec_why (const struct store_codec *c);
/* Width and height; false when the bytes are no JPEG image, or one of more than
 * CODEC_PIXELS_MOST. */
bool
store_codec_size (struct store_codec *c, const unsigned char *jpeg, size_t n,
                  int *width, int *height);
/* To red, green, blue of each pixel in turn, in a room of width x height x
 * CODEC_PIXEL bytes; grey becomes three equal ones, CMYK is taken as Adobe
 * writes it, inverted.  False for what cannot be decoded or ends too early;
 * *warned for what libjpeg-turbo finds odd but decodes. */
bool
store_codec_decode (struct store_codec *c, const unsigned char *jpeg, size_t n,
                    int width, int height, unsigned char *rgb, bool *warned);
/* The same, and false for all that is damaged, where the decoder only warns:
 * spoiled codes, and scans that are missing at the end of a progressive image.
 * For what is to become part of a data set. */
bool
store_codec_decode_whole (struct store_codec *c, const unsigned char *jpeg,
                          size_t n, int width, int height, unsigned char *rgb,
                          bool *warned);
/* Whether a progressive JPEG has all its scans; true for what is none
 * (scans.c). */
bool
store_scans_whole (const unsigned char *jpeg, size_t n);
/* Bytes that encoding may need. */
size_t
store_codec_bound (int width, int height);
/* To JPEG of quality 95 without subsampling of colours; *n: the bytes of out,
 * at least store_codec_bound, then those used. */
bool
store_codec_encode (struct store_codec *c, const unsigned char *rgb, int width,
                    int height, unsigned char *out, size_t *n);

/* -- PNG (png.c) ----------------------------------------------------------- */

bool
store_png_is (const unsigned char *data, size_t n);
/* "libpng 1.6.39", or NULL. */
const char *
store_png_describe (void);
/* Width and height.  E_DATA naming who; E_UNSUPPORTED where libpng is not
 * there. */
enum status
store_png_size (const char *who, const unsigned char *data, size_t n,
                int *width, int *height);
/* Red, green, blue of each pixel in turn, as they lie in the file: the upper
 * byte of 16 bits, gamma and profiles not applied, alpha dropped. */
enum status
store_png_decode (const char *who, const unsigned char *data, size_t n,
                  int width, int height, unsigned char *rgb);

/* -- how a camera was held (orient.c) -------------------------------------- */

/* EXIF's orientation of a JPEG or PNG, 1 to 8; 1: as it lies, or not said. */
int
store_orient_of (const unsigned char *data, size_t n);
/* Turn an image [height, width, 3] by it; width and height may change places.
 */
void
store_orient_turn (int way, const unsigned char *rgb, int *width, int *height,
                   unsigned char *out);

/* -- which part (crop.c) --------------------------------------------------- */

/* Part (x, y, width, height) of an image is resized to out_width x out_height,
 * of which a window of a given size at (left, top) is seen. */
struct store_part {
  int x, y, width, height;
  int out_width, out_height;
  int left, top;
};
/* The shorter side becomes `shorter`, and the middle is seen, as torchvision's
 * Resize and CenterCrop. */
void
store_part_centre (int width, int height, int size, int shorter,
                   struct store_part *out);
/* size x 256 / 224, rounded: the shorter side for images of that size. */
int
store_part_shorter (int size);
/* torchvision's RandomResizedCrop, from (seed, epoch, sample) alone. */
void
store_part_random (uint64_t seed, int64_t epoch, int64_t sample, int width,
                   int height, int size, struct store_part *out);

/* -- resampling (resample.c) ----------------------------------------------- */

struct store_resampler;
/* For windows of size x size of images whose sides are at most side_most. */
enum status
store_resampler_open (int size, int side_most, struct store_resampler **out);
void
store_resampler_close (struct store_resampler **r);
/* The window of a part of an image [height, width, 3] of that width as planes
 * out [3, size, size]: bilinear, the triangle widened where the image shrinks,
 * in float, rounded. */
void
store_resample (struct store_resampler *r, const unsigned char *rgb, int width,
                const struct store_part *part, unsigned char *out);

/* -- entries (entries.c) --------------------------------------------------- */

struct store_entries {
  int64_t n;
  int64_t bytes;           /* of all */
  int64_t least, most;     /* bytes of the smallest and of the largest */
  int64_t pixels;          /* the most of one; 0: not known */
  size_t ref_bytes;        /* of a reference in the file */
  unsigned char *refs;     /* n x ref_bytes as the file has them; owned; NULL
                              when all are in memory because they have to be */
  int64_t *starts;         /* n + 1 offsets into all; NULL: not in memory */
  unsigned char *all;      /* owned */
  const uint64_t *digests; /* n, of what is read from the file; borrowed; NULL:
                              there are none, or all was compared */
  const struct store_dataset *data; /* borrowed */
  enum store_split split;
};
/* Of the open dataset: its type, and the size of every entry.  Entries of a
 * chunked dataset are read to memory.  E_DATA naming file, path, index. */
enum status
store_entries_open (const struct store_dataset *d, enum store_split which,
                    const struct store_h5_at *at, int64_t n,
                    struct store_entries **out);
void
store_entries_close (struct store_entries **e);
/* Bytes of room that store_entries_get needs. */
size_t
store_entries_room (const struct store_entries *e);
/* All to memory. */
enum status
store_entries_load (struct store_entries *e);
/* Entry i: *bytes points into memory, or into room, to which it is read from
 * the plain file: any thread may do that. */
enum status
store_entries_get (const struct store_entries *e, int64_t i,
                   unsigned char *room, const unsigned char **bytes, size_t *n);
/* -- views (view.c) -------------------------------------------------------- */

struct store_viewer; /* of one thread */
/* Buffers for images of at most that many pixels and entries of room bytes. */
enum status
store_viewer_open (int size, int64_t pixels, size_t room,
                   struct store_viewer **out);
/* For all splits of a data set. */
enum status
store_viewer_of (const struct store_dataset *d, struct store_viewer **out);
void
store_viewer_close (struct store_viewer **v);
/* How an image is to be seen: at random from (seed, epoch), or in the middle.
 */
struct store_seen {
  bool random;
  uint64_t seed;
  int64_t epoch;
};
/* Sample i of a split as planes [3, size, size]; E_DATA naming file, path and
 * index for what does not decode. */
enum status
store_view (struct store_viewer *v, const struct store_entries *e, int64_t i,
            const struct store_seen *seen, unsigned char *out);
/* Decode it, and nothing more. */
enum status
store_view_check (struct store_viewer *v, const struct store_entries *e,
                  int64_t i);

/* -- a data set of them (jpeg.c) ------------------------------------------- */

/* Split /train/jpeg of an open file. */
enum status
store_jpeg_open (struct store_dataset *d, const char *path,
                 enum store_split which);
/* Samples first .. first+n-1 in the middle, by d->viewer, for the thread that
 * opened d. */
enum status
store_jpeg_raw (const struct store_dataset *d, enum store_split which,
                int64_t first, int64_t n, unsigned char *out);
/* Numbers for `interlock info`, and with check every image decoded. */
void
store_jpeg_print (const struct store_dataset *d, enum store_split which,
                  struct text *out);
enum status
store_jpeg_check (const struct store_dataset *d, enum store_split which,
                  struct text *out);

#endif
