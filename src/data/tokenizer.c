/* data/tokenizer.c -- the tokenizer that a data set holds: text to tokens and
 * back.
 */
#include "data/data_impl.h"
#include "data/pieces.h"
#include "data/tokens_impl.h"

#include "base/hash.h"
#include "base/memory.h"
#include <ctype.h>
#include <string.h>

struct data_tokenizer {
  enum { BYTES, PIECES, IDS } kind;
  char *path; /* of the data set */
  int64_t vocab, separator;
  unsigned char *model;
  struct data_pieces *pieces;
  bool line_start;
  char text[256]; /* of the last token */
};

static enum status
read_model (const struct data_set *d, struct data_tokenizer *t)
{
  int n_dims = 0;
  int64_t dims[STORE_H5_DIMS];
  if (!store_h5_has (d->file, TOKENS_MODEL))
    return fail (E_DATA, "%s: %s is missing: the tokenizer's model", d->path,
                 TOKENS_MODEL);
  struct store_h5_at at = {-1, d->path, TOKENS_MODEL, E_DATA};
  TRY (store_h5_set_open (d->file, false, &at));
  hid_t id = at.id;
  enum status s = store_h5_shape (&at, &n_dims, dims);
  if (s == OK)
    s = store_h5_written (&at);
  if (s == OK && n_dims != 1)
    s = fail (E_DATA, "%s: %s: not a row of bytes", d->path, TOKENS_MODEL);
  if (s == OK)
    s = mem_new ((size_t)dims[0], 1, "a tokenizer's model", (void **)&t->model);
  if (s == OK && H5Dread (id, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                          t->model) < 0)
    s = fail (E_DATA, "%s: %s: not read", d->path, TOKENS_MODEL);
  char digest[33];
  if (s == OK) {
    hash_digest (t->model, (size_t)dims[0], digest);
    s = data_compare (&at, digest, NULL);
  }
  H5Dclose (id);
  if (s == OK)
    s = data_pieces_open (d->path, t->model, (size_t)dims[0], &t->pieces);
  if (s == OK && data_pieces_count (t->pieces) != t->vocab)
    s = fail (E_DATA, "%s: %s has %lld pieces, vocab_size is %lld", d->path,
              TOKENS_MODEL, (long long)data_pieces_count (t->pieces),
              (long long)t->vocab);
  return s;
}

enum status
data_tokenizer_open (const struct data_set *d, struct data_tokenizer **out)
{
  struct data_tokenizer *t = NULL;
  const char *name = data_tokens_tokenizer (d);
  if (!name)
    return fail (E_DATA, "%s: a data set of images: no text comes of it",
                 d->path);
  TRY (MEM_NEW (1, &t, "tokenizer"));
  t->vocab = d->info.classes;
  t->separator = d->info.separator;
  t->line_start = true;
  t->kind = strcmp (name, "bytes") == 0           ? BYTES
            : strcmp (name, "sentencepiece") == 0 ? PIECES
                                                  : IDS;
  enum status s = mem_text (d->path, &t->path);
  if (s == OK && t->kind == BYTES && t->vocab != 256)
    s = fail (E_DATA, "%s: tokenizer bytes, but vocab_size is %lld", d->path,
              (long long)t->vocab);
  if (s == OK && t->kind == PIECES)
    s = read_model (d, t);
  if (s != OK)
    data_tokenizer_close (&t);
  else
    *out = t;
  return s;
}

void
data_tokenizer_close (struct data_tokenizer **out)
{
  struct data_tokenizer *t = *out;
  if (!t)
    return;
  data_pieces_close (&t->pieces);
  mem_free (&t->model);
  mem_free (&t->path);
  mem_free (out);
}

/* -- text to tokens -------------------------------------------------------- */

/* Line by line, as the importer does. */
static enum status
encode_pieces (const struct data_tokenizer *t, const char *text, size_t n,
               int32_t *ids, size_t room, int64_t *n_ids)
{
  int64_t have = 0;
  for (size_t at = 0; at < n;) {
    const char *end = memchr (text + at, '\n', n - at);
    size_t length = end ? (size_t)(end - text) - at : n - at, some = 0;
    CHECK ((size_t)have + 3 * (length + 1) < room,
           "room for %zu ids is too little", room);
    TRY (data_pieces_encode (t->pieces, text + at, length, ids + have, &some));
    have += (int64_t)some;
    if (end)
      ids[have++] = data_pieces_byte (t->pieces, '\n');
    at += length + (end ? 1 : 0);
  }
  *n_ids = have;
  return OK;
}

static enum status
encode_numbers (const struct data_tokenizer *t, const char *text, size_t n,
                int32_t *ids, int64_t *n_ids)
{
  int64_t have = 0;
  for (size_t i = 0; i < n;) {
    int64_t id = 0;
    size_t digits = 0;
    while (i < n && (isspace ((unsigned char)text[i]) || text[i] == ','))
      i++;
    for (; i < n && isdigit ((unsigned char)text[i]) && digits < 12; digits++)
      id = id * 10 + (text[i++] - '0');
    if (digits == 0 && i == n)
      break;
    if (digits == 0 || id >= t->vocab)
      return fail (E_USAGE,
                   "%s holds ready ids: the prompt is a list of numbers from 0 "
                   "to %lld; number %lld is none",
                   t->path, (long long)t->vocab - 1, (long long)have + 1);
    ids[have++] = (int32_t)id;
  }
  *n_ids = have;
  return OK;
}

enum status
data_tokenizer_encode (struct data_tokenizer *t, const char *text, size_t n,
                       int32_t **ids, int64_t *n_ids)
{
  int32_t *all = NULL;
  int64_t have = 0;
  enum status s = OK;
  /* Three to a byte of a line, a mark of three before it, and its end: a line
   * of one byte and its end may become seven. */
  size_t room = 4 * (n + 1) + 1;
  TRY (MEM_NEW (room, &all, "a prompt's tokens"));
  if (t->kind == PIECES)
    s = encode_pieces (t, text, n, all, room, &have);
  else if (t->kind == IDS)
    s = encode_numbers (t, text, n, all, &have);
  else
    for (; have < (int64_t)n; have++)
      all[have] = (unsigned char)text[have];
  if (s != OK) {
    mem_free (&all);
    return s;
  }
  *ids = all;
  *n_ids = have;
  return OK;
}

/* -- tokens to text -------------------------------------------------------- */

const char *
data_tokenizer_decode (struct data_tokenizer *t, int32_t id, size_t *n)
{
  CHECK (id >= 0 && id < t->vocab, "token %d", id);
  const char *text = t->text;
  bool fresh = t->line_start;
  if (id == t->separator) { /* a new document: a new line */
    t->text[0] = '\n';
    *n = fresh ? 0 : 1;
  } else if (t->kind == IDS)
    *n = (size_t)snprintf (t->text, sizeof t->text, "%d ", id);
  else if (t->kind == BYTES) {
    t->text[0] = (char)id;
    *n = 1;
  } else {
    text = data_pieces_text (t->pieces, id, t->text, n);
    if (fresh && *n > 0 &&
        text[0] == ' ') { /* the mark that lines begin with */
      text++;
      --*n;
    }
    t->line_start = false;
  }
  if (id == t->separator || (*n > 0 && text[*n - 1] == '\n'))
    t->line_start = true;
  else if (*n > 0)
    t->line_start = false;
  return text;
}
