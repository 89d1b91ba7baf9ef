/* data/tokens.c -- data sets of tokens: opened, checked, read as windows.
 *
 * A split is one long row of tokens.  What fits in memory is checked whole when
 * it is opened; of longer ones each token is, when it is read.
 */
#include "data/data_impl.h"
#include "data/tokens_impl.h"

#include "base/hash.h"
#include "base/memory.h"
#include <string.h>

struct tokens {
  char *tokenizer;            /* its name; owned */
  bool checked[DATA_SPLITS];  /* all are in the vocabulary */
  bool negative[DATA_SPLITS]; /* the file's type has a sign */
};

const char *
data_tokens_tokenizer (const struct data_set *d)
{
  return d->kind == &data_tokens ? ((const struct tokens *)d->own)->tokenizer
                                 : NULL;
}

/* -- open ------------------------------------------------------------------ */

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
  d->info.length = 0; /* until data_windows */
  d->info.separator = -1;
  if (store_h5_has_attribute (d->file, "separator"))
    TRY (store_h5_get_int (&root, "separator", &d->info.separator));
  if (d->info.separator >= vocab)
    return fail (E_DATA,
                 "%s: attribute \"separator\" is %lld, vocab_size is "
                 "%lld",
                 d->path, (long long)d->info.separator, (long long)vocab);
  return store_h5_get_text (&root, "tokenizer",
                            &((struct tokens *)d->own)->tokenizer);
}

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
read_bytes (struct data_set *d, enum data_split which)
{
  char group[32];
  snprintf (group, sizeof group, "/%s", data_split_name (which));
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
open_split (struct data_set *d, enum data_split which,
            const struct store_h5_at *at, const int64_t *dims)
{
  struct tokens *t = d->own;
  size_t width = width_of (at->id, &t->negative[which]);
  if (width == 0)
    return fail (E_DATA,
                 "%s: %s: not integers: tokens are written as uint16 or, of a "
                 "vocabulary above 65536, as uint32",
                 d->path, at->path);
  if (d->sample_bytes > 0 && width != d->sample_bytes)
    return fail (E_DATA, "%s: %s: %zu bytes a token, other splits have %zu",
                 d->path, at->path, width, d->sample_bytes);
  d->sample_bytes = width;
  d->info.tokens[which] = dims[0];
  TRY (data_locate (d, at, which));
  return read_bytes (d, which);
}

/* The digest that the file gives, or one of its first block. */
static enum status
add_digest (const struct data_set *d, enum data_split which, uint64_t *h)
{
  const struct data_samples *split = &d->split[which];
  struct store_h5_at at = {split->set, d->path, "tokens", E_DATA};
  char *kept = NULL;
  *h = hash_bytes (&split->n, sizeof split->n, *h);
  if (store_h5_has_attribute (split->set, "digest")) {
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

/* A negative token becomes a large one, which no vocabulary has. */
static hid_t
memory (const struct data_set *d, enum data_split which)
{
  return d->sample_bytes == 2                               ? H5T_NATIVE_UINT16
         : ((const struct tokens *)d->own)->negative[which] ? H5T_NATIVE_INT32
                                                            : H5T_NATIVE_UINT32;
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
               ((const struct tokens *)d->own)->negative[which]
                   ? (long long)(int32_t)id
                   : id,
               d->info.classes);
}

struct range { /* of a split, from its beginning */
  const struct data_set *d;
  enum data_split which;
  int64_t at;
};

static enum status
take_range (void *context, const void *raw, size_t bytes)
{
  struct range *r = context;
  int64_t n = (int64_t)(bytes / r->d->sample_bytes), first = r->at;
  r->at += n;
  return check_range (r->d, r->which, raw, first, n);
}

/* Every token, against the vocabulary and the digest. */
static enum status
check_split (struct data_set *d, enum data_split which, struct text *out)
{
  struct range r = {d, which, 0};
  return data_whole_compare (d, which, &(struct data_sink){take_range, &r},
                             out);
}

static enum status
check_early (struct data_set *d, enum data_split which)
{
  struct tokens *t = d->own;
  struct data_samples *split = &d->split[which];
  t->checked[which] = d->sample_bytes == 2 &&
                      d->info.classes > UINT16_MAX; /* cannot be wrong */
  if (split->n * (int64_t)d->sample_bytes > d->memory_bytes)
    return OK;
  TRY (check_split (d, which, NULL));
  t->checked[which] = true;
  split->proven = store_h5_has_attribute (split->set, "digest");
  return OK;
}

static enum status
finish (struct data_set *d)
{
  struct text t;
  TRY (data_block_open (d, "token block"));
  text_init (&t);
  text_add (&t, "%s|%s|%d|%s", d->info.kind, d->info.name, d->info.classes,
            data_tokens_tokenizer (d));
  d->info.digest = hash_text (t.data, 1);
  text_clear (&t);
  for (int i = 0; i < DATA_SPLITS; i++)
    if (d->split[i].n > 0) {
      TRY (add_digest (d, (enum data_split)i, &d->info.digest));
      TRY (check_early (d, (enum data_split)i));
    }
  return OK;
}

static void
close_set (struct data_set *d)
{
  mem_free (&((struct tokens *)d->own)->tokenizer);
}

/* -- windows --------------------------------------------------------------- */

static void
windows (struct data_set *d, int64_t context, int64_t stride)
{
  CHECK (context > 0 && stride >= 0, "windows of %lld", (long long)context);
  d->values = d->info.length = context;
  d->info.stride = stride > 0 ? stride : context;
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

static int64_t
samples (const struct data_info *info, enum data_split split, int64_t context,
         int64_t stride, bool shuffle)
{
  int64_t range;
  return count_windows (info->tokens[split], context, stride, shuffle, &range);
}

static enum status
too_few (const struct data_set *d, enum data_split split)
{
  return fail (E_DATA,
               "%s: /%s/tokens has %lld tokens, a window of model.context = "
               "%lld needs %lld",
               d->path, data_split_name (split), (long long)d->split[split].n,
               (long long)d->info.length, (long long)d->info.length + 1);
}

static int64_t
window_start (const struct data_set *d, enum data_split split,
              const struct data_order *o, int64_t epoch, int64_t sample)
{
  int64_t range;
  if (!data_order_shuffles (o))
    return sample * d->info.stride;
  count_windows (d->split[split].n, d->values, d->info.stride, true, &range);
  return sample * d->values + data_order_offset (o, epoch, range);
}

/* Tokens first .. first+n-1 as int32, checked; room: n x sample_bytes. */
static enum status
read_tokens (const struct data_set *d, enum data_split which, int64_t first,
             int64_t n, unsigned char *room, int32_t *out)
{
  TRY (data_raw (d, which, first, n, room));
  if (!((const struct tokens *)d->own)->checked[which])
    TRY (check_range (d, which, room, first, n));
  for (int64_t i = 0; i < n; i++)
    out[i] = (int32_t)token_at (d, room, i);
  return OK;
}

static enum status
maker_open (struct data_maker *m)
{
  const struct data_set *d = m->spec->data;
  return mem_new ((size_t)d->values, d->sample_bytes, "a sample",
                  (void **)&m->raw);
}

static enum status
make (struct data_maker *m, int64_t epoch, int64_t sample, void *out)
{
  const struct data_set *d = m->spec->data;
  int64_t at = window_start (d, m->spec->split, m->order, epoch, sample);
  return read_tokens (d, m->spec->split, at, d->values, m->raw, out);
}

static enum status
label (const struct data_set *d, enum data_split split,
       const struct data_order *o, int64_t epoch, int64_t sample,
       int32_t *labels)
{
  int64_t at = window_start (d, split, o, epoch, sample) + 1;
  for (int64_t i = 0; i < d->values;) {
    int64_t n = d->values - i;
    if (n > d->block_samples)
      n = d->block_samples;
    TRY (read_tokens (d, split, at + i, n, d->block, labels + i));
    i += n;
  }
  return OK;
}

/* Of n windows in a row, the tokens from `ahead` behind each one's first; what
 * is past the end is 0, or as a label -1. */
static enum status
read_row (struct data_set *d, enum data_split which, int64_t first, int64_t n,
          int64_t ahead, int32_t *out)
{
  int64_t T = d->values, all = d->split[which].n, room = d->block_samples;
  TRY (data_prove (d, which));
  CHECK (T > 0, "windows before data_windows");
  for (int64_t i = 0; i < n * T;) {
    int64_t at = first * T + i + ahead;
    int64_t some = all - at < n * T - i ? all - at : n * T - i;
    if (some <= 0) {
      out[i++] = ahead ? -1 : 0;
      continue;
    }
    if (some > room)
      some = room;
    TRY (read_tokens (d, which, at, some, d->block, out + i));
    i += some;
  }
  return OK;
}

static enum status
read_windows (struct data_set *d, enum data_split which, int64_t first,
              int64_t n, void *out)
{
  return read_row (d, which, first, n, 0, out);
}

static enum status
labels (struct data_set *d, enum data_split which, int64_t first, int64_t n,
        int32_t *out)
{
  return read_row (d, which, first, n, 1, out);
}

/* -- info ------------------------------------------------------------------ */

static void
print (const struct data_set *d, struct text *out)
{
  text_add (out, "  tokens of %zu bytes, vocabulary %d, tokenizer %s",
            d->sample_bytes, d->info.classes, data_tokens_tokenizer (d));
  if (d->info.separator >= 0)
    text_add (out, ", documents separated by %lld",
              (long long)d->info.separator);
  text_add (out, "\n");
}

static enum status
print_split (const struct data_set *d, enum data_split which, struct text *out)
{
  int64_t n = d->split[which].n, bytes = d->info.bytes[which];
  text_add (out, "  /%-6s %14s tokens", data_split_name (which),
            text_count (n));
  if (bytes > 0)
    text_add (out, " of %s bytes of text, %.3f bytes a token",
              text_count (bytes), (double)bytes / (double)n);
  text_add (out, "\n");
  return OK;
}

static enum status
check_model (struct data_set *d, struct text *out)
{
  struct data_tokenizer *t = NULL;
  if (!store_h5_has (d->file, TOKENS_MODEL))
    return OK;
  TRY (data_tokenizer_open (d, &t));
  data_tokenizer_close (&t);
  text_add (out, "  %-14s read\n", TOKENS_MODEL);
  return OK;
}

static const struct data_attribute attributes[] = {
    {"tokenizer", 's'}, {"vocab_size", 'i'}, {"separator", 'i'}, {NULL, 0}};

const struct data_kind data_tokens = {
    .word = "tokens",
    .set = "tokens",
    .n_dims = 1,
    .shape = "[T]",
    .what = "tokens",
    .chained = true,
    .type = TENSOR_I32,
    .beside = TOKENS_MODEL,
    .own_bytes = sizeof (struct tokens),
    .storage = &data_array,
    .attributes = attributes,
    .begin = read_vocabulary,
    .split = open_split,
    .finish = finish,
    .close = close_set,
    .memory = memory,
    .maker_open = maker_open,
    .make = make,
    .read = read_windows,
    .label = label,
    .labels = labels,
    .windows = windows,
    .samples = samples,
    .too_few = too_few,
    .print = print,
    .print_split = print_split,
    .check_split = check_split,
    .check_rest = check_model,
};
