/* import/stream.c -- an input file from front to back in constant memory, plain
 * or compressed by its first bytes.
 *
 * libarchive knows xz, bzip2 and zstd.  It reads gzip as well, but past its
 * checksums, so that damage would become data: zlib is asked for that.
 */
#include "import/import_impl.h"

#include "base/memory.h"
#include "import/packed_impl.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { IN_BYTES = 1 << 18, HEAD = 16 };

struct import_stream {
  char *path;
  int where; /* who asks, as in content.c; 0: anybody */
  struct import_file from;
  bool eof;            /* of the file */
  bool gzip;           /* z is open */
  bool ended;          /* its stream has come to its end */
  enum status trouble; /* of reading the file, on libarchive's way */
  size_t at, have;     /* in in[] */
  int64_t taken;       /* bytes that libarchive was given */
  int64_t given;       /* bytes of output */
  unsigned char *in;
  unsigned char head[HEAD]; /* of the file */
  size_t n_head;
  z_stream z;
  struct archive *a;
};

/* -- the file -------------------------------------------------------------- */

static enum status
fill (struct import_stream *t)
{
  if (t->at < t->have || t->eof)
    return OK;
  ssize_t n = import_file_take (&t->from, t->in, IN_BYTES);
  if (n < 0)
    return fail (E_MISSING, "%s: %s", t->path, strerror (errno));
  t->at = 0;
  t->have = (size_t)n;
  t->eof = n == 0;
  return OK;
}

static ssize_t
take (struct archive *a, void *context, const void **data)
{
  struct import_stream *t = context;
  (void)a;
  t->trouble = fill (t);
  size_t n = t->have - t->at;
  *data = t->in + t->at;
  t->at = t->have;
  t->taken += (int64_t)n;
  return t->trouble == OK ? (ssize_t)n : -1;
}

static bool
is_packed (const struct import_stream *t, const char **name)
{
  const char *cure;
  return import_content_known (t->head, t->n_head, IMPORT_CONTENT_PACKED, name,
                               &cure);
}

static enum status
damaged (const struct import_stream *t)
{
  const char *name = "data";
  (void)is_packed (t, &name);
  return t->trouble != OK
             ? t->trouble
             : fail (E_DATA,
                     "%s: %s damaged or cut off, after %lld bytes of output",
                     t->path, name, (long long)t->given);
}

/* -- opening --------------------------------------------------------------- */

static enum status
start (struct import_stream *t)
{
  static const unsigned char gzip[3] = {0x1f, 0x8b, 8};
  struct archive_entry *whole;
  const char *name, *cure;
  TRY (fill (t));
  t->n_head = t->have < HEAD ? t->have : HEAD;
  memcpy (t->head, t->in, t->n_head);
  if (import_content_known (t->head, t->n_head, t->where, &name, &cure))
    return fail (E_DATA, "%s: is %s: %s", t->path, name, cure);
  if (t->n_head >= 3 && memcmp (t->head, gzip, 3) == 0) {
    t->gzip = inflateInit2 (&t->z, 16 + MAX_WBITS) == Z_OK;
    return t->gzip ? OK : fail (E_MEMORY, "%s: no decoder", t->path);
  }
  t->a = archive_read_new ();
  if (!t->a)
    return fail (E_MEMORY, "%s: no decoder", t->path);
  archive_read_support_filter_xz (t->a);
  archive_read_support_filter_bzip2 (t->a);
  archive_read_support_filter_zstd (t->a);
  archive_read_support_format_raw (t->a);
  archive_read_support_format_empty (t->a);
  if (archive_read_open (t->a, t, NULL, take, NULL) != ARCHIVE_OK)
    return damaged (t);
  int r = archive_read_next_header (t->a, &whole);
  t->ended = r == ARCHIVE_EOF; /* an empty file */
  /* Few bytes of what is compressed are plain ones to libarchive. */
  bool plain = archive_filter_code (t->a, 0) == ARCHIVE_FILTER_NONE;
  bool good = (r == ARCHIVE_OK || t->ended) && !(plain && is_packed (t, &name));
  return good ? OK : damaged (t);
}

enum status
import_stream_open (const char *path, int where, struct import_stream **out)
{
  struct import_stream *t = NULL;
  TRY (MEM_NEW (1, &t, "input"));
  t->where = where;
  t->from.fd = -1;
  enum status s = mem_text (path, &t->path);
  if (s == OK)
    s = mem_new (IN_BYTES, 1, "input", (void **)&t->in);
  if (s == OK)
    s = import_file_open (path, &t->from);
  if (s == OK)
    s = start (t);
  if (s != OK)
    import_stream_close (&t);
  else
    *out = t;
  return s;
}

void
import_stream_close (struct import_stream **out)
{
  struct import_stream *t = *out;
  if (!t)
    return;
  if (t->gzip)
    inflateEnd (&t->z);
  if (t->a)
    archive_read_free (t->a);
  import_file_close (&t->from);
  mem_free (&t->in);
  mem_free (&t->path);
  mem_free (out);
}

/* -- reading --------------------------------------------------------------- */

/* Members that follow one another are one file, as gzip has it. */
static enum status
read_gz (struct import_stream *t, unsigned char *out, size_t room, size_t *got)
{
  size_t have = 0;
  while (have < room) {
    TRY (fill (t));
    if (t->eof && t->ended)
      break;
    if (t->eof)
      return damaged (t);
    if (t->ended && inflateReset (&t->z) != Z_OK)
      return damaged (t);
    t->ended = false;
    t->z.next_in = t->in + t->at;
    t->z.avail_in = (uInt)(t->have - t->at);
    t->z.next_out = out + have;
    t->z.avail_out = (uInt)(room - have);
    int r = inflate (&t->z, Z_NO_FLUSH);
    t->at = t->have - t->z.avail_in;
    t->given += (int64_t)(room - have - t->z.avail_out);
    have = room - t->z.avail_out;
    t->ended = r == Z_STREAM_END;
    if (r != Z_OK && !t->ended && r != Z_BUF_ERROR)
      return damaged (t);
  }
  *got = have;
  return OK;
}

/* Behind the end of a compressed stream there is to be nothing. */
static enum status
read_other (struct import_stream *t, unsigned char *out, size_t room,
            size_t *got)
{
  la_ssize_t n = t->ended ? 0 : archive_read_data (t->a, out, room);
  if (n < 0)
    return damaged (t);
  *got = (size_t)n;
  t->given += n;
  if (n > 0 || t->ended)
    return OK;
  t->ended = true;
  bool all = archive_filter_bytes (t->a, -1) == t->taken;
  TRY (fill (t));
  return all && t->eof ? OK : damaged (t);
}

enum status
import_stream_read (struct import_stream *t, unsigned char *out, size_t room,
                    size_t *got)
{
  CHECK (room > 0 && room <= (size_t)1 << 30, "%zu bytes at once", room);
  return t->gzip ? read_gz (t, out, room, got) : read_other (t, out, room, got);
}

enum status
import_stream_fill (struct import_stream *t, unsigned char *out, size_t room,
                    size_t *got)
{
  size_t some = 1;
  for (*got = 0; *got < room && some > 0; *got += some)
    TRY (import_stream_read (t, out + *got, room - *got, &some));
  return OK;
}
