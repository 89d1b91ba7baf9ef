/* import/stream.c -- an input file from front to back in constant memory,
 * plain, gzip or xz by its first bytes.
 */
#include "import/corpus_impl.h"

#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { IN_BYTES = 1 << 18 };

struct import_stream {
  char *path;
  int fd;
  enum { PLAIN, GZIP, XZ } kind;
  bool eof;        /* of the file */
  bool ended;      /* the compressed stream has come to its end */
  bool opened;     /* the decoder */
  size_t at, have; /* in in[] */
  unsigned char *in;
  z_stream z;
  lzma_stream x;
};

static enum status
fill (struct import_stream *t)
{
  if (t->at < t->have || t->eof)
    return OK;
  ssize_t n;
  do
    n = read (t->fd, t->in, IN_BYTES);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return fail (E_MISSING, "%s: %s", t->path, strerror (errno));
  t->at = 0;
  t->have = (size_t)n;
  t->eof = n == 0;
  return OK;
}

static enum status
start (struct import_stream *t)
{
  static const unsigned char xz[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
  TRY (fill (t));
  t->kind = PLAIN;
  if (t->have >= 6 && memcmp (t->in, xz, 6) == 0)
    t->kind = XZ;
  else if (t->have >= 3 && t->in[0] == 0x1f && t->in[1] == 0x8b &&
           t->in[2] == 8)
    t->kind = GZIP;
  bool good = true;
  if (t->kind == XZ)
    good =
        lzma_stream_decoder (&t->x, UINT64_MAX, LZMA_CONCATENATED) == LZMA_OK;
  if (t->kind == GZIP)
    good = inflateInit2 (&t->z, 16 + MAX_WBITS) == Z_OK;
  t->opened = good && t->kind != PLAIN;
  return good ? OK : fail (E_MEMORY, "%s: no decoder", t->path);
}

enum status
import_stream_open (const char *path, struct import_stream **out)
{
  struct import_stream *t = NULL;
  TRY (MEM_NEW (1, &t, "input"));
  t->fd = -1;
  t->x = (lzma_stream)LZMA_STREAM_INIT;
  enum status s = mem_text (path, &t->path);
  if (s == OK)
    s = mem_new (IN_BYTES, 1, "input", (void **)&t->in);
  if (s == OK) {
    t->fd = open (path, O_RDONLY | O_CLOEXEC);
    if (t->fd < 0)
      s = fail (E_MISSING, "%s: %s", path, strerror (errno));
  }
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
  if (t->opened && t->kind == XZ)
    lzma_end (&t->x);
  if (t->opened && t->kind == GZIP)
    inflateEnd (&t->z);
  if (t->fd >= 0)
    close (t->fd);
  mem_free (&t->in);
  mem_free (&t->path);
  mem_free (out);
}

bool
import_stream_is_plain (const struct import_stream *t)
{
  return t->kind == PLAIN;
}

static enum status
damaged (const struct import_stream *t, const char *kind)
{
  return fail (E_DATA, "%s: %s data damaged or cut off", t->path, kind);
}

static enum status
read_xz (struct import_stream *t, unsigned char *out, size_t room, size_t *got)
{
  t->x.next_out = out;
  t->x.avail_out = room;
  while (t->x.avail_out > 0 && !t->ended) {
    TRY (fill (t));
    t->x.next_in = t->in + t->at;
    t->x.avail_in = t->have - t->at;
    lzma_ret r = lzma_code (&t->x, t->eof ? LZMA_FINISH : LZMA_RUN);
    t->at = t->have - t->x.avail_in;
    t->ended = r == LZMA_STREAM_END;
    if (r != LZMA_OK && !t->ended)
      return damaged (t, "xz");
  }
  *got = room - t->x.avail_out;
  return OK;
}

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
      return damaged (t, "gzip");
    if (t->ended && inflateReset (&t->z) != Z_OK)
      return damaged (t, "gzip");
    t->ended = false;
    t->z.next_in = t->in + t->at;
    t->z.avail_in = (uInt)(t->have - t->at);
    t->z.next_out = out + have;
    t->z.avail_out = (uInt)(room - have);
    int r = inflate (&t->z, Z_NO_FLUSH);
    t->at = t->have - t->z.avail_in;
    have = room - t->z.avail_out;
    t->ended = r == Z_STREAM_END;
    if (r != Z_OK && !t->ended && r != Z_BUF_ERROR)
      return damaged (t, "gzip");
  }
  *got = have;
  return OK;
}

enum status
import_stream_read (struct import_stream *t, unsigned char *out, size_t room,
                    size_t *got)
{
  CHECK (room > 0 && room <= (size_t)1 << 30, "%zu bytes at once", room);
  if (t->kind == XZ)
    return read_xz (t, out, room, got);
  if (t->kind == GZIP)
    return read_gz (t, out, room, got);
  TRY (fill (t));
  size_t n = t->have - t->at;
  if (n > room)
    n = room;
  memcpy (out, t->in + t->at, n);
  t->at += n;
  *got = n;
  return OK;
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
