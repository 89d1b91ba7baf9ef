/* data/pixels.c -- images as arrays of pixels: bytes, or floats used as they
 * are.
 */
#include "data/images_impl.h"

#include "base/memory.h"
#include <string.h>

#define SIDE_MOST 16384 /* no image is wider; keeps products in range */

/* -- open ------------------------------------------------------------------ */

/* Colours last, as other programs have them?  Where the shape alone does not
 * tell, the number of means does. */
static enum status
check_order (const struct data_set *d, const struct store_h5_at *at,
             const int64_t *dims)
{
  struct store_h5_at root = {d->file, d->path, "/", E_DATA};
  int64_t n = store_h5_count (&root, "mean");
  bool few = dims[3] == 1 || dims[3] == 3 || dims[3] == 4;
  bool last =
      n > 0 ? n == dims[3] && n != dims[1] : few && dims[1] > 4 && dims[2] > 4;
  if (!last)
    return OK;
  return fail (E_DATA,
               "%s: %s: shape %s looks like [N, H, W, C], expected [N, C, H, "
               "W]: colours come first (numpy: x.transpose (0, 3, 1, 2))",
               d->path, at->path, store_h5_shape_text (4, dims));
}

/* Shape and type must be those of the splits before. */
static enum status
open_split (struct data_set *d, enum data_split which,
            const struct store_h5_at *at, const int64_t *dims)
{
  struct data_images *m = d->own;
  hid_t type = H5Dget_type (at->id);
  bool floats = H5Tget_class (type) == H5T_FLOAT;
  bool bytes = H5Tequal (type, H5T_NATIVE_UINT8) > 0;
  H5Tclose (type);
  if (!floats && !bytes)
    return fail (E_DATA,
                 "%s: %s: neither unsigned bytes nor floats: write pixels of 0 "
                 "to 255 as uint8, others as float32",
                 d->path, at->path);
  TRY (check_order (d, at, dims));
  for (int i = 1; i < 4; i++)
    if (dims[i] < 1 || dims[i] > SIDE_MOST)
      return fail (E_DATA, "%s: %s: shape %s", d->path, at->path,
                   store_h5_shape_text (4, dims));
  if (d->sample_bytes == 0) {
    m->floats = floats;
    d->info.channels = (int)dims[1];
    d->info.height = (int)dims[2];
    d->info.width = (int)dims[3];
    d->values = dims[1] * dims[2] * dims[3];
    d->sample_bytes = (size_t)d->values * (floats ? 4 : 1);
  }
  int64_t wanted[4] = {dims[0], d->info.channels, d->info.height,
                       d->info.width};
  if (memcmp (wanted, dims, sizeof wanted) != 0)
    return fail (E_DATA, "%s: %s: shape %s, but other splits have %s", d->path,
                 at->path, store_h5_shape_text (4, dims),
                 store_h5_shape_text (3, wanted + 1));
  if (floats != m->floats)
    return fail (E_DATA, "%s: %s: %s, but other splits have %s", d->path,
                 at->path, floats ? "floats" : "bytes",
                 floats ? "bytes" : "floats");
  return data_locate (d, at, which);
}

static void
digest (struct data_set *d)
{
  d->info.digest = data_labels_digest (d, data_images_digest (d));
}

static hid_t
memory (const struct data_set *d, enum data_split which)
{
  (void)which;
  return ((const struct data_images *)d->own)->floats ? H5T_NATIVE_FLOAT
                                                      : H5T_NATIVE_UINT8;
}

/* -- samples --------------------------------------------------------------- */

static enum status
maker_open (struct data_maker *m)
{
  return mem_new (m->spec->data->sample_bytes, 1, "a sample", (void **)&m->raw);
}

static enum status
make (struct data_maker *m, int64_t epoch, int64_t sample, void *x)
{
  const struct data_loader_spec *spec = m->spec;
  bool flip;
  int dy, dx;
  data_augment_draw (spec->augment, spec->seed, epoch, sample, &flip, &dy, &dx);
  TRY (data_raw (spec->data, spec->split, sample, 1, m->raw));
  data_augment_sample (spec->data, m->raw, flip, dy, dx, x);
  return OK;
}

static enum status
read_samples (struct data_set *d, enum data_split which, int64_t first,
              int64_t n, void *x)
{
  return data_images_read (d, which, first, n, data_raw, x);
}

/* -- info ------------------------------------------------------------------ */

static void
print (const struct data_set *d, struct text *out)
{
  const struct data_images *m = d->own;
  data_images_print (d, m->floats ? "32-bit floats, used as they are" : "bytes",
                     out);
}

static enum status
check_split (struct data_set *d, enum data_split which, struct text *out)
{
  return data_whole_compare (d, which, NULL, out);
}

const struct data_kind data_pixels = {
    .word = "images",
    .set = "images",
    .n_dims = 4,
    .shape = "[N, C, H, W]",
    .what = "pixels",
    .labelled = true,
    .augment = DATA_AUGMENT_FLIP | DATA_AUGMENT_CROP4,
    .type = TENSOR_F32,
    .own_bytes = sizeof (struct data_images),
    .storage = &data_array,
    .attributes = data_images_attributes,
    .header = data_images_header,
    .split = open_split,
    .finish = data_images_finish,
    .digest = digest,
    .close = data_images_close,
    .memory = memory,
    .maker_open = maker_open,
    .make = make,
    .read = read_samples,
    .label = data_label_kept,
    .labels = data_labels_kept,
    .samples = data_images_samples,
    .print = print,
    .print_split = data_images_print_split,
    .check_split = check_split,
};
