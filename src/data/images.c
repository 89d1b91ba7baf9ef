/* data/images.c -- what images have in common however a file keeps them: names
 * of classes, normalisation, mirrors and shifts, and what is said of them.
 */
#include "data/images_impl.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include <math.h>
#include <string.h>

const struct data_attribute data_images_attributes[] = {
    {"classes", 'l'}, {"mean", 'd'}, {"std", 'd'}, {"size", 'i'}, {NULL, 0}};

/* -- open ------------------------------------------------------------------ */

/* Each class has a name, of one line. */
static enum status
check_classes (const struct data_set *d, const struct data_images *m)
{
  int n = 0;
  for (const char *p = m->classes.data;; p++, n++) {
    size_t length = strcspn (p, "\n");
    if (length == 0)
      return fail (E_DATA,
                   "%s: attribute \"classes\": name %d is empty: every class "
                   "has a name of one line",
                   d->path, n);
    p += length;
    if (!*p)
      break;
  }
  return n + 1 == d->info.classes
             ? OK
             : fail (E_DATA,
                     "%s: attribute \"classes\": a name of more than one line",
                     d->path);
}

enum status
data_images_header (struct data_set *d)
{
  struct data_images *m = d->own;
  struct store_h5_at root = {d->file, d->path, "/", E_DATA};
  text_init (&m->classes);
  TRY (store_h5_get_texts (&root, "classes", &m->classes, &d->info.classes));
  if (d->info.classes < 2)
    return fail (E_DATA,
                 "%s: attribute \"classes\" has %d names, expected at "
                 "least 2",
                 d->path, d->info.classes);
  return check_classes (d, m);
}

/* They are of values that were divided by 255 before. */
static enum status
check_scale (const struct data_set *d, const struct data_images *m, int c)
{
  if (m->mean[c] >= 0 && m->mean[c] <= 1 && m->std[c] <= 1)
    return OK;
  return fail (E_DATA,
               "%s: channel %d: mean %g, std %g: expected those of values "
               "scaled to 0..1: divide them by 255",
               d->path, c, m->mean[c], m->std[c]);
}

static enum status
read_scale (struct data_set *d, struct data_images *m)
{
  if (m->floats)
    return OK;
  struct store_h5_at root = {d->file, d->path, "/", E_DATA};
  int n = d->info.channels;
  TRY (MEM_NEW ((size_t)n, &m->mean, "mean"));
  TRY (MEM_NEW ((size_t)n, &m->std, "std"));
  TRY (MEM_NEW ((size_t)n * 256, &m->table, "table of bytes"));
  TRY (store_h5_get_doubles (&root, "mean", n, m->mean));
  TRY (store_h5_get_doubles (&root, "std", n, m->std));
  for (int c = 0; c < n; c++) {
    if (!isfinite (m->mean[c]) || !(m->std[c] > 0) || !isfinite (m->std[c]))
      return fail (E_DATA,
                   "%s: channel %d: mean %g, std %g: expected numbers, std "
                   "above 0",
                   d->path, c, m->mean[c], m->std[c]);
    TRY (check_scale (d, m, c));
    /* In float, in the order of PyTorch's ToTensor and Normalize. */
    float mean = (float)m->mean[c], std = (float)m->std[c];
    for (int v = 0; v < 256; v++)
      m->table[c * 256 + v] = ((float)v / 255.0f - mean) / std;
  }
  d->mean = m->mean;
  d->std = m->std;
  return OK;
}

enum status
data_images_finish (struct data_set *d)
{
  TRY (read_scale (d, d->own));
  return data_block_open (d, "image block");
}

void
data_images_close (struct data_set *d)
{
  struct data_images *m = d->own;
  text_clear (&m->classes);
  mem_free (&m->table);
  mem_free (&m->mean);
  mem_free (&m->std);
}

uint64_t
data_images_digest (const struct data_set *d)
{
  const struct data_images *m = d->own;
  struct text t;
  text_init (&t);
  text_add (&t, "%s|%s|%d %d %d %d|%d|%s", d->info.kind, d->info.name,
            d->info.classes, d->info.channels, d->info.height, d->info.width,
            m->floats, m->classes.data);
  uint64_t h = hash_text (t.data, 1);
  text_clear (&t);
  if (m->table) {
    h = hash_bytes (m->mean, (size_t)d->info.channels * sizeof (double), h);
    h = hash_bytes (m->std, (size_t)d->info.channels * sizeof (double), h);
  }
  return hash_bytes (d->info.samples, sizeof d->info.samples, h);
}

/* -- from bytes to floats -------------------------------------------------- */

static void
normalise (const struct data_set *d, const unsigned char *raw, float *x)
{
  const struct data_images *m = d->own;
  if (m->floats) {
    memcpy (x, raw, d->sample_bytes);
    return;
  }
  int64_t plane = (int64_t)d->info.height * d->info.width;
  for (int c = 0; c < d->info.channels; c++) {
    const float *table = m->table + c * 256;
    for (int64_t i = 0; i < plane; i++)
      x[i] = table[raw[i]];
    x += plane;
    raw += plane;
  }
}

