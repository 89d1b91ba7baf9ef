/* weights/safetensors.c -- the header of a safetensors file, read with
 * suspicion.
 *
 * The file is the length of the header, 8 bytes, little-endian; the header, a
 * JSON object {NAME: {"dtype", "shape", "data_offsets": [begin, end]}, ...,
 * "__metadata__": {...}}; and the data, which the tensors fill without holes.
 * https://github.com/huggingface/safetensors, Format.
 */
#include "weights/weights_impl.h"

#include "base/memory.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* No header of a model comes near; the format's own limit. */
#define MOST_HEADER 100000000

/* Words of types and their bytes. */
static const struct {
  const char *word;
  int bytes;
  enum weights_type type;
} types[] = {
    {"F32", 4, WEIGHTS_F32},       {"F16", 2, WEIGHTS_F16},
    {"BF16", 2, WEIGHTS_BF16},     {"F64", 8, WEIGHTS_F64},
    {"I64", 8, WEIGHTS_OTHER},     {"I32", 4, WEIGHTS_OTHER},
    {"I16", 2, WEIGHTS_OTHER},     {"I8", 1, WEIGHTS_OTHER},
    {"U64", 8, WEIGHTS_OTHER},     {"U32", 4, WEIGHTS_OTHER},
    {"U16", 2, WEIGHTS_OTHER},     {"U8", 1, WEIGHTS_OTHER},
    {"BOOL", 1, WEIGHTS_OTHER},    {"F8_E4M3", 1, WEIGHTS_OTHER},
    {"F8_E5M2", 1, WEIGHTS_OTHER},
};
#define N_TYPES ((int)(sizeof types / sizeof *types))

int64_t
weights_count (const struct weights_tensor *t)
{
  int64_t n = 1;
  for (int i = 0; i < t->n_dims; i++)
    n *= t->dims[i];
  return n;
}

/* -- one tensor ------------------------------------------------------------ */

static enum status
read_shape (const struct weights_file *f, const json_t *shape, int bytes,
            struct weights_tensor *t, int64_t *whole)
{
  size_t n = json_array_size (shape);
  int64_t size = bytes;
  bool empty = false;
  if (!json_is_array (shape))
    return fail (E_CHECKPOINT, "%s: %s: no shape", f->path, t->name);
  if (n > TENSOR_DIMS)
    return fail (E_CHECKPOINT, "%s: %s: %zu dims; at most %d are known",
                 f->path, t->name, n, TENSOR_DIMS);
  t->n_dims = (int)n;
  for (size_t i = 0; i < n; i++) {
    const json_t *dim = json_array_get (shape, i);
    int64_t d = json_is_integer (dim) ? json_integer_value (dim) : -1;
    if (d < 0 || (d > 0 && size > INT64_MAX / d))
      return fail (E_CHECKPOINT, "%s: %s: a shape of no size", f->path,
                   t->name);
    t->dims[i] = d;
    empty = empty || d == 0;
    size *= d > 0 ? d : 1;
  }
  *whole = empty ? 0 : size;
  return OK;
}

/* Bytes are counted from the end of the header, `base`. */
static enum status
read_place (const struct weights_file *f, const json_t *places, int64_t base,
            int64_t whole, int64_t size, struct weights_tensor *t)
{
  const json_t *from = json_array_get (places, 0);
  const json_t *to = json_array_get (places, 1);
  if (json_array_size (places) != 2 || !json_is_integer (from) ||
      !json_is_integer (to))
    return fail (E_CHECKPOINT, "%s: %s: no data_offsets", f->path, t->name);
  int64_t begin = json_integer_value (from), end = json_integer_value (to);
  if (begin < 0 || end < begin || end > whole)
    return fail (
        E_CHECKPOINT, "%s: %s: cut off or damaged: bytes %lld to %lld of %lld",
        f->path, t->name, (long long)begin, (long long)end, (long long)whole);
  if (end - begin != size)
    return fail (E_CHECKPOINT,
                 "%s: %s: damaged: %lld bytes, its shape and type %s ask for "
                 "%lld",
                 f->path, t->name, (long long)(end - begin), t->word,
                 (long long)size);
  t->begin = base + begin;
  t->end = base + end;
  return OK;
}

static enum status
read_tensor (const struct weights_file *f, const char *name,
             const json_t *value, int64_t base, int64_t whole,
             struct weights_tensor *t)
{
  int k = 0;
  int64_t size = 0;
  if (strlen (name) >= sizeof t->name || !name[0])
    return fail (E_CHECKPOINT, "%s: %.64s...: a name too long", f->path, name);
  snprintf (t->name, sizeof t->name, "%s", name);
  const char *word = json_string_value (json_object_get (value, "dtype"));
  while (word && k < N_TYPES && strcmp (types[k].word, word) != 0)
    k++;
  if (!word || k == N_TYPES)
    return fail (E_CHECKPOINT, "%s: %s: dtype %.32s is not known", f->path,
                 name, word ? word : "(none)");
  snprintf (t->word, sizeof t->word, "%s", word);
  t->type = types[k].type;
  TRY (read_shape (f, json_object_get (value, "shape"), types[k].bytes, t,
                   &size));
  return read_place (f, json_object_get (value, "data_offsets"), base, whole,
                     size, t);
}

