/* data/tokens.c -- data sets of tokens: opened, checked, read as windows.
 *
 * A split is one long row of tokens.  What fits in memory is checked whole when
 * it is opened; of longer ones each token is, when it is read.
 */
#include "data/data_impl.h"
#include "data/format.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "store/file.h"
#include <string.h>

/* -- open ------------------------------------------------------------------ */

/* Bytes of a token in memory; 0: these are no tokens.  *negative: the file's
 * type has values below 0 or above 32 bits.  Such tokens are read as signed
 * numbers, which keeps the wrong ones outside every vocabulary. */
static size_t
width_of (hid_t id, bool *negative)
{
  hid_t type = H5Dget_type (id);
  size_t width = H5Tget_size (type);
  bool good = H5Tget_class (type) == H5T_INTEGER && width <= 8;
  *negative = good && (H5Tget_sign (type) != H5T_SGN_NONE || width == 8);
  H5Tclose (type);
  return !good ? 0 : width <= 2 && !*negative ? 2 : 4;
}

static enum status
open_tokens (struct data_set *d, const char *path, struct data_samples *split)
{
  struct store_h5_at at;
  int64_t dims[STORE_H5_DIMS];
  TRY (data_array (d, path, 1, "[T]", split, &at, dims));
  size_t width = width_of (split->images, &split->negative);
  if (width == 0)
    return fail (E_DATA,
                 "%s: %s: not integers: tokens are written as uint16 or, of a "
                 "vocabulary above 65536, as uint32",
                 d->path, path);
  if (d->width_known && width != d->sample_bytes)
    return fail (E_DATA, "%s: %s: %zu bytes a token, other splits have %zu",
                 d->path, path, width, d->sample_bytes);
  d->width_known = true;
  d->sample_bytes = width;
  split->n = dims[0];
  return data_locate (
      d, &at, data_type (d, (enum data_split) (split - d->split)), split);
}

/* The digest that the file gives, or one of its first block. */
static enum status
add_digest (const struct data_set *d, enum data_split which, uint64_t *h)
{
  const struct data_samples *split = &d->split[which];
  struct store_h5_at at = {split->images, d->path, "tokens", E_DATA};
  char *kept = NULL;
  *h = hash_bytes (&split->n, sizeof split->n, *h);
  if (store_h5_has_attribute (split->images, "digest")) {
    TRY (store_h5_get_text (&at, "digest", &kept));
    *h = hash_text (kept, *h);
    mem_free (&kept);
    return OK;
  }
  int64_t n = split->n < d->block_samples ? split->n : d->block_samples;
  TRY (data_raw (d, which, 0, n, d->block));
  *h = hash_bytes (d->block, (size_t)n * d->sample_bytes, *h);
  return OK;
}

static uint32_t
token_at (const struct data_set *d, const unsigned char *raw, int64_t i)
{
  uint16_t narrow;
  uint32_t wide;
  if (d->sample_bytes == 2) {
    memcpy (&narrow, raw + 2 * i, sizeof narrow);
    return narrow;
  }
  memcpy (&wide, raw + 4 * i, sizeof wide);
  return wide;
}

/* n raw tokens, of which the first is number `first`. */
static enum status
check_range (const struct data_set *d, enum data_split which,
             const unsigned char *raw, int64_t first, int64_t n)
{
  uint32_t largest = 0;
  for (int64_t i = 0; i < n; i++) {
    uint32_t id = token_at (d, raw, i);
    largest = id > largest ? id : largest;
  }
  if (largest < (uint32_t)d->info.classes)
    return OK;
  int64_t i = 0;
  while (token_at (d, raw, i) < (uint32_t)d->info.classes)
    i++;
  uint32_t id = token_at (d, raw, i);
  return fail (E_DATA, "%s: /%s/tokens[%lld]: token %lld, vocab_size is %d",
               d->path, data_split_name (which), (long long)(first + i),
               d->split[which].negative ? (long long)(int32_t)id : id,
               d->info.classes);
}

static enum status
check_split (struct data_set *d, enum data_split which)
{
  struct data_samples *split = &d->split[which];
  uint64_t h = TOKENS_DIGEST_SEED;
  char path[48], digest[33];
  split->checked = d->sample_bytes == 2 &&
                   d->info.classes > UINT16_MAX; /* cannot be wrong */
  if (split->n * (int64_t)d->sample_bytes > d->memory_bytes)
    return OK;
  for (int64_t at = 0; at < split->n;) {
    int64_t n = split->n - at;
    if (n > d->block_samples)
      n = d->block_samples;
    TRY (data_raw (d, which, at, n, d->block));
    TRY (check_range (d, which, d->block, at, n));
    h = hash_bytes (d->block, (size_t)n * d->sample_bytes, h);
    at += n;
  }
  split->checked = true;
  if (!store_h5_has_attribute (split->images, "digest"))
    return OK;
  data_path (d, which, path);
  struct store_h5_at at = {split->images, d->path, path, E_DATA};
  snprintf (digest, sizeof digest, "%016llx", (unsigned long long)h);
  TRY (data_compare (&at, digest, NULL));
  split->proven = true;
  return OK;
}

