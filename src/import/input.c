/* import/input.c -- whole input files, plain or compressed by their content. */
#include "import/import_impl.h"

#include "base/memory.h"
#include "import/packed_impl.h"
#include <string.h>

void
import_input_clear (struct import_input *in)
{
  mem_free (&in->data);
  in->size = 0;
}

bool
import_input_find (const char *folder, const char *name, struct text *out)
{
  static const char *const endings[] = {"", ".xz", ".gz", ".bz2", ".zst"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    struct text t;
    text_init (&t);
    text_add (&t, "%s/%s%s", folder, name, endings[i]);
    bool found = import_file_there (t.data);
    if (found)
      text_add (out, "%s", t.data);
    text_clear (&t);
    if (found)
      return true;
  }
  return false;
}

/* Room that doubles when it is full, but not beyond what such a file has. */
static enum status
read_all (struct import_stream *in, const char *path,
          uint64_t (*most) (const unsigned char *head, size_t n),
          struct import_input *out)
{
  size_t room = 0, got = 1;
  uint64_t limit = 0;
  while (got > 0) {
    if (out->size == room) {
      size_t more = room ? room * 2 : (size_t)1 << 20;
      TRY (mem_grow (&out->data, room, more, 1, path));
      room = more;
    }
    size_t want = room - out->size < 1 << 30 ? room - out->size : 1 << 30;
    TRY (import_stream_fill (in, out->data + out->size, want, &got));
    if (out->size == 0)
      limit = most (out->data, got);
    out->size += got;
    if (out->size > limit)
      return fail (E_DATA,
                   "%s: goes on behind %s: more than such a file can hold",
                   path, text_bytes ((double)limit));
  }
  return OK;
}

enum status
import_input_read (const char *path,
                   uint64_t (*most) (const unsigned char *head, size_t n),
                   struct import_input *out)
{
  struct import_stream *stream = NULL;
  struct import_input in = {0};
  TRY (import_stream_open (path, 0, &stream));
  enum status s = read_all (stream, path, most, &in);
  import_stream_close (&stream);
  if (s == OK)
    s = import_content_check (path, in.data, in.size,
                              IMPORT_CONTENT_TEXT | IMPORT_CONTENT_IDS);
  if (s == OK)
    *out = in;
  else
    import_input_clear (&in);
  return s;
}