/* -- all of them ----------------------------------------------------------- */

static int
by_place (const void *a, const void *b)
{
  const struct weights_tensor *x = a, *y = b;
  return x->begin != y->begin ? (x->begin > y->begin) - (x->begin < y->begin)
                              : (x->end > y->end) - (x->end < y->end);
}

/* One behind the other, to the end of the file. */
static enum status
check_places (const struct weights_file *f, int64_t base, int64_t whole)
{
  int64_t at = base;
  for (int i = 0; i < f->n; at = f->tensor[i++].end) {
    const struct weights_tensor *t = &f->tensor[i];
    if (t->begin < at)
      return fail (E_CHECKPOINT,
                   "%s: %s: damaged: its bytes are those of %s, "
                   "too",
                   f->path, t->name, f->tensor[i - 1].name);
    if (t->begin > at)
      return fail (E_CHECKPOINT,
                   "%s: %s: damaged: %lld bytes in front of it are of no "
                   "tensor",
                   f->path, t->name, (long long)(t->begin - at));
  }
  if (at != base + whole)
    return fail (E_CHECKPOINT,
                 "%s: damaged: %lld bytes at the end are of no tensor", f->path,
                 (long long)(base + whole - at));
  return OK;
}

static enum status
read_all (struct weights_file *f, json_t *header, int64_t base, int64_t whole)
{
  const char *name;
  json_t *value;
  if (!json_is_object (header))
    return fail (E_CHECKPOINT, "%s: the header is no JSON object", f->path);
  TRY (MEM_NEW (json_object_size (header) + 1, &f->tensor, "list of tensors"));
  json_object_foreach (header, name, value)
  {
    if (strcmp (name, "__metadata__") == 0)
      continue;
    TRY (read_tensor (f, name, value, base, whole, &f->tensor[f->n]));
    f->n++;
  }
  qsort (f->tensor, (size_t)f->n, sizeof *f->tensor, by_place);
  return check_places (f, base, whole);
}

static enum status
parse (struct weights_file *f, const char *text, int64_t length, int64_t whole)
{
  json_error_t error;
  json_t *header =
      json_loadb (text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
  if (!header)
    return fail (E_CHECKPOINT, "%s: the header is damaged: %s", f->path,
                 error.text);
  enum status s = read_all (f, header, 8 + length, whole - 8 - length);
  json_decref (header);
  return s;
}

enum status
weights_header_read (struct weights_file *f)
{
  unsigned char word[8];
  struct stat st;
  char *text = NULL;
  uint64_t length = 0;
  if (fstat (f->fd, &st) != 0 || !S_ISREG (st.st_mode))
    return fail (E_CHECKPOINT, "%s: no file", f->path);
  if (pread (f->fd, word, 8, 0) != 8)
    return fail (E_CHECKPOINT, "%s: cut off: shorter than 8 bytes", f->path);
  for (int i = 7; i >= 0; i--)
    length = length << 8 | word[i];
  if (length < 2 || length > MOST_HEADER ||
      (int64_t)length > (int64_t)st.st_size - 8)
    return fail (E_CHECKPOINT,
                 "%s: neither HDF5 nor safetensors, or cut off: a header of "
                 "%llu bytes in a file of %lld",
                 f->path, (unsigned long long)length, (long long)st.st_size);
  TRY (MEM_NEW (length + 1, &text, "header"));
  enum status s = OK;
  ssize_t got = pread (f->fd, text, length, 8);
  if (got != (ssize_t)length)
    s = fail (E_IO, "%s: cannot be read: %s", f->path, strerror (errno));
  else if (text[0] != '{')
    s = fail (E_CHECKPOINT, "%s: neither HDF5 nor safetensors", f->path);
  else
    s = parse (f, text, (int64_t)length, (int64_t)st.st_size);
  mem_free (&text);
  return s;
}

/* -- numbers --------------------------------------------------------------- */

static float
from_bits (uint32_t bits)
{
  float x;
  memcpy (&x, &bits, sizeof x);
  return x;
}

/* IEEE half precision: 5 bits of exponent, 10 behind the point. */
static float
from_half (uint16_t h)
{
  const uint32_t sign = (uint32_t)(h & 0x8000) << 16, low = h & 0x3ff;
  const uint32_t exponent = h >> 10 & 0x1f;
  if (exponent == 0x1f)
    return from_bits (sign | 0x7f800000 | low << 13);
  if (exponent == 0) {
    const float x = (float)low * 0x1p-24f;
    return sign ? -x : x;
  }
  return from_bits (sign | (exponent + 112) << 23 | low << 13);
}

void
weights_widen (enum weights_type type, const void *from, size_t n, float *out)
{
  const uint16_t *narrow = from;
  const double *wide = from;
  for (size_t i = 0; i < n; i++)
    if (type == WEIGHTS_F16)
      out[i] = from_half (narrow[i]);
    else if (type == WEIGHTS_BF16)
      out[i] = from_bits ((uint32_t)narrow[i] << 16);
    else
      out[i] = (float)wide[i];
}
