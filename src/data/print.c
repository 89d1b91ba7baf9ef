/* data/print.c -- what `interlock info` says of a data set. */
#include "data/data_impl.h"
#include "data/jpeg_impl.h"

#include "base/hash.h"
#include "base/memory.h"
#include "store/file.h"
#include <string.h>

/* How many samples the rarest and the most frequent class have. */
static enum status
print_balance (const struct data_set *d, enum data_split which,
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
  if (d->split[which].entries)
    data_jpeg_print (d, which, out);
  return OK;
}

/* Compare a digest kept with the dataset, when there is one. */
enum status
data_compare (const struct store_h5_at *at, const char *digest,
              struct text *out)
{
  if (!store_h5_has_attribute (at->id, "digest")) {
    if (out)
      text_add (out, "  %-14s %s (none kept to compare with)\n", at->path,
                digest);
    return OK;
  }
  char *kept = NULL;
  TRY (store_h5_get_text (at, "digest", &kept));
  enum status s = OK;
  if (strcmp (kept, digest) != 0)
    s = fail (E_DATA, "%s: %s: damaged: digest %s, the file's own says %s",
              at->file, at->path, digest, kept);
  else if (out)
    text_add (out, "  %-14s %s agrees\n", at->path, digest);
  mem_free (&kept);
  return s;
}

static enum status
check_bytes (const struct data_set *d, hid_t id, const char *path,
             const void *data, size_t bytes, struct text *out)
{
  struct store_h5_at at = {id, d->path, path, E_DATA};
  char digest[33];
  hash_digest (data, bytes, digest);
  return data_compare (&at, digest, out);
}

/* Labels as the bytes they were written from, where they are of one or two. */
static enum status
check_labels (const struct data_set *d, enum data_split which, struct text *out)
{
  char path[48];
  snprintf (path, sizeof path, "/%s/labels", data_split_name (which));
  struct store_h5_at at = {-1, d->path, path, E_DATA};
  TRY (store_h5_set_open (d->file, true, &at));
  hid_t id = at.id;
  hid_t type = H5Dget_type (id);
  size_t width = H5Tequal (type, H5T_STD_U8LE) > 0    ? 1
                 : H5Tequal (type, H5T_STD_U16LE) > 0 ? 2
                                                      : 0;
  size_t bytes = width * (size_t)d->info.samples[which];
  unsigned char *data = NULL;
  enum status s = OK;
  if (bytes > 0)
    s = mem_new (bytes, 1, "labels", (void **)&data);
  if (bytes > 0 && s == OK) {
    char why[256];
    if (H5Dread (id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
      s = fail (E_DATA, "%s: %s: not read: %s", d->path, path,
                store_h5_why (why));
    else
      s = check_bytes (d, id, path, data, bytes, out);
  }
  mem_free (&data);
  H5Tclose (type);
  H5Dclose (id);
  return s;
}

static enum status
check_split (struct data_set *d, enum data_split which, struct text *out)
{
  const struct data_samples *split = &d->split[which];
  TRY (data_blocks_check (d, which));
  if (split->entries) {
    TRY (data_jpeg_check (d, which, out));
    return check_labels (d, which, out);
  }
  char path[48];
  unsigned char *all = NULL;
  snprintf (path, sizeof path, "/%s/images", data_split_name (which));
  TRY (mem_new ((size_t)split->n, d->sample_bytes, "images", (void **)&all));
  enum status s = data_raw (d, which, 0, split->n, all);
  if (s == OK)
    s = check_bytes (d, split->images, path, all,
                     (size_t)split->n * d->sample_bytes, out);
  mem_free (&all);
  return s == OK ? check_labels (d, which, out) : s;
}

static void
print_classes (const struct data_set *d, struct text *out)
{
  text_add (out, "  %d classes:", d->info.classes);
  const char *p = d->classes.data;
  for (int i = 0; i < d->info.classes && i < 10; i++) {
    int n = (int)strcspn (p, "\n");
    text_add (out, "%s %.*s", i ? "," : "", n, p);
    p += n + (p[n] == '\n');
  }
  text_add (out, "%s\n", d->info.classes > 10 ? ", ..." : "");
}

static enum status
print_parts (struct data_set *d, bool check, struct text *out)
{
  text_add (out, "%s: data set \"%s\", version 1, kind %s\n", d->path,
            d->info.name, d->info.kind);
  if (d->origin[0])
    text_add (out, "  origin: %s\n", d->origin);
  if (d->tokens)
    return data_tokens_print (d, check, out);
  text_add (out, "  images %d x %d x %d, %s\n", d->info.channels,
            d->info.height, d->info.width,
            d->floats      ? "32-bit floats, used as they are"
            : d->info.jpeg ? "seen of JPEG images"
                           : "bytes");
  print_classes (d, out);
  for (int c = 0; d->table && c < d->info.channels; c++)
    text_add (out, "  channel %d: mean %.5f, std %.5f\n", c, d->mean[c],
              d->std[c]);
  for (int i = 0; i < DATA_SPLITS; i++)
    if (d->info.samples[i] > 0)
      TRY (print_balance (d, (enum data_split)i, out));
  text_add (out, "  digest of header and labels %016llx, %s on disk\n",
            (unsigned long long)d->info.digest,
            text_bytes ((double)store_file_bytes (d->path)));
  for (int i = 0; check && i < DATA_SPLITS; i++)
    if (d->info.samples[i] > 0)
      TRY (check_split (d, (enum data_split)i, out));
  return OK;
}

enum status
data_print (const char *path, bool check, struct text *out)
{
  struct data_set *d = NULL;
  TRY (data_open (path, &d));
  enum status s = print_parts (d, check, out);
  data_close (&d);
  return s;
}