static enum status
read_bytes (struct data_set *d, enum data_split which, const char *group)
{
  hid_t id = H5Gopen2 (d->file, group, H5P_DEFAULT);
  struct store_h5_at at = {id, d->path, group, E_DATA};
  enum status s = OK;
  if (id < 0)
    return fail (E_DATA, "%s: %s is not a group", d->path, group);
  if (store_h5_has_attribute (id, "bytes"))
    s = store_h5_get_int (&at, "bytes", &d->info.bytes[which]);
  H5Gclose (id);
  if (s == OK && d->info.bytes[which] < 0)
    s = fail (E_DATA, "%s: %s: attribute \"bytes\" is %lld", d->path, group,
              (long long)d->info.bytes[which]);
  return s;
}

static enum status
read_vocabulary (struct data_set *d)
{
  struct store_h5_at root = {d->file, d->path, "/", E_DATA};
  int64_t vocab = 0;
  TRY (store_h5_get_int (&root, "vocab_size", &vocab));
  if (vocab < 2 || vocab > (int64_t)1 << 30)
    return fail (E_DATA,
                 "%s: attribute \"vocab_size\" is %lld, expected 2 or "
                 "more",
                 d->path, (long long)vocab);
  d->info.classes = (int)vocab;
  d->info.separator = -1;
  if (store_h5_has_attribute (d->file, "separator"))
    TRY (store_h5_get_int (&root, "separator", &d->info.separator));
  if (d->info.separator >= vocab)
    return fail (E_DATA,
                 "%s: attribute \"separator\" is %lld, vocab_size is "
                 "%lld",
                 d->path, (long long)d->info.separator, (long long)vocab);
  return store_h5_get_text (&root, "tokenizer", &d->tokenizer);
}

enum status
data_tokens_open (struct data_set *d)
{
  TRY (read_vocabulary (d));
  TRY (mem_new (TOKENS_BLOCK_BYTES, 1, "token block", (void **)&d->block));
  for (int i = 0; i < DATA_SPLITS; i++) {
    enum data_split which = (enum data_split)i;
    char group[32], path[48];
    snprintf (group, sizeof group, "/%s", data_split_name (which));
    data_path (d, which, path);
    if (!store_h5_has (d->file, group))
      continue;
    TRY (open_tokens (d, path, &d->split[i]));
    TRY (read_bytes (d, which, group));
    d->info.samples[i] = d->info.tokens[i] = d->split[i].n;
  }
  if (!d->width_known)
    return OK; /* no split: the caller says so */
  d->block_samples = (int64_t)(TOKENS_BLOCK_BYTES / d->sample_bytes);
  struct text t;
  text_init (&t);
  text_add (&t, "%s|%s|%d|%s", d->info.kind, d->info.name, d->info.classes,
            d->tokenizer);
  d->info.digest = hash_text (t.data, 1);
  text_clear (&t);
  for (int i = 0; i < DATA_SPLITS; i++)
    if (d->split[i].n > 0) {
      TRY (add_digest (d, (enum data_split)i, &d->info.digest));
      TRY (check_split (d, (enum data_split)i));
    }
  return OK;
}

/* -- windows --------------------------------------------------------------- */

void
data_windows (struct data_set *d, int64_t context, int64_t stride)
{
  CHECK (d->tokens && context > 0 && stride >= 0, "windows of %lld",
         (long long)context);
  d->context = context;
  d->stride = stride > 0 ? stride : context;
  for (int i = 0; i < DATA_SPLITS; i++) /* each label once */
    d->info.samples[i] =
        d->split[i].n > 1 ? (d->split[i].n - 1 + context - 1) / context : 0;
}

/* Windows of an order over n tokens, and the range of its offset: context, or
 * less in a split that has but one window. */
static int64_t
count_windows (int64_t n, int64_t T, int64_t stride, bool shuffle,
               int64_t *range)
{
  *range = 1;
  if (T < 1 || n < T + 1)
    return 0;
  if (!shuffle)
    return (n - 1 - T) / (stride > 0 ? stride : T) + 1;
  int64_t windows = n / T - 1 > 1 ? n / T - 1 : 1;
  *range = n - windows * T < T ? n - windows * T : T;
  return windows;
}

int64_t
data_info_samples (const struct data_info *info, enum data_split split,
                   int64_t context, int64_t stride, bool shuffle)
{
  int64_t range;
  if (strcmp (info->kind, "tokens") != 0)
    return info->samples[split];
  return count_windows (info->tokens[split], context, stride, shuffle, &range);
}

