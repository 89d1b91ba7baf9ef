/* import/idx.c -- MNIST and its kin in their idx files.
 *
 * Big-endian: two zero bytes, type 8 (unsigned bytes), number of dims, the
 * dims, then the bytes.  Images have three dims [N, H, W], labels one.  See
 * datasets/mnist.md.
 */
#include "import/import_impl.h"

#include "base/log.h"
#include "import/packed_impl.h"
#include <string.h>

/* Images and labels of train, then of test; each with its other spelling. */
static const char *const names[4][2] = {
    {"train-images-idx3-ubyte", "train-images.idx3-ubyte"},
    {"train-labels-idx1-ubyte", "train-labels.idx1-ubyte"},
    {"t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"},
    {"t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"},
};

static uint32_t
big_endian (const unsigned char *p)
{
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
         p[3];
}

/* Twice what the header says, and some more, so that it can be told how much is
 * too much. */
static uint64_t
most_of (const unsigned char *head, size_t n)
{
  double wanted = 1;
  for (size_t i = 0; i < 3 && n >= 8 + 4 * i && i < head[3]; i++)
    wanted *= big_endian (head + 4 + 4 * i);
  return (uint64_t)(2 * (wanted < 1e18 ? wanted : 1e18)) + (64 << 20);
}

/* Header and size; dims gets n_dims numbers. */
static enum status
check_idx (const char *path, const struct import_input *in, int n_dims,
           uint32_t *dims)
{
  size_t header = 4 + 4 * (size_t)n_dims;
  if (in->size < header)
    return fail (E_DATA, "%s: %zu bytes, expected a header of %zu", path,
                 in->size, header);
  uint32_t magic = big_endian (in->data);
  if (magic != 0x800u + (uint32_t)n_dims)
    return fail (E_DATA,
                 "%s: begins with %08x, expected %08x (idx, unsigned bytes, "
                 "%d dims)",
                 path, magic, 0x800u + (unsigned)n_dims, n_dims);
  unsigned long long wanted = 1;
  for (int i = 0; i < n_dims; i++) {
    dims[i] = big_endian (in->data + 4 + 4 * i);
    if (dims[i] == 0 || (i > 0 && dims[i] > 4096))
      return fail (E_DATA, "%s: dim %d is %u", path, i, dims[i]);
    wanted *= dims[i];
  }
  wanted += header;
  if (in->size != wanted)
    return fail (E_DATA, "%s: %zu bytes, expected %llu for %u items", path,
                 in->size, wanted, dims[0]);
  return OK;
}

static enum status
add_images (const char *path, int64_t limit, struct import_images *m,
            enum data_split which)
{
  struct import_input in = {0};
  uint32_t dims[3];
  log_live ("reading %s", path);
  TRY (import_input_read (path, most_of, &in));
  enum status s = check_idx (path, &in, 3, dims);
  if (s == OK && m->height == 0) {
    m->height = (int)dims[1];
    m->width = (int)dims[2];
  }
  if (s == OK && (m->height != (int)dims[1] || m->width != (int)dims[2]))
    s = fail (E_DATA, "%s: images of %u x %u, training has %d x %d", path,
              dims[1], dims[2], m->height, m->width);
  int64_t n = s == OK ? dims[0] : 0;
  if (limit > 0 && n > limit)
    n = limit;
  if (s == OK)
    s = import_images_room (m, which, n);
  if (s == OK) {
    memcpy (m->split[which].pixels, in.data + 16,
            (size_t)n * dims[1] * dims[2]);
    m->split[which].n = n;
  }
  import_input_clear (&in);
  return s;
}

static enum status
add_labels (const char *path, const char *images, int64_t limit,
            struct import_images *m, enum data_split which)
{
  struct import_input in = {0};
  struct import_images_split *split = &m->split[which];
  uint32_t dims[1];
  TRY (import_input_read (path, most_of, &in));
  enum status s = check_idx (path, &in, 1, dims);
  int64_t n = s == OK ? dims[0] : 0;
  if (limit > 0 && n > limit)
    n = limit;
  if (s == OK && n != split->n)
    s = fail (E_DATA, "%s: %lld labels, but %s has %lld images", path,
              (long long)n, images, (long long)split->n);
  for (int64_t i = 0; s == OK && i < n; i++) {
    split->labels[i] = in.data[8 + i];
    if (split->labels[i] >= m->n_classes && which == DATA_TRAIN)
      m->n_classes = split->labels[i] + 1;
    if (split->labels[i] >= m->n_classes)
      s = fail (E_DATA, "%s: record %lld: label %d, training has 0 to %d", path,
                (long long)i, split->labels[i], m->n_classes - 1);
  }
  import_input_clear (&in);
  return s;
}

/* The path of file i of four: given, or found in the folder. */
static enum status
choose (const struct import_job *job, int i, struct text *path)
{
  if (!import_file_is_folder (job->inputs[0])) {
    text_add (path, "%s", job->inputs[i]);
    return OK;
  }
  if (import_input_find (job->inputs[0], names[i][0], path) ||
      import_input_find (job->inputs[0], names[i][1], path))
    return OK;
  return fail (E_MISSING, "%s: no %s in it (nor .xz, .gz, .bz2, .zst)",
               job->inputs[0], names[i][0]);
}

static enum status
add_pair (const struct import_job *job, enum data_split which, int64_t limit,
          struct import_images *m)
{
  int at = which == DATA_TRAIN ? 0 : 2;
  struct text images, labels;
  text_init (&images);
  text_init (&labels);
  enum status s = choose (job, at, &images);
  if (s == OK)
    s = choose (job, at + 1, &labels);
  if (s == OK)
    s = add_images (images.data, limit, m, which);
  if (s == OK)
    s = add_labels (labels.data, images.data, limit, m, which);
  text_clear (&images);
  text_clear (&labels);
  return s;
}

enum status
import_idx (const struct import_job *job, struct import_images *m)
{
  struct import_option options[] = {{"valid", -1, 0, 1000000, NULL},
                                    {"limit", 0, 1, 1000000, NULL}};
  TRY (import_options_parse (job->kind, job->n_options, job->options, options,
                             2));
  bool folder = job->n_inputs == 1 && import_file_is_folder (job->inputs[0]);
  if (!folder && job->n_inputs != 2 && job->n_inputs != 4)
    return fail (E_USAGE,
                 "import idx: %d inputs: give a folder, or "
                 "train-images train-labels [test-images "
                 "test-labels]",
                 job->n_inputs);
  m->name = "idx";
  m->channels = 1;
  text_add (&m->origin, "idx files of unsigned bytes");
  TRY (add_pair (job, DATA_TRAIN, options[1].value, m));
  if (folder || job->n_inputs == 4)
    TRY (add_pair (job, DATA_TEST, options[1].value, m));
  if (m->n_classes < 2)
    return fail (E_DATA, "%s: all labels are 0", job->inputs[0]);
  for (int i = 0; i < m->n_classes; i++)
    text_add (&m->classes, "%s%d", i ? "\n" : "", i);
  return import_images_hold_out (m, options[0].value);
}
