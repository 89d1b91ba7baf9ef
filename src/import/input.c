/* import/input.c -- whole input files, plain, gzip or xz by their content.
 *
 * Both libraries are fed from memory: the files of the known data sets are tens
 * of megabytes.
 */
#include "import/import_impl.h"

#include "base/memory.h"
#include "store/file.h"
#include <limits.h>
#include <lzma.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

void
import_input_clear (struct import_input *in)
{
  mem_free (&in->data);
  in->size = 0;
}

bool
import_input_find (const char *folder, const char *name, struct text *out)
{
  static const char *const endings[3] = {"", ".xz", ".gz"};
  for (int i = 0; i < 3; i++) {
    struct text t;
    text_init (&t);
    text_add (&t, "%s/%s%s", folder, name, endings[i]);
    bool found = access (t.data, F_OK) == 0;
    if (found)
      text_add (out, "%s", t.data);
    text_clear (&t);
    if (found)
      return true;
  }
  return false;
}

/* Output that doubles when it is full. */
static enum status
grow (struct import_input *out, size_t *room, const char *path)
{
  size_t more = *room ? *room * 2 : (size_t)1 << 20;
  TRY (mem_grow (&out->data, *room, more, 1, path));
  *room = more;
  return OK;
}

static enum status
damaged (const char *path, const char *kind, size_t size)
{
  return fail (E_DATA,
               "%s: %s data damaged or cut off, after %zu bytes of output",
               path, kind, size);
}

static enum status
read_xz (const char *path, const unsigned char *data, size_t size,
         struct import_input *out)
{
  lzma_stream z = LZMA_STREAM_INIT;
  if (lzma_stream_decoder (&z, UINT64_MAX, LZMA_CONCATENATED) != LZMA_OK)
    return fail (E_MEMORY, "%s: no xz decoder", path);
  z.next_in = data;
  z.avail_in = size;
  size_t room = 0;
  enum status s = OK;
  lzma_ret r = LZMA_OK;
  while (s == OK && r == LZMA_OK) {
    if (out->size == room)
      TRY_GOTO (grow (out, &room, path), done);
    z.next_out = out->data + out->size;
    z.avail_out = room - out->size;
    r = lzma_code (&z, LZMA_FINISH);
    out->size = room - z.avail_out;
  }
  if (r != LZMA_STREAM_END)
    s = damaged (path, "xz", out->size);
done:
  lzma_end (&z);
  return s;
}

/* Members that follow one another are one file, as gzip has it. */
static enum status
read_gz (const char *path, unsigned char *data, size_t size,
         struct import_input *out)
{
  z_stream z = {0};
  if (inflateInit2 (&z, 16 + MAX_WBITS) != Z_OK)
    return fail (E_MEMORY, "%s: no gzip decoder", path);
  size_t room = 0, used = 0;
  enum status s = OK;
  int r = Z_OK;
  while (s == OK && (r != Z_STREAM_END || used < size)) {
    if (r == Z_STREAM_END && inflateReset (&z) != Z_OK)
      break;
    if (out->size == room)
      TRY_GOTO (grow (out, &room, path), done);
    size_t in = size - used < UINT_MAX ? size - used : UINT_MAX;
    size_t to = room - out->size < UINT_MAX ? room - out->size : UINT_MAX;
    z.next_in = data + used;
    z.avail_in = (uInt)in;
    z.next_out = out->data + out->size;
    z.avail_out = (uInt)to;
    r = inflate (&z, Z_NO_FLUSH);
    used += in - z.avail_in;
    out->size += to - z.avail_out;
    bool stuck = r == Z_BUF_ERROR && used == size;
    if ((r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR) || stuck)
      s = damaged (path, "gzip", out->size);
  }
done:
  inflateEnd (&z);
  return s;
}

enum status
import_input_read (const char *path, struct import_input *out)
{
  static const unsigned char xz[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
  char *raw = NULL;
  size_t size = 0;
  struct import_input in = {0};
  TRY (store_file_read (path, &raw, &size));
  unsigned char *bytes = (unsigned char *)raw;
  enum status s = OK;
  if (size >= 6 && memcmp (bytes, xz, 6) == 0)
    s = read_xz (path, bytes, size, &in);
  else if (size >= 3 && bytes[0] == 0x1f && bytes[1] == 0x8b && bytes[2] == 8)
    s = read_gz (path, bytes, size, &in);
  else {
    in = (struct import_input){bytes, size};
    raw = NULL;
  }
  mem_free (&raw);
  if (s == OK)
    s = import_content_check (path, in.data, in.size,
                              IMPORT_CONTENT_TEXT | IMPORT_CONTENT_IDS);
  if (s == OK)
    *out = in;
  else
    import_input_clear (&in);
  return s;
}