enum status
data_training_samples (const struct data_set *d, enum data_split split,
                       bool shuffle, int64_t *out)
{
  int64_t n = d->split[split].n;
  if (n == 0)
    return fail (E_DATA, "%s: there is no /%s", d->path,
                 data_split_name (split));
  int64_t samples =
      data_info_samples (&d->info, split, d->context, d->stride, shuffle);
  if (samples == 0)
    return fail (E_DATA,
                 "%s: /%s/tokens has %lld tokens, a window of model.context = "
                 "%lld needs %lld",
                 d->path, data_split_name (split), (long long)n,
                 (long long)d->context, (long long)d->context + 1);
  *out = samples;
  return OK;
}

static int64_t
window_start (const struct data_set *d, enum data_split split,
              const struct data_order *o, int64_t epoch, int64_t sample)
{
  int64_t range;
  if (!data_order_shuffles (o))
    return sample * d->stride;
  count_windows (d->split[split].n, d->context, d->stride, true, &range);
  return sample * d->context + data_order_offset (o, epoch, range);
}

enum status
data_tokens_read (const struct data_set *d, enum data_split which,
                  int64_t first, int64_t n, unsigned char *room, int32_t *out)
{
  TRY (data_raw (d, which, first, n, room));
  if (!d->split[which].checked)
    TRY (check_range (d, which, room, first, n));
  for (int64_t i = 0; i < n; i++)
    out[i] = (int32_t)token_at (d, room, i);
  return OK;
}

enum status
data_tokens_window (const struct data_set *d, enum data_split split,
                    const struct data_order *o, int64_t epoch, int64_t sample,
                    unsigned char *room, int32_t *out)
{
  int64_t at = window_start (d, split, o, epoch, sample);
  return data_tokens_read (d, split, at, d->context, room, out);
}

enum status
data_tokens_labels (const struct data_set *d, enum data_split split,
                    const struct data_order *o, int64_t epoch, int64_t sample,
                    int32_t *labels)
{
  int64_t at = window_start (d, split, o, epoch, sample) + 1;
  for (int64_t i = 0; i < d->context;) {
    int64_t n = d->context - i;
    if (n > d->block_samples)
      n = d->block_samples;
    TRY (data_tokens_read (d, split, at + i, n, d->block, labels + i));
    i += n;
  }
  return OK;
}

/* -- info ------------------------------------------------------------------ */

/* Every token, against the vocabulary and the digest. */
static enum status
check_digest (struct data_set *d, enum data_split which, struct text *out)
{
  const struct data_samples *split = &d->split[which];
  uint64_t h = TOKENS_DIGEST_SEED;
  char path[48], digest[33];
  TRY (data_blocks_check (d, which));
  data_path (d, which, path);
  for (int64_t at = 0; at < split->n;) {
    int64_t n = split->n - at;
    if (n > d->block_samples)
      n = d->block_samples;
    TRY (data_raw (d, which, at, n, d->block));
    TRY (check_range (d, which, d->block, at, n));
    h = hash_bytes (d->block, (size_t)n * d->sample_bytes, h);
    at += n;
    log_progress ("%s: %s of %s", path, text_count (at), text_count (split->n));
  }
  log_live_done ();
  snprintf (digest, sizeof digest, "%016llx", (unsigned long long)h);
  struct store_h5_at at = {split->images, d->path, path, E_DATA};
  return data_compare (&at, digest, out);
}

enum status
data_tokens_print (struct data_set *d, bool check, struct text *out)
{
  text_add (out, "  tokens of %zu bytes, vocabulary %d, tokenizer %s",
            d->sample_bytes, d->info.classes, d->tokenizer);
  if (d->info.separator >= 0)
    text_add (out, ", documents separated by %lld",
              (long long)d->info.separator);
  text_add (out, "\n");
  for (int i = 0; i < DATA_SPLITS; i++) {
    int64_t n = d->split[i].n, bytes = d->info.bytes[i];
    if (n == 0)
      continue;
    text_add (out, "  /%-6s %14s tokens", data_split_name ((enum data_split)i),
              text_count (n));
    if (bytes > 0)
      text_add (out, " of %s bytes of text, %.3f bytes a token",
                text_count (bytes), (double)bytes / (double)n);
    text_add (out, "\n");
  }
  text_add (out, "  digest of header and tokens %016llx, %s on disk\n",
            (unsigned long long)d->info.digest,
            text_bytes ((double)store_file_bytes (d->path)));
  for (int i = 0; check && i < DATA_SPLITS; i++)
    if (d->split[i].n > 0)
      TRY (check_digest (d, (enum data_split)i, out));
  if (check && store_h5_has (d->file, TOKENS_MODEL)) {
    struct data_tokenizer *t = NULL;
    TRY (data_tokenizer_open (d, &t));
    data_tokenizer_close (&t);
    text_add (out, "  %-14s read\n", TOKENS_MODEL);
  }
  return OK;
}