void
data_augment_draw (int augment, uint64_t seed, int64_t epoch, int64_t sample,
                   bool *flip, int *dy, int *dx)
{
  struct random_key key = {.seed = seed,
                           .purpose = RANDOM_AUGMENT,
                           .a = (uint64_t)epoch,
                           .b = (uint64_t)sample};
  uint32_t word[4];
  random_block (&key, 0, word);
  *flip = (augment & (DATA_AUGMENT_FLIP | DATA_AUGMENT_IMAGENET)) &&
          (word[0] >> 31);
  *dy = *dx = 4;
  if (augment & DATA_AUGMENT_CROP4) {
    *dy = (int)(((uint64_t)word[1] * 9) >> 32);
    *dx = (int)(((uint64_t)word[2] * 9) >> 32);
  }
}

/* One row of output from one row of input; columns outside are left alone. */
static void
augment_row (const struct data_set *d, const unsigned char *raw,
             const float *table, bool flip, int dx, float *x)
{
  int width = d->info.width;
  int from = dx < 4 ? 4 - dx : 0;
  int to = dx > 4 ? width + 4 - dx : width;
  for (int i = from; i < to; i++) {
    int at = i + dx - 4;
    if (flip)
      at = width - 1 - at;
    if (table)
      x[i] = table[raw[at]];
    else
      memcpy (&x[i], raw + 4 * (size_t)at, 4);
  }
}

void
data_augment_sample (const struct data_set *d, const unsigned char *raw,
                     bool flip, int dy, int dx, float *x)
{
  if (!flip && dy == 4 && dx == 4) {
    normalise (d, raw, x);
    return;
  }
  const struct data_images *m = d->own;
  int height = d->info.height, width = d->info.width;
  size_t row_bytes = (size_t)width * (m->floats ? 4 : 1);
  memset (x, 0, (size_t)d->values * sizeof *x);
  for (int c = 0; c < d->info.channels; c++) {
    const float *table = m->table ? m->table + c * 256 : NULL;
    for (int y = 0; y < height; y++) {
      int at = y + dy - 4;
      if (at < 0 || at >= height)
        continue;
      size_t row = (size_t)c * (size_t)height + (size_t)at;
      augment_row (d, raw + row * row_bytes, table, flip, dx,
                   x + ((int64_t)c * height + y) * width);
    }
  }
}

/* -- evaluation ------------------------------------------------------------ */

enum status
data_images_read (struct data_set *d, enum data_split which, int64_t first,
                  int64_t n,
                  enum status (*raw) (const struct data_set *d,
                                      enum data_split which, int64_t first,
                                      int64_t n, unsigned char *out),
                  float *x)
{
  const struct data_samples *split = &d->split[which];
  CHECK (first >= 0 && n >= 0, "samples %lld, %lld", (long long)first,
         (long long)n);
  TRY (data_prove (d, which));
  int64_t last = split->n - 1;
  for (int64_t i = 0; i < n;) {
    int64_t from = first + i < last ? first + i : last;
    int64_t count = split->n - from < n - i ? split->n - from : n - i;
    if (count > d->block_samples)
      count = d->block_samples;
    TRY (raw (d, which, from, count, d->block));
    for (int64_t j = 0; j < count; j++)
      normalise (d, d->block + (size_t)j * d->sample_bytes,
                 x + (i + j) * d->values);
    i += count;
  }
  return OK;
}

int64_t
data_images_samples (const struct data_info *info, enum data_split split,
                     int64_t context, int64_t stride, bool shuffle)
{
  (void)context, (void)stride, (void)shuffle;
  return info->samples[split];
}

/* -- info ------------------------------------------------------------------ */

/* How many samples the rarest and the most frequent class have. */
enum status
data_images_print_split (const struct data_set *d, enum data_split which,
                         struct text *out)
{
  int64_t *count = NULL;
  TRY (MEM_NEW ((size_t)d->info.classes, &count, "class counts"));
  int64_t n = d->info.samples[which], least = n, most = 0;
  for (int64_t i = 0; i < n; i++)
    count[d->split[which].labels[i]]++;
  for (int c = 0; c < d->info.classes; c++) {
    least = count[c] < least ? count[c] : least;
    most = count[c] > most ? count[c] : most;
  }
  mem_free (&count);
  text_add (out, "  /%-6s %10s samples, %lld to %lld of a class\n",
            data_split_name (which), text_count (n), (long long)least,
            (long long)most);
  return OK;
}

static void
print_classes (const struct data_set *d, struct text *out)
{
  text_add (out, "  %d classes:", d->info.classes);
  const char *p = ((const struct data_images *)d->own)->classes.data;
  for (int i = 0; i < d->info.classes && i < 10; i++) {
    int n = (int)strcspn (p, "\n");
    text_add (out, "%s %.*s", i ? "," : "", n, p);
    p += n + (p[n] == '\n');
  }
  text_add (out, "%s\n", d->info.classes > 10 ? ", ..." : "");
}

void
data_images_print (const struct data_set *d, const char *form, struct text *out)
{
  const struct data_images *m = d->own;
  text_add (out, "  images %d x %d x %d, %s\n", d->info.channels,
            d->info.height, d->info.width, form);
  print_classes (d, out);
  for (int c = 0; m->table && c < d->info.channels; c++)
    text_add (out, "  channel %d: mean %.5f, std %.5f\n", c, m->mean[c],
              m->std[c]);
}
