/* weights/write.c -- a file of tensors, under its name whole or not at all.
 *
 * Either format is a beginning that says where each tensor's bytes belong; then
 * the tensors follow one by one.
 */
#include "weights/weights_impl.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "store/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct writing {
  const struct weights_file *from;
  const struct weights_entry *entry;
  int n;
  const char *part;
  int64_t *offset; /* n; owned */
  float *buffer;   /* of the largest tensor, twice; owned */
  size_t largest;
  int fd;
};

static int64_t
count_of (const struct weights_entry *e)
{
  int64_t n = 1;
  for (int i = 0; i < e->n_dims; i++)
    n *= e->dims[i];
  return n;
}

static int64_t
bytes_of (const struct weights_entry *e)
{
  return count_of (e) * (e->from < 0 ? 8 : 4);
}

/* Not through a link that somebody has laid there. */
static enum status
open_part (struct writing *w, int flags)
{
  w->fd = open (w->part, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0666);
  return w->fd >= 0
             ? OK
             : fail (E_IO, "%s: not opened: %s", w->part, strerror (errno));
}

static enum status
put_bytes (const struct writing *w, const void *data, int64_t bytes, int64_t at)
{
  const char *p = data;
  while (bytes > 0) {
    ssize_t n = pwrite (w->fd, p, (size_t)bytes, (off_t)at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return fail (E_IO, "%s: not written: %s", w->part, strerror (errno));
    p += n;
    at += n;
    bytes -= n;
  }
  return OK;
}

/* -- beginnings ------------------------------------------------------------ */

/* Names come out of a table or are those of heads: nothing in them has to be
 * spelt out in JSON. */
static void
add_entry (const struct weights_entry *e, int64_t at, struct text *out)
{
  text_add (out, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", e->name,
            e->from < 0 ? "I64" : "F32");
  for (int i = 0; i < e->n_dims; i++)
    text_add (out, "%s%lld", i ? "," : "", (long long)e->dims[i]);
  text_add (out, "],\"data_offsets\":[%lld,%lld]}", (long long)at,
            (long long)(at + bytes_of (e)));
}

/* Transformers loads no file that does not say "pt". */
static enum status
begin_safetensors (struct writing *w)
{
  struct text header;
  int64_t at = 0;
  unsigned char word[8];
  text_init (&header);
  text_add (&header, "{\"__metadata__\":{\"format\":\"pt\"}");
  for (int i = 0; i < w->n; i++) {
    w->offset[i] = at;
    add_entry (&w->entry[i], at, &header);
    at += bytes_of (&w->entry[i]);
  }
  text_add (&header, "}");
  while (header.size % 8 != 0)
    text_add (&header, " ");
  for (int i = 0; i < 8; i++)
    word[i] = (unsigned char)((uint64_t)header.size >> 8 * i);
  for (int i = 0; i < w->n; i++)
    w->offset[i] += 8 + (int64_t)header.size;
  enum status s = store_file_reserve (w->part, at + 8 + (int64_t)header.size);
  if (s == OK)
    s = open_part (w, O_CREAT | O_TRUNC);
  if (s == OK)
    s = put_bytes (w, word, 8, 0);
  if (s == OK)
    s = put_bytes (w, header.data, (int64_t)header.size, 8);
  text_clear (&header);
  return s;
}

static void
path_of_name (const char *name, char path[TENSOR_NAME + 64])
{
  const size_t heads = strlen ("heads.");
  if (!weights_name_is_head (name)) {
    snprintf (path, TENSOR_NAME + 64, "/model/%s", name);
    return;
  }
  const int digits = (int)strcspn (name + heads, ".");
  snprintf (path, TENSOR_NAME + 64, "/heads/%.*s/%s", digits, name + heads,
            name + heads + digits + 1);
}

static enum status
begin_h5 (struct writing *w)
{
  struct store_tensor *t = NULL;
  TRY (MEM_NEW ((size_t)w->n + 1, &t, "list of tensors"));
  for (int i = 0; i < w->n; i++) {
    path_of_name (w->entry[i].name, t[i].path);
    t[i].n_dims = w->entry[i].n_dims;
    memcpy (t[i].dims, w->entry[i].dims, sizeof t[i].dims);
    t[i].type = TENSOR_F32;
  }
  enum status s = store_parameters_create (w->part, t, w->n, w->offset);
  mem_free (&t);
  return s == OK ? open_part (w, 0) : s;
}

/* -- data ------------------------------------------------------------------ */

/* The entry's shape is that of what is written. */
static const float *
turn (const struct writing *w, const struct weights_entry *e)
{
  float *out = w->buffer + w->largest;
  const int64_t rows = e->dims[0], columns = e->dims[1];
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      out[i * columns + j] = w->buffer[j * rows + i];
  return out;
}

static enum status
put_entry (const struct writing *w, int i)
{
  const struct weights_entry *e = &w->entry[i];
  if (e->from < 0)
    return put_bytes (w, &e->value, 8, w->offset[i]);
  TRY (weights_read (w->from, &w->from->tensor[e->from], w->buffer));
  return put_bytes (w, e->turned ? turn (w, e) : w->buffer, bytes_of (e),
                    w->offset[i]);
}

static enum status
fill (struct writing *w, enum weights_form form)
{
  for (int i = 0; i < w->n; i++) {
    size_t n = (size_t)count_of (&w->entry[i]);
    w->largest = n > w->largest ? n : w->largest;
  }
  TRY (MEM_NEW (2 * w->largest + 1, &w->buffer, "buffer for parameters"));
  TRY (MEM_NEW ((size_t)w->n + 1, &w->offset, "places of tensors"));
  TRY (form == WEIGHTS_HDF5 ? begin_h5 (w) : begin_safetensors (w));
  for (int i = 0; i < w->n; i++) {
    if (i == w->n / 2 && fault_here ("write"))
      return fail (E_IO, "%s: writing failed (planted)", w->part);
    if (i == w->n / 2)
      fault_hang ("hang-write");
    TRY (put_entry (w, i));
  }
  return OK;
}

enum status
weights_write (const struct weights_file *f, const struct weights_entry *e,
               int n, enum weights_form form, const char *output)
{
  struct store_output o;
  TRY (store_output_open (output, &o));
  struct writing w = {.from = f, .entry = e, .n = n, .part = o.part, .fd = -1};
  store_interrupt_guard (o.part, NULL);
  enum status s = store_output_parents (&o);
  if (s == OK)
    s = fill (&w, form);
  if (w.fd >= 0 && close (w.fd) != 0 && s == OK)
    s = fail (E_IO, "%s: not written: %s", o.part, strerror (errno));
  if (s == OK)
    s = store_output_publish (&o);
  if (s != OK)
    unlink (o.part);
  store_interrupt_guard (NULL, NULL);
  if (s == OK && o.mode != 0 && !o.stream)
    say (LOG_INFO, "%s: what was there is replaced", output);
  store_output_clear (&o);
  mem_free (&w.buffer);
  mem_free (&w.offset);
  return s;
}
